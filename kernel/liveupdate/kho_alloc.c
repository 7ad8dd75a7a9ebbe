// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that the next kernel will have.
 *
 * It is told of the memory that this kernel was booted with.  Memory that was
 * added to the running machine is not RAM to it when the memory map is read, so
 * nothing in there can be preserved, and no metadata may be there.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

#include "kho_alloc.h"

/**
 * kho_boot_memory_from - find the end of memory that was there at boot
 * @pfn: page frame to start at
 *
 * Context: Any.
 * Return: the first page frame after @pfn that has to be looked at by itself,
 * or @pfn when its memory was added after boot.
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

/* Frees other pages and returns NULL. */
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
 * Context: That of @gfp.
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

	/* Another node may have memory of boot left. */
	for_each_online_node(nid) {
		page = alloc_pages_node(nid, gfp | __GFP_THISNODE | __GFP_NOWARN,
					order);
		page = kho_keep_boot_pages(page, order);
		if (page)
			return page;
	}

	/* Low memory is scarce, and never added to a running machine. */
	return kho_keep_boot_pages(alloc_pages(gfp | __GFP_DMA32, order), order);
}
