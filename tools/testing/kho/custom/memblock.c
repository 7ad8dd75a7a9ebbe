// SPDX-License-Identifier: GPL-2.0
/* The allocator of early boot, see memblock.h. */

#include "../shims.h"

static struct memblock_region memory_regions[SIM_MAX_REGIONS];
static struct memblock_region reserved_regions[SIM_MAX_REGIONS];

struct memblock memblock;
unsigned long sim_memblock_room = SIM_MAX_REGIONS;
phys_addr_t sim_low_limit = 0xffffffff;
static bool scratch_only;
unsigned int sim_early_maps;

void sim_memblock_reset(void)
{
	memblock.memory.regions = memory_regions;
	memblock.memory.cnt = 0;
	memblock.memory.max = SIM_MAX_REGIONS;
	memblock.memory.total_size = 0;
	memblock.reserved.regions = reserved_regions;
	memblock.reserved.cnt = 0;
	memblock.reserved.total_size = 0;
	memblock.reserved.max = min(128UL, sim_memblock_room);
	scratch_only = false;
}

static phys_addr_t region_end(const struct memblock_region *r)
{
	return r->base + r->size;
}

static void insert(struct memblock_type *type, struct memblock_region new)
{
	unsigned int i = type->cnt;

	BUG_ON(type->cnt >= type->max);
	for (; i && type->regions[i - 1].base > new.base; i--)
		type->regions[i] = type->regions[i - 1];
	type->regions[i] = new;
	type->cnt++;
}

static void join_neighbours(struct memblock_type *type)
{
	unsigned int last = 0;

	for (unsigned int i = 1; i < type->cnt; i++) {
		struct memblock_region *r = &type->regions[i];
		struct memblock_region *to = &type->regions[last];

		if (to->flags == r->flags && to->nid == r->nid &&
		    region_end(to) == r->base)
			to->size += r->size;
		else
			type->regions[++last] = *r;
	}
	if (type->cnt)
		type->cnt = last + 1;
}

/* Adds the parts of a range that are missing, with @flags. */
static void add(struct memblock_type *type, phys_addr_t base, phys_addr_t end,
		int nid, unsigned int flags)
{
	phys_addr_t at = base;

	while (at < end) {
		phys_addr_t stop = end;
		bool known = false;
		struct memblock_region *r;

		for_each_region_of(type, r) {
			if (r->base <= at && at < region_end(r)) {
				known = true;
				stop = min(end, region_end(r));
				break;
			}
			if (r->base > at)
				stop = min(stop, r->base);
		}
		if (!known) {
			insert(type, (struct memblock_region){
				at, stop - at, flags, nid,
			});
			type->total_size += stop - at;
		}
		at = stop;
	}
	join_neighbours(type);
}

/* Splits the region that @at is in, if any, at @at. */
static void split(struct memblock_type *type, phys_addr_t at)
{
	struct memblock_region *r;

	for_each_region_of(type, r) {
		if (r->base < at && at < region_end(r)) {
			struct memblock_region upper = {
				at, region_end(r) - at, r->flags, r->nid,
			};

			r->size = at - r->base;
			insert(type, upper);
			return;
		}
	}
}

int memblock_add(phys_addr_t base, phys_addr_t size)
{
	/* The kernel would add all addresses from @base on. */
	BUG_ON(base + size < base);
	add(&memblock.memory, base, base + size, 0, 0);
	return 0;
}

static void mark(phys_addr_t base, phys_addr_t size, unsigned int flag)
{
	struct memblock_type *type = &memblock.memory;
	struct memblock_region *r;

	split(type, base);
	split(type, base + size);
	for_each_region_of(type, r) {
		if (r->base >= base && region_end(r) <= base + size)
			r->flags |= flag;
	}
}

int memblock_mark_kho_scratch(phys_addr_t base, phys_addr_t size)
{
	if (sim_alloc_fails(GFP_KERNEL))
		return -ENOMEM;

	mark(base, size, MEMBLOCK_KHO_SCRATCH);
	return 0;
}

int memblock_mark_nomap(phys_addr_t base, phys_addr_t size)
{
	mark(base, size, MEMBLOCK_NOMAP);
	return 0;
}

int __memblock_reserve(phys_addr_t base, phys_addr_t size, int nid,
		       unsigned int flags)
{
	struct memblock_type *type = &memblock.reserved;
	phys_addr_t end = base + size;

	BUG_ON(end < base || !size);
	if (memblock_reserved_grow(1) || sim_alloc_fails(GFP_KERNEL))
		return -ENOMEM;
	add(type, base, end, nid, flags);
	return 0;
}

int memblock_reserved_grow(unsigned long nr)
{
	struct memblock_type *type = &memblock.reserved;

	if (type->max - type->cnt > nr)
		return 0;
	if (type->cnt + nr >= sim_memblock_room || sim_alloc_fails(GFP_KERNEL))
		return -ENOMEM;
	type->max = type->cnt + nr + 1;
	return 0;
}

int memblock_reserve(phys_addr_t base, phys_addr_t size)
{
	return __memblock_reserve(base, size, NUMA_NO_NODE, 0);
}

bool memblock_is_nomap(struct memblock_region *r)
{
	return r->flags & MEMBLOCK_NOMAP;
}

bool memblock_is_map_memory(phys_addr_t addr)
{
	struct memblock_region *r;

	for_each_mem_region(r) {
		if (r->base <= addr && addr < region_end(r))
			return !memblock_is_nomap(r);
	}
	return false;
}

bool memblock_is_region_reserved(phys_addr_t base, phys_addr_t size)
{
	struct memblock_region *r;

	for_each_reserved_mem_region(r) {
		if (base < region_end(r) && r->base < base + size)
			return true;
	}
	return false;
}

phys_addr_t memblock_phys_mem_size(void)
{
	phys_addr_t size = 0;
	struct memblock_region *r;

	for_each_mem_region(r)
		size += r->size;
	return size;
}

phys_addr_t memblock_end_of_DRAM(void)
{
	struct memblock_type *type = &memblock.memory;

	return type->cnt ? region_end(&type->regions[type->cnt - 1]) : 0;
}

void memblock_set_kho_scratch_only(void)
{
	scratch_only = true;
}

void memblock_clear_kho_scratch_only(void)
{
	scratch_only = false;
}

bool memblock_kho_scratch_only(void)
{
	return scratch_only;
}

/* The highest address in @r at which @size bytes are free. */
static phys_addr_t find_in(const struct memblock_region *r, phys_addr_t size,
			   phys_addr_t align, phys_addr_t limit)
{
	phys_addr_t end = min(region_end(r), limit);
	phys_addr_t at;

	if (end < r->base + size)
		return 0;

	for (at = round_down(end - size, align); at >= r->base && at; at -= align) {
		if (!memblock_is_region_reserved(at, size))
			return at;
		if (at < align)
			break;
	}
	return 0;
}

phys_addr_t memblock_alloc_range_nid(phys_addr_t size, phys_addr_t align,
				     phys_addr_t start, phys_addr_t end,
				     int nid, bool exact_nid)
{
	struct memblock_type *type = &memblock.memory;

	if (sim_alloc_fails(GFP_KERNEL))
		return 0;

	for (unsigned int i = type->cnt; i--;) {
		const struct memblock_region *r = &type->regions[i];
		phys_addr_t at;

		if ((scratch_only && !(r->flags & MEMBLOCK_KHO_SCRATCH)) ||
		    (exact_nid && r->nid != nid))
			continue;
		at = find_in(r, size, align, end ?: U64_MAX);
		if (at && !memblock_reserve(at, size))
			return at;
	}
	return 0;
}

/*
 * Allocate from the simulated pages only: a test may add more memory than they
 * have.
 */
void *memblock_alloc(size_t size, size_t align)
{
	phys_addr_t at = memblock_alloc_range_nid(size, align, 0, SIM_PAGES * PAGE_SIZE,
						  NUMA_NO_NODE, false);

	return at ? memset(phys_to_virt(at), 0, size) : NULL;
}

int memblock_phys_free(phys_addr_t base, phys_addr_t size)
{
	struct memblock_type *type = &memblock.reserved;
	unsigned int nr = 0;

	split(type, base);
	split(type, base + size);
	for (unsigned int i = 0; i < type->cnt; i++) {
		struct memblock_region *r = &type->regions[i];

		if (r->base < base || region_end(r) > base + size)
			type->regions[nr++] = *r;
		else
			type->total_size -= r->size;
	}
	type->cnt = nr;
	return 0;
}

void memblock_free(void *mem, size_t size)
{
	if (mem)
		memblock_phys_free(virt_to_phys(mem), size);
}

phys_addr_t memblock_reserved_kern_size(phys_addr_t limit, int nid)
{
	phys_addr_t size = 0;
	struct memblock_region *r;

	for_each_reserved_mem_region(r) {
		if (r->base < limit && (nid == NUMA_NO_NODE || r->nid == nid))
			size += min(region_end(r), limit) - r->base;
	}
	return size;
}

/*
 * A size of 0 is a bug of the caller, and reading a hole may be fatal on a real
 * machine.
 */
void *early_memremap(phys_addr_t phys, unsigned long size)
{
	phys_addr_t end = phys + size;

	BUG_ON(!size || end < phys);
	for (phys_addr_t at = round_down(phys, PAGE_SIZE); at < end; at += PAGE_SIZE)
		BUG_ON(!pfn_valid(PHYS_PFN(at)));

	if (sim_alloc_fails(GFP_KERNEL))
		return NULL;
	sim_early_maps++;
	return phys_to_virt(phys);
}

void early_memunmap(void *mem, unsigned long size)
{
	sim_early_maps--;
}
