// SPDX-License-Identifier: GPL-2.0
/*
 * Steps on memfds: create one, and check its properties.
 */

#include "handover.h"

#include <linux/mempolicy.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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
 * How the bytes of a memfd are laid out: a piece of data at the start of each
 * step, holes between them.  Without a seed it is one hole.
 */
static u64 step_size(const struct memfd *file)
{
	return file->step ? file->step : CHUNK;
}

static u64 piece_size(const struct memfd *file)
{
	return file->step ? page_size : CHUNK;
}

static int content_write(int fd, const struct memfd *file)
{
	static __thread u8 buf[CHUNK];
	int err = 0;

	for (u64 at = 0; at < file->size && !err; at += step_size(file)) {
		size_t len = min(file->size - at, piece_size(file));

		pattern_fill(buf, len, file->seed, at);
		err = write_at(fd, buf, len, at);
	}

	return err;
}

static int content_map(int fd, const struct memfd *file)
{
	u8 *map = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	for (u64 at = 0; at < file->size; at += step_size(file))
		pattern_fill(map + at, min(file->size - at, piece_size(file)),
			     file->seed, at);
	munmap(map, file->size);

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

static int content_check(int fd, const struct memfd *file)
{
	static __thread u8 want[CHUNK];
	size_t len;
	int err = 0;

	for (u64 at = 0; at < file->size && !err; at += len) {
		u64 in_step = at % step_size(file), left = file->size - at;

		if (in_step < piece_size(file) && file->seed) {
			len = min(left, piece_size(file));
			pattern_fill(want, len, file->seed, at);
		} else {
			len = min(left, min(step_size(file) - in_step, CHUNK));
			memset(want, 0, len);
		}
		err = bytes_check(fd, want, len, at);
	}

	return err;
}

int seeded_make(const char *name, u64 size, u64 seed)
{
	int fd = memfd_create(name, MFD_CLOEXEC), err;

	if (fd < 0)
		return problem(-errno, "memfd_create: %m");
	err = seeded_write(fd, size, seed);
	if (err)
		close(fd);

	return err ?: fd;
}

int seeded_write(int fd, u64 size, u64 seed)
{
	return content_write(fd, &(struct memfd){ NULL, size, seed });
}

int seeded_check(int fd, u64 size, u64 seed)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if ((u64)end != size)
		return problem(-EIO, "size is %lld, expected %llu", (long long)end, size);

	return content_check(fd, &(struct memfd){ NULL, size, seed });
}

int seeded_retrieve(int session, u64 token, u64 size, u64 seed)
{
	int fd = luo_retrieve(session, token), err;

	if (fd < 0)
		return problem(fd, "retrieve %llu: %m", token);
	err = seeded_check(fd, size, seed);
	close(fd);

	return err;
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
	int err = 0;

	if (ftruncate(fd, file->size))
		return problem(-errno, "truncate: %m");
	if (file->seed)
		err = file->map ? content_map(fd, file) : content_write(fd, file);
	if (!err && file->pos && lseek(fd, file->pos - POS(0), SEEK_SET) < 0)
		err = problem(-errno, "seek: %m");

	return err ?: seals_add(fd, file->seals);
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
	err = allocate_on(file->node) ?: memfd_fill(fd, file);
	err2 = allocate_on(0);

	return err ?: err2;
}

/* Non-default properties of a file, for the description of a step. */
static const char *describe(const struct memfd *file)
{
	return textf("%s size=%llu seed=%llu%s%s%s%s", file->name, file->size, file->seed,
		     file->step ? textf(" step=%llu", file->step) : "",
		     file->pos ? textf(" pos=%llu", file->pos - POS(0)) : "",
		     file->seals ? textf(" seals=%#x", file->seals & ~SEALED) : "",
		     file->mode ? textf(" mode=%04o", file->mode) : "");
}

DEFINE_STEP(memfd, (const struct memfd *file), (file), "memfd %s", describe(file))
{
	int fd = memfd_create(file->name, file->flags | MFD_CLOEXEC), err;

	if (fd < 0)
		return problem(-errno, "memfd_create: %m");
	err = memfd_place(fd, file);
	if (err)
		close(fd);

	return err ?: fd_add(file->name, fd);
}

/* Requests to the host are slow in an emulated guest, so use few large ones. */
static int copy_file(int from, int to)
{
	static u8 buf[8 * CHUNK];
	u64 at = 0;
	ssize_t len;
	int err;

	do {
		len = read(from, buf, sizeof(buf));
		err = len > 0 ? write_at(to, buf, len, at) : 0;
		at += len;
	} while (len > 0 && !err);

	return len < 0 ? problem(-errno, "read: %m") : err;
}

/* A memfd with the bytes of a file of the guest. */
DEFINE_STEP(make_of_file, (const char *name, const char *path, unsigned int seals),
	    (name, path, seals), "file %s %s seals=%#x", name, path, seals)
{
	int fd = memfd_create(name, MFD_ALLOW_SEALING | MFD_CLOEXEC);
	int from = open(path, O_RDONLY | O_CLOEXEC), err;

	if (from < 0)
		return problem(-errno, "%s: %m", path);
	if (fd < 0)
		return problem(-errno, "memfd_create: %m");
	err = copy_file(from, fd) ?: seals_add(fd, seals);
	close(from);
	if (err)
		close(fd);

	return err ?: fd_add(name, fd);
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
	int fd = fd_find(file->name);

	if (fd < 0)
		return fd;

	return check_properties(fd, file) ?: content_check(fd, file);
}

DEFINE_STEP(check_properties, (const struct memfd *file), (file), "check %s",
	    describe(file))
{
	int fd = fd_find(file->name);

	return fd < 0 ? fd : check_properties(fd, file);
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
	int err = expect("chmod", forbidden, fchmod(fd, mode ^ 0111));

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
	bool no_write;
	int err = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return problem(-errno, "stat: %m");
	seals = fcntl(fd, F_GET_SEALS);
	no_write = seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
	if (st.st_size)
		err = try_write(fd, no_write) ?: try_map(fd, no_write);

	return err ?: try_size(fd, &st, seals) ?:
	       try_chmod(fd, &st, seals & F_SEAL_EXEC) ?:
	       expect("new seal", seals & F_SEAL_SEAL, fcntl(fd, F_ADD_SEALS, 0));
}

/* The digest is computed by an independent program. */
DEFINE_STEP(sha256, (const char *name), (name), "sha256 %s", name)
{
	int fd = fd_find(name);
	char line[128];
	bool got;
	FILE *pipe;

	if (fd < 0)
		return fd;
	pipe = popen(textf("sha256sum /proc/%d/fd/%d", getpid(), fd), "re");
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
