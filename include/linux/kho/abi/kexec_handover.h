/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Google LLC, Jason Miu <jasonmiu@google.com>
 */

#ifndef _LINUX_KHO_ABI_KEXEC_HANDOVER_H
#define _LINUX_KHO_ABI_KEXEC_HANDOVER_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/ptr.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: Kexec Handover ABI
 *
 * The root tree of a handover is a flattened device tree in one preserved page.
 * The boot protocol (setup_data on x86, the chosen node on arm64) tells the
 * next kernel the address of that page.  All other data is found from there.
 *
 * .. code-block:: none
 *
 *     / {
 *         compatible = KHO_FDT_COMPATIBLE;
 *         preserved-memory-map = <u64>;
 *
 *         <name> {
 *             preserved-data = <u64>;
 *             blob-size = <u64>;
 *         };
 *         ...
 *     };
 *
 * ``compatible``
 *     Composite string (see compat.h): the layout of this tree, and the
 *     versions of the structures that all users of Kexec Handover share.  A
 *     kernel that supports the base and the radix tree can boot with the
 *     handover.  It cannot restore data in a structure that it does not
 *     support.
 *
 * ``preserved-memory-map``
 *     Physical address of the root of a radix tree (see radix_tree.h) with one
 *     key for each preserved block of memory, see below.  The tree has no keys
 *     for its own nodes.
 *
 * ``<name>``
 *     One node for each subsystem that called kho_add_subtree().
 *     ``preserved-data`` is the physical address of its data, ``blob-size``
 *     the number of bytes.  The subsystem defines their format.
 *
 * The u64 values are in native byte order, not in that of device trees, and
 * are aligned to four bytes only.
 *
 * A key of the *map of preserved memory* stands for one block of 2^order pages::
 *
 *     key = 1 << (64 - PAGE_SHIFT - order)  |  phys >> (PAGE_SHIFT + order)
 *
 * The highest set bit, the marker, encodes the order.  With a larger order, the
 * marker is lower, and fewer bits of the address remain below it::
 *
 *     order   marker (4 KiB pages)   bits below the marker
 *     0       bit 52                 phys >> 12
 *     1       bit 51                 phys >> 13
 *     9       bit 43                 phys >> 21
 *
 * Adjacent blocks of one order have consecutive keys, and therefore are a run
 * of bits in a leaf.  An ascending walk visits the largest order first.
 *
 * A change of the root tree or of the keys needs a new number in
 * %KHO_FDT_COMPAT_BASE.  A change of a structure with a version of its own only
 * needs a new number in the header of that structure.
 */

/* Version of the root tree and of the keys of the memory map. */
#define KHO_FDT_COMPAT_BASE	"kho-v4"

/* Value of "compatible" in the root node. */
#define KHO_FDT_COMPATIBLE						\
	"" KHO_FDT_COMPAT_BASE						\
	KHO_SUB_COMPAT(KHO_RADIX_COMPATIBLE)				\
	KHO_SUB_COMPAT(KHO_VMALLOC_COMPATIBLE)

static_assert(KHO_COMPAT_SORTED(KHO_RADIX_COMPATIBLE, KHO_VMALLOC_COMPATIBLE));

/* Names of the properties. */
#define KHO_FDT_MEMORY_MAP_PROP_NAME	"preserved-memory-map"
#define KHO_SUB_TREE_PROP_NAME		"preserved-data"
#define KHO_SUB_TREE_SIZE_PROP_NAME	"blob-size"

/*
 * Largest order in the map of preserved memory.  Up to this order, the marker
 * bit is above the bits that select a key in a leaf, so all keys of a leaf have
 * one order.
 */
#define KHO_MAX_ORDER	(64 - PAGE_SHIFT - KHO_BITMAP_SIZE_LOG2)

/**
 * kho_encode_key - encode a block as a key of the memory map
 * @phys: address of the block, a multiple of its size
 * @order: its order, at most %KHO_MAX_ORDER
 *
 * Return: the key; see "Kexec Handover ABI".
 */
static inline unsigned long kho_encode_key(phys_addr_t phys, unsigned int order)
{
	unsigned int shift = PAGE_SHIFT + order;

	return BIT(64 - shift) | phys >> shift;
}

/**
 * kho_decode_key - decode a key of the memory map
 * @key: the key, possibly from another kernel
 * @phys: set to the address of the block
 * @order: set to the order of the block
 *
 * Return: true, or false for an invalid key, with nothing set.
 */
static inline bool kho_decode_key(unsigned long key, phys_addr_t *phys,
				  unsigned int *order)
{
	unsigned int marker = fls64(key);

	/* fls64() counts from 1. */
	if (marker-- == 0 || marker > 64 - PAGE_SHIFT ||
	    marker < 64 - PAGE_SHIFT - KHO_MAX_ORDER)
		return false;

	*order = 64 - PAGE_SHIFT - marker;
	*phys = (phys_addr_t)(key ^ BIT(marker)) << (PAGE_SHIFT + *order);
	return true;
}

/* The widest key, that of a single page, fits into the tree. */
static_assert(KHO_RADIX_KEY_WIDTH >= 64 - PAGE_SHIFT + 1);

#endif /* _LINUX_KHO_ABI_KEXEC_HANDOVER_H */
