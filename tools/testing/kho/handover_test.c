// SPDX-License-Identifier: GPL-2.0
/*
 * Whole hand-overs: one kernel preserves, the next one boots on the memory that
 * is left and takes it over.  Random in what is preserved, exact in what must
 * come out: every byte, once, and in the end all memory is free again.
 */

#include "model.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/block.h>
#include <linux/kho/vmalloc.h>
#include <linux/libfdt.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

#define MAX_ITEMS	40
/* Orders of folios; above the largest that kho_alloc_preserve() would use. */
#define MAX_ITEM_ORDER	5

/* Something that is handed over, as a user would remember it. */
struct item {
	enum {
		FOLIO,
		PAGES,
		AREA,
		BLOCKS,
		NR_KINDS,
	} kind;
	phys_addr_t phys;
	unsigned long nr;	/* order, pages, or records */
	struct kho_vmalloc desc;
	struct page *spare;	/* pages in front of @phys that are not preserved */
	u64 salt;
};

struct trip {
	struct rnd_state rnd;
	struct item items[MAX_ITEMS];
	unsigned int nr;
};

struct record {
	u64 salt;
	u64 n;
};

static void fill(void *mem, size_t size, u64 salt)
{
	u64 *word = mem;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		word[i] = salt * (i + 1);
}

static void expect_filled(struct kunit *test, const void *mem, size_t size, u64 salt)
{
	const u64 *word = mem;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		KUNIT_ASSERT_EQ(test, word[i], salt * (i + 1));
}

/* Each kind: how it is preserved, and how it is restored, checked and freed. */

static void preserve_folio(struct kunit *test, struct item *it, unsigned long n)
{
	struct folio *folio;

	it->nr = n % (MAX_ITEM_ORDER + 1);
	folio = folio_alloc(GFP_KERNEL, it->nr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	it->phys = PFN_PHYS(folio_pfn(folio));
	fill(folio_address(folio), folio_size(folio), it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
}

static void restore_folio(struct kunit *test, struct item *it)
{
	struct folio *folio = kho_restore_folio(it->phys);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, folio_order(folio), it->nr);
	expect_filled(test, folio_address(folio), folio_size(folio), it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_folio(it->phys));
	folio_put(folio);
}

/* A stretch of a block, so that all alignments and lengths come about. */
static void preserve_pages(struct kunit *test, struct item *it, unsigned long n)
{
	unsigned int first = n % 13;
	struct page *page = alloc_pages(GFP_KERNEL, MAX_ITEM_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, MAX_ITEM_ORDER);
	it->nr = 1 + n / 13 % (BIT(MAX_ITEM_ORDER) - first);
	it->phys = page_to_phys(page + first);
	fill(phys_to_virt(it->phys), it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(page + first, it->nr), 0);
}

static void restore_pages(struct kunit *test, struct item *it)
{
	struct page *page = kho_restore_pages(it->phys, it->nr);

	KUNIT_ASSERT_NOT_NULL(test, page);
	expect_filled(test, phys_to_virt(it->phys), it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_pages(it->phys, it->nr));
	for (unsigned long i = 0; i < it->nr; i++)
		__free_page(page + i);
}

static void preserve_area(struct kunit *test, struct item *it, unsigned long n)
{
	void *area;

	it->nr = 1 + n % (3 * KHO_VMALLOC_SIZE);
	it->nr = min(it->nr, 100UL);
	area = n % 7 ? vmalloc(it->nr * PAGE_SIZE) : vmalloc_huge(PMD_SIZE, GFP_KERNEL);
	if (n % 7 == 0)
		it->nr = PMD_SIZE / PAGE_SIZE;
	KUNIT_ASSERT_NOT_NULL(test, area);
	fill(area, it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(area, &it->desc), 0);
}

static void restore_area(struct kunit *test, struct item *it)
{
	void *area = kho_restore_vmalloc(&it->desc);

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, find_vm_area(area)->nr_pages, it->nr);
	expect_filled(test, area, it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_vmalloc(&it->desc));
	vfree(area);
}

static void preserve_blocks(struct kunit *test, struct item *it, unsigned long n)
{
	struct kho_block_set *bs = kunit_kmalloc(test, sizeof(*bs), GFP_KERNEL);
	struct kho_block_set_it pos;

	kho_block_set_init(bs, sizeof(struct record));
	it->nr = n % (4 * bs->count_per_block);
	it->nr = min(it->nr, 3000UL);
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(bs, it->nr + n % 3), 0);

	kho_block_set_it_init(&pos, bs);
	for (unsigned long i = 0; i < it->nr; i++) {
		struct record *r = kho_block_set_it_reserve_entry(&pos);

		KUNIT_ASSERT_NOT_NULL(test, r);
		*r = (struct record){ it->salt, i };
	}
	it->phys = kho_block_set_head_pa(bs);
}

static void restore_blocks(struct kunit *test, struct item *it)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));
	struct kho_block_set_it pos;
	unsigned long i = 0;
	struct record *r;

	KUNIT_ASSERT_EQ(test, kho_block_set_restore(&bs, it->phys), 0);
	kho_block_set_it_init(&pos, &bs);
	while ((r = kho_block_set_it_read_entry(&pos))) {
		KUNIT_ASSERT_EQ(test, r->salt, it->salt);
		KUNIT_ASSERT_EQ(test, r->n, i++);
	}
	KUNIT_ASSERT_EQ(test, i, it->nr);
	kho_block_set_destroy(&bs);
}

static const struct {
	void (*preserve)(struct kunit *test, struct item *it, unsigned long n);
	void (*restore)(struct kunit *test, struct item *it);
} kinds[NR_KINDS] = {
	[FOLIO] = { preserve_folio, restore_folio },
	[PAGES] = { preserve_pages, restore_pages },
	[AREA] = { preserve_area, restore_area },
	[BLOCKS] = { preserve_blocks, restore_blocks },
};

/* The trip. */

static void pack(struct kunit *test, struct trip *t)
{
	t->nr = rnd_below(&t->rnd, MAX_ITEMS);
	for (unsigned int i = 0; i < t->nr; i++) {
		struct item *it = &t->items[i];

		*it = (struct item){
			.kind = rnd_below(&t->rnd, NR_KINDS),
			.salt = prandom_u32_state(&t->rnd) | 1,
		};
		kinds[it->kind].preserve(test, it, prandom_u32_state(&t->rnd));
	}
}

/* In any order, and now and then not at all. */
static void unpack(struct kunit *test, struct trip *t, bool all)
{
	while (t->nr) {
		unsigned int i = rnd_below(&t->rnd, t->nr);
		struct item *it = &t->items[i];

		if (all || rnd_below(&t->rnd, 4))
			kinds[it->kind].restore(test, it);
		*it = t->items[--t->nr];
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static unsigned long free_pages_now(void)
{
	return sim_count(SIM_FREE) + sim_count(SIM_CMA);
}

static void unclaim_rest(void)
{
	/* The nodes of the incoming map and its root tree stay reserved. */
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

		/* An empty hop leaves behind what the last one took. */
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

/* What was handed over and is not restored belongs to nobody. */
static void handover_test_unclaimed_stays(struct kunit *test)
{
	struct trip *t = new_trip(test, 7);

	pack(test, t);
	KUNIT_ASSERT_TRUE(test, hop());

	for (unsigned int i = 0; i < t->nr; i++) {
		struct item *it = &t->items[i];

		if (it->phys)
			KUNIT_EXPECT_EQ(test, phys_to_page(it->phys)->state,
					SIM_LEFT);
	}
	/* The allocator runs dry before it gives away any of it. */
	while (alloc_pages(GFP_KERNEL, 0))
		;
	hop();
}

/* Subtrees. */

static void handover_test_subtrees(struct kunit *test)
{
	size_t size = 3 * PAGE_SIZE / 2, found;
	void *blob = kho_alloc_preserve(size);
	phys_addr_t phys, at;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, blob);
	fill(blob, size, 3);
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
	expect_filled(test, phys_to_virt(phys), found, 3);

	/* Where it was can be asked for any number of times. */
	kho_restore_free(phys_to_virt(phys));
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("some-data", &phys, NULL), 0);
	KUNIT_EXPECT_EQ(test, phys, at);
}

/* Nothing is released before the last reference to data that is still there is gone. */
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

	/* Restored data needs no reference. */
	KUNIT_ASSERT_EQ(test, kho_retrieve_subtree("other", &phys, NULL), 0);
	kho_restore_free(phys_to_virt(phys));

	/* All that is left is the root tree, and the root of the map. */
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	before = sim_count(SIM_LEFT);
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("blob", &phys, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_LEFT), before);
	KUNIT_EXPECT_LE(test, before, SIM_FDT_SIZE / PAGE_SIZE + 2);
}

/* What the next kernel will not have is refused, and holds no metadata. */
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
	/* A range that begins in memory of boot is refused as a whole. */
	if (!kho_scratch_overlap(PFN_PHYS(start - 2), 4 * PAGE_SIZE))
		KUNIT_EXPECT_EQ(test, kho_preserve_pages(pfn_to_page(start - 2), 4),
				-EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, sim_logged("hot-added memory cannot be preserved"));
	while (alloc_pages(GFP_KERNEL, 0))
		;

	/* No memory of boot is left. */
	__free_page(page);
	mem = kho_alloc_preserve(PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(mem), -ENOMEM);
	sim_hot_pfn = SIM_PAGES;
	sim_boot_cold();
}

/* An address or a size that is not eight bytes long is none. */
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

/* Early boot took what it could get, and all that is not preserved is free. */
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
	KUNIT_CASE(handover_test_hot_added),
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
