// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that preserve memfds whose pages are collapsed or swapped out at the
 * same time.
 */

#include "handover.h"

#include <pthread.h>
#include <sys/stat.h>

#define HUGE		(2UL << 20)
#define PROT_TAGS	0x20	/* PROT_MTE of arm64 */

/* A thread that repeats a call of madvise() until it is stopped. */
struct adviser {
	pthread_t thread;
	u8 *map;
	size_t size;
	int advice;
	bool stop;
	unsigned int worked;
};

static void *advise(void *arg)
{
	struct adviser *a = arg;

	while (!__atomic_load_n(&a->stop, __ATOMIC_RELAXED))
		a->worked += !madvise(a->map, a->size, a->advice);

	return NULL;
}

/*
 * Maps the file at a multiple of the huge page size, so that it can be mapped
 * by huge pages.
 */
static int adviser_start(struct adviser *a, int fd, size_t size, int advice)
{
	u8 *space = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	uintptr_t at = ((uintptr_t)space + HUGE - 1) & -HUGE;

	*a = (struct adviser){ .size = size, .advice = advice };
	if (space == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	a->map = mmap((void *)at, size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, fd, 0);
	if (a->map == MAP_FAILED)
		return problem(-errno, "mmap: %m");

	return -pthread_create(&a->thread, NULL, advise, a);
}

static unsigned int adviser_stop(struct adviser *a)
{
	__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
	pthread_join(a->thread, NULL);
	munmap(a->map, a->size);

	return a->worked;
}

/* Data that is written after the file was preserved must survive. */
static int storm_file(int session, u64 token, int advice, u64 *worked)
{
	int fd = seeded_make("storm", HUGE, token), err;
	struct adviser a;

	if (fd < 0)
		return fd;
	err = adviser_start(&a, fd, HUGE, advice);
	if (err)
		return err;
	/* Preserve the file at different times during the calls of madvise(). */
	usleep(token * 37 % 1500);
	err = luo_preserve(session, token, fd);
	*worked += adviser_stop(&a);
	if (err)
		return problem(err, "preserve %llu: %m", token);
	err = seeded_write(fd, HUGE, 1000 + token);
	close(fd);

	return err;
}

DEFINE_STEP(storm, (const char *name, u64 count, int advice), (name, count, advice),
	    "storm %s %llu %s", name, count,
	    advice == MADV_COLLAPSE ? "collapse" : "pageout")
{
	int session = fd_find(name), err = 0;
	u64 worked = 0;

	if (session < 0)
		return session;
	for (u64 token = 1; token <= count && !err; token++)
		err = storm_file(session, token, advice, &worked);
	note("the advice was taken %llu times", worked);

	return err || worked ? err : problem(-EIO, "the advice was never taken");
}

DEFINE_STEP(storm_check, (const char *name, u64 count), (name, count),
	    "storm-check %s %llu", name, count)
{
	int session = fd_find(name), err = 0;

	if (session < 0)
		return session;
	for (u64 token = 1; token <= count && !err; token++)
		err = seeded_retrieve(session, token, HUGE, 1000 + token);

	return err;
}

/* Swaps out a memfd.  This is not possible any more after it is preserved. */
DEFINE_STEP(pageout, (const char *name), (name), "pageout %s", name)
{
	int fd = fd_find(name), err = 0;
	u64 before = memory_info("SwapFree"), after;
	struct stat st;
	void *map;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return problem(-errno, "fstat: %m");
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	if (madvise(map, st.st_size, MADV_PAGEOUT))
		err = problem(-errno, "madvise: %m");
	munmap(map, st.st_size);
	after = memory_info("SwapFree");
	note("%llu KiB were swapped out", (before - after) >> 10);
	if (!err && before < after + st.st_size / 2)
		err = problem(-EIO, "it stays in memory");

	return err;
}

/* Checks that the file has as many blocks as a new file of its size. */
DEFINE_STEP(blocks, (const char *name), (name), "blocks %s", name)
{
	int fd = fd_find(name), other, err = 0;
	struct stat st, made;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return problem(-errno, "fstat: %m");
	other = seeded_make("blocks", st.st_size, 1);
	if (other < 0)
		return other;
	if (fstat(other, &made))
		err = problem(-errno, "fstat: %m");
	else if (st.st_blocks != made.st_blocks)
		err = problem(-EIO, "%lld blocks instead of %lld",
			      (long long)st.st_blocks, (long long)made.st_blocks);
	close(other);

	return err;
}

/* Sets memory tags in the first page of a memfd. */
DEFINE_STEP(tag, (const char *name), (name), "tag %s", name)
{
	int fd = fd_find(name);
	volatile u8 *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, page_size, PROT_READ | PROT_WRITE | PROT_TAGS,
		   MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	*map = *map;

	return 0;
}
