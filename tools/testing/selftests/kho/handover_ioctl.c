// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that call every ioctl of /dev/liveupdate in every state of a session,
 * with valid and invalid arguments, and compare the errors with "LUO ioctl
 * Interface" in kernel/liveupdate/luo_core.c.
 */

#include "handover.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <linux/liveupdate.h>

#define TAIL	8	/* bytes that a later kernel may have added to a structure */

union luo_arg {
	u32 size;
	struct liveupdate_ioctl_create_session create;
	struct liveupdate_ioctl_retrieve_session get;
	struct liveupdate_session_preserve_fd preserve;
	struct liveupdate_session_retrieve_fd retrieve;
	struct liveupdate_session_finish finish;
	struct liveupdate_session_get_name name;
	u8 bytes[128];
};

enum { CREATE, GET, PRESERVE, RETRIEVE, FINISH, NAME };

#define SIZE(member)	sizeof(((union luo_arg *)NULL)->member)

/* A short name for each ioctl, and the size of its structure. */
static const struct luo_ioctl {
	const char *name;
	unsigned int cmd;
	size_t size;
} ioctls[] = {
	[CREATE] = { "CREATE_SESSION", LIVEUPDATE_IOCTL_CREATE_SESSION, SIZE(create) },
	[GET] = { "RETRIEVE_SESSION", LIVEUPDATE_IOCTL_RETRIEVE_SESSION, SIZE(get) },
	[PRESERVE] = { "PRESERVE_FD", LIVEUPDATE_SESSION_PRESERVE_FD, SIZE(preserve) },
	[RETRIEVE] = { "RETRIEVE_FD", LIVEUPDATE_SESSION_RETRIEVE_FD, SIZE(retrieve) },
	[FINISH] = { "FINISH", LIVEUPDATE_SESSION_FINISH, SIZE(finish) },
	[NAME] = { "GET_NAME", LIVEUPDATE_SESSION_GET_NAME, SIZE(name) },
};

/* A row of the table; fields that an ioctl does not use are not set. */
struct call {
	const char *state;
	int nr;			/* of ioctls[] */
	const char *name;	/* of a session; NULL: without a terminating 0 */
	u64 number;	/* token, or reserved field */
	int fd;
	int want;		/* 0 or errno */
};

static union luo_arg arg_of(const struct call *call)
{
	union luo_arg arg = { };

	switch (call->nr) {
	case CREATE:
	case GET:
		/* Both ioctls have the name at the same offset. */
		if (call->name)
			snprintf((char *)arg.get.name, sizeof(arg.get.name),
				 "%s", call->name);
		else
			memset(arg.get.name, 'x', sizeof(arg.get.name));
		break;
	case PRESERVE:
		arg.preserve.fd = call->fd;
		arg.preserve.token = call->number;
		break;
	case RETRIEVE:
		arg.retrieve.token = call->number;
		break;
	case FINISH:
		arg.finish.reserved = call->number;
		break;
	case NAME:
		arg.name.reserved = call->number;
		break;
	}
	arg.size = ioctls[call->nr].size;

	return arg;
}

/* The number of the next descriptor, which shows whether one was leaked. */
static int lowest_fd(void)
{
	int fd = dup(0);

	close(fd);

	return fd;
}

/* A call that fails changes neither its argument nor the open descriptors. */
static int expect_call(int fd, const struct call *call, const char *how,
		       unsigned int cmd, union luo_arg *arg, int want)
{
	const char *name = ioctls[call->nr].name;
	union luo_arg before = *arg;
	int lowest = lowest_fd();
	int err = ioctl(fd, cmd, arg) ? errno : 0;

	if (err != want)
		return problem(-EIO, "%s, %s, %s: %s instead of %s",
			       call->state, name, how, strerrorname_np(err),
			       strerrorname_np(want));
	if (err && memcmp(arg, &before, sizeof(before)))
		return problem(-EIO, "%s, %s, %s: changes its argument",
			       call->state, name, how);
	if (err && lowest_fd() != lowest)
		return problem(-EIO, "%s, %s, %s: leaves a descriptor",
			       call->state, name, how);

	return 0;
}

/*
 * Passes bad pointers: NULL, unmapped memory, and the end of a page, so that
 * only the size can be read.
 */
static int expect_fault(int fd, const struct call *call)
{
	size_t size = ioctls[call->nr].size;
	u32 *end;
	u8 *page;
	int err = 0;

	page = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	munmap(page + page_size, page_size);
	end = (u32 *)(page + page_size) - 1;
	*end = size;

	for (int i = 0; i < 3 && !err; i++) {
		void *bad = i == 0 ? NULL : i == 1 ? page + page_size : (void *)end;

		if (!ioctl(fd, ioctls[call->nr].cmd, bad) || errno != EFAULT)
			err = problem(-EIO, "%s, %s: bad pointer %d: %s",
				      call->state, ioctls[call->nr].name, i,
				      strerror(errno));
	}
	munmap(page, page_size);

	return err;
}

/* Malformed calls, which must fail without an effect. */
static int expect_malformed(int fd, const struct call *call)
{
	unsigned int cmd = ioctls[call->nr].cmd, nr = _IOC_NR(cmd);
	size_t size = ioctls[call->nr].size;
	const struct {
		const char *how;
		unsigned int cmd;
		size_t size;
		bool dirty;
		int want;
	} wrong[] = {
		{ "other type", _IO(LIVEUPDATE_IOCTL_TYPE + 1, nr), size, 0,
		  ENOTTY },
		{ "with direction", _IOWR(LIVEUPDATE_IOCTL_TYPE, nr, u64),
		  size, 0, ENOTTY },
		{ "size of 0", cmd, 0, 0, EINVAL },
		{ "size of 4", cmd, 4, 0, EINVAL },
		{ "size too small", cmd, size - 1, 0, EINVAL },
		{ "tail not zero", cmd, size + TAIL, 1, E2BIG },
		{ "size too large", cmd, page_size, 1, E2BIG },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		union luo_arg arg = arg_of(call);
		int err;

		arg.size = wrong[i].size;
		if (wrong[i].dirty)
			arg.bytes[size + TAIL - 1] = 1;
		err = expect_call(fd, call, wrong[i].how, wrong[i].cmd, &arg,
				  wrong[i].want);
		if (err)
			return err;
	}

	return expect_fault(fd, call);
}

/* Returns the new descriptor, or 0 if the ioctl does not return one. */
static int expect_right(int fd, const struct call *call, size_t tail)
{
	union luo_arg arg = arg_of(call);
	int err;

	arg.size += tail;
	err = expect_call(fd, call, tail ? "zero tail" : "plain",
			  ioctls[call->nr].cmd, &arg, call->want);
	if (err || call->want)
		return err;
	if (call->nr == NAME && strcmp((char *)arg.name.name, call->name))
		return problem(-EIO, "%s: the name is '%.64s', expected '%s'",
			       call->state, arg.name.name, call->name);

	return call->nr == CREATE || call->nr == GET ? arg.get.fd :
	       call->nr == RETRIEVE ? arg.retrieve.fd : 0;
}

/* First all malformed variants, then a call with trailing zeroes, which is valid. */
static int expect(int fd, struct call call)
{
	return expect_malformed(fd, &call) ?: expect_right(fd, &call, TAIL);
}

/* The same, and closes the new descriptor. */
static int expect_close(int fd, struct call call)
{
	int new = expect(fd, call);

	if (new > 0)
		close(new);

	return new < 0 ? new : 0;
}

static int expect_all(int fd, const struct call *calls, unsigned int nr)
{
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++)
		err = expect_close(fd, calls[i]);

	return err;
}

/* An unknown ioctl, and one for the other kind of descriptor. */
static int expect_unknown(int fd, const char *state, bool device)
{
	const struct call call = { .state = state, .nr = device ? NAME : GET };
	union luo_arg arg = arg_of(&call);

	return expect_call(fd, &call, "on the wrong descriptor", ioctls[call.nr].cmd,
			   &arg, EINVAL) ?:
	       expect_call(fd, &call, "unknown number",
			   _IO(LIVEUPDATE_IOCTL_TYPE, 0x7f), &arg, EINVAL);
}

static int expect_busy_device(void)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return problem(-EIO, "the device can be opened twice");
	}

	return errno == EBUSY ? 0 : problem(-errno, "second open: %m");
}

static int table_new(int session, int memfd, int other, int pipe)
{
	static const char state[] = "new";
	const struct call calls[] = {
		{ state, PRESERVE, NULL, 7, memfd, 0 },
		{ state, PRESERVE, NULL, 7, other, EEXIST },
		{ state, PRESERVE, NULL, 8, memfd, EBUSY },
		{ state, PRESERVE, NULL, 9, 1 << 20, EBADF },
		{ state, PRESERVE, NULL, 9, -1, EBADF },
		{ state, PRESERVE, NULL, 9, pipe, ENOENT },
		{ state, PRESERVE, NULL, 9, session, ENOENT },
		{ state, RETRIEVE, NULL, 7, 0, EINVAL },
		{ state, FINISH, NULL, 0, 0, EINVAL },
		{ state, FINISH, NULL, 2, 0, EINVAL },
		{ state, NAME, "table", 1, 0, EINVAL },
		{ state, NAME, "table", 0, 0, 0 },
		{ state, PRESERVE, NULL, 0, other, 0 },
	};

	return expect_all(session, calls, ARRAY_SIZE(calls)) ?:
	       expect_unknown(session, state, false);
}

static int table_device_new(int dev)
{
	static const char state[] = "device";
	const struct call calls[] = {
		{ state, CREATE, "table", 0, 0, EEXIST },
		{ state, CREATE, "", 0, 0, EINVAL },
		{ state, CREATE, NULL, 0, 0, EINVAL },
		{ state, GET, "", 0, 0, ENOENT },
		{ state, GET, NULL, 0, 0, ENOENT },
		{ state, GET, "table", 0, 0, ENOENT },
		{ state, GET, "unknown", 0, 0, ENOENT },
	};

	return expect_all(dev, calls, ARRAY_SIZE(calls)) ?:
	       expect_unknown(dev, state, true) ?:
	       expect_busy_device();
}

/* Closing unpreserves everything: name and file can be used again. */
static int table_closed(int dev, int memfd)
{
	const struct call create = { "closed", CREATE, "table" };
	const struct call take = { "closed", PRESERVE, NULL, 7, memfd };
	int session = expect(dev, create), err;

	if (session < 0)
		return session;
	err = expect_close(session, take);
	close(session);

	return err;
}

DEFINE_STEP(table_new, (void), (), "table-new")
{
	const struct call create = { "device", CREATE, "table" };
	int dev = luo_device(), session, memfd, other, pipes[2], err;

	if (dev < 0 || pipe(pipes))
		return problem(-EIO, "no device or no pipe");
	memfd = seeded_make("one", 5000, 1);
	other = seeded_make("other", 5000, 2);
	session = expect(dev, create);
	if (session < 0)
		return session;

	err = table_device_new(dev) ?: table_new(session, memfd, other, pipes[0]);
	close(session);
	if (!err)
		err = table_closed(dev, memfd);
	close(memfd);
	close(other);
	close(pipes[0]);
	close(pipes[1]);

	return err;
}

static int table_held(int dev, int session, const char *name, u64 token)
{
	static const char state[] = "held";
	int memfd = seeded_make("new", 100, 1);
	const struct call calls[] = {
		{ state, PRESERVE, NULL, 99, memfd, EINVAL },
		{ state, RETRIEVE, NULL, token, 0, 0 },
		{ state, RETRIEVE, NULL, token, 0, 0 },
		{ state, RETRIEVE, NULL, ~token, 0, ENOENT },
		{ state, FINISH, NULL, 2, 0, EINVAL },
		{ state, NAME, name, 1, 0, EINVAL },
		{ state, NAME, name, 0, 0, 0 },
	};
	const struct call again = { state, GET, name, 0, 0, EINVAL };
	const struct call create = { state, CREATE, name };
	int err = expect_all(session, calls, ARRAY_SIZE(calls));

	close(memfd);

	/* Incoming and outgoing sessions are independent. */
	return err ?: expect_unknown(session, state, false) ?:
	       expect_close(dev, again) ?: expect_close(dev, create);
}

static int table_finished(int dev, int session, const char *name, u64 token)
{
	static const char state[] = "finished";
	int memfd = seeded_make("new", 100, 1);
	const struct call calls[] = {
		{ state, FINISH, NULL, 0, 0, 0 },
		{ state, PRESERVE, NULL, 99, memfd, EINVAL },
		{ state, RETRIEVE, NULL, token, 0, ENOENT },
		{ state, FINISH, NULL, 0, 0, 0 },
		{ state, FINISH, NULL, 2, 0, EINVAL },
		{ state, NAME, name, 0, 0, 0 },
	};
	const struct call again = { state, GET, name, 0, 0, EINVAL };
	int err = expect_all(session, calls, ARRAY_SIZE(calls));

	close(memfd);

	return err ?: expect_close(dev, again);
}

static int table_parked(int dev, const char *name, u64 token, bool end)
{
	const struct call get = { "parked", GET, name };
	int session = expect(dev, get), err;

	if (session < 0)
		return session;
	err = table_held(dev, session, name, token);
	if (err || !end)
		return err;
	err = table_finished(dev, session, name, token);
	close(session);

	return err;
}

/* The holder exits, which parks the session with all its files. */
static int table_exits(int dev, const char *name, u64 token)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(table_parked(dev, name, token, false) ? EXIT_FAILURE :
							      EXIT_SUCCESS);
	if (pid < 0)
		return problem(-errno, "fork: %m");
	waitpid(pid, &status, 0);

	return status ? problem(-EIO, "status %#x of the holder", status) : 0;
}

/* Retrieves a parked session, parks it, retrieves it again, and finishes it. */
DEFINE_STEP(table_incoming, (const char *session, u64 token), (session, token),
	    "table-incoming %s %llu", session, token)
{
	const struct call gone = { "ended", GET, session, 0, 0, ENOENT };
	int dev = luo_device(), err = 0;

	if (dev < 0)
		return problem(dev, "/dev/liveupdate: %m");
	for (int round = 0; round < 2 && !err; round++)
		err = table_exits(dev, session, token);
	if (!err)
		err = table_parked(dev, session, token, true);

	return err ?: expect_close(dev, gone);
}

/*
 * A call that returns a result, with an argument that cannot be written, fails
 * without an effect.
 */
static int unwritable(int fd, struct call call)
{
	union luo_arg *arg = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int lowest = lowest_fd(), err;

	if (arg == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	*arg = arg_of(&call);
	mprotect(arg, page_size, PROT_READ);
	err = ioctl(fd, ioctls[call.nr].cmd, arg) ? errno : 0;
	munmap(arg, page_size);

	if (err != EFAULT)
		return problem(-EIO, "%s: %s instead of EFAULT",
			       ioctls[call.nr].name, strerrorname_np(err));
	if (lowest_fd() != lowest)
		return problem(-EIO, "%s: leaves a descriptor",
			       ioctls[call.nr].name);

	return 0;
}

static int unwritable_device(const char *session, int nr)
{
	int dev = luo_device();

	if (dev < 0)
		return problem(dev, "/dev/liveupdate: %m");

	return unwritable(dev, (struct call){ .nr = nr, .name = session });
}

static int unwritable_session(const char *name, struct call call)
{
	int session = fd_find(name);

	return session < 0 ? session : unwritable(session, call);
}

DEFINE_STEP_AS(unwritable_new, (const char *session),
	       unwritable_device(session, CREATE), "unwritable-new %s", session)
DEFINE_STEP_AS(unwritable_get, (const char *session), unwritable_device(session, GET),
	       "unwritable-get %s", session)
DEFINE_STEP_AS(unwritable_name, (const char *session),
	       unwritable_session(session, (struct call){ .nr = NAME }),
	       "unwritable-name %s", session)
DEFINE_STEP_AS(unwritable_retrieve, (const char *session, u64 token),
	       unwritable_session(session,
				  (struct call){ .nr = RETRIEVE, .number = token }),
	       "unwritable-retrieve %s %llu", session, token)
