// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that damage records of the Live Update Orchestrator, whose format is in
 * include/linux/kho/abi/{luo,block}.h.  They are changed through /dev/mem
 * before the kernel reads them.
 */

#include "handover.h"

#define LUO_SESSIONS	24	/* offset in struct luo_ser */
#define BLOCK_HEADER	16
#define SESSION_SIZE	80
#define SESSION_FILES	64
#define FILE_SIZE	64
#define FILE_TOKEN	56

/* A field of a record: a number if it has 8 bytes, or text if it is longer. */
static const struct field {
	const char *record;
	const char *name;
	unsigned int offset;
	unsigned int size;
} fields[] = {
	{ "session", "name", 0, 64 },
	{ "session", "files", SESSION_FILES, 8 },
	{ "session", "count", 72, 8 },
	{ "block", "next", 0, 8 },
	{ "block", "count", 8, 8 },
	{ "file", "handler", 0, 48 },
	{ "file", "data", 48, 8 },
	{ "file", "token", FILE_TOKEN, 8 },
};

/* Reads a field of the root of LUO, in a copy from debugfs. */
static int root_u64(const char *path, unsigned int offset, u64 *value)
{
	static struct blob blob;
	int err = blob_read(&blob, path);

	if (err)
		return err;
	if (blob.len < offset + sizeof(*value))
		return problem(-EIO, "%s is short", path);
	memcpy(value, blob.bytes + offset, sizeof(*value));

	return 0;
}

/*
 * Finds the record, of @size bytes, that has @key at @offset, in a chain of
 * record blocks.
 */
static int record_find(u64 block, size_t size, unsigned int offset,
		       const void *key, size_t len, u64 *pa)
{
	u64 header[2];
	u8 record[SESSION_SIZE];
	int err;

	for (; block; block = header[0]) {
		err = memory_read(header, sizeof(header), block);
		if (err)
			return err;
		*pa = block + BLOCK_HEADER;
		for (u64 i = 0; i < header[1]; i++, *pa += size) {
			err = memory_read(record, size, *pa);
			if (err || !memcmp(record + offset, key, len))
				return err;
		}
	}

	return problem(-ENOENT, "record not found");
}

static int session_find(const char *name, u64 *pa)
{
	u64 block;

	return root_u64(KHO_DIR "in/sub_fdts/LUO", LUO_SESSIONS, &block) ?:
	       record_find(block, SESSION_SIZE, 0, name, strlen(name) + 1, pa);
}

/* @pa: address of the session, replaced by that of its first block of files. */
static int block_find(u64 *pa)
{
	u64 block;
	int err = memory_read(&block, sizeof(block), *pa + SESSION_FILES);

	*pa = block;

	return err;
}

/*
 * A text may be a kind of bad_text().  A number may be "self", the address of
 * the record, or "full", the number of files that fit into a block.
 */
static int field_write(const struct field *field, u64 pa, const char *text)
{
	u64 value = pa, at = pa + field->offset;
	char bytes[PAGE_MAX] = "";
	size_t len;
	int err = 0;

	if (field->size > sizeof(value)) {
		len = bad_text(text, bytes, field->size, page_size - at % page_size);
		if (!len) {
			len = field->size;
			snprintf(bytes, len, "%s", text);
		}
		return memory_write(bytes, len, at);
	}

	if (!strcmp(text, "full"))
		value = (page_size - BLOCK_HEADER) / FILE_SIZE;
	else if (strcmp(text, "self"))
		err = parse_u64(text, &value);

	return err ?: memory_write(&value, sizeof(value), at);
}

int file_record(const char *session, u64 token, u64 *pa)
{
	return session_find(session, pa) ?:
	       block_find(pa) ?:
	       record_find(*pa, FILE_SIZE, FILE_TOKEN, &token, sizeof(token), pa);
}

/* Damages a session, its first record block of files, or one of its files. */
DEFINE_STEP(damage, (const char *record, const char *session, u64 token,
		     const char *field, const char *value),
	    (record, session, token, field, value), "damage-%s %s%s %s %s", record,
	    session, token ? textf(" %llu", token) : "", field, value)
{
	u64 pa;
	int err = strcmp(record, "file") ? session_find(session, &pa) :
					   file_record(session, token, &pa);

	if (!err && !strcmp(record, "block"))
		err = block_find(&pa);
	if (err)
		return err;
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!strcmp(fields[i].record, record) && !strcmp(fields[i].name, field))
			return field_write(&fields[i], pa, value);
	}

	return problem(-EINVAL, "a %s has no field %s", record, field);
}

/*
 * Called in the kernel that preserves, which writes the header only once, when
 * LUO is initialized.
 */
DEFINE_STEP(damage_flbs, (void), (), "damage-flbs")
{
	const u64 pages = 7;
	u64 pa;

	return root_u64(KHO_DIR "out/sub_fdts/LUO", LUO_FLBS, &pa) ?:
	       memory_write(&pages, sizeof(pages), pa);
}
