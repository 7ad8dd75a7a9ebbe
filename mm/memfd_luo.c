// SPDX-License-Identifier: GPL-2.0
/*
 * Memfds that outlive their kernel: the Live Update Orchestrator's handler for
 * files of shared memory.  The pages stay where they are; what crosses the
 * kexec is the list of them, described in include/linux/kho/abi/memfd.h.  What
 * users see of it is in Documentation/mm/memfd_preservation.rst.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/vmalloc.h>
#include <linux/liveupdate.h>
#include <linux/memcontrol.h>
#include <linux/memfd.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/vmalloc.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

static_assert(sizeof(MEMFD_LUO_FH_COMPATIBLE) <= LIVEUPDATE_HNDL_COMPAT_LENGTH,
	      "the compatibility string does not fit the field LUO has for it");

/*
 * How many folios are preserved at a time.  Bounds the temporary memory, and the
 * time until a fatal signal is seen.
 */
#define MEMFD_LUO_BATCH		4096

/* How many folios are put into a file at a time: a node of its page cache. */
#define MEMFD_LUO_WINDOW	XA_CHUNK_SIZE

#define MEMFD_LUO_FOLIO_FLAGS	(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE)

/*
 * struct memfd_luo_folio_ser, known to be aligned: the compiler would take the
 * packed one apart and together byte by byte.
 */
struct memfd_luo_entry {
	u64 pfn:52;
	u64 flags:12;
	u64 index;
};

static_assert(sizeof(struct memfd_luo_entry) == sizeof(struct memfd_luo_folio_ser));
static_assert(offsetof(struct memfd_luo_entry, index) ==
	      offsetof(struct memfd_luo_folio_ser, index));

/**
 * struct memfd_luo_array - the entries of a file being preserved
 * @entries: the entries, in vmalloc memory
 * @nr:      entries in use; the folio of each is held and preserved
 * @room:    entries there is memory for
 * @limit:   entries there can ever be: the pages of the file
 */
struct memfd_luo_array {
	struct memfd_luo_entry *entries;
	u64 nr;
	u64 room;
	u64 limit;
};

/**
 * struct memfd_luo_fill - a new file being filled with preserved folios
 * @file:    the file
 * @ser:     its description
 * @entries: one entry per folio
 * @next:    first entry whose folio is still in the hand-over
 * @folio:   folios of the entries before @next that are not in the file yet
 * @nr:      number of @folio
 * @end:     index behind the last folio that was taken
 * @batch:   what is restored and not counted yet
 *
 * Lives from the first attempt to retrieve a file to the last one: an attempt
 * that ends early, for want of memory or because the kernel is about to be
 * replaced, is continued by the next one.
 */
struct memfd_luo_fill {
	struct file *file;
	struct memfd_luo_ser *ser;
	struct memfd_luo_entry *entries;
	u64 next;
	struct folio *folio[MEMFD_LUO_WINDOW];
	unsigned int nr;
	u64 end;
	struct kho_restore_batch batch;
};

static u64 memfd_luo_pages(u64 size)
{
	return DIV_ROUND_UP_ULL(size, PAGE_SIZE);
}

/* Never warns: how many entries a file needs is up to whoever made the file. */
static int memfd_luo_array_resize(struct memfd_luo_array *arr, u64 room)
{
	struct memfd_luo_entry *entries;

	entries = __vcalloc(room, sizeof(*entries), GFP_KERNEL | __GFP_NOWARN);
	if (!entries)
		return -ENOMEM;

	if (arr->nr)
		memcpy(entries, arr->entries, arr->nr * sizeof(*entries));
	vfree(arr->entries);
	arr->entries = entries;
	arr->room = room;
	return 0;
}

static int memfd_luo_array_reserve(struct memfd_luo_array *arr, u64 more)
{
	u64 need = arr->nr + more;

	if (need <= arr->room)
		return 0;
	return memfd_luo_array_resize(arr, max(need, min(2 * arr->room, arr->limit)));
}

/* A file of large folios needs far fewer entries than it has pages. */
static void memfd_luo_array_trim(struct memfd_luo_array *arr)
{
	u64 unused = (arr->room - arr->nr) * sizeof(*arr->entries);

	/* Without memory for the copy, the larger array does as well. */
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
static void memfd_luo_release(struct memfd_luo_entry *entries, u64 nr)
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

/*
 * The two flags are settled now and for good: what they are at the time of the
 * kexec cannot be known, as mappings may still be writing then.
 *
 * A folio that is clean now can be dirtied through a mapping later.  Were it
 * handed over as clean, the next kernel could drop it and the data with it.
 * A folio that is not up to date now can be filled later, and would then be
 * zeroed on its next first use.  So every folio becomes dirty and up to date
 * here; the price is some memory that reclaim could have had.  What is so
 * already stays so, because a folio that somebody holds is not written to swap.
 */
static void memfd_luo_settle_folio(struct folio *folio)
{
	if (folio_test_uptodate(folio) && folio_test_dirty(folio))
		return;

	folio_lock(folio);
	if (!folio_test_uptodate(folio)) {
		folio_zero_segment(folio, 0, folio_size(folio));
		flush_dcache_folio(folio);
		folio_mark_uptodate(folio);
	}
	folio_mark_dirty(folio);
	folio_unlock(folio);
}

/* Takes the references over: afterwards they belong to @arr or are dropped. */
static int memfd_luo_add_batch(struct memfd_luo_array *arr,
			       struct folio **batch, long nr)
{
	int err = 0;

	for (long i = 0; i < nr && !err; i++) {
		if (folio_contain_hwpoisoned_page(batch[i]))
			err = -EHWPOISON;
	}
	if (!err)
		err = memfd_luo_array_reserve(arr, nr);
	if (!err)
		err = kho_preserve_folios(batch, nr);
	if (err) {
		release_pages(batch, nr);
		return err;
	}

	for (long i = 0; i < nr; i++) {
		memfd_luo_settle_folio(batch[i]);
		arr->entries[arr->nr++] = (struct memfd_luo_entry){
			.pfn = folio_pfn(batch[i]),
			.flags = MEMFD_LUO_FOLIO_FLAGS,
			.index = batch[i]->index,
		};
		cond_resched();
	}
	return 0;
}

/*
 * Not in CMA, which KHO scratch memory is part of, for one.  That is a property
 * of a whole pageblock; @known is the last one that was found to be good.
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

/* Hold folios that are in memory and may stay there, up to the first that is not. */
static long memfd_luo_hold_present(struct address_space *mapping, pgoff_t index,
				   pgoff_t end, struct folio **batch,
				   unsigned int max)
{
	unsigned long known = ULONG_MAX;
	struct folio_batch found;
	long nr = 0;

	folio_batch_init(&found);
	while (filemap_get_folios_contig(mapping, &index, end, &found)) {
		unsigned int i = 0;

		while (i < folio_batch_count(&found) && nr < max &&
		       memfd_luo_may_stay(found.folios[i], &known))
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

/*
 * A folio that somebody holds can neither move nor be swapped out, so a pin is
 * only needed for what pinning does on the way: it moves folios to where they
 * may stay, brings swapped ones in and fills holes.
 */
static long memfd_luo_hold(struct file *file, loff_t pos, loff_t size,
			   struct folio **batch, unsigned int max)
{
	pgoff_t offset;
	long nr;

	nr = memfd_luo_hold_present(file->f_mapping, pos >> PAGE_SHIFT,
				    (size - 1) >> PAGE_SHIFT, batch, max);
	if (nr)
		return nr;

	nr = memfd_pin_folios(file, pos, size - 1, batch, max, &offset);
	if (nr <= 0)
		return nr ?: -EIO;

	for (long i = 0; i < nr; i++)
		folio_get(batch[i]);
	unpin_folios(batch, nr);
	return nr;
}

/* On failure @arr holds what was done so far. */
static int memfd_luo_hold_all(struct file *file, loff_t size, struct folio **batch,
			      unsigned int max, struct memfd_luo_array *arr)
{
	loff_t pos = 0;
	int err;

	while (pos < size) {
		struct folio *last;
		long nr;

		if (liveupdate_interrupted())
			return -EINTR;

		nr = memfd_luo_hold(file, pos, size, batch, max);
		if (nr < 0)
			return nr;

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

/* What stays the user's to change until the last moment. */
static int memfd_luo_note_seals_and_pos(struct file *file,
					struct memfd_luo_ser *ser)
{
	int seals = memfd_get_seals(file);

	if (seals < 0)
		return seals;
	if (seals & ~MEMFD_LUO_ALL_SEALS)
		return -EOPNOTSUPP;

	ser->seals = seals;
	ser->pos = file->f_pos;
	return 0;
}

/* Called with the inode locked and its size frozen. */
static int memfd_luo_describe(struct file *file, struct memfd_luo_ser *ser,
			      struct memfd_luo_entry **entries)
{
	loff_t size = i_size_read(file_inode(file));
	struct memfd_luo_array arr = { .limit = memfd_luo_pages(size) };
	int err;

	err = memfd_luo_note_seals_and_pos(file, ser);
	if (err)
		return err;

	/* All of it has to be in memory at once; say so before trying. */
	if (arr.limit > totalram_pages())
		return -EFBIG;

	ser->size = size;
	*entries = NULL;
	if (!size)
		return 0;

	err = memfd_luo_collect(file, size, &arr);
	if (err)
		return err;

	err = kho_preserve_vmalloc(arr.entries, &ser->folios);
	if (err) {
		memfd_luo_release(arr.entries, arr.nr);
		return err;
	}

	ser->nr_folios = arr.nr;
	*entries = arr.entries;
	return 0;
}

static int memfd_luo_preserve(struct liveupdate_file_op_args *op)
{
	struct inode *inode = file_inode(op->file);
	struct memfd_luo_entry *entries;
	struct memfd_luo_ser *ser;
	int err;

	ser = kho_alloc_preserve(sizeof(*ser));
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	inode_lock(inode);
	shmem_freeze(inode, true);
	err = memfd_luo_describe(op->file, ser, &entries);
	if (err)
		shmem_freeze(inode, false);
	inode_unlock(inode);

	if (err) {
		pr_err_ratelimited("cannot preserve a memfd of %lld bytes: %pe\n",
				   i_size_read(inode), ERR_PTR(err));
		kho_unpreserve_free(ser);
		return err;
	}

	op->private_data = entries;
	op->serialized_data = virt_to_phys(ser);
	return 0;
}

static int memfd_luo_freeze(struct liveupdate_file_op_args *op)
{
	return memfd_luo_note_seals_and_pos(op->file,
					    phys_to_virt(op->serialized_data));
}

static void memfd_luo_unpreserve(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_ser *ser = phys_to_virt(op->serialized_data);
	struct inode *inode = file_inode(op->file);

	inode_lock(inode);
	if (ser->nr_folios) {
		kho_unpreserve_vmalloc(&ser->folios);
		memfd_luo_release(op->private_data, ser->nr_folios);
	}
	shmem_freeze(inode, false);
	inode_unlock(inode);

	kho_unpreserve_free(ser);
}

/* The handle is a number from the previous kernel: is there memory behind it? */
static struct memfd_luo_ser *memfd_luo_incoming(u64 handle)
{
	if (!handle || !kho_pages_preserved(handle, 1)) {
		pr_err("bad hand-over: no preserved page at %#llx, where a memfd is described\n",
		       handle);
		return NULL;
	}
	return phys_to_virt(handle);
}

static u64 memfd_luo_array_room(const struct memfd_luo_ser *ser)
{
	return (u64)ser->folios.total_pages * PAGE_SIZE /
	       sizeof(struct memfd_luo_entry);
}

/* Returns the name of the field that cannot be right, or NULL. */
static const char *memfd_luo_bad_field(const struct memfd_luo_ser *ser)
{
	if (ser->size > MAX_LFS_FILESIZE)
		return "size";
	if (ser->pos > MAX_LFS_FILESIZE)
		return "pos";
	if (ser->seals & ~MEMFD_LUO_ALL_SEALS)
		return "seals";
	if (ser->flags)
		return "flags";
	/* There are no holes: preserving a file fills them. */
	if (!ser->nr_folios != !ser->size ||
	    ser->nr_folios > memfd_luo_pages(ser->size) ||
	    ser->nr_folios > memfd_luo_array_room(ser))
		return "nr_folios";
	return NULL;
}

/* The same for an entry whose place in the file is @min_index or later. */
static const char *memfd_luo_bad_entry(const struct memfd_luo_ser *ser,
				       const struct memfd_luo_entry *entry,
				       u64 min_index)
{
	/* Whether the folio is there is seen when it is taken. */
	if (!entry->pfn)
		return "pfn";
	if (entry->flags & ~MEMFD_LUO_FOLIO_FLAGS)
		return "flags";
	if (entry->index < min_index ||
	    entry->index >= memfd_luo_pages(ser->size))
		return "index";
	return NULL;
}

static int memfd_luo_verify(const struct memfd_luo_ser *ser)
{
	const char *bad = memfd_luo_bad_field(ser);

	if (!bad)
		return 0;

	pr_err("bad hand-over: %s of a memfd (pos %llu, size %llu, seals %#x, flags %#x, nr_folios %llu)\n",
	       bad, ser->pos, ser->size, ser->seals, ser->flags, ser->nr_folios);
	return -EINVAL;
}

static int memfd_luo_verify_entries(const struct memfd_luo_ser *ser,
				    const struct memfd_luo_entry *entries)
{
	u64 min_index = 0;

	for (u64 i = 0; i < ser->nr_folios; i++) {
		const struct memfd_luo_entry *entry = &entries[i];
		const char *bad = memfd_luo_bad_entry(ser, entry, min_index);

		if (bad) {
			pr_err("bad hand-over: %s of folio %llu of a memfd (pfn %#llx, flags %#x, index %llu)\n",
			       bad, i, (u64)entry->pfn,
			       (unsigned int)entry->flags, entry->index);
			return -EINVAL;
		}
		min_index = entry->index + 1;
		cond_resched();
	}
	return 0;
}

/*
 * Free the folios of the entries from @first on.  What an entry names that
 * cannot be right may belong to somebody else, and stays where it is.
 */
static void memfd_luo_discard(const struct memfd_luo_ser *ser,
			      const struct memfd_luo_entry *entries,
			      u64 first, u64 nr)
{
	struct kho_restore_batch batch = { };
	u64 min_index = 0, missing = 0;

	for (u64 i = first; i < nr; i++) {
		const struct memfd_luo_entry *entry = &entries[i];
		struct folio *folio = NULL;

		if (!memfd_luo_bad_entry(ser, entry, min_index)) {
			folio = kho_restore_folio_batched(PFN_PHYS(entry->pfn),
							  &batch);
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
		pr_warn("%llu folios of a discarded memfd could not be freed\n",
			missing);
}

/* Frees all that a description from the previous kernel stands for. */
static void memfd_luo_discard_file(struct memfd_luo_ser *ser)
{
	struct memfd_luo_entry *entries;
	u64 nr = ser->nr_folios;

	/* It may be anything, and belong to anybody. */
	if (memfd_luo_verify(ser))
		return;

	if (nr) {
		entries = kho_restore_vmalloc(&ser->folios);
		if (entries)
			memfd_luo_discard(ser, entries, 0, nr);
		else
			pr_warn("the list of %llu folios of a discarded memfd is lost, they stay in use until the next kexec\n",
				nr);
		vfree(entries);
	}
	kho_restore_free(ser);
}

/*
 * Nobody else sees the folio yet.  It stays locked until it is in the file, or
 * until it is clear that it will not be there now.
 */
static int memfd_luo_prepare(struct folio *folio,
			     const struct memfd_luo_entry *entry, gfp_t gfp)
{
	int err = 0;

	/* A limit of the cgroup is for the caller to see, not to be killed by. */
	if (!folio_memcg_charged(folio))
		err = mem_cgroup_charge(folio, NULL, gfp | __GFP_RETRY_MAYFAIL);
	if (err)
		return err;

	__folio_set_locked(folio);
	__folio_set_swapbacked(folio);
	if (entry->flags & MEMFD_LUO_FOLIO_UPTODATE)
		__folio_mark_uptodate(folio);
	if (entry->flags & MEMFD_LUO_FOLIO_DIRTY)
		folio_test_set_dirty(folio);
	folio->index = entry->index;
	return 0;
}

/* Counts @pages that are in folios of the node and the cgroup of @folio. */
static void memfd_luo_count(struct folio *folio, long pages)
{
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, pages);
	lruvec_stat_mod_folio(folio, NR_SHMEM, pages);
}

/* Stores one folio in the page cache, which is locked. */
static int memfd_luo_store(struct xa_state *xas, struct address_space *mapping,
			   struct folio *folio, bool first)
{
	unsigned int order = folio_order(folio);
	long nr = folio_nr_pages(folio);

	/* The walk from the root is only needed where a node ends. */
	if (first || order || folio->index != xas->xa_index + 1 ||
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
	if (folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, nr);
	return 0;
}

/* Stores as many as there is memory for; returns how many. */
static unsigned int memfd_luo_store_all(struct address_space *mapping,
					struct folio **folios, unsigned int nr,
					gfp_t gfp)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned int i = 0;

	do {
		unsigned int start = i;
		long pages = 0;

		xas_lock_irq(&xas);
		for (; i < nr; i++) {
			struct folio *folio = folios[i];
			struct folio *last = folios[max(i, 1) - 1];

			if (memfd_luo_store(&xas, mapping, folio, i == start))
				break;
			if (pages && (folio_nid(folio) != folio_nid(last) ||
				      folio_memcg(folio) != folio_memcg(last))) {
				memfd_luo_count(last, pages);
				pages = 0;
			}
			pages += folio_nr_pages(folio);
		}
		if (pages)
			memfd_luo_count(folios[i - 1], pages);
		xas_unlock_irq(&xas);
	} while (xas_nomem(&xas, gfp & GFP_RECLAIM_MASK));

	return i;
}

/*
 * Put the folios at hand into the page cache of the file.  On failure the rest
 * stays at hand, and what was done for it already is not done again next time.
 */
static int memfd_luo_insert(struct memfd_luo_fill *fill)
{
	const struct memfd_luo_entry *entry = &fill->entries[fill->next - fill->nr];
	struct address_space *mapping = fill->file->f_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	unsigned int ready, stored;
	int err = 0;

	for (ready = 0; ready < fill->nr; ready++) {
		err = memfd_luo_prepare(fill->folio[ready], &entry[ready], gfp);
		if (err)
			break;
	}

	stored = memfd_luo_store_all(mapping, fill->folio, ready, gfp);
	if (!err && stored < ready)
		err = -ENOMEM;

	for (unsigned int i = 0; i < ready; i++) {
		struct folio *folio = fill->folio[i];

		if (i < stored)
			folio_add_lru(folio);
		folio_unlock(folio);
		if (i < stored)
			folio_put(folio);
	}

	fill->nr -= stored;
	memmove(fill->folio, fill->folio + stored,
		fill->nr * sizeof(*fill->folio));
	return err;
}

/* Takes the next folio out of the hand-over. */
static int memfd_luo_take(struct memfd_luo_fill *fill)
{
	const struct memfd_luo_entry *entry = &fill->entries[fill->next];
	struct folio *folio;
	unsigned int order;

	folio = kho_restore_folio_batched(PFN_PHYS(entry->pfn), &fill->batch);
	if (!folio) {
		pr_err("bad hand-over: no preserved folio at pfn %#llx\n",
		       (u64)entry->pfn);
		return -EIO;
	}

	fill->folio[fill->nr++] = folio;
	fill->next++;

	order = folio_order(folio);
	if (order > mapping_max_folio_order(fill->file->f_mapping)) {
		pr_err("folio of order %u at index %llu is larger than this kernel puts into a memfd\n",
		       order, entry->index);
		return -EFBIG;
	}
	if (!IS_ALIGNED(entry->index, 1UL << order) || entry->index != fill->end) {
		pr_err("bad hand-over: index %llu of a folio of order %u, where %llu comes next\n",
		       entry->index, order, fill->end);
		return -EINVAL;
	}

	fill->end = entry->index + BIT(order);
	return 0;
}

static int memfd_luo_take_window(struct memfd_luo_fill *fill)
{
	int err = 0;

	while (!err && fill->nr < MEMFD_LUO_WINDOW &&
	       fill->next < fill->ser->nr_folios)
		err = memfd_luo_take(fill);

	return err;
}

static int memfd_luo_take_all(struct memfd_luo_fill *fill)
{
	struct inode *inode = file_inode(fill->file);
	long blocks;
	int err = 0;

	/*
	 * At most so many; the file gives back what it does not need.  There is
	 * no limit on the file, so it can only be memory that is not granted.
	 */
	blocks = min_t(u64, memfd_luo_pages(fill->ser->size), totalram_pages());
	if (shmem_inode_acct_blocks(inode, blocks))
		return -ENOMEM;

	while (!err && (fill->nr || fill->next < fill->ser->nr_folios)) {
		if (liveupdate_interrupted()) {
			err = -EINTR;
			break;
		}

		err = memfd_luo_take_window(fill);
		if (!err)
			err = memfd_luo_insert(fill);
		cond_resched();
	}

	shmem_recalc_inode(inode, blocks, 0);
	kho_restore_batch_end(&fill->batch);

	if (!err && fill->end < memfd_luo_pages(fill->ser->size)) {
		pr_err("bad hand-over: nr_folios %llu of a memfd of %llu bytes, folios end at index %llu\n",
		       fill->ser->nr_folios, fill->ser->size, fill->end);
		return -EINVAL;
	}
	return err;
}

/*
 * What a file was not made for now is not lost.  Shared memory says -ENOSPC
 * when there is no memory for an inode, and others may have too many files.
 */
static int memfd_luo_open_error(int err)
{
	switch (err) {
	case -ENOSPC:
		return -ENOMEM;
	case -ENFILE:
		return -EAGAIN;
	default:
		return err;
	}
}

/*
 * An empty file with the properties in @ser.  The seals come first: sealing
 * against writes waits for users of the pages, and there are no pages yet.
 */
static struct file *memfd_luo_open(const struct memfd_luo_ser *ser)
{
	unsigned int flags = MFD_ALLOW_SEALING;
	struct inode *inode;
	struct file *file;
	int err;

	/*
	 * F_SEAL_EXEC on a file that can be executed would seal it against
	 * writing as well, so the execute bits have to be gone before.
	 */
	if (ser->seals & F_SEAL_EXEC)
		flags = MFD_NOEXEC_SEAL;

	file = memfd_alloc_file("", flags);
	if (IS_ERR(file)) {
		pr_err("cannot create a memfd: %pe\n", file);
		return ERR_PTR(memfd_luo_open_error(PTR_ERR(file)));
	}

	err = memfd_add_seals(file, ser->seals);
	if (err) {
		pr_err("cannot add seals %#x: %pe\n", ser->seals, ERR_PTR(err));
		fput(file);
		return ERR_PTR(err);
	}

	inode = file_inode(file);
	i_size_write(inode, ser->size);
	vfs_setpos(file, ser->pos, MAX_LFS_FILESIZE);
	return file;
}

static void memfd_luo_fill_free(struct memfd_luo_fill *fill)
{
	vfree(fill->entries);
	kho_restore_free(fill->ser);
	kfree(fill);
}

/* Frees what is in the file, at hand, and still in the hand-over. */
static void memfd_luo_abandon(struct memfd_luo_fill *fill)
{
	while (fill->nr)
		folio_put(fill->folio[--fill->nr]);
	memfd_luo_discard(fill->ser, fill->entries, fill->next,
			  fill->ser->nr_folios);
	fput(fill->file);
	memfd_luo_fill_free(fill);
}

/* Restoring the list is the first step that cannot be undone, so it is last. */
static int memfd_luo_restore_entries(struct memfd_luo_fill *fill)
{
	struct memfd_luo_ser *ser = fill->ser;
	int err;

	if (!ser->nr_folios)
		return 0;

	fill->entries = kho_restore_vmalloc(&ser->folios);
	if (fill->entries)
		return 0;

	err = kho_vmalloc_check(&ser->folios);
	if (!err)
		return -ENOMEM;

	pr_err("list of %llu folios of a memfd cannot be restored: %pe\n",
	       ser->nr_folios, ERR_PTR(err));
	return err;
}

static struct memfd_luo_fill *memfd_luo_begin(struct memfd_luo_ser *ser)
{
	struct memfd_luo_fill *fill;
	int err;

	err = memfd_luo_verify(ser);
	if (err)
		return ERR_PTR(err);

	fill = kzalloc_obj(*fill);
	if (!fill)
		return ERR_PTR(-ENOMEM);

	fill->ser = ser;
	fill->file = memfd_luo_open(ser);
	if (IS_ERR(fill->file)) {
		err = PTR_ERR(fill->file);
		goto err_free;
	}

	err = memfd_luo_restore_entries(fill);
	if (err)
		goto err_put_file;

	return fill;

err_put_file:
	fput(fill->file);
err_free:
	kfree(fill);
	return ERR_PTR(err);
}

/* What may succeed at another time; see "LUO File Descriptors". */
static bool memfd_luo_may_retry(int err)
{
	return err == -ENOMEM || err == -EINTR;
}

static int memfd_luo_retrieve(struct liveupdate_file_op_args *op)
{
	struct memfd_luo_fill *fill = op->private_data;
	struct memfd_luo_ser *ser;
	int err = 0;

	if (!fill) {
		ser = memfd_luo_incoming(op->serialized_data);
		if (!ser)
			return -EINVAL;

		fill = memfd_luo_begin(ser);
		if (IS_ERR(fill))
			return PTR_ERR(fill);
		err = memfd_luo_verify_entries(ser, fill->entries);
	}

	if (!err)
		err = memfd_luo_take_all(fill);

	op->private_data = fill;
	if (err && memfd_luo_may_retry(err))
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
 * Frees what retrieve() left: everything, when it was not called or never got
 * anywhere, or what a last attempt would have used.  After a success, or a
 * failure for good on the way, there is nothing left, nor a description.
 */
static void memfd_luo_finish(struct liveupdate_file_op_args *op)
{
	u64 handle = op->serialized_data;

	if (op->private_data)
		memfd_luo_abandon(op->private_data);
	else if (op->retrieve_status <= 0 && kho_pages_preserved(handle, 1))
		memfd_luo_discard_file(phys_to_virt(handle));
}

/* Shared memory without a name; LUO asks for every file it is given. */
static bool memfd_luo_can_preserve(struct liveupdate_file_handler *handler,
				   struct file *file)
{
	return shmem_file(file) && file_inode(file)->i_nlink == 0;
}

/* Two descriptions of one inode are one file to LUO. */
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

static int __init memfd_luo_init(void)
{
	int err = liveupdate_register_file_handler(&memfd_handler);

	/* Live update may be switched off on the command line. */
	if (err == -EOPNOTSUPP)
		return 0;
	if (err)
		pr_err("cannot register the handler with LUO: %pe\n", ERR_PTR(err));
	return err;
}
late_initcall(memfd_luo_init);
