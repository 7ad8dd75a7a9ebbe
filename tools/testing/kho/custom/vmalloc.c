// SPDX-License-Identifier: GPL-2.0
/* Areas of vmalloc(), see vmalloc.h. */

#include "../shims.h"

static LIST_HEAD(areas);

struct vm_struct *find_vm_area(const void *addr)
{
	struct vm_struct *area;

	list_for_each_entry(area, &areas, list) {
		if (addr >= area->addr && addr < area->addr + area->size)
			return area;
	}
	return NULL;
}

struct page *vmalloc_to_page(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);

	return area->pages[(addr - area->addr) >> PAGE_SHIFT];
}

struct vm_struct *__get_vm_area_node(unsigned long size, unsigned long align,
				     unsigned long shift, unsigned long flags,
				     unsigned long start, unsigned long end,
				     int node, gfp_t gfp, const void *caller)
{
	struct vm_struct *area;

	BUG_ON(!size || align != BIT(shift) || !IS_ALIGNED(size, align));

	area = kzalloc(sizeof(*area), gfp);
	if (!area)
		return NULL;

	area->addr = kmalloc(size, gfp);
	if (!area->addr) {
		kfree(area);
		return NULL;
	}

	area->size = size;
	area->flags = flags;
	list_add_tail(&area->list, &areas);
	return area;
}

void free_vm_area(struct vm_struct *area)
{
	list_del(&area->list);
	kfree(area->addr);
	kfree(area);
}

/* The allocation of page tables may fail. */
int vmap_pages_range(unsigned long addr, unsigned long end, pgprot_t prot,
		     struct page **pages, unsigned int shift)
{
	if (sim_alloc_fails(GFP_KERNEL))
		return -ENOMEM;

	for (; addr < end; addr += PAGE_SIZE)
		memcpy((void *)addr, page_address(*pages++), PAGE_SIZE);
	return 0;
}

void *kasan_unpoison_vmalloc(void *addr, unsigned long size, kasan_vmalloc_flags_t flags)
{
	struct vm_struct *area = find_vm_area(addr);
	kasan_vmalloc_flags_t want = KASAN_VMALLOC_PROT_NORMAL;

	if (area->flags & VM_ALLOC)
		want |= KASAN_VMALLOC_VM_ALLOC;
	BUG_ON(size != area->size || flags != want || !(area->flags & VM_UNINITIALIZED));
	return addr;
}

void clear_vm_uninitialized_flag(struct vm_struct *area)
{
	area->flags &= ~VM_UNINITIALIZED;
}

static void free_pages_of(struct page **pages, unsigned long nr)
{
	while (nr)
		__free_page(pages[--nr]);
	kvfree(pages);
}

static struct page **alloc_pages_for(unsigned long nr, unsigned int order,
				     gfp_t gfp)
{
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), gfp);

	for (unsigned long i = 0; pages && i < nr; i += BIT(order)) {
		struct page *page = alloc_pages(gfp, order);

		if (!page) {
			free_pages_of(pages, i);
			return NULL;
		}
		split_page(page, order);
		for (unsigned long p = 0; p < BIT(order); p++) {
			pages[i + p] = page + p;
			mod_lruvec_page_state(page + p, NR_VMALLOC, 1);
		}
	}
	return pages;
}

static void *alloc_area(unsigned long size, unsigned long flags,
			unsigned int order, gfp_t gfp)
{
	unsigned int shift = PAGE_SHIFT + order;
	struct vm_struct *area;

	size = round_up(size, BIT(shift));
	area = __get_vm_area_node(size, BIT(shift), shift, flags, VMALLOC_START,
				  VMALLOC_END, NUMA_NO_NODE, gfp, NULL);
	if (!area)
		return NULL;

	area->pages = alloc_pages_for(size >> PAGE_SHIFT, order, gfp);
	if (!area->pages) {
		free_vm_area(area);
		return NULL;
	}

	area->nr_pages = size >> PAGE_SHIFT;
	area->page_order = order;
	if (gfp & __GFP_ZERO)
		memset(area->addr, 0, size);
	return area->addr;
}

void *vmalloc(unsigned long size)
{
	return alloc_area(size, VM_ALLOC, 0, GFP_KERNEL);
}

void *vmalloc_user(unsigned long size)
{
	return alloc_area(size, VM_ALLOC | VM_USERMAP, 0, GFP_KERNEL | __GFP_ZERO);
}

void *vmalloc_huge(unsigned long size, gfp_t gfp)
{
	unsigned int order = min(PMD_SHIFT - PAGE_SHIFT, MAX_PAGE_ORDER);

	return alloc_area(size, VM_ALLOC | VM_ALLOW_HUGE_VMAP,
			  size < PMD_SIZE ? 0 : order, gfp);
}

unsigned long sim_vmallocs;

void *__vmalloc(unsigned long size, gfp_t gfp)
{
	sim_vmallocs++;
	return alloc_area(size, VM_ALLOC, 0, gfp);
}

void vfree(const void *addr)
{
	struct vm_struct *area;

	if (!addr)
		return;

	area = find_vm_area(addr);
	BUG_ON(!area || area->addr != addr || !area->pages);
	BUG_ON(area->flags & VM_UNINITIALIZED);
	for (unsigned int i = 0; i < area->nr_pages; i++)
		BUG_ON(!area->pages[i]->vmalloced);
	free_pages_of(area->pages, area->nr_pages);
	free_vm_area(area);
}

void *vmap(struct page **pages, unsigned int nr, unsigned long flags,
	   pgprot_t prot)
{
	unsigned long size = (unsigned long)nr << PAGE_SHIFT;
	struct vm_struct *area;
	unsigned long addr;

	area = __get_vm_area_node(size, PAGE_SIZE, PAGE_SHIFT, flags,
				  VMALLOC_START, VMALLOC_END, NUMA_NO_NODE,
				  GFP_KERNEL, NULL);
	if (!area)
		return NULL;

	addr = (unsigned long)area->addr;
	if (vmap_pages_range(addr, addr + size, prot, pages, PAGE_SHIFT)) {
		free_vm_area(area);
		return NULL;
	}
	return area->addr;
}

void vunmap(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);

	BUG_ON(!area || area->addr != addr || area->pages);
	free_vm_area(area);
}

void sim_vmalloc_sync(void)
{
	struct vm_struct *area;

	list_for_each_entry(area, &areas, list) {
		for (unsigned int i = 0; i < area->nr_pages; i++)
			memcpy(page_address(area->pages[i]),
			       area->addr + i * PAGE_SIZE, PAGE_SIZE);
	}
}

void sim_vmalloc_forget(void)
{
	INIT_LIST_HEAD(&areas);
}
