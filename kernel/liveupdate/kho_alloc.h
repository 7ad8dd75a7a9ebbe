/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KHO_ALLOC_H
#define LINUX_KHO_ALLOC_H

#include <linux/gfp_types.h>

struct page;

unsigned long kho_boot_memory_from(unsigned long pfn);
struct page *kho_alloc_pages(gfp_t gfp, unsigned int order);

#endif /* LINUX_KHO_ALLOC_H */
