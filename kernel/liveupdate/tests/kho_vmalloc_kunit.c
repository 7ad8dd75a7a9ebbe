// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of preserving vmalloc areas: the description and the chain of
 * chunks.  kho_restore_sets_kunit.c tests restoring of areas.
 */

#include <kunit/test.h>
#include <linux/array_size.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/kho/vmalloc.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "low_memory.h"

static int kho_vmalloc_test_init(struct kunit *test)
{
	if (!kho_is_enabled())
		kunit_skip(test, "Kexec Handover is off: boot with kho=on");

	return 0;
}

KUNIT_DEFINE_ACTION_WRAPPER(free_area, vfree, void *);
KUNIT_DEFINE_ACTION_WRAPPER(unmap_area, vunmap, void *);
KUNIT_DEFINE_ACTION_WRAPPER(unpreserve, kho_unpreserve_vmalloc,
			    struct kho_vmalloc *);

static void *own_area(struct kunit *test, void *area)
{
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_area, area),
			0);
	return area;
}

static struct kho_vmalloc *preserved(struct kunit *test, void *area)
{
	struct kho_vmalloc *desc = kunit_kmalloc(test, sizeof(*desc), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, desc);
	memset(desc, 0xa5, sizeof(*desc));
	KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(area, desc), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unpreserve, desc),
			0);
	return desc;
}

/* Sizes around a full chunk, which has 511 entries with pages of 4 KiB. */
static const struct area_size {
	const char *name;
	unsigned long pages;
	unsigned int chunks;
} area_sizes[] = {
	{ "1 page", 1, 1 },
	{ "one less than a chunk", KHO_VMALLOC_SIZE - 1, 1 },
	{ "full chunk", KHO_VMALLOC_SIZE, 1 },
	{ "full chunk and 1", KHO_VMALLOC_SIZE + 1, 2 },
	{ "two full chunks", 2 * KHO_VMALLOC_SIZE, 2 },
	{ "two full chunks and 1", 2 * KHO_VMALLOC_SIZE + 1, 3 },
};

KUNIT_ARRAY_PARAM_DESC(area_size, area_sizes, name);

static void *area_of_size(struct kunit *test)
{
	const struct area_size *size = test->param_value;

	kho_skip_if_low_memory(test, size->pages);

	return own_area(test, vmalloc(size->pages * PAGE_SIZE));
}

static void kho_vmalloc_test_description(struct kunit *test)
{
	const struct area_size *size = test->param_value;
	struct kho_vmalloc *desc = preserved(test, area_of_size(test));

	KUNIT_EXPECT_NE(test, desc->first.phys, 0);
	KUNIT_EXPECT_EQ(test, desc->total_pages, size->pages);
	KUNIT_EXPECT_EQ(test, desc->flags, KHO_VMALLOC_ALLOC);
	KUNIT_EXPECT_EQ(test, desc->order, 0);
}

/* Word 0 of a chunk is the address of the next chunk; other words are pages. */
static void kho_vmalloc_test_chunks(struct kunit *test)
{
	const struct area_size *size = test->param_value;
	void *area = area_of_size(test);
	struct kho_vmalloc *desc = preserved(test, area);
	unsigned int chunks = 0;
	unsigned long i = 0;
	u64 *chunk = NULL;

	for (u64 pa = desc->first.phys; pa; pa = chunk[0]) {
		unsigned long slot = 1;

		KUNIT_ASSERT_LT(test, chunks++, size->chunks);
		KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(pa));
		chunk = phys_to_virt(pa);

		while (slot < PAGE_SIZE / sizeof(u64) && i < size->pages) {
			struct page *page = vmalloc_to_page(area + i++ * PAGE_SIZE);

			KUNIT_ASSERT_EQ(test, chunk[slot++], page_to_phys(page));
		}
		KUNIT_EXPECT_NULL(test,
				  memchr_inv(chunk + slot, 0,
					     PAGE_SIZE - slot * sizeof(u64)));
	}

	KUNIT_EXPECT_EQ(test, chunks, size->chunks);
	KUNIT_EXPECT_EQ(test, i, size->pages);
}

static void kho_vmalloc_test_huge(struct kunit *test)
{
	void *area = own_area(test, vmalloc_huge(PMD_SIZE, GFP_KERNEL));
	struct kho_vmalloc *desc = preserved(test, area);
	unsigned int entries = desc->total_pages >> desc->order;
	struct kho_vmalloc_chunk *chunk = KHOSER_LOAD_PTR(desc->first);

	kunit_info(test, "an entry has 2^%u pages\n", desc->order);
	KUNIT_EXPECT_EQ(test, desc->total_pages, PMD_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, desc->flags,
			KHO_VMALLOC_ALLOC | KHO_VMALLOC_HUGE_VMAP);

	for (unsigned int i = 0; i < min(entries, KHO_VMALLOC_SIZE); i++) {
		void *at = area + ((i * PAGE_SIZE) << desc->order);

		KUNIT_ASSERT_EQ(test, chunk->phys[i],
				page_to_phys(vmalloc_to_page(at)));
	}
	if (entries < KHO_VMALLOC_SIZE)
		KUNIT_EXPECT_EQ(test, chunk->phys[entries], 0);
}

static void kho_vmalloc_test_contents_stay(struct kunit *test)
{
	u8 *area = own_area(test, vmalloc(3 * PAGE_SIZE));

	memset(area, 0x5a, 3 * PAGE_SIZE);
	preserved(test, area);
	KUNIT_EXPECT_NULL(test, memchr_inv(area, 0x5a, 3 * PAGE_SIZE));
}

static void kho_vmalloc_test_unpreserve(struct kunit *test)
{
	struct kho_vmalloc *desc = preserved(test, area_of_size(test));

	kho_unpreserve_vmalloc(desc);
	KUNIT_EXPECT_EQ(test, desc->first.phys, 0);
}

static void kho_vmalloc_test_unpreserve_twice(struct kunit *test)
{
	struct kho_vmalloc *desc = preserved(test,
					     own_area(test, vmalloc(PAGE_SIZE)));

	kho_unpreserve_vmalloc(desc);
	kho_unpreserve_vmalloc(desc);
	KUNIT_EXPECT_EQ(test, desc->first.phys, 0);
}

static void kho_vmalloc_test_preserve_again(struct kunit *test)
{
	void *area = own_area(test, vmalloc(5 * PAGE_SIZE));

	kho_unpreserve_vmalloc(preserved(test, area));
	KUNIT_EXPECT_NE(test, preserved(test, area)->first.phys, 0);
}

/* Areas of kinds that are not supported. */

static void kho_vmalloc_test_vmap(struct kunit *test)
{
	void *backing = own_area(test, vmalloc(PAGE_SIZE));
	struct page *page = vmalloc_to_page(backing);
	void *area = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	struct kho_vmalloc desc = {};

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmap_area, area),
			0);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(area, &desc), -EOPNOTSUPP);
}

static void kho_vmalloc_test_user_area(struct kunit *test)
{
	void *area = own_area(test, vmalloc_user(PAGE_SIZE));
	struct kho_vmalloc desc = {};

	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(area, &desc), -EOPNOTSUPP);
}

static void kho_vmalloc_test_no_area(struct kunit *test)
{
	void *linear = kunit_kmalloc(test, 16, GFP_KERNEL);
	struct kho_vmalloc desc = {};

	KUNIT_ASSERT_NOT_NULL(test, linear);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(linear, &desc), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(NULL, &desc), -EINVAL);
}

/* Descriptions that no kernel writes.  All are refused without a warning. */

#define DESC(_pa, _pages, _flags, _order)				\
	{ .first.phys = (_pa), .total_pages = (_pages),			\
	  .flags = (_flags), .order = (_order) }

static const struct bad_desc {
	const char *name;
	struct kho_vmalloc desc;
} bad_descs[] = {
	{ "all zero", DESC(0, 0, 0, 0) },
	{ "all ones", DESC(U64_MAX, UINT_MAX, USHRT_MAX, USHRT_MAX) },
	{ "unknown flag", DESC(PAGE_SIZE, 1, 0x4, 0) },
	{ "order too large", DESC(PAGE_SIZE, 1, 1, MAX_PAGE_ORDER + 1) },
	{ "order beyond any shift", DESC(PAGE_SIZE, 1, 1, 64) },
	{ "largest order value", DESC(PAGE_SIZE, 1, 1, USHRT_MAX) },
	{ "no pages", DESC(PAGE_SIZE, 0, 1, 0) },
	{ "pages do not fit the order", DESC(PAGE_SIZE, 3, 1, 1) },
	{ "fewer pages than the order", DESC(PAGE_SIZE, 1, 1, 1) },
	{ "no chunk", DESC(0, 1, 1, 0) },
	{ "chunk not aligned", DESC(8, 1, 1, 0) },
	{ "chunk not preserved", DESC(PAGE_SIZE, 1, 1, 0) },
	{ "chunk outside memory", DESC(1ULL << 50, 1, 1, 0) },
	{ "chunk in the last page", DESC(-PAGE_SIZE, 1, 1, 0) },
	{ "more pages than there are", DESC(PAGE_SIZE, UINT_MAX, 1, 0) },
};

KUNIT_ARRAY_PARAM_DESC(bad_desc, bad_descs, name);

static void kho_vmalloc_test_restore_bad(struct kunit *test)
{
	const struct bad_desc *bad = test->param_value;

	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&bad->desc));
}

static void kho_vmalloc_test_restore_own(struct kunit *test)
{
	struct kho_vmalloc *desc = preserved(test,
					     own_area(test, vmalloc(PAGE_SIZE)));

	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(desc));
	KUNIT_EXPECT_NE(test, desc->first.phys, 0);
}

static struct kunit_case kho_vmalloc_cases[] = {
	KUNIT_CASE_PARAM(kho_vmalloc_test_description, area_size_gen_params),
	KUNIT_CASE_PARAM(kho_vmalloc_test_chunks, area_size_gen_params),
	KUNIT_CASE(kho_vmalloc_test_huge),
	KUNIT_CASE(kho_vmalloc_test_contents_stay),
	KUNIT_CASE_PARAM(kho_vmalloc_test_unpreserve, area_size_gen_params),
	KUNIT_CASE(kho_vmalloc_test_unpreserve_twice),
	KUNIT_CASE(kho_vmalloc_test_preserve_again),
	KUNIT_CASE(kho_vmalloc_test_vmap),
	KUNIT_CASE(kho_vmalloc_test_user_area),
	KUNIT_CASE(kho_vmalloc_test_no_area),
	KUNIT_CASE_PARAM(kho_vmalloc_test_restore_bad, bad_desc_gen_params),
	KUNIT_CASE(kho_vmalloc_test_restore_own),
	{}
};

static struct kunit_suite kho_vmalloc_suite = {
	.name = "kho-vmalloc",
	.init = kho_vmalloc_test_init,
	.test_cases = kho_vmalloc_cases,
};

kunit_test_suite(kho_vmalloc_suite);

MODULE_DESCRIPTION("KUnit tests of preserving vmalloc areas");
MODULE_LICENSE("GPL");
