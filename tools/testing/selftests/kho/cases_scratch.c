// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of scratch memory, which is allocated while an image is loaded.
 */

#include "steps.h"

#define AREAS	"/sys/kernel/debug/kho/out/scratch_len"
#define RELOAD	"kexec -s -l $(ls /share/kernel-* | head -n 1) --initrd=/share/initrd --reuse-cmdline"
#define BLOCKS	"/sys/devices/system/memory"

static void no_areas(void)
{
	run("! grep 0x " AREAS);
	run("awk '/CmaTotal/ && $2 > 0 { exit 1 }' /proc/meminfo");
}

/* KASAN keeps objects for a while after they were freed, and so their slabs. */
static void shrink_slabs(void)
{
	run("for f in /sys/kernel/slab/*/shrink; do [ ! -e $f ] || echo 1 > $f; done");
}

/* Writes free memory in KiB, including pages in caches of CPUs, to a file. */
static void free_memory(const char *name)
{
	run("echo 3 > /proc/sys/vm/drop_caches");
	shrink_slabs();
	run("awk '$1 == \"nr_free_pages\" || $1 == \"count:\" { n += $2 } END { print %llu * n }' "
	    "/proc/zoneinfo > /tmp/%s", page_size / KIB, name);
}

/*
 * An image that replaces another one gets its areas before those of the other
 * one are freed.
 */
KHO_TEST(scratch_unload,
	 "Scratch memory is allocated while an image is loaded, and free before and after.",
	 .deadline = 60)
{
	static const struct memfd file[] = { { "a", 16 * MIB, 1 } };

	no_areas();
	if (hop) {
		claim("main", file);
		churn();
		return;
	}
	load();
	run("kexec -u");
	free_memory("before");
	for (int i = 0; i < 4; i++) {
		load();
		load();
		run("grep -q 0x " AREAS);
		run("kexec -u");
		no_areas();
	}
	free_memory("after");
	run("test $(($(cat /tmp/before) - $(cat /tmp/after))) -lt 8192");
	keep("main", file);
	load();
}

static void scratch_full(unsigned int hop)
{
	if (hop)
		no_areas();
	carry(hop, "main", ONE("a", 540 * MIB, 2));
	churn();
}

KHO_TEST(scratch_load_first, "An image is loaded, and then most of the memory is preserved.",
	 .deadline = 60)
{
	if (!hop)
		load();
	scratch_full(hop);
}

KHO_TEST(scratch_load_last, "Most of the memory is preserved, and then an image is loaded.",
	 .deadline = 60)
{
	scratch_full(hop);
}

/*
 * Preserved memory leaves no space for an image until a session is closed.
 * Kernels of arm64 need less scratch memory, for which there is space.
 */
KHO_TEST(scratch_refused,
	 "Without memory for the next kernel no image is loaded, and nothing is lost.",
	 .deadline = 60, .arch = "x86_64")
{
	static const struct memfd a[] = { { "a", 400 * MIB, 3 } };

	carry(hop, "main", a);
	if (hop) {
		fails(ENOENT, session_get("other"));
		churn();
		return;
	}
	keep("other", ONE("b", most_of_memory(), 4));
	load_refused();
	no_areas();
	logged("scratch memory: failed to allocate for image", 1);
	look(a);
	close_fd("other");
	close_fd("b");
	load();
}

/*
 * kexec works without sessions, but must not lose a session that is created
 * later.
 */
KHO_TEST(scratch_unused,
	 "If memory is short and nothing is preserved, an image is loaded without a handover.",
	 .append = { "initcall_blacklist=kho_test_init" }, .deadline = 60, .arch = "x86_64")
{
	static const struct memfd file[] = { { "b", MIB, 6 } };

	if (hop) {
		claim("main", file);
		churn();
		return;
	}
	memfd("a", most_of_memory(), 5);
	load();
	no_areas();
	logs("image: loaded without a handover, nothing");
	keep("main", file);
	fails(EOPNOTSUPP, reboot_kexec());
	close_fd("a");
	load();
}

/* Much of the file is in CMA, without enough memory elsewhere. */
KHO_TEST(scratch_reserved_full,
	 "A memfd that is too large for the memory outside CMA is refused, and no task is killed.",
	 .append = { "kho_scratch=64M,320M,64M" }, .deadline = 60)
{
	/* More than the free memory outside the areas, and less than all of it. */
	const struct memfd big = { "a", memory_info("MemFree") / MIB * MIB / 8 * 7, 11 };
	static const struct memfd small = { "b", 50 * MIB, 12 };

	if (hop) {
		session_get("main");
		retrieve("main", 2, "b");
		check(&small);
		finish("main");
		churn();
		return;
	}
	session_new("main");
	make(&big);
	fails(ENOMEM, preserve("main", 1, "a"));
	check(&big);
	logged("Out of memory", 0);
	close_fd("a");
	make(&small);
	preserve("main", 2, "b");
}

static void scratch_of_16g(unsigned int hop, bool huge)
{
	if (!hop)
		use_huge_folios(huge);
	carry(hop, "main", ONE("a", 16 * GIB, 13));
}

#define SCRATCH_16G	.memory = 19456, .deadline = 900, .by_name = true

KHO_TEST(scratch_16g, "A memfd of 16 GiB in small folios is kept in a guest of 19 GiB.",
	 SCRATCH_16G)
{
	scratch_of_16g(hop, false);
}

KHO_TEST(scratch_16g_huge, "A memfd of 16 GiB in huge folios is kept in a guest of 19 GiB.",
	 SCRATCH_16G)
{
	scratch_of_16g(hop, true);
}

/* Segments are written in place, and the kernel zeroes the rest of each. */
KHO_TEST(scratch_used_memory, "An image is complete in memory that had other contents before.",
	 .append = { "page_poison=1" }, .deadline = 60)
{
	carry(hop, "main", ONE("a", 16 * MIB, 17));
	if (hop)
		return;
	segments_zeroed();
	load();
}

/*
 * Areas that are reserved at boot are passed on from kernel to kernel.  A
 * kernel with scratch memory on demand frees them, and the kernel after it
 * reserves areas again.  Without KASLR, the kernel does not divide the memory that
 * the areas of a debug guest need.
 */
KHO_TEST(scratch_modes,
	 "Kernels reserve scratch memory at boot, allocate it on demand, and reserve it again.",
	 .hops = 4, .append = { "nokaslr kho_scratch=200%", "nokaslr", "nokaslr kho_scratch=300%",
		     "nokaslr kho_bootmem=300%" },
	 .memory = 2048, .deadline = 60)
{
	static const struct memfd files[][1] = {
		{ { "a", 64 * MIB, 7 } }, { { "b", 9 * MIB, 8 } }, { { "c", 9 * MIB, 9 } },
	};

	if (hop == 1)
		no_areas();
	else
		cma_check();
	if (hop)
		claim("main", files[hop - 1]);
	if (hop < 3)
		keep("main", files[hop]);
	else
		churn();
}

KHO_TEST(scratch_hugetlb,
	 "HugeTLB pages that the next kernel reserves are not allocated from its scratch memory.",
	 .append = { "", "hugepagesz=2M hugepages=300" }, .memory = 2048, .deadline = 60)
{
	carry(hop, "main", ONE("a", 64 * MIB, 10));
	if (!hop)
		return;
	churn();
	run("test $(cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages) = 300");
}

#define NODES	"/sys/devices/system/node"

/* The processor of node 1 allocates in node 0; no scratch area is in node 1. */
KHO_TEST(scratch_empty_node,
	 "A file that is preserved on a processor of a memoryless node is kept.",
	 .append = { "memhp_default_state=offline" }, .plug = "pc-dimm", .arch = "x86_64",
	 .deadline = 40)
{
	run("test $(cat " NODES "/has_cpu) = 0-1 && test $(cat " NODES "/has_memory) = 0");
	run("taskset -p 2 $PPID");
	carry(hop, "main", ONE("a", 64 * MIB, 18));
	if (hop)
		churn();
	else
		load();
}

/* The allocation of gigantic pages may fail, but not that of other memory. */
KHO_TEST(scratch_large_pieces,
	 "A kernel that reserves gigantic pages and CMA in early boot has memory for the rest.",
	 .append = { "", "hugepagesz=1G hugepages=2 cma=64M" }, .memory = 6144,
	 .qemu = { "-cpu", "qemu64,+pdpe1gb" }, .arch = "x86_64", .deadline = 60)
{
	carry(hop, "main", ONE("a", 64 * MIB, 17));
	if (hop)
		churn();
}

static void loop(const char *what)
{
	run("(for i in 1 2 3 4 5 6 7 8; do %s; done) > /dev/null 2>&1 & echo $! >> /tmp/loops", what);
}

/* Loading and unloading race for the lock of kexec, and for replaced images. */
KHO_TEST(scratch_two_loaders,
	 "Loading and unloading images concurrently leaks no scratch memory and loses no session.",
	 .deadline = 60)
{
	if (!hop) {
		loop(RELOAD);
		loop(RELOAD);
		loop("kexec -u");
	}
	for (unsigned int i = 0; i < 8; i++) {
		const struct memfd file = { textf("f%u", i), MIB, i + 1 };

		carry_one(hop, textf("s%u", i), &file);
	}
	if (hop) {
		churn();
		return;
	}
	run("for loop in $(cat /tmp/loops); do while [ -d /proc/$loop ]; do sleep 0.1; done; done");
	run("kexec -u");
	no_areas();
	load();
}

static void load_both(void)
{
	load_crash();
	load();
	load_crash();
	load();
	run("grep -q 0x " AREAS);
}

/* A crash image has memory of its own, and loading an image frees the previous one. */
KHO_TEST(scratch_two_images,
	 "Images for a kexec and for a crash are loaded, replaced and unloaded together.",
	 .hops = 3, .append = { "crashkernel=96M" }, .memory = 3072, .deadline = 60)
{
	static const struct memfd file[] = { { "a", 16 * MIB, 14 } };

	if (!hop) {
		keep("main", file);
		load_both();
	} else if (hop == 1) {
		no_areas();
		claim("main", file);
		look(file);
		load_both();
		run("kexec -u");
		run("kexec -s -p -u");
		no_areas();
		close_fd("a");
		keep("main", file);
		load_crash();
		load();
	} else {
		claim("main", file);
		churn();
	}
}

/*
 * Enough memory is free, but most of it is fragmented: each MiB has a page that
 * cannot be migrated.  When the pipes are closed, some of their pages are only
 * freed with a delay: loading an image may fail until then.
 */
KHO_TEST(scratch_fragmented,
	 "Without contiguous memory no image is loaded; when there is some, the handover works.",
	 .deadline = 60, .arch = "x86_64")
{
	static const struct memfd file[] = { { "a", 16 * MIB, 15 } };

	carry(hop, "main", file);
	if (hop) {
		churn();
		return;
	}
	run("echo 2048 > /proc/sys/vm/min_free_kbytes");
	memory_fragment(24 * MIB);
	load_refused();
	no_areas();
	logged("scratch memory: failed to allocate for image", 1);
	look(file);
	memory_mend();
	shrink_slabs();
	/* Pages in the caches of CPUs are merged when a large allocation fails. */
	run("echo 4096 > /proc/sys/vm/nr_hugepages; echo 0 > /proc/sys/vm/nr_hugepages");
	load_in_time(45);
}

/* Scratch memory of a loaded image cannot be removed. */
KHO_TEST(scratch_offline, "Memory with a scratch area in it cannot be taken offline.",
	 .deadline = 40, .arch = "x86_64")
{
	carry(hop, "main", ONE("a", 16 * MIB, 16));
	if (hop) {
		churn();
		return;
	}
	load();
	run("for area in $(cat /sys/kernel/debug/kho/out/scratch_phys); do "
	    "block=$((area / 0x$(cat " BLOCKS "/block_size_bytes))); "
	    "echo offline > " BLOCKS "/memory$block/state && exit 1; done; true");
}
