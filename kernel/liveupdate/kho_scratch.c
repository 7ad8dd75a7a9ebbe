// SPDX-License-Identifier: GPL-2.0
/*
 * Scratch areas: memory that never holds preserved memory.
 *
 * kexec places the next kernel in them.  Until that kernel has read the map of
 * preserved memory, it does not allocate from any other memory.
 *
 * By default, areas are allocated when an image is loaded, see kho_image.c, and
 * are ordinary memory again as soon as the next kernel has booted.  With sizes
 * on the command line, areas are reserved in memblock on a cold boot.  The page
 * allocator uses them as CMA, so that they only have movable pages.  The next
 * kernels inherit these areas, which stay the same over any number of handovers.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/bitmap.h>
#include <linux/cma.h>
#include <linux/init.h>
#include <linux/kmemleak.h>
#include <linux/kstrtox.h>
#include <linux/math64.h>
#include <linux/memblock.h>
#include <linux/nodemask.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../../mm/mm_init.h"
#include "kexec_handover_internal.h"

/*
 * When a block is freed, the page allocator reads the struct pages of its
 * buddies, up to MAX_PAGE_ORDER.  With deferred initialization they may be
 * uninitialized.  If an area consists of whole blocks of MAX_PAGE_ORDER, all
 * buddies are in the area.
 */
#define KHO_SCRATCH_ALIGN	(PAGE_SIZE * MAX_ORDER_NR_PAGES)
static_assert(KHO_SCRATCH_ALIGN >= CMA_MIN_ALIGNMENT_BYTES);

/*
 * Granularity of the extension of scratch memory during boot.  A single
 * preserved page excludes its whole block, so smaller blocks provide more
 * memory, but add more regions to memblock.
 */
#define KHO_EXT_BLOCK		SZ_1G

/* Upper limit, so that a typo does not reserve all memory. */
#define KHO_SCRATCH_SCALE_MAX	10000

struct kho_scratch *kho_scratch;
unsigned int kho_scratch_cnt;
bool kho_scratch_on_demand __ro_after_init = true;
struct kho_boot_use kho_boot_use __ro_after_init;

/*
 * Sizes of the areas in bytes.  If @scale is not 0, they are set to that
 * percentage of the memory that the kernel reserved for itself during boot.
 */
static struct {
	unsigned int scale;
	phys_addr_t lowmem;
	phys_addr_t global;
	phys_addr_t pernode;
} kho_scratch_size __initdata;

static int __init kho_parse_scratch_scale(const char *p, size_t len)
{
	char digits[12];
	unsigned int scale;
	int err;

	if (len >= sizeof(digits))
		return -EINVAL;
	strscpy(digits, p, len + 1);

	err = kstrtouint(digits, 10, &scale);
	if (err)
		return err;
	if (!scale || scale > KHO_SCRATCH_SCALE_MAX)
		return -EINVAL;

	kho_scratch_size.scale = scale;
	kho_scratch_on_demand = false;
	pr_notice("scratch scale is %u%%\n", scale);
	return 0;
}

static int __init kho_parse_scratch_sizes(char *p)
{
	phys_addr_t size[3];

	for (int i = 0; i < ARRAY_SIZE(size); i++) {
		char *end;

		if (i && *p++ != ',')
			return -EINVAL;
		size[i] = memparse(p, &end);
		if (end == p)
			return -EINVAL;
		p = end;
	}

	if (*p || !(size[0] | size[1] | size[2]))
		return -EINVAL;

	kho_scratch_size.scale = 0;
	kho_scratch_on_demand = false;
	kho_scratch_size.lowmem = size[0];
	kho_scratch_size.global = size[1];
	kho_scratch_size.pernode = size[2];
	pr_notice("scratch areas: lowmem: %lluMiB global: %lluMiB pernode: %lluMiB\n",
		  (u64)size[0] >> 20, (u64)size[1] >> 20, (u64)size[2] >> 20);
	return 0;
}

/* kho_scratch=demand, kho_scratch=N% or kho_scratch=<lowmem>,<global>,<pernode> */
static int __init kho_parse_scratch(char *p)
{
	size_t len = p ? strlen(p) : 0;

	if (!len)
		return -EINVAL;

	if (!strcmp(p, "demand")) {
		kho_scratch_on_demand = true;
		return 0;
	}

	if (p[len - 1] == '%')
		return kho_parse_scratch_scale(p, len - 1);

	return kho_parse_scratch_sizes(p);
}
early_param("kho_scratch", kho_parse_scratch);

/* The name of kho_scratch= in Linux 7.4 and later. */
static int __init kho_parse_bootmem(char *p)
{
	return kho_parse_scratch(p);
}
early_param("kho_bootmem", kho_parse_bootmem);

/* HugeTLB pages are never in scratch memory, so they do not count. */
static phys_addr_t __init kho_reserved_below(phys_addr_t limit, int nid)
{
	return memblock_reserved_kern_size(limit, nid) -
	       memblock_reserved_hugetlb_size(limit, nid);
}

/**
 * kho_record_boot_use - record the size of memory reserved by this kernel
 *
 * The next kernel needs about as much.
 *
 * Context: Early boot, as one of the last users of memblock, before scratch
 * areas are reserved.
 */
void __init kho_record_boot_use(void)
{
	phys_addr_t low = kho_reserved_below(ARCH_LOW_ADDRESS_LIMIT, NUMA_NO_NODE);
	phys_addr_t all = kho_reserved_below(MEMBLOCK_ALLOC_ANYWHERE, NUMA_NO_NODE);
	int nid;

	kho_boot_use.low = low;
	kho_boot_use.high = all - low;
	for_each_node_state(nid, N_MEMORY) {
		low = kho_reserved_below(ARCH_LOW_ADDRESS_LIMIT, nid);
		all = kho_reserved_below(MEMBLOCK_ALLOC_ANYWHERE, nid);
		kho_boot_use.node[nid] = all;
		kho_boot_use.node_high[nid] = all - low;
	}
}

static phys_addr_t __init kho_scratch_scaled(phys_addr_t size)
{
	return mul_u64_u32_div(size, kho_scratch_size.scale, 100);
}

static void __init kho_scratch_set_sizes(void)
{
	if (!kho_scratch_size.scale)
		return;

	kho_scratch_size.lowmem = kho_scratch_scaled(kho_boot_use.low);
	kho_scratch_size.global = kho_scratch_scaled(kho_boot_use.high);
}

static phys_addr_t __init kho_scratch_node_size(int nid)
{
	if (!kho_scratch_size.scale)
		return kho_scratch_size.pernode;

	return kho_scratch_scaled(kho_boot_use.node[nid]);
}

/* Append an area, unless its size is 0. */
static int __init kho_scratch_add_area(const char *what, phys_addr_t size,
				       phys_addr_t limit, int nid)
{
	phys_addr_t addr;

	size = round_up(size, KHO_SCRATCH_ALIGN);
	if (!size)
		return 0;

	addr = memblock_alloc_range_nid(size, KHO_SCRATCH_ALIGN, 0, limit, nid,
					nid != NUMA_NO_NODE);
	if (!addr) {
		pr_err("scratch area: failed to allocate (%s, %lluMiB)\n", what,
		       (u64)size >> 20);
		return -ENOMEM;
	}

	kho_scratch[kho_scratch_cnt++] = (struct kho_scratch){
		.addr = addr,
		.size = size,
	};
	return 0;
}

static int __init kho_scratch_add_areas(void)
{
	int nid, err;

	err = kho_scratch_add_area("lowmem", kho_scratch_size.lowmem,
				   ARCH_LOW_ADDRESS_LIMIT, NUMA_NO_NODE);
	if (err)
		return err;

	err = kho_scratch_add_area("global", kho_scratch_size.global,
				   MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE);
	if (err)
		return err;

	for_each_node_state(nid, N_MEMORY) {
		err = kho_scratch_add_area("node", kho_scratch_node_size(nid),
					   MEMBLOCK_ALLOC_ACCESSIBLE, nid);
		if (err)
			return err;
	}

	return 0;
}

/**
 * kho_reserve_scratch - reserve scratch areas on a cold boot
 *
 * Disables Kexec Handover on failure.
 *
 * Context: Early boot, after kho_record_boot_use().
 */
void __init kho_reserve_scratch(void)
{
	unsigned int nr;
	size_t size;

	if (!kho_enable || kho_scratch_on_demand)
		return;

	/* Lowmem, global, and one area for each node with memory. */
	nr = nodes_weight(node_states[N_MEMORY]) + 2;
	if (nr > KHO_MAX_SCRATCH_AREAS) {
		pr_err("scratch areas: too many (%u, maximum %u)\n", nr,
		       KHO_MAX_SCRATCH_AREAS);
		goto err_disable;
	}

	size = nr * sizeof(*kho_scratch);
	kho_scratch = memblock_alloc(size, PAGE_SIZE);
	if (!kho_scratch)
		goto err_disable;

	kho_scratch_set_sizes();
	if (kho_scratch_add_areas())
		goto err_free;

	return;

err_free:
	while (kho_scratch_cnt) {
		struct kho_scratch *area = &kho_scratch[--kho_scratch_cnt];

		memblock_phys_free(area->addr, area->size);
	}
	memblock_free(kho_scratch, size);
	kho_scratch = NULL;
err_disable:
	pr_err("scratch areas: failed to reserve, disabling kexec handover\n");
	kho_enable = false;
}

/**
 * kho_forget_scratch - drop the scratch areas of the previous kernel
 *
 * Their memory is ordinary memory from then on.
 *
 * Context: Early boot, as the last user of memblock.
 */
void __init kho_forget_scratch(void)
{
	size_t size = kho_scratch_cnt * sizeof(*kho_scratch);

	memblock_phys_free(kho_in.scratch_phys, size);
	kho_scratch = NULL;
	kho_scratch_cnt = 0;
}

static void __init kho_give_to_cma(phys_addr_t start, phys_addr_t size)
{
	unsigned long pfn = PHYS_PFN(start), end = pfn + PHYS_PFN(size);

	/*
	 * With debug_pagealloc free pages are unmapped, and kmemleak would fault
	 * on them.
	 */
	kmemleak_ignore_phys(start);

	for (; pfn < end; pfn += pageblock_nr_pages)
		init_cma_reserved_pageblock(pfn_to_page(pfn));
}

/**
 * kho_scratch_init_cma - make scratch areas CMA
 *
 * The kernel that reserved the areas releases them to the page allocator as CMA.
 * In the following kernels they are CMA already, and are only added to
 * totalcma_pages.
 */
void __init kho_scratch_init_cma(void)
{
	for (unsigned int i = 0; i < kho_scratch_cnt; i++) {
		unsigned long start = PHYS_PFN(kho_scratch[i].addr);
		unsigned long end = start + PHYS_PFN(kho_scratch[i].size);

		if (!kho_in.scratch_phys)
			kho_give_to_cma(kho_scratch[i].addr, kho_scratch[i].size);

		/* kho_scratch_migratetype() makes whole pageblocks CMA. */
		if (start < end)
			totalcma_pages += pageblock_align(end) -
					  pageblock_start_pfn(start);
	}
}

/**
 * kho_release_scratch - free scratch areas as ordinary memory
 *
 * Called instead of kho_scratch_init_cma() by the kernel that reserved the areas.
 */
void __init kho_release_scratch(void)
{
	for (unsigned int i = 0; i < kho_scratch_cnt; i++) {
		void *start = __va(kho_scratch[i].addr);

		kmemleak_ignore_phys(kho_scratch[i].addr);
		free_reserved_area(start, start + kho_scratch[i].size, -1,
				   NULL);
	}
	kho_scratch_cnt = 0;
}

/**
 * kho_scratch_from - find the next scratch memory
 * @phys: where to start
 *
 * Context: Any, from early boot on.
 * Return: @phys when it is in a scratch area, else the start of the next area, or
 * PHYS_ADDR_MAX when no area follows.
 */
phys_addr_t kho_scratch_from(phys_addr_t phys)
{
	phys_addr_t next = PHYS_ADDR_MAX;

	for (unsigned int i = 0; i < kho_scratch_cnt; i++) {
		const struct kho_scratch *area = &kho_scratch[i];

		/* An area of size 0 is unused. */
		if (area->size && phys < area->addr + area->size)
			next = min(next, max(phys, area->addr));
	}

	return next;
}

/**
 * kho_scratch_overlap - check whether memory overlaps a scratch area
 * @phys: start of the memory
 * @size: its size in bytes
 *
 * Context: Any, from early boot on.
 * Return: true when at least one byte is in a scratch area.
 */
bool kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	return kho_scratch_from(phys) < phys + size;
}

/*
 * A bit for each block of KHO_EXT_BLOCK bytes, set if it has preserved memory.
 */
struct kho_busy_blocks {
	unsigned long *bitmap;
	unsigned long nr;
};

static void __init kho_mark_busy(struct kho_busy_blocks *busy,
				 phys_addr_t start, phys_addr_t end)
{
	unsigned long first = start / KHO_EXT_BLOCK;
	unsigned long last = (end - 1) / KHO_EXT_BLOCK;

	/* Memory after the end of RAM needs no protection. */
	if (first < busy->nr)
		bitmap_set(busy->bitmap, first,
			   min(last, busy->nr - 1) - first + 1);
}

/*
 * One run of keys marks a block of KHO_EXT_BLOCK bytes as busy.  Further keys of
 * the same order in this block are skipped.
 */
static void __init kho_mark_busy_keys(struct kho_busy_blocks *busy)
{
	phys_addr_t start, end, end_of_ram = memblock_end_of_DRAM();
	unsigned long key = 0, nr;
	unsigned int order;

	for (; kho_radix_next_run(&kho_in.map, &key, &nr); key += nr) {
		if (!kho_decode_key(key, &start, &order))
			continue;

		/* At the end of the address space, the end wraps to 0. */
		end = start + ((phys_addr_t)nr << (PAGE_SHIFT + order));
		kho_mark_busy(busy, start, end > start ? end : 0);
		if (end > start && end < end_of_ram)
			nr = kho_encode_key(ALIGN(end, KHO_EXT_BLOCK), order) -
			     key;
	}
}

static int __init kho_mark_busy_node(phys_addr_t phys, void *data)
{
	kho_mark_busy(data, phys, phys + PAGE_SIZE);
	return 0;
}

static int __init kho_extend_into(struct kho_busy_blocks *busy)
{
	phys_addr_t end_of_ram = memblock_end_of_DRAM();
	unsigned long first, end;

	for_each_clear_bitrange(first, end, busy->bitmap, busy->nr) {
		phys_addr_t start = (phys_addr_t)first * KHO_EXT_BLOCK;
		phys_addr_t stop = min((phys_addr_t)end * KHO_EXT_BLOCK,
				       end_of_ram);
		int err = memblock_mark_kho_scratch(start, stop - start);

		if (err)
			return err;
	}

	return 0;
}

/**
 * kho_extend_scratch - extend scratch memory by ranges without preserved memory
 *
 * The areas of the previous kernel may be too small for the struct pages of a
 * large machine.  This lets memblock use each GiB that has neither preserved
 * memory nor a node of the memory map.  kho_scratch is not changed.
 *
 * Context: Early boot with an incoming handover, after EFI has set up memblock:
 * EFI first removes all regions that are not scratch memory.
 */
void __init kho_extend_scratch(void)
{
	const struct kho_radix_walk_cb cb = { .node = kho_mark_busy_node };
	struct kho_busy_blocks busy = {
		.nr = DIV_ROUND_UP(memblock_end_of_DRAM(), KHO_EXT_BLOCK),
	};
	size_t size = BITS_TO_LONGS(busy.nr) * sizeof(long);
	int err = -ENOMEM;

	busy.bitmap = memblock_alloc(size, sizeof(long));
	if (busy.bitmap) {
		kho_mark_busy_keys(&busy);
		err = kho_radix_walk_tree(&kho_in.map, &cb, &busy);
		if (!err)
			err = kho_extend_into(&busy);
		memblock_free(busy.bitmap, size);
	}

	if (err)
		pr_warn("scratch memory: failed to extend: %pe\n", ERR_PTR(err));
}
