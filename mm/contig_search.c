// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of large contiguous ranges within limits.
 *
 * alloc_contig_pages() only tries ranges that are aligned to their size.  When
 * most of the memory is needed, few of them exist.  Here memory is divided into
 * blocks of the alignment of the caller, and a range may start at any block.
 * Blocks that the caller refuses, or that have an unmovable page, are not tried.
 *
 * The pageblocks at both ends of a range must not have unmovable pages either.
 * With pages of 64 KiB, a pageblock has 512 MiB, and such a range may not exist.
 * Therefore the free lists of the page allocator are tried as well.
 */

#include <linux/align.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/memory_hotplug.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/page-isolation.h>
#include <linux/sched/signal.h>

#include "contig_search.h"

/*
 * Maximum number of failed attempts in a zone.  Attempts are expensive: each
 * isolates and drains a range.
 */
#define CONTIG_SEARCH_TRIES	16

/* The checks of alloc_contig_range(), without locks: the result may change. */
static bool contig_is_movable(struct zone *zone, unsigned long pfn,
			      unsigned long end)
{
	while (pfn < end) {
		struct page *page = pfn_to_online_page(pfn);
		unsigned long step = 1;

		/* HugeTLB pages are reserved by their users. */
		if (!page || page_zone(page) != zone || PageHuge(page) ||
		    is_migrate_cma_page(page) || is_migrate_isolate_page(page) ||
		    page_is_unmovable(zone, page, PB_ISOLATE_MODE_OTHER, &step))
			return false;
		/*
		 * Memory that is pinned for a device may stay pinned for a long
		 * time.
		 */
		if (PageLRU(page) && folio_maybe_dma_pinned(page_folio(page)))
			return false;
		pfn += step;
	}

	return true;
}

/* alloc_contig_range() isolates whole pageblocks at both ends. */
static bool contig_ends_are_movable(struct zone *zone, unsigned long pfn,
				    unsigned long end)
{
	return contig_is_movable(zone, pageblock_start_pfn(pfn), pfn) &&
	       contig_is_movable(zone, end, pageblock_align(end));
}

/* Allocate the highest range of the zone, to leave low memory to other users. */
static unsigned long contig_search_zone(struct zone *zone,
					const struct contig_search *search,
					unsigned long nr_pages)
{
	unsigned long align = search->align;
	unsigned long first = ALIGN(max(zone->zone_start_pfn, search->start), align);
	unsigned long end = ALIGN_DOWN(min(zone_end_pfn(zone), search->end), align);
	unsigned int tries = CONTIG_SEARCH_TRIES;

	for (unsigned long pfn = end; pfn >= first + align && tries;) {
		pfn -= align;
		cond_resched();
		if (fatal_signal_pending(current))
			return 0;

		if (!search->usable(pfn, align) ||
		    !contig_is_movable(zone, pfn, pfn + align)) {
			end = pfn;
			continue;
		}
		if (end - pfn < nr_pages)
			continue;

		if (contig_ends_are_movable(zone, pfn, end)) {
			if (!alloc_contig_range(pfn, end, ACR_FLAGS_NONE,
						GFP_KERNEL | __GFP_NOWARN))
				return pfn;
			tries--;
		}

		/* Only skip a part of the range: the rest may be movable. */
		end -= max(ALIGN_DOWN(nr_pages / 4, align), align);
		end = min(end, ALIGN_DOWN(pageblock_start_pfn(end + align - 1), align));
		pfn = min(pfn, end);
	}

	return 0;
}

static bool contig_is_usable(const struct contig_search *search, unsigned long pfn,
			     unsigned long nr_pages)
{
	if (pfn < search->start || pfn + nr_pages > search->end)
		return false;

	for (unsigned long i = 0; i < nr_pages; i += search->align) {
		if (!search->usable(pfn + i, search->align))
			return false;
	}

	return true;
}

/* Allocate from the free lists of the zone, or of a lower zone on its node. */
static unsigned long contig_alloc_free(struct zone *zone,
				       const struct contig_search *search,
				       unsigned long nr_pages)
{
	static const gfp_t limit[MAX_NR_ZONES] = {
#ifdef CONFIG_ZONE_DMA
		[ZONE_DMA] = __GFP_DMA,
#endif
#ifdef CONFIG_ZONE_DMA32
		[ZONE_DMA32] = __GFP_DMA32,
#endif
	};
	gfp_t gfp = limit[zone_idx(zone)] | GFP_KERNEL | __GFP_THISNODE |
		    __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int order = get_order(nr_pages << PAGE_SHIFT);
	struct page *page;
	unsigned long pfn;

	if (order > MAX_PAGE_ORDER)
		return 0;

	page = alloc_pages_node(zone_to_nid(zone), gfp, order);
	if (!page)
		return 0;

	pfn = page_to_pfn(page);
	if (!contig_is_usable(search, pfn, nr_pages)) {
		__free_pages(page, order);
		return 0;
	}

	split_page(page, order);
	free_contig_range(pfn + nr_pages, (1UL << order) - nr_pages);

	return pfn;
}

/**
 * contig_search_alloc - allocate contiguous pages within limits
 * @search: limits of the search
 * @nr_pages: number of pages, a multiple of the alignment
 *
 * Higher zones are tried first, and in a zone higher addresses.  ZONE_MOVABLE is
 * not used.  Movable pages in the range are migrated.  The OOM killer is not
 * invoked.  Each page has a reference of its own; free_contig_range() frees them.
 *
 * Context: May sleep.
 * Return: the first page frame, or 0.
 */
unsigned long contig_search_alloc(const struct contig_search *search,
				  unsigned long nr_pages)
{
	unsigned long pfn;
	int nid;

	if (!nr_pages)
		return 0;

	for (int type = ZONE_NORMAL; type >= 0; type--) {
		for_each_online_node(nid) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[type];

			if (!populated_zone(zone) ||
			    (search->nid != NUMA_NO_NODE && search->nid != nid))
				continue;

			pfn = contig_search_zone(zone, search, nr_pages);
			if (!pfn)
				pfn = contig_alloc_free(zone, search, nr_pages);
			if (pfn)
				return pfn;
		}
	}

	return 0;
}
