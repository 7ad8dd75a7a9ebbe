/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Google LLC, Jason Miu <jasonmiu@google.com>
 */

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
 *     key for each preserved block of memory.  The nodes of that tree are not
 *     in the tree themselves.
 *
 * ``<name>``
 *     One node for each subsystem that called kho_add_subtree().
 *     ``preserved-data`` is the physical address of its data, ``blob-size``
 *     the number of bytes.  The subsystem defines their format.
 *
 * The u64 values are in native byte order, not in that of device trees, and
 * are aligned to four bytes only.
 *
 * A change of this tree needs a new number in %KHO_FDT_COMPAT_BASE.  A change
 * of a structure with a version of its own needs a new number there instead.
 */

/* Version of the root tree alone. */
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

#endif /* _LINUX_KHO_ABI_KEXEC_HANDOVER_H */
