// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the parsers of handover data: the first byte of an input chooses the parser,
 * the rest is the file.  An address in the file selects a page of the file itself.
 */

#include "khoctl.h"

#define PAGE	256

/* The page that the low bits of the address choose. */
static bool fuzz_page(struct memory *memory, uint64_t phys, struct blob *page)
{
	const struct blob *all = memory->ctx;
	size_t pages = all->size / PAGE;

	return pages && blob_part(all, phys / PAGE % pages * PAGE, PAGE, page);
}

/*
 * The first parsers.  The last two are those of the memory map, and of the time line of the
 * running kernel.  The order is that of PARSERS in test_khoctl.py.
 */
static const char * const types[] = { NULL, "tree", "luo", "sessions", "files", "memfd", "metadata",
				      "timeline" };
#define TYPES	(sizeof(types) / sizeof(types[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob blob = { .data = data + 1, .size = size - 1 };
	struct memory memory = { fuzz_page, &blob, PAGE, 40 };
	unsigned int parser;

	if (!size)
		return 0;
	parser = *data % (TYPES + 2);
	if (parser < TYPES)
		json_object_put(dump_blob(&blob, types[parser], &memory));
	else if (parser == TYPES)
		json_object_put(decode_map(blob.size, &memory));
	else
		json_object_put(timeline_parse(&blob));
	return 0;
}
