// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of restoring pages and folios of a previous kernel.
 */

#include <kunit/test.h>
#include <linux/array_size.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "incoming.h"

static struct page *restore(const struct incoming *in, unsigned int i,
			    unsigned int nr)
{
	return kho_restore_pages(incoming_phys(in, i), nr);
}

/* Pages. */

static const struct cut {
	const char *name;
	const char *cut;
} cuts[] = {
	{ "one block", "3" },
	{ "two blocks", "22" },
	{ "falling orders", "2100" },
	{ "rising orders", "0012" },
	{ "single pages", "00000000" },
};

KUNIT_ARRAY_PARAM_DESC(cut, cuts, name);

static void kho_restore_test_pages(struct kunit *test)
{
	struct incoming *in = incoming_create(test, ((const struct cut *)test->param_value)->cut);
	struct page *page;

	KUNIT_EXPECT_TRUE(test, preserved(in, 0, NR_INCOMING));
	page = restore(in, 0, NR_INCOMING);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, page_to_phys(page), in->phys);

	for (int i = 0; i < NR_INCOMING; i++) {
		KUNIT_EXPECT_EQ(test, page_ref_count(page + i), 1);
		KUNIT_EXPECT_FALSE(test, PageCompound(page + i));
		__free_page(page + i);
	}
}

static void kho_restore_test_pages_once(struct kunit *test)
{
	struct incoming *in = incoming_create(test, ((const struct cut *)test->param_value)->cut);
	struct page *page = restore(in, 0, NR_INCOMING);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, preserved(in, 0, NR_INCOMING));
	KUNIT_EXPECT_FALSE(test, preserved(in, 0, 1));
	KUNIT_EXPECT_NULL(test, restore(in, 0, NR_INCOMING));

	for (int i = 0; i < NR_INCOMING; i++)
		__free_page(page + i);
}

static void kho_restore_test_pages_are_managed(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "3");
	unsigned long before = totalram_pages();
	struct page *page = restore(in, 0, NR_INCOMING);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, totalram_pages(), before + NR_INCOMING);

	for (int i = 0; i < NR_INCOMING; i++)
		__free_page(page + i);
}

static void kho_restore_test_odd_range(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "-012");
	struct page *page = restore(in, 1, NR_INCOMING - 1);

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (int i = 0; i < NR_INCOMING - 1; i++)
		__free_page(page + i);
}

/* All or nothing: if a request fails, all memory can still be restored. */
static const struct misfit {
	const char *name;
	const char *cut;
	unsigned int first, nr;		/* pages to restore */
	unsigned int still, nr_still;	/* pages still preserved afterwards */
} misfits[] = {
	{ "first page missing", "-012", 0, 8, 1, 7 },
	{ "last page missing", "210-", 0, 8, 0, 7 },
	{ "hole", "2-01", 0, 8, 0, 4 },
	{ "part of a block", "3", 0, 4, 0, 8 },
	{ "end of a block", "3", 4, 4, 0, 8 },
	{ "middle of a block", "3", 1, 1, 0, 8 },
	{ "nothing there", "----2", 0, 4, 4, 4 },
};

KUNIT_ARRAY_PARAM_DESC(misfit, misfits, name);

static void kho_restore_test_misfit(struct kunit *test)
{
	const struct misfit *m = test->param_value;
	struct incoming *in = incoming_create(test, m->cut);

	KUNIT_EXPECT_FALSE(test, preserved(in, m->first, m->nr));
	KUNIT_EXPECT_NULL(test, restore(in, m->first, m->nr));
	KUNIT_EXPECT_TRUE(test, preserved(in, m->still, m->nr_still));
}

static const struct bad_address {
	const char *name;
	phys_addr_t phys;
} bad_addresses[] = {
	{ "not aligned", 8 },
	{ "first page", 0 },
	{ "outside memory", 1ULL << 50 },
	{ "last page", -PAGE_SIZE },
	{ "all bits", -1 },
};

KUNIT_ARRAY_PARAM_DESC(bad_address, bad_addresses, name);

static void kho_restore_test_bad_address(struct kunit *test)
{
	phys_addr_t phys = ((const struct bad_address *)test->param_value)->phys;

	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(phys, 1));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(phys, 1));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(phys));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(phys, 1));
}

static void no_overlaps(void *unused)
{
	kho_in.overlap_start = 0;
	kho_in.overlap_end = 0;
}

/* The first owner restores its whole block.  Overlapping blocks are refused. */
static void kho_restore_test_overlap(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "3");
	phys_addr_t inside = incoming_phys(in, 4);
	struct page *page;

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, no_overlaps, NULL), 0);
	kho_in.orders |= BIT(0) | BIT(INCOMING_ORDER) | BIT(INCOMING_ORDER + 1);
	kho_in.overlap_start = PHYS_PFN(in->phys);
	kho_in.overlap_end = kho_in.overlap_start + NR_INCOMING;
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&kho_in.map,
						kho_encode_key(inside, 0)), 0);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&kho_in.map,
						kho_encode_key(in->phys, INCOMING_ORDER + 1)), 0);

	page = kho_restore_pages(in->phys, NR_INCOMING);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(inside, 1));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(inside));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(in->phys, PAGE_SIZE));

	for (unsigned int i = 0; i < NR_INCOMING; i++)
		__free_page(page + i);
}

/* This kernel cannot restore memory that it preserves for the next one. */
static void kho_restore_test_own_memory(struct kunit *test)
{
	void *mem;

	if (!kho_is_enabled())
		kunit_skip(test, "Kexec Handover is off: boot with kho=on");

	mem = kho_alloc_preserve(PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(virt_to_phys(mem), 1));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(virt_to_phys(mem), 1));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(virt_to_phys(mem)));
	kho_restore_free(mem);
	kho_unpreserve_free(mem);
}

/* Folios. */

static const struct folio_cut {
	const char *name;
	const char *cut;
	unsigned int order;
} folio_cuts[] = {
	{ "order 0", "0-------", 0 },
	{ "order 1", "1------", 1 },
	{ "order 2", "22", 2 },
	{ "order 3", "3", 3 },
};

KUNIT_ARRAY_PARAM_DESC(folio_cut, folio_cuts, name);

static void kho_restore_test_folio(struct kunit *test)
{
	const struct folio_cut *c = test->param_value;
	struct incoming *in = incoming_create(test, c->cut);
	struct folio *folio = kho_restore_folio(in->phys);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, PFN_PHYS(folio_pfn(folio)), in->phys);
	KUNIT_EXPECT_EQ(test, folio_order(folio), c->order);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_NULL(test, kho_restore_folio(in->phys));
	folio_put(folio);
}

static void kho_restore_test_folio_inside(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "3");

	KUNIT_EXPECT_NULL(test, kho_restore_folio(incoming_phys(in, 1)));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(in->phys + 8));
	KUNIT_EXPECT_TRUE(test, preserved(in, 0, NR_INCOMING));
}

static void kho_restore_test_free(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "22");

	kho_restore_free(incoming_page(in, 0));
	KUNIT_EXPECT_FALSE(test, preserved(in, 0, 4));
	KUNIT_EXPECT_TRUE(test, preserved(in, 4, 4));
	/* A second call is a bug, and is only logged. */
	kho_restore_free(incoming_page(in, 0));
}

/* Ranges of bytes that need not start or end at a block. */

static const struct page_range {
	const char *name;
	long start;
	size_t size;
	bool covered;
} ranges[] = {
	{ "all incoming pages", PAGE_SIZE, 7 * PAGE_SIZE, true },
	{ "first byte", PAGE_SIZE, 1, true },
	{ "inside a page", PAGE_SIZE + 100, 50, true },
	{ "inside a block", 5 * PAGE_SIZE + 1, PAGE_SIZE, true },
	{ "across blocks", 2 * PAGE_SIZE - 1, 3 * PAGE_SIZE, true },
	{ "last byte", 8 * PAGE_SIZE - 1, 1, true },
	{ "one byte before", PAGE_SIZE - 1, 2, false },
	{ "before", 0, PAGE_SIZE, false },
	{ "no bytes", PAGE_SIZE, 0, false },
	{ "around the end of addresses", PAGE_SIZE, -PAGE_SIZE, false },
};

KUNIT_ARRAY_PARAM_DESC(range, ranges, name);

static void kho_restore_test_covers(struct kunit *test)
{
	const struct page_range *s = test->param_value;
	struct incoming *in = incoming_create(test, "-012");

	KUNIT_EXPECT_EQ(test, kho_in_covers(in->phys + s->start, s->size),
			s->covered);
}

static struct kunit_case kho_restore_cases[] = {
	KUNIT_CASE_PARAM(kho_restore_test_pages, cut_gen_params),
	KUNIT_CASE_PARAM(kho_restore_test_pages_once, cut_gen_params),
	KUNIT_CASE(kho_restore_test_pages_are_managed),
	KUNIT_CASE(kho_restore_test_odd_range),
	KUNIT_CASE_PARAM(kho_restore_test_misfit, misfit_gen_params),
	KUNIT_CASE_PARAM(kho_restore_test_bad_address, bad_address_gen_params),
	KUNIT_CASE(kho_restore_test_overlap),
	KUNIT_CASE(kho_restore_test_own_memory),
	KUNIT_CASE_PARAM(kho_restore_test_folio, folio_cut_gen_params),
	KUNIT_CASE(kho_restore_test_folio_inside),
	KUNIT_CASE(kho_restore_test_free),
	KUNIT_CASE_PARAM(kho_restore_test_covers, range_gen_params),
	{}
};

static struct kunit_suite kho_restore_suite = {
	.name = "kho-restore",
	.init = restore_test_init,
	.test_cases = kho_restore_cases,
};

kunit_test_suite(kho_restore_suite);

MODULE_DESCRIPTION("KUnit tests of restoring pages with KHO");
MODULE_LICENSE("GPL");
