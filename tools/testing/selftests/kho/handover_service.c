// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of a systemd service: the descriptors that it is started with, and
 * those that it stores in its file descriptor store.
 */

#include "handover.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/liveupdate.h>

#define FIRST_FD	3	/* the first descriptor that systemd passes */

/* systemd passes the stored descriptors in any order, with their names. */
DEFINE_STEP(listen_fds, (void), (), "listen")
{
	const char *nr = getenv("LISTEN_FDS"), *list = getenv("LISTEN_FDNAMES");
	char *names = strdup(list ? list : ""), *rest = names, *name;
	int fd = FIRST_FD, err = 0;

	if (!names)
		return problem(-ENOMEM, "no memory");
	note("listen %s: %s", nr ? nr : "0", names);
	while (!err && nr && fd < FIRST_FD + atoi(nr)) {
		name = strsep(&rest, ":");
		if (!name)
			err = problem(-EINVAL, "descriptor %d has no name", fd);
		else
			err = fd_add(name, fd++);
	}
	free(names);

	return err;
}

static int notify_address(struct sockaddr_un *to, socklen_t *len)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path || strlen(path) >= sizeof(to->sun_path))
		return problem(-ENOENT, "not a service: no NOTIFY_SOCKET");
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, path, strlen(path));
	if (path[0] == '@')
		to->sun_path[0] = '\0';
	*len = offsetof(struct sockaddr_un, sun_path) + strlen(path);

	return 0;
}

static int send_fd(const char *text, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} control = { };
	struct iovec iov = { (void *)text, strlen(text) };
	struct sockaddr_un to = { };
	struct msghdr msg = {
		.msg_name = &to,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int sock, err = notify_address(&to, &msg.msg_namelen);

	if (err)
		return err;
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));

	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || sendmsg(sock, &msg, 0) < 0)
		err = problem(-errno, "notify: %m");
	close(sock);

	return err;
}

DEFINE_STEP(store, (const char *name), (name), "store %s", name)
{
	int fd = fd_find(name);

	return fd < 0 ? fd : send_fd(textf("FDSTORE=1\nFDNAME=%s", name), fd);
}

/*
 * Checks that the link in /proc and the ioctl have the same name, of @len bytes
 * unless that is 0.
 */
DEFINE_STEP(session_name, (const char *session, size_t len), (session, len),
	    "session-name %s %zu", session, len)
{
	struct liveupdate_session_get_name arg = { .size = sizeof(arg) };
	static const char prefix[] = "anon_inode:[luo_session] ";
	char path[64], link[256] = "", *name = (char *)arg.name;
	int fd = fd_find(session);

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) < 0 ||
	    ioctl(fd, LIVEUPDATE_SESSION_GET_NAME, &arg))
		return problem(-errno, "no name: %m");
	note("session %s", name);
	if (strncmp(link, prefix, strlen(prefix)) ||
	    strcmp(link + strlen(prefix), name))
		return problem(-EIO, "%s is a link to '%s'", path, link);
	if (len && strlen(name) != len)
		return problem(-EIO, "the name has %zu bytes", strlen(name));

	return 0;
}

/* A descriptor that no kernel can preserve. */
DEFINE_STEP(make_socket, (const char *name), (name), "socket %s", name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? problem(-errno, "socket: %m") : fd_add(name, fd);
}
