// SPDX-License-Identifier: GPL-2.0
/*
 * Verbs that change the machine: "load", "finish" and "release".
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/liveupdate.h>

#include "khoctl.h"

#define DEVICE		"/dev/liveupdate"
#define RELEASE		DEBUGFS "/in/release"

/* ---- load */

/* Options that make kexec load an image without a handover. */
static int check_words(char * const *words)
{
	static const char * const bad[] = { "-c", "--kexec-syscall", "-a",
					    "--kexec-syscall-auto", "-p", "--load-panic" };

	for (; *words; words++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
			if (!strcmp(*words, bad[i]))
				return fail("%s: images loaded with this option have no handover",
					    *words);
		}
	}
	return 0;
}

/* Runs "kexec -s -l IMAGE WORDS..."; @words begins with the image. */
int load_image(char * const *words)
{
	posix_spawn_file_actions_t actions;
	size_t nr = 0;
	char **argv;
	pid_t pid;
	int err, status;

	if (check_words(words + 1))
		return -1;
	while (words[nr])
		nr++;
	argv = calloc(nr + 4, sizeof(*argv));
	if (!argv)
		return fail("out of memory");
	argv[0] = "kexec";
	argv[1] = "-s";
	argv[2] = "-l";
	memcpy(argv + 3, words, nr * sizeof(*argv));

	/* Our stdout only has the result. */
	err = posix_spawn_file_actions_init(&actions);
	if (!err) {
		err = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO) ?:
		      posix_spawnp(&pid, "kexec", &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	free(argv);
	if (err)
		return fail("kexec: %s", strerror(err));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return fail("kexec: %s", strerror(errno));
	}
	if (!WIFEXITED(status))
		return fail("kexec: ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status) ? fail("kexec: exit status %d", WEXITSTATUS(status)) : 0;
}

/* ---- questions */

/* Asks the user; end of file means no. */
bool confirm(const char *question)
{
	char answer[16] = "";

	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin))
		fputc('\n', stderr);
	return !strcmp(answer, "y\n") || !strcmp(answer, "yes\n");
}

/* ---- sessions */

static int open_session(const char *path, const char *name)
{
	struct liveupdate_ioctl_retrieve_session retrieve = { .size = sizeof(retrieve) };
	int dev, err;

	if (strlen(name) >= sizeof(retrieve.name))
		return fail("session '%s': the name is too long", name);
	strcpy((char *)retrieve.name, name);

	dev = open(path, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return fail("%s: %s", path,
			    errno == EBUSY ? "an agent has it open" : strerror(errno));
	err = ioctl(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &retrieve) ? errno : 0;
	close(dev);
	if (err == ENOENT)
		return fail("session '%s': not among the incoming sessions", name);
	if (err)
		return fail("session '%s': %s", name,
			    err == EINVAL ? "has a holder" : strerror(err));
	return retrieve.fd;
}

/*
 * Finishes an incoming session.  Its files that were not retrieved are lost.
 * Files without a handler in this kernel need @force.
 */
int finish_session(const char *root, const char *name, bool force)
{
	struct liveupdate_session_finish finish = {
		.size = sizeof(finish),
		.reserved = force ? LIVEUPDATE_SESSION_FINISH_FORCE : 0,
	};
	char path[4096];
	int fd, err;

	if (path_below(root, DEVICE, path, sizeof(path)))
		return -1;
	fd = open_session(path, name);
	if (fd < 0)
		return -1;
	err = ioctl(fd, LIVEUPDATE_SESSION_FINISH, &finish) ? errno : 0;
	close(fd);
	if (err == EBUSY)
		return fail("session '%s': a file has no handler, or a handler refuses; "
			    "'--force' finishes files without a handler", name);
	return err ? fail("session '%s': %s", name, strerror(err)) : 0;
}

/* ---- unclaimed memory */

int release_unclaimed(const char *root)
{
	char path[4096];
	int fd, err;

	if (path_below(root, RELEASE, path, sizeof(path)))
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("%s: %s", path, strerror(errno));
	err = write(fd, "1", 1) == 1 ? 0 : errno;
	close(fd);
	if (err == EBUSY)
		return fail("unclaimed memory is in use: finish all incoming sessions; "
			    "the kernel log names drivers that still read their data");
	return err ? fail("%s: %s", path, strerror(err)) : 0;
}
