// SPDX-License-Identifier: GPL-2.0
/*
 * The time line of a live update, from the text of the kernel, which
 * kernel/liveupdate/kho_timeline.c describes.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

#define TIMELINE	DEBUGFS "/timeline"
#define PREVIOUS	"previous "
#define NSEC		1000000000LL
#define EVENTS_MAX	64

struct event {
	const char *kernel;
	char name[32];
	int64_t at;
};

struct events {
	unsigned int nr;
	struct event e[EVENTS_MAX];
};

/* Converts "12.000000034" to nanoseconds; -1 if it is invalid. */
static int64_t nanoseconds(const char *text)
{
	char *dot, *end;
	uint64_t sec = strtoull(text, &dot, 10), nsec;

	if (dot == text || *dot != '.' || strlen(dot) != 10 || sec > INT64_MAX / NSEC - 1)
		return -1;
	nsec = strtoull(dot + 1, &end, 10);
	return *end ? -1 : (int64_t)(sec * NSEC + nsec);
}

static struct json_object *seconds(int64_t ns)
{
	char text[40];

	snprintf(text, sizeof(text), "%s%lld.%06lld", ns < 0 ? "-" : "",
		 llabs(ns) / NSEC, llabs(ns) % NSEC / 1000);
	return json_object_new_double_s(ns / 1e9, text);
}

static void add_event(struct events *events, const char *key, int64_t at)
{
	struct event *e = &events->e[events->nr];
	bool previous = !strncmp(key, PREVIOUS, strlen(PREVIOUS));

	if (events->nr == EVENTS_MAX || at < 0)
		return;
	e->kernel = previous ? "previous" : "this";
	snprintf(e->name, sizeof(e->name), "%s", key + (previous ? strlen(PREVIOUS) : 0));
	e->at = at;
	events->nr++;
}

static const struct event *find(const struct events *events, const char *kernel, const char *name)
{
	for (unsigned int i = 0; i < events->nr; i++) {
		const struct event *e = &events->e[i];

		if (!strcmp(e->kernel, kernel) && !strcmp(e->name, name))
			return e;
	}
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* State while the text is read. */
struct reader {
	struct json_object *result;
	struct json_object *sessions;
	struct json_object *session;
	struct events events;
};

static bool is_word(const char *key)
{
	static const char * const words[] = { "clock", "reliable", "previous" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(key, words[i]))
			return true;
	}
	return false;
}

static void read_line(void *ctx, const char *key, const char *value)
{
	struct reader *r = ctx;

	if (!strcmp(key, "session")) {
		r->session = json_object_new_object();
		json_object_object_add(r->session, "name", json_text(value, strlen(value)));
		json_object_array_add(r->sessions, r->session);
	} else if (r->session && (!strcmp(key, "retrieved") || !strcmp(key, "finished"))) {
		json_object_object_add(r->session, key,
				       json_object_new_int64(nanoseconds(value)));
	} else if (is_word(key)) {
		json_object_object_add(r->result, key, json_text(value, strlen(value)));
	} else if (!strcmp(key, "frequency") || !strcmp(key, "more-sessions")) {
		json_object_object_add(r->result, *key == 'f' ? key : "more_sessions",
				       json_object_new_uint64(strtoull(value, NULL, 10)));
	} else if (strcmp(key, "now")) {
		add_event(&r->events, key, nanoseconds(value));
	}
}

static struct json_object *event_rows(const struct events *events, int64_t zero)
{
	struct json_object *rows = json_object_new_array();

	for (unsigned int i = 0; i < events->nr; i++) {
		struct json_object *row = json_object_new_object();
		const struct event *e = &events->e[i];

		json_object_object_add(row, "at", seconds(e->at - zero));
		json_object_object_add(row, "kernel", json_object_new_string(e->kernel));
		json_object_object_add(row, "event", json_object_new_string(e->name));
		json_object_array_add(rows, row);
	}
	return rows;
}

static void shift_sessions(struct json_object *sessions, int64_t zero)
{
	static const char * const keys[] = { "retrieved", "finished" };

	for (size_t i = 0; i < json_object_array_length(sessions); i++) {
		struct json_object *session = json_object_array_get_idx(sessions, i), *at;

		for (size_t k = 0; k < 2; k++) {
			if (json_object_object_get_ex(session, keys[k], &at))
				json_object_object_add(session, keys[k],
						       seconds(json_object_get_int64(at) - zero));
		}
	}
}

/* Durations between two events; only reported if both events have a time. */
static const struct {
	const char *name;
	const char *kernel, *from;
	const char *to_kernel, *to;
} ranges[] = {
	{ "preserve", "previous", "preserve-begin", "previous", "preserve-end" },
	{ "freeze", "previous", "kexec", "previous", "frozen" },
	{ "shut_down", "previous", "frozen", "previous", "left" },
	{ "kexec", "previous", "left", "this", "entered" },
	{ "boot", "this", "entered", "this", "init" },
	{ "to_last_session", "this", "init", "this", "retrieve-end" },
	{ "blackout", "previous", "kexec", "this", "retrieve-end" },
};

static struct json_object *durations(const struct events *events)
{
	struct json_object *took = json_object_new_object();

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		const struct event *from = find(events, ranges[i].kernel, ranges[i].from);
		const struct event *to = find(events, ranges[i].to_kernel, ranges[i].to);

		if (from && to && to->at >= from->at)
			json_object_object_add(took, ranges[i].name, seconds(to->at - from->at));
	}
	return took;
}

/* Parses the text of a time line, which may be damaged. */
struct json_object *timeline_parse(const struct blob *text)
{
	struct reader r = { .result = json_object_new_object(),
			    .sessions = json_object_new_array() };
	const struct event *kexec;
	int64_t zero = 0;

	text_lines(text, read_line, &r);
	qsort(r.events.e, r.events.nr, sizeof(*r.events.e), by_time);
	kexec = find(&r.events, "previous", "kexec");
	if (kexec)
		zero = kexec->at;
	json_object_object_add(r.result, "zero", json_object_new_string(kexec ? "kexec" : "clock"));
	json_object_object_add(r.result, "events", event_rows(&r.events, zero));
	shift_sessions(r.sessions, zero);
	json_object_object_add(r.result, "sessions", r.sessions);
	json_object_object_add(r.result, "took", durations(&r.events));
	return r.result;
}

/* The time line of the running kernel, or NULL and a failure. */
struct json_object *timeline_read(const char *root)
{
	struct json_object *line;
	struct blob text;

	if (read_below(root, TIMELINE, &text))
		return NULL;
	line = timeline_parse(&text);
	blob_free(&text);
	return line;
}

struct json_object *timeline_show(const char *root)
{
	struct json_object *all, *line = timeline_read(root);

	if (!line)
		return NULL;
	all = json_result("timeline");
	json_object_object_add(all, "timeline", line);
	return all;
}
