// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of the Live Update Orchestrator: its interface, holders, sessions and FLBs.
 */

#include "steps.h"

static const struct memfd one[] = { { "a", MIB, 1 } };
static const struct memfd more[] = { { "b", MIB, 2 } };

KHO_TEST(luo_ioctl_table,
	 "Every ioctl, valid and invalid, has the documented result in every state of a session.",
	 .live = true)
{
	if (!hop) {
		table_new();
		keep("kept", ONE("a", 100, 1));
		keep("next", ONE("b", 1, 2));
		return;
	}
	table_incoming("kept", 1);
	session_get("next");
	retrieve("next", 1, "b");
	session_new("out");
	fails(EBUSY, preserve("out", 1, "b"));
	finish("next");
	preserve("out", 1, "b");
	close_fd("next");
	close_fd("out");
	table_new();
}

KHO_TEST(luo_holder_dies,
	 "The holder of a session is killed at any point; the next holder retrieves everything.",
	 .deadline = 40)
{
	static const struct memfd files[] = {
		{ "f1", 3001, 1 }, { "f2", 6001, 2 }, { "f3", 9001, 3 }, { "f4", 12001, 4 },
	};
	static const struct memfd big[] = { { "big", 96 * MIB, 7 } };

	if (!hop) {
		keep("main", files);
		keep("large", big);
		return;
	}
	holder_sweep("main", ARRAY_SIZE(files));
	holder_killed_in("large", 1);
	claim("large", big);
	claim("main", files);
	look(files);
	look(big);
	churn();
}

/* 51 session records fill a block: the refused session would need another block. */
KHO_TEST(luo_duplicate_at_block_edge,
	 "A duplicate session is refused without an effect when all record blocks are full.",
	 .hops = 3, .deadline = 30)
{
	static const struct memfd file[] = { { "a", 5000, 1 } };
	static const unsigned int nr[] = { 51, 102, 0 };

	if (hop)
		claim("s0", file);
	for (unsigned int i = 1; hop && i < nr[hop - 1]; i++)
		claim_none(textf("s%u", i));
	if (!nr[hop])
		return;
	if (hop)
		close_fd("a");
	keep("s0", file);
	for (unsigned int i = 1; i < nr[hop]; i++)
		session_new(textf("s%u", i));
	fails(EEXIST, session_new("s3"));
}

KHO_TEST(luo_unwritable_argument, "An ioctl changes nothing if its result cannot be written.",
	 .live = true)
{
	if (!hop) {
		unwritable_new("main");
		keep("main", one);
		unwritable_name("main");
		return;
	}
	unwritable_get("main");
	session_get("main");
	unwritable_retrieve("main", 1);
	retrieve("main", 1, "a");
	check(one);
	unwritable_retrieve("main", 1);
	finish("main");
}

/* An image without a handover is refused as long as there is a session. */
static void plain_image_is_refused(void)
{
	keep("main", one);
	load_plain();
	fails(EOPNOTSUPP, reboot_kexec());
	make(more);
	preserve("main", 2, "b");
	look(one);
}

KHO_TEST(luo_image_without_handover,
	 "kexec is refused while it would lose sessions, and works without sessions or after kexec -s.",
	 .hops = 3, .deadline = 30)
{
	static const struct memfd both[] = { { "a", MIB, 1 }, { "b", MIB, 2 } };

	if (!hop) {
		plain_image_is_refused();
		close_fd("main");
	} else if (hop == 1) {
		fails(ENOENT, session_get("main"));
		plain_image_is_refused();
		load();
	} else {
		claim("main", both);
	}
}

/* The calls of a program that was written for 7.3. */
static void luo_close_hop(unsigned int hop)
{
	static const struct memfd files[] = { { "a", 3 * MIB, 1 }, { "b", 5000, 2 } };

	if (!hop) {
		keep("main", files);
	} else if (hop == 1) {
		claim_open("main", files);
		close_fd("main");
		fails(ENOENT, session_get("main"));
		session_new("main");
		preserve("main", 1, "a");
		preserve("main", 2, "b");
	} else {
		claim("main", files);
	}
}

KHO_TEST(luo_close,
	 "A program for 7.3 retrieves its files, closes the session, and preserves them again.",
	 .hops = 3)
{
	luo_close_hop(hop);
}

KHO_TEST(luo_close_stock,
	 "On the stock kernel, a program for 7.3 preserves its retrieved files again.",
	 .hops = 3, .kernels = { "stock" })
{
	luo_close_hop(hop);
}

KHO_TEST(luo_unknown_handler, "A file without a handler is lost, and nothing else.",
	 .hops = 3, .deadline = 30)
{
	static const struct memfd files[] = {
		{ "f1", 1 * MIB, 1 }, { "f2", 2 * MIB, 2 }, { "f3", 3 * MIB, 3 },
	};
	static const struct memfd other[] = { { "o", 2 * MIB, 9 } };
	static const struct memfd new[] = { { "n", 5, 5 } };

	if (!hop) {
		keep("main", files);
		keep("other", other);
	} else if (hop == 1) {
		damage_file("main", 2, "handler", "nobody-v1");
		session_get("main");
		fails(EOPNOTSUPP, retrieve("main", 2, "f2"));
		retrieve("main", 1, "f1");
		check(&files[0]);
		fails(EOPNOTSUPP, retrieve("main", 2, "f2"));
		retrieve("main", 3, "f3");
		check(&files[2]);
		claim("other", other);
		fails(EBUSY, finish("main"));
		finish_force("main");
		close_fd("main");
		fails(ENOENT, session_get("main"));
		keep("next", new);
	} else {
		claim("next", new);
		churn();
	}
}

KHO_TEST(luo_damaged_root,
	 "Damaged FLBs are lost; another version of LUO loses all sessions; the device works.",
	 .hops = 4, .deadline = 40)
{
	if (!hop) {
		keep("main", one);
		damage_flbs();
	} else if (hop == 1) {
		logged("FLBs are lost", 1);
		logged("found flb data", 0);
		claim("main", one);
		keep("main", more);
		offer_luo("luo-v0");
	} else if (hop == 2) {
		fails(ENOENT, session_get("main"));
		churn();
		keep("last", one);
	} else {
		claim("last", one);
		flbs("finish was", 1);
	}
}

/* Sized for two pages of the folio list, and several nodes of the page cache. */
KHO_TEST(luo_fail_nth,
	 "If any allocation fails, a call works, or fails with ENOMEM and works when repeated.",
	 .deadline = 40)
{
	static const struct memfd file = { "a", 1200 * KIB, 1 };

	if (!hop) {
		total_keep();
		fail_create("new");
		make(&file);
		fail_preserve("try", "a");
		check(&file);
		session_new("main");
		fail_keep("main", 64, file.size, file.seed);
		return;
	}
	fail_get("main");
	session_get("main");
	fail_claim("main", 64, file.size, file.seed);
	finish("main");
	close_fd("main");
	total_check(16 * MIB);
	churn();
}

KHO_TEST(luo_off,
	 "A second kernel with liveupdate=off preserves nothing; the third one can preserve again.",
	 .hops = 3, .append = { "", "liveupdate=off", "" }, .deadline = 30)
{
	if (!hop) {
		keep("main", ONE("a", 16 * MIB, 1));
	} else if (hop == 1) {
		run("test ! -e /dev/liveupdate");
		logged("FLB", 0);
		churn();
	} else {
		fails(ENOENT, session_get("main"));
		keep("main", more);
		churn();
	}
}

/* Each FLB of lib/tests/liveupdate.c must have logged @text @number times. */
void flbs(const char *text, int number)
{
	for (int i = 0; i < 3; i++)
		logged(textf("liveupdate-test-flb-v%d: %s", i, text), number);
	logged("ERROR", 0);
}

static const struct memfd a_files[] = { { "a1", MIB, 1 }, { "a2", 7, 2 } };
static const struct memfd b_files[] = { { "b1", 9, 3 } };

static void flb_counts_second(void)
{
	flbs("found flb data", 1);
	session_get("empty");
	finish("empty");
	close_fd("empty");
	session_get("a");
	finish("a");
	close_fd("a");
	flbs("finish was", 0);
	keep("c", ONE("c1", MIB, 4));
	flbs("preserve was", 1);
	claim("b", b_files);
	flbs("finish was", 1);
	flbs("unpreserve was", 0);
}

static void flb_counts_third(void)
{
	flbs("found flb data", 1);
	session_get("c");
	close_fd("c");
	flbs("finish was", 0);
	session_get("c");
	finish("c");
	flbs("finish was", 1);
	keep("d", ONE("d1", 1, 1));
	close_fd("d");
	flbs("preserve was", 1);
	flbs("unpreserve was", 1);
}

/* FLBs are preserved with the first file and finished with the last one, in any order. */
KHO_TEST(luo_flb_counts, "Every FLB is preserved once and finished once, in any order of files.",
	 .hops = 4, .deadline = 40)
{
	if (!hop) {
		flbs("preserve was", 0);
		keep("a", a_files);
		keep("gone", ONE("g", 1, 1));
		keep("b", b_files);
		session_new("empty");
		close_fd("gone");
		flbs("preserve was", 1);
		flbs("unpreserve was", 0);
	} else if (hop == 1) {
		flb_counts_second();
	} else if (hop == 2) {
		flb_counts_third();
	} else {
		flbs("found flb data", 0);
		flbs("finish was", 0);
		keep("e", ONE("e1", 1, 1));
		flbs("preserve was", 1);
	}
}

KHO_TEST(luo_kexec_at_work,
	 "kexec neither waits for the end of a long preserve nor loses preserved files.",
	 .deadline = 40)
{
	static const struct memfd file[] = { { "a", 3 * MIB, 1 } };

	if (!hop) {
		load();
		keep("main", file);
		memfd("diary", 4096);
		preserve("main", 2, "diary");
		at_work("main", "diary", 400 * MIB);
		return;
	}
	claim_open("main", file);
	retrieve("main", 2, "diary");
	diary_check("diary");
	finish("main");
	churn();
}

static void luo_stuck(unsigned int hop, const char *way)
{
	if (!hop)
		load();
	carry(hop, "main", one);
	if (hop)
		return;
	memfd("stuck", MIB);
	stuck("main", "stuck", way);
}

KHO_TEST(luo_stuck_writer,
	 "kexec does not wait for a preserve while user space blocks a write to the file.")
{
	luo_stuck(hop, "userfaultfd");
}

KHO_TEST(luo_stuck_fuse,
	 "kexec does not wait for a preserve while a FUSE server blocks a write to the file.")
{
	luo_stuck(hop, "fuse");
}

KHO_TEST(luo_stuck_fallocate,
	 "kexec does not wait for a preserve while the file is locked by long allocations.")
{
	luo_stuck(hop, "fallocate");
}
