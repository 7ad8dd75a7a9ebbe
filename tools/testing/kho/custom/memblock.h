/* SPDX-License-Identifier: GPL-2.0 */
/* The allocator of early boot: two sorted lists of regions. */
#ifndef KHO_CUSTOM_MEMBLOCK_H
#define KHO_CUSTOM_MEMBLOCK_H

#include "memory.h"

enum memblock_flags {
	MEMBLOCK_NONE		= 0,
	MEMBLOCK_NOMAP		= 4,
	MEMBLOCK_RSRV_NOINIT	= 0x10,
	MEMBLOCK_KHO_SCRATCH	= 0x40,
	MEMBLOCK_RSRV_KHO	= 0x100,
};

#define MEMBLOCK_PRESERVED_FLAGS	(MEMBLOCK_RSRV_KHO | MEMBLOCK_RSRV_NOINIT)
#define MEMBLOCK_ALLOC_ANYWHERE		(~(phys_addr_t)0)
#define MEMBLOCK_ALLOC_ACCESSIBLE	0
/* End of low memory. */
extern phys_addr_t sim_low_limit;
#define ARCH_LOW_ADDRESS_LIMIT		sim_low_limit

struct memblock_region {
	phys_addr_t base;
	phys_addr_t size;
	unsigned int flags;
	int nid;
};

struct memblock_type {
	unsigned long cnt;
	unsigned long max;
	phys_addr_t total_size;
	struct memblock_region *regions;
};

enum memblock_state {
	MEMBLOCK_UNUSED,
	MEMBLOCK_PRESERVED,
	MEMBLOCK_NOT_RAM,
	MEMBLOCK_IN_SCRATCH,
	MEMBLOCK_IN_USE,
};

struct memblock_sequence {
	bool (*next)(struct memblock_sequence *seq, phys_addr_t *start,
		     phys_addr_t *end);
	void (*refuse)(struct memblock_sequence *seq, phys_addr_t start,
		       phys_addr_t end, enum memblock_state state);
	enum memblock_flags flags;
};

#define SIM_MAX_REGIONS		16384UL

extern struct memblock {
	struct memblock_type memory;
	struct memblock_type reserved;
} memblock;

/* Maximum size of the array of reserved regions. */
extern unsigned long sim_memblock_room;

#define for_each_region_of(type, r)					\
	for ((r) = (type)->regions; (r) < (type)->regions + (type)->cnt; (r)++)
#define for_each_mem_region(r)		for_each_region_of(&memblock.memory, r)
#define for_each_reserved_mem_region(r)	for_each_region_of(&memblock.reserved, r)

/* Removes all memory and all reserved regions. */
void sim_memblock_reset(void);

int memblock_add(phys_addr_t base, phys_addr_t size);
int memblock_mark_kho_scratch(phys_addr_t base, phys_addr_t size);
int memblock_reserve(phys_addr_t base, phys_addr_t size);
int __memblock_reserve(phys_addr_t base, phys_addr_t size, int nid,
		       unsigned int flags);
int memblock_reserved_grow(unsigned long nr);
int memblock_reserve_sequence(struct memblock_sequence *seq, unsigned long nr);
int memblock_reserve_all_but_scratch(void);
u64 memblock_free_range_from(phys_addr_t addr);
const struct memblock_region *memblock_reserved_from(phys_addr_t addr);
const struct memblock_region *
memblock_next_preserved(const struct memblock_region *r, phys_addr_t limit, int nid);
#define for_each_preserved_mem_region(r, addr, limit, nid)			\
	for (r = memblock_next_preserved(memblock_reserved_from(addr), limit, nid); \
	     r; r = memblock_next_preserved(r + 1, limit, nid))
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

static inline bool memblock_is_preserved(const struct memblock_region *r)
{
	return (r->flags & MEMBLOCK_PRESERVED_FLAGS) == MEMBLOCK_PRESERVED_FLAGS;
}

static inline bool memblock_is_kho_scratch(const struct memblock_region *r)
{
	return r->flags & MEMBLOCK_KHO_SCRATCH;
}

static inline int memblock_get_region_node(const struct memblock_region *r)
{
	return r->nid;
}

static inline void memblock_set_region_node(struct memblock_region *r, int nid)
{
	r->nid = nid;
}

/* panic() ends the simulated boot; see machine.h. */
#define memblock_alloc_or_panic(size, align)	({			\
	void *__mem = memblock_alloc(size, align);			\
									\
	if (!__mem)							\
		panic("%s: Failed to allocate memory\n", __func__);	\
	__mem;								\
})

/* Number of early mappings in use.  Only RAM can be mapped. */
extern unsigned int sim_early_maps;
void *early_memremap(phys_addr_t phys, unsigned long size);
void early_memunmap(void *mem, unsigned long size);

#endif /* KHO_CUSTOM_MEMBLOCK_H */
