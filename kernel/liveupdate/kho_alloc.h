/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KHO_ALLOC_H
#define LINUX_KHO_ALLOC_H

#include <linux/gfp_types.h>

struct page;

/*
 * What is preserved is kept from everybody else, and nobody shall be killed for
 * it: there is no OOM killer.  Users are told by an error.
 */
#define KHO_GFP	(GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

unsigned long kho_boot_memory_from(unsigned long pfn);
struct page *kho_alloc_pages(gfp_t gfp, unsigned int order);

#endif /* LINUX_KHO_ALLOC_H */
