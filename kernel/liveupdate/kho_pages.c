// SPDX-License-Identifier: GPL-2.0
/*
 * Preserving and restoring of pages and folios.
 *
 * Preserving memory adds the keys of its blocks to the outgoing map.  Preserved
 * memory of the previous kernel is reserved from early boot on.  Restoring a
 * block removes its key from the incoming map, so it succeeds only once, and
 * discards the blocks that overlap it.  Memory in the incoming map is unclaimed.
 *
 * Preserving and restoring take no global lock and write no global cache line,
 * with two exceptions: restoring a block between the first and the last overlap
 * of blocks in the incoming map, and the end of a batch, which counts the restored
 * pages as managed.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/count_zeros.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgalloc_tag.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "../../mm/mm_init.h"
#include "kexec_handover_internal.h"
#include "kho_alloc.h"

/* Largest order of a block at @pfn, by its alignment. */
static unsigned int kho_max_order_at(unsigned long pfn, unsigned int max)
{
	return pfn ? min_t(unsigned int, count_trailing_zeros(pfn), max) : max;
}

/* Preserving. */

/* Report a bug of the caller; CONFIG_KEXEC_HANDOVER_DEBUG adds a stack trace. */
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
		kho_debug_report("block of order %u: not preserved (pfn %#lx)\n",
				 order, pfn);
}

/*
 * Check whether memory can be preserved.  The next kernel overwrites scratch
 * memory, and does not have memory that was added after boot.  @batch has the
 * range that was checked before; the next pages are most likely in it, too.
 */
static int kho_check_preservable(unsigned long pfn, unsigned long nr_pages,
				 struct kho_preserve_batch *batch)
{
	unsigned long end = pfn + nr_pages;

	if (!kho_out.map.root)
		return -EOPNOTSUPP;

	if (pfn < batch->start || pfn > batch->end) {
		batch->start = pfn;
		batch->end = pfn;
	}

	while (batch->end < end) {
		unsigned long scratch = PHYS_PFN(kho_scratch_from(PFN_PHYS(batch->end)));
		unsigned long next = min(scratch, kho_boot_memory_from(batch->end));

		if (scratch == batch->end) {
			kho_debug_report("preserve: in scratch memory (pfn %#lx, %lu pages)\n",
					 pfn, nr_pages);
			return -EINVAL;
		}
		if (next == batch->end) {
			pr_err_ratelimited("preserve: in hot-added memory (pfn %#lx)\n",
					   next);
			return -EOPNOTSUPP;
		}
		batch->end = next;
	}

	return 0;
}

/**
 * kho_preserve_folio - preserve a folio for the next kernel
 * @folio: the folio; it must not be migrated or freed until it is unpreserved
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when Kexec Handover is off or the folio is in memory
 * that was added after boot, -EINVAL when it is in scratch memory, or -ENOMEM.
 */
int kho_preserve_folio(struct folio *folio)
{
	return kho_preserve_folios(&folio, 1);
}
EXPORT_SYMBOL_GPL(kho_preserve_folio);

/**
 * kho_preserve_folios - preserve several folios for the next kernel
 * @folios: the folios, preferably in ascending order of their addresses
 * @nr: number of folios
 *
 * Context: May sleep.
 * Return: 0, or an error of kho_preserve_folio() with no folio preserved.
 */
int kho_preserve_folios(struct folio **folios, unsigned long nr)
{
	struct kho_preserve_batch batch = { };
	unsigned long done;
	int err = 0;

	for (done = 0; done < nr; done++) {
		unsigned long pfn = folio_pfn(folios[done]);
		unsigned int order = folio_order(folios[done]);

		err = kho_check_preservable(pfn, BIT(order), &batch);
		if (!err)
			err = kho_preserve_block(pfn, order, &batch.cursor);
		if (err)
			break;
	}

	if (err)
		kho_unpreserve_folios(folios, done);

	return err;
}

/**
 * kho_unpreserve_folio - undo kho_preserve_folio()
 * @folio: a preserved folio, of the same order as when it was preserved
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
 * @folios: preserved folios, of the same orders as when they were preserved
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

/*
 * Order of the block at @pfn when [pfn, end) is divided into blocks.
 *
 * A block must not have pages of two NUMA nodes, because the next kernel uses the
 * node of its first page.  Nodes are not interleaved within a MAX_PAGE_ORDER block,
 * so checking both ends is sufficient.
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
 * Find a block in @map that contains @pfn.  Try all orders from @from to @to, and
 * return the order of the first block found, or -ENOENT.
 */
static int kho_find_block(const struct kho_radix_tree *map, unsigned long pfn,
			  int from, int to, struct kho_radix_cursor *cursor)
{
	int step = from <= to ? 1 : -1;

	for (int order = from; order != to + step; order += step) {
		if (kho_radix_test_key_at(map, kho_encode_key(PFN_PHYS(pfn), order),
					  cursor))
			return order;
	}

	return -ENOENT;
}

/*
 * Find the block in @map at the start of [pfn, end), and return its order or
 * -ENOENT.  The order may be smaller than kho_block_order() returns now, for
 * example when the memory belonged to two NUMA nodes in the previous kernel.
 */
static int kho_find_block_in(const struct kho_radix_tree *map, unsigned long pfn,
			     unsigned long end, struct kho_radix_cursor *cursor)
{
	unsigned int max = min(KHO_MAX_ORDER, ilog2(end - pfn));

	return kho_find_block(map, pfn, kho_max_order_at(pfn, max), 0, cursor);
}

static void kho_unpreserve_range(unsigned long pfn, unsigned long end,
				 struct kho_radix_cursor *cursor)
{
	while (pfn < end) {
		int order = kho_find_block_in(&kho_out.map, pfn, end, cursor);

		/* Without a block, report one of order 0. */
		order = max(order, 0);
		kho_unpreserve_block(pfn, order, cursor);
		pfn += BIT(order);
	}
}

/**
 * kho_preserve_pages_batched - preserve pages as part of a batch
 * @page: the first page
 * @nr_pages: number of pages
 * @batch: state of the batch; initially all zero
 *
 * Context: May sleep.
 * Return: As kho_preserve_pages().
 */
int kho_preserve_pages_batched(struct page *page, unsigned long nr_pages,
			       struct kho_preserve_batch *batch)
{
	unsigned long start = page_to_pfn(page);
	unsigned long end = start + nr_pages;
	unsigned long pfn = start;
	int err;

	err = kho_check_preservable(start, nr_pages, batch);

	while (!err && pfn < end) {
		unsigned int order = kho_block_order(pfn, end);

		err = kho_preserve_block(pfn, order, &batch->cursor);
		if (!err)
			pfn += BIT(order);
	}

	if (err)
		kho_unpreserve_range(start, pfn, &batch->cursor);

	return err;
}

/**
 * kho_preserve_pages - preserve contiguous pages for the next kernel
 * @page: the first page; no page may be freed until the pages are unpreserved
 * @nr_pages: number of pages
 *
 * The next kernel restores them as pages of order 0, with kho_restore_pages().
 *
 * Context: May sleep.
 * Return: 0, or an error of kho_preserve_folio() with nothing preserved.
 */
int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	struct kho_preserve_batch batch = { };

	return kho_preserve_pages_batched(page, nr_pages, &batch);
}
EXPORT_SYMBOL_GPL(kho_preserve_pages);

/**
 * kho_unpreserve_pages_at - unpreserve pages at a cursor
 * @page: the first page
 * @nr_pages: number of pages
 * @cursor: position of the last page; initially all zero
 *
 * Context: Any.
 */
void kho_unpreserve_pages_at(struct page *page, unsigned long nr_pages,
			     struct kho_radix_cursor *cursor)
{
	unsigned long pfn = page_to_pfn(page);

	kho_unpreserve_range(pfn, pfn + nr_pages, cursor);
}

/**
 * kho_unpreserve_pages - undo kho_preserve_pages()
 * @page: the first page
 * @nr_pages: number of pages; both as passed to kho_preserve_pages()
 *
 * Context: Any.
 */
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages)
{
	struct kho_radix_cursor cursor = { };

	kho_unpreserve_pages_at(page, nr_pages, &cursor);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_pages);

/**
 * kho_out_overlaps - check whether memory overlaps outgoing preserved memory
 * @phys: start of the memory
 * @size: number of bytes, not 0
 *
 * Context: Any.
 * Return: true when at least one page is in the outgoing map.
 */
bool kho_out_overlaps(phys_addr_t phys, size_t size)
{
	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		unsigned long key = kho_encode_key(phys, order), nr;

		if (kho_radix_next_run_to(&kho_out.map, &key, &nr,
					  kho_encode_key(phys + size - 1, order)))
			return true;
	}

	return false;
}

/**
 * kho_alloc_preserve - allocate and preserve memory
 * @size: number of bytes, rounded up to a power of two of pages
 *
 * Context: May sleep.
 * Return: zeroed, physically contiguous memory, or an ERR_PTR(): -EINVAL for a
 * size of 0, -E2BIG for one beyond MAX_PAGE_ORDER, -ENOMEM, or an error of
 * kho_preserve_folio().  Free it with kho_unpreserve_free(), or, in the next
 * kernel, with kho_restore_free().
 */
void *kho_alloc_preserve(size_t size)
{
	struct folio *folio;
	struct page *page;
	int order, err;

	if (!size)
		return ERR_PTR(-EINVAL);

	order = get_order(size);
	if (order > MAX_PAGE_ORDER)
		return ERR_PTR(-E2BIG);

	page = kho_alloc_pages(KHO_GFP | __GFP_COMP, order);
	if (!page)
		return ERR_PTR(-ENOMEM);

	folio = page_folio(page);
	err = kho_preserve_folio(folio);
	if (err) {
		folio_put(folio);
		return ERR_PTR(err);
	}

	return folio_address(folio);
}
EXPORT_SYMBOL_GPL(kho_alloc_preserve);

/**
 * kho_unpreserve_free - unpreserve and free memory
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

/* Restoring. */

/*
 * Empty nodes of the incoming map are freed, so readers of the map are in an RCU
 * read-side critical section.  A cursor that is used for longer needs a reference
 * that prevents the release of unclaimed memory; see kho_unclaimed.c.
 */

static DEFINE_SPINLOCK(kho_overlap_lock);

static void kho_in_drop_key(unsigned long key)
{
	phys_addr_t start, last;
	unsigned int order;

	if (!kho_radix_take_key(&kho_in.map, key) ||
	    !kho_decode_key(key, &start, &order))
		return;

	last = start + (PAGE_SIZE << order) - 1;
	pr_err_ratelimited("preserved memory [%pa-%pa]: discarded, another owner restored a part of it\n",
			   &start, &last);
}

/* Remove all keys that overlap a block. */
static void kho_in_drop_overlaps(unsigned long pfn, unsigned int order)
{
	unsigned int other;

	for_each_set_bit(other, &kho_in.orders, KHO_MAX_ORDER + 1) {
		unsigned long key = kho_encode_key(PFN_PHYS(pfn), other);
		unsigned long last = kho_encode_key(PFN_PHYS(pfn + BIT(order) - 1),
						    other);
		unsigned long nr;

		while (key <= last && kho_radix_next_run_to(&kho_in.map, &key, &nr, last))
			kho_in_drop_key(key++);
	}
}

/* Check whether a block has memory between the first and the last overlap. */
static bool kho_in_may_overlap(unsigned long pfn, unsigned int order)
{
	return unlikely(pfn < kho_in.overlap_end) &&
	       pfn + BIT(order) > kho_in.overlap_start;
}

/*
 * The first owner gets the memory.  Not inlined, so that the common path does
 * not save registers for it.
 */
static noinline bool kho_in_take_overlapping(unsigned long pfn,
					     unsigned int order)
{
	guard(spinlock_irqsave)(&kho_overlap_lock);

	if (!kho_radix_take_key(&kho_in.map, kho_encode_key(PFN_PHYS(pfn), order)))
		return false;

	kho_in_drop_overlaps(pfn, order);
	return true;
}

static bool kho_in_take_block(unsigned long pfn, unsigned int order,
			      struct kho_radix_cursor *cursor)
{
	if (kho_in_may_overlap(pfn, order))
		return kho_in_take_overlapping(pfn, order);

	return kho_radix_take_key_at(&kho_in.map,
				     kho_encode_key(PFN_PHYS(pfn), order), cursor);
}

/* Until page_alloc_init_late() has finished, struct pages may be uninitialized. */
static void __ref kho_init_struct_pages(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end = pfn + nr_pages;

	if (!deferred_pages_enabled())
		return;

	for (; pfn < end; pfn = SECTION_ALIGN_UP(pfn + 1))
		deferred_init_section(pfn);
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
 * kho_restore_batch_end - account for the restored pages of a batch
 * @batch: the batch; it can be used again
 *
 * Context: Any.
 */
void kho_restore_batch_end(struct kho_restore_batch *batch)
{
	if (batch->nr_pages)
		adjust_managed_page_count(batch->page, batch->nr_pages);
	batch->nr_pages = 0;
}

static void kho_init_page(struct page *page, int refcount)
{
	set_page_count(page, refcount);
	/* The page was not allocated in this kernel. */
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

	/* Not a tail page, so the cast is safe. */
	return (struct folio *)page;
}

/* All blocks of a leaf have one order. */
static int kho_cursor_order(const struct kho_radix_cursor *cursor)
{
	unsigned int order;
	phys_addr_t phys;

	return cursor->bitmap && kho_decode_key(cursor->first, &phys, &order) ?
	       order : -1;
}

/*
 * Of blocks that overlap at @pfn, find the largest one with at most @max_pages,
 * or the smallest one if @max_pages is 0.
 */
static int kho_find_folio(unsigned long pfn, unsigned long max_pages,
			  struct kho_radix_cursor *cursor)
{
	int max = kho_max_order_at(pfn, MAX_FOLIO_ORDER);

	if (max_pages && kho_in_may_overlap(pfn, 0))
		return kho_find_block(&kho_in.map, pfn,
				      min(max, ilog2(max_pages)), 0, cursor);

	return kho_find_block(&kho_in.map, pfn, 0, max, cursor);
}

/**
 * kho_preserved_order - find the order of a preserved folio
 * @phys: address of the folio
 * @max_pages: as for kho_restore_folio_batched()
 *
 * Context: Any.
 * Return: the order of the folio that kho_restore_folio_batched() would restore,
 * or -ENOENT.
 */
int kho_preserved_order(phys_addr_t phys, unsigned long max_pages)
{
	struct kho_radix_cursor cursor = { };

	if (!PAGE_ALIGNED(phys))
		return -ENOENT;

	guard(rcu)();
	return kho_find_folio(PHYS_PFN(phys), max_pages, &cursor);
}

/* Claim a folio and return its order.  Try the order of the last folio first. */
static int kho_batch_take_folio(struct kho_restore_batch *batch,
				unsigned long pfn, unsigned long max_pages)
{
	int max = kho_max_order_at(pfn, MAX_FOLIO_ORDER);
	int order = kho_cursor_order(&batch->cursor);

	if (order >= 0 && order <= max && !kho_in_may_overlap(pfn, order) &&
	    kho_in_take_block(pfn, order, &batch->cursor))
		return order;

	order = kho_find_folio(pfn, max_pages, &batch->cursor);
	if (order >= 0 && !kho_in_take_block(pfn, order, &batch->cursor))
		return -ENOENT;

	return order;
}

/**
 * kho_restore_folio_batched - restore a folio as part of a batch
 * @phys: address of the folio
 * @max_pages: maximum number of its pages, to distinguish it from a stale block
 *	       at the same address; 0 if unknown
 * @batch: state of the batch
 *
 * Context: Any.  From the first to the last call of a batch, the caller has a
 * reference to a subtree or a session of the previous kernel.  A call before
 * page_alloc_init_late() has finished may sleep.
 * Return: As kho_restore_folio().
 */
struct folio *kho_restore_folio_batched(phys_addr_t phys,
					unsigned long max_pages,
					struct kho_restore_batch *batch)
{
	unsigned long pfn = PHYS_PFN(phys);
	int order = -ENOENT;

	scoped_guard(rcu) {
		if (PAGE_ALIGNED(phys))
			order = kho_batch_take_folio(batch, pfn, max_pages);
	}
	if (order < 0)
		return NULL;

	kho_init_struct_pages(pfn, BIT(order));
	kho_batch_count(batch, pfn_to_page(pfn), BIT(order));
	return kho_init_folio(pfn_to_page(pfn), order);
}

/**
 * kho_restore_folio - restore a folio of the previous kernel
 * @phys: address of the folio
 *
 * Succeeds once for each folio.  If stale blocks of other orders start at @phys
 * as well, the smallest block is restored.
 *
 * Context: Any, after the page allocator is up.  A call may sleep until
 * page_alloc_init_late() has finished, which is before device initcalls.
 * Return: the folio, of its original order, with a reference for the caller;
 * NULL when no folio was preserved at @phys or it is restored already.
 */
struct folio *kho_restore_folio(phys_addr_t phys)
{
	struct kho_restore_batch batch = { };
	struct folio *folio = kho_restore_folio_batched(phys, 0, &batch);

	kho_restore_batch_end(&batch);
	return folio;
}
EXPORT_SYMBOL_GPL(kho_restore_folio);

/**
 * kho_pages_preserved_at - test if pages can be restored, at a cursor
 * @phys: address of the first page
 * @nr_pages: number of pages
 * @cursor: position of the last page; initially all zero
 *
 * Context: As kho_restore_folio_batched() for a batch.
 * Return: As kho_pages_preserved().
 */
bool kho_pages_preserved_at(phys_addr_t phys, unsigned long nr_pages,
			    struct kho_radix_cursor *cursor)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	if (!PAGE_ALIGNED(phys) || end < pfn)
		return false;

	guard(rcu)();
	while (pfn < end) {
		int order = kho_find_block_in(&kho_in.map, pfn, end, cursor);

		if (order < 0)
			return false;
		pfn += BIT(order);
	}

	return true;
}

/**
 * kho_pages_preserved - test if pages can be restored
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * Context: Any.
 * Return: true when kho_restore_pages() would succeed.
 */
bool kho_pages_preserved(phys_addr_t phys, unsigned long nr_pages)
{
	struct kho_radix_cursor cursor = { };

	return kho_pages_preserved_at(phys, nr_pages, &cursor);
}

/**
 * kho_claim_pages - claim memory of the previous kernel in place
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * For memory that stays reserved.  It counts as restored, but its struct pages
 * are not modified.  Pages that were not preserved are ignored.
 *
 * Context: Any, from kho_memory_init() on.
 */
void kho_claim_pages(phys_addr_t phys, unsigned long nr_pages)
{
	struct kho_radix_cursor cursor = { };
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	guard(rcu)();
	while (pfn < end) {
		int order = kho_find_block_in(&kho_in.map, pfn, end, &cursor);

		if (order >= 0)
			kho_in_take_block(pfn, order, &cursor);
		pfn += BIT(max(order, 0));
	}
}

static int kho_restore_block(unsigned long pfn, unsigned long end,
			     struct kho_restore_batch *batch)
{
	struct page *page = pfn_to_page(pfn);
	int order = kho_find_block_in(&kho_in.map, pfn, end, &batch->cursor);

	if (order < 0 || !kho_in_take_block(pfn, order, &batch->cursor))
		return -ENOENT;

	for (unsigned long i = 0; i < BIT(order); i++)
		kho_init_page(page + i, 1);
	kho_batch_count(batch, page, BIT(order));

	return order;
}

/* Restore preserved pages.  Their struct pages are already initialized. */
static struct page *kho_restore_range(unsigned long start, unsigned long end,
				      struct kho_restore_batch *batch)
{
	unsigned long pfn = start;

	guard(rcu)();
	while (pfn < end) {
		int order = kho_restore_block(pfn, end, batch);

		/* Another caller restores the same pages, which is a bug. */
		if (order < 0)
			goto err_free;
		pfn += BIT(order);
	}

	return pfn_to_page(start);

err_free:
	pr_err("restore: already restored by another caller (pfn [%#lx-%#lx])\n", start, end - 1);
	while (pfn > start)
		__free_page(pfn_to_page(--pfn));
	return NULL;
}

/**
 * kho_restore_pages_batched - restore pages as part of a batch
 * @phys: address of the first page
 * @nr_pages: number of pages
 * @batch: state of the batch
 *
 * Context: As kho_restore_folio_batched().
 * Return: As kho_restore_pages().
 */
struct page *kho_restore_pages_batched(phys_addr_t phys, unsigned long nr_pages,
				       struct kho_restore_batch *batch)
{
	unsigned long pfn = PHYS_PFN(phys);

	if (!kho_pages_preserved_at(phys, nr_pages, &batch->cursor))
		return NULL;

	kho_init_struct_pages(pfn, nr_pages);
	return kho_restore_range(pfn, pfn + nr_pages, batch);
}

/**
 * kho_restore_pages - restore contiguous pages of the previous kernel
 * @phys: address of the first page
 * @nr_pages: number of pages; both as passed to kho_preserve_pages()
 *
 * Succeeds once for each page.
 *
 * Context: As kho_restore_folio().
 * Return: the first page; NULL, with nothing restored, when one of the pages is
 * not preserved.  All pages are of order 0, and each has a reference.
 */
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	struct kho_restore_batch batch = { };
	struct page *page;

	if (!kho_pages_preserved(phys, nr_pages))
		return NULL;

	kho_init_struct_pages(pfn, nr_pages);
	page = kho_restore_range(pfn, pfn + nr_pages, &batch);
	kho_restore_batch_end(&batch);
	return page;
}
EXPORT_SYMBOL_GPL(kho_restore_pages);

/**
 * kho_restore_free - restore and free memory of the previous kernel
 * @mem: from kho_alloc_preserve() of the previous kernel, at its address in
 *       the linear map of this one, or NULL
 *
 * Context: As kho_restore_folio().
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
		pr_err_ratelimited("restore: not preserved or already restored (%pa)\n",
				   &phys);
}
EXPORT_SYMBOL_GPL(kho_restore_free);

/**
 * kho_free_node - free a node of the incoming map
 * @page: the page of the node, without readers
 *
 * Context: After page_alloc_init_late().
 */
void kho_free_node(struct page *page)
{
	clear_page_tag_ref(page);
	free_reserved_page(page);
}

/* Order of the block in the incoming map that contains a page, or -ENOENT. */
static int kho_in_order_around(unsigned long pfn)
{
	struct kho_radix_cursor cursor = { };

	return kho_find_block(&kho_in.map, pfn, 0, KHO_MAX_ORDER, &cursor);
}

/**
 * kho_in_claim_block - claim a block, so that it cannot be restored
 * @phys: an address in it
 *
 * Context: Any.
 */
void kho_in_claim_block(phys_addr_t phys)
{
	struct kho_radix_cursor cursor = { };
	unsigned long pfn = PHYS_PFN(phys);
	int order;

	guard(rcu)();
	order = kho_in_order_around(pfn);
	if (order >= 0)
		kho_in_take_block(round_down(pfn, BIT(order)), order, &cursor);
}

/**
 * kho_in_covers - check whether memory was preserved and is unclaimed
 * @phys: start of the memory, any alignment
 * @size: number of bytes
 *
 * Context: Any.
 * Return: true when every byte is in a block that is not restored yet.
 */
bool kho_in_covers(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = PHYS_PFN(phys + size - 1);

	if (!size || phys + size < phys)
		return false;

	guard(rcu)();
	while (pfn <= end) {
		int order = kho_in_order_around(pfn);

		if (order < 0)
			return false;
		pfn = round_down(pfn, BIT(order)) + BIT(order);
	}

	return true;
}
