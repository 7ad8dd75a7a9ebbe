// SPDX-License-Identifier: GPL-2.0
/* Unclaimed memory: references, the list in debugfs, and the nodes of the map. */

#include "model.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/libfdt.h>

static void back_to_cold(struct kunit *test)
{
	sim_deferred = false;
	sim_boot_cold();
}

static void hop(struct kunit *test)
{
	struct sim_handover h = sim_kexec();

	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
}

/* References. */

static const struct count {
	const char *name;
	unsigned int gets, puts;
	bool busy;
} counts[] = {
	{ "none", 0, 0, false },
	{ "one too many", 1, 2, false },
	{ "not full", 254, 254, false },
	{ "one is left", 254, 253, true },
	{ "full", 255, 255, true },
	{ "more than full", 256, 256, true },
	{ "far more", 511, 511, true },
};

KUNIT_ARRAY_PARAM_DESC(count, counts, name);

/* A saturated count of references never decreases. */
static void unclaimed_test_count(struct kunit *test)
{
	const struct count *c = test->param_value;
	void *data = kho_alloc_preserve(PAGE_SIZE);
	phys_addr_t phys;

	KUNIT_ASSERT_EQ(test, kho_add_subtree("data", data, PAGE_SIZE), 0);
	hop(test);
	for (unsigned int i = 0; i < c->gets; i++)
		KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("data", &phys, NULL), 0);
	for (unsigned int i = 0; i < c->puts; i++)
		kho_put_subtree("data");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), c->busy ? -EBUSY : 0);
}

/* Numbers of subtrees that do not exist. */
static void unclaimed_test_numbers(struct kunit *test)
{
	static const unsigned int numbers[] = { 100, KHO_MAX_SUBTREES, UINT_MAX };

	hop(test);
	for (int i = 0; i < ARRAY_SIZE(numbers); i++) {
		KUNIT_EXPECT_FALSE(test, kho_subtree_get(numbers[i]));
		kho_subtree_put(numbers[i]);
	}
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* Nodes of the map. */

/* Freeing nodes waits for readers; without nodes to free, it does not wait. */
static void unclaimed_test_readers(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 3);
	unsigned long before, left;

	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	hop(test);
	sim_flush_work();
	before = sim_grace_periods;
	left = sim_count(SIM_LEFT);
	kho_incoming_get();
	kho_incoming_put();
	sim_flush_work();
	KUNIT_EXPECT_EQ(test, sim_grace_periods, before);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_LEFT), left);

	folio_put(kho_restore_folio(PFN_PHYS(folio_pfn(folio))));
	kho_incoming_get();
	kho_incoming_put();
	sim_flush_work();
	KUNIT_EXPECT_EQ(test, sim_grace_periods, before + 1);
	/* Besides the eight pages of the folio, at least the leaf was freed. */
	KUNIT_EXPECT_LT(test, sim_count(SIM_LEFT), left - 8);
}

/* A release frees all unclaimed memory, in blocks of any order. */
static void unclaimed_test_released(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 3);
	struct page *pages = alloc_pages(GFP_KERNEL, 3);
	unsigned long used, total;

	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pages + 1, 6), 0);
	hop(test);
	sim_flush_work();
	/* No kernel would write this key. */
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&kho_in.map, 5), 0);
	used = sim_count(SIM_USED);
	total = totalram_pages();
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_USED), used);
	/* Nodes are freed as well. */
	KUNIT_EXPECT_GE(test, totalram_pages(), total + 8 + 6);
	KUNIT_EXPECT_TRUE(test, sim_logged("unclaimed pages released"));
	kho_radix_take_key(&kho_in.map, 5);
}

/*
 * If struct pages are initialized late, restoring memory initializes those of
 * its sections first.
 */
static void unclaimed_test_deferred(struct kunit *test)
{
	unsigned long section = PAGES_PER_SECTION, pfn[3];
	struct folio *folio = folio_alloc(GFP_KERNEL, 2);
	struct page *pages = alloc_pages(GFP_KERNEL, 10);
	struct page *page;

	/* Preserve pages across the end of a section, and a page after them. */
	KUNIT_ASSERT_NOT_NULL(test, pages);
	split_page(pages, 10);
	pfn[0] = folio_pfn(folio);
	pfn[1] = ALIGN(page_to_pfn(pages) + 2, min(section, 512UL)) - 2;
	pfn[2] = pfn[1] + 8;
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn[1]), 7), 0);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn[2]), 1), 0);
	sim_deferred = true;
	hop(test);

	folio = kho_restore_folio(PFN_PHYS(pfn[0]));
	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio_put(folio);
	page = kho_restore_pages(PFN_PHYS(pfn[1]), 7);
	KUNIT_ASSERT_NOT_NULL(test, page);
	for (int i = 0; i < 7; i++)
		__free_page(page + i);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* The list. */

#define FAR		BIT_ULL(44)
#define MAX_LINES	4096

static struct seq_file *list(struct kunit *test)
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_EQ(test, kho_unclaimed_show(m, NULL), 0);
	KUNIT_ASSERT_LT(test, m->used, sizeof(m->text));
	return m;
}

static unsigned int lines_of(const struct seq_file *m)
{
	unsigned int nr = 0;

	for (const char *s = m->text; *s; s++)
		nr += *s == '\n';
	return nr;
}

static void add(struct kunit *test, phys_addr_t phys, unsigned int order)
{
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&kho_in.map, kho_encode_key(phys, order)), 0);
}

/* Replaces the incoming map by one that has only keys of the test. */
static void own_map(struct kunit *test)
{
	hop(test);
	kho_in.map.root = NULL;
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&kho_in.map, NULL), 0);
}

static void expect_line(struct kunit *test, const struct seq_file *m, phys_addr_t start,
			u64 size, unsigned int order, const char *owner)
{
	char line[120];

	snprintf(line, sizeof(line), "0x%016llx-0x%016llx order %u %s\n", start,
		 start + size - 1, order, owner);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(m->text, line), "%s in %s", line, m->text);
}

static void unclaimed_test_owner(struct kunit *test)
{
	phys_addr_t middle = FAR + 64 * PAGE_SIZE;
	struct seq_file *m;
	phys_addr_t phys;

	/* The data is not preserved, so it cannot be retrieved. */
	KUNIT_ASSERT_EQ(test, kho_add_subtree("whole", phys_to_virt(FAR), 1), 0);
	KUNIT_ASSERT_EQ(test, kho_add_subtree("middle", phys_to_virt(middle), 1), 0);
	own_map(test);
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("middle", &phys, NULL), -EINVAL);
	add(test, FAR - 2 * PAGE_SIZE, 0);
	add(test, FAR - PAGE_SIZE, 0);
	add(test, FAR, 1);
	add(test, FAR + 2 * PAGE_SIZE, 1);
	for (int i = -1; i <= 1; i++)
		add(test, middle + i * PAGE_SIZE, 0);
	/* No kernel would write this key. */
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&kho_in.map, 5), 0);

	m = list(test);
	expect_line(test, m, FAR - 2 * PAGE_SIZE, 2 * PAGE_SIZE, 0, "-");
	expect_line(test, m, FAR, 4 * PAGE_SIZE, 1, "whole");
	expect_line(test, m, middle - PAGE_SIZE, 3 * PAGE_SIZE, 0, "middle");
	KUNIT_EXPECT_NOT_NULL(test, strstr(m->text, "total 9 pages in 3 ranges\n"));
	KUNIT_EXPECT_EQ(test, lines_of(m), 3 + 2);
	kho_radix_destroy_tree(&kho_in.map);
}

/* The number of lines is limited; the total also counts ranges without a line. */
static void unclaimed_test_many(struct kunit *test)
{
	unsigned int nr = 0;

	own_map(test);
	for (unsigned int want = MAX_LINES - 1; want <= MAX_LINES + 1; want++) {
		struct seq_file *m;
		char line[60];

		for (; nr < want; nr++)
			add(test, FAR + 2 * nr * PAGE_SIZE, 0);
		m = list(test);
		snprintf(line, sizeof(line), "total %u pages in %u ranges\n", nr, nr);
		KUNIT_EXPECT_NOT_NULL(test, strstr(m->text, line));
		KUNIT_EXPECT_EQ(test, lines_of(m), min(nr, MAX_LINES) + 2);
	}
	kho_radix_destroy_tree(&kho_in.map);
}

static void unclaimed_test_cold(struct kunit *test)
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kho_unclaimed_show(m, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, m->used, 0);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EINVAL);
}

static struct kunit_case unclaimed_cases[] = {
	KUNIT_CASE_PARAM(unclaimed_test_count, count_gen_params),
	KUNIT_CASE(unclaimed_test_numbers),
	KUNIT_CASE(unclaimed_test_readers),
	KUNIT_CASE(unclaimed_test_released),
	KUNIT_CASE(unclaimed_test_deferred),
	KUNIT_CASE(unclaimed_test_owner),
	KUNIT_CASE(unclaimed_test_many),
	KUNIT_CASE(unclaimed_test_cold),
	{}
};

static struct kunit_suite unclaimed_suite = {
	.name = "unit-unclaimed",
	.exit = back_to_cold,
	.test_cases = unclaimed_cases,
};

kunit_test_suite(unclaimed_suite);
