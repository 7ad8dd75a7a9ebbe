// SPDX-License-Identifier: GPL-2.0
/*
 * Incoming sessions and their files when the session is closed, when its holder
 * exits, when a file is preserved again, and at the next kexec; and the
 * contracts with file handlers and FLBs.
 */

#include "witness.h"

#include <kernel/liveupdate/kexec_handover_internal.h>

#define SIZE		(6 * PAGE_SIZE)
#define FILES		3

/* A session "a" with memfds under tokens 1, 2, 3. */
static void leave_files(struct kunit *test)
{
	int session = agent_create(sim_open_device(), "a");

	for (int token = 1; token <= FILES; token++)
		KUNIT_ASSERT_EQ(test, agent_preserve(session, token,
						     agent_memfd(SIZE, 0, 0, token)), 0);
}

/* The device of the next kernel. */
static int hop(struct kunit *test)
{
	leave_files(test);
	agent_kexec(test);
	return sim_open_device();
}

static int retrieve(struct kunit *test, int session, int token)
{
	int fd = agent_get(session, token);

	KUNIT_ASSERT_TRUE_MSG(test, agent_memfd_is(fd, SIZE, 0, token), "token %d", token);
	return fd;
}

static void exit_holder(int session)
{
	sim_task.flags |= PF_EXITING;
	sim_close(session);
	sim_task.flags &= ~PF_EXITING;
}

/* As in 7.3, closing a session finishes it if all its files were retrieved. */
static void luo_close_test_all_retrieved(struct kunit *test)
{
	int dev = hop(test), session = agent_retrieve(dev, "a"), fd[FILES + 1];

	for (int token = 1; token <= FILES; token++)
		fd[token] = retrieve(test, session, token);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);

	/* The files can be preserved for the next kernel immediately. */
	session = agent_create(dev, "a");
	for (int token = 1; token <= FILES; token++)
		KUNIT_EXPECT_EQ(test, agent_preserve(session, token, fd[token]), 0);
	agent_kexec(test);
	session = agent_retrieve(sim_open_device(), "a");
	for (int token = 1; token <= FILES; token++)
		retrieve(test, session, token);
}

static void luo_close_test_not_all_retrieved(struct kunit *test)
{
	int dev = hop(test), session = agent_retrieve(dev, "a");
	int fd = retrieve(test, session, 2);

	sim_close(session);
	session = agent_create(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), 0);

	/*
	 * The other files are still in the session, and their memory cannot be
	 * released.
	 */
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	session = agent_retrieve(dev, "a");
	KUNIT_ASSERT_GE(test, session, 0);
	KUNIT_EXPECT_EQ(test, agent_get(session, 2), -ENOENT);
	retrieve(test, session, 1);
	retrieve(test, session, 3);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
}

static void luo_close_test_none_retrieved(struct kunit *test)
{
	int dev = hop(test), session;

	sim_close(agent_retrieve(dev, "a"));
	session = agent_retrieve(dev, "a");
	KUNIT_ASSERT_GE(test, session, 0);
	for (int token = 1; token <= FILES; token++)
		retrieve(test, session, token);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	/* The records of the files were read once. */
	KUNIT_EXPECT_FALSE(test, sim_logged("files are lost"));
}

static const struct gone {
	const char *name;
	unsigned int flags;
} gone[] = {
	{ "exits", PF_EXITING },
	{ "sent it and exited", PF_KTHREAD },
};

KUNIT_ARRAY_PARAM_DESC(gone, gone, name);

/* The next holder gets the same open file as the previous one. */
static void luo_close_test_holder(struct kunit *test)
{
	const struct gone *g = test->param_value;
	int dev = hop(test), session = agent_retrieve(dev, "a");
	struct file *before, *after;
	int fd = retrieve(test, session, 1);

	before = fget(fd);
	sim_close(fd);
	sim_task.flags = g->flags;
	sim_close(session);
	sim_task.flags = 0;

	session = agent_retrieve(dev, "a");
	KUNIT_ASSERT_GE(test, session, 0);
	for (int token = 1; token <= FILES; token++)
		fd = retrieve(test, session, token);
	after = fget(agent_get(session, 1));
	KUNIT_EXPECT_PTR_EQ(test, before, after);
	fput(before);
	fput(after);
}

/*
 * All files are still in the session: closing a session only removes files that
 * were retrieved by the holder that closes it.
 */
static void expect_all_left(struct kunit *test, int dev)
{
	int session = agent_retrieve(dev, "a");

	KUNIT_ASSERT_GE(test, session, 0);
	for (int token = 1; token <= FILES; token++)
		retrieve(test, session, token);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
}

/* After the holder has exited, a tool retrieves the session and closes it. */
static void luo_close_test_look(struct kunit *test)
{
	int dev = hop(test), session = agent_retrieve(dev, "a");
	int fd = retrieve(test, session, 1);

	exit_holder(session);
	sim_close(fd);
	sim_close(agent_retrieve(dev, "a"));
	expect_all_left(test, dev);
}

/* Copying the new descriptor to user space fails, which closes the session. */
static void luo_close_test_efault_session(struct kunit *test)
{
	struct liveupdate_ioctl_retrieve_session get = { .size = sizeof(get), .name = "a" };
	int dev = hop(test), session = agent_retrieve(dev, "a");
	int fd = retrieve(test, session, 1);

	exit_holder(session);
	sim_close(fd);
	sim_user = SIM_USER_UNWRITABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &get),
			-EFAULT);
	sim_user = SIM_USER_GOOD;
	expect_all_left(test, dev);
}

static void luo_close_test_efault_file(struct kunit *test)
{
	struct liveupdate_session_retrieve_fd get = { .size = sizeof(get), .token = 1 };
	int dev = hop(test), session = agent_retrieve(dev, "a");

	sim_user = SIM_USER_UNWRITABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &get),
			-EFAULT);
	sim_user = SIM_USER_GOOD;
	sim_close(session);
	expect_all_left(test, dev);
}

/*
 * A retrieved file of a parked session can be preserved by the user that still
 * has it open.
 */
static void luo_close_test_preserve_parked(struct kunit *test)
{
	int dev = hop(test), in = agent_retrieve(dev, "a"), out;
	int fd = retrieve(test, in, 1), other = retrieve(test, in, 2);

	/* As long as the session has a holder, the file cannot be preserved. */
	out = agent_create(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), -EBUSY);
	exit_holder(in);
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 3, fd), -EBUSY);

	in = agent_retrieve(dev, "a");
	KUNIT_EXPECT_EQ(test, agent_get(in, 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 2, other), -EBUSY);
	retrieve(test, in, 2);
	retrieve(test, in, 3);
	KUNIT_EXPECT_EQ(test, agent_finish(in), 0);

	agent_kexec(test);
	in = agent_retrieve(sim_open_device(), "b");
	retrieve(test, in, 1);
}

/* Preserving the last file of a parked session frees the session. */
static void luo_close_test_preserve_last_parked(struct kunit *test)
{
	int dev = hop(test), in = agent_retrieve(dev, "a"), out = agent_create(dev, "b");
	int fd[FILES + 1];

	for (int token = 1; token <= FILES; token++)
		fd[token] = retrieve(test, in, token);
	exit_holder(in);
	for (int token = 1; token <= FILES; token++)
		KUNIT_EXPECT_EQ(test, agent_preserve(out, token, fd[token]), 0);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("not finished"));
}

/* The records of other sessions stay. */
static void luo_close_test_preserve_not_last_parked(struct kunit *test)
{
	int dev = sim_open_device(), session, fd;

	KUNIT_ASSERT_EQ(test, agent_preserve(agent_create(dev, "a"), 1,
					     agent_memfd(SIZE, 0, 0, 1)), 0);
	KUNIT_ASSERT_GE(test, agent_create(dev, "b"), 0);
	agent_kexec(test);
	dev = sim_open_device();
	session = agent_retrieve(dev, "a");
	fd = retrieve(test, session, 1);
	exit_holder(session);
	KUNIT_EXPECT_EQ(test, agent_preserve(agent_create(dev, "c"), 1, fd), 0);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	sim_close(agent_retrieve(dev, "b"));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* The next kexec logs the sessions that are lost. */
static void luo_close_test_kexec_names_lost(struct kunit *test)
{
	int dev, session;

	hop(test);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test,
			  sim_logged("session 'a': not finished before kexec, 3 files are lost"));

	sim_boot_cold();
	dev = hop(test);
	session = agent_retrieve(dev, "a");
	retrieve(test, session, 1);
	sim_close(session);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test,
			  sim_logged("session 'a': not finished before kexec, 2 files are lost"));

	sim_boot_cold();
	dev = hop(test);
	session = agent_retrieve(dev, "a");
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("not finished"));
}

/*
 * The next kexec also logs lost sessions whose records were not read, because no
 * agent has opened the device.
 */
static void luo_close_test_kexec_names_unread(struct kunit *test)
{
	leave_files(test);
	agent_kexec(test);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test,
			  sim_logged("session 'a': not finished before kexec, 3 files are lost"));
}

/* Names are written by user space. */
static void luo_close_test_name_is_escaped(struct kunit *test)
{
	KUNIT_ASSERT_GE(test, agent_create(sim_open_device(), "x\nKHO: all is well"), 0);
	agent_kexec(test);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("session 'x\\012KHO: all is well': not"));
}

/*
 * Number of objects that are left after the files of a session were preserved
 * again; the session was parked or closed.
 */
static long objects_when_preserved(struct kunit *test, bool parked)
{
	int dev, in, out, fd[FILES + 1];

	sim_boot_cold();
	dev = hop(test);
	in = agent_retrieve(dev, "a");
	for (int token = 1; token <= FILES; token++)
		fd[token] = retrieve(test, in, token);
	if (parked)
		exit_holder(in);
	else
		sim_close(in);
	out = agent_create(dev, "b");
	for (int token = 1; token <= FILES; token++)
		KUNIT_EXPECT_EQ(test, agent_preserve(out, token, fd[token]), 0);
	sim_close(out);
	for (int token = 1; token <= FILES; token++)
		sim_close(fd[token]);
	return sim_balance().objects;
}

static void luo_close_test_preserve_parked_frees(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, objects_when_preserved(test, true),
			objects_when_preserved(test, false));
}

/* Without sessions, unclaimed memory can be released. */
static void luo_close_test_no_sessions(struct kunit *test)
{
	agent_kexec(test);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/*
 * If LUO fails to initialize, no session can be retrieved, so unclaimed memory
 * can be released.
 */
static void luo_close_test_not_set_up(struct kunit *test)
{
	unsigned int failures = 0;
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		struct sim_handover h;
		bool booted;

		sim_boot_cold();
		leave_files(test);
		KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
		h = sim_kexec();
		sim_log_clear();
		sim_fail_nth(n);
		booted = sim_boot_warm(&h);
		failed = sim_failed();
		sim_fail_nth(0);
		if (!booted || !sim_logged("Retrieved live update data") ||
		    !sim_logged("failed to initialize"))
			continue;
		failures++;
		KUNIT_EXPECT_EQ_MSG(test, kho_unclaimed_release(), 0, "n = %lu", n);
	}
	KUNIT_EXPECT_GE(test, failures, 2);
}

/* Contracts with handlers. */

/*
 * Returns the device of the next kernel, in which session "a" has a file.
 * @there: its handler is registered.
 */
static int witness_hop(struct kunit *test, bool there)
{
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(agent_create(sim_open_device(), "a"), 1,
					     witness_open(0, 1)), 0);
	agent_kexec(test);
	witness_reset();
	if (there)
		KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	return sim_open_device();
}

static const struct verdict {
	const char *name;
	int err;
	bool retry;
} verdicts[] = {
	/* In 7.3, retrieve() is not called again after an error. */
	{ "7.3, no memory", -ENOMEM, false },
	{ "7.3, busy", -EBUSY, false },
	{ "7.3, damaged", -EIO, false },
	{ "no memory", -ENOMEM, true },
	{ "no permission", -EACCES, true },
};

KUNIT_ARRAY_PARAM_DESC(verdict, verdicts, name);

static void luo_close_test_retry(struct kunit *test)
{
	const struct verdict *v = test->param_value;
	int session = agent_retrieve(witness_hop(test, true), "a");

	witness_retry = v->retry;
	witness_fail("retrieve 1", v->err);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), v->err);
	if (v->retry) {
		KUNIT_EXPECT_GE(test, agent_get(session, 1), 0);
		KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;retrieve 1;");
	} else {
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), v->err);
		KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;");
	}
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 1;");
	KUNIT_EXPECT_EQ(test, witness_status, v->retry ? 1 : v->err);
}

/*
 * A session is finished when it is closed, although a file of it has failed
 * permanently.
 */
static void luo_close_test_failed_leaves(struct kunit *test)
{
	int session = agent_retrieve(witness_hop(test, true), "a");

	witness_fail("retrieve 1", -EIO);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EIO);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;finish 1;");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* A handler that refuses to finish keeps its file in the session. */
static void luo_close_test_cannot_finish(struct kunit *test)
{
	int dev = witness_hop(test, true), session = agent_retrieve(dev, "a"), out;
	int fd = agent_get(session, 1);

	witness_busy = true;
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	sim_close(session);
	out = agent_create(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), -EBUSY);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;");

	witness_busy = false;
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 1;preserve 1;");
}

/* A session cannot be finished while one of its files has no handler. */
static void luo_close_test_orphan(struct kunit *test)
{
	int session = agent_retrieve(witness_hop(test, false), "a");

	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	KUNIT_EXPECT_TRUE(test, sim_logged("failed to finish, no handler for 'unit-witness-v1'"));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);

	/* The module of the handler may be loaded later. */
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_EXPECT_GE(test, agent_get(session, 1), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
}

static void luo_close_test_orphan_forced(struct kunit *test)
{
	int session = agent_retrieve(witness_hop(test, false), "a");

	KUNIT_EXPECT_EQ(test, agent_finish_force(session), 0);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/*
 * After unfreeze(), the callbacks get the data of preserve() again; witness.c
 * checks that.
 */
static void luo_close_test_frozen_data(struct kunit *test)
{
	int dev = sim_open_device(), a = agent_create(dev, "a"), b = agent_create(dev, "b");

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(a, 1, witness_open(0, 1)), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(b, 1, witness_open(0, 2)), 0);

	witness_fail("freeze 2", -EAGAIN);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EAGAIN);
	sim_close(a);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "preserve 1;preserve 2;freeze 1;freeze 2;unfreeze 1;unpreserve 1;");

	agent_kexec(test);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "freeze 2;");
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	b = agent_retrieve(sim_open_device(), "b");
	KUNIT_EXPECT_EQ(test, witness_nr(agent_get(b, 1)), 2);
}

static unsigned long shared_id;

static unsigned long get_shared_id(struct file *file)
{
	return shared_id;
}

/* Handlers may return the same ID for different objects. */
static void luo_close_test_ids_of_handlers(struct kunit *test)
{
	int session = agent_create(sim_open_device(), "a");
	int memfd = agent_memfd(SIZE, 0, 0, 1);

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	shared_id = (unsigned long)agent_inode(memfd);
	witness[0].ops.get_id = get_shared_id;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, witness_open(0, 1)), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, witness_open(0, 2)), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 3, memfd), 0);
	witness[0].ops.get_id = NULL;
}

/*
 * An FLB must not be registered while files of the handler are preserved: the
 * next kernel would count those files, too.
 */
static void luo_close_test_flb_registered_late(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a");

	witness_reset();
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), -EINVAL);
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 1)), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), -EBUSY);
	/* The other handler has no preserved file. */
	KUNIT_ASSERT_EQ(test, witness_register(1), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(&witness[1].fh, witness_flb), 0);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "preserve 1;unpreserve 1;");

	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), 0);
	session = agent_create(dev, "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 2)), 0);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "flb-preserve x;preserve 2;unpreserve 2;flb-unpreserve x;");
}

#define STAYS	"'unit-x-v1': stays registered, files of 'unit-witness-v1' are preserved"

/* An FLB stays registered as long as files of the handler are preserved. */
static void luo_close_test_flb_unregistered_early(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a");

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 1)), 0);
	liveupdate_unregister_flb(&witness[0].fh, witness_flb);
	KUNIT_EXPECT_TRUE(test, sim_logged(STAYS));
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 2, witness_open(0, 2)), 0);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "flb-preserve x;preserve 1;preserve 2;unpreserve 2;unpreserve 1;flb-unpreserve x;");

	liveupdate_unregister_flb(&witness[0].fh, witness_flb);
	session = agent_create(dev, "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 3, witness_open(0, 3)), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "preserve 3;");
}

/* For incoming files, an FLB can be registered and unregistered at any time. */
static void luo_close_test_flb_registered_incoming(struct kunit *test)
{
	int session = agent_retrieve(witness_hop(test, true), "a");

	KUNIT_ASSERT_GE(test, agent_get(session, 1), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;finish 1;");
	liveupdate_unregister_flb(&witness[0].fh, witness_flb);
	KUNIT_EXPECT_FALSE(test, sim_logged("stays registered"));
}

/*
 * Returns the device of the next kernel, in which FLB "x" could not be
 * retrieved when the last file that needs it was finished.
 */
static int flb_hop(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a");

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 1)), 0);
	agent_kexec(test);
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb), 0);
	dev = sim_open_device();
	session = agent_retrieve(dev, "a");

	witness_retry = true;
	witness_fail("flb-retrieve x", -ENOMEM);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 1;flb-retrieve x;");
	KUNIT_EXPECT_TRUE(test,
			  sim_logged("FLB 'unit-x-v1': failed to retrieve, waiting for a retry"));
	witness_fail("flb-retrieve x", -ENOMEM);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve x;");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	return dev;
}

/* Opening the device makes the next attempt to retrieve the FLB. */
static void luo_close_test_flb_retry(struct kunit *test)
{
	sim_close(flb_hop(test));
	sim_close(sim_open_device());
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve x;flb-finish x;");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	sim_close(sim_open_device());
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
}

/* A user of the FLB makes the next attempt, too. */
static void luo_close_test_flb_retry_get(struct kunit *test)
{
	void *obj;

	sim_close(flb_hop(test));
	KUNIT_ASSERT_EQ(test, liveupdate_flb_get_incoming(witness_flb, &obj), 0);
	KUNIT_EXPECT_PTR_EQ(test, obj, witness_flb);
	sim_close(sim_open_device());
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve x;");
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	liveupdate_flb_put_incoming(witness_flb);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-finish x;");
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(witness_flb, &obj), -ENODATA);
}

static struct kunit_case luo_close_cases[] = {
	KUNIT_CASE(luo_close_test_all_retrieved),
	KUNIT_CASE(luo_close_test_not_all_retrieved),
	KUNIT_CASE(luo_close_test_none_retrieved),
	KUNIT_CASE_PARAM(luo_close_test_holder, gone_gen_params),
	KUNIT_CASE(luo_close_test_look),
	KUNIT_CASE(luo_close_test_efault_session),
	KUNIT_CASE(luo_close_test_efault_file),
	KUNIT_CASE(luo_close_test_preserve_parked),
	KUNIT_CASE(luo_close_test_preserve_last_parked),
	KUNIT_CASE(luo_close_test_preserve_not_last_parked),
	KUNIT_CASE(luo_close_test_kexec_names_lost),
	KUNIT_CASE(luo_close_test_kexec_names_unread),
	KUNIT_CASE(luo_close_test_name_is_escaped),
	KUNIT_CASE(luo_close_test_preserve_parked_frees),
	KUNIT_CASE(luo_close_test_no_sessions),
	KUNIT_CASE(luo_close_test_not_set_up),
	KUNIT_CASE_PARAM(luo_close_test_retry, verdict_gen_params),
	KUNIT_CASE(luo_close_test_failed_leaves),
	KUNIT_CASE(luo_close_test_cannot_finish),
	KUNIT_CASE(luo_close_test_orphan),
	KUNIT_CASE(luo_close_test_orphan_forced),
	KUNIT_CASE(luo_close_test_frozen_data),
	KUNIT_CASE(luo_close_test_ids_of_handlers),
	KUNIT_CASE(luo_close_test_flb_registered_late),
	KUNIT_CASE(luo_close_test_flb_unregistered_early),
	KUNIT_CASE(luo_close_test_flb_registered_incoming),
	KUNIT_CASE(luo_close_test_flb_retry),
	KUNIT_CASE(luo_close_test_flb_retry_get),
	{}
};

static struct kunit_suite luo_close_suite = {
	.name = "unit-luo-close",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_close_cases,
};

kunit_test_suite(luo_close_suite);
