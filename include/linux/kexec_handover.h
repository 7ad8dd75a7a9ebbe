/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KEXEC_HANDOVER_H
#define LINUX_KEXEC_HANDOVER_H

#include <asm-generic/kexec_handover.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kho/radix_tree.h>
#include <linux/kho/vmalloc.h>
#include <linux/mm.h>
#include <linux/types.h>

struct folio;
struct page;

/**
 * struct kho_restore_batch - common state of folios that are restored together
 * @cursor: position of the last folio in the map
 * @page: a restored page; all @nr_pages pages are in its zone
 * @nr_pages: number of restored pages that are not counted as managed yet
 *
 * Initially all zero; kho_restore_batch_end() ends the batch.
 */
struct kho_restore_batch {
	struct kho_radix_cursor cursor;
	struct page *page;
	unsigned long nr_pages;
};

#ifdef CONFIG_KEXEC_HANDOVER

bool kho_is_enabled(void);
bool is_kho_boot(void);

int kho_preserve_folio(struct folio *folio);
int kho_preserve_folios(struct folio **folios, unsigned long nr);
void kho_unpreserve_folio(struct folio *folio);
void kho_unpreserve_folios(struct folio **folios, unsigned long nr);
struct folio *kho_restore_folio(phys_addr_t phys);
struct folio *kho_restore_folio_batched(phys_addr_t phys,
					unsigned long max_pages,
					struct kho_restore_batch *batch);
void kho_restore_batch_end(struct kho_restore_batch *batch);
int kho_preserved_order(phys_addr_t phys, unsigned long max_pages);

int kho_preserve_pages(struct page *page, unsigned long nr_pages);
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages);
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages);
bool kho_pages_preserved(phys_addr_t phys, unsigned long nr_pages);
void kho_claim_pages(phys_addr_t phys, unsigned long nr_pages);

void *kho_alloc_preserve(size_t size);
void kho_unpreserve_free(void *mem);
void kho_restore_free(void *mem);

int kho_add_subtree(const char *name, void *blob, size_t size);
void kho_remove_subtree(void *blob);
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size);
void kho_put_subtree(const char *name);
bool kho_incoming_differs(const char *component);

/* Hooks of the boot code, in the order in which they are called. */
void kho_populate(phys_addr_t fdt_phys, u64 fdt_len, phys_addr_t scratch_phys,
		  u64 scratch_len);
void kho_memory_init_early(void);
void kho_memory_init(void);
bool arch_kho_is_ram(phys_addr_t start, phys_addr_t end);

bool kho_scratch_overlap(phys_addr_t phys, size_t size);

/* Scratch areas reserved at boot are CMA for the page allocator. */
extern bool kho_scratch_on_demand;

static inline enum migratetype kho_scratch_migratetype(unsigned long pfn,
						       enum migratetype mt)
{
	size_t size = pageblock_nr_pages << PAGE_SHIFT;

	return !kho_scratch_on_demand &&
	       kho_scratch_overlap(PFN_PHYS(pfn), size) ? MIGRATE_CMA : mt;
}

#else /* !CONFIG_KEXEC_HANDOVER */

static inline bool kho_is_enabled(void) { return false; }

static inline bool is_kho_boot(void) { return false; }

static inline int kho_preserve_folio(struct folio *folio)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_folio(struct folio *folio)
{
}

static inline int kho_preserve_folios(struct folio **folios, unsigned long nr)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_folios(struct folio **folios,
					 unsigned long nr)
{
}

static inline struct folio *kho_restore_folio(phys_addr_t phys)
{
	return NULL;
}

static inline struct folio *
kho_restore_folio_batched(phys_addr_t phys, unsigned long max_pages,
			  struct kho_restore_batch *batch)
{
	return NULL;
}

static inline void kho_restore_batch_end(struct kho_restore_batch *batch)
{
}

static inline int kho_preserved_order(phys_addr_t phys, unsigned long max_pages)
{
	return -ENOENT;
}

static inline int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_pages(struct page *page,
					unsigned long nr_pages)
{
}

static inline struct page *kho_restore_pages(phys_addr_t phys,
					     unsigned long nr_pages)
{
	return NULL;
}

static inline bool kho_pages_preserved(phys_addr_t phys, unsigned long nr_pages)
{
	return false;
}

static inline void kho_claim_pages(phys_addr_t phys, unsigned long nr_pages)
{
}

static inline void *kho_alloc_preserve(size_t size)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void kho_unpreserve_free(void *mem)
{
}

static inline void kho_restore_free(void *mem)
{
}

static inline int kho_add_subtree(const char *name, void *blob, size_t size)
{
	return -EOPNOTSUPP;
}

static inline void kho_remove_subtree(void *blob)
{
}

static inline int kho_retrieve_subtree(const char *name, phys_addr_t *phys,
				       size_t *size)
{
	return -EOPNOTSUPP;
}

static inline void kho_put_subtree(const char *name)
{
}

static inline bool kho_incoming_differs(const char *component)
{
	return false;
}

static inline void kho_populate(phys_addr_t fdt_phys, u64 fdt_len,
				phys_addr_t scratch_phys, u64 scratch_len)
{
}

static inline void kho_memory_init_early(void)
{
}

static inline void kho_memory_init(void)
{
}

static inline bool kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	return false;
}

static inline enum migratetype kho_scratch_migratetype(unsigned long pfn,
						       enum migratetype mt)
{
	return mt;
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* LINUX_KEXEC_HANDOVER_H */
