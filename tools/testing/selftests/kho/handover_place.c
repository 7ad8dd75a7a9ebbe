// SPDX-License-Identifier: GPL-2.0
/*
 * Actions on where memory is: pages that cannot be moved all over it, and a
 * memfd whose only pages are at borders.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handover.h"

#define PIPE_SIZE	(1UL << 20)
#define PIPES_MAX	4096

static int pipes[PIPES_MAX][2];
static unsigned int nr_pipes;

static int pipe_fill(int ends[2])
{
	static const char page[PAGE_MAX];

	if (pipe2(ends, O_CLOEXEC))
		return problem(-errno, "pipe: %s", strerror(errno));
	if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		return problem(-errno, "size of a pipe: %s", strerror(errno));
	for (size_t at = 0; at < PIPE_SIZE; at += page_size) {
		if (write(ends[1], page, page_size) != (ssize_t)page_size)
			return problem(-errno, "write to a pipe: %s",
				       strerror(errno));
	}

	return 0;
}

/* The pages of a pipe are neighbours, and cannot be moved. */
static int pipe_drain(int ends[2])
{
	static char page[PAGE_MAX];

	for (size_t at = page_size; at < PIPE_SIZE; at += page_size) {
		if (read(ends[0], page, page_size) != (ssize_t)page_size)
			return problem(-errno, "read from a pipe: %s",
				       strerror(errno));
	}

	return 0;
}

/*
 * Fill memory with pages that cannot be moved, and free all but one page of
 * each MiB: much memory is free, and none of it contiguous.
 */
static int memory_fragment(char **words)
{
	uint64_t percent, want;
	int err = parse_u64(words[0], &percent);

	want = memory_info("MemAvailable") / 100 * percent / PIPE_SIZE;
	if (want > PIPES_MAX)
		want = PIPES_MAX;
	while (!err && nr_pipes < want)
		err = pipe_fill(pipes[nr_pipes++]);
	for (unsigned int i = 0; !err && i < nr_pipes; i++)
		err = pipe_drain(pipes[i]);
	note("%u MiB fragmented", nr_pipes);

	return err;
}

static int memory_mend(char **words)
{
	(void)words;
	while (nr_pipes) {
		nr_pipes--;
		close(pipes[nr_pipes][0]);
		close(pipes[nr_pipes][1]);
	}

	return 0;
}

/* Page frames of a mapping, which is populated. */
static int frames_of(const void *map, uint64_t nr, uint64_t *frames)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t len = nr * sizeof(*frames);
	ssize_t done;

	done = pread(fd, frames, len, (uintptr_t)map / page_size * sizeof(*frames));
	close(fd);

	return done == (ssize_t)len ? 0 : problem(-EIO, "pagemap: short read");
}

/* Page @nr of the file holds its own number, plus one: a hole reads as zero. */
static int borders_punch(int fd, uint64_t *map, uint64_t nr, uint64_t step)
{
	uint64_t words = page_size / sizeof(*map), *frames, found = 0;
	int err;

	frames = calloc(nr, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++)
		map[i * words] = i + 1;
	err = frames_of(map, nr, frames);
	for (uint64_t i = 1; !err && i < nr; i++) {
		if ((frames[i] & PAGEMAP_PFN) % step == 0)
			map[1 + found++] = i;
		else if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   i * page_size, page_size))
			err = problem(-errno, "punch hole: %s", strerror(errno));
		if (found + 1 == words)
			break;
	}
	free(frames);
	note("%llu pages at multiples of %llu", (unsigned long long)found,
	     (unsigned long long)step);

	return err ? err : found ? 0 : problem(-ENOENT, "no page at a border");
}

/*
 * A memfd of SIZE, whose pages are given back but for those that begin a block
 * of STEP pages.  Its first page lists them.
 */
static int borders_new(char **words)
{
	uint64_t size, step, *map;
	int fd, err;

	err = option_u64(words + 1, "size", 0, &size);
	if (!err)
		err = option_u64(words + 1, "step", 512, &step);
	if (err)
		return err;

	fd = memfd_create(words[0], MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, size))
		return problem(-errno, "memfd: %s", strerror(errno));
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %s", strerror(errno));
	err = borders_punch(fd, map, size / page_size, step);
	munmap(map, size);

	return err ? err : fd_add(words[0], fd);
}

static int borders_check(char **words)
{
	uint64_t words_in_page = page_size / sizeof(uint64_t), found, *map;
	int fd = fd_find(words[0]), err = 0;
	off_t size;

	if (fd < 0)
		return fd;
	size = lseek(fd, 0, SEEK_END);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %s", strerror(errno));
	for (found = 0; !err && found + 1 < words_in_page; found++) {
		uint64_t nr = map[1 + found];

		if (!nr)
			break;
		if (map[nr * words_in_page] != nr + 1)
			err = problem(-EIO, "page %llu has changed",
				      (unsigned long long)nr);
	}
	munmap(map, size);

	return err ? err : found ? 0 : problem(-EIO, "no page is listed");
}

const struct action place_actions[] = {
	{ "memory-fragment", "PERCENT", 1, memory_fragment },
	{ "memory-mend", "", 0, memory_mend },
	{ "borders", "NAME size= [step=]", 1, borders_new },
	{ "borders-check", "NAME", 1, borders_check },
	{ }
};
