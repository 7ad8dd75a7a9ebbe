// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kexec Handover in debugfs, for administrators and for tools.
 *
 * Nothing depends on these files: a failure only hides a file.  For a refused
 * handover, only the versions are shown.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Google LLC, Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/libfdt.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kexec_handover_internal.h"

/* Incoming data that is larger is not shown. */
#define KHO_SNAPSHOT_MAX	SZ_1M

static void kho_show_addr(const struct kho_scratch *area, void *m)
{
	seq_printf(m, "0x%llx\n", (u64)area->addr);
}

static void kho_show_size(const struct kho_scratch *area, void *m)
{
	seq_printf(m, "0x%llx\n", (u64)area->size);
}

static int scratch_phys_show(struct seq_file *m, void *v)
{
	kho_for_each_area(kho_show_addr, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scratch_phys);

static int scratch_len_show(struct seq_file *m, void *v)
{
	kho_for_each_area(kho_show_size, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scratch_len);

/* Subtrees may be added and removed at any time, so readers get a copy. */
static int kho_out_fdt_show(struct seq_file *m, void *v)
{
	guard(mutex)(&kho_out.fdt_lock);
	seq_write(m, kho_out.fdt, PAGE_SIZE);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kho_out_fdt);

DEFINE_SHOW_ATTRIBUTE(kho_out_compat);

DEFINE_SHOW_ATTRIBUTE(kho_out_preserved);

static struct debugfs_blob_wrapper kho_in_fdt_page;

static void __init kho_out_debugfs_init(struct dentry *root)
{
	struct dentry *dir = debugfs_create_dir("out", root);

	debugfs_create_file("fdt", 0400, dir, NULL, &kho_out_fdt_fops);
	debugfs_create_file("compat", 0400, dir, NULL, &kho_out_compat_fops);
	debugfs_create_file("preserved", 0400, dir, NULL, &kho_out_preserved_fops);
	debugfs_create_file("scratch_phys", 0400, dir, NULL, &scratch_phys_fops);
	debugfs_create_file("scratch_len", 0400, dir, NULL, &scratch_len_fops);
	kho_debugfs_set_blob_dir(debugfs_create_dir("sub_fdts", dir));
}

DEFINE_SHOW_ATTRIBUTE(kho_compat);

DEFINE_SHOW_ATTRIBUTE(kho_unclaimed);

DEFINE_SHOW_ATTRIBUTE(kho_timeline);

static ssize_t kho_release_write(struct file *file, const char __user *buf,
				 size_t count, loff_t *pos)
{
	bool release;
	int err;

	err = kstrtobool_from_user(buf, count, &release);
	if (!err && release)
		err = kho_unclaimed_release();
	return err ?: count;
}

static const struct file_operations kho_release_fops = {
	.owner = THIS_MODULE,
	.write = kho_release_write,
};

static void __init kho_in_debugfs_init(struct dentry *root, const void *fdt)
{
	struct dentry *dir = debugfs_create_dir("in", root);

	debugfs_create_file("compat", 0400, dir, NULL, &kho_compat_fops);
	if (!fdt)
		return;
	debugfs_create_file("unclaimed", 0400, dir, NULL, &kho_unclaimed_fops);
	debugfs_create_file("release", 0200, dir, NULL, &kho_release_fops);

	kho_in_fdt_page.data = (void *)fdt;
	kho_in_fdt_page.size = fdt_totalsize(fdt);
	debugfs_create_blob("fdt", 0400, dir, &kho_in_fdt_page);

	kho_debugfs_show_snapshots(debugfs_create_dir("sub_fdts", dir));
}

/**
 * kho_debugfs_init - create the files in debugfs
 *
 * Context: Once, after the attempt to create the outgoing root tree.
 */
void __init kho_debugfs_init(void)
{
	const void *in_fdt = kho_in_fdt();
	struct dentry *root = NULL;

	if (kho_out.fdt || kho_compat_reported())
		root = debugfs_create_dir("kho", NULL);
	if (IS_ERR_OR_NULL(root)) {
		if (root)
			pr_info("debugfs: failed to create directory: %pe\n", root);
		kho_debugfs_drop_snapshots();
		return;
	}

	debugfs_create_file("timeline", 0400, root, NULL, &kho_timeline_fops);
	if (kho_out.fdt)
		kho_out_debugfs_init(root);
	if (kho_compat_reported())
		kho_in_debugfs_init(root, in_fdt);
}

static void __init kho_snapshot_subtree(const char *name)
{
	phys_addr_t phys;
	size_t size;
	void *data;

	if (kho_retrieve_subtree(name, &phys, &size))
		return;

	if (size > KHO_SNAPSHOT_MAX) {
		pr_info("subtree '%s': too large for debugfs (%zu bytes at %pa)\n",
			name, size, &phys);
		kho_put_subtree(name);
		return;
	}

	data = kmemdup(phys_to_virt(phys), size, GFP_KERNEL);
	kho_put_subtree(name);
	if (data && !kho_debugfs_add_snapshot(name, data, size))
		kfree(data);
}

/*
 * Subsystems free their incoming data, some of them before debugfs exists, so
 * the files in debugfs show copies.  This initcall makes the copies before any
 * user of Kexec Handover runs an initcall, because this file is linked before the
 * files of the users.
 */
static int __init kho_snapshot(void)
{
	const void *fdt = kho_in_fdt();
	int node;

	if (!kho_enable || !fdt)
		return 0;

	fdt_for_each_subnode(node, fdt, 0) {
		const char *name = fdt_get_name(fdt, node, NULL);

		if (name)
			kho_snapshot_subtree(name);
	}
	return 0;
}
early_initcall(kho_snapshot);
