// SPDX-License-Identifier: GPL-2.0
/* Walks the flattened device tree of another kernel, which is not trusted. */

#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

#include "khoctl.h"

/* The first version in which nodes have names instead of paths. */
#define FDT_OLDEST	16

bool fdt_is(const struct blob *blob)
{
	return blob->size >= FDT_V1_SIZE && get32_big(blob->data) == FDT_MAGIC;
}

/* Also for errors after fdt_check_full(), which accepts a tree without a root. */
static int fail_damaged(const char *why)
{
	return fail("device tree is damaged: %s", why);
}

static int visit_node(const void *tree, int node, unsigned int depth, fdt_visit visit, void *ctx)
{
	int prop, size, err;
	const char *name = fdt_get_name(tree, node, &size);

	if (!name)
		return fail_damaged(fdt_strerror(size));
	err = visit(ctx, depth, name, NULL, NULL);

	fdt_for_each_property_offset(prop, tree, node) {
		const char *prop_name;
		const void *bytes = fdt_getprop_by_offset(tree, prop, &prop_name, &size);
		const struct blob value = { .data = bytes, .size = size };

		if (err)
			break;
		if (bytes)
			err = visit(ctx, depth, name, prop_name, &value);
		else
			err = fail_damaged(fdt_strerror(size));
	}

	return err;
}

static int walk(const void *tree, size_t size, fdt_visit visit, void *ctx)
{
	int depth = 0, err;

	/* Some versions of libfdt dereference NULL in older trees, which kernels do not write. */
	if (fdt_version(tree) < FDT_OLDEST)
		return fail_damaged("old version");

	err = fdt_check_full(tree, size);
	if (err)
		return fail_damaged(fdt_strerror(err));
	for (int node = 0; !err && node >= 0 && depth >= 0;
	     node = fdt_next_node(tree, node, &depth))
		err = visit_node(tree, node, depth + 1, visit, ctx);

	return err;
}

/*
 * Calls @visit for each node, without a property, and then for each of its
 * properties.  The root has depth 1.  An error of @visit ends the walk.
 */
int fdt_walk(const struct blob *blob, fdt_visit visit, void *ctx)
{
	void *tree;
	int err;

	if (!fdt_is(blob))
		return fail("is not a device tree");

	/* libfdt needs an aligned tree. */
	tree = malloc(blob->size);
	if (!tree)
		return fail("out of memory");
	memcpy(tree, blob->data, blob->size);
	err = walk(tree, blob->size, visit, ctx);
	free(tree);

	return err;
}
