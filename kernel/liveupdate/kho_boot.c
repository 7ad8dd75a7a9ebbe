// SPDX-License-Identifier: GPL-2.0
/*
 * Kexec Handover during early boot: find the handover, and protect preserved
 * memory until the page allocator is up.
 *
 * kho_populate() runs first, before memblock allocates memory, and restricts
 * allocations to scratch areas.  kho_memory_init_early() runs when the linear
 * map is complete and validates the map of preserved memory.  kho_memory_init()
 * runs last, right before memblock releases free memory to the page allocator,
 * and reserves the memory in the map.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cma.h>
#include <linux/crash_dump.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/compat.h>
#include <linux/kho/radix_tree.h>
#include <linux/kho/timeline.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/overflow.h>
#include <linux/sizes.h>

#include <asm/early_ioremap.h>

#include "../../mm/mm_init.h"
#include "kexec_handover_internal.h"

/*
 * After this, nothing can be restored.  Scratch areas are already in use, and
 * stay scratch areas.
 */
static void __init kho_discard_incoming(void)
{
	kho_in.fdt_phys = 0;
	kho_in.map.root = NULL;
}

/* Maximum size of a root tree or an array of scratch areas. */
#define KHO_MAX_EARLY_BYTES	SZ_64K

static int __init kho_check_root(void)
{
	if (kho_in_covers(kho_in.fdt_phys, kho_in.fdt_len))
		return 0;

	pr_err("root tree: not preserved\n");
	return -EINVAL;
}

static void __init kho_reserve_preserved(void)
{
	int err = kho_reserve_incoming();

	if (!err)
		err = kho_check_root();
	if (err) {
		pr_err("handover: discarded, invalid memory map: %pe\n",
		       ERR_PTR(err));
		kho_discard_incoming();
		return;
	}

	if (deferred_pages_enabled())
		deferred_sections_prepare();

	/* This reads the map, so call it before owners claim their data. */
	kho_mark_subtrees(true);
	kho_in.reserved = true;

	/* Claim the root tree: a subtree with its address must not free it. */
	for (size_t at = 0; at < kho_in.fdt_len; at += PAGE_SIZE)
		kho_in_claim_block(kho_in.fdt_phys + at);
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

	kho_record_boot_use();
	if (!kho_in.scratch_phys) {
		kho_reserve_scratch();
		return;
	}

	if (kho_in.map.root)
		kho_reserve_preserved();
	reserve_mem_claim();
	if (kho_scratch_on_demand)
		kho_forget_scratch();
}

static int __init kho_map_phys(const void *fdt, u64 *phys)
{
	int err = kho_fdt_get_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, phys);

	return !err && *phys && PAGE_ALIGNED(*phys) ? 0 : -EINVAL;
}

/*
 * Called for a node before it is read.  More nodes than pages of memory can only
 * be a loop.
 */
static int __init kho_check_node(phys_addr_t phys, void *data)
{
	unsigned long *left = data;

	if (!(*left)--) {
		pr_err("memory map: loop detected\n");
		return -ELOOP;
	}
	if (!PAGE_ALIGNED(phys) || !memblock_is_map_memory(phys) ||
	    kho_scratch_overlap(phys, PAGE_SIZE)) {
		pr_err("memory map: invalid node address (%pa)\n", &phys);
		return -EINVAL;
	}

	return 0;
}

/* "mem=" or firmware may have removed memory since kho_populate(). */
static bool __init kho_is_mapped(phys_addr_t phys, size_t len)
{
	return memblock_is_map_memory(phys) &&
	       memblock_is_map_memory(phys + len - 1);
}

static int __init kho_validate_root(void)
{
	if (!kho_is_mapped(kho_in.scratch_phys,
			   kho_scratch_cnt * sizeof(*kho_scratch))) {
		pr_err("scratch array: not in RAM\n");
		/* Continue as on a cold boot. */
		kho_in.scratch_phys = 0;
		kho_scratch_cnt = 0;
		return -EINVAL;
	}
	kho_scratch = phys_to_virt(kho_in.scratch_phys);

	if (!kho_is_mapped(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree: not in RAM\n");
		return -EINVAL;
	}
	if (kho_scratch_overlap(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree: in scratch memory\n");
		return -EINVAL;
	}
	if (memblock_is_region_reserved(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree: in use by this kernel\n");
		return -EINVAL;
	}

	return 0;
}

static int __init kho_validate_map(void)
{
	const struct kho_radix_walk_cb cb = { .node = kho_check_node };
	unsigned long max = PHYS_PFN(memblock_phys_mem_size());
	unsigned long left = max;
	u64 phys;
	int err;

	err = kho_map_phys(kho_in_fdt(), &phys);
	if (!err)
		err = kho_check_node(phys, &left);
	left = max;
	if (!err)
		err = kho_radix_init_tree(&kho_in.map, phys_to_virt(phys));
	if (!err)
		err = kho_radix_walk_tree(&kho_in.map, &cb, &left);
	if (!err)
		err = kho_check_root();
	kho_in.nr_nodes = max - left;

	return err;
}

/**
 * kho_memory_init_early - validate the map of preserved memory
 *
 * Context: Early boot, when the linear map is complete, and before struct pages
 * are initialized: their initialization calls kho_scratch_overlap().
 */
void __init kho_memory_init_early(void)
{
	if (!is_kho_boot())
		return;

	if (kho_validate_root() || kho_validate_map()) {
		pr_err("handover: discarded, invalid root tree or memory map\n");
		kho_discard_incoming();
		/* Without a handover, all memory is available. */
		memblock_clear_kho_scratch_only();
		return;
	}

	kho_extend_scratch();
}

/* Users of the other components in KHO_FDT_COMPATIBLE check their versions. */
#define KHO_NEEDED_TO_BOOT						\
	"" KHO_FDT_COMPAT_BASE KHO_SUB_COMPAT(KHO_RADIX_COMPATIBLE)

KHO_NOTE(KHO_NOTE_ROOT, "kho", KHO_FDT_COMPATIBLE, KHO_NEEDED_TO_BOOT);

static bool __init kho_fdt_is_compatible(const void *fdt)
{
	int len;
	const char *offered = fdt_getprop(fdt, 0, "compatible", &len);

	if (!offered) {
		offered = "";
		len = 0;
	}

	kho_compat_report(offered, len, KHO_FDT_COMPATIBLE);
	kho_in.same = kho_compat_match(offered, len, KHO_FDT_COMPATIBLE);
	return kho_compat_includes(offered, len, KHO_NEEDED_TO_BOOT);
}

static bool __init kho_fdt_is_valid(const void *fdt, u64 len)
{
	u64 phys;
	int err;

	err = fdt_check_header(fdt);
	if (err || fdt_totalsize(fdt) > len) {
		pr_err("root tree: invalid FDT (%s)\n",
		       err ? fdt_strerror(err) : "larger than its memory");
		return false;
	}

	if (!kho_fdt_is_compatible(fdt))
		return false;

	if (kho_map_phys(fdt, &phys)) {
		pr_err("root tree: invalid memory map address\n");
		return false;
	}

	return true;
}

/**
 * arch_kho_is_ram - check whether a range from the boot protocol is RAM
 * @start: first byte
 * @end: exclusive end, larger than @start
 *
 * memblock may have no memory, or not all of it, when kho_populate() is called.
 * Architectures that know RAM from another source override this.
 *
 * Context: Early boot, from kho_populate().
 * Return: false when a part of the range is not RAM.
 */
bool __weak __init arch_kho_is_ram(phys_addr_t start, phys_addr_t end)
{
	return true;
}

static bool __init kho_scratch_is_valid(const struct kho_scratch *area,
					u64 len)
{
	phys_addr_t end, all = 0;

	if (!len || len % sizeof(*area) ||
	    len / sizeof(*area) > KHO_MAX_SCRATCH_AREAS) {
		pr_err("scratch array: invalid size (%llu bytes)\n", len);
		return false;
	}

	for (u64 i = 0; i < len / sizeof(*area); i++) {
		if (!IS_ALIGNED(area[i].addr | area[i].size,
				min(CMA_MIN_ALIGNMENT_BYTES, KHO_SCRATCH_UNIT)) ||
		    check_add_overflow(area[i].addr, area[i].size, &end)) {
			pr_err("scratch area %llu: misaligned or out of range (%pa bytes at %pa)\n",
			       i, &area[i].size, &area[i].addr);
			return false;
		}
		if (area[i].size && !arch_kho_is_ram(area[i].addr, end)) {
			pr_err("scratch area %llu: not in RAM (%pa bytes at %pa)\n",
			       i, &area[i].size, &area[i].addr);
			return false;
		}
		all |= area[i].size;
	}

	/* Until the map is read, scratch areas are the only usable memory. */
	if (!all)
		pr_err("scratch array: all areas are empty\n");
	return all;
}

/* Add the areas to memblock, which may have no other memory yet. */
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

/* early_memremap() warns about an invalid size, so check it here. */
static void *__init kho_map_early(phys_addr_t phys, u64 len)
{
	phys_addr_t end;

	if (!len || len > KHO_MAX_EARLY_BYTES ||
	    check_add_overflow(phys, len, &end))
		return NULL;

	/* Reading an address outside of RAM may be fatal. */
	if (!arch_kho_is_ram(phys, end))
		return NULL;

	return early_memremap(phys, len);
}

static bool __init kho_accept_scratch(phys_addr_t phys, u64 len)
{
	struct kho_scratch *area = kho_map_early(phys, len);
	bool valid;

	if (!area) {
		pr_err("scratch array: failed to map (%llu bytes at %pa)\n",
		       len, &phys);
		return false;
	}

	valid = kho_scratch_is_valid(area, len) &&
		!kho_add_scratch(area, len / sizeof(*area)) &&
		!memblock_reserve(phys, len);

	early_memunmap(area, len);
	return valid;
}

/*
 * The root tree has one page, so its size is the page size of the previous
 * kernel.  Another page size changes the layout of the tables and leaves of the
 * map and the unit of page frame numbers: nothing can be restored then.
 */
static bool __init kho_pages_differ(u64 fdt_len)
{
	if (fdt_len == PAGE_SIZE ||
	    (fdt_len != SZ_4K && fdt_len != SZ_16K && fdt_len != SZ_64K))
		return false;

	pr_err("root tree: incompatible page size (%llu bytes, expected %lu)\n",
	       fdt_len, PAGE_SIZE);
	return true;
}

static bool __init kho_accept(phys_addr_t fdt_phys, u64 fdt_len,
			      phys_addr_t scratch_phys, u64 scratch_len)
{
	bool valid;
	void *fdt;

	if (kho_pages_differ(fdt_len))
		return false;

	fdt = PAGE_ALIGNED(fdt_phys | fdt_len) ?
		kho_map_early(fdt_phys, fdt_len) : NULL;
	if (!fdt) {
		pr_err("root tree: failed to map (%llu bytes at %pa)\n", fdt_len,
		       &fdt_phys);
		return false;
	}

	valid = kho_fdt_is_valid(fdt, fdt_len) &&
		kho_accept_scratch(scratch_phys, scratch_len);
	early_memunmap(fdt, fdt_len);

	return valid;
}

/**
 * kho_populate - find and validate an incoming handover
 * @fdt_phys: root tree
 * @fdt_len: bytes of memory at @fdt_phys
 * @scratch_phys: array of scratch areas
 * @scratch_len: bytes of memory at @scratch_phys
 *
 * The arguments come from the boot protocol.  An invalid handover is logged and
 * ignored: the boot continues as a cold boot.
 *
 * Context: Early boot, before memblock allocates memory.
 */
void __init kho_populate(phys_addr_t fdt_phys, u64 fdt_len,
			 phys_addr_t scratch_phys, u64 scratch_len)
{
	kho_timeline_mark(KHO_TIMELINE_ENTERED);

	if (!kho_accept(fdt_phys, fdt_len, scratch_phys, scratch_len)) {
		pr_warn("disabling KHO revival\n");
		return;
	}

	/* Memory outside of the areas may be preserved. */
	memblock_set_kho_scratch_only();

	kho_in.fdt_phys = fdt_phys;
	kho_in.fdt_len = fdt_len;
	kho_in.scratch_phys = scratch_phys;
	kho_scratch_cnt = scratch_len / sizeof(struct kho_scratch);
	pr_info("found kexec handover data.\n");
}
