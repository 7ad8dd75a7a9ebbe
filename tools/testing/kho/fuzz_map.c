// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target "map": the radix tree of preserved memory, as early boot finds
 * it.  The kernel boots with a damaged tree, and the result is compared with
 * the reference: each undamaged block is restored as a whole, and no page gets
 * two owners.
 */

#include "fuzz.h"
#include "ref.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/abi/radix_tree.h>

#define MAX_ITEMS	16

struct item {
	phys_addr_t phys;
	unsigned long nr;	/* pages, or 0 for a folio */
};

static void preserve(struct input *in, struct item *it)
{
	unsigned int order = in_below(in, 5);
	struct folio *folio;
	struct page *page;

	if (in_u8(in) & 1) {
		folio = folio_alloc(GFP_KERNEL, order);
		BUG_ON(!folio || kho_preserve_folio(folio));
		*it = (struct item){ PFN_PHYS(folio_pfn(folio)), 0 };
		return;
	}

	page = alloc_pages(GFP_KERNEL, order);
	BUG_ON(!page);
	it->nr = 1 + in_below(in, BIT(order));
	it->phys = page_to_phys(page);
	BUG_ON(kho_preserve_pages(page, it->nr));
}

/* The reference: what the next kernel can restore from the damaged map. */
static struct ref ref;

static void check(void)
{
	BUG_ON(!ref_same_keys(&ref));
	BUG_ON(ref_wrong_page(&ref, sim_logged("failed to reserve by range")) != SIM_PAGES);
}

static void restore_pages(const struct item *it)
{
	bool there = !ref.refused && ref_restore_pages(&ref, it->phys, it->nr);
	struct page *page = kho_restore_pages(it->phys, it->nr);

	BUG_ON(!page == there);
	for (unsigned long i = 0; page && i < it->nr; i++)
		__free_page(page + i);
}

static void restore_folio(const struct item *it)
{
	int order = ref.refused ? -1 : ref_restore_folio(&ref, it->phys);
	struct folio *folio = kho_restore_folio(it->phys);

	BUG_ON(folio ? folio_order(folio) != order : order >= 0);
	if (folio)
		folio_put(folio);
}

static void restore(const struct item *it)
{
	if (it->nr)
		restore_pages(it);
	else
		restore_folio(it);
}

static void boot(void)
{
	struct sim_handover h = sim_kexec();

	ref_init(&ref, &h);
	BUG_ON(sim_boot_warm(&h) == ref.refused || sim_panicked);
	if (ref.refused)
		return;

	ref_booted(&ref);
	check();
}

static void release(void)
{
	BUG_ON(kho_unclaimed_release());
	ref_release(&ref);
	check();
}

static int mark_node(phys_addr_t phys, void *data)
{
	fuzz_landmark(phys_to_virt(phys), PAGE_SIZE);
	return 0;
}

/* An arbitrary key, or the key of arbitrary memory. */
static void odd_key(struct input *in, struct kho_radix_tree *map)
{
	unsigned int order = in_below(in, KHO_MAX_ORDER + 1);
	u64 value = fuzz_value(in);

	if (in_u8(in) & 1)
		value = kho_encode_key(value, order);
	kho_radix_add_key(map, value & (BIT(KHO_RADIX_KEY_WIDTH) - 1));
}

FUZZ_TARGET(map)
{
	const struct kho_radix_walk_cb cb = { .node = mark_node };
	struct item items[MAX_ITEMS] = { };
	struct kho_radix_tree map;
	unsigned int nr, keys;

	fuzz_begin();
	nr = in_below(in, MAX_ITEMS);
	for (unsigned int i = 0; i < nr; i++)
		preserve(in, &items[i]);

	map = sim_core_out_map();
	keys = in_below(in, 5);
	while (keys--)
		odd_key(in, &map);
	kho_radix_walk_tree(&map, &cb, NULL);
	fuzz_damage(in, 8);

	boot();
	for (unsigned int i = 0; i < nr; i++) {
		restore(&items[i]);
		restore(&items[i]);
	}
	if (!ref.refused) {
		check();
		release();
	}
	ref_free(&ref);
	fuzz_end();
}

/*
 * Fuzz target "radix": operations on a tree with a small set of keys, compared
 * with an array that has an element for each key.
 */
#define PLAY_KEYS	256

static unsigned long play_key(unsigned int n)
{
	static const unsigned int shifts[] = {
		0, KHO_BITMAP_SIZE_LOG2, KHO_BITMAP_SIZE_LOG2 + KHO_TABLE_SIZE_LOG2,
		KHO_RADIX_KEY_WIDTH - 1,
	};
	unsigned long border = BIT(shifts[n / 64]);

	return (border + n % 64 - 32) & (BIT(KHO_RADIX_KEY_WIDTH) - 1);
}

FUZZ_TARGET(radix)
{
	struct kho_radix_tree tree;
	u8 there[PLAY_KEYS] = { };

	fuzz_begin();
	BUG_ON(kho_radix_init_tree(&tree, NULL));
	while (in_left(in)) {
		u8 op = in_u8(in), n = in_u8(in);
		unsigned long key = play_key(n), nr;

		/*
		 * Several elements may stand for the same key: use the first
		 * one.
		 */
		for (unsigned int i = 0; i < PLAY_KEYS; i++) {
			if (play_key(i) == key) {
				n = i;
				break;
			}
		}
		BUG_ON(kho_radix_test_key(&tree, key) != there[n]);
		switch (op % 4) {
		case 0:
			BUG_ON(kho_radix_take_key(&tree, key) != there[n]);
			there[n] = 0;
			break;
		case 1:
			nr = 0;
			BUG_ON(kho_radix_next_run(&tree, &key, &nr) && !nr);
			BUG_ON(there[n] && key != play_key(n));
			break;
		default:
			BUG_ON(kho_radix_add_key(&tree, key));
			there[n] = 1;
		}
	}
	kho_radix_destroy_tree(&tree);
	fuzz_end();
}
