// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of booting kernels: with KHO off, with another page size, without a
 * handover, with much memory, and after a crash.
 */

#include "steps.h"

static const struct memfd file[] = { { "a", 16 * MIB, 1 } };

/*
 * arm64 lists reserved regions of memblock in /proc/iomem.  Adding a line to n
 * lines is O(n).
 */
KHO_TEST(iomem,
	 "Hundreds of preserved ranges do not add hundreds of lines to /proc/iomem.",
	 .arch = "arm64")
{
	if (hop) {
		session_get("main");
		run("test $(grep -c reserved /proc/iomem) -lt 50");
		return;
	}
	session_new("main");
	for (unsigned int i = 0; i < 300; i++) {
		const char *name = textf("f%u", i);

		memfd(textf("gap%u", i), page_size, i + 1);
		memfd(name, page_size, i + 1);
		preserve("main", i, name);
	}
}

KHO_TEST(kho_off,
	 "A second kernel with kho=off preserves nothing; the third one can preserve again.",
	 .hops = 3, .deadline = 40, .append = { "", "kho=off", "" })
{
	if (!hop) {
		keep("main", ONE("a", 16 * MIB, 8));
	} else if (hop == 1) {
		run("test ! -e /dev/liveupdate");
		churn();
	} else {
		fails(ENOENT, session_get("main"));
		keep("main", ONE("b", MIB, 9));
		churn();
	}
}

KHO_TEST(debugfs_off, "A second kernel with debugfs=off keeps the memfd and its own memory.",
	 .deadline = 30, .append = { "", "debugfs=off" })
{
	static const struct memfd a[] = { { "a", 32 * MIB, 10 } };

	carry(hop, "main", a);
	if (!hop)
		return;
	run("test ! -e /sys/kernel/debug/kho");
	churn();
	look(a);
}

static void other_pages(void)
{
	logs("KHO: root tree: incompatible page size");
	fails(ENOENT, session_get("main"));
}

/* To a kernel with another page size, and back. */
KHO_TEST(other_page_size,
	 "A handover with another page size is refused in one line, and the boot is cold.",
	 .name = "page-size", .hops = 3, .kernels = { "ours", "other-pages", "ours" }, .arch = "arm64", .deadline = 40)
{
	if (hop) {
		other_pages();
		churn();
	}
	if (hop == 0)
		keep("main", file);
	else if (hop == 1)
		keep("main", ONE("b", MIB, 2));
}

/* The device tree has no handover, and is complete otherwise. */
static void forgotten(void)
{
	run("! ls /proc/device-tree/chosen | grep linux,kho");
	run("test -s /sys/firmware/fdt");
}

static void cold_boot(void)
{
	logged("found kexec handover", 0);
	logged("KHO revival", 0);
}

/*
 * On arm64 kexec-tools copies the device tree of the running kernel, with the properties
 * of its handover.
 */
KHO_TEST(stale_handover, "An image without a handover boots cold after an earlier handover.",
	 .hops = 4, .arch = "arm64", .deadline = 40)
{
	if (!hop) {
		keep("main", file);
	} else if (hop == 1) {
		claim("main", file);
		close_fd("a");
		forgotten();
		load_plain();
	} else if (hop == 2) {
		fails(ENOENT, session_get("main"));
		cold_boot();
		churn();
		keep("main", file);
	} else {
		claim("main", file);
	}
}

/* The second kernel cannot use the handover; the third one could. */
KHO_TEST(stale_refused,
	 "An image without a handover boots cold after a kernel that refused a handover.",
	 .hops = 3, .kernels = { "ours", "other-pages", "ours" }, .arch = "arm64", .deadline = 40)
{
	if (!hop) {
		keep("main", file);
	} else if (hop == 1) {
		other_pages();
		forgotten();
		load_plain();
	} else {
		fails(ENOENT, session_get("main"));
		cold_boot();
		churn();
	}
}

/*
 * The crash memory of the crashing kernel is in the scratch areas of the
 * previous kernel.  The guest has enough memory for 1G of contiguous memory,
 * wherever KASLR places the kernel, and not above 4 GiB, where the crash kernel
 * would need low memory, too.
 */
#define KDUMP(scratch)	.hops = 3, .memory = 3072, .deadline = 40, .arch = "x86_64", \
	.append = { "crashkernel=256M " scratch, "crashkernel=256M " scratch, "nr_cpus=1" }, \
	.allowed = { "sysrq triggered crash", "Call [Tt]race:" }
#define KDUMP_SCRATCH	"kho_scratch=64M,1G,64M"

static void kdump(unsigned int hop, bool plain)
{
	if (!hop) {
		keep("main", file);
	} else if (hop == 1) {
		claim("main", file);
		if (plain)
			load_crash_plain();
		else
			load_crash();
		leave_by_crash();
	} else {
		run("test \"$(head -c 4 /proc/vmcore | tail -c 3)\" = ELF");
		logs("KHO: disabled in the kdump kernel");
		run("test ! -e /dev/liveupdate");
		cold_boot();
	}
}

KHO_TEST(kdump_after_handover,
	 "A kernel with a handover crashes; the kdump kernel has the dump and no handover.",
	 KDUMP(KDUMP_SCRATCH))
{
	kdump(hop, false);
}

KHO_TEST(kdump_after_handover_plain,
	 "After a handover, a kdump kernel that was loaded by kexec_load() has the dump.",
	 KDUMP(KDUMP_SCRATCH))
{
	kdump(hop, true);
}

KHO_TEST(kdump_on_demand,
	 "After a handover with scratch memory on demand, the kdump kernel has the dump.",
	 KDUMP(""))
{
	kdump(hop, false);
}

/* Extended scratch memory may share a region of memblock with other memory. */
KHO_TEST(above_4g, "Memory above 4 GiB is handed over twice, with free memory around it.",
	 .hops = 3, .append = { "kho_scratch=200%" }, .memory = 6144, .deadline = 40)
{
	static const struct memfd files[] = { { "a", 40 * MIB, 20 }, { "b", 12345, 21 } };

	if (!hop) {
		cma_check();
		keep("main", files);
	} else if (hop == 1) {
		claim("main", files);
		cma_check();
		close_fd("a");
		close_fd("b");
		keep("main", files);
	} else {
		claim("main", files);
		look(files);
		cma_check();
	}
}

/*
 * LUO restores records and frees its header before nearby struct pages are
 * initialized.
 */
KHO_TEST(early_restore,
	 "An early initcall restores and frees pages whose struct pages are initialized late.",
	 .memory = 6144, .deadline = 40)
{
	if (!hop)
		total_keep();
	else
		run("dmesg | grep 'deferred pages initialised'");
	for (unsigned int i = 0; i < 120; i++) {
		const struct memfd one = { textf("f%u", i), page_size, i + 1 };

		carry_one(hop, textf("s%u", i), &one);
		if (hop)
			close_fd(one.name);
	}
	if (hop) {
		total_check(16 * MIB);
		churn();
	}
}

/*
 * The memory map that kexec-tools reads, with 64 KiB reserved in each of the 100 pieces
 * of 2 MiB from 256 MiB on.  Entry 128 ends below 400 MiB.
 */
#define MAP		"/sys/firmware/memmap"
#define MAP_ENTRY	"entry() { mkdir $n; printf '0x%%x\\n' $1 >$n/start; printf '0x%%x\\n' $2 >$n/end;" \
			" echo \"$3\" >$n/type; n=$((n + 1)); }; "
#define MAP_SPLIT	"cp -r " MAP " /map; cd /map; n=$(ls | wc -l); at=$((256 << 20)); " MAP_ENTRY \
			"for e in *; do [ $(($(cat $e/start))) -lt $at ] &&" \
			" [ $(($(cat $e/end))) -gt $at ] && break; done; " \
			"end=$(cat $e/end); echo $((at - 1)) >$e/end; " \
			"for i in $(seq 100); do entry $at $((at + 65535)) Reserved; " \
			"entry $((at + 65536)) $((at + 2097151)) 'System RAM'; at=$((at + 2097152)); done; " \
			"entry $at $end 'System RAM'; mount --bind /map " MAP

KHO_TEST(many_e820_entries,
	 "With more than 128 entries in the memory map, the next kernel gets all of them.",
	 .hops = 3, .arch = "x86_64", .deadline = 40)
{
	/* Does not fit below 400 MiB. */
	static const struct memfd a[] = { { "a", 400 * MIB, 1 } };

	if (!hop) {
		run(MAP_SPLIT);
		load_plain();
		return;
	}
	run("test $(ls " MAP " | wc -l) -gt 200");
	carry(hop - 1, "main", a);
	if (hop == 2)
		churn();
}

/* Wait for the memory of the device, on node 1, and run on the CPU of that node. */
static void plugged_memory(void)
{
	run("for i in $(seq 60); do awk '/MemTotal/ { exit $4 < 400000 }' "
	    "/sys/devices/system/node/node1/meminfo && exit; sleep 1; done; exit 1");
	run("taskset -p 2 $PPID");
}

static const struct memfd far = { "far", 8 * MIB, 9, .node = NODE(1) };
static const struct memfd near[] = {
	{ "near1", 1 * MIB, 1, .node = NODE(0) }, { "near2", 2 * MIB, 2, .node = NODE(0) },
	{ "near3", 3 * MIB, 3, .node = NODE(0) }, { "near4", 4 * MIB, 4, .node = NODE(0) },
};

static void hotplug_before(bool kept)
{
	plugged_memory();
	log_clear();
	session_new("hot");
	make(&far);
	if (kept)
		preserve("hot", 9, "far");
	else
		fails(EOPNOTSUPP, preserve("hot", 9, "far"));
	check(&far);
	keep("main", near);
}

static void hotplug_after(bool kept)
{
	logged("is lost", 0);
	logged("]: discarded", 0);
	claim("main", near);
	session_get("hot");
	if (kept) {
		retrieve("hot", 9, "far");
		check(&far);
	} else {
		fails(ENOENT, retrieve("hot", 9, "far"));
	}
	finish("hot");
}

static void hotplug(unsigned int hop, bool kept)
{
	if (!hop)
		hotplug_before(kept);
	else
		hotplug_after(kept);
	/* Records of sessions fill several pages. */
	for (unsigned int i = 0; i < 150; i++)
		carry_none(hop, textf("s%u", i));
	if (!hop) {
		logged("preserve: in hot-added memory", kept ? 0 : 1);
		return;
	}
	plugged_memory();
	churn();
	look(near);
}

#define HOTPLUG(online)	.arch = "x86_64", .deadline = 40, .append = { "memhp_default_state=" online }

KHO_TEST(hotplug_dimm,
	 "Memory of a hot-added DIMM cannot be preserved, and nothing else is affected.",
	 HOTPLUG("online_kernel"), .plug = "pc-dimm")
{
	hotplug(hop, false);
}

KHO_TEST(hotplug_dimm_movable,
	 "A memfd in movable memory of a hot-added DIMM is migrated, and kept.",
	 HOTPLUG("online_movable"), .plug = "pc-dimm")
{
	hotplug(hop, true);
}

KHO_TEST(hotplug_virtio_mem,
	 "Memory that a hypervisor adds cannot be preserved, and nothing else is affected.",
	 HOTPLUG("online_kernel"), .plug = "virtio-mem-pci,requested-size=512M",
	 .kernels = { "virtio-mem" }, .by_name = true)
{
	hotplug(hop, false);
}

/*
 * page_owner walks all page blocks and sections, also those that begin with a
 * preserved page, whose struct page was initialized separately.
 */
KHO_TEST(page_owner,
	 "With page_owner=on, pages at the start of page blocks and sections come back.",
	 .append = { "page_owner=on", "page_owner=on" }, .memory = 2048, .deadline = 60)
{
	const struct memfd files[] = {
		{ "b1", page_size, 1 }, { "b2", page_size, 2 }, { "b3", page_size, 3 },
		{ "b4", page_size, 4 }, { "b5", page_size, 5 }, { "b6", page_size, 6 },
	};

	if (hop) {
		claim("main", files);
		churn();
		return;
	}
	session_new("main");
	borders("main", 512, 4, 1);
	/* Sections have 128 MiB, or 512 MiB with 64 KiB pages. */
	borders("main", page_size == 64 * KIB ? 8192 : 32768, 2, 5);
}

/* Free memory in KiB, including pages in caches of CPUs. */
#define FREE_KIB "awk '$1 == \"nr_free_pages\" || $1 == \"count:\" {n += $2} END {print 4 * n}' /proc/zoneinfo"
#define FREE_THEN "grep -o 'kho_free=[0-9]*' /proc/cmdline"
#define CHAIN_HOPS 100

/*
 * Free memory after the second hop is passed on the command line, and compared
 * after the last hop.
 */
KHO_TEST(chain_100,
	 "100 kexecs with a memfd of 64 MiB leave as much free memory as two, within 1 MiB.",
	 .hops = CHAIN_HOPS + 1, .memory = 512, .deadline = 15 + 10 * CHAIN_HOPS, .by_name = true)
{
	carry(hop, "main", ONE("a", 64 * MIB, 1));
	if (!hop)
		return;
	run("echo 1 > /sys/kernel/debug/kho/in/release");
	run("echo 3 > /proc/sys/vm/drop_caches");
	run("echo hop %u: $(" FREE_KIB ") KiB free", hop);
	if (hop == 2)
		run("echo -n \" kho_free=$(" FREE_KIB ")\" > /append");
	else if (hop > 2)
		run("echo -n \" $(" FREE_THEN ")\" > /append");
	if (hop < CHAIN_HOPS) {
		session_new("main");
		preserve("main", 1, "a");
		return;
	}
	run("less=$(($(" FREE_THEN " | cut -d= -f2) - $(" FREE_KIB "))); test ${less#-} -le 1024");
	churn();
}
