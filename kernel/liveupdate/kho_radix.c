// SPDX-License-Identifier: GPL-2.0
/*
 * A set of numeric keys, in pages that the next kernel reads in place.
 *
 * Names that have one meaning in this file:
 *
 * key		a member of the set, at most KHO_RADIX_KEY_WIDTH bits
 * level	height of a node; leaves are at 0, the root at ROOT_LEVEL
 * slot		the entry of a table that leads towards a key
 * base		the lowest key that is below a node
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/find.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/radix_tree.h>
#include <linux/mm.h>

#include "kho_alloc.h"

#define ROOT_LEVEL	(KHO_TREE_MAX_DEPTH - 1)
#define LEAF_KEYS	BIT(KHO_BITMAP_SIZE_LOG2)

KHO_NOTE(KHO_NOTE_STRUCTURE, "radix", KHO_RADIX_COMPATIBLE,
	 KHO_RADIX_COMPATIBLE);

/* Every key has an entry in the root. */
static_assert(KHO_BITMAP_SIZE_LOG2 + ROOT_LEVEL * KHO_TABLE_SIZE_LOG2 >=
	      KHO_RADIX_KEY_WIDTH);

static struct kho_radix_node *kho_radix_alloc_node(void)
{
	struct page *page = kho_alloc_pages(KHO_GFP, 0);

	return page ? page_address(page) : NULL;
}

static void kho_radix_free_node(struct kho_radix_node *node)
{
	free_page((unsigned long)node);
}

static bool kho_radix_key_valid(unsigned long key)
{
	return fls64(key) <= KHO_RADIX_KEY_WIDTH;
}

/* Keys below one table entry at @level only differ in this many low bits. */
static unsigned int kho_radix_shift(unsigned int level)
{
	return KHO_BITMAP_SIZE_LOG2 + (level - 1) * KHO_TABLE_SIZE_LOG2;
}

static u64 *kho_radix_slot(struct kho_radix_node *node, unsigned long key,
			   unsigned int level)
{
	unsigned long index = key >> kho_radix_shift(level);

	return &node->table[index % ARRAY_SIZE(node->table)];
}

/*
 * Once set, an entry does not change until its node is pruned or the tree is
 * destroyed.  Readers need no barrier but the address dependency.
 */
static struct kho_radix_node *kho_radix_child(const u64 *slot)
{
	u64 phys = READ_ONCE(*slot);

	return phys ? phys_to_virt(phys) : NULL;
}

static struct kho_radix_node *kho_radix_child_create(u64 *slot)
{
	struct kho_radix_node *node = kho_radix_child(slot);
	u64 other;

	if (node)
		return node;

	node = kho_radix_alloc_node();
	if (!node)
		return NULL;

	/* The full barrier makes the zeroed page visible before its address. */
	other = cmpxchg(slot, 0, virt_to_phys(node));
	if (!other)
		return node;

	kho_radix_free_node(node);
	return phys_to_virt(other);
}

static unsigned long *kho_radix_find_leaf(const struct kho_radix_tree *tree,
					  unsigned long key)
{
	struct kho_radix_node *node = tree->root;
	unsigned int level;

	if (!kho_radix_key_valid(key))
		return NULL;

	for (level = ROOT_LEVEL; node && level > 0; level--)
		node = kho_radix_child(kho_radix_slot(node, key, level));

	return node ? ((struct kho_radix_leaf *)node)->bitmap : NULL;
}

/* Find the leaf of a key, or allocate it.  Return its bitmap, or an error. */
static unsigned long *kho_radix_make_leaf(struct kho_radix_tree *tree,
					  unsigned long key)
{
	struct kho_radix_node *node = tree->root;
	unsigned int level;

	might_sleep();

	if (!node)
		return ERR_PTR(-EINVAL);
	if (!kho_radix_key_valid(key))
		return ERR_PTR(-ERANGE);

	for (level = ROOT_LEVEL; level > 0; level--) {
		node = kho_radix_child_create(kho_radix_slot(node, key, level));
		if (!node)
			return ERR_PTR(-ENOMEM);
	}

	return ((struct kho_radix_leaf *)node)->bitmap;
}

static bool kho_radix_cursor_at(const struct kho_radix_cursor *cursor,
				unsigned long key)
{
	return cursor->bitmap && key - cursor->first < LEAF_KEYS;
}

static void kho_radix_cursor_set(struct kho_radix_cursor *cursor,
				 unsigned long key, unsigned long *bitmap)
{
	cursor->bitmap = bitmap;
	cursor->first = key & ~(LEAF_KEYS - 1);
}

/* Return false, with the cursor unchanged, when @key has no leaf. */
static bool kho_radix_cursor_move(struct kho_radix_cursor *cursor,
				  const struct kho_radix_tree *tree,
				  unsigned long key)
{
	unsigned long *bitmap;

	if (kho_radix_cursor_at(cursor, key))
		return true;

	bitmap = kho_radix_find_leaf(tree, key);
	if (bitmap)
		kho_radix_cursor_set(cursor, key, bitmap);

	return bitmap;
}

/**
 * kho_radix_add_key - add a key to a tree
 * @tree: the tree
 * @key: the key, at most %KHO_RADIX_KEY_WIDTH bits wide
 *
 * Adding a key that is present changes nothing.  On failure the set of keys is
 * unchanged; tables that were added stay for later use.
 *
 * Context: May sleep.  Any number of callers may work on one tree.
 * Return: 0, -EINVAL for a tree that was not initialized, -ERANGE for a key
 * that is too wide, or -ENOMEM.
 */
int kho_radix_add_key(struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_cursor cursor = { };

	return kho_radix_add_key_at(tree, key, &cursor);
}
EXPORT_SYMBOL_GPL(kho_radix_add_key);

/**
 * kho_radix_add_key_at - add a key at a cursor
 * @tree: the tree
 * @key: the key
 * @cursor: position of the last key; initially all zero
 *
 * Context: As kho_radix_add_key().
 * Return: As kho_radix_add_key().
 */
int kho_radix_add_key_at(struct kho_radix_tree *tree, unsigned long key,
			 struct kho_radix_cursor *cursor)
{
	if (!kho_radix_cursor_at(cursor, key)) {
		unsigned long *bitmap = kho_radix_make_leaf(tree, key);

		if (IS_ERR(bitmap))
			return PTR_ERR(bitmap);
		kho_radix_cursor_set(cursor, key, bitmap);
	}

	set_bit(key % LEAF_KEYS, cursor->bitmap);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_add_key_at);

/**
 * kho_radix_take_key - test and remove a key
 * @tree: the tree
 * @key: the key
 *
 * If several callers take the same key concurrently, exactly one succeeds.
 *
 * Context: Any.
 * Return: true when this call removed @key, false when it was not present.
 */
bool kho_radix_take_key(struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_cursor cursor = { };

	return kho_radix_take_key_at(tree, key, &cursor);
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_take_key);

/**
 * kho_radix_take_key_at - test and remove a key at a cursor
 * @tree: the tree
 * @key: the key
 * @cursor: position of the last key; initially all zero
 *
 * Context: Any.
 * Return: As kho_radix_take_key().
 */
bool kho_radix_take_key_at(struct kho_radix_tree *tree, unsigned long key,
			   struct kho_radix_cursor *cursor)
{
	return kho_radix_cursor_move(cursor, tree, key) &&
	       test_and_clear_bit(key % LEAF_KEYS, cursor->bitmap);
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_take_key_at);

/**
 * kho_radix_del_key - remove a key from a tree
 * @tree: the tree
 * @key: the key; it need not be present
 *
 * Nodes that become empty stay in the tree.
 *
 * Context: Any.
 */
void kho_radix_del_key(struct kho_radix_tree *tree, unsigned long key)
{
	kho_radix_take_key(tree, key);
}
EXPORT_SYMBOL_GPL(kho_radix_del_key);

/**
 * kho_radix_test_key - test if a key is present
 * @tree: the tree
 * @key: the key
 *
 * Context: Any.
 * Return: true when @key is in @tree.
 */
bool kho_radix_test_key(const struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_cursor cursor = { };

	return kho_radix_test_key_at(tree, key, &cursor);
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_test_key);

/**
 * kho_radix_test_key_at - test if a key is present, at a cursor
 * @tree: the tree
 * @key: the key
 * @cursor: position of the last key; initially all zero
 *
 * Context: Any.
 * Return: As kho_radix_test_key().
 */
bool kho_radix_test_key_at(const struct kho_radix_tree *tree, unsigned long key,
			   struct kho_radix_cursor *cursor)
{
	return kho_radix_cursor_move(cursor, tree, key) &&
	       test_bit(key % LEAF_KEYS, cursor->bitmap);
}

/* Search the keys from *@key to @last. */
static bool kho_radix_next_in_leaf(const unsigned long *bitmap,
				   unsigned long *key, unsigned long *nr,
				   unsigned long last)
{
	unsigned long pos = *key % LEAF_KEYS;
	unsigned long end = pos + min(LEAF_KEYS - 1 - pos, last - *key) + 1;
	unsigned long start = find_next_bit(bitmap, end, pos);

	if (start == end)
		return false;

	*key += start - pos;
	/* A run is never empty, even if its first key is being removed. */
	*nr = find_next_zero_bit(bitmap, end, start + 1) - start;
	return true;
}

/* On failure @key may have advanced, but is still in the range of the node. */
static bool kho_radix_next_in_node(struct kho_radix_node *node,
				   unsigned int level, unsigned long *key,
				   unsigned long *nr, unsigned long last)
{
	unsigned int shift;

	if (level == 0)
		return kho_radix_next_in_leaf(((struct kho_radix_leaf *)node)->bitmap,
					      key, nr, last);

	for (shift = kho_radix_shift(level);; ) {
		struct kho_radix_node *child;
		unsigned long next;

		child = kho_radix_child(kho_radix_slot(node, *key, level));
		if (child && kho_radix_next_in_node(child, level - 1, key, nr, last))
			return true;

		next = ((*key >> shift) + 1) << shift;
		if (next > last || !((next >> shift) % ARRAY_SIZE(node->table)))
			return false;
		*key = next;
	}
}

/**
 * kho_radix_next_run - find consecutive keys
 * @tree: the tree
 * @key: first key to search; set to the first key that is present
 * @nr: set to the number of consecutive keys from @key on
 *
 * A run does not continue in the next leaf.
 *
 * Context: Any.
 * Return: false when no key was found; @key is undefined then.
 */
bool kho_radix_next_run(const struct kho_radix_tree *tree, unsigned long *key,
			unsigned long *nr)
{
	return kho_radix_next_run_to(tree, key, nr, ULONG_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_next_run);

/**
 * kho_radix_next_run_to - find consecutive keys in a range
 * @tree: the tree
 * @key: first key to search, at most @last; set to the first key that is present
 * @nr: set to the number of consecutive keys from @key on, up to @last
 * @last: last key to search
 *
 * Only nodes with keys of the range are read.
 *
 * Context: Any.
 * Return: false when no key from @key to @last is present; @key is undefined
 * then.
 */
bool kho_radix_next_run_to(const struct kho_radix_tree *tree, unsigned long *key,
			   unsigned long *nr, unsigned long last)
{
	return tree->root && kho_radix_key_valid(*key) &&
	       kho_radix_next_in_node(tree->root, ROOT_LEVEL, key, nr, last);
}

/**
 * kho_radix_next_run_at - find consecutive keys at a cursor
 * @tree: the tree
 * @key: as for kho_radix_next_run()
 * @nr: as for kho_radix_next_run()
 * @cursor: position of the last run; initially all zero
 *
 * Context: Any.
 * Return: As kho_radix_next_run().
 */
bool kho_radix_next_run_at(const struct kho_radix_tree *tree,
			   unsigned long *key, unsigned long *nr,
			   struct kho_radix_cursor *cursor)
{
	if (kho_radix_cursor_at(cursor, *key) &&
	    kho_radix_next_in_leaf(cursor->bitmap, key, nr, ULONG_MAX))
		return true;

	if (!kho_radix_next_run(tree, key, nr))
		return false;

	kho_radix_cursor_set(cursor, *key, kho_radix_find_leaf(tree, *key));
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_next_run_at);

/* Count the first keys of runs: set bits that do not follow a set bit. */
static unsigned long kho_radix_runs_in_leaf(const unsigned long *bitmap)
{
	unsigned long nr = 0, before = 0;

	for (unsigned long i = 0; i < BITS_TO_LONGS(LEAF_KEYS); i++) {
		unsigned long word = READ_ONCE(bitmap[i]);
		unsigned long first = word & ~(word << 1 | before);

		if (first)
			nr += hweight_long(first);
		before = word >> (BITS_PER_LONG - 1);
	}

	return nr;
}

static unsigned long kho_radix_runs_in_node(struct kho_radix_node *node,
					    unsigned int level,
					    unsigned long first,
					    unsigned long last)
{
	unsigned long nr = 0, key = first;
	unsigned int shift;

	if (level == 0)
		return kho_radix_runs_in_leaf(((struct kho_radix_leaf *)node)->bitmap);

	/* Only count the entries from @first to @last. */
	for (shift = kho_radix_shift(level); key <= last;) {
		unsigned long next = ((key >> shift) + 1) << shift;
		struct kho_radix_node *child;

		child = kho_radix_child(kho_radix_slot(node, key, level));
		if (child)
			nr += kho_radix_runs_in_node(child, level - 1, key,
						     min(last, next - 1));
		key = next;
	}

	return nr;
}

/**
 * kho_radix_count_runs - count the runs of consecutive keys
 * @tree: the tree
 * @first: first key to search, the lowest one of a leaf
 * @last: last key to search, the highest one of a leaf
 *
 * A run does not continue in the next leaf.  Each word of each leaf is read.
 *
 * Context: Any.
 * Return: number of runs that kho_radix_next_run() would find.
 */
unsigned long kho_radix_count_runs(const struct kho_radix_tree *tree,
				   unsigned long first, unsigned long last)
{
	if (!tree->root || !kho_radix_key_valid(last))
		return 0;

	return kho_radix_runs_in_node(tree->root, ROOT_LEVEL, first, last);
}
EXPORT_SYMBOL_IF_KUNIT(kho_radix_count_runs);

/**
 * kho_radix_init_tree - initialize a tree
 * @tree: the tree
 * @root: root node left by the previous kernel, or NULL for an empty tree
 *
 * @root is not read.  To validate the tree, walk it with a callback for nodes:
 * the callback is called before a node is read.
 *
 * Context: May sleep when @root is NULL; else any, from early boot on.
 * Return: 0 or -ENOMEM.
 */
int kho_radix_init_tree(struct kho_radix_tree *tree, struct kho_radix_node *root)
{
	tree->root = root ?: kho_radix_alloc_node();
	return tree->root ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(kho_radix_init_tree);

static void kho_radix_destroy_node(struct kho_radix_node *node,
				   unsigned int level)
{
	unsigned int i;

	for (i = 0; level > 0 && i < ARRAY_SIZE(node->table); i++) {
		struct kho_radix_node *child = kho_radix_child(&node->table[i]);

		if (child)
			kho_radix_destroy_node(child, level - 1);
	}

	kho_radix_free_node(node);
}

/**
 * kho_radix_destroy_tree - free all nodes of a tree
 * @tree: the tree, possibly without nodes
 *
 * Only for trees whose nodes were allocated by this kernel.
 *
 * Context: The caller has exclusive access to @tree.
 */
void kho_radix_destroy_tree(struct kho_radix_tree *tree)
{
	if (!tree->root)
		return;

	kho_radix_destroy_node(tree->root, ROOT_LEVEL);
	tree->root = NULL;
}
EXPORT_SYMBOL_GPL(kho_radix_destroy_tree);

static bool kho_radix_prune_node(struct kho_radix_node *node,
				 unsigned int level,
				 const struct kho_radix_walk_cb *cb, void *data)
{
	bool empty = true;

	if (level == 0)
		return bitmap_empty(((struct kho_radix_leaf *)node)->bitmap,
				    LEAF_KEYS);

	for (unsigned int i = 0; i < ARRAY_SIZE(node->table); i++) {
		struct kho_radix_node *child = kho_radix_child(&node->table[i]);

		if (!child)
			continue;
		if (!kho_radix_prune_node(child, level - 1, cb, data)) {
			empty = false;
			continue;
		}
		WRITE_ONCE(node->table[i], 0);
		cb->node(virt_to_phys(child), data);
	}

	return empty;
}

/**
 * kho_radix_prune - remove nodes without keys from a tree
 * @tree: the tree; its root stays
 * @cb: its callback for nodes is called for each removed node; the node may
 *      still have readers
 * @data: passed to the callback
 *
 * Context: No key is added to @tree at the same time.
 */
void kho_radix_prune(struct kho_radix_tree *tree,
		     const struct kho_radix_walk_cb *cb, void *data)
{
	if (tree->root)
		kho_radix_prune_node(tree->root, ROOT_LEVEL, cb, data);
}

static int kho_radix_walk_keys(unsigned long key, unsigned long nr,
			       const struct kho_radix_walk_cb *cb, void *data)
{
	unsigned long end = key + nr;
	int err = 0;

	while (!err && key < end)
		err = cb->leaf(key++, data);

	return err;
}

static int kho_radix_walk_leaf(const unsigned long *bitmap, unsigned long base,
			       const struct kho_radix_walk_cb *cb, void *data)
{
	unsigned long start, end = 0;
	int err = 0;

	for (;;) {
		start = find_next_bit(bitmap, LEAF_KEYS, end);
		if (start == LEAF_KEYS)
			return 0;
		/* A run is never empty, even if its first key is being removed. */
		end = find_next_zero_bit(bitmap, LEAF_KEYS, start + 1);

		if (cb->run)
			err = cb->run(base + start, end - start, data);
		if (!err && cb->leaf)
			err = kho_radix_walk_keys(base + start, end - start, cb,
						  data);
		if (err)
			return err;
	}
}

/* The callback for nodes may refuse @phys before the address is translated. */
static int kho_radix_walk_node(u64 phys, unsigned int level,
			       unsigned long base,
			       const struct kho_radix_walk_cb *cb, void *data)
{
	struct kho_radix_node *node;
	unsigned long i;
	int err = 0;

	if (cb->node)
		err = cb->node(phys, data);
	if (err)
		return err;

	node = phys_to_virt(phys);
	if (level == 0) {
		if (!cb->run && !cb->leaf)
			return 0;
		return kho_radix_walk_leaf(((struct kho_radix_leaf *)node)->bitmap,
					   base, cb, data);
	}

	for (i = 0; !err && i < ARRAY_SIZE(node->table); i++) {
		u64 child = READ_ONCE(node->table[i]);

		if (child)
			err = kho_radix_walk_node(child, level - 1,
						  base | i << kho_radix_shift(level),
						  cb, data);
	}

	return err;
}

/**
 * kho_radix_walk_tree - walk the nodes and keys of a tree
 * @tree: the tree
 * @cb: the callbacks; see &struct kho_radix_walk_cb
 * @data: passed to each callback
 *
 * Without a callback for runs or keys, leaves are not read.  Otherwise each word
 * of each leaf is read.
 *
 * Context: That of the callbacks; from early boot on.
 * Return: 0, the result of the callback that ended the walk, or -EINVAL for a
 * tree that was not initialized.
 */
int kho_radix_walk_tree(struct kho_radix_tree *tree,
			const struct kho_radix_walk_cb *cb, void *data)
{
	if (!tree->root)
		return -EINVAL;

	return kho_radix_walk_node(virt_to_phys(tree->root), ROOT_LEVEL, 0, cb,
				   data);
}
EXPORT_SYMBOL_GPL(kho_radix_walk_tree);
