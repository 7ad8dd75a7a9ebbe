// SPDX-License-Identifier: GPL-2.0
/*
 * The list of all cases.
 */

#include "handover.h"
#include "kho_test.h"

static struct kho_test *first;
static struct kho_test **last = &first;

void kho_test_register(struct kho_test *test)
{
	*last = test;
	last = &test->next;
}

const struct kho_test *kho_test_first(void)
{
	return first;
}

/*
 * The name of the case: the name of its function, with dashes, unless the case
 * sets .name.
 */
const char *kho_test_name(const struct kho_test *test)
{
	static char name[64];

	if (test->name)
		return test->name;
	snprintf(name, sizeof(name), "%s", test->id);
	for (char *c = name; *c; c++) {
		if (*c == '_')
			*c = '-';
	}

	return name;
}

const struct kho_test *kho_test_find(const char *name)
{
	const struct kho_test *test = first;

	while (test && strcmp(kho_test_name(test), name))
		test = test->next;

	return test;
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_text(const char *key, const char *text)
{
	printf(", \"%s\": ", key);
	print_string(text ? text : "");
}

static void print_row(const char *key, const char *const *row)
{
	printf(", \"%s\": [", key);
	for (int i = 0; i < KHO_TEST_ROW && row[i]; i++) {
		printf(i ? ", " : "");
		print_string(row[i]);
	}
	printf("]");
}

static void print_number(const char *key, unsigned int value, unsigned int def)
{
	printf(", \"%s\": %u", key, value ? value : def);
}

static bool more_rows;

static void print_table_row(const char *name, const char *log, const char *must)
{
	printf("%s[", more_rows ? ", " : "");
	print_string(name);
	printf(", ");
	print_string(log ? log : "");
	printf(", ");
	print_string(must);
	printf("]");
	more_rows = true;
}

static void print_table(const struct kho_test *test)
{
	printf(", \"rows\": [");
	more_rows = false;
	if (test->rows)
		test->rows(print_table_row);
	printf("]");
}

/* Prints a line of JSON for each case. */
void kho_test_list(void)
{
	for (const struct kho_test *test = first; test; test = test->next) {
		printf("{\"name\": ");
		print_string(kho_test_name(test));
		print_text("sentence", test->sentence);
		print_number("hops", test->hops, 2);
		print_number("memory", test->memory, 1024);
		print_number("pages", test->pages, 0);
		print_number("nodes", test->nodes, 1);
		print_number("deadline", test->deadline, 20);
		printf(", \"live\": %s, \"by_name\": %s",
		       test->live ? "true" : "false",
		       test->by_name ? "true" : "false");
		print_text("arch", test->arch);
		print_text("base", test->base);
		print_text("plug", test->plug);
		print_row("kernels", test->kernels);
		print_row("append", test->append);
		print_row("allowed", test->allowed);
		print_row("qemu", test->qemu);
		print_table(test);
		printf("}\n");
	}
}
