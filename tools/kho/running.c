// SPDX-License-Identifier: GPL-2.0
/*
 * The running kernel: its notes and its outgoing data.  All paths are below a root
 * folder, so that a copy of the files can be read as well.  The root of the machine
 * itself is "".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "khoctl.h"

#define NOTES		"/sys/kernel/notes"
#define MODULE_NOTES	"/sys/module/*/notes/.note.kho"
#define RELEASE		"/proc/sys/kernel/osrelease"
#define SESSIONS	"/sys/kernel/debug/liveupdate/"
#define SESSION_LINK	"anon_inode:[luo_session] "

/* ---- components */

static void find_release(const char *root, struct set *set)
{
	struct blob text;
	size_t len = 0;

	if (read_below(root, RELEASE, &text))
		return;
	while (len < text.size && len + 1 < sizeof(set->release) && text.data[len] > ' ')
		len++;
	memcpy(set->release, text.data, len);
	set->release[len] = '\0';
	blob_free(&text);
}

static int module_notes(const char *root, struct set *set)
{
	char pattern[4096];
	struct blob notes;
	glob_t found;
	int err = 0;

	snprintf(pattern, sizeof(pattern), "%s" MODULE_NOTES, root);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !err; i++) {
		/* The module may have been unloaded. */
		if (blob_read(found.gl_pathv[i], &notes))
			continue;
		err = notes_parse(&notes, set);
		blob_free(&notes);
	}
	globfree(&found);
	return err;
}

/* Components of the running kernel and of its modules. */
int running_set(const char *root, struct set *set)
{
	struct blob notes;
	int err;

	snprintf(set->format, sizeof(set->format), "running kernel");
	find_release(root, set);
	if (read_below(root, NOTES, &notes))
		return -1;
	err = notes_parse(&notes, set) ?: module_notes(root, set);
	blob_free(&notes);
	if (!err && !set->nr && set->newer)
		err = fail("its notes have a layout that this khoctl does not know");
	if (!err && !set->nr)
		err = stock_fill(set, NULL);
	set_sort(set);
	return err;
}

/* ---- use */

static int add_subtree(void *ctx, unsigned int depth, const char *node, const char *prop,
		       const struct blob *value)
{
	(void)value;
	if (depth == 2 && !prop)
		json_object_array_add(ctx, json_text(node, strlen(node)));
	return 0;
}

/* Names of the nodes below the root of a tree. */
static int tree_names(const char *root, const char *path, struct json_object *names)
{
	struct blob tree;
	int err = read_below(root, path, &tree);

	if (err)
		return err;
	err = fdt_walk(&tree, add_subtree, names);
	blob_free(&tree);
	return err;
}

static void count_files(struct json_object *files, const char *handler, int64_t count)
{
	struct json_object *old;

	if (json_object_object_get_ex(files, handler, &old))
		count += json_object_get_int64(old);
	json_object_object_add(files, handler, json_object_new_int64(count));
}

/* Calls @visit for each line of a file of debugfs. */
static int running_lines(const char *root, const char *path, line_visit visit, void *ctx)
{
	struct blob text;
	int err = read_below(root, path, &text);

	if (err)
		return err;
	text_lines(&text, visit, ctx);
	blob_free(&text);
	return 0;
}

/* The sessions of one direction, and how many files each handler and FLB has. */
struct sessions {
	struct json_object *names;
	struct json_object *files;
	struct json_object *unfinished;		/* NULL if not wanted */
};

/*
 * A line "state" follows the line of its session.  The lines "handler" and "flb" have a string
 * and a count.
 */
static void session_line(void *ctx, const char *key, const char *value)
{
	struct sessions *s = ctx;
	size_t nr = json_object_array_length(s->names);
	const char *count = strrchr(value, ' ');
	char string[100];

	if (!strcmp(key, "session")) {
		json_object_array_add(s->names, json_text(value, strlen(value)));
	} else if (!strcmp(key, "state") && s->unfinished && nr && strcmp(value, "finished")) {
		struct json_object *name = json_object_array_get_idx(s->names, nr - 1);

		json_object_array_add(s->unfinished, json_object_get(name));
	} else if ((!strcmp(key, "handler") || !strcmp(key, "flb")) && count) {
		snprintf(string, sizeof(string), "%.*s", (int)(count - value), value);
		count_files(s->files, string, strtoll(count + 1, NULL, 10));
	}
}

/* If the link is that of a session's descriptor, adds the name of the session. */
static void add_holder(const char *path, struct json_object *sessions)
{
	char target[256];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	struct json_object *name;

	if (len < (ssize_t)sizeof(SESSION_LINK) ||
	    strncmp(target, SESSION_LINK, sizeof(SESSION_LINK) - 1))
		return;
	target[len] = '\0';
	name = json_text(target + sizeof(SESSION_LINK) - 1, len - (sizeof(SESSION_LINK) - 1));
	for (size_t i = 0; i < json_object_array_length(sessions); i++) {
		if (json_object_equal(json_object_array_get_idx(sessions, i), name)) {
			json_object_put(name);
			return;
		}
	}
	json_object_array_add(sessions, name);
}

/* Finds sessions by their descriptors, for kernels that do not list sessions. */
static int find_holders(const char *root, struct json_object *sessions)
{
	char pattern[4096];
	glob_t found;
	int err;

	if (!*root && geteuid())
		return fail("only root can see who holds sessions");
	snprintf(pattern, sizeof(pattern), "%s/proc/[0-9]*/fd/[0-9]*", root);
	err = glob(pattern, GLOB_NOSORT, NULL, &found);
	if (err == GLOB_NOMATCH)
		return fail("%s: nothing is there", pattern);
	if (err)
		return fail("%s: cannot be listed", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++)
		add_holder(found.gl_pathv[i], sessions);
	globfree(&found);
	return 0;
}

static int find_sessions(const char *root, struct use *use)
{
	struct sessions s = { use->sessions, use->files, NULL };

	if (!running_lines(root, SESSIONS "outgoing", session_line, &s))
		return 0;
	json_object_put(use->files);
	use->files = NULL;
	return find_holders(root, use->sessions);
}

static bool has_device(const char *root)
{
	char name[4096];

	return !path_below(root, "/dev/liveupdate", name, sizeof(name)) && !access(name, F_OK);
}

/* Every kernel writes these subtrees itself; no data is lost without them. */
bool is_own(const char *node)
{
	return !strcmp(node, "kexec-metadata") || !strcmp(node, "timeline");
}

/* Replaces the subtrees of LUO and memblock by lists of sessions and regions. */
static int sort_subtrees(const char *root, struct use *use)
{
	struct json_object *others = json_object_new_array();
	size_t nr = json_object_array_length(use->subtrees);
	bool luo = false;
	int err = 0;

	for (size_t i = 0; i < nr; i++) {
		struct json_object *name = json_object_array_get_idx(use->subtrees, i);
		const char *s = json_object_get_string(name);

		if (!strcmp(s, "LUO"))
			luo = true;
		else if (!strcmp(s, "memblock"))
			err = err ?: tree_names(root, DEBUGFS "/out/sub_fdts/memblock",
						use->regions);
		else if (!is_own(s))
			json_object_array_add(others, json_object_get(name));
	}
	json_object_put(use->subtrees);
	use->subtrees = others;
	/* Without the device, no session exists. */
	if (luo && has_device(root))
		err = err ?: find_sessions(root, use);
	return err;
}

/* Finds the data in use.  On failure @use->known is false. */
int running_use(const char *root, struct use *use)
{
	int err;

	*use = (struct use){
		.sessions = json_object_new_array(),
		.files = json_object_new_object(),
		.regions = json_object_new_array(),
		.subtrees = json_object_new_array(),
	};
	err = tree_names(root, DEBUGFS "/out/fdt", use->subtrees) ?: sort_subtrees(root, use);
	use->known = !err;
	return err;
}

void use_free(struct use *use)
{
	json_object_put(use->sessions);
	json_object_put(use->files);
	json_object_put(use->regions);
	json_object_put(use->subtrees);
}

/* ---- show */

static void add_number_line(void *ctx, const char *key, const char *value)
{
	json_object_object_add(ctx, key, json_object_new_uint64(strtoull(value, NULL, 10)));
}

static void add_text_line(void *ctx, const char *key, const char *value)
{
	json_object_object_add(ctx, key, json_text(value, strlen(value)));
}

/* The lines of a file by their keys, NULL if the file does not exist. */
static struct json_object *object_of(const char *root, const char *path, line_visit add)
{
	struct json_object *object = json_object_new_object();

	if (!running_lines(root, path, add, object))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *outgoing(const char *root)
{
	struct json_object *out = json_object_new_object();
	struct use use;

	if (running_use(root, &use))
		json_object_object_add(out, "not_known", json_object_new_string(failure()));
	json_object_object_add(out, "sessions", json_object_get(use.sessions));
	json_object_object_add(out, "files", json_object_get(use.files));
	json_object_object_add(out, "reserve_mem", json_object_get(use.regions));
	json_object_object_add(out, "other_subtrees", json_object_get(use.subtrees));
	json_object_object_add(out, "preserved_bytes",
			       object_of(root, DEBUGFS "/out/preserved", add_number_line));
	json_object_object_add(out, "writes",
			       object_of(root, DEBUGFS "/out/compat", add_text_line));
	use_free(&use);
	return out;
}

/* The lines of a file, NULL if the file does not exist. */
static struct json_object *lines_of(const char *root, const char *path)
{
	struct json_object *lines;
	struct blob text;
	size_t start = 0;

	if (read_below(root, path, &text))
		return NULL;
	lines = json_object_new_array();
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\n') {
			json_object_array_add(lines, json_text(text.data + start, i - start));
			start = i + 1;
		}
	}
	blob_free(&text);
	return lines;
}

/* The release of the previous kernel, and the number of handovers. */
static struct json_object *chain(const char *root)
{
	struct json_object *chain;
	struct blob blob;

	if (read_below(root, DEBUGFS "/in/sub_fdts/kexec-metadata", &blob))
		return NULL;
	chain = decode_metadata(&blob, NULL);
	blob_free(&blob);
	return chain;
}

static struct json_object *incoming(const char *root)
{
	struct json_object *in = json_object_new_object();
	struct json_object *subtrees = json_object_new_array();
	struct sessions s = { json_object_new_array(), json_object_new_object(),
			      json_object_new_array() };

	tree_names(root, DEBUGFS "/in/fdt", subtrees);
	running_lines(root, SESSIONS "incoming", session_line, &s);
	json_object_object_add(in, "previous_kernel", chain(root));
	json_object_object_add(in, "subtrees", subtrees);
	json_object_object_add(in, "sessions", s.names);
	json_object_object_add(in, "unfinished", s.unfinished);
	json_object_object_add(in, "files", s.files);
	json_object_object_add(in, "compat", lines_of(root, DEBUGFS "/in/compat"));
	json_object_object_add(in, "unclaimed", lines_of(root, DEBUGFS "/in/unclaimed"));
	return in;
}

/* Handover data of the running kernel; NULL and a failure if it cannot be read. */
struct json_object *running_show(const char *root)
{
	struct json_object *show;
	struct set *set = calloc(1, sizeof(*set));
	char name[4096];

	if (!set)
		return fail("out of memory"), NULL;
	snprintf(name, sizeof(name), "%s" DEBUGFS, root);
	if (access(name, R_OK | X_OK)) {
		fail("%s: %s", name, strerror(errno));
		free(set);
		return NULL;
	}
	find_release(root, set);
	show = json_result("show");
	json_object_object_add(show, "release", json_object_new_string(set->release));
	json_object_object_add(show, "outgoing", outgoing(root));
	json_object_object_add(show, "incoming", incoming(root));
	json_object_object_add(show, "timeline", timeline_read(root));
	free(set);
	return show;
}
