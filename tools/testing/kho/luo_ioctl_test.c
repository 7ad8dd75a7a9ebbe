// SPDX-License-Identifier: GPL-2.0
/* The ioctls: their format, invalid calls, and inaccessible user memory. */

#include "agent.h"

#include <linux/kexec_handover.h>

union request {
	u32 size;
	struct liveupdate_ioctl_create_session create;
	struct liveupdate_ioctl_retrieve_session retrieve;
	struct liveupdate_session_preserve_fd preserve;
	struct liveupdate_session_retrieve_fd get;
	struct liveupdate_session_finish finish;
	struct liveupdate_session_get_name name;
	char bytes[256];
};

static union request request(u32 size)
{
	union request r;

	memset(&r, 0, sizeof(r));
	r.size = size;
	return r;
}

static int next_kernel(struct kunit *test)
{
	agent_kexec(test);
	return sim_open_device();
}

static const struct form {
	const char *name;
	unsigned int cmd;
	u32 size, min;
	bool session;
} forms[] = {
	{ "create", LIVEUPDATE_IOCTL_CREATE_SESSION,
	  sizeof(struct liveupdate_ioctl_create_session), 72, false },
	{ "retrieve session", LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
	  sizeof(struct liveupdate_ioctl_retrieve_session), 72, false },
	{ "preserve", LIVEUPDATE_SESSION_PRESERVE_FD,
	  sizeof(struct liveupdate_session_preserve_fd), 16, true },
	{ "retrieve file", LIVEUPDATE_SESSION_RETRIEVE_FD,
	  sizeof(struct liveupdate_session_retrieve_fd), 16, true },
	{ "finish", LIVEUPDATE_SESSION_FINISH,
	  sizeof(struct liveupdate_session_finish), 8, true },
	{ "name", LIVEUPDATE_SESSION_GET_NAME,
	  sizeof(struct liveupdate_session_get_name), 72, true },
};

KUNIT_ARRAY_PARAM_DESC(form, forms, name);

/* Invalid calls fail without an effect. */
static void luo_ioctl_test_form(struct kunit *test)
{
	const struct form *f = test->param_value;
	int dev = sim_open_device(), fd = f->session ? agent_create(dev, "a") : dev;
	union request r = request(f->size), before;

	r.create.name[0] = 'b';
	before = r;
	KUNIT_EXPECT_EQ(test, sim_ioctl(fd, f->cmd + 0x20, &r), -EINVAL);
	KUNIT_EXPECT_EQ(test, sim_ioctl(fd, f->cmd | 1 << 16, &r), -ENOIOCTLCMD);
	sim_user = SIM_USER_UNREADABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(fd, f->cmd, &r), -EFAULT);
	sim_user = SIM_USER_GOOD;
	KUNIT_EXPECT_MEMEQ(test, &r, &before, sizeof(r));
	r.size = f->min - 1;
	KUNIT_EXPECT_EQ(test, sim_ioctl(fd, f->cmd, &r), -EINVAL);
	r.size = f->size + 8;
	r.bytes[f->size + 7] = 1;
	KUNIT_EXPECT_EQ(test, sim_ioctl(fd, f->cmd, &r), -E2BIG);
	KUNIT_EXPECT_EQ(test, agent_create(dev, "b"), fd + 1);
}

/*
 * A program for a later kernel passes a larger structure, with the new fields
 * unused.
 */
static void luo_ioctl_test_larger(struct kunit *test)
{
	int dev = sim_open_device();
	union request r = request(sizeof(r));

	strcpy((char *)r.create.name, "a");
	memset(r.bytes + sizeof(r.create), 0, sizeof(r) - sizeof(r.create));
	KUNIT_ASSERT_EQ(test, sim_ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &r), 0);
	KUNIT_EXPECT_EQ(test, r.size, sizeof(r));
	r.finish.reserved = 0;
	memset(&r, 0, sizeof(r));
	r.size = sizeof(r);
	KUNIT_ASSERT_EQ(test, sim_ioctl(dev + 1, LIVEUPDATE_SESSION_GET_NAME, &r), 0);
	KUNIT_EXPECT_STREQ(test, (char *)r.name.name, "a");
	KUNIT_EXPECT_NULL(test, memchr_inv(r.bytes + sizeof(r.name), 0,
					   sizeof(r) - sizeof(r.name)));
}

/*
 * If the result cannot be copied to user space, neither a session nor a
 * descriptor is created.
 */
static void luo_ioctl_test_unwritable(struct kunit *test)
{
	int dev = sim_open_device();
	struct sim_balance before = sim_balance(), after;
	union request r = request(sizeof(r.create)), same;

	strcpy((char *)r.create.name, "a");
	same = r;
	sim_user = SIM_USER_UNWRITABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &r), -EFAULT);
	sim_user = SIM_USER_GOOD;
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &r, &same, sizeof(r));
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), dev + 1);

	r = request(sizeof(r.name));
	sim_user = SIM_USER_UNWRITABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(dev + 1, LIVEUPDATE_SESSION_GET_NAME, &r), -EFAULT);
	/* An ioctl without a result works, as it does not write to user space. */
	KUNIT_EXPECT_EQ(test, agent_preserve(dev + 1, 1, agent_memfd(1, 0, 0, 0)), 0);
	sim_user = SIM_USER_GOOD;
}

/* A file whose descriptor could not be returned can be retrieved again. */
static void luo_ioctl_test_unwritable_file(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a"), fd;
	union request r = request(sizeof(r.get));
	struct sim_balance before, after;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 0, agent_memfd(9, 0, 0, 1)), 0);
	dev = next_kernel(test);
	session = agent_retrieve(dev, "a");
	before = sim_balance();
	sim_user = SIM_USER_UNWRITABLE;
	KUNIT_EXPECT_EQ(test, sim_ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &r), -EFAULT);
	sim_user = SIM_USER_GOOD;
	fd = agent_get(session, 0);
	KUNIT_EXPECT_EQ(test, fd, session + 1);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, 9, 0, 1));
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_close(fd);
	after = sim_balance();
	KUNIT_EXPECT_EQ(test, after.objects, before.objects - 1);
}

/* Without a free descriptor, the ioctls fail without an effect. */
static void luo_ioctl_test_descriptors(struct kunit *test)
{
	int dev = sim_open_device(), fd, last = 0;
	struct sim_balance before, after;

	while ((fd = get_unused_fd_flags(0)) >= 0)
		last = fd;
	before = sim_balance();
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), -EMFILE);
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	put_unused_fd(last);
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), last);
	sim_close(last);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), last);
}

/* The descriptor of a session may be 0. */
static void luo_ioctl_test_descriptor_0(struct kunit *test)
{
	int dev;

	KUNIT_ASSERT_EQ(test, get_unused_fd_flags(0), 0);
	dev = sim_open_device();
	put_unused_fd(0);
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), 0);
	KUNIT_EXPECT_EQ(test, agent_create(dev, "a"), -EEXIST);
}

static void luo_ioctl_test_one_agent(struct kunit *test)
{
	int dev = sim_open_device();

	KUNIT_ASSERT_GE(test, dev, 0);
	KUNIT_EXPECT_EQ(test, sim_open_device(), -EBUSY);
	KUNIT_EXPECT_EQ(test, sim_open_device(), -EBUSY);
	sim_close(dev);
	KUNIT_EXPECT_EQ(test, sim_open_device(), dev);
}

/*
 * Names must not be empty or unterminated, and may have the size of the field.
 */
static void luo_ioctl_test_names(struct kunit *test)
{
	int dev = sim_open_device();
	char longest[LIVEUPDATE_SESSION_NAME_LENGTH + 1] = "";
	union request r = request(sizeof(r.name));

	KUNIT_EXPECT_EQ(test, agent_create(dev, ""), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, ""), -ENOENT);
	memset(longest, 'l', LIVEUPDATE_SESSION_NAME_LENGTH);
	KUNIT_EXPECT_EQ(test, agent_create(dev, longest), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, longest), -ENOENT);
	longest[LIVEUPDATE_SESSION_NAME_LENGTH - 1] = 0;
	KUNIT_ASSERT_EQ(test, agent_create(dev, longest), dev + 1);
	KUNIT_EXPECT_EQ(test, agent_create(dev, longest), -EEXIST);
	KUNIT_EXPECT_EQ(test, sim_ioctl(dev + 1, LIVEUPDATE_SESSION_GET_NAME, &r), 0);
	KUNIT_EXPECT_STREQ(test, (char *)r.name.name, longest);
	dev = next_kernel(test);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, longest), dev + 1);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, longest), -EINVAL);
}

/* Names with the same hash are different names. */
static void luo_ioctl_test_names_alike(struct kunit *test)
{
	static const char * const names[] = { "aB", "b!" };
	int dev = sim_open_device();

	KUNIT_ASSERT_EQ(test, full_name_hash(NULL, names[0], 2),
			full_name_hash(NULL, names[1], 2));
	for (int i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, agent_create(dev, names[i]), dev + 1 + i);
	dev = next_kernel(test);
	for (int i = 0; i < 2; i++) {
		union request r = request(sizeof(r.name));

		KUNIT_ASSERT_EQ(test, agent_retrieve(dev, names[i]), dev + 1 + i);
		KUNIT_ASSERT_EQ(test, sim_ioctl(dev + 1 + i, LIVEUPDATE_SESSION_GET_NAME, &r), 0);
		KUNIT_EXPECT_STREQ(test, (char *)r.name.name, names[i]);
	}
}

/* Reserved fields must be 0. */
static void luo_ioctl_test_reserved(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a");
	union request r = request(sizeof(r.name));

	r.name.reserved = 1;
	KUNIT_EXPECT_EQ(test, sim_ioctl(session, LIVEUPDATE_SESSION_GET_NAME, &r), -EINVAL);
	dev = next_kernel(test);
	session = agent_retrieve(dev, "a");
	r = request(sizeof(r.finish));
	r.finish.reserved = 2;
	KUNIT_EXPECT_EQ(test, sim_ioctl(session, LIVEUPDATE_SESSION_FINISH, &r), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
}

/* Outgoing and incoming sessions have different ioctls. */
static void luo_ioctl_test_direction(struct kunit *test)
{
	int dev = sim_open_device(), session = agent_create(dev, "a");
	int fd = agent_memfd(1, 0, 0, 1);

	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_finish(session), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_retrieve(dev, "a"), -ENOENT);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	dev = next_kernel(test);
	session = agent_retrieve(dev, "a");
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, agent_memfd(1, 0, 0, 1)), -EINVAL);
	/* An outgoing session may have the name of an incoming one. */
	KUNIT_EXPECT_GE(test, agent_create(dev, "a"), 0);
	fd = agent_get(session, 1);
	KUNIT_EXPECT_GE(test, fd, 0);
	/* The call fails before the token and the file are checked. */
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EINVAL);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), -EINVAL);
}

/* Each allocation for a new session fails once, also when another record block is needed. */
static void luo_ioctl_test_fail_create(struct kunit *test)
{
	int dev = sim_open_device();

	for (unsigned int i = 0; i < 60; i++) {
		struct sim_balance before = sim_balance(), after;
		char name[8];
		bool failed;
		int fd;

		snprintf(name, sizeof(name), "%u", i);
		for (unsigned long n = 1; ; n++) {
			sim_fail_nth(n);
			fd = agent_create(dev, name);
			failed = sim_failed();
			sim_fail_nth(0);
			if (!failed)
				break;
			after = sim_balance();
			KUNIT_ASSERT_EQ(test, fd, -ENOMEM);
			KUNIT_ASSERT_MEMEQ(test, &before, &after, sizeof(after));
		}
		KUNIT_ASSERT_EQ(test, fd, dev + 1 + i);
	}
}

/* Blocks of records are freed with the sessions. */
static void luo_ioctl_test_close_all(struct kunit *test)
{
	int dev = sim_open_device();
	struct sim_balance before = sim_balance(), after;

	for (int i = 0; i < 100; i++)
		KUNIT_ASSERT_EQ(test, agent_create(dev, (char []){ 'a' + i % 26, 'a' + i / 26, 0 }),
				dev + 1 + i);
	for (int i = 0; i < 100; i++)
		sim_close(dev + 1 + i);
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
}

/*
 * Returns true if LUO fails to initialize; @keys: the number of preserved keys.
 */
static bool boot_failing(unsigned long n, bool liveupdate, long *keys)
{
	bool failed;

	sim_liveupdate = liveupdate;
	sim_boot_cold();
	sim_log_clear();
	sim_fail_nth(n);
	sim_boot_cold();
	failed = sim_logged("failed to initialize");
	sim_fail_nth(0);
	*keys = sim_balance().keys;
	return failed;
}

/* If memory for outgoing data cannot be allocated, LUO is off. */
static void luo_ioctl_test_fail_boot(struct kunit *test)
{
	unsigned int failures = 0, off = 0;

	for (unsigned long n = 1; n < 30; n++) {
		long keys, keys_off;
		bool failed;

		boot_failing(n, false, &keys_off);
		failed = boot_failing(n, true, &keys);
		/*
		 * Do not count failures outside of LUO, after which nothing is
		 * preserved.
		 */
		failures += failed && keys_off;
		off += sim_logged("disabled, Kexec Handover is off");
		KUNIT_EXPECT_EQ(test, failed,
				sim_logged("failed to initialize: -12") ||
				sim_logged("failed to initialize: -95"));
		KUNIT_EXPECT_FALSE(test, failed && sim_logged("disabled, Kexec"));
		KUNIT_ASSERT_EQ(test, liveupdate_enabled(), !failed && kho_is_enabled());
		KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);
		if (liveupdate_enabled())
			continue;
		KUNIT_EXPECT_EQ(test, sim_open_device(), -ENOENT);
		KUNIT_EXPECT_EQ(test, keys, keys_off);
	}
	KUNIT_EXPECT_GE(test, failures, 2);
	KUNIT_EXPECT_GE(test, off, 1);
}

static struct kunit_case luo_ioctl_cases[] = {
	KUNIT_CASE_PARAM(luo_ioctl_test_form, form_gen_params),
	KUNIT_CASE(luo_ioctl_test_larger),
	KUNIT_CASE(luo_ioctl_test_unwritable),
	KUNIT_CASE(luo_ioctl_test_unwritable_file),
	KUNIT_CASE(luo_ioctl_test_descriptors),
	KUNIT_CASE(luo_ioctl_test_descriptor_0),
	KUNIT_CASE(luo_ioctl_test_one_agent),
	KUNIT_CASE(luo_ioctl_test_names),
	KUNIT_CASE(luo_ioctl_test_names_alike),
	KUNIT_CASE(luo_ioctl_test_reserved),
	KUNIT_CASE(luo_ioctl_test_direction),
	KUNIT_CASE(luo_ioctl_test_fail_create),
	KUNIT_CASE(luo_ioctl_test_close_all),
	KUNIT_CASE(luo_ioctl_test_fail_boot),
	{}
};

static struct kunit_suite luo_ioctl_suite = {
	.name = "unit-luo-ioctl",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_ioctl_cases,
};

kunit_test_suite(luo_ioctl_suite);
