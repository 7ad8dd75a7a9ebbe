// SPDX-License-Identifier: GPL-2.0
/*
 * Compares two kernels component by component, as the second one does at boot;
 * kernel/liveupdate/kho_compat.c has the rules.
 */

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

static const char * const verdict_names[] = {
	[VERDICT_SAME] = "same",
	[VERDICT_OTHER] = "other",
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_NEW] = "new",
};

/* The number of users is not known. */
#define IN_DOUBT	(-1)

/* State of a comparison. */
struct check {
	const struct set *from;
	const struct set *to;
	const struct use *use;	/* NULL when two images are compared */
	struct json_object *rows;
	struct json_object *lost;
	struct json_object *doubt;
};

/* ---- strings */

static bool same_part(const char *part, size_t len, const char *s, size_t size)
{
	return len == size && !memcmp(part, s, len);
}

/* Returns true if @part is in a list. */
static bool has_part(const char *list, char separator, const char *part, size_t len)
{
	const char *end;

	for (;; list = end + 1) {
		end = strchrnul(list, separator);
		if (same_part(part, len, list, end - list))
			return true;
		if (!*end)
			return false;
	}
}

/* Returns true if all components of @needed are in @offered. */
static bool covers(const char *offered, const char *needed, size_t len)
{
	const char *stop = needed + len;

	while (needed < stop) {
		const char *end = memchr(needed, ';', stop - needed) ?: stop;

		if (!has_part(offered, ';', needed, end - needed))
			return false;
		needed = end + 1;
	}
	return true;
}

/* Returns the string that @s stands for if @s is an alias in @set, else @s. */
static const char *stands_for(const struct set *set, const char *s)
{
	const struct component *alias = set_find(set, KIND_ALIAS, s);

	return alias ? alias->reads : s;
}

static bool can_read(const struct component *reader, const struct component *c,
		     const struct set *to)
{
	const char *offered = stands_for(to, c->writes), *list = reader->reads, *end;

	if (c->kind != KIND_ROOT)
		return has_part(list, ' ', offered, strlen(offered));

	for (;; list = end + 1) {
		end = strchrnul(list, ' ');
		if (covers(offered, list, end - list) && (!to->stock || !strcmp(offered, list)))
			return true;
		if (!*end)
			return false;
	}
}

/*
 * Several components may have the same name, for example handlers for different
 * versions.  Finds one that can read @c, else the first one with this name.
 */
static const struct component *find_reader(const struct component *c, const struct set *to,
					   enum verdict *verdict)
{
	const struct component *reader = NULL;

	*verdict = VERDICT_UNKNOWN;
	for (unsigned int i = 0; i < to->nr && *verdict != VERDICT_SAME; i++) {
		const struct component *other = &to->c[i];

		if (other->kind != c->kind || strcmp(other->name, c->name))
			continue;
		*verdict = VERDICT_OTHER;
		reader = reader ?: other;
		/* A kernel with another page size can read nothing. */
		if (c->page_shift && other->page_shift && c->page_shift != other->page_shift)
			continue;
		if (can_read(other, c, to)) {
			*verdict = VERDICT_SAME;
			reader = other;
		}
	}
	return reader;
}

static enum verdict compare(const struct component *c, const struct set *to)
{
	enum verdict verdict;

	find_reader(c, to, &verdict);
	return verdict;
}

/* ---- use */

static int length(struct json_object *list)
{
	return list ? json_object_array_length(list) : 0;
}

/*
 * Compares the name of a node, such as "LUO" or "kho_test", with that of a component:
 * ignores case, and '_' is the same as '-'.
 */
static bool same_node(const char *node, const char *name)
{
	for (; *node && *name; node++, name++) {
		char a = *node == '_' ? '-' : *node | 0x20, b = *name | 0x20;

		if (a != b && *node != *name)
			return false;
	}
	return *node == *name;
}

static int in_use(const struct check *check, const struct component *c);

static int users_of_subtree(const struct use *use, const char *name)
{
	if (!strcmp(name, "luo"))
		return length(use->sessions);
	if (!strcmp(name, "memblock"))
		return length(use->regions);
	for (int i = 0; i < length(use->subtrees); i++) {
		if (same_node(json_object_get_string(json_object_array_get_idx(use->subtrees, i)),
			      name))
			return 1;
	}
	return 0;
}

/* Users of the components that contain a structure; all users if the root tree contains it. */
static int users_of_structure(const struct check *check, const struct component *c)
{
	int sum = 0, users;

	if (!strcmp(c->name, "reserve-mem"))
		return length(check->use->regions);
	for (unsigned int i = 0; i < check->from->nr; i++) {
		const struct component *user = &check->from->c[i];
		const char *made_of = user->kind == KIND_ROOT ? user->reads : user->writes;

		if (user->kind == KIND_STRUCTURE || user->kind == KIND_ALIAS ||
		    !has_part(made_of, ';', c->writes, strlen(c->writes)))
			continue;
		users = in_use(check, user);
		if (users == IN_DOUBT)
			return IN_DOUBT;
		sum += users;
	}
	return sum;
}

static int in_use(const struct check *check, const struct component *c)
{
	const struct use *use = check->use;
	struct json_object *count;

	if (!use || !use->known)
		return IN_DOUBT;

	switch (c->kind) {
	case KIND_ROOT:
		return length(use->sessions) + length(use->regions) + length(use->subtrees);
	case KIND_STRUCTURE:
		return users_of_structure(check, c);
	case KIND_SUBTREE:
		return users_of_subtree(use, c->name);
	default:
		if (!use->files)
			return length(use->sessions) ? IN_DOUBT : 0;
		return json_object_object_get_ex(use->files, c->writes, &count) ?
		       json_object_get_int(count) : 0;
	}
}

/* ---- losses */

static void append(struct json_object *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct json_object *list, const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) >= 0) {
		json_object_array_add(list, json_object_new_string(text));
		free(text);
	}
	va_end(args);
}

/* Appends "3 sessions (a, b, c)", with the first 8 names at most. */
static void append_names(struct json_object *list, const char *what, struct json_object *names)
{
	const int shown = 8, count = length(names);
	char text[1024] = "";
	size_t len = 0;

	for (int i = 0; i < count && i < shown && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? ", " : "",
				json_object_get_string(json_object_array_get_idx(names, i)));
	if (count)
		append(list, "%d %s%s (%s%s)", count, what, count > 1 ? "s" : "", text,
		       count > shown ? ", ..." : "");
}

static void lose_all(struct check *check)
{
	append_names(check->lost, "session", check->use->sessions);
	append_names(check->lost, "reserve_mem region", check->use->regions);
	append_names(check->lost, "other subtree", check->use->subtrees);
}

/* Losses between two images, for which it is not known what is in use. */
static void lose_any(struct check *check, const struct component *c)
{
	if (c->kind == KIND_ROOT)
		append(check->lost, "everything");
	else if (c->kind == KIND_FILE)
		append(check->lost, "files of %s", c->name);
	else if (c->kind == KIND_FLB)
		append(check->lost, "the FLB %s", c->name);
	else if (!strcmp(c->name, "luo"))
		append(check->lost, "all sessions");
	else if (!strcmp(c->name, "memblock") || !strcmp(c->name, "reserve-mem"))
		append(check->lost, "reserve_mem regions");
	else if (c->kind == KIND_SUBTREE)
		append(check->lost, "the subtree %s", c->name);
}

static void lose_used(struct check *check, const struct component *c, int users)
{
	const struct use *use = check->use;

	if (c->kind == KIND_ROOT)
		lose_all(check);
	else if (c->kind == KIND_FILE)
		append(check->lost, "%d file%s of %s", users, users > 1 ? "s" : "", c->name);
	else if (c->kind == KIND_FLB)
		append(check->lost, "the FLB %s", c->name);
	else if (!strcmp(c->name, "luo"))
		append_names(check->lost, "session", use->sessions);
	else if (!strcmp(c->name, "memblock") || !strcmp(c->name, "reserve-mem"))
		append_names(check->lost, "reserve_mem region", use->regions);
	else if (c->kind == KIND_SUBTREE)
		append(check->lost, "the subtree %s", c->name);
}

/* Structures do not count: the components that contain them differ as well. */
static void lose_in_doubt(struct check *check, const struct component *c)
{
	if (c->kind != KIND_STRUCTURE)
		append(check->doubt, "%s differs, and it is not known whether it is in use",
		       c->name);
}

static void lose(struct check *check, const struct component *c, int users)
{
	if (c->kind == KIND_SUBTREE && is_own(c->name))
		return;
	if (!check->use)
		lose_any(check, c);
	else if (users == IN_DOUBT)
		lose_in_doubt(check, c);
	else if (users)
		lose_used(check, c, users);
}

/* A component is not reported if the component that contains it is lost. */
static bool lost_with_another(const struct check *check, const struct component *c)
{
	const char *above = NULL;
	const struct component *root = set_find(check->from, KIND_ROOT, "kho");

	if (c->kind == KIND_ROOT)
		return false;
	if (root && compare(root, check->to) != VERDICT_SAME)
		return true;
	if (c->kind == KIND_FILE || c->kind == KIND_FLB)
		above = "luo";
	else if (!strcmp(c->name, "reserve-mem"))
		above = "memblock";
	if (!above)
		return false;
	root = set_find(check->from, KIND_SUBTREE, above);
	return root && compare(root, check->to) != VERDICT_SAME;
}

/* ---- result */

static void add_row(struct check *check, const struct component *c, const char *writes,
		    const char *reads, int users, enum verdict verdict)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "name", json_object_new_string(c->name));
	json_object_object_add(row, "kind", json_object_new_string(kind_name(c->kind)));
	json_object_object_add(row, "writes", writes ? json_object_new_string(writes) : NULL);
	json_object_object_add(row, "reads", reads ? json_object_new_string(reads) : NULL);
	json_object_object_add(row, "in_use",
			       users == IN_DOUBT ? NULL : json_object_new_int(users));
	json_object_object_add(row, "verdict", json_object_new_string(verdict_names[verdict]));
	json_object_array_add(check->rows, row);
}

static void check_component(struct check *check, const struct component *c)
{
	enum verdict verdict;
	const struct component *reader = find_reader(c, check->to, &verdict);
	int users = in_use(check, c);

	add_row(check, c, c->writes, reader ? reader->reads : NULL, users, verdict);
	if (verdict != VERDICT_SAME && !lost_with_another(check, c))
		lose(check, c, users);
}

/* Reports preserved subtrees that no note describes. */
static void check_subtrees(struct check *check)
{
	struct json_object *subtrees = check->use ? check->use->subtrees : NULL;

	for (int i = 0; i < length(subtrees); i++) {
		const char *node = json_object_get_string(json_object_array_get_idx(subtrees, i));
		bool found = false;

		for (unsigned int k = 0; k < check->from->nr; k++)
			found |= check->from->c[k].kind == KIND_SUBTREE &&
				 same_node(node, check->from->c[k].name);
		if (!found)
			append(check->doubt, "the subtree %s has no note", node);
	}
}

static const char *join(struct json_object *list, char *text, size_t size)
{
	size_t len = 0;

	*text = '\0';
	for (int i = 0; i < length(list) && len < size; i++)
		len += snprintf(text + len, size - len, "%s%s", i ? ", " : "",
				json_object_get_string(json_object_array_get_idx(list, i)));
	return text;
}

static const char *full_name(const struct set *set)
{
	return *set->release ? set->release : "of an unknown version";
}

static int conclude(const struct check *check, struct json_object *result)
{
	static const char * const words[] = { "safe", "loss", "unknown" };
	const struct component *root = set_find(check->from, KIND_ROOT, "kho");
	int status = EXIT_SAFE;
	char text[2048], list[1800];

	if (length(check->lost)) {
		status = EXIT_LOSS;
		snprintf(text, sizeof(text), "would lose: %s",
			 join(check->lost, list, sizeof(list)));
	} else if (length(check->doubt)) {
		status = EXIT_UNKNOWN;
		snprintf(text, sizeof(text), "cannot tell: %s",
			 join(check->doubt, list, sizeof(list)));
	} else if (!root) {
		snprintf(text, sizeof(text), "safe: Linux %s hands nothing over",
			 full_name(check->from));
	} else if (check->use && check->use->known && !in_use(check, root)) {
		snprintf(text, sizeof(text), "safe: nothing is in use");
	} else {
		snprintf(text, sizeof(text), "safe: Linux %s reads all that Linux %s writes",
			 full_name(check->to), full_name(check->from));
	}
	json_object_object_add(result, "status", json_object_new_string(words[status]));
	json_object_object_add(result, "sentence", json_object_new_string(text));
	return status;
}

static struct json_object *side(const struct set *set)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "release", json_object_new_string(set->release));
	json_object_object_add(object, "format", json_object_new_string(set->format));
	json_object_object_add(object, "stock", json_object_new_boolean(set->stock));
	return object;
}

/* Compares two kernels; @use is NULL for two images. */
struct json_object *check_sets(const struct set *from, const struct set *to, const struct use *use,
			       int *status)
{
	struct json_object *result = json_result("check");
	struct check check = { from, to, use, json_object_new_array(), json_object_new_array(),
			       json_object_new_array() };

	for (unsigned int i = 0; i < from->nr; i++) {
		if (from->c[i].kind != KIND_ALIAS)
			check_component(&check, &from->c[i]);
	}
	for (unsigned int i = 0; i < to->nr; i++) {
		const struct component *c = &to->c[i];

		if (c->kind != KIND_ALIAS && !set_find(from, c->kind, c->name))
			add_row(&check, c, NULL, c->reads, 0, VERDICT_NEW);
	}
	check_subtrees(&check);

	json_object_object_add(result, "from", side(from));
	json_object_object_add(result, "to", side(to));
	json_object_object_add(result, "components", check.rows);
	json_object_object_add(result, "lost", check.lost);
	json_object_object_add(result, "in_doubt", check.doubt);
	*status = conclude(&check, result);
	return result;
}
