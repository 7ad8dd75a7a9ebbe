// SPDX-License-Identifier: GPL-2.0
/*
 * Reservation of preserved memory in memblock.
 *
 * The memory map has the blocks of one order in ascending order.  Each order is
 * one sequence for memblock_reserve_sequence().  The nodes of the map, which are
 * not in the map, are another sequence.  The map is not trusted: keys of memory
 * that cannot be preserved are removed.  If only a part of a block cannot be
 * preserved, the rest of it stays reserved, as devices may use it.
 *
 * Blocks are aligned powers of two, so if two blocks overlap, one contains the
 * other.  At least one of the two keys is stale, but it is unknown which one.
 * The memory stays reserved until the first owner restores its block.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kernel.h>
#include <linux/kho/radix_tree.h>
#include <linux/memblock.h>
#include <linux/panic.h>
#include <linux/sort.h>

#include "kexec_handover_internal.h"

/* Blocks of one order, or nodes. */
struct kho_sequence {
	struct memblock_sequence seq;
	unsigned long next;		/* key, or index of a node */
	struct kho_radix_cursor cursor;
	unsigned int order;
	bool failed;
};

static const char * const kho_refusals[] __initconst = {
	[MEMBLOCK_NOT_RAM]	= "not in RAM",
	[MEMBLOCK_IN_SCRATCH]	= "in scratch memory",
	[MEMBLOCK_IN_USE]	= "in use by this kernel",
};

/* The nodes of the memory map, ascending. */
static phys_addr_t *kho_nodes __initdata;
static unsigned long kho_nr_nodes __initdata;

/*
 * Set after an allocation failure: all memory outside of scratch areas is
 * reserved.
 */
static bool kho_coarse __initdata;

static void __init kho_drop_keys(unsigned long key, unsigned long nr,
				 enum memblock_state why)
{
	struct kho_radix_cursor cursor = { };
	phys_addr_t start, last;
	unsigned int order;

	kho_decode_key(key + nr - 1, &last, &order);
	kho_decode_key(key, &start, &order);
	last += (PAGE_SIZE << order) - 1;
	pr_err_ratelimited("preserved memory [%pa-%pa]: discarded, %s\n",
			   &start, &last, kho_refusals[why]);

	while (nr--)
		kho_radix_take_key_at(&kho_in.map, key + nr, &cursor);
}

/*
 * Extend the range from the first to the last overlap.  Restoring blocks in this
 * range is slower.
 */
static void __init kho_add_overlap(unsigned long start, unsigned long end)
{
	if (!kho_in.overlap_end)
		kho_in.overlap_start = start;

	kho_in.overlap_start = min(kho_in.overlap_start, start);
	kho_in.overlap_end = max(kho_in.overlap_end, end);
}

/* If all memory is reserved, memblock cannot report overlaps: search the map. */
static bool __init kho_in_larger_blocks(phys_addr_t start, phys_addr_t last,
					unsigned int order)
{
	while (++order <= KHO_MAX_ORDER) {
		unsigned long key = kho_encode_key(start, order), nr;

		if (kho_in.orders & BIT(order) &&
		    kho_radix_next_run_to(&kho_in.map, &key, &nr,
					  kho_encode_key(last, order)))
			return true;
	}

	return false;
}

static void __init kho_refuse_blocks(struct memblock_sequence *seq,
				     phys_addr_t start, phys_addr_t end,
				     enum memblock_state why)
{
	unsigned int order = container_of(seq, struct kho_sequence, seq)->order;
	unsigned long key = kho_encode_key(start, order);
	phys_addr_t last = end - 1;

	if (why != MEMBLOCK_PRESERVED) {
		kho_drop_keys(key, kho_encode_key(last, order) - key + 1, why);
		return;
	}

	if (kho_coarse && !kho_in_larger_blocks(start, last, order))
		return;

	kho_add_overlap(PHYS_PFN(start), PFN_UP(end));
	if (!kho_coarse)
		pr_err_ratelimited("preserved memory [%pa-%pa]: duplicate, the first owner gets it\n",
				   &start, &last);
}

/*
 * Number of blocks that start before the end of RAM.  A block at 0 that is larger
 * than all of RAM does not count: it is invalid, and reserving it would leave no
 * memory to boot with.
 */
static unsigned long __init kho_blocks_in_ram(unsigned int shift)
{
	phys_addr_t end = memblock_end_of_DRAM();

	return end >> shift ? ((end - 1) >> shift) + 1 : 0;
}

static bool __init kho_next_blocks(struct memblock_sequence *seq,
				   phys_addr_t *start, phys_addr_t *end)
{
	struct kho_sequence *s = container_of(seq, struct kho_sequence, seq);
	unsigned int order, shift = PAGE_SHIFT + s->order;
	unsigned long limit = kho_blocks_in_ram(shift);
	unsigned long nr, first, good, key;

	if (!kho_radix_next_run_at(&kho_in.map, &s->next, &nr, &s->cursor) ||
	    !kho_decode_key(s->next, start, &order) || order != s->order)
		return false;

	first = *start >> shift;
	good = first < limit ? min(nr, limit - first) : 0;
	key = s->next;

	/* The end of a block after the end of RAM may overflow. */
	s->next += nr;
	if (good < nr)
		kho_drop_keys(key + good, nr - good, MEMBLOCK_NOT_RAM);

	/* Empty if no block is in RAM. */
	*end = *start + ((phys_addr_t)good << shift);
	return true;
}

static int __init kho_reserve_order(unsigned int order, unsigned long nr)
{
	struct kho_sequence blocks = {
		.seq = {
			.next = kho_next_blocks,
			.refuse = kho_refuse_blocks,
			.flags = MEMBLOCK_PRESERVED_FLAGS,
		},
		.next = kho_encode_key(0, order),
		.order = order,
	};

	return memblock_reserve_sequence(&blocks.seq, nr);
}

static void __init kho_refuse_node(struct memblock_sequence *seq,
				   phys_addr_t start, phys_addr_t end,
				   enum memblock_state why)
{
	if (why == MEMBLOCK_PRESERVED)
		return;

	container_of(seq, struct kho_sequence, seq)->failed = true;
	pr_err("memory map: node %s (%pa)\n", kho_refusals[why], &start);
}

static bool __init kho_next_node(struct memblock_sequence *seq,
				 phys_addr_t *start, phys_addr_t *end)
{
	struct kho_sequence *s = container_of(seq, struct kho_sequence, seq);

	if (s->next == kho_nr_nodes)
		return false;

	*start = kho_nodes[s->next++];
	*end = *start + PAGE_SIZE;
	return true;
}

/*
 * Nodes are reserved before blocks, so that blocks that overlap a node are
 * refused.
 */
static int __init kho_reserve_nodes(unsigned long nr)
{
	struct kho_sequence nodes = {
		.seq = {
			.next = kho_next_node,
			.refuse = kho_refuse_node,
			.flags = MEMBLOCK_RSRV_KHO,
		},
	};
	int err = memblock_reserve_sequence(&nodes.seq, nr);

	return nodes.failed ? -EINVAL : err;
}

/* The map was validated before, and must not have grown since. */
static int __init kho_add_node(phys_addr_t phys, void *data)
{
	if (kho_nr_nodes == kho_in.nr_nodes)
		return -ELOOP;

	kho_nodes[kho_nr_nodes++] = phys;
	return 0;
}

static int __init kho_cmp_nodes(const void *a, const void *b)
{
	const phys_addr_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int __init kho_collect_nodes(void)
{
	const struct kho_radix_walk_cb cb = { .node = kho_add_node };
	int err;

	kho_nodes = memblock_alloc_or_panic(kho_in.nr_nodes * sizeof(*kho_nodes),
					    SMP_CACHE_BYTES);
	err = kho_radix_walk_tree(&kho_in.map, &cb, NULL);
	if (err) {
		pr_err("memory map: changed during boot: %pe\n", ERR_PTR(err));
		return err;
	}

	sort(kho_nodes, kho_nr_nodes, sizeof(*kho_nodes), kho_cmp_nodes, NULL);

	/*
	 * If a page were both a leaf and a table, removing a key would damage
	 * the table.
	 */
	for (unsigned long i = 1; i < kho_nr_nodes; i++) {
		if (kho_nodes[i - 1] != kho_nodes[i])
			continue;
		pr_err("memory map: duplicate node (%pa)\n", &kho_nodes[i]);
		return -EINVAL;
	}

	return 0;
}

static void __init kho_reserve_coarse(void)
{
	kho_coarse = true;
	pr_warn("preserved memory: failed to reserve by range, free memory outside of scratch areas stays unused\n");
	if (memblock_reserve_all_but_scratch())
		panic("KHO: preserved memory: failed to reserve, the previous kernel needs a larger kho_scratch=\n");
}

static int __init kho_reserve_map(void)
{
	int err = kho_reserve_nodes(kho_nr_nodes);

	/* Blocks that overlap a node are only refused if it has a region of its own. */
	if (err == -ENOMEM)
		panic("KHO: memory map: failed to reserve %lu nodes, the previous kernel needs a larger kho_scratch=\n",
		      kho_nr_nodes);

	/* Start with the largest blocks: they are few, and may contain smaller ones. */
	for (int order = KHO_MAX_ORDER; order >= 0; order--) {
		unsigned long first = kho_encode_key(0, order), nr;

		nr = kho_radix_count_runs(&kho_in.map, first, 2 * first - 1);
		if (!nr)
			continue;
		kho_in.orders |= BIT(order);
		if (!kho_coarse && kho_reserve_order(order, nr))
			kho_reserve_coarse();
		/*
		 * Refuse invalid blocks and find overlaps.  All whole pages of
		 * RAM are reserved already, so the array of regions does not
		 * have to grow.
		 */
		if (kho_coarse)
			kho_reserve_order(order, 0);
	}

	return err;
}

/**
 * kho_reserve_incoming - reserve all preserved memory in memblock
 *
 * Preserved memory is never released to the page allocator by mistake.  On
 * allocation failure all memory outside of scratch areas is reserved.  If that
 * fails, too, the kernel panics.
 *
 * Context: Early boot, as the last user of memblock before the page allocator.
 * Return: 0, or -EINVAL or -ELOOP when the memory map is damaged.
 */
int __init kho_reserve_incoming(void)
{
	int err;

	err = kho_collect_nodes();
	if (!err)
		err = kho_reserve_map();

	memblock_free(kho_nodes, kho_in.nr_nodes * sizeof(*kho_nodes));
	return err;
}
