// SPDX-License-Identifier: GPL-2.0
/*
 * Early boot on maps of preserved memory, good and bad.  The map is written as
 * the previous kernel would have; then a kernel boots on it, and page by page it
 * is compared with a plain list who may have what:
 *
 *     kept	in the map, RAM, and not in use: nobody has it, it can be restored
 *     lost	in the map, but twice or where it cannot be: not restored
 *     free	all else
 */

#include "model.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/vmalloc.h>
#include <linux/libfdt.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

/* Tries of each kind; large pages make boots slow. */
#define ROUNDS		(PAGE_SHIFT > 12 ? 4 : 12)

/* What the previous kernel leaves, written by hand. */
struct old {
	struct kho_radix_tree map;
	void *fdt;
	struct kho_scratch *scratch;
	struct sim_handover handover;
	unsigned char *times;	/* how often each page is in the map */
};

static struct old *new_old(struct kunit *test)
{
	struct old *old = kunit_kzalloc(test, sizeof(*old), GFP_KERNEL);
	unsigned long areas = ALIGN(SIM_PAGES / 8, pageblock_nr_pages);

	sim_boot_cold();
	old->times = kunit_kzalloc(test, SIM_PAGES, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&old->map, NULL), 0);

	/* Scratch is where nothing of the test is. */
	old->scratch = (void *)__get_free_pages(GFP_KERNEL, 0);
	old->scratch[0] = (struct kho_scratch){
		PFN_PHYS(SIM_PAGES - areas), PFN_PHYS(areas),
	};
	old->handover.scratch = virt_to_phys(old->scratch);
	old->handover.scratch_len = sizeof(struct kho_scratch);
	return old;
}

static void put(struct kunit *test, struct old *old, unsigned long pfn,
		unsigned int order)
{
	unsigned long key = kho_encode_key(PFN_PHYS(pfn), order);

	if (kho_radix_test_key(&old->map, key))
		return;
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&old->map, key), 0);
	for (unsigned long i = pfn; i < pfn + BIT(order) && i < SIM_PAGES; i++)
		old->times[i]++;
}

static void write_root(struct kunit *test, struct old *old)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	u64 map = virt_to_phys(old->map.root);

	old->fdt = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, order);
	KUNIT_ASSERT_NOT_NULL(test, old->fdt);
	KUNIT_ASSERT_EQ(test, fdt_create_empty_tree(old->fdt, SIM_FDT_SIZE), 0);
	fdt_setprop_string(old->fdt, 0, "compatible", KHO_FDT_COMPATIBLE);
	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
	put(test, old, PHYS_PFN(virt_to_phys(old->fdt)), order);
	old->handover.fdt = virt_to_phys(old->fdt);
	old->handover.fdt_len = SIM_FDT_SIZE;
}

static bool boot(struct kunit *test, struct old *old)
{
	write_root(test, old);
	sim_log_clear();
	return sim_boot_warm(&old->handover);
}

static int mark_node(phys_addr_t phys, void *data)
{
	((unsigned char *)data)[PHYS_PFN(phys)]++;
	return 0;
}

/*
 * Compares all pages.  @more: pages that are in no key may be kept, too, since
 * there was no memory for a finer list.
 */
static void expect_pages(struct kunit *test, struct old *old, bool more)
{
	const struct kho_radix_walk_cb cb = { .node = mark_node };
	unsigned char *node = kunit_kzalloc(test, SIM_PAGES, GFP_KERNEL);

	kho_radix_walk_tree(&kho_in.map, &cb, node);
	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++) {
		bool scratch = kho_scratch_overlap(PFN_PHYS(pfn), PAGE_SIZE);
		enum sim_state state = sim_memmap[pfn].state;
		bool root = PFN_PHYS(pfn) - kho_in.fdt_phys < SIM_FDT_SIZE;
		bool kept = root || node[pfn] || kho_in_covers(PFN_PHYS(pfn), PAGE_SIZE);

		if (state == SIM_HOLE || pfn == PHYS_PFN(old->handover.scratch))
			continue;
		if (kept)
			KUNIT_ASSERT_EQ_MSG(test, state, SIM_LEFT, "pfn %#lx", pfn);
		else if (!scratch && !more)
			KUNIT_ASSERT_NE_MSG(test, state, SIM_LEFT, "pfn %#lx", pfn);
	}
}

/* Every byte of a block can be had if none of it is in the map twice. */
static void expect_restored(struct kunit *test, struct old *old, unsigned long pfn,
			    unsigned int order)
{
	bool good = true;
	struct folio *folio;

	for (unsigned long i = 0; i < BIT(order); i++)
		good &= old->times[pfn + i] == 1;

	folio = kho_restore_folio(PFN_PHYS(pfn));
	KUNIT_ASSERT_EQ_MSG(test, !!folio, good, "pfn %#lx order %u", pfn, order);
	if (folio)
		folio_put(folio);
}

/* The kernel boots without the hand-over, and a line tells why. */
static void expect_refused(struct kunit *test, struct old *old, const char *why)
{
	sim_log_clear();
	KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(why), "'%s' was not logged", why);
}

/* In RAM, outside scratch, and not the memory of the old kernel's map. */
static unsigned long random_block(struct rnd_state *rnd, unsigned int order)
{
	for (;;) {
		unsigned long pfn = rnd_below(rnd, SIM_PAGES * 3 / 4) & ~(BIT(order) - 1);
		bool good = true;

		for (unsigned long i = pfn; i < pfn + BIT(order); i++)
			good &= sim_memmap[i].state == SIM_FREE;
		if (good)
			return pfn;
	}
}

#define MAX_BLOCKS	300

struct blocks {
	struct {
		unsigned long pfn;
		unsigned int order;
	} block[MAX_BLOCKS];
	unsigned int nr;
};

static void expect_all_restored(struct kunit *test, struct old *old,
				const struct blocks *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		expect_restored(test, old, b->block[i].pfn, b->block[i].order);
}

/* Takes the pages from the allocator, so that nodes of the map go elsewhere. */
static void put_block(struct kunit *test, struct old *old, struct blocks *b,
		      unsigned long pfn, unsigned int order)
{
	put(test, old, pfn, order);
	sim_set_state(pfn, BIT(order), SIM_LEFT);
	b->block[b->nr].pfn = pfn;
	b->block[b->nr++].order = order;
}

static struct blocks *put_random(struct kunit *test, struct old *old, u64 variation)
{
	struct blocks *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed + variation);
	while (b->nr < MAX_BLOCKS - 8) {
		unsigned int order = rnd_below(&rnd, SIM_PAGES < 10000 ? 5 : 7);
		unsigned long pfn = random_block(&rnd, order);

		/* Now and then several in a row, which is one run. */
		for (int i = rnd_below(&rnd, 8); i >= 0; i--, pfn += BIT(order)) {
			if (pfn + BIT(order) > SIM_PAGES * 3 / 4 ||
			    sim_memmap[pfn].state != SIM_FREE ||
			    sim_memmap[pfn + BIT(order) - 1].state != SIM_FREE ||
			    sim_memmap[pfn + BIT(order) / 2].state != SIM_FREE)
				break;
			put_block(test, old, b, pfn, order);
		}
	}
	return b;
}

static void boot_test_random_map(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct old *old = new_old(test);
		struct blocks *b = put_random(test, old, round);

		KUNIT_ASSERT_TRUE(test, boot(test, old));
		expect_pages(test, old, false);
		expect_all_restored(test, old, b);
	}
}

/* Blocks inside other blocks: neither may be restored, both are given back. */
static void boot_test_preserved_twice(struct kunit *test)
{
	for (unsigned int order = 1; order < 7; order++) {
		struct old *old = new_old(test);
		unsigned long pfn = SIM_PAGES / 4;
		struct blocks b = { };

		put_block(test, old, &b, pfn - 4, 2);
		put_block(test, old, &b, pfn, order);
		put(test, old, pfn + order % 3, 0);
		put_block(test, old, &b, pfn + BIT(order), 0);

		KUNIT_ASSERT_TRUE(test, boot(test, old));
		expect_pages(test, old, false);
		KUNIT_EXPECT_TRUE(test, sim_logged("preserved twice"));
		expect_restored(test, old, pfn, order);
		expect_restored(test, old, pfn - 4, 2);
		expect_restored(test, old, pfn + BIT(order), 0);
	}
}

/* Where there cannot be preserved memory. */
static const struct misplaced {
	const char *name;
	phys_addr_t phys;
	unsigned int order;
	const char *log;
} misplaced[] = {
	{ "first page", 0, 0, "not in RAM" },
	{ "hole", SIM_PAGES / 2 * PAGE_SIZE, 1, "not in RAM" },
	{ "around the hole", SIM_PAGES / 4 * 2 * PAGE_SIZE, 6, "not in RAM" },
	{ "behind memory", SIM_PAGES * PAGE_SIZE, 0, "not in RAM" },
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

static void boot_test_misplaced(struct kunit *test)
{
	const struct misplaced *m = test->param_value;
	struct old *old = new_old(test);
	unsigned long good = SIM_PAGES / 3;
	struct blocks b = { };

	put_block(test, old, &b, good, 0);
	put(test, old, PHYS_PFN(m->phys), m->order);
	/* Whatever else that names, it is in no two blocks. */
	old->times[good] = 1;
	KUNIT_EXPECT_TRUE(test, boot(test, old));
	if (m->log)
		KUNIT_EXPECT_TRUE(test, sim_logged(m->log));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(m->phys));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(m->phys, BIT(m->order)));
	expect_restored(test, old, good, 0);
}

/* More pieces than each can be noted by itself. */
static void boot_test_much_misplaced(struct kunit *test)
{
	struct old *old = new_old(test);
	unsigned long good = SIM_PAGES / 3;
	struct blocks b = { };

	put_block(test, old, &b, good, 0);
	for (unsigned int i = 0; i < MAX_BLOCKS; i++)
		put(test, old, (1UL << 30) + 2 * i, 0);

	KUNIT_ASSERT_TRUE(test, boot(test, old));
	for (unsigned int i = 0; i < MAX_BLOCKS; i++)
		KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS((1UL << 30) + 2 * i)));
	expect_restored(test, old, good, 0);
}

/* RAM that the firmware keeps for itself. */
static void boot_test_firmware(struct kunit *test)
{
	struct old *old = new_old(test);
	unsigned long first = SIM_PAGES / 3;
	struct blocks b = { };

	for (unsigned int i = 0; i < 3; i++)
		put_block(test, old, &b, first + i, 0);
	old->handover.firmware = PFN_PHYS(first + 1);

	KUNIT_ASSERT_TRUE(test, boot(test, old));
	KUNIT_EXPECT_TRUE(test, sim_logged("not in RAM"));
	old->times[first + 1] = 0;
	expect_all_restored(test, old, &b);
}

/* The boot loader has put the new kernel on top of preserved memory. */
static void boot_test_in_use(struct kunit *test)
{
	struct old *old = new_old(test);
	unsigned long first = SIM_PAGES / 3, used = first + 2;
	struct blocks b = { };

	for (unsigned int i = 0; i < 6; i++)
		put_block(test, old, &b, first + i, 0);
	old->handover.image = PFN_PHYS(used);
	old->handover.image_len = 2 * PAGE_SIZE;

	KUNIT_ASSERT_TRUE(test, boot(test, old));
	KUNIT_EXPECT_TRUE(test, sim_logged("in use by this kernel"));
	old->times[used] = 0;
	old->times[used + 1] = 0;
	expect_all_restored(test, old, &b);
}

/* Runs of more than 2 GiB and 4 GiB, as one key and as many. */
static void boot_test_covers_much(struct kunit *test)
{
	struct old *old = new_old(test);
	phys_addr_t start = 1ULL << 44;

	for (unsigned int i = 0; i < 5; i++)
		put(test, old, PHYS_PFN(start) + i * BIT(31 - PAGE_SHIFT),
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

/* memblock has little room, so neighbours are kept together with what is between. */
static void boot_test_short_of_regions(struct kunit *test)
{
	for (unsigned long room = 12; room < 400; room *= 2) {
		struct old *old = new_old(test);
		struct blocks *b = put_random(test, old, 1000 + room);
		bool kept;

		sim_memblock_room = room;
		kept = boot(test, old);
		sim_memblock_room = SIM_MAX_REGIONS;
		if (!kept) {
			KUNIT_EXPECT_TRUE(test, sim_logged("cannot be kept"));
			continue;
		}
		expect_pages(test, old, true);
		expect_all_restored(test, old, b);
	}
}

/* More runs than there is room for without an allocation. */
static struct blocks *put_scattered(struct kunit *test, struct old *old)
{
	struct blocks *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	while (b->nr < MAX_BLOCKS)
		put_block(test, old, b, SIM_PAGES / 8 + 2 * b->nr, 0);
	return b;
}

/* Returns whether there was an allocation to fail; counts what was kept coarsely. */
static bool boot_fail_nth(struct kunit *test, unsigned long n, bool scattered,
			  unsigned int *coarse)
{
	struct old *old = new_old(test);
	struct blocks *b = scattered ? put_scattered(test, old) :
				       put_random(test, old, 2000);
	bool kept, failed;

	write_root(test, old);
	sim_log_clear();
	sim_fail_nth(n);
	kept = sim_boot_warm(&old->handover);
	failed = sim_failed();
	sim_fail_nth(0);
	if (!kept)
		return failed;

	expect_pages(test, old, true);
	expect_all_restored(test, old, b);
	*coarse += sim_logged("short of memory");
	return failed;
}

/* One allocation of early boot after the other fails. */
static void boot_test_short_of_memory(struct kunit *test)
{
	for (int scattered = 0; scattered < 2; scattered++) {
		unsigned int coarse = 0, n = 1;

		while (n < 60 && boot_fail_nth(test, n, scattered, &coarse))
			n++;
		KUNIT_EXPECT_LT(test, n, 60);
		if (scattered)
			KUNIT_EXPECT_GT(test, coarse, 0);
	}
}

/* Nodes of the map. */

static u64 *slot_of_root(struct old *old)
{
	u64 *slot = old->map.root->table;

	while (!*slot)
		slot++;
	return slot;
}

static const struct bad_node {
	const char *name;
	u64 phys;
	bool relative;	/* to the root */
} bad_nodes[] = {
	{ "not aligned", 8, true },
	{ "root itself", 0, true },
	{ "outside memory", 1ULL << 50, false },
	{ "last page", -PAGE_SIZE, false },
	{ "all bits", -1, false },
	{ "first page", PAGE_SIZE, false },
	{ "hole", SIM_PAGES / 2 * PAGE_SIZE, false },
	{ "scratch", (SIM_PAGES - 1) * PAGE_SIZE, false },
	{ "wraps when translated", -(u64)PAGE_SIZE << 1, false },
};

KUNIT_ARRAY_PARAM_DESC(bad_node, bad_nodes, name);

/* A map that cannot be read is lost as a whole, and the kernel boots on. */
static void boot_test_bad_node(struct kunit *test)
{
	const struct bad_node *bad = test->param_value;
	struct old *old = new_old(test);
	struct blocks b = { };

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	*slot_of_root(old) = bad->phys + (bad->relative ? virt_to_phys(old->map.root) : 0);
	expect_refused(test, old, "lost");
	KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS(SIM_PAGES / 3)));
	/* All of memory can be used. */
	KUNIT_EXPECT_FALSE(test, memblock_kho_scratch_only());
}

/* Scratch memory is used before the map is looked at, whatever is in it. */
static void boot_test_node_in_scratch(struct kunit *test)
{
	struct old *old = new_old(test);
	u64 phys = old->scratch[0].addr;
	struct blocks b = { };
	u64 *slot;

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	slot = slot_of_root(old);
	sim_set_state(PHYS_PFN(phys), 1, SIM_LEFT);
	memcpy(phys_to_virt(phys), phys_to_virt(*slot), PAGE_SIZE);
	*slot = phys;
	expect_refused(test, old, "has a node at");
}

/* The lowest node of the first key. */
static u64 *slot_of_leaf(struct old *old)
{
	u64 *slot = slot_of_root(old);

	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level > 1; level--) {
		slot = ((struct kho_radix_node *)phys_to_virt(*slot))->table;
		while (!*slot)
			slot++;
	}
	return slot;
}

/* On top of a node of the map. */
static void boot_test_node_in_use(struct kunit *test)
{
	struct old *old = new_old(test);
	struct blocks b = { };

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	old->handover.image = *slot_of_leaf(old);
	old->handover.image_len = PAGE_SIZE;
	expect_refused(test, old, "in use by this kernel");
}

static void boot_test_node_in_firmware(struct kunit *test)
{
	struct old *old = new_old(test);
	struct blocks b = { };

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	old->handover.firmware = *slot_of_leaf(old);
	expect_refused(test, old, "has a node at");
}

/* Taking a key out of one leaf would take it out of the other. */
static void boot_test_node_twice(struct kunit *test)
{
	struct old *old = new_old(test);
	struct blocks b = { };
	u64 *slot;

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	slot = slot_of_leaf(old);
	/* The table is no larger than a page. */
	slot[(ulong)(slot + 1) % PAGE_SIZE ? 1 : -1] = *slot;
	expect_refused(test, old, "has the node at");
}

/* Tables that share a child make a tree that is larger than memory. */
static void boot_test_shared_node(struct kunit *test)
{
	struct old *old = new_old(test);
	struct kho_radix_node *node = old->map.root;
	struct blocks b = { };

	put_block(test, old, &b, SIM_PAGES / 3, 0);
	write_root(test, old);
	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level > 1; level--) {
		u64 child = 0;

		for (unsigned int i = 0; i < ARRAY_SIZE(node->table); i++)
			child = child ?: node->table[i];
		for (unsigned int i = 0; i < ARRAY_SIZE(node->table); i++)
			node->table[i] = child;
		node = phys_to_virt(child);
	}
	expect_refused(test, old, "does not end");
}

/* A node that is in the map as preserved memory could be restored and changed. */
static void boot_test_node_is_preserved(struct kunit *test)
{
	struct old *old = new_old(test);

	put(test, old, PHYS_PFN(virt_to_phys(old->map.root)), 0);
	boot(test, old);
	KUNIT_EXPECT_TRUE(test, sim_logged("preserved twice"));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(virt_to_phys(old->map.root)));
}

/* The arguments of the boot protocol. */

struct bad_call {
	const char *name;
	void (*damage)(struct old *old);
	const char *line;
};

static void odd_fdt(struct old *old)
{
	old->handover.fdt += 8;
}

static void odd_fdt_size(struct old *old)
{
	old->handover.fdt_len += 8;
}

static void no_fdt(struct old *old)
{
	old->handover.fdt = 0;
}

static void fdt_far_away(struct old *old)
{
	old->handover.fdt = 1ULL << 50;
}

static void short_fdt(struct old *old)
{
	old->handover.fdt_len = 16;
}

static void fdt_without_bytes(struct old *old)
{
	old->handover.fdt_len = 0;
}

static void bad_magic(struct old *old)
{
	*(u32 *)old->fdt ^= 1;
}

static void long_tree(struct old *old)
{
	fdt_set_totalsize(old->fdt, old->handover.fdt_len + 8);
}

static void no_map(struct old *old)
{
	fdt_delprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME);
}

static void short_map(struct old *old)
{
	u32 map = 0x1000;

	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
}

static void set_map(struct old *old, u64 map)
{
	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
}

static void null_map(struct old *old)
{
	set_map(old, 0);
}

static void odd_map(struct old *old)
{
	set_map(old, virt_to_phys(old->map.root) + 8);
}

static void map_far_away(struct old *old)
{
	set_map(old, 1ULL << 50);
}

static void no_compatible(struct old *old)
{
	fdt_delprop(old->fdt, 0, "compatible");
}

static void other_compatible(struct old *old)
{
	fdt_setprop_string(old->fdt, 0, "compatible", "kho-v9;radix-v1;vmalloc-v1");
}

static void other_radix(struct old *old)
{
	fdt_setprop_string(old->fdt, 0, "compatible", "kho-v4;radix-v9;vmalloc-v1");
}

static void endless_compatible(struct old *old)
{
	fdt_setprop(old->fdt, 0, "compatible", "kho-v4;radix-v1;vmalloc-v1", 26);
}

static void no_scratch(struct old *old)
{
	old->handover.scratch_len = 0;
}

static void odd_scratch(struct old *old)
{
	old->handover.scratch_len = sizeof(struct kho_scratch) + 8;
}

static void much_scratch(struct old *old)
{
	old->handover.scratch_len = 1000 * sizeof(struct kho_scratch);
}

static void huge_scratch(struct old *old)
{
	old->handover.scratch_len = SZ_1M;
}

static void empty_area(struct old *old)
{
	old->scratch[0].size = 0;
}

static void odd_area(struct old *old)
{
	old->scratch[0].addr -= PAGE_SIZE;
}

static void endless_area(struct old *old)
{
	old->scratch[0].size = -CMA_MIN_ALIGNMENT_BYTES;
}

static void area_in_hole(struct old *old)
{
	old->scratch[0].addr = SIM_PAGES / 2 * PAGE_SIZE;
	old->scratch[0].size = CMA_MIN_ALIGNMENT_BYTES;
}

static void area_far_away(struct old *old)
{
	old->scratch[0].addr = 1ULL << 50;
}

/* The last byte that is memory is in the area, too. */
static void area_too_long(struct old *old)
{
	old->scratch[0].size += CMA_MIN_ALIGNMENT_BYTES;
}

static void scratch_far_away(struct old *old)
{
	old->handover.scratch = 1ULL << 50;
}

static const struct bad_call bad_calls[] = {
	{ "no root tree", no_fdt, "bytes of root tree at" },
	{ "root tree not aligned", odd_fdt, "bytes of root tree at" },
	{ "odd bytes of root tree", odd_fdt_size, "bytes of root tree at" },
	{ "root tree far away", fdt_far_away, "bytes of root tree at" },
	{ "short root tree", short_fdt, "cannot map 16 bytes of root tree" },
	{ "root tree without bytes", fdt_without_bytes,
	  "cannot map 0 bytes of root tree" },
	{ "bad magic", bad_magic, "root tree is damaged: " },
	{ "root tree too long", long_tree, "larger than its memory" },
	{ "no map", no_map, "root tree has no map" },
	{ "short map", short_map, "root tree has no map" },
	{ "null map", null_map, "root tree has no map" },
	{ "map not aligned", odd_map, "root tree has no map" },
	{ "map far away", map_far_away, "preserved memory has a node at" },
	{ "no compatible", no_compatible, "it is empty" },
	{ "other base", other_compatible, "kho-v9" },
	{ "other radix", other_radix, "radix-v9" },
	{ "compatible without end", endless_compatible, "it does not end in its field" },
	{ "no scratch", no_scratch, "cannot map 0 bytes of scratch areas" },
	{ "odd bytes of scratch", odd_scratch, "array of scratch areas has 24 bytes" },
	{ "too many scratch areas", much_scratch,
	  "array of scratch areas has 16000 bytes" },
	{ "huge array of scratch areas", huge_scratch,
	  "cannot map 1048576 bytes of scratch areas" },
	{ "empty scratch area", empty_area, "scratch areas are all empty" },
	{ "scratch area not aligned", odd_area, "scratch area 0 is " },
	{ "endless scratch area", endless_area, "scratch area 0 is " },
	{ "scratch area in hole", area_in_hole, "is not in RAM" },
	{ "scratch area far away", area_far_away, "is not in RAM" },
	{ "scratch area beyond memory", area_too_long, "is not in RAM" },
	{ "scratch far away", scratch_far_away, "bytes of scratch areas at" },
};

KUNIT_ARRAY_PARAM_DESC(bad_call, bad_calls, name);

static void boot_test_bad_call(struct kunit *test)
{
	const struct bad_call *bad = test->param_value;
	struct old *old = new_old(test);

	write_root(test, old);
	bad->damage(old);
	expect_refused(test, old, bad->line);
	KUNIT_EXPECT_TRUE(test, sim_logged("disabling") || sim_logged("lost"));
	KUNIT_EXPECT_NULL(test, kho_in.map.root);
	/* The machine is of use. */
	KUNIT_EXPECT_GT(test, sim_count(SIM_FREE), SIM_PAGES / 2);
}

/* Whatever the size was, it is told, and nothing that was handed over is read. */
static void boot_test_other_pages(struct kunit *test)
{
	static const unsigned int sizes[] = { SZ_4K, SZ_16K, SZ_64K };

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct old *old = new_old(test);
		char line[64];

		if (sizes[i] == PAGE_SIZE)
			continue;
		write_root(test, old);
		old->handover.fdt_len = sizes[i];
		sim_log_clear();
		KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
		snprintf(line, sizeof(line), "pages of %u bytes, this one of %lu",
			 sizes[i], PAGE_SIZE);
		KUNIT_EXPECT_TRUE(test, sim_logged(line));
		KUNIT_EXPECT_FALSE(test, sim_logged("damaged"));
		KUNIT_EXPECT_NULL(test, kho_in.map.root);
	}
}

/* The same hand-over without damage, so that each case above has one reason. */
static void boot_test_good_call(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, boot(test, new_old(test)));
}

/* What is handed over with other vmalloc areas is kept, and they are known. */
static void boot_test_other_vmalloc(struct kunit *test)
{
	static const struct {
		const char *offered;
		bool differs;
	} rows[] = {
		{ KHO_FDT_COMPATIBLE, false },
		{ "kho-v4", false },
		{ "kho-v4;radix-v1;vmalloc-v9", true },
		{ "kho-v4;radix-v1", true },
		{ "kho-v4;other-v1;radix-v1;vmalloc-v1", false },
	};

	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct old *old = new_old(test);
		struct kho_vmalloc desc = { };

		write_root(test, old);
		fdt_setprop_string(old->fdt, 0, "compatible", rows[i].offered);
		KUNIT_EXPECT_TRUE(test, sim_boot_warm(&old->handover));
		KUNIT_EXPECT_EQ_MSG(test, kho_incoming_differs(KHO_VMALLOC_COMPATIBLE),
				    rows[i].differs, "%s", rows[i].offered);
		KUNIT_EXPECT_EQ_MSG(test, kho_vmalloc_check(&desc),
				    rows[i].differs ? -EOPNOTSUPP : -EINVAL,
				    "%s", rows[i].offered);
	}
}

/* The root tree is preserved, but not so that it can be kept. */
static void boot_test_root_preserved_twice(struct kunit *test)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	struct old *old = new_old(test);
	void *room;

	write_root(test, old);
	/* What is behind it belongs to nobody. */
	room = (void *)__get_free_pages(GFP_KERNEL, order + 1);
	memcpy(room, old->fdt, SIM_FDT_SIZE);
	old->handover.fdt = virt_to_phys(room);
	put(test, old, PHYS_PFN(virt_to_phys(room)), order);
	put(test, old, PHYS_PFN(virt_to_phys(room)), order + 1);
	expect_refused(test, old, "not in preserved memory");
}

static void boot_test_root_in_use(struct kunit *test)
{
	struct old *old = new_old(test);

	write_root(test, old);
	old->handover.image = old->handover.fdt;
	old->handover.image_len = PAGE_SIZE;
	expect_refused(test, old, "not in preserved memory");
}

/* The next kernel has less memory, by "mem=" for one. */
static void boot_test_root_not_mapped(struct kunit *test)
{
	struct old *old = new_old(test);

	write_root(test, old);
	old->handover.firmware = old->handover.fdt;
	expect_refused(test, old, "root tree is not in RAM");
}

static void boot_test_scratch_not_mapped(struct kunit *test)
{
	struct old *old = new_old(test);

	write_root(test, old);
	old->handover.firmware = old->handover.scratch;
	expect_refused(test, old, "scratch areas is not in RAM");
	/* It makes its own. */
	KUNIT_EXPECT_NE(test, virt_to_phys(kho_scratch), old->handover.scratch);
}

/* Whatever was allocated since may be on top of it. */
static void boot_test_root_in_scratch(struct kunit *test)
{
	struct old *old = new_old(test);
	unsigned long size = max(SIM_FDT_SIZE, PAGE_SIZE);

	write_root(test, old);
	sim_set_state(PHYS_PFN(old->scratch[0].addr), size / PAGE_SIZE, SIM_LEFT);
	memcpy(phys_to_virt(old->scratch[0].addr), old->fdt, SIM_FDT_SIZE);
	old->handover.fdt = old->scratch[0].addr;
	expect_refused(test, old, "root tree is in scratch memory");
}

/* The root tree itself was not preserved. */
static void boot_test_root_not_preserved(struct kunit *test)
{
	struct old *old = new_old(test);

	write_root(test, old);
	kho_radix_del_key(&old->map, kho_encode_key(old->handover.fdt,
						    get_order(SIM_FDT_SIZE)));
	expect_refused(test, old, "not in preserved memory");
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case boot_cases[] = {
	KUNIT_CASE(boot_test_good_call),
	KUNIT_CASE_PARAM(boot_test_bad_call, bad_call_gen_params),
	KUNIT_CASE(boot_test_other_pages),
	KUNIT_CASE(boot_test_other_vmalloc),
	KUNIT_CASE(boot_test_root_not_preserved),
	KUNIT_CASE(boot_test_root_preserved_twice),
	KUNIT_CASE(boot_test_root_in_use),
	KUNIT_CASE(boot_test_root_not_mapped),
	KUNIT_CASE(boot_test_scratch_not_mapped),
	KUNIT_CASE(boot_test_root_in_scratch),
	KUNIT_CASE(boot_test_random_map),
	KUNIT_CASE(boot_test_preserved_twice),
	KUNIT_CASE_PARAM(boot_test_misplaced, misplaced_gen_params),
	KUNIT_CASE(boot_test_much_misplaced),
	KUNIT_CASE(boot_test_firmware),
	KUNIT_CASE(boot_test_in_use),
	KUNIT_CASE(boot_test_covers_much),
	KUNIT_CASE(boot_test_short_of_regions),
	KUNIT_CASE(boot_test_short_of_memory),
	KUNIT_CASE_PARAM(boot_test_bad_node, bad_node_gen_params),
	KUNIT_CASE(boot_test_node_in_scratch),
	KUNIT_CASE(boot_test_node_in_use),
	KUNIT_CASE(boot_test_node_in_firmware),
	KUNIT_CASE(boot_test_node_twice),
	KUNIT_CASE(boot_test_shared_node),
	KUNIT_CASE(boot_test_node_is_preserved),
	{}
};

static struct kunit_suite boot_suite = {
	.name = "unit-boot",
	.exit = back_to_cold,
	.test_cases = boot_cases,
};

kunit_test_suite(boot_suite);
