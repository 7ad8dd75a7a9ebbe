// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kexec Handover core: the incoming and the outgoing root tree.
 *
 * The two directions never mix.  "out" is outgoing data, for the next kernel: a
 * radix tree with a key for each block of preserved memory, and the root tree
 * with a node for each subsystem.  "in" is incoming data, from the previous
 * kernel: its root tree and its radix tree, as they were found.  kho_pages.c
 * adds memory to the outgoing map and restores memory from the incoming one.
 *
 * kho_out.fdt_lock serializes the writers of the outgoing root tree and its view
 * in debugfs.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Pasha Tatashin <pasha.tatashin@soleen.com>
 * Copyright (C) 2026 Google LLC, Jason Miu <jasonmiu@google.com>
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/abi/timeline.h>
#include <linux/kho/compat.h>
#include <linux/kstrtox.h>
#include <linux/libfdt.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/stringify.h>
#include <linux/unaligned.h>
#include <linux/utsname.h>

#include "kexec_handover_internal.h"
#include "luo_internal.h"

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

const void *kho_in_fdt(void)
{
	return kho_in.fdt_phys ? phys_to_virt(kho_in.fdt_phys) : NULL;
}

/* Values are aligned to four bytes only. */
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

/**
 * kho_out_is_unused - check whether the outgoing handover is empty
 *
 * The next kernel can only find data that has a subtree.  Three subtrees do not
 * count, as they are written even if nothing is preserved: the kexec metadata,
 * the time line, and the list of sessions.
 *
 * Context: May sleep.
 * Return: true without any other subtree and without an outgoing session.
 */
bool kho_out_is_unused(void)
{
	int node;

	if (IS_ENABLED(CONFIG_LIVEUPDATE) && luo_session_any_outgoing())
		return false;

	guard(mutex)(&kho_out.fdt_lock);
	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		const char *name = fdt_get_name(kho_out.fdt, node, NULL);

		if (strcmp(name, KHO_METADATA_NODE_NAME) &&
		    strcmp(name, KHO_TIMELINE_NODE_NAME) &&
		    strcmp(name, LUO_KHO_ENTRY_NAME))
			return false;
	}

	return true;
}

static int kho_read_subtree(int node, u64 *phys, u64 *size)
{
	const void *fdt = kho_in_fdt();

	return kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_PROP_NAME, phys) ?:
	       kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_SIZE_PROP_NAME, size);
}

/**
 * kho_subtree_is_preserved - check whether the data of a subtree is unclaimed
 * @node: the subtree in the incoming root tree
 *
 * Context: Any, from early boot on.
 * Return: true when all of it is preserved and not restored yet.
 */
bool kho_subtree_is_preserved(int node)
{
	u64 phys, size;

	return !kho_read_subtree(node, &phys, &size) && kho_in_covers(phys, size);
}

/* Return the node of a subtree, or an error, and its number in @nr. */
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
 * Unclaimed memory, that of the data included, is not released before
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

	if (kho_read_subtree(node, &addr, &len)) {
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
 * kho_put_subtree - undo a kho_retrieve_subtree()
 * @name: the name of the data
 *
 * To be called when all memory that the data leads to is restored, or is not
 * going to be.  Without any reference, unclaimed memory may be released.
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
 * For structures that all users share, which are named in the root tree.
 *
 * Context: Any.
 * Return: true when the previous kernel left a handover, and did not have this
 * version of the structure.
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

#define KHO_METADATA_COMPATIBLE						\
	KHO_METADATA_NODE_NAME "-v" __stringify(KHO_KEXEC_METADATA_VERSION)

KHO_NOTE(KHO_NOTE_SUBTREE, KHO_METADATA_NODE_NAME, KHO_METADATA_COMPATIBLE,
	 KHO_METADATA_COMPATIBLE);

/* Log the previous kernel, and return the number of handovers. */
static u32 __init kho_read_metadata(void)
{
	const struct kho_kexec_metadata *chain;
	char release[sizeof(chain->previous_release)];
	u32 kexec_count;
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(KHO_METADATA_NODE_NAME, &phys, &size))
		return 0;

	/* The metadata of an incompatible version stay unclaimed. */
	kho_put_subtree(KHO_METADATA_NODE_NAME);
	if (size < sizeof(*chain)) {
		pr_warn("kexec-metadata: invalid size (%zu bytes at %pa)\n",
			size, &phys);
		return 0;
	}

	chain = phys_to_virt(phys);
	if (chain->version != KHO_KEXEC_METADATA_VERSION) {
		pr_warn("kexec-metadata: incompatible version (%u, expected %u)\n",
			chain->version, KHO_KEXEC_METADATA_VERSION);
		return 0;
	}

	strscpy(release, chain->previous_release, sizeof(release));
	kexec_count = chain->kexec_count;
	pr_info("exec from: %s (count %u)\n", release, kexec_count);
	kho_restore_free(phys_to_virt(phys));
	return kexec_count;
}

static int __init kho_write_metadata(u32 kexec_count)
{
	struct kho_kexec_metadata *chain;
	int err;

	chain = kho_alloc_preserve(sizeof(*chain));
	if (IS_ERR(chain))
		return PTR_ERR(chain);

	chain->version = KHO_KEXEC_METADATA_VERSION;
	chain->kexec_count = kexec_count;
	strscpy(chain->previous_release, init_uts_ns.name.release,
		sizeof(chain->previous_release));

	err = kho_add_subtree(KHO_METADATA_NODE_NAME, chain,
			      sizeof(*chain));
	if (err)
		kho_unpreserve_free(chain);
	return err;
}

static int __init kho_out_init(void)
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

	/* The tree is edited in place; its size stays that of the page. */
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

static int __init kho_init(void)
{
	int err;

	if (!kho_enable) {
		kho_scratch_init_cma();
		if (is_kho_boot()) {
			pr_notice("disabled, preserved memory stays reserved until released\n");
			kho_debugfs_init();
		}
		return 0;
	}

	err = kho_out_init();
	if (err) {
		pr_err("failed to initialize, disabling kexec handover: %pe\n",
		       ERR_PTR(err));
		kho_enable = false;
	}

	/*
	 * Scratch areas that this kernel reserved itself are still reserved.
	 * Inherited ones belong to the page allocator, and are in use.
	 */
	if (err && !kho_in.scratch_phys)
		kho_release_scratch();
	else
		kho_scratch_init_cma();
	kho_debugfs_init();
	if (err)
		return err;

	err = kho_write_metadata(kho_read_metadata() + 1);
	if (err)
		pr_warn("kexec-metadata: failed to preserve: %pe\n",
			ERR_PTR(err));

	kho_timeline_read();
	kho_timeline_write();
	return 0;
}
fs_initcall(kho_init);
