// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (c) 2026, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

/**
 * DOC: KHO serialization blocks
 *
 * A block set holds records of one size for the next kernel.  It consists of
 * pages that are preserved as soon as they are allocated, linked in the format
 * of ``include/linux/kho/abi/block.h``.
 *
 * The kernel that writes a set allocates capacity with kho_block_set_grow(),
 * while an error can still be handled, and writes the records before kexec with
 * kho_block_set_it_reserve_entry(), which cannot fail then.  The address of the
 * first block, kho_block_set_head_pa(), is passed to the next kernel.
 *
 * The kernel that reads the set restores it with kho_block_set_restore(), reads
 * the records with kho_block_set_it_read_entry(), and frees the set with
 * kho_block_set_destroy().  A restored set cannot grow.
 *
 * A set has no lock of its own.  Its owner serializes all calls.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <kunit/visibility.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/block.h>
#include <linux/slab.h>
#include <linux/string.h>

KHO_NOTE(KHO_NOTE_STRUCTURE, "block", KHO_BLOCK_COMPATIBLE,
	 KHO_BLOCK_COMPATIBLE);

/*
 * Maximum number of blocks in a set.  The limit is for incoming sets, where the
 * chain may be damaged.  With pages of 4 KiB that is 40 MB, or 1.27 million
 * records of 32 bytes.
 */
#define KHO_MAX_BLOCKS	10000

static struct kho_block *kho_block_first(struct kho_block_set *bs)
{
	return list_first_entry_or_null(&bs->blocks, struct kho_block, list);
}

static struct kho_block *kho_block_last(struct kho_block_set *bs)
{
	return list_last_entry_or_null(&bs->blocks, struct kho_block, list);
}

static u64 kho_block_set_capacity(const struct kho_block_set *bs, long nblocks)
{
	return (u64)nblocks * bs->count_per_block;
}

/* Records follow the header. */
static void *kho_block_entry(struct kho_block_set_it *it, u64 i)
{
	return (void *)(it->block->ser + 1) + i * it->bs->entry_size;
}

static void kho_block_free_ser(struct kho_block_set *bs,
			       struct kho_block_header_ser *ser)
{
	if (bs->incoming)
		folio_put(virt_to_folio(ser));
	else
		kho_unpreserve_free(ser);
}

/**
 * kho_block_set_init - initialize an empty set
 * @bs: the set
 * @entry_size: size of a record in bytes, not more than fits into a block
 */
void kho_block_set_init(struct kho_block_set *bs, size_t entry_size)
{
	struct kho_block_set empty = KHO_BLOCK_SET_INIT(*bs, entry_size);

	*bs = empty;
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_init);

/* Append a block to the list, without linking it in preserved memory. */
static int kho_block_track(struct kho_block_set *bs,
			   struct kho_block_header_ser *ser)
{
	struct kho_block *new;

	if (bs->nblocks == KHO_MAX_BLOCKS)
		return -ENOSPC;

	new = kmalloc_obj(*new);
	if (!new)
		return -ENOMEM;

	new->ser = ser;
	list_add_tail(&new->list, &bs->blocks);
	bs->nblocks++;
	return 0;
}

/* Undo kho_block_track(), and return the block. */
static struct kho_block_header_ser *kho_block_untrack(struct kho_block_set *bs,
						      struct kho_block *block)
{
	struct kho_block_header_ser *ser = block->ser;

	list_del(&block->list);
	bs->nblocks--;
	kfree(block);
	return ser;
}

static int kho_block_set_append(struct kho_block_set *bs)
{
	struct kho_block *last = kho_block_last(bs);
	struct kho_block_header_ser *ser;
	int err;

	ser = kho_alloc_preserve(KHO_BLOCK_SIZE);
	if (IS_ERR(ser))
		return PTR_ERR(ser);

	err = kho_block_track(bs, ser);
	if (err) {
		kho_unpreserve_free(ser);
		return err;
	}

	if (last)
		last->ser->next = virt_to_phys(ser);
	else
		bs->head_pa = virt_to_phys(ser);
	return 0;
}

static void kho_block_set_drop_last(struct kho_block_set *bs)
{
	struct kho_block *last = kho_block_last(bs);

	kho_block_free_ser(bs, kho_block_untrack(bs, last));

	last = kho_block_last(bs);
	if (last)
		last->ser->next = 0;
	else
		bs->head_pa = 0;
}

/**
 * kho_block_set_grow - add capacity for records
 * @bs: a set of this kernel
 * @count: total number of records that the set has to hold
 *
 * Context: May sleep.
 * Return: 0, -EINVAL for an incoming set, -ENOSPC when the set would be too
 * large, -ENOMEM, or an error of kho_alloc_preserve().  On error the set is
 * unchanged.
 */
int kho_block_set_grow(struct kho_block_set *bs, u64 count)
{
	long nblocks = bs->nblocks;
	int err;

	if (bs->incoming || !bs->count_per_block)
		return -EINVAL;

	while (count > kho_block_set_capacity(bs, bs->nblocks)) {
		err = kho_block_set_append(bs);
		if (err)
			goto err_shrink;
	}

	return 0;

err_shrink:
	while (bs->nblocks > nblocks)
		kho_block_set_drop_last(bs);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_grow);

/**
 * kho_block_set_shrink - free unused blocks
 * @bs: the set
 * @count: total number of records that the set has to hold
 *
 * Blocks are freed from the end of the chain, with the records in them.
 *
 * Context: Any.
 */
void kho_block_set_shrink(struct kho_block_set *bs, u64 count)
{
	while (bs->nblocks &&
	       count <= kho_block_set_capacity(bs, bs->nblocks - 1))
		kho_block_set_drop_last(bs);
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_shrink);

/*
 * Check an incoming block.  @full is true when all blocks before it are full.
 * Return the fault, or NULL.
 */
static const char *kho_block_verify(const struct kho_block_set *bs, u64 pa,
				    bool full)
{
	const struct kho_block_header_ser *ser;

	if (!kho_pages_preserved(pa, 1))
		return "not preserved";

	ser = phys_to_virt(pa);
	if (ser->count > bs->count_per_block)
		return "record count out of range";
	if (ser->count && !full)
		return "records after a partial block";

	return NULL;
}

/*
 * Track the blocks of an incoming chain, up to its end or to the first invalid
 * block.
 */
static int kho_block_set_read(struct kho_block_set *bs, u64 head_pa)
{
	struct kho_block_header_ser *ser;
	const char *why;
	bool full = true;
	int err;

	for (u64 pa = head_pa; pa; pa = ser->next) {
		why = bs->nblocks < KHO_MAX_BLOCKS ?
			kho_block_verify(bs, pa, full) : "loop detected";
		if (why) {
			pr_err("record block: %s (block %#llx, chain %#llx)\n",
			       why, pa, head_pa);
			return -EINVAL;
		}

		ser = phys_to_virt(pa);
		full = ser->count == bs->count_per_block;
		err = kho_block_track(bs, ser);
		if (err)
			return err;
	}

	return 0;
}

/*
 * Restore the tracked blocks, so that no other owner with the same addresses in
 * its records can modify or free them.  A block that is already restored, by
 * another owner or because the chain has it twice, is untracked.
 */
static int kho_block_set_take(struct kho_block_set *bs)
{
	struct kho_block *block, *tmp;
	int err = 0;

	list_for_each_entry_safe(block, tmp, &bs->blocks, list) {
		if (!kho_restore_folio(virt_to_phys(block->ser))) {
			kho_block_untrack(bs, block);
			err = -EINVAL;
		} else if (block->ser->count > bs->count_per_block) {
			err = -EINVAL;
		}
	}

	return err;
}

/**
 * kho_block_set_restore - restore a set of the previous kernel
 * @bs: a set without blocks, initialized for the size of the records
 * @head_pa: address of the first block, or 0 for a set without any
 *
 * Context: May sleep.
 * Return: 0; -EINVAL when the chain is damaged: the blocks before the damage are
 * freed then; -ENOMEM with nothing changed: the call may be repeated.
 */
int kho_block_set_restore(struct kho_block_set *bs, u64 head_pa)
{
	int err;

	bs->incoming = true;

	err = kho_block_set_read(bs, head_pa);
	if (err == -ENOMEM) {
		while (bs->nblocks)
			kho_block_untrack(bs, kho_block_last(bs));
		return err;
	}

	/* If the chain is damaged, free the restored blocks: they have no other user. */
	if (kho_block_set_take(bs) || err) {
		kho_block_set_destroy(bs);
		return -EINVAL;
	}

	bs->head_pa = head_pa;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_restore);

/**
 * kho_block_set_destroy - free all blocks of a set
 * @bs: the set; it has no blocks afterwards and can be used again
 *
 * Context: Any.
 */
void kho_block_set_destroy(struct kho_block_set *bs)
{
	while (bs->nblocks)
		kho_block_free_ser(bs, kho_block_untrack(bs, kho_block_first(bs)));

	bs->head_pa = 0;
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_destroy);

/**
 * kho_block_set_clear - remove all records of a set, but keep its blocks
 * @bs: the set
 *
 * Context: Any.
 */
void kho_block_set_clear(struct kho_block_set *bs)
{
	struct kho_block *block;

	list_for_each_entry(block, &bs->blocks, list) {
		block->ser->count = 0;
		memset(block->ser + 1, 0,
		       KHO_BLOCK_SIZE - sizeof(*block->ser));
	}
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_clear);

/**
 * kho_block_set_it_init - start before the first record
 * @it: the iterator
 * @bs: the set, which must not grow or shrink while @it is used
 */
void kho_block_set_it_init(struct kho_block_set_it *it,
			   struct kho_block_set *bs)
{
	*it = (struct kho_block_set_it){
		.bs = bs,
		.block = kho_block_first(bs),
	};
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_it_init);

static bool kho_block_set_it_advance(struct kho_block_set_it *it)
{
	if (list_is_last(&it->block->list, &it->bs->blocks))
		return false;

	it->block = list_next_entry(it->block, list);
	it->i = 0;
	return true;
}

/**
 * kho_block_set_it_reserve_entry - append a record
 * @it: the iterator; since kho_block_set_it_init(), only used for this function
 *
 * Return: the memory of the record, or NULL when the set is full.
 */
void *kho_block_set_it_reserve_entry(struct kho_block_set_it *it)
{
	if (!it->block)
		return NULL;

	if (it->i == it->bs->count_per_block && !kho_block_set_it_advance(it))
		return NULL;

	it->block->ser->count = it->i + 1;
	return kho_block_entry(it, it->i++);
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_it_reserve_entry);

/**
 * kho_block_set_it_read_entry - read the next record
 * @it: the iterator
 *
 * Return: the record, or NULL after the last one.
 */
void *kho_block_set_it_read_entry(struct kho_block_set_it *it)
{
	if (!it->block)
		return NULL;

	/* Only leave a full block: one that is not full has the last records. */
	if (it->i == it->bs->count_per_block && !kho_block_set_it_advance(it))
		return NULL;
	if (it->i >= it->block->ser->count)
		return NULL;

	return kho_block_entry(it, it->i++);
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_it_read_entry);

/**
 * kho_block_set_it_prev - read the previous record
 * @it: the iterator
 *
 * Return: the record, or NULL before the first one.
 */
void *kho_block_set_it_prev(struct kho_block_set_it *it)
{
	if (!it->block)
		return NULL;

	if (!it->i) {
		if (list_is_first(&it->block->list, &it->bs->blocks))
			return NULL;
		/* The iterator only leaves full blocks. */
		it->block = list_prev_entry(it->block, list);
		it->i = it->bs->count_per_block;
	}

	return kho_block_entry(it, --it->i);
}
EXPORT_SYMBOL_IF_KUNIT(kho_block_set_it_prev);
