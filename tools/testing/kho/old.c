// SPDX-License-Identifier: GPL-2.0
/* A handover that is written by hand, see old.h. */

#include "old.h"

#include <linux/libfdt.h>

static void free_ref(void *ref)
{
	ref_free(ref);
}

struct old *old_new(struct kunit *test)
{
	struct old *old = kunit_kzalloc(test, sizeof(*old), GFP_KERNEL);
	unsigned long areas = ALIGN(SIM_PAGES / 8, pageblock_nr_pages);

	sim_boot_cold();
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(&old->map, NULL), 0);

	/* Tests use memory below the scratch area. */
	old->scratch = (void *)__get_free_pages(GFP_KERNEL, 0);
	old->scratch[0] = (struct kho_scratch){
		PFN_PHYS(SIM_PAGES - areas), PFN_PHYS(areas),
	};
	old->handover.scratch = virt_to_phys(old->scratch);
	old->handover.scratch_len = sizeof(struct kho_scratch);
	kunit_add_action_or_reset(test, free_ref, &old->ref);
	return old;
}

void old_put(struct kunit *test, struct old *old, unsigned long pfn,
	     unsigned int order)
{
	unsigned long key = kho_encode_key(PFN_PHYS(pfn), order);

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&old->map, key), 0);
}

void old_put_block(struct kunit *test, struct old *old, unsigned long pfn,
		   unsigned int order)
{
	sim_set_state(pfn, BIT(order), SIM_LEFT);
	old_put(test, old, pfn, order);
}

unsigned long old_random_block(struct rnd_state *rnd, unsigned int order)
{
	for (;;) {
		unsigned long pfn = rnd_below(rnd, SIM_PAGES * 3 / 4) & ~(BIT(order) - 1);
		bool good = true;

		for (unsigned long i = pfn; i < pfn + BIT(order); i++)
			good &= sim_memmap[i].state == SIM_FREE;
		if (good)
			return pfn;
	}
}

void old_write_root(struct kunit *test, struct old *old)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	u64 map = virt_to_phys(old->map.root);

	old->fdt = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, order);
	KUNIT_ASSERT_NOT_NULL(test, old->fdt);
	KUNIT_ASSERT_EQ(test, fdt_create_empty_tree(old->fdt, SIM_FDT_SIZE), 0);
	fdt_setprop_string(old->fdt, 0, "compatible", KHO_FDT_COMPATIBLE);
	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
	old_put(test, old, PHYS_PFN(virt_to_phys(old->fdt)), order);
	old->handover.fdt = virt_to_phys(old->fdt);
	old->handover.fdt_len = SIM_FDT_SIZE;
}

void old_finish(struct kunit *test, struct old *old)
{
	if (!old->fdt)
		old_write_root(test, old);
	ref_free(&old->ref);
	ref_init(&old->ref, &old->handover);
	sim_log_clear();
}

void old_check(struct kunit *test, struct old *old, bool coarse)
{
	unsigned long pfn;

	KUNIT_ASSERT_TRUE(test, ref_same_keys(&old->ref));
	pfn = ref_wrong_page(&old->ref, coarse);
	KUNIT_ASSERT_EQ_MSG(test, pfn, SIM_PAGES, "page in state %d, marks %#x",
			    sim_memmap[pfn].state, old->ref.page[pfn]);
}

bool old_boot(struct kunit *test, struct old *old)
{
	bool taken;

	old_finish(test, old);
	taken = sim_boot_warm(&old->handover);
	KUNIT_ASSERT_FALSE(test, sim_panicked);
	KUNIT_ASSERT_EQ(test, taken, !old->ref.refused);
	if (taken) {
		ref_booted(&old->ref);
		old_check(test, old, false);
	}
	return taken;
}

void old_expect_refused(struct kunit *test, struct old *old, const char *why)
{
	KUNIT_EXPECT_FALSE(test, old_boot(test, old));
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(why), "'%s' was not logged", why);
	KUNIT_EXPECT_NULL(test, kho_in.map.root);
}

/*
 * With pages of more than 4 KiB this comparison is slow, and is skipped.
 */
static void expect_same_keys(struct kunit *test, struct old *old, unsigned long pfn)
{
	if (PAGE_SHIFT <= 12)
		KUNIT_ASSERT_TRUE_MSG(test, ref_same_keys(&old->ref), "pfn %#lx", pfn);
}

/* Restores and frees a folio; returns its order, or -1. */
static int restore_folio(unsigned long pfn)
{
	struct folio *folio = kho_restore_folio(PFN_PHYS(pfn));
	int order = folio ? folio_order(folio) : -1;

	if (folio)
		folio_put(folio);
	return order;
}

static bool restore_pages(unsigned long pfn, unsigned long nr)
{
	struct page *page = kho_restore_pages(PFN_PHYS(pfn), nr);

	for (unsigned long i = 0; page && i < nr; i++)
		__free_page(page + i);
	return page;
}

int old_expect_same_folio(struct kunit *test, struct old *old, unsigned long pfn)
{
	int order = ref_restore_folio(&old->ref, PFN_PHYS(pfn));

	KUNIT_ASSERT_EQ_MSG(test, restore_folio(pfn), order, "pfn %#lx", pfn);
	expect_same_keys(test, old, pfn);
	return order;
}

bool old_expect_same_pages(struct kunit *test, struct old *old, unsigned long pfn,
			   unsigned long nr)
{
	bool there = ref_restore_pages(&old->ref, PFN_PHYS(pfn), nr);

	KUNIT_ASSERT_EQ_MSG(test, kho_pages_preserved(PFN_PHYS(pfn), nr), there,
			    "%lu pages at pfn %#lx", nr, pfn);
	KUNIT_ASSERT_EQ_MSG(test, restore_pages(pfn, nr), there,
			    "%lu pages at pfn %#lx", nr, pfn);
	expect_same_keys(test, old, pfn);
	return there;
}

void old_expect_folio(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned int order)
{
	KUNIT_ASSERT_EQ_MSG(test, old_expect_same_folio(test, old, pfn), order,
			    "pfn %#lx", pfn);
}

void old_expect_pages(struct kunit *test, struct old *old, unsigned long pfn,
		      unsigned long nr)
{
	KUNIT_ASSERT_TRUE_MSG(test, old_expect_same_pages(test, old, pfn, nr),
			      "%lu pages at pfn %#lx", nr, pfn);
}

void old_expect_lost(struct kunit *test, struct old *old, unsigned long pfn,
		     unsigned long nr)
{
	KUNIT_ASSERT_EQ_MSG(test, old_expect_same_folio(test, old, pfn), -1,
			    "pfn %#lx", pfn);
	KUNIT_ASSERT_FALSE_MSG(test, old_expect_same_pages(test, old, pfn, nr),
			       "%lu pages at pfn %#lx", nr, pfn);
}
