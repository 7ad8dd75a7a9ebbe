// SPDX-License-Identifier: GPL-2.0
/* The time line: two kernels with one clock, and invalid data. */

#include "old.h"
#include "agent.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/timeline.h>
#include <linux/libfdt.h>

/* Each read advances the clock by 1000 ticks, which are a second. */
static int timeline_test_init(struct kunit *test)
{
	int err = sim_liveupdate_init(test);

	tsc_khz = 1;
	sim_tsc = 0;
	sim_tsc_step = 1000;
	sim_boot_cold();
	return err;
}

static void timeline_test_exit(struct kunit *test)
{
	tsc_khz = 1000000;
	sim_tsc_unstable = false;
	sim_liveupdate_exit(test);
}

static char *shown(struct kunit *test)
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kho_timeline_show(m, NULL), 0);
	return m->text;
}

#define expect_line(test, line)						\
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(shown(test), line), "%s in\n%s", line, shown(test))
#define expect_no_line(test, line)					\
	KUNIT_EXPECT_NULL_MSG(test, strstr(shown(test), line), "%s in\n%s", line, shown(test))

static struct kho_timeline_ser *outgoing(void)
{
	int node = fdt_subnode_offset(sim_core_fdt(), 0, KHO_TIMELINE_NODE_NAME);
	u64 phys;

	if (node < 0)
		return NULL;
	BUG_ON(kho_fdt_get_u64(sim_core_fdt(), node, KHO_SUB_TREE_PROP_NAME, &phys));
	return phys_to_virt(phys);
}

static void timeline_test_cold(struct kunit *test)
{
	expect_line(test, "clock: tsc\nfrequency: 1000\nreliable: yes\nprevious: none\nnow: ");
	sim_tsc_unstable = true;
	expect_line(test, "reliable: no\n");
	sim_tsc = 1234567;
	expect_line(test, "now: 1235.567000000\n");
}

/* Calls the hooks in kernel_kexec() and in init. */
static void timeline_test_update(struct kunit *test)
{
	int session = agent_create(sim_open_device(), "a\n");

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, agent_memfd(3, 0, 0, 1)), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, 2, agent_memfd(3, 0, 0, 1)), 0);
	expect_line(test, "preserve-begin: 1.000000000\npreserve-end: 3.000000000\n");

	sim_tsc = 9500;
	kho_timeline_mark(KHO_TIMELINE_KEXEC);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	kho_timeline_mark(KHO_TIMELINE_LEFT);
	sim_tsc = 19000;
	{
		struct sim_handover h = sim_kexec();

		KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	}
	kho_timeline_mark(KHO_TIMELINE_INIT);
	expect_line(test, "previous: valid\nprevious preserve-begin: 1.000000000\n"
		    "previous preserve-end: 3.000000000\nprevious kexec: 10.500000000\n"
		    "previous frozen: 11.500000000\nprevious left: 12.500000000\n"
		    "entered: 20.000000000\ninit: 21.000000000\nnow: ");
	/* Events before the time line was preserved are handed over, too. */
	KUNIT_EXPECT_EQ(test, outgoing()->at[KHO_TIMELINE_ENTERED], 20000);

	sim_tsc = 30000;
	session = agent_retrieve(sim_open_device(), "a\n");
	expect_line(test, "retrieve-begin: 31.000000000\nretrieve-end: 32.000000000\n"
		    "session: a\\012\nretrieved: 32.000000000\nnow: ");
	sim_tsc = 40000;
	KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
	/* A second finish and closing the session do not change earlier times. */
	KUNIT_ASSERT_EQ(test, agent_finish(session), 0);
	sim_close(session);
	expect_line(test, "retrieved: 32.000000000\nfinished: 41.000000000\nnow: ");
	expect_line(test, "finish-end: 41.000000000\n");
}

/*
 * A session that is retrieved again keeps the time of the first retrieve.
 * Sessions that do not fit into the list are only counted, and only once.
 */
static void timeline_test_sessions(struct kunit *test)
{
	int dev = sim_open_device(), first, last = -1;
	char name[8];

	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		first = agent_create(dev, name);
		KUNIT_ASSERT_EQ(test, agent_preserve(first, 1, agent_memfd(3, 0, 0, 1)), 0);
	}
	agent_kexec(test);
	dev = sim_open_device();
	sim_tsc = 1000000;
	first = agent_retrieve(dev, "s0");
	for (int i = 1; i < 70; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		last = agent_retrieve(dev, name);
		KUNIT_ASSERT_GE(test, last, 0);
	}
	sim_close(first);
	sim_close(last);
	KUNIT_ASSERT_GE(test, agent_retrieve(dev, "s0"), 0);
	KUNIT_ASSERT_GE(test, agent_retrieve(dev, "s69"), 0);
	expect_line(test, "session: s0\nretrieved: 1002.000000000\nsession: s1\nretrieved: 1003.0");
	expect_line(test, "session: s63\n");
	expect_no_line(test, "session: s64\n");
	expect_line(test, "more-sessions: 6\n");
	kho_timeline_session_finished("s64");
	expect_no_line(test, "session: s64\n");
}

/* The frequency that the next kernel gets is that at the kexec. */
static void timeline_test_refined_clock(struct kunit *test)
{
	KUNIT_ASSERT_NOT_NULL(test, outgoing());
	KUNIT_EXPECT_EQ(test, outgoing()->hz, 1000);
	KUNIT_EXPECT_TRUE(test, outgoing()->reliable);
	tsc_khz = 2;
	sim_tsc_unstable = true;
	kho_timeline_mark(KHO_TIMELINE_KEXEC);
	KUNIT_EXPECT_EQ(test, outgoing()->hz, 2000);
	KUNIT_EXPECT_FALSE(test, outgoing()->reliable);
}

#define INVALID		"previous: invalid\nentered: "
#define OTHER_CLOCK	"previous: other clock\nentered: "

/* A handover with one change. */
static const struct bad {
	const char *name;
	u64 size;		/* of the subtree; 0: unchanged */
	const char *compatible;
	u64 hz;
	u32 clock;
	u64 at;			/* of the event "left" */
	const char *line;
	bool freed;
} bads[] = {
	{ "none", 0, "timeline-v1", 1000, 1, 5000,
	  "previous: valid\nprevious left: 5.000000000\nentered: ", true },
	{ "one byte short", 287, "timeline-v1", 1000, 1, 5000, INVALID, false },
	{ "larger", 4096, "timeline-v1", 1000, 1, 5000, "previous left: 5.000000000\n", true },
	{ "next version", 0, "timeline-v2", 1000, 1, 5000, INVALID, false },
	{ "endless", 0, "aaaaaaaaaaaaaaaa", 1000, 1, 5000, INVALID, false },
	{ "empty", 0, "", 1000, 1, 5000, INVALID, false },
	{ "a bit faster", 0, "timeline-v1", 1010, 1, 5000, "previous left: 5.000000000\n", true },
	{ "too fast", 0, "timeline-v1", 1015, 1, 5000, OTHER_CLOCK, true },
	{ "much faster", 0, "timeline-v1", 1100, 1, 5000, OTHER_CLOCK, true },
	{ "a bit slower", 0, "timeline-v1", 990, 1, 5000, "previous left: 5.000000000\n", true },
	{ "too slow", 0, "timeline-v1", 985, 1, 5000, OTHER_CLOCK, true },
	{ "much slower", 0, "timeline-v1", 900, 1, 5000, OTHER_CLOCK, true },
	{ "no frequency", 0, "timeline-v1", 0, 1, 5000, OTHER_CLOCK, true },
	{ "any frequency", 0, "timeline-v1", ~0ULL, 1, 5000, OTHER_CLOCK, true },
	{ "no clock", 0, "timeline-v1", 1000, 0, 5000, OTHER_CLOCK, true },
	{ "that of arm", 0, "timeline-v1", 1000, 2, 5000, OTHER_CLOCK, true },
	{ "any clock", 0, "timeline-v1", 1000, ~0U, 5000, OTHER_CLOCK, true },
	{ "did not happen", 0, "timeline-v1", 1000, 1, 0, "previous: valid\nentered: ", true },
	{ "when entered", 0, "timeline-v1", 1000, 1, 21000, "previous left: 21.000000000\n", true },
	{ "later", 0, "timeline-v1", 1000, 1, 21001, "previous: valid\nentered: ", true },
	{ "any time", 0, "timeline-v1", 1000, 1, ~0ULL, "previous: valid\nentered: ", true },
};

KUNIT_ARRAY_PARAM_DESC(bad, bads, name);

static void timeline_test_bad(struct kunit *test)
{
	const struct bad *bad = test->param_value;
	struct kho_timeline_ser *out = outgoing();
	struct sim_handover h;
	phys_addr_t phys;

	KUNIT_ASSERT_NOT_NULL(test, out);
	phys = virt_to_phys(out);
	memset(out->compatible, 0, sizeof(out->compatible));
	memcpy(out->compatible, bad->compatible, strlen(bad->compatible));
	memset(out->at, 0, sizeof(out->at));
	out->hz = bad->hz;
	out->clock = bad->clock;
	out->at[KHO_TIMELINE_LEFT] = bad->at;
	/* Events that this kernel does not know. */
	out->at[KHO_TIMELINE_EVENTS] = 7;
	out->at[KHO_TIMELINE_SLOTS - 1] = ~0ULL;
	if (bad->size) {
		int node = fdt_subnode_offset(sim_core_fdt(), 0, KHO_TIMELINE_NODE_NAME);

		KUNIT_ASSERT_EQ(test, fdt_setprop_inplace(sim_core_fdt(), node,
							  KHO_SUB_TREE_SIZE_PROP_NAME,
							  &bad->size, 8), 0);
	}
	h = sim_kexec();
	sim_tsc = 20000;
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	expect_line(test, bad->line);
	KUNIT_EXPECT_EQ(test, !kho_pages_preserved(phys, 1), bad->freed);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_NOT_NULL(test, outgoing());
}

static const struct shared {
	const char *name;
	const char *owner;	/* of the page, which it frees before */
	const char *other;	/* the subtree that has the same address */
	const char *log;
} shareds[] = {
	{ "time line", "kexec-metadata", "timeline", "incoming data: invalid" },
	{ "metadata", "LUO", "kexec-metadata", "kexec-metadata: not preserved" },
};

KUNIT_ARRAY_PARAM_DESC(shared, shareds, name);

/* Data is not read in a page that another owner has restored and freed. */
static void timeline_test_shared(struct kunit *test)
{
	const struct shared *shared = test->param_value;
	void *fdt = sim_core_fdt();
	struct sim_handover h;
	u64 phys;

	KUNIT_ASSERT_EQ(test, kho_fdt_get_u64(fdt, fdt_subnode_offset(fdt, 0, shared->owner),
					      KHO_SUB_TREE_PROP_NAME, &phys), 0);
	KUNIT_ASSERT_EQ(test, fdt_setprop_inplace(fdt, fdt_subnode_offset(fdt, 0, shared->other),
						  KHO_SUB_TREE_PROP_NAME, &phys, 8), 0);
	h = sim_kexec();
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	KUNIT_EXPECT_TRUE(test, sim_logged(shared->log));
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
}

/* Without a clock, no event has a time. */
static void timeline_test_no_clock(struct kunit *test)
{
	tsc_khz = 0;
	agent_kexec(test);
	expect_line(test, "clock: none\nfrequency: 0\nreliable: yes\nprevious: other clock\n");
	KUNIT_EXPECT_EQ(test, outgoing()->clock, KHO_TIMELINE_CLOCK_NONE);
	expect_no_line(test, "entered: ");
	expect_no_line(test, "now: ");
}

/*
 * Each allocation of a boot fails once.  If the time line cannot be allocated, the
 * handover works without a time line.
 */
static void timeline_test_no_page(struct kunit *test)
{
	unsigned int without = 0;

	for (unsigned int n = 1; n < 40; n++) {
		sim_log_clear();
		sim_fail_nth(n);
		sim_boot_cold();
		sim_fail_nth(0);
		if (!sim_logged("KHO: timeline: failed to preserve"))
			continue;
		without++;
		KUNIT_EXPECT_NULL(test, outgoing());
		KUNIT_EXPECT_TRUE(test, kho_is_enabled());
		agent_kexec(test);
		expect_line(test, "previous: none\nentered: ");
	}
	KUNIT_EXPECT_GE(test, without, 1);
}

static struct kunit_case timeline_cases[] = {
	KUNIT_CASE(timeline_test_cold),
	KUNIT_CASE(timeline_test_update),
	KUNIT_CASE(timeline_test_sessions),
	KUNIT_CASE(timeline_test_refined_clock),
	KUNIT_CASE_PARAM(timeline_test_bad, bad_gen_params),
	KUNIT_CASE_PARAM(timeline_test_shared, shared_gen_params),
	KUNIT_CASE(timeline_test_no_clock),
	KUNIT_CASE(timeline_test_no_page),
	{}
};

static struct kunit_suite timeline_suite = {
	.name = "unit-timeline",
	.init = timeline_test_init,
	.exit = timeline_test_exit,
	.test_cases = timeline_cases,
};

kunit_test_suite(timeline_suite);
