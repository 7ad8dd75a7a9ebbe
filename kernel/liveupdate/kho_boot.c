// SPDX-License-Identifier: GPL-2.0
/*
 * Kexec Handover during early boot: finds the hand-over and keeps this kernel
 * off the memory in it until the page allocator is up.
 *
 * kho_populate() runs first, before memblock knows any memory, and restricts it
 * to scratch.  kho_memory_init_early() runs when the linear map is complete and
 * opens the map of preserved memory.  kho_memory_init() runs last, right before
 * memblock turns its free memory over to the page allocator, and reserves what
 * the map says.
 *
 * The map is walked by runs of keys.  It keeps one stream for each order, so
 * the runs are collected, sorted and merged before memblock sees them: what is
 * done here costs by the run, not by the page.  (memblock itself still looks at
 * all its regions for each run.)
 *
 * What the map says is not trusted.  Memory that cannot be what it says costs
 * the keys that name it; a damaged node costs the map.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/crash_dump.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/compat.h>
#include <linux/kho/radix_tree.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/overflow.h>
#include <linux/sort.h>

#include <asm/early_ioremap.h>

#include "../../mm/mm_init.h"
#include "kexec_handover_internal.h"

/*
 * Nothing may be restored any more, but scratch areas are in use already and
 * stay what they are.
 */
static void __init kho_give_up(void)
{
	kho_in.fdt_phys = 0;
	kho_in.map.root = NULL;
}

/* Memory that must not get to the page allocator. */
struct kho_run {
	phys_addr_t start;
	phys_addr_t end;
};

struct kho_runs {
	struct kho_run *run;
	unsigned long nr;
	unsigned long max;
	bool coarse;
};

/*
 * There is one scratch area for each node and two more.  They are the first
 * that memblock hears of, while its array cannot grow.
 */
#define KHO_MAX_SCRATCH_AREAS	min(MAX_NUMNODES + 2, 120)

/* Enough to boot on when there is no memory for a larger array. */
#define KHO_FEW_RUNS	128
static struct kho_run kho_few_runs[KHO_FEW_RUNS] __initdata;

/*
 * Memory that is in the map and must not be restored.  When there is no room
 * for another piece, the last one grows up to it.
 */
static struct kho_run kho_bad[KHO_FEW_RUNS] __initdata;
static unsigned int kho_nr_bad __initdata;

static void __init kho_mark_bad(phys_addr_t start, phys_addr_t end,
				const char *why)
{
	struct kho_run *last = &kho_bad[KHO_FEW_RUNS - 1];
	phys_addr_t incl = end - 1;

	pr_err_ratelimited("preserved memory [%pa-%pa] is lost: %s\n", &start,
			   &incl, why);

	if (kho_nr_bad < KHO_FEW_RUNS) {
		kho_bad[kho_nr_bad++] = (struct kho_run){ start, end };
	} else {
		last->start = min(last->start, start);
		last->end = max(last->end, end);
	}
}

static bool __init kho_is_bad(phys_addr_t start, phys_addr_t end)
{
	for (unsigned int i = 0; i < kho_nr_bad; i++) {
		if (start < kho_bad[i].end && kho_bad[i].start < end)
			return true;
	}

	return false;
}

static int __init kho_run_cmp(const void *a, const void *b)
{
	const struct kho_run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Whether a run is in RAM; it may span several regions of it. */
static bool __init kho_run_is_ram(phys_addr_t start, phys_addr_t end)
{
	struct memblock_region *r;

	for_each_mem_region(r) {
		if (r->base > start)
			break;
		start = max(start, r->base + r->size);
		if (start >= end)
			return true;
	}

	return false;
}

/* Memory between two runs that may be kept from the page allocator, too. */
static bool __init kho_gap_is_free(phys_addr_t start, phys_addr_t end)
{
	return kho_run_is_ram(start, end) &&
	       !memblock_is_region_reserved(start, end - start) &&
	       !kho_scratch_overlap(start, end - start);
}

/* Joins neighbours that are at most @gap bytes apart.  The runs are sorted. */
static void __init kho_runs_join(struct kho_runs *runs, phys_addr_t gap)
{
	struct kho_run *last = runs->run;

	for (unsigned long i = 1; i < runs->nr; i++) {
		struct kho_run *run = &runs->run[i];

		/* In coarse runs there is memory that no key stands for. */
		if (run->start < last->end && !runs->coarse)
			kho_mark_bad(run->start, min(run->end, last->end),
				     "preserved twice");

		if (run->start <= last->end ||
		    (run->start - last->end <= gap &&
		     kho_gap_is_free(last->end, run->start)))
			last->end = max(last->end, run->end);
		else
			*++last = *run;
	}

	if (runs->nr)
		runs->nr = last - runs->run + 1;
}

static void __init kho_runs_sort(struct kho_runs *runs)
{
	sort(runs->run, runs->nr, sizeof(*runs->run), kho_run_cmp, NULL);
	kho_runs_join(runs, 0);
}

/*
 * Gets along with fewer runs at the price of free memory between them, which
 * stays out of use until the next kexec.
 */
static int __init kho_runs_coarsen(struct kho_runs *runs)
{
	unsigned long target = runs->nr / 2;
	phys_addr_t limit = memblock_end_of_DRAM();

	runs->coarse = true;
	kho_runs_sort(runs);

	for (phys_addr_t gap = PAGE_SIZE; runs->nr > target; gap *= 2) {
		if (gap > limit)
			return -ENOMEM;
		kho_runs_join(runs, gap);
	}

	return 0;
}

static int __init kho_runs_add(struct kho_runs *runs, phys_addr_t start,
			       phys_addr_t size)
{
	int err = 0;

	if (runs->nr == runs->max)
		err = kho_runs_coarsen(runs);
	if (!err)
		runs->run[runs->nr++] = (struct kho_run){ start, start + size };
	return err;
}

static int __init kho_count_run(unsigned long key, unsigned long nr, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

static int __init kho_count_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

static int __init kho_collect_run(unsigned long key, unsigned long nr,
				  void *data)
{
	unsigned int order;
	phys_addr_t phys;

	if (!kho_decode_key(key, &phys, &order)) {
		pr_warn("preserved memory: %#lx is no valid key\n", key);
		return 0;
	}

	return kho_runs_add(data, phys, (phys_addr_t)nr << (PAGE_SHIFT + order));
}

/* The map stays in use, but its nodes are not in the map. */
static int __init kho_collect_node(phys_addr_t phys, void *data)
{
	return kho_runs_add(data, phys, PAGE_SIZE);
}

static int __init kho_runs_collect(struct kho_runs *runs)
{
	const struct kho_radix_walk_cb count = {
		.run = kho_count_run,
		.node = kho_count_node,
	};
	const struct kho_radix_walk_cb collect = {
		.run = kho_collect_run,
		.node = kho_collect_node,
	};
	int err;

	err = kho_radix_walk_tree(&kho_in.map, &count, &runs->max);
	if (err)
		return err;

	while (runs->max > KHO_FEW_RUNS && !runs->run) {
		runs->run = memblock_alloc(array_size(runs->max,
						      sizeof(*runs->run)),
					   SMP_CACHE_BYTES);
		if (!runs->run)
			runs->max /= 2;
	}
	if (!runs->run) {
		runs->run = kho_few_runs;
		runs->max = KHO_FEW_RUNS;
	}

	err = kho_radix_walk_tree(&kho_in.map, &collect, runs);
	if (!err)
		kho_runs_sort(runs);
	return err;
}

static void __init kho_runs_free(struct kho_runs *runs)
{
	if (runs->run && runs->run != kho_few_runs)
		memblock_free(runs->run, runs->max * sizeof(*runs->run));
}

static int __init kho_forget_bad_key(unsigned long key, void *data)
{
	unsigned int order;
	phys_addr_t phys;

	if (!kho_decode_key(key, &phys, &order) ||
	    kho_is_bad(phys, phys + (PAGE_SIZE << order)))
		kho_radix_del_key(&kho_in.map, key);
	return 0;
}

static int __init kho_refuse_bad_node(phys_addr_t phys, void *data)
{
	return kho_is_bad(phys, phys + PAGE_SIZE) ? -EINVAL : 0;
}

/* Nobody can restore what is no longer in the map. */
static int __init kho_forget_bad(void)
{
	const struct kho_radix_walk_cb nodes = { .node = kho_refuse_bad_node };
	const struct kho_radix_walk_cb keys = { .leaf = kho_forget_bad_key };
	int err;

	if (!kho_nr_bad)
		return 0;

	err = kho_radix_walk_tree(&kho_in.map, &nodes, NULL);
	if (!err)
		err = kho_radix_walk_tree(&kho_in.map, &keys, NULL);
	return err;
}

/*
 * With DEFERRED_STRUCT_PAGE_INIT not all struct pages are set up yet, and for
 * memory that is reserved with NOINIT nobody else will do it.
 */
static void __init kho_init_struct_pages(phys_addr_t start, phys_addr_t stop)
{
	unsigned long end = PHYS_PFN(stop);
	int nid = NUMA_NO_NODE;

	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT))
		return;

	for (unsigned long pfn = PHYS_PFN(start); pfn < end; pfn++) {
		if (nid == NUMA_NO_NODE || pageblock_aligned(pfn))
			nid = early_pfn_to_nid(pfn);
		init_deferred_page(pfn, nid);
	}
}

static int __init kho_reserve_memory(phys_addr_t start, phys_addr_t end)
{
	int err = __memblock_reserve(start, end - start, NUMA_NO_NODE,
				     MEMBLOCK_RSRV_NOINIT);

	if (!err)
		kho_init_struct_pages(start, end);
	return err;
}

/* First reserved region that overlaps the memory, or an empty one at its end. */
static struct kho_run __init kho_first_reserved(phys_addr_t start,
						phys_addr_t end)
{
	struct memblock_region *r;

	for_each_reserved_mem_region(r) {
		if (r->base < end && start < r->base + r->size)
			return (struct kho_run){ max(start, r->base),
						 min(end, r->base + r->size) };
	}

	return (struct kho_run){ end, end };
}

/*
 * Reserves what is free of the run up to @end, which is RAM.  The run shrinks
 * by what is done: after a failure only the rest is tried again, and what is
 * reserved already is not taken for somebody else's.
 */
static int __init kho_reserve_ram(struct kho_run *run, phys_addr_t end)
{
	while (run->start < end) {
		struct kho_run used = kho_first_reserved(run->start, end);
		int err = 0;

		if (run->start < used.start)
			err = kho_reserve_memory(run->start, used.start);
		if (err)
			return err;

		if (used.start < used.end)
			kho_mark_bad(used.start, used.end,
				     "in use by this kernel");
		run->start = used.end;
	}

	return 0;
}

static int __init kho_reserve_run(struct kho_run *run)
{
	struct memblock_region *r;
	int err;

	for_each_mem_region(r) {
		phys_addr_t start = max(run->start, r->base);
		phys_addr_t end = min(run->end, r->base + r->size);

		if (start >= end)
			continue;
		if (run->start < start)
			kho_mark_bad(run->start, start, "not in RAM");

		run->start = start;
		err = kho_reserve_ram(run, end);
		if (err)
			return err;
	}

	if (run->start < run->end)
		kho_mark_bad(run->start, run->end, "not in RAM");
	return 0;
}

/*
 * memblock may find no room for as many regions.  Preserved memory must not be
 * given away then, so go on with what is left in coarser pieces.
 */
static int __init kho_reserve_runs(struct kho_runs *runs)
{
	unsigned long i = 0;

	while (i < runs->nr) {
		int err = kho_reserve_run(&runs->run[i]);

		if (!err) {
			i++;
			continue;
		}

		memmove(runs->run, &runs->run[i],
			(runs->nr - i) * sizeof(*runs->run));
		runs->nr -= i;
		i = 0;
		if (runs->nr == 1 || kho_runs_coarsen(runs))
			return err;
	}

	return 0;
}

static void __init kho_reserve_incoming(void)
{
	struct kho_runs runs = { };
	int err;

	if (!kho_in.map.root)
		return;

	err = kho_runs_collect(&runs);
	if (!err)
		err = kho_reserve_runs(&runs);
	if (!err)
		err = kho_forget_bad();
	if (runs.coarse)
		pr_warn("short of memory: free memory between preserved pages stays unused\n");
	kho_runs_free(&runs);

	if (!err)
		return;

	pr_err("what was handed over cannot be kept: %pe\n", ERR_PTR(err));
	kho_give_up();
}

/**
 * kho_memory_init - reserve preserved memory, or scratch memory on a cold boot
 *
 * Context: Early boot, as the last user of memblock before the page allocator.
 */
void __init kho_memory_init(void)
{
	if (is_kdump_kernel()) {
		kho_enable = false;
		pr_info("disabled in the kdump kernel\n");
		return;
	}

	if (kho_in.scratch_phys)
		kho_reserve_incoming();
	else
		kho_reserve_scratch();
}

static int __init kho_map_phys(const void *fdt, u64 *phys)
{
	int err = kho_fdt_get_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, phys);

	return !err && *phys && PAGE_ALIGNED(*phys) ? 0 : -EINVAL;
}

/*
 * Called for a node before anything in it is read.  More nodes than there are
 * pages can only be nodes that point at each other.
 */
static int __init kho_check_node(phys_addr_t phys, void *data)
{
	unsigned long *left = data;

	if (!(*left)--) {
		pr_err("map of preserved memory does not end\n");
		return -ELOOP;
	}
	if (!PAGE_ALIGNED(phys) || !memblock_is_memory(phys) ||
	    kho_scratch_overlap(phys, PAGE_SIZE)) {
		pr_err("map of preserved memory has a node at %pa\n", &phys);
		return -EINVAL;
	}

	return 0;
}

static int __init kho_open_map(void)
{
	const struct kho_radix_walk_cb cb = { .node = kho_check_node };
	unsigned long left = PHYS_PFN(memblock_phys_mem_size());
	u64 phys;
	int err;

	err = kho_map_phys(kho_in_fdt(), &phys);
	if (!err)
		err = kho_radix_init_tree(&kho_in.map, phys_to_virt(phys));
	if (!err)
		err = kho_radix_walk_tree(&kho_in.map, &cb, &left);
	if (!err && !kho_in_covers(kho_in.fdt_phys, PAGE_SIZE)) {
		pr_err("root tree is not in preserved memory\n");
		err = -EINVAL;
	}

	return err;
}

/**
 * kho_memory_init_early - open the map of preserved memory
 *
 * Context: Early boot, when the linear map is complete and before struct pages
 * are set up, which asks kho_scratch_overlap().
 */
void __init kho_memory_init_early(void)
{
	if (!is_kho_boot())
		return;

	kho_scratch = phys_to_virt(kho_in.scratch_phys);

	if (kho_open_map()) {
		pr_err("what was handed over is lost\n");
		kho_give_up();
		return;
	}

	kho_extend_scratch();
}

/* The rest of KHO_FDT_COMPATIBLE is looked at by who needs it. */
static const char kho_needed_to_boot[] __initconst =
	"" KHO_FDT_COMPAT_BASE KHO_SUB_COMPAT(KHO_RADIX_COMPATIBLE);

static bool __init kho_fdt_is_compatible(const void *fdt)
{
	int len;
	const char *offered = fdt_getprop(fdt, 0, "compatible", &len);

	if (!offered) {
		offered = "";
		len = 0;
	}

	kho_compat_report(offered, len, KHO_FDT_COMPATIBLE);
	return kho_compat_covers(offered, len, kho_needed_to_boot);
}

static bool __init kho_fdt_is_valid(const void *fdt, u64 len)
{
	u64 phys;
	int err;

	err = fdt_check_header(fdt);
	if (err || fdt_totalsize(fdt) > len) {
		pr_warn("root tree is damaged: %s\n",
			err ? fdt_strerror(err) : "larger than its memory");
		return false;
	}

	if (!kho_fdt_is_compatible(fdt))
		return false;

	if (kho_map_phys(fdt, &phys)) {
		pr_warn("root tree has no map of preserved memory\n");
		return false;
	}

	return true;
}

static bool __init kho_scratch_is_valid(const struct kho_scratch *area,
					u64 len)
{
	phys_addr_t end;

	if (!len || len % sizeof(*area) ||
	    len / sizeof(*area) > KHO_MAX_SCRATCH_AREAS) {
		pr_warn("array of scratch areas has %llu bytes\n", len);
		return false;
	}

	for (u64 i = 0; i < len / sizeof(*area); i++) {
		if (!area[i].size || !PAGE_ALIGNED(area[i].addr | area[i].size) ||
		    check_add_overflow(area[i].addr, area[i].size, &end)) {
			pr_warn("scratch area %llu is %pa bytes at %pa\n", i,
				&area[i].size, &area[i].addr);
			return false;
		}
	}

	return true;
}

/* Makes the areas known to memblock, which has no other memory yet. */
static int __init kho_add_scratch(const struct kho_scratch *area,
				  unsigned int nr)
{
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		err = memblock_add(area[i].addr, area[i].size);
		if (!err)
			err = memblock_mark_kho_scratch(area[i].addr,
							area[i].size);
	}

	return err;
}

static bool __init kho_take_scratch(phys_addr_t phys, u64 len)
{
	struct kho_scratch *area = early_memremap(phys, len);
	bool valid;

	if (!area) {
		pr_warn("cannot map %llu bytes of scratch areas at %pa\n", len,
			&phys);
		return false;
	}

	valid = kho_scratch_is_valid(area, len) &&
		!kho_add_scratch(area, len / sizeof(*area)) &&
		!memblock_reserve(phys, len);

	early_memunmap(area, len);
	return valid;
}

/**
 * kho_populate - take note of a hand-over
 * @fdt_phys: root tree
 * @fdt_len: bytes of memory at @fdt_phys
 * @scratch_phys: array of scratch areas
 * @scratch_len: bytes of memory at @scratch_phys
 *
 * All of it comes from the boot protocol.  A hand-over that makes no sense is
 * named in the log and ignored: the boot goes on as a cold one.
 *
 * Context: Early boot, before memblock has been used.
 */
void __init kho_populate(phys_addr_t fdt_phys, u64 fdt_len,
			 phys_addr_t scratch_phys, u64 scratch_len)
{
	void *fdt = early_memremap(fdt_phys, fdt_len);
	bool valid = false;

	if (fdt) {
		valid = kho_fdt_is_valid(fdt, fdt_len) &&
			kho_take_scratch(scratch_phys, scratch_len);
		early_memunmap(fdt, fdt_len);
	} else {
		pr_warn("cannot map %llu bytes of root tree at %pa\n", fdt_len,
			&fdt_phys);
	}

	if (!valid) {
		pr_warn("disabling KHO revival\n");
		return;
	}

	/* Any other memory may be preserved. */
	memblock_set_kho_scratch_only();

	kho_in.fdt_phys = fdt_phys;
	kho_in.scratch_phys = scratch_phys;
	kho_scratch_cnt = scratch_len / sizeof(struct kho_scratch);
	pr_info("found kexec handover data.\n");
}
