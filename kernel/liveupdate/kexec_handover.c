// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kexec Handover core: the incoming and the outgoing root tree.
 *
 * Each tree has a node for each subsystem, with the location of its data.
 * kho_out.fdt_lock serializes changes of the outgoing tree, and reads of it in
 * debugfs.  The incoming tree never changes.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Pasha Tatashin <pasha.tatashin@soleen.com>
 * Copyright (C) 2026 Google LLC, Jason Miu <jasonmiu@google.com>
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/compat.h>
#include <linux/libfdt.h>
#include <linux/mutex.h>
#include <linux/printk.h>

#include "kexec_handover_internal.h"

/**
 * kho_add_subtree - add a subtree to the outgoing root tree
 * @name: the name, unique
 * @blob: start of the data, in preserved memory
 * @size: number of bytes
 *
 * With CONFIG_KEXEC_HANDOVER_DEBUGFS the data can be read in
 * ``/sys/kernel/debug/kho/out/sub_fdts/``.
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when Kexec Handover is off, -EEXIST when the name is
 * in use, -EINVAL when @name is not a valid name of a node, -ENOMEM when the
 * root tree is full.
 */
int kho_add_subtree(const char *name, void *blob, size_t size)
{
	u64 phys = virt_to_phys(blob);
	u64 len = size;
	int node, err;

	guard(mutex)(&kho_out.fdt_lock);

	if (!kho_out.fdt)
		return -EOPNOTSUPP;

	node = fdt_add_subnode(kho_out.fdt, 0, name);
	if (node == -FDT_ERR_EXISTS)
		return -EEXIST;
	if (node < 0)
		return node == -FDT_ERR_NOSPACE ? -ENOMEM : -EINVAL;

	err = fdt_setprop(kho_out.fdt, node, KHO_SUB_TREE_PROP_NAME, &phys,
			  sizeof(phys));
	if (!err)
		err = fdt_setprop(kho_out.fdt, node,
				  KHO_SUB_TREE_SIZE_PROP_NAME, &len,
				  sizeof(len));
	if (err) {
		fdt_del_node(kho_out.fdt, node);
		return -ENOMEM;
	}

	kho_debugfs_add_blob(name, blob, size);
	return 0;
}
EXPORT_SYMBOL_GPL(kho_add_subtree);

/**
 * kho_remove_subtree - undo kho_add_subtree()
 * @blob: start of the data, as passed to kho_add_subtree()
 *
 * Context: May sleep.
 */
void kho_remove_subtree(void *blob)
{
	u64 phys;
	int node;

	guard(mutex)(&kho_out.fdt_lock);

	if (!kho_out.fdt)
		return;

	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		if (kho_fdt_get_u64(kho_out.fdt, node, KHO_SUB_TREE_PROP_NAME,
				    &phys) || phys != virt_to_phys(blob))
			continue;

		kho_debugfs_remove_blob(blob);
		fdt_del_node(kho_out.fdt, node);
		return;
	}
}
EXPORT_SYMBOL_GPL(kho_remove_subtree);

/* Return the node of a subtree, with its number in @nr; or an error. */
static int kho_find_subtree(const char *name, unsigned int *nr)
{
	const void *fdt = kho_in_fdt();
	int node, other;

	node = fdt ? fdt_subnode_offset(fdt, 0, name) : -FDT_ERR_NOTFOUND;
	if (node < 0)
		return -ENOENT;

	*nr = 0;
	fdt_for_each_subnode(other, fdt, 0) {
		if (other == node)
			break;
		++*nr;
	}

	return node;
}

/**
 * kho_retrieve_subtree - find a subtree of the previous kernel
 * @name: its name
 * @phys: set to the address of the data
 * @size: set to the number of bytes, unless NULL
 *
 * Unclaimed memory, including that of the data, is not released before
 * kho_put_subtree() is called.  Each call that returns 0 needs a call of
 * kho_put_subtree().
 *
 * Context: May sleep, from early boot on.
 * Return: 0, -ENOENT without a subtree of this name, -EINVAL when @phys is NULL,
 * or the data was not preserved or has been released.
 */
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size)
{
	unsigned int nr;
	u64 addr, len;
	int node;

	node = kho_find_subtree(name, &nr);
	if (node < 0)
		return node;
	if (!phys)
		return -EINVAL;

	if (kho_in_read_subtree(node, &addr, &len)) {
		pr_warn("subtree '%s': invalid address or size\n", name);
		return -EINVAL;
	}

	/* Before the memory is reserved, nothing can be released. */
	if (kho_in.reserved ? !kho_subtree_get(nr) : !kho_in_covers(addr, len)) {
		pr_warn("subtree '%s': not preserved (%llu bytes at %#llx)\n",
			name, len, addr);
		return -EINVAL;
	}

	*phys = addr;
	if (size)
		*size = len;
	return 0;
}
EXPORT_SYMBOL_GPL(kho_retrieve_subtree);

/**
 * kho_put_subtree - undo kho_retrieve_subtree()
 * @name: name of the subtree
 *
 * To be called when all memory that the data refers to is restored, or is not
 * going to be restored.  Unclaimed memory may be released when no subtree is
 * referenced.
 *
 * Context: May sleep.
 */
void kho_put_subtree(const char *name)
{
	unsigned int nr;

	if (kho_find_subtree(name, &nr) >= 0)
		kho_subtree_put(nr);
}

/**
 * kho_incoming_differs - check whether a structure has another version
 * @component: name and version of the structure in this kernel, from its ABI
 *	       header
 *
 * For structures that all users share: their versions are in the root tree.
 *
 * Context: Any.
 * Return: true when the previous kernel left a handover with another version of
 * the structure, or without the structure.
 */
bool kho_incoming_differs(const char *component)
{
	const void *fdt = kho_in_fdt();
	const char *offered;
	int len;

	if (!fdt || kho_in.same)
		return false;

	offered = fdt_getprop(fdt, 0, "compatible", &len);
	return !offered || !kho_compat_has(offered, len, component);
}

/**
 * kho_out_init - create the outgoing map and the outgoing root tree
 *
 * Context: During boot, when memory can be preserved.
 * Return: 0, -EINVAL when the tree does not fit into a page, or -ENOMEM.
 */
int __init kho_out_init(void)
{
	u64 map;
	void *fdt;
	int err;

	err = kho_radix_init_tree(&kho_out.map, NULL);
	if (err)
		return err;

	fdt = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(fdt)) {
		err = PTR_ERR(fdt);
		goto err_destroy_map;
	}

	/* The tree is edited in place, so it always has the size of the page. */
	map = virt_to_phys(kho_out.map.root);
	if (fdt_create_empty_tree(fdt, PAGE_SIZE) ||
	    fdt_setprop_string(fdt, 0, "compatible", KHO_FDT_COMPATIBLE) ||
	    fdt_setprop(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map,
			sizeof(map))) {
		err = -EINVAL;
		goto err_free_fdt;
	}

	kho_out.fdt = fdt;
	return 0;

err_free_fdt:
	kho_unpreserve_free(fdt);
err_destroy_map:
	kho_radix_destroy_tree(&kho_out.map);
	return err;
}
