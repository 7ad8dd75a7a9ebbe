// SPDX-License-Identifier: GPL-2.0
/*
 * The last step before the kexec: all sessions are frozen, or one file fails
 * and the freeze is undone.
 */

#include "witness.h"

#include <linux/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

/* More files than a block of 4 KiB has records. */
#define SESSIONS	3
#define FILES		70

static int open_sessions(struct kunit *test, unsigned int files)
{
	int dev, session;

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	dev = sim_open_device();
	for (unsigned int s = 0; s < SESSIONS; s++) {
		session = agent_create(dev, (char []){ 'a' + s, 0 });
		KUNIT_ASSERT_GE(test, session, 0);
		for (unsigned int f = 0; f < files; f++) {
			int fd = witness_open(0, s * files + f);

			KUNIT_ASSERT_EQ(test, agent_preserve(session, f, fd), 0);
			sim_close(fd);
		}
	}
	witness_calls();
	return dev;
}

static void expect_sessions(struct kunit *test, unsigned int files)
{
	struct sim_handover h = sim_kexec();
	int dev;

	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	dev = sim_open_device();
	for (unsigned int s = 0; s < SESSIONS; s++) {
		int session = agent_retrieve(dev, (char []){ 'a' + s, 0 });

		KUNIT_ASSERT_GE(test, session, 0);
		for (unsigned int f = 0; f < files; f++) {
			int fd = agent_get(session, f);

			KUNIT_ASSERT_GE(test, fd, 0);
			KUNIT_ASSERT_EQ(test, witness_nr(fd), s * files + f);
			sim_close(fd);
		}
		KUNIT_EXPECT_EQ(test, agent_get(session, files), -ENOENT);
		KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	}
	KUNIT_EXPECT_FALSE(test, sim_logged("count mismatch"));
}

/*
 * Expects a call of freeze() for each file up to @nr, which fails or is the
 * last one.  @back: unfreeze() follows for all files before @nr.
 */
static void expect_calls(struct kunit *test, unsigned int nr, bool back)
{
	char *want = kunit_kzalloc(test, 16384, GFP_KERNEL);
	char *end = want;

	for (unsigned int i = 0; i <= nr; i++)
		end += sprintf(end, "freeze %u;", i);
	for (unsigned int i = nr; back && i--;)
		end += sprintf(end, "unfreeze %u;", i);
	KUNIT_EXPECT_STREQ(test, witness_calls(), want);
}

static void refuse(struct kunit *test, unsigned int files, unsigned int nr)
{
	char call[16];
	int dev = open_sessions(test, files);

	snprintf(call, sizeof(call), "freeze %u", nr);
	witness_fail(call, -EIO);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EIO);
	expect_calls(test, nr, true);
	KUNIT_EXPECT_TRUE(test, sim_logged("handler 'unit-witness-v1' failed to freeze"));
	KUNIT_EXPECT_FALSE(test, liveupdate_interrupted());
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), -EEXIST);

	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	expect_calls(test, SESSIONS * files - 1, false);
	expect_sessions(test, files);
}

static void luo_freeze_test_each(struct kunit *test)
{
	for (unsigned int nr = 0; nr < 2 * SESSIONS; nr++) {
		sim_boot_cold();
		refuse(test, 2, nr);
	}
}

/*
 * The records of a session fill several blocks.  The file that fails is the
 * first, the last or another one of its session.
 */
static void luo_freeze_test_blocks(struct kunit *test)
{
	static const unsigned int nrs[] = { 0, FILES - 1, FILES, 2 * FILES + FILES / 2,
					    3 * FILES - 1 };

	for (unsigned int i = 0; i < ARRAY_SIZE(nrs); i++) {
		sim_boot_cold();
		refuse(test, FILES, nrs[i]);
	}
}

/*
 * The records of the sessions fill several blocks.  Every third session has no
 * files, and the file of the last session but one fails.
 */
static void luo_freeze_test_many(struct kunit *test)
{
	int dev, session, fd;
	char name[8];

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	dev = sim_open_device();
	for (unsigned int s = 0; s < 100; s++) {
		snprintf(name, sizeof(name), "%u", s);
		session = agent_create(dev, name);
		KUNIT_ASSERT_GE(test, session, 0);
		fd = witness_open(0, s);
		if (s % 3)
			KUNIT_ASSERT_EQ(test, agent_preserve(session, 0, fd), 0);
		sim_close(fd);
	}

	for (int i = 0; i < 2; i++) {
		const char *calls = "freeze 98;unfreeze 97;unfreeze 95;unfreeze 94;unfreeze 92;";

		witness_calls();
		witness_fail("freeze 98", -ENOMEM);
		KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -ENOMEM);
		KUNIT_EXPECT_TRUE(test, sim_logged("session '98': failed to freeze"));
		KUNIT_EXPECT_NOT_NULL(test, strstr(witness_calls(), calls));
	}
}

/* The next kernel must not find records of a failed freeze. */
static void luo_freeze_test_called_off(struct kunit *test)
{
	struct sim_handover h;
	int dev;

	open_sessions(test, 2);
	witness_fail("freeze 5", -EIO);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), -EIO);
	h = sim_kexec();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	dev = sim_open_device();
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "b"), -ENOENT);
}

/*
 * The next kernel must not find a session that was closed between a failed
 * freeze and the next one.
 */
static void luo_freeze_test_fewer(struct kunit *test)
{
	int dev = open_sessions(test, 2), session = agent_create(dev, "d");
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 9)), 0);
	witness_fail("freeze 9", -EIO);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EIO);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	h = sim_kexec();
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	dev = sim_open_device();
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "d"), -ENOENT);
	KUNIT_EXPECT_GE(test, agent_retrieve(dev, "c"), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("lost"));
}

/* After the freeze nothing changes, and closing does not unpreserve files. */
static void luo_freeze_test_frozen(struct kunit *test)
{
	int dev = open_sessions(test, 2), session, fd;

	session = agent_create(dev, "d");
	fd = witness_open(0, 9);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	witness_calls();
	KUNIT_EXPECT_TRUE(test, liveupdate_interrupted());
	KUNIT_EXPECT_EQ(test, agent_create(dev, "e"), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	sim_close(session);
	KUNIT_EXPECT_STREQ(test, witness_calls(), "");
	expect_sessions(test, 2);
}

static int seen_busy, seen_session;
static bool seen_interrupted;

static void look_around(void)
{
	seen_interrupted = liveupdate_interrupted();
	seen_busy = agent_finish(seen_session);
}

/* Running ioctls are asked to abort, and new ones are refused. */
static void luo_freeze_test_interrupts(struct kunit *test)
{
	int dev = open_sessions(test, 1);

	KUNIT_EXPECT_FALSE(test, liveupdate_interrupted());
	sim_task.killed = true;
	KUNIT_EXPECT_TRUE(test, liveupdate_interrupted());
	sim_task.killed = false;

	seen_session = agent_create(dev, "d");
	seen_busy = 0;
	seen_interrupted = false;
	witness_in_freeze = look_around;
	witness_fail("freeze 2", -EIO);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EIO);
	KUNIT_EXPECT_TRUE(test, seen_interrupted);
	KUNIT_EXPECT_EQ(test, seen_busy, -EBUSY);
	KUNIT_EXPECT_FALSE(test, liveupdate_interrupted());
	KUNIT_EXPECT_EQ(test, agent_finish(seen_session), -EINVAL);
}

#define NO_HANDOVER	"image: loaded without a handover, but sessions are preserved"

/*
 * A kexec to an image without a handover is refused if it would lose sessions.
 */
static void luo_freeze_test_image(struct kunit *test)
{
	int dev, session;

	dev = sim_open_device();
	session = agent_create(dev, "a");
	KUNIT_ASSERT_GE(test, session, 0);
	kexec_image->kho.fdt = 0;
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, sim_logged(NO_HANDOVER));
	KUNIT_EXPECT_FALSE(test, liveupdate_interrupted());
	sim_close(session);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
}

/* Each kernel has the number of live updates so far. */
static void luo_freeze_test_number(struct kunit *test)
{
	static const char * const lines[] = { "liveupdate number: 1", "liveupdate number: 2",
					      "liveupdate number: 3" };

	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		struct sim_handover h;
		struct seq_file *m;

		KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
		h = sim_kexec();
		sim_log_clear();
		KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
		KUNIT_EXPECT_TRUE(test, sim_logged(lines[i]));
		KUNIT_EXPECT_FALSE(test, sim_logged("failed"));

		m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
		KUNIT_ASSERT_EQ(test, kho_compat_show(m, NULL), 0);
		KUNIT_EXPECT_NOT_NULL(test,
				      strstr(m->text,
					     "luo " LUO_ABI_COMPAT_BASE " " LUO_ABI_COMPAT_BASE));
	}
}

/* With LUO off, nothing is preserved, and the reboot hook succeeds. */
static void luo_freeze_test_off(struct kunit *test)
{
	long keys = sim_balance().keys;
	struct sim_handover h;
	void *obj;

	open_sessions(test, 1);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	h = sim_kexec();
	sim_liveupdate = false;
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	KUNIT_EXPECT_FALSE(test, sim_logged("live update"));
	KUNIT_EXPECT_FALSE(test, sim_logged("failed"));
	/*
	 * Two pages of LUO are not preserved: its root, and the records of
	 * FLBs.
	 */
	KUNIT_EXPECT_EQ(test, sim_balance().keys, keys - 2);
	witness_reset();
	KUNIT_EXPECT_FALSE(test, liveupdate_enabled());
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
	KUNIT_EXPECT_FALSE(test, liveupdate_interrupted());
	KUNIT_EXPECT_EQ(test, sim_open_device(), -ENOENT);
	KUNIT_EXPECT_EQ(test, witness_register(0), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, liveupdate_register_flb(&witness[0].fh, witness_flb),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_incoming(witness_flb, &obj), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, liveupdate_flb_get_outgoing(witness_flb, &obj), -EOPNOTSUPP);
	liveupdate_unregister_flb(&witness[0].fh, witness_flb);
	liveupdate_unregister_file_handler(&witness[0].fh);

	/*
	 * The next kernel, with LUO on, finds no data, which is not an error.
	 */
	h = sim_kexec();
	sim_liveupdate = true;
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	KUNIT_EXPECT_TRUE(test, liveupdate_enabled());
	KUNIT_EXPECT_FALSE(test, sim_logged("failed"));
}

static struct kunit_case luo_freeze_cases[] = {
	KUNIT_CASE(luo_freeze_test_each),
	KUNIT_CASE(luo_freeze_test_blocks),
	KUNIT_CASE(luo_freeze_test_many),
	KUNIT_CASE(luo_freeze_test_called_off),
	KUNIT_CASE(luo_freeze_test_fewer),
	KUNIT_CASE(luo_freeze_test_frozen),
	KUNIT_CASE(luo_freeze_test_interrupts),
	KUNIT_CASE(luo_freeze_test_image),
	KUNIT_CASE(luo_freeze_test_number),
	KUNIT_CASE(luo_freeze_test_off),
	{}
};

static struct kunit_suite luo_freeze_suite = {
	.name = "unit-luo-freeze",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_freeze_cases,
};

kunit_test_suite(luo_freeze_suite);
