// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the radix tree with many operations: random operations that are
 * compared with a plain bitmap, and operations of several threads.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/find.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/radix_tree.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/processor.h>
#include <linux/sched.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "start of the sequence of random operations");

#define LEAF_KEYS	BIT(KHO_BITMAP_SIZE_LOG2)
#define TABLE_KEYS	BIT(KHO_BITMAP_SIZE_LOG2 + KHO_TABLE_SIZE_LOG2)
#define KEY_END		BIT(KHO_RADIX_KEY_WIDTH)

KUNIT_DEFINE_ACTION_WRAPPER(destroy_tree, kho_radix_destroy_tree,
			    struct kho_radix_tree *);

static void init_tree(struct kunit *test, struct kho_radix_tree *tree)
{
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(tree, NULL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, destroy_tree, tree),
			0);
}

/*
 * The model: bit n of @present is set when the n-th test key is present.  The
 * test keys are in windows around the boundaries of nodes in the tree.
 */
#define WINDOW		64UL

static const unsigned long playground[] = {
	0,
	LEAF_KEYS - WINDOW / 2,
	TABLE_KEYS - WINDOW / 2,
	TABLE_KEYS * 3 + 77,
	KEY_END / 2 - WINDOW / 2,
	KEY_END / 2 + LEAF_KEYS - WINDOW / 2,
	KEY_END - WINDOW,
};

#define NR_KEYS		(ARRAY_SIZE(playground) * WINDOW)

struct model {
	struct kho_radix_tree tree;
	struct rnd_state rnd;
	DECLARE_BITMAP(present, NR_KEYS);
};

static unsigned long model_key(unsigned long n)
{
	return playground[n / WINDOW] + n % WINDOW;
}

/* One random operation on tree and model.  Most add a key, to create runs. */
static void model_step(struct kunit *test, struct model *m, int step)
{
	unsigned long n = prandom_u32_state(&m->rnd) % NR_KEYS;
	unsigned long key = model_key(n);
	bool before = test_bit(n, m->present);

	KUNIT_EXPECT_EQ_MSG(test, kho_radix_test_key(&m->tree, key), before,
			    "step %d, key %#lx", step, key);

	switch (prandom_u32_state(&m->rnd) % 8) {
	case 0:
	case 1:
		KUNIT_EXPECT_EQ_MSG(test, kho_radix_take_key(&m->tree, key),
				    before, "step %d, key %#lx", step, key);
		clear_bit(n, m->present);
		break;
	case 2:
		kho_radix_del_key(&m->tree, key);
		clear_bit(n, m->present);
		break;
	default:
		KUNIT_EXPECT_EQ(test, kho_radix_add_key(&m->tree, key), 0);
		set_bit(n, m->present);
	}
}

/* Compares the keys that a walk finds, in order, with the model. */
struct comparison {
	const struct model *model;
	unsigned long next;	/* bit of the model at which the search starts */
	unsigned long leaf;	/* leaf of the last run */
	unsigned long end;	/* end of the last run */
	unsigned int faults;
};

static int compare_key(unsigned long key, void *data)
{
	struct comparison *c = data;
	unsigned long n = find_next_bit(c->model->present, NR_KEYS, c->next);

	if (n >= NR_KEYS || model_key(n) != key)
		c->faults++;
	c->next = n + 1;
	return 0;
}

static int compare_run(unsigned long key, unsigned long nr, void *data)
{
	struct comparison *c = data;
	unsigned long leaf = key / LEAF_KEYS;

	/* A run is in one leaf, and two runs of a leaf are not adjacent. */
	if (!nr || (key + nr - 1) / LEAF_KEYS != leaf)
		c->faults++;
	if (c->end && (key < c->end || (key == c->end && leaf == c->leaf)))
		c->faults++;

	c->leaf = leaf;
	c->end = key + nr;
	while (nr--)
		compare_key(key++, c);
	return 0;
}

static void compare(struct kunit *test, struct model *m,
		    const struct kho_radix_walk_cb *cb, int step)
{
	struct comparison c = { .model = m };

	KUNIT_ASSERT_EQ(test, kho_radix_walk_tree(&m->tree, cb, &c), 0);
	KUNIT_ASSERT_EQ_MSG(test, c.faults, 0, "step %d", step);
	KUNIT_ASSERT_EQ_MSG(test, find_next_bit(m->present, NR_KEYS, c.next),
			    NR_KEYS, "step %d: keys were left out", step);
}

static void kho_radix_stress_test_model(struct kunit *test)
{
	static const struct kho_radix_walk_cb keys = { .leaf = compare_key };
	static const struct kho_radix_walk_cb runs = { .run = compare_run };
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	init_tree(test, &m->tree);
	prandom_seed_state(&m->rnd, seed);
	kunit_info(test, "%s.seed=%lu repeats this sequence\n", KBUILD_MODNAME,
		   seed);

	for (int step = 0; step < 2000; step++) {
		model_step(test, m, step);
		if (step % 50 == 49) {
			compare(test, m, &keys, step);
			compare(test, m, &runs, step);
		}
	}
}

/* Threads that run the same steps on one tree, in lockstep. */
#define NR_THREADS	2

struct team {
	struct kho_radix_tree tree;
	atomic_t arrived;
	struct member {
		struct team *team;
		unsigned int id;
		unsigned int count;
		struct completion done;
	} members[NR_THREADS];
};

/* All members start a step at the same time: the window of a race is short. */
static void meet(struct team *team, unsigned int step)
{
	atomic_inc(&team->arrived);
	while (atomic_read(&team->arrived) < (step + 1) * NR_THREADS) {
		cpu_relax();
		cond_resched();
	}
}

static void run_team(struct kunit *test, struct team *team, int (*work)(void *))
{
	unsigned int started;

	for (started = 0; started < NR_THREADS; started++) {
		struct member *m = &team->members[started];
		struct task_struct *task;

		*m = (struct member){ .team = team, .id = started };
		init_completion(&m->done);
		task = kthread_run(work, m, "kho_radix_stress/%u", started);
		if (IS_ERR(task))
			break;
	}

	/* If a thread failed to start, the others must not wait for it. */
	if (started < NR_THREADS)
		atomic_add(BIT(30), &team->arrived);
	for (unsigned int i = 0; i < started; i++)
		wait_for_completion(&team->members[i].done);
	KUNIT_ASSERT_EQ(test, started, NR_THREADS);
}

static struct team *new_team(struct kunit *test)
{
	struct team *team = kunit_kzalloc(test, sizeof(*team), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, team);
	init_tree(test, &team->tree);
	return team;
}

static int count_node(phys_addr_t phys, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

#define NR_LEAVES	256

/* Each thread adds a key to each leaf: the threads race to create the leaf. */
static unsigned long shared_leaf_key(unsigned int leaf, unsigned int id)
{
	return leaf * LEAF_KEYS + id * 7;
}

static int add_to_shared_leaves(void *data)
{
	struct member *m = data;

	for (unsigned int leaf = 0; leaf < NR_LEAVES; leaf++) {
		meet(m->team, leaf);
		if (!kho_radix_add_key(&m->team->tree,
				       shared_leaf_key(leaf, m->id)))
			m->count++;
	}
	kthread_complete_and_exit(&m->done, 0);
}

static void kho_radix_stress_test_add_race(struct kunit *test)
{
	static const struct kho_radix_walk_cb nodes = { .node = count_node };
	struct team *team = new_team(test);
	unsigned int nr_nodes = 0, lost = 0;

	run_team(test, team, add_to_shared_leaves);

	for (unsigned int id = 0; id < NR_THREADS; id++) {
		KUNIT_EXPECT_EQ(test, team->members[id].count, NR_LEAVES);
		for (unsigned int leaf = 0; leaf < NR_LEAVES; leaf++)
			lost += !kho_radix_test_key(&team->tree,
						    shared_leaf_key(leaf, id));
	}
	KUNIT_EXPECT_EQ(test, lost, 0);

	/* All leaves are in one table, and no node was created twice. */
	kho_radix_walk_tree(&team->tree, &nodes, &nr_nodes);
	KUNIT_EXPECT_EQ(test, nr_nodes, KHO_TREE_MAX_DEPTH - 1 + NR_LEAVES);
}

#define NR_TAKEN	1024

static int take_all(void *data)
{
	struct member *m = data;

	for (unsigned int key = 0; key < NR_TAKEN; key++) {
		meet(m->team, key);
		m->count += kho_radix_take_key(&m->team->tree, key);
	}
	kthread_complete_and_exit(&m->done, 0);
}

static void kho_radix_stress_test_take_race(struct kunit *test)
{
	struct team *team = new_team(test);
	unsigned int taken = 0;

	for (unsigned long key = 0; key < NR_TAKEN; key++)
		KUNIT_ASSERT_EQ(test, kho_radix_add_key(&team->tree, key), 0);

	run_team(test, team, take_all);

	for (unsigned int id = 0; id < NR_THREADS; id++)
		taken += team->members[id].count;
	KUNIT_EXPECT_EQ(test, taken, NR_TAKEN);
}

static struct kunit_case kho_radix_stress_cases[] = {
	KUNIT_CASE(kho_radix_stress_test_model),
	KUNIT_CASE(kho_radix_stress_test_add_race),
	KUNIT_CASE(kho_radix_stress_test_take_race),
	{}
};

static struct kunit_suite kho_radix_stress_suite = {
	.name = "kho-radix-stress",
	.test_cases = kho_radix_stress_cases,
};

kunit_test_suite(kho_radix_stress_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit stress tests of the KHO radix tree");
MODULE_LICENSE("GPL");
