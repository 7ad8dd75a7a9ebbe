/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A handover that a test writes itself, so that it can be invalid.  After the
 * boot, all pages and keys are compared with the reference.
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

/* Boots the previous kernel.  It has one scratch area, at the end of memory. */
struct old *old_new(struct kunit *test);

/* Puts a key into the map. */
void old_put(struct kunit *test, struct old *old, unsigned long pfn,
	     unsigned int order);
/*
 * The same, and marks the memory as used, so that no node is allocated in it.
 */
void old_put_block(struct kunit *test, struct old *old, unsigned long pfn,
		   unsigned int order);
/* Returns a free block outside of scratch memory, without allocating it. */
unsigned long old_random_block(struct rnd_state *rnd, unsigned int order);

void old_write_root(struct kunit *test, struct old *old);
/*
 * The last step before a boot: writes the root tree, unless the test has
 * written it.
 */
void old_finish(struct kunit *test, struct old *old);

/* Boots the next kernel, which accepts the handover if the reference does. */
bool old_boot(struct kunit *test, struct old *old);
/*
 * Compares pages and keys with the reference, after the boot and after each
 * further step.
 */
void old_check(struct kunit *test, struct old *old, bool coarse);
/* Expects that the next kernel boots without the handover, and logs @why. */
void old_expect_refused(struct kunit *test, struct old *old, const char *why);

/*
 * Restores and frees a folio, and compares the result with the reference.
 * Returns the order, or -1.
 */
int old_expect_same_folio(struct kunit *test, struct old *old, unsigned long pfn);
bool old_expect_same_pages(struct kunit *test, struct old *old, unsigned long pfn,
			   unsigned long nr);

/* The same, and expects that the memory can be restored. */
void old_expect_folio(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned int order);
void old_expect_pages(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned long nr);
/* Neither a folio of any order nor @nr pages can be restored. */
void old_expect_lost(struct kunit *test, struct old *old, unsigned long pfn,
		     unsigned long nr);

#endif /* KHO_OLD_H */
