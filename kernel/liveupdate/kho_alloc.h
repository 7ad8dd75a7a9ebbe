/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KHO_ALLOC_H
#define LINUX_KHO_ALLOC_H

#include <linux/gfp_types.h>

struct page;

/*
 * Preserving memory must not kill tasks: an allocation fails instead of invoking
 * the OOM killer.
 */
#define KHO_GFP	(GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

unsigned long kho_boot_memory_from(unsigned long pfn);
struct page *kho_alloc_pages(gfp_t gfp, unsigned int order);

#endif /* LINUX_KHO_ALLOC_H */
