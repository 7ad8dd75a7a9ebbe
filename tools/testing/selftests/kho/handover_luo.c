// SPDX-License-Identifier: GPL-2.0
/*
 * Actions on /dev/liveupdate: sessions, and the files kept in them.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/liveupdate.h>

#include "handover.h"

static int dev = -1;

/*
 * The device can be open once at a time, so it stays open once it was needed.
 */
int luo_device(void)
{
	if (dev < 0)
		dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	return dev < 0 ? -errno : dev;
}

static int told(const char *what, int err)
{
	return err < 0 ? problem(err, "%s: %s", what, strerror(-err)) : err;
}

int luo_create(const char *name)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };
	int fd = luo_device();

	if (fd < 0)
		return fd;
	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);

	return ioctl(fd, LIVEUPDATE_IOCTL_CREATE_SESSION, &arg) ? -errno :
								  arg.fd;
}

int luo_get(const char *name)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg) };
	int fd = luo_device();

	if (fd < 0)
		return fd;
	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);

	return ioctl(fd, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &arg) ? -errno :
								    arg.fd;
}

int luo_preserve(int session, uint64_t token, int fd)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg),
		.fd = fd,
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg) ? -errno :
								      0;
}

int luo_retrieve(int session, uint64_t token)
{
	struct liveupdate_session_retrieve_fd arg = {
		.size = sizeof(arg),
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg) ? -errno :
								      arg.fd;
}

static int finish_with(int session, uint32_t flags)
{
	struct liveupdate_session_finish arg = {
		.size = sizeof(arg),
		.reserved = flags,
	};

	return ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg) ? -errno : 0;
}

int luo_finish(int session)
{
	return finish_with(session, 0);
}

static int session_new(char **words)
{
	int fd = told("create session", luo_create(words[0]));

	return fd < 0 ? fd : fd_add(words[0], fd);
}

static int session_get(char **words)
{
	int fd = told("retrieve session", luo_get(words[0]));

	return fd < 0 ? fd : fd_add(words[0], fd);
}

static int do_preserve(char **words)
{
	int session = fd_find(words[0]), fd = fd_find(words[2]), err;
	uint64_t token;

	if (session < 0 || fd < 0)
		return -ENOENT;
	err = parse_u64(words[1], &token);

	return err ? err : told("preserve", luo_preserve(session, token, fd));
}

static int do_retrieve(char **words)
{
	int session = fd_find(words[0]), fd, err;
	uint64_t token;

	if (session < 0)
		return session;
	err = parse_u64(words[1], &token);
	if (err)
		return err;
	fd = told("retrieve", luo_retrieve(session, token));

	return fd < 0 ? fd : fd_add(words[2], fd);
}

static int do_finish(char **words)
{
	uint32_t flags = option(words + 1, "force") ?
			 LIVEUPDATE_SESSION_FINISH_FORCE : 0;
	int session = fd_find(words[0]);

	return session < 0 ? session :
			     told("finish", finish_with(session, flags));
}

const struct action luo_actions[] = {
	{ "session-new", "SESSION", 1, session_new },
	{ "session-get", "SESSION", 1, session_get },
	{ "preserve", "SESSION TOKEN NAME", 3, do_preserve },
	{ "retrieve", "SESSION TOKEN NAME", 3, do_retrieve },
	{ "finish", "SESSION [force]", 1, do_finish },
	{ }
};
