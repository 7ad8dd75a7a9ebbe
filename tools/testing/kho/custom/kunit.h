/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of KUnit that the tests of this folder use.  Suites register
 * themselves; kunit.c runs them and prints KTAP.
 */
#ifndef KHO_CUSTOM_KUNIT_H
#define KHO_CUSTOM_KUNIT_H

#include "memory.h"
#include "print.h"

#include <setjmp.h>

#define KUNIT_NAME_SIZE		128

struct kunit_action;

struct kunit {
	const char *name;
	const void *param_value;
	struct kunit_action *actions;
	jmp_buf out;
	bool failed;
	char skipped[KUNIT_NAME_SIZE];
};

struct kunit_case {
	void (*run)(struct kunit *test);
	const char *name;
	const void *(*generate)(struct kunit *test, const void *prev, char *desc);
};

struct kunit_suite {
	const char *name;
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
	struct kunit_suite *next;
};

#define KUNIT_CASE(fn)			{ .run = fn, .name = #fn }
#define KUNIT_CASE_SLOW(fn)		KUNIT_CASE(fn)
#define KUNIT_CASE_PARAM(fn, gen)	{ .run = fn, .name = #fn, .generate = gen }

#define KUNIT_ARRAY_PARAM_DESC(_name, _array, _desc)			\
static const void *_name##_gen_params(struct kunit *test,		\
				      const void *prev, char *desc)	\
{									\
	typeof(&(_array)[0]) next = prev;				\
									\
	next = prev ? next + 1 : (_array);				\
	if (next - (_array) >= ARRAY_SIZE(_array))			\
		return NULL;						\
	strncpy(desc, next->_desc, KUNIT_NAME_SIZE - 1);		\
	return next;							\
}

void kunit_register(struct kunit_suite *suite);

#define kunit_test_suites(...)						\
__attribute__((constructor)) static void kunit_register_suites(void)	\
{									\
	struct kunit_suite *suites[] = { __VA_ARGS__ };			\
									\
	for (unsigned int i = 0; i < ARRAY_SIZE(suites); i++)		\
		kunit_register(suites[i]);				\
}
#define kunit_test_suite(suite)		kunit_test_suites(&(suite))

/* module_param() of a test: "name=value" on the command line. */
void kunit_param(const char *name, unsigned long *value);

#define ulong unsigned long
#define module_param(name, type, mode)					\
__attribute__((constructor)) static void kunit_param_##name(void)	\
{									\
	kunit_param(#name, &name);					\
}

void kunit_fail(struct kunit *test, const char *file, int line, bool fatal,
		const char *fmt, ...);
void kunit_skip_to_end(struct kunit *test, const char *fmt, ...);
void kunit_note(const char *fmt, ...);
int kunit_add_action_or_reset(struct kunit *test, void (*fn)(void *), void *arg);
void *kunit_kmalloc(struct kunit *test, size_t size, gfp_t gfp);
void kunit_kfree(struct kunit *test, const void *mem);
char *kunit_kstrdup(struct kunit *test, const char *s, gfp_t gfp);

#define kunit_kzalloc(test, size, gfp)	kunit_kmalloc(test, size, (gfp) | __GFP_ZERO)
#define kunit_skip(test, fmt, ...)	kunit_skip_to_end(test, fmt, ##__VA_ARGS__)
#define kunit_info(test, fmt, ...)	kunit_note(fmt, ##__VA_ARGS__)

#define KUNIT_DEFINE_ACTION_WRAPPER(wrapper, fn, type)			\
static void wrapper(void *arg)						\
{									\
	fn((type)arg);							\
}

#define KUNIT_CHECK(test, fatal, ok, fmt, ...) do {			\
	bool __ok = ok;							\
									\
	if (!__ok)							\
		kunit_fail(test, __FILE__, __LINE__, fatal, fmt,	\
			   ##__VA_ARGS__);				\
} while (0)

#define KUNIT_COMPARE(test, fatal, a, op, b, fmt, ...) do {		\
	__auto_type __l = (a);						\
	__auto_type __r = (b);						\
									\
	KUNIT_CHECK(test, fatal, (__l) op (typeof(__l))(__r),		\
		    "%s " #op " %s is not true (%#llx, %#llx) " fmt,	\
		    #a, #b, (u64)(uintptr_t)__l, (u64)(uintptr_t)__r,	\
		    ##__VA_ARGS__);					\
} while (0)

#define KUNIT_TRUTH(test, fatal, cond, want, fmt, ...)			\
	KUNIT_CHECK(test, fatal, (bool)(cond) == (want), "%s is not %s " fmt, \
		    #cond, #want, ##__VA_ARGS__)
#define KUNIT_STRINGS(test, fatal, a, b, fmt, ...) do {			\
	const char *__l = (a), *__r = (b);				\
									\
	KUNIT_CHECK(test, fatal, !strcmp(__l, __r),			\
		    "%s is '%s', not '%s' " fmt, #a, __l, __r,		\
		    ##__VA_ARGS__);					\
} while (0)

#define KUNIT_BYTES(test, fatal, a, b, size, fmt, ...)			\
	KUNIT_CHECK(test, fatal, !memcmp(a, b, size),			\
		    "%s and %s differ " fmt, #a, #b, ##__VA_ARGS__)

#define KUNIT_EXPECT_EQ_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, ==, b, __VA_ARGS__)
#define KUNIT_EXPECT_EQ(t, a, b)	KUNIT_EXPECT_EQ_MSG(t, a, b, "")
#define KUNIT_EXPECT_NE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, !=, b, __VA_ARGS__)
#define KUNIT_EXPECT_NE(t, a, b)	KUNIT_EXPECT_NE_MSG(t, a, b, "")
#define KUNIT_EXPECT_LT_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, <, b, __VA_ARGS__)
#define KUNIT_EXPECT_LT(t, a, b)	KUNIT_EXPECT_LT_MSG(t, a, b, "")
#define KUNIT_EXPECT_LE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, <=, b, __VA_ARGS__)
#define KUNIT_EXPECT_LE(t, a, b)	KUNIT_EXPECT_LE_MSG(t, a, b, "")
#define KUNIT_EXPECT_GT_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, >, b, __VA_ARGS__)
#define KUNIT_EXPECT_GT(t, a, b)	KUNIT_EXPECT_GT_MSG(t, a, b, "")
#define KUNIT_EXPECT_GE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, false, a, >=, b, __VA_ARGS__)
#define KUNIT_EXPECT_GE(t, a, b)	KUNIT_EXPECT_GE_MSG(t, a, b, "")
#define KUNIT_EXPECT_PTR_EQ(t, a, b)	KUNIT_EXPECT_EQ(t, a, b)
#define KUNIT_EXPECT_PTR_NE(t, a, b)	KUNIT_EXPECT_NE(t, a, b)
#define KUNIT_EXPECT_TRUE_MSG(t, c, ...)	KUNIT_TRUTH(t, false, c, true, __VA_ARGS__)
#define KUNIT_EXPECT_TRUE(t, c)	KUNIT_EXPECT_TRUE_MSG(t, c, "")
#define KUNIT_EXPECT_FALSE_MSG(t, c, ...)	KUNIT_TRUTH(t, false, c, false, __VA_ARGS__)
#define KUNIT_EXPECT_FALSE(t, c)	KUNIT_EXPECT_FALSE_MSG(t, c, "")
#define KUNIT_EXPECT_NULL_MSG(t, c, ...)	KUNIT_TRUTH(t, false, c, false, __VA_ARGS__)
#define KUNIT_EXPECT_NULL(t, c)	KUNIT_EXPECT_NULL_MSG(t, c, "")
#define KUNIT_EXPECT_NOT_NULL_MSG(t, c, ...)	KUNIT_TRUTH(t, false, c, true, __VA_ARGS__)
#define KUNIT_EXPECT_NOT_NULL(t, c)	KUNIT_EXPECT_NOT_NULL_MSG(t, c, "")
#define KUNIT_EXPECT_NOT_ERR_OR_NULL(t, p)	KUNIT_EXPECT_FALSE(t, IS_ERR_OR_NULL(p))
#define KUNIT_EXPECT_STREQ_MSG(t, a, b, ...)	KUNIT_STRINGS(t, false, a, b, __VA_ARGS__)
#define KUNIT_EXPECT_STREQ(t, a, b)	KUNIT_EXPECT_STREQ_MSG(t, a, b, "")
#define KUNIT_EXPECT_MEMEQ_MSG(t, a, b, n, ...)	KUNIT_BYTES(t, false, a, b, n, __VA_ARGS__)
#define KUNIT_EXPECT_MEMEQ(t, a, b, n)	KUNIT_EXPECT_MEMEQ_MSG(t, a, b, n, "")

#define KUNIT_ASSERT_EQ_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, ==, b, __VA_ARGS__)
#define KUNIT_ASSERT_EQ(t, a, b)	KUNIT_ASSERT_EQ_MSG(t, a, b, "")
#define KUNIT_ASSERT_NE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, !=, b, __VA_ARGS__)
#define KUNIT_ASSERT_NE(t, a, b)	KUNIT_ASSERT_NE_MSG(t, a, b, "")
#define KUNIT_ASSERT_LT_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, <, b, __VA_ARGS__)
#define KUNIT_ASSERT_LT(t, a, b)	KUNIT_ASSERT_LT_MSG(t, a, b, "")
#define KUNIT_ASSERT_LE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, <=, b, __VA_ARGS__)
#define KUNIT_ASSERT_LE(t, a, b)	KUNIT_ASSERT_LE_MSG(t, a, b, "")
#define KUNIT_ASSERT_GT_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, >, b, __VA_ARGS__)
#define KUNIT_ASSERT_GT(t, a, b)	KUNIT_ASSERT_GT_MSG(t, a, b, "")
#define KUNIT_ASSERT_GE_MSG(t, a, b, ...)	KUNIT_COMPARE(t, true, a, >=, b, __VA_ARGS__)
#define KUNIT_ASSERT_GE(t, a, b)	KUNIT_ASSERT_GE_MSG(t, a, b, "")
#define KUNIT_ASSERT_PTR_EQ(t, a, b)	KUNIT_ASSERT_EQ(t, a, b)
#define KUNIT_ASSERT_PTR_NE(t, a, b)	KUNIT_ASSERT_NE(t, a, b)
#define KUNIT_ASSERT_TRUE_MSG(t, c, ...)	KUNIT_TRUTH(t, true, c, true, __VA_ARGS__)
#define KUNIT_ASSERT_TRUE(t, c)	KUNIT_ASSERT_TRUE_MSG(t, c, "")
#define KUNIT_ASSERT_FALSE_MSG(t, c, ...)	KUNIT_TRUTH(t, true, c, false, __VA_ARGS__)
#define KUNIT_ASSERT_FALSE(t, c)	KUNIT_ASSERT_FALSE_MSG(t, c, "")
#define KUNIT_ASSERT_NULL_MSG(t, c, ...)	KUNIT_TRUTH(t, true, c, false, __VA_ARGS__)
#define KUNIT_ASSERT_NULL(t, c)	KUNIT_ASSERT_NULL_MSG(t, c, "")
#define KUNIT_ASSERT_NOT_NULL_MSG(t, c, ...)	KUNIT_TRUTH(t, true, c, true, __VA_ARGS__)
#define KUNIT_ASSERT_NOT_NULL(t, c)	KUNIT_ASSERT_NOT_NULL_MSG(t, c, "")
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(t, p)	KUNIT_ASSERT_FALSE(t, IS_ERR_OR_NULL(p))
#define KUNIT_ASSERT_STREQ_MSG(t, a, b, ...)	KUNIT_STRINGS(t, true, a, b, __VA_ARGS__)
#define KUNIT_ASSERT_STREQ(t, a, b)	KUNIT_ASSERT_STREQ_MSG(t, a, b, "")
#define KUNIT_ASSERT_MEMEQ_MSG(t, a, b, n, ...)	KUNIT_BYTES(t, true, a, b, n, __VA_ARGS__)
#define KUNIT_ASSERT_MEMEQ(t, a, b, n)	KUNIT_ASSERT_MEMEQ_MSG(t, a, b, n, "")

#define KUNIT_FAIL(t, ...)						\
	kunit_fail(t, __FILE__, __LINE__, false, __VA_ARGS__)
#define KUNIT_SUCCEED(t)	((void)(t))

/* State that a test must not change; see machine.c. */
struct sim_balance {
	long objects;
	long pages;
	long keys;
};

struct sim_balance sim_balance(void);

/* Init and exit of suites whose kernels boot with "liveupdate=on". */
int sim_liveupdate_init(struct kunit *test);
void sim_liveupdate_exit(struct kunit *test);
/* Exit of suites that set sim_deferred, see custom/memory.h. */
void sim_deferred_exit(struct kunit *test);

#endif /* KHO_CUSTOM_KUNIT_H */
