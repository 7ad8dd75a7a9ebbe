// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that files share: an object is preserved with the first file that
 * needs it, handed over with the number of these files, and finished with the
 * last of them.
 */

#include "witness.h"

#include <linux/kexec_handover.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

#define DEV	0	/* the first descriptor, /dev/liveupdate */
#define X	(&witness_flb[0])
#define Y	(&witness_flb[1])
#define FH	(&witness[0].fh)
#define OTHER	(&witness[1].fh)

/* Files of both kinds need "x", and files of the first kind need "y" as well. */
static void register_all(struct kunit *test)
{
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, witness_register(1), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(FH, X), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(FH, Y), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(OTHER, X), 0);
}

static int start(struct kunit *test)
{
	sim_boot_cold();
	register_all(test);
	return agent_create(sim_open_device(), "a");
}

static int add(int session, unsigned int kind, unsigned int nr)
{
	int fd = witness_open(kind, nr);
	int err = agent_preserve(session, nr, fd);

	sim_close(fd);
	return err;
}

static struct sim_handover leave(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	return sim_kexec();
}

static void come_back(struct kunit *test, const struct sim_handover *h)
{
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(h));
	register_all(test);
}

/*
 * FLBs are preserved with the first file, in the order of their registration,
 * and unpreserved with the last one, in reverse order.
 */
static void luo_flb_test_files(struct kunit *test)
{
	int session = start(test), other = agent_create(DEV, "b");

	KUNIT_ASSERT_EQ(test, add(session, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, add(session, 0, 2), 0);
	KUNIT_ASSERT_EQ(test, add(other, 1, 3), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "flb-preserve x;flb-preserve y;preserve 1;preserve 2;preserve 3;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 2);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "unpreserve 2;unpreserve 1;flb-unpreserve y;");
	sim_close(other);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "unpreserve 3;flb-unpreserve x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 0);
}

/* A refused file does not count. */
static void luo_flb_test_refused(struct kunit *test)
{
	int session = start(test);

	witness_fail("preserve 1", -EIO);
	KUNIT_EXPECT_EQ(test, add(session, 0, 1), -EIO);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "flb-preserve x;flb-preserve y;preserve 1;flb-unpreserve y;flb-unpreserve x;");
	witness_fail("flb-preserve y", -ENXIO);
	KUNIT_EXPECT_EQ(test, add(session, 0, 1), -ENXIO);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "flb-preserve x;flb-preserve y;flb-unpreserve x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 0);
	witness_flb_module.going = true;
	KUNIT_EXPECT_EQ(test, add(session, 0, 1), -ENODEV);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	witness_flb_module.going = false;
	KUNIT_EXPECT_EQ(test, add(session, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 2);
}

/*
 * Another user keeps the object after the last file, but does not make it part
 * of the handover.
 */
static void luo_flb_test_outgoing(struct kunit *test)
{
	int session = start(test);
	struct sim_handover h;
	void *obj = NULL;

	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(X, &obj), -ENOENT);
	KUNIT_ASSERT_EQ(test, add(session, 1, 1), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(Y, &obj), -ENOENT);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(X, &obj), 0);
	KUNIT_EXPECT_PTR_EQ(test, obj, X);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(X, &obj), 0);
	liveupdate_flb_put_outgoing(X);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-preserve x;preserve 1;unpreserve 1;");

	/* A new file uses the same object. */
	session = agent_create(DEV, "b");
	KUNIT_ASSERT_EQ(test, add(session, 1, 2), 0);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "preserve 2;unpreserve 2;");
	h = leave(test);
	come_back(test, &h);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENOENT);
}

static void luo_flb_test_put_last(struct kunit *test)
{
	int session = start(test);
	void *obj;

	KUNIT_ASSERT_EQ(test, add(session, 1, 1), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_flb_get_outgoing(X, &obj), 0);
	sim_close(session);
	witness_calls();
	liveupdate_flb_put_outgoing(X);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-unpreserve x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 0);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(X, &obj), -ENOENT);
}

/* Three files need "x" and two of them "y"; all are handed over. */
static struct sim_handover leave_files(struct kunit *test)
{
	int session = start(test);
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, add(session, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, add(session, 1, 2), 0);
	session = agent_create(DEV, "b");
	KUNIT_ASSERT_EQ(test, add(session, 0, 3), 0);
	h = leave(test);
	come_back(test, &h);
	return h;
}

/*
 * When the last file is finished, FLBs without another user are retrieved and
 * finished.
 */
static void luo_flb_test_finish(struct kunit *test)
{
	struct sim_balance nothing;
	int dev, a, b;

	start(test);
	sim_close(DEV + 1);
	nothing = sim_balance();
	leave_files(test);
	dev = sim_open_device();
	a = agent_retrieve(dev, "a");
	b = agent_retrieve(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_finish(b), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 3;");
	KUNIT_EXPECT_EQ(test, agent_finish(a), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "finish 2;finish 1;flb-retrieve y;flb-finish y;flb-retrieve x;flb-finish x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 0);
	sim_close(a);
	sim_close(b);
	KUNIT_EXPECT_FALSE(test, sim_logged("': not supported"));
	KUNIT_EXPECT_EQ(test, sim_balance().pages, nothing.pages);
}

static void luo_flb_test_incoming(struct kunit *test)
{
	void *obj = NULL;
	int dev, a, b;

	leave_files(test);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), 0);
	KUNIT_EXPECT_PTR_EQ(test, obj, X);
	obj = NULL;
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), 0);
	KUNIT_EXPECT_PTR_EQ(test, obj, X);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 1);
	liveupdate_flb_put_incoming(X);

	dev = sim_open_device();
	a = agent_retrieve(dev, "a");
	b = agent_retrieve(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_finish(a), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(b), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(),
			   "finish 2;finish 1;finish 3;flb-retrieve y;flb-finish y;");
	/* The object is finished when the last user puts it. */
	liveupdate_flb_put_incoming(X);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-finish x;");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 0);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENODATA);
}

/* As long as files are left, the last user does not finish the object. */
static void luo_flb_test_incoming_stays(struct kunit *test)
{
	void *obj;

	leave_files(test);
	KUNIT_ASSERT_EQ(test, liveupdate_flb_get_incoming(Y, &obj), 0);
	liveupdate_flb_put_incoming(Y);
	KUNIT_ASSERT_EQ(test, liveupdate_flb_get_incoming(Y, &obj), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve y;");
}

/* Transient errors, and a permanent one. */
static void luo_flb_test_errors(struct kunit *test)
{
	void *obj;
	int dev;

	leave_files(test);
	witness_retry = true;
	witness_fail("flb-retrieve x", -EACCES);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -EACCES);
	witness_retry = false;
	witness_flb_module.going = true;
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENODEV);
	witness_flb_module.going = false;
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), 0);

	witness_fail("flb-retrieve y", -ENOMEM);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(Y, &obj), -ENOMEM);
	witness_calls();
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(Y, &obj), -ENOMEM);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	KUNIT_EXPECT_EQ(test, witness_flb_module.refs, 1);

	dev = sim_open_device();
	KUNIT_EXPECT_EQ(test, agent_finish(agent_retrieve(dev, "a")), 0);
	KUNIT_EXPECT_EQ(test, agent_finish(agent_retrieve(dev, "b")), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "finish 2;finish 1;finish 3;");
	KUNIT_EXPECT_TRUE(test, sim_logged("FLB 'unit-y-v1': failed to retrieve, data is lost"));
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(Y, &obj), -ENODATA);
}

/*
 * Orphans do not finish FLBs: remaining FLBs are finished with the last
 * session.
 */
static void luo_flb_test_rest(struct kunit *test)
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct sim_handover h;
	int dev, a, b;

	start(test);
	KUNIT_ASSERT_EQ(test, add(agent_create(DEV, "b"), 0, 1), 0);
	h = leave(test);
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(1), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(OTHER, X), 0);
	dev = sim_open_device();
	a = agent_retrieve(dev, "a");
	b = agent_retrieve(dev, "b");
	KUNIT_EXPECT_EQ(test, agent_finish_force(a), 0);
	KUNIT_EXPECT_EQ(test, agent_finish_force(b), 0);
	sim_close(a);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	sim_close(b);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-retrieve x;flb-finish x;");
	KUNIT_EXPECT_TRUE(test, sim_logged("': not supported, its memory stays unclaimed"));
	KUNIT_ASSERT_EQ(test, kho_compat_show(m, NULL), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(m->text, "unit-y unit-y-v1 - "));
}

/* FLBs are only handed over together with files. */
static void luo_flb_test_called_off(struct kunit *test)
{
	int session = start(test);
	struct sim_handover h;
	void *obj;

	KUNIT_ASSERT_EQ(test, add(session, 0, 1), 0);
	witness_fail("freeze 1", -EIO);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), -EIO);
	h = sim_kexec();
	come_back(test, &h);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENOENT);
}

/*
 * Without a preserved file no FLB is preserved, and the next kernel finishes
 * none.
 */
static void luo_flb_test_nothing(struct kunit *test)
{
	struct sim_handover h;
	void *obj;

	start(test);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENODATA);
	h = leave(test);
	come_back(test, &h);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(X, &obj), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_finish(agent_retrieve(sim_open_device(), "a")), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
}

static struct liveupdate_flb many[100];

static void luo_flb_test_register(struct kunit *test)
{
	struct liveupdate_flb_ops ops = *X->ops;
	void **fields[] = { (void **)&ops.preserve, (void **)&ops.unpreserve,
			    (void **)&ops.retrieve, (void **)&ops.finish };
	struct liveupdate_flb bad = { .ops = &ops, .compatible = "unit-z-v1" };
	struct liveupdate_flb twin = { .ops = X->ops, .compatible = "unit-x-v1" };
	struct liveupdate_flb endless = { .ops = X->ops };
	struct sim_balance before, after;

	start(test);
	before = sim_balance();
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		void *saved = *fields[i];

		*fields[i] = NULL;
		KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &bad), -EINVAL);
		*fields[i] = saved;
	}
	memset((char *)endless.compatible, 'a', sizeof(endless.compatible));
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &endless), -EINVAL);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, X), -EEXIST);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &twin), -EEXIST);
	sim_fail_nth(1);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &bad), -ENOMEM);
	sim_fail_nth(0);
	after = sim_balance();
	KUNIT_EXPECT_EQ(test, after.objects, before.objects);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &bad), 0);
	liveupdate_unregister_flb(FH, &bad);
	after = sim_balance();
	KUNIT_EXPECT_EQ(test, after.objects, before.objects);
}

/* There can be as many FLBs as a page has records. */
static void luo_flb_test_too_many(struct kunit *test)
{
	unsigned int nr = 0, most = (PAGE_SIZE - sizeof(struct luo_flb_header_ser)) /
				    sizeof(struct luo_flb_ser);
	int err = 0;

	memset(many, 0, sizeof(many));
	start(test);
	for (; !err && nr < ARRAY_SIZE(many); nr += !err) {
		many[nr].ops = X->ops;
		sprintf((char *)many[nr].compatible, "unit-many-%u-v1", nr);
		err = liveupdate_register_flb(FH, &many[nr]);
	}
	if (most > ARRAY_SIZE(many)) {
		KUNIT_EXPECT_EQ(test, err, 0);
		return;
	}
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
	KUNIT_EXPECT_EQ(test, nr, most - 2);
	/*
	 * An FLB needs one record for all its handlers: only unregistering it
	 * from the last of them allows another FLB.
	 */
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(OTHER, &many[0]), 0);
	liveupdate_unregister_flb(FH, &many[0]);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &many[nr]), -ENOSPC);
	liveupdate_unregister_flb(OTHER, &many[0]);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &many[nr]), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, &many[0]), -ENOSPC);
}

/* After an FLB is unregistered, files of the handler do not need it. */
static void luo_flb_test_unregister(struct kunit *test)
{
	struct sim_balance before, after;
	int session;

	sim_boot_cold();
	before = sim_balance();
	session = start(test);
	liveupdate_unregister_flb(FH, X);
	liveupdate_unregister_flb(FH, X);
	KUNIT_ASSERT_EQ(test, add(session, 0, 1), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-preserve y;preserve 1;");
	KUNIT_ASSERT_EQ(test, add(session, 1, 2), 0);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "flb-preserve x;preserve 2;");
	sim_close(session);
	sim_close(DEV);

	/* Unregistering the handler unregisters the other FLBs. */
	liveupdate_unregister_file_handler(FH);
	liveupdate_unregister_file_handler(OTHER);
	after = sim_balance();
	KUNIT_EXPECT_EQ(test, after.objects, before.objects);
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, X), 0);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(FH, Y), 0);
}

static struct kunit_case luo_flb_cases[] = {
	KUNIT_CASE(luo_flb_test_files),
	KUNIT_CASE(luo_flb_test_refused),
	KUNIT_CASE(luo_flb_test_outgoing),
	KUNIT_CASE(luo_flb_test_put_last),
	KUNIT_CASE(luo_flb_test_finish),
	KUNIT_CASE(luo_flb_test_incoming),
	KUNIT_CASE(luo_flb_test_incoming_stays),
	KUNIT_CASE(luo_flb_test_errors),
	KUNIT_CASE(luo_flb_test_rest),
	KUNIT_CASE(luo_flb_test_nothing),
	KUNIT_CASE(luo_flb_test_called_off),
	KUNIT_CASE(luo_flb_test_register),
	KUNIT_CASE(luo_flb_test_too_many),
	KUNIT_CASE(luo_flb_test_unregister),
	{}
};

static struct kunit_suite luo_flb_suite = {
	.name = "unit-luo-flb",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_flb_cases,
};

kunit_test_suite(luo_flb_suite);
