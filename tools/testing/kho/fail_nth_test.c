// SPDX-License-Identifier: GPL-2.0
/*
 * For every operation that allocates: the first allocation fails, then the
 * second, and so on, until an attempt has fewer allocations.  After each
 * failure nothing has changed, and the same call succeeds when it is repeated.
 */

#include "model.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/block.h>
#include <linux/kho/vmalloc.h>

/* More than the number of allocations of any operation. */
#define MANY		400

/* Objects of the operations. */
static struct {
	struct kho_radix_tree tree;
	struct page *page;
	struct folio *folio;
	void *mem;
	struct kho_vmalloc desc;
	struct kho_block_set bs;
} at;

/* All state that an operation may change: balance, and the keys of all maps. */
struct picture {
	struct sim_balance balance;
	struct model keys;
	unsigned long tree_nodes;
};

static int picture_run(unsigned long key, unsigned long nr, void *data)
{
	while (nr--)
		model_add(data, key++);
	return 0;
}

static int picture_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

static struct picture take_picture(void)
{
	const struct kho_radix_walk_cb runs = { .run = picture_run };
	const struct kho_radix_walk_cb nodes = { .node = picture_node };
	struct picture p = { .balance = sim_balance() };

	kho_radix_walk_tree(&at.tree, &runs, &p.keys);
	kho_radix_walk_tree(&at.tree, &nodes, &p.tree_nodes);
	kho_radix_walk_tree(&kho_in.map, &runs, &p.keys);
	/* Nodes that were added stay in the tree. */
	p.balance.pages -= p.tree_nodes;
	return p;
}

static void expect_same(struct kunit *test, struct picture *a, struct picture *b,
			unsigned long n)
{
	KUNIT_EXPECT_EQ_MSG(test, a->balance.objects, b->balance.objects, "n = %lu", n);
	KUNIT_EXPECT_EQ_MSG(test, a->balance.pages, b->balance.pages, "n = %lu", n);
	KUNIT_EXPECT_EQ_MSG(test, a->balance.keys, b->balance.keys, "n = %lu", n);
	KUNIT_ASSERT_EQ_MSG(test, a->keys.nr, b->keys.nr, "n = %lu", n);
	KUNIT_EXPECT_MEMEQ_MSG(test, a->keys.key, b->keys.key,
			       a->keys.nr * sizeof(*a->keys.key), "n = %lu", n);
	model_free(&b->keys);
}

/* The operations. */

static void hop(void)
{
	struct sim_handover h = sim_kexec();

	BUG_ON(!sim_boot_warm(&h));
}

static void empty_tree(void)
{
	BUG_ON(kho_radix_init_tree(&at.tree, NULL));
}

static int init_tree(void)
{
	at.tree.root = NULL;
	return kho_radix_init_tree(&at.tree, NULL);
}

static int add_key(void)
{
	return kho_radix_add_key(&at.tree, BIT(KHO_RADIX_KEY_WIDTH) - 1);
}

static void tree_with_keys(void)
{
	empty_tree();
	for (unsigned int bit = 0; bit < KHO_RADIX_KEY_WIDTH; bit += 3)
		BUG_ON(kho_radix_add_key(&at.tree, BIT(bit)));
}

static void one_folio(void)
{
	at.folio = folio_alloc(GFP_KERNEL, 3);
	BUG_ON(!at.folio);
}

static int preserve_folio(void)
{
	return kho_preserve_folio(at.folio);
}

static void some_pages(void)
{
	at.page = alloc_pages(GFP_KERNEL, 6);
	BUG_ON(!at.page);
	split_page(at.page, 6);
}

/* Blocks of order 0 to 4 in ascending, and then in descending order. */
static int preserve_pages(void)
{
	return kho_preserve_pages(at.page + 1, 62);
}

static int alloc_preserve(void)
{
	void *mem = kho_alloc_preserve(3 * PAGE_SIZE);

	return IS_ERR(mem) ? PTR_ERR(mem) : 0;
}

/* Enough pages for three chunks, unless pages are large. */
static void an_area(void)
{
	unsigned long nr = min(2 * KHO_VMALLOC_SIZE + 5, PAGE_SHIFT > 12 ? 40UL : 1100UL);

	at.mem = vmalloc(nr * PAGE_SIZE);
	BUG_ON(!at.mem);
}

static int preserve_vmalloc(void)
{
	return kho_preserve_vmalloc(at.mem, &at.desc);
}

static void an_area_that_was_left(void)
{
	an_area();
	BUG_ON(preserve_vmalloc());
	hop();
}

static int restore_vmalloc(void)
{
	return kho_restore_vmalloc(&at.desc) ? 0 : -ENOMEM;
}

static void a_set(void)
{
	kho_block_set_init(&at.bs, sizeof(u64));
	BUG_ON(kho_block_set_grow(&at.bs, 1));
}

static int grow_set(void)
{
	int err = kho_block_set_grow(&at.bs, 5 * at.bs.count_per_block);

	BUG_ON(err && at.bs.nblocks != 1);
	return err;
}

static void a_set_that_was_left(void)
{
	a_set();
	BUG_ON(grow_set());
	at.mem = phys_to_virt(kho_block_set_head_pa(&at.bs));
	hop();
	kho_block_set_init(&at.bs, sizeof(u64));
}

static int restore_set(void)
{
	int err = kho_block_set_restore(&at.bs, virt_to_phys(at.mem));

	BUG_ON(err && !kho_block_set_is_empty(&at.bs));
	return err;
}

static const struct operation {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	unsigned long least;	/* minimum number of allocations, or 0 */
} operations[] = {
	{ "radix init", NULL, init_tree, 1 },
	{ "radix add to an empty tree", empty_tree, add_key, KHO_TREE_MAX_DEPTH - 1 },
	{ "radix add", tree_with_keys, add_key, 1 },
	{ "preserve folio", one_folio, preserve_folio, 1 },
	{ "preserve pages", some_pages, preserve_pages, 9 },
	{ "alloc preserve", NULL, alloc_preserve, 2 },
	{ "preserve vmalloc", an_area, preserve_vmalloc, 1 },
	{ "restore vmalloc", an_area_that_was_left, restore_vmalloc, 3 },
	{ "block grow", a_set, grow_set, 8 },
	{ "block restore", a_set_that_was_left, restore_set, 5 },
};

KUNIT_ARRAY_PARAM_DESC(operation, operations, name);

/* Returns true if the @n-th allocation was reached, and failed. */
static bool attempt(struct kunit *test, const struct operation *op, unsigned long n)
{
	struct picture before, after;
	bool failed;
	int err;

	sim_boot_cold();
	memset(&at, 0, sizeof(at));
	if (op->prepare)
		op->prepare();

	before = take_picture();
	sim_fail_nth(n);
	err = op->run();
	failed = sim_failed();
	sim_fail_nth(0);

	if (failed) {
		KUNIT_ASSERT_EQ_MSG(test, err, -ENOMEM, "n = %lu", n);
		after = take_picture();
		expect_same(test, &before, &after, n);
		err = op->run();
	}
	KUNIT_ASSERT_EQ_MSG(test, err, 0, "n = %lu", n);
	model_free(&before.keys);
	return failed;
}

static void fail_nth_test_operation(struct kunit *test)
{
	const struct operation *op = test->param_value;
	unsigned long n = 1;

	while (attempt(test, op, n))
		KUNIT_ASSERT_LT(test, n++, MANY);

	KUNIT_EXPECT_GE(test, n - 1, op->least);
}

/*
 * A boot in which one allocation fails keeps all preserved memory or panics.
 * It only boots without the handover if the allocation fails before the
 * handover is accepted.
 */
static bool attempt_boot(struct kunit *test, unsigned long n)
{
	struct sim_handover h;
	bool failed, kept;

	sim_boot_cold();
	memset(&at, 0, sizeof(at));
	an_area();
	KUNIT_ASSERT_EQ(test, preserve_vmalloc(), 0);
	h = sim_kexec();

	sim_log_clear();
	sim_fail_nth(n);
	kept = sim_boot_warm(&h);
	failed = sim_failed();
	sim_fail_nth(0);

	if (kept)
		KUNIT_ASSERT_EQ_MSG(test, restore_vmalloc(), 0, "n = %lu", n);
	else if (sim_panicked)
		KUNIT_ASSERT_TRUE_MSG(test, sim_logged("kho_collect_nodes: ") ||
				      sim_logged("nodes, the previous kernel needs"), "n = %lu", n);
	else
		KUNIT_ASSERT_TRUE_MSG(test, sim_logged("disabling KHO revival"), "n = %lu", n);
	return failed;
}

static void fail_nth_test_boot(struct kunit *test)
{
	unsigned long n = 1;

	while (attempt_boot(test, n))
		KUNIT_ASSERT_LT(test, n++, MANY);
	KUNIT_EXPECT_GE(test, n, 5);
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case fail_nth_cases[] = {
	KUNIT_CASE_PARAM(fail_nth_test_operation, operation_gen_params),
	KUNIT_CASE(fail_nth_test_boot),
	{}
};

static struct kunit_suite fail_nth_suite = {
	.name = "unit-fail-nth",
	.exit = back_to_cold,
	.test_cases = fail_nth_cases,
};

kunit_test_suite(fail_nth_suite);
