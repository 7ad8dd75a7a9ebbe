/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases: one function each, which runs in every kernel of the case.
 *
 *	KHO_TEST(odd_size, "Sizes come back to the byte.", .memory = 2048)
 *	{
 *		if (!hop)
 *			keep("main", files);
 *		else
 *			claim("main", files);
 *	}
 *
 * This case is called "odd-size".  A hop is the run of its function in one kernel,
 * counted from 0.  After each hop but the last, the next kernel is loaded, unless
 * the hop has loaded it, and then executed.
 */

#ifndef SELFTESTS_KHO_TEST_H
#define SELFTESTS_KHO_TEST_H

#include <stdbool.h>

#define KHO_TEST_ROW	8

/* Called for each row of the table of a case: field, line in the log, and result. */
typedef void (*kho_test_row_fn)(const char *name, const char *log, const char *must);

/* The last entry of an array also applies to all further kernels. */
struct kho_test {
	const char *id;
	const char *name;		/* if it differs from that of the function */
	const char *sentence;
	void (*run)(unsigned int hop);
	unsigned int hops;		/* kernels; 2 if 0 */
	unsigned int memory;		/* MiB; 1024 if 0 */
	unsigned int pages;		/* additional pages, of any size */
	unsigned int nodes;		/* NUMA nodes, with a processor each */
	unsigned int deadline;		/* seconds with KVM; 20 if 0 */
	bool live;			/* the first hop can run without a kexec, see live.c */
	bool by_name;			/* only run by its name */
	const char *arch;		/* the only architecture, or NULL */
	const char *base;		/* the only kernel series, or NULL */
	const char *plug;		/* a memory device to add, in a node of its own */
	const char *kernels[KHO_TEST_ROW];	/* names; "ours" is the kernel under test */
	const char *append[KHO_TEST_ROW];	/* additions to the command lines */
	const char *allowed[KHO_TEST_ROW];	/* expected console lines */
	const char *qemu[KHO_TEST_ROW];
	void (*rows)(kho_test_row_fn each);	/* calls @each for each row of its table, or NULL */
	struct kho_test *next;
};

void kho_test_register(struct kho_test *test);

/* Constructors of a file run in the order of their definition. */
#define KHO_TEST(function, about, ...)					\
	static void function(unsigned int hop);				\
	static void __attribute__((constructor)) function##_register(void) \
	{								\
		static struct kho_test test = {				\
			.id = #function, .sentence = about,		\
			.run = function, __VA_ARGS__			\
		};							\
									\
		kho_test_register(&test);				\
	}								\
	static void function(unsigned int hop __attribute__((unused)))

/* kho_test.c */
const struct kho_test *kho_test_find(const char *name);
const struct kho_test *kho_test_first(void);
const char *kho_test_name(const struct kho_test *test);
void kho_test_list(void);

#endif
