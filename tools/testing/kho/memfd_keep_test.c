// SPDX-License-Identifier: GPL-2.0
/*
 * Memfds under adverse conditions: folios that are replaced or break, locks that
 * others hold, descriptors with few permissions, a next kernel that refuses to
 * make a file or has no huge pages.
 */

#include "agent.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/memfd.h>

#define PAGES		12
#define SIZE		(PAGES * PAGE_SIZE)

static int new_session(void)
{
	return agent_create(sim_open_device(), "a");
}

/* The session in the next kernel. */
static int hop(struct kunit *test)
{
	agent_kexec(test);
	return agent_retrieve(sim_open_device(), "a");
}

/* collapse_file(): who gets the reference late has a folio of no file. */

static struct {
	int countdown;
	unsigned int replaced;
} collapse;

static void collapse_now(struct folio *folio)
{
	if (collapse.countdown-- || !folio->mapping)
		return;
	sim_shmem_replace(folio);
	collapse.replaced++;
}

/* Writes that come after the folio was replaced are handed over, too. */
static void memfd_keep_test_collapse(struct kunit *test)
{
	for (int at = 0; at < PAGES; at++) {
		int session, fd;

		sim_boot_cold();
		session = new_session();
		fd = agent_memfd(SIZE, 0, 0, 1);
		memset(&collapse, 0, sizeof(collapse));
		collapse.countdown = at;
		sim_before_folio_lock = collapse_now;
		KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
		sim_before_folio_lock = NULL;
		KUNIT_ASSERT_EQ(test, collapse.replaced, 1);

		agent_memfd_fill(fd, 77);
		session = hop(test);
		KUNIT_ASSERT_TRUE_MSG(test, agent_memfd_is(agent_get(session, 1), SIZE, 0, 77),
				      "page %d", at);
	}
}

static void collapse_all(struct folio *folio)
{
	if (!folio->mapping || collapse.replaced == 5 * PAGES)
		return;
	sim_shmem_replace(folio);
	collapse.replaced++;
}

/* Again and again: each folio that was replaced is looked up again, and none leaks. */
static void memfd_keep_test_collapse_storm(struct kunit *test)
{
	struct sim_balance before = sim_balance(), after;
	int dev = sim_open_device(), session = agent_create(dev, "a");
	int fd = agent_memfd(SIZE, 0, 0, 1);

	memset(&collapse, 0, sizeof(collapse));
	sim_before_folio_lock = collapse_all;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_before_folio_lock = NULL;
	KUNIT_EXPECT_EQ(test, collapse.replaced, 5 * PAGES);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));

	sim_close(session);
	sim_close(fd);
	sim_close(dev);
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
}

/* Broken memory. */

static void memfd_keep_test_poisoned_before(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	sim_poison(agent_inode(fd)->cache[5]);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EHWPOISON);
	KUNIT_EXPECT_FALSE(test, agent_inode(fd)->frozen);
}

/* A page that was never written is zeroed, which would be an access to it. */
static void memfd_keep_test_poisoned_unwritten(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);
	struct folio *folio = agent_inode(fd)->cache[3];

	folio->page.flags &= ~SIM_UPTODATE;
	sim_poison(folio);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EHWPOISON);
	KUNIT_EXPECT_FALSE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_FALSE(test, agent_inode(fd)->frozen);
}

static void memfd_keep_test_poisoned_after(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);
	int other = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	/* Memory of another file is not a reason to refuse. */
	sim_poison(agent_inode(other)->cache[5]);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);

	sim_boot_cold();
	session = new_session();
	fd = agent_memfd(SIZE, 0, 0, 1);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_poison(agent_inode(fd)->cache[PAGES - 1]);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EHWPOISON);
}

/* Their number is what it was, as another page is not poisoned any more. */
static void memfd_keep_test_poisoned_instead(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);
	int other = agent_memfd(SIZE, 0, 0, 2);

	sim_poison(agent_inode(other)->cache[0]);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_poison(agent_inode(fd)->cache[1]);
	sim_unpoison();
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EHWPOISON);
}

/* What a descriptor may. */

#define FIXED_SIZE	(F_SEAL_SHRINK | F_SEAL_GROW)

static const struct access {
	const char *name;
	unsigned int f_mode, seals;
	int err;
} accesses[] = {
	{ "as it is made", FMODE_READ | FMODE_WRITE, 0, 0 },
	{ "read only", FMODE_READ, 0, -EPERM },
	{ "read only, sealed", FMODE_READ, FIXED_SIZE | F_SEAL_WRITE, 0 },
	{ "read only, sealed later", FMODE_READ, FIXED_SIZE | F_SEAL_FUTURE_WRITE, 0 },
	{ "read only, of one size", FMODE_READ, FIXED_SIZE, -EPERM },
	{ "read only, can shrink", FMODE_READ, F_SEAL_GROW | F_SEAL_WRITE, -EPERM },
	{ "read only, can grow", FMODE_READ, F_SEAL_SHRINK | F_SEAL_WRITE, -EPERM },
	{ "write only, sealed", FMODE_WRITE, FIXED_SIZE | F_SEAL_WRITE, -EPERM },
	{ "write only", FMODE_WRITE, 0, -EPERM },
};

KUNIT_ARRAY_PARAM_DESC(access, accesses, name);

static void memfd_keep_test_access(struct kunit *test)
{
	const struct access *a = test->param_value;
	int session = new_session(), fd = agent_memfd(SIZE, 0, a->seals, 1);
	struct file *file = fget(fd);

	file->f_mode = a->f_mode;
	fput(file);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), a->err);
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->frozen, !a->err);
}

/* Locks that user space can make another task hold for ever. */

static int waited;

static void wait_and_be_killed(void)
{
	if (++waited == 3)
		sim_task.killed = true;
}

static void memfd_keep_test_locked_for_ever(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	waited = 0;
	agent_inode(fd)->locked = true;
	sim_asleep = wait_and_be_killed;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EINTR);
	KUNIT_EXPECT_EQ(test, waited, 3);

	/* The lock is that of the other task, and nothing is frozen. */
	KUNIT_EXPECT_TRUE(test, agent_inode(fd)->locked);
	KUNIT_EXPECT_FALSE(test, agent_inode(fd)->frozen);
}

static struct inode *locked;

static void unlock_soon(void)
{
	if (++waited == 3)
		locked->locked = false;
}

static void memfd_keep_test_locked_for_a_time(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	waited = 0;
	locked = agent_inode(fd);
	locked->locked = true;
	sim_asleep = unlock_soon;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, waited, 3);
}

/* Closing the session does not wait for the lock either. */
static void memfd_keep_test_close_locked(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	agent_inode(fd)->locked = true;
	sim_close(session);
	KUNIT_EXPECT_FALSE(test, agent_inode(fd)->frozen);
	agent_inode(fd)->locked = false;
}

static int locks_until_killed;

static void be_killed(struct folio *folio)
{
	if (!locks_until_killed--)
		sim_task.killed = true;
}

/* At any folio, before anything is done to the next one. */
static void memfd_keep_test_killed(struct kunit *test)
{
	for (int at = 0; at < PAGES; at++) {
		int session, fd;

		sim_boot_cold();
		session = new_session();
		fd = agent_memfd(SIZE, 0, 0, 1);
		locks_until_killed = at;
		sim_before_folio_lock = be_killed;
		KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd),
				at + 1 < PAGES ? -EINTR : 0);
		KUNIT_EXPECT_EQ(test, locks_until_killed, -1);
		KUNIT_EXPECT_EQ(test, agent_inode(fd)->frozen, at + 1 == PAGES);
	}
}

/* What has to be moved is pinned, a limited part at a time. */
static void memfd_keep_test_pin_in_parts(struct kunit *test)
{
	const loff_t size = 5 * SZ_16M;
	unsigned int order = get_order(SZ_16M);
	struct inode *inode;
	int session, fd;

	/* There is memory for it only with large pages. */
	if (2 * size > SIM_PAGES * PAGE_SIZE)
		return;

	session = new_session();
	fd = agent_memfd(size, order, 0, 1);
	inode = agent_inode(fd);
	for (u64 i = 0; i < inode->cache_size; i++)
		inode->cache[i]->page.flags |= SIM_MOVABLE;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	session = hop(test);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(agent_get(session, 1), size, 0, 1));
}

/* The next kernel. */

static const struct environment {
	const char *name;
	int refused, err;
} environments[] = {
	{ "not permitted", -EACCES, -EACCES },
	{ "another policy", -EPERM, -EPERM },
	{ "quota", -EDQUOT, -EDQUOT },
	{ "too many files", -ENFILE, -ENFILE },
	{ "no inode", -ENOSPC, -ENOMEM },
};

KUNIT_ARRAY_PARAM_DESC(environment, environments, name);

/* An error of this process does not cost another one the data. */
static void memfd_keep_test_refused_here(struct kunit *test)
{
	const struct environment *e = test->param_value;
	int session = new_session();

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, agent_memfd(SIZE, 0, 0, 1)), 0);
	session = hop(test);
	sim_memfd_error = e->refused;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), e->err);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), e->err);
	sim_memfd_error = 0;
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(agent_get(session, 1), SIZE, 0, 1));
}

/* Nor does one on the way, whichever it is. */
static void memfd_keep_test_not_charged(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EINTR, -EAGAIN, -EBUSY };
	int session = new_session();

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, agent_memfd(SIZE, 0, 0, 1)), 0);
	session = hop(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(errors); i++) {
		sim_charge_error = errors[i];
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), errors[i]);
	}
	sim_charge_error = 0;
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(agent_get(session, 1), SIZE, 0, 1));
}

static const struct folios {
	const char *name;
	unsigned int order, max_order;
	loff_t size;
} folios[] = {
	{ "small", 0, 0, SIZE },
	{ "large, no huge pages", 4, 0, 64 * PAGE_SIZE },
	{ "large, past the end", 4, 0, 65 * PAGE_SIZE + 1 },
	{ "one", 4, 0, PAGE_SIZE },
	{ "more than a window", 7, 0, 300 * PAGE_SIZE },
	{ "larger than here", 4, 3, 64 * PAGE_SIZE },
	{ "as large as here", 4, 4, 64 * PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(folios, folios, name);

static void expect_orders(struct kunit *test, int fd, const struct folios *f)
{
	struct inode *inode = agent_inode(fd);

	for (u64 i = 0; i < inode->cache_size; i++) {
		KUNIT_ASSERT_NOT_NULL(test, inode->cache[i]);
		KUNIT_ASSERT_LE(test, folio_order(inode->cache[i]), f->max_order);
	}
}

/* Two files, side by side in memory: blocks of one are not those of the other. */
static void memfd_keep_test_small_pages(struct kunit *test)
{
	const struct folios *f = test->param_value;
	int session = new_session(), fd;

	for (int token = 1; token <= 2; token++)
		KUNIT_ASSERT_EQ(test, agent_preserve(session, token,
				agent_memfd(f->size, f->order, 0, token)), 0);
	session = hop(test);
	sim_max_folio_order = f->max_order;
	for (int token = 1; token <= 2; token++) {
		fd = agent_get(session, token);
		KUNIT_ASSERT_GE(test, fd, 0);
		KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, f->size, 0, token));
		expect_orders(test, fd, f);
	}
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("unclaimed pages released") &&
			   !sim_logged(" 0 unclaimed pages released"));
}

/* Each allocation on the way may fail, with a part of a block taken. */
static void memfd_keep_test_small_pages_fail_nth(struct kunit *test)
{
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		int session, fd;

		sim_boot_cold();
		session = new_session();
		KUNIT_ASSERT_EQ(test, agent_preserve(session, 1,
				agent_memfd(64 * PAGE_SIZE, 5, 0, 1)), 0);
		session = hop(test);
		sim_max_folio_order = 0;
		sim_fail_nth(n);
		fd = agent_get(session, 1);
		failed = sim_failed();
		sim_fail_nth(0);
		if (fd < 0) {
			KUNIT_ASSERT_EQ_MSG(test, fd, -ENOMEM, "n = %lu", n);
			fd = agent_get(session, 1);
		}
		KUNIT_ASSERT_TRUE_MSG(test, agent_memfd_is(fd, 64 * PAGE_SIZE, 0, 1),
				      "n = %lu", n);
	}
}

static struct kunit_case memfd_keep_cases[] = {
	KUNIT_CASE(memfd_keep_test_collapse),
	KUNIT_CASE(memfd_keep_test_collapse_storm),
	KUNIT_CASE(memfd_keep_test_poisoned_before),
	KUNIT_CASE(memfd_keep_test_poisoned_unwritten),
	KUNIT_CASE(memfd_keep_test_poisoned_after),
	KUNIT_CASE(memfd_keep_test_poisoned_instead),
	KUNIT_CASE_PARAM(memfd_keep_test_access, access_gen_params),
	KUNIT_CASE(memfd_keep_test_locked_for_ever),
	KUNIT_CASE(memfd_keep_test_locked_for_a_time),
	KUNIT_CASE(memfd_keep_test_close_locked),
	KUNIT_CASE(memfd_keep_test_killed),
	KUNIT_CASE(memfd_keep_test_pin_in_parts),
	KUNIT_CASE_PARAM(memfd_keep_test_refused_here, environment_gen_params),
	KUNIT_CASE(memfd_keep_test_not_charged),
	KUNIT_CASE_PARAM(memfd_keep_test_small_pages, folios_gen_params),
	KUNIT_CASE(memfd_keep_test_small_pages_fail_nth),
	{}
};

static struct kunit_suite memfd_keep_suite = {
	.name = "unit-memfd-keep",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = memfd_keep_cases,
};

kunit_test_suite(memfd_keep_suite);
