/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_RADIX_TREE_H
#define _LINUX_KHO_RADIX_TREE_H

#include <linux/errno.h>
#include <linux/types.h>

/**
 * DOC: KHO radix tree
 *
 * A set of numeric keys that survives kexec.  The map of preserved memory is
 * such a tree.  Other subsystems can use their own to hand over a set of
 * numbers.
 *
 * kho_radix_init_tree() initializes a tree, either empty or from the root node
 * that the previous kernel left, and kho_radix_destroy_tree() frees it.
 * Between these calls only kho_radix_prune() removes nodes.  That makes locks
 * unnecessary: adding, removing, testing and walking may all run at the same
 * time, and each key is updated atomically.  A walk sees every key that was
 * present from its start to its end.  Only init and destroy need exclusive
 * access, which the caller has to ensure.
 *
 * The tree does not preserve its own nodes.  The next kernel finds them in
 * place as long as it does not allocate their memory.  The format is that of
 * ``include/linux/kho/abi/radix_tree.h``.
 */

struct kho_radix_node;

/**
 * struct kho_radix_tree - handle of a tree
 * @root: its top level table; NULL before init and after destroy
 */
struct kho_radix_tree {
	struct kho_radix_node *root;
};

/**
 * struct kho_radix_cursor - position of the last key
 * @bitmap: the leaf, NULL before the first key
 * @first: the lowest key of the leaf
 *
 * Saves the walk from the root if the next key is in the same leaf.  A cursor
 * belongs to one tree and one user, and is valid until nodes of the tree are
 * freed.
 */
struct kho_radix_cursor {
	unsigned long *bitmap;
	unsigned long first;
};

/**
 * struct kho_radix_walk_cb - callbacks of a walk, all optional
 * @leaf: for each key.
 * @run: for each run of @nr consecutive keys from @key on.  A run does not
 *       continue in the next leaf.
 * @node: for each node before it is read, with its physical address.
 *
 * Runs and keys come in ascending order.  A callback that returns non-zero
 * ends the walk.
 */
struct kho_radix_walk_cb {
	int (*leaf)(unsigned long key, void *data);
	int (*run)(unsigned long key, unsigned long nr, void *data);
	int (*node)(phys_addr_t phys, void *data);
};

#ifdef CONFIG_KEXEC_HANDOVER

int kho_radix_init_tree(struct kho_radix_tree *tree,
			struct kho_radix_node *root);
void kho_radix_destroy_tree(struct kho_radix_tree *tree);
int kho_radix_add_key(struct kho_radix_tree *tree, unsigned long key);
void kho_radix_del_key(struct kho_radix_tree *tree, unsigned long key);
bool kho_radix_test_key(const struct kho_radix_tree *tree, unsigned long key);
bool kho_radix_test_key_at(const struct kho_radix_tree *tree, unsigned long key,
			   struct kho_radix_cursor *cursor);
bool kho_radix_take_key(struct kho_radix_tree *tree, unsigned long key);
int kho_radix_add_key_at(struct kho_radix_tree *tree, unsigned long key,
			 struct kho_radix_cursor *cursor);
bool kho_radix_take_key_at(struct kho_radix_tree *tree, unsigned long key,
			   struct kho_radix_cursor *cursor);
bool kho_radix_next_run(const struct kho_radix_tree *tree, unsigned long *key,
			unsigned long *nr);
bool kho_radix_next_run_to(const struct kho_radix_tree *tree, unsigned long *key,
			   unsigned long *nr, unsigned long last);
bool kho_radix_next_run_at(const struct kho_radix_tree *tree,
			   unsigned long *key, unsigned long *nr,
			   struct kho_radix_cursor *cursor);
unsigned long kho_radix_count_runs(const struct kho_radix_tree *tree,
				   unsigned long first, unsigned long last);
int kho_radix_walk_tree(struct kho_radix_tree *tree,
			const struct kho_radix_walk_cb *cb, void *data);
void kho_radix_prune(struct kho_radix_tree *tree,
		     const struct kho_radix_walk_cb *cb, void *data);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline int kho_radix_init_tree(struct kho_radix_tree *tree,
				      struct kho_radix_node *root)
{
	return -EOPNOTSUPP;
}

static inline void kho_radix_destroy_tree(struct kho_radix_tree *tree) { }

static inline int kho_radix_add_key(struct kho_radix_tree *tree,
				    unsigned long key)
{
	return -EOPNOTSUPP;
}

static inline void kho_radix_del_key(struct kho_radix_tree *tree,
				     unsigned long key) { }

static inline bool kho_radix_test_key(const struct kho_radix_tree *tree,
				      unsigned long key)
{
	return false;
}

static inline bool kho_radix_test_key_at(const struct kho_radix_tree *tree,
					 unsigned long key,
					 struct kho_radix_cursor *cursor)
{
	return false;
}

static inline bool kho_radix_take_key(struct kho_radix_tree *tree,
				      unsigned long key)
{
	return false;
}

static inline int kho_radix_add_key_at(struct kho_radix_tree *tree,
				       unsigned long key,
				       struct kho_radix_cursor *cursor)
{
	return -EOPNOTSUPP;
}

static inline bool kho_radix_take_key_at(struct kho_radix_tree *tree,
					 unsigned long key,
					 struct kho_radix_cursor *cursor)
{
	return false;
}

static inline bool kho_radix_next_run(const struct kho_radix_tree *tree,
				      unsigned long *key, unsigned long *nr)
{
	return false;
}

static inline bool kho_radix_next_run_at(const struct kho_radix_tree *tree,
					 unsigned long *key, unsigned long *nr,
					 struct kho_radix_cursor *cursor)
{
	return false;
}

static inline unsigned long
kho_radix_count_runs(const struct kho_radix_tree *tree, unsigned long first,
		     unsigned long last)
{
	return 0;
}

static inline int kho_radix_walk_tree(struct kho_radix_tree *tree,
				      const struct kho_radix_walk_cb *cb,
				      void *data)
{
	return -EOPNOTSUPP;
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_RADIX_TREE_H */
