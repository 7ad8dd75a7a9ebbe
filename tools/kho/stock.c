// SPDX-License-Identifier: GPL-2.0
/*
 * Kernels without notes.  Linux 7.2 and 7.3 do not have composite strings, and
 * compare whole strings.
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

static const char * const stock_releases[] = { "7.2", "7.3" };

static const struct stock {
	enum kind kind;
	const char *name;
	const char *version;
	const char *sign;	/* a string to find in the kernel, NULL for the version */
} stock[] = {
	{ KIND_ROOT, "kho", "kho-v4", NULL },
	{ KIND_SUBTREE, "kexec-metadata", "kexec-metadata-v1", "kexec-metadata" },
	{ KIND_SUBTREE, "memblock", "memblock-v1", NULL },
	{ KIND_STRUCTURE, "reserve-mem", "reserve-mem-v1", NULL },
	{ KIND_SUBTREE, "luo", "luo-v5", NULL },
	{ KIND_FILE, "memfd", "memfd-v2", NULL },
};

/* 7.3, 7.3.4, 7.3-rc1 and 7.3.4-distribution are all 7.3. */
static bool is_release(const char *release, const char *series)
{
	size_t len = strlen(series);

	return !strncmp(release, series, len) && (release[len] < '0' || release[len] > '9');
}

/* A kernel has the version strings of the structures that are built in. */
static bool has_version(const struct blob *kernel, const char *version)
{
	return !kernel || memmem(kernel->data, kernel->size, version, strlen(version) + 1);
}

/* Adds the components of a kernel without notes; @kernel is NULL for the running one. */
int stock_fill(struct set *set, const struct blob *kernel)
{
	bool known = false;

	if (!*set->release)
		return fail("is not a Linux kernel, or has neither notes nor a version");
	for (size_t i = 0; i < sizeof(stock_releases) / sizeof(*stock_releases); i++)
		known |= is_release(set->release, stock_releases[i]);
	if (!known)
		return fail("Linux %s has no notes, and its versions are not known", set->release);

	set->stock = true;
	for (size_t i = 0; i < sizeof(stock) / sizeof(*stock); i++) {
		struct component c = {
			.kind = stock[i].kind,
			.name = (char *)stock[i].name,
			.writes = (char *)stock[i].version,
			.reads = (char *)stock[i].version,
		};

		if (has_version(kernel, stock[i].sign ?: stock[i].version) && set_add(set, &c))
			return -1;
	}
	return 0;
}
