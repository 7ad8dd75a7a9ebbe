// SPDX-License-Identifier: GPL-2.0
/*
 * Actions that make every allocation fail on which a call to the Live Update
 * Orchestrator depends, one after the other.  A call may end in ENOMEM, or do
 * without what it did not get; afterwards it must work as if never tried.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"

#define FAULTS_DIR	"/sys/kernel/debug/"
#define MAX_FAULTS	1000

static const struct {
	const char *file;
	const char *value;
} settings[] = {
	{ FAULTS_DIR "failslab/ignore-gfp-wait", "N" },
	{ FAULTS_DIR "failslab/verbose", "0" },
	{ FAULTS_DIR "fail_page_alloc/ignore-gfp-wait", "N" },
	{ FAULTS_DIR "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ FAULTS_DIR "fail_page_alloc/min-order", "0" },
	{ FAULTS_DIR "fail_page_alloc/verbose", "0" },
};

static int fail_nth = -1;

static int write_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return problem(-errno, "no fault injection: %s: %s", file,
			       strerror(errno));
	if (write(fd, text, strlen(text)) < 0)
		err = problem(-errno, "%s: %s", file, strerror(errno));
	close(fd);

	return err;
}

static int faults_prepare(void)
{
	int err = 0;

	if (fail_nth >= 0)
		return 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(settings) && !err; i++)
		err = write_text(settings[i].file, settings[i].value);
	if (err)
		return err;

	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	return fail_nth < 0 ? problem(-errno, "fail-nth: %s", strerror(errno)) : 0;
}

/* Allocation number @n of this thread fails from now on; none if 0. */
static void faults_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fail_nth, text, len, 0) != len)
		abort();
}

/* Return true when the allocation was reached, and failed. */
static bool faults_disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		abort();
	faults_arm(0);

	return !atoi(text);
}

/* One call that is tried with each of its allocations failing. */
struct attempt {
	const char *what;
	const char *session;
	int fd;			/* of the session, or of the file if none is open */
	int file;
	uint64_t token;
	uint64_t nr, size, seed;	/* of files that were kept */
	int (*call)(struct attempt *attempt);
	/* Looks at the result of a call that worked, and takes it back. */
	int (*undo)(struct attempt *attempt, int ret);
};

/* Returns 1 when the call needed fewer than @n allocations. */
static int attempt_nth(struct attempt *attempt, unsigned int n)
{
	bool failed;
	int ret;

	faults_arm(n);
	ret = attempt->call(attempt);
	failed = faults_disarm();

	if (ret < 0 && (!failed || ret != -ENOMEM))
		return problem(ret, "%s, allocation %u: %s", attempt->what, n,
			       strerror(-ret));
	if (ret < 0) {
		ret = attempt->call(attempt);
		if (ret < 0)
			return problem(ret, "%s after allocation %u failed: %s",
				       attempt->what, n, strerror(-ret));
	}
	ret = attempt->undo(attempt, ret);

	return ret ?: !failed;
}

static int attempt_sweep(struct attempt *attempt)
{
	int ret = faults_prepare();
	unsigned int n = 0;

	while (!ret && n++ < MAX_FAULTS)
		ret = attempt_nth(attempt, n);
	if (ret < 0)
		return ret;
	if (!ret)
		return problem(-ELOOP, "%s makes no end of allocations",
			       attempt->what);
	note("%s: each of %u allocations failed once", attempt->what, n - 1);

	return n > 1 ? 0 : problem(-ENODATA, "%s: no allocation failed",
				   attempt->what);
}

static int close_result(struct attempt *attempt, int ret)
{
	close(ret);

	return 0;
}

static int call_create(struct attempt *attempt)
{
	return luo_create(attempt->session);
}

static int call_get(struct attempt *attempt)
{
	return luo_get(attempt->session);
}

/* Calls that end in a new descriptor of a session. */
static int fail_session(const char *what, const char *session,
			int (*call)(struct attempt *attempt))
{
	struct attempt attempt = {
		.what = what, .session = session,
		.call = call, .undo = close_result,
	};

	return luo_device() < 0 ? -ENODEV : attempt_sweep(&attempt);
}

static int fail_create(char **words)
{
	return fail_session("create session", words[0], call_create);
}

static int fail_get(char **words)
{
	return fail_session("retrieve session", words[0], call_get);
}

static int call_preserve(struct attempt *attempt)
{
	return luo_preserve(attempt->fd, attempt->token, attempt->file);
}

/* Only the end of its session takes a file out of it. */
static int undo_preserve(struct attempt *attempt, int ret)
{
	close(attempt->fd);
	attempt->fd = luo_create(attempt->session);

	return attempt->fd < 0 ? attempt->fd : 0;
}

static int fail_preserve(char **words)
{
	struct attempt attempt = {
		.what = "preserve", .session = words[0], .token = 1,
		.call = call_preserve, .undo = undo_preserve,
	};
	int err;

	attempt.file = fd_find(words[1]);
	if (attempt.file < 0)
		return attempt.file;
	attempt.fd = luo_create(words[0]);
	if (attempt.fd < 0)
		return problem(attempt.fd, "create: %s", strerror(-attempt.fd));
	err = attempt_sweep(&attempt);
	if (attempt.fd >= 0)
		close(attempt.fd);

	return err;
}

/* The words SESSION FILES size= seed= */
static int parse_files(char **words, struct attempt *attempt)
{
	attempt->fd = fd_find(words[0]);
	if (attempt->fd < 0)
		return attempt->fd;

	return parse_u64(words[1], &attempt->nr) ?:
	       option_u64(words, "size", 0, &attempt->size) ?:
	       option_u64(words, "seed", 1, &attempt->seed);
}

/* As many equal files as there may be allocations, under tokens from 1 on. */
static int fail_keep(char **words)
{
	struct attempt files = { };
	int err = parse_files(words, &files), fd;

	if (err)
		return err;

	for (uint64_t token = 1; token <= files.nr && !err; token++) {
		fd = seeded_make(words[0], files.size, files.seed);
		if (fd < 0)
			return fd;
		err = luo_preserve(files.fd, token, fd);
		close(fd);
	}

	return err ? problem(err, "preserve: %s", strerror(-err)) : 0;
}

static int call_retrieve(struct attempt *attempt)
{
	return luo_retrieve(attempt->fd, attempt->token);
}

/* What was retrieved stays so: the next attempt gets another file. */
static int next_file(struct attempt *attempt, int ret)
{
	int err = seeded_check(ret, attempt->size, attempt->seed);

	close(ret);
	if (!err && attempt->token++ == attempt->nr)
		err = problem(-ENOSPC, "%llu files were not enough",
			      (unsigned long long)attempt->nr);

	return err;
}

static int fail_claim(char **words)
{
	struct attempt attempt = {
		.what = "retrieve", .session = words[0], .token = 1,
		.call = call_retrieve, .undo = next_file,
	};

	return parse_files(words, &attempt) ?: attempt_sweep(&attempt);
}

const struct action fail_actions[] = {
	{ "fail-create", "SESSION", 1, fail_create },
	{ "fail-get", "SESSION", 1, fail_get },
	{ "fail-preserve", "SESSION NAME", 2, fail_preserve },
	{ "fail-keep", "SESSION FILES size= seed=", 2, fail_keep },
	{ "fail-claim", "SESSION FILES size= seed=", 2, fail_claim },
	{ }
};
