/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plain reference of a handover: which keys of the memory map can be
 * restored, and which pages stay reserved.
 *
 * The incoming map is read before the kernel boots, from the same memory.  Keys
 * are compared one by one, and each page has a byte.  This is slow, but
 * independent of the code under test.
 */
#ifndef KHO_REF_H
#define KHO_REF_H

#include "model.h"

enum ref_page {
	REF_NOT_RAM	= 1,	/* a hole, or memory of the firmware */
	REF_SCRATCH	= 2,
	REF_USED	= 4,	/* by the kernel, before it reads the map */
	REF_NODE	= 8,	/* of the incoming map */
	REF_NAMED	= 16,	/* by a key, so the page stays reserved */
	REF_GIVEN	= 32,	/* to an owner, or released */
};

struct ref {
	struct sim_handover handover;
	struct model keys;		/* of blocks that can be restored */
	u8 page[SIM_PAGES];
	/* Restored by the kernel itself; 0: none. */
	phys_addr_t metadata;
	phys_addr_t timeline;
	bool refused;			/* the whole handover */
};

/* Before sim_boot_warm(), with a root tree and scratch areas that are valid. */
void ref_init(struct ref *ref, const struct sim_handover *handover);
/* After sim_boot_warm(), unless it was refused: what the kernel restores. */
void ref_booted(struct ref *ref);
void ref_free(struct ref *ref);

/* Whether a key stands for a block that ends before the end of RAM. */
bool ref_block(unsigned long key, unsigned long *pfn, unsigned long *nr);

/* Returns the order of the folio, or -1; marks it as restored. */
int ref_restore_folio(struct ref *ref, phys_addr_t phys);
/* Returns true if the pages can be restored; marks them as restored. */
bool ref_restore_pages(struct ref *ref, phys_addr_t phys, unsigned long nr);
/* Marks all unclaimed memory as released. */
void ref_release(struct ref *ref);

/* Whether the incoming map has the same keys. */
bool ref_same_keys(const struct ref *ref);
/*
 * Returns the first page in a wrong state, or SIM_PAGES.
 * @coarse: the kernel was short of memory, so all pages stay reserved.
 */
unsigned long ref_wrong_page(const struct ref *ref, bool coarse);

#endif /* KHO_REF_H */
