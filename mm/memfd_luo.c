// SPDX-License-Identifier: GPL-2.0
/*
 * Preserving of memfds: the file handler of the Live Update Orchestrator for
 * shared memory.  The pages are preserved in place.  The list of pages has the
 * format of include/linux/kho/abi/memfd.h.  See
 * Documentation/mm/memfd_preservation.rst for the properties of a retrieved file.
 *
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 *
 * Copyright (C) 2025 Amazon.com Inc. or its affiliates.
 * Pratyush Yadav <ptyadav@amazon.de>
 */

#define pr_fmt(fmt) "memfd_luo: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/vmalloc.h>
#include <linux/liveupdate.h>
#include <linux/math64.h>
#include <linux/memfd.h>
#include <linux/migrate.h>
#include <linux/overflow.h>
#include <linux/pageblock-flags.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_ARM64_MTE
#include <asm/mte.h>
#endif

#include "internal.h"
#include "memfd_luo.h"

static_assert(sizeof(MEMFD_LUO_FH_COMPATIBLE) <= LIVEUPDATE_HNDL_COMPAT_LENGTH,
	      "the compatibility string does not fit the field LUO has for it");

/*
 * Number of folios that are preserved at a time.  This limits the size of
 * temporary memory, and the delay of a fatal signal.
 */
#define MEMFD_LUO_BATCH		4096

/* Number of pages that are migrated or read in at a time. */
#define MEMFD_LUO_STEP		(SZ_64M >> PAGE_SHIFT)

/* Number of attempts to migrate folios that have another user. */
#define MEMFD_LUO_TURNS		16

/* Preserving memory must not invoke the OOM killer. */
#define MEMFD_LUO_GFP		(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * struct memfd_luo_array - entries of a file being preserved
 * @entries: the entries, in vmalloc memory
 * @nr:      entries in use; the folio of each is held and preserved
 * @capacity: entries that are allocated
 * @limit:   maximum number of entries: the pages of the file
 */
struct memfd_luo_array {
	struct memfd_luo_folio_ser *entries;
	u64 nr;
	u64 capacity;
	u64 limit;
};

/**
 * struct memfd_luo_kept - state of a preserved file
 * @entries:  its entries, one for each folio, in vmalloc memory
 * @poisoned: number of poisoned pages in the system before the folios were checked
 */
struct memfd_luo_kept {
	struct memfd_luo_folio_ser *entries;
	long poisoned;
};

static long memfd_luo_poisoned(void)
{
	return IS_ENABLED(CONFIG_MEMORY_FAILURE) ?
	       atomic_long_read(&num_poisoned_pages) : 0;
}

/* User space determines the number of entries, so do not warn on failure. */
static int memfd_luo_array_resize(struct memfd_luo_array *arr, u64 capacity)
{
	struct memfd_luo_folio_ser *entries;

	entries = kho_vzalloc(array_size(capacity, sizeof(*entries)));
	if (!entries)
		return -ENOMEM;

	if (arr->nr)
		memcpy(entries, arr->entries, arr->nr * sizeof(*entries));
	vfree(arr->entries);
	arr->entries = entries;
	arr->capacity = capacity;
	return 0;
}

/*
 * Allocate capacity for @more entries.  With them, the array covers the file up
 * to page @end.  The final number of entries is extrapolated from that, so the
 * array is allocated once if all folios have the same size.
 */
static int memfd_luo_array_reserve(struct memfd_luo_array *arr, u64 more,
				   pgoff_t end)
{
	u64 need = arr->nr + more, all;

	if (need <= arr->capacity)
		return 0;

	all = mul_u64_u64_div_u64(need, arr->limit, end);
	all = min(max(all, 2 * arr->capacity), arr->limit);
	return memfd_luo_array_resize(arr, max(need, all));
}

/* A file of large folios needs far fewer entries than it has pages. */
static void memfd_luo_array_trim(struct memfd_luo_array *arr)
{
	u64 unused = (arr->capacity - arr->nr) * sizeof(*arr->entries);

	/* On allocation failure the larger array stays in use. */
	if (unused >= PAGE_SIZE)
		memfd_luo_array_resize(arr, arr->nr);
}

static void memfd_luo_release_batch(struct folio_batch *batch)
{
	kho_unpreserve_folios(batch->folios, folio_batch_count(batch));
	folios_put(batch);
	cond_resched();
}

/* Undo memfd_luo_collect(). */
static void memfd_luo_release(struct memfd_luo_folio_ser *entries, u64 nr)
{
	struct folio_batch batch;

	folio_batch_init(&batch);
	for (u64 i = 0; i < nr; i++) {
		if (!folio_batch_add(&batch, pfn_folio(entries[i].pfn)))
			memfd_luo_release_batch(&batch);
	}
	memfd_luo_release_batch(&batch);
	vfree(entries);
}

/* MTE tags are in separate memory, which is not preserved. */
#ifdef CONFIG_ARM64_MTE
static bool memfd_luo_may_have_tags(void)
{
	return system_supports_mte();
}

static bool memfd_luo_has_tags(struct folio *folio)
{
	for (long i = 0; memfd_luo_may_have_tags() && i < folio_nr_pages(folio); i++) {
		if (page_mte_tagged(folio_page(folio, i)))
			return true;
	}
	return false;
}
#else
static bool memfd_luo_may_have_tags(void)
{
	return false;
}

static bool memfd_luo_has_tags(struct folio *folio)
{
	return false;
}
#endif

/* Poison and tags of pages are not handed over, so refuse such folios. */
static int memfd_luo_check_folio(struct folio *folio)
{
	if (folio_contain_hwpoisoned_page(folio))
		return -EHWPOISON;
	if (memfd_luo_has_tags(folio))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Check the mapping under the folio lock, because a reference does not keep a
 * folio in its file: collapse_file() checks the number of references under the
 * folio locks, and then replaces the folios by a huge folio.  A reference that is
 * taken after collapse_file() has checked keeps the old folio allocated, but not
 * in the file.
 *
 * Set the dirty and the uptodate flag now.  Their state at the time of kexec is
 * unknown, as mappings may write to the file until then:
 *
 * A clean folio can be dirtied through a mapping later.  If it were handed over
 * as clean, the next kernel could drop it and lose the data.  A folio that is
 * not up to date can be filled later, and the next kernel would zero it at
 * first use.  Therefore every folio becomes dirty and up to date, even if its
 * memory could otherwise be reclaimed.  Both flags stay set, because a folio with
 * a reference is not written to swap.
 *
 * Poisoned memory must not be written to, so check for it first.
 *
 * Return 1 on success, 0 when the folio is not in the file any longer, or an
 * error.
 */
static int memfd_luo_settle_folio(struct address_space *mapping,
				  struct folio *folio)
{
	int ret = 0;

	folio_lock(folio);
	if (folio->mapping == mapping)
		ret = memfd_luo_check_folio(folio) ?: 1;
	if (ret > 0 && !folio_test_uptodate(folio)) {
		folio_zero_segment(folio, 0, folio_size(folio));
		flush_dcache_folio(folio);
		folio_mark_uptodate(folio);
	}
	if (ret > 0 && !folio_test_dirty(folio))
		folio_mark_dirty(folio);
	folio_unlock(folio);
	return ret;
}

/*
 * Settle folios up to the first one that is not in the file any longer or cannot
 * be preserved.  Return the number of settled folios, and drop the references to
 * the others.  If none is settled, return 0 or an error.
 */
static long memfd_luo_settle(struct address_space *mapping,
			     struct folio **batch, long nr)
{
	long settled = 0;
	int ret = 0;

	while (settled < nr) {
		/* Zeroing many large folios takes seconds. */
		if (liveupdate_interrupted())
			ret = -EINTR;
		else
			ret = memfd_luo_settle_folio(mapping, batch[settled]);
		if (ret <= 0)
			break;
		settled++;
		cond_resched();
	}

	release_pages(batch + settled, nr - settled);
	return settled ?: ret;
}

/* Preserve folios, and move the references to @arr; drop them on failure. */
static int memfd_luo_add_batch(struct memfd_luo_array *arr,
			       struct folio **batch, long nr)
{
	int err = memfd_luo_array_reserve(arr, nr, folio_next_index(batch[nr - 1]));

	if (!err)
		err = kho_preserve_folios(batch, nr);
	if (err) {
		release_pages(batch, nr);
		return err;
	}

	for (long i = 0; i < nr; i++) {
		arr->entries[arr->nr++] = (struct memfd_luo_folio_ser){
			.pfn = folio_pfn(batch[i]),
			.flags = MEMFD_LUO_FOLIO_FLAGS,
			.index = batch[i]->index,
		};
	}
	return 0;
}

/*
 * Check whether a folio can be preserved in place.  For example, folios in CMA
 * cannot, because scratch areas reserved at boot are CMA.  The result is the same
 * for a whole pageblock; @known is the last pageblock whose folios can.
 */
static bool memfd_luo_may_stay(struct folio *folio, unsigned long *known)
{
	unsigned long block = pageblock_start_pfn(folio_pfn(folio));

	if (block != *known) {
		if (!folio_is_longterm_pinnable(folio))
			return false;
		*known = block;
	}
	return true;
}

/*
 * Get references to folios that are in memory, from @index on.  Stop at the first
 * hole, and at the first folio for which memfd_luo_may_stay() does not return
 * @stay.
 */
static long memfd_luo_hold_present(struct address_space *mapping, pgoff_t index,
				   pgoff_t end, struct folio **batch,
				   unsigned int max, bool stay)
{
	unsigned long known = ULONG_MAX;
	struct folio_batch found;
	long nr = 0;

	folio_batch_init(&found);
	while (filemap_get_folios_contig(mapping, &index, end, &found)) {
		unsigned int i = 0;

		while (i < folio_batch_count(&found) && nr < max &&
		       memfd_luo_may_stay(found.folios[i], &known) == stay)
			batch[nr++] = found.folios[i++];

		if (i < folio_batch_count(&found)) {
			release_pages(found.folios + i,
				      folio_batch_count(&found) - i);
			break;
		}
		folio_batch_reinit(&found);
	}
	return nr;
}

static bool memfd_luo_isolate(struct folio *folio, struct list_head *list)
{
	if (!folio_isolate_lru(folio))
		return false;

	list_add_tail(&folio->lru, list);
	node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
			    folio_nr_pages(folio));
	return true;
}

/* With memalloc_pin_save(), the new folios are in memory that can be preserved. */
static int memfd_luo_migrate(struct list_head *list)
{
	struct migration_target_control target = {
		.nid = NUMA_NO_NODE,
		.gfp_mask = GFP_USER | MEMFD_LUO_GFP,
		.reason = MR_LONGTERM_PIN,
	};
	unsigned int flags = memalloc_pin_save();
	int err = migrate_pages(list, alloc_migration_target, NULL,
				(unsigned long)&target, MIGRATE_SYNC,
				MR_LONGTERM_PIN, NULL);

	memalloc_pin_restore(flags);
	if (err)
		putback_movable_pages(list);
	return err;
}

/*
 * Migrate folios to memory where they can be preserved, and drop the references.
 *
 * Return 0 when all isolated folios are migrated; -EAGAIN when no folio could be
 * isolated or some could not be migrated; or an error.  A folio cannot be isolated
 * if it is not on an LRU list yet, or another user has isolated it.
 */
static int memfd_luo_move(struct folio **batch, long nr)
{
	LIST_HEAD(list);
	long pages = 0;
	int err = 0;

	for (long i = 0; i < nr && pages < MEMFD_LUO_STEP && !err; i++) {
		/* A poisoned folio never returns to an LRU list. */
		if (folio_contain_hwpoisoned_page(batch[i]))
			err = -EHWPOISON;
		else if (memfd_luo_isolate(batch[i], &list))
			pages += folio_nr_pages(batch[i]);
	}
	release_pages(batch, nr);

	if (err) {
		putback_movable_pages(&list);
		return err;
	}
	err = list_empty(&list) ? 1 : memfd_luo_migrate(&list);
	if (err <= 0)
		return err;

	lru_add_drain_all();
	return -EAGAIN;
}

/* Fill holes and read from swap, with folios in memory that can be preserved. */
static int memfd_luo_bring_in(struct address_space *mapping, pgoff_t index,
			      pgoff_t end)
{
	gfp_t gfp = (mapping_gfp_mask(mapping) & ~__GFP_MOVABLE) | MEMFD_LUO_GFP;

	/* Leave memory for other tasks, so that the OOM killer is not invoked. */
	if (si_mem_available() < MEMFD_LUO_STEP)
		return -ENOMEM;

	/*
	 * The caller gets references to these folios before it reads more, so
	 * that they are not reclaimed.
	 */
	end = min(end, index + MEMFD_LUO_STEP);
	while (index <= end && !liveupdate_interrupted()) {
		struct folio *folio = shmem_read_folio_gfp(mapping, index, gfp);

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		index = folio_next_index(folio);
		folio_put(folio);
		cond_resched();
	}
	return 0;
}

/*
 * A folio with a reference can neither be migrated nor swapped out, so folios are
 * not pinned.
 *
 * Return the number of folios that are held and settled; 0 when folios have to
 * be looked up again: they were replaced, migrated, read in or allocated.
 */
static long memfd_luo_hold(struct file *file, loff_t pos, loff_t size,
			   struct folio **batch, unsigned int max)
{
	struct address_space *mapping = file->f_mapping;
	pgoff_t index = pos >> PAGE_SHIFT, end = (size - 1) >> PAGE_SHIFT;
	long nr;

	nr = memfd_luo_hold_present(mapping, index, end, batch, max, true);
	if (nr)
		return memfd_luo_settle(mapping, batch, nr);

	nr = memfd_luo_hold_present(mapping, index, end, batch, max, false);
	if (nr)
		return memfd_luo_move(batch, nr);

	return memfd_luo_bring_in(mapping, index, end);
}

/* On failure @arr has the folios preserved so far. */
static int memfd_luo_hold_all(struct file *file, loff_t size, struct folio **batch,
			      unsigned int max, struct memfd_luo_array *arr)
{
	unsigned int turns = 0;
	loff_t pos = 0;
	int err;

	while (pos < size) {
		struct folio *last;
		long nr;

		if (liveupdate_interrupted())
			return -EINTR;

		nr = memfd_luo_hold(file, pos, size, batch, max);
		if (nr == -EAGAIN && ++turns > MEMFD_LUO_TURNS)
			return -EBUSY;
		if (!nr || nr == -EAGAIN)
			continue;
		if (nr < 0)
			return nr;
		turns = 0;

		last = batch[nr - 1];
		pos = folio_pos(last) + folio_size(last);

		err = memfd_luo_add_batch(arr, batch, nr);
		if (err)
			return err;
	}
	return 0;
}

/* Hold and preserve all folios of @file and list them in @arr. */
static int memfd_luo_collect(struct file *file, loff_t size,
			     struct memfd_luo_array *arr)
{
	unsigned int max = min_t(u64, arr->limit, MEMFD_LUO_BATCH);
	struct folio **batch;
	int err;

	batch = kvmalloc_objs(*batch, max);
	if (!batch)
		return -ENOMEM;

	err = memfd_luo_hold_all(file, size, batch, max, arr);
	kvfree(batch);
	if (err)
		memfd_luo_release(arr->entries, arr->nr);
	else
		memfd_luo_array_trim(arr);
	return err;
}

/* Record the attributes that user space can change until kexec. */
static int memfd_luo_note_attributes(struct file *file,
				     struct memfd_luo_ser *desc)
{
	struct memfd_luo_mode_ser *mode = memfd_luo_mode(desc);
	int seals = memfd_get_seals(file);

	if (seals < 0)
		return seals;
	if (seals & ~MEMFD_LUO_ALL_SEALS)
		return -EOPNOTSUPP;

	desc->seals = seals;
	desc->pos = file->f_pos;
	mode->magic = MEMFD_LUO_MODE_MAGIC;
	mode->mode = file_inode(file)->i_mode & 0777;
	return 0;
}

/* Called with the inode locked, and its size fixed by shmem_freeze(). */
static int memfd_luo_describe(struct file *file, struct memfd_luo_ser *desc,
			      struct memfd_luo_kept *kept)
{
	loff_t size = i_size_read(file_inode(file));
	struct memfd_luo_array arr = { .limit = memfd_luo_pages(size) };
	int err;

	err = memfd_luo_note_attributes(file, desc);
	if (err)
		return err;

	/* The whole file has to be in memory. */
	if (arr.limit > totalram_pages())
		return -EFBIG;

	desc->size = size;
	kept->poisoned = memfd_luo_poisoned();
	if (!size)
		return 0;

	err = memfd_luo_collect(file, size, &arr);
	if (err)
		return err;

	err = kho_preserve_vmalloc(arr.entries, &desc->folios);
	if (err) {
		memfd_luo_release(arr.entries, arr.nr);
		return err;
	}

	desc->nr_folios = arr.nr;
	kept->entries = arr.entries;
	return 0;
}

/*
 * Poll the lock: a writer may hold it and wait for a page that user space has to
 * provide, and fallocate() may hold it for minutes.
 */
static int memfd_luo_lock(struct inode *inode)
{
	while (!inode_trylock(inode)) {
		if (liveupdate_interrupted())
			return -EINTR;
		schedule_timeout_killable(1);
	}

	return 0;
}

static int memfd_luo_keep(struct file *file, struct memfd_luo_ser *desc,
			  struct memfd_luo_kept *kept)
{
	struct inode *inode = file_inode(file);
	int err;

	err = memfd_luo_lock(inode);
	if (err)
		return err;

	shmem_freeze(inode, true);
	err = memfd_luo_describe(file, desc, kept);
	if (err)
		shmem_freeze(inode, false);
	inode_unlock(inode);
	return err;
}

/*
 * The file in the next kernel can be read and written.  Refuse a descriptor with
 * fewer permissions, unless seals prevent writing and resizing.
 */
static int memfd_luo_check_access(struct file *file)
{
	const unsigned int fixed = F_SEAL_SHRINK | F_SEAL_GROW;
	unsigned int seals = memfd_get_seals(file);
	fmode_t need = FMODE_READ;

	if ((seals & fixed) != fixed ||
	    !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		need |= FMODE_WRITE;

	return need & ~file->f_mode ? -EPERM : 0;
}

static int memfd_luo_preserve(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_kept *kept;
	struct memfd_luo_ser *desc;
	int err;

	err = memfd_luo_check_access(op->file);
	if (err)
		return err;

	kept = kzalloc_obj(*kept);
	if (!kept)
		return -ENOMEM;

	desc = kho_alloc_preserve(sizeof(*desc) + sizeof(*memfd_luo_mode(desc)));
	if (IS_ERR(desc)) {
		err = PTR_ERR(desc);
		goto err_free_kept;
	}

	err = memfd_luo_keep(op->file, desc, kept);
	if (err) {
		pr_err_ratelimited("failed to preserve file (%lld bytes): %pe\n",
				   i_size_read(file_inode(op->file)), ERR_PTR(err));
		goto err_free_desc;
	}

	op->private_data = kept;
	op->serialized_data = virt_to_phys(desc);
	return 0;

err_free_desc:
	kho_unpreserve_free(desc);
err_free_kept:
	kfree(kept);
	return err;
}

/*
 * Check the folios again if the kernel has found poisoned memory, or if mappings
 * may have set tags.  As the number of poisoned pages may also decrease, it may be
 * the same after a new memory error, but then AS_EIO of the mapping is set.
 */
static int memfd_luo_check_again(struct address_space *mapping,
				 const struct memfd_luo_kept *kept, u64 nr)
{
	int err = 0;

	if (kept->poisoned == memfd_luo_poisoned() &&
	    !test_bit(AS_EIO, &mapping->flags) && !memfd_luo_may_have_tags())
		return 0;

	for (u64 i = 0; i < nr && !err; i++)
		err = memfd_luo_check_folio(pfn_folio(kept->entries[i].pfn));
	return err;
}

static int memfd_luo_freeze(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_ser *desc = phys_to_virt(op->serialized_data);
	int err = memfd_luo_check_again(op->file->f_mapping, op->private_data,
					desc->nr_folios);

	return err ?: memfd_luo_note_attributes(op->file, desc);
}

/*
 * This is called when a session is closed, so it must not wait for the inode lock.
 * The lock is not needed: only one session has the file, so shmem_freeze() is
 * undone once.
 */
static void memfd_luo_unpreserve(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_ser *desc = phys_to_virt(op->serialized_data);
	struct memfd_luo_kept *kept = op->private_data;

	if (desc->nr_folios) {
		kho_unpreserve_vmalloc(&desc->folios);
		memfd_luo_release(kept->entries, desc->nr_folios);
	}
	shmem_freeze(file_inode(op->file), false);

	kho_unpreserve_free(desc);
	kfree(kept);
}

/* Memfds are shared memory without a name. */
static bool memfd_luo_can_preserve(struct liveupdate_file_handler *handler,
				   struct file *file)
{
	return shmem_file(file) && file_inode(file)->i_nlink == 0;
}

/* All open files of an inode share its memory, so LUO must preserve only one. */
static unsigned long memfd_luo_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

static const struct liveupdate_file_ops memfd_luo_ops = {
	.owner		= THIS_MODULE,
	.can_preserve	= memfd_luo_can_preserve,
	.get_id		= memfd_luo_get_id,
	.preserve	= memfd_luo_preserve,
	.unpreserve	= memfd_luo_unpreserve,
	.freeze		= memfd_luo_freeze,
	.retrieve	= memfd_luo_retrieve,
	.finish		= memfd_luo_finish,
};

static struct liveupdate_file_handler memfd_handler = {
	.compatible	= MEMFD_LUO_FH_COMPATIBLE,
	.ops		= &memfd_luo_ops,
};

LIVEUPDATE_FILE_NOTE("memfd", MEMFD_LUO_FH_COMPATIBLE);

static int __init memfd_luo_init(void)
{
	int err = liveupdate_register_file_handler(&memfd_handler);

	/* Live update may be switched off on the command line. */
	if (err == -EOPNOTSUPP)
		return 0;
	if (err)
		pr_err("failed to register file handler: %pe\n", ERR_PTR(err));
	return err;
}
late_initcall(memfd_luo_init);
