// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of the memory of preserved memfds, and of many sessions and files: swap, tags,
 * accounting, pages that move, stress.
 */

#include "steps.h"

static void swap_on(void)
{
	run("echo 256M > /sys/block/zram0/disksize");
	run("mkswap /dev/zram0");
	run("swapon /dev/zram0");
}

KHO_TEST(luo_swap,
	 "A swapped out memfd comes back, can be swapped out again, and is accounted normally.",
	 .deadline = 40)
{
	static const struct memfd files[] = {
		{ "out", 24 * MIB, 1 }, { "in", 24 * MIB, 2 }, { "odd", 12345, 3 },
	};

	swap_on();
	if (!hop) {
		make(&files[0]);
		pageout("out");
		session_new("main");
		preserve("main", 1, "out");
		make(&files[1]);
		preserve("main", 2, "in");
		make(&files[2]);
		preserve("main", 3, "odd");
		fails(EIO, pageout("in"));
		return;
	}
	claim("main", files);
	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++)
		blocks(files[i].name);
	pageout("out");
	pageout("in");
	look(files);
	churn();
}

/* Tags are set before and after a file is preserved; neither kernel loses data. */
KHO_TEST(luo_memory_tags,
	 "A memfd whose pages have memory tags is refused, before a kexec would lose the tags.",
	 .qemu = { "-machine", "mte=on", "-cpu", "max,pauth=off" }, .arch = "arm64", .deadline = 40)
{
	static const struct memfd a[] = { { "a", 200 * KIB, 1 } };
	static const struct memfd b[] = { { "b", 200 * KIB, 2 } };
	static const struct memfd c[] = { { "c", 200 * KIB, 3 } };

	if (hop) {
		fails(ENOENT, session_get("late"));
		claim("next", c);
		return;
	}
	make(a);
	tag("a");
	session_new("main");
	fails(EOPNOTSUPP, preserve("main", 1, "a"));
	keep("late", b);
	tag("b");
	load();
	fails(EOPNOTSUPP, reboot_kexec());
	look(a);
	look(b);
	close_fd("late");
	close_fd("main");
	keep("next", c);
}

/* Counters of memory.stat; those of LRU lists are rounded. */
#define GROUP_STAT \
	"awk '/^(shmem|shmem_thp|file|file_mapped) / { print } " \
	"/^(in)?active_anon / { lru += $2 } END { print int(lru / 1048576 + 0.5) }' /tmp/cgroup/"

/* Per-CPU counters may not be in the sums yet. */
static void shmem_counts(int number)
{
	run("echo 1 > /proc/sys/vm/stat_refresh; "
	    "awk '/^(Shmem|ShmemHugePages|ShmemPmdMapped):/ { print $1, $2 }' /proc/meminfo > /tmp/shmem.%d",
	    number);
}

static void move_to(const char *group)
{
	run("echo $PPID > /tmp/cgroup/%scgroup.procs", group);
}

static const struct memfd counted[] = { { "small", 20 * MIB, 1 }, { "large", 40 * MIB, 2 } };
static const struct memfd made[] = { { "made-small", 20 * MIB, 1 }, { "made-large", 40 * MIB, 2 } };

static void retrieved_and_made(void)
{
	shmem_counts(0);
	session_get("main");
	move_to("retrieved/");
	for (unsigned int i = 0; i < 2; i++) {
		use_huge_folios(i);
		retrieve("main", i + 1, counted[i].name);
	}
	shmem_counts(1);
	move_to("made/");
	for (unsigned int i = 0; i < 2; i++) {
		use_huge_folios(i);
		make(&made[i]);
	}
	shmem_counts(2);
	move_to("");
}

/* Compares /proc/meminfo, memory.stat of the cgroup, and st_blocks. */
KHO_TEST(luo_accounting,
	 "A retrieved memfd is accounted like one that is created in this kernel.", .deadline = 40)
{
	if (!hop) {
		session_new("main");
		for (unsigned int i = 0; i < 2; i++) {
			use_huge_folios(i);
			make(&counted[i]);
			preserve("main", i + 1, counted[i].name);
		}
		return;
	}
	run("mkdir /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup");
	run("echo +memory > /tmp/cgroup/cgroup.subtree_control && mkdir /tmp/cgroup/made /tmp/cgroup/retrieved");
	retrieved_and_made();
	/* Pages in batches of this CPU are not on an LRU list yet. */
	run("echo 1 > /proc/sys/vm/compact_memory");
	run(GROUP_STAT "made/memory.stat > /tmp/made");
	run(GROUP_STAT "retrieved/memory.stat > /tmp/retrieved");
	run("cat /tmp/made; diff /tmp/made /tmp/retrieved");
	run("awk 'FILENAME ~ /0/ { a[$1] = $2 } FILENAME ~ /1/ { b[$1] = $2 } "
	    "FILENAME ~ /2/ && $2 - b[$1] != b[$1] - a[$1] { print; bad = 1 } END { exit bad }' "
	    "/tmp/shmem.0 /tmp/shmem.1 /tmp/shmem.2");
	for (unsigned int i = 0; i < 2; i++) {
		use_huge_folios(i);
		blocks(counted[i].name);
	}
	finish("main");
	churn();
}

/* In each hop but the last, files are preserved during calls of madvise(). */
static void luo_storm(unsigned int hop, unsigned int last, u64 count, int advice)
{
	if (hop) {
		session_get("main");
		storm_check("main", count);
		finish("main");
	}
	if (hop == last) {
		churn();
		return;
	}
	if (hop)
		close_fd("main");
	session_new("main");
	storm("main", count, advice);
}

KHO_TEST(luo_collapse, "Memfds whose pages are collapsed while they are preserved lose no write.",
	 .arch = "x86_64", .deadline = 60)
{
	luo_storm(hop, 1, 150, MADV_COLLAPSE);
}

KHO_TEST(luo_collapse_full,
	 "10 500 memfds that are collapsed while they are preserved, in seven kexecs, lose no write.",
	 .hops = 8, .memory = 5120, .arch = "x86_64", .deadline = 900, .by_name = true)
{
	luo_storm(hop, 7, 1500, MADV_COLLAPSE);
}

KHO_TEST(luo_pageout, "Memfds that are swapped out while they are preserved lose no write.",
	 .arch = "x86_64", .deadline = 60)
{
	if (!hop)
		swap_on();
	luo_storm(hop, 1, 150, MADV_PAGEOUT);
}

KHO_TEST(luo_many,
	 "2000 sessions of one file and one session of 20 000 files come back, and their memory is freed.",
	 .memory = 1536, .pages = 6 * 20000, .deadline = 100)
{
	if (!hop) {
		total_keep();
		many_keep(2000, 20000);
		return;
	}
	many_claim(2000, 20000);
	total_check(16 * MIB);
	churn();
}

#define LISTED(file, what) "$(grep -c '^" what ":' /sys/kernel/debug/liveupdate/" file ")"

KHO_TEST(luo_million_files,
	 "1000 sessions of 1000 files each are listed before and after the kexec.",
	 .memory = 14336, .deadline = 900, .by_name = true)
{
	if (!hop) {
		empty_keep(1000, 1000);
		run("test " LISTED("outgoing", "session") " = 1000");
		run("test " LISTED("outgoing_files", "file") " = 1000000");
		return;
	}
	run("test " LISTED("incoming", "session") " = 1000");
	run("test $(grep -c '^files: 1000$' /sys/kernel/debug/liveupdate/incoming) = 1000");
	session_get("empty999");
	run("test " LISTED("incoming_files", "file") " = 1000");
	finish_force("empty999");
	run("test " LISTED("incoming_files", "file") " = 0");
}

KHO_TEST(luo_parallel,
	 "Eight threads preserve and unpreserve files concurrently, on four processors.",
	 .qemu = { "-smp", "4" }, .deadline = 60, .live = true)
{
	static const struct parallel work = { .threads = 8, .files = 16, .rounds = 40, .size = 200000 };

	if (!hop) {
		total_keep();
		parallel_keep(&work);
		return;
	}
	parallel_claim(&work);
	total_check(16 * MIB);
	churn();
}

static void luo_stress_hop(unsigned int hop, const struct stress *size)
{
	if (hop)
		stress_check(size, hop - 1);
	if (hop < 2)
		stress_make(size, hop);
	else
		churn();
}

KHO_TEST(luo_stress,
	 "Random operations of seed KHO_SEED, with a kexec at a random point, twice.",
	 .hops = 3, .deadline = 60)
{
	luo_stress_hop(hop, &(const struct stress){ 40, 600 });
}

KHO_TEST(luo_stress_full,
	 "Random operations on 200 sessions and 10 000 files, with a kexec at a random point, twice.",
	 .hops = 3, .memory = 2048, .deadline = 300, .by_name = true)
{
	luo_stress_hop(hop, &(const struct stress){ 200, 10000 });
}
