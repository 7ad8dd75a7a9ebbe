// SPDX-License-Identifier: GPL-2.0
/*
 * Preserving and restoring of vmalloc areas.
 *
 * Names that have one meaning in this file:
 *
 * area		a virtually contiguous range, made of blocks
 * block	2^order contiguous pages, one entry of a chunk
 * chunk	one page of the list of blocks
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kasan.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/vmalloc.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "../../mm/vmalloc.h"
#include "kexec_handover_internal.h"
#include "kho_alloc.h"

KHO_NOTE(KHO_NOTE_STRUCTURE, "vmalloc", KHO_VMALLOC_COMPATIBLE,
	 KHO_VMALLOC_COMPATIBLE);

/* Supported areas: the next kernel has to recreate an area of the same kind. */
#define KHO_VMALLOC_VM_FLAGS	(VM_ALLOC | VM_ALLOW_HUGE_VMAP)
#define KHO_VMALLOC_FLAGS	(KHO_VMALLOC_ALLOC | KHO_VMALLOC_HUGE_VMAP)

static unsigned short kho_vmalloc_flags(unsigned long vm_flags)
{
	return (vm_flags & VM_ALLOC ? KHO_VMALLOC_ALLOC : 0) |
	       (vm_flags & VM_ALLOW_HUGE_VMAP ? KHO_VMALLOC_HUGE_VMAP : 0);
}

static unsigned long kho_vmalloc_vm_flags(unsigned short flags)
{
	return (flags & KHO_VMALLOC_ALLOC ? VM_ALLOC : 0) |
	       (flags & KHO_VMALLOC_HUGE_VMAP ? VM_ALLOW_HUGE_VMAP : 0);
}

/* A position in the list of blocks. */
struct kho_vmalloc_it {
	struct kho_vmalloc_chunk *chunk;
	unsigned int i;
};

/* Next block, or 0 after the last one. */
static phys_addr_t kho_vmalloc_next(struct kho_vmalloc_it *it)
{
	while (it->chunk) {
		if (it->i < ARRAY_SIZE(it->chunk->phys) &&
		    it->chunk->phys[it->i])
			return it->chunk->phys[it->i++];

		it->chunk = KHOSER_LOAD_PTR(it->chunk->hdr.next);
		it->i = 0;
	}

	return 0;
}

#define for_each_kho_vmalloc_block(phys, it, desc)			\
	for (it = (struct kho_vmalloc_it){				\
			.chunk = KHOSER_LOAD_PTR((desc)->first) };	\
	     (phys = kho_vmalloc_next(&it));)

/* Free an area with memory added after boot, and return NULL for it. */
static void *kho_keep_boot_area(void *area)
{
	struct vm_struct *vm = area ? find_vm_area(area) : NULL;

	for (unsigned int i = 0; vm && i < vm->nr_pages; i++) {
		unsigned long pfn = page_to_pfn(vm->pages[i]);

		if (kho_boot_memory_from(pfn) > pfn)
			continue;
		vfree(area);
		return NULL;
	}

	return area;
}

/**
 * kho_vzalloc - allocate an area that can be preserved
 * @size: number of bytes
 *
 * The same as vzalloc() on a machine without memory added after boot.
 * Never warns about @size.
 *
 * Context: May sleep.
 * Return: zeroed memory, or NULL.  Free it with vfree().
 */
void *kho_vzalloc(unsigned long size)
{
	void *area = __vmalloc(size, KHO_GFP);
	int nid;

	if (!area)
		return NULL;
	area = kho_keep_boot_area(area);
	if (area)
		return area;

	/* Try each node, and then low memory, as kho_alloc_pages() does. */
	for_each_online_node(nid) {
		area = __vmalloc_node(size, 1, KHO_GFP | __GFP_THISNODE, nid,
				      __builtin_return_address(0));
		area = kho_keep_boot_area(area);
		if (area)
			return area;
	}

	area = __vmalloc_node(size, 1, KHO_GFP | __GFP_DMA32, NUMA_NO_NODE,
			      __builtin_return_address(0));
	return kho_keep_boot_area(area);
}

/* Append a chunk to the list, or start the list. */
static struct kho_vmalloc_chunk *
kho_vmalloc_add_chunk(struct kho_vmalloc *desc, struct kho_vmalloc_chunk *last)
{
	struct kho_vmalloc_chunk *chunk = kho_alloc_preserve(sizeof(*chunk));

	if (IS_ERR(chunk))
		return chunk;

	if (last)
		KHOSER_STORE_PTR(last->hdr.next, chunk);
	else
		KHOSER_STORE_PTR(desc->first, chunk);
	return chunk;
}

static int kho_vmalloc_preserve_blocks(struct vm_struct *vm,
				       struct kho_vmalloc *desc)
{
	struct kho_preserve_batch batch = { };
	struct kho_vmalloc_chunk *chunk;
	unsigned int idx = 0;
	int err;

	chunk = kho_vmalloc_add_chunk(desc, NULL);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	for (unsigned int i = 0; i < vm->nr_pages; i += BIT(desc->order)) {
		if (idx == ARRAY_SIZE(chunk->phys)) {
			chunk = kho_vmalloc_add_chunk(desc, chunk);
			if (IS_ERR(chunk))
				return PTR_ERR(chunk);
			idx = 0;
		}

		err = kho_preserve_pages_batched(vm->pages[i],
						 BIT(desc->order), &batch);
		if (err)
			return err;
		chunk->phys[idx++] = page_to_phys(vm->pages[i]);
	}

	return 0;
}

/**
 * kho_preserve_vmalloc - preserve an area for the next kernel
 * @ptr: start of the area, from vmalloc(), vzalloc() or vmalloc_huge()
 * @preservation: set to the description of the area, which the caller has to
 *                hand over; undefined on failure
 *
 * The contents may be modified until kexec.  The area must not be freed until it
 * is unpreserved.
 *
 * Context: May sleep.
 * Return: 0, -EINVAL when @ptr is not the start of an area, -EOPNOTSUPP for an
 * area of another kind, -ENOMEM, or an error of kho_preserve_pages().  On error
 * nothing is preserved.
 */
int kho_preserve_vmalloc(void *ptr, struct kho_vmalloc *preservation)
{
	struct vm_struct *vm = find_vm_area(ptr);
	int err;

	if (!vm)
		return -EINVAL;
	if (vm->flags & ~KHO_VMALLOC_VM_FLAGS)
		return -EOPNOTSUPP;

	/* Set before the first failure: unpreserving needs it. */
	*preservation = (struct kho_vmalloc){
		.total_pages = vm->nr_pages,
		.flags = kho_vmalloc_flags(vm->flags),
		.order = get_vm_area_page_order(vm),
	};

	err = kho_vmalloc_preserve_blocks(vm, preservation);
	if (err)
		kho_unpreserve_vmalloc(preservation);
	return err;
}
EXPORT_SYMBOL_GPL(kho_preserve_vmalloc);

/**
 * kho_unpreserve_vmalloc - undo kho_preserve_vmalloc()
 * @preservation: the description; a second call does nothing
 *
 * Context: Any.
 */
void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation)
{
	struct kho_vmalloc_chunk *chunk, *next;
	struct kho_radix_cursor cursor = { };
	struct kho_vmalloc_it it;
	phys_addr_t phys;

	for_each_kho_vmalloc_block(phys, it, preservation)
		kho_unpreserve_pages_at(phys_to_page(phys),
					BIT(preservation->order), &cursor);

	for (chunk = KHOSER_LOAD_PTR(preservation->first); chunk; chunk = next) {
		next = KHOSER_LOAD_PTR(chunk->hdr.next);
		kho_unpreserve_free(chunk);
	}

	preservation->first.phys = 0;
}
EXPORT_SYMBOL_GPL(kho_unpreserve_vmalloc);

/*
 * Validate the description of an incoming area.  Return the fault, or NULL.
 *
 * The walk ends even if the list has a loop.  All chunks but the last one must
 * be full, so each of them adds blocks to @found, up to nr_blocks.
 */
static const char *kho_vmalloc_verify(const struct kho_vmalloc *desc)
{
	struct kho_radix_cursor cursor = { };
	unsigned long nr_blocks, found = 0;
	u64 next = desc->first.phys;

	if (desc->flags & ~KHO_VMALLOC_FLAGS)
		return "unknown flags";
	if (desc->order > MAX_PAGE_ORDER)
		return "order out of range";
	if (desc->total_pages > max_pfn)
		return "number of pages out of range";

	nr_blocks = desc->total_pages >> desc->order;
	if (!nr_blocks || desc->total_pages % BIT(desc->order))
		return "size misaligned to the order";

	while (next) {
		const struct kho_vmalloc_chunk *chunk;
		unsigned int i;

		cond_resched();
		if (!kho_pages_preserved(next, 1))
			return "chunk not preserved";
		chunk = phys_to_virt(next);

		for (i = 0; i < ARRAY_SIZE(chunk->phys) && chunk->phys[i]; i++) {
			if (found++ == nr_blocks)
				return "too many pages";
			if (!kho_pages_preserved_at(chunk->phys[i],
						    BIT(desc->order), &cursor))
				return "page not preserved";
		}

		next = chunk->hdr.next.phys;
		if (next && i < ARRAY_SIZE(chunk->phys))
			return "partial chunk before the last one";
	}

	return found == nr_blocks ? NULL : "pages missing";
}

/**
 * kho_vmalloc_check - check whether an area can be restored
 * @preservation: the description of the area
 *
 * Context: May sleep.
 * Return: 0 when the description is valid, -EOPNOTSUPP when the previous kernel
 * had another version of descriptions, -EINVAL when the description is invalid.
 * A list that has a page twice is only refused by kho_restore_vmalloc().
 */
int kho_vmalloc_check(const struct kho_vmalloc *preservation)
{
	const char *why;

	if (kho_incoming_differs(KHO_VMALLOC_COMPATIBLE)) {
		pr_err_ratelimited("vmalloc: incompatible version (previous kernel does not have %s)\n",
				   KHO_VMALLOC_COMPATIBLE);
		return -EOPNOTSUPP;
	}

	kho_incoming_get();
	why = kho_vmalloc_verify(preservation);
	kho_incoming_put();
	if (why) {
		pr_err_ratelimited("vmalloc area: %s (%u pages)\n", why,
				   preservation->total_pages);
		return -EINVAL;
	}

	return 0;
}

static void kho_vmalloc_fill_pages(const struct kho_vmalloc *desc,
				   struct page **pages)
{
	struct kho_vmalloc_it it;
	unsigned int idx = 0;
	phys_addr_t phys;

	for_each_kho_vmalloc_block(phys, it, desc) {
		for (unsigned int i = 0; i < BIT(desc->order); i++)
			pages[idx++] = phys_to_page(phys) + i;
	}
}

/*
 * Restore the pages.  After kho_vmalloc_verify(), this only fails if the list
 * has a page twice, or if another caller restores a page of the area.  The pages
 * that are already restored are freed then.
 */
static int kho_vmalloc_take_pages(const struct kho_vmalloc *desc,
				  struct page **pages)
{
	unsigned int idx, nr = BIT(desc->order);
	struct kho_restore_batch batch = { };

	for (idx = 0; idx < desc->total_pages; idx += nr) {
		if (!kho_restore_pages_batched(page_to_phys(pages[idx]), nr,
					       &batch))
			break;
		cond_resched();
	}

	kho_restore_batch_end(&batch);
	if (idx < desc->total_pages)
		goto err_free;

	for (unsigned int i = 0; i < desc->total_pages; i++)
		mod_lruvec_page_state(pages[i], NR_VMALLOC, 1);
	return 0;

err_free:
	while (idx)
		__free_page(pages[--idx]);
	return -ENOENT;
}

static void kho_vmalloc_free_chunks(const struct kho_vmalloc *desc)
{
	struct kho_vmalloc_chunk *chunk, *next;

	for (chunk = KHOSER_LOAD_PTR(desc->first); chunk; chunk = next) {
		next = KHOSER_LOAD_PTR(chunk->hdr.next);
		kho_restore_free(chunk);
	}
}

static struct vm_struct *kho_vmalloc_map(const struct kho_vmalloc *desc,
					 struct page **pages, void *caller)
{
	unsigned long size = (unsigned long)desc->total_pages << PAGE_SHIFT;
	unsigned int shift = PAGE_SHIFT + desc->order;
	struct vm_struct *area;
	unsigned long addr;

	area = __get_vm_area_node(size, BIT(shift), shift,
				  kho_vmalloc_vm_flags(desc->flags) |
				  VM_UNINITIALIZED,
				  VMALLOC_START, VMALLOC_END, NUMA_NO_NODE,
				  GFP_KERNEL, caller);
	if (!area)
		return NULL;

	addr = (unsigned long)area->addr;
	if (vmap_pages_range(addr, addr + size, PAGE_KERNEL, pages, shift)) {
		free_vm_area(area);
		return NULL;
	}

	return area;
}

static void *kho_vmalloc_finish(const struct kho_vmalloc *desc,
				struct vm_struct *area, struct page **pages)
{
	kasan_vmalloc_flags_t kasan_flags = KASAN_VMALLOC_PROT_NORMAL;

	area->pages = pages;
	area->nr_pages = desc->total_pages;
#ifdef CONFIG_HAVE_ARCH_HUGE_VMALLOC
	area->page_order = desc->order;
#endif

	if (desc->flags & KHO_VMALLOC_ALLOC)
		kasan_flags |= KASAN_VMALLOC_VM_ALLOC;
	area->addr = kasan_unpoison_vmalloc(area->addr,
					    (unsigned long)desc->total_pages <<
					    PAGE_SHIFT, kasan_flags);
	clear_vm_uninitialized_flag(area);

	return area->addr;
}

static void *kho_vmalloc_restore(const struct kho_vmalloc *desc, void *caller)
{
	struct vm_struct *area;
	struct page **pages;

	if (kho_vmalloc_check(desc))
		return NULL;

	/* Allocate everything before the first page is restored. */
	pages = kvmalloc_array(desc->total_pages, sizeof(*pages),
			       GFP_KERNEL | __GFP_NOWARN);
	if (!pages)
		return NULL;

	kho_vmalloc_fill_pages(desc, pages);
	area = kho_vmalloc_map(desc, pages, caller);
	if (!area)
		goto err_free_pages;

	if (kho_vmalloc_take_pages(desc, pages))
		goto err_free_area;

	kho_vmalloc_free_chunks(desc);
	return kho_vmalloc_finish(desc, area, pages);

err_free_area:
	free_vm_area(area);
err_free_pages:
	kvfree(pages);
	return NULL;
}

/**
 * kho_restore_vmalloc - restore an area of the previous kernel
 * @preservation: the description of the area
 *
 * The area has the same pages at another virtual address, and is freed with
 * vfree().
 *
 * Context: May sleep.
 * Return: start of the area, or NULL.  After a failure, kho_vmalloc_check()
 * returns the reason: 0 means that an allocation failed, and the call may be
 * repeated.  On failure nothing is restored, except for a list that has a page
 * twice: a part of its pages is freed.
 */
void *kho_restore_vmalloc(const struct kho_vmalloc *preservation)
{
	void *area;

	kho_incoming_get();
	area = kho_vmalloc_restore(preservation, __builtin_return_address(0));
	kho_incoming_put();

	return area;
}
EXPORT_SYMBOL_GPL(kho_restore_vmalloc);
