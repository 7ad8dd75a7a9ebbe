/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A handover that is written by hand, so that it can be one that no kernel would
 * leave.  After the boot all pages and keys are compared with the reference.
 */
#ifndef KHO_OLD_H
#define KHO_OLD_H

#include "ref.h"

#include <kernel/liveupdate/kexec_handover_internal.h>

/* The previous kernel. */
struct old {
	struct kho_radix_tree map;
	void *fdt;
	struct kho_scratch *scratch;
	struct sim_handover handover;
	struct ref ref;
};

/* Boots it.  It has one scratch area, at the end of memory. */
struct old *old_new(struct kunit *test);

/* Puts a key into the map. */
void old_put(struct kunit *test, struct old *old, unsigned long pfn,
	     unsigned int order);
/* The same for memory that no node is allocated from. */
void old_put_block(struct kunit *test, struct old *old, unsigned long pfn,
		   unsigned int order);
/* A free block outside scratch memory, which stays free. */
unsigned long old_random_block(struct rnd_state *rnd, unsigned int order);

void old_write_root(struct kunit *test, struct old *old);
/* The last step before a boot: writes the root tree unless it is there. */
void old_finish(struct kunit *test, struct old *old);

/* Boots the next kernel, which takes the handover if the reference does. */
bool old_boot(struct kunit *test, struct old *old);
/* After the boot, and after each step from there on. */
void old_check(struct kunit *test, struct old *old, bool coarse);
/* The next kernel boots without the handover, and a line tells why. */
void old_expect_refused(struct kunit *test, struct old *old, const char *why);

/* As the reference has it, and the memory is freed: the order of a folio, or -1. */
int old_expect_same_folio(struct kunit *test, struct old *old, unsigned long pfn);
bool old_expect_same_pages(struct kunit *test, struct old *old, unsigned long pfn,
			   unsigned long nr);

/* What the test says, and the reference, too. */
void old_expect_folio(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned int order);
void old_expect_pages(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned long nr);
/* Neither a folio of any order nor @nr pages can be restored. */
void old_expect_lost(struct kunit *test, struct old *old, unsigned long pfn,
		     unsigned long nr);

#endif /* KHO_OLD_H */
