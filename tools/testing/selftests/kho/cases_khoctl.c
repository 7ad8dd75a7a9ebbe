// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of khoctl, which has to be in /share/khoctl: live updates with its
 * verbs, and its verdicts on two kernels, compared with those of the second
 * kernel.
 */

#include "steps.h"

#define PLACE	"/share/khoctl/"
#define TOOL	PLACE "run "
#define THIS	PLACE "this "		/* the image of the kernel that is tested */
#define STOCK	PLACE "stock "		/* image of a kernel without notes */
#define KHO	"/sys/kernel/debug/kho/"

/* Only on the architecture that khoctl is built for. */
#define KHOCTL_NEEDS	.arch = "x86_64"

/* The JSON of a verb contains this text, apart from white space. */
static void says(const char *words, const char *text)
{
	run(TOOL "--json %s | tr -d ' \\n' | grep -qF '%s'", words, text);
}

static void ends_in(const char *words, int status, const char *sentence)
{
	run(TOOL "%s >/tmp/check; status=$?; cat /tmp/check >/dev/console; "
	    "test $status -eq %d && grep -q '^%s' /tmp/check", words, status, sentence);
}

static const struct memfd in_main[] = { { "a", 8 * MIB, 1 }, { "b", 12345, 2 } };
static const struct memfd in_left[] = { { "c", 4 * MIB, 3 } };

static void update_before(void)
{
	run(TOOL "abi " THIS "| tail -n +2 >/tmp/image; " TOOL "abi | tail -n +2 | cmp - /tmp/image");
	ends_in("check --to " THIS, 0, "safe: nothing is in use$");
	ends_in("check --to " STOCK, 0, "safe: nothing is in use$");
	keep("main", in_main);
	keep("left", in_left);
	ends_in("check --to " THIS, 0, "safe: Linux ");
	ends_in("check --to " STOCK, 1, "would lose: 2 sessions (main, left)$");
	run(TOOL "load " STOCK "--reuse-cmdline; test $? -eq 1");
	run("grep -x 0 /sys/kernel/kexec_loaded");
	says("show", "\"sessions\":[\"main\",\"left\"]");
	says("show", "\"memfd-v2;vmalloc-v1\":3");
	run("grep -c '^file: 0x. preserved ' /sys/kernel/debug/liveupdate/outgoing_files | grep -x 3");
	run("grep -x 'luo: luo-v5;block-v1' " KHO "out/compat");
	run("grep -q '^order 0: [1-9]' " KHO "out/preserved");
	load_by(TOOL "load");
}

/*
 * khoctl decodes the records before LUO reads them, and shows the sessions
 * before an agent retrieves them.
 */
static void update_after(void)
{
	says("dump " KHO "in", "\"name\":\"main\",\"nr_files\":2");
	says("dump " KHO "in", "\"name\":\"left\",\"nr_files\":1");
	says("dump " KHO "in", "\"size\":8388608");
	says("dump " KHO "in", "\"size\":12345");
	says("dump " KHO "in", "\"size\":4194304");
	says("dump " KHO "in", "\"blocks_of_order_0\":");
	says("show", "\"unfinished\":[\"main\",\"left\"]");
	says("show", "\"kexecs\":1");
	run(TOOL "release -y 2>&1 | grep -q 'in use'");
	run(TOOL "finish -y other 2>&1 | grep -q 'not among the incoming'");
	run("echo y | " TOOL "finish left");
	claim("main", in_main);
	says("show", "\"unfinished\":[]");
	run(TOOL "release -y");
	run("grep -q '^total 0 pages' " KHO "in/unclaimed");
	says("timeline", "\"previous\":\"valid\"");
	says("timeline", "\"name\":\"main\",\"retrieved\":");
	says("timeline", "\"blackout\":");
	tell(TOOL "timeline");
}

/* lib/test_kho.c would preserve memory in each cold boot. */
KHO_TEST(khoctl,
	 "khoctl checks, loads, decodes incoming data, finishes a session and releases the rest.",
	 KHOCTL_NEEDS, .append = { "initcall_blacklist=kho_test_init" }, .deadline = 30)
{
	if (!hop)
		update_before();
	else
		update_after();
}

/* ---- the compatibility table */

/*
 * Previous kernels with another version of one structure: /share/khoctl/NAME has the notes
 * of such a kernel, and the handover is changed accordingly.
 */
static const struct row {
	const char *name;
	const char *root, *luo;		/* strings to offer; NULL: unchanged */
	const char *handler;		/* string of the file; NULL: unchanged */
	const char *loses;
} rows[] = {
	{ "vmalloc-v2", .root = "kho-v4;radix-v1;vmalloc-v2", .handler = "memfd-v2;vmalloc-v2",
	  .loses = "files of memfd" },
	{ "block-v2", .luo = "luo-v5;block-v2", .loses = "all sessions" },
	{ "luo-v6", .luo = "luo-v6;block-v1", .loses = "all sessions" },
	{ "memfd-v3", .handler = "memfd-v3;vmalloc-v1", .loses = "files of memfd" },
	{ "radix-v2", .root = "kho-v4;radix-v2;vmalloc-v1", .loses = "everything" },
	{ "kho-v5", .root = "kho-v5;radix-v1;vmalloc-v1", .loses = "everything" },
};

static const struct memfd tiny[] = { { "t", 5000, 6 } };

static void row_before(const struct row *row)
{
	keep("main", tiny);
	if (row->root)
		offer_root(row->root);
	if (row->luo)
		offer_luo(row->luo);
}

/* The file or the session cannot be retrieved. */
static void row_lost(const struct row *row)
{
	if (!row->handler) {
		fails(ENOENT, session_get("main"));
		return;
	}
	damage_file("main", 1, "handler", row->handler);
	session_get("main");
	fails(EOPNOTSUPP, retrieve("main", 1, "t"));
	finish_force("main");
	close_fd("main");
}

/* This kernel and khoctl have the same verdicts on the previous kernel. */
static void row_after(const struct row *row)
{
	row_lost(row);
	run(TOOL "check --from " PLACE "%s --to " THIS ">/tmp/check; test $? -eq 1", row->name);
	run("grep -q '^would lose: .*%s' /tmp/check", row->loses);
	run("while read name theirs ours verdict of; do [ $verdict != other ] || "
	    "grep -Eq \"^$name .* other\\$\" /tmp/check || exit 1; done <" KHO "in/compat");
	run("while read name theirs ours verdict of; do [ $verdict != other ] || echo $name; done "
	    "<" KHO "in/compat | grep -x %.*s", (int)strcspn(row->name, "-"), row->name);
	run("! awk '$4 == \"other\" { print $1 }' " KHO "in/compat | while read name; do "
	    "grep -E \"^$name .* same\\$\" /tmp/check; done | grep .");
}

KHO_TEST(khoctl_compat,
	 "khoctl predicts what the second kernel does, for each row of the table.",
	 KHOCTL_NEEDS, .hops = ARRAY_SIZE(rows) + 1, .deadline = 90)
{
	if (hop)
		row_after(&rows[hop - 1]);
	if (hop < ARRAY_SIZE(rows))
		row_before(&rows[hop]);
}
