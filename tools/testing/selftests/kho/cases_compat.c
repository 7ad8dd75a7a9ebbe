// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of the compatibility table: a handover between two kernels that differ.
 *
 * The first kernel hands over a reserve_mem= region, the folios of lib/test_kho.c and
 * memfds in two sessions; it simulates another version by changing the strings
 * in its handover.  The sentence of a case is the expected result.
 */

#include "steps.h"

#define IN	"/sys/kernel/debug/kho/in"
#define ROOT	"kho-v4;radix-v1;vmalloc-v1"
#define LUO	"luo-v5;block-v1"
#define MEMFD	"memfd-v2;vmalloc-v1"

#define COMPAT_HOPS(n)	.hops = (n), .append = { "reserve_mem=4M:4096:khotest" }, \
			.memory = 512, .deadline = 15 + 10 * (n)

static const struct memfd large[] = { { "a", 64 * MIB, 1 }, { "b", 5000, 2 } };
static const struct memfd small[] = { { "c", 300000, 3 }, { "d", 1, 4 } };
static const struct memfd tiny[] = { { "e", 5000, 6 } };
static const struct memfd new[] = { { "n", MIB, 5 } };

/* ---- handover data, in the versions of this kernel */

static void give_region(void)
{
	region_fill("khotest", 77);
	total_keep();
}

static void give(void)
{
	give_region();
	keep("main", large);
	keep("other", small);
}

static void give_tiny(void)
{
	give_region();
	keep("main", tiny);
	keep("other", small);
}

/* ---- expected results */

static void shows(const char *name, const char *offered, const char *supported,
		  const char *verdict, const char *base)
{
	run("grep -x '%s %s %s %s %s *' " IN "/compat", name, offered, supported,
	    verdict, base);
}

/* A component of another version is reported by name, in the log and in debugfs. */
static void differs(const char *name, const char *offered, const char *supported,
		    const char *base)
{
	logs(textf("KHO: compat: %s: previous kernel has %s, this one %s", name, offered,
		   supported));
	shows(name, offered, supported, "other", base);
}

static void same_formats(void)
{
	shows("kho", "kho-v4", "kho-v4", "same", "kho");
	shows("radix", "radix-v1", "radix-v1", "same", "kho");
	shows("vmalloc", "vmalloc-v1", "vmalloc-v1", "same", "kho");
	shows("luo", "luo-v5", "luo-v5", "same", "luo");
	shows("block", "block-v1", "block-v1", "same", "luo");
	shows("memfd", "memfd-v2", "memfd-v2", "same", "memfd");
	shows("vmalloc", "vmalloc-v1", "vmalloc-v1", "same", "memfd");
}

static void region_kept(void)
{
	logs("Revived memory reservation 'khotest'");
	region_check("khotest", 77);
}

static void memory_kept(void)
{
	region_kept();
	logs("KHO restore succeeded");
}

static void all_kept(void)
{
	memory_kept();
	claim("main", large);
	claim("other", small);
}

static void legacy_strings(void)
{
	logs("KHO: compat: 'kho-v4' stands for '" ROOT "'");
	logs("KHO: compat: 'luo-v5' stands for '" LUO "'");
	logs("KHO: compat: 'memfd-v2' stands for '" MEMFD "'");
}

/* A release frees unclaimed memory, but not the reserve_mem= region. */
static void release(void)
{
	run("echo 1 > " IN "/release");
	total_check(MIB);
	churn_once();
	region_kept();
}

static void boots_cold(void)
{
	logs("disabling KHO revival");
	logged("Revived memory", 0);
	logged("KHO restore", 0);
	total_check(4 * MIB);
	fails(ENOENT, session_get("main"));
	churn_once();
}

static void sessions_lost(void)
{
	fails(ENOENT, session_get("main"));
	fails(ENOENT, session_get("other"));
}

/* New data is preserved, and the next kernel restores it. */
static void go_on(void)
{
	keep("next", new);
	region_fill("khotest", 77);
}

static void gone_on(void)
{
	memory_kept();
	claim("next", new);
}

/*
 * For cases of three kernels: the first one gives, and the last one has what the
 * second one preserved.  Returns true in the second kernel.
 */
static bool second(unsigned int hop)
{
	if (!hop)
		give();
	else if (hop == 2)
		gone_on();

	return hop == 1;
}

/* Finish a session with orphans. */
static void give_up(const char *session)
{
	fails(EBUSY, finish(session));
	finish_force(session);
	close_fd(session);
}

/* ---- kernels of the same, and of other sources */

KHO_TEST(compat_ours_ours, "all kept", COMPAT_HOPS(2))
{
	if (!hop) {
		give();
		return;
	}
	all_kept();
	same_formats();
	logged("compat:", 0);
}

KHO_TEST(compat_stock_ours, "all kept, the log has the expanded strings",
	 COMPAT_HOPS(2), .kernels = { "stock", "ours" })
{
	if (!hop) {
		give();
		return;
	}
	all_kept();
	legacy_strings();
	same_formats();
}

KHO_TEST(compat_stock_ours_ours, "all kept twice",
	 COMPAT_HOPS(3), .kernels = { "stock", "ours" })
{
	if (!second(hop))
		return;
	all_kept();
	go_on();
}

KHO_TEST(compat_ours_stock, "stock boots cold; back to ours all kept",
	 COMPAT_HOPS(3), .kernels = { "ours", "stock", "ours" })
{
	if (!second(hop))
		return;
	boots_cold();
	go_on();
}

KHO_TEST(compat_stock_older_ours, "all kept, the log has the expanded strings",
	 .name = "compat-stock-7.2-ours", COMPAT_HOPS(3), .base = "7.2",
	 .kernels = { "stock", "guest@7.3" })
{
	if (!second(hop))
		return;
	all_kept();
	legacy_strings();
	same_formats();
	go_on();
}

KHO_TEST(compat_ours_older_ours, "all kept, and kept on the way back",
	 .name = "compat-ours-7.2-ours", COMPAT_HOPS(3), .base = "7.2",
	 .kernels = { "ours", "guest@7.3", "ours" })
{
	if (!second(hop))
		return;
	all_kept();
	same_formats();
	logged("compat:", 0);
	go_on();
}

/* ---- one component of another version */

KHO_TEST(compat_vmalloc_v2, "memfds -EOPNOTSUPP, region and folios kept, memory free again",
	 COMPAT_HOPS(3))
{
	if (!hop) {
		give();
		offer_root("kho-v4;radix-v1;vmalloc-v2");
	} else if (hop == 1) {
		region_kept();
		logs("named folios succeeded");
		differs("vmalloc", "vmalloc-v2", "vmalloc-v1", "kho");
		damage_file("main", 1, "handler", "memfd-v2;vmalloc-v2");
		damage_file("main", 2, "handler", "memfd-v2;vmalloc-v2");
		session_get("main");
		fails(EOPNOTSUPP, retrieve("main", 1, "a"));
		fails(EOPNOTSUPP, retrieve("main", 2, "b"));
		run("! echo 1 > " IN "/release");
		differs("vmalloc", "vmalloc-v2", "vmalloc-v1", "memfd");
		give_up("main");
		session_get("other");
		fails(EOPNOTSUPP, retrieve("other", 1, "c"));
		finish("other");
		close_fd("other");
		release();
		go_on();
	} else {
		region_kept();
		claim("next", new);
	}
}

static void luo_version(unsigned int hop, const char *offer, const char *name,
			const char *offered, const char *supported)
{
	if (second(hop)) {
		memory_kept();
		differs(name, offered, supported, "luo");
		sessions_lost();
		release();
		go_on();
	} else if (!hop) {
		offer_luo(offer);
	}
}

KHO_TEST(compat_block_v2, "LUO empty, region and folios kept, live updates go on", COMPAT_HOPS(3))
{
	luo_version(hop, "luo-v5;block-v2", "block", "block-v2", "block-v1");
}

KHO_TEST(compat_luo_v6, "LUO empty, region and folios kept, live updates go on", COMPAT_HOPS(3))
{
	luo_version(hop, "luo-v6;block-v1", "luo", "luo-v6", "luo-v5");
}

KHO_TEST(compat_memfd_v3, "the file of memfd-v3 -EOPNOTSUPP, the rest kept, memory free again", COMPAT_HOPS(3))
{
	if (!second(hop))
		return;
	memory_kept();
	damage_file("main", 1, "handler", "memfd-v3;vmalloc-v1");
	session_get("main");
	fails(EOPNOTSUPP, retrieve("main", 1, "a"));
	retrieve("main", 2, "b");
	check(&large[1]);
	differs("memfd", "memfd-v3", "memfd-v2", "memfd");
	give_up("main");
	claim("other", small);
	release();
	go_on();
}

static void root_version(unsigned int hop, const char *offer, const char *name,
			 const char *offered, const char *supported)
{
	if (second(hop)) {
		differs(name, offered, supported, "kho");
		boots_cold();
		run("test ! -e " IN "/fdt");
		go_on();
	} else if (!hop) {
		offer_root(offer);
	}
}

KHO_TEST(compat_radix_v2, "boots cold and logs the difference", COMPAT_HOPS(3))
{
	root_version(hop, "kho-v4;radix-v2;vmalloc-v1", "radix", "radix-v2", "radix-v1");
}

KHO_TEST(compat_kho_v5, "boots cold and logs the difference", COMPAT_HOPS(3))
{
	root_version(hop, "kho-v5;radix-v1;vmalloc-v1", "kho", "kho-v5", "kho-v4");
}

KHO_TEST(compat_foo_v1, "all kept, foo is named", COMPAT_HOPS(2))
{
	if (!hop) {
		give();
		offer_root("kho-v4;foo-v1;radix-v1;vmalloc-v1");
		return;
	}
	all_kept();
	same_formats();
	shows("foo", "foo-v1", "-", "unknown", "kho");
	logs("KHO: compat: foo: previous kernel has foo-v1, this one none");
}

/* ---- strings that no kernel would write, another one in each handover */

static const char *const bad[] = { "garbage", "empty", "endless", "huge" };

KHO_TEST(compat_bad_root, "boots cold each time and logs the string", COMPAT_HOPS(7))
{
	if (hop == 6) {
		gone_on();
		return;
	}
	if (hop) {
		logs("instead of '" ROOT "'");
		shows("kho", "-", "-", "malformed", "kho");
		boots_cold();
	}
	if (hop == 5) {
		go_on();
		return;
	}
	give_tiny();
	if (hop == 4)
		offer_root_of("huge", 65536);
	else
		offer_root(bad[hop]);
}

KHO_TEST(compat_bad_luo, "LUO empty each time, region and folios kept", COMPAT_HOPS(6))
{
	if (hop == 5) {
		gone_on();
		return;
	}
	if (hop == 4) {
		logs("subtree 'LUO': not preserved");
	} else if (hop) {
		logs("instead of '" LUO "'");
		shows("luo", "-", "-", "malformed", "luo");
	}
	if (hop) {
		memory_kept();
		sessions_lost();
		release();
	}
	if (hop == 4) {
		go_on();
		return;
	}
	give_tiny();
	offer_luo(bad[hop]);
}

KHO_TEST(compat_bad_file, "files with bad strings -EOPNOTSUPP or unknown, the rest kept, memory free again",
	 COMPAT_HOPS(3))
{
	static const struct memfd files[] = {
		{ "f1", 4 * MIB, 1 }, { "f2", 4 * MIB, 2 }, { "f3", 4 * MIB, 3 },
		{ "f4", 4 * MIB, 4 }, { "f5", 4 * MIB, 5 }, { "f6", 4 * MIB, 6 },
	};

	if (!hop) {
		give_region();
		keep("main", files);
		keep("other", small);
	} else if (hop == 1) {
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
			damage_file("main", i + 2, "handler", bad[i]);
		session_get("main");
		retrieve("main", 1, "f1");
		check(&files[0]);
		for (unsigned int i = 1; i <= 3; i++)
			fails(EOPNOTSUPP, retrieve("main", i + 1, files[i].name));
		for (unsigned int i = 4; i <= 5; i++)
			fails(ENOENT, retrieve("main", i + 1, files[i].name));
		logs("compat: '");
		give_up("main");
		memory_kept();
		claim("other", small);
		release();
		go_on();
	} else {
		gone_on();
	}
}

/*
 * LUO frees the page of the FLB records after all sessions are finished.  Here
 * it is a page of memfd "p", so the session of "p" is not finished.
 */
KHO_TEST(compat_bad_flb, "FLBs with bad strings are lost, the rest kept", COMPAT_HOPS(3))
{
	static const struct memfd page = { "p", 4096, 1 };

	if (!hop) {
		give_tiny();
		session_new("page");
		make(&page);
		preserve("page", 1, "p");
		offer_flbs("p", "liveupdate-test-flb-v0", "garbage", "empty", "endless", "huge");
	} else if (hop == 1) {
		memory_kept();
		logged("flb-v0: found", 1);
		logged("flb-v1: found", 0);
		logged("ERROR", 0);
		logs("compat: '");
		claim("main", tiny);
		claim("other", small);
		go_on();
	} else {
		gone_on();
		flbs("finish was", 1);
	}
}
