// SPDX-License-Identifier: GPL-2.0
/*
 * Steps on memfds: create one, and check its properties.
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

#define CHUNK	(64UL << 10)

static int write_at(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t done = pwrite(fd, buf, len, offset);

	if (done < 0)
		return problem(-errno, "write at %lld: %m", (long long)offset);
	if ((size_t)done != len)
		return problem(-EIO, "short write at %lld", (long long)offset);

	return 0;
}

/*
 * How the bytes of a memfd are laid out: @piece bytes of data every @step
 * bytes, holes between them.  Without a seed it is one hole.
 */
struct content {
	u64 size;
	u64 seed;
	u64 step;
	u64 piece;
};

static struct content content_of(const struct memfd *file)
{
	return (struct content){
		.size = file->size,
		.seed = file->seed,
		.step = file->step ? file->step : CHUNK,
		.piece = file->step ? page_size : CHUNK,
	};
}

static size_t content_piece(const struct content *content, u64 offset)
{
	u64 left = content->size - offset;

	return left < content->piece ? left : content->piece;
}

static int content_write(int fd, const struct content *content)
{
	static __thread u8 buf[CHUNK];
	int err;

	for (u64 at = 0; at < content->size; at += content->step) {
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
	u8 *map;

	map = mmap(NULL, content->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	for (u64 at = 0; at < content->size; at += content->step)
		pattern_fill(map + at, content_piece(content, at),
			     content->seed, at);
	munmap(map, content->size);

	return 0;
}

static int bytes_check(int fd, const u8 *want, size_t len, u64 at)
{
	static __thread u8 seen[CHUNK];
	ssize_t done = pread(fd, seen, len, at);
	size_t i = 0;

	if (done != (ssize_t)len)
		return problem(-EIO, "read at %llu: %zd bytes instead of %zu",
			       at, done, len);
	if (!memcmp(seen, want, len))
		return 0;
	while (seen[i] == want[i])
		i++;

	return problem(-EIO, "byte %llu is %#x, expected %#x",
		       at + i, seen[i], want[i]);
}

static int content_check(int fd, const struct content *content)
{
	static __thread u8 want[CHUNK];
	u64 at = 0;

	while (at < content->size) {
		u64 in_step = at % content->step;
		u64 left = content->size - at;
		size_t len;
		int err;

		if (in_step < content->piece && content->seed) {
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

int seeded_make(const char *name, u64 size, u64 seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };
	int fd = memfd_create(name, MFD_CLOEXEC), err;

	if (fd < 0)
		return problem(-errno, "memfd_create: %m");
	err = content_write(fd, &content);
	if (err) {
		close(fd);
		return err;
	}

	return fd;
}

int seeded_write(int fd, u64 size, u64 seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };

	return content_write(fd, &content);
}

int seeded_check(int fd, u64 size, u64 seed)
{
	const struct content content = { size, seed, CHUNK, CHUNK };
	off_t end = lseek(fd, 0, SEEK_END);

	if ((u64)end != size)
		return problem(-EIO, "size is %lld, expected %llu",
			       (long long)end, size);

	return content_check(fd, &content);
}

static int seals_add(int fd, unsigned int seals)
{
	seals &= ~SEALED;
	if (seals && fcntl(fd, F_ADD_SEALS, seals))
		return problem(-errno, "add seals %#x: %m", seals);

	return 0;
}

static int memfd_fill(int fd, const struct memfd *file)
{
	const struct content content = content_of(file);
	int err = 0;

	if (ftruncate(fd, file->size))
		return problem(-errno, "truncate: %m");
	if (file->seed)
		err = file->map ? content_map(fd, &content) :
				  content_write(fd, &content);
	if (!err && file->pos && lseek(fd, file->pos - POS(0), SEEK_SET) < 0)
		err = problem(-errno, "seek: %m");

	return err ? err : seals_add(fd, file->seals);
}

/* Restricts further allocations of this process to a node; 0 allows all nodes. */
static int allocate_on(int node)
{
	unsigned long nodes = node ? 1ul << (node - NODE(0)) : 0;

	if (syscall(SYS_set_mempolicy, node ? MPOL_BIND : MPOL_DEFAULT,
		    node ? &nodes : NULL, node ? 8 * sizeof(nodes) : 0))
		return problem(-errno, "memory of a node: %m");

	return 0;
}

/* Fills the memfd, with memory of its node if it has one. */
static int memfd_place(int fd, const struct memfd *file)
{
	int err, err2;

	if (!file->node)
		return memfd_fill(fd, file);
	err = allocate_on(file->node);
	if (err)
		return err;
	err = memfd_fill(fd, file);
	err2 = allocate_on(0);

	return err ? err : err2;
}

/* Non-default properties of a file, for the description of a step. */
static const char *describe(const struct memfd *file)
{
	static char text[200];
	int len;

	len = snprintf(text, sizeof(text), "%s size=%llu seed=%llu", file->name,
		       file->size, file->seed);
	if (file->step)
		len += snprintf(text + len, sizeof(text) - len, " step=%llu",
				file->step);
	if (file->pos)
		len += snprintf(text + len, sizeof(text) - len, " pos=%llu",
				file->pos - POS(0));
	if (file->seals)
		len += snprintf(text + len, sizeof(text) - len, " seals=%#x",
				file->seals & ~SEALED);
	if (file->mode)
		snprintf(text + len, sizeof(text) - len, " mode=%04o", file->mode);

	return text;
}

DEFINE_STEP(memfd, (const struct memfd *file), (file), "memfd %s", describe(file))
{
	int fd, err;

	fd = memfd_create(file->name, file->flags | MFD_CLOEXEC);
	if (fd < 0)
		return problem(-errno, "memfd_create: %m");

	err = memfd_place(fd, file);
	if (err) {
		close(fd);
		return err;
	}

	return fd_add(file->name, fd);
}

/* Requests to the host are slow in an emulated guest, so use few large ones. */
static int copy_file(int from, int to)
{
	static u8 buf[8 * CHUNK];
	u64 at = 0;
	ssize_t len;
	int err;

	while ((len = read(from, buf, sizeof(buf))) > 0) {
		err = write_at(to, buf, len, at);
		if (err)
			return err;
		at += len;
	}

	return len ? problem(-errno, "read: %m") : 0;
}

/* A memfd with the bytes of a file of the guest. */
DEFINE_STEP(make_of_file, (const char *name, const char *path, unsigned int seals),
	    (name, path, seals), "file %s %s seals=%#x", name, path, seals)
{
	int from, fd, err;

	from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return problem(-errno, "%s: %m", path);
	fd = memfd_create(name, MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (fd < 0) {
		close(from);
		return problem(-errno, "memfd_create: %m");
	}

	err = copy_file(from, fd);
	close(from);
	if (!err)
		err = seals_add(fd, seals);
	if (err) {
		close(fd);
		return err;
	}

	return fd_add(name, fd);
}

static int check_properties(int fd, const struct memfd *file)
{
	off_t pos = lseek(fd, 0, SEEK_CUR);
	struct stat st;
	int seals;

	if (fstat(fd, &st))
		return problem(-errno, "stat: %m");
	if ((u64)st.st_size != file->size)
		return problem(-EIO, "size is %lld, expected %llu", (long long)st.st_size,
			       file->size);
	if (file->mode && (st.st_mode & 07777) != file->mode)
		return problem(-EIO, "mode is %04o, expected %04o",
			       st.st_mode & 07777, file->mode);
	if (file->pos && (u64)pos != file->pos - POS(0))
		return problem(-EIO, "position is %lld, expected %llu", (long long)pos,
			       file->pos - POS(0));
	seals = fcntl(fd, F_GET_SEALS);
	if (file->seals & SEALED && seals != (int)(file->seals & ~SEALED))
		return problem(-EIO, "seals are %#x, expected %#x", seals,
			       file->seals & ~SEALED);

	return 0;
}

DEFINE_STEP(check, (const struct memfd *file), (file), "check %s", describe(file))
{
	const struct content content = content_of(file);
	int fd = fd_find(file->name);

	if (fd < 0)
		return fd;

	return check_properties(fd, file) ?: content_check(fd, &content);
}

/* @failed: a system call has failed; @forbidden: a seal forbids it. */
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
	/* Check that the mapping can be written. */
	__atomic_fetch_or((u8 *)map, 0, __ATOMIC_RELAXED);
	munmap(map, page_size);

	return err;
}

static int try_write(int fd, bool forbidden)
{
	u8 byte;

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
		err = problem(-errno, "chmod back: %m");

	return err;
}

static int try_size(int fd, const struct stat *st, unsigned int seals)
{
	int err = 0;

	if (seals & F_SEAL_SHRINK && st->st_size)
		err = expect("shrink", true, ftruncate(fd, st->st_size - 1));
	/* Growing can only be tested if it can be undone. */
	if (!err && seals & F_SEAL_GROW)
		err = expect("grow", true, ftruncate(fd, st->st_size + page_size));
	else if (!err && !(seals & F_SEAL_SHRINK))
		err = expect("grow", false,
			     ftruncate(fd, st->st_size + page_size) ||
			     ftruncate(fd, st->st_size));

	return err;
}

/* Seals that a memfd has must be enforced, and others must not. */
DEFINE_STEP(enforce, (const char *name), (name), "enforce %s", name)
{
	int fd = fd_find(name);
	unsigned int seals;
	struct stat st;
	int err = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return problem(-errno, "stat: %m");
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

/* The digest is computed by an independent program. */
DEFINE_STEP(sha256, (const char *name), (name), "sha256 %s", name)
{
	int fd = fd_find(name);
	char command[64], line[128];
	bool got;
	FILE *pipe;

	if (fd < 0)
		return fd;
	snprintf(command, sizeof(command), "sha256sum /proc/%d/fd/%d",
		 getpid(), fd);
	pipe = popen(command, "re");
	if (!pipe)
		return problem(-errno, "sha256sum: %m");
	got = fgets(line, sizeof(line), pipe);
	if (pclose(pipe) || !got || strlen(line) < 64)
		return problem(-EIO, "sha256sum did not work");
	note("sha256 %s %.64s", name, line);

	return 0;
}

/* Make memfds, and preserve them under the tokens 1, 2, ... */
void step_keep(const char *session, const struct memfd *files, unsigned int nr)
{
	step_session_new(session);
	for (unsigned int i = 0; i < nr; i++) {
		step_memfd(&files[i]);
		step_preserve(session, i + 1, files[i].name);
	}
}

/* Retrieve the session and the memfds, and check each. */
void step_claim(const char *session, const struct memfd *files, unsigned int nr,
		bool end)
{
	step_session_get(session);
	for (unsigned int i = 0; i < nr; i++) {
		step_retrieve(session, i + 1, files[i].name);
		step_check(&files[i]);
	}
	if (end) {
		step_finish(session, false);
		step_close(session);
	}
}

void step_carry(unsigned int hop, const char *session, const struct memfd *files,
		unsigned int nr)
{
	if (hop)
		step_claim(session, files, nr, true);
	else
		step_keep(session, files, nr);
}

void step_look(const struct memfd *files, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		step_check(&files[i]);
}

void step_check_properties(const struct memfd *file)
{
	int fd;

	step("check %s", describe(file));
	fd = fd_find(file->name);
	step_end(fd < 0 ? fd : check_properties(fd, file));
}
