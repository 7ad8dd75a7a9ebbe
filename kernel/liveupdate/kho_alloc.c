// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of memory that is RAM for the next kernel.
 *
 * The next kernel boots with the memory that this kernel was booted with.
 * Memory that was added to the running machine is not RAM when the next kernel
 * reads the memory map.  It cannot be preserved, and cannot hold metadata.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

#include "kho_alloc.h"

/**
 * kho_boot_memory_from - find the end of memory that was present at boot
 * @pfn: page frame to start at
 *
 * Context: Any.
 * Return: the first page frame after @pfn that has to be checked again, or @pfn
 * when its memory was added after boot.
 */
unsigned long kho_boot_memory_from(unsigned long pfn)
{
#if defined(CONFIG_MEMORY_HOTPLUG) && defined(CONFIG_SPARSEMEM)
	if (!early_section(__pfn_to_section(pfn)))
		return pfn;

	return SECTION_ALIGN_UP(pfn + 1);
#else
	return ULONG_MAX;
#endif
}

/* Free pages that were added after boot, and return NULL for them. */
static struct page *kho_keep_boot_pages(struct page *page, unsigned int order)
{
	if (!page || kho_boot_memory_from(page_to_pfn(page)) > page_to_pfn(page))
		return page;

	__free_pages(page, order);
	return NULL;
}

/**
 * kho_alloc_pages - allocate pages that can be preserved
 * @gfp: as for alloc_pages()
 * @order: order of the allocation
 *
 * Context: As @gfp allows.
 * Return: the first page, or NULL.
 */
struct page *kho_alloc_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);
	int nid;

	if (!page)
		return NULL;
	page = kho_keep_boot_pages(page, order);
	if (page)
		return page;

	/* Another node may have memory that was present at boot. */
	for_each_online_node(nid) {
		page = alloc_pages_node(nid, gfp | __GFP_THISNODE | __GFP_NOWARN,
					order);
		page = kho_keep_boot_pages(page, order);
		if (page)
			return page;
	}

	/* Low memory was present at boot, but is scarce, so try it last. */
	return kho_keep_boot_pages(alloc_pages(gfp | __GFP_DMA32, order), order);
}
