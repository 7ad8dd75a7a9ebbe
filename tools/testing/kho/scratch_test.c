// SPDX-License-Identifier: GPL-2.0
/*
 * Scratch memory: the command line, the placement of areas, their memory in the
 * page allocator, and their extension during early boot.
 */

#include "old.h"

static ulong seed = 20261130;
module_param(seed, ulong, 0444);

/* Sizes of areas are multiples of this. */
#define UNIT		(PAGE_SIZE * MAX_ORDER_NR_PAGES)

/* The command line. */

static const struct option {
	const char *name;
	int err;
	bool on_demand;		/* result of the option, unless it is invalid */
	const char *log;
} options[] = {
	{ "demand", 0, true },
	{ "", -EINVAL },
	{ "demands", -EINVAL },
	{ "1%", 0, false, "scratch scale is 1%" },
	{ "10000%", 0, false, "scratch scale is 10000%" },
	{ "0%", -EINVAL },
	{ "10001%", -EINVAL },
	{ "%", -EINVAL },
	{ "x%", -EINVAL },
	{ "10x%", -EINVAL },
	{ "00000000010%", 0, false, "scratch scale is 10%" },
	{ "000000000010%", -EINVAL },
	{ "99999999999%", -ERANGE },
	{ "16M,32M,8M", 0, false, "lowmem: 16MiB global: 32MiB pernode: 8MiB" },
	{ "0,0,1G", 0, false, "lowmem: 0MiB global: 0MiB pernode: 1024MiB" },
	{ "0,1M,0", 0, false },
	{ "1M,0,0", 0, false },
	{ "0,0,0", -EINVAL },
	{ "16M", -EINVAL },
	{ "16M,32M", -EINVAL },
	{ "16M,32M,", -EINVAL },
	{ ",32M,8M", -EINVAL },
	{ "16M,,8M", -EINVAL },
	{ "16M;32M,8M", -EINVAL },
	{ "16M,32M,8M,4M", -EINVAL },
	{ "16M,32M,8Mx", -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(option, options, name);

/*
 * An invalid option changes nothing.  The option also has the name that Linux
 * 7.4 uses.
 */
static void scratch_test_option(struct kunit *test)
{
	static const char * const names[] = { "kho_scratch", "kho_bootmem" };
	const struct option *o = test->param_value;

	for (int i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		bool before = o->err ? i % 2 : !o->on_demand;

		sim_log_clear();
		kho_scratch_on_demand = before;
		KUNIT_EXPECT_EQ(test, sim_param(names[i / 2], o->name), o->err);
		KUNIT_EXPECT_EQ(test, kho_scratch_on_demand, o->err ? before : o->on_demand);
		KUNIT_EXPECT_TRUE(test, !o->log || sim_logged(o->log));
		KUNIT_EXPECT_TRUE(test, !o->err || !*sim_log());
	}
	KUNIT_EXPECT_EQ(test, sim_param("kho_scratch", NULL), -EINVAL);
}

/*
 * A machine with two nodes, whose memory is at much higher addresses than that
 * of the simulation.
 */

#define LOW		(64ULL << 30)
#define HIGH		(256ULL << 30)
#define HIGH_1		(512ULL << 30)	/* on the second node */
#define EACH		(64ULL << 30)

/* Memory in use by the kernel: low, on each node, and without a node. */
#define USED_LOW	(3 * UNIT / 2)
#define USED_HIGH	(5 * UNIT / 2)
#define USED_HIGH_1	(UNIT / 2)
#define USED_ANYWHERE	(2 * UNIT)

static void large_machine(struct kunit *test)
{
	struct memblock_region *r;

	sim_nr_nodes = 2;
	sim_low_limit = LOW + EACH - 1;
	sim_memblock_reset();
	memblock_add(PAGE_SIZE, (SIM_PAGES - 1) * PAGE_SIZE);
	memblock_add(LOW, EACH);
	memblock_add(HIGH, EACH);
	memblock_add(HIGH_1, EACH);
	for_each_mem_region(r)
		r->nid = r->base == HIGH_1;
	__memblock_reserve(LOW, USED_LOW, 0, 0);
	__memblock_reserve(HIGH, USED_HIGH, 0, 0);
	__memblock_reserve(HIGH_1, USED_HIGH_1, 1, 0);
	__memblock_reserve(HIGH + EACH / 2, USED_ANYWHERE, NUMA_NO_NODE, 0);

	/* A cold boot, with a page for the array of areas, which is written. */
	sim_set_state(SIM_PAGES - 1, 1, SIM_LEFT);
	kho_enable = true;
	kho_in.scratch_phys = 0;
	kho_scratch = NULL;
	kho_scratch_cnt = 0;
	sim_log_clear();
}

static int ask_for(u64 lowmem, u64 global, u64 pernode)
{
	char sizes[80];

	snprintf(sizes, sizeof(sizes), "%llu,%llu,%llu", lowmem, global, pernode);
	return sim_param("kho_scratch", sizes);
}

static void scratch_test_boot_use(struct kunit *test)
{
	large_machine(test);
	kho_record_boot_use();
	KUNIT_EXPECT_EQ(test, kho_boot_use.low, USED_LOW);
	KUNIT_EXPECT_EQ(test, kho_boot_use.high, USED_HIGH + USED_HIGH_1 + USED_ANYWHERE);
	KUNIT_EXPECT_EQ(test, kho_boot_use.node[0], USED_LOW + USED_HIGH);
	KUNIT_EXPECT_EQ(test, kho_boot_use.node[1], USED_HIGH_1);
	KUNIT_EXPECT_EQ(test, kho_boot_use.node_high[0], USED_HIGH);
	KUNIT_EXPECT_EQ(test, kho_boot_use.node_high[1], USED_HIGH_1);
}

/* Expects an area of @size bytes in [@start, @start + EACH). */
static void expect_area(struct kunit *test, unsigned int i, u64 size, u64 start)
{
	const struct kho_scratch *area = &kho_scratch[i];

	KUNIT_EXPECT_EQ_MSG(test, area->size, size, "area %u", i);
	KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED(area->addr, UNIT), "area %u", i);
	KUNIT_EXPECT_TRUE_MSG(test, area->addr >= start && area->addr - start <= EACH - size,
			      "area %u at %#llx", i, area->addr);
	KUNIT_EXPECT_TRUE(test, memblock_is_region_reserved(area->addr, 1));
}

static void scratch_test_sizes(struct kunit *test)
{
	u64 before;

	large_machine(test);
	before = memblock.reserved.total_size;
	KUNIT_ASSERT_EQ(test, ask_for(UNIT, UNIT + 1, 3 * UNIT - 1), 0);
	kho_record_boot_use();
	kho_reserve_scratch();
	KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 4);
	expect_area(test, 0, UNIT, LOW);
	expect_area(test, 1, 2 * UNIT, HIGH_1);
	expect_area(test, 2, 3 * UNIT, HIGH);
	expect_area(test, 3, 3 * UNIT, HIGH_1);
	KUNIT_EXPECT_EQ(test, memblock.reserved.total_size,
			before + 9 * UNIT + 4 * sizeof(*kho_scratch));

	/* No area is reserved for a size of 0. */
	large_machine(test);
	KUNIT_ASSERT_EQ(test, ask_for(0, UNIT, 0), 0);
	kho_reserve_scratch();
	KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 1);
	expect_area(test, 0, UNIT, HIGH_1);
	KUNIT_EXPECT_TRUE(test, kho_enable);
}

/* Sizes as a percentage of the memory that the kernel uses. */
static void scratch_test_scale(struct kunit *test)
{
	large_machine(test);
	KUNIT_ASSERT_EQ(test, ask_for(UNIT, UNIT, 9 * UNIT), 0);
	KUNIT_ASSERT_EQ(test, sim_param("kho_scratch", "200%"), 0);
	kho_record_boot_use();
	kho_reserve_scratch();
	KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 4);
	expect_area(test, 0, 3 * UNIT, LOW);
	expect_area(test, 1, 10 * UNIT, HIGH_1);
	expect_area(test, 2, 8 * UNIT, HIGH);
	expect_area(test, 3, UNIT, HIGH_1);

	/* The last option takes effect. */
	large_machine(test);
	KUNIT_ASSERT_EQ(test, sim_param("kho_scratch", "200%"), 0);
	KUNIT_ASSERT_EQ(test, ask_for(2 * UNIT, 0, 0), 0);
	kho_record_boot_use();
	kho_reserve_scratch();
	KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 1);
	expect_area(test, 0, 2 * UNIT, LOW);
}

static const struct too_large {
	const char *name;
	u64 lowmem, global, pernode;
	const char *log;
} too_large[] = {
	{ "lowmem", EACH + UNIT, UNIT, UNIT, "scratch area: failed to allocate (lowmem" },
	{ "global", UNIT, EACH + UNIT, UNIT, "scratch area: failed to allocate (global" },
	{ "second node", UNIT, UNIT, EACH - 3 * UNIT, "scratch area: failed to allocate (node" },
};

KUNIT_ARRAY_PARAM_DESC(too_large, too_large, name);

static void expect_nothing_reserved(struct kunit *test, u64 before)
{
	KUNIT_EXPECT_FALSE(test, kho_enable);
	KUNIT_EXPECT_NULL(test, kho_scratch);
	KUNIT_EXPECT_EQ(test, kho_scratch_cnt, 0);
	KUNIT_EXPECT_EQ(test, memblock.reserved.total_size, before);
	KUNIT_EXPECT_TRUE(test,
			  sim_logged("scratch areas: failed to reserve, disabling kexec handover"));
}

/* If one area cannot be allocated, none is, and KHO is off. */
static void scratch_test_too_large(struct kunit *test)
{
	const struct too_large *t = test->param_value;
	u64 before;

	large_machine(test);
	before = memblock.reserved.total_size;
	KUNIT_ASSERT_EQ(test, ask_for(t->lowmem, t->global, t->pernode), 0);
	kho_reserve_scratch();
	KUNIT_EXPECT_TRUE(test, sim_logged(t->log));
	expect_nothing_reserved(test, before);
}

/* Allocations fail, one in each round. */
static void scratch_test_no_memory(struct kunit *test)
{
	u64 before;

	/*
	 * Odd values of n are the allocations of the array and of each area.
	 * Even values are their reservations: if one fails, memblock tries
	 * another region.
	 */
	for (unsigned int n = 1; n <= 9; n += 2) {
		large_machine(test);
		before = memblock.reserved.total_size;
		KUNIT_ASSERT_EQ(test, ask_for(UNIT, UNIT, UNIT), 0);
		sim_fail_nth(n);
		kho_reserve_scratch();
		sim_fail_nth(0);
		expect_nothing_reserved(test, before);
	}
}

/* No area is reserved with kho=off, or with scratch memory on demand. */
static void scratch_test_not_wanted(struct kunit *test)
{
	for (int i = 0; i < 2; i++) {
		u64 before;

		large_machine(test);
		before = memblock.reserved.total_size;
		KUNIT_ASSERT_EQ(test, i ? ask_for(UNIT, UNIT, UNIT) :
					  sim_param("kho_scratch", "demand"), 0);
		kho_enable = !i;
		kho_reserve_scratch();
		KUNIT_EXPECT_NULL(test, kho_scratch);
		KUNIT_EXPECT_EQ(test, memblock.reserved.total_size, before);
		KUNIT_EXPECT_EQ(test, kho_enable, !i);
		KUNIT_EXPECT_FALSE(test, sim_logged("disabling"));
	}
}

/* Placement. */

static bool in_area(const struct kho_scratch *area, unsigned int nr, u64 at)
{
	bool in = false;

	for (unsigned int i = 0; i < nr; i++)
		in |= at >= area[i].addr && at - area[i].addr < area[i].size;
	return in;
}

static u64 area_from(const struct kho_scratch *area, unsigned int nr, u64 at, u64 end)
{
	while (at < end && !in_area(area, nr, at))
		at++;
	return at < end ? at : PHYS_ADDR_MAX;
}

static void scratch_test_from(struct kunit *test)
{
	struct kho_scratch area[4];
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (int round = 0; round < 50; round++) {
		kho_scratch = area;
		kho_scratch_cnt = rnd_below(&rnd, ARRAY_SIZE(area) + 1);
		for (unsigned int i = 0; i < kho_scratch_cnt; i++)
			area[i] = (struct kho_scratch){
				rnd_below(&rnd, 40), rnd_below(&rnd, 8) & ~1UL,
			};
		for (u64 at = 0; at < 50; at++) {
			u64 next = area_from(area, kho_scratch_cnt, at, 50);

			KUNIT_ASSERT_EQ(test, kho_scratch_from(at), next);
			for (u64 size = 1; size < 12; size++)
				KUNIT_ASSERT_EQ(test, kho_scratch_overlap(at, size),
						next < at + size);
		}
	}
}

/* Owners. */

static void boot_with_areas(struct kunit *test, u64 lowmem, u64 global)
{
	static char sizes[80];

	snprintf(sizes, sizeof(sizes), "%llu,%llu,0", lowmem, global);
	sim_boot_with("kho_scratch", sizes);
	sim_log_clear();
	sim_boot_cold();
}

/* Expects @cma pages of CMA, and that all free memory is managed. */
static void expect_managed(struct kunit *test, unsigned long cma)
{
	KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA), cma);
	KUNIT_EXPECT_EQ(test, totalcma_pages, cma);
	KUNIT_EXPECT_EQ(test, totalram_pages(),
			SIM_PAGES - sim_count(SIM_HOLE) - sim_count(SIM_LEFT));
}

/* The areas are CMA in the kernel that reserved them, and in later kernels. */
static void scratch_test_cma(struct kunit *test)
{
	struct sim_handover h;

	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "the simulation has areas of its own");
	boot_with_areas(test, UNIT, 2 * UNIT);
	KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 2);
	expect_managed(test, 3 * UNIT / PAGE_SIZE);
	for (int i = 0; i < 2; i++) {
		h = sim_kexec();
		KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
		KUNIT_ASSERT_EQ(test, kho_scratch_cnt, 2);
		expect_managed(test, 3 * UNIT / PAGE_SIZE);
	}
}

/* Empty areas do not count; other areas count as whole pageblocks. */
static void scratch_test_pageblocks(struct kunit *test)
{
	struct kho_scratch area[] = {
		{ KHO_SCRATCH_UNIT + PAGE_SIZE, 0 },
		{ 5 * KHO_SCRATCH_UNIT, KHO_SCRATCH_UNIT },
	};
	unsigned long first = round_down(PHYS_PFN(area[1].addr), pageblock_nr_pages);
	unsigned long end = round_up(PHYS_PFN(area[1].addr + area[1].size), pageblock_nr_pages);

	kho_scratch = area;
	kho_scratch_cnt = ARRAY_SIZE(area);
	kho_in.scratch_phys = PAGE_SIZE;
	totalcma_pages = 7;
	kho_scratch_init_cma();
	KUNIT_EXPECT_EQ(test, totalcma_pages, 7 + end - first);
}

/* With scratch memory on demand, incoming areas become ordinary memory. */
static void scratch_test_on_demand(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long pfn = SIM_PAGES / 3;
	phys_addr_t area = old->scratch[0].addr;

	sim_boot_with("kho_scratch", "demand");
	old_put_block(test, old, pfn, 0);
	old->handover.image = (struct sim_ranges){ SIM_PAGES / 4 * PAGE_SIZE, 3 * PAGE_SIZE, 1 };
	old_finish(test, old);
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&old->handover));
	KUNIT_EXPECT_EQ(test, kho_scratch_cnt, 0);
	KUNIT_EXPECT_NULL(test, kho_scratch);
	expect_managed(test, 0);
	/* The memory in use is recorded, which the next kernel will need. */
	KUNIT_EXPECT_GE(test, kho_boot_use.low, 3 * PAGE_SIZE);
	/* The array of areas is freed as well. */
	KUNIT_EXPECT_NE(test, sim_memmap[PHYS_PFN(old->handover.scratch)].state, SIM_LEFT);
	KUNIT_EXPECT_FALSE(test, kho_scratch_overlap(area, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, kho_in_covers(PFN_PHYS(pfn), PAGE_SIZE));
}

/* A kernel whose KHO fails to initialize frees the areas that it reserved. */
static void scratch_test_given_back(struct kunit *test)
{
	unsigned int given_back = 0, n = 1;

	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "the simulation has areas of its own");
	for (bool failed = true; failed; n++) {
		sim_fail_nth(n);
		boot_with_areas(test, UNIT, UNIT);
		failed = sim_failed();
		sim_fail_nth(0);
		if (!sim_logged("failed to initialize, disabling kexec handover"))
			continue;
		KUNIT_EXPECT_FALSE(test, kho_enable);
		KUNIT_EXPECT_EQ(test, kho_scratch_cnt, 0);
		expect_managed(test, 0);
		given_back++;
	}
	KUNIT_EXPECT_GE(test, given_back, 3);
}

/* More memory for early boot. */

#define GIB		BIT_ULL(30)
#define MAX_GIB		64

static void mark_busy(bool *busy, u64 start, u64 last)
{
	for (u64 i = start / GIB; i <= last / GIB && i < MAX_GIB; i++)
		busy[i] = true;
}

/* Adds keys of any order and address. */
static void add_keys(struct kunit *test, struct kho_radix_tree *map, struct rnd_state *rnd,
		     bool *busy)
{
	for (int i = rnd_below(rnd, 12); i >= 0; i--) {
		unsigned int order = rnd_below(rnd, 4) ? rnd_below(rnd, 33 - PAGE_SHIFT) :
							 rnd_below(rnd, KHO_MAX_ORDER);
		u64 size = PAGE_SIZE << order;
		u64 at = rnd_below(rnd, 8) ? rnd_below(rnd, MAX_GIB) * GIB : -size;

		/*
		 * Blocks at both ends of a GiB, blocks of several GiB, and
		 * blocks at the end of the address space.
		 */
		at = round_down(at - rnd_below(rnd, 2), size);
		for (int nr = rnd_below(rnd, 4); nr >= 0; nr--, at += size) {
			KUNIT_ASSERT_EQ(test, kho_radix_add_key(map, kho_encode_key(at, order)), 0);
			mark_busy(busy, at, at + size - 1);
		}
	}
}

static void expect_extended(struct kunit *test, const bool *busy, u64 end_of_ram)
{
	struct memblock_region *r;
	u64 at = PAGE_SIZE;

	for_each_mem_region(r) {
		KUNIT_ASSERT_EQ(test, r->base, at);
		for (; at < r->base + r->size; at = (at / GIB + 1) * GIB)
			KUNIT_ASSERT_EQ_MSG(test, memblock_is_kho_scratch(r), !busy[at / GIB],
					    "GiB %llu", at / GIB);
		at = r->base + r->size;
	}
	KUNIT_ASSERT_EQ(test, at, end_of_ram);
}

/*
 * Scratch memory is extended by every GiB without a key or a node, up to the
 * end of RAM.
 */
static void scratch_test_extend(struct kunit *test)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (int round = 0; round < 60; round++) {
		u64 end_of_ram = GIB + rnd_below(&rnd, 2 * MAX_GIB - 2) * (GIB / 2);
		bool busy[MAX_GIB + 1] = { true };	/* nodes are in the first one */

		sim_boot_cold();
		KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&kho_in.map, NULL), 0);
		add_keys(test, &kho_in.map, &rnd, busy);
		sim_set_state(SIM_PAGES - 1, 1, SIM_LEFT);
		sim_memblock_reset();
		memblock_add(PAGE_SIZE, end_of_ram - PAGE_SIZE);
		sim_log_clear();
		sim_fail_nth(round % 5 ? 0 : 1 + round / 5);
		kho_extend_scratch();
		KUNIT_EXPECT_EQ(test, memblock.reserved.total_size, 0);
		if (sim_failed())
			KUNIT_EXPECT_TRUE(test, sim_logged("scratch memory: failed to extend"));
		else
			expect_extended(test, busy, end_of_ram);
		sim_fail_nth(0);
		kho_radix_destroy_tree(&kho_in.map);
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_nr_nodes = 1;
	sim_low_limit = 0xffffffff;
	sim_boot_with("kho_scratch", NULL);
	sim_boot_cold();
}

static struct kunit_case scratch_cases[] = {
	KUNIT_CASE_PARAM(scratch_test_option, option_gen_params),
	KUNIT_CASE(scratch_test_boot_use),
	KUNIT_CASE(scratch_test_sizes),
	KUNIT_CASE(scratch_test_scale),
	KUNIT_CASE_PARAM(scratch_test_too_large, too_large_gen_params),
	KUNIT_CASE(scratch_test_no_memory),
	KUNIT_CASE(scratch_test_not_wanted),
	KUNIT_CASE(scratch_test_from),
	KUNIT_CASE(scratch_test_cma),
	KUNIT_CASE(scratch_test_pageblocks),
	KUNIT_CASE(scratch_test_on_demand),
	KUNIT_CASE(scratch_test_given_back),
	KUNIT_CASE(scratch_test_extend),
	{}
};

static struct kunit_suite scratch_suite = {
	.name = "unit-scratch",
	.exit = back_to_cold,
	.test_cases = scratch_cases,
};

kunit_test_suite(scratch_suite);
