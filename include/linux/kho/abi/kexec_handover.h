/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_KEXEC_HANDOVER_H
#define _LINUX_KHO_ABI_KEXEC_HANDOVER_H

#include <linux/build_bug.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/ptr.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/vmalloc.h>

/**
 * DOC: Kexec Handover ABI
 *
 * The root of a hand-over is a flattened device tree in one preserved page.
 * The boot protocol (setup_data on x86, the chosen node on arm64) tells the
 * next kernel where that page is; from there everything else is found.
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
 *     versions of the structures that everybody who hands memory over relies
 *     on.  A kernel that knows the base and the radix tree can boot with the
 *     hand-over; what it does not know of the rest, it cannot restore.
 *
 * ``preserved-memory-map``
 *     Physical address of the root of a radix tree (see radix_tree.h) with one
 *     key for each preserved block of memory.  The nodes of that tree are not
 *     in the tree themselves.
 *
 * ``<name>``
 *     One node for each subsystem that called kho_add_subtree().
 *     ``preserved-data`` is the physical address of its data, ``blob-size``
 *     the number of bytes.  What is in them is between the subsystem and its
 *     successor.
 *
 * The u64 values are in native byte order, not in that of device trees, and
 * are aligned to four bytes only.
 *
 * Whoever changes this tree raises the number in %KHO_FDT_COMPAT_BASE.  A
 * structure with a version of its own raises that one instead.
 */

/* Version of the root tree alone. */
#define KHO_FDT_COMPAT_BASE	"kho-v4"

/* What the root node of the tree says. */
#define KHO_FDT_COMPATIBLE						\
	"" KHO_FDT_COMPAT_BASE						\
	KHO_SUB_COMPAT(KHO_RADIX_COMPATIBLE)				\
	KHO_SUB_COMPAT(KHO_VMALLOC_COMPATIBLE)

static_assert(KHO_COMPAT_SORTED(KHO_RADIX_COMPATIBLE, KHO_VMALLOC_COMPATIBLE));

/* Names of the properties. */
#define KHO_FDT_MEMORY_MAP_PROP_NAME	"preserved-memory-map"
#define KHO_SUB_TREE_PROP_NAME		"preserved-data"
#define KHO_SUB_TREE_SIZE_PROP_NAME	"blob-size"

#endif /* _LINUX_KHO_ABI_KEXEC_HANDOVER_H */
