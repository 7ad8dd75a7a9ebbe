// SPDX-License-Identifier: GPL-2.0
/* Reports on the versions of two kernels, in the log and in debugfs. */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/compat.h>

#define MAX_RECORDS	16

/* Start without a previous kernel, and without a comparison. */
static int report_test_init(struct kunit *test)
{
	sim_boot_cold();
	sim_log_clear();
	return 0;
}

static void report_test_exit(struct kunit *test)
{
	sim_boot_cold();
}

static void expect_log(struct kunit *test, const char *lines)
{
	KUNIT_EXPECT_STREQ(test, sim_log(), lines);
	sim_log_clear();
}

static void expect_table(struct kunit *test, const char *rows)
{
	struct seq_file *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kho_compat_show(m, NULL), 0);
	KUNIT_EXPECT_STREQ(test, m->text, rows);
	kunit_kfree(test, m);
}

static void report(const char *offered, const char *supported)
{
	kho_compat_report(offered, strlen(offered) + 1, supported);
}

#define SAYS	"KHO: compat: "

/* Six escaped line feeds. */
#define LINE_FEEDS	"\\012\\012\\012\\012\\012\\012"

static const struct pair {
	const char *name;
	const char *offered, *supported;
	const char *log, *table;
} pairs[] = {
	{ "same", "a-v1;b-v1", "a-v1;b-v1", "",
	  "a a-v1 a-v1 same a \nb b-v1 b-v1 same a \n" },
	{ "other", "a-v1;b-v1", "a-v1;b-v2",
	  SAYS "b: previous kernel has b-v1, this one b-v2\n",
	  "a a-v1 a-v1 same a \nb b-v1 b-v2 other a \n" },
	{ "other base", "a-v1;b-v1", "a-v12;b-v1",
	  SAYS "a: previous kernel has a-v1, this one a-v12\n",
	  "a a-v1 a-v12 other a \nb b-v1 b-v1 same a \n" },
	{ "missing", "a-v1", "a-v1;b-v1",
	  SAYS "b: previous kernel has none, this one b-v1\n",
	  "a a-v1 a-v1 same a \nb - b-v1 missing a \n" },
	{ "unknown", "a-v1;b-v1", "a-v1",
	  SAYS "b: previous kernel has b-v1, this one none\n",
	  "a a-v1 a-v1 same a \nb b-v1 - unknown a \n" },
	{ "nothing of the kind", "a-v1;b-v1", "",
	  SAYS "a: previous kernel has a-v1, this one none\n"
	  SAYS "b: previous kernel has b-v1, this one none\n",
	  "a a-v1 - unknown a \nb b-v1 - unknown a \n" },
	{ "earlier kernels", "memfd-v2", "memfd-v2;vmalloc-v1",
	  SAYS "'memfd-v2' stands for 'memfd-v2;vmalloc-v1'\n",
	  "memfd memfd-v2 memfd-v2 same memfd \n"
	  "vmalloc vmalloc-v1 vmalloc-v1 same memfd \n" },
	{ "empty", "", "a-v1;b-v1",
	  SAYS "'' instead of 'a-v1;b-v1': empty string\n", "a - - malformed a \n" },
	{ "empty, and nothing of the kind", "", "",
	  SAYS "'': empty string\n", "- - - malformed - \n" },
	{ "no text", "a\n\x7f", "a-v1",
	  SAYS "'a\\012\\177' instead of 'a-v1': non-printable character\n",
	  "a - - malformed a \n" },
	{ "long, and no text", "a23456789012345678901234\n", "a-v1",
	  SAYS "'a23456789012345678901234' instead of 'a-v1': non-printable character\n",
	  "a - - malformed a \n" },
	{ "all of a specimen escaped", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", "",
	  SAYS "'" LINE_FEEDS LINE_FEEDS LINE_FEEDS LINE_FEEDS "': non-printable character\n",
	  "- - - malformed - \n" },
};

KUNIT_ARRAY_PARAM_DESC(pair, pairs, name);

/* The comparison is logged once, and always listed in debugfs. */
static void report_test_pair(struct kunit *test)
{
	const struct pair *p = test->param_value;

	KUNIT_EXPECT_FALSE(test, kho_compat_reported());
	expect_table(test, "");
	for (int i = 0; i < 2; i++) {
		report(p->offered, p->supported);
		expect_log(test, i ? "" : p->log);
		expect_table(test, p->table);
		KUNIT_EXPECT_TRUE(test, kho_compat_reported());
	}
}

/* The field ends before the string does. */
static void report_test_no_end(struct kunit *test)
{
	char field[KHO_COMPAT_MAX + 8];

	kho_compat_report("a-v1", 3, "a-v1");
	expect_log(test, SAYS "'a-v' instead of 'a-v1': not terminated\n");
	kho_compat_report("a-v1", 4, "a-v1");
	expect_log(test, SAYS "'a-v1' instead of 'a-v1': not terminated\n");
	expect_table(test, "a - - malformed a \na - - malformed a \n");

	/* Bytes past the maximum size are not compared. */
	memset(field, 'a', sizeof(field));
	kho_compat_report(field, sizeof(field), "b-v1");
	expect_log(test, SAYS "'aaaaaaaaaaaaaaaaaaaaaaaa' instead of 'b-v1': too long\n");
	field[KHO_COMPAT_MAX] = 'b';
	kho_compat_report(field, sizeof(field), "b-v1");
	expect_log(test, "");
	field[KHO_COMPAT_MAX - 1] = 'b';
	kho_compat_report(field, sizeof(field), "b-v1");
	KUNIT_EXPECT_TRUE(test, sim_logged("too long"));
}

/*
 * Registering and unregistering a handler changes the comparison: the last
 * comparison is shown.
 */
static void report_test_last_word(struct kunit *test)
{
	report("a-v1;b-v1", "");
	report("c-v1", "c-v1");
	sim_log_clear();
	report("a-v1;b-v1", "a-v1;b-v2");
	expect_log(test, SAYS "b: previous kernel has b-v1, this one b-v2\n");
	expect_table(test, "a a-v1 a-v1 same a \nb b-v1 b-v2 other a \nc c-v1 c-v1 same c \n");
	report("a-v1;b-v1", "a-v1;b-v2");
	expect_log(test, "");
	report("a-v1;b-v1", "");
	KUNIT_EXPECT_TRUE(test, sim_logged("b: previous kernel has b-v1, this one none"));
	expect_table(test, "a a-v1 - unknown a \nb b-v1 - unknown a \nc c-v1 c-v1 same c \n");
}

/* Comparisons that do not fit into the table are not listed, but logged each time. */
static void report_test_full_table(struct kunit *test)
{
	char rows[MAX_RECORDS * 32] = "", offered[16], line[80];

	for (unsigned int i = 0; i < MAX_RECORDS + 3; i++) {
		sim_interval++;
		snprintf(offered, sizeof(offered), "a%u-v1", 100 + i);
		snprintf(line, sizeof(line), SAYS "a%u: previous kernel has %s, this one none\n",
			 100 + i, offered);
		for (int again = 0; again < 2; again++) {
			report(offered, "");
			expect_log(test, again && i < MAX_RECORDS ? "" : line);
		}
		if (i < MAX_RECORDS)
			snprintf(rows + strlen(rows), sizeof(rows) - strlen(rows),
				 "a%u %s - unknown a%u \n", 100 + i, offered, 100 + i);
		expect_table(test, rows);
	}
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE_PARAM(report_test_pair, pair_gen_params),
	KUNIT_CASE(report_test_no_end),
	KUNIT_CASE(report_test_last_word),
	KUNIT_CASE(report_test_full_table),
	{}
};

static struct kunit_suite report_suite = {
	.name = "unit-compat-report",
	.init = report_test_init,
	.exit = report_test_exit,
	.test_cases = report_cases,
};

kunit_test_suite(report_suite);
