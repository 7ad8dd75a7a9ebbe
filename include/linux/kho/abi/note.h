/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_NOTE_H
#define _LINUX_KHO_ABI_NOTE_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <asm/page.h>

/**
 * DOC: Kexec Handover notes
 *
 * A kernel has an ELF note for each component of the ABI that it implements.
 * The note has the name of the component, the version that the kernel writes,
 * and the versions that it reads.  The notes of the running kernel are in
 * ``/sys/kernel/notes``, those of its modules in
 * ``/sys/module/<name>/notes/.note.kho``, those of another kernel in its image.
 * ``khoctl`` in ``tools/kho`` compares them before a kexec.
 *
 * The owner of the notes is %KHO_NOTE_OWNER; the type is the version of their
 * layout, %KHO_NOTE_LAYOUT_V1.  Readers skip notes of an unknown type.  Numbers
 * are in the byte order of the machine::
 *
 *     0        4        8        12       16     18           20
 *     +--------+--------+--------+--------+------+------------+------+--------+-------+
 *     | namesz | descsz | type   | "KHO"  | kind | page_shift | name | writes | reads |
 *     +--------+--------+--------+--------+------+------------+------+--------+-------+
 *
 * ``name``, ``writes`` and ``reads`` are strings, each ended by a NUL.  Further
 * NULs pad the note to a multiple of four bytes, and are included in ``descsz``.
 *
 * ``kind``
 *     A value of &enum kho_note_kind.
 *
 * ``page_shift``
 *     Log2 of the page size of the kernel.  Versions only match if the page size
 *     is the same.
 *
 * ``name``
 *     Name of the component: the base of ``writes``, without its version.
 *
 * ``writes``
 *     Composite string in outgoing data.
 *
 * ``reads``
 *     Composite strings of the incoming data that can be restored, separated by
 *     spaces.
 *
 * A note is defined in the source file of the code that it describes, from the
 * same constants.
 */

/* Owner of the notes. */
#define KHO_NOTE_OWNER		"KHO"

/* Type of a note with the layout above. */
#define KHO_NOTE_LAYOUT_V1	1

/**
 * enum kho_note_kind - what a note describes
 * @KHO_NOTE_ROOT: the root tree; a handover is usable if it has all components
 *		   of ``reads`` in these versions, even if it has others as well
 * @KHO_NOTE_STRUCTURE: a structure that other structures use
 * @KHO_NOTE_SUBTREE: a subtree of the root tree
 * @KHO_NOTE_FILE: a LUO file handler
 * @KHO_NOTE_FLB: an FLB
 * @KHO_NOTE_ALIAS: ``name`` in incoming data stands for ``reads``; ``writes`` is
 *		    empty
 */
enum kho_note_kind {
	KHO_NOTE_ROOT = 1,
	KHO_NOTE_STRUCTURE = 2,
	KHO_NOTE_SUBTREE = 3,
	KHO_NOTE_FILE = 4,
	KHO_NOTE_FLB = 5,
	KHO_NOTE_ALIAS = 6,
};

/**
 * struct kho_note_head - start of a note
 * @namesz: size of @owner (offset 0)
 * @descsz: bytes after @owner, a multiple of 4 (offset 4)
 * @type: %KHO_NOTE_LAYOUT_V1 (offset 8)
 * @owner: %KHO_NOTE_OWNER (offset 12)
 * @kind: &enum kho_note_kind (offset 16)
 * @page_shift: log2 of the page size (offset 18)
 */
struct kho_note_head {
	u32 namesz;
	u32 descsz;
	u32 type;
	char owner[sizeof(KHO_NOTE_OWNER)];
	u16 kind;
	u16 page_shift;
};

static_assert(sizeof(struct kho_note_head) == 20);
static_assert(offsetof(struct kho_note_head, descsz) == 4);
static_assert(offsetof(struct kho_note_head, type) == 8);
static_assert(offsetof(struct kho_note_head, owner) == 12);
static_assert(offsetof(struct kho_note_head, kind) == 16);
static_assert(offsetof(struct kho_note_head, page_shift) == 18);

/* Linkers place notes at multiples of 4, and readers expect them there. */
#define __KHO_NOTE(_id, _kind, _name, _writes, _reads)			\
	static const struct {						\
		struct kho_note_head head;				\
		char name[sizeof(_name)];				\
		char writes[sizeof(_writes)];				\
		char reads[sizeof(_reads)];				\
	} _id __used __section(".note.kho") __aligned(4) = {		\
		.head = {						\
			.namesz = sizeof(KHO_NOTE_OWNER),		\
			.descsz = sizeof(_id) -				\
				  offsetof(struct kho_note_head, kind),	\
			.type = KHO_NOTE_LAYOUT_V1,			\
			.owner = KHO_NOTE_OWNER,			\
			.kind = (_kind),				\
			.page_shift = PAGE_SHIFT,			\
		},							\
		.name = _name,						\
		.writes = _writes,					\
		.reads = _reads,					\
	}

/* For sparse, the result of a string comparison is not a constant. */
#ifdef __CHECKER__
#define KHO_NOTE_NAMES(name, s)	(sizeof(name) && sizeof(s))
#else
#define KHO_NOTE_NAMES(name, s)						\
	(!__builtin_memcmp(s, name "-v", sizeof(name) + 1))
#endif

/**
 * KHO_NOTE - announce a component
 * @kind: &enum kho_note_kind
 * @name: string literal, the name without a version
 * @writes: string literal, composite string in outgoing data
 * @reads: string literal, composite strings that can be restored
 */
#define KHO_NOTE(kind, name, writes, reads)				\
	static_assert(KHO_NOTE_NAMES(name, writes));			\
	__KHO_NOTE(__UNIQUE_ID(kho_note), kind, name, writes, reads)

/**
 * KHO_NOTE_STANDS_FOR - announce an incoming string that stands for another one
 * @bare: string literal, as previous kernels write it
 * @full: string literal, the composite string
 */
#define KHO_NOTE_STANDS_FOR(bare, full)					\
	__KHO_NOTE(__UNIQUE_ID(kho_note), KHO_NOTE_ALIAS, bare, "", full)

#endif /* _LINUX_KHO_ABI_NOTE_H */
