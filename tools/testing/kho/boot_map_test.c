// SPDX-License-Identifier: GPL-2.0
/*
 * Early boot on memory maps whose keys overlap, name memory that cannot be
 * preserved, or need more memory than the machine has.  A stale key must not
 * affect other memory.
 */

#include "old.h"

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

/* Rounds of each kind; boots with large pages are slow. */
#define ROUNDS		(PAGE_SHIFT > 12 ? 4 : 12)
#define MAX_BLOCKS	300

struct blocks {
	struct {
		unsigned long pfn;
		unsigned int order;
	} block[MAX_BLOCKS];
	unsigned int nr;
};

static void expect_all_as_reference(struct kunit *test, struct old *old,
				    const struct blocks *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		old_expect_same_folio(test, old, b->block[i].pfn);
}

static void expect_all_restored(struct kunit *test, struct old *old,
				const struct blocks *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		old_expect_folio(test, old, b->block[i].pfn, b->block[i].order);
}

static void add_block(struct kunit *test, struct old *old, struct blocks *b,
		      unsigned long pfn, unsigned int order)
{
	KUNIT_ASSERT_LT(test, b->nr, MAX_BLOCKS);
	old_put_block(test, old, pfn, order);
	b->block[b->nr].pfn = pfn;
	b->block[b->nr++].order = order;
}

/* @overlap: a block may be inside another one, or around it. */
static struct blocks *add_random(struct kunit *test, struct old *old, u64 variation,
				 bool overlap)
{
	struct blocks *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed + variation);
	while (b->nr < MAX_BLOCKS - 8) {
		unsigned int order = rnd_below(&rnd, SIM_PAGES < 10000 ? 5 : 7);
		unsigned long pfn = old_random_block(&rnd, order);

		/* Sometimes several adjacent blocks, which are one run. */
		for (int i = rnd_below(&rnd, 8); i >= 0; i--, pfn += BIT(order)) {
			bool there = pfn + BIT(order) > SIM_PAGES * 3 / 4;

			for (unsigned long at = pfn; !there && at < pfn + BIT(order); at++)
				there = sim_memmap[at].state != SIM_FREE;
			if (there)
				break;
			add_block(test, old, b, pfn, order);
		}
		if (overlap && !rnd_below(&rnd, 4)) {
			order = rnd_below(&rnd, 7);
			pfn = b->block[b->nr - 1].pfn & ~(BIT(order) - 1);
			old_put(test, old, pfn, order);
		}
	}
	return b;
}

static void boot_map_test_random(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < 2 * ROUNDS; round++) {
		bool overlap = round % 2;
		struct old *old = old_new(test);
		struct blocks *b = add_random(test, old, round, overlap);

		KUNIT_ASSERT_TRUE(test, old_boot(test, old));
		KUNIT_EXPECT_EQ(test, !!kho_in.overlap_end, overlap);
		if (overlap)
			expect_all_as_reference(test, old, b);
		else
			expect_all_restored(test, old, b);
		old_check(test, old, false);
	}
}

/* Blocks that overlap. */

static const struct overlap {
	const char *name;
	unsigned int order, inside;	/* of the larger block; start of the smaller one in it */
	unsigned int small;		/* order of the smaller one */
	bool small_first;
} overlaps[] = {
	{ "first page, small one first", 1, 0, 0, true },
	{ "first page, large one first", 1, 0, 0, false },
	{ "last page, small one first", 1, 1, 0, true },
	{ "last page, large one first", 1, 1, 0, false },
	{ "middle, small one first", 4, 6, 1, true },
	{ "middle, large one first", 4, 6, 1, false },
	{ "half, small one first", 6, 32, 5, true },
	{ "half, large one first", 6, 32, 5, false },
};

KUNIT_ARRAY_PARAM_DESC(overlap, overlaps, name);

/* The first owner gets the memory; memory next to it is not affected. */
static void boot_map_test_overlap(struct kunit *test)
{
	const struct overlap *o = test->param_value;
	unsigned long pfn = SIM_PAGES / 4, nr = BIT(o->order), at = pfn + o->inside;
	struct old *old = old_new(test);
	struct blocks b = { };
	char range[80];

	add_block(test, old, &b, pfn - 4, 2);
	add_block(test, old, &b, pfn + nr, 0);
	old_put_block(test, old, pfn, o->order);
	old_put(test, old, at, o->small);

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_EQ(test, kho_in.overlap_start, at);
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, at + BIT(o->small));
	KUNIT_EXPECT_TRUE(test, sim_logged("duplicate, the first owner gets it"));
	if (o->small_first) {
		old_expect_folio(test, old, at, o->small);
		old_expect_lost(test, old, pfn, nr);
	} else {
		old_expect_pages(test, old, pfn, nr);
		old_expect_lost(test, old, at, BIT(o->small));
	}
	snprintf(range, sizeof(range), "[0x%016llx-0x%016llx]: discarded, another owner restored",
		 (u64)PFN_PHYS(o->small_first ? pfn : at),
		 (u64)PFN_PHYS(o->small_first ? pfn + nr : at + BIT(o->small)) - 1);
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(range), "%s", range);
	expect_all_restored(test, old, &b);
	old_check(test, old, false);
}

/* Restoring memory that is not near an overlap does not take a lock. */
static void boot_map_test_overlap_is_local(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4, locked;
	struct old *old = old_new(test);

	old_put_block(test, old, pfn - 8, 3);
	old_put_block(test, old, pfn, 2);
	old_put(test, old, pfn + 1, 0);
	old_put_block(test, old, pfn + 4, 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_EQ(test, kho_in.orders,
			BIT(0) | BIT(2) | BIT(3) | BIT(get_order(SIM_FDT_SIZE)));

	locked = sim_spinlocks;
	kho_claim_pages(PFN_PHYS(pfn - 8), 8);
	kho_claim_pages(PFN_PHYS(pfn + 4), 1);
	KUNIT_EXPECT_EQ(test, sim_spinlocks, locked);
	kho_claim_pages(PFN_PHYS(pfn), 4);
	KUNIT_EXPECT_EQ(test, sim_spinlocks, locked + 1);
	KUNIT_EXPECT_FALSE(test, kho_in_covers(PFN_PHYS(pfn + 1), 1));
}

/* All overlaps are recorded as one range, from the first to the last one. */
static void boot_map_test_overlap_hull(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4 & ~63UL;
	struct old *old = old_new(test);
	struct blocks b = { };

	for (unsigned int i = 0; i < 64; i += 8) {
		old_put_block(test, old, pfn + i, 3);
		if (i >= 16 && i < 48)
			old_put(test, old, pfn + i + 6, i % 16 ? 0 : 1);
	}
	add_block(test, old, &b, pfn - 1, 0);
	add_block(test, old, &b, pfn + 64, 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_EQ(test, kho_in.overlap_start, pfn + 16 + 6);
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, pfn + 40 + 7);
	for (unsigned int i = 0; i < 64; i += 8) {
		old_expect_folio(test, old, pfn + i, 3);
		old_expect_lost(test, old, pfn + i + 6, i % 16 ? 1 : 2);
	}
	expect_all_restored(test, old, &b);
	old_check(test, old, false);
}

/* If several folios start at a page, the smallest one is restored. */
static void boot_map_test_same_start(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4;

	for (unsigned int order = 0; order < 5; order++) {
		struct old *old = old_new(test);

		for (unsigned int larger = order; larger < 6; larger++)
			old_put_block(test, old, pfn, larger);
		KUNIT_ASSERT_TRUE(test, old_boot(test, old));
		old_expect_folio(test, old, pfn, order);
		old_expect_lost(test, old, pfn, BIT(5));
		old_check(test, old, false);
	}
}

static const struct limit {
	const char *name;
	unsigned long max_pages;
	int order;		/* of the folio, or -1 */
} limits[] = {
	{ "no limit", 0, 1 },
	{ "one page", 1, -1 },
	{ "two pages", 2, 1 },
	{ "one page less", 7, 1 },
	{ "as many", 8, 3 },
	{ "one page more", 9, 3 },
	{ "the largest", 32, 5 },
	{ "far more", ULONG_MAX, 5 },
};

KUNIT_ARRAY_PARAM_DESC(limit, limits, name);

/*
 * If the owner knows a maximum size, the largest folio up to that size is
 * restored.
 */
static void boot_map_test_limit(struct kunit *test)
{
	const struct limit *l = test->param_value;
	unsigned long pfn = SIM_PAGES / 4;
	struct kho_restore_batch batch = { };
	struct old *old = old_new(test);
	struct folio *folio;

	for (unsigned int order = 1; order <= 5; order += 2)
		old_put_block(test, old, pfn, order);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));

	folio = kho_restore_folio_batched(PFN_PHYS(pfn), l->max_pages, &batch);
	kho_restore_batch_end(&batch);
	KUNIT_ASSERT_EQ(test, folio ? (int)folio_order(folio) : -1, l->order);
	if (folio) {
		KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS(pfn)));
		KUNIT_EXPECT_FALSE(test, kho_in_covers(PFN_PHYS(pfn + 31), 1));
	} else {
		old_expect_folio(test, old, pfn, 1);
	}
}

/*
 * The order of the preceding folio of a batch does not determine the order of
 * the next one.
 */
static void boot_map_test_batch(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4;
	struct kho_restore_batch batch = { };
	struct old *old = old_new(test);
	struct folio *folio;

	for (unsigned int order = 1; order <= 2; order++)
		old_put_block(test, old, pfn, order);
	old_put_block(test, old, pfn + 4, 2);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));

	folio = kho_restore_folio_batched(PFN_PHYS(pfn + 4), 0, &batch);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 2);
	folio = kho_restore_folio_batched(PFN_PHYS(pfn), 0, &batch);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 1);
	kho_restore_batch_end(&batch);
}

/* Claimed memory stays reserved, and no other owner can restore it. */
static void boot_map_test_claim(struct kunit *test)
{
	unsigned long pfn = SIM_PAGES / 4;
	struct old *old = old_new(test);

	old_put_block(test, old, pfn + 1, 0);
	old_put_block(test, old, pfn + 2, 1);
	/*
	 * Some pages of the range are not preserved.  A page in the range and a
	 * block around all of it are stale.
	 */
	old_put_block(test, old, pfn + 8, 2);
	old_put(test, old, pfn + 9, 0);
	old_put(test, old, pfn, 6);
	old_put_block(test, old, pfn + 64, 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));

	kho_claim_pages(PFN_PHYS(pfn + 1), 11);
	for (unsigned int i = 0; i < 64; i++) {
		KUNIT_ASSERT_FALSE(test, kho_in_covers(PFN_PHYS(pfn + i), PAGE_SIZE));
		KUNIT_ASSERT_EQ(test, sim_memmap[pfn + i].state, SIM_LEFT);
	}
	KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS(pfn)));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS(pfn + 9)));
	folio_put(kho_restore_folio(PFN_PHYS(pfn + 64)));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	for (unsigned int i = 0; i < 64; i++)
		KUNIT_ASSERT_EQ(test, sim_memmap[pfn + i].state, SIM_LEFT);
}

/* If the owner of a large block is first, small blocks inside it are lost. */
static void boot_map_test_large_owner_first(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long pfn = SIM_PAGES / 4;

	old_put_block(test, old, pfn, 5);
	for (unsigned int i = 0; i < 32; i += 3)
		old_put(test, old, pfn + i, 0);
	old_put(test, old, pfn + 8, 3);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));

	old_expect_pages(test, old, pfn, 32);
	KUNIT_EXPECT_FALSE(test, kho_in_covers(PFN_PHYS(pfn), 1));
	for (unsigned int i = 0; i < 32; i++)
		old_expect_lost(test, old, pfn + i, 1);
	old_check(test, old, false);
}

/* If owners of small blocks are first, they do not affect each other. */
static void boot_map_test_small_owners_first(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long pfn = SIM_PAGES / 4;

	old_put_block(test, old, pfn, 5);
	for (unsigned int i = 0; i < 32; i += 3)
		old_put(test, old, pfn + i, 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));

	for (unsigned int i = 0; i < 32; i += 3)
		old_expect_folio(test, old, pfn + i, 0);
	old_expect_lost(test, old, pfn, 32);
	/* The rest of the large block stays reserved. */
	KUNIT_EXPECT_EQ(test, sim_memmap[pfn + 1].state, SIM_LEFT);
	old_check(test, old, false);
}

/* Memory that cannot be preserved. */

static const struct misplaced {
	const char *name;
	phys_addr_t phys;
	unsigned int order;
	const char *log;
} misplaced[] = {
	{ "first page", 0, 0, "not in RAM" },
	{ "hole", SIM_PAGES / 2 * PAGE_SIZE, 1, "not in RAM" },
	{ "around the hole", SIM_PAGES / 4 * 2 * PAGE_SIZE, 6, "not in RAM" },
	{ "past the end of RAM", SIM_PAGES * PAGE_SIZE, 0, "not in RAM" },
	{ "far away", 1ULL << 50, 3, "not in RAM" },
	{ "last page", -PAGE_SIZE, 0, "not in RAM" },
	{ "last 32 pages", -32 * PAGE_SIZE, 5, "not in RAM" },
	{ "scratch", (SIM_PAGES - 1) * PAGE_SIZE, 0, "in scratch memory" },
	{ "2 GiB", 1ULL << 40, 31 - PAGE_SHIFT, "not in RAM" },
	{ "4 GiB", 1ULL << 41, 32 - PAGE_SHIFT, "not in RAM" },
	{ "half of all addresses", 1ULL << 63, KHO_MAX_ORDER, "not in RAM" },
	{ "all of memory", 0, 20, "not in RAM" },
	{ "largest order", 0, KHO_MAX_ORDER, "not in RAM" },
};

KUNIT_ARRAY_PARAM_DESC(misplaced, misplaced, name);

static void boot_map_test_misplaced(struct kunit *test)
{
	const struct misplaced *m = test->param_value;
	struct old *old = old_new(test);
	unsigned long good = SIM_PAGES / 3;

	old_put_block(test, old, good, 0);
	old_put(test, old, PHYS_PFN(m->phys), m->order);
	KUNIT_EXPECT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_TRUE(test, sim_logged(m->log));
	old_expect_lost(test, old, PHYS_PFN(m->phys), BIT(m->order));
	old_expect_folio(test, old, good, 0);
	old_check(test, old, false);
}

/* A block across the end of RAM is lost; its part in RAM stays reserved. */
static void boot_map_test_across_end_of_ram(struct kunit *test)
{
	for (unsigned int order = 2; order < 8; order++) {
		unsigned long first = SIM_PAGES - BIT(order), nr = BIT(order) / 2 + 1;
		struct old *old;
		char range[80];

		/* RAM ends in the block; scratch is elsewhere. */
		sim_ram_end = first + nr;
		old = old_new(test);
		old->scratch[0].addr -= old->scratch[0].size;
		old_put_block(test, old, first - BIT(order), order);
		old_put(test, old, first, order);
		KUNIT_ASSERT_TRUE(test, old_boot(test, old));
		snprintf(range, sizeof(range), "[0x%016llx-0x%016llx]: discarded, not in RAM",
			 (u64)PFN_PHYS(first), (u64)PFN_PHYS(SIM_PAGES) - 1);
		KUNIT_EXPECT_TRUE_MSG(test, sim_logged(range), "%s", range);
		for (unsigned long i = 0; i < nr; i++)
			KUNIT_ASSERT_EQ(test, sim_memmap[first + i].state, SIM_LEFT);
		old_expect_lost(test, old, first, BIT(order));
		old_expect_folio(test, old, first - BIT(order), order);
		old_check(test, old, false);
	}
}

#define NR_BAD		400
#define NR_GOOD		100

static const struct many_bad {
	const char *name;
	bool in_use;			/* else not in RAM */
	unsigned int order;		/* of the blocks with bad memory */
	u64 at, len;			/* the bad bytes in the first page of a block */
} many_bad[] = {
	{ "firmware", false, 0, 0, PAGE_SIZE },
	{ "in blocks around firmware", false, 1, 0, PAGE_SIZE },
	{ "in use", true, 0, 0, PAGE_SIZE },
	{ "in blocks around memory in use", true, 1, 0, PAGE_SIZE },
	{ "start of a page in use", true, 1, 0, 8 },
	{ "middle of a page in use", true, 1, 8, 8 },
};

KUNIT_ARRAY_PARAM_DESC(many_bad, many_bad, name);

/* Bad ranges before, between and after the good ones, and past the end of RAM. */
static void boot_map_test_many_bad(struct kunit *test)
{
	const struct many_bad *m = test->param_value;
	unsigned long first = SIM_PAGES / 8, step = 2 * BIT(m->order);
	struct sim_ranges bad = {
		PFN_PHYS(first) + m->at, m->len, NR_BAD, step * PAGE_SIZE,
	};
	struct old *old = old_new(test);
	struct blocks b = { };

	for (unsigned int i = 0; i < NR_BAD; i++) {
		unsigned long pfn = first + i * step;

		/* Not in ascending order, so that they are not one run. */
		old_put_block(test, old, pfn, m->order);
		if (i >= (NR_BAD - NR_GOOD) / 2 && b.nr < NR_GOOD)
			add_block(test, old, &b, pfn + BIT(m->order), i % (m->order + 1));
		old_put(test, old, (1UL << 30) + 2 * i, 0);
	}
	if (m->in_use)
		old->handover.image = bad;
	else
		old->handover.firmware = bad;

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	for (unsigned int i = 0; i < NR_BAD; i++)
		old_expect_lost(test, old, first + i * step, BIT(m->order));
	expect_all_restored(test, old, &b);
	old_check(test, old, false);
}

/* Keys of one run, of which some are bad. */
static void boot_map_test_part_of_run(struct kunit *test)
{
	for (unsigned int bad = 0; bad < 6; bad++) {
		struct old *old = old_new(test);
		unsigned long first = SIM_PAGES / 3;

		for (unsigned int i = 0; i < 6; i++)
			old_put_block(test, old, first + i, 0);
		old->handover.firmware = (struct sim_ranges){ PFN_PHYS(first + bad), PAGE_SIZE, 1 };
		old->handover.image = (struct sim_ranges){
			PFN_PHYS(first + 2) + PAGE_SIZE / 2, PAGE_SIZE, 1,
		};

		KUNIT_ASSERT_TRUE(test, old_boot(test, old));
		KUNIT_EXPECT_TRUE(test, sim_logged("discarded, in use by this kernel"));
		KUNIT_EXPECT_TRUE(test, sim_logged("discarded, not in RAM"));
		for (unsigned int i = 0; i < 6; i++) {
			if (i == bad || i == 2 || i == 3)
				old_expect_lost(test, old, first + i, 1);
			else
				old_expect_folio(test, old, first + i, 0);
		}
		old_check(test, old, false);
	}
}

/* The rest of a bad block stays reserved, as devices may write to it. */
static void boot_map_test_rest_stays(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long pfn = SIM_PAGES / 4;

	old_put_block(test, old, pfn, 6);
	old_put(test, old, pfn + 1, 0);
	old->handover.image = (struct sim_ranges){ PFN_PHYS(pfn + 9), PAGE_SIZE, 1 };
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	old_expect_lost(test, old, pfn, 64);
	for (unsigned int i = 0; i < 64; i++)
		KUNIT_ASSERT_EQ(test, sim_memmap[pfn + i].state, SIM_LEFT);
	/* The owner of a smaller block inside it can still restore that block. */
	old_expect_folio(test, old, pfn + 1, 0);

	/* A device may still use the rest, so it is not released. */
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	ref_release(&old->ref);
	KUNIT_EXPECT_EQ(test, sim_memmap[pfn + 2].state, SIM_LEFT);
	old_check(test, old, false);
}

/* Memory of more than 2 GiB and 4 GiB, with one key and with many keys. */
static void boot_map_test_covers_much(struct kunit *test)
{
	struct old *old = old_new(test);
	phys_addr_t start = 1ULL << 44;

	for (unsigned int i = 0; i < 5; i++)
		old_put(test, old, PHYS_PFN(start) + i * BIT(31 - PAGE_SHIFT),
			31 - PAGE_SHIFT);
	kho_in.map = old->map;
	KUNIT_EXPECT_TRUE(test, kho_in_covers(start, 5ULL << 31));
	KUNIT_EXPECT_TRUE(test, kho_in_covers(start + 1, (5ULL << 31) - 1));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(start, (5ULL << 31) + 1));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(start - 1, 2));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(start, 0));
	KUNIT_EXPECT_FALSE(test, kho_in_covers(start, -start));
	kho_in.map.root = NULL;
}

/* Nodes of the memory map. */

static int add_node(phys_addr_t phys, void *data)
{
	model_add(data, PHYS_PFN(phys));
	return 0;
}

static struct model nodes_of(struct kho_radix_tree *map)
{
	const struct kho_radix_walk_cb cb = { .node = add_node };
	struct model nodes = { };

	kho_radix_walk_tree(map, &cb, &nodes);
	return nodes;
}

/* Nodes are freed when all of their keys are dropped. */
static void boot_map_test_empty_nodes(struct kunit *test)
{
	struct old *old = old_new(test);
	struct model nodes;

	for (unsigned int order = 0; order < 5; order++)
		old_put(test, old, 1UL << (60 - PAGE_SHIFT), order);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	nodes = nodes_of(&kho_in.map);
	KUNIT_EXPECT_EQ(test, nodes.nr, 1);
	model_free(&nodes);
}

static const struct over_node {
	const char *name;
	unsigned int first, last;	/* orders of the keys */
} over_nodes[] = {
	{ "one page", 0, 0 },
	{ "two pages", 1, 1 },
	{ "block around", 4, 4 },
	{ "blocks of many orders", 0, 4 },
};

KUNIT_ARRAY_PARAM_DESC(over_node, over_nodes, name);

static void stale_over_node(struct kunit *test, struct old *old,
			    const struct over_node *o, unsigned long node)
{
	for (unsigned int order = o->first; order <= o->last; order++)
		old_put(test, old, round_down(node, BIT(order)), order);

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_TRUE(test, sim_logged("discarded, in use by this kernel"));
	for (unsigned int order = o->first; order <= o->last; order++)
		old_expect_lost(test, old, round_down(node, BIT(order)), BIT(order));
}

/* A stale key for the page of each node in turn: only the key is lost. */
static void boot_map_test_stale_over_node(struct kunit *test)
{
	unsigned long good = SIM_PAGES / 3 & ~7UL, nr_nodes = 1;

	for (unsigned long i = 0; i < nr_nodes; i++) {
		struct old *old = old_new(test);
		struct model nodes;
		unsigned long node;

		old_put_block(test, old, good, 1);
		nodes = nodes_of(&old->map);
		nr_nodes = nodes.nr;
		node = nodes.key[i];
		model_free(&nodes);
		stale_over_node(test, old, test->param_value, node);
		old_expect_folio(test, old, good, 1);
		old_check(test, old, false);
	}
}

/*
 * Stale keys for the pages of all nodes at once, including the nodes that have
 * these keys: only the keys are lost.
 */
static void boot_map_test_stale_over_all_nodes(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long good = SIM_PAGES / 3 & ~7UL;
	struct model nodes = { };
	unsigned long before;

	old_put_block(test, old, good, 3);
	do {
		before = nodes.nr;
		model_free(&nodes);
		nodes = nodes_of(&old->map);
		for (unsigned long i = 0; i < nodes.nr; i++)
			old_put(test, old, nodes.key[i], 0);
	} while (nodes.nr != before);

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	for (unsigned long i = 0; i < nodes.nr; i++)
		old_expect_lost(test, old, nodes.key[i], 1);
	old_expect_folio(test, old, good, 3);
	old_check(test, old, false);
	model_free(&nodes);
}

/* Short of memory. */

struct outcome {
	unsigned int fine, coarse;
	unsigned int cold;	/* failed before the handover was accepted */
	unsigned int no_nodes;	/* panic: no memory to reserve the nodes */
	unsigned int hopeless;	/* panic: not even all memory can be reserved */
};

/* Checks the result of a boot in which an allocation may have failed. */
static void expect_kept(struct kunit *test, struct old *old, const struct blocks *b,
			bool taken, struct outcome *seen)
{
	bool coarse = sim_logged("failed to reserve by range");

	if (sim_panicked) {
		bool hopeless = sim_logged("preserved memory: failed to reserve, ");

		seen->hopeless += hopeless;
		seen->no_nodes += !hopeless;
		KUNIT_ASSERT_TRUE(test,
				  hopeless || sim_logged("nodes, the previous kernel needs") ||
				  sim_logged("kho_collect_nodes: Failed to allocate memory"));
		return;
	}
	if (!taken) {
		seen->cold++;
		KUNIT_ASSERT_TRUE(test, sim_logged("disabling KHO revival"));
		return;
	}

	seen->coarse += coarse;
	seen->fine += !coarse;
	ref_booted(&old->ref);
	old_check(test, old, coarse);
	/*
	 * Even if all memory is reserved, blocks that do not overlap must not
	 * be recorded as overlapping.
	 */
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, 0);
	expect_all_restored(test, old, b);
	old_check(test, old, coarse);
}

/* Blocks that are not adjacent, so that each is a run, of @orders orders. */
static struct blocks *add_scattered(struct kunit *test, struct old *old,
				    unsigned int orders)
{
	struct blocks *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned long pfn = SIM_PAGES / 8;

	while (b->nr < MAX_BLOCKS) {
		unsigned int order = b->nr % orders;

		pfn = ALIGN(pfn + 1, BIT(order));
		add_block(test, old, b, pfn, order);
		pfn += BIT(order);
	}
	return b;
}

static void boot_with_regions(struct kunit *test, struct old *old, unsigned long max,
			      unsigned int orders, struct outcome *seen)
{
	struct blocks *b = add_scattered(test, old, orders);
	bool taken;

	old_finish(test, old);
	sim_memblock_room = max;
	taken = sim_boot_warm(&old->handover);
	sim_memblock_room = SIM_MAX_REGIONS;
	expect_kept(test, old, b, taken, seen);
}

/*
 * The array of regions is too small for all blocks, with blocks of one order
 * and of several orders.
 */
static void boot_map_test_short_of_regions(struct kunit *test)
{
	for (unsigned int orders = 1; orders <= 4; orders++) {
		struct outcome seen = { };

		for (unsigned long max = 128; max < 1500; max += max / 8)
			boot_with_regions(test, old_new(test), max, orders, &seen);
		KUNIT_EXPECT_GT(test, seen.fine, 0);
		KUNIT_EXPECT_EQ(test, seen.cold, 0);
		/*
		 * With the smallest pages the map has about as many nodes as
		 * blocks, so the regions may not even suffice for the nodes.
		 */
		if (PAGE_SIZE >= SZ_4K) {
			KUNIT_EXPECT_GT(test, seen.coarse, 0);
			KUNIT_EXPECT_EQ(test, seen.no_nodes, 0);
			KUNIT_EXPECT_EQ(test, seen.hopeless, 0);
		}
	}
}

/*
 * If all memory is reserved, overlaps are found in the map instead; the first
 * owner gets the memory.
 */
static void boot_map_test_coarse_overlap(struct kunit *test)
{
	unsigned long small = SIM_PAGES / 8 - 31, max = 128;
	struct old *old;
	struct blocks *b;

	for (bool coarse = false; !coarse; max += max / 8) {
		KUNIT_ASSERT_LT(test, max, 1500);
		old = old_new(test);
		b = add_scattered(test, old, 2);
		old_put_block(test, old, small & ~7UL, 3);
		old_put(test, old, small, 0);
		old_finish(test, old);
		sim_memblock_room = max;
		coarse = sim_boot_warm(&old->handover) && sim_logged("failed to reserve by range");
		sim_memblock_room = SIM_MAX_REGIONS;
	}
	ref_booted(&old->ref);
	old_check(test, old, true);
	KUNIT_EXPECT_FALSE(test, sim_logged("duplicate"));
	KUNIT_EXPECT_LE(test, kho_in.overlap_start, small);
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, small + 1);
	old_expect_folio(test, old, small, 0);
	old_expect_lost(test, old, small & ~7UL, 8);
	expect_all_restored(test, old, b);
	old_check(test, old, true);
}

/*
 * Uses every second page at the start of memory: nodes that are allocated between
 * used pages are not adjacent, so each node needs a region of its own.
 */
static void use_every_second_page(void)
{
	for (unsigned long pfn = SIM_HOLE_PAGES; pfn < SIM_PAGES / 8; pfn += 2) {
		if (sim_memmap[pfn].state == SIM_FREE)
			sim_set_state(pfn, 1, SIM_USED);
	}
}

/*
 * The array of regions is nearly full: the kernel panics, or it reserves all
 * memory.  It never frees preserved memory.
 */
static void boot_map_test_no_regions(struct kunit *test)
{
	struct outcome seen = { };

	for (int scattered = 0; scattered < 2; scattered++) {
		for (unsigned long max = 8; max < 48; max++) {
			struct old *old = old_new(test);

			if (scattered)
				use_every_second_page();
			boot_with_regions(test, old, max, 2, &seen);
		}
	}
	KUNIT_EXPECT_EQ(test, seen.fine, 0);
	KUNIT_EXPECT_EQ(test, seen.cold, 0);
	KUNIT_EXPECT_GT(test, seen.no_nodes, 0);
	if (PAGE_SIZE >= SZ_4K) {
		KUNIT_EXPECT_GT(test, seen.coarse, 0);
		KUNIT_EXPECT_GT(test, seen.hopeless, 0);
	}
}

/* Returns true if the @n-th allocation was reached. */
static bool boot_fail_nth(struct kunit *test, unsigned long n, unsigned int orders,
			  struct outcome *seen)
{
	struct old *old = old_new(test);
	struct blocks *b = orders ? add_scattered(test, old, orders) :
				    add_random(test, old, 2000, false);
	bool taken, failed;

	old_finish(test, old);
	sim_fail_nth(n);
	taken = sim_boot_warm(&old->handover);
	failed = sim_failed();
	sim_fail_nth(0);
	expect_kept(test, old, b, taken, seen);
	return failed;
}

/* Each allocation of early boot fails once. */
static void boot_map_test_short_of_memory(struct kunit *test)
{
	for (unsigned int orders = 0; orders <= 3; orders++) {
		struct outcome seen = { };
		unsigned int n = 1;

		while (n < 60 && boot_fail_nth(test, n, orders, &seen))
			n++;
		KUNIT_EXPECT_LT(test, n, 60);
		/*
		 * The root tree or the array of scratch areas cannot be mapped,
		 * or a scratch area cannot be marked or reserved.
		 */
		KUNIT_EXPECT_LE(test, seen.cold, 4);
		/*
		 * The list of nodes cannot be allocated or, with the smallest
		 * pages, their regions.
		 */
		KUNIT_EXPECT_GE(test, seen.no_nodes, 1);
		KUNIT_EXPECT_LE(test, seen.no_nodes, PAGE_SIZE < SZ_4K ? 3 : 2);
		KUNIT_EXPECT_EQ(test, seen.hopeless, 0);
		if (orders)
			KUNIT_EXPECT_GT(test, seen.coarse, 0);
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_memblock_room = SIM_MAX_REGIONS;
	sim_ram_end = SIM_PAGES;
	sim_boot_cold();
}

static struct kunit_case boot_map_cases[] = {
	KUNIT_CASE(boot_map_test_random),
	KUNIT_CASE_PARAM(boot_map_test_overlap, overlap_gen_params),
	KUNIT_CASE(boot_map_test_overlap_is_local),
	KUNIT_CASE(boot_map_test_overlap_hull),
	KUNIT_CASE(boot_map_test_same_start),
	KUNIT_CASE_PARAM(boot_map_test_limit, limit_gen_params),
	KUNIT_CASE(boot_map_test_batch),
	KUNIT_CASE(boot_map_test_claim),
	KUNIT_CASE(boot_map_test_large_owner_first),
	KUNIT_CASE(boot_map_test_small_owners_first),
	KUNIT_CASE_PARAM(boot_map_test_misplaced, misplaced_gen_params),
	KUNIT_CASE(boot_map_test_across_end_of_ram),
	KUNIT_CASE_PARAM(boot_map_test_many_bad, many_bad_gen_params),
	KUNIT_CASE(boot_map_test_part_of_run),
	KUNIT_CASE(boot_map_test_rest_stays),
	KUNIT_CASE(boot_map_test_covers_much),
	KUNIT_CASE(boot_map_test_empty_nodes),
	KUNIT_CASE_PARAM(boot_map_test_stale_over_node, over_node_gen_params),
	KUNIT_CASE(boot_map_test_stale_over_all_nodes),
	KUNIT_CASE(boot_map_test_short_of_regions),
	KUNIT_CASE(boot_map_test_coarse_overlap),
	KUNIT_CASE(boot_map_test_no_regions),
	KUNIT_CASE(boot_map_test_short_of_memory),
	{}
};

static struct kunit_suite boot_map_suite = {
	.name = "unit-boot-map",
	.exit = back_to_cold,
	.test_cases = boot_map_cases,
};

kunit_test_suite(boot_map_suite);
