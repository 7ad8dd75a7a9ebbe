// SPDX-License-Identifier: GPL-2.0
/*
 * Memfds under adverse conditions: folios that are replaced or poisoned, locks
 * that other tasks hold, descriptors without permissions, and a next kernel
 * that cannot create a file or does not have huge pages.
 */

#include "agent.h"

#include <linux/kexec_handover.h>
#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/memfd.h>

#define PAGES		12
#define SIZE		(PAGES * PAGE_SIZE)

static int new_session(void)
{
	return agent_create(sim_open_device(), "a");
}

/* Boots the next kernel; returns session "a". */
static int hop(struct kunit *test)
{
	agent_kexec(test);
	return agent_retrieve(sim_open_device(), "a");
}

/*
 * collapse_file() may replace a folio before a reference to it is taken: the
 * reference is then to a folio that is not in the file any more.
 */

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

/* Data that is written after a folio was replaced is handed over. */
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

static struct folio *replaced;

/*
 * Replaces a folio.  The old folio gets a new owner, which has not set it up to
 * date yet.
 */
static void collapse_and_reuse(struct folio *folio)
{
	if (replaced)
		return;
	replaced = folio;
	folio_get(folio);
	sim_shmem_replace(folio);
	folio->page.flags &= ~(SIM_UPTODATE | SIM_DIRTY);
	memset(folio_address(folio), 0x5a, PAGE_SIZE);
}

/* A folio that has left the file is not modified. */
static void memfd_keep_test_collapse_reused(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	replaced = NULL;
	sim_before_folio_lock = collapse_and_reuse;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_before_folio_lock = NULL;
	KUNIT_ASSERT_NOT_NULL(test, replaced);
	KUNIT_EXPECT_FALSE(test, replaced->page.flags & (SIM_UPTODATE | SIM_DIRTY | SIM_LOCKED));
	KUNIT_EXPECT_NULL(test, memchr_inv(folio_address(replaced), 0x5a, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, folio_ref_count(replaced), 1);
	folio_put(replaced);
}

static void collapse_all(struct folio *folio)
{
	if (!folio->mapping || collapse.replaced == 5 * PAGES)
		return;
	sim_shmem_replace(folio);
	collapse.replaced++;
}

/* Every folio is replaced: each is looked up again, and none leaks. */
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

/* Poisoned memory. */

static void memfd_keep_test_poisoned_before(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	sim_poison(agent_inode(fd)->cache[5]);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EHWPOISON);
	KUNIT_EXPECT_FALSE(test, agent_inode(fd)->frozen);
}

/* A folio that was never written is zeroed, except if it is poisoned. */
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
	/* Poisoned memory of another file does not abort the freeze. */
	sim_poison(agent_inode(other)->cache[5]);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), 0);

	sim_boot_cold();
	session = new_session();
	fd = agent_memfd(SIZE, 0, 0, 1);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_poison(agent_inode(fd)->cache[PAGES - 1]);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EHWPOISON);
}

/* The number of poisoned pages is unchanged, as another page was unpoisoned. */
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

/* Tags of memory are not handed over. */

static const struct tagged {
	const char *name;
	bool mte;
	unsigned int page;
	int err;
} tagged[] = {
	{ "first page", true, 0, -EOPNOTSUPP },
	{ "page of a folio", true, 6, -EOPNOTSUPP },
	{ "last page", true, PAGES - 1, -EOPNOTSUPP },
	{ "none", true, PAGES, 0 },
	/* Other architectures may use this page flag for something else. */
	{ "no tags here", false, 6, 0 },
};

KUNIT_ARRAY_PARAM_DESC(tagged, tagged, name);

static void tag(int fd, const struct tagged *t)
{
	struct folio *folio;

	sim_mte = t->mte;
	if (t->page == PAGES)
		return;
	folio = agent_inode(fd)->cache[t->page];
	folio_page(folio, t->page - folio->index)->flags |= SIM_TAGGED;
}

static void memfd_keep_test_tags(struct kunit *test)
{
	const struct tagged *t = test->param_value;
	int session = new_session(), fd = agent_memfd(SIZE, 2, 0, 1);

	tag(fd, t);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), t->err);
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->frozen, !t->err);
}

/* A folio may be followed by memory of another user. */
static void memfd_keep_test_tags_of_another(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(4 * PAGE_SIZE, 2, 0, 1);

	sim_mte = true;
	folio_page(agent_inode(fd)->cache[0], 4)->flags |= SIM_TAGGED;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), 0);
}

/* Mappings can also set tags after the file is preserved. */
static void memfd_keep_test_tags_after(struct kunit *test)
{
	const struct tagged *t = test->param_value;
	int session = new_session(), fd = agent_memfd(SIZE, 2, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	tag(fd, t);
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), t->err);
}

/* Permissions of descriptors. */

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

/* Locks that user space can prevent from being released. */

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

	/* The other task still has the lock, so the file is not frozen. */
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

/* A fatal signal at any folio; the next folio is not modified. */
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

/* A fatal signal while a hole is filled; no page is added to the file. */
static void memfd_keep_test_killed_in_a_hole(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(0, 0, 0, 0);

	sim_resize(fd, SIZE);
	sim_task.killed = true;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -EINTR);
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->mapping.nrpages, 0);
}

/* Folios that have to be moved, and the state of one of them. */

static const struct unmovable {
	const char *name;
	unsigned int at;
	unsigned long flag;
	bool on_its_way;	/* not on an LRU list yet */
	int err;
	unsigned int drains;
} unmovables[] = {
	{ "as the others", 0, 0, false, 0, 0 },
	{ "on its way", 0, 0, true, 0, 1 },
	{ "of another user", 0, SIM_ISOLATED, false, -EBUSY, 17 },
	{ "poisoned", 5, SIM_POISONED, false, -EHWPOISON, 0 },
};

KUNIT_ARRAY_PARAM_DESC(unmovable, unmovables, name);

static void memfd_keep_test_unmovable(struct kunit *test)
{
	const struct unmovable *u = test->param_value;
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);
	struct folio **folios = agent_inode(fd)->cache;

	for (unsigned int i = 0; i < PAGES; i++)
		folios[i]->page.flags |= SIM_MOVABLE;
	folios[u->at]->page.flags |= u->flag;
	if (u->on_its_way)
		sim_folio_on_its_way = folios[u->at];
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), u->err);
	KUNIT_EXPECT_EQ(test, sim_drains, u->drains);
	for (unsigned int i = 0; i < PAGES; i++) {
		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[i]), u->err ? 1 : 2);
		KUNIT_EXPECT_EQ(test, folios[i]->page.flags & SIM_ISOLATED,
				i == u->at ? u->flag & SIM_ISOLATED : 0);
	}
}

/* Folios are migrated in limited batches. */
static void memfd_keep_test_move_in_parts(struct kunit *test)
{
	const loff_t size = 5 * SZ_16M;
	unsigned int order = get_order(SZ_16M);
	struct inode *inode;
	int session, fd;

	/* Not all page sizes have enough memory for this test. */
	if (2 * size > SIM_PAGES * PAGE_SIZE)
		return;

	session = new_session();
	fd = agent_memfd(size, order, 0, 1);
	inode = agent_inode(fd);
	for (u64 i = 0; i < inode->cache_size; i++)
		inode->cache[i]->page.flags |= SIM_MOVABLE;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, sim_migrate_most, SZ_64M >> PAGE_SHIFT);
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

/* After an error of one process, another process can retrieve the file. */
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

static unsigned int count_logged(const char *text)
{
	unsigned int nr = 0;

	for (const char *at = sim_log(); (at = strstr(at, text)); at++)
		nr++;
	return nr;
}

/* A user of a session cannot flood the log. */
static void memfd_keep_test_log_is_limited(struct kunit *test)
{
	int session = new_session(), fd = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	fd = agent_memfd(SIZE, 0, 1 << 20, 1);
	sim_log_clear();
	for (int i = 0; i < 3 * SIM_BURST; i++)
		KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, fd), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, count_logged("failed to preserve file"), SIM_BURST);

	session = hop(test);
	for (int i = 0; i < 3 * SIM_BURST; i++) {
		sim_memfd_error = -ENFILE;
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENFILE);
		sim_memfd_error = 0;
		sim_seal_error = -EBUSY;
		KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EBUSY);
		sim_seal_error = 0;
	}
	KUNIT_EXPECT_EQ(test, count_logged("failed to create file"), SIM_BURST);
	KUNIT_EXPECT_EQ(test, count_logged("failed to add seals"), SIM_BURST);
}

/*
 * After an allocation failure the file can be retrieved again, and retrieving
 * it ends even if all allocations fail.
 */
static void memfd_keep_test_not_granted(struct kunit *test)
{
	int session = new_session(), fd;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, agent_memfd(SIZE, 0, 0, 1)), 0);
	session = hop(test);
	sim_no_blocks = true;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENOMEM);
	sim_no_blocks = false;
	sim_no_nodes = true;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENOMEM);
	sim_no_nodes = false;
	fd = agent_get(session, 1);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));
}

/* Finishing the session frees folios that are not in the file yet. */
static void memfd_keep_test_not_granted_finish(struct kunit *test)
{
	int session = new_session(), fd;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, agent_memfd(SIZE, 0, 0, 1)), 0);
	session = hop(test);
	sim_no_nodes = true;
	fd = agent_get(session, 1);
	KUNIT_EXPECT_EQ(test, fd, -ENOMEM);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("of a discarded file"));
}

/* After any error of charging a folio, the file can be retrieved again. */
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
		KUNIT_ASSERT_EQ(test, folio_order(inode->cache[i]),
				f->order <= f->max_order ? f->order : 0);
		KUNIT_ASSERT_TRUE(test, folio_test_uptodate(inode->cache[i]));
		KUNIT_ASSERT_TRUE(test, folio_test_dirty(inode->cache[i]));
	}
}

/* Two files that are adjacent in memory: their blocks must not be mixed up. */
static void memfd_keep_test_small_pages(struct kunit *test)
{
	const struct folios *f = test->param_value;
	int session = new_session(), fd;

	for (int token = 1; token <= 2; token++) {
		fd = agent_memfd(f->size, f->order, 0, token);
		KUNIT_ASSERT_EQ(test, agent_preserve(session, token, fd), 0);
	}
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

/*
 * A block has more small folios than are added at a time: the rest is added
 * later.
 */
#define SMALL_ORDER	7
#define SMALL_SIZE	(PAGE_SIZE << SMALL_ORDER)

/*
 * Retrieves a file of large folios in a kernel without large folios, with the
 * @n-th allocation failing.
 */
static int get_small(struct kunit *test, unsigned long n, int *session, bool *failed)
{
	int fd;

	sim_boot_cold();
	*session = new_session();
	fd = agent_memfd(SMALL_SIZE, SMALL_ORDER, 0, 1);
	KUNIT_ASSERT_EQ(test, agent_preserve(*session, 1, fd), 0);
	*session = hop(test);
	sim_max_folio_order = 0;
	sim_fail_nth(n);
	fd = agent_get(*session, 1);
	*failed = sim_failed();
	sim_fail_nth(0);
	return fd;
}

/* Finishing the session frees the rest of a block of which a part was added. */
static void memfd_keep_test_small_pages_finish(struct kunit *test)
{
	struct sim_balance all = { }, left;
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		int session, fd = get_small(test, n, &session, &failed);

		if (fd >= 0)
			sim_close(fd);
		KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
		left = sim_balance();
		if (n > 1)
			KUNIT_ASSERT_EQ_MSG(test, left.pages, all.pages, "n = %lu", n);
		all = left;
	}
}

/*
 * After each failing allocation, also with a part of a block added, the file
 * can be retrieved again.
 */
static void memfd_keep_test_small_pages_fail_nth(struct kunit *test)
{
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		int session, fd = get_small(test, n, &session, &failed);

		if (fd < 0) {
			KUNIT_ASSERT_EQ_MSG(test, fd, -ENOMEM, "n = %lu", n);
			fd = agent_get(session, 1);
		}
		KUNIT_ASSERT_TRUE_MSG(test, agent_memfd_is(fd, SMALL_SIZE, 0, 1),
				      "n = %lu", n);
	}
}

/*
 * A stale block starts at a folio of the file, and is larger than the folio: in
 * the file, the block would overlap the next folio.
 */
static void memfd_keep_test_stale_block(struct kunit *test)
{
	for (int discard = 0; discard < 2; discard++) {
		unsigned int stale = 0;
		struct inode *inode;
		int session, fd;

		sim_boot_cold();
		session = new_session();
		fd = agent_memfd(16 * PAGE_SIZE, 2, 0, 1);
		inode = agent_inode(fd);
		KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
		for (u64 i = 0; i < inode->cache_size; i += 4) {
			unsigned long pfn = folio_pfn(inode->cache[i]);

			/*
			 * The last folio does not have a maximum size, so its
			 * stale block would be restored.
			 */
			if (i + 4 == inode->cache_size || !IS_ALIGNED(pfn, 8))
				continue;
			KUNIT_ASSERT_EQ(test, kho_preserve_pages(pfn_to_page(pfn), 8), 0);
			stale++;
		}
		KUNIT_ASSERT_GE(test, stale, 1);
		session = hop(test);
		if (!discard)
			KUNIT_EXPECT_TRUE(test, agent_memfd_is(agent_get(session, 1),
							       16 * PAGE_SIZE, 0, 1));
		KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
		KUNIT_EXPECT_FALSE(test, sim_logged("of a discarded file"));
	}
}

static struct kunit_case memfd_keep_cases[] = {
	KUNIT_CASE(memfd_keep_test_collapse),
	KUNIT_CASE(memfd_keep_test_collapse_reused),
	KUNIT_CASE(memfd_keep_test_collapse_storm),
	KUNIT_CASE(memfd_keep_test_poisoned_before),
	KUNIT_CASE(memfd_keep_test_poisoned_unwritten),
	KUNIT_CASE(memfd_keep_test_poisoned_after),
	KUNIT_CASE(memfd_keep_test_poisoned_instead),
	KUNIT_CASE_PARAM(memfd_keep_test_tags, tagged_gen_params),
	KUNIT_CASE(memfd_keep_test_tags_of_another),
	KUNIT_CASE_PARAM(memfd_keep_test_tags_after, tagged_gen_params),
	KUNIT_CASE_PARAM(memfd_keep_test_access, access_gen_params),
	KUNIT_CASE(memfd_keep_test_locked_for_ever),
	KUNIT_CASE(memfd_keep_test_locked_for_a_time),
	KUNIT_CASE(memfd_keep_test_close_locked),
	KUNIT_CASE(memfd_keep_test_killed),
	KUNIT_CASE(memfd_keep_test_killed_in_a_hole),
	KUNIT_CASE_PARAM(memfd_keep_test_unmovable, unmovable_gen_params),
	KUNIT_CASE(memfd_keep_test_move_in_parts),
	KUNIT_CASE_PARAM(memfd_keep_test_refused_here, environment_gen_params),
	KUNIT_CASE(memfd_keep_test_log_is_limited),
	KUNIT_CASE(memfd_keep_test_not_granted),
	KUNIT_CASE(memfd_keep_test_not_granted_finish),
	KUNIT_CASE(memfd_keep_test_not_charged),
	KUNIT_CASE_PARAM(memfd_keep_test_small_pages, folios_gen_params),
	KUNIT_CASE(memfd_keep_test_small_pages_fail_nth),
	KUNIT_CASE(memfd_keep_test_small_pages_finish),
	KUNIT_CASE(memfd_keep_test_stale_block),
	{}
};

static struct kunit_suite memfd_keep_suite = {
	.name = "unit-memfd-keep",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = memfd_keep_cases,
};

kunit_test_suite(memfd_keep_suite);
