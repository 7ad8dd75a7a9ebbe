// SPDX-License-Identifier: GPL-2.0
/* Prints results for people: the JSON of the verbs as tables and indented text. */

#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "khoctl.h"

#define COLUMNS_MAX	6
#define RED		"\033[31m"
#define GREEN		"\033[32m"
#define PLAIN		"\033[0m"

/* ---- JSON */

/* Text of another kernel: characters that cannot be printed are escaped. */
struct json_object *json_text(const void *text, size_t size)
{
	const uint8_t *p = text;
	struct json_object *object;
	char *copy = malloc(4 * size + 1), *at = copy;

	if (!copy)
		return json_object_new_string("");
	for (size_t i = 0; i < size; i++) {
		if (p[i] >= ' ' && p[i] <= '~')
			*at++ = p[i];
		else
			at += sprintf(at, "\\x%02x", p[i]);
	}
	object = json_object_new_string_len(copy, at - copy);
	free(copy);
	return object;
}

/* JSON has no hexadecimal numbers, so an address is a string. */
struct json_object *json_address(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_object_new_string(text);
}

const char *json_string(struct json_object *what, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(what, key, &value) || !value)
		return "-";
	return json_object_get_string(value);
}

/* The first members of the result of each verb. */
struct json_object *json_result(const char *verb)
{
	struct json_object *result = json_object_new_object();

	json_object_object_add(result, "verb", json_object_new_string(verb));
	json_object_object_add(result, "schema", json_object_new_int(1));
	return result;
}

struct json_object *set_json(const struct set *set)
{
	struct json_object *result = json_result("abi");
	struct json_object *rows = json_object_new_array();

	for (unsigned int i = 0; i < set->nr; i++) {
		const struct component *c = &set->c[i];
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, "name", json_object_new_string(c->name));
		json_object_object_add(row, "kind", json_object_new_string(kind_name(c->kind)));
		json_object_object_add(row, "writes", json_object_new_string(c->writes));
		json_object_object_add(row, "reads", json_object_new_string(c->reads));
		json_object_object_add(row, "page_size", c->page_shift ?
				       json_object_new_int(1 << c->page_shift) : NULL);
		json_object_array_add(rows, row);
	}
	json_object_object_add(result, "release", json_object_new_string(set->release));
	json_object_object_add(result, "format", json_object_new_string(set->format));
	json_object_object_add(result, "stock", json_object_new_boolean(set->stock));
	json_object_object_add(result, "newer_notes", json_object_new_boolean(set->newer));
	json_object_object_add(result, "components", rows);
	return result;
}

void print_json(struct json_object *what)
{
	puts(json_object_to_json_string_ext(what, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- tables */

static const char *color(const char *verdict)
{
	if (!isatty(STDOUT_FILENO))
		return NULL;
	if (!strcmp(verdict, "same") || !strcmp(verdict, "safe"))
		return GREEN;
	return strcmp(verdict, "new") ? RED : NULL;
}

static struct json_object *get_list(struct json_object *what, const char *key)
{
	struct json_object *list = NULL;

	json_object_object_get_ex(what, key, &list);
	return list;
}

static void print_cell(const char *cell, int width, bool last, bool colored)
{
	const char *begin = last && colored ? color(cell) : NULL;

	printf("%s%-*s%s%s", begin ?: "", last ? 0 : width, *cell ? cell : "-",
	       begin ? PLAIN : "", last ? "\n" : "  ");
}

/*
 * Prints a table with a column for each key.  @keys ends with NULL.  Columns are as
 * wide as their widest cell.
 */
static void print_table(struct json_object *rows, const char * const *keys,
			const char * const *titles, bool colored)
{
	size_t nr = rows ? json_object_array_length(rows) : 0;
	int width[COLUMNS_MAX];
	int last = 0;

	for (int k = 0; keys[k]; last = k++) {
		width[k] = strlen(titles[k]);
		for (size_t i = 0; i < nr; i++) {
			int len = strlen(json_string(json_object_array_get_idx(rows, i), keys[k]));

			width[k] = len > width[k] ? len : width[k];
		}
	}
	for (int k = 0; keys[k]; k++)
		print_cell(titles[k], width[k], k == last, false);
	for (size_t i = 0; i < nr; i++) {
		for (int k = 0; keys[k]; k++)
			print_cell(json_string(json_object_array_get_idx(rows, i), keys[k]),
				   width[k], k == last, colored);
	}
}

static void print_kernel(struct json_object *what, const char *title)
{
	const char *release = json_string(what, "release");
	bool stock = !strcmp(json_string(what, "stock"), "true");

	printf("%sLinux %s (%s)%s\n", title, *release ? release : "of an unknown version",
	       json_string(what, "format"), stock ? ", no notes: versions of this release" : "");
}

void print_abi(struct json_object *what)
{
	static const char * const keys[] = { "name", "kind", "writes", "reads", NULL };

	print_kernel(what, "");
	print_table(get_list(what, "components"), keys, keys, false);
}

void print_check(struct json_object *what)
{
	static const char * const keys[] = { "name", "writes", "reads", "in_use", "verdict", NULL };
	static const char * const titles[] = { "name", "writes", "reads", "in use", "verdict" };
	const char *begin = color(json_string(what, "status"));

	print_kernel(get_list(what, "from"), "from  ");
	print_kernel(get_list(what, "to"), "to    ");
	print_table(get_list(what, "components"), keys, titles, true);
	if (get_list(what, "not_known"))
		printf("in use: %s\n", json_string(what, "not_known"));
	printf("%s%s%s\n", begin ?: "", json_string(what, "sentence"), begin ? PLAIN : "");
}

/* ---- trees */

static void print_value(struct json_object *value, int depth);

static bool is_simple(struct json_object *value)
{
	return !json_object_is_type(value, json_type_object) &&
	       !json_object_is_type(value, json_type_array);
}

static void print_member(const char *key, struct json_object *value, int depth)
{
	if (is_simple(value)) {
		printf("%*s%s: %s\n", 2 * depth, "", key,
		       value ? json_object_get_string(value) : "-");
	} else {
		printf("%*s%s:\n", 2 * depth, "", key);
		print_value(value, depth + 1);
	}
}

static void print_item(struct json_object *value, int depth)
{
	if (is_simple(value)) {
		printf("%*s%s\n", 2 * depth, "", value ? json_object_get_string(value) : "-");
	} else {
		printf("%*s-\n", 2 * depth, "");
		print_value(value, depth + 1);
	}
}

static void print_value(struct json_object *value, int depth)
{
	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			print_item(json_object_array_get_idx(value, i), depth);
	} else {
		json_object_object_foreach(value, key, member)
			print_member(key, member, depth);
	}
}

/* Prints any result as "key: value" lines. */
void print_tree(struct json_object *what)
{
	json_object_object_foreach(what, key, value) {
		if (strcmp(key, "verb") && strcmp(key, "schema"))
			print_member(key, value, 0);
	}
}

void print_timeline(struct json_object *what)
{
	static const char * const keys[] = { "at", "kernel", "event", NULL };
	static const char * const titles[] = { "seconds", "kernel", "event" };
	struct json_object *line = get_list(what, "timeline");

	printf("clock: %s, reliable: %s, previous kernel: %s, zero is the %s\n",
	       json_string(line, "clock"), json_string(line, "reliable"),
	       json_string(line, "previous"), json_string(line, "zero"));
	print_table(get_list(line, "events"), keys, titles, false);
	print_member("sessions", get_list(line, "sessions"), 0);
	print_member("took", get_list(line, "took"), 0);
}

/* Prints that a verb is done, and the image or session that it has acted on. */
void print_done(struct json_object *what)
{
	json_object_object_foreach(what, key, value) {
		if (!strcmp(key, "verb"))
			printf("%s: done", json_object_get_string(value));
		else if (strcmp(key, "schema"))
			printf(": %s", json_object_get_string(value));
	}
	putchar('\n');
}
