// SPDX-License-Identifier: GPL-2.0
/*
 * Retrieving of memfds: validate the description from the previous kernel,
 * restore the folios and add them to a new file.
 */

#define pr_fmt(fmt) "memfd_luo: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/vmalloc.h>
#include <linux/liveupdate.h>
#include <linux/memcontrol.h>
#include <linux/memfd.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <uapi/linux/memfd.h>

#include "internal.h"
#include "memfd_luo.h"

/* Number of folios that are added at a time: a node of the page cache. */
#define MEMFD_LUO_WINDOW	XA_CHUNK_SIZE

/**
 * struct memfd_luo_fill - a new file being filled with preserved folios
 * @file:    the file
 * @handle:  address of its description
 * @desc:    copy of the description, in case that other records refer to its page
 * @entries: one entry per folio
 * @next:    first entry whose folio is not restored
 * @folio:   folios of the entries before @next that are not in the file yet
 * @nr:      number of @folio
 * @pages:   next page of a folio that is too large for a file in this kernel, and
 *           was restored as single pages
 * @nr_pages: number of remaining pages of this folio
 * @flags:   flags of these pages
 * @end:     index after the last restored folio
 * @batch:   state of the batch
 *
 * Exists from the first attempt to retrieve a file to the last one.  If an attempt
 * ends early, with -ENOMEM or because of a kexec, the next attempt continues it.
 */
struct memfd_luo_fill {
	struct file *file;
	u64 handle;
	struct memfd_luo_ser desc;
	struct memfd_luo_folio_ser *entries;
	u64 next;
	struct folio *folio[MEMFD_LUO_WINDOW];
	unsigned int nr;
	struct page *pages;
	unsigned long nr_pages;
	unsigned int flags;
	u64 end;
	struct kho_restore_batch batch;
};

static u64 memfd_luo_array_capacity(const struct memfd_luo_ser *desc)
{
	return (u64)desc->folios.total_pages * PAGE_SIZE /
	       sizeof(struct memfd_luo_folio_ser);
}

/* Return the name of an invalid field, or NULL. */
static const char *memfd_luo_bad_field(const struct memfd_luo_ser *desc)
{
	if (desc->size > MAX_LFS_FILESIZE)
		return "size";
	if (desc->pos > MAX_LFS_FILESIZE)
		return "pos";
	if (desc->seals & ~MEMFD_LUO_ALL_SEALS)
		return "seals";
	if (desc->flags)
		return "flags";
	/* A file has no holes: they are filled when it is preserved. */
	if (!desc->nr_folios != !desc->size ||
	    desc->nr_folios > memfd_luo_pages(desc->size) ||
	    desc->nr_folios > memfd_luo_array_capacity(desc))
		return "nr_folios";
	return NULL;
}

/* The same for an entry.  Its index must be at least @min_index. */
static const char *memfd_luo_bad_entry(const struct memfd_luo_ser *desc,
				       const struct memfd_luo_folio_ser *entry,
				       u64 min_index)
{
	if (entry->flags & ~MEMFD_LUO_FOLIO_FLAGS)
		return "flags";
	if (entry->index < min_index ||
	    entry->index >= memfd_luo_pages(desc->size))
		return "index";
	return NULL;
}

/* Files have no holes, so a folio ends where the next one starts. */
static unsigned long memfd_luo_max_pages(const struct memfd_luo_folio_ser *entries,
					 u64 i, u64 nr)
{
	if (i + 1 == nr || entries[i + 1].index <= entries[i].index)
		return ULONG_MAX;

	return entries[i + 1].index - entries[i].index;
}

/* Read the description at @handle, an address from the previous kernel. */
static int memfd_luo_read(u64 handle, struct memfd_luo_ser *desc)
{
	const char *bad;

	if (!handle || !kho_pages_preserved(handle, 1)) {
		pr_err("description not preserved (%#llx)\n",
		       handle);
		return -EINVAL;
	}

	*desc = *(struct memfd_luo_ser *)phys_to_virt(handle);
	bad = memfd_luo_bad_field(desc);
	if (!bad)
		return 0;

	pr_err("invalid %s (pos %llu, size %llu, seals %#x, flags %#x, nr_folios %llu)\n",
	       bad, desc->pos, desc->size, desc->seals, desc->flags, desc->nr_folios);
	return -EINVAL;
}

/* memfd_luo_read() has validated @handle. */
static umode_t memfd_luo_read_mode(u64 handle)
{
	const struct memfd_luo_mode_ser *mode = memfd_luo_mode(phys_to_virt(handle));

	return mode->magic == MEMFD_LUO_MODE_MAGIC ? mode->mode & 0777 : 0777;
}

/*
 * Free the folios of the entries from @first on.  The folio of an invalid entry
 * may belong to another owner, and is not freed.
 */
static void memfd_luo_discard(const struct memfd_luo_ser *desc,
			      const struct memfd_luo_folio_ser *entries,
			      u64 first, u64 nr)
{
	struct kho_restore_batch batch = { };
	u64 min_index = 0, missing = 0;

	for (u64 i = first; i < nr; i++) {
		const struct memfd_luo_folio_ser *entry = &entries[i];
		struct folio *folio = NULL;

		if (!memfd_luo_bad_entry(desc, entry, min_index)) {
			unsigned long max = memfd_luo_max_pages(entries, i, nr);

			folio = kho_restore_folio_batched(PFN_PHYS(entry->pfn),
							  max, &batch);
			min_index = entry->index + 1;
		}
		if (folio)
			folio_put(folio);
		else
			missing++;
		cond_resched();
	}
	kho_restore_batch_end(&batch);

	if (missing)
		pr_warn("failed to free folios of a discarded file (%llu folios)\n",
			missing);
}

/* Free all memory of an incoming description. */
static void memfd_luo_discard_file(u64 handle)
{
	struct memfd_luo_folio_ser *entries;
	struct memfd_luo_ser desc;

	/* The memory of an invalid description may belong to another owner. */
	if (memfd_luo_read(handle, &desc))
		return;

	if (desc.nr_folios) {
		entries = kho_restore_vmalloc(&desc.folios);
		if (entries)
			memfd_luo_discard(&desc, entries, 0, desc.nr_folios);
		else
			pr_warn("folio list not restored, memory of a discarded file stays unclaimed (%llu folios)\n",
				desc.nr_folios);
		vfree(entries);
	}
	kho_restore_free(phys_to_virt(handle));
}

/*
 * The folio has no other user yet.  It stays locked until it is in the file, or
 * until adding it has failed.
 */
static int memfd_luo_prepare(struct folio *folio, gfp_t gfp)
{
	int err = 0;

	if (!folio_memcg_charged(folio))
		err = mem_cgroup_charge(folio, NULL, gfp);
	if (err)
		return err;

	__folio_set_locked(folio);
	__folio_set_swapbacked(folio);
	return 0;
}

/* Account for @pages pages in the lruvec of @folio. */
static void memfd_luo_count(struct folio *folio, long pages)
{
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, pages);
	lruvec_stat_mod_folio(folio, NR_SHMEM, pages);
}

/* Store a folio in the page cache, which is locked. */
static int memfd_luo_store(struct xa_state *xas, struct address_space *mapping,
			   struct folio *folio)
{
	unsigned int order = folio_order(folio);
	long nr = 1L << order;

	/* Within a node of the page cache, no walk from the root is needed. */
	if (order || folio->index != xas->xa_index + 1 ||
	    !(folio->index & XA_CHUNK_MASK))
		xas_set_order(xas, folio->index, order);
	else
		xas_next(xas);

	folio_ref_add(folio, nr);
	folio->mapping = mapping;
	xas_store(xas, folio);
	if (xas_error(xas)) {
		folio->mapping = NULL;
		folio_ref_sub(folio, nr);
		return xas_error(xas);
	}

	mapping->nrpages += nr;
	if (order && folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, nr);
	return 0;
}

/* Store folios until an allocation fails; return their number. */
static unsigned int memfd_luo_store_all(struct address_space *mapping,
					struct folio **folios, unsigned int nr,
					gfp_t gfp)
{
	/* Start at ULONG_MAX: the first folio needs a walk from the root. */
	XA_STATE(xas, &mapping->i_pages, ULONG_MAX);
	unsigned int i = 0;

	do {
		xas_lock_irq(&xas);
		while (i < nr && !memfd_luo_store(&xas, mapping, folios[i]))
			i++;
		xas_unlock_irq(&xas);
	} while (xas_nomem(&xas, gfp & GFP_RECLAIM_MASK));

	return i;
}

/*
 * Account for the folios, and add them to the LRU lists as folio_add_lru() does
 * for new evictable folios.  The lock is taken once for consecutive folios of the
 * same lruvec.
 */
static void memfd_luo_add_lru(struct folio **folios, unsigned int nr)
{
	struct lruvec *lruvec = NULL;
	long pages = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct lruvec *before = lruvec;

		lruvec = folio_lruvec_relock_irq(folios[i], before);
		if (before && lruvec != before) {
			memfd_luo_count(folios[i - 1], pages);
			pages = 0;
		}
		lruvec_add_folio(lruvec, folios[i]);
		folio_set_lru(folios[i]);
		pages += folio_nr_pages(folios[i]);
	}
	if (!lruvec)
		return;

	memfd_luo_count(folios[nr - 1], pages);
	lruvec_unlock_irq(lruvec);
}

/*
 * Add the folios of @fill to the page cache of the file.  On failure the other
 * folios stay in @fill, and the next attempt continues with them.
 */
static int memfd_luo_insert(struct memfd_luo_fill *fill)
{
	struct address_space *mapping = fill->file->f_mapping;
	/*
	 * The nodes of the page cache are charged to the cgroup, too.  At the
	 * limit of the cgroup, return an error instead of killing the caller.
	 */
	gfp_t gfp = mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int ready, stored;
	long pages = 0;
	int err = 0;

	for (unsigned int i = 0; i < fill->nr; i++)
		pages += folio_nr_pages(fill->folio[i]);
	/*
	 * Internal tmpfs mounts have no size limit, so any failure is -ENOMEM.
	 */
	if (shmem_inode_acct_blocks(mapping->host, pages))
		return -ENOMEM;

	for (ready = 0; ready < fill->nr; ready++) {
		err = memfd_luo_prepare(fill->folio[ready], gfp);
		if (err)
			break;
	}

	stored = memfd_luo_store_all(mapping, fill->folio, ready, gfp);
	if (!err && stored < ready)
		err = -ENOMEM;

	/* Unaccount the pages that are not in the file. */
	shmem_recalc_inode(mapping->host, pages, 0);
	memfd_luo_add_lru(fill->folio, stored);
	for (unsigned int i = 0; i < ready; i++) {
		folio_unlock(fill->folio[i]);
		if (i < stored)
			folio_put(fill->folio[i]);
	}

	fill->nr -= stored;
	memmove(fill->folio, fill->folio + stored,
		fill->nr * sizeof(*fill->folio));
	return err;
}

static void memfd_luo_add_folio(struct memfd_luo_fill *fill,
				struct folio *folio, unsigned int flags)
{
	if (flags & MEMFD_LUO_FOLIO_UPTODATE)
		__folio_mark_uptodate(folio);
	if (flags & MEMFD_LUO_FOLIO_DIRTY)
		folio_test_set_dirty(folio);
	/* Required for huge mappings; the allocator does it for folios of files. */
	if (folio_test_large(folio))
		folio_set_large_rmappable(folio);
	folio->index = fill->end;
	fill->end += folio_nr_pages(folio);
	fill->folio[fill->nr++] = folio;
}

/* Check whether a folio is too large for a file in this kernel. */
static bool memfd_luo_is_too_large(struct memfd_luo_fill *fill, phys_addr_t phys,
				   unsigned long max_pages, int *order)
{
	unsigned int max = mapping_max_folio_order(fill->file->f_mapping);

	if (max_pages <= BIT(max))
		return false;

	*order = kho_preserved_order(phys, max_pages);
	return *order > (int)max;
}

/*
 * Restore the folio of an entry and return its order, or -EIO.  A folio that is
 * too large is restored as single pages in @fill, and @folio is NULL then.
 */
static int memfd_luo_restore(struct memfd_luo_fill *fill,
			     const struct memfd_luo_folio_ser *entry,
			     struct folio **folio)
{
	unsigned long max_pages = memfd_luo_max_pages(fill->entries, fill->next,
						      fill->desc.nr_folios);
	phys_addr_t phys = PFN_PHYS(entry->pfn);
	int order;

	*folio = NULL;
	if (!memfd_luo_is_too_large(fill, phys, max_pages, &order)) {
		*folio = kho_restore_folio_batched(phys, max_pages, &fill->batch);
		return *folio ? folio_order(*folio) : -EIO;
	}

	fill->pages = kho_restore_pages(phys, BIT(order));
	if (!fill->pages)
		return -EIO;

	fill->nr_pages = BIT(order);
	fill->flags = entry->flags;
	return order;
}

/* Restore the next folio. */
static int memfd_luo_take(struct memfd_luo_fill *fill)
{
	const struct memfd_luo_folio_ser *entry = &fill->entries[fill->next];
	const char *bad = memfd_luo_bad_entry(&fill->desc, entry, fill->end);
	struct folio *folio;
	int order;

	if (bad) {
		pr_err("folio %llu: invalid %s (pfn %#llx, flags %#x, index %llu)\n",
		       fill->next, bad, (u64)entry->pfn,
		       (unsigned int)entry->flags, entry->index);
		return -EINVAL;
	}

	order = memfd_luo_restore(fill, entry, &folio);
	if (order < 0) {
		pr_err("folio not preserved (pfn %#llx)\n",
		       (u64)entry->pfn);
		return order;
	}
	fill->next++;

	if (entry->index != fill->end ||
	    (folio && order > mapping_max_folio_order(fill->file->f_mapping)) ||
	    (order && !IS_ALIGNED(entry->index, BIT(order)))) {
		pr_err("folio misplaced (index %llu, order %u, expected index %llu)\n",
		       entry->index, order, fill->end);
		if (folio)
			folio_put(folio);
		return -EINVAL;
	}

	if (folio)
		memfd_luo_add_folio(fill, folio, entry->flags);
	return 0;
}

static int memfd_luo_take_window(struct memfd_luo_fill *fill)
{
	int err = 0;

	while (!err && fill->nr < MEMFD_LUO_WINDOW) {
		if (fill->nr_pages) {
			memfd_luo_add_folio(fill, page_folio(fill->pages++),
					    fill->flags);
			fill->nr_pages--;
		} else if (fill->next < fill->desc.nr_folios) {
			err = memfd_luo_take(fill);
		} else {
			break;
		}
	}

	/* The caller checks the commit limit next, which depends on managed pages. */
	kho_restore_batch_end(&fill->batch);
	return err;
}

static int memfd_luo_take_all(struct memfd_luo_fill *fill)
{
	const struct memfd_luo_ser *desc = &fill->desc;
	int err;

	while (fill->nr || fill->nr_pages || fill->next < desc->nr_folios) {
		if (liveupdate_interrupted())
			return -EINTR;

		err = memfd_luo_take_window(fill);
		if (!err)
			err = memfd_luo_insert(fill);
		if (err)
			return err;
		cond_resched();
	}

	if (fill->end < memfd_luo_pages(desc->size)) {
		pr_err("folios missing (nr_folios %llu, size %llu, end index %llu)\n",
		       desc->nr_folios, desc->size, fill->end);
		return -EINVAL;
	}

	return 0;
}

/*
 * Create an empty file with the properties in @desc.  Seals are added before the
 * pages, because adding F_SEAL_WRITE waits for users of the pages.
 */
static struct file *memfd_luo_open(const struct memfd_luo_ser *desc, umode_t mode)
{
	unsigned int flags = MFD_ALLOW_SEALING;
	struct inode *inode;
	struct file *file;
	int err;

	/*
	 * Adding F_SEAL_EXEC to an executable file also seals it against
	 * writing, so the execute bits have to be cleared first.
	 */
	if (desc->seals & F_SEAL_EXEC)
		flags = MFD_NOEXEC_SEAL;

	file = memfd_alloc_file("", flags);
	if (IS_ERR(file)) {
		pr_err_ratelimited("failed to create file: %pe\n", file);
		/* If an inode cannot be allocated, shmem returns -ENOSPC. */
		return file == ERR_PTR(-ENOSPC) ? ERR_PTR(-ENOMEM) : file;
	}

	err = memfd_add_seals(file, desc->seals);
	if (err) {
		pr_err_ratelimited("failed to add seals (%#x): %pe\n",
				   desc->seals, ERR_PTR(err));
		fput(file);
		return ERR_PTR(err);
	}

	inode = file_inode(file);
	inode->i_mode &= S_IFMT | mode;
	i_size_write(inode, desc->size);
	vfs_setpos(file, desc->pos, MAX_LFS_FILESIZE);
	return file;
}

static void memfd_luo_fill_free(struct memfd_luo_fill *fill)
{
	vfree(fill->entries);
	kho_restore_free(phys_to_virt(fill->handle));
	kfree(fill);
}

/* Free all folios: those in the file, those in @fill, and those not restored yet. */
static void memfd_luo_abandon(struct memfd_luo_fill *fill)
{
	while (fill->nr)
		folio_put(fill->folio[--fill->nr]);
	while (fill->nr_pages--)
		__free_page(fill->pages++);
	memfd_luo_discard(&fill->desc, fill->entries, fill->next,
			  fill->desc.nr_folios);
	fput(fill->file);
	memfd_luo_fill_free(fill);
}

/* Called last, because restoring the list cannot be undone. */
static int memfd_luo_restore_entries(struct memfd_luo_fill *fill)
{
	struct memfd_luo_ser *desc = &fill->desc;
	int err;

	if (!desc->nr_folios)
		return 0;

	fill->entries = kho_restore_vmalloc(&desc->folios);
	if (fill->entries)
		return 0;

	err = kho_vmalloc_check(&desc->folios);
	if (!err)
		return -ENOMEM;

	pr_err("failed to restore folio list (%llu folios): %pe\n",
	       desc->nr_folios, ERR_PTR(err));
	return err;
}

/*
 * Create the file.  Only invalid data is a permanent error.  A failure to create
 * the file can be retried, as it may depend on the calling process.
 */
static int memfd_luo_begin(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_fill *fill;
	int err;

	fill = kzalloc_obj(*fill);
	if (!fill) {
		op->retry = true;
		return -ENOMEM;
	}

	fill->handle = op->serialized_data;
	err = memfd_luo_read(fill->handle, &fill->desc);
	if (err)
		goto err_free;

	fill->file = memfd_luo_open(&fill->desc, memfd_luo_read_mode(fill->handle));
	if (IS_ERR(fill->file)) {
		op->retry = true;
		err = PTR_ERR(fill->file);
		goto err_free;
	}

	err = memfd_luo_restore_entries(fill);
	if (err) {
		op->retry = err == -ENOMEM;
		goto err_put_file;
	}

	op->private_data = fill;
	return 0;

err_put_file:
	fput(fill->file);
err_free:
	kfree(fill);
	return err;
}

int memfd_luo_retrieve(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_fill *fill;
	int err;

	if (!op->private_data) {
		err = memfd_luo_begin(op);
		if (err)
			return err;
	}

	fill = op->private_data;
	err = memfd_luo_take_all(fill);
	/* -EINVAL and -EIO mean invalid data, which is a permanent error. */
	op->retry = err && err != -EINVAL && err != -EIO;
	if (op->retry)
		return err;

	op->private_data = NULL;
	if (err) {
		memfd_luo_abandon(fill);
		return err;
	}

	op->file = fill->file;
	memfd_luo_fill_free(fill);
	return 0;
}

/*
 * Free the memory that retrieve() has not used.  After an attempt that can be
 * retried, this is the rest of the memory.  If no attempt was made or the
 * description was refused, this is all memory.  After a success, or a failure to
 * restore a folio, nothing is left.
 */
void memfd_luo_finish(struct liveupdate_file_op_args *op)
{
	u64 handle = op->serialized_data;

	if (op->private_data)
		memfd_luo_abandon(op->private_data);
	else if (op->retrieve_status <= 0 && kho_pages_preserved(handle, 1))
		memfd_luo_discard_file(handle);
}
