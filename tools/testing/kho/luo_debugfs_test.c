// SPDX-License-Identifier: GPL-2.0
/*
 * Lists of sessions and files in debugfs: the counts, and lists that change
 * between two reads of a file.
 */

#include "witness.h"

#include <kernel/liveupdate/luo_internal.h>

#define ALL	UINT_MAX

static void expect_list(struct kunit *test, const char *name, const char *want)
{
	static const unsigned int sizes[] = { 1, 2, 3, 7, ALL };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = sim_debugfs_read(name, sizes[i]);

		KUNIT_ASSERT_NOT_NULL(test, text);
		KUNIT_EXPECT_STREQ(test, text, want);
		free(text);
	}
}

/* Sessions "a", with two memfds, and "b\n", with none. */
static int two_sessions(struct kunit *test)
{
	int dev = sim_open_device(), a = agent_create(dev, "a");

	KUNIT_ASSERT_EQ(test, agent_preserve(a, 5, agent_memfd(PAGE_SIZE, 0, 0, 1)), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(a, ~0ULL, agent_memfd(3, 0, 0, 2)), 0);
	KUNIT_ASSERT_GE(test, agent_create(dev, "b\n"), 0);
	return dev;
}

#define MEMFD	"memfd-v2;vmalloc-v1"

static void luo_debugfs_test_outgoing(struct kunit *test)
{
	char files[200];

	expect_list(test, "outgoing", "sessions: 0\nhandler: " MEMFD " 0\n");
	expect_list(test, "outgoing_files", "");
	two_sessions(test);
	expect_list(test, "outgoing", "sessions: 2\nhandler: " MEMFD " 2\n"
		    "session: a\nfiles: 2\nsession: b\\012\nfiles: 0\n");
	snprintf(files, sizeof(files), "session: a\nfile: 0x5 preserved %lu " MEMFD "\n"
		 "file: 0xffffffffffffffff preserved 3 " MEMFD "\nsession: b\\012\n", PAGE_SIZE);
	expect_list(test, "outgoing_files", files);
}

/* Closing a session decreases the counts. */
static void luo_debugfs_test_closed(struct kunit *test)
{
	int dev = sim_open_device(), a = agent_create(dev, "a"), fd = agent_memfd(3, 0, 0, 1);

	KUNIT_ASSERT_EQ(test, agent_preserve(a, 5, fd), 0);
	KUNIT_EXPECT_EQ(test, agent_preserve(a, 5, agent_memfd(3, 0, 0, 1)), -EEXIST);
	KUNIT_EXPECT_EQ(test, agent_preserve(a, 6, fd), -EBUSY);
	expect_list(test, "outgoing", "sessions: 1\nhandler: " MEMFD " 1\nsession: a\nfiles: 1\n");
	sim_close(a);
	expect_list(test, "outgoing", "sessions: 0\nhandler: " MEMFD " 0\n");
}

static void luo_debugfs_test_flbs(struct kunit *test)
{
	int session;

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&witness[0].fh, &witness_flb[0]), 0);
	session = agent_create(sim_open_device(), "a");
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, witness_open(0, 1)), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 2, witness_open(0, 2)), 0);
	expect_list(test, "outgoing", "sessions: 1\nhandler: " MEMFD " 0\n"
		    "handler: unit-witness-v1 2\nflb: unit-x-v1 2\nsession: a\nfiles: 2\n");
	sim_close(session);
	expect_list(test, "outgoing", "sessions: 0\nhandler: " MEMFD " 0\n"
		    "handler: unit-witness-v1 0\nflb: unit-x-v1 0\n");
	expect_list(test, "incoming", "sessions: 0\nhandler: " MEMFD " 0\n"
		    "handler: unit-witness-v1 0\n");
}

static void luo_debugfs_test_incoming(struct kunit *test)
{
	int dev, session;

	two_sessions(test);
	agent_kexec(test);
	/*
	 * The records of sessions and files are not read yet: users may never
	 * need them.
	 */
	expect_list(test, "incoming", "sessions: 0\nhandler: " MEMFD " 0\n"
		    "session: a\nfiles: 2\nstate: parked\nsession: b\\012\nfiles: 0\nstate: parked\n");
	expect_list(test, "incoming_files", "session: a\nsession: b\\012\n");

	dev = sim_open_device();
	expect_list(test, "incoming", "sessions: 2\nhandler: " MEMFD " 0\n"
		    "session: a\nfiles: 2\nstate: parked\nsession: b\\012\nfiles: 0\nstate: parked\n");
	session = agent_retrieve(dev, "a");
	KUNIT_ASSERT_GE(test, agent_get(session, 5), 0);
	expect_list(test, "incoming", "sessions: 2\nhandler: " MEMFD " 1\n"
		    "session: a\nfiles: 2\nstate: held\nsession: b\\012\nfiles: 0\nstate: parked\n");

	KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
	expect_list(test, "incoming", "sessions: 2\nhandler: " MEMFD " 0\n"
		    "session: a\nfiles: 0\nstate: finished\nsession: b\\012\nfiles: 0\nstate: parked\n");
	sim_close(session);
	expect_list(test, "incoming", "sessions: 1\nhandler: " MEMFD " 0\n"
		    "session: b\\012\nfiles: 0\nstate: parked\n");
}

static void luo_debugfs_test_states(struct kunit *test)
{
	int session;

	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	session = agent_create(sim_open_device(), "a");
	for (int i = 1; i <= 3; i++)
		KUNIT_ASSERT_EQ(test, agent_preserve(session, i, witness_open(0, i)), 0);
	agent_kexec(test);

	session = agent_retrieve(sim_open_device(), "a");
	expect_list(test, "incoming_files", "session: a\nfile: 0x1 waiting - unit-witness-v1\n"
		    "file: 0x2 waiting - unit-witness-v1\nfile: 0x3 waiting - unit-witness-v1\n");
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	witness_fail("retrieve 2", -EIO);
	KUNIT_EXPECT_EQ(test, agent_get(session, 2), -EIO);
	KUNIT_EXPECT_GE(test, agent_get(session, 3), 0);
	expect_list(test, "incoming_files", "session: a\nfile: 0x1 waiting - unit-witness-v1\n"
		    "file: 0x2 failed - unit-witness-v1\nfile: 0x3 retrieved - unit-witness-v1\n");
}

/* Lists that are so long that each read returns only a few of their lines. */
#define SESSIONS	30
#define FILES		40

static unsigned int count(const char *text, const char *word)
{
	unsigned int nr = 0;

	for (; (text = strstr(text, word)); text++)
		nr++;
	return nr;
}

static int session[SESSIONS];

static void open_many(struct kunit *test)
{
	int dev = sim_open_device();
	char name[16];

	witness_reset();
	witness_quiet = true;
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	for (int s = 0; s < SESSIONS; s++) {
		snprintf(name, sizeof(name), "s%d", s);
		session[s] = agent_create(dev, name);
		for (int f = 0; f < FILES; f++) {
			int fd = witness_open(0, s * FILES + f);

			KUNIT_ASSERT_EQ(test, agent_preserve(session[s], f, fd), 0);
			sim_close(fd);
		}
	}
}

/* Closes the session that is being listed, and the next two. */
static void close_some(void)
{
	if (session[3] < 0)
		return;
	for (int s = 3; s < 6; s++) {
		sim_close(session[s]);
		session[s] = -1;
	}
}

static unsigned int reads;

static void close_at_session_3(void)
{
	/*
	 * The first read returns the head of the list, which has no text in a
	 * list of files.  Each further read returns one session or one file.
	 */
	if (++reads == 1 + 3 * (FILES + 1) + 20)
		close_some();
}

static void luo_debugfs_test_changes(struct kunit *test)
{
	char *text;

	open_many(test);
	text = sim_debugfs_read("outgoing_files", 10);
	KUNIT_EXPECT_EQ(test, count(text, "file: "), SESSIONS * FILES);
	KUNIT_EXPECT_EQ(test, count(text, "session: "), SESSIONS);
	free(text);

	reads = 0;
	sim_between_reads = close_at_session_3;
	text = sim_debugfs_read("outgoing_files", 1);
	sim_between_reads = NULL;
	KUNIT_EXPECT_EQ(test, session[3], -1);
	KUNIT_EXPECT_EQ(test, count(text, "session: "), SESSIONS - 2);
	KUNIT_EXPECT_EQ(test, count(text, "file: "), (SESSIONS - 3) * FILES + 19);
	KUNIT_EXPECT_NULL(test, strstr(text, "session: s4\n"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "session: s6\nfile: 0"));
	free(text);
}

static int in_session;

/*
 * Closing the session removes its retrieved files, whether they are listed
 * already or not.
 */
static void finish_files(void)
{
	if (in_session >= 0)
		sim_close(in_session);
	in_session = -1;
}

static void luo_debugfs_test_leave(struct kunit *test)
{
	char *text;
	int fd;

	open_many(test);
	agent_kexec(test);
	witness_reset();
	KUNIT_ASSERT_EQ(test, witness_register(0), 0);
	in_session = agent_retrieve(sim_open_device(), "s0");
	for (int f = 0; f < FILES / 2; f++) {
		fd = agent_get(in_session, f);
		KUNIT_ASSERT_GE(test, fd, 0);
	}
	text = sim_debugfs_read("incoming_files", 5);
	KUNIT_EXPECT_EQ(test, count(text, "retrieved"), FILES / 2);
	KUNIT_EXPECT_EQ(test, count(text, "waiting"), FILES / 2);
	free(text);

	sim_between_reads = finish_files;
	text = sim_debugfs_read("incoming_files", FILES / 4);
	sim_between_reads = NULL;
	KUNIT_EXPECT_LE(test, count(text, "retrieved"), FILES / 4);
	KUNIT_EXPECT_EQ(test, count(text, "waiting"), FILES / 2);
	KUNIT_EXPECT_EQ(test, count(text, "session: "), SESSIONS);
	free(text);
}

/* The previous kernel may have written one token several times. */
static void luo_debugfs_test_duplicates(struct kunit *test)
{
	struct luo_session *a;
	struct luo_file *f;
	int fd;

	open_many(test);
	agent_kexec(test);
	fd = agent_retrieve(sim_open_device(), "s0");
	KUNIT_ASSERT_GE(test, fd, 0);
	mutex_lock(&luo_incoming.lock);
	a = luo_session_find(&luo_incoming, "s0");
	mutex_unlock(&luo_incoming.lock);
	list_for_each_entry(f, &a->files.files, list)
		f->token = 7;

	for (unsigned int lines = 1; lines < 5; lines++) {
		char *text = sim_debugfs_read("incoming_files", lines);

		KUNIT_EXPECT_EQ(test, count(text, "file: 0x7 waiting"), FILES);
		free(text);
	}
}

/* LUO reads the records between two reads of the list. */
static void open_device(void)
{
	if (++reads == 3)
		in_session = sim_open_device();
}

static void luo_debugfs_test_records(struct kunit *test)
{
	char *text;

	open_many(test);
	agent_kexec(test);
	reads = 0;
	sim_between_reads = open_device;
	text = sim_debugfs_read("incoming", 2);
	sim_between_reads = NULL;
	KUNIT_EXPECT_GE(test, in_session, 0);
	/*
	 * Opening the device moves all records to the list of sessions, which
	 * this reader has passed: it does not list the sessions after its
	 * present record.
	 */
	KUNIT_EXPECT_EQ(test, count(text, "session: "), 5);
	free(text);
	text = sim_debugfs_read("incoming", 2);
	KUNIT_EXPECT_EQ(test, count(text, "session: "), SESSIONS);
	free(text);
}

static void luo_debugfs_test_off(struct kunit *test)
{
	sim_liveupdate = false;
	sim_boot_cold();
	KUNIT_EXPECT_NULL(test, sim_debugfs_read("outgoing", ALL));
	sim_liveupdate = true;
	sim_boot_cold();
	KUNIT_EXPECT_NULL(test, sim_debugfs_read("other", ALL));
}

static struct kunit_case luo_debugfs_cases[] = {
	KUNIT_CASE(luo_debugfs_test_outgoing),
	KUNIT_CASE(luo_debugfs_test_closed),
	KUNIT_CASE(luo_debugfs_test_flbs),
	KUNIT_CASE(luo_debugfs_test_incoming),
	KUNIT_CASE(luo_debugfs_test_states),
	KUNIT_CASE(luo_debugfs_test_changes),
	KUNIT_CASE(luo_debugfs_test_leave),
	KUNIT_CASE(luo_debugfs_test_duplicates),
	KUNIT_CASE(luo_debugfs_test_records),
	KUNIT_CASE(luo_debugfs_test_off),
	{}
};

static struct kunit_suite luo_debugfs_suite = {
	.name = "unit-luo-debugfs",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_debugfs_cases,
};

kunit_test_suite(luo_debugfs_suite);
