// SPDX-License-Identifier: GPL-2.0
/*
 * Actions on memfds: create one, and check its properties.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "handover.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x0008U
#define MFD_EXEC		0x0010U
#endif

#define CHUNK	(64UL << 10)

struct flag {
	const char *name;
	unsigned int value;
};

static const struct flag memfd_flags[] = {
	{ "sealing", MFD_ALLOW_SEALING },
	{ "exec", MFD_EXEC },
	{ "noexec", MFD_NOEXEC_SEAL },
	{ }
};

static const struct flag seal_flags[] = {
	{ "seal", F_SEAL_SEAL },
	{ "shrink", F_SEAL_SHRINK },
	{ "grow", F_SEAL_GROW },
	{ "write", F_SEAL_WRITE },
	{ "future-write", F_SEAL_FUTURE_WRITE },
	{ "exec", F_SEAL_EXEC },
	{ }
};

/* "shrink,grow" to bits; "none" is 0. */
static int parse_flags(const struct flag *known, const char *text,
		       unsigned int *value)
{
	*value = 0;
	if (!text || !*text || !strcmp(text, "none"))
		return 0;

	while (*text) {
		size_t len = strcspn(text, ",");
		const struct flag *flag = known;

		while (flag->name && (strlen(flag->name) != len ||
				      strncmp(flag->name, text, len)))
			flag++;
		if (!flag->name)
			return problem(-EINVAL, "unknown flag at '%s'", text);
		*value |= flag->value;
		text += len + (text[len] == ',');
	}

	return 0;
}

static int write_at(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t done = pwrite(fd, buf, len, offset);

	if (done < 0)
		return problem(-errno, "write at %lld: %s", (long long)offset,
			       strerror(errno));
	if ((size_t)done != len)
		return problem(-EIO, "short write at %lld", (long long)offset);

	return 0;
}

/*
 * How the bytes of a memfd are laid out: @piece bytes of data every @step
 * bytes, holes between them.  Without a seed it is one hole.
 */
struct content {
	uint64_t size;
	uint64_t seed;
	uint64_t step;
	uint64_t piece;
};

static int content_get(char **words, struct content *content)
{
	int err;

	err = option_u64(words, "size", 0, &content->size);
	if (!err)
		err = option_u64(words, "seed", 0, &content->seed);
	if (!err)
		err = option_u64(words, "step", 0, &content->step);
	content->piece = content->step ? page_size : CHUNK;
	if (!content->step)
		content->step = CHUNK;

	return err;
}

static size_t content_piece(const struct content *content, uint64_t offset)
{
	uint64_t left = content->size - offset;

	return left < content->piece ? left : content->piece;
}

static int content_write(int fd, const struct content *content)
{
	static __thread uint8_t buf[CHUNK];
	int err;

	for (uint64_t at = 0; at < content->size; at += content->step) {
		size_t len = content_piece(content, at);

		pattern_fill(buf, len, content->seed, at);
		err = write_at(fd, buf, len, at);
		if (err)
			return err;
	}

	return 0;
}

static int content_map(int fd, const struct content *content)
{
	uint8_t *map;

	map = mmap(NULL, content->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %s", strerror(errno));
	for (uint64_t at = 0; at < content->size; at += content->step)
		pattern_fill(map + at, content_piece(content, at),
			     content->seed, at);
	munmap(map, content->size);

	return 0;
}

static int bytes_check(int fd, const uint8_t *want, size_t len, uint64_t at)
{
	static __thread uint8_t seen[CHUNK];
	ssize_t done = pread(fd, seen, len, at);
	size_t i = 0;

	if (done != (ssize_t)len)
		return problem(-EIO, "read at %llu: %zd bytes instead of %zu",
			       (unsigned long long)at, done, len);
	if (!memcmp(seen, want, len))
		return 0;
	while (seen[i] == want[i])
		i++;

	return problem(-EIO, "byte %llu is %#x, expected %#x",
		       (unsigned long long)at + i, seen[i], want[i]);
}

static int content_check(int fd, const struct content *content)
{
	static __thread uint8_t want[CHUNK];
	uint64_t at = 0;

	while (at < content->size) {
		uint64_t in_step = at % content->step;
		uint64_t left = content->size - at;
		size_t len;
		int err;

		if (in_step < content->piece) {
			len = content_piece(content, at);
			pattern_fill(want, len, content->seed, at);
		} else {
			len = content->step - in_step;
			if (len > CHUNK)
				len = CHUNK;
			if (len > left)
				len = left;
			memset(want, 0, len);
		}
		err = bytes_check(fd, want, len, at);
		if (err)
			return err;
		at += len;
	}

	return 0;
}

int seeded_make(const char *name, uint64_t size, uint64_t seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };
	int fd = memfd_create(name, MFD_CLOEXEC), err;

	if (fd < 0)
		return problem(-errno, "memfd_create: %s", strerror(errno));
	err = content_write(fd, &content);
	if (err) {
		close(fd);
		return err;
	}

	return fd;
}

int seeded_write(int fd, uint64_t size, uint64_t seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };

	return content_write(fd, &content);
}

int seeded_check(int fd, uint64_t size, uint64_t seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };
	off_t end = lseek(fd, 0, SEEK_END);

	if ((uint64_t)end != size)
		return problem(-EIO, "size is %lld, expected %llu",
			       (long long)end, (unsigned long long)size);

	return content_check(fd, &content);
}

static int seals_add(int fd, const char *text)
{
	unsigned int seals;
	int err;

	err = parse_flags(seal_flags, text, &seals);
	if (err || !seals)
		return err;
	if (fcntl(fd, F_ADD_SEALS, seals))
		return problem(-errno, "add seals %s: %s", text,
			       strerror(errno));

	return 0;
}

static int memfd_fill(int fd, char **words)
{
	struct content content;
	uint64_t pos;
	int err;

	err = content_get(words, &content);
	if (err)
		return err;
	if (ftruncate(fd, content.size))
		return problem(-errno, "truncate: %s", strerror(errno));
	if (option(words, "seed"))
		err = option(words, "map") ? content_map(fd, &content) :
					     content_write(fd, &content);
	if (err)
		return err;

	err = option_u64(words, "pos", 0, &pos);
	if (!err && lseek(fd, pos, SEEK_SET) < 0)
		err = problem(-errno, "seek: %s", strerror(errno));

	return err ? err : seals_add(fd, option(words, "seals"));
}

/* What this process allocates from now on is on the node; on any one, if NULL. */
static int allocate_on(const char *text)
{
	unsigned long nodes = 0;
	uint64_t node;
	int err;

	if (text) {
		err = parse_u64(text, &node);
		if (err)
			return err;
		nodes = 1ul << node;
	}
	if (syscall(SYS_set_mempolicy, text ? MPOL_BIND : MPOL_DEFAULT,
		    text ? &nodes : NULL, text ? 8 * sizeof(nodes) : 0))
		return problem(-errno, "memory of node %s: %s",
			       text ? text : "any", strerror(errno));

	return 0;
}

/* Filled on one node, if asked for. */
static int memfd_place(int fd, char **words)
{
	const char *node = option(words, "node");
	int err, err2;

	if (!node)
		return memfd_fill(fd, words);
	err = allocate_on(node);
	if (err)
		return err;
	err = memfd_fill(fd, words);
	err2 = allocate_on(NULL);

	return err ? err : err2;
}

static int memfd_new(char **words)
{
	unsigned int flags;
	int fd, err;

	err = parse_flags(memfd_flags, option(words + 1, "flags"), &flags);
	if (err)
		return err;
	fd = memfd_create(words[0], flags | MFD_CLOEXEC);
	if (fd < 0)
		return problem(-errno, "memfd_create: %s", strerror(errno));

	err = memfd_place(fd, words + 1);
	if (err) {
		close(fd);
		return err;
	}

	return fd_add(words[0], fd);
}

/* A request to the host is slow in an emulated guest: few and large ones. */
static int copy_file(int from, int to)
{
	static uint8_t buf[8 * CHUNK];
	uint64_t at = 0;
	ssize_t len;
	int err;

	while ((len = read(from, buf, sizeof(buf))) > 0) {
		err = write_at(to, buf, len, at);
		if (err)
			return err;
		at += len;
	}

	return len ? problem(-errno, "read: %s", strerror(errno)) : 0;
}

/* A memfd with the bytes of a file of the guest, sealed as asked. */
static int memfd_file(char **words)
{
	int from, fd, err;

	from = open(words[1], O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return problem(-errno, "%s: %s", words[1], strerror(errno));
	fd = memfd_create(words[0], MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (fd < 0) {
		close(from);
		return problem(-errno, "memfd_create: %s", strerror(errno));
	}

	err = copy_file(from, fd);
	close(from);
	if (!err)
		err = seals_add(fd, option(words + 2, "seals"));
	if (err) {
		close(fd);
		return err;
	}

	return fd_add(words[0], fd);
}

static int check_stat(int fd, char **words)
{
	struct stat st;
	uint64_t want;
	int err;

	if (fstat(fd, &st))
		return problem(-errno, "stat: %s", strerror(errno));

	err = option_u64(words, "size", st.st_size, &want);
	if (err)
		return err;
	if ((uint64_t)st.st_size != want)
		return problem(-EIO, "size is %llu, expected %llu",
			       (unsigned long long)st.st_size,
			       (unsigned long long)want);

	err = option_u64(words, "mode", st.st_mode & 07777, &want);
	if (err)
		return err;
	if ((st.st_mode & 07777) != want)
		return problem(-EIO, "mode is %04o, expected %04o",
			       st.st_mode & 07777, (unsigned int)want);

	return 0;
}

static int check_seals(int fd, const char *text)
{
	unsigned int want;
	int seals, err;

	if (!text)
		return 0;
	err = parse_flags(seal_flags, text, &want);
	if (err)
		return err;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals != (int)want)
		return problem(-EIO, "seals are %#x, expected %#x", seals,
			       want);

	return 0;
}

static int check_position(int fd, char **words)
{
	uint64_t want;
	off_t pos = lseek(fd, 0, SEEK_CUR);
	int err = option_u64(words, "pos", pos, &want);

	if (!err && (uint64_t)pos != want)
		err = problem(-EIO, "position is %lld, expected %llu",
			      (long long)pos, (unsigned long long)want);

	return err;
}

static int memfd_check(char **words)
{
	struct content content;
	int fd = fd_find(words[0]);
	int err;

	if (fd < 0)
		return fd;
	err = check_stat(fd, words + 1);
	if (!err)
		err = check_position(fd, words + 1);
	if (!err)
		err = check_seals(fd, option(words + 1, "seals"));
	if (!err)
		err = content_get(words + 1, &content);
	if (!err && option(words + 1, "seed"))
		err = content_check(fd, &content);

	return err;
}

/* @failed: what a system call said about a thing that a seal forbids or not. */
static int expect(const char *what, bool forbidden, bool failed)
{
	if (forbidden && failed && errno == EPERM)
		return 0;
	if (!forbidden && !failed)
		return 0;

	return problem(-EIO, "%s %s, but the seals %s it", what,
		       failed ? strerror(errno) : "worked",
		       forbidden ? "forbid" : "allow");
}

static int try_map(int fd, bool forbidden)
{
	void *map = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	int err = expect("writable mapping", forbidden, map == MAP_FAILED);

	if (map == MAP_FAILED)
		return err;
	/* A mapping that cannot be written would be a trap for its owner. */
	__atomic_fetch_or((uint8_t *)map, 0, __ATOMIC_RELAXED);
	munmap(map, page_size);

	return err;
}

static int try_write(int fd, bool forbidden)
{
	uint8_t byte;

	if (pread(fd, &byte, 1, 0) != 1)
		return problem(-EIO, "first byte cannot be read");

	return expect("write", forbidden, pwrite(fd, &byte, 1, 0) != 1);
}

static int try_chmod(int fd, const struct stat *st, bool forbidden)
{
	mode_t mode = st->st_mode & 07777;
	int err;

	err = expect("chmod", forbidden, fchmod(fd, mode ^ 0111));
	if (!err && !forbidden && fchmod(fd, mode))
		err = problem(-errno, "chmod back: %s", strerror(errno));

	return err;
}

static int try_size(int fd, const struct stat *st, unsigned int seals)
{
	int err = 0;

	if (seals & F_SEAL_SHRINK && st->st_size)
		err = expect("shrink", true, ftruncate(fd, st->st_size - 1));
	/* Growing can only be tried where it can be taken back. */
	if (!err && seals & F_SEAL_GROW)
		err = expect("grow", true, ftruncate(fd, st->st_size + page_size));
	else if (!err && !(seals & F_SEAL_SHRINK))
		err = expect("grow", false,
			     ftruncate(fd, st->st_size + page_size) ||
			     ftruncate(fd, st->st_size));

	return err;
}

/* Each seal that a memfd has must hold, and each that it has not must not. */
static int memfd_enforce(char **words)
{
	int fd = fd_find(words[0]);
	unsigned int seals;
	struct stat st;
	int err = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return problem(-errno, "stat: %s", strerror(errno));
	seals = fcntl(fd, F_GET_SEALS);

	if (st.st_size)
		err = try_write(fd, seals & (F_SEAL_WRITE |
					     F_SEAL_FUTURE_WRITE));
	if (!err && st.st_size)
		err = try_map(fd, seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
	if (!err)
		err = try_size(fd, &st, seals);
	if (!err)
		err = try_chmod(fd, &st, seals & F_SEAL_EXEC);
	if (!err)
		err = expect("new seal", seals & F_SEAL_SEAL,
			     fcntl(fd, F_ADD_SEALS, 0));

	return err;
}

/* The digest comes from a program that knows nothing of this one. */
static int memfd_sha256(char **words)
{
	int fd = fd_find(words[0]);
	char command[64], line[128];
	bool got;
	FILE *pipe;

	if (fd < 0)
		return fd;
	snprintf(command, sizeof(command), "sha256sum /proc/%d/fd/%d",
		 getpid(), fd);
	pipe = popen(command, "re");
	if (!pipe)
		return problem(-errno, "sha256sum: %s", strerror(errno));
	got = fgets(line, sizeof(line), pipe);
	if (pclose(pipe) || !got || strlen(line) < 64)
		return problem(-EIO, "sha256sum did not work");
	note("sha256 %s %.64s", words[0], line);

	return 0;
}

const struct action memfd_actions[] = {
	{ "memfd", "NAME [size= seed= step= flags= seals= pos= node= map]", 1,
	  memfd_new },
	{ "file", "NAME PATH [seals=]", 2, memfd_file },
	{ "check", "NAME [size= seed= step= pos= seals= mode=]", 1,
	  memfd_check },
	{ "enforce", "NAME", 1, memfd_enforce },
	{ "sha256", "NAME", 1, memfd_sha256 },
	{ }
};
