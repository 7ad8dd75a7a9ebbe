// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes all parsers of khoctl.  The first byte of an input selects the parser, the
 * rest is the file to parse.  Addresses in the file lead to pages of the same file.
 */

#include <stdlib.h>

#include "khoctl.h"

#define PAGE	256

/* Each address leads to some page of the file. */
static bool fuzz_page(struct memory *memory, uint64_t phys, struct blob *page)
{
	const struct blob *all = memory->ctx;
	size_t pages = all->size / PAGE;

	return pages && blob_part(all, phys / PAGE % pages * PAGE, PAGE, page);
}

static void fuzz_image(const struct blob *blob)
{
	struct set *set = calloc(1, sizeof(*set));

	if (!image_read(blob, set)) {
		int status;

		json_object_put(set_json(set));
		json_object_put(check_sets(set, set, NULL, &status));
	}
	set_free(set);
	free(set);
}

static void fuzz_notes(const struct blob *blob, bool scan)
{
	struct set *set = calloc(1, sizeof(*set));

	if (scan)
		notes_scan(blob, set);
	else
		notes_parse(blob, set);
	set_free(set);
	free(set);
}

static void fuzz_dump(const struct blob *blob, unsigned int type)
{
	static const char * const types[] = { NULL, "tree", "luo", "sessions", "files", "memfd",
					      "metadata", "timeline" };
	struct memory memory = { fuzz_page, (void *)blob, PAGE, 40 };

	if (type < 8)
		json_object_put(dump_blob(blob, types[type], &memory));
	else
		json_object_put(decode_map(blob->size, &memory));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob blob = { .data = data + 1, .size = size - 1 };

	unpack_limit = 16UL << 20;
	if (!size)
		return 0;
	switch (*data % 13) {
	case 0:
		fuzz_image(&blob);
		break;
	case 1:
		fuzz_notes(&blob, false);
		break;
	case 2:
		fuzz_notes(&blob, true);
		break;
	case 12:
		json_object_put(timeline_parse(&blob));
		break;
	default:
		fuzz_dump(&blob, *data % 13 - 3);
	}
	return 0;
}
