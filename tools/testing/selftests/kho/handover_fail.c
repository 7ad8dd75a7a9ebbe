// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that repeat a call to the Live Update Orchestrator, with another of its
 * allocations failing each time.  The call may fail with ENOMEM, or succeed
 * without the allocation.  After a failure, it must work when it is repeated.
 */

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

static int faults_prepare(void)
{
	int err = 0;

	if (fail_nth >= 0)
		return 0;
	if (access(FAULTS_DIR "failslab", F_OK))
		return problem(-errno, "no fault injection: %m");
	for (unsigned int i = 0; i < ARRAY_SIZE(settings) && !err; i++)
		err = file_write(settings[i].file, settings[i].value);
	if (err)
		return err;
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	return fail_nth < 0 ? problem(-errno, "fail-nth: %m") : 0;
}

/* The @n-th allocation of this thread from now on will fail; none if 0. */
static void faults_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fail_nth, text, len, 0) != len)
		abort();
}

/* Returns true if that allocation was reached, and failed. */
static bool faults_disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		abort();
	faults_arm(0);

	return !atoi(text);
}

/* A call to repeat with each of its allocations failing. */
struct attempt {
	const char *what;
	const char *session;
	int fd;			/* of the session, or of the file if none is open */
	int file;
	u64 token;
	u64 nr, size, seed;	/* of the files of step_fail_keep() */
	int (*call)(struct attempt *attempt);
	/* Checks the result of a successful call, and undoes it. */
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
		return problem(ret, "%s, allocation %u: %m", attempt->what, n);
	if (ret < 0)
		ret = attempt->call(attempt);
	if (ret < 0)
		return problem(ret, "%s after allocation %u failed: %m",
			       attempt->what, n);

	return attempt->undo(attempt, ret) ?: !failed;
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

/* For calls that return a new descriptor of a session. */
static int fail_session(const char *what, const char *session,
			int (*call)(struct attempt *attempt))
{
	struct attempt attempt = {
		.what = what, .session = session,
		.call = call, .undo = close_result,
	};

	return luo_device() < 0 ? -ENODEV : attempt_sweep(&attempt);
}

DEFINE_STEP_AS(fail_create, (const char *session),
	       fail_session("create session", session, call_create), "fail-create %s",
	       session)
DEFINE_STEP_AS(fail_get, (const char *session),
	       fail_session("retrieve session", session, call_get), "fail-get %s",
	       session)

static int call_preserve(struct attempt *attempt)
{
	return luo_preserve(attempt->fd, attempt->token, attempt->file);
}

/* A file can only be unpreserved by closing its session. */
static int undo_preserve(struct attempt *attempt, int ret)
{
	close(attempt->fd);
	attempt->fd = luo_create(attempt->session);

	return attempt->fd < 0 ? attempt->fd : 0;
}

DEFINE_STEP(fail_preserve, (const char *session, const char *name), (session, name),
	    "fail-preserve %s %s", session, name)
{
	struct attempt attempt = {
		.what = "preserve", .session = session, .token = 1, .file = fd_find(name),
		.call = call_preserve, .undo = undo_preserve,
	};
	int err;

	if (attempt.file < 0)
		return attempt.file;
	attempt.fd = luo_create(session);
	if (attempt.fd < 0)
		return problem(attempt.fd, "create: %m");
	err = attempt_sweep(&attempt);
	if (attempt.fd >= 0)
		close(attempt.fd);

	return err;
}

/*
 * Preserves @nr equal files, under tokens from 1 on: step_fail_claim() needs
 * one for each allocation.
 */
DEFINE_STEP(fail_keep, (const char *name, u64 nr, u64 size, u64 seed),
	    (name, nr, size, seed), "fail-keep %s %llu size=%llu", name, nr, size)
{
	int session = fd_find(name), fd, err = 0;

	if (session < 0)
		return session;
	for (u64 token = 1; token <= nr && !err; token++) {
		fd = seeded_make(name, size, seed);
		if (fd < 0)
			return fd;
		err = luo_preserve(session, token, fd);
		close(fd);
	}

	return err ? problem(err, "preserve: %m") : 0;
}

static int call_retrieve(struct attempt *attempt)
{
	return luo_retrieve(attempt->fd, attempt->token);
}

/* A retrieved file stays retrieved, so the next attempt uses another file. */
static int next_file(struct attempt *attempt, int ret)
{
	int err = seeded_check(ret, attempt->size, attempt->seed);

	close(ret);
	if (!err && attempt->token++ == attempt->nr)
		err = problem(-ENOSPC, "%llu files were not enough", attempt->nr);

	return err;
}

DEFINE_STEP(fail_claim, (const char *session, u64 nr, u64 size, u64 seed),
	    (session, nr, size, seed), "fail-claim %s %llu size=%llu", session, nr,
	    size)
{
	struct attempt attempt = {
		.what = "retrieve", .session = session, .token = 1,
		.fd = fd_find(session), .nr = nr, .size = size, .seed = seed,
		.call = call_retrieve, .undo = next_file,
	};

	return attempt.fd < 0 ? attempt.fd : attempt_sweep(&attempt);
}
