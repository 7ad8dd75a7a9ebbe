/* SPDX-License-Identifier: GPL-2.0 */
/* The allocator of early boot: two sorted lists of regions. */
#ifndef KHO_CUSTOM_MEMBLOCK_H
#define KHO_CUSTOM_MEMBLOCK_H

#include "memory.h"

#define MEMBLOCK_RSRV_NOINIT		1u
#define MEMBLOCK_KHO_SCRATCH		2u
#define MEMBLOCK_NOMAP			4u
#define MEMBLOCK_ALLOC_ANYWHERE		(~(phys_addr_t)0)
#define MEMBLOCK_ALLOC_ACCESSIBLE	0
#define ARCH_LOW_ADDRESS_LIMIT		0xffffffffUL

struct memblock_region {
	phys_addr_t base;
	phys_addr_t size;
	unsigned int flags;
};

struct memblock_type {
	unsigned long cnt;
	unsigned long max;
	struct memblock_region regions[4096];
};

struct memblock_span {
	phys_addr_t start;
	phys_addr_t end;
};

extern struct memblock {
	struct memblock_type memory;
	struct memblock_type reserved;
} memblock;

/* Reserved regions there is room for; the array cannot be made larger. */
extern unsigned long sim_memblock_room;

#define for_each_region_of(type, r)					\
	for ((r) = (type)->regions; (r) < (type)->regions + (type)->cnt; (r)++)
#define for_each_mem_region(r)		for_each_region_of(&memblock.memory, r)
#define for_each_reserved_mem_region(r)	for_each_region_of(&memblock.reserved, r)

/* No hand-over, no map, nothing reserved. */
void sim_memblock_reset(void);

int memblock_add(phys_addr_t base, phys_addr_t size);
int memblock_mark_kho_scratch(phys_addr_t base, phys_addr_t size);
int memblock_reserve(phys_addr_t base, phys_addr_t size);
int __memblock_reserve(phys_addr_t base, phys_addr_t size, int nid,
		       unsigned int flags);
int memblock_reserve_sorted(const struct memblock_span *span, unsigned long nr,
			    unsigned int flags);
bool memblock_is_region_reserved(phys_addr_t base, phys_addr_t size);
phys_addr_t memblock_phys_mem_size(void);
phys_addr_t memblock_end_of_DRAM(void);
bool memblock_is_nomap(struct memblock_region *r);
bool memblock_is_map_memory(phys_addr_t addr);
void memblock_set_kho_scratch_only(void);
void memblock_clear_kho_scratch_only(void);
bool memblock_kho_scratch_only(void);
int memblock_mark_nomap(phys_addr_t base, phys_addr_t size);

void *memblock_alloc(size_t size, size_t align);
void memblock_free(void *mem, size_t size);
int memblock_phys_free(phys_addr_t base, phys_addr_t size);
phys_addr_t memblock_alloc_range_nid(phys_addr_t size, phys_addr_t align,
				     phys_addr_t start, phys_addr_t end,
				     int nid, bool exact_nid);
phys_addr_t memblock_reserved_kern_size(phys_addr_t limit, int nid);
#define memblock_reserved_hugetlb_size(limit, nid)	((phys_addr_t)0)

/* Mapping by a boot that has no linear map yet; what is not RAM cannot be. */
void *early_memremap(phys_addr_t phys, unsigned long size);
void early_memunmap(void *mem, unsigned long size);

#endif /* KHO_CUSTOM_MEMBLOCK_H */
