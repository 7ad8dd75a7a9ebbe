/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 *
 * Copyright (C) 2025 Amazon.com Inc. or its affiliates.
 * Pratyush Yadav <ptyadav@amazon.de>
 */

#ifndef _LINUX_KHO_ABI_MEMFD_H
#define _LINUX_KHO_ABI_MEMFD_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/fcntl.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/stddef.h>
#include <linux/types.h>

/**
 * DOC: memfd Live Update ABI
 *
 * The description of a memfd for the next kernel.  Two allocations of
 * preserved memory belong to each file::
 *
 *   LUO file entry                    array of nr_folios entries
 *   +------------+                    +----------------------------+
 *   | data       |--> memfd_luo_ser   | memfd_luo_folio_ser [0]    |
 *   +------------+    +-----------+   +----------------------------+
 *                     | pos, size |   | ...                        |
 *                     | folios    |-->| one per folio, index rises |
 *                     +-----------+   +----------------------------+
 *
 * &struct memfd_luo_ser is at the start of a page of its own.  LUO stores its
 * physical address as the data of the file.  The array is an area preserved by
 * KHO vmalloc.  It may be larger than @nr_folios entries; the rest of it has no
 * meaning.  KHO preserves the folio of each entry with its order, so the order
 * is not stored here.  A file of size 0 has no entries, and its @folios is all
 * zero.
 *
 * In the same page, &struct memfd_luo_mode_ser may follow.  Linux 7.3 does not
 * have it: it leaves the rest of the page zero, and gives each file the mode of
 * a new memfd.
 *
 * Numbers are in the byte order of the machine.  Reserved bits are written as
 * 0, and readers refuse any other value.
 *
 * A change of a layout or of a meaning below needs a new
 * MEMFD_LUO_FH_COMPAT_BASE.  The layout of the vmalloc descriptor has a
 * version of its own, which MEMFD_LUO_FH_COMPATIBLE appends.
 */

/* Version of the structures in this file. */
#define MEMFD_LUO_FH_COMPAT_BASE	"memfd-v2"

/* Composite string of the LUO file handler. */
#define MEMFD_LUO_FH_COMPATIBLE						\
	"" MEMFD_LUO_FH_COMPAT_BASE					\
	KHO_SUB_COMPAT(KHO_VMALLOC_COMPATIBLE)

/**
 * MEMFD_LUO_FOLIO_DIRTY - the folio has user data
 *
 * With the flag, memory reclaim must not drop the folio.
 */
#define MEMFD_LUO_FOLIO_DIRTY		BIT(0)

/**
 * MEMFD_LUO_FOLIO_UPTODATE - all bytes of the folio are defined
 *
 * Without the flag the folio was allocated but never used, and is zeroed on
 * first use.
 */
#define MEMFD_LUO_FOLIO_UPTODATE	BIT(1)

/**
 * struct memfd_luo_folio_ser - location of one folio of the file
 * @pfn:   offset 0, low 52 bits: page frame number of the first page
 * @flags: offset 0, high 12 bits: MEMFD_LUO_FOLIO_*, the others reserved
 * @index: offset 8: position in the file, in pages; a multiple of the number of
 *         pages in the folio and larger than the index of the preceding entry
 *
 * The array starts at a page boundary, so entries are aligned.  __aligned(8)
 * lets the compiler access whole words instead of single bytes.
 */
struct memfd_luo_folio_ser {
	u64 pfn:52;
	u64 flags:12;
	u64 index;
} __packed __aligned(8);

/*
 * Seals that this version supports.  Their values are user space ABI and are
 * stored as they are.  Support for another seal needs a new version.
 */
#define MEMFD_LUO_ALL_SEALS		\
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | \
	 F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

/**
 * struct memfd_luo_ser - one memfd
 * @pos:       offset 0: file position
 * @size:      offset 8: size in bytes
 * @seals:     offset 16: seals, a subset of MEMFD_LUO_ALL_SEALS
 * @flags:     offset 20: reserved
 * @nr_folios: offset 24: number of entries in the array
 * @folios:    offset 32: KHO vmalloc descriptor of the array
 */
struct memfd_luo_ser {
	u64 pos;
	u64 size;
	u32 seals;
	u32 flags;
	u64 nr_folios;
	struct kho_vmalloc folios;
} __packed;

/* The characters "mode". */
#define MEMFD_LUO_MODE_MAGIC	0x65646f6d

/**
 * struct memfd_luo_mode_ser - permissions of one memfd
 * @magic: offset 0: MEMFD_LUO_MODE_MAGIC; with any other value @mode is invalid
 * @mode:  offset 4: the permission bits of the file; bits that a new memfd does
 *         not have are ignored
 *
 * Follows &struct memfd_luo_ser, at offset 48 of the page.
 */
struct memfd_luo_mode_ser {
	u32 magic;
	u32 mode;
} __packed;

/* The layouts of MEMFD_LUO_FH_COMPAT_BASE. */
static_assert(sizeof(struct memfd_luo_folio_ser) == 16);
static_assert(offsetof(struct memfd_luo_folio_ser, index) == 8);

static_assert(sizeof(struct memfd_luo_ser) == 48);
static_assert(offsetof(struct memfd_luo_ser, pos) == 0);
static_assert(offsetof(struct memfd_luo_ser, size) == 8);
static_assert(offsetof(struct memfd_luo_ser, seals) == 16);
static_assert(offsetof(struct memfd_luo_ser, flags) == 20);
static_assert(offsetof(struct memfd_luo_ser, nr_folios) == 24);
static_assert(offsetof(struct memfd_luo_ser, folios) == 32);

static_assert(sizeof(struct memfd_luo_mode_ser) == 8);
static_assert(offsetof(struct memfd_luo_mode_ser, magic) == 0);
static_assert(offsetof(struct memfd_luo_mode_ser, mode) == 4);

#endif /* _LINUX_KHO_ABI_MEMFD_H */
