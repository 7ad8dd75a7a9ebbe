/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_RADIX_TREE_H
#define _LINUX_KHO_ABI_RADIX_TREE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: KHO radix tree ABI
 *
 * A set of numbers, the *keys*, in a format that the next kernel reads in
 * place.  Every node is exactly one page.  Inner nodes are tables of u64
 * physical addresses, 0 for no child.  The nodes of the last level, the
 * *leaves*, are bitmaps with one bit per key::
 *
 *     level 5   table, the root           one page
 *        |
 *     level 4   table
 *        :
 *     level 1   table
 *        |
 *     level 0   bitmap, the leaf          PAGE_SIZE * 8 keys
 *
 * A key is decoded from its most significant bit on.  With 4 KiB pages, nine
 * bits select the entry at each table level, and the low fifteen bits select
 * the bit in the leaf::
 *
 *     63..60  59..51  50..42  41..33  32..24  23..15      14..0
 *     zero    lvl 5   lvl 4   lvl 3   lvl 2   lvl 1   lvl 0, the bitmap
 *
 * Keys are at most %KHO_RADIX_KEY_WIDTH bits wide: one bit more than a page
 * frame number.  The owner of the tree defines the meaning of a key; for the map
 * of preserved memory, see "Kexec Handover ABI".
 *
 * Numbers and bitmap words are in native byte order.  The geometry depends on
 * PAGE_SIZE.  Both kernels must have the same byte order and page size.
 */

/* Version of the layout of the tree. */
#define KHO_RADIX_COMPATIBLE "radix-v1"

/**
 * enum kho_radix_consts - geometry of the tree
 * @KHO_RADIX_KEY_WIDTH: bits in the widest key
 * @KHO_TABLE_SIZE_LOG2: log2 of the number of entries in a table
 * @KHO_BITMAP_SIZE_LOG2: log2 of the number of bits in a leaf
 * @KHO_TREE_MAX_DEPTH: number of levels, the leaves included
 */
enum kho_radix_consts {
	KHO_RADIX_KEY_WIDTH = 64 - PAGE_SHIFT + 1,
	KHO_TABLE_SIZE_LOG2 = const_ilog2(PAGE_SIZE / sizeof(u64)),
	KHO_BITMAP_SIZE_LOG2 = PAGE_SHIFT + const_ilog2(BITS_PER_BYTE),
	KHO_TREE_MAX_DEPTH =
		DIV_ROUND_UP(KHO_RADIX_KEY_WIDTH - KHO_BITMAP_SIZE_LOG2,
			     KHO_TABLE_SIZE_LOG2) + 1,
};

/**
 * struct kho_radix_node - inner node, one page
 * @table: physical address of each child, page aligned, 0 for none (offset 0)
 */
struct kho_radix_node {
	u64 table[1 << KHO_TABLE_SIZE_LOG2];
};

/**
 * struct kho_radix_leaf - bitmap of keys, one page
 * @bitmap: bit n is set when the n-th key of this leaf is present (offset 0)
 */
struct kho_radix_leaf {
	DECLARE_BITMAP(bitmap, 1 << KHO_BITMAP_SIZE_LOG2);
};

static_assert(sizeof(struct kho_radix_node) == PAGE_SIZE);
static_assert(sizeof(struct kho_radix_leaf) == PAGE_SIZE);
static_assert(offsetof(struct kho_radix_node, table) == 0);
static_assert(offsetof(struct kho_radix_leaf, bitmap) == 0);

#endif /* _LINUX_KHO_ABI_RADIX_TREE_H */
