// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the suites and prints KTAP, without plans, which are optional and have to
 * come before the results.
 *
 * After each case the machine must be as it was: no page, no object and no
 * preserved key more or less.  A case frees its own resources by actions, so
 * any difference is a leak of the code under test.
 */

#include "../shims.h"

#include <fnmatch.h>
#include <sys/time.h>
#include <unistd.h>

struct kunit_action {
	struct kunit_action *next;
	void (*fn)(void *arg);
	void *arg;
};

static struct kunit_suite *suites, **last = &suites;

static struct {
	const char *name;
	unsigned long *value;
} params[16];

/* Cases so far. */
static unsigned int nr_passed, nr_failed, nr_skipped;

void kunit_register(struct kunit_suite *suite)
{
	*last = suite;
	last = &suite->next;
}

void kunit_param(const char *name, unsigned long *value)
{
	unsigned int i = 0;

	while (params[i].name)
		BUG_ON(++i == ARRAY_SIZE(params));
	params[i].name = name;
	params[i].value = value;
}

void kunit_note(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	sim_vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	line[strcspn(line, "\n")] = 0;
	printf("        # %s\n", line);
}

void kunit_fail(struct kunit *test, const char *file, int line, bool fatal,
		const char *fmt, ...)
{
	const char *base = strstr(file, "kernel/liveupdate") ?: strrchr(file, '/');
	char text[512];
	va_list args;

	va_start(args, fmt);
	sim_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("        # %s: failed at %s:%d: %s\n", test->name,
	       base ? base + (*base == '/') : file, line, text);

	test->failed = true;
	if (fatal)
		longjmp(test->out, 1);
}

void kunit_skip_to_end(struct kunit *test, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	sim_vsnprintf(test->skipped, sizeof(test->skipped), fmt, args);
	va_end(args);
	longjmp(test->out, 1);
}

int kunit_add_action_or_reset(struct kunit *test, void (*fn)(void *), void *arg)
{
	struct kunit_action *action = malloc(sizeof(*action));

	*action = (struct kunit_action){ test->actions, fn, arg };
	test->actions = action;
	return 0;
}

static void run_actions(struct kunit *test)
{
	struct kunit_action *action;

	while ((action = test->actions)) {
		test->actions = action->next;
		action->fn(action->arg);
		free(action);
	}
}

void *kunit_kmalloc(struct kunit *test, size_t size, gfp_t gfp)
{
	void *mem = malloc(size);

	memset(mem, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	kunit_add_action_or_reset(test, free, mem);
	return mem;
}

/* Frees memory before the end of the test. */
void kunit_kfree(struct kunit *test, const void *mem)
{
	struct kunit_action **link = &test->actions;

	for (; *link; link = &(*link)->next) {
		struct kunit_action *action = *link;

		if (action->arg != mem || action->fn != free)
			continue;
		*link = action->next;
		free(action);
		free((void *)mem);
		return;
	}
}

char *kunit_kstrdup(struct kunit *test, const char *s, gfp_t gfp)
{
	return strcpy(kunit_kmalloc(test, strlen(s) + 1, gfp), s);
}

static void expect_balance(struct kunit *test, const struct sim_balance *before)
{
	struct sim_balance after = sim_balance();

	if (!memcmp(before, &after, sizeof(after)))
		return;

	kunit_note("%s: leaked %ld pages, %ld objects, %ld preserved keys",
		   test->name, after.pages - before->pages,
		   after.objects - before->objects, after.keys - before->keys);
	test->failed = true;
}

/* Shows the last lines of the log. */
static void show_log(void)
{
	const char *line = sim_log(), *end = line + strlen(line);

	while (end - line > 500)
		line += strcspn(line, "\n") + 1;
	for (; line < end; line += strcspn(line, "\n") + 1)
		kunit_note("log: %s", line);
}

static void run_case(struct kunit_suite *suite, struct kunit_case *c,
		     struct kunit *test)
{
	struct sim_balance before = sim_balance();

	sim_log_clear();
	sim_fail_nth(0);

	if (!setjmp(test->out)) {
		if (suite->init && suite->init(test))
			KUNIT_FAIL(test, "init of the suite failed");
		else
			c->run(test);
	}

	sim_fail_nth(0);
	if (!setjmp(test->out)) {
		if (suite->exit)
			suite->exit(test);
		run_actions(test);
	}
	expect_balance(test, &before);
	if (test->failed)
		show_log();
}

static void report(struct kunit *test, unsigned int nr, const char *indent,
		   const char *name)
{
	if (*test->skipped) {
		nr_skipped++;
		printf("%sok %u %s # SKIP %s\n", indent, nr, name, test->skipped);
		return;
	}

	nr_failed += test->failed;
	nr_passed += !test->failed;
	printf("%s%s %u %s\n", indent, test->failed ? "not ok" : "ok", nr, name);
	/* For a mutation test, the first failure is enough. */
	if (test->failed && getenv("KHO_STOP")) {
		fflush(stdout);
		_exit(1);
	}
}

/* Returns true if all runs passed. */
static bool run_params(struct kunit_suite *suite, struct kunit_case *c)
{
	const void *param = NULL;
	unsigned int nr = 0;
	bool good = true;

	printf("        KTAP version 1\n        # Subtest: %s\n", c->name);
	for (;;) {
		struct kunit test = { .name = c->name };
		char desc[KUNIT_NAME_SIZE] = "";

		param = c->generate(&test, param, desc);
		if (!param)
			break;
		test.param_value = param;
		run_case(suite, c, &test);
		report(&test, ++nr, "        ", desc);
		good &= !test.failed;
	}
	return good;
}

static void run_suite(struct kunit_suite *suite, unsigned int nr)
{
	unsigned int failed = nr_failed, n = 0;

	printf("    KTAP version 1\n    # Subtest: %s\n", suite->name);
	for (struct kunit_case *c = suite->test_cases; c->run; c++) {
		struct kunit test = { .name = c->name };

		if (c->generate) {
			printf("    %s %u %s\n",
			       run_params(suite, c) ? "ok" : "not ok", ++n, c->name);
			continue;
		}
		run_case(suite, c, &test);
		report(&test, ++n, "    ", c->name);
	}
	printf("%s %u %s\n", failed == nr_failed ? "ok" : "not ok", nr, suite->name);
	fflush(stdout);
}

static bool set_param(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (unsigned int i = 0; arg[len] && i < ARRAY_SIZE(params); i++) {
		if (!params[i].name || strncmp(params[i].name, arg, len) ||
		    params[i].name[len])
			continue;
		*params[i].value = strtoul(arg + len + 1, NULL, 0);
	}
	return arg[len];
}

/* Index of the first pattern that the suite matches, or @nr. */
static unsigned int wanted_by(struct kunit_suite *suite, const char **patterns,
			      unsigned int nr)
{
	unsigned int i = 0;

	while (i < nr && fnmatch(patterns[i], suite->name, 0))
		i++;
	return i;
}

/* Suites are run in the order of the patterns. */
static void run_suites(const char **patterns, unsigned int nr)
{
	unsigned int done = 0;

	for (unsigned int i = 0; i < nr; i++) {
		for (struct kunit_suite *s = suites; s; s = s->next) {
			if (wanted_by(s, patterns, nr) == i)
				run_suite(s, ++done);
		}
	}
}

int main(int argc, char **argv)
{
	const char *wanted[8] = { "*" };
	unsigned int patterns = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v"))
			sim_log_shown = true;
		else if (!set_param(argv[i]) && patterns < ARRAY_SIZE(wanted))
			wanted[patterns++] = argv[i];
	}

	/* Do not lose output in a crash. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	sim_boot_cold();
	printf("KTAP version 1\n");
	run_suites(wanted, patterns ?: 1);
	printf("# pages of %lu bytes: %u passed, %u failed, %u skipped\n", PAGE_SIZE,
	       nr_passed, nr_failed, nr_skipped);

	return nr_failed || !nr_passed;
}
