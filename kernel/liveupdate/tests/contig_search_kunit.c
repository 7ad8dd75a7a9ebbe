// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the search for contiguous memory, in the memory of the running
 * machine.
 */

#include <kunit/test.h>
#include <linux/align.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/sizes.h>

#include "../../../mm/contig_search.h"

/* The alignment of scratch areas. */
#define BLOCK		PHYS_PFN(SZ_4M)
#define NR_PAGES	(2 * BLOCK)

/* usable() refuses these page frames. */
static unsigned long refused_start, refused_end;

static bool usable(unsigned long pfn, unsigned long nr_pages)
{
	return pfn >= refused_end || pfn + nr_pages <= refused_start;
}

static struct contig_search anywhere(void)
{
	return (struct contig_search) {
		.start = BLOCK,
		.end = ULONG_MAX,
		.nid = NUMA_NO_NODE,
		.align = BLOCK,
		.usable = usable,
	};
}

/*
 * Return the search of a free range that can be allocated again.  If a pageblock
 * is larger than BLOCK, unmovable pages in the rest of the pageblock may prevent
 * that.
 */
static struct contig_search free_range(struct kunit *test)
{
	struct contig_search search = anywhere();
	unsigned long pfn;

	if (pageblock_nr_pages > BLOCK)
		kunit_skip(test, "a pageblock is larger than 4 MiB");

	pfn = contig_search_alloc(&search, NR_PAGES);
	KUNIT_ASSERT_NE_MSG(test, pfn, 0, "memory is too fragmented for this test");
	free_contig_range(pfn, NR_PAGES);

	search.start = pfn;
	search.end = pfn + NR_PAGES;
	return search;
}

/* The whole range is allocated, and free again afterwards. */
static void expect_range(struct kunit *test, const struct contig_search *search)
{
	KUNIT_ASSERT_EQ(test, contig_search_alloc(search, NR_PAGES), search->start);
	free_contig_range(search->start, NR_PAGES);
}

static void expect_none(struct kunit *test, const struct contig_search *search,
			unsigned long nr_pages)
{
	unsigned long pfn = contig_search_alloc(search, nr_pages);

	KUNIT_EXPECT_EQ(test, pfn, 0);
	if (pfn)
		free_contig_range(pfn, nr_pages);
}

static void contig_search_test_pages(struct kunit *test)
{
	struct contig_search search = anywhere();
	unsigned long pfn = contig_search_alloc(&search, NR_PAGES);
	unsigned long wrong = 0;

	KUNIT_ASSERT_NE(test, pfn, 0);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn, BLOCK));
	for (unsigned long i = 0; i < NR_PAGES; i++) {
		struct page *page = pfn_to_page(pfn + i);

		wrong += page_count(page) != 1 || PageCompound(page) || PageBuddy(page);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	free_contig_range(pfn, NR_PAGES);
}

static void contig_search_test_limits(struct kunit *test)
{
	struct contig_search search = free_range(test);
	unsigned long pfn = search.start;

	expect_range(test, &search);
	expect_none(test, &search, NR_PAGES + BLOCK);
	search.start++;
	expect_none(test, &search, NR_PAGES);
	search.start = pfn;
	search.end--;
	expect_none(test, &search, NR_PAGES);
	search.end = pfn;
	expect_none(test, &search, NR_PAGES);
}

static void contig_search_test_empty(struct kunit *test)
{
	struct contig_search search = anywhere();

	expect_none(test, &search, 0);
}

static void contig_search_test_usable(struct kunit *test)
{
	struct contig_search range = free_range(test);
	struct contig_search search = anywhere();
	unsigned long other;

	refused_start = range.start + BLOCK;
	refused_end = range.end;
	other = contig_search_alloc(&search, NR_PAGES);
	KUNIT_EXPECT_NE(test, other, 0);
	KUNIT_EXPECT_TRUE(test, other >= refused_end || other + NR_PAGES <= refused_start);
	if (other)
		free_contig_range(other, NR_PAGES);

	refused_start = 0;
	refused_end = ULONG_MAX;
	expect_none(test, &search, NR_PAGES);
}

static void contig_search_test_node(struct kunit *test)
{
	struct contig_search search = free_range(test);
	int nid = pfn_to_nid(search.start);

	search.nid = nid + 1;
	expect_none(test, &search, NR_PAGES);
	search.nid = nid;
	expect_range(test, &search);
}

/* Allocated pages stay, and no range that contains one is found. */
static void contig_search_test_in_use(struct kunit *test)
{
	struct contig_search search = free_range(test);
	unsigned long pfn = search.start;

	KUNIT_ASSERT_EQ(test, contig_search_alloc(&search, NR_PAGES), pfn);
	expect_none(test, &search, NR_PAGES);

	/* All but one page in the middle is free again. */
	free_contig_range(pfn, BLOCK);
	free_contig_range(pfn + BLOCK + 1, BLOCK - 1);
	expect_none(test, &search, NR_PAGES);
	KUNIT_EXPECT_EQ(test, page_count(pfn_to_page(pfn + BLOCK)), 1);
	__free_page(pfn_to_page(pfn + BLOCK));

	expect_range(test, &search);
}

/* Allocate and free more memory than the machine has. */
static void contig_search_test_freed(struct kunit *test)
{
	struct contig_search search = anywhere();
	unsigned long rounds = 2 * totalram_pages() / NR_PAGES;

	for (unsigned long i = 0; i < rounds; i++) {
		unsigned long pfn = contig_search_alloc(&search, NR_PAGES);

		KUNIT_ASSERT_NE(test, pfn, 0);
		free_contig_range(pfn, NR_PAGES);
	}
}

static int contig_search_test_init(struct kunit *test)
{
	refused_start = 0;
	refused_end = 0;
	return 0;
}

static struct kunit_case contig_search_test_cases[] = {
	KUNIT_CASE(contig_search_test_pages),
	KUNIT_CASE(contig_search_test_limits),
	KUNIT_CASE(contig_search_test_empty),
	KUNIT_CASE(contig_search_test_usable),
	KUNIT_CASE(contig_search_test_node),
	KUNIT_CASE(contig_search_test_in_use),
	KUNIT_CASE(contig_search_test_freed),
	{}
};

static struct kunit_suite contig_search_test_suite = {
	.name = "contig_search",
	.init = contig_search_test_init,
	.test_cases = contig_search_test_cases,
};

kunit_test_suite(contig_search_test_suite);
