// SPDX-License-Identifier: GPL-2.0
/*
 * Chains of record blocks that change after their validation and before they
 * are restored: another owner has the address of a page of the chain, and frees
 * that page or writes to it.
 */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/block.h>

#define NR_BLOCKS	4

/* Pages of the set, and the index of the page that the other owner changes. */
static struct {
	phys_addr_t phys[NR_BLOCKS];
	unsigned int nr;
	u64 count;
} set;

static int block_test_init(struct kunit *test)
{
	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "a page has no space for records");
	return 0;
}

static void leave_set(struct kunit *test)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(u64));
	struct kho_block_set_it it;
	struct sim_handover h;
	u64 phys;

	KUNIT_ASSERT_EQ(test, kho_block_set_grow(&bs, NR_BLOCKS * bs.count_per_block), 0);
	kho_block_set_it_init(&it, &bs);
	for (u64 i = 0; i < NR_BLOCKS * bs.count_per_block; i++)
		*(u64 *)kho_block_set_it_reserve_entry(&it) = i;
	phys = kho_block_set_head_pa(&bs);
	for (unsigned int i = 0; i < NR_BLOCKS; i++) {
		set.phys[i] = phys;
		phys = ((struct kho_block_header_ser *)phys_to_virt(phys))->next;
	}
	set.count = bs.count_per_block;
	sim_deferred = true;
	h = sim_kexec();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	sim_log_clear();
}

/* No block of the set is left, and none was freed twice. */
static void expect_gone(struct kunit *test, struct kho_block_set *bs)
{
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(bs));
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(bs), 0);
	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		KUNIT_EXPECT_EQ(test, phys_to_page(set.phys[i])->state, SIM_FREE);
	KUNIT_EXPECT_FALSE(test, sim_logged("restore: not preserved"));
}

static void take_other(void)
{
	kho_restore_free(phys_to_virt(set.phys[set.nr]));
}

static void change_count(void)
{
	((struct kho_block_header_ser *)phys_to_virt(set.phys[set.nr]))->count = set.count + 1;
}

static void block_test_meanwhile(struct kunit *test)
{
	for (unsigned int i = 0; i < 2 * (NR_BLOCKS - 1); i++) {
		struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(u64));

		leave_set(test);
		set.nr = 1 + i / 2;
		sim_before_init = i % 2 ? change_count : take_other;
		KUNIT_EXPECT_EQ(test, kho_block_set_restore(&bs, set.phys[0]), -EINVAL);
		KUNIT_EXPECT_NULL(test, sim_before_init);
		expect_gone(test, &bs);
		sim_deferred = false;
		sim_boot_cold();
	}
}

/* Destroying an incoming set must not unpreserve outgoing memory. */
static void block_test_destroy(struct kunit *test)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(u64));

	leave_set(test);
	KUNIT_ASSERT_EQ(test, kho_block_set_restore(&bs, set.phys[0]), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&bs, 1), -EINVAL);
	kho_block_set_destroy(&bs);
	expect_gone(test, &bs);
}

static struct kunit_case block_cases[] = {
	KUNIT_CASE(block_test_meanwhile),
	KUNIT_CASE(block_test_destroy),
	{}
};

static struct kunit_suite block_suite = {
	.name = "unit-block",
	.init = block_test_init,
	.exit = sim_deferred_exit,
	.test_cases = block_cases,
};

kunit_test_suite(block_suite);
