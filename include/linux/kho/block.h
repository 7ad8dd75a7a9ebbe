/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2026, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_KHO_BLOCK_H
#define _LINUX_KHO_BLOCK_H

#include <linux/kho/abi/block.h>
#include <linux/list.h>
#include <linux/types.h>

/**
 * struct kho_block - one block of a set, as this kernel sees it
 * @list: position in &struct kho_block_set @blocks
 * @ser: the block itself, in preserved memory
 */
struct kho_block {
	struct list_head list;
	struct kho_block_header_ser *ser;
};

/**
 * struct kho_block_set - records of one size in a chain of blocks
 * @blocks: the blocks, in the order of the chain
 * @nblocks: number of @blocks
 * @head_pa: physical address of the first block, 0 when the set has none
 * @entry_size: size of a record in bytes
 * @count_per_block: number of records that fit into a block
 * @incoming: the blocks were written by the previous kernel
 *
 * A set has no lock of its own; its owner serializes all calls.
 */
struct kho_block_set {
	struct list_head blocks;
	long nblocks;
	u64 head_pa;
	size_t entry_size;
	u64 count_per_block;
	bool incoming;
};

/**
 * struct kho_block_set_it - a position between two records of a set
 * @bs: the set
 * @block: block of the position, NULL when the set has none
 * @i: number of records of @block before the position
 */
struct kho_block_set_it {
	struct kho_block_set *bs;
	struct kho_block *block;
	u64 i;
};

/**
 * KHO_BLOCK_SET_INIT - initializer for an empty set
 * @_name: the variable that is initialized
 * @_entry_size: size of a record in bytes
 */
#define KHO_BLOCK_SET_INIT(_name, _entry_size) {			\
	.blocks = LIST_HEAD_INIT((_name).blocks),			\
	.entry_size = (_entry_size),					\
	.count_per_block = (KHO_BLOCK_SIZE -				\
		sizeof(struct kho_block_header_ser)) / (_entry_size),	\
}

void kho_block_set_init(struct kho_block_set *bs, size_t entry_size);
int kho_block_set_grow(struct kho_block_set *bs, u64 count);
void kho_block_set_shrink(struct kho_block_set *bs, u64 count);
int kho_block_set_restore(struct kho_block_set *bs, u64 head_pa);
void kho_block_set_destroy(struct kho_block_set *bs);
void kho_block_set_clear(struct kho_block_set *bs);

void kho_block_set_it_init(struct kho_block_set_it *it,
			   struct kho_block_set *bs);
void *kho_block_set_it_reserve_entry(struct kho_block_set_it *it);
void *kho_block_set_it_read_entry(struct kho_block_set_it *it);
void *kho_block_set_it_prev(struct kho_block_set_it *it);

/**
 * kho_block_set_head_pa - get the address of a set for the next kernel
 * @bs: the set
 *
 * Return: physical address of the first block, 0 when the set has none.
 */
static inline u64 kho_block_set_head_pa(struct kho_block_set *bs)
{
	return bs->head_pa;
}

/**
 * kho_block_set_is_empty - check whether a set has no blocks
 * @bs: the set
 *
 * Return: true when the set has no block and cannot hold a record.
 */
static inline bool kho_block_set_is_empty(struct kho_block_set *bs)
{
	return list_empty(&bs->blocks);
}

#endif /* _LINUX_KHO_BLOCK_H */
