// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of an incoming session and its files when it is closed, when its
 * holder exits, when a file is preserved again, and at the next kexec; and the
 * contracts with file handlers and FLBs on the way.
 */

#include "agent.h"

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

static void reboot(struct kunit *test)
{
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	h = sim_kexec();
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
}

/* The device of the next kernel. */
static int hop(struct kunit *test)
{
	leave_files(test);
	reboot(test);
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

/* As in 7.3: without a file left, the session is finished. */
static void luo_close_test_all_retrieved(struct kunit *test)
{
	int dev = hop(test), session = agent_retrieve(dev, "a"), fd[FILES + 1];

	for (int token = 1; token <= FILES; token++)
		fd[token] = retrieve(test, session, token);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);

	/* And its files can be preserved for the next kernel at once. */
	session = agent_create(dev, "a");
	for (int token = 1; token <= FILES; token++)
		KUNIT_EXPECT_EQ(test, agent_preserve(session, token, fd[token]), 0);
	reboot(test);
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

	/* The others are still there, and released by nobody else. */
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
}

static const struct gone {
	const char *name;
	unsigned int flags;
} gone[] = {
	{ "exits", PF_EXITING },
	{ "sent it and exited", PF_KTHREAD },
};

KUNIT_ARRAY_PARAM_DESC(gone, gone, name);

/* The next holder gets the same open file as the one that is gone. */
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

/* A file that is left in a parked session can be preserved by its user. */
static void luo_close_test_preserve_parked(struct kunit *test)
{
	int dev = hop(test), in = agent_retrieve(dev, "a"), out;
	int fd = retrieve(test, in, 1), other = retrieve(test, in, 2);

	/* As long as it has a holder, that is the one to decide. */
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

	reboot(test);
	in = agent_retrieve(sim_open_device(), "b");
	retrieve(test, in, 1);
}

/* With the last file goes the session. */
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

/* The next kexec names the sessions that it loses. */
static void luo_close_test_kexec_names_lost(struct kunit *test)
{
	int dev, session;

	hop(test);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("session 'a' of the previous kernel is not finished: its 3 files are lost"));

	sim_boot_cold();
	dev = hop(test);
	session = agent_retrieve(dev, "a");
	retrieve(test, session, 1);
	sim_close(session);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("session 'a' of the previous kernel is not finished: its 2 files are lost"));

	sim_boot_cold();
	dev = hop(test);
	session = agent_retrieve(dev, "a");
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("not finished"));
}

/* Without an agent that opens the device, too. */
static void luo_close_test_kexec_names_unread(struct kunit *test)
{
	leave_files(test);
	reboot(test);
	sim_log_clear();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("session 'a' of the previous kernel is not finished: its 3 files are lost"));
}

/* Names are written by user space. */
static void luo_close_test_name_is_escaped(struct kunit *test)
{
	KUNIT_ASSERT_GE(test, agent_create(sim_open_device(), "x\nKHO: all is well"), 0);
	reboot(test);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("session 'x\\012KHO: all is well' of"));
}

/* A handler of anything that is not shared memory. */

static struct {
	unsigned int retrieved, finished, frozen;
	unsigned int fails_at;	/* which freeze() */
	u64 handed_over, unfrozen, unpreserved;
	unsigned long id;
	int retrieve_err, status;
	bool retry, refuse;
} seen;

static bool thing_can_preserve(struct liveupdate_file_handler *handler, struct file *file)
{
	return !file->f_inode;
}

static int thing_preserve(struct liveupdate_file_op_args *op)
{
	op->serialized_data = 100;
	return 0;
}

static void thing_unpreserve(struct liveupdate_file_op_args *op)
{
	seen.unpreserved = op->serialized_data;
}

static int thing_freeze(struct liveupdate_file_op_args *op)
{
	seen.handed_over = op->serialized_data;
	if (++seen.frozen == seen.fails_at)
		return -EAGAIN;
	op->serialized_data = 200;
	return 0;
}

static void thing_unfreeze(struct liveupdate_file_op_args *op)
{
	seen.unfrozen = op->serialized_data;
}

static int thing_retrieve(struct liveupdate_file_op_args *op)
{
	seen.retrieved++;
	seen.handed_over = op->serialized_data;
	if (seen.retrieve_err) {
		op->retry = seen.retry;
		return seen.retrieve_err;
	}
	op->file = anon_inode_getfile("thing", NULL, NULL, 0);
	return 0;
}

static bool thing_can_finish(struct liveupdate_file_op_args *op)
{
	return !seen.refuse;
}

static void thing_finish(struct liveupdate_file_op_args *op)
{
	seen.finished++;
	seen.status = op->retrieve_status;
}

static unsigned long thing_id(struct file *file)
{
	return seen.id ?: (unsigned long)file;
}

static const struct liveupdate_file_ops thing_ops = {
	.can_preserve = thing_can_preserve,
	.preserve = thing_preserve,
	.unpreserve = thing_unpreserve,
	.freeze = thing_freeze,
	.unfreeze = thing_unfreeze,
	.retrieve = thing_retrieve,
	.can_finish = thing_can_finish,
	.finish = thing_finish,
	.get_id = thing_id,
};

static struct liveupdate_file_handler thing = { .ops = &thing_ops, .compatible = "thing-v1" };

static int new_thing(void)
{
	int fd = get_unused_fd_flags(0);

	fd_install(fd, anon_inode_getfile("thing", NULL, NULL, 0));
	return fd;
}

/* A session "a" with one thing, in the next kernel. */
static int thing_hop(struct kunit *test)
{
	memset(&seen, 0, sizeof(seen));
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(agent_create(sim_open_device(), "a"), 1,
					     new_thing()), 0);
	reboot(test);
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	return agent_retrieve(sim_open_device(), "a");
}

static const struct verdict {
	const char *name;
	int err;
	bool retry;
} verdicts[] = {
	/* In 7.3 no error of retrieve() is followed by another call. */
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
	int session = thing_hop(test);

	seen.retrieve_err = v->err;
	seen.retry = v->retry;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), v->err);
	seen.retrieve_err = 0;
	if (v->retry) {
		KUNIT_EXPECT_GE(test, agent_get(session, 1), 0);
		KUNIT_EXPECT_EQ(test, seen.retrieved, 2);
	} else {
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), v->err);
		KUNIT_EXPECT_EQ(test, seen.retrieved, 1);
	}
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_EQ(test, seen.finished, 1);
	KUNIT_EXPECT_EQ(test, seen.status, v->retry ? 1 : v->err);
}

/* A file that failed permanently does not keep its session. */
static void luo_close_test_failed_leaves(struct kunit *test)
{
	int session = thing_hop(test);

	seen.retrieve_err = -EIO;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EIO);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, seen.finished, 1);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* A handler that refuses to finish keeps its file in the session. */
static void luo_close_test_cannot_finish(struct kunit *test)
{
	int session = thing_hop(test), out;
	int fd = agent_get(session, 1);

	seen.refuse = true;
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, seen.finished, 0);
	out = agent_create(0, "b");
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), -EBUSY);

	seen.refuse = false;
	KUNIT_EXPECT_EQ(test, agent_preserve(out, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, seen.finished, 1);
}

/* Memory of a file without a handler is not given up in passing. */
static void luo_close_test_orphan(struct kunit *test)
{
	int session;

	memset(&seen, 0, sizeof(seen));
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(agent_create(sim_open_device(), "a"), 1,
					     new_thing()), 0);
	reboot(test);
	session = agent_retrieve(sim_open_device(), "a");
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	KUNIT_EXPECT_TRUE(test, sim_logged("cannot be finished: no handler for 'thing-v1'"));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);

	/* Its module may come later. */
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_EXPECT_GE(test, agent_get(session, 1), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
}

static void luo_close_test_orphan_forced(struct kunit *test)
{
	int session;

	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(agent_create(sim_open_device(), "a"), 1,
					     new_thing()), 0);
	reboot(test);
	session = agent_retrieve(sim_open_device(), "a");
	KUNIT_EXPECT_EQ(test, agent_finish_force(session), 0);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* An undone freeze leaves what preserve() made, for the next one or for unpreserve(). */
static void luo_close_test_frozen_data(struct kunit *test)
{
	int dev = sim_open_device(), a = agent_create(dev, "a"), b = agent_create(dev, "b");

	memset(&seen, 0, sizeof(seen));
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(a, 1, new_thing()), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(b, 1, new_thing()), 0);

	seen.fails_at = 2;
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EAGAIN);
	KUNIT_EXPECT_EQ(test, seen.unfrozen, 200);
	sim_close(a);
	KUNIT_EXPECT_EQ(test, seen.unpreserved, 100);

	reboot(test);
	KUNIT_EXPECT_EQ(test, seen.handed_over, 100);
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	b = agent_retrieve(sim_open_device(), "b");
	KUNIT_EXPECT_GE(test, agent_get(b, 1), 0);
	KUNIT_EXPECT_EQ(test, seen.handed_over, 200);
}

/* Two handlers may have the same number for what is behind their files. */
static void luo_close_test_ids_of_handlers(struct kunit *test)
{
	int session = agent_create(sim_open_device(), "a");
	int memfd = agent_memfd(SIZE, 0, 0, 1);
	struct file *file = fget(memfd);

	memset(&seen, 0, sizeof(seen));
	seen.id = (unsigned long)file_inode(file);
	fput(file);
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, new_thing()), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, new_thing()), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 3, memfd), 0);
}

/* FLBs. */

static unsigned int flb_preserved, flb_unpreserved;

static int flb_preserve(struct liveupdate_flb_op_args *op)
{
	flb_preserved++;
	op->data = 1;
	op->obj = &flb_preserved;
	return 0;
}

static void flb_unpreserve(struct liveupdate_flb_op_args *op)
{
	flb_unpreserved++;
}

static int flb_retrieve(struct liveupdate_flb_op_args *op)
{
	op->obj = &flb_preserved;
	return 0;
}

static void flb_finish(struct liveupdate_flb_op_args *op)
{
}

static const struct liveupdate_flb_ops flb_ops = {
	.preserve = flb_preserve,
	.unpreserve = flb_unpreserve,
	.retrieve = flb_retrieve,
	.finish = flb_finish,
};

static struct liveupdate_flb flb = { .ops = &flb_ops, .compatible = "flb-v1" };

/* Files that were preserved before an FLB was registered do not count for it. */
static void luo_close_test_flb_registered_late(struct kunit *test)
{
	int dev = sim_open_device(), a = agent_create(dev, "a"), b = agent_create(dev, "b");

	memset(&seen, 0, sizeof(seen));
	memset(&flb.private, 0, sizeof(flb.private));
	flb_preserved = 0;
	flb_unpreserved = 0;
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&thing, &flb), -EINVAL);
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(a, 1, new_thing()), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&thing, &flb), 0);
	KUNIT_EXPECT_EQ(test, flb_preserved, 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(b, 1, new_thing()), 0);
	KUNIT_EXPECT_EQ(test, flb_preserved, 1);
	sim_close(a);
	KUNIT_EXPECT_EQ(test, flb_unpreserved, 0);
	sim_close(b);
	KUNIT_EXPECT_EQ(test, flb_unpreserved, 1);
}

/* When the link is gone, so is what its files need of the FLB. */
static void luo_close_test_flb_unregistered_early(struct kunit *test)
{
	int session = agent_create(sim_open_device(), "a");

	memset(&seen, 0, sizeof(seen));
	memset(&flb.private, 0, sizeof(flb.private));
	flb_preserved = 0;
	flb_unpreserved = 0;
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&thing), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&thing, &flb), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, new_thing()), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 2, new_thing()), 0);
	liveupdate_unregister_flb(&thing, &flb);
	KUNIT_EXPECT_EQ(test, flb_unpreserved, 1);

	/* The handler may get it again, for other files. */
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&thing, &flb), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 3, new_thing()), 0);
	KUNIT_EXPECT_EQ(test, flb_preserved, 2);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, flb_unpreserved, 2);
}

static struct kunit_case luo_close_cases[] = {
	KUNIT_CASE(luo_close_test_all_retrieved),
	KUNIT_CASE(luo_close_test_not_all_retrieved),
	KUNIT_CASE(luo_close_test_none_retrieved),
	KUNIT_CASE_PARAM(luo_close_test_holder, gone_gen_params),
	KUNIT_CASE(luo_close_test_preserve_parked),
	KUNIT_CASE(luo_close_test_preserve_last_parked),
	KUNIT_CASE(luo_close_test_kexec_names_lost),
	KUNIT_CASE(luo_close_test_kexec_names_unread),
	KUNIT_CASE(luo_close_test_name_is_escaped),
	KUNIT_CASE_PARAM(luo_close_test_retry, verdict_gen_params),
	KUNIT_CASE(luo_close_test_failed_leaves),
	KUNIT_CASE(luo_close_test_cannot_finish),
	KUNIT_CASE(luo_close_test_orphan),
	KUNIT_CASE(luo_close_test_orphan_forced),
	KUNIT_CASE(luo_close_test_frozen_data),
	KUNIT_CASE(luo_close_test_ids_of_handlers),
	KUNIT_CASE(luo_close_test_flb_registered_late),
	KUNIT_CASE(luo_close_test_flb_unregistered_early),
	{}
};

static struct kunit_suite luo_close_suite = {
	.name = "unit-luo-close",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_close_cases,
};

kunit_test_suite(luo_close_suite);
