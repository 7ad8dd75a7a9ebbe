// SPDX-License-Identifier: GPL-2.0
/*
 * Steps with processes that hold an incoming session, and exit or are killed at
 * each possible point.
 *
 * File number n of the session has token n, n * UNIT + 1 bytes, and seed n.
 */

#include "handover.h"

#include <signal.h>
#include <sys/wait.h>

#define UNIT		3000
#define MAX_KILLS	64

/* The way in which a holder ends after its steps. */
enum end { KILLED, EXITS, NR_ENDS };

static const char *const end_names[] = { "is killed", "exits" };

static int take_file(int session, u64 token)
{
	int fd = luo_retrieve(session, token), err;

	if (fd < 0)
		return fd;
	err = seeded_check(fd, token * UNIT + 1, token);
	/* Close every second file. */
	if (token % 2)
		close(fd);

	return err;
}

/*
 * Opens the device and takes @steps steps: the first one retrieves the session,
 * and each further step retrieves a file.  Returns 0 or a negative errno.
 */
static int take_steps(const char *name, unsigned int steps)
{
	int fd = luo_device(), session, err = 0;

	if (fd < 0 || !steps)
		return fd < 0 ? fd : 0;
	session = luo_get(name);
	if (session < 0)
		return session;
	for (unsigned int token = 1; token < steps && !err; token++)
		err = take_file(session, token);

	return err;
}

/* A child that writes its result to a pipe, and then waits or exits. */
static void holder(const char *name, unsigned int steps, enum end end, int out)
{
	int err = take_steps(name, steps);

	if (write(out, &err, sizeof(err)) != sizeof(err))
		_exit(EXIT_FAILURE);
	if (end == KILLED)
		pause();
	_exit(EXIT_SUCCESS);
}

static int run_holder(const char *name, unsigned int steps, enum end end)
{
	int err = -EPIPE, pipes[2];
	pid_t pid;

	if (pipe(pipes))
		return problem(-errno, "pipe: %m");
	pid = fork();
	if (pid < 0)
		return problem(-errno, "fork: %m");
	if (!pid)
		holder(name, steps, end, pipes[1]);

	close(pipes[1]);
	if (read(pipes[0], &err, sizeof(err)) != sizeof(err))
		err = -EPIPE;
	close(pipes[0]);
	if (end == KILLED)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (err)
		return problem(err, "holder that %s after %u steps: %m", end_names[end],
			       steps);

	return 0;
}

/*
 * For each number of steps, one holder is killed and another one exits after these
 * steps.  After each of them, the next holder must be able to retrieve all files.
 */
DEFINE_STEP(holder_sweep, (const char *session, unsigned int nr), (session, nr),
	    "holder-sweep %s %u", session, nr)
{
	int err = 0;

	for (unsigned int steps = 0; steps <= nr + 1 && !err; steps++) {
		for (enum end end = KILLED; end < NR_ENDS && !err; end++) {
			err = run_holder(session, steps, end) ?:
			      run_holder(session, nr + 1, EXITS);
		}
	}

	return err;
}

/* Returns 1 if the holder had retrieved the file before it was killed. */
static int kill_in_retrieve(const char *name, u64 token, useconds_t delay)
{
	int pipes[2], told[2] = { -EPIPE, 0 }, fd;
	pid_t pid;
	char more;

	if (pipe(pipes))
		return problem(-errno, "pipe: %m");
	pid = fork();
	if (pid < 0)
		return problem(-errno, "fork: %m");
	if (!pid) {
		fd = luo_device() < 0 ? -EBUSY : luo_get(name);
		if (write(pipes[1], &fd, sizeof(fd)) < 0 || fd < 0)
			_exit(EXIT_FAILURE);
		fd = luo_retrieve(fd, token);
		if (write(pipes[1], &fd, sizeof(fd)) < 0)
			_exit(EXIT_FAILURE);
		pause();
	}

	close(pipes[1]);
	if (read(pipes[0], told, sizeof(*told)) == sizeof(*told) &&
	    told[0] >= 0)
		usleep(delay);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Data that was written before the exit can still be read. */
	more = read(pipes[0], told + 1, sizeof(*told)) == sizeof(*told);
	close(pipes[0]);
	if (told[0] < 0 || (more && told[1] < 0))
		return problem(told[0] < 0 ? told[0] : told[1],
			       "holder: %s", strerror(told[0] < 0 ? -told[0] :
								    -told[1]));

	return more;
}

/*
 * Kills holders while they retrieve a large file, each one later than the one
 * before, until a holder has retrieved the file.
 */
DEFINE_STEP(holder_killed_in, (const char *session, u64 token), (session, token),
	    "holder-killed-in %s %llu", session, token)
{
	unsigned int kills = 0;
	int ret = 0;

	while (!ret && kills < MAX_KILLS)
		ret = kill_in_retrieve(session, token, 500 * kills++);
	note("%u holders were killed", kills);

	return ret < 0 ? ret : 0;
}

/*
 * The group may be at its limit, so the child has to allocate all its pages
 * before it joins the group.  Its exit status is the result.
 */
static void retrieve_charged(int procs, int session, u64 token)
{
	int fd;

	errno = 0;
	if (write(procs, "0", 1) != 1)
		_exit(errno);
	fd = luo_retrieve(session, token);
	_exit(fd < 0 ? -fd : 0);
}

/*
 * Retrieves a file in a process of a memory cgroup.  The file stays in its
 * session.  With @or_killed, being killed is accepted like -ENOMEM.
 */
DEFINE_STEP(retrieve_in_group,
	    (const char *group, const char *name, u64 token, bool or_killed),
	    (group, name, token, or_killed), "retrieve-in-group %s %s %llu%s", group,
	    name, token, or_killed ? " or-killed" : "")
{
	int session = fd_find(name), procs, status, err;
	pid_t pid;

	if (session < 0)
		return session;
	procs = open(group, O_WRONLY | O_CLOEXEC);
	if (procs < 0)
		return problem(-errno, "%s: %m", group);

	pid = fork();
	if (!pid)
		retrieve_charged(procs, session, token);
	close(procs);
	if (pid < 0)
		return problem(-errno, "fork: %m");
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		return problem(or_killed ? -ENOMEM : -ECHILD,
			       "the process was killed by signal %d", WTERMSIG(status));

	err = -WEXITSTATUS(status);
	return err ? problem(err, "retrieve: %m") : 0;
}
