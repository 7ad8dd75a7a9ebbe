// SPDX-License-Identifier: GPL-2.0
/*
 * Steps with many sessions and files: random operations that the next kernel
 * repeats from a seed, large numbers, and a kexec while other threads are
 * running.
 */

#include "handover.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/liveupdate.h>
#include <linux/reboot.h>

#define CHECK_STREAM	0x5eed0000ull

struct file {
	u64 token;
	u64 size;
	u64 seed;
};

/* A slot for a session; @serial counts the sessions in it so far. */
struct session {
	bool alive;
	unsigned int serial;
	unsigned int nr;
	struct file *files;
	int fd;
};

/*
 * The sessions and files that the kernel is expected to have.  All operations
 * follow from the seed, so the next kernel gets the same model by running them
 * without @real.
 */
struct model {
	u64 seed;
	u64 draws;
	bool real;
	unsigned int max_sessions;
	unsigned int max_files;
	unsigned int nr_files;
	struct session *sessions;
};

static u64 draw(struct model *m, u64 below)
{
	return pattern_word(m->seed, m->draws++) % below;
}

static const char *session_name(const struct model *m, const struct session *s,
				unsigned int serial)
{
	return textf("s%u.%u", (unsigned int)(s - m->sessions), serial);
}

static int want_error(const char *what, int seen, int want)
{
	if (seen == want)
		return 0;
	if (seen > 0)
		close(seen);

	return problem(-EIO, "%s: %s instead of %s", what,
		       strerrorname_np(seen < 0 ? -seen : 0),
		       strerrorname_np(-want));
}

static int op_create(struct model *m)
{
	struct session *s = &m->sessions[draw(m, m->max_sessions)];
	const char *name;

	if (s->alive) {
		name = session_name(m, s, s->serial);
		return m->real ? want_error("second session of a name",
					    luo_create(name), -EEXIST) : 0;
	}

	s->alive = true;
	s->serial++;
	s->nr = 0;
	if (!m->real)
		return 0;
	s->fd = luo_create(session_name(m, s, s->serial));

	return s->fd >= 0 ? 0 : problem(s->fd, "create session: %m");
}

static struct session *draw_alive(struct model *m)
{
	unsigned int first = draw(m, m->max_sessions);

	for (unsigned int i = 0; i < m->max_sessions; i++) {
		struct session *s = &m->sessions[(first + i) % m->max_sessions];

		if (s->alive)
			return s;
	}

	return NULL;
}

static int op_close(struct model *m)
{
	struct session *s = draw_alive(m);

	if (!s)
		return 0;
	if (m->real)
		close(s->fd);
	s->alive = false;
	m->nr_files -= s->nr;

	return 0;
}

static struct file draw_file(struct model *m)
{
	struct file file = {
		.token = draw(m, UINT64_MAX),
		.seed = draw(m, UINT64_MAX),
	};

	file.size = draw(m, 16) ? draw(m, 4 * page_size) : 0;

	return file;
}

static int file_preserve(int session, int other, const struct file *file,
			 unsigned int twist)
{
	int fd = seeded_make("stress", file->size, file->seed), err;

	if (fd < 0)
		return fd;
	err = want_error("preserve", luo_preserve(session, file->token, fd), 0);
	if (!err && twist == 1)
		err = want_error("second file of a token",
				 luo_preserve(session, file->token, fd),
				 -EEXIST);
	if (!err && twist == 2)
		err = want_error("file in two sessions",
				 luo_preserve(other, ~file->token, fd), -EBUSY);
	close(fd);

	return err;
}

static int op_preserve(struct model *m)
{
	struct session *s = draw_alive(m), *other = draw_alive(m);
	struct file file = draw_file(m);
	unsigned int twist = draw(m, 16);

	if (!s)
		return op_create(m);
	if (m->nr_files == m->max_files)
		return 0;

	s->files = realloc(s->files, (s->nr + 1) * sizeof(file));
	if (!s->files)
		return problem(-ENOMEM, "no memory");
	s->files[s->nr++] = file;
	m->nr_files++;

	return m->real ? file_preserve(s->fd, other->fd, &file, twist) : 0;
}

/* A process that fills a session is killed: the session must vanish. */
static int op_crash(struct model *m)
{
	unsigned int nr = draw(m, 6);
	struct file file = draw_file(m);
	int fd, status;
	pid_t pid;

	if (!m->real)
		return 0;
	pid = fork();
	if (pid < 0)
		return problem(-errno, "fork: %m");
	if (!pid) {
		fd = luo_create("crash");
		for (file.token = 0; fd >= 0 && file.token < nr; file.token++)
			file_preserve(fd, fd, &file, 0);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);

	fd = luo_create("crash");
	if (fd < 0)
		return problem(fd, "after a crash: %m");
	close(fd);

	return 0;
}

static int model_step(struct model *m)
{
	unsigned int which = draw(m, 1000);

	if (which < 60)
		return op_create(m);
	if (which < 65)
		return op_close(m);
	if (which < 75)
		return op_crash(m);

	return op_preserve(m);
}

static int model_get(struct model *m, const struct stress *size, unsigned int hop,
		     bool real)
{
	m->seed = case_seed() + ((u64)hop << 32);
	m->real = real;
	m->max_sessions = size->sessions;
	m->max_files = size->files;
	m->sessions = calloc(size->sessions, sizeof(*m->sessions));

	return m->sessions ? 0 : problem(-ENOMEM, "no memory");
}

/* The kexec comes after a random number of steps. */
static int model_run(struct model *m)
{
	unsigned int half = (m->max_files + m->max_sessions) * 2 / 3;
	unsigned int steps = half + draw(m, half), alive = 0;
	int err = 0;

	for (unsigned int i = 0; i < steps && !err; i++)
		err = model_step(m);
	for (unsigned int i = 0; i < m->max_sessions; i++)
		alive += m->sessions[i].alive;
	note("%u steps, %u sessions, %u files",
	     steps, alive, m->nr_files);

	return err;
}

DEFINE_STEP(stress_make, (const struct stress *size, unsigned int hop), (size, hop),
	    "stress-make seed=%llu hop=%u sessions=%u files=%u", case_seed(), hop,
	    size->sessions, size->files)
{
	struct model m = { };

	return model_get(&m, size, hop, true) ?: model_run(&m);
}

/* Checks @nr files of a session, from @first on, wrapping around. */
static int files_check(int session, const struct session *s, unsigned int nr,
		       unsigned int first)
{
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		const struct file *file = &s->files[(first + i) % s->nr];

		err = seeded_retrieve(session, file->token, file->size, file->seed);
	}

	return err;
}

/*
 * A holder that is killed when it has retrieved the session and some of its
 * files.
 */
static int holder_dies(const char *name, const struct session *s,
		       unsigned int nr, unsigned int first)
{
	int fd, status;
	pid_t pid = fork();

	if (pid < 0)
		return problem(-errno, "fork: %m");
	if (!pid) {
		fd = luo_get(name);
		if (fd < 0 || files_check(fd, s, nr, first))
			_exit(EXIT_FAILURE);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);

	return WIFSIGNALED(status) ? 0 : problem(-EIO, "the holder failed");
}

enum fate { LEFT, FINISHED_AT_ONCE, HOLDER_DIES, CLOSED, NR_FATES = 8 };

/*
 * Closing a session removes its retrieved files.  A session without files is
 * freed.
 */
static int closed_check(const char *name, const struct session *s,
			unsigned int some, unsigned int first)
{
	int fd = luo_get(name), err;

	if (fd < 0)
		return problem(fd, "get %s: %m", name);
	err = files_check(fd, s, some, first);
	close(fd);
	if (err)
		return err;

	fd = luo_get(name);
	if (some == s->nr)
		return want_error("get of a finished session", fd, -ENOENT);
	if (fd < 0)
		return problem(fd, "get %s again: %m", name);
	if (some)
		err = want_error("retrieve of a file that left",
				 luo_retrieve(fd, s->files[first % s->nr].token),
				 -ENOENT);
	if (!err)
		err = files_check(fd, s, s->nr - some, first + some);
	if (!err)
		err = want_error("finish", luo_finish(fd), 0);
	close(fd);

	return err;
}

static int session_check(struct model *m, const struct session *s,
			 const char *name)
{
	unsigned int first = draw(m, s->nr + 1), some = draw(m, s->nr + 1);
	enum fate fate = draw(m, NR_FATES);
	int fd, err = 0;

	if (fate == LEFT)
		return 0;
	if (fate == HOLDER_DIES)
		err = holder_dies(name, s, some, first);
	if (err)
		return err;
	if (fate == CLOSED)
		return closed_check(name, s, some, first);

	fd = luo_get(name);
	if (fd < 0)
		return problem(fd, "get %s: %m", name);
	if (!err)
		err = files_check(fd, s, fate == FINISHED_AT_ONCE ? some : s->nr,
				  first);
	if (!err)
		err = want_error("unknown token", luo_retrieve(fd, first),
				 -ENOENT);
	if (!err)
		err = want_error("finish", luo_finish(fd), 0);
	close(fd);

	return err;
}

static int place_check(struct model *m, const struct session *s)
{
	unsigned int dead = s->alive ? s->serial - 1 : s->serial;
	int err = 0;

	for (unsigned int i = 1; i <= dead && !err; i++)
		err = want_error("closed session",
				 luo_get(session_name(m, s, i)), -ENOENT);
	if (!err && s->alive)
		err = session_check(m, s, session_name(m, s, s->serial));

	return err;
}

DEFINE_STEP(stress_check, (const struct stress *size, unsigned int hop), (size, hop),
	    "stress-check seed=%llu hop=%u sessions=%u files=%u", case_seed(), hop,
	    size->sessions, size->files)
{
	struct model m = { };
	unsigned int first;
	int err = model_get(&m, size, hop, false) ?: model_run(&m);

	if (err)
		return err;

	m.seed += CHECK_STREAM;
	first = draw(&m, m.max_sessions);
	for (unsigned int i = 0; i < m.max_sessions && !err; i++)
		err = place_check(&m, &m.sessions[(first + i) %
						  m.max_sessions]);

	return err ?: want_error("crashed session", luo_get("crash"), -ENOENT);
}

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void tell_time(const char *what, u64 files, u64 ns)
{
	if (files)
		note("time: %s of each of %llu files: %llu ns", what, files, ns / files);
}

static struct file many_file(u64 token)
{
	return (struct file){ token, 1 + token * 97 % page_size, token + 1 };
}

/* Without data, a file takes less than half of the memory of one with a page. */
static struct file empty_file(u64 token)
{
	return (struct file){ token, 0, 0 };
}

/* Preserve many files in a new session; add the time in the kernel to @ns. */
static int files_keep(const char *name, u64 files,
		      struct file (*file_of)(u64 token), u64 *ns)
{
	int session = luo_create(name), err = 0;
	u64 begin;

	if (session < 0)
		return problem(session, "create %s: %m", name);
	for (u64 token = 0; token < files && !err; token++) {
		struct file file = file_of(token);
		int fd = seeded_make(name, file.size, file.seed);

		if (fd < 0)
			return fd;
		begin = now_ns();
		err = want_error("preserve", luo_preserve(session, token, fd),
				 0);
		*ns += now_ns() - begin;
		close(fd);
	}

	return err;
}

static int many_keep(const char *name, u64 files)
{
	u64 ns = 0;
	int err = files_keep(name, files, many_file, &ns);

	if (files > 1)
		tell_time("preserve", files, ns);

	return err;
}

static int many_claim(const char *name, u64 files)
{
	u64 begin, ns = 0, finish_ns;
	int session = luo_get(name), err = 0;

	if (session < 0)
		return problem(session, "get %s: %m", name);
	for (u64 token = 0; token < files && !err; token++) {
		struct file file = many_file(token);
		int fd;

		begin = now_ns();
		fd = luo_retrieve(session, token);
		ns += now_ns() - begin;
		if (fd < 0)
			return problem(fd, "retrieve %llu of %s: %m", token, name);
		err = seeded_check(fd, file.size, file.seed);
		close(fd);
	}
	begin = now_ns();
	if (!err)
		err = want_error("finish", luo_finish(session), 0);
	finish_ns = now_ns() - begin;
	close(session);
	if (files > 1) {
		tell_time("retrieve", files, ns);
		tell_time("finish", files, finish_ns);
	}

	return err;
}

/*
 * Many sessions of one file, one session of 500 files, and one of @files files.
 */
static int many_do(unsigned int sessions, u64 files,
		   int (*one)(const char *name, u64 files))
{
	int err = 0;

	for (unsigned int i = 0; i < sessions && !err; i++)
		err = one(textf("many%u", i), 1);

	return err ?: one("few", 500) ?: one("huge", files);
}

DEFINE_STEP_AS(many_keep, (unsigned int sessions, u64 files),
	       many_do(sessions, files, many_keep), "many-keep sessions=%u files=%llu",
	       sessions, files)
DEFINE_STEP_AS(many_claim, (unsigned int sessions, u64 files),
	       many_do(sessions, files, many_claim),
	       "many-claim sessions=%u files=%llu", sessions, files)

DEFINE_STEP(empty_keep, (unsigned int sessions, u64 files), (sessions, files),
	    "empty-keep sessions=%u files=%llu", sessions, files)
{
	u64 ns = 0;
	int err = 0;

	for (unsigned int i = 0; i < sessions && !err; i++)
		err = files_keep(textf("empty%u", i), files, empty_file, &ns);
	tell_time("preserve", sessions * files, ns);

	return err;
}

/* Only returns when the kexec failed. */
DEFINE_STEP(reboot_kexec, (void), (), "reboot-kexec")
{
	reboot(LINUX_REBOOT_CMD_KEXEC);

	return problem(-errno, "reboot: %m");
}

/* Results of threads that run until the kexec, in a preserved page. */
struct diary {
	u64 good;
	u64 busy;
	u64 good_after_busy;
	u64 interrupted;
	u64 other;
};

struct witness {
	struct diary *diary;
	int session;
	u64 size;
	unsigned int begun;	/* attempts to preserve the large hole */
};

static void *witness_watch(void *data)
{
	struct witness *w = data;
	struct liveupdate_session_get_name arg;

	for (;;) {
		int err;

		memset(&arg, 0, sizeof(arg));
		arg.size = sizeof(arg);
		err = ioctl(w->session, LIVEUPDATE_SESSION_GET_NAME, &arg) ?
		      errno : 0;

		w->diary->good += !err;
		w->diary->busy += err == EBUSY;
		w->diary->good_after_busy += !err && w->diary->busy;
		w->diary->other += err && err != EBUSY;
		usleep(100);
	}

	return NULL;
}

/* Preserves and unpreserves a large hole, again and again. */
static void *witness_work(void *data)
{
	struct witness *w = data;

	for (;;) {
		int session = luo_create("work"), err = 0;
		int fd = memfd_create("work", MFD_CLOEXEC);

		if (fd >= 0 && session >= 0 && !ftruncate(fd, w->size)) {
			__atomic_add_fetch(&w->begun, 1, __ATOMIC_RELAXED);
			err = luo_preserve(session, 1, fd);
		}
		w->diary->interrupted += err == -EINTR;
		w->diary->other += err && err != -EBUSY && err != -EINTR;
		if (fd >= 0)
			close(fd);
		if (session >= 0)
			close(session);
		else
			usleep(1000);
	}

	return NULL;
}

/* @diary: a preserved memfd of @session; @size: size of the large hole. */
DEFINE_STEP(at_work, (const char *session, const char *diary, u64 size),
	    (session, diary, size), "at-work %s %s %llu", session, diary, size)
{
	static struct witness w;
	int fd = fd_find(diary);
	pthread_t thread;

	w.session = fd_find(session);
	w.size = size;
	if (w.session < 0 || fd < 0)
		return -ENOENT;
	w.diary = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);
	if (w.diary == MAP_FAILED)
		return problem(-errno, "mmap: %m");

	memset(w.diary, 0, sizeof(*w.diary));
	if (pthread_create(&thread, NULL, witness_watch, &w) ||
	    pthread_create(&thread, NULL, witness_work, &w))
		return problem(-EAGAIN, "no thread");
	/*
	 * Wait until the hole was preserved once, so that the kexec starts
	 * while it is preserved again.
	 */
	while (__atomic_load_n(&w.begun, __ATOMIC_RELAXED) < 2)
		usleep(1000);

	return 0;
}

DEFINE_STEP(diary_check, (const char *name), (name), "diary-check %s", name)
{
	struct diary diary;
	int fd = fd_find(name);

	if (fd < 0)
		return fd;
	if (pread(fd, &diary, sizeof(diary), 0) != sizeof(diary))
		return problem(-EIO, "the diary cannot be read");
	note("ioctls before the kexec: %llu worked, then %llu were refused, %llu preserves interrupted",
	     diary.good, diary.busy, diary.interrupted);
	if (!diary.good || !diary.busy || !diary.interrupted ||
	    diary.good_after_busy || diary.other)
		return problem(-EIO,
			       "%llu worked, %llu refused, %llu interrupted, %llu worked after a refusal, %llu had other errors",
			       diary.good, diary.busy, diary.interrupted,
			       diary.good_after_busy, diary.other);

	return 0;
}
