// SPDX-License-Identifier: GPL-2.0
/*
 * Memfds: the effect of preserving a file, later changes, and the properties of
 * the retrieved file.
 */

#include "agent.h"

#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

#define SIZE	(24 * PAGE_SIZE)

/* Returns the next folio of a file from page @i on, and moves @i past it. */
static struct folio *next_folio(struct inode *inode, u64 *i)
{
	struct folio *folio;

	while (*i < inode->cache_size && !inode->cache[*i])
		++*i;
	if (*i >= inode->cache_size)
		return NULL;
	folio = inode->cache[*i];
	*i += folio_nr_pages(folio);
	return folio;
}

#define for_each_folio(folio, inode)					\
	for (u64 __i = 0; (folio = next_folio(inode, &__i)); )

static long references(struct inode *inode)
{
	struct folio *folio;
	long sum = 0;

	for_each_folio(folio, inode)
		sum += folio_ref_count(folio);
	return sum;
}

/* Machines with large pages have few pages. */
static void need_pages(struct kunit *test, u64 pages)
{
	if (2 * pages > totalram_pages())
		kunit_skip(test, "%llu pages are too many", pages);
}

static int session_of(int *dev)
{
	sim_boot_cold();
	sim_log_clear();
	*dev = sim_open_device();
	return agent_create(*dev, "a");
}

/* Boots the next kernel; returns session "a". */
static int go_on(struct kunit *test)
{
	int session;

	agent_kexec(test);
	session = agent_retrieve(sim_open_device(), "a");
	KUNIT_ASSERT_GE(test, session, 0);
	return session;
}

/* All incoming memory was restored. */
static void expect_all_claimed(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, sim_logged("unclaimed"));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged(": 0 unclaimed pages released"));
}

/* Checks the page cache and the accounting of a file. */
static void expect_accounted(struct kunit *test, struct inode *inode, u64 pages)
{
	long stat[2] = { }, thps[2] = { };
	const unsigned long want = SIM_UPTODATE | SIM_DIRTY | SIM_CHARGED |
				   SIM_SWAPBACKED | SIM_LRU;
	struct folio *folio;

	KUNIT_EXPECT_EQ(test, inode->mapping.nrpages, pages);
	KUNIT_EXPECT_EQ(test, inode->blocks, pages);
	KUNIT_EXPECT_EQ(test, inode->alloced, pages);
	KUNIT_EXPECT_FALSE(test, inode->frozen);
	for_each_folio(folio, inode) {
		long nr = folio_nr_pages(folio);
		int lru = folio_lruvec(folio) - sim_lruvecs;

		stat[lru] += nr;
		thps[lru] += nr * PAGE_SIZE >= PMD_SIZE ? nr : 0;
		KUNIT_EXPECT_EQ(test, folio->page.flags,
				want | (folio_order(folio) ? SIM_RMAPPABLE : 0));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), nr);
		KUNIT_EXPECT_PTR_EQ(test, folio->page.mapping, &inode->mapping);
		KUNIT_EXPECT_PTR_EQ(test, inode->cache[folio->page.index], folio);
	}
	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, sim_lruvecs[i].stat[NR_FILE_PAGES], stat[i]);
		KUNIT_EXPECT_EQ(test, sim_lruvecs[i].stat[NR_SHMEM], stat[i]);
		KUNIT_EXPECT_EQ(test, sim_lruvecs[i].stat[SIM_ON_LRU], stat[i]);
		KUNIT_EXPECT_EQ(test, sim_lruvecs[i].stat[NR_SHMEM_THPS], thps[i]);
	}
}

static void memfd_test_frozen(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE + 1), -EPERM);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE), 0);
	KUNIT_EXPECT_EQ(test, references(agent_inode(fd)), SIZE / PAGE_SIZE);

	session = agent_create(dev, "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE + 1), -EPERM);
	fd = agent_get(go_on(test), 1);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE), 0);
}

static void no_seals(int fd) { agent_inode(fd)->seals = -EINVAL; }
static void unknown_seal(int fd) { agent_inode(fd)->seals = 1 << 20; }
static void too_large(int fd) { sim_resize(fd, (totalram_pages() + 1) * PAGE_SIZE); }
static void large(int fd) { sim_resize(fd, totalram_pages() * PAGE_SIZE); }
static void broken(int fd) { agent_inode(fd)->cache[20]->page.flags |= SIM_POISONED; }
static void killed(int fd) { sim_task.killed = true; }
static void linked(int fd) { agent_inode(fd)->i_nlink = 1; }

static const struct refusal {
	const char *name;
	void (*prepare)(int fd);
	int err;
} refusals[] = {
	{ "no seals", no_seals, -EINVAL },
	{ "unknown seal", unknown_seal, -EOPNOTSUPP },
	{ "more than all memory", too_large, -EFBIG },
	{ "all memory", large, -ENOMEM },
	{ "broken page", broken, -EHWPOISON },
	{ "killed", killed, -EINTR },
	{ "file with a name", linked, -ENOENT },
};

KUNIT_ARRAY_PARAM_DESC(refusal, refusals, name);

static void memfd_test_refused(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 2, 0, 1);
	struct sim_balance before = sim_balance(), after;

	r->prepare(fd);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), r->err);
	KUNIT_EXPECT_EQ(test, sim_logged("failed to preserve file"), r->err != -ENOENT);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE), 0);
	if (r->err == -ENOMEM)		/* filled holes stay filled */
		return;
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, references(agent_inode(fd)), SIZE / PAGE_SIZE);
}

/* A file without folios has a description, which is freed with the session. */
static void memfd_test_empty(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(0, 0, 0, 0);
	struct sim_balance before = sim_balance(), after;

	sim_close(session);
	session = agent_create(dev, "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_close(session);
	session = agent_create(dev, "a");
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, sim_resize(fd, 0), 0);
}

/* Seals, position and data are those at the time of the kexec. */
static void memfd_test_changes(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);
	struct file *file = fget(fd);

	file->f_pos = 3;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	file->f_pos = SIZE + 77;
	memfd_add_seals(file, F_SEAL_GROW | F_SEAL_EXEC);
	for (int i = 0; i < SIZE / PAGE_SIZE; i++)
		memset(folio_address(agent_inode(fd)->cache[i]), 9 + i, PAGE_SIZE);

	fd = agent_get(go_on(test), 1);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, F_SEAL_GROW | F_SEAL_EXEC, 9));
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->i_mode & ~S_IFMT, 0666);
	KUNIT_EXPECT_EQ(test, fget(fd)->f_pos, SIZE + 77);
}

/* Without F_SEAL_EXEC, the retrieved file is executable. */
static void memfd_test_exec(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, F_SEAL_SHRINK, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	fd = agent_get(go_on(test), 1);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, F_SEAL_SHRINK, 1));
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->i_mode & ~S_IFMT, 0777);
}

/* A seal that this kernel does not support aborts the live update. */
static void memfd_test_late_seal(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	agent_inode(fd)->seals = 1 << 20;
	KUNIT_EXPECT_EQ(test, liveupdate_reboot(), -EOPNOTSUPP);
	agent_inode(fd)->seals = 0;
	fget(fd)->f_pos = 7;
	fd = agent_get(go_on(test), 1);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));
	KUNIT_EXPECT_EQ(test, fget(fd)->f_pos, 7);
}

/* An inode can only be in one session, for all of its descriptors. */
static void memfd_test_id(struct kunit *test)
{
	int dev, session = session_of(&dev), other = agent_create(dev, "b");
	int fd = agent_memfd(SIZE, 0, 0, 1), again = sim_reopen(fd);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 2, again), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_preserve(other, 1, again), -EBUSY);
	KUNIT_EXPECT_EQ(test, sim_resize(fd, SIZE), -EPERM);
	sim_close(fd);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, agent_preserve(other, 1, again), 0);
}

/* Memory that was allocated and never written is zeroed, once. */
static void memfd_test_fallocated(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 1, 0, 0xa5);
	struct folio *folio;

	agent_inode(fd)->cache[2]->page.flags &= ~SIM_UPTODATE;
	agent_inode(fd)->cache[4]->page.flags |= SIM_DIRTY;
	agent_inode(fd)->cache[6]->page.flags |= SIM_DIRTY;
	agent_inode(fd)->cache[6]->page.flags &= ~SIM_UPTODATE;
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	for_each_folio(folio, agent_inode(fd)) {
		bool zero = folio->page.index == 2 || folio->page.index == 6;

		KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_EQ(test, !memchr_inv(folio_address(folio), 0, 2 * PAGE_SIZE), zero);
		KUNIT_EXPECT_FALSE(test, folio->page.flags & (SIM_LOCKED | SIM_MOVABLE));
	}
	fd = agent_get(go_on(test), 1);
	KUNIT_EXPECT_NULL(test,
			  memchr_inv(folio_address(agent_inode(fd)->cache[2]), 0, 2 * PAGE_SIZE));
	expect_accounted(test, agent_inode(fd), SIZE / PAGE_SIZE);
}

/*
 * Some folios have to be migrated.  The allocation fails, or another user holds one
 * of the folios, temporarily or permanently.
 */
static const struct unmoved {
	const char *name;
	int error;
	int times;
	int result;
} unmoved[] = {
	{ "no memory", -ENOMEM, 1, -ENOMEM },
	{ "busy for a moment", 1, 3, 0 },
	{ "always busy", 1, 1000, -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(unmoved, unmoved, name);

static void memfd_test_cannot_move(struct kunit *test)
{
	const struct unmoved *u = test->param_value;
	int dev, session = session_of(&dev), fd;
	struct folio *folio;

	need_pages(test, 3 * pageblock_nr_pages);
	fd = agent_memfd(3 * pageblock_nr_pages * PAGE_SIZE, 0, 0, 0xa5);
	sim_migrate_error = u->error;
	sim_migrate_fails = u->times;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), u->result);
	KUNIT_EXPECT_LT(test, sim_migrate_fails, u->times);
	sim_migrate_fails = 0;
	for_each_folio(folio, agent_inode(fd)) {
		KUNIT_ASSERT_EQ(test, folio_ref_count(folio), u->result ? 1 : 2);
		KUNIT_ASSERT_FALSE(test, folio->page.flags & SIM_ISOLATED);
	}
	if (u->result)
		KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	fd = agent_get(go_on(test), 1);
	expect_accounted(test, agent_inode(fd), 3 * pageblock_nr_pages);
}

static void busy_again(struct folio *folio)
{
	sim_migrate_fails = 10;
}

/* After a folio was preserved, the count of attempts starts again. */
static void memfd_test_busy_twice(struct kunit *test)
{
	int dev, session = session_of(&dev), fd;

	need_pages(test, 6 * pageblock_nr_pages);
	fd = agent_memfd(6 * pageblock_nr_pages * PAGE_SIZE, 0, 0, 1);
	sim_migrate_error = 1;
	sim_before_folio_lock = busy_again;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), 0);
	/* The LRU batches of all CPUs are drained after each attempt. */
	KUNIT_EXPECT_GE(test, sim_drains, 20);
	sim_migrate_fails = 0;
}

/* Holes are not filled if too little memory is available. */
static void memfd_test_last_memory(struct kunit *test)
{
	unsigned long available = sim_available;
	int dev, session = session_of(&dev), fd = agent_memfd(0, 0, 0, 0);

	sim_resize(fd, 4 * PAGE_SIZE);
	sim_available = (SZ_64M >> PAGE_SHIFT) - 1;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), -ENOMEM);
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->mapping.nrpages, 0);
	sim_available++;
	KUNIT_EXPECT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_available = available;
}

/*
 * Returns a file of @pages with folios of @orders, which are repeated: one
 * digit for each folio, "-" for a page of a hole.  A folio that does not fit
 * has a smaller order.
 */
static int mixed_memfd(struct kunit *test, u64 pages, const char *orders)
{
	int fd = agent_memfd(0, 0, 0, 0);
	const char *next = orders;

	need_pages(test, pages);
	sim_resize(fd, pages * PAGE_SIZE);
	for (u64 i = 0; i < pages; next = next[1] ? next + 1 : orders) {
		unsigned int order = *next - '0';

		if (*next == '-') {
			i++;
			continue;
		}
		while (!IS_ALIGNED(i, BIT(order)) || i + BIT(order) > pages)
			order--;
		KUNIT_ASSERT_EQ(test, sim_shmem_place(agent_inode(fd), i, order), 0);
		memset(folio_address(agent_inode(fd)->cache[i]), 1 + i, PAGE_SIZE << order);
		i += BIT(order);
	}
	return fd;
}

static const struct layout {
	const char *name;
	const char *orders;
	u64 pages;
} layouts[] = {
	{ "one page", "0", 1 },
	{ "one node of the page cache", "0", 64 },
	{ "nodes and a page", "0", 129 },
	{ "a page before a large folio", "02", 20 },
	{ "growing", "0123456", 200 },
	{ "large and small", "64020", 300 },
	{ "pairs", "1", 300 },
	{ "holes", "0-2-", 150 },
	{ "nothing but holes", "-", 70 },
	{ "huge", "9", 1024 },
	{ "huge and small", "90", 1025 },
	{ "more than a batch", "0", 4100 },
	{ "more than a batch of pairs", "001", 4200 },
};

KUNIT_ARRAY_PARAM_DESC(layout, layouts, name);

static void memfd_test_layout(struct kunit *test)
{
	const struct layout *l = test->param_value;
	int dev, session = session_of(&dev), fd = mixed_memfd(test, l->pages, l->orders);
	struct inode *inode = agent_inode(fd);
	unsigned int *order = kunit_kzalloc(test, l->pages * sizeof(*order), GFP_KERNEL);
	bool *hole = kunit_kzalloc(test, l->pages, GFP_KERNEL);

	for (u64 i = 0; i < l->pages; i++)
		hole[i] = i >= inode->cache_size || !inode->cache[i];
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, references(inode), l->pages);

	session = agent_create(dev, "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	for (u64 i = 0; i < l->pages; i++)
		order[i] = folio_order(inode->cache[i]);

	session = go_on(test);
	fd = agent_get(session, 1);
	KUNIT_ASSERT_GE(test, fd, 0);
	inode = agent_inode(fd);
	expect_accounted(test, inode, l->pages);
	for (u64 i = 0; i < l->pages; i++) {
		struct folio *folio = inode->cache[i];
		u8 *bytes = folio_address(folio) + (i - folio->page.index) * PAGE_SIZE;
		u8 want = hole[i] ? 0 : 1 + folio->page.index;

		KUNIT_ASSERT_EQ(test, folio_order(folio), order[i]);
		KUNIT_ASSERT_NULL(test, memchr_inv(bytes, want, PAGE_SIZE));
	}
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_close(session);
	KUNIT_EXPECT_FALSE(test, sim_logged("memfd_luo: "));
	expect_all_claimed(test);
}

/*
 * The list of a file has no more pages than it needs.  It is not reallocated
 * while folios of one size are added, nor to save less than a page.
 */
static const struct list_case {
	const char *name;
	const char *orders;	/* of all folios */
	u64 pages;
	int more[2];		/* orders of further folios, -1 for none */
	u64 entries;
	unsigned long moves;
} lists[] = {
	{ "small", "0", 900, { -1 }, 900, 0 },
	{ "more than a batch", "0", 4100, { -1 }, 4100, 0 },
	{ "huge", "9", 5120, { -1 }, 10, 0 },
	{ "two pages too many", "0", 4096, { 9, -1 }, 4097, 1 },
	{ "a page too many", "0", 4096, { 8, 1 }, 4098, 1 },
	{ "less than a page too many", "0", 4096, { 8, -1 }, 4096 + 256, 0 },
};

KUNIT_ARRAY_PARAM_DESC(list_case, lists, name);

static void memfd_test_list(struct kunit *test)
{
	const struct list_case *l = test->param_value;
	int dev, session = session_of(&dev), fd = mixed_memfd(test, l->pages, l->orders);
	u64 pages = l->pages, list = DIV_ROUND_UP(l->entries * sizeof(struct memfd_luo_folio_ser),
						  PAGE_SIZE);
	struct sim_balance before;
	unsigned long calls;

	for (unsigned int i = 0; i < ARRAY_SIZE(l->more) && l->more[i] >= 0; i++) {
		KUNIT_ASSERT_EQ(test, sim_shmem_place(agent_inode(fd), pages, l->more[i]), 0);
		pages += BIT(l->more[i]);
	}
	sim_resize(fd, pages * PAGE_SIZE);
	calls = sim_vmallocs;
	before = sim_balance();
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	/*
	 * In addition to the list: a page each for the record, the description,
	 * and the chunk that lists the pages of the list.
	 */
	KUNIT_EXPECT_EQ(test, sim_balance().pages - before.pages, list + 3);
	KUNIT_EXPECT_EQ(test, sim_vmallocs - calls, 1 + l->moves);
}

/* If preserving a file fails, its memory is not held any more. */
static void memfd_test_fail_preserve(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = mixed_memfd(test, 300, "0211");
	struct sim_balance before = sim_balance(), after;
	bool failed;
	int err;

	for (unsigned long n = 1; ; n++) {
		sim_fail_nth(n);
		err = agent_preserve(session, 1, fd);
		failed = sim_failed();
		sim_fail_nth(0);
		if (!failed)
			break;
		after = sim_balance();
		KUNIT_ASSERT_EQ(test, err, -ENOMEM);
		KUNIT_ASSERT_MEMEQ(test, &before, &after, sizeof(after));
		KUNIT_ASSERT_EQ(test, references(agent_inode(fd)), 300);
		KUNIT_ASSERT_EQ(test, sim_resize(fd, 300 * PAGE_SIZE), 0);
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	fd = agent_get(go_on(test), 1);
	expect_accounted(test, agent_inode(fd), 300);
}

/* Holes are filled until memory runs out; the new pages belong to the file. */
static void memfd_test_fail_fill(struct kunit *test)
{
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		int dev, session = session_of(&dev), fd = agent_memfd(0, 0, 0, 0), err;
		long pages;

		sim_resize(fd, 8 * PAGE_SIZE);
		sim_fail_nth(n);
		err = agent_preserve(session, 1, fd);
		failed = sim_failed();
		sim_fail_nth(0);
		KUNIT_ASSERT_EQ_MSG(test, err, failed ? -ENOMEM : 0, "n = %lu", n);
		pages = agent_inode(fd)->mapping.nrpages;
		KUNIT_ASSERT_EQ_MSG(test, references(agent_inode(fd)), err ? pages : 2 * 8,
				    "n = %lu", n);
	}
}

#define FAIL_ORDERS	"0010"
#define FAIL_PAGES	96

/* The next allocation to fail: each of the first ten, then fewer and fewer. */
static unsigned long next_failing(unsigned long n)
{
	return n + 1 + n / 10;
}

/*
 * Retrieves a file in the next kernel, with the @n-th allocation failing.
 * @failed: that allocation was reached.
 */
static int get_failing(struct kunit *test, unsigned long n, int *session, bool *failed)
{
	int dev, fd;

	*session = session_of(&dev);
	fd = mixed_memfd(test, FAIL_PAGES, FAIL_ORDERS);
	KUNIT_ASSERT_EQ(test, agent_preserve(*session, 1, fd), 0);
	*session = go_on(test);
	sim_fail_nth(n);
	fd = agent_get(*session, 1);
	*failed = sim_failed();
	sim_fail_nth(0);
	return fd;
}

/*
 * Sets @objects to the number of objects that are left after a file was
 * retrieved, with the @n-th allocation failing once.
 */
static bool retrieve_failing(struct kunit *test, unsigned long n, unsigned long *objects)
{
	bool failed;
	int session, fd = get_failing(test, n, &session, &failed);

	if (fd < 0) {
		KUNIT_ASSERT_EQ(test, fd, -ENOMEM);
		fd = agent_get(session, 1);
	}
	KUNIT_ASSERT_GE(test, fd, 0);
	expect_accounted(test, agent_inode(fd), FAIL_PAGES);
	KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
	*objects = sim_balance().objects;
	return failed;
}

static void memfd_test_fail_retrieve(struct kunit *test)
{
	unsigned long want, objects;

	retrieve_failing(test, 0, &want);
	for (unsigned long n = 1; retrieve_failing(test, n, &objects); n = next_failing(n))
		KUNIT_ASSERT_EQ_MSG(test, objects, want, "n = %lu", n);
}

/*
 * Sets @left to the balance after the session was finished, with the @n-th
 * allocation failing when the file was retrieved.
 */
static bool finish_failing(struct kunit *test, unsigned long n, struct sim_balance *left)
{
	bool failed;
	int session, fd = get_failing(test, n, &session, &failed);

	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	if (fd >= 0)
		sim_close(fd);
	sim_close(session);
	KUNIT_EXPECT_FALSE(test, sim_logged("failed to free"));
	expect_all_claimed(test);
	*left = sim_balance();
	return failed;
}

static void memfd_test_fail_finish(struct kunit *test)
{
	struct sim_balance want, left;

	finish_failing(test, 0, &want);
	for (unsigned long n = 1; finish_failing(test, n, &left); n = next_failing(n))
		KUNIT_ASSERT_MEMEQ_MSG(test, &left, &want, sizeof(left), "n = %lu", n);
}

/* After an interruption, the next attempt continues. */
static void memfd_test_interrupted(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	session = go_on(test);
	sim_task.killed = true;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EINTR);
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EINTR);
	sim_task.killed = false;
	fd = agent_get(session, 1);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));
	expect_accounted(test, agent_inode(fd), SIZE / PAGE_SIZE);
}

/* Too many open files, or no memory for a file, is a transient error. */
static void memfd_test_open(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);
	struct sim_balance before, after;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	session = go_on(test);
	before = sim_balance();
	sim_memfd_error = -ENFILE;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENFILE);
	sim_memfd_error = -ENOSPC;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -ENOMEM);
	sim_memfd_error = 0;
	sim_seal_error = -EBUSY;
	KUNIT_EXPECT_EQ(test, agent_get(session, 1), -EBUSY);
	KUNIT_EXPECT_TRUE(test, sim_logged("failed to add seals"));
	sim_seal_error = 0;
	after = sim_balance();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(agent_get(session, 1), SIZE, 0, 1));
}

/* Memory that fallocate() added past the end is not part of the file. */
static void memfd_test_past_end(struct kunit *test)
{
	int dev, session = session_of(&dev), fd = agent_memfd(SIZE, 0, 0, 1);
	u64 pages = SIZE / PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, sim_shmem_place(agent_inode(fd), pages, 0), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	fd = agent_get(go_on(test), 1);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));
	expect_accounted(test, agent_inode(fd), pages);
}

static struct kunit_case memfd_cases[] = {
	KUNIT_CASE(memfd_test_frozen),
	KUNIT_CASE_PARAM(memfd_test_refused, refusal_gen_params),
	KUNIT_CASE(memfd_test_empty),
	KUNIT_CASE(memfd_test_changes),
	KUNIT_CASE(memfd_test_exec),
	KUNIT_CASE(memfd_test_late_seal),
	KUNIT_CASE(memfd_test_id),
	KUNIT_CASE(memfd_test_fallocated),
	KUNIT_CASE_PARAM(memfd_test_cannot_move, unmoved_gen_params),
	KUNIT_CASE(memfd_test_busy_twice),
	KUNIT_CASE(memfd_test_last_memory),
	KUNIT_CASE_PARAM(memfd_test_layout, layout_gen_params),
	KUNIT_CASE_PARAM(memfd_test_list, list_case_gen_params),
	KUNIT_CASE(memfd_test_past_end),
	KUNIT_CASE(memfd_test_fail_preserve),
	KUNIT_CASE(memfd_test_fail_fill),
	KUNIT_CASE(memfd_test_fail_retrieve),
	KUNIT_CASE(memfd_test_fail_finish),
	KUNIT_CASE(memfd_test_interrupted),
	KUNIT_CASE(memfd_test_open),
	{}
};

static struct kunit_suite memfd_suite = {
	.name = "unit-memfd",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = memfd_cases,
};

kunit_test_suite(memfd_suite);
