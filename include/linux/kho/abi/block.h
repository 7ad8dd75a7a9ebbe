/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2026, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_KHO_ABI_BLOCK_H
#define _LINUX_KHO_ABI_BLOCK_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: KHO serialization block ABI
 *
 * Records of one size, in a chain of preserved pages.  Each page, a *block*,
 * starts with a &struct kho_block_header_ser; the records follow it without
 * gaps.  The size of a record is not stored: it is part of the ABI of the
 * subsystem that owns the records::
 *
 *     +--------+--------+----------+----------+-----+
 *     | next   | count  | record 0 | record 1 | ... |
 *     +--------+--------+----------+----------+-----+
 *     0        8        16         16 + size
 *
 * Blocks are filled in order: a block only has records if the block before it
 * is full.  Blocks at the end of the chain may be empty.
 */

/* Version of the block header and of the rules above. */
#define KHO_BLOCK_COMPATIBLE "block-v1"

/*
 * Size of a block in bytes.  A handover between kernels with different page
 * sizes is not possible, so the format may depend on the page size.
 */
#define KHO_BLOCK_SIZE	PAGE_SIZE

/**
 * struct kho_block_header_ser - start of a block
 * @next: physical address of the block that follows, or 0 (offset 0)
 * @count: number of records in this block (offset 8)
 */
struct kho_block_header_ser {
	u64 next;
	u64 count;
} __packed;

static_assert(sizeof(struct kho_block_header_ser) == 16);
static_assert(offsetof(struct kho_block_header_ser, next) == 0);
static_assert(offsetof(struct kho_block_header_ser, count) == 8);

#endif /* _LINUX_KHO_ABI_BLOCK_H */
