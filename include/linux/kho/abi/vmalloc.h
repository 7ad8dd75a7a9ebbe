/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_VMALLOC_H
#define _LINUX_KHO_ABI_VMALLOC_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kho/abi/ptr.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: KHO vmalloc ABI
 *
 * Memory from vmalloc() is handed over as the list of its pages, in the order
 * of their virtual addresses.  &struct kho_vmalloc describes the area and is
 * embedded in the data of its owner.  The list is a chain of preserved pages,
 * each a &struct kho_vmalloc_chunk::
 *
 *     struct kho_vmalloc        chunk             chunk
 *     +--------------------+    +-------------+   +-------------+
 *     | first              |--->| next        |-->| next = 0    |
 *     | total_pages        |    | phys[0]     |   | phys[0]     |
 *     | flags, order       |    | phys[1] ... |   | 0           |
 *     +--------------------+    +-------------+   +-------------+
 *
 * One entry stands for 2^order contiguous pages.  The entries of a chunk end
 * at the first 0 or with the chunk: a full chunk has no terminator.  The last
 * chunk may have no entries.
 */

/* Version of the structures below. */
#define KHO_VMALLOC_COMPATIBLE "vmalloc-v1"

/* Values of &struct kho_vmalloc @flags. */
#define KHO_VMALLOC_ALLOC	0x0001	/* area came from vmalloc() */
#define KHO_VMALLOC_HUGE_VMAP	0x0002	/* huge mappings were allowed */

/* Head of a chunk: the chunk that follows, 0 in the last one. */
struct kho_vmalloc_hdr {
	DECLARE_KHOSER_PTR(next, struct kho_vmalloc_chunk *);
};

/* Number of entries in a chunk. */
#define KHO_VMALLOC_SIZE						\
	((PAGE_SIZE - sizeof(struct kho_vmalloc_hdr)) / sizeof(u64))

/**
 * struct kho_vmalloc_chunk - one page of the list of pages
 * @hdr: links the chunks (offset 0)
 * @phys: addresses, each of 2^order pages; ended by 0 unless full (offset 8)
 */
struct kho_vmalloc_chunk {
	struct kho_vmalloc_hdr hdr;
	u64 phys[KHO_VMALLOC_SIZE];
};

/**
 * struct kho_vmalloc - describes a preserved area
 * @total_pages: size of the area in pages (offset 8)
 * @flags: KHO_VMALLOC_ALLOC and KHO_VMALLOC_HUGE_VMAP (offset 12)
 * @order: each entry of a chunk stands for 2^order pages (offset 14)
 *
 * The first member is ``first``, the first chunk of the list of pages (offset
 * 0).
 */
struct kho_vmalloc {
	/* private: a macro that kernel-doc cannot read */
	DECLARE_KHOSER_PTR(first, struct kho_vmalloc_chunk *);
	/* public: */
	unsigned int total_pages;
	unsigned short flags;
	unsigned short order;
};

static_assert(sizeof(struct kho_vmalloc_hdr) == 8);
static_assert(sizeof(struct kho_vmalloc_chunk) == PAGE_SIZE);
static_assert(offsetof(struct kho_vmalloc_chunk, hdr) == 0);
static_assert(offsetof(struct kho_vmalloc_chunk, phys) == 8);
static_assert(sizeof(struct kho_vmalloc) == 16);
static_assert(offsetof(struct kho_vmalloc, first) == 0);
static_assert(offsetof(struct kho_vmalloc, total_pages) == 8);
static_assert(offsetof(struct kho_vmalloc, flags) == 12);
static_assert(offsetof(struct kho_vmalloc, order) == 14);

#endif /* _LINUX_KHO_ABI_VMALLOC_H */
