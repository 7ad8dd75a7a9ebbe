// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of block sets: capacity, records, iterators, and the bytes of the
 * blocks.  kho_restore_sets_kunit.c tests restoring of sets.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/block.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/string.h>

#include "low_memory.h"

#define HEADER_SIZE	sizeof(struct kho_block_header_ser)
#define LARGEST_SET	10000	/* in blocks of one page */

/* The size is not a power of two, so that a block has unused bytes at its end. */
struct record {
	u64 id;
	u64 unused[2];
};

static int kho_block_test_init(struct kunit *test)
{
	if (!kho_is_enabled())
		kunit_skip(test, "Kexec Handover is off: boot with kho=on");

	return 0;
}

KUNIT_DEFINE_ACTION_WRAPPER(destroy_set, kho_block_set_destroy,
			    struct kho_block_set *);

static struct kho_block_set *new_set(struct kunit *test, size_t entry_size)
{
	struct kho_block_set *bs = kunit_kzalloc(test, sizeof(*bs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bs);
	kho_block_set_init(bs, entry_size);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy_set, bs),
			0);
	return bs;
}

/* A set with capacity for @blocks full blocks and @more records. */
static struct kho_block_set *grown_set(struct kunit *test, u64 blocks, u64 more)
{
	struct kho_block_set *bs = new_set(test, sizeof(struct record));
	u64 count = blocks * bs->count_per_block + more;

	KUNIT_ASSERT_EQ(test, kho_block_set_grow(bs, count), 0);
	return bs;
}

/* Appends records with the ids 0, 1, 2 ... */
static void fill(struct kunit *test, struct kho_block_set *bs, u64 count)
{
	struct kho_block_set_it it;

	kho_block_set_it_init(&it, bs);
	for (u64 id = 0; id < count; id++) {
		struct record *r = kho_block_set_it_reserve_entry(&it);

		KUNIT_ASSERT_NOT_NULL(test, r);
		r->id = id;
	}
}

/* Reads all records and expects the ids 0 to @count - 1. */
static void expect_records(struct kunit *test, struct kho_block_set *bs,
			   u64 count)
{
	struct kho_block_set_it it;
	struct record *r;
	u64 id = 0;

	kho_block_set_it_init(&it, bs);
	while ((r = kho_block_set_it_read_entry(&it))) {
		KUNIT_ASSERT_LT(test, id, count);
		KUNIT_ASSERT_EQ(test, r->id, id++);
	}
	KUNIT_EXPECT_EQ(test, id, count);
	KUNIT_EXPECT_NULL(test, kho_block_set_it_read_entry(&it));
}

/* Block number @i of the chain, as the next kernel finds it; NULL after the last. */
static struct kho_block_header_ser *chain_block(struct kho_block_set *bs, int i)
{
	u64 pa = kho_block_set_head_pa(bs);

	while (pa && i--)
		pa = ((struct kho_block_header_ser *)phys_to_virt(pa))->next;

	return pa ? phys_to_virt(pa) : NULL;
}

static void expect_blocks(struct kunit *test, struct kho_block_set *bs, int nr)
{
	KUNIT_EXPECT_EQ(test, bs->nblocks, nr);
	KUNIT_EXPECT_EQ(test, kho_block_set_is_empty(bs), nr == 0);
	if (nr)
		KUNIT_EXPECT_NOT_NULL(test, chain_block(bs, nr - 1));
	KUNIT_EXPECT_NULL(test, chain_block(bs, nr));
}

/* Capacity. */

static const struct size_case {
	const char *name;
	size_t size;
} size_cases[] = {
	{ "1 byte", 1 },
	{ "8 bytes", 8 },
	{ "record", sizeof(struct record) },
	{ "64 bytes", 64 },
	{ "80 bytes", 80 },
	{ "half a block", (KHO_BLOCK_SIZE - HEADER_SIZE) / 2 },
	{ "half a block and 1", (KHO_BLOCK_SIZE - HEADER_SIZE) / 2 + 1 },
	{ "whole block", KHO_BLOCK_SIZE - HEADER_SIZE },
	{ "too large", KHO_BLOCK_SIZE - HEADER_SIZE + 1 },
};

KUNIT_ARRAY_PARAM_DESC(size, size_cases, name);

static void kho_block_test_capacity(struct kunit *test)
{
	size_t size = ((const struct size_case *)test->param_value)->size;
	struct kho_block_set *bs = new_set(test, size);

	KUNIT_EXPECT_LE(test, HEADER_SIZE + bs->count_per_block * size,
			KHO_BLOCK_SIZE);
	KUNIT_EXPECT_GT(test, HEADER_SIZE + (bs->count_per_block + 1) * size,
			KHO_BLOCK_SIZE);
}

static void kho_block_test_initializer(struct kunit *test)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, 24);
	struct kho_block_set *other = new_set(test, 24);

	KUNIT_EXPECT_EQ(test, bs.entry_size, 24);
	KUNIT_EXPECT_EQ(test, bs.count_per_block, other->count_per_block);
	expect_blocks(test, &bs, 0);
	expect_blocks(test, other, 0);
}

/* Capacity for @blocks full blocks and @more records takes @expected blocks. */
static const struct capacity {
	const char *name;
	u64 blocks;
	u64 more;
	int expected;
} capacities[] = {
	{ "nothing", 0, 0, 0 },
	{ "1", 0, 1, 1 },
	{ "n", 1, 0, 1 },
	{ "n + 1", 1, 1, 2 },
	{ "2n", 2, 0, 2 },
	{ "2n + 1", 2, 1, 3 },
	{ "3n", 3, 0, 3 },
};

KUNIT_ARRAY_PARAM_DESC(capacity, capacities, name);

static void kho_block_test_grow(struct kunit *test)
{
	const struct capacity *capacity = test->param_value;

	expect_blocks(test, grown_set(test, capacity->blocks, capacity->more),
		      capacity->expected);
}

static void kho_block_test_shrink(struct kunit *test)
{
	const struct capacity *capacity = test->param_value;
	struct kho_block_set *bs = grown_set(test, 3, 0);

	kho_block_set_shrink(bs, capacity->blocks * bs->count_per_block + capacity->more);
	expect_blocks(test, bs, capacity->expected);
}

static void kho_block_test_grow_enough(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);

	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 2 * bs->count_per_block), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 1), 0);
	expect_blocks(test, bs, 2);
}

static void kho_block_test_grow_keeps_records(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 1, 0);
	u64 n = bs->count_per_block;

	fill(test, bs, n);
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(bs, 3 * n), 0);
	expect_records(test, bs, n);
}

static void kho_block_test_grow_without_limit(struct kunit *test)
{
	struct kho_block_set *bs = new_set(test, KHO_BLOCK_SIZE - HEADER_SIZE);

	kho_skip_if_low_memory(test, LARGEST_SET);

	KUNIT_ASSERT_EQ(test, kho_block_set_grow(bs, 1), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, U64_MAX), -ENOSPC);
	expect_blocks(test, bs, 1);
}

static void kho_block_test_grow_too_large_record(struct kunit *test)
{
	struct kho_block_set *bs = new_set(test, KHO_BLOCK_SIZE);

	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 1), -EINVAL);
	expect_blocks(test, bs, 0);
}

static void kho_block_test_shrink_less(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 1, 0);

	kho_block_set_shrink(bs, 5 * bs->count_per_block);
	expect_blocks(test, bs, 1);
}

static void kho_block_test_grow_after_shrink(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);

	kho_block_set_shrink(bs, 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(bs), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 1), 0);
	expect_blocks(test, bs, 1);
	expect_records(test, bs, 0);
}

static void kho_block_test_destroy(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 1);

	kho_block_set_destroy(bs);
	expect_blocks(test, bs, 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 1), 0);
	expect_blocks(test, bs, 1);
}

/* Records. */

static void kho_block_test_reserve_without_room(struct kunit *test)
{
	struct kho_block_set *bs = new_set(test, sizeof(struct record));
	struct kho_block_set_it it;

	kho_block_set_it_init(&it, bs);
	KUNIT_EXPECT_NULL(test, kho_block_set_it_reserve_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_set_it_read_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_set_it_prev(&it));
}

static void kho_block_test_reserve_until_full(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);
	struct kho_block_set_it it;

	kho_block_set_it_init(&it, bs);
	for (u64 i = 0; i < 2 * bs->count_per_block; i++)
		KUNIT_ASSERT_NOT_NULL(test, kho_block_set_it_reserve_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_set_it_reserve_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_set_it_reserve_entry(&it));
}

/* The set always has three blocks; those at its end may be empty. */
static void kho_block_test_read(struct kunit *test)
{
	const struct capacity *capacity = test->param_value;
	struct kho_block_set *bs = grown_set(test, 3, 0);
	u64 count = capacity->blocks * bs->count_per_block + capacity->more;

	fill(test, bs, count);
	expect_records(test, bs, count);
}

static void kho_block_test_prev(struct kunit *test)
{
	const struct capacity *capacity = test->param_value;
	struct kho_block_set *bs = grown_set(test, 3, 0);
	u64 id = capacity->blocks * bs->count_per_block + capacity->more;
	struct kho_block_set_it it;
	struct record *r;

	fill(test, bs, id);
	kho_block_set_it_init(&it, bs);
	while (kho_block_set_it_read_entry(&it))
		;

	while ((r = kho_block_set_it_prev(&it))) {
		KUNIT_ASSERT_GT(test, id, 0);
		KUNIT_ASSERT_EQ(test, r->id, --id);
	}
	KUNIT_EXPECT_EQ(test, id, 0);
	KUNIT_EXPECT_NULL(test, kho_block_set_it_prev(&it));
}

/* A writer steps back like this to undo its records. */
static void kho_block_test_prev_after_reserve(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);
	struct kho_block_set_it it;
	struct record *last = NULL, *r;

	kho_block_set_it_init(&it, bs);
	for (u64 id = 0; id <= bs->count_per_block; id++) {
		last = kho_block_set_it_reserve_entry(&it);
		KUNIT_ASSERT_NOT_NULL(test, last);
		last->id = id;
	}

	KUNIT_EXPECT_PTR_EQ(test, kho_block_set_it_prev(&it), last);
	r = kho_block_set_it_prev(&it);
	KUNIT_ASSERT_NOT_NULL(test, r);
	KUNIT_EXPECT_EQ(test, r->id, bs->count_per_block - 1);
}

static void kho_block_test_read_after_prev(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 1, 0);
	struct kho_block_set_it it;
	struct record *first;

	fill(test, bs, 2);
	kho_block_set_it_init(&it, bs);
	first = kho_block_set_it_read_entry(&it);
	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_EXPECT_PTR_EQ(test, kho_block_set_it_prev(&it), first);
	KUNIT_EXPECT_PTR_EQ(test, kho_block_set_it_read_entry(&it), first);
}

static void kho_block_test_clear(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);

	fill(test, bs, 2 * bs->count_per_block);
	kho_block_set_clear(bs);

	expect_blocks(test, bs, 2);
	expect_records(test, bs, 0);
	for (int i = 0; i < 2; i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(chain_block(bs, i) + 1, 0,
						   KHO_BLOCK_SIZE - HEADER_SIZE));
}

static void kho_block_test_fill_after_clear(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 2, 0);

	fill(test, bs, 2 * bs->count_per_block);
	kho_block_set_clear(bs);
	fill(test, bs, 3);
	expect_records(test, bs, 3);
}

/* The bytes that the next kernel finds. */

static void kho_block_test_golden(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 1, 1);
	u64 n = bs->count_per_block;
	u64 *first, *second;

	fill(test, bs, n + 1);
	first = phys_to_virt(kho_block_set_head_pa(bs));
	second = phys_to_virt(first[0]);

	/* Word 0 is the next block, word 1 the count; records start at word 2. */
	KUNIT_EXPECT_EQ(test, first[1], n);
	for (u64 id = 0; id < n; id++)
		KUNIT_ASSERT_EQ(test, first[2 + 3 * id], id);
	KUNIT_EXPECT_EQ(test, second[0], 0);
	KUNIT_EXPECT_EQ(test, second[1], 1);
	KUNIT_EXPECT_EQ(test, second[2], n);
	KUNIT_EXPECT_NULL(test, memchr_inv(second + 3, 0,
					   KHO_BLOCK_SIZE - 3 * sizeof(u64)));
}

static void kho_block_test_new_block_is_zero(struct kunit *test)
{
	struct kho_block_set *bs = grown_set(test, 1, 0);

	KUNIT_EXPECT_NULL(test, memchr_inv(chain_block(bs, 0), 0,
					   KHO_BLOCK_SIZE));
}

/* Empty sets of the previous kernel. */

static void kho_block_test_restore_nothing(struct kunit *test)
{
	struct kho_block_set *bs = new_set(test, sizeof(struct record));

	KUNIT_EXPECT_EQ(test, kho_block_set_restore(bs, 0), 0);
	expect_blocks(test, bs, 0);
	expect_records(test, bs, 0);
	/* An incoming set cannot grow, even if it is empty. */
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(bs, 1), -EINVAL);
}

static void kho_block_test_restore_own_set(struct kunit *test)
{
	struct kho_block_set *bs = new_set(test, sizeof(struct record));
	struct kho_block_set *own = grown_set(test, 2, 0);

	fill(test, own, own->count_per_block + 1);
	KUNIT_EXPECT_EQ(test,
			kho_block_set_restore(bs, kho_block_set_head_pa(own)),
			-EINVAL);
	expect_blocks(test, bs, 0);
	expect_records(test, own, own->count_per_block + 1);
}

static const struct bad_head {
	const char *name;
	u64 pa;
} bad_heads[] = {
	{ "not aligned", 8 },
	{ "no memory", 1ULL << 50 },
	{ "last page", -PAGE_SIZE },
	{ "all bits", U64_MAX },
};

KUNIT_ARRAY_PARAM_DESC(bad_head, bad_heads, name);

static void kho_block_test_restore_bad_head(struct kunit *test)
{
	const struct bad_head *head = test->param_value;
	struct kho_block_set *bs = new_set(test, sizeof(struct record));

	KUNIT_EXPECT_EQ(test, kho_block_set_restore(bs, head->pa), -EINVAL);
	expect_blocks(test, bs, 0);
}

static struct kunit_case kho_block_cases[] = {
	KUNIT_CASE_PARAM(kho_block_test_capacity, size_gen_params),
	KUNIT_CASE(kho_block_test_initializer),
	KUNIT_CASE_PARAM(kho_block_test_grow, capacity_gen_params),
	KUNIT_CASE_PARAM(kho_block_test_shrink, capacity_gen_params),
	KUNIT_CASE(kho_block_test_grow_enough),
	KUNIT_CASE(kho_block_test_grow_keeps_records),
	KUNIT_CASE(kho_block_test_grow_without_limit),
	KUNIT_CASE(kho_block_test_grow_too_large_record),
	KUNIT_CASE(kho_block_test_shrink_less),
	KUNIT_CASE(kho_block_test_grow_after_shrink),
	KUNIT_CASE(kho_block_test_destroy),
	KUNIT_CASE(kho_block_test_reserve_without_room),
	KUNIT_CASE(kho_block_test_reserve_until_full),
	KUNIT_CASE_PARAM(kho_block_test_read, capacity_gen_params),
	KUNIT_CASE_PARAM(kho_block_test_prev, capacity_gen_params),
	KUNIT_CASE(kho_block_test_prev_after_reserve),
	KUNIT_CASE(kho_block_test_read_after_prev),
	KUNIT_CASE(kho_block_test_clear),
	KUNIT_CASE(kho_block_test_fill_after_clear),
	KUNIT_CASE(kho_block_test_golden),
	KUNIT_CASE(kho_block_test_new_block_is_zero),
	KUNIT_CASE(kho_block_test_restore_nothing),
	KUNIT_CASE(kho_block_test_restore_own_set),
	KUNIT_CASE_PARAM(kho_block_test_restore_bad_head, bad_head_gen_params),
	{}
};

static struct kunit_suite kho_block_suite = {
	.name = "kho-block",
	.init = kho_block_test_init,
	.test_cases = kho_block_cases,
};

kunit_test_suite(kho_block_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of KHO block sets");
MODULE_LICENSE("GPL");
