// SPDX-License-Identifier: GPL-2.0
/*
 * Preserved memory in memblock.
 *
 * The previous kernel may have preserved millions of ranges.  They are passed in
 * ascending sequences.  Each sequence is merged into memblock.reserved in one
 * pass over memblock.memory, memblock.reserved and the sequence.
 */

#include <linux/align.h>
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/pfn.h>

/*
 * While a sequence is merged, the merged regions are at the start of the array of
 * memblock.reserved, and the regions that are not processed yet are at its end.
 */
struct memblock_merge {
	struct memblock_sequence *seq;
	unsigned long memory;		/* current region of RAM */
	unsigned long reserved;		/* current reserved region */
	unsigned long left;		/* first region not processed yet */
	unsigned long done;		/* number of merged regions */
	bool full;			/* the array is full */
};

/* First region from @i on that ends after @addr, or NULL. */
static struct memblock_region *__init
memblock_region_from(const struct memblock_type *type, unsigned long *i,
		     unsigned long nr, phys_addr_t addr)
{
	while (*i < nr && type->regions[*i].base + type->regions[*i].size <= addr)
		++*i;

	return *i < nr ? &type->regions[*i] : NULL;
}

/* State of the memory at @start.  Limits @end to memory in the same state. */
static enum memblock_state __init
memblock_state_at(struct memblock_merge *m, phys_addr_t start, phys_addr_t *end)
{
	struct memblock_type *ram = &memblock.memory;
	struct memblock_type *reserved = &memblock.reserved;
	struct memblock_region *r;

	r = memblock_region_from(ram, &m->memory, ram->cnt, start);
	if (!r || r->base > start) {
		*end = r ? min(*end, r->base) : *end;
		return MEMBLOCK_NOT_RAM;
	}

	*end = min(*end, r->base + r->size);
	if (memblock_is_nomap(r))
		return MEMBLOCK_NOT_RAM;
	if (memblock_is_kho_scratch(r))
		return MEMBLOCK_IN_SCRATCH;

	r = memblock_region_from(reserved, &m->reserved, reserved->max, start);
	if (!r || r->base > start) {
		*end = r ? min(*end, r->base) : *end;
		return MEMBLOCK_UNUSED;
	}

	*end = min(*end, r->base + r->size);
	return memblock_is_preserved(r) ? MEMBLOCK_PRESERVED : MEMBLOCK_IN_USE;
}

static void __init memblock_merge_put(struct memblock_merge *m,
				      struct memblock_region r)
{
	struct memblock_region *next = &memblock.reserved.regions[m->done];
	struct memblock_region *last = m->done ? next - 1 : NULL;

	if (last && last->base + last->size == r.base && last->flags == r.flags &&
	    memblock_get_region_node(last) == memblock_get_region_node(&r)) {
		last->size += r.size;
	} else {
		*next = r;
		m->done++;
	}
}

static void __init memblock_merge_add(struct memblock_merge *m,
				      phys_addr_t start, phys_addr_t end)
{
	struct memblock_type *type = &memblock.reserved;
	struct memblock_region r = {
		.base = start,
		.size = end - start,
		.flags = m->seq->flags,
	};

	memblock_set_region_node(&r, NUMA_NO_NODE);
	while (m->left < type->max && type->regions[m->left].base < start)
		memblock_merge_put(m, type->regions[m->left++]);

	/* Keep one element free between merged and unprocessed regions. */
	if (m->done + 1 >= m->left)
		m->full = true;
	if (m->full)
		return;

	memblock_merge_put(m, r);
	type->total_size += r.size;
}

static void __init memblock_merge_range(struct memblock_merge *m,
					phys_addr_t start, phys_addr_t end)
{
	while (start < end) {
		phys_addr_t stop = end;
		enum memblock_state state = memblock_state_at(m, start, &stop);

		if (state == MEMBLOCK_UNUSED)
			memblock_merge_add(m, start, stop);
		else if (m->seq->refuse)
			m->seq->refuse(m->seq, start, stop, state);
		start = stop;
	}
}

/*
 * Maximum number of regions that @nr ranges add.  Each region that is in use by
 * this kernel may split a range in two.  A preserved region does not: the parts
 * of the range are merged with it.
 */
static unsigned long __init memblock_merge_limit(unsigned long nr)
{
	struct memblock_region *r;

	for_each_reserved_mem_region(r)
		nr += !memblock_is_preserved(r);

	return nr + 2 * memblock.memory.cnt;
}

/**
 * memblock_reserve_sequence - reserve many ranges
 * @seq: the ranges
 * @nr: upper limit of the number of ranges; 0 if all of them are already
 *	reserved, so that the array of regions does not grow
 *
 * Memory that is already reserved, in scratch memory or outside of RAM is
 * reported to @seq and not changed.
 *
 * This is O(ranges + regions), and copies the array of memblock.reserved at most
 * once.
 *
 * Context: Early boot, before the page allocator is up.
 * Return: 0, or -ENOMEM on allocation failure or when @nr was too low.  In the
 * first case nothing is reserved.  In the second case some of the ranges are
 * reserved, and all refused memory is reported.
 */
int __init memblock_reserve_sequence(struct memblock_sequence *seq,
				     unsigned long nr)
{
	struct memblock_type *type = &memblock.reserved;
	struct memblock_merge m = { .seq = seq };
	phys_addr_t start, end;

	if (nr && memblock_reserved_grow(memblock_merge_limit(nr)))
		return -ENOMEM;

	m.left = type->max - type->cnt;
	m.reserved = m.left;
	memmove(&type->regions[m.left], type->regions,
		type->cnt * sizeof(*type->regions));

	while (seq->next(seq, &start, &end))
		memblock_merge_range(&m, start, end);

	while (m.left < type->max)
		memblock_merge_put(&m, type->regions[m.left++]);
	type->cnt = m.done;
	return m.full ? -ENOMEM : 0;
}

struct memblock_ram {
	struct memblock_sequence seq;
	unsigned long i;
};

static bool __init memblock_ram_next(struct memblock_sequence *seq,
				     phys_addr_t *start, phys_addr_t *end)
{
	struct memblock_ram *ram = container_of(seq, struct memblock_ram, seq);

	while (ram->i < memblock.memory.cnt) {
		struct memblock_region *r = &memblock.memory.regions[ram->i++];

		*start = PAGE_ALIGN(r->base);
		*end = PAGE_ALIGN_DOWN(r->base + r->size);
		if (*start < *end)
			return true;
	}

	return false;
}

/**
 * memblock_reserve_all_but_scratch - reserve all memory outside of scratch areas
 *
 * Fallback for -ENOMEM of memblock_reserve_sequence().
 *
 * Context: Early boot, before the page allocator is up.
 * Return: 0 or -ENOMEM.
 */
int __init memblock_reserve_all_but_scratch(void)
{
	struct memblock_ram ram = {
		.seq = { .next = memblock_ram_next, .flags = MEMBLOCK_PRESERVED_FLAGS },
	};

	return memblock_reserve_sequence(&ram.seq, memblock.memory.cnt);
}

/* Index of the first region in @type that ends after @addr. */
static unsigned long __init memblock_search_from(const struct memblock_type *type,
						 phys_addr_t addr)
{
	unsigned long low = 0, high = type->cnt;

	while (low < high) {
		unsigned long mid = low + (high - low) / 2;
		const struct memblock_region *r = &type->regions[mid];

		if (r->base + r->size > addr)
			high = mid;
		else
			low = mid + 1;
	}

	return low;
}

/**
 * memblock_free_range_from - start of for_each_free_mem_range_from()
 * @addr: the address
 *
 * Context: Early boot, until memblock_discard().
 * Return: value of the iterator before its first step; the first range may start
 * before @addr.
 */
u64 __init memblock_free_range_from(phys_addr_t addr)
{
	return (u64)memblock_search_from(&memblock.reserved, addr) << 32 |
	       memblock_search_from(&memblock.memory, addr);
}

/**
 * memblock_reserved_from - start of for_each_preserved_mem_region()
 * @addr: the address
 *
 * Context: Early boot, until memblock_discard().
 * Return: the first reserved region that ends after @addr, or the end of the
 * array.
 */
const struct memblock_region *__init memblock_reserved_from(phys_addr_t addr)
{
	return memblock.reserved.regions +
	       memblock_search_from(&memblock.reserved, addr);
}

/**
 * memblock_next_preserved - step of for_each_preserved_mem_region()
 * @r: first reserved region to check
 * @limit: end of the search
 * @nid: node of the memory
 *
 * Context: Early boot, when the node of each region is set, until
 * memblock_discard().
 * Return: the next region of preserved memory of the node that starts before
 * @limit, or NULL.
 */
const struct memblock_region *__init
memblock_next_preserved(const struct memblock_region *r, phys_addr_t limit, int nid)
{
	const struct memblock_type *type = &memblock.reserved;

	for (; r < type->regions + type->cnt && r->base < limit; r++) {
		if (memblock_is_preserved(r) && memblock_get_region_node(r) == nid)
			return r;
	}

	return NULL;
}
