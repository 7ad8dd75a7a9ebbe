// SPDX-License-Identifier: GPL-2.0
/*
 * Early boot on memory maps with invalid nodes.  Such a map is refused as a
 * whole, and the kernel boots without it.
 */

#include "old.h"

#include <linux/kho/abi/radix_tree.h>

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
static void boot_node_test_bad(struct kunit *test)
{
	const struct bad_node *bad = test->param_value;
	struct old *old = old_new(test);

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	*slot_of_root(old) = bad->phys + (bad->relative ? virt_to_phys(old->map.root) : 0);
	old_expect_refused(test, old, "handover: discarded");
	KUNIT_EXPECT_NULL(test, kho_restore_folio(PFN_PHYS(SIM_PAGES / 3)));
	/* All of memory can be used. */
	KUNIT_EXPECT_FALSE(test, memblock_kho_scratch_only());
}

/* A node in scratch memory may be overwritten before the map is read. */
static void boot_node_test_in_scratch(struct kunit *test)
{
	struct old *old = old_new(test);
	u64 phys = old->scratch[0].addr;
	u64 *slot;

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	slot = slot_of_root(old);
	sim_set_state(PHYS_PFN(phys), 1, SIM_LEFT);
	memcpy(phys_to_virt(phys), phys_to_virt(*slot), PAGE_SIZE);
	*slot = phys;
	old_expect_refused(test, old, "memory map: invalid node address");
}

/* Returns the table entry of the leaf with the first key. */
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

/* Reserve memory at the address of a node. */
static void boot_node_test_in_use(struct kunit *test)
{
	struct old *old = old_new(test);

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	old->handover.image = (struct sim_ranges){ *slot_of_leaf(old), PAGE_SIZE, 1 };
	old_expect_refused(test, old, "memory map: node in use by this kernel (");
}

static void boot_node_test_in_firmware(struct kunit *test)
{
	struct old *old = old_new(test);

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	old->handover.firmware = (struct sim_ranges){ *slot_of_leaf(old), PAGE_SIZE, 1 };
	old_expect_refused(test, old, "memory map: invalid node address");
}

/*
 * The same leaf in two slots: removing a key of one slot would remove it from
 * the other.
 */
static void boot_node_test_twice(struct kunit *test)
{
	struct old *old = old_new(test);
	u64 *slot;

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	slot = slot_of_leaf(old);
	/* The neighbouring slot, in the same page. */
	slot[(ulong)(slot + 1) % PAGE_SIZE ? 1 : -1] = *slot;
	old_expect_refused(test, old, "memory map: duplicate node (");
}

/* If all slots of a table have the same child, the tree seems to be larger than memory. */
static void boot_node_test_shared_node(struct kunit *test)
{
	struct old *old = old_new(test);
	struct kho_radix_node *node = old->map.root;

	old_put_block(test, old, SIM_PAGES / 3, 0);
	old_write_root(test, old);
	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level > 1; level--) {
		u64 child = 0;

		for (unsigned int i = 0; i < ARRAY_SIZE(node->table); i++)
			child = child ?: node->table[i];
		for (unsigned int i = 0; i < ARRAY_SIZE(node->table); i++)
			node->table[i] = child;
		node = phys_to_virt(child);
	}
	old_expect_refused(test, old, "memory map: loop detected");
}

static u64 *free_slot;

static void add_node_to_map(void)
{
	*free_slot = PFN_PHYS(SIM_PAGES / 4);
}

/* If the map grows between the two walks, no node is written past the end of the list. */
static void boot_node_test_grows(struct kunit *test)
{
	struct old *old = old_new(test);

	old_put_block(test, old, SIM_PAGES / 3, 0);
	sim_set_state(SIM_PAGES / 4, 1, SIM_LEFT);
	memset(phys_to_virt(PFN_PHYS(SIM_PAGES / 4)), 0, PAGE_SIZE);
	free_slot = slot_of_leaf(old);
	free_slot += (ulong)(free_slot + 1) % PAGE_SIZE ? 1 : -1;
	old->handover.between_walks = add_node_to_map;
	old_finish(test, old);
	KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
	KUNIT_EXPECT_TRUE(test, sim_logged("memory map: changed during boot"));
	KUNIT_EXPECT_NULL(test, kho_in.map.root);
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case boot_node_cases[] = {
	KUNIT_CASE_PARAM(boot_node_test_bad, bad_node_gen_params),
	KUNIT_CASE(boot_node_test_in_scratch),
	KUNIT_CASE(boot_node_test_in_use),
	KUNIT_CASE(boot_node_test_in_firmware),
	KUNIT_CASE(boot_node_test_twice),
	KUNIT_CASE(boot_node_test_shared_node),
	KUNIT_CASE(boot_node_test_grows),
	{}
};

static struct kunit_suite boot_node_suite = {
	.name = "unit-boot-node",
	.exit = back_to_cold,
	.test_cases = boot_node_cases,
};

kunit_test_suite(boot_node_suite);
