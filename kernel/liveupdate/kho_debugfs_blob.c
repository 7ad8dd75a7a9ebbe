// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data of subtrees as files in debugfs.
 *
 * Outgoing data is shown in place.  Incoming data is copied before its owner
 * frees it, and the copy is shown.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Google LLC, Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kexec_handover_internal.h"

struct kho_blob {
	struct list_head list;
	struct debugfs_blob_wrapper wrapper;
	struct dentry *file;
	char name[];
};

static struct dentry *kho_out_dir;

/* Protected by kho_out.fdt_lock. */
static LIST_HEAD(kho_out_blobs);

/* Only modified during initcalls. */
static LIST_HEAD(kho_in_blobs);

static struct kho_blob *kho_blob_alloc(const char *name, void *data,
				       size_t size)
{
	size_t len = strlen(name) + 1;
	struct kho_blob *blob = kzalloc_flex(*blob, name, len);

	if (!blob)
		return NULL;

	memcpy(blob->name, name, len);
	blob->wrapper.data = data;
	blob->wrapper.size = size;
	return blob;
}

static void kho_blob_show(struct kho_blob *blob, struct dentry *dir)
{
	blob->file = debugfs_create_blob(blob->name, 0400, dir, &blob->wrapper);
}

/**
 * kho_debugfs_add_blob - add an outgoing blob to out/sub_fdts
 * @name: name of the file
 * @data: the data; it must exist until kho_debugfs_remove_blob() is called
 * @size: number of bytes
 */
void kho_debugfs_add_blob(const char *name, void *data, size_t size)
{
	struct kho_blob *blob;

	if (IS_ERR_OR_NULL(kho_out_dir))
		return;

	blob = kho_blob_alloc(name, data, size);
	if (!blob)
		return;

	kho_blob_show(blob, kho_out_dir);
	list_add(&blob->list, &kho_out_blobs);
}

/**
 * kho_debugfs_remove_blob - remove an outgoing blob
 * @data: the data; when this function returns, it has no readers
 */
void kho_debugfs_remove_blob(void *data)
{
	struct kho_blob *blob;

	list_for_each_entry(blob, &kho_out_blobs, list) {
		if (blob->wrapper.data != data)
			continue;

		debugfs_remove(blob->file);
		list_del(&blob->list);
		kfree(blob);
		return;
	}
}

/**
 * kho_debugfs_set_blob_dir - set the directory of outgoing blobs
 * @dir: the directory; blobs that are added from now on get a file in it
 */
void __init kho_debugfs_set_blob_dir(struct dentry *dir)
{
	kho_out_dir = dir;
}

/**
 * kho_debugfs_add_snapshot - add a copy of incoming data
 * @name: name of the file
 * @data: the copy, freed with kfree()
 * @size: number of bytes
 *
 * Return: true, or false on allocation failure: the caller still owns @data then.
 */
bool __init kho_debugfs_add_snapshot(const char *name, void *data, size_t size)
{
	struct kho_blob *blob = kho_blob_alloc(name, data, size);

	if (blob)
		list_add_tail(&blob->list, &kho_in_blobs);
	return blob;
}

/**
 * kho_debugfs_show_snapshots - create the files of incoming data
 * @dir: their directory
 */
void __init kho_debugfs_show_snapshots(struct dentry *dir)
{
	struct kho_blob *blob;

	list_for_each_entry(blob, &kho_in_blobs, list)
		kho_blob_show(blob, dir);
}

/**
 * kho_debugfs_drop_snapshots - free the copies of incoming data
 */
void __init kho_debugfs_drop_snapshots(void)
{
	struct kho_blob *blob, *tmp;

	list_for_each_entry_safe(blob, tmp, &kho_in_blobs, list) {
		list_del(&blob->list);
		kfree(blob->wrapper.data);
		kfree(blob);
	}
}
