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

/*
 * The device can be open once at a time, so it stays open once it was needed.
 */
static int luo_device(void)
{
	static int dev = -1;

	if (dev >= 0)
		return dev;
	dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return problem(-errno, "/dev/liveupdate: %s", strerror(errno));

	return dev;
}

static int session_new(char **words)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };
	int dev = luo_device();

	if (dev < 0)
		return dev;
	snprintf((char *)arg.name, sizeof(arg.name), "%s", words[0]);
	if (ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &arg))
		return problem(-errno, "create session: %s", strerror(errno));

	return fd_add(words[0], arg.fd);
}

static int session_get(char **words)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg) };
	int dev = luo_device();

	if (dev < 0)
		return dev;
	snprintf((char *)arg.name, sizeof(arg.name), "%s", words[0]);
	if (ioctl(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &arg))
		return problem(-errno, "retrieve session: %s", strerror(errno));

	return fd_add(words[0], arg.fd);
}

static int do_preserve(char **words)
{
	struct liveupdate_session_preserve_fd arg = { .size = sizeof(arg) };
	uint64_t token;
	int session, fd, err;

	session = fd_find(words[0]);
	if (session < 0)
		return session;
	err = parse_u64(words[1], &token);
	if (err)
		return err;
	fd = fd_find(words[2]);
	if (fd < 0)
		return fd;

	arg.fd = fd;
	arg.token = token;
	if (ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg))
		return problem(-errno, "preserve: %s", strerror(errno));

	return 0;
}

static int do_retrieve(char **words)
{
	struct liveupdate_session_retrieve_fd arg = { .size = sizeof(arg) };
	uint64_t token;
	int session, err;

	session = fd_find(words[0]);
	if (session < 0)
		return session;
	err = parse_u64(words[1], &token);
	if (err)
		return err;

	arg.token = token;
	if (ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg))
		return problem(-errno, "retrieve: %s", strerror(errno));

	return fd_add(words[2], arg.fd);
}

static int do_finish(char **words)
{
	struct liveupdate_session_finish arg = { .size = sizeof(arg) };
	int session = fd_find(words[0]);

	if (session < 0)
		return session;
	if (ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg))
		return problem(-errno, "finish: %s", strerror(errno));

	return 0;
}

const struct action luo_actions[] = {
	{ "session-new", "SESSION", 1, session_new },
	{ "session-get", "SESSION", 1, session_get },
	{ "preserve", "SESSION TOKEN NAME", 3, do_preserve },
	{ "retrieve", "SESSION TOKEN NAME", 3, do_retrieve },
	{ "finish", "SESSION", 1, do_finish },
	{ }
};
