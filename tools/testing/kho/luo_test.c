// SPDX-License-Identifier: GPL-2.0
/*
 * Live updates: sessions with memfds are handed over to the next kernel, by the
 * ioctls of user space.
 */

#include "agent.h"

#include <linux/kexec_handover.h>

#define SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK)

static const struct file_case {
	const char *name;
	loff_t size;
	unsigned int order;
	unsigned int seals;
} file_cases[] = {
	{ "empty", 0, 0, 0 },
	{ "one byte", 1, 0, 0 },
	{ "sealed", PAGE_SIZE, 0, SEALS },
	{ "odd size", 3 * PAGE_SIZE + 5, 0, 0 },
	{ "large folios", 32 * PAGE_SIZE, 4, 0 },
	{ "many folios", 300 * PAGE_SIZE, 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(file_case, file_cases, name);

/* Preserves one file in session "a", under token 7. */
static void leave_file(struct kunit *test, const struct file_case *f)
{
	int dev = sim_open_device();
	int session = agent_create(dev, "a");
	int fd = agent_memfd(f->size, f->order, f->seals, 1);

	KUNIT_ASSERT_GE(test, session, 0);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 7, fd), 0);
}

static void luo_test_memfd(struct kunit *test)
{
	const struct file_case *f = test->param_value;
	int dev, session, fd;

	leave_file(test, f);
	agent_kexec(test);

	dev = sim_open_device();
	session = agent_retrieve(dev, "a");
	KUNIT_ASSERT_GE(test, session, 0);
	KUNIT_EXPECT_EQ(test, agent_get(session, 8), -ENOENT);
	fd = agent_get(session, 7);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, f->size, f->seals, 1));
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, f->size, f->seals, 1));
	sim_close(fd);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
}

/* Memory that is not retrieved is freed when the session is finished. */
static void luo_test_finish(struct kunit *test)
{
	const struct file_case *f = test->param_value;
	unsigned long left;
	int session;

	leave_file(test, f);
	agent_kexec(test);

	session = agent_retrieve(sim_open_device(), "a");
	KUNIT_ASSERT_GE(test, session, 0);
	left = sim_count(SIM_LEFT);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_GE(test, left - sim_count(SIM_LEFT),
			DIV_ROUND_UP(f->size, PAGE_SIZE) + 1);
	KUNIT_EXPECT_FALSE(test, sim_logged("stays unclaimed"));
	KUNIT_EXPECT_FALSE(test, sim_logged("failed to free"));
}

static void luo_test_many_sessions(struct kunit *test)
{
	char name[16];
	int dev = sim_open_device();

	for (int i = 0; i < 60; i++) {
		int session, fd;

		snprintf(name, sizeof(name), "session-%d", i);
		session = agent_create(dev, name);
		KUNIT_ASSERT_GE(test, session, 0);
		KUNIT_ASSERT_EQ(test, agent_create(dev, name), -EEXIST);
		for (int t = 0; t < i % 3; t++) {
			fd = agent_memfd(PAGE_SIZE * (i + 1), 0, 0, i + t);
			KUNIT_ASSERT_GE(test, fd, 0);
			KUNIT_ASSERT_EQ(test, agent_preserve(session, t, fd), 0);
			KUNIT_ASSERT_EQ(test, agent_preserve(session, t, fd), -EEXIST);
			KUNIT_ASSERT_EQ(test, agent_preserve(session, 99, fd), -EBUSY);
		}
	}
	agent_kexec(test);

	dev = sim_open_device();
	for (int i = 59; i >= 0; i--) {
		int session;

		snprintf(name, sizeof(name), "session-%d", i);
		session = agent_retrieve(dev, name);
		KUNIT_ASSERT_GE(test, session, 0);
		for (int t = 0; t < i % 3; t++) {
			int fd = agent_get(session, t);

			KUNIT_ASSERT_GE(test, fd, 0);
			KUNIT_ASSERT_TRUE(test, agent_memfd_is(fd, PAGE_SIZE * (i + 1),
							       0, i + t));
			sim_close(fd);
		}
		KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
		sim_close(session);
	}
}

/*
 * No memory is lost over several live updates, whether files are retrieved or
 * not.
 */
static void luo_test_no_memory_lost(struct kunit *test)
{
	static const struct file_case f = { "", 40 * PAGE_SIZE, 2, 0 };
	unsigned long before = 0, now;

	for (int hop = 0; hop < 8; hop++) {
		int dev, session;

		leave_file(test, &f);
		agent_kexec(test);

		dev = sim_open_device();
		session = agent_retrieve(dev, "a");
		KUNIT_ASSERT_GE(test, session, 0);
		if (hop % 2)
			sim_close(agent_get(session, 7));
		KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
		sim_close(session);
		sim_close(dev);

		now = sim_count(SIM_FREE) + sim_count(SIM_CMA);
		if (hop > 1)
			KUNIT_EXPECT_EQ(test, now, before);
		before = now;
	}
}

/* A session that is closed in the kernel that created it is not handed over. */
static void luo_test_close(struct kunit *test)
{
	unsigned long used = sim_count(SIM_USED);
	struct sim_balance before = sim_balance(), after;
	int dev = sim_open_device();
	int session = agent_create(dev, "a");
	int fd = agent_memfd(20 * PAGE_SIZE, 1, 0, 3);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_ASSERT_GT(test, sim_count(SIM_USED), used);
	sim_close(session);
	sim_close(fd);
	sim_close(dev);
	after = sim_balance();
	KUNIT_EXPECT_EQ(test, after.pages, before.pages);
	KUNIT_EXPECT_EQ(test, after.keys, before.keys);
	KUNIT_EXPECT_EQ(test, after.objects, before.objects);
}

/*
 * Preserving a file fails if an allocation fails, and works when it is
 * repeated.
 */
static bool attempt_preserve(struct kunit *test, unsigned long n)
{
	struct sim_balance before, after;
	int session, fd, err;
	bool failed;

	sim_boot_cold();
	session = agent_create(sim_open_device(), "a");
	fd = agent_memfd(9 * PAGE_SIZE, 0, 0, 1);
	before = sim_balance();

	sim_fail_nth(n);
	err = agent_preserve(session, 1, fd);
	failed = sim_failed();
	sim_fail_nth(0);
	if (err) {
		after = sim_balance();
		KUNIT_ASSERT_EQ_MSG(test, err, -ENOMEM, "n = %lu", n);
		KUNIT_ASSERT_MEMEQ_MSG(test, &before, &after, sizeof(after), "n = %lu", n);
		err = agent_preserve(session, 1, fd);
	}
	KUNIT_ASSERT_EQ_MSG(test, err, 0, "n = %lu", n);
	return failed;
}

/*
 * Calls @attempt for each allocation.  @least: minimum number of allocations.
 */
static void fail_each(struct kunit *test, unsigned long least,
		      bool (*attempt)(struct kunit *test, unsigned long n))
{
	unsigned long n = 1;

	while (attempt(test, n))
		n++;
	KUNIT_EXPECT_GE(test, n, least);
}

static void luo_test_fail_preserve(struct kunit *test)
{
	fail_each(test, 5, attempt_preserve);
}

/*
 * Retrieving a file loses nothing if an allocation fails, and works when it is
 * repeated.
 */
static bool attempt_retrieve(struct kunit *test, unsigned long n)
{
	static const struct file_case f = { "", 9 * PAGE_SIZE, 0, SEALS };
	int dev, session, fd;
	bool failed;

	sim_boot_cold();
	leave_file(test, &f);
	agent_kexec(test);
	dev = sim_open_device();

	sim_fail_nth(n);
	session = agent_retrieve(dev, "a");
	failed = sim_failed();
	if (session < 0) {
		KUNIT_ASSERT_EQ_MSG(test, session, -ENOMEM, "n = %lu", n);
		session = agent_retrieve(dev, "a");
	}
	KUNIT_ASSERT_GE_MSG(test, session, 0, "n = %lu", n);

	fd = agent_get(session, 7);
	failed |= sim_failed();
	sim_fail_nth(0);
	if (fd < 0) {
		KUNIT_ASSERT_EQ_MSG(test, fd, -ENOMEM, "n = %lu", n);
		fd = agent_get(session, 7);
	}
	KUNIT_ASSERT_GE_MSG(test, fd, 0, "n = %lu", n);
	KUNIT_ASSERT_TRUE_MSG(test, agent_memfd_is(fd, f.size, f.seals, 1), "n = %lu", n);
	return failed;
}

static void luo_test_fail_retrieve(struct kunit *test)
{
	fail_each(test, 8, attempt_retrieve);
}

static struct kunit_case luo_cases[] = {
	KUNIT_CASE_PARAM(luo_test_memfd, file_case_gen_params),
	KUNIT_CASE_PARAM(luo_test_finish, file_case_gen_params),
	KUNIT_CASE(luo_test_many_sessions),
	KUNIT_CASE(luo_test_no_memory_lost),
	KUNIT_CASE(luo_test_close),
	KUNIT_CASE(luo_test_fail_preserve),
	KUNIT_CASE(luo_test_fail_retrieve),
	{}
};

static struct kunit_suite luo_suite = {
	.name = "unit-luo",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_cases,
};

kunit_test_suite(luo_suite);
