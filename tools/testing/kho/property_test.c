// SPDX-License-Identifier: GPL-2.0
/*
 * Owners with valid memory, and a random number of stale keys: inside and around
 * blocks of owners, over nodes and the root tree, in holes, in scratch memory and
 * past the end of RAM.
 *
 *  - An owner restores all of its memory, unless a stale owner has restored a
 *    part of it before.
 *  - A stale owner cannot restore memory after its real owner has restored it.
 *  - A page does not get two owners; set_page_count() checks that.
 *  - Memory of an owner stays reserved until the owner restores it.
 */

#include "items.h"
#include "ref.h"

#include <kernel/liveupdate/kexec_handover_internal.h>

static ulong seed = 20261122;
module_param(seed, ulong, 0444);

/* With small pages boots are fast, and maps have more levels. */
#define ROUNDS		(PAGE_SHIFT < 12 ? 1200 : PAGE_SHIFT > 12 ? 60 : 200)
#define MAX_OWNERS	10
#define MAX_STALE	24

struct owner {
	struct item item;
	struct model keys;	/* of its blocks */
	bool robbed;		/* a stale owner has restored a part of its memory */
	bool done;
};

struct stale {
	unsigned long pfn;
	unsigned int order;
};

struct scene {
	struct rnd_state rnd;
	struct kho_radix_tree map;
	struct model keys;	/* of all owners and the kernel */
	struct owner owners[MAX_OWNERS];
	unsigned int nr_owners;
	struct stale stale[MAX_STALE];
	unsigned int nr_stale;
	struct ref ref;
};

static void free_scene(void *data)
{
	struct scene *s = data;

	for (unsigned int i = 0; i < s->nr_owners; i++)
		model_free(&s->owners[i].keys);
	model_free(&s->keys);
	ref_free(&s->ref);
}

static int add_run(unsigned long key, unsigned long nr, void *data)
{
	while (nr--)
		model_add(data, key++);
	return 0;
}

static struct model keys_of(struct kho_radix_tree *map)
{
	const struct kho_radix_walk_cb cb = { .run = add_run };
	struct model keys = { };

	kho_radix_walk_tree(map, &cb, &keys);
	return keys;
}

static void add_owner(struct kunit *test, struct scene *s)
{
	struct owner *o = &s->owners[s->nr_owners++];
	struct model now;

	item_preserve(test, &o->item, &s->rnd);
	now = keys_of(&s->map);
	for (unsigned long i = 0; i < now.nr; i++) {
		if (!model_has(&s->keys, now.key[i]))
			model_add(&o->keys, now.key[i]);
	}
	model_free(&s->keys);
	s->keys = now;
}

/* Stale keys. */

static struct stale random_stale(struct scene *s)
{
	unsigned int order = rnd_below(&s->rnd, 7);
	unsigned long pfn = rnd_below(&s->rnd, SIM_PAGES);

	/* Some of them are past the end of RAM. */
	if (!rnd_below(&s->rnd, 8))
		pfn = rnd_below(&s->rnd, BIT(63 - PAGE_SHIFT));
	if (!rnd_below(&s->rnd, 8))
		order = rnd_below(&s->rnd, KHO_MAX_ORDER + 1);
	return (struct stale){ pfn, order };
}

static int nth_node(phys_addr_t phys, void *data)
{
	unsigned long *n = data;

	if (!(*n)--) {
		*n = PHYS_PFN(phys);
		return 1;
	}
	return 0;
}

static unsigned long random_node(struct scene *s)
{
	const struct kho_radix_walk_cb cb = { .node = nth_node };
	unsigned long n = rnd_below(&s->rnd, KHO_TREE_MAX_DEPTH);

	/* The map has at least one node on each level. */
	BUG_ON(!kho_radix_walk_tree(&s->map, &cb, &n));
	return n;
}

/* A stale block inside of a block, around it, or of the same size. */
static struct stale stale_at_key(struct scene *s)
{
	unsigned long pfn, nr, key = s->keys.key[rnd_below(&s->rnd, s->keys.nr)];

	BUG_ON(!ref_block(key, &pfn, &nr));
	return (struct stale){
		pfn + rnd_below(&s->rnd, nr),
		max_t(int, 0, ilog2(nr) + (int)rnd_below(&s->rnd, 7) - 3),
	};
}

/*
 * If a stale key stands for a smaller folio at the start of an owner's folio, the
 * owner would restore the smaller folio.  A stale key that equals a key of an
 * owner is not stale.
 */
static bool is_ambiguous(const struct scene *s, const struct stale *stale)
{
	phys_addr_t phys = PFN_PHYS(stale->pfn);

	for (unsigned int i = 0; i < s->nr_owners; i++) {
		const struct item *it = &s->owners[i].item;

		if (it->kind == ITEM_FOLIO && it->phys == phys && stale->order < it->nr)
			return true;
	}
	return model_has(&s->keys, kho_encode_key(phys, stale->order));
}

static void add_stale(struct kunit *test, struct scene *s)
{
	unsigned long key, root = PHYS_PFN(virt_to_phys(sim_core_fdt()));
	struct stale stale;

	switch (rnd_below(&s->rnd, 8)) {
	case 0:
		stale = random_stale(s);
		break;
	case 1:
		stale = (struct stale){ random_node(s), rnd_below(&s->rnd, 6) };
		break;
	case 2:
		stale = (struct stale){ root, rnd_below(&s->rnd, 6) };
		break;
	default:
		stale = stale_at_key(s);
	}

	stale.pfn &= ~(BIT(stale.order) - 1);
	if (is_ambiguous(s, &stale))
		return;
	key = kho_encode_key(PFN_PHYS(stale.pfn), stale.order);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&s->map, key), 0);
	s->stale[s->nr_stale++] = stale;
}

static struct scene *new_scene(struct kunit *test, u64 variation)
{
	struct scene *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	prandom_seed_state(&s->rnd, seed + variation);
	sim_boot_cold();
	s->map = sim_core_out_map();
	s->keys = keys_of(&s->map);
	kunit_add_action_or_reset(test, free_scene, s);

	for (int i = rnd_below(&s->rnd, MAX_OWNERS); i >= 0; i--)
		add_owner(test, s);
	for (int i = rnd_below(&s->rnd, MAX_STALE); i > 0; i--)
		add_stale(test, s);
	return s;
}

/* Boots. */

static void expect_left(struct kunit *test, const struct model *keys)
{
	unsigned long pfn, nr;

	for (unsigned long i = 0; i < keys->nr; i++) {
		BUG_ON(!ref_block(keys->key[i], &pfn, &nr));
		for (; nr--; pfn++)
			KUNIT_ASSERT_EQ_MSG(test, sim_memmap[pfn].state, SIM_LEFT,
					    "pfn %#lx", pfn);
	}
}

/* Memory of an owner stays reserved until the owner restores it. */
static void expect_owned(struct kunit *test, const struct scene *s)
{
	for (unsigned int i = 0; i < s->nr_owners; i++) {
		if (!s->owners[i].done && !s->owners[i].robbed)
			expect_left(test, &s->owners[i].keys);
	}
}

static void boot(struct kunit *test, struct scene *s)
{
	struct sim_handover h = sim_kexec();

	ref_init(&s->ref, &h);
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	KUNIT_ASSERT_FALSE(test, s->ref.refused);
	ref_booted(&s->ref);
	KUNIT_ASSERT_TRUE(test, ref_same_keys(&s->ref));
	KUNIT_ASSERT_EQ(test, ref_wrong_page(&s->ref, false), SIM_PAGES);
	expect_owned(test, s);
}

/* Restoring. */

static bool overlaps(const struct stale *stale, const struct model *keys)
{
	unsigned long pfn, nr;

	for (unsigned long i = 0; i < keys->nr; i++) {
		BUG_ON(!ref_block(keys->key[i], &pfn, &nr));
		if (stale->pfn < pfn + nr && pfn - stale->pfn < BIT(stale->order))
			return true;
		if (pfn <= stale->pfn && stale->pfn < pfn + nr)
			return true;
	}
	return false;
}

static bool restore_stale(struct scene *s, const struct stale *stale)
{
	phys_addr_t phys = PFN_PHYS(stale->pfn);
	struct folio *folio;
	struct page *page;

	if (rnd_below(&s->rnd, 2)) {
		folio = kho_restore_folio(phys);
		if (folio)
			folio_put(folio);
		return folio;
	}

	page = kho_restore_pages(phys, BIT(stale->order));
	for (unsigned long i = 0; page && i < BIT(stale->order); i++)
		__free_page(page + i);
	return page;
}

/*
 * After @o has restored its memory, stale keys cannot be restored if they
 * overlap it.
 */
static void expect_too_late(struct kunit *test, struct scene *s, const struct owner *o)
{
	for (unsigned int i = 0; i < s->nr_stale; i++) {
		if (overlaps(&s->stale[i], &o->keys))
			KUNIT_ASSERT_FALSE_MSG(test, kho_pages_preserved(PFN_PHYS(s->stale[i].pfn),
									 BIT(s->stale[i].order)),
					       "pfn %#lx order %u", s->stale[i].pfn,
					       s->stale[i].order);
	}
}

static void restore_owners(struct kunit *test, struct scene *s)
{
	unsigned int order[MAX_OWNERS];

	for (unsigned int i = 0; i < s->nr_owners; i++) {
		unsigned int j = rnd_below(&s->rnd, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (unsigned int i = 0; i < s->nr_owners; i++) {
		struct owner *o = &s->owners[order[i]];

		if (o->robbed) {
			item_expect_lost(test, &o->item);
			continue;
		}
		item_restore(test, &o->item);
		o->done = true;
		expect_too_late(test, s, o);
		expect_owned(test, s);
	}
}

/*
 * Stale owners must not restore memory of an owner; set_page_count() checks
 * that.
 */
static void restore_all_stale(struct kunit *test, struct scene *s)
{
	for (unsigned int i = 0; i < s->nr_stale; i++)
		restore_stale(s, &s->stale[i]);
	KUNIT_ASSERT_EQ(test, kho_unclaimed_release(), 0);
}

static void property_test_owners_first(struct kunit *test)
{
	kunit_info(test, "seed=%lu repeats this sequence\n", seed);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct scene *s = new_scene(test, round);

		boot(test, s);
		restore_owners(test, s);
		restore_all_stale(test, s);
	}
}

/*
 * Some stale owners come first.  Marks the real owners that lose a part of their
 * memory to stale owners: exactly the marked owners must be refused later.
 */
static void rob_some(struct kunit *test, struct scene *s)
{
	for (unsigned int i = 0; i < s->nr_stale; i++) {
		const struct stale *stale = &s->stale[i];
		struct stale got = *stale;
		int order;

		if (rnd_below(&s->rnd, 3))
			continue;
		/* The restored folio may be smaller than the stale block. */
		order = ref_restore_folio(&s->ref, PFN_PHYS(stale->pfn));
		KUNIT_ASSERT_EQ(test, !!kho_restore_folio(PFN_PHYS(stale->pfn)),
				order >= 0);
		if (order < 0)
			continue;
		got.order = order;
		for (unsigned int j = 0; j < s->nr_owners; j++)
			s->owners[j].robbed |= overlaps(&got, &s->owners[j].keys);
	}
	KUNIT_ASSERT_TRUE(test, ref_same_keys(&s->ref));
	KUNIT_ASSERT_EQ(test, ref_wrong_page(&s->ref, false), SIM_PAGES);
}

static void property_test_stale_first(struct kunit *test)
{
	unsigned int robbed = 0, others = 0;

	for (unsigned int round = 0; round < ROUNDS / 2; round++) {
		struct scene *s = new_scene(test, 100000 + round);

		boot(test, s);
		rob_some(test, s);
		restore_owners(test, s);
		for (unsigned int i = 0; i < s->nr_owners; i++) {
			robbed += s->owners[i].robbed;
			others += s->owners[i].done;
		}
	}
	KUNIT_EXPECT_GT(test, robbed, ROUNDS / 5);
	KUNIT_EXPECT_GT(test, others, ROUNDS / 4);
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case property_cases[] = {
	KUNIT_CASE(property_test_owners_first),
	KUNIT_CASE(property_test_stale_first),
	{}
};

static struct kunit_suite property_suite = {
	.name = "unit-property",
	.exit = back_to_cold,
	.test_cases = property_cases,
};

kunit_test_suite(property_suite);
