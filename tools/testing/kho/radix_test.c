// SPDX-License-Identifier: GPL-2.0
/*
 * The radix tree, compared with a sorted set, at every level and every
 * boundary, and the keys of the memory map at every order.
 */

#include "model.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/radix_tree.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

#define LEAF_KEYS	BIT(KHO_BITMAP_SIZE_LOG2)
#define LAST_KEY	(BIT(KHO_RADIX_KEY_WIDTH) - 1)

/*
 * Number of low bits of a key that levels below @level decode.  Level 0 has the
 * leaves.
 */
static unsigned int bits_below(unsigned int level)
{
	unsigned int bits = KHO_BITMAP_SIZE_LOG2 + (level - 1) * KHO_TABLE_SIZE_LOG2;

	return level ? min_t(unsigned int, bits, KHO_RADIX_KEY_WIDTH) : 0;
}

/*
 * @now has the present keys of the tree, @ever all keys that were ever added:
 * their nodes stay until the tree is destroyed.
 */
struct world {
	struct kho_radix_tree tree;
	struct model now;
	struct model ever;
	struct rnd_state rnd;
};

static void free_world(void *data)
{
	struct world *w = data;

	kho_radix_destroy_tree(&w->tree);
	model_free(&w->now);
	model_free(&w->ever);
}

static struct world *new_world(struct kunit *test, unsigned long variation)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&w->tree, NULL), 0);
	kunit_add_action_or_reset(test, free_world, w);
	prandom_seed_state(&w->rnd, seed + variation);
	return w;
}

static void add(struct kunit *test, struct world *w, unsigned long key)
{
	KUNIT_ASSERT_EQ_MSG(test, kho_radix_add_key(&w->tree, key), 0,
			    "key %#lx", key);
	model_add(&w->now, key);
	model_add(&w->ever, key);
}

/* Comparison by walks. */

struct walk {
	struct kunit *test;
	const struct model *model;
	unsigned long seen;		/* keys */
	unsigned long nodes;
	unsigned long end;		/* of the last run */
	struct model addresses;		/* of nodes */
};

static int walk_key(unsigned long key, void *data)
{
	struct walk *k = data;

	KUNIT_ASSERT_LT(k->test, k->seen, k->model->nr);
	KUNIT_ASSERT_EQ(k->test, key, k->model->key[k->seen]);
	k->seen++;
	return 0;
}

static int walk_run(unsigned long key, unsigned long nr, void *data)
{
	struct walk *k = data;

	/* A run is in one leaf, not empty, and as long as possible. */
	KUNIT_ASSERT_GT(k->test, nr, 0);
	KUNIT_ASSERT_EQ(k->test, key / LEAF_KEYS, (key + nr - 1) / LEAF_KEYS);
	if (k->seen && k->end == key)
		KUNIT_ASSERT_EQ(k->test, key % LEAF_KEYS, 0);
	k->end = key + nr;

	while (nr--)
		walk_key(key++, data);
	return 0;
}

static int walk_node(phys_addr_t phys, void *data)
{
	struct walk *k = data;

	KUNIT_ASSERT_EQ(k->test, phys % PAGE_SIZE, 0);
	KUNIT_ASSERT_TRUE(k->test, model_add(&k->addresses, phys));
	k->nodes++;
	return 0;
}

/*
 * kho_radix_next_run_to() finds the first run between any two keys, cut at the
 * last key.
 */
static void compare_runs_to(struct kunit *test, struct world *w)
{
	for (unsigned int i = 0; i < 20 && w->now.nr; i++) {
		unsigned long first = w->now.key[rnd_below(&w->rnd, w->now.nr)];
		unsigned long last = w->now.key[rnd_below(&w->rnd, w->now.nr)];
		unsigned long key, next, nr, left;

		if (last < first)
			swap(first, last);
		/* Also start and end next to a key of the tree. */
		first += rnd_below(&w->rnd, 2);
		last = max(first, last - min(last, rnd_below(&w->rnd, 2)));
		key = first;
		next = first;
		KUNIT_ASSERT_EQ(test, kho_radix_next_run_to(&w->tree, &key, &nr, last),
				kho_radix_next_run(&w->tree, &next, &left) && next <= last);
		if (next > last || !model_has(&w->now, next))
			continue;
		KUNIT_ASSERT_EQ(test, key, next);
		KUNIT_ASSERT_EQ(test, nr, min(left, last - key + 1));
	}
}

/* Nodes after the range are not read. */
static void radix_test_run_to_reads_no_more(struct kunit *test)
{
	unsigned long leaf = BIT(KHO_BITMAP_SIZE_LOG2), key, nr;
	struct kho_radix_tree tree;
	struct kho_radix_node *node;

	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&tree, NULL), 0);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&tree, leaf - 1), 0);
	node = tree.root;
	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level; level--) {
		node->table[1] = 1ULL << 50;
		node = phys_to_virt(node->table[0]);
	}

	for (unsigned long first = leaf - 4; first < leaf - 1; first++) {
		key = first;
		KUNIT_EXPECT_FALSE(test, kho_radix_next_run_to(&tree, &key, &nr, leaf - 2));
		key = first;
		KUNIT_ASSERT_TRUE(test, kho_radix_next_run_to(&tree, &key, &nr, leaf - 1));
		KUNIT_EXPECT_EQ(test, key, leaf - 1);
		KUNIT_EXPECT_EQ(test, nr, 1);
	}
	kho_radix_take_key(&tree, leaf - 1);
	key = 0;
	KUNIT_EXPECT_FALSE(test, kho_radix_next_run_to(&tree, &key, &nr, leaf - 1));

	node = tree.root;
	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level; level--) {
		node->table[1] = 0;
		node = phys_to_virt(node->table[0]);
	}
	kho_radix_destroy_tree(&tree);
}

static int count_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

/* Until the root is restored from @saved, reading any other node faults. */
static void set_unreadable(struct kho_radix_tree *tree, struct kho_radix_node *saved)
{
	struct kho_radix_node *root = tree->root;

	*saved = *root;
	for (unsigned int i = 0; i < ARRAY_SIZE(root->table); i++)
		root->table[i] = root->table[i] ? 1ULL << 50 : 0;
}

/* A cursor finds keys of its leaf without reading other nodes. */
static void radix_test_cursor_spares_nodes(struct kunit *test)
{
	struct kho_radix_node *saved = kunit_kzalloc(test, sizeof(*saved), GFP_KERNEL);
	struct kho_radix_cursor at = { }, run_at = { };
	struct world *w = new_world(test, 0);
	unsigned long key = 0, nr;

	KUNIT_ASSERT_EQ(test, kho_radix_add_key_at(&w->tree, LEAF_KEYS + 1, &at), 0);
	KUNIT_ASSERT_TRUE(test, kho_radix_next_run_at(&w->tree, &key, &nr, &run_at));
	/* A missing leaf does not move the cursor. */
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key_at(&w->tree, LAST_KEY, &at));

	set_unreadable(&w->tree, saved);
	KUNIT_EXPECT_TRUE(test, kho_radix_test_key_at(&w->tree, LEAF_KEYS + 1, &at));
	KUNIT_EXPECT_EQ(test, kho_radix_add_key_at(&w->tree, LEAF_KEYS, &at), 0);
	KUNIT_EXPECT_EQ(test, kho_radix_add_key_at(&w->tree, 2 * LEAF_KEYS - 1, &at), 0);
	KUNIT_EXPECT_TRUE(test, kho_radix_take_key_at(&w->tree, LEAF_KEYS, &at));
	KUNIT_EXPECT_FALSE(test, kho_radix_take_key_at(&w->tree, LEAF_KEYS, &at));
	KUNIT_EXPECT_TRUE(test, kho_radix_next_run_at(&w->tree, &key, &nr, &run_at));
	KUNIT_EXPECT_EQ(test, key, LEAF_KEYS + 1);
	KUNIT_EXPECT_EQ(test, nr, 1);
	key++;
	KUNIT_EXPECT_TRUE(test, kho_radix_next_run_at(&w->tree, &key, &nr, &run_at));
	KUNIT_EXPECT_EQ(test, key, 2 * LEAF_KEYS - 1);
	*w->tree.root = *saved;
}

/* A walk for nodes only does not read leaves. */
static void radix_test_nodes_without_leaves(struct kunit *test)
{
	const struct kho_radix_walk_cb cb = { .node = count_node };
	struct kho_radix_node *node;
	struct world *w = new_world(test, 0);
	unsigned long nodes = 0;
	u64 leaf;

	add(test, w, 0);
	node = w->tree.root;
	for (unsigned int level = KHO_TREE_MAX_DEPTH - 1; level > 1; level--)
		node = phys_to_virt(node->table[0]);
	leaf = node->table[0];
	node->table[0] = 1ULL << 50;
	KUNIT_EXPECT_EQ(test, kho_radix_walk_tree(&w->tree, &cb, &nodes), 0);
	KUNIT_EXPECT_EQ(test, nodes, KHO_TREE_MAX_DEPTH);
	node->table[0] = leaf;
}

static unsigned long expected_nodes(const struct world *w)
{
	unsigned long nr = 1;

	/*
	 * Two keys have the same node at the level below @level if they only
	 * differ in their lowest bits_below() bits.
	 */
	for (unsigned int level = 1; level < KHO_TREE_MAX_DEPTH; level++)
		nr += model_distinct(&w->ever, bits_below(level));
	return nr;
}

static bool any_key(const struct world *w, unsigned long first, unsigned long last)
{
	unsigned long nr;

	return kho_radix_next_run_to(&w->tree, &first, &nr, last);
}

/*
 * Compares tree and model by calls of kho_radix_next_run().  Each run is found
 * twice: from the end of the preceding run, and from a key within the run.
 */
static void compare_runs(struct kunit *test, struct world *w)
{
	struct walk k = { .test = test, .model = &w->now };
	unsigned long key = 0, end = 0, runs = 0, nr;

	for (; kho_radix_next_run(&w->tree, &key, &nr); runs++) {
		unsigned long inside = key + rnd_below(&w->rnd, nr), left;

		walk_run(key, nr, &k);
		KUNIT_ASSERT_TRUE(test, any_key(w, end, key));
		KUNIT_ASSERT_TRUE(test, any_key(w, inside, inside));
		if (end < key)
			KUNIT_ASSERT_FALSE(test, any_key(w, end, key - 1));
		end = key + nr;
		left = key + nr - inside;
		KUNIT_ASSERT_TRUE(test, kho_radix_next_run(&w->tree, &inside, &nr));
		KUNIT_ASSERT_EQ(test, nr, left);
		key = inside + nr;
	}
	if (end <= LAST_KEY)
		KUNIT_ASSERT_FALSE(test, any_key(w, end, LAST_KEY));
	KUNIT_ASSERT_EQ(test, k.seen, w->now.nr);
	KUNIT_ASSERT_EQ(test,
			kho_radix_count_runs(&w->tree, 0, BIT(KHO_RADIX_KEY_WIDTH) - 1),
			runs);
}

static void compare(struct kunit *test, struct world *w)
{
	static const struct kho_radix_walk_cb cbs[] = {
		{ .leaf = walk_key },
		{ .run = walk_run },
		{ .node = walk_node },
		{ .leaf = walk_key, .node = walk_node },
		{ .run = walk_run, .node = walk_node },
	};

	for (int i = 0; i < ARRAY_SIZE(cbs); i++) {
		struct walk k = { .test = test, .model = &w->now };

		KUNIT_ASSERT_EQ(test, kho_radix_walk_tree(&w->tree, &cbs[i], &k), 0);
		KUNIT_ASSERT_EQ(test, k.seen,
				cbs[i].leaf || cbs[i].run ? w->now.nr : 0);
		KUNIT_ASSERT_EQ(test, k.nodes,
				cbs[i].node ? expected_nodes(w) : 0);
		model_free(&k.addresses);
	}
	compare_runs(test, w);
	compare_runs_to(test, w);
}

/*
 * Borders: of a word, of a leaf, of the keys below a table entry of each level,
 * and of the key width.
 */

static unsigned long border(unsigned int i)
{
	if (i < KHO_TREE_MAX_DEPTH)
		return i ? BIT(bits_below(i)) : BITS_PER_LONG;
	return BIT(KHO_RADIX_KEY_WIDTH - 1);
}

#define NR_BORDERS	(KHO_TREE_MAX_DEPTH + 1)

static void radix_test_borders(struct kunit *test)
{
	for (unsigned int i = 0; i < NR_BORDERS; i++) {
		struct world *w = new_world(test, i);

		for (long off = 2; off >= -2; off--) {
			unsigned long key = border(i) + off;

			if (key > LAST_KEY)
				continue;
			KUNIT_ASSERT_FALSE(test, kho_radix_test_key(&w->tree, key));
			add(test, w, key);
			KUNIT_ASSERT_TRUE(test, kho_radix_test_key(&w->tree, key));
		}
		compare(test, w);

		KUNIT_ASSERT_TRUE(test, kho_radix_take_key(&w->tree, border(i) - 1));
		model_del(&w->now, border(i) - 1);
		compare(test, w);
	}
}

/* Two keys whose paths separate at a level share only the nodes above it. */
static void radix_test_parting(struct kunit *test)
{
	for (unsigned int level = 0; level < KHO_TREE_MAX_DEPTH; level++) {
		struct world *w = new_world(test, level);
		unsigned long other = BIT(bits_below(level));

		if (other > LAST_KEY)
			continue;
		add(test, w, 0);
		add(test, w, other);
		KUNIT_EXPECT_EQ(test, expected_nodes(w),
				KHO_TREE_MAX_DEPTH + level);
		compare(test, w);
	}
}

/* Adding a key to an existing leaf does not allocate memory. */
static void radix_test_leaf_needs_no_memory(struct kunit *test)
{
	struct world *w = new_world(test, 0);

	add(test, w, 0);
	sim_fail_nth(1);
	for (unsigned long key = 1; key < LEAF_KEYS; key += LEAF_KEYS / 8)
		add(test, w, key);
	KUNIT_EXPECT_FALSE(test, sim_failed());
	sim_fail_nth(0);
	compare(test, w);
}

/* All slots of all tables on one path. */
static void radix_test_full_tables(struct kunit *test)
{
	struct world *w = new_world(test, 0);
	unsigned long slots = BIT(KHO_TABLE_SIZE_LOG2);

	/*
	 * With large pages, nodes for all slots need more memory than the
	 * machine has.
	 */
	slots = min(slots, 64UL);
	for (unsigned int level = 1; level < KHO_TREE_MAX_DEPTH; level++) {
		for (unsigned long slot = 0; slot < slots; slot++) {
			unsigned long key = slot << bits_below(level);

			if (key <= LAST_KEY && key >> bits_below(level) == slot)
				add(test, w, key);
		}
	}
	compare(test, w);
}

static void radix_test_too_wide(struct kunit *test)
{
	struct world *w = new_world(test, 0);

	add(test, w, 5);
	for (unsigned int bit = KHO_RADIX_KEY_WIDTH; bit < BITS_PER_LONG; bit++) {
		unsigned long key = BIT(bit) | 5;

		KUNIT_EXPECT_EQ(test, kho_radix_add_key(&w->tree, key), -ERANGE);
		KUNIT_EXPECT_FALSE(test, kho_radix_test_key(&w->tree, key));
		KUNIT_EXPECT_FALSE(test, kho_radix_take_key(&w->tree, key));
		kho_radix_del_key(&w->tree, key);
	}
	compare(test, w);
}

/* Random operations. */

/* A key near a border, near a key of the tree, or anywhere. */
static unsigned long random_key(struct world *w)
{
	unsigned long key;

	switch (rnd_below(&w->rnd, 8)) {
	case 0:
		key = rnd_below(&w->rnd, BIT(KHO_RADIX_KEY_WIDTH));
		break;
	case 1:
	case 2:
		key = border(rnd_below(&w->rnd, NR_BORDERS)) + 4 -
		      rnd_below(&w->rnd, 8);
		break;
	case 3:
		key = rnd_below(&w->rnd, 5);
		key <<= bits_below(rnd_below(&w->rnd, KHO_TREE_MAX_DEPTH));
		break;
	default:
		key = rnd_below(&w->rnd, 8) - 4;
		if (w->now.nr)
			key += w->now.key[rnd_below(&w->rnd, w->now.nr)];
	}
	return key & LAST_KEY;
}

static void random_range(struct kunit *test, struct world *w)
{
	unsigned long start = random_key(w);
	unsigned long end = min(start + rnd_below(&w->rnd, 200), LAST_KEY);
	bool del = rnd_below(&w->rnd, 3) == 0;

	for (unsigned long key = start; key < end; key++) {
		if (del) {
			kho_radix_del_key(&w->tree, key);
			model_del(&w->now, key);
		} else {
			add(test, w, key);
		}
	}
}

static void random_step(struct kunit *test, struct world *w)
{
	unsigned long key = random_key(w);
	bool there = model_has(&w->now, key);

	KUNIT_ASSERT_EQ(test, kho_radix_test_key(&w->tree, key), there);

	switch (rnd_below(&w->rnd, 16)) {
	case 0 ... 2:
		KUNIT_ASSERT_EQ(test, kho_radix_take_key(&w->tree, key), there);
		model_del(&w->now, key);
		break;
	case 3:
		kho_radix_del_key(&w->tree, key);
		model_del(&w->now, key);
		break;
	case 4:
		random_range(test, w);
		break;
	default:
		add(test, w, key);
	}
}

static void radix_test_random(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < 8; round++) {
		struct world *w = new_world(test, round);

		for (unsigned int step = 0; step < 400; step++) {
			random_step(test, w);
			if (step % 50 == 0)
				compare(test, w);
		}
		compare(test, w);
		/*
		 * Free the nodes: memory does not suffice for those of all
		 * rounds.
		 */
		free_world(w);
	}
}

/* The next kernel reads what this one wrote. */
static void radix_test_next_kernel(struct kunit *test)
{
	struct world *w = new_world(test, 77);
	struct kho_radix_tree old;

	for (unsigned int step = 0; step < 200; step++)
		add(test, w, random_key(w));

	old = w->tree;
	w->tree.root = NULL;
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&w->tree, old.root), 0);
	compare(test, w);
}

/* A callback can end a walk at any point, and the walk returns its result. */

struct stop {
	unsigned long left;
	unsigned long after;
};

static int stop_soon(struct stop *s)
{
	s->after += !s->left;
	return s->left-- == 1 ? -ECANCELED : 0;
}

static int stop_key(unsigned long key, void *data)
{
	return stop_soon(data);
}

static int stop_run(unsigned long key, unsigned long nr, void *data)
{
	return stop_soon(data);
}

static int stop_node(phys_addr_t phys, void *data)
{
	return stop_soon(data);
}

static void radix_test_stop_anywhere(struct kunit *test)
{
	static const struct kho_radix_walk_cb all = {
		.leaf = stop_key, .run = stop_run, .node = stop_node,
	};
	struct world *w = new_world(test, 3);
	unsigned long calls = 0;
	int err;

	for (unsigned int i = 0; i < NR_BORDERS; i++) {
		add(test, w, border(i) - 1);
		if (border(i) <= LAST_KEY)
			add(test, w, border(i));
	}

	do {
		struct stop s = { .left = ++calls };

		err = kho_radix_walk_tree(&w->tree, &all, &s);
		KUNIT_ASSERT_TRUE(test, err == 0 || err == -ECANCELED);
		KUNIT_ASSERT_EQ(test, s.after, 0);
	} while (err);
	KUNIT_EXPECT_GT(test, calls, expected_nodes(w) + w->now.nr);
}

/* Keys of the memory map. */

static void radix_test_orders(struct kunit *test)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		unsigned int shift = PAGE_SHIFT + order;
		unsigned long last = ~0UL >> shift;

		for (unsigned int i = 0; i < 64; i++) {
			unsigned long block = i < 8 ? i : i < 16 ? last - (i - 8) :
					      rnd_below(&rnd, last);
			phys_addr_t phys = (phys_addr_t)block << shift, got;
			unsigned long key = kho_encode_key(phys, order);
			unsigned int got_order;

			KUNIT_ASSERT_LE(test, key, LAST_KEY);
			KUNIT_ASSERT_TRUE(test, kho_decode_key(key, &got, &got_order));
			KUNIT_ASSERT_EQ(test, got, phys);
			KUNIT_ASSERT_EQ(test, got_order, order);
		}
	}
}

/* Encoding the block of a decoded key gives the same key. */
static void radix_test_any_key(struct kunit *test)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned long key = rnd_below(&rnd, ULONG_MAX) >> rnd_below(&rnd, 64);
		phys_addr_t phys;
		unsigned int order;

		if (!kho_decode_key(key, &phys, &order)) {
			KUNIT_ASSERT_TRUE(test, key < LEAF_KEYS || key > LAST_KEY);
			continue;
		}
		KUNIT_ASSERT_LE(test, order, KHO_MAX_ORDER);
		KUNIT_ASSERT_EQ(test, kho_encode_key(phys, order), key);
	}
}

static void radix_test_all_orders_in_a_tree(struct kunit *test)
{
	struct world *w = new_world(test, 5);

	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		phys_addr_t size = (phys_addr_t)PAGE_SIZE << order;

		add(test, w, kho_encode_key(0, order));
		add(test, w, kho_encode_key(-size, order));
	}
	compare(test, w);
}

static struct kunit_case radix_cases[] = {
	KUNIT_CASE(radix_test_borders),
	KUNIT_CASE(radix_test_parting),
	KUNIT_CASE(radix_test_full_tables),
	KUNIT_CASE(radix_test_too_wide),
	KUNIT_CASE(radix_test_random),
	KUNIT_CASE(radix_test_run_to_reads_no_more),
	KUNIT_CASE(radix_test_cursor_spares_nodes),
	KUNIT_CASE(radix_test_leaf_needs_no_memory),
	KUNIT_CASE(radix_test_nodes_without_leaves),
	KUNIT_CASE(radix_test_next_kernel),
	KUNIT_CASE(radix_test_stop_anywhere),
	KUNIT_CASE(radix_test_orders),
	KUNIT_CASE(radix_test_any_key),
	KUNIT_CASE(radix_test_all_orders_in_a_tree),
	{}
};

static struct kunit_suite radix_suite = {
	.name = "unit-radix",
	.test_cases = radix_cases,
};

kunit_test_suite(radix_suite);
