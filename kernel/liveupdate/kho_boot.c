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
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/overflow.h>
#include <linux/sizes.h>

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

/* More than any root tree or array of scratch areas has. */
#define KHO_MAX_EARLY_BYTES	SZ_64K

static void __init kho_keep_incoming(void)
{
	int err = kho_reserve_incoming();

	if (err) {
		pr_err("memory map is damaged, its memory is lost: %pe\n",
		       ERR_PTR(err));
		kho_give_up();
		return;
	}

	if (deferred_pages_enabled())
		deferred_sections_prepare();

	/* Before owners claim their data. */
	kho_mark_subtrees(true);
	kho_in.reserved = true;

	/* An owner who claims that the root tree is its data must not free it. */
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
		kho_keep_incoming();
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
	if (!PAGE_ALIGNED(phys) || !memblock_is_map_memory(phys) ||
	    kho_scratch_overlap(phys, PAGE_SIZE)) {
		pr_err("map of preserved memory has a node at %pa\n", &phys);
		return -EINVAL;
	}

	return 0;
}

/* "mem=" may have taken memory away since kho_populate(), and so may firmware. */
static bool __init kho_is_mapped(phys_addr_t phys, size_t len)
{
	return memblock_is_map_memory(phys) &&
	       memblock_is_map_memory(phys + len - 1);
}

static int __init kho_open_root(void)
{
	if (!kho_is_mapped(kho_in.scratch_phys,
			   kho_scratch_cnt * sizeof(*kho_scratch))) {
		pr_err("array of scratch areas is not in RAM\n");
		/* From now on as if there were none. */
		kho_in.scratch_phys = 0;
		kho_scratch_cnt = 0;
		return -EINVAL;
	}
	kho_scratch = phys_to_virt(kho_in.scratch_phys);

	if (!kho_is_mapped(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree is not in RAM\n");
		return -EINVAL;
	}
	if (kho_scratch_overlap(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree is in scratch memory\n");
		return -EINVAL;
	}
	if (memblock_is_region_reserved(kho_in.fdt_phys, kho_in.fdt_len)) {
		pr_err("root tree is in use by this kernel\n");
		return -EINVAL;
	}

	return 0;
}

/**
 * kho_check_root - see that nobody else gets the memory of the root tree
 *
 * Context: Early boot, with the map open.
 * Return: 0, or -EINVAL when the map does not have it, or not any more.
 */
int __init kho_check_root(void)
{
	if (kho_in_covers(kho_in.fdt_phys, kho_in.fdt_len))
		return 0;

	pr_err("root tree is not in preserved memory\n");
	return -EINVAL;
}

static int __init kho_open_map(void)
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
 * kho_memory_init_early - open the map of preserved memory
 *
 * Context: Early boot, when the linear map is complete and before struct pages
 * are set up, which asks kho_scratch_overlap().
 */
void __init kho_memory_init_early(void)
{
	if (!is_kho_boot())
		return;

	if (kho_open_root() || kho_open_map()) {
		pr_err("what was handed over is lost\n");
		kho_give_up();
		/* There is nothing left that other memory could hold. */
		memblock_clear_kho_scratch_only();
		return;
	}

	kho_extend_scratch();
}

/* The rest of KHO_FDT_COMPATIBLE is looked at by who needs it. */
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
	kho_in.same = kho_compat_usable(offered, len, KHO_FDT_COMPATIBLE);
	return kho_compat_covers(offered, len, KHO_NEEDED_TO_BOOT);
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

/**
 * arch_kho_is_ram - tell whether addresses of the boot protocol are memory
 * @start: first byte
 * @end: byte behind the last one, larger than @start
 *
 * memblock may not know memory yet when kho_populate() is called, or not all of
 * it; architectures that can tell have their own.
 *
 * Context: Early boot, from kho_populate().
 * Return: false when there is anything else than RAM.
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
		pr_warn("array of scratch areas has %llu bytes\n", len);
		return false;
	}

	for (u64 i = 0; i < len / sizeof(*area); i++) {
		if (!IS_ALIGNED(area[i].addr | area[i].size,
				min(CMA_MIN_ALIGNMENT_BYTES, KHO_SCRATCH_UNIT)) ||
		    check_add_overflow(area[i].addr, area[i].size, &end)) {
			pr_warn("scratch area %llu is %pa bytes at %pa\n", i,
				&area[i].size, &area[i].addr);
			return false;
		}
		if (area[i].size && !arch_kho_is_ram(area[i].addr, end)) {
			pr_warn("scratch area %llu of %pa bytes at %pa is not in RAM\n",
				i, &area[i].size, &area[i].addr);
			return false;
		}
		all |= area[i].size;
	}

	/* Until what is preserved is known, there is no other memory. */
	if (!all)
		pr_warn("scratch areas are all empty\n");
	return all;
}

/* Makes the areas known to memblock, which has no other memory yet. */
static int __init kho_add_scratch(const struct kho_scratch *area,
				  unsigned int nr)
{
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		/* An area that the previous kernel could do without. */
		if (!area[i].size)
			continue;

		err = memblock_add(area[i].addr, area[i].size);
		if (!err)
			err = memblock_mark_kho_scratch(area[i].addr,
							area[i].size);
	}

	return err;
}

/* For early_memremap(), sizes that make no sense are bugs of its caller. */
static void *__init kho_map_early(phys_addr_t phys, u64 len)
{
	phys_addr_t end;

	if (!len || len > KHO_MAX_EARLY_BYTES ||
	    check_add_overflow(phys, len, &end))
		return NULL;

	/* To read where there is no memory may be fatal. */
	if (!arch_kho_is_ram(phys, end))
		return NULL;

	return early_memremap(phys, len);
}

static bool __init kho_take_scratch(phys_addr_t phys, u64 len)
{
	struct kho_scratch *area = kho_map_early(phys, len);
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

/*
 * The root tree has one page, so its size tells how large pages were.  With
 * another size tables and leaves of the map have another layout, and frame
 * numbers another unit: nothing that was handed over can be read.
 */
static bool __init kho_pages_differ(u64 fdt_len)
{
	if (fdt_len == PAGE_SIZE ||
	    (fdt_len != SZ_4K && fdt_len != SZ_16K && fdt_len != SZ_64K))
		return false;

	pr_warn("previous kernel has pages of %llu bytes, this one of %lu\n",
		fdt_len, PAGE_SIZE);
	return true;
}

static bool __init kho_take(phys_addr_t fdt_phys, u64 fdt_len,
			    phys_addr_t scratch_phys, u64 scratch_len)
{
	bool valid;
	void *fdt;

	if (kho_pages_differ(fdt_len))
		return false;

	fdt = PAGE_ALIGNED(fdt_phys | fdt_len) ?
		kho_map_early(fdt_phys, fdt_len) : NULL;
	if (!fdt) {
		pr_warn("cannot map %llu bytes of root tree at %pa\n", fdt_len,
			&fdt_phys);
		return false;
	}

	valid = kho_fdt_is_valid(fdt, fdt_len) &&
		kho_take_scratch(scratch_phys, scratch_len);
	early_memunmap(fdt, fdt_len);

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
	if (!kho_take(fdt_phys, fdt_len, scratch_phys, scratch_len)) {
		pr_warn("disabling KHO revival\n");
		return;
	}

	/* Any other memory may be preserved. */
	memblock_set_kho_scratch_only();

	kho_in.fdt_phys = fdt_phys;
	kho_in.fdt_len = fdt_len;
	kho_in.scratch_phys = scratch_phys;
	kho_scratch_cnt = scratch_len / sizeof(struct kho_scratch);
	pr_info("found kexec handover data.\n");
}
