// SPDX-License-Identifier: GPL-2.0
/*
 * Pages and folios that are handed from kernel to kernel.
 *
 * To preserve memory is to put the keys of its blocks into the outgoing map.
 * Memory from the previous kernel is reserved from early boot on, belongs to
 * nobody, and its struct pages are not touched.  Restoring it takes its key out
 * of the incoming map, once, and only then sets up its struct pages; memory
 * that more than one key stands for is not restored.  What is still in that map
 * has not been claimed.
 *
 * Neither side has a machine-wide lock on the way to a page.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/count_zeros.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/pgalloc_tag.h>
#include <linux/printk.h>

#include "kexec_handover_internal.h"

/* Largest order of a block at @pfn: its address is a multiple of its size. */
static unsigned int kho_max_order_at(unsigned long pfn, unsigned int max)
{
	return pfn ? min_t(unsigned int, count_trailing_zeros(pfn), max) : max;
}

/* Preserving: the out side. */

/* For mistakes of a caller, who is found with CONFIG_KEXEC_HANDOVER_DEBUG. */
#define kho_debug_report(fmt, ...)					\
do {									\
	pr_err_ratelimited(fmt, ##__VA_ARGS__);				\
	if (IS_ENABLED(CONFIG_KEXEC_HANDOVER_DEBUG))			\
		dump_stack();						\
} while (0)

static int kho_preserve_block(unsigned long pfn, unsigned int order,
			      struct kho_radix_cursor *cursor)
{
	return kho_radix_add_key_at(&kho_out.map,
				    kho_encode_key(PFN_PHYS(pfn), order),
				    cursor);
}

static void kho_unpreserve_block(unsigned long pfn, unsigned int order,
				 struct kho_radix_cursor *cursor)
{
	unsigned long key = kho_encode_key(PFN_PHYS(pfn), order);

	if (!kho_radix_take_key_at(&kho_out.map, key, cursor))
		kho_debug_report("pfn %#lx of order %u is not preserved\n", pfn,
				 order);
}

/* Memory between scratch areas: all of it can be kept. */
struct kho_gap {
	phys_addr_t start;
	phys_addr_t end;
};

/*
 * Scratch memory is overwritten by the next kernel, so it cannot be kept.  @gap
 * is where the memory before was; what comes next is most likely there, too.
 */
static int kho_check_preservable(unsigned long pfn, unsigned long nr_pages,
				 struct kho_gap *gap)
{
	phys_addr_t phys = PFN_PHYS(pfn), end = phys + PFN_PHYS(nr_pages);

	if (!kho_out.map.root)
		return -EOPNOTSUPP;

	if (phys < gap->start || end > gap->end)
		*gap = (struct kho_gap){ phys, kho_scratch_from(phys) };

	if (end > gap->end) {
		kho_debug_report("%lu pages at %pa are scratch memory and cannot be preserved\n",
				 nr_pages, &phys);
		return -EINVAL;
	}

	return 0;
}

/**
 * kho_preserve_folio - hand a folio over to the next kernel
 * @folio: the folio; it must stay where it is, and must not be freed, until it
 *         is unpreserved
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when there is no Kexec Handover, -EINVAL when the
 * folio is in scratch memory, or -ENOMEM.
 */
int kho_preserve_folio(struct folio *folio)
{
	return kho_preserve_folios(&folio, 1);
}
EXPORT_SYMBOL_GPL(kho_preserve_folio);

/**
 * kho_preserve_folios - kho_preserve_folio() for many
 * @folios: the folios, best in ascending order of their addresses
 * @nr: number of folios
 *
 * Context: May sleep.
 * Return: 0, or an error as from kho_preserve_folio(); none is preserved then.
 */
int kho_preserve_folios(struct folio **folios, unsigned long nr)
{
	struct kho_radix_cursor cursor = { };
	struct kho_gap gap = { };
	unsigned long done;
	int err = 0;

	for (done = 0; done < nr; done++) {
		unsigned long pfn = folio_pfn(folios[done]);
		unsigned int order = folio_order(folios[done]);

		err = kho_check_preservable(pfn, BIT(order), &gap);
		if (!err)
			err = kho_preserve_block(pfn, order, &cursor);
		if (err)
			break;
	}

	if (err)
		kho_unpreserve_folios(folios, done);

	return err;
}
EXPORT_SYMBOL_GPL(kho_preserve_folios);

/**
 * kho_unpreserve_folio - undo kho_preserve_folio()
 * @folio: a preserved folio, of the same order as then
 *
 * Context: Any.
 */
void kho_unpreserve_folio(struct folio *folio)
{
	kho_unpreserve_folios(&folio, 1);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_folio);

/**
 * kho_unpreserve_folios - undo kho_preserve_folios()
 * @folios: preserved folios, of the same orders as then
 * @nr: number of folios; they need not be those of one call
 *
 * Context: Any.
 */
void kho_unpreserve_folios(struct folio **folios, unsigned long nr)
{
	struct kho_radix_cursor cursor = { };

	for (unsigned long i = 0; i < nr; i++)
		kho_unpreserve_block(folio_pfn(folios[i]),
				     folio_order(folios[i]), &cursor);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_folios);

/*
 * Order of the block that starts at @pfn when [pfn, end) is cut into blocks.
 *
 * A block must not have pages of two nodes, because the next kernel handles it
 * by its first page.  Nodes do not alternate within a MAX_PAGE_ORDER block, so
 * there a look at both ends is enough.
 */
static unsigned int kho_block_order(unsigned long pfn, unsigned long end)
{
	int max = nr_online_nodes == 1 ? KHO_MAX_ORDER : MAX_PAGE_ORDER;
	unsigned int order = kho_max_order_at(pfn, min(max, ilog2(end - pfn)));

	while (pfn_to_nid(pfn) != pfn_to_nid(pfn + BIT(order) - 1))
		order--;

	return order;
}

/*
 * Order of the block in @map that is the part of [pfn, end) from @pfn on, or
 * -ENOENT.
 *
 * Whoever cut the blocks may have cut smaller ones than kho_block_order() does
 * here and now, because of its nodes for one.  So ask for all that are
 * possible, the likely one first.
 */
static int kho_find_block(const struct kho_radix_tree *map, unsigned long pfn,
			  unsigned long end)
{
	unsigned int max = min(KHO_MAX_ORDER, ilog2(end - pfn));

	for (int order = kho_max_order_at(pfn, max); order >= 0; order--) {
		if (kho_radix_test_key(map, kho_encode_key(PFN_PHYS(pfn), order)))
			return order;
	}

	return -ENOENT;
}

static void kho_unpreserve_range(unsigned long pfn, unsigned long end)
{
	struct kho_radix_cursor cursor = { };

	while (pfn < end) {
		int order = kho_find_block(&kho_out.map, pfn, end);

		/* With no block at all, the smallest one is reported. */
		order = max(order, 0);
		kho_unpreserve_block(pfn, order, &cursor);
		pfn += BIT(order);
	}
}

/**
 * kho_preserve_pages - hand contiguous pages over to the next kernel
 * @page: the first page; none may be freed until they are unpreserved
 * @nr_pages: number of pages
 *
 * The next kernel gets them as pages of order 0, from kho_restore_pages().
 *
 * Context: May sleep.
 * Return: 0, or an error as from kho_preserve_folio(); nothing is preserved
 * then.
 */
int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long start = page_to_pfn(page);
	unsigned long end = start + nr_pages;
	unsigned long pfn = start;
	struct kho_radix_cursor cursor = { };
	struct kho_gap gap = { };
	int err;

	err = kho_check_preservable(start, nr_pages, &gap);

	while (!err && pfn < end) {
		unsigned int order = kho_block_order(pfn, end);

		err = kho_preserve_block(pfn, order, &cursor);
		if (!err)
			pfn += BIT(order);
	}

	if (err)
		kho_unpreserve_range(start, pfn);

	return err;
}
EXPORT_SYMBOL_GPL(kho_preserve_pages);

/**
 * kho_unpreserve_pages - undo kho_preserve_pages()
 * @page: the first page
 * @nr_pages: number of pages; both as they were given then
 *
 * Context: Any.
 */
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long pfn = page_to_pfn(page);

	kho_unpreserve_range(pfn, pfn + nr_pages);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_pages);

/**
 * kho_alloc_preserve - allocate memory that is handed over
 * @size: number of bytes, rounded up to a power of two of pages
 *
 * Context: May sleep.
 * Return: zeroed, physically contiguous memory, or an ERR_PTR(): -EINVAL for a
 * size of 0, -E2BIG for one beyond MAX_PAGE_ORDER, -ENOMEM, or an error of
 * kho_preserve_folio().  To be freed with kho_unpreserve_free(), or, in the
 * next kernel, with kho_restore_free().
 */
void *kho_alloc_preserve(size_t size)
{
	struct folio *folio;
	int order, err;

	if (!size)
		return ERR_PTR(-EINVAL);

	order = get_order(size);
	if (order > MAX_PAGE_ORDER)
		return ERR_PTR(-E2BIG);

	folio = folio_alloc(GFP_KERNEL | __GFP_ZERO, order);
	if (!folio)
		return ERR_PTR(-ENOMEM);

	err = kho_preserve_folio(folio);
	if (err) {
		folio_put(folio);
		return ERR_PTR(err);
	}

	return folio_address(folio);
}
EXPORT_SYMBOL_GPL(kho_alloc_preserve);

/**
 * kho_unpreserve_free - free memory that was to be handed over
 * @mem: from kho_alloc_preserve() of this kernel, or NULL
 *
 * Context: Any.
 */
void kho_unpreserve_free(void *mem)
{
	struct folio *folio;

	if (!mem)
		return;

	folio = virt_to_folio(mem);
	kho_unpreserve_folio(folio);
	folio_put(folio);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_free);

/* Restoring: the in side. */

/* Restored pages after which the reserves of zones are calculated anew. */
#define KHO_RESERVES_STEP	1024

static bool kho_in_take_block(unsigned long pfn, unsigned int order)
{
	return kho_radix_take_key(&kho_in.map,
				  kho_encode_key(PFN_PHYS(pfn), order));
}

/*
 * What adjust_managed_page_count() does for pages of one zone.  But the reserves
 * of all zones, which are a small part of what they manage, take longer to
 * calculate than many pages take to restore: they follow in steps.
 */
static void kho_count_pages(struct page *page, unsigned long nr_pages)
{
	static atomic_long_t since_last;

	atomic_long_add(nr_pages, &page_zone(page)->managed_pages);
	totalram_pages_add(nr_pages);

	if (atomic_long_add_return(nr_pages, &since_last) >= KHO_RESERVES_STEP) {
		atomic_long_set(&since_last, 0);
		adjust_managed_page_count(page, 0);
	}
}

static void kho_batch_count(struct kho_restore_batch *batch, struct page *page,
			    unsigned long nr_pages)
{
	if (batch->nr_pages && page_zone_id(batch->page) != page_zone_id(page))
		kho_restore_batch_end(batch);

	batch->page = page;
	batch->nr_pages += nr_pages;
}

/**
 * kho_restore_batch_end - count what has been restored in a batch
 * @batch: the batch; it may go on afterwards
 *
 * Context: Any.
 */
void kho_restore_batch_end(struct kho_restore_batch *batch)
{
	if (batch->nr_pages)
		kho_count_pages(batch->page, batch->nr_pages);
	batch->nr_pages = 0;
}
EXPORT_SYMBOL_GPL(kho_restore_batch_end);

static void kho_init_page(struct page *page, int refcount)
{
	set_page_count(page, refcount);
	/* The allocation that this page came from is not in our profile. */
	clear_page_tag_ref(page);
}

static struct folio *kho_init_folio(struct page *page, unsigned int order)
{
	kho_init_page(page, 1);

	if (order) {
		for (unsigned long i = 1; i < BIT(order); i++)
			set_page_count(page + i, 0);
		prep_compound_page(page, order);
	}

	/* It is no tail page. */
	return (struct folio *)page;
}

static bool kho_batch_take(struct kho_restore_batch *batch, unsigned long pfn,
			   unsigned int order)
{
	unsigned long key = kho_encode_key(PFN_PHYS(pfn), order);

	if (!kho_radix_take_key_at(&kho_in.map, key, &batch->cursor))
		return false;

	batch->order = order;
	return true;
}

/* Memory goes online and offline in larger pieces than pageblocks. */
static struct page *kho_batch_online_page(const struct kho_restore_batch *batch,
					  unsigned long pfn)
{
	if (batch->page && pageblock_start_pfn(page_to_pfn(batch->page)) ==
			   pageblock_start_pfn(pfn))
		return pfn_to_page(pfn);

	return pfn_to_online_page(pfn);
}

/* The order that a folio had, most likely that of the one before, or -ENOENT. */
static int kho_batch_take_folio(struct kho_restore_batch *batch,
				unsigned long pfn)
{
	unsigned int order = batch->order, max;

	/* Order 0 is possible anywhere. */
	if ((!order || order <= kho_max_order_at(pfn, MAX_FOLIO_ORDER)) &&
	    kho_batch_take(batch, pfn, order))
		return order;

	max = kho_max_order_at(pfn, MAX_FOLIO_ORDER);
	for (order = 0; order <= max; order++) {
		if (kho_batch_take(batch, pfn, order))
			return order;
	}

	return -ENOENT;
}

/**
 * kho_restore_folio_batched - kho_restore_folio() for one of many
 * @phys: address of the folio
 * @batch: what it has in common with the others
 *
 * Context: Any, after the page allocator is up.
 * Return: As kho_restore_folio().
 */
struct folio *kho_restore_folio_batched(phys_addr_t phys,
					struct kho_restore_batch *batch)
{
	unsigned long pfn = PHYS_PFN(phys);
	struct page *page = kho_batch_online_page(batch, pfn);
	int order;

	if (!page || !PAGE_ALIGNED(phys))
		return NULL;

	order = kho_batch_take_folio(batch, pfn);
	if (order < 0)
		return NULL;

	kho_batch_count(batch, page, BIT(order));
	return kho_init_folio(page, order);
}
EXPORT_SYMBOL_GPL(kho_restore_folio_batched);

/**
 * kho_restore_folio - take over a folio from the previous kernel
 * @phys: address of the folio
 *
 * Works once for each folio.
 *
 * Context: Any, after the page allocator is up.
 * Return: the folio, of the order it had, with a reference for the caller;
 * NULL when no folio was handed over at @phys or it was taken already.
 */
struct folio *kho_restore_folio(phys_addr_t phys)
{
	struct kho_restore_batch batch = { };
	struct folio *folio = kho_restore_folio_batched(phys, &batch);

	kho_restore_batch_end(&batch);
	return folio;
}
EXPORT_SYMBOL_GPL(kho_restore_folio);

/**
 * kho_pages_preserved - tell whether pages can be restored
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * Context: Any.
 * Return: true when kho_restore_pages() would find all of them.
 */
bool kho_pages_preserved(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	if (!PAGE_ALIGNED(phys) || end < pfn)
		return false;

	while (pfn < end) {
		int order = kho_find_block(&kho_in.map, pfn, end);

		if (order < 0 || !pfn_to_online_page(pfn))
			return false;
		pfn += BIT(order);
	}

	return true;
}
EXPORT_SYMBOL_GPL(kho_pages_preserved);

/**
 * kho_claim_pages - keep memory from the previous kernel as it is
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * For memory that stays reserved.  It counts as restored from now on, but its
 * struct pages are not touched.  What was not handed over of it is ignored.
 *
 * Context: Any, after the page allocator is up.
 */
void kho_claim_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	if (!kho_in.map.root)
		return;

	while (pfn < end) {
		int order = kho_find_block(&kho_in.map, pfn, end);

		if (order >= 0)
			kho_in_take_block(pfn, order);
		pfn += BIT(max(order, 0));
	}
}

static int kho_restore_block(unsigned long pfn, unsigned long end,
			     struct kho_restore_batch *batch)
{
	struct page *page = pfn_to_online_page(pfn);
	int order = page ? kho_find_block(&kho_in.map, pfn, end) : -ENOENT;

	if (order < 0 || !kho_in_take_block(pfn, order))
		return -ENOENT;

	for (unsigned long i = 0; i < BIT(order); i++)
		kho_init_page(page + i, 1);
	kho_batch_count(batch, page, BIT(order));

	return order;
}

/**
 * kho_restore_pages - take over contiguous pages from the previous kernel
 * @phys: address of the first page
 * @nr_pages: number of pages; both as they were given to kho_preserve_pages()
 *
 * Works once for each page.
 *
 * Context: Any, after the page allocator is up.
 * Return: the first page, all of order 0 and with a reference each; NULL when
 * one of them is not there, and then none is taken.
 */
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages)
{
	struct kho_restore_batch batch = { };
	unsigned long start = PHYS_PFN(phys);
	unsigned long end = start + nr_pages;
	unsigned long pfn = start;

	if (!kho_pages_preserved(phys, nr_pages))
		return NULL;

	while (pfn < end) {
		int order = kho_restore_block(pfn, end, &batch);

		/* Somebody else restores the same pages, which is their bug. */
		if (order < 0)
			goto err_free;
		pfn += BIT(order);
	}

	kho_restore_batch_end(&batch);
	return pfn_to_page(start);

err_free:
	kho_restore_batch_end(&batch);
	pr_err("%lu pages at %pa are restored twice\n", nr_pages, &phys);
	while (pfn > start)
		__free_page(pfn_to_page(--pfn));
	return NULL;
}
EXPORT_SYMBOL_GPL(kho_restore_pages);

/**
 * kho_restore_free - take memory over from the previous kernel and free it
 * @mem: from kho_alloc_preserve() of the previous kernel, at its address in
 *       the linear map of this one, or NULL
 *
 * Context: Any, after the page allocator is up.
 */
void kho_restore_free(void *mem)
{
	struct folio *folio;
	phys_addr_t phys;

	if (!mem)
		return;

	phys = __pa(mem);
	folio = kho_restore_folio(phys);
	if (folio)
		folio_put(folio);
	else
		pr_err_ratelimited("cannot free %pa: not handed over, or taken before\n",
				   &phys);
}
EXPORT_SYMBOL_GPL(kho_restore_free);

/* Order of the block in the incoming map that has a page in it, or -ENOENT. */
static int kho_in_order_around(unsigned long pfn)
{
	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		phys_addr_t block = PFN_PHYS(round_down(pfn, BIT(order)));

		if (kho_radix_test_key(&kho_in.map,
				       kho_encode_key(block, order)))
			return order;
	}

	return -ENOENT;
}

/**
 * kho_in_claim_block - keep a block from being restored
 * @phys: an address in it
 *
 * Context: Any.
 */
void kho_in_claim_block(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);
	int order = kho_in_order_around(pfn);

	if (order >= 0)
		kho_in_take_block(round_down(pfn, BIT(order)), order);
}

/**
 * kho_in_covers - tell whether memory was handed over and is unclaimed
 * @phys: start of the memory, any alignment
 * @size: number of bytes
 *
 * Return: true when every byte is in a block that nobody has restored.
 */
bool kho_in_covers(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = PHYS_PFN(phys + size - 1);

	if (!size || phys + size < phys)
		return false;

	while (pfn <= end) {
		int order = kho_in_order_around(pfn);

		if (order < 0)
			return false;
		pfn = round_down(pfn, BIT(order)) + BIT(order);
	}

	return true;
}
