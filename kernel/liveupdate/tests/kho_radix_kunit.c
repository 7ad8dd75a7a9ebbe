// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the radix tree: the set of keys, and the bytes of its nodes.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/io.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/radix_tree.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#define LEAF_KEYS	BIT(KHO_BITMAP_SIZE_LOG2)
/* Keys below one table of level 1. */
#define TABLE_KEYS	BIT(KHO_BITMAP_SIZE_LOG2 + KHO_TABLE_SIZE_LOG2)
#define KEY_END		BIT(KHO_RADIX_KEY_WIDTH)

KUNIT_DEFINE_ACTION_WRAPPER(destroy_tree, kho_radix_destroy_tree,
			    struct kho_radix_tree *);

static struct kho_radix_tree *new_tree(struct kunit *test)
{
	struct kho_radix_tree *tree = kunit_kzalloc(test, sizeof(*tree),
						    GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tree);
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(tree, NULL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy_tree, tree),
			0);
	return tree;
}

/* Record of a walk.  A callback returns @result at call number @stop_at. */
struct walk {
	unsigned long keys[64];
	unsigned long lengths[64];
	phys_addr_t nodes[64];
	unsigned int nr;
	unsigned int nr_nodes;
	unsigned int stop_at;
	int result;
};

static int walk_run(unsigned long key, unsigned long nr, void *data)
{
	struct walk *w = data;

	if (w->nr < ARRAY_SIZE(w->keys)) {
		w->keys[w->nr] = key;
		w->lengths[w->nr] = nr;
	}
	return ++w->nr == w->stop_at ? w->result : 0;
}

static int walk_key(unsigned long key, void *data)
{
	return walk_run(key, 1, data);
}

static int walk_node(phys_addr_t phys, void *data)
{
	struct walk *w = data;

	if (w->nr_nodes < ARRAY_SIZE(w->nodes))
		w->nodes[w->nr_nodes] = phys;
	return ++w->nr_nodes == w->stop_at ? w->result : 0;
}

static const struct kho_radix_walk_cb cb_keys = { .leaf = walk_key };
static const struct kho_radix_walk_cb cb_runs = { .run = walk_run };
static const struct kho_radix_walk_cb cb_nodes = { .node = walk_node };

static struct walk *walk(struct kunit *test, struct kho_radix_tree *tree,
			 const struct kho_radix_walk_cb *cb)
{
	struct walk *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_EXPECT_EQ(test, kho_radix_walk_tree(tree, cb, w), 0);
	return w;
}

static unsigned int count_nodes(struct kunit *test, struct kho_radix_tree *tree)
{
	return walk(test, tree, &cb_nodes)->nr_nodes;
}

static void add_keys(struct kunit *test, struct kho_radix_tree *tree,
		     unsigned long start, unsigned long end)
{
	for (unsigned long key = start; key < end; key++)
		KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
}

/* Keys at the borders of words, leaves and tables, in ascending order. */
static const struct edge {
	const char *name;
	unsigned long key;
} edges[] = {
	{ "zero", 0 },
	{ "last of a word", BITS_PER_LONG - 1 },
	{ "first of a word", BITS_PER_LONG },
	{ "last of a leaf", LEAF_KEYS - 1 },
	{ "first of a leaf", LEAF_KEYS },
	{ "last of a table", TABLE_KEYS - 1 },
	{ "first of a table", TABLE_KEYS },
	{ "middle", KEY_END / 3 },
	{ "below the top bit", KEY_END / 2 - 1 },
	{ "top bit", KEY_END / 2 },
	{ "last", KEY_END - 1 },
};

KUNIT_ARRAY_PARAM_DESC(edge, edges, name);

static void kho_radix_test_add(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, key));
	KUNIT_EXPECT_EQ(test, kho_radix_add_key(tree, key), 0);
	KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, key));
}

static void kho_radix_test_add_leaves_others(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
	for (int bit = 0; bit < BITS_PER_LONG; bit++)
		KUNIT_EXPECT_FALSE_MSG(test,
				       kho_radix_test_key(tree, key ^ BIT(bit)),
				       "bit %d", bit);
}

static void kho_radix_test_walk_finds(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
	w = walk(test, tree, &cb_keys);
	KUNIT_ASSERT_EQ(test, w->nr, 1);
	KUNIT_EXPECT_EQ(test, w->keys[0], key);
}

static void kho_radix_test_take(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
	KUNIT_EXPECT_TRUE(test, kho_radix_take_key(tree, key));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, key));
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key(tree, key));
}

static void kho_radix_test_del(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
	kho_radix_del_key(tree, key);
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, key));
}

static void kho_radix_test_add_twice(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_EXPECT_EQ(test, kho_radix_add_key(tree, 5), 0);
	KUNIT_EXPECT_EQ(test, kho_radix_add_key(tree, 5), 0);
	KUNIT_EXPECT_TRUE(test, kho_radix_take_key(tree, 5));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, 5));
}

static void kho_radix_test_add_again(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, 5), 0);
	kho_radix_del_key(tree, 5);
	KUNIT_EXPECT_EQ(test, kho_radix_add_key(tree, 5), 0);
	KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, 5));
}

static void kho_radix_test_absent(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, 5), 0);

	/* Key 6 is in the same leaf as key 5; TABLE_KEYS has no leaf. */
	kho_radix_del_key(tree, 6);
	kho_radix_del_key(tree, TABLE_KEYS);
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key(tree, 6));
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key(tree, TABLE_KEYS));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, TABLE_KEYS));

	KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, 5));
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), KHO_TREE_MAX_DEPTH);
}

static const struct edge wide_keys[] = {
	{ "one bit too wide", KEY_END },
	{ "like 5 without the top bit", KEY_END | 5 },
	{ "highest bit", BIT(63) | 5 },
	{ "all bits", ~0UL },
};

KUNIT_ARRAY_PARAM_DESC(wide_key, wide_keys, name);

static void kho_radix_test_too_wide(struct kunit *test)
{
	unsigned long key = ((const struct edge *)test->param_value)->key;
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, 5), 0);

	KUNIT_EXPECT_EQ(test, kho_radix_add_key(tree, key), -ERANGE);
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, key));
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key(tree, key));
	kho_radix_del_key(tree, key);

	KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, 5));
	KUNIT_EXPECT_EQ(test, walk(test, tree, &cb_keys)->nr, 1);
}

static void kho_radix_test_uninitialized(struct kunit *test)
{
	struct kho_radix_tree tree = {};
	struct walk w = {};

	KUNIT_EXPECT_EQ(test, kho_radix_add_key(&tree, 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_radix_walk_tree(&tree, &cb_keys, &w), -EINVAL);
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(&tree, 5));
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key(&tree, 5));
	kho_radix_del_key(&tree, 5);
	kho_radix_destroy_tree(&tree);
	KUNIT_EXPECT_NULL(test, tree.root);
}

static void kho_radix_test_destroy(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);

	add_keys(test, tree, LEAF_KEYS - 2, LEAF_KEYS + 2);
	kho_radix_destroy_tree(tree);
	KUNIT_EXPECT_NULL(test, tree->root);

	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(tree, NULL), 0);
	KUNIT_EXPECT_EQ(test, walk(test, tree, &cb_keys)->nr, 0);
}

/* The second handle stands for the next kernel. */
static void kho_radix_test_init_from_root(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct kho_radix_tree next = {};

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, KEY_END - 1), 0);

	KUNIT_EXPECT_EQ(test, kho_radix_init_tree(&next, tree->root), 0);
	KUNIT_EXPECT_PTR_EQ(test, next.root, tree->root);
	KUNIT_EXPECT_TRUE(test, kho_radix_take_key(&next, KEY_END - 1));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, KEY_END - 1));
}

static void kho_radix_test_walk_empty(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);

	KUNIT_EXPECT_EQ(test, walk(test, tree, &cb_keys)->nr, 0);
	KUNIT_EXPECT_EQ(test, walk(test, tree, &cb_runs)->nr, 0);
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), 1);
}

static void kho_radix_test_walk_order(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	for (int i = ARRAY_SIZE(edges) - 1; i >= 0; i--)
		KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, edges[i].key), 0);

	w = walk(test, tree, &cb_keys);
	KUNIT_ASSERT_EQ(test, w->nr, ARRAY_SIZE(edges));
	for (int i = 0; i < ARRAY_SIZE(edges); i++)
		KUNIT_EXPECT_EQ(test, w->keys[i], edges[i].key);
}

static void expect_run(struct kunit *test, const struct walk *w, unsigned int i,
		       unsigned long key, unsigned long length)
{
	KUNIT_EXPECT_EQ(test, w->keys[i], key);
	KUNIT_EXPECT_EQ(test, w->lengths[i], length);
}

static void kho_radix_test_runs(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	add_keys(test, tree, 3, 4);
	add_keys(test, tree, 60, 70);
	add_keys(test, tree, 72, 128);

	w = walk(test, tree, &cb_runs);
	KUNIT_ASSERT_EQ(test, w->nr, 3);
	expect_run(test, w, 0, 3, 1);
	expect_run(test, w, 1, 60, 10);
	expect_run(test, w, 2, 72, 56);
}

static void kho_radix_test_run_ends_with_leaf(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	add_keys(test, tree, LEAF_KEYS - 3, LEAF_KEYS + 5);

	w = walk(test, tree, &cb_runs);
	KUNIT_ASSERT_EQ(test, w->nr, 2);
	expect_run(test, w, 0, LEAF_KEYS - 3, 3);
	expect_run(test, w, 1, LEAF_KEYS, 5);
}

static void kho_radix_test_run_of_full_leaf(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	add_keys(test, tree, 7 * LEAF_KEYS, 8 * LEAF_KEYS);

	w = walk(test, tree, &cb_runs);
	KUNIT_ASSERT_EQ(test, w->nr, 1);
	expect_run(test, w, 0, 7 * LEAF_KEYS, LEAF_KEYS);
}

/* From the position after each key, the next key is found. */
static void kho_radix_test_next_run(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	unsigned long key, nr;

	for (int i = 0; i < ARRAY_SIZE(edges); i++) {
		key = i ? edges[i - 1].key + 1 : 0;
		KUNIT_EXPECT_FALSE(test, kho_radix_next_run(tree, &key, &nr));

		KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, edges[i].key), 0);
		key = i ? edges[i - 1].key + 1 : 0;
		KUNIT_ASSERT_TRUE(test, kho_radix_next_run(tree, &key, &nr));
		KUNIT_EXPECT_EQ(test, key, edges[i].key);
		KUNIT_EXPECT_EQ(test, nr, 1);
	}

	/* The two keys at a word boundary are one run. */
	KUNIT_EXPECT_EQ(test, kho_radix_count_runs(tree, 0, KEY_END - 1),
			ARRAY_SIZE(edges) - 1);

	key = KEY_END;
	KUNIT_EXPECT_FALSE(test, kho_radix_next_run(tree, &key, &nr));
}

static void kho_radix_test_next_run_inside(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct kho_radix_cursor cursor = { };
	unsigned long key = LEAF_KEYS - 2, nr;

	add_keys(test, tree, LEAF_KEYS - 9, LEAF_KEYS + 5);

	KUNIT_ASSERT_TRUE(test, kho_radix_next_run_at(tree, &key, &nr, &cursor));
	KUNIT_EXPECT_EQ(test, key, LEAF_KEYS - 2);
	KUNIT_EXPECT_EQ(test, nr, 2);

	key += nr;
	KUNIT_ASSERT_TRUE(test, kho_radix_next_run_at(tree, &key, &nr, &cursor));
	KUNIT_EXPECT_EQ(test, key, LEAF_KEYS);
	KUNIT_EXPECT_EQ(test, nr, 5);

	key += nr;
	KUNIT_EXPECT_FALSE(test, kho_radix_next_run_at(tree, &key, &nr, &cursor));
}

/* A cursor does not change the result, for any sequence of keys. */
static void kho_radix_test_cursor(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct kho_radix_cursor cursor = { };

	for (int i = 0; i < ARRAY_SIZE(edges); i++) {
		unsigned long key = edges[i].key;

		KUNIT_EXPECT_FALSE(test, kho_radix_take_key_at(tree, key, &cursor));
		KUNIT_ASSERT_EQ(test, kho_radix_add_key_at(tree, key, &cursor), 0);
		KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, key));
	}

	for (int i = 0; i < ARRAY_SIZE(edges); i += 2) {
		unsigned long key = edges[i].key;

		KUNIT_EXPECT_TRUE(test, kho_radix_take_key_at(tree, key, &cursor));
		KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, key));
	}

	KUNIT_EXPECT_EQ(test, walk(test, tree, &cb_keys)->nr,
			ARRAY_SIZE(edges) / 2);
	KUNIT_EXPECT_EQ(test, kho_radix_add_key_at(tree, KEY_END, &cursor),
			-ERANGE);
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key_at(tree, KEY_END, &cursor));
}

static void kho_radix_test_walk_nodes(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w;

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, 0), 0);
	w = walk(test, tree, &cb_nodes);
	KUNIT_EXPECT_EQ(test, w->nr_nodes, KHO_TREE_MAX_DEPTH);
	KUNIT_EXPECT_EQ(test, w->nodes[0], virt_to_phys(tree->root));

	/* Keys in the same leaf, in a new leaf, and in a new table with a leaf. */
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, LEAF_KEYS - 1), 0);
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), KHO_TREE_MAX_DEPTH);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, LEAF_KEYS), 0);
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), KHO_TREE_MAX_DEPTH + 1);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, TABLE_KEYS), 0);
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), KHO_TREE_MAX_DEPTH + 3);

	/* A node stays when its last key is removed. */
	kho_radix_del_key(tree, TABLE_KEYS);
	KUNIT_EXPECT_EQ(test, count_nodes(test, tree), KHO_TREE_MAX_DEPTH + 3);
}

static const struct stop {
	const char *name;
	const struct kho_radix_walk_cb *cb;
	unsigned int after;
} stops[] = {
	{ "first key", &cb_keys, 1 },
	{ "last key of a run", &cb_keys, 2 },
	{ "key of the next leaf", &cb_keys, 3 },
	{ "first run", &cb_runs, 1 },
	{ "run of the next leaf", &cb_runs, 2 },
	{ "root", &cb_nodes, 1 },
	{ "leaf", &cb_nodes, KHO_TREE_MAX_DEPTH },
	{ "next leaf", &cb_nodes, KHO_TREE_MAX_DEPTH + 1 },
};

KUNIT_ARRAY_PARAM_DESC(stop, stops, name);

static void kho_radix_test_walk_stops(struct kunit *test)
{
	const struct stop *stop = test->param_value;
	struct kho_radix_tree *tree = new_tree(test);
	struct walk *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	add_keys(test, tree, LEAF_KEYS - 2, LEAF_KEYS + 2);
	add_keys(test, tree, TABLE_KEYS, TABLE_KEYS + 1);

	w->stop_at = stop->after;
	w->result = -ECANCELED;
	KUNIT_EXPECT_EQ(test, kho_radix_walk_tree(tree, stop->cb, w), -ECANCELED);
	KUNIT_EXPECT_EQ(test, w->nr + w->nr_nodes, stop->after);
}

/* The bytes that the next kernel finds. */

/*
 * Follow a path from the root, using only the ABI.  Each table on the path must
 * have exactly one entry.
 */
static void *follow(struct kunit *test, struct kho_radix_tree *tree,
		    const unsigned int *slots, unsigned int nr_slots)
{
	u64 *table = (u64 *)tree->root;

	for (unsigned int i = 0; i < nr_slots; i++) {
		u64 child = table[slots[i]];

		KUNIT_ASSERT_NE(test, child, 0);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(child));

		table[slots[i]] = 0;
		KUNIT_EXPECT_NULL(test, memchr_inv(table, 0, PAGE_SIZE));
		table[slots[i]] = child;

		table = phys_to_virt(child);
	}

	return table;
}

static void kho_radix_test_golden(struct kunit *test)
{
	/* Bits 63..51, 50..42, 41..33, 32..24, 23..15 of the key; 14..0 = 0x1234 */
	static const unsigned int slots[] = { 3, 0x123, 0x0f5, 0x1aa, 0x155 };
	unsigned long key = 0x001c8debaaaa9234;
	struct kho_radix_tree *tree = new_tree(test);
	u64 *words;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the numbers are for pages of 4 KiB");

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, key), 0);
	words = follow(test, tree, slots, ARRAY_SIZE(slots));

	KUNIT_EXPECT_EQ(test, words[0x48], BIT_ULL(0x34));
	words[0x48] = 0;
	KUNIT_EXPECT_NULL(test, memchr_inv(words, 0, PAGE_SIZE));
}

static void kho_radix_test_golden_leaf(struct kunit *test)
{
	static const unsigned int slots[KHO_TREE_MAX_DEPTH - 1] = {};
	struct kho_radix_tree *tree = new_tree(test);
	u64 *words;

	add_keys(test, tree, 0, 3);
	add_keys(test, tree, 63, 66);
	add_keys(test, tree, LEAF_KEYS - 1, LEAF_KEYS);

	words = follow(test, tree, slots, ARRAY_SIZE(slots));
	KUNIT_EXPECT_EQ(test, words[0], 0x8000000000000007);
	KUNIT_EXPECT_EQ(test, words[1], 3);
	KUNIT_EXPECT_EQ(test, words[PAGE_SIZE / 8 - 1], 0x8000000000000000);
	KUNIT_EXPECT_NULL(test, memchr_inv(words + 2, 0, PAGE_SIZE - 3 * 8));
}

static struct kunit_case kho_radix_tree_cases[] = {
	KUNIT_CASE_PARAM(kho_radix_test_add, edge_gen_params),
	KUNIT_CASE_PARAM(kho_radix_test_add_leaves_others, edge_gen_params),
	KUNIT_CASE_PARAM(kho_radix_test_walk_finds, edge_gen_params),
	KUNIT_CASE_PARAM(kho_radix_test_take, edge_gen_params),
	KUNIT_CASE_PARAM(kho_radix_test_del, edge_gen_params),
	KUNIT_CASE(kho_radix_test_add_twice),
	KUNIT_CASE(kho_radix_test_add_again),
	KUNIT_CASE(kho_radix_test_absent),
	KUNIT_CASE_PARAM(kho_radix_test_too_wide, wide_key_gen_params),
	KUNIT_CASE(kho_radix_test_uninitialized),
	KUNIT_CASE(kho_radix_test_destroy),
	KUNIT_CASE(kho_radix_test_init_from_root),
	KUNIT_CASE(kho_radix_test_walk_empty),
	KUNIT_CASE(kho_radix_test_walk_order),
	KUNIT_CASE(kho_radix_test_runs),
	KUNIT_CASE(kho_radix_test_run_ends_with_leaf),
	KUNIT_CASE(kho_radix_test_run_of_full_leaf),
	KUNIT_CASE(kho_radix_test_next_run),
	KUNIT_CASE(kho_radix_test_next_run_inside),
	KUNIT_CASE(kho_radix_test_cursor),
	KUNIT_CASE(kho_radix_test_walk_nodes),
	KUNIT_CASE_PARAM(kho_radix_test_walk_stops, stop_gen_params),
	KUNIT_CASE(kho_radix_test_golden),
	KUNIT_CASE(kho_radix_test_golden_leaf),
	{}
};

static struct kunit_suite kho_radix_tree_suite = {
	.name = "kho-radix-tree",
	.test_cases = kho_radix_tree_cases,
};

kunit_test_suite(kho_radix_tree_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the KHO radix tree");
MODULE_LICENSE("GPL");
