// SPDX-License-Identifier: GPL-2.0
/*
 * Whole handovers: one kernel preserves random data, and the next one boots in
 * the rest of the memory and restores the data.  Every byte must be restored,
 * once, and finally all memory must be free.
 */

#include "items.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <kernel/liveupdate/kho_alloc.h>
#include <linux/libfdt.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

#define MAX_ITEMS	40

struct trip {
	struct rnd_state rnd;
	struct item items[MAX_ITEMS];
	unsigned int nr;
};

/* Preserve in one kernel, and restore in the next one. */

static void pack(struct kunit *test, struct trip *t)
{
	t->nr = rnd_below(&t->rnd, MAX_ITEMS);
	for (unsigned int i = 0; i < t->nr; i++)
		item_preserve(test, &t->items[i], &t->rnd);
}

/* Restores items in any order: all of them, or some that are chosen at random. */
static void unpack(struct kunit *test, struct trip *t, bool all)
{
	while (t->nr) {
		unsigned int i = rnd_below(&t->rnd, t->nr);
		struct item *it = &t->items[i];

		if (all || rnd_below(&t->rnd, 4))
			item_restore(test, it);
		*it = t->items[--t->nr];
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_hot_pfn = SIM_PAGES;
	sim_boot_cold();
}

static unsigned long free_pages_now(void)
{
	return sim_count(SIM_FREE) + sim_count(SIM_CMA);
}

static void unclaim_rest(void)
{
	/* The root tree and the root of the incoming map stay reserved. */
	BUG_ON(kho_unclaimed_release());
}

static struct trip *new_trip(struct kunit *test, unsigned long variation)
{
	struct trip *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	prandom_seed_state(&t->rnd, seed + variation);
	return t;
}

static bool hop(void)
{
	struct sim_handover h = sim_kexec();

	return sim_boot_warm(&h);
}

static void handover_test_random(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < 12; round++) {
		struct trip *t = new_trip(test, round);

		for (int i = 0; i < 2; i++) {
			pack(test, t);
			KUNIT_ASSERT_TRUE(test, hop());
			KUNIT_EXPECT_FALSE(test, sim_logged("discarded"));
			unpack(test, t, true);
		}
	}
}

/* After any number of kernels there is as much free memory as after two. */
static void handover_test_no_memory_lost(struct kunit *test)
{
	struct trip *t = new_trip(test, 99);
	unsigned long before = 0;

	for (unsigned int i = 0; i < 6; i++) {
		pack(test, t);
		KUNIT_ASSERT_TRUE(test, hop());
		unpack(test, t, false);
		unclaim_rest();

		/*
		 * This handover is empty, so memory that was unclaimed before
		 * is free after it.
		 */
		KUNIT_ASSERT_TRUE(test, hop());
		if (before)
			KUNIT_ASSERT_EQ(test, free_pages_now(), before);
		before = free_pages_now();
	}
}

static void handover_test_nothing(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, hop());
	KUNIT_ASSERT_TRUE(test, hop());
}

/* Incoming memory that is not restored is unclaimed, and not allocated to others. */
static void handover_test_unclaimed_stays(struct kunit *test)
{
	struct trip *t = new_trip(test, 7);

	pack(test, t);
	KUNIT_ASSERT_TRUE(test, hop());

	while (alloc_pages(GFP_KERNEL, 0))
		;
	for (unsigned int i = 0; i < t->nr; i++) {
		struct item *it = &t->items[i];

		if (it->phys)
			KUNIT_EXPECT_EQ(test, phys_to_page(it->phys)->state,
					SIM_LEFT);
	}
	/* The next kernel boots although this one has no free memory. */
	KUNIT_EXPECT_TRUE(test, hop());
}

/* Subtrees. */

static void handover_test_subtrees(struct kunit *test)
{
	size_t size = 3 * PAGE_SIZE / 2, found;
	void *blob = kho_alloc_preserve(size);
	phys_addr_t phys, at;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, blob);
	item_fill(blob, size, 3);
	at = virt_to_phys(blob);
	KUNIT_ASSERT_EQ(test, kho_add_subtree("some-data", blob, size), 0);
	KUNIT_ASSERT_EQ(test, kho_add_subtree("gone", blob, size), 0);
	KUNIT_ASSERT_TRUE(test, hop());

	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("none", &phys, &found), -ENOENT);
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("some-data", NULL, &found), -EINVAL);
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("some-data", &phys, NULL), 0);
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("some-data", &phys, &found), 0);
	KUNIT_EXPECT_EQ(test, phys, at);
	KUNIT_EXPECT_EQ(test, found, size);
	item_expect_filled(test, phys_to_virt(phys), found, 3);

	/*
	 * The address can be retrieved any number of times, even after the data
	 * is freed.
	 */
	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("some-data", &phys, NULL), 0);
	KUNIT_EXPECT_EQ(test, phys, at);
}

/* Nothing is released before the last reference is put. */
static void handover_test_release(struct kunit *test)
{
	void *blob = kho_alloc_preserve(PAGE_SIZE), *other = kho_alloc_preserve(PAGE_SIZE);
	unsigned long before;
	phys_addr_t phys;

	KUNIT_ASSERT_EQ(test, kho_add_subtree("blob", blob, PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, kho_add_subtree("other", other, PAGE_SIZE), 0);
	KUNIT_ASSERT_TRUE(test, hop());

	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("blob", &phys, NULL), 0);
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("blob", &phys, NULL), 0);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	kho_put_subtree("blob");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	KUNIT_EXPECT_TRUE(test, kho_pages_preserved(phys, 1));
	kho_put_subtree("blob");
	kho_incoming_get();
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	kho_incoming_put();

	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("other", &phys, NULL), 0);
	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	kho_put_subtree("other");

	/* Only the root tree and the root of the map are left. */
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	before = sim_count(SIM_LEFT);
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("blob", &phys, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_LEFT), before);
	KUNIT_EXPECT_LE(test, before, SIM_FDT_SIZE / PAGE_SIZE + 2);
}

/*
 * The reference to a subtree protects the memory that its data refers to, even
 * after the data itself is restored.
 */
static void handover_test_reference_outlives_data(struct kunit *test)
{
	void *data = kho_alloc_preserve(PAGE_SIZE), *more = kho_alloc_preserve(4 * PAGE_SIZE);
	phys_addr_t phys, next = virt_to_phys(more);
	unsigned long left;

	KUNIT_ASSERT_EQ(test, kho_add_subtree("data", data, PAGE_SIZE), 0);
	KUNIT_ASSERT_TRUE(test, hop());
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("data", &phys, NULL), 0);
	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	KUNIT_EXPECT_TRUE(test, sim_logged("subtree 'data': in use"));
	KUNIT_EXPECT_TRUE(test, kho_in_covers(next, 4 * PAGE_SIZE));

	/* An empty leaf is not freed either, before the reference is put. */
	kho_restore_free(phys_to_virt(next));
	kho_incoming_get();
	kho_incoming_put();
	sim_flush_work();
	left = sim_count(SIM_LEFT);
	kho_put_subtree("data");
	sim_flush_work();
	KUNIT_EXPECT_LT(test, sim_count(SIM_LEFT), left);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* The root tree, the root of the map and the array of scratch areas stay reserved. */
static void expect_whole(struct kunit *test)
{
	unsigned long all = SIM_PAGES - sim_count(SIM_HOLE);
	unsigned long left = SIM_FDT_SIZE / PAGE_SIZE + 1 +
			     DIV_ROUND_UP(kho_scratch_cnt * sizeof(*kho_scratch), PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, sim_count(SIM_LEFT), left);
	KUNIT_EXPECT_EQ(test, totalram_pages(), all - left);
}

/* Empty nodes of the incoming map are freed, by restoring and by a release. */
static void handover_test_nodes_are_freed(struct kunit *test)
{
	for (int release = 0; release < 3; release++) {
		struct trip *t = new_trip(test, 40 + release);

		sim_boot_cold();
		pack(test, t);
		KUNIT_ASSERT_TRUE(test, hop());
		kho_incoming_get();
		if (release < 2)
			unpack(test, t, !release);
		sim_flush_work();
		KUNIT_EXPECT_GT(test, sim_count(SIM_LEFT), SIM_FDT_SIZE / PAGE_SIZE + 2);
		kho_incoming_put();
		sim_flush_work();
		/*
		 * With the smallest pages, the previous kernel has preserved
		 * two root trees.
		 */
		if (release || PAGE_SIZE < SZ_4K)
			KUNIT_ASSERT_EQ(test, kho_unclaimed_release(), 0);
		expect_whole(test);
	}
}

static unsigned long left_after_work(void)
{
	sim_flush_work();
	return sim_count(SIM_LEFT);
}

/*
 * Empty nodes are not freed as long as a user is left, whose cursor may refer
 * to them.
 */
static void handover_test_nodes_in_use(struct kunit *test)
{
	void *a = kho_alloc_preserve(PAGE_SIZE), *b = kho_alloc_preserve(PAGE_SIZE);
	unsigned long before;
	phys_addr_t phys;

	KUNIT_ASSERT_EQ(test, kho_add_subtree("a", a, PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, kho_add_subtree("b", b, PAGE_SIZE), 0);
	KUNIT_ASSERT_TRUE(test, hop());
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("b", &phys, NULL), 0);
	kho_restore_free(phys_to_virt(phys));
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("a", &phys, NULL), 0);
	kho_incoming_get();
	kho_restore_free(phys_to_virt(phys));

	before = left_after_work();
	kho_put_subtree("b");
	KUNIT_EXPECT_EQ(test, left_after_work(), before);
	kho_put_subtree("a");
	KUNIT_EXPECT_EQ(test, left_after_work(), before);
	kho_incoming_put();
	KUNIT_EXPECT_LT(test, left_after_work(), before);
}

/* Nodes with keys stay, and exactly the listed memory is released. */
static void handover_test_unclaimed_is_listed(struct kunit *test)
{
	struct folio *a = folio_alloc(GFP_KERNEL, 2), *b = folio_alloc(GFP_KERNEL, 0);
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	phys_addr_t phys = PFN_PHYS(folio_pfn(a));
	char line[80];

	KUNIT_ASSERT_EQ(test, kho_preserve_folio(a), 0);
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(b), 0);
	KUNIT_ASSERT_TRUE(test, hop());
	folio_put(kho_restore_folio(PFN_PHYS(folio_pfn(b))));
	sim_flush_work();

	KUNIT_ASSERT_EQ(test, kho_unclaimed_show(m, NULL), 0);
	snprintf(line, sizeof(line), "0x%016llx-0x%016llx order 2 -\n", phys,
		 phys + 4 * PAGE_SIZE - 1);
	KUNIT_EXPECT_NOT_NULL(test, strstr(m->text, line));
	KUNIT_EXPECT_NOT_NULL(test, strstr(m->text, "total 4 pages in 1 ranges\n"));

	sim_log_clear();
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("4 unclaimed pages released"));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(phys));
	memset(m, 0, sizeof(*m));
	KUNIT_ASSERT_EQ(test, kho_unclaimed_show(m, NULL), 0);
	KUNIT_EXPECT_STREQ(test, m->text, "total 0 pages in 0 ranges\nmap 1 pages\n");
	expect_whole(test);
}

static int is_hot(phys_addr_t phys, void *data)
{
	return PHYS_PFN(phys) >= sim_hot_pfn;
}

static void handover_test_not_preserved(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 2);

	sim_log_clear();
	kho_unpreserve_folio(folio);
	KUNIT_EXPECT_TRUE(test, sim_logged("block of order 2: not preserved"));
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	sim_log_clear();
	kho_unpreserve_folio(folio);
	KUNIT_EXPECT_FALSE(test, sim_logged("not preserved"));
	folio_put(folio);
}

/*
 * Allocates a page in hot-added memory, so that the next search of the
 * allocator starts there.
 */
static struct page *alloc_hot(void)
{
	struct page *page;

	do {
		page = alloc_pages(GFP_KERNEL, 5);
		if (page && page_to_pfn(page) < sim_hot_pfn)
			__free_pages(page, 5);
	} while (page && page_to_pfn(page) < sim_hot_pfn);
	return page;
}

/* Metadata is allocated from memory that was present at boot. */
static void handover_test_metadata_not_hot(struct kunit *test)
{
	const struct kho_radix_walk_cb cb = { .node = is_hot };
	struct kho_radix_tree map = sim_core_out_map();
	unsigned long start = PAGES_PER_SECTION;
	struct kho_vmalloc desc;
	struct page *page;
	void *mem;

	/*
	 * Leave some free pages below @start, for metadata: the search of the
	 * allocator wraps around.
	 */
	do {
		page = alloc_pages(GFP_KERNEL, 3);
		KUNIT_ASSERT_NOT_NULL(test, page);
		if (page_to_pfn(page) % 32 == 0)
			__free_pages(page, 3);
	} while (page_to_pfn(page) < start);
	sim_hot_pfn = start;

	for (unsigned int order = 0; order < 12; order++) {
		/* The next free page is in hot-added memory. */
		KUNIT_ASSERT_NOT_NULL(test, alloc_hot());
		mem = kho_alloc_preserve(PAGE_SIZE);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
		KUNIT_EXPECT_LT(test, PHYS_PFN(virt_to_phys(mem)), start);
		KUNIT_ASSERT_EQ(test, kho_radix_add_key(&map, kho_encode_key(0, order)), 0);
	}
	KUNIT_EXPECT_EQ(test, kho_radix_walk_tree(&map, &cb, NULL), 0);

	KUNIT_ASSERT_NOT_NULL(test, alloc_hot());
	mem = kho_vzalloc(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(mem, &desc), 0);
}

/*
 * Hot-added memory, which the next kernel does not boot with, is refused, also
 * for metadata.
 */
static void handover_test_hot_added(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	unsigned long start;
	void *mem;

	while (page && page_to_pfn(page) < PAGES_PER_SECTION)
		page = alloc_pages(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	start = round_down(page_to_pfn(page), PAGES_PER_SECTION);
	sim_hot_pfn = start;
	KUNIT_EXPECT_EQ(test, kho_preserve_folio(page_folio(page)), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 1), -EOPNOTSUPP);
	/*
	 * A range that begins in memory that was present at boot is refused as
	 * a whole.
	 */
	if (!kho_scratch_overlap(PFN_PHYS(start - 2), 4 * PAGE_SIZE))
		KUNIT_EXPECT_EQ(test, kho_preserve_pages(pfn_to_page(start - 2), 4),
				-EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, sim_logged("preserve: in hot-added memory"));
	while (alloc_pages(GFP_KERNEL, 0))
		;

	/* The only free page is in hot-added memory. */
	__free_page(page);
	mem = kho_alloc_preserve(PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(mem), -ENOMEM);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_FREE), 1);
	back_to_cold(test);
}

/* The allocator offers hot-added memory first, and another node has better memory. */
static void handover_test_other_node(struct kunit *test)
{
	struct page *boot = alloc_pages(GFP_KERNEL, 0), *hot, *page;

	KUNIT_ASSERT_LT(test, page_to_pfn(boot), PAGES_PER_SECTION);
	do {
		hot = alloc_pages(GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, hot);
	} while (page_to_pfn(hot) < PAGES_PER_SECTION);
	sim_hot_pfn = PAGES_PER_SECTION;
	while (alloc_pages(GFP_KERNEL, 0))
		;

	/* The next search of the allocator starts after this page. */
	__free_page(boot);
	KUNIT_ASSERT_PTR_EQ(test, alloc_pages(GFP_KERNEL, 0), boot);
	__free_page(boot);
	__free_page(hot);
	page = kho_alloc_pages(GFP_KERNEL, 0);
	KUNIT_EXPECT_PTR_EQ(test, page, boot);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_FREE), 1);
	back_to_cold(test);
}

/* A property with an address or a size is invalid if it does not have eight bytes. */
static void handover_test_subtree_sizes(struct kunit *test)
{
	static const char * const props[] = {
		KHO_SUB_TREE_PROP_NAME, KHO_SUB_TREE_SIZE_PROP_NAME,
	};
	static const int sizes[] = { 0, 4, 7, 9, 16 };

	for (int i = 0; i < ARRAY_SIZE(props) * ARRAY_SIZE(sizes); i++) {
		const char *prop = props[i % ARRAY_SIZE(props)];
		void *blob = kho_alloc_preserve(PAGE_SIZE), *fdt = sim_core_fdt();
		u64 value[2] = { i % 2 ? PAGE_SIZE : virt_to_phys(blob), 0 };
		phys_addr_t phys;
		int node;

		KUNIT_ASSERT_EQ(test, kho_add_subtree("data", blob, PAGE_SIZE), 0);
		node = fdt_subnode_offset(fdt, 0, "data");
		KUNIT_ASSERT_EQ(test, fdt_setprop(fdt, node, prop, value,
						  sizes[i / ARRAY_SIZE(props)]), 0);
		KUNIT_ASSERT_TRUE(test, hop());
		KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("data", &phys, NULL), -EINVAL);
	}
}

/* With an empty handover, only the root tree and nodes of the map are in use. */
static void handover_test_free_memory(struct kunit *test)
{
	unsigned long cold = free_pages_now();

	hop();
	KUNIT_EXPECT_GE(test, free_pages_now() + 3 * KHO_TREE_MAX_DEPTH +
			    SIM_FDT_SIZE / PAGE_SIZE, cold);
}

static struct kunit_case handover_cases[] = {
	KUNIT_CASE(handover_test_nothing),
	KUNIT_CASE(handover_test_random),
	KUNIT_CASE(handover_test_no_memory_lost),
	KUNIT_CASE(handover_test_unclaimed_stays),
	KUNIT_CASE(handover_test_subtrees),
	KUNIT_CASE(handover_test_release),
	KUNIT_CASE(handover_test_reference_outlives_data),
	KUNIT_CASE(handover_test_not_preserved),
	KUNIT_CASE(handover_test_nodes_are_freed),
	KUNIT_CASE(handover_test_nodes_in_use),
	KUNIT_CASE(handover_test_unclaimed_is_listed),
	KUNIT_CASE(handover_test_hot_added),
	KUNIT_CASE(handover_test_other_node),
	KUNIT_CASE(handover_test_metadata_not_hot),
	KUNIT_CASE(handover_test_subtree_sizes),
	KUNIT_CASE(handover_test_free_memory),
	{}
};

static struct kunit_suite handover_suite = {
	.name = "unit-handover",
	.exit = back_to_cold,
	.test_cases = handover_cases,
};

kunit_test_suite(handover_suite);
