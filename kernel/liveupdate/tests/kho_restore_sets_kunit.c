// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of restoring block sets and vmalloc areas of a previous kernel, valid
 * and damaged.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/io.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/kho/block.h>
#include <linux/kho/vmalloc.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "incoming.h"
#include "low_memory.h"

/* Block sets: pages 0, 2 and 1 are the chain; other pages are not in it. */

struct record {
	u64 id;
	u64 unused[2];
};

#define BLOCK_RECORDS							\
	((KHO_BLOCK_SIZE - sizeof(struct kho_block_header_ser)) /	\
	 sizeof(struct record))

static const unsigned int chain[] = { 0, 2, 1 };

static struct kho_block_header_ser *chain_block(const struct incoming *in, int i)
{
	return incoming_page(in, chain[i]);
}

/* A chain of two full blocks and a block with @last records. */
static struct incoming *incoming_chain(struct kunit *test, unsigned int last)
{
	struct incoming *in = incoming_create(test, "0000000-");
	u64 id = 0;

	for (int i = 0; i < ARRAY_SIZE(chain); i++) {
		struct kho_block_header_ser *ser = chain_block(in, i);
		struct record *records = (struct record *)(ser + 1);
		bool end = i == ARRAY_SIZE(chain) - 1;

		ser->next = end ? 0 : incoming_phys(in, chain[i + 1]);
		ser->count = end ? last : BLOCK_RECORDS;
		for (u64 r = 0; r < ser->count; r++)
			records[r].id = id++;
	}

	return in;
}

static const struct last_block {
	const char *name;
	unsigned int records;
} last_blocks[] = {
	{ "empty last block", 0 },
	{ "1 record in the last block", 1 },
	{ "full last block", BLOCK_RECORDS },
};

KUNIT_ARRAY_PARAM_DESC(last_block, last_blocks, name);

static void kho_restore_test_block_set(struct kunit *test)
{
	unsigned int last = ((const struct last_block *)test->param_value)->records;
	struct incoming *in = incoming_chain(test, last);
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));
	struct kho_block_set_it it;
	struct record *r;
	u64 id = 0;

	KUNIT_ASSERT_EQ(test, kho_block_set_restore(&bs, in->phys), 0);
	KUNIT_EXPECT_EQ(test, bs.nblocks, ARRAY_SIZE(chain));
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&bs), in->phys);

	kho_block_set_it_init(&it, &bs);
	while ((r = kho_block_set_it_read_entry(&it)))
		KUNIT_EXPECT_EQ(test, r->id, id++);
	KUNIT_EXPECT_EQ(test, id, 2 * BLOCK_RECORDS + last);

	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&bs, 1), -EINVAL);
	kho_block_set_destroy(&bs);
}

static void kho_restore_test_block_set_destroy(struct kunit *test)
{
	struct incoming *in = incoming_chain(test, 1);
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));

	KUNIT_ASSERT_EQ(test, kho_block_set_restore(&bs, in->phys), 0);
	kho_block_set_destroy(&bs);

	for (int i = 0; i < ARRAY_SIZE(chain); i++)
		KUNIT_EXPECT_FALSE(test, preserved(in, chain[i], 1));
	KUNIT_EXPECT_TRUE(test, preserved(in, 3, 1));
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&bs, in->phys), -EINVAL);
}

/* One word of the chain is overwritten: @next or @count of a block. */
static const struct block_damage {
	const char *name;
	unsigned int block;
	bool next;	/* overwrite @next instead of @count */
	bool relative;	/* @value is an offset in the pages */
	u64 value;
	bool head_is_bad;
} block_damages[] = {
	{ "count of the head too large", 0, false, false, BLOCK_RECORDS + 1,
	  true },
	{ "count of the last too large", 2, false, false, BLOCK_RECORDS + 1 },
	{ "count without limit", 2, false, false, U64_MAX },
	{ "records past the capacity", 1, false, false, BLOCK_RECORDS - 1 },
	{ "records after an empty block", 0, false, false, 0 },
	{ "circle", 2, true, true, 0 },
	{ "leads to itself", 1, true, true, 2 * PAGE_SIZE },
	{ "page not preserved", 2, true, true, 7 * PAGE_SIZE },
	{ "not aligned", 2, true, true, 3 * PAGE_SIZE + 8 },
	{ "outside memory", 2, true, false, 1ULL << 50 },
	{ "all bits", 2, true, false, U64_MAX },
};

KUNIT_ARRAY_PARAM_DESC(block_damage, block_damages, name);

static void kho_restore_test_block_set_damaged(struct kunit *test)
{
	const struct block_damage *d = test->param_value;
	struct incoming *in = incoming_chain(test, BLOCK_RECORDS);
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));
	struct kho_block_header_ser *ser = chain_block(in, d->block);

	*(d->next ? &ser->next : &ser->count) =
		d->value + (d->relative ? in->phys : 0);

	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&bs, in->phys), -EINVAL);
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&bs), 0);
	/* Blocks before the damaged block are freed; the damaged block is not. */
	KUNIT_EXPECT_EQ(test, preserved(in, chain[0], 1), d->head_is_bad);
	KUNIT_EXPECT_TRUE(test, preserved(in, 3, 1));
}

static struct kunit_case kho_restore_block_cases[] = {
	KUNIT_CASE_PARAM(kho_restore_test_block_set, last_block_gen_params),
	KUNIT_CASE(kho_restore_test_block_set_destroy),
	KUNIT_CASE_PARAM(kho_restore_test_block_set_damaged,
			 block_damage_gen_params),
	{}
};

static struct kunit_suite kho_restore_block_suite = {
	.name = "kho-restore-block",
	.init = restore_test_init,
	.test_cases = kho_restore_block_cases,
};

/* vmalloc areas: page 0 is the chunk, the entries are pages after it. */

static struct incoming *incoming_area(struct kunit *test, const char *cut,
				      unsigned int first, unsigned int nr,
				      unsigned int order)
{
	struct incoming *in = incoming_create(test, cut);
	struct kho_vmalloc_chunk *chunk = incoming_page(in, 0);

	for (unsigned int i = 0; i < nr; i++)
		chunk->phys[i] = incoming_phys(in, first + (i << order));
	for (unsigned int i = 0; i < nr << order; i++)
		memset(incoming_page(in, first + i), i + 1, PAGE_SIZE);

	return in;
}

static const struct area {
	const char *name;
	const char *cut;
	unsigned int first, nr, order;
	unsigned short flags;
} areas[] = {
	{ "1 page", "00000000", 1, 1, 0, KHO_VMALLOC_ALLOC },
	{ "7 pages", "00000000", 1, 7, 0, KHO_VMALLOC_ALLOC },
	{ "3 pairs", "0-111", 2, 3, 1, KHO_VMALLOC_ALLOC | KHO_VMALLOC_HUGE_VMAP },
	{ "pair of single pages", "00000000", 2, 1, 1, KHO_VMALLOC_ALLOC },
};

KUNIT_ARRAY_PARAM_DESC(area, areas, name);

static void kho_restore_test_vmalloc(struct kunit *test)
{
	const struct area *a = test->param_value;
	struct incoming *in = incoming_area(test, a->cut, a->first, a->nr, a->order);
	struct kho_vmalloc desc = {
		.first.phys = in->phys,
		.total_pages = a->nr << a->order,
		.flags = a->flags,
		.order = a->order,
	};
	u8 *area = kho_restore_vmalloc(&desc);

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(area));
	for (int i = 0; i < desc.total_pages; i++) {
		KUNIT_EXPECT_EQ(test, page_to_phys(vmalloc_to_page(area + i * PAGE_SIZE)),
				incoming_phys(in, a->first + i));
		KUNIT_EXPECT_NULL(test, memchr_inv(area + i * PAGE_SIZE, i + 1,
						   PAGE_SIZE));
	}

	KUNIT_EXPECT_FALSE(test, preserved(in, 0, 1));
	KUNIT_EXPECT_FALSE(test, preserved(in, a->first, 1 << a->order));
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&desc));
	vfree(area);
}

/* One word of the chunk is overwritten; word 0 is the link. */
static const struct chunk_damage {
	const char *name;
	unsigned int word;
	bool relative;	/* @value is an offset in the pages */
	u64 value;
} chunk_damages[] = {
	{ "page missing", 3, false, 0 },
	{ "no pages", 1, false, 0 },
	{ "too many pages", 4, true, 4 * PAGE_SIZE },
	{ "page not preserved", 2, true, 7 * PAGE_SIZE },
	{ "page not aligned", 2, true, 2 * PAGE_SIZE + 8 },
	{ "page outside memory", 2, false, 1ULL << 50 },
	{ "chunk after a partial chunk", 0, true, 5 * PAGE_SIZE },
	{ "circle", 0, true, 0 },
	{ "chunk not preserved", 0, true, 7 * PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(chunk_damage, chunk_damages, name);

static void kho_restore_test_vmalloc_damaged(struct kunit *test)
{
	const struct chunk_damage *d = test->param_value;
	struct incoming *in = incoming_area(test, "0000000-", 1, 3, 0);
	struct kho_vmalloc desc = {
		.first.phys = in->phys,
		.total_pages = 3,
		.flags = KHO_VMALLOC_ALLOC,
	};
	u64 *word = (u64 *)incoming_page(in, 0) + d->word;
	u64 good = *word;
	void *area;

	*word = d->value + (d->relative ? in->phys : 0);
	KUNIT_ASSERT_NULL(test, kho_restore_vmalloc(&desc));
	KUNIT_ASSERT_TRUE(test, preserved(in, 0, NR_INCOMING - 1));

	/* Nothing was restored, so the undamaged area can still be restored. */
	*word = good;
	area = kho_restore_vmalloc(&desc);
	KUNIT_EXPECT_NOT_NULL(test, area);
	vfree(area);
}

/* Each entry is valid, but two of them name the same page. */
static void kho_restore_test_vmalloc_page_twice(struct kunit *test)
{
	struct incoming *in = incoming_area(test, "00000000", 1, 3, 0);
	struct kho_vmalloc_chunk *chunk = incoming_page(in, 0);
	struct kho_vmalloc desc = {
		.first.phys = in->phys,
		.total_pages = 3,
		.flags = KHO_VMALLOC_ALLOC,
	};

	chunk->phys[2] = chunk->phys[0];
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&desc));
	KUNIT_EXPECT_TRUE(test, preserved(in, 3, 5));
}

/* A full chunk has no terminator, and an empty chunk may follow it. */
static void kho_restore_test_vmalloc_full_chunk(struct kunit *test)
{
	struct incoming *in = incoming_create(test, "00000000");
	struct kho_vmalloc_chunk *chunk = incoming_page(in, 0);
	struct incoming *pages = NULL;
	struct kho_vmalloc desc = {
		.first.phys = in->phys,
		.total_pages = KHO_VMALLOC_SIZE,
		.flags = KHO_VMALLOC_ALLOC,
	};
	void *area;

	kho_skip_if_low_memory(test, KHO_VMALLOC_SIZE);

	for (unsigned int i = 0; i < KHO_VMALLOC_SIZE; i++) {
		if (i % NR_INCOMING == 0)
			pages = incoming_create(test, "00000000");
		chunk->phys[i] = incoming_phys(pages, i % NR_INCOMING);
	}
	chunk->hdr.next.phys = incoming_phys(in, 1);

	area = kho_restore_vmalloc(&desc);
	KUNIT_EXPECT_NOT_NULL(test, area);
	KUNIT_EXPECT_FALSE(test, preserved(in, 0, 1));
	KUNIT_EXPECT_FALSE(test, preserved(in, 1, 1));
	vfree(area);
}

static struct kunit_case kho_restore_vmalloc_cases[] = {
	KUNIT_CASE_PARAM(kho_restore_test_vmalloc, area_gen_params),
	KUNIT_CASE_PARAM(kho_restore_test_vmalloc_damaged,
			 chunk_damage_gen_params),
	KUNIT_CASE(kho_restore_test_vmalloc_page_twice),
	KUNIT_CASE(kho_restore_test_vmalloc_full_chunk),
	{}
};

static struct kunit_suite kho_restore_vmalloc_suite = {
	.name = "kho-restore-vmalloc",
	.init = restore_test_init,
	.test_cases = kho_restore_vmalloc_cases,
};

kunit_test_suites(&kho_restore_block_suite, &kho_restore_vmalloc_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of restoring KHO structures");
MODULE_LICENSE("GPL");
