// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the inputs in corpus/<target>.txt as a fuzzer would.  Findings of a
 * fuzzer are added there, with a name, and become tests.
 */

#include "fuzz.h"

#define INPUT_MAX	4096

static void back_to_cold(struct kunit *test)
{
	sim_liveupdate = false;
	sim_boot_cold();
}

static const void *target_gen_params(struct kunit *test, const void *prev, char *desc)
{
	const struct fuzz_target *t = prev ? ((struct fuzz_target *)prev)->next : fuzz_targets;

	if (t)
		strscpy(desc, t->name, KUNIT_NAME_SIZE);
	return t;
}

/* Returns the number of bytes that @hex stands for. */
static size_t parse_hex(u8 *data, const char *hex)
{
	size_t size = 0;

	while (size < INPUT_MAX && sscanf(hex + 2 * size, "%2hhx", &data[size]) == 1)
		size++;
	return size;
}

static void corpus_test_target(struct kunit *test)
{
	static char line[4 * INPUT_MAX];
	static u8 data[INPUT_MAX];
	const struct fuzz_target *t = test->param_value;
	char path[4096];
	FILE *file;
	int nr = 0;

	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "the records of some targets do not fit into a page");

	snprintf(path, sizeof(path), "%s/%s.txt", CORPUS, t->name);
	file = fopen(path, "r");
	KUNIT_ASSERT_NOT_NULL_MSG(test, file, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		size_t name = strcspn(line, " ");

		if (*line == '#')
			continue;
		/* Names the input in case of a crash. */
		fprintf(stderr, "%s: %.*s\n", t->name, (int)name, line);
		fuzz_run(t, data, parse_hex(data, line + name + 1));
		nr++;
	}
	fclose(file);
	KUNIT_EXPECT_GT(test, nr, 0);
}

static struct kunit_case corpus_cases[] = {
	KUNIT_CASE_PARAM(corpus_test_target, target_gen_params),
	{}
};

static struct kunit_suite corpus_suite = {
	.name = "unit-corpus",
	.exit = back_to_cold,
	.test_cases = corpus_cases,
};

kunit_test_suite(corpus_suite);
