/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plain reference of a handover: which keys of the memory map can be
 * restored, and which pages stay reserved.
 *
 * The reference reads the incoming map before the kernel boots, from the same
 * memory.  It compares keys one by one, and has a byte for each page.  This is
 * slow, but independent of the code under test.
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
	/* Memory that the kernel itself restores, or 0. */
	phys_addr_t metadata;
	phys_addr_t timeline;
	bool refused;			/* the whole handover */
};

/*
 * Call before sim_boot_warm(), with a valid root tree and valid scratch areas.
 */
void ref_init(struct ref *ref, const struct sim_handover *handover);
/*
 * Call after sim_boot_warm(), if it accepted the handover: marks what the
 * kernel itself restores.
 */
void ref_booted(struct ref *ref);
void ref_free(struct ref *ref);

/* Returns true if a key stands for a block within RAM. */
bool ref_block(unsigned long key, unsigned long *pfn, unsigned long *nr);

/* Returns the order of the folio, or -1; marks it as restored. */
int ref_restore_folio(struct ref *ref, phys_addr_t phys);
/* Returns true if the pages can be restored; marks them as restored. */
bool ref_restore_pages(struct ref *ref, phys_addr_t phys, unsigned long nr);
/* Marks all unclaimed memory as released. */
void ref_release(struct ref *ref);

/* Returns true if the incoming map has the same keys as the reference. */
bool ref_same_keys(const struct ref *ref);
/*
 * Returns the first page in a wrong state, or SIM_PAGES.
 * @coarse: the kernel was short of memory, so all pages stay reserved.
 */
unsigned long ref_wrong_page(const struct ref *ref, bool coarse);

#endif /* KHO_REF_H */
