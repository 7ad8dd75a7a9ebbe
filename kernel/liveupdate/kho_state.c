// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of Kexec Handover that all other files read.
 *
 * Outgoing and incoming data are separate.  "out" is outgoing data, for the next
 * kernel: a radix tree with a key for each block of preserved memory, and the
 * root tree with a node for each subsystem.  "in" is incoming data: the root
 * tree and the radix tree of the previous kernel.  kho_pages.c adds memory to
 * the outgoing map and restores memory from the incoming map.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Pasha Tatashin <pasha.tatashin@soleen.com>
 * Copyright (C) 2026 Google LLC, Jason Miu <jasonmiu@google.com>
 */

#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kstrtox.h>
#include <linux/libfdt.h>
#include <linux/mutex.h>
#include <linux/unaligned.h>

#include "kexec_handover_internal.h"

bool kho_enable __ro_after_init =
	IS_ENABLED(CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT);

struct kho_in kho_in;

struct kho_out kho_out = {
	.fdt_lock = __MUTEX_INITIALIZER(kho_out.fdt_lock),
};

static int __init kho_parse_enable(char *p)
{
	return kstrtobool(p, &kho_enable);
}
early_param("kho", kho_parse_enable);

/**
 * kho_is_enabled - check whether this kernel can preserve memory
 *
 * Return: true unless Kexec Handover was switched off on the command line or
 * could not be set up.
 */
bool kho_is_enabled(void)
{
	return kho_enable;
}
EXPORT_SYMBOL_GPL(kho_is_enabled);

/**
 * is_kho_boot - check whether there is an incoming handover
 *
 * Context: Any, after kho_populate().
 * Return: true when the previous kernel left a handover that this kernel can use.
 */
bool is_kho_boot(void)
{
	return kho_in.fdt_phys;
}
EXPORT_SYMBOL_GPL(is_kho_boot);

/**
 * kho_in_fdt - get the incoming root tree
 *
 * Context: Any, from kho_memory_init_early() on.
 * Return: the tree, or NULL without a handover that this kernel can use.
 */
const void *kho_in_fdt(void)
{
	return kho_in.fdt_phys ? phys_to_virt(kho_in.fdt_phys) : NULL;
}

/**
 * kho_fdt_get_u64 - read a number of a root tree
 * @fdt: the tree
 * @node: node of the tree
 * @name: name of the property
 * @val: set to its value
 *
 * Values are aligned to four bytes only.
 *
 * Context: Any.
 * Return: 0, or -EINVAL when the property is missing or has another size.
 */
int kho_fdt_get_u64(const void *fdt, int node, const char *name, u64 *val)
{
	int len;
	const void *prop = fdt_getprop(fdt, node, name, &len);

	if (!prop || len != sizeof(*val))
		return -EINVAL;

	*val = get_unaligned((const u64 *)prop);
	return 0;
}

/**
 * kho_in_read_subtree - read the address and the size of an incoming subtree
 * @node: the subtree in the incoming root tree
 * @phys: set to the address of the data, unchecked
 * @size: set to the number of bytes
 *
 * Context: Any, from early boot on.
 * Return: 0, or -EINVAL when a property is missing or invalid.
 */
int kho_in_read_subtree(int node, u64 *phys, u64 *size)
{
	const void *fdt = kho_in_fdt();

	return kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_PROP_NAME, phys) ?:
	       kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_SIZE_PROP_NAME, size);
}
