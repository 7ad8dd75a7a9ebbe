// SPDX-License-Identifier: GPL-2.0
/* Walks a flattened device tree of another kernel, of which nothing is trusted. */

#include <string.h>

#include "khoctl.h"

#define FDT_MAGIC	0xd00dfeedU
#define FDT_HEADER	40
#define FDT_DEPTH_MAX	8

enum {
	FDT_BEGIN = 1,
	FDT_STOP = 2,
	FDT_PROP = 3,
	FDT_NOP = 4,
	FDT_END = 9,
};

/* The parts of a tree, and where in it we are. */
struct fdt {
	struct blob tokens;
	struct blob strings;
	size_t at;
	unsigned int depth;
	const char *node[FDT_DEPTH_MAX + 1];
};

bool fdt_is(const struct blob *blob)
{
	return blob->size >= FDT_HEADER && get32_big(blob->data) == FDT_MAGIC;
}

static int fdt_open(const struct blob *blob, struct fdt *fdt)
{
	const uint8_t *head = blob->data;

	*fdt = (struct fdt){ };
	if (!fdt_is(blob))
		return fail("is not a device tree");
	if (!blob_part(blob, get32_big(head + 8), get32_big(head + 36), &fdt->tokens) ||
	    !blob_part(blob, get32_big(head + 12), get32_big(head + 32), &fdt->strings))
		return fail("device tree is truncated");
	return 0;
}

/* A string that ends inside, and the size it takes with its NUL. */
static const char *string_at(const struct blob *blob, size_t at, size_t *size)
{
	struct blob rest;
	const uint8_t *end;

	if (at >= blob->size || !blob_part(blob, at, blob->size - at, &rest))
		return NULL;
	end = memchr(rest.data, 0, rest.size);
	if (!end)
		return NULL;
	*size = end - rest.data + 1;
	return (const char *)rest.data;
}

static bool token(struct fdt *fdt, uint32_t *value)
{
	struct blob part;

	if (!blob_part(&fdt->tokens, fdt->at, 4, &part))
		return false;
	*value = get32_big(part.data);
	fdt->at += 4;
	return true;
}

static int begin_node(struct fdt *fdt, fdt_visit visit, void *ctx)
{
	size_t size;
	const char *name = string_at(&fdt->tokens, fdt->at, &size);

	if (!name)
		return fail("device tree has a name without an end");
	if (fdt->depth == FDT_DEPTH_MAX)
		return fail("device tree is deeper than %d nodes", FDT_DEPTH_MAX);
	fdt->at += (size + 3) & ~3UL;
	fdt->node[++fdt->depth] = name;
	return visit(ctx, fdt->depth, name, NULL, NULL);
}

static int take_property(struct fdt *fdt, fdt_visit visit, void *ctx)
{
	struct blob value;
	uint32_t size, name_at;
	const char *name;
	size_t unused;

	if (!token(fdt, &size) || !token(fdt, &name_at) ||
	    !blob_part(&fdt->tokens, fdt->at, size, &value) || !fdt->depth)
		return fail("device tree has a damaged property");
	name = string_at(&fdt->strings, name_at, &unused);
	if (!name)
		return fail("device tree has a property without a name");
	fdt->at += ((size_t)size + 3) & ~3UL;
	return visit(ctx, fdt->depth, fdt->node[fdt->depth], name, &value);
}

/*
 * Calls @visit for each node, with no property, and for each property.  The root
 * has depth 1.  An error of @visit ends the walk.
 */
int fdt_walk(const struct blob *blob, fdt_visit visit, void *ctx)
{
	struct fdt fdt;
	uint32_t tag;
	int err = fdt_open(blob, &fdt);

	while (!err) {
		if (!token(&fdt, &tag))
			return fail("device tree does not end");
		switch (tag) {
		case FDT_BEGIN:
			err = begin_node(&fdt, visit, ctx);
			break;
		case FDT_STOP:
			if (!fdt.depth)
				return fail("device tree ends twice");
			fdt.depth--;
			break;
		case FDT_PROP:
			err = take_property(&fdt, visit, ctx);
			break;
		case FDT_NOP:
			break;
		case FDT_END:
			return 0;
		default:
			return fail("device tree has a damaged token");
		}
	}

	return err;
}
