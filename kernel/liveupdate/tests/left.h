/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For KUnit tests of taking over what a previous kernel left.
 *
 * One kernel plays both.  A test allocates pages, brings them into the state in
 * which early boot leaves memory that was handed over, and enters them into the
 * incoming map.  From there on the code under test sees no difference.
 */
#ifndef KHO_TESTS_LEFT_H
#define KHO_TESTS_LEFT_H

#include <kunit/test.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/mm.h>

#include "../kexec_handover_internal.h"

#define LEFT_ORDER	3
#define NR_LEFT		BIT(LEFT_ORDER)

/*
 * Pages that the previous kernel left, NR_LEFT of them in a row.  @cut tells how
 * they were handed over: a digit for a block of that order, a dash for a page
 * that was not.  "-012" leaves all but the first page, as three blocks.
 */
struct left {
	const char *cut;
	phys_addr_t phys;
};

static inline void destroy_map(void *unused)
{
	kho_radix_destroy_tree(&kho_in.map);
}

static inline int restore_test_init(struct kunit *test)
{
	if (is_kho_boot() || kho_in.map.root)
		kunit_skip(test, "this kernel was handed something over");

	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&kho_in.map, NULL), 0);
	return kunit_add_action_or_reset(test, destroy_map, NULL);
}

static inline phys_addr_t left_phys(const struct left *left, unsigned int i)
{
	return left->phys + i * PAGE_SIZE;
}

static inline void *left_page(const struct left *left, unsigned int i)
{
	return phys_to_virt(left_phys(left, i));
}

/* Frees what nobody restored; the rest belongs to whoever did. */
static inline void free_left(void *data)
{
	struct left *left = data;
	phys_addr_t phys = left->phys;

	for (const char *c = left->cut; *c; c++) {
		unsigned int order = *c == '-' ? 0 : *c - '0';
		unsigned long key = kho_encode_key(phys, order);
		struct page *page = phys_to_page(phys);

		phys += PAGE_SIZE << order;
		if (*c == '-' || !kho_radix_take_key(&kho_in.map, key))
			continue;

		adjust_managed_page_count(page, BIT(order));
		for (unsigned int i = 0; i < BIT(order); i++)
			__free_page(page + i);
	}
}

static inline struct left *leave(struct kunit *test, const char *cut)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, LEFT_ORDER);
	struct left *left = kunit_kzalloc(test, sizeof(*left), GFP_KERNEL);
	phys_addr_t phys;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, left);
	split_page(page, LEFT_ORDER);

	left->cut = cut;
	left->phys = page_to_phys(page);
	phys = left->phys;
	for (const char *c = cut; *c; c++) {
		unsigned int order = *c == '-' ? 0 : *c - '0';

		if (*c == '-') {
			__free_page(phys_to_page(phys));
		} else {
			/* Nobody manages memory that waits to be restored. */
			adjust_managed_page_count(phys_to_page(phys),
						  -(long)BIT(order));
			KUNIT_ASSERT_EQ(test,
					kho_radix_add_key(&kho_in.map,
							  kho_encode_key(phys, order)),
					0);
		}
		phys += PAGE_SIZE << order;
	}
	KUNIT_ASSERT_EQ(test, phys, left_phys(left, NR_LEFT));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_left, left),
			0);
	return left;
}

static inline bool preserved(const struct left *left, unsigned int i,
			     unsigned int nr)
{
	return kho_pages_preserved(left_phys(left, i), nr);
}

#endif /* KHO_TESTS_LEFT_H */
