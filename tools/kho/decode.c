// SPDX-License-Identifier: GPL-2.0
/*
 * Converts data of a handover to JSON; the layouts are those of
 * include/linux/kho/abi.  Data at an address is decoded if its page is available.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

/* Sizes of records and offsets in them. */
#define BLOCK_HEADER	16
#define SESSION_SIZE	80
#define SESSION_NAME	64
#define FILE_SIZE	64
#define STRING_SIZE	48
#define FLB_HEADER	16
#define FLB_SIZE	64
#define MEMFD_SIZE	48
#define MEMFD_MODE	0x65646f6d
#define FOLIO_SIZE	16
#define FOLIO_DIRTY	(1ULL << 52)
#define FOLIO_UPTODATE	(1ULL << 53)
#define VMALLOC_HEADER	8
#define METADATA_SIZE	73
#define METADATA_RELEASE	65
#define TIMELINE_SIZE	288

/* Limit for damaged handovers; valid ones have fewer records. */
#define RECORDS_MAX	1000000

static void add(struct json_object *to, const char *key, struct json_object *what)
{
	json_object_object_add(to, key, what);
}

static void add_number(struct json_object *to, const char *key, uint64_t value)
{
	add(to, key, json_object_new_uint64(value));
}

static void add_address(struct json_object *to, const char *key, uint64_t value)
{
	add(to, key, json_address(value));
}

/* A string in a fixed field. */
static void add_field(struct json_object *to, const char *key, const uint8_t *field, size_t size)
{
	add(to, key, json_text(field, strnlen((const char *)field, size)));
}

static bool get_page(struct memory *memory, uint64_t phys, struct blob *page)
{
	if (!memory || !phys || !memory->left)
		return false;
	memory->left--;
	if (!memory->page(memory, phys, page))
		return false;
	if (page->size >= memory->page_size)
		return true;
	blob_free(page);
	return false;
}

/* ---- device trees */

static bool is_printable(const struct blob *value)
{
	if (value->size < 2 || value->data[value->size - 1])
		return false;
	for (size_t i = 0; i + 1 < value->size; i++) {
		if (value->data[i] < ' ' || value->data[i] > '~')
			return false;
	}
	return true;
}

static struct json_object *hex(const struct blob *value)
{
	char text[2 * 64 + 4], *at = text;

	for (size_t i = 0; i < value->size && i < 64; i++)
		at += sprintf(at, "%02x", value->data[i]);
	sprintf(at, "%s", value->size > 64 ? "..." : "");
	return json_object_new_string(text);
}

static struct json_object *property_json(const struct blob *value)
{
	if (is_printable(value))
		return json_text(value->data, value->size - 1);
	if (value->size == 8)
		return json_address(get64(value->data));
	if (value->size == 4)
		return json_object_new_uint64(get32(value->data));
	return hex(value);
}

/* The nodes from the root to the current one. */
struct path {
	struct json_object *node[16];
};

static int tree_visit(void *ctx, unsigned int depth, const char *node, const char *prop,
		      const struct blob *value)
{
	struct path *path = ctx;
	struct json_object *name;

	if (depth >= 16)
		return fail("device tree is too deep");
	if (prop) {
		name = json_text(prop, strlen(prop));
		add(path->node[depth], json_object_get_string(name), property_json(value));
	} else {
		name = json_text(node, strlen(node));
		path->node[depth] = json_object_new_object();
		add(path->node[depth - 1], depth > 1 ? json_object_get_string(name) : "/",
		    path->node[depth]);
	}
	json_object_put(name);
	return 0;
}

struct json_object *decode_tree(const struct blob *blob)
{
	struct json_object *top = json_object_new_object();
	struct path path = { .node = { top } };

	if (!fdt_walk(blob, tree_visit, &path))
		return top;
	json_object_put(top);
	return NULL;
}

/* ---- memory map */

/* Number of keys in the memory map, by the order of their blocks. */
struct orders {
	unsigned int shift;
	uint64_t blocks[64];
	unsigned int missing;
};

static void count_leaf(const struct blob *page, uint64_t first, struct orders *orders)
{
	for (size_t i = 0; i < 8UL << orders->shift; i++) {
		uint64_t key = first | i;

		if (!(page->data[i / 8] & 1 << i % 8) || !key)
			continue;
		/* The position of the highest bit determines the order. */
		int order = __builtin_clzll(key) - (int)orders->shift + 1;

		if (order >= 0 && order < 64)
			orders->blocks[order]++;
	}
}

static void count_node(struct memory *memory, uint64_t phys, unsigned int level, uint64_t first,
		       struct orders *orders)
{
	unsigned int bits = orders->shift - 3, low = orders->shift + 3 + bits * (level - 1);
	struct blob page;

	if (!get_page(memory, phys, &page)) {
		orders->missing++;
		return;
	}
	if (!level) {
		count_leaf(&page, first, orders);
	} else {
		for (uint64_t i = 0; i < 1UL << bits; i++) {
			uint64_t child = get64(page.data + 8 * i);

			if (child)
				count_node(memory, child, level - 1,
					   low < 64 ? first | i << low : first, orders);
		}
	}
	blob_free(&page);
}

struct json_object *decode_map(uint64_t root, struct memory *memory)
{
	struct json_object *map = json_object_new_object();
	struct orders orders = { .shift = __builtin_ctz(memory->page_size) };
	unsigned int width = 64 - orders.shift + 1, leaf = orders.shift + 3, bits = leaf - 6;
	char key[40];

	count_node(memory, root, (width - leaf + bits - 1) / bits, 0, &orders);
	for (unsigned int i = 0; i < 64; i++) {
		if (!orders.blocks[i])
			continue;
		snprintf(key, sizeof(key), "blocks_of_order_%u", i);
		add_number(map, key, orders.blocks[i]);
	}
	if (orders.missing)
		add_number(map, "nodes_not_found", orders.missing);
	return map;
}

/* ---- record blocks */

typedef struct json_object *(*decode_record)(const uint8_t *record, struct memory *memory);

/* Decodes the records of one block; returns the address of the next block. */
static uint64_t block_records(const struct blob *block, size_t size, decode_record decode,
			      struct json_object *list, struct memory *memory)
{
	uint64_t count;

	if (block->size < BLOCK_HEADER)
		return 0;
	count = get64(block->data + 8);
	if (count > (block->size - BLOCK_HEADER) / size) {
		json_object_array_add(list, json_object_new_string("damaged block"));
		count = (block->size - BLOCK_HEADER) / size;
	}
	for (uint64_t i = 0; i < count && json_object_array_length(list) < RECORDS_MAX; i++)
		json_object_array_add(list, decode(block->data + BLOCK_HEADER + i * size, memory));
	return get64(block->data);
}

/* Decodes all records of a chain; NULL if its first page is not available. */
static struct json_object *chain(uint64_t phys, size_t size, decode_record decode,
				 struct memory *memory)
{
	struct json_object *list = NULL;
	struct blob block;

	while (get_page(memory, phys, &block)) {
		list = list ?: json_object_new_array();
		phys = block_records(&block, size, decode, list, memory);
		blob_free(&block);
	}
	return list;
}

/* ---- memfds */

static const struct {
	unsigned int bit;
	const char *name;
} seals[] = {
	{ 1, "seal" }, { 2, "shrink" }, { 4, "grow" }, { 8, "write" }, { 16, "future_write" },
	{ 32, "exec" },
};

static struct json_object *seals_json(uint32_t value)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(seals) / sizeof(*seals); i++) {
		if (value & seals[i].bit)
			json_object_array_add(list, json_object_new_string(seals[i].name));
	}
	return list;
}

/* Counts of the folio entries in an area, which is a chain of chunks. */
struct folios {
	uint64_t left;
	uint64_t found;
	uint64_t dirty;
	uint64_t uptodate;
};

static void count_folios(const struct blob *page, size_t size, struct folios *folios)
{
	for (size_t at = 0; at + FOLIO_SIZE <= size && folios->left; at += FOLIO_SIZE) {
		uint64_t word = get64(page->data + at);

		folios->left--;
		folios->found++;
		folios->dirty += !!(word & FOLIO_DIRTY);
		folios->uptodate += !!(word & FOLIO_UPTODATE);
	}
}

/* Counts the folios in the pages of one entry of a chunk; false if a page is missing. */
static bool area_entry(uint64_t phys, unsigned int order, struct memory *memory,
		       struct folios *folios)
{
	struct blob page;

	for (uint64_t i = 0; i < 1ULL << order && folios->left; i++) {
		if (!get_page(memory, phys + i * memory->page_size, &page))
			return false;
		count_folios(&page, memory->page_size, folios);
		blob_free(&page);
	}
	return true;
}

static bool area_chunk(const struct blob *chunk, unsigned int order, struct memory *memory,
		       struct folios *folios)
{
	for (size_t at = VMALLOC_HEADER; at + 8 <= memory->page_size && folios->left; at += 8) {
		uint64_t phys = get64(chunk->data + at);

		if (!phys)
			return true;
		if (!area_entry(phys, order, memory, folios))
			return false;
	}
	return true;
}

static struct json_object *folios_json(uint64_t nr, uint64_t first, unsigned int order,
				       struct memory *memory)
{
	struct json_object *object = json_object_new_object();
	struct folios folios = { .left = nr };
	struct blob chunk;
	bool more = order < 16;

	while (more && folios.left && get_page(memory, first, &chunk)) {
		more = area_chunk(&chunk, order, memory, &folios);
		first = get64(chunk.data);
		blob_free(&chunk);
	}
	add_number(object, "found", folios.found);
	add_number(object, "dirty", folios.dirty);
	add_number(object, "uptodate", folios.uptodate);
	return object;
}

struct json_object *decode_memfd(const struct blob *page, struct memory *memory)
{
	struct json_object *memfd, *area;
	const uint8_t *p = page->data;

	if (page->size < MEMFD_SIZE)
		return fail("is too short for a memfd"), NULL;
	memfd = json_object_new_object();
	add_number(memfd, "position", get64(p));
	add_number(memfd, "size", get64(p + 8));
	add(memfd, "seals", seals_json(get32(p + 16)));
	add_number(memfd, "flags", get32(p + 20));
	add_number(memfd, "folios", get64(p + 24));
	if (page->size >= MEMFD_SIZE + 8 && get32(p + 48) == MEMFD_MODE)
		add_number(memfd, "mode", get32(p + 52));

	area = json_object_new_object();
	add_address(area, "first_chunk", get64(p + 32));
	add_number(area, "pages", get32(p + 40));
	add_number(area, "flags", get16(p + 44));
	add_number(area, "order", get16(p + 46));
	add(memfd, "folio_array", area);
	if (memory)
		add(memfd, "folios_at_hand",
		    folios_json(get64(p + 24), get64(p + 32), get16(p + 46), memory));
	return memfd;
}

/* ---- LUO */

static struct json_object *file_record(const uint8_t *record, struct memory *memory)
{
	struct json_object *file = json_object_new_object();
	uint64_t data = get64(record + STRING_SIZE);
	struct blob page;

	add_field(file, "handler", record, STRING_SIZE);
	add_address(file, "data", data);
	add_number(file, "token", get64(record + STRING_SIZE + 8));
	if (!memcmp(record, "memfd-v2", 8) && get_page(memory, data, &page)) {
		add(file, "memfd", decode_memfd(&page, memory));
		blob_free(&page);
	}
	return file;
}

static struct json_object *session_record(const uint8_t *record, struct memory *memory)
{
	struct json_object *session = json_object_new_object();
	uint64_t files = get64(record + SESSION_NAME);

	add_field(session, "name", record, SESSION_NAME);
	add_number(session, "nr_files", get64(record + SESSION_NAME + 8));
	add_address(session, "first_block", files);
	add(session, "files", chain(files, FILE_SIZE, file_record, memory));
	return session;
}

struct json_object *decode_sessions(const struct blob *block, struct memory *memory)
{
	struct json_object *list = json_object_new_array();
	struct json_object *all = json_object_new_object();

	add_address(all, "next_block",
		    block_records(block, SESSION_SIZE, session_record, list, memory));
	add(all, "sessions", list);
	return all;
}

struct json_object *decode_files(const struct blob *block, struct memory *memory)
{
	struct json_object *list = json_object_new_array();
	struct json_object *all = json_object_new_object();

	add_address(all, "next_block", block_records(block, FILE_SIZE, file_record, list, memory));
	add(all, "files", list);
	return all;
}

static struct json_object *flbs(uint64_t phys, struct memory *memory)
{
	struct json_object *list;
	struct blob page;

	if (!get_page(memory, phys, &page))
		return NULL;
	list = json_object_new_array();
	for (size_t i = 0, at = FLB_HEADER; i < get64(page.data + 8) && at + FLB_SIZE <= page.size;
	     i++, at += FLB_SIZE) {
		struct json_object *flb = json_object_new_object();

		add_field(flb, "name", page.data + at, STRING_SIZE);
		add_address(flb, "data", get64(page.data + at + STRING_SIZE));
		add_number(flb, "files", get64(page.data + at + STRING_SIZE + 8));
		json_object_array_add(list, flb);
	}
	blob_free(&page);
	return list;
}

/* The length of the string determines the offset of the rest. */
struct json_object *decode_luo(const struct blob *blob, struct memory *memory)
{
	size_t len = strnlen((const char *)blob->data, blob->size), at = (len + 8) & ~7UL;
	struct json_object *luo;
	uint64_t sessions, flb;

	if (at > blob->size || blob->size - at < 24)
		return fail("is too short for the header of LUO"), NULL;
	sessions = get64(blob->data + at + 8);
	flb = get64(blob->data + at + 16);

	luo = json_object_new_object();
	add(luo, "compatible", json_text(blob->data, len));
	add_number(luo, "live_updates", get64(blob->data + at));
	add_address(luo, "sessions_at", sessions);
	add_address(luo, "flbs_at", flb);
	add(luo, "sessions", chain(sessions, SESSION_SIZE, session_record, memory));
	add(luo, "flbs", flbs(flb, memory));
	return luo;
}

/* ---- subtrees of the core */

struct json_object *decode_metadata(const struct blob *blob, struct memory *memory)
{
	struct json_object *metadata;

	(void)memory;
	if (blob->size < METADATA_SIZE || get32(blob->data) != 1)
		return fail("is not kexec metadata of version 1"), NULL;
	metadata = json_object_new_object();
	add_field(metadata, "release", blob->data + 4, METADATA_RELEASE);
	add_number(metadata, "kexecs", get32(blob->data + 4 + METADATA_RELEASE));
	return metadata;
}

/* Raw values of the counter, which only the running kernel can convert. */
struct json_object *decode_timeline(const struct blob *blob, struct memory *memory)
{
	static const char * const events[] = {
		"entered", "init", "preserve-begin", "preserve-end", "kexec", "frozen", "left",
		"retrieve-begin", "retrieve-end", "finish-end",
	};
	struct json_object *line, *at;

	(void)memory;
	if (blob->size < TIMELINE_SIZE)
		return fail("is too short for a time line"), NULL;
	line = json_object_new_object();
	at = json_object_new_object();
	add_field(line, "compatible", blob->data, 16);
	add_number(line, "frequency", get64(blob->data + 16));
	add_number(line, "clock", get32(blob->data + 24));
	add_number(line, "reliable", get32(blob->data + 28));
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		if (get64(blob->data + 32 + 8 * i))
			add_number(at, events[i], get64(blob->data + 32 + 8 * i));
	}
	add(line, "at", at);
	return line;
}
