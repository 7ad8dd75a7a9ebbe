// SPDX-License-Identifier: GPL-2.0
/*
 * Steps on the placement of pages: pages that cannot be migrated, all over
 * memory, and memfds of single pages at boundaries.
 */

#include "handover.h"

#include <linux/kexec.h>
#include <sched.h>
#include <sys/syscall.h>

#define PIPE_SIZE	(1UL << 20)
#define PIPES_MAX	4096

static int pipes[PIPES_MAX][2];
static unsigned int nr_pipes;

static int pipe_fill(int ends[2])
{
	static const char page[PAGE_MAX];

	if (pipe2(ends, O_CLOEXEC))
		return problem(-errno, "pipe: %m");
	if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		return problem(-errno, "size of a pipe: %m");
	for (size_t at = 0; at < PIPE_SIZE; at += page_size) {
		if (write(ends[1], page, page_size) != (ssize_t)page_size)
			return problem(-errno, "write to a pipe: %m");
	}

	return 0;
}

/*
 * Frees all pages of a pipe except one.  The pages of a pipe are adjacent, and
 * cannot be migrated.
 */
static int pipe_drain(int ends[2])
{
	static char page[PAGE_MAX];

	for (size_t at = page_size; at < PIPE_SIZE; at += page_size) {
		if (read(ends[0], page, page_size) != (ssize_t)page_size)
			return problem(-errno, "read from a pipe: %m");
	}

	return 0;
}

/*
 * Fill memory with pages that cannot be migrated, and free all but one page of
 * each MiB: much memory is free, but not contiguous.
 */
DEFINE_STEP(memory_fragment, (u64 left), (left), "memory-fragment left=%llu", left)
{
	int err = 0;

	while (!err && nr_pipes < PIPES_MAX &&
	       memory_info("MemAvailable") > left + PIPE_SIZE)
		err = pipe_fill(pipes[nr_pipes++]);
	for (unsigned int i = 0; !err && i < nr_pipes; i++)
		err = pipe_drain(pipes[i]);
	note("%u MiB fragmented", nr_pipes);

	return err;
}

/*
 * KASAN's shadow of a vmalloc area is freed when areas are purged, which is after
 * 64 MiB with two CPUs.  Make the kernel read that much: the file is not an image.
 */
static int vmalloc_purge(void)
{
	int fd = memfd_create("none", MFD_CLOEXEC), err = 0;
	unsigned long flags = KEXEC_FILE_NO_INITRAMFS;

	if (fd < 0 || ftruncate(fd, 80UL << 20))
		return problem(-errno, "memfd: %m");
	if (!syscall(SYS_kexec_file_load, fd, -1, 1UL, "", flags) || errno != ENOEXEC)
		err = problem(-errno, "kexec_file_load: %m");
	close(fd);

	return err;
}

DEFINE_STEP(memory_mend, (void), (), "memory-mend")
{
	while (nr_pipes) {
		nr_pipes--;
		close(pipes[nr_pipes][0]);
		close(pipes[nr_pipes][1]);
	}

	return vmalloc_purge();
}

/*
 * Free page @index of @big, whose page frame is @frame, and preserve a new file
 * with that page frame: the page that was freed last is allocated first.
 * Returns 1 if the file has another page.
 */
static int page_claim(int big, u64 index, u64 frame, int session, u64 token)
{
	int fd = memfd_create("border", MFD_CLOEXEC), err = 0;
	u64 pa = 0;
	void *map;

	if (fd < 0 || ftruncate(fd, page_size))
		return problem(-errno, "memfd: %m");
	map = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	if (fallocate(big, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      index * page_size, page_size))
		err = problem(-errno, "punch hole: %m");
	pattern_fill(map, page_size, token, 0);
	if (!err)
		err = page_address(map, &pa);
	munmap(map, page_size);
	if (!err && pa / page_size == frame) {
		err = luo_preserve(session, token, fd);
		if (err)
			problem(err, "preserve: %m");
	} else if (!err) {
		err = 1;
	}
	close(fd);

	return err;
}

/* Pages to preserve in @session, with tokens from @token on. */
struct borders {
	const char *session;
	u64 step, count, token;
};

/*
 * Search the mapped file @big for page frames that are multiples of the step.
 */
static int borders_claim(int big, const void *map, u64 nr, const struct borders *want)
{
	u64 done = 0, *frames = calloc(nr, sizeof(*frames));
	int session = fd_find(want->session), err = frames ? 0 : -ENOMEM;

	if (session < 0)
		err = session;
	if (!err)
		err = page_frames(map, nr, frames);
	for (u64 i = 0; err >= 0 && i < nr && done < want->count; i++) {
		if (frames[i] % want->step)
			continue;
		err = page_claim(big, i, frames[i], session, want->token + done);
		done += !err;
	}
	free(frames);
	if (err < 0)
		return err;

	return done == want->count ? 0 : problem(-ENOENT, "%llu pages at borders",
					   done);
}

/*
 * Preserve memfds of one page each, which is at the start of a block of
 * @every pages.  Memory next to it is not preserved.
 */
DEFINE_STEP(borders, (const char *session, u64 every, u64 count, u64 token),
	    (session, every, count, token), "borders %s step=%llu count=%llu token=%llu",
	    session, every, count, token)
{
	const struct borders want = { session, every, count, token };
	u64 size = memory_info("MemAvailable") / 100 * 85 / page_size * page_size;
	int big = memfd_create("big", MFD_CLOEXEC), err;
	cpu_set_t one;
	void *map;

	/* Stay on one CPU: freed pages are in its cache for a while. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);

	if (big < 0 || ftruncate(big, size))
		return problem(-errno, "memfd: %m");
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		   big, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	err = borders_claim(big, map, size / page_size, &want);
	munmap(map, size);
	close(big);

	return err;
}
