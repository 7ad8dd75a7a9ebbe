// SPDX-License-Identifier: GPL-2.0
/* The plain reference of a handover, see ref.h. */

#include "ref.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/timeline.h>
#include <linux/libfdt.h>

static void mark(struct ref *ref, phys_addr_t start, u64 size, u8 what)
{
	phys_addr_t end = min(start + size, (phys_addr_t)SIM_PAGES * PAGE_SIZE);

	for (phys_addr_t at = start; at < end; at = (at | (PAGE_SIZE - 1)) + 1)
		ref->page[PHYS_PFN(at)] |= what;
}

static u8 marks(const struct ref *ref, unsigned long pfn, unsigned long nr)
{
	u8 found = 0;

	while (nr--)
		found |= ref->page[pfn++];
	return found;
}

static void mark_ranges(struct ref *ref, struct sim_ranges r, u8 what)
{
	for (; r.nr; r.nr--, r.start += r.step)
		mark(ref, r.start, r.len, what);
}

static void mark_machine(struct ref *ref)
{
	const struct sim_handover *h = &ref->handover;
	const struct kho_scratch *area = phys_to_virt(h->scratch);

	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++) {
		if (sim_memmap[pfn].state == SIM_HOLE)
			ref->page[pfn] |= REF_NOT_RAM;
	}
	mark_ranges(ref, h->firmware, REF_NOT_RAM);
	mark_ranges(ref, h->image, REF_USED);
	mark(ref, h->scratch, h->scratch_len, REF_USED);
	for (u64 i = 0; i < h->scratch_len / sizeof(*area); i++)
		mark(ref, area[i].addr, area[i].size, REF_SCRATCH);
}

bool ref_block(unsigned long key, unsigned long *pfn, unsigned long *nr)
{
	unsigned int order;
	phys_addr_t phys;

	if (!kho_decode_key(key, &phys, &order))
		return false;

	*pfn = PHYS_PFN(phys);
	*nr = BIT(order);
	return *nr <= SIM_PAGES && *pfn <= SIM_PAGES - *nr;
}

/*
 * Marks memory of a key as reserved, up to the end of RAM, unless the block is
 * larger than all RAM.
 */
static void mark_named(struct ref *ref, unsigned long key)
{
	unsigned int order;
	phys_addr_t phys;

	if (kho_decode_key(key, &phys, &order) && BIT(order) <= sim_ram_end &&
	    PHYS_PFN(phys) < sim_ram_end)
		mark(ref, phys, PAGE_SIZE << order, REF_NAMED);
}

/* The page may still be free in the simulated kernel, and poisoned. */
__attribute__((no_sanitize("address")))
static u64 word_of(u64 node, unsigned long i)
{
	return ((const u64 *)phys_to_virt(node))[i];
}

static void read_leaf(struct ref *ref, u64 leaf, unsigned long base)
{
	for (unsigned long i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		u64 word = word_of(leaf, i);

		for (unsigned int bit = 0; word; bit++, word >>= 1) {
			if (word & 1)
				model_add(&ref->keys, base + 64 * i + bit);
		}
	}
}

/* Returns false if the tree is invalid. */
static bool read_node(struct ref *ref, u64 phys, unsigned int level,
		      unsigned long base)
{
	unsigned int shift = KHO_BITMAP_SIZE_LOG2 + (level - 1) * KHO_TABLE_SIZE_LOG2;

	if (!PAGE_ALIGNED(phys) || PHYS_PFN(phys) >= SIM_PAGES ||
	    ref->page[PHYS_PFN(phys)])
		return false;
	ref->page[PHYS_PFN(phys)] |= REF_NODE;

	if (level == 0) {
		read_leaf(ref, phys, base);
		return true;
	}

	for (unsigned long i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		u64 child = word_of(phys, i);

		if (child && !read_node(ref, child, level - 1, base | i << shift))
			return false;
	}
	return true;
}

static void drop_keys(struct ref *ref)
{
	struct model kept = { };
	unsigned long pfn, nr;

	for (unsigned long i = 0; i < ref->keys.nr; i++) {
		if (ref_block(ref->keys.key[i], &pfn, &nr) &&
		    !(marks(ref, pfn, nr) & (REF_NOT_RAM | REF_SCRATCH | REF_USED | REF_NODE)))
			model_add(&kept, ref->keys.key[i]);
	}
	for (unsigned long i = 0; i < ref->keys.nr; i++)
		mark_named(ref, ref->keys.key[i]);
	model_free(&ref->keys);
	ref->keys = kept;
}

/* Order of the smallest block that contains the page, or -1. */
static int order_around(const struct ref *ref, unsigned long pfn)
{
	unsigned long first, nr, least = 0;

	for (unsigned long i = 0; i < ref->keys.nr; i++) {
		if (ref_block(ref->keys.key[i], &first, &nr) &&
		    first <= pfn && pfn < first + nr && (!least || nr < least))
			least = nr;
	}
	return least ? ilog2(least) : -1;
}

static bool covers(const struct ref *ref, phys_addr_t phys, u64 size)
{
	phys_addr_t end = phys + size;

	if (!size || end <= phys || end > SIM_PAGES * PAGE_SIZE)
		return false;

	for (unsigned long pfn = PHYS_PFN(phys); PFN_PHYS(pfn) < end; pfn++) {
		if (order_around(ref, pfn) < 0)
			return false;
	}
	return true;
}

/* Removes the keys of all blocks that contain one of the pages. */
static void forget(struct ref *ref, unsigned long pfn, unsigned long nr)
{
	struct model kept = { };
	unsigned long first, size;

	for (unsigned long i = 0; i < ref->keys.nr; i++) {
		ref_block(ref->keys.key[i], &first, &size);
		if (first + size <= pfn || pfn + nr <= first)
			model_add(&kept, ref->keys.key[i]);
	}
	model_free(&ref->keys);
	ref->keys = kept;
}

static void give(struct ref *ref, unsigned long pfn, unsigned long nr)
{
	forget(ref, pfn, nr);
	mark(ref, PFN_PHYS(pfn), nr * PAGE_SIZE, REF_GIVEN);
}

static void keep_root(struct ref *ref)
{
	unsigned long pfn = PHYS_PFN(ref->handover.fdt);

	for (unsigned long i = 0; i < ref->handover.fdt_len / PAGE_SIZE; i++) {
		int order = order_around(ref, pfn + i);

		if (order >= 0)
			forget(ref, round_down(pfn + i, BIT(order)), BIT(order));
	}
}

static phys_addr_t find_own(const struct ref *ref, const void *fdt, const char *name)
{
	int node = fdt_subnode_offset(fdt, 0, name);
	u64 phys, size;

	if (node < 0 ||
	    kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_PROP_NAME, &phys) ||
	    kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_SIZE_PROP_NAME, &size))
		return 0;

	return covers(ref, phys, size) ? phys : 0;
}

void ref_init(struct ref *ref, const struct sim_handover *handover)
{
	const void *fdt = phys_to_virt(handover->fdt);
	unsigned long root = PHYS_PFN(handover->fdt);
	u64 map;

	*ref = (struct ref){ .handover = *handover };
	mark_machine(ref);
	BUG_ON(kho_fdt_get_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map));

	ref->refused = marks(ref, root, handover->fdt_len / PAGE_SIZE) ||
		       !read_node(ref, map, KHO_TREE_MAX_DEPTH - 1, 0);
	if (ref->refused)
		return;

	drop_keys(ref);
	ref->refused = !covers(ref, handover->fdt, handover->fdt_len);
	ref->metadata = find_own(ref, fdt, KHO_METADATA_NODE_NAME);
	ref->timeline = find_own(ref, fdt, KHO_TIMELINE_NODE_NAME);
	keep_root(ref);
}

void ref_booted(struct ref *ref)
{
	/*
	 * Without memory for its root tree, the kernel does not read the
	 * metadata.
	 */
	if (sim_logged("failed to initialize, disabling"))
		return;

	if (ref->metadata)
		ref_restore_folio(ref, ref->metadata);
	if (ref->timeline)
		ref_restore_folio(ref, ref->timeline);
}

void ref_free(struct ref *ref)
{
	model_free(&ref->keys);
}

int ref_restore_folio(struct ref *ref, phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);

	if (!PAGE_ALIGNED(phys) || pfn >= SIM_PAGES)
		return -1;

	for (unsigned int order = 0; order <= MAX_FOLIO_ORDER; order++) {
		if (!IS_ALIGNED(pfn, BIT(order)) ||
		    !model_has(&ref->keys, kho_encode_key(phys, order)))
			continue;
		give(ref, pfn, BIT(order));
		return order;
	}
	return -1;
}

/*
 * Returns true if the pages can be divided into blocks of keys; from[i]: the
 * pages from i on can be divided.
 */
static bool is_row_of_blocks(const struct ref *ref, phys_addr_t phys, unsigned long nr)
{
	bool *from = calloc(nr + 1, sizeof(*from));
	bool all;

	from[nr] = true;
	for (unsigned long i = nr; i--;) {
		phys_addr_t at = phys + i * PAGE_SIZE;

		for (unsigned int order = 0; i + BIT(order) <= nr; order++) {
			if (IS_ALIGNED(PHYS_PFN(at), BIT(order)) && from[i + BIT(order)] &&
			    model_has(&ref->keys, kho_encode_key(at, order)))
				from[i] = true;
		}
	}
	all = from[0];
	free(from);
	return all;
}

bool ref_restore_pages(struct ref *ref, phys_addr_t phys, unsigned long nr)
{
	unsigned long pfn = PHYS_PFN(phys);

	if (!PAGE_ALIGNED(phys) || pfn >= SIM_PAGES || nr > SIM_PAGES - pfn ||
	    !is_row_of_blocks(ref, phys, nr))
		return false;

	give(ref, pfn, nr);
	return true;
}

void ref_release(struct ref *ref)
{
	unsigned long pfn, nr;

	for (unsigned long i = 0; i < ref->keys.nr; i++) {
		ref_block(ref->keys.key[i], &pfn, &nr);
		mark(ref, PFN_PHYS(pfn), nr * PAGE_SIZE, REF_GIVEN);
	}
	model_free(&ref->keys);
}

static int add_run(unsigned long key, unsigned long nr, void *data)
{
	unsigned int order;
	phys_addr_t phys;

	for (; nr--; key++) {
		/* Ignore keys that do not stand for a block. */
		if (kho_decode_key(key, &phys, &order))
			model_add(data, key);
	}
	return 0;
}

bool ref_same_keys(const struct ref *ref)
{
	const struct kho_radix_walk_cb cb = { .run = add_run };
	struct model keys = { };
	bool same;

	kho_radix_walk_tree(&kho_in.map, &cb, &keys);
	same = keys.nr == ref->keys.nr &&
	       (!keys.nr || !memcmp(keys.key, ref->keys.key, keys.nr * sizeof(*keys.key)));
	model_free(&keys);
	return same;
}

static int mark_node(phys_addr_t phys, void *data)
{
	((bool *)data)[PHYS_PFN(phys)] = true;
	return 0;
}

static bool page_is_right(u8 is, enum sim_state state, bool node, bool coarse)
{
	if (is & REF_NOT_RAM)
		return state == SIM_HOLE || state == SIM_LEFT;
	if (is & REF_USED)
		return state == SIM_LEFT;
	if (is & REF_SCRATCH)
		return state == SIM_CMA;
	/* A node without keys is freed. */
	if (is & REF_NODE)
		return (state == SIM_LEFT) == node;
	if (is & REF_GIVEN)
		return state == SIM_USED || state == SIM_FREE;
	if (is & REF_NAMED)
		return state == SIM_LEFT;
	return (state == SIM_LEFT) == coarse;
}

unsigned long ref_wrong_page(const struct ref *ref, bool coarse)
{
	const struct kho_radix_walk_cb cb = { .node = mark_node };
	static bool node[SIM_PAGES];
	unsigned long pfn;

	memset(node, 0, sizeof(node));
	kho_radix_walk_tree(&kho_in.map, &cb, node);
	for (pfn = 0; pfn < SIM_PAGES; pfn++) {
		if (!page_is_right(ref->page[pfn], sim_memmap[pfn].state,
				   node[pfn], coarse))
			break;
	}
	return pfn;
}
