/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixture of KUnit tests: incoming preserved memory.
 *
 * The kernel under test also acts as the previous kernel.  A test allocates
 * pages, puts them into the state that preserved memory has after early boot, and
 * adds them to the incoming map.  The code under test restores them as memory of
 * a previous kernel.
 */
#ifndef KHO_TESTS_INCOMING_H
#define KHO_TESTS_INCOMING_H

#include <kunit/test.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/mm.h>

#include "../kexec_handover_internal.h"

#define INCOMING_ORDER	3
#define NR_INCOMING		BIT(INCOMING_ORDER)

/*
 * NR_INCOMING contiguous pages of the previous kernel.  @cut lists their blocks:
 * a digit for a preserved block of that order, a dash for a page that was not
 * preserved.  With "-012", all pages but the first are preserved, in three
 * blocks.
 */
struct incoming {
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
		kunit_skip(test, "this kernel has an incoming handover");

	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&kho_in.map, NULL), 0);
	return kunit_add_action_or_reset(test, destroy_map, NULL);
}

static inline phys_addr_t incoming_phys(const struct incoming *in, unsigned int i)
{
	return in->phys + i * PAGE_SIZE;
}

static inline void *incoming_page(const struct incoming *in, unsigned int i)
{
	return phys_to_virt(incoming_phys(in, i));
}

/* Free the pages that were not restored by the test. */
static inline void incoming_free(void *data)
{
	struct incoming *in = data;
	phys_addr_t phys = in->phys;

	for (const char *c = in->cut; *c; c++) {
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

static inline struct incoming *incoming_create(struct kunit *test, const char *cut)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, INCOMING_ORDER);
	struct incoming *in = kunit_kzalloc(test, sizeof(*in), GFP_KERNEL);
	phys_addr_t phys;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, in);
	split_page(page, INCOMING_ORDER);

	in->cut = cut;
	in->phys = page_to_phys(page);
	phys = in->phys;
	for (const char *c = cut; *c; c++) {
		unsigned int order = *c == '-' ? 0 : *c - '0';

		if (*c == '-') {
			__free_page(phys_to_page(phys));
		} else {
			/* Preserved memory is not managed. */
			adjust_managed_page_count(phys_to_page(phys),
						  -(long)BIT(order));
			KUNIT_ASSERT_EQ(test,
					kho_radix_add_key(&kho_in.map,
							  kho_encode_key(phys, order)),
					0);
		}
		phys += PAGE_SIZE << order;
	}
	KUNIT_ASSERT_EQ(test, phys, incoming_phys(in, NR_INCOMING));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, incoming_free, in),
			0);
	return in;
}

static inline bool preserved(const struct incoming *in, unsigned int i,
			     unsigned int nr)
{
	return kho_pages_preserved(incoming_phys(in, i), nr);
}

#endif /* KHO_TESTS_INCOMING_H */
