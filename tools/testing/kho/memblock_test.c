// SPDX-License-Identifier: GPL-2.0
/*
 * memblock_kho.c, compared with a model that has an element for each quarter of
 * a page.  RAM, reserved regions and sequences are random, and need not be page
 * aligned.
 */

#include "model.h"

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

#define UNIT		(PAGE_SIZE / 4)
#define NR_UNITS	480
#define MAX_RANGES	60
#define ROUNDS		400

enum ram {
	NO_RAM,
	RAM,
	NOMAP,
	SCRATCH,
};

struct world {
	struct rnd_state rnd;
	u8 ram[NR_UNITS];
	bool reserved[NR_UNITS];
	unsigned int flags[NR_UNITS];
	int nid[NR_UNITS];
};

/* A sequence, and for each unit, how often it was refused for each reason. */
struct ranges {
	struct memblock_sequence seq;
	unsigned int start[MAX_RANGES], end[MAX_RANGES];
	unsigned int nr, next;
	u8 refused[NR_UNITS][MEMBLOCK_IN_USE + 1];
	bool strange;
};

static bool flip(struct world *w)
{
	return rnd_below(&w->rnd, 2);
}

/* A range of at least one unit. */
static void random_range(struct world *w, unsigned int max, unsigned int *start,
			 unsigned int *end)
{
	*start = rnd_below(&w->rnd, NR_UNITS - 1);
	*end = min(*start + 1 + rnd_below(&w->rnd, max), (unsigned long)NR_UNITS);
}

static void mark_ram(struct world *w)
{
	unsigned int start, end, u;
	bool nomap = flip(w);

	random_range(w, 30, &start, &end);
	for (u = start; u < end && w->ram[u] == RAM; u++)
		w->ram[u] = nomap ? NOMAP : SCRATCH;
	if (u == start)
		return;
	if (nomap)
		memblock_mark_nomap(start * UNIT, (u - start) * UNIT);
	else
		memblock_mark_kho_scratch(start * UNIT, (u - start) * UNIT);
}

static void add_ram(struct world *w)
{
	unsigned int start, end;

	for (int i = rnd_below(&w->rnd, 8); i >= 0; i--) {
		random_range(w, NR_UNITS / 3, &start, &end);
		memblock_add(start * UNIT, (end - start) * UNIT);
		memset(w->ram + start, RAM, end - start);
	}
	for (int i = rnd_below(&w->rnd, 6); i > 0; i--)
		mark_ram(w);
}

static void reserve(struct world *w, unsigned int start, unsigned int end,
		    unsigned int flags, int nid)
{
	for (unsigned int u = start; u < end; u++) {
		if (w->reserved[u])
			continue;
		w->reserved[u] = true;
		w->flags[u] = flags;
		w->nid[u] = nid;
	}
}

/* @preserved: also add memory as an earlier sequence would have. */
static void add_reserved(struct world *w, bool preserved)
{
	static const unsigned int kinds[] = {
		MEMBLOCK_NONE, MEMBLOCK_RSRV_NOINIT, MEMBLOCK_RSRV_KHO,
		MEMBLOCK_PRESERVED_FLAGS,
	};

	for (int i = rnd_below(&w->rnd, 20); i > 0; i--) {
		unsigned int start, end, flags;
		int nid;

		flags = kinds[rnd_below(&w->rnd, preserved ? 4 : 3)];
		nid = flags == MEMBLOCK_PRESERVED_FLAGS ? NUMA_NO_NODE :
							  rnd_below(&w->rnd, 3) - 1;
		random_range(w, 12, &start, &end);
		__memblock_reserve(start * UNIT, (end - start) * UNIT, nid, flags);
		reserve(w, start, end, flags, nid);
	}
}

static struct world *new_world(struct kunit *test, u64 variation, bool preserved)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	prandom_seed_state(&w->rnd, seed + variation);
	sim_memblock_room = SIM_MAX_REGIONS;
	sim_memblock_reset();
	add_ram(w);
	add_reserved(w, preserved);
	return w;
}

static enum memblock_state state_of(const struct world *w, unsigned int u)
{
	if (w->ram[u] == NO_RAM || w->ram[u] == NOMAP)
		return MEMBLOCK_NOT_RAM;
	if (w->ram[u] == SCRATCH)
		return MEMBLOCK_IN_SCRATCH;
	if (!w->reserved[u])
		return MEMBLOCK_UNUSED;
	return w->flags[u] == MEMBLOCK_PRESERVED_FLAGS ? MEMBLOCK_PRESERVED :
							 MEMBLOCK_IN_USE;
}

/* Sequences. */

static bool next_range(struct memblock_sequence *seq, phys_addr_t *start,
		       phys_addr_t *end)
{
	struct ranges *r = container_of(seq, struct ranges, seq);

	if (r->next == r->nr)
		return false;

	*start = r->start[r->next] * UNIT;
	*end = r->end[r->next++] * UNIT;
	return true;
}

static void refuse_range(struct memblock_sequence *seq, phys_addr_t start,
			 phys_addr_t end, enum memblock_state state)
{
	struct ranges *r = container_of(seq, struct ranges, seq);
	unsigned int i = r->next - 1;

	/* Refused memory must be in the range that next_range() returned last. */
	r->strange |= start >= end || start % UNIT || end % UNIT ||
		      start < r->start[i] * UNIT || end > r->end[i] * UNIT;
	for (; !r->strange && start < end; start += UNIT)
		r->refused[start / UNIT][state]++;
}

/* Ranges are ascending and disjoint, and some are adjacent. */
static struct ranges *new_ranges(struct kunit *test, struct world *w,
				 unsigned int flags)
{
	struct ranges *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	unsigned int gap = 1 + rnd_below(&w->rnd, 30), size = 1 + rnd_below(&w->rnd, 30);
	unsigned int at = rnd_below(&w->rnd, NR_UNITS / 4);

	r->seq = (struct memblock_sequence){
		.next = next_range,
		.refuse = rnd_below(&w->rnd, 8) ? refuse_range : NULL,
		.flags = flags,
	};
	while (r->nr < MAX_RANGES) {
		at += rnd_below(&w->rnd, gap);
		r->start[r->nr] = at;
		at += 1 + rnd_below(&w->rnd, size);
		if (at > NR_UNITS)
			break;
		r->end[r->nr++] = at;
	}
	return r;
}

/* The regions themselves. */

static phys_addr_t total_size(const struct memblock_type *type)
{
	phys_addr_t size = 0;

	for (unsigned long i = 0; i < type->cnt; i++)
		size += type->regions[i].size;
	return size;
}

static void expect_regions_in_order(struct kunit *test)
{
	const struct memblock_type *type = &memblock.reserved;

	KUNIT_ASSERT_LE(test, type->cnt, type->max);
	KUNIT_ASSERT_EQ(test, type->total_size, total_size(type));
	for (unsigned long i = 0; i < type->cnt; i++) {
		const struct memblock_region *r = &type->regions[i], *last = r - 1;

		KUNIT_ASSERT_GT(test, r->size, 0);
		if (!i)
			continue;
		KUNIT_ASSERT_LE(test, last->base + last->size, r->base);
		/* Adjacent regions with the same properties are merged. */
		KUNIT_ASSERT_FALSE(test, last->base + last->size == r->base &&
				   last->flags == r->flags && last->nid == r->nid);
	}
}

static const struct memblock_region *region_at(unsigned int u)
{
	const struct memblock_region *r;

	for_each_reserved_mem_region(r) {
		if (r->base <= u * UNIT && u * UNIT < r->base + r->size)
			return r;
	}
	return NULL;
}

static void expect_regions(struct kunit *test, const struct world *w)
{
	expect_regions_in_order(test);
	for (unsigned int u = 0; u < NR_UNITS; u++) {
		const struct memblock_region *r = region_at(u);

		KUNIT_ASSERT_EQ_MSG(test, !!r, w->reserved[u], "unit %u", u);
		if (!r)
			continue;
		KUNIT_ASSERT_EQ_MSG(test, r->flags, w->flags[u], "unit %u", u);
		KUNIT_ASSERT_EQ_MSG(test, r->nid, w->nid[u], "unit %u", u);
	}
}

/*
 * Each unit of the sequence was either refused, once and for the right reason,
 * or is reserved.
 */
static void expect_reserved(struct kunit *test, struct world *w, struct ranges *r)
{
	u8 wanted[NR_UNITS][MEMBLOCK_IN_USE + 1] = { };

	KUNIT_ASSERT_FALSE(test, r->strange);
	for (unsigned int i = 0; i < r->nr; i++) {
		for (unsigned int u = r->start[i]; u < r->end[i]; u++) {
			enum memblock_state state = state_of(w, u);

			if (state == MEMBLOCK_UNUSED)
				reserve(w, u, u + 1, r->seq.flags, NUMA_NO_NODE);
			else if (r->seq.refuse)
				wanted[u][state]++;
		}
	}
	KUNIT_ASSERT_MEMEQ(test, r->refused, wanted, sizeof(wanted));
	expect_regions(test, w);
}

static void memblock_test_random(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct world *w = new_world(test, round, round % 2);
		unsigned int flags = round % 2 ? MEMBLOCK_PRESERVED_FLAGS :
						 MEMBLOCK_RSRV_KHO;

		expect_regions(test, w);
		for (int i = 0; i < 4; i++) {
			struct ranges *r = new_ranges(test, w, flags);

			KUNIT_ASSERT_EQ(test, memblock_reserve_sequence(&r->seq, r->nr), 0);
			expect_reserved(test, w, r);
			flags = MEMBLOCK_PRESERVED_FLAGS;
		}
	}
}

/*
 * Marks what memblock_reserve_all_but_scratch() reserves: the whole pages of
 * each region of RAM.
 */
static void reserve_all(struct world *w)
{
	struct memblock_region *r;

	for_each_mem_region(r) {
		unsigned int u = PAGE_ALIGN(r->base) / UNIT;

		for (; u < PAGE_ALIGN_DOWN(r->base + r->size) / UNIT; u++) {
			if (state_of(w, u) == MEMBLOCK_UNUSED)
				reserve(w, u, u + 1, MEMBLOCK_PRESERVED_FLAGS,
					NUMA_NO_NODE);
		}
	}
}

static void memblock_test_all_but_scratch(struct kunit *test)
{
	for (unsigned int round = 0; round < ROUNDS / 4; round++) {
		struct world *w = new_world(test, 10000 + round, true);

		KUNIT_ASSERT_EQ(test, memblock_reserve_all_but_scratch(), 0);
		reserve_all(w);
		expect_regions(test, w);
	}
}

/* Arrays with little space. */

#define CANARY		0x5a

static struct memblock_region *past_array(void)
{
	return &memblock.reserved.regions[memblock.reserved.max];
}

static void expect_canary(struct kunit *test)
{
	KUNIT_ASSERT_NULL(test, memchr_inv(past_array(), CANARY, sizeof(*past_array())));
}

/* Leaves @spare free regions in the array, and keeps it from growing. */
static void limit_array(unsigned long spare)
{
	memblock.reserved.max = memblock.reserved.cnt + spare;
	sim_memblock_room = memblock.reserved.max;
	memset(past_array(), CANARY, sizeof(*past_array()));
}

/*
 * The sequence is reserved completely or not at all, for different numbers of
 * free regions.
 */
static void memblock_test_limited(struct kunit *test)
{
	unsigned int failed = 0, succeeded = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct world *w = new_world(test, 20000 + round / 20, true);
		struct ranges *r = new_ranges(test, w, MEMBLOCK_PRESERVED_FLAGS);
		int err;

		limit_array(6 * (round % 20));
		err = memblock_reserve_sequence(&r->seq, r->nr);
		expect_canary(test);
		if (err) {
			KUNIT_ASSERT_EQ(test, err, -ENOMEM);
			KUNIT_ASSERT_EQ(test, r->next, 0);
			expect_regions(test, w);
			failed++;
		} else {
			expect_reserved(test, w, r);
			succeeded++;
		}
	}
	KUNIT_EXPECT_GT(test, failed, ROUNDS / 10);
	KUNIT_EXPECT_GT(test, succeeded, ROUNDS / 10);
}

/*
 * Memory that was reserved before is still reserved, and the sequence is reserved
 * up to some address.
 */
static void expect_part(struct kunit *test, const struct world *w,
			const struct ranges *r)
{
	bool in_sequence[NR_UNITS] = { }, full = false;

	expect_regions_in_order(test);
	for (unsigned int i = 0; i < r->nr; i++)
		memset(in_sequence + r->start[i], true, r->end[i] - r->start[i]);
	for (unsigned int u = 0; u < NR_UNITS; u++) {
		const struct memblock_region *at = region_at(u);

		if (w->reserved[u]) {
			KUNIT_ASSERT_TRUE(test, at && at->flags == w->flags[u]);
		} else if (in_sequence[u] && state_of(w, u) == MEMBLOCK_UNUSED) {
			KUNIT_ASSERT_FALSE(test, at && full);
			full = !at;
		} else {
			KUNIT_ASSERT_NULL(test, at);
		}
	}
	KUNIT_ASSERT_TRUE(test, full);
}

/*
 * A sequence with more ranges than announced fills the array.  No region may be
 * lost, and all new regions must be in the sequence.
 */
static void memblock_test_too_long(struct kunit *test)
{
	unsigned int failed = 0;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct world *w = new_world(test, 30000 + round, true);
		struct ranges *r = new_ranges(test, w, MEMBLOCK_PRESERVED_FLAGS);
		int err;

		/* Leave somewhat more space than the sequence announces. */
		memblock.reserved.max = memblock.reserved.cnt;
		KUNIT_ASSERT_EQ(test, memblock_reserved_grow(rnd_below(&w->rnd, 40)), 0);
		limit_array(memblock.reserved.max - memblock.reserved.cnt);
		err = memblock_reserve_sequence(&r->seq, 0);
		expect_canary(test);
		KUNIT_ASSERT_EQ(test, r->next, r->nr);
		if (!err) {
			expect_reserved(test, w, r);
			continue;
		}
		KUNIT_ASSERT_EQ(test, err, -ENOMEM);
		failed++;
		expect_part(test, w, r);
	}
	KUNIT_EXPECT_GT(test, failed, ROUNDS / 20);
}

/* Regions of this kernel split a range: the array has space for all parts. */
static void memblock_test_cut(struct kunit *test)
{
	for (unsigned int nr = 0; nr < 40; nr++) {
		struct ranges *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);

		sim_memblock_room = SIM_MAX_REGIONS;
		sim_memblock_reset();
		memblock_add(0, NR_UNITS * UNIT);
		for (unsigned int i = 0; i < nr; i++)
			memblock_reserve((4 * i + 1) * UNIT, UNIT);
		r->seq = (struct memblock_sequence){
			.next = next_range, .flags = MEMBLOCK_PRESERVED_FLAGS,
		};
		r->end[r->nr++] = NR_UNITS;
		memblock.reserved.max = memblock.reserved.cnt;
		KUNIT_ASSERT_EQ(test, memblock_reserve_sequence(&r->seq, 1), 0);
		KUNIT_ASSERT_EQ(test, memblock.reserved.cnt, 2 * nr + 1);
		expect_regions_in_order(test);
	}
}

/* A sequence that does not need a region succeeds without a free region. */
static void memblock_test_nothing_to_add(struct kunit *test)
{
	for (unsigned int round = 0; round < ROUNDS / 4; round++) {
		struct world *w = new_world(test, 40000 + round, true);
		struct ranges *r;

		KUNIT_ASSERT_EQ(test, memblock_reserve_all_but_scratch(), 0);
		reserve_all(w);
		r = new_ranges(test, w, MEMBLOCK_PRESERVED_FLAGS);
		/*
		 * Shorten each range to the part that is reserved or refused:
		 * memblock_reserve_all_but_scratch() does not reserve parts of
		 * pages.
		 */
		for (unsigned int i = 0; i < r->nr; i++) {
			unsigned int u = r->start[i];

			while (u < r->end[i] && state_of(w, u) != MEMBLOCK_UNUSED)
				u++;
			r->end[i] = u;
		}
		limit_array(0);
		KUNIT_ASSERT_EQ(test, memblock_reserve_sequence(&r->seq, 0), 0);
		expect_canary(test);
		expect_reserved(test, w, r);
	}
}

/* Searches. */

/*
 * Like __next_mem_range() of the kernel, for memory that the firmware does not
 * use.
 */
static bool next_free(u64 *idx, phys_addr_t *start, phys_addr_t *end)
{
	const struct memblock_type *ram = &memblock.memory, *reserved = &memblock.reserved;
	unsigned int a = *idx, b = *idx >> 32;

	for (; a < ram->cnt; a++) {
		struct memblock_region *m = &ram->regions[a];
		phys_addr_t m_end = m->base + m->size;

		if (memblock_is_nomap(m))
			continue;
		for (; b < reserved->cnt + 1; b++) {
			const struct memblock_region *r = &reserved->regions[b];
			phys_addr_t r_start = b ? r[-1].base + r[-1].size : 0;
			phys_addr_t r_end = b < reserved->cnt ? r->base : PHYS_ADDR_MAX;

			if (r_start >= m_end)
				break;
			if (m->base >= r_end)
				continue;
			*start = max(m->base, r_start);
			*end = min(m_end, r_end);
			*idx = m_end <= r_end ? (u64)b << 32 | (a + 1) :
						(u64)(b + 1) << 32 | a;
			return true;
		}
	}
	return false;
}

static void expect_free(struct kunit *test, const struct world *w, unsigned int from)
{
	u64 idx = memblock_free_range_from(from * UNIT);
	bool free[NR_UNITS] = { };
	phys_addr_t start, end;

	for (int nr = 0; next_free(&idx, &start, &end); nr++) {
		/* Only the first range may end before the address. */
		KUNIT_ASSERT_TRUE(test, !nr || end > from * UNIT);
		for (; start < end; start += UNIT)
			free[start / UNIT] = true;
	}
	for (unsigned int u = from; u < NR_UNITS; u++)
		KUNIT_ASSERT_EQ_MSG(test, free[u], !w->reserved[u] &&
				    (w->ram[u] == RAM || w->ram[u] == SCRATCH),
				    "unit %u from %u", u, from);
}

static void memblock_test_free_range_from(struct kunit *test)
{
	for (unsigned int round = 0; round < ROUNDS / 4; round++) {
		struct world *w = new_world(test, 50000 + round, true);

		for (unsigned int from = 0; from <= NR_UNITS; from += 1 + rnd_below(&w->rnd, 9))
			expect_free(test, w, from);
	}
}

/* The search finds all preserved units of the node, and stays within its limits. */
static void expect_preserved(struct kunit *test, const struct world *w, int nid,
			     unsigned int first, unsigned int last)
{
	const struct memblock_region *r;
	bool found[NR_UNITS] = { };

	for_each_preserved_mem_region(r, first * UNIT, last * UNIT, nid) {
		KUNIT_ASSERT_GT(test, r->base + r->size, first * UNIT);
		KUNIT_ASSERT_LT(test, r->base, last * UNIT);
		for (unsigned int u = r->base / UNIT; u < (r->base + r->size) / UNIT; u++)
			found[u] = true;
	}
	for (unsigned int u = first; u < last; u++)
		KUNIT_ASSERT_EQ_MSG(test, found[u], w->reserved[u] && w->nid[u] == nid &&
				    w->flags[u] == MEMBLOCK_PRESERVED_FLAGS, "unit %u", u);
}

/* Sets the node of each region, as memblock_set_node() does. */
static void set_nodes(struct world *w)
{
	struct memblock_region *r;

	for_each_reserved_mem_region(r) {
		r->nid = rnd_below(&w->rnd, 2);
		for (unsigned int u = r->base / UNIT; u < (r->base + r->size) / UNIT; u++)
			w->nid[u] = r->nid;
	}
}

static void memblock_test_next_preserved(struct kunit *test)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct world *w = new_world(test, 60000 + round, true);

		set_nodes(w);
		for (int i = 0; i < 20; i++) {
			unsigned int first = rnd_below(&w->rnd, NR_UNITS);
			unsigned int last = first + rnd_below(&w->rnd, NR_UNITS - first + 1);

			expect_preserved(test, w, rnd_below(&w->rnd, 2), first, last);
		}
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_memblock_room = SIM_MAX_REGIONS;
	sim_boot_cold();
}

static struct kunit_case memblock_cases[] = {
	KUNIT_CASE(memblock_test_random),
	KUNIT_CASE(memblock_test_all_but_scratch),
	KUNIT_CASE(memblock_test_limited),
	KUNIT_CASE(memblock_test_too_long),
	KUNIT_CASE(memblock_test_cut),
	KUNIT_CASE(memblock_test_nothing_to_add),
	KUNIT_CASE(memblock_test_free_range_from),
	KUNIT_CASE(memblock_test_next_preserved),
	{}
};

static struct kunit_suite memblock_suite = {
	.name = "unit-memblock",
	.exit = back_to_cold,
	.test_cases = memblock_cases,
};

kunit_test_suite(memblock_suite);
