// SPDX-License-Identifier: GPL-2.0
/* Steps on /dev/liveupdate: sessions, and the files in them. */

#include "handover.h"

#include <sys/ioctl.h>
#include <linux/liveupdate.h>

static int dev = -1;

/*
 * The device can only be opened once at a time, so it stays open after the
 * first use.
 */
int luo_device(void)
{
	if (dev < 0)
		dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	return dev < 0 ? -errno : dev;
}

static int told(const char *what, int err)
{
	return err < 0 ? problem(err, "%s: %m", what) : err;
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

int luo_preserve(int session, u64 token, int fd)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg),
		.fd = fd,
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg) ? -errno :
								      0;
}

int luo_retrieve(int session, u64 token)
{
	struct liveupdate_session_retrieve_fd arg = {
		.size = sizeof(arg),
		.token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg) ? -errno :
								      arg.fd;
}

static int finish_with(int session, u32 flags)
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

static int named(const char *what, const char *name, int fd)
{
	return told(what, fd) < 0 ? fd : fd_add(name, fd);
}

DEFINE_STEP_AS(session_new, (const char *name),
	       named("create session", name, luo_create(name)), "session-new %s", name)
DEFINE_STEP_AS(session_get, (const char *name),
	       named("retrieve session", name, luo_get(name)), "session-get %s", name)

DEFINE_STEP(preserve, (const char *session, u64 token, const char *name),
	    (session, token, name), "preserve %s %llu %s", session, token, name)
{
	int s = fd_find(session), fd = fd_find(name);

	if (s < 0 || fd < 0)
		return -ENOENT;

	return told("preserve", luo_preserve(s, token, fd));
}

DEFINE_STEP(retrieve, (const char *session, u64 token, const char *name),
	    (session, token, name), "retrieve %s %llu %s", session, token, name)
{
	int s = fd_find(session);

	return s < 0 ? s : named("retrieve", name, luo_retrieve(s, token));
}

DEFINE_STEP(finish, (const char *session, bool force), (session, force), "finish %s%s",
	    session, force ? " force" : "")
{
	int s = fd_find(session);

	return s < 0 ? s : told("finish", finish_with(s, force ?
				LIVEUPDATE_SESSION_FINISH_FORCE : 0));
}
