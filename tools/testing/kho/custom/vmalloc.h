/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Areas of vmalloc().  A page cannot be mapped twice here, so an area is a copy
 * of its pages: it is filled when the pages are mapped, and copied back to them
 * before the next kernel boots.
 */
#ifndef KHO_CUSTOM_VMALLOC_H
#define KHO_CUSTOM_VMALLOC_H

#include "memory.h"

#define VM_ALLOC		0x0001UL
#define VM_MAP			0x0002UL
#define VM_USERMAP		0x0004UL
#define VM_UNINITIALIZED	0x0008UL
#define VM_ALLOW_HUGE_VMAP	0x0010UL

#define VMALLOC_START		0UL
#define VMALLOC_END		ULONG_MAX

typedef int pgprot_t;
#define PAGE_KERNEL		0

struct vm_struct {
	struct list_head list;
	void *addr;
	unsigned long size;
	unsigned long flags;
	struct page **pages;
	unsigned int nr_pages;
	unsigned int page_order;
};

void *vmalloc(unsigned long size);
void *vmalloc_user(unsigned long size);
void *vmalloc_huge(unsigned long size, gfp_t gfp);
void *__vmalloc(unsigned long size, gfp_t gfp);
/* Number of calls of __vmalloc(). */
extern unsigned long sim_vmallocs;
#define __vmalloc_node(size, align, gfp, nid, caller)	((void)(nid), __vmalloc(size, gfp))
void vfree(const void *addr);
void *vmap(struct page **pages, unsigned int nr, unsigned long flags,
	   pgprot_t prot);
void vunmap(const void *addr);

struct vm_struct *find_vm_area(const void *addr);
struct page *vmalloc_to_page(const void *addr);
struct vm_struct *__get_vm_area_node(unsigned long size, unsigned long align,
				     unsigned long shift, unsigned long flags,
				     unsigned long start, unsigned long end,
				     int node, gfp_t gfp, const void *caller);
int vmap_pages_range(unsigned long addr, unsigned long end, pgprot_t prot,
		     struct page **pages, unsigned int shift);
void free_vm_area(struct vm_struct *area);
void clear_vm_uninitialized_flag(struct vm_struct *area);

#define CONFIG_HAVE_ARCH_HUGE_VMALLOC	1

/*
 * kasan_unpoison_vmalloc() checks that an area is unpoisoned once, as a whole,
 * and with the right flags.
 */
typedef unsigned int kasan_vmalloc_flags_t;
#define KASAN_VMALLOC_PROT_NORMAL	1
#define KASAN_VMALLOC_VM_ALLOC		2
void *kasan_unpoison_vmalloc(void *addr, unsigned long size, kasan_vmalloc_flags_t flags);

static inline unsigned int get_vm_area_page_order(struct vm_struct *area)
{
	return area->page_order;
}

static inline bool is_vmalloc_addr(const void *addr)
{
	return find_vm_area(addr);
}

/* Writes the areas back to their pages. */
void sim_vmalloc_sync(void);
void sim_vmalloc_forget(void);

#endif /* KHO_CUSTOM_VMALLOC_H */
