// SPDX-License-Identifier: GPL-2.0
/*
 * Steps with several threads at once.  Each thread has a session of its own;
 * the memory of their files is interleaved, and so are their keys in the memory
 * map.
 */

#include "handover.h"

#include <pthread.h>

#define MAX_THREADS	64
#define MAX_FILES	64

struct worker {
	pthread_t thread;
	const struct parallel *work;
	unsigned int number;
	const char *what;	/* the call that failed */
	int err;
};

static u64 file_seed(const struct worker *w, unsigned int file)
{
	return case_seed() * 10000 + w->number * 100 + file;
}

/* Different threads have files of different sizes at the same time. */
static u64 file_size(const struct worker *w, unsigned int file)
{
	return w->work->size / (1 + (w->number + file) % 5);
}

static int failed(struct worker *w, const char *what, int err)
{
	w->what = what;
	w->err = err;

	return err;
}

static int make_files(struct worker *w, int *fds)
{
	for (unsigned int i = 0; i < w->work->files; i++) {
		fds[i] = seeded_make("parallel", file_size(w, i),
				     file_seed(w, i));
		if (fds[i] < 0)
			return failed(w, "memfd", fds[i]);
	}

	return 0;
}

/*
 * The last round preserves all files; earlier rounds preserve some, and
 * unpreserve them.
 */
static int keep_round(struct worker *w, const int *fds, unsigned int round)
{
	bool last = round + 1 == w->work->rounds;
	u64 chosen = pattern_word(case_seed() + w->number, round);
	int session = luo_create(textf("parallel-%u", w->number)), err = 0;

	if (session < 0)
		return failed(w, "create", session);

	for (unsigned int i = 0; i < w->work->files && !err; i++) {
		if (last || chosen >> i & 1)
			err = luo_preserve(session, i, fds[i]);
	}
	/* The last session stays open. */
	if (!last)
		close(session);

	return err ? failed(w, "preserve", err) : 0;
}

static void *keep_thread(void *arg)
{
	struct worker *w = arg;
	int fds[MAX_FILES], err;

	err = make_files(w, fds);
	for (unsigned int round = 0; round < w->work->rounds && !err; round++)
		err = keep_round(w, fds, round);

	return NULL;
}

static int claim_file(struct worker *w, int session, unsigned int file)
{
	int fd = luo_retrieve(session, file), err;

	if (fd < 0)
		return failed(w, "retrieve", fd);
	err = seeded_check(fd, file_size(w, file), file_seed(w, file));
	close(fd);

	return err ? failed(w, "check", err) : 0;
}

static void *claim_thread(void *arg)
{
	struct worker *w = arg;
	int session = luo_get(textf("parallel-%u", w->number)), err = 0;

	if (session < 0) {
		failed(w, "get", session);
		return NULL;
	}

	for (unsigned int i = 0; i < w->work->files && !err; i++)
		err = claim_file(w, session, i);
	if (!err)
		err = luo_finish(session);
	if (err && !w->err)
		failed(w, "finish", err);
	close(session);

	return NULL;
}

static int run_threads(const struct parallel *work, void *(*run)(void *))
{
	struct worker workers[MAX_THREADS] = { };
	unsigned int started;
	int err = 0;

	if (work->threads > MAX_THREADS || work->files > MAX_FILES)
		return problem(-EINVAL, "too many threads or files");
	/* The first user opens the device, so do this before the threads start. */
	if (luo_device() < 0)
		return problem(-ENODEV, "no /dev/liveupdate");

	for (started = 0; started < work->threads && !err; started++) {
		struct worker *w = &workers[started];

		w->work = work;
		w->number = started;
		err = -pthread_create(&w->thread, NULL, run, w);
	}
	if (err)
		started--;
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);

	for (unsigned int i = 0; i < started; i++) {
		if (workers[i].err)
			return problem(workers[i].err, "thread %u: %s: %m", i,
				       workers[i].what);
	}

	return err ? problem(err, "pthread_create: %m") : 0;
}

DEFINE_STEP_AS(parallel_keep, (const struct parallel *work),
	       run_threads(work, keep_thread),
	       "parallel-keep %u files=%u rounds=%u seed=%llu", work->threads,
	       work->files, work->rounds, case_seed())
DEFINE_STEP_AS(parallel_claim, (const struct parallel *work),
	       run_threads(work, claim_thread), "parallel-claim %u files=%u seed=%llu",
	       work->threads, work->files, case_seed())
