// SPDX-License-Identifier: GPL-2.0
/*
 * Files in sessions: calls of the callbacks of handlers, and the state after
 * errors.
 */

#include "witness.h"

#include <linux/kexec_handover.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

static int start(struct kunit *test)
{
	int dev;

	sim_boot_cold();
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	dev = sim_open_device();
	KUNIT_ASSERT_GE(test, dev, 0);
	return dev;
}

/* Puts files 1 to @nr into a session, under their numbers. */
static int preserve(struct kunit *test, int dev, const char *name, unsigned int nr)
{
	int session = agent_create(dev, name);

	KUNIT_ASSERT_GE(test, session, 0);
	for (unsigned int i = 1; i <= nr; i++) {
		int fd = witness_open(0, i);

		KUNIT_ASSERT_EQ(test, agent_preserve(session, i, fd), 0);
		sim_close(fd);
	}
	return session;
}

/*
 * Boots the next kernel with a handler for files of @kind, or without a handler
 * if @kind is negative.
 */
static int go_on(struct kunit *test, int kind)
{
	agent_kexec(test);
	witness_reset();
	if (kind >= 0)
		KUNIT_ASSERT_EQ(test, witness_register(kind), 0);
	return sim_open_device();
}

static void expect_unchanged(struct kunit *test, const struct sim_balance *before)
{
	struct sim_balance after = sim_balance();

	KUNIT_EXPECT_MEMEQ(test, before, &after, sizeof(after));
}

/* A refused file does not change the state, and its token can be used again. */
static void luo_file_test_refused(struct kunit *test)
{
	int dev = start(test), session = preserve(test, dev, "a", 1);
	int fd = witness_open(0, 2), other = witness_open(1, 3);
	struct sim_balance before = sim_balance();

	witness_calls();
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, 255), -EBADF);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, other), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EEXIST);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	witness_fail("preserve 2", -EIO);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), -EIO);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "preserve 2;");
	witness[0].module.going = true;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), -ENOENT);
	witness[0].module.going = false;
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 1);
	expect_unchanged(test, &before);

	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), 0);
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 2);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 3, fd), -EBUSY);
	sim_close(fd);
	sim_close(other);
}

/* Each allocation of a preserve fails once, also when another record block is needed. */
static void luo_file_test_fail_nth(struct kunit *test)
{
	for (unsigned int files = 0; files < 130; files += 1 + files / 8) {
		int dev = start(test), session = preserve(test, dev, "a", files);
		int fd = witness_open(0, 200), err;
		struct sim_balance before = sim_balance();
		bool failed;

		for (unsigned long n = 1; ; n++) {
			sim_fail_nth(n);
			err = agent_preserve(session, 200, fd);
			failed = sim_failed();
			sim_fail_nth(0);
			if (!failed)
				break;
			KUNIT_ASSERT_EQ(test, err, -ENOMEM);
			expect_unchanged(test, &before);
		}
		KUNIT_ASSERT_EQ(test, err, 0);
	}
}

/* Closing unpreserves files in reverse order. */
static void luo_file_test_unpreserve(struct kunit *test)
{
	int dev = start(test), session;
	struct sim_balance before = sim_balance();

	session = preserve(test, dev, "a", 3);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "preserve 1;preserve 2;preserve 3;");
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 3);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "unpreserve 3;unpreserve 2;unpreserve 1;");
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 0);
	expect_unchanged(test, &before);
	KUNIT_EXPECT_GE(test, preserve(test, dev, "a", 1), 0);
}

/*
 * Retrieving a file again gives the same open file, which can be preserved when
 * the session is finished.
 */
static void luo_file_test_retrieve(struct kunit *test)
{
	int dev, session, fd, again, next;

	preserve(test, start(test), "a", 3);
	dev = go_on(test, 0);
	session = agent_retrieve(dev, "a");
	fd = agent_get(session, 2);
	KUNIT_ASSERT_EQ(test, witness_nr(fd), 2);
	again = agent_get(session, 2);
	KUNIT_EXPECT_PTR_EQ(test, fget(fd), fget(again));
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 2;");
	KUNIT_EXPECT_EQ(test, agent_get(session, 4), -ENOENT);
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 1);

	/* The file can only be preserved again when the session is finished. */
	next = agent_create(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_preserve(next, 1, fd), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 3;finish 2;finish 1;");
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 0);
	KUNIT_EXPECT_EQ(test, witness_status, 0);
	KUNIT_EXPECT_EQ(test, agent_get(session, 2), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_preserve(next, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
}

/* Errors with retry set are transient; other errors are permanent. */
static void luo_file_test_errors(struct kunit *test)
{
	static const int again[] = { -ENOMEM, -EACCES, -EIO };
	int session, fd;

	preserve(test, start(test), "a", 2);
	session = agent_retrieve(go_on(test, 0), "a");
	witness_retry = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(again); i++) {
		witness_fail("retrieve 1", again[i]);
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), again[i]);
	}
	fd = agent_get(session, 1);
	KUNIT_EXPECT_EQ(test, witness_nr(fd), 1);
	sim_close(fd);

	witness_retry = false;
	witness_fail("retrieve 2", -ENOMEM);
	KUNIT_EXPECT_EQ(test, agent_get(session, 2), -ENOMEM);
	witness_calls();
	KUNIT_EXPECT_EQ(test, agent_get(session, 2), -ENOMEM);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
}

static void luo_file_test_status(struct kunit *test)
{
	static const int errors[] = { 0, -ENOMEM, -EIO }, status[] = { 1, 0, -EIO };

	for (unsigned int i = 0; i < ARRAY_SIZE(errors); i++) {
		int session;

		preserve(test, start(test), "a", 1);
		session = agent_retrieve(go_on(test, 0), "a");
		witness_fail("retrieve 1", errors[i]);
		witness_retry = errors[i] == -ENOMEM;
		if (errors[i])
			KUNIT_EXPECT_EQ(test, agent_get(session, 1), errors[i]);
		else
			KUNIT_EXPECT_GE(test, agent_get(session, 1), 0);
		KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
		KUNIT_EXPECT_EQ(test, witness_status, status[i]);
	}
}

/* No file is finished until all files of the session can be finished. */
static void luo_file_test_can_finish(struct kunit *test)
{
	int session;

	preserve(test, start(test), "a", 2);
	session = agent_retrieve(go_on(test, 0), "a");
	witness_busy = true;
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	KUNIT_EXPECT_GE(test, agent_get(session, 2), 0);
	witness_busy = false;
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 2;finish 2;finish 1;");
}

/* A file waits until its kind has a handler. */
static void luo_file_test_orphan(struct kunit *test)
{
	int session;

	preserve(test, start(test), "a", 2);
	session = agent_retrieve(go_on(test, 1), "a");
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, sim_logged("token 0x1: failed to retrieve, no handler"));
	KUNIT_EXPECT_EQ(test, witness_register(0), 0);
	witness[0].module.going = true;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EOPNOTSUPP);
	witness[0].module.going = false;
	KUNIT_EXPECT_EQ(test, witness_nr(agent_get(session, 1)), 1);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "retrieve 1;finish 2;finish 1;");
}

/* A forced finish does not need the handler. */
static void luo_file_test_orphan_finish(struct kunit *test)
{
	int session;

	preserve(test, start(test), "a", 2);
	session = agent_retrieve(go_on(test, -1), "a");
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	KUNIT_EXPECT_FALSE(test, sim_logged("stays unclaimed"));
	KUNIT_EXPECT_EQ(test, agent_finish_force(session), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("token 0x2: memory stays unclaimed"));
	KUNIT_EXPECT_EQ(test, witness_register(0), 0);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENOENT);
}

/*
 * The version of a file is compared with that of its handler.  A file without a
 * handler is compared with a handler for another version of the same base.
 */
static void luo_file_test_reported(struct kunit *test)
{
	static const struct {
		int kind;
		const char *text;
	} rows[] = {
		{ 0, "unit-witness-v1 unit-witness-v1 " },
		{ 1, "unit-witness-v1 - " },
		{ 2, "unit-witness-v1 unit-witness-v2 " },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
		int session;

		preserve(test, start(test), "a", 1);
		session = agent_retrieve(go_on(test, rows[i].kind), "a");
		KUNIT_EXPECT_EQ(test, agent_get(session, 1) < 0, i > 0);
		KUNIT_ASSERT_EQ(test, kho_compat_show(m, NULL), 0);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(m->text, rows[i].text), "row %u", i);
		KUNIT_EXPECT_NULL(test, strstr(m->text, "unit-other"));
	}
}

static struct witness incomplete;

static void luo_file_test_register(struct kunit *test)
{
	void **ops[] = {
		(void **)&incomplete.ops.can_preserve, (void **)&incomplete.ops.preserve,
		(void **)&incomplete.ops.unpreserve, (void **)&incomplete.ops.retrieve,
		(void **)&incomplete.ops.finish,
	};

	start(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		memcpy(&incomplete, &witness[1], sizeof(incomplete));
		incomplete.fh.ops = &incomplete.ops;
		*ops[i] = NULL;
		KUNIT_EXPECT_EQ(test, liveupdate_register_file_handler(&incomplete.fh), -EINVAL);
	}

	memcpy(&incomplete, &witness[1], sizeof(incomplete));
	memset((char *)incomplete.fh.compatible, 'a', sizeof(incomplete.fh.compatible));
	KUNIT_EXPECT_EQ(test, liveupdate_register_file_handler(&incomplete.fh), -EINVAL);

	KUNIT_EXPECT_EQ(test, witness_register(0), -EEXIST);
	KUNIT_EXPECT_TRUE(test, sim_logged("file handler 'unit-witness-v1': duplicate"));
	KUNIT_EXPECT_EQ(test, witness_register(1), 0);
	KUNIT_EXPECT_EQ(test, witness_register(2), 0);
}

static void luo_file_test_unregister(struct kunit *test)
{
	int session = agent_create(start(test), "a"), fd = witness_open(0, 1);

	liveupdate_unregister_file_handler(&witness[0].fh);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -ENOENT);
	KUNIT_EXPECT_EQ(test, witness_register(0), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), 0);
}

/* A handler without the optional callbacks. */
static void luo_file_test_least(struct kunit *test)
{
	struct liveupdate_file_ops ops = witness[0].ops;
	int session;

	witness[0].ops.freeze = NULL;
	witness[0].ops.unfreeze = NULL;
	witness[0].ops.can_finish = NULL;
	session = preserve(test, start(test), "a", 1);
	witness_fail("preserve 2", -EIO);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, witness_open(0, 2)), -EIO);
	KUNIT_ASSERT_EQ(test, witness_register(1), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 3, witness_open(1, 3)), 0);
	witness_fail("freeze 3", -EIO);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EIO);
	session = agent_retrieve(go_on(test, 0), "a");
	witness_busy = true;
	KUNIT_EXPECT_EQ(test, agent_finish_force(session), 0);
	witness[0].ops = ops;
}

/* The records of many files are freed when they have been read. */
static void luo_file_test_many(struct kunit *test)
{
	struct sim_balance nothing, after;
	unsigned long left, files = 150;
	int dev, session;

	start(test);
	go_on(test, 0);
	sim_flush_work();
	nothing = sim_balance();
	preserve(test, start(test), "a", files);
	dev = go_on(test, 0);
	left = sim_count(SIM_LEFT);
	session = agent_retrieve(dev, "a");
	KUNIT_EXPECT_GE(test, left - sim_count(SIM_LEFT),
			DIV_ROUND_UP(files * sizeof(struct luo_file_ser), PAGE_SIZE));
	for (unsigned long i = 1; i <= files; i++) {
		int fd = agent_get(session, i);

		KUNIT_ASSERT_EQ(test, witness_nr(fd), i);
		sim_close(fd);
	}
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_close(session);
	sim_flush_work();
	/*
	 * Only the root tree, the root of the map and the array of scratch
	 * areas are left.
	 */
	KUNIT_EXPECT_EQ(test, sim_count(SIM_LEFT), SIM_FDT_SIZE / PAGE_SIZE + 1 +
			DIV_ROUND_UP(kho_scratch_cnt * sizeof(*kho_scratch), PAGE_SIZE));
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &after, &nothing, sizeof(after));
	KUNIT_EXPECT_FALSE(test, sim_logged("count mismatch"));
	KUNIT_EXPECT_FALSE(test, sim_logged("duplicate"));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged(": 0 unclaimed pages released"));
}

/* With more files than hash buckets, several files in a bucket must be distinguished. */
static void luo_file_test_crowd(struct kunit *test)
{
	int dev = start(test), session = agent_create(dev, "a");

	witness_quiet = true;
	for (unsigned int i = 0; i < 4200; i++) {
		int fd = witness_open(0, i);

		KUNIT_ASSERT_EQ(test, agent_preserve(session, i, fd), 0);
		sim_close(fd);
	}
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 4000, dev), -EEXIST);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, witness[0].module.refs, 0);
}

static struct kunit_case luo_file_cases[] = {
	KUNIT_CASE(luo_file_test_refused),
	KUNIT_CASE(luo_file_test_fail_nth),
	KUNIT_CASE(luo_file_test_unpreserve),
	KUNIT_CASE(luo_file_test_retrieve),
	KUNIT_CASE(luo_file_test_errors),
	KUNIT_CASE(luo_file_test_status),
	KUNIT_CASE(luo_file_test_can_finish),
	KUNIT_CASE(luo_file_test_orphan),
	KUNIT_CASE(luo_file_test_orphan_finish),
	KUNIT_CASE(luo_file_test_reported),
	KUNIT_CASE(luo_file_test_register),
	KUNIT_CASE(luo_file_test_unregister),
	KUNIT_CASE(luo_file_test_least),
	KUNIT_CASE(luo_file_test_many),
	KUNIT_CASE(luo_file_test_crowd),
	{}
};

static struct kunit_suite luo_file_suite = {
	.name = "unit-luo-file",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_file_cases,
};

kunit_test_suite(luo_file_suite);
