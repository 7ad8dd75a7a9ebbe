// SPDX-License-Identifier: GPL-2.0
/*
 * Preserving memory next to memory that cannot be preserved, the division of
 * ranges into blocks, and the accounting of restored pages.
 */

#include "old.h"

static void back_to_cold(struct kunit *test)
{
	sim_hot_pfn = SIM_PAGES;
	sim_node_pfn = SIM_PAGES;
	sim_deferred_exit(test);
}

static void hop(struct kunit *test)
{
	struct sim_handover h = sim_kexec();

	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
}

/* 2^5 pages, aligned to their size. */
static unsigned long some_pages(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, 5);

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, 5);
	return page_to_pfn(page);
}

static struct folio *folio_at(unsigned long pfn)
{
	return (struct folio *)pfn_to_page(pfn);
}

static unsigned long nr_keys(void)
{
	unsigned long nodes, keys;

	sim_core_out(&nodes, &keys);
	return keys;
}

/* Scratch memory in the middle of the pages, until the next boot. */
static void put_scratch(unsigned long pfn, unsigned long nr)
{
	static struct kho_scratch area;

	area = (struct kho_scratch){ PFN_PHYS(pfn), PFN_PHYS(nr) };
	kho_scratch = &area;
	kho_scratch_cnt = 1;
}

/*
 * A range can be preserved if it does not overlap scratch memory, for all
 * ranges around an area.
 */
static void pages_test_borders(struct kunit *test)
{
	unsigned long pfn = some_pages(test), before = nr_keys();

	put_scratch(pfn + 8, 4);
	for (unsigned int first = 0; first < 16; first++) {
		for (unsigned int nr = 1; first + nr <= 16; nr++) {
			bool good = first + nr <= 8 || first >= 12;

			KUNIT_ASSERT_EQ_MSG(test, kho_preserve_pages(pfn_to_page(pfn + first), nr),
					    good ? 0 : -EINVAL, "%u pages from %u", nr, first);
			if (good)
				kho_unpreserve_pages(pfn_to_page(pfn + first), nr);
			KUNIT_ASSERT_EQ(test, nr_keys(), before);
		}
	}
}

/* A range can be preserved if it ends where hot-added memory begins. */
static void pages_test_hot_border(struct kunit *test)
{
	struct page *page = NULL;
	unsigned long border;

	/*
	 * Find a section border with a free page on both sides, which may not
	 * exist.
	 */
	for (border = PAGES_PER_SECTION; border < SIM_PAGES; border += PAGES_PER_SECTION) {
		if (sim_memmap[border - 1].state == SIM_FREE &&
		    sim_memmap[border].state == SIM_FREE &&
		    !kho_scratch_overlap(PFN_PHYS(border - 1), 2 * PAGE_SIZE))
			break;
	}
	if (border >= SIM_PAGES)
		kunit_skip(test, "no free page next to a section");
	sim_hot_pfn = border;
	page = pfn_to_page(border - 1);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 1), 0);
	kho_unpreserve_pages(page, 1);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 2), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + 1, 1), -EOPNOTSUPP);
}

static const struct order_of {
	const char *name;
	int at[3];
	int err;
} orders_of[] = {
	{ "on both sides", { 1, 20, 30 }, 0 },
	{ "on both sides, descending", { 30, 20, 1 }, 0 },
	{ "next to the area", { 7, 12, 0 }, 0 },
	{ "the last one at the start of the area", { 1, 20, 8 }, -EINVAL },
	{ "the last one at the end of the area", { 1, 20, 11 }, -EINVAL },
	{ "the middle one in the area", { 1, 10, 20 }, -EINVAL },
	{ "the first one in the area", { 9, 1, 20 }, -EINVAL },
	{ "the last one in the area, not in order", { 20, 21, 9 }, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(order_of, orders_of, name);

/* All folios are checked, and none is preserved if one of them cannot be. */
static void pages_test_folios(struct kunit *test)
{
	const struct order_of *o = test->param_value;
	unsigned long pfn = some_pages(test), before = nr_keys();
	struct folio *folios[3];

	put_scratch(pfn + 8, 4);
	for (int i = 0; i < 3; i++)
		folios[i] = folio_at(pfn + o->at[i]);
	KUNIT_EXPECT_EQ(test, kho_preserve_folios(folios, 3), o->err);
	KUNIT_EXPECT_EQ(test, nr_keys(), before + (o->err ? 0 : 3));
	for (int i = 0; i < 3 && !o->err; i++)
		KUNIT_EXPECT_TRUE(test, kho_out_overlaps(PFN_PHYS(pfn + o->at[i]), 1));
	if (!o->err)
		kho_unpreserve_folios(folios, 3);
	KUNIT_EXPECT_EQ(test, nr_keys(), before);
}

/* Blocks. */

static bool has_block(unsigned long pfn, unsigned int order)
{
	struct kho_radix_tree map = sim_core_out_map();

	return kho_radix_test_key(&map, kho_encode_key(PFN_PHYS(pfn), order));
}

/* A range is divided into the largest possible blocks, each within one node. */
static void pages_test_nodes(struct kunit *test)
{
	unsigned long pfn = some_pages(test), before = nr_keys();

	for (unsigned int border = 0; border <= 16; border++) {
		unsigned int nr = 0;

		sim_node_pfn = pfn + border;
		KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn), 16), 0);
		for (unsigned int at = 0; at < 16; nr++) {
			unsigned int end = at < border ? border : 16, order = 0;

			while (at % BIT(order + 1) == 0 && at + BIT(order + 1) <= min(end, 16U))
				order++;
			KUNIT_EXPECT_TRUE_MSG(test, has_block(pfn + at, order),
					      "border %u, page %u, order %u", border, at, order);
			at += BIT(order);
		}
		KUNIT_EXPECT_EQ(test, nr_keys(), before + nr);
		/* Nodes may differ when the range is unpreserved. */
		sim_node_pfn = SIM_PAGES;
		kho_unpreserve_pages(pfn_to_page(pfn), 16);
		KUNIT_EXPECT_EQ(test, nr_keys(), before);
	}
	KUNIT_EXPECT_FALSE(test, sim_logged(": not preserved"));
}

/*
 * With more than one node, blocks are at most as large as those of the page
 * allocator.
 */
static void pages_test_largest(struct kunit *test)
{
	unsigned long max = BIT(MAX_PAGE_ORDER), pfn = 2 * max;

	/* Without scratch areas, all addresses can be used. */
	kho_scratch_cnt = 0;
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn), 2 * max), 0);
	KUNIT_EXPECT_TRUE(test, has_block(pfn, MAX_PAGE_ORDER + 1));
	kho_unpreserve_pages(pfn_to_page(pfn), 2 * max);

	sim_node_pfn = SIM_PAGES - 1;
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn), 2 * max), 0);
	KUNIT_EXPECT_TRUE(test, has_block(pfn, MAX_PAGE_ORDER));
	KUNIT_EXPECT_TRUE(test, has_block(pfn + max, MAX_PAGE_ORDER));
	kho_unpreserve_pages(pfn_to_page(pfn), 2 * max);
}

/* If preserving fails, exactly the blocks that were preserved before are unpreserved. */
static void pages_test_unwind(struct kunit *test)
{
	unsigned long pfn = some_pages(test);
	unsigned int failures = 0;

	kho_scratch_cnt = 0;
	for (unsigned int n = 1; n == failures + 1; n++) {
		int err;

		sim_log_clear();
		sim_fail_nth(n);
		/* Blocks of orders 0, 1 and 2. */
		err = kho_preserve_pages(pfn_to_page(pfn + 1), 7);
		failures += sim_failed();
		sim_fail_nth(0);
		if (!err)
			kho_unpreserve_pages(pfn_to_page(pfn + 1), 7);
		KUNIT_EXPECT_FALSE(test, sim_logged("not preserved"));
		KUNIT_EXPECT_FALSE(test, kho_out_overlaps(PFN_PHYS(pfn), 8 * PAGE_SIZE));
	}
	KUNIT_EXPECT_GE(test, failures, 3);

	/* Without a block, single pages are reported. */
	kho_unpreserve_pages(pfn_to_page(pfn + 2), 2);
	KUNIT_EXPECT_TRUE(test, sim_logged("block of order 0: not preserved"));
}

/* The size limit of an allocation. */
static void pages_test_alloc(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(0)), -EINVAL);
	KUNIT_EXPECT_NE(test, PTR_ERR_OR_ZERO(kho_alloc_preserve(PAGE_SIZE << MAX_PAGE_ORDER)),
			-E2BIG);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve((PAGE_SIZE << MAX_PAGE_ORDER) + 1)),
			-E2BIG);
}

/* Restoring. */

/* Pages are counted once, on their node, also in a batch. */
static void pages_test_managed(struct kunit *test)
{
	unsigned long pfn = some_pages(test), before[2];
	struct kho_restore_batch batch = { };

	for (unsigned int i = 0; i < 8; i++)
		KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn + 2 * i), 1), 0);
	sim_node_pfn = pfn + 6;
	hop(test);
	for (int nid = 0; nid < 2; nid++)
		before[nid] = sim_managed(nid);
	/*
	 * Restore three pages of the first node and five of the second one,
	 * alternating between the nodes.
	 */
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int at = i % 2 ? 3 + i / 2 : i < 6 ? i / 2 : 7;
		struct folio *folio;

		folio = kho_restore_folio_batched(PFN_PHYS(pfn + 2 * at), 0, &batch);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		folio_put(folio);
	}
	kho_restore_batch_end(&batch);
	kho_restore_batch_end(&batch);
	KUNIT_EXPECT_EQ(test, sim_managed(0), before[0] + 3);
	KUNIT_EXPECT_EQ(test, sim_managed(1), before[1] + 5);
}

static unsigned long other_pfn;

static void restore_other(void)
{
	struct folio *folio = kho_restore_folio(PFN_PHYS(other_pfn));

	BUG_ON(!folio);
	folio_put(folio);
}

/*
 * Another owner restores a page after the check: pages restored before it are
 * freed, once.
 */
static void pages_test_restored_twice(struct kunit *test)
{
	for (unsigned int other = 0; other < 6; other++) {
		unsigned long pfn = some_pages(test) + 1, managed;

		for (int i = -1; i < 6; i++)
			KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn + i), 1), 0);
		sim_deferred = true;
		hop(test);
		managed = totalram_pages();
		other_pfn = pfn + other;
		sim_before_init = restore_other;
		sim_log_clear();
		KUNIT_EXPECT_NULL(test, kho_restore_pages(PFN_PHYS(pfn), 6));
		KUNIT_EXPECT_TRUE(test, sim_logged("restore: already restored by another caller"));
		KUNIT_EXPECT_EQ(test, totalram_pages(), managed + other + 1);
		KUNIT_EXPECT_EQ(test, sim_memmap[pfn - 1].state, SIM_LEFT);
		for (unsigned int i = 0; i < 6; i++)
			KUNIT_EXPECT_EQ(test, sim_memmap[pfn + i].state,
					i <= other ? SIM_FREE : SIM_LEFT);
		sim_deferred = false;
		sim_boot_cold();
	}
}

/* A page at the start of a section is restored before deferred initialization. */
static void pages_test_section(struct kunit *test)
{
	struct page *page;
	phys_addr_t phys;

	do {
		page = alloc_pages(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
	} while (page_to_pfn(page) % PAGES_PER_SECTION);
	phys = PFN_PHYS(page_to_pfn(page));
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(page, 1), 0);
	sim_deferred = true;
	hop(test);
	page = kho_restore_pages(phys, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_page(page);
}

/* Claiming memory next to an overlap does not take a lock. */
static void pages_test_next_to_overlap(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4, locked;
	struct old *old = old_new(test);

	old_put_block(test, old, pfn - 8, 3);
	old_put_block(test, old, pfn, 1);
	old_put(test, old, pfn, 0);
	old_put(test, old, pfn + 1, 0);
	old_put_block(test, old, pfn + 2, 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_EQ(test, kho_in.overlap_start, pfn);
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, pfn + 2);

	locked = sim_spinlocks;
	kho_claim_pages(PFN_PHYS(pfn - 8), 8);
	kho_claim_pages(PFN_PHYS(pfn + 2), 1);
	KUNIT_EXPECT_EQ(test, sim_spinlocks, locked);
	KUNIT_EXPECT_FALSE(test, kho_in_covers(PFN_PHYS(pfn - 8), 1));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(PFN_PHYS(pfn + 2), 1));
	KUNIT_EXPECT_TRUE(test, kho_in_covers(PFN_PHYS(pfn), 2 * PAGE_SIZE));
}

/* Misaligned addresses and ranges that overflow are refused. */
static void pages_test_odd(struct kunit *test)
{
	unsigned long pfn = some_pages(test);
	phys_addr_t phys = PFN_PHYS(pfn);
	struct kho_restore_batch batch = { };

	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn), 4), 0);
	hop(test);
	for (unsigned int off = 1; off < PAGE_SIZE; off *= 2) {
		KUNIT_EXPECT_NULL(test, kho_restore_folio(phys + off));
		KUNIT_EXPECT_NULL(test, kho_restore_folio_batched(phys + off, 0, &batch));
		KUNIT_EXPECT_NULL(test, kho_restore_pages(phys + off, 4));
		KUNIT_EXPECT_EQ(test, kho_preserved_order(phys + off, 0), -ENOENT);
		KUNIT_EXPECT_FALSE(test, kho_pages_preserved(phys + off, 1));
	}
	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(phys, ULONG_MAX));
	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(phys, -pfn));
	KUNIT_EXPECT_TRUE(test, kho_pages_preserved(phys, 0));
	KUNIT_EXPECT_TRUE(test, kho_pages_preserved(phys, 4));
	KUNIT_EXPECT_FALSE(test, kho_pages_preserved(phys, 5));
	KUNIT_EXPECT_EQ(test, kho_preserved_order(phys, 0), 2);

	/* Memory that was not preserved changes nothing. */
	sim_log_clear();
	KUNIT_EXPECT_NULL(test, kho_restore_pages_batched(phys, 5, &batch));
	kho_in_claim_block(phys + 4 * PAGE_SIZE);
	kho_restore_free(NULL);
	KUNIT_EXPECT_EQ(test, *sim_log(), 0);
	KUNIT_EXPECT_EQ(test, kho_preserved_order(phys, 0), 2);

	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_EQ(test, *sim_log(), 0);
	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_TRUE(test, sim_logged("restore: not preserved or already restored"));
	KUNIT_EXPECT_EQ(test, kho_preserved_order(phys, 0), -ENOENT);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(pages_test_borders),
	KUNIT_CASE(pages_test_hot_border),
	KUNIT_CASE_PARAM(pages_test_folios, order_of_gen_params),
	KUNIT_CASE(pages_test_nodes),
	KUNIT_CASE(pages_test_largest),
	KUNIT_CASE(pages_test_unwind),
	KUNIT_CASE(pages_test_alloc),
	KUNIT_CASE(pages_test_managed),
	KUNIT_CASE(pages_test_restored_twice),
	KUNIT_CASE(pages_test_section),
	KUNIT_CASE(pages_test_next_to_overlap),
	KUNIT_CASE(pages_test_odd),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "unit-pages",
	.exit = back_to_cold,
	.test_cases = pages_cases,
};

kunit_test_suite(pages_suite);
