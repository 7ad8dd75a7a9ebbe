/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_CONTIG_SEARCH_H
#define _MM_CONTIG_SEARCH_H

#include <linux/types.h>

/**
 * struct contig_search - limits of a search for contiguous memory
 * @start: first page frame
 * @end: page frame after the last one
 * @nid: NUMA node of the memory, or %NUMA_NO_NODE for any node
 * @align: alignment in pages, a power of two
 * @usable: check whether a block of @align pages may be allocated
 */
struct contig_search {
	unsigned long start;
	unsigned long end;
	int nid;
	unsigned long align;
	bool (*usable)(unsigned long pfn, unsigned long nr_pages);
};

unsigned long contig_search_alloc(const struct contig_search *search,
				  unsigned long nr_pages);

#endif /* _MM_CONTIG_SEARCH_H */
