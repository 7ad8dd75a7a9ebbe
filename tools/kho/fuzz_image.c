// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the parsers of kernel images: the first byte of an input chooses the parser,
 * the rest is the file.
 */

#include <stdlib.h>

#include "khoctl.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob blob = { .data = data + 1, .size = size - 1 };

	unpack_limit = 16UL << 20;
	if (!size)
		return 0;
	if (*data % 3)
		fuzz_notes(&blob, *data % 3 == 2);
	else
		fuzz_image(&blob);
	return 0;
}
