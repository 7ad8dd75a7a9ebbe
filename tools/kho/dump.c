// SPDX-License-Identifier: GPL-2.0
/*
 * Decodes a file of a handover, or a folder with these files:
 *
 *     fdt             the root tree
 *     sub_fdts/NAME   the data of a subtree
 *     mem/ADDRESS     pages, by their physical address in hexadecimal
 *
 * The folders /sys/kernel/debug/kho/in and out have the first two; the pages are
 * read from the memory of the running kernel.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "khoctl.h"

#define KCORE		"/proc/kcore"
#define PAGE_DEFAULT	4096
#define PAGES_MAX	200000

/* ---- memory in a folder */

static bool folder_page(struct memory *memory, uint64_t phys, struct blob *page)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/mem/%" PRIx64, (const char *)memory->ctx, phys);
	return !blob_read(path, page);
}

/* ---- types */

static struct json_object *as_tree(const struct blob *blob, struct memory *memory)
{
	(void)memory;
	return decode_tree(blob);
}

static const struct type {
	const char *name;
	struct json_object *(*decode)(const struct blob *blob, struct memory *memory);
} types[] = {
	{ "tree", as_tree },
	{ "luo", decode_luo },
	{ "sessions", decode_sessions },
	{ "files", decode_files },
	{ "memfd", decode_memfd },
	{ "metadata", decode_metadata },
	{ "timeline", decode_timeline },
};

const char *dump_types(void)
{
	return "tree, luo, sessions, files, memfd, metadata, timeline";
}

/* Some types can be recognized by their first bytes. */
static const char *guess(const struct blob *blob)
{
	if (fdt_is(blob))
		return "tree";
	if (blob_starts(blob, "timeline-v", 10))
		return "timeline";
	return blob_starts(blob, "luo-v", 5) ? "luo" : NULL;
}

struct json_object *dump_blob(const struct blob *blob, const char *as, struct memory *memory)
{
	as = as ?: guess(blob);
	if (!as)
		return fail("unknown type of data; select it with '--as'"), NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (!strcmp(types[i].name, as))
			return types[i].decode(blob, memory);
	}
	return fail("'%s' is not one of: %s", as, dump_types()), NULL;
}

/* ---- files and folders */

static struct json_object *dump_file(const char *path, const char *as, struct memory *memory)
{
	struct json_object *what;
	struct blob blob;
	char why[300];

	if (blob_read(path, &blob))
		return NULL;
	what = dump_blob(&blob, as, memory);
	blob_free(&blob);
	if (what)
		return what;
	snprintf(why, sizeof(why), "%s", failure());
	return fail("%s: %s", path, why), NULL;
}

/* A subtree that cannot be decoded does not affect the others. */
static struct json_object *dump_subtrees(const char *path, struct memory *memory)
{
	struct json_object *all = json_object_new_object(), *one;
	char name[4500];
	struct dirent *entry;
	DIR *dir;

	snprintf(name, sizeof(name), "%s/sub_fdts", path);
	dir = opendir(name);
	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(name, sizeof(name), "%s/sub_fdts/%s", path, entry->d_name);
		one = dump_file(name, strcmp(entry->d_name, "kexec-metadata") ? NULL : "metadata",
				memory);
		if (!one) {
			one = json_object_new_object();
			json_object_object_add(one, "not_decoded",
					       json_object_new_string(failure()));
		}
		json_object_object_add(all, entry->d_name, one);
	}
	if (dir)
		closedir(dir);
	return all;
}

/* The size of the root tree is the page size of its kernel. */
static void learn_page_size(const char *path, struct memory *memory)
{
	struct blob tree;

	if (blob_read(path, &tree))
		return;
	if (tree.size == 16384 || tree.size == 65536)
		memory->page_size = tree.size;
	blob_free(&tree);
}

static uint64_t map_address(struct json_object *tree)
{
	struct json_object *root, *at;

	if (!json_object_object_get_ex(tree, "/", &root) ||
	    !json_object_object_get_ex(root, "preserved-memory-map", &at))
		return 0;
	return strtoull(json_object_get_string(at), NULL, 16);
}

/* All data that the root tree refers to. */
static struct json_object *dump_tree(const char *path, struct json_object *tree,
				     struct memory *memory)
{
	struct json_object *all = json_object_new_object();
	char name[4200];
	struct stat st;

	snprintf(name, sizeof(name), "%s/mem", path);
	json_object_object_add(all, "root", tree);
	json_object_object_add(all, "subtrees", dump_subtrees(path, memory));
	if ((memory->page != folder_page || !stat(name, &st)) && map_address(tree))
		json_object_object_add(all, "memory_map", decode_map(map_address(tree), memory));
	return all;
}

static bool is_running(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == DEBUGFS_MAGIC;
}

static struct json_object *dump_folder(const char *path, const char *core)
{
	struct memory memory = { folder_page, (void *)path, PAGE_DEFAULT, PAGES_MAX };
	struct json_object *all = NULL, *tree;
	char name[4200];

	if (core && memory_open(core, &memory))
		return NULL;
	/* If the memory of the kernel cannot be read, only the files are decoded. */
	if (!core && is_running(path))
		memory_open(KCORE, &memory);

	snprintf(name, sizeof(name), "%s/fdt", path);
	tree = dump_file(name, "tree", NULL);
	if (tree) {
		learn_page_size(name, &memory);
		all = dump_tree(path, tree, &memory);
	}
	if (memory.page != folder_page)
		memory_close(&memory);
	return all;
}

struct json_object *dump_path(const char *path, const char *as, const char *core)
{
	struct json_object *what, *all;
	struct stat st;

	if (strlen(path) > 4000)
		return fail("%.40s...: the name is too long", path), NULL;
	if (stat(path, &st))
		return fail("%s: %s", path, strerror(errno)), NULL;
	what = S_ISDIR(st.st_mode) ? dump_folder(path, core) : dump_file(path, as, NULL);
	if (!what)
		return NULL;

	all = json_result("dump");
	json_object_object_add(all, "path", json_text(path, strlen(path)));
	json_object_object_add(all, "data", what);
	return all;
}
