// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps the page allocator off memory that was handed over.
 *
 * The map of preserved memory holds the blocks of one order in ascending order,
 * and one order behind the other.  So there is a stream of blocks for each
 * order, and one of the nodes of the map, which are not in the map.  They are
 * merged into one ascending stream, what touches becomes one run, and what of
 * it is RAM and not in use yet goes to memblock in one sorted batch.  All of
 * this costs by the run, and nothing looks at a page.
 *
 * What the map says is not trusted.  Memory that cannot be what it says costs
 * the keys that name it; a damaged node costs the map.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/memblock.h>
#include <linux/overflow.h>
#include <linux/sort.h>

#include "../../mm/mm_init.h"
#include "kexec_handover_internal.h"

/* Enough to boot on when there is no memory for a larger array. */
#define KHO_FEW_SPANS	256

/* Regions that come into memblock for what is allocated here. */
#define KHO_SPARE_SPANS	16

/* Memory that is in the map and must not be restored. */
#define KHO_MAX_BAD	128

/* Ascending and disjoint. */
struct kho_spans {
	struct memblock_span *span;
	unsigned long nr;
	unsigned long max;
	bool coarse;			/* there is free memory in them, too */
};

/* The blocks of one order, or the nodes of the map. */
struct kho_stream {
	struct memblock_span now;
	unsigned long next;		/* key, or index of the node */
	struct kho_radix_cursor cursor;
	unsigned int order;
	bool nodes;
};

/* All of them, merged. */
struct kho_merge {
	struct kho_stream stream[KHO_MAX_ORDER + 2];
	unsigned int nr;
	struct kho_stream *first;	/* whose next span is the lowest */
	const phys_addr_t *node;
	unsigned long nr_nodes;
};

/* Where a span that is behind all spans so far has to be compared. */
struct kho_clip {
	unsigned long memory;
	unsigned long reserved;
	struct memblock_span free;	/* nothing has to be cut off in it */
};

static struct memblock_span kho_few_spans[KHO_FEW_SPANS] __initdata;

/* When there is no room for another piece, the last one grows up to it. */
static struct memblock_span kho_bad[KHO_MAX_BAD] __initdata;
static unsigned int kho_nr_bad __initdata;

static void __init kho_say_lost(phys_addr_t start, phys_addr_t last,
				const char *why)
{
	pr_err_ratelimited("preserved memory [%pa-%pa] is lost: %s\n", &start,
			   &last, why);
}

static void __init kho_mark_bad(phys_addr_t start, phys_addr_t end,
				const char *why)
{
	struct memblock_span *last = &kho_bad[KHO_MAX_BAD - 1];

	kho_say_lost(start, end - 1, why);

	if (kho_nr_bad < KHO_MAX_BAD) {
		kho_bad[kho_nr_bad++] = (struct memblock_span){ start, end };
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

/*
 * Whether a span is in RAM; it may reach over several regions of it.  What the
 * firmware keeps for itself is none, and not even mapped.
 */
static bool __init kho_span_is_ram(phys_addr_t start, phys_addr_t end)
{
	struct memblock_region *r;

	for_each_mem_region(r) {
		if (r->base > start)
			break;
		if (memblock_is_nomap(r))
			continue;
		start = max(start, r->base + r->size);
		if (start >= end)
			return true;
	}

	return false;
}

/* The streams. */

/*
 * Blocks that no allocator makes may be as large as all memory, so that those
 * which cannot be right must not cost the memory that they name.  Of the others
 * only the last one can end where addresses end, which would look like 0.
 * Returns whether none of @nr had to be dropped.
 */
static bool __init kho_drop_misfits(unsigned long key, unsigned long nr,
				    unsigned int order)
{
	unsigned long end = key + nr;
	phys_addr_t start, last;
	bool fine = true;

	if (order <= MAX_PAGE_ORDER)
		key = end - 1;
	for (; key < end; key++) {
		kho_decode_key(key, &start, &order);
		last = start + (PAGE_SIZE << order) - 1;
		if (kho_span_is_ram(start, last))
			continue;

		kho_say_lost(start, last, "not in RAM");
		kho_radix_del_key(&kho_in.map, key);
		fine = false;
	}

	return fine;
}

static bool __init kho_stream_next(struct kho_stream *s,
				   const struct kho_merge *merge)
{
	unsigned int order, shift = PAGE_SHIFT + s->order;
	unsigned long key = s->next, nr = 1;
	struct memblock_span *now = &s->now;

	if (s->nodes) {
		if (key == merge->nr_nodes)
			return false;
		now->start = merge->node[key];
		now->end = now->start + PAGE_SIZE;
		s->next++;
		return true;
	}

	do {
		if (!kho_radix_next_run_at(&kho_in.map, &key, &nr, &s->cursor) ||
		    !kho_decode_key(key, &now->start, &order) ||
		    order != s->order)
			return false;
		now->end = now->start + ((phys_addr_t)nr << shift);
	} while ((order > MAX_PAGE_ORDER || now->end <= now->start) &&
		 !kho_drop_misfits(key, nr, order));

	s->next = key + nr;
	return true;
}

static struct kho_stream *__init kho_merge_first(struct kho_merge *merge)
{
	struct kho_stream *first = NULL;

	for (unsigned int i = 0; i < merge->nr; i++) {
		struct kho_stream *s = &merge->stream[i];

		if (!first || s->now.start < first->now.start)
			first = s;
	}

	return first;
}

static void __init kho_merge_init(struct kho_merge *merge,
				  const phys_addr_t *node,
				  unsigned long nr_nodes)
{
	struct kho_stream *s = merge->stream;

	merge->node = node;
	merge->nr_nodes = nr_nodes;

	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		*s = (struct kho_stream){
			.next = kho_encode_key(0, order),
			.order = order,
		};
		s += kho_stream_next(s, merge);
	}

	*s = (struct kho_stream){ .nodes = true };
	s += kho_stream_next(s, merge);

	merge->nr = s - merge->stream;
	merge->first = kho_merge_first(merge);
}

static void __init kho_merge_advance(struct kho_merge *merge)
{
	if (!kho_stream_next(merge->first, merge))
		*merge->first = merge->stream[--merge->nr];
	merge->first = kho_merge_first(merge);
}

/* Takes all that touches the next block.  Returns false when there is none. */
static bool __init kho_merge_next(struct kho_merge *merge,
				  struct memblock_span *span)
{
	const struct kho_stream *s = merge->first;

	if (!s)
		return false;

	*span = s->now;
	kho_merge_advance(merge);

	while ((s = merge->first) && s->now.start <= span->end) {
		if (s->now.start < span->end)
			kho_mark_bad(s->now.start, min(s->now.end, span->end),
				     "preserved twice");
		span->end = max(span->end, s->now.end);
		kho_merge_advance(merge);
	}

	return true;
}

/* The spans. */

/* Memory between two spans that may be kept from the page allocator, too. */
static bool __init kho_gap_is_free(phys_addr_t start, phys_addr_t end)
{
	return kho_span_is_ram(start, end) &&
	       !memblock_is_region_reserved(start, end - start) &&
	       !kho_scratch_overlap(start, end - start);
}

/* Joins neighbours that are at most @gap bytes apart. */
static void __init kho_spans_join(struct kho_spans *spans, phys_addr_t gap)
{
	struct memblock_span *last = spans->span;

	for (unsigned long i = 1; i < spans->nr; i++) {
		struct memblock_span *span = &spans->span[i];

		if (span->start - last->end <= gap &&
		    kho_gap_is_free(last->end, span->start))
			last->end = span->end;
		else
			*++last = *span;
	}

	spans->nr = last - spans->span + 1;
}

/*
 * Gets along with fewer spans at the price of free memory between them, which
 * stays out of use until the next kexec.
 */
static int __init kho_spans_coarsen(struct kho_spans *spans)
{
	unsigned long target = spans->nr / 2;
	phys_addr_t limit = memblock_end_of_DRAM();

	spans->coarse = true;

	for (phys_addr_t gap = PAGE_SIZE; spans->nr > target; gap *= 2) {
		if (gap > limit)
			return -ENOMEM;
		kho_spans_join(spans, gap);
	}

	return 0;
}

static int __init kho_spans_add(struct kho_spans *spans, phys_addr_t start,
				phys_addr_t end)
{
	int err = 0;

	if (spans->nr == spans->max)
		err = kho_spans_coarsen(spans);
	if (!err)
		spans->span[spans->nr++] = (struct memblock_span){ start, end };
	return err;
}

/* Clipping to what is RAM and not in use. */

/* First region from @i on that ends behind @pos. */
static struct memblock_region *__init
kho_region_behind(struct memblock_type *type, unsigned long *i,
		  phys_addr_t pos)
{
	for (; *i < type->cnt; ++*i) {
		struct memblock_region *r = &type->regions[*i];

		if (r->base + r->size > pos)
			return r;
	}

	return NULL;
}

/* Scratch memory in [start, end), or nothing at its end. */
static struct memblock_span __init kho_scratch_in(phys_addr_t start,
						  phys_addr_t end)
{
	struct memblock_span found = { end, end };

	for (unsigned int i = 0; i < kho_scratch_cnt; i++) {
		phys_addr_t first = max(start, kho_scratch[i].addr);
		phys_addr_t stop = min(end, kho_scratch[i].addr +
					    kho_scratch[i].size);

		if (first < stop && first < found.start)
			found = (struct memblock_span){ first, stop };
	}

	return found;
}

/* The previous kernel never preserves scratch memory, which this one uses. */
static int __init kho_clip_scratch(phys_addr_t start, phys_addr_t end,
				   struct kho_spans *spans)
{
	while (start < end) {
		struct memblock_span scratch = kho_scratch_in(start, end);
		int err = 0;

		if (start < scratch.start)
			err = kho_spans_add(spans, start, scratch.start);
		if (err)
			return err;
		if (scratch.start < scratch.end)
			kho_mark_bad(scratch.start, scratch.end,
				     "in scratch memory");
		start = scratch.end;
	}

	return 0;
}

static int __init kho_clip_ram(struct kho_clip *clip, phys_addr_t start,
			       phys_addr_t end, struct kho_spans *spans)
{
	while (start < end) {
		const struct memblock_region *r;
		phys_addr_t stop = end;
		int err;

		r = kho_region_behind(&memblock.reserved, &clip->reserved, start);
		if (r && r->base <= start) {
			stop = min(end, r->base + r->size);
			kho_mark_bad(start, stop, "in use by this kernel");
			start = stop;
			continue;
		}

		if (r)
			stop = min(end, r->base);
		err = kho_clip_scratch(start, stop, spans);
		if (err)
			return err;
		start = stop;
	}

	return 0;
}

/* Notes how far memory is like that at @pos, so that most spans need no search. */
static void __init kho_clip_look_ahead(struct kho_clip *clip, phys_addr_t pos)
{
	struct memblock_region *ram;
	const struct memblock_region *used;
	phys_addr_t end;

	clip->free = (struct memblock_span){ };
	ram = kho_region_behind(&memblock.memory, &clip->memory, pos);
	used = kho_region_behind(&memblock.reserved, &clip->reserved, pos);
	if (!ram || ram->base > pos || memblock_is_nomap(ram))
		return;

	end = ram->base + ram->size;
	if (used)
		end = min(end, used->base);
	if (pos < end)
		clip->free = (struct memblock_span){
			pos, kho_scratch_in(pos, end).start
		};
}

static int __init kho_clip_span(struct kho_clip *clip,
				const struct memblock_span *span,
				struct kho_spans *spans)
{
	phys_addr_t start = span->start;

	if (clip->free.start <= start && span->end <= clip->free.end)
		return kho_spans_add(spans, start, span->end);

	while (start < span->end) {
		struct memblock_region *r;
		phys_addr_t stop = span->end;
		int err;

		r = kho_region_behind(&memblock.memory, &clip->memory, start);
		if (r)
			stop = min(stop, r->base > start ? r->base :
					 r->base + r->size);
		if (!r || r->base > start || memblock_is_nomap(r)) {
			kho_mark_bad(start, stop, "not in RAM");
		} else {
			err = kho_clip_ram(clip, start, stop, spans);
			if (err)
				return err;
		}
		start = stop;
	}

	kho_clip_look_ahead(clip, start);
	return 0;
}

/* The nodes of the map. */

struct kho_node_list {
	phys_addr_t *node;
	unsigned long nr;
	unsigned long max;
};

static int __init kho_count_node(phys_addr_t phys, void *data)
{
	struct kho_node_list *list = data;

	list->max++;
	return 0;
}

static int __init kho_collect_node(phys_addr_t phys, void *data)
{
	struct kho_node_list *list = data;

	list->node[list->nr++] = phys;
	return 0;
}

static int __init kho_cmp_nodes(const void *a, const void *b)
{
	const phys_addr_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int __init kho_nodes_collect(struct kho_node_list *list)
{
	const struct kho_radix_walk_cb count = { .node = kho_count_node };
	const struct kho_radix_walk_cb collect = { .node = kho_collect_node };
	int err;

	err = kho_radix_walk_tree(&kho_in.map, &count, list);
	if (err)
		return err;

	list->node = memblock_alloc(array_size(list->max, sizeof(*list->node)),
				    SMP_CACHE_BYTES);
	if (!list->node)
		return -ENOMEM;

	err = kho_radix_walk_tree(&kho_in.map, &collect, list);
	sort(list->node, list->nr, sizeof(*list->node), kho_cmp_nodes, NULL);

	/* To take a key out of a leaf must not change a table. */
	for (unsigned long i = 1; i < list->nr && !err; i++) {
		if (list->node[i - 1] != list->node[i])
			continue;
		pr_err("map of preserved memory has the node at %pa twice\n",
		       &list->node[i]);
		err = -EINVAL;
	}

	return err;
}

static void __init kho_nodes_free(struct kho_node_list *list)
{
	if (list->node)
		memblock_free(list->node, list->max * sizeof(*list->node));
}

/* All together. */

static int __init kho_spans_scan(struct kho_spans *spans,
				 const struct kho_node_list *nodes)
{
	static struct kho_merge merge __initdata;
	struct memblock_span span;
	struct kho_clip clip = { };
	int err = 0;

	kho_merge_init(&merge, nodes->node, nodes->nr);
	while (!err && kho_merge_next(&merge, &span))
		err = kho_clip_span(&clip, &span, spans);

	return err;
}

/* At most every run is a span, and those are cut by regions of memblock. */
static void __init kho_spans_alloc(struct kho_spans *spans,
				   const struct kho_node_list *nodes)
{
	spans->max = kho_radix_count_runs(&kho_in.map) + nodes->nr +
		     memblock.memory.cnt + memblock.reserved.cnt +
		     kho_scratch_cnt + KHO_SPARE_SPANS;

	while (spans->max > KHO_FEW_SPANS && !spans->span) {
		spans->span = memblock_alloc(array_size(spans->max,
							sizeof(*spans->span)),
					     SMP_CACHE_BYTES);
		if (!spans->span)
			spans->max /= 2;
	}

	if (!spans->span) {
		spans->span = kho_few_spans;
		spans->max = KHO_FEW_SPANS;
	}
}

static void __init kho_spans_free(struct kho_spans *spans)
{
	if (spans->span && spans->span != kho_few_spans)
		memblock_free(spans->span, spans->max * sizeof(*spans->span));
}

static int __init kho_spans_collect(struct kho_spans *spans)
{
	struct kho_node_list nodes = { };
	int err;

	err = kho_nodes_collect(&nodes);
	if (!err) {
		kho_spans_alloc(spans, &nodes);
		err = kho_spans_scan(spans, &nodes);
	}

	kho_nodes_free(&nodes);
	return err;
}

/*
 * With DEFERRED_STRUCT_PAGE_INIT not all struct pages are set up yet, and for
 * memory that is reserved with NOINIT nobody else will do it.  To find node and
 * zone takes longer than the rest, so that is done once in each pageblock.
 */
static void __init kho_init_struct_pages(const struct kho_spans *spans)
{
	unsigned long zone_known_to = 0;
	unsigned long zid = 0;
	int nid = NUMA_NO_NODE;

	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT))
		return;

	for (unsigned long i = 0; i < spans->nr; i++) {
		unsigned long pfn = PHYS_PFN(spans->span[i].start);
		unsigned long end = PHYS_PFN(spans->span[i].end);

		while (pfn < end) {
			/* A pageblock is in one node, but may be in two zones. */
			if (pfn >= zone_known_to) {
				struct page *page = pfn_to_page(pfn);

				nid = early_pfn_to_nid(pfn);
				init_deferred_page(pfn, nid);
				zid = page_zonenum(page);
				zone_known_to = min(pageblock_end_pfn(pfn),
						    zone_end_pfn(page_zone(page)));
				pfn++;
			}
			for (; pfn < min(end, zone_known_to); pfn++)
				__init_single_page(pfn_to_page(pfn), pfn, zid, nid);
		}
	}
}

/*
 * memblock may find no room for as many regions.  Preserved memory must not be
 * given away then, so go on in coarser pieces.
 */
static int __init kho_spans_reserve(struct kho_spans *spans)
{
	int err;

	do {
		err = memblock_reserve_sorted(spans->span, spans->nr,
					      MEMBLOCK_RSRV_NOINIT);
	} while (err && spans->nr > 1 && !kho_spans_coarsen(spans));

	if (!err)
		kho_init_struct_pages(spans);
	return err;
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

/**
 * kho_reserve_incoming - reserve all preserved memory in memblock
 *
 * Context: Early boot, as the last user of memblock before the page allocator.
 * Return: 0, or an error when what was handed over cannot be used: the map is
 * damaged, or there is no memory to work with.  Nothing is reserved then.
 */
int __init kho_reserve_incoming(void)
{
	struct kho_spans spans = { };
	int err;

	err = kho_spans_collect(&spans);
	if (!err && kho_nr_bad) {
		/* What is not in the map any more need not be reserved. */
		err = kho_forget_bad();
		kho_nr_bad = 0;
		kho_spans_free(&spans);
		spans = (struct kho_spans){ };
		if (!err)
			err = kho_spans_collect(&spans);
		if (!err)
			err = kho_forget_bad();
	}
	/* It may have been among what was forgotten. */
	if (!err)
		err = kho_check_root();
	if (!err)
		err = kho_spans_reserve(&spans);
	if (spans.coarse)
		pr_warn("short of memory: free memory between preserved pages stays unused\n");

	kho_spans_free(&spans);
	return err;
}
