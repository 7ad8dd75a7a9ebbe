// SPDX-License-Identifier: GPL-2.0
/*
 * The flattened device trees of a handover, as copies from debugfs.
 */

#include "handover.h"

#include <endian.h>

/* Tokens of a tree, and the magic number at its start. */
#define FDT_MAGIC	0xd00dfeedu
#define FDT_BEGIN_NODE	1
#define FDT_END_NODE	2
#define FDT_PROP	3
#define FDT_NOP		4

/* Offsets in the header of a tree. */
#define FDT_STRUCT	8
#define FDT_STRINGS	12
#define FDT_SIZE_STRINGS 32
#define FDT_SIZE_STRUCT	36

#define FDT_PAD(len)	(((len) + 3) & ~3ul)

int blob_read(struct blob *blob, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return problem(-errno, "%s: %m", path);
	blob->len = 0;
	do {
		len = read(fd, blob->bytes + blob->len, BLOB_MAX - blob->len);
		blob->len += len > 0 ? len : 0;
	} while (len > 0);
	close(fd);

	return len < 0 ? problem(-errno, "%s: %m", path) : 0;
}

static u32 fdt_word(const struct blob *blob, size_t at)
{
	u32 word;

	if (at + sizeof(word) > blob->len)
		return 0;
	memcpy(&word, blob->bytes + at, sizeof(word));

	return be32toh(word);
}

static void fdt_word_set(struct blob *blob, size_t at, u32 value)
{
	value = htobe32(value);
	memcpy(blob->bytes + at, &value, sizeof(value));
}

/*
 * Offset of the value of property @prop of @node, or 0 if it does not exist.
 * @node is a child of the root, or "" for the root itself.
 */
static size_t fdt_find(const struct blob *blob, const char *node,
		       const char *prop, size_t *len)
{
	size_t at = fdt_word(blob, FDT_STRUCT);
	size_t strings = fdt_word(blob, FDT_STRINGS);
	const char *name, *current = NULL;

	if (fdt_word(blob, 0) != FDT_MAGIC)
		return 0;

	while (at + 4 <= blob->len) {
		u32 token = fdt_word(blob, at);

		at += 4;
		if (token == FDT_BEGIN_NODE) {
			current = (const char *)blob->bytes + at;
			at += FDT_PAD(strnlen(current, blob->len - at) + 1);
		} else if (token == FDT_PROP) {
			name = (const char *)blob->bytes + strings +
			       fdt_word(blob, at + 4);
			*len = fdt_word(blob, at);
			at += 8;
			if (name >= (const char *)blob->bytes + blob->len ||
			    at + *len > blob->len)
				return 0;
			if (current && !strcmp(current, node) &&
			    !strcmp(name, prop))
				return at;
			at += FDT_PAD(*len);
		} else if (token == FDT_END_NODE) {
			current = NULL;
		} else if (token != FDT_NOP) {
			return 0;
		}
	}

	return 0;
}

const void *fdt_prop(const struct blob *blob, const char *node,
		     const char *prop, size_t *len)
{
	size_t at = fdt_find(blob, node, prop, len);

	return at ? blob->bytes + at : NULL;
}

int fdt_u64(const struct blob *blob, const char *node, const char *prop, u64 *value)
{
	size_t len;
	const void *bytes = fdt_prop(blob, node, prop, &len);

	if (!bytes || len != sizeof(*value))
		return problem(-ENOENT, "%s of %s not found", prop, node);
	memcpy(value, bytes, sizeof(*value));

	return 0;
}

int kho_fdt_u64(const char *path, const char *node, const char *prop, u64 *value)
{
	static struct blob blob;

	return blob_read(&blob, path) ?: fdt_u64(&blob, node, prop, value);
}

/*
 * Moves the data after the value, up to the end of the strings, if the length
 * of the value changes.
 */
int fdt_prop_set(struct blob *blob, const char *node, const char *prop,
		 const void *value, size_t len)
{
	size_t strings = fdt_word(blob, FDT_STRINGS);
	size_t end = strings + fdt_word(blob, FDT_SIZE_STRINGS);
	size_t old, at = fdt_find(blob, node, prop, &old);
	size_t from = at + FDT_PAD(old), to = at + FDT_PAD(len);

	if (!at || from > strings || end > blob->len)
		return problem(-ENOENT, "no %s that can be set", prop);
	if (end - from + to > blob->len)
		return problem(-ENOSPC, "no space for %zu bytes of %s", len,
			       prop);

	memmove(blob->bytes + to, blob->bytes + from, end - from);
	memset(blob->bytes + at, 0, FDT_PAD(len));
	memcpy(blob->bytes + at, value, len);
	fdt_word_set(blob, at - 8, len);
	fdt_word_set(blob, FDT_STRINGS, strings + to - from);
	fdt_word_set(blob, FDT_SIZE_STRUCT,
		     fdt_word(blob, FDT_SIZE_STRUCT) + to - from);

	return 0;
}

int fdt_prop_lie(struct blob *blob, const char *node, const char *prop, u32 len)
{
	size_t old, at = fdt_find(blob, node, prop, &old);

	if (!at)
		return problem(-ENOENT, "%s not found", prop);
	fdt_word_set(blob, at - 8, len);

	return 0;
}
