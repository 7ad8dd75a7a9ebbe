// SPDX-License-Identifier: GPL-2.0
/* Memory that is handed over, see items.h. */

#include "items.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/block.h>

struct record {
	u64 salt;
	u64 n;
};

void item_fill(void *mem, size_t size, u64 salt)
{
	u64 *word = mem;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		word[i] = salt * (i + 1);
}

void item_expect_filled(struct kunit *test, const void *mem, size_t size, u64 salt)
{
	const u64 *word = mem;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		KUNIT_ASSERT_EQ(test, word[i], salt * (i + 1));
}

/* For each kind: preserve it; restore, check and free it. */

static void preserve_folio(struct kunit *test, struct item *it, unsigned long n)
{
	struct folio *folio;

	it->nr = n % (MAX_ITEM_ORDER + 1);
	folio = folio_alloc(GFP_KERNEL, it->nr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	it->phys = PFN_PHYS(folio_pfn(folio));
	item_fill(folio_address(folio), folio_size(folio), it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
}

static bool restore_folio(struct kunit *test, struct item *it)
{
	struct folio *folio = kho_restore_folio(it->phys);

	if (!folio)
		return false;
	KUNIT_ASSERT_EQ(test, folio_order(folio), it->nr);
	item_expect_filled(test, folio_address(folio), folio_size(folio), it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_folio(it->phys));
	folio_put(folio);
	return true;
}

/* A range within a block, for all alignments and lengths. */
static void preserve_pages(struct kunit *test, struct item *it, unsigned long n)
{
	unsigned int first = n % 13;
	struct page *page = alloc_pages(GFP_KERNEL, MAX_ITEM_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, MAX_ITEM_ORDER);
	it->nr = 1 + n / 13 % (BIT(MAX_ITEM_ORDER) - first);
	it->phys = page_to_phys(page + first);
	item_fill(phys_to_virt(it->phys), it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(page + first, it->nr), 0);
}

static bool restore_pages(struct kunit *test, struct item *it)
{
	struct page *page = kho_restore_pages(it->phys, it->nr);

	if (!page)
		return false;
	item_expect_filled(test, phys_to_virt(it->phys), it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_pages(it->phys, it->nr));
	for (unsigned long i = 0; i < it->nr; i++)
		__free_page(page + i);
	return true;
}

static void preserve_area(struct kunit *test, struct item *it, unsigned long n)
{
	void *area;

	it->nr = 1 + n % (3 * KHO_VMALLOC_SIZE);
	it->nr = min(it->nr, 100UL);
	area = n % 7 ? vmalloc(it->nr * PAGE_SIZE) : vmalloc_huge(PMD_SIZE, GFP_KERNEL);
	if (n % 7 == 0)
		it->nr = PMD_SIZE / PAGE_SIZE;
	KUNIT_ASSERT_NOT_NULL(test, area);
	item_fill(area, it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(area, &it->desc), 0);
}

static bool restore_area(struct kunit *test, struct item *it)
{
	void *area = kho_restore_vmalloc(&it->desc);

	if (!area)
		return false;
	KUNIT_ASSERT_EQ(test, find_vm_area(area)->nr_pages, it->nr);
	item_expect_filled(test, area, it->nr * PAGE_SIZE, it->salt);
	KUNIT_ASSERT_NULL(test, kho_restore_vmalloc(&it->desc));
	vfree(area);
	return true;
}

static void preserve_blocks(struct kunit *test, struct item *it, unsigned long n)
{
	struct kho_block_set *bs = kunit_kmalloc(test, sizeof(*bs), GFP_KERNEL);
	struct kho_block_set_it pos;

	kho_block_set_init(bs, sizeof(struct record));
	it->nr = n % (4 * bs->count_per_block);
	it->nr = min(it->nr, 3000UL);
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(bs, it->nr + n % 3), 0);

	kho_block_set_it_init(&pos, bs);
	for (unsigned long i = 0; i < it->nr; i++) {
		struct record *r = kho_block_set_it_reserve_entry(&pos);

		KUNIT_ASSERT_NOT_NULL(test, r);
		*r = (struct record){ it->salt, i };
	}
	it->phys = kho_block_set_head_pa(bs);
}

static bool restore_blocks(struct kunit *test, struct item *it)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));
	struct kho_block_set_it pos;
	unsigned long i = 0;
	struct record *r;

	if (kho_block_set_restore(&bs, it->phys))
		return false;
	kho_block_set_it_init(&pos, &bs);
	while ((r = kho_block_set_it_read_entry(&pos))) {
		KUNIT_ASSERT_EQ(test, r->salt, it->salt);
		KUNIT_ASSERT_EQ(test, r->n, i++);
	}
	KUNIT_ASSERT_EQ(test, i, it->nr);
	kho_block_set_destroy(&bs);
	return true;
}

static const struct {
	void (*preserve)(struct kunit *test, struct item *it, unsigned long n);
	bool (*restore)(struct kunit *test, struct item *it);
} kinds[NR_ITEM_KINDS] = {
	[ITEM_FOLIO] = { preserve_folio, restore_folio },
	[ITEM_PAGES] = { preserve_pages, restore_pages },
	[ITEM_AREA] = { preserve_area, restore_area },
	[ITEM_BLOCKS] = { preserve_blocks, restore_blocks },
};

void item_preserve(struct kunit *test, struct item *it, struct rnd_state *rnd)
{
	*it = (struct item){
		.kind = rnd_below(rnd, NR_ITEM_KINDS),
		.salt = prandom_u32_state(rnd) | 1,
	};
	kinds[it->kind].preserve(test, it, prandom_u32_state(rnd));
}

void item_restore(struct kunit *test, struct item *it)
{
	KUNIT_ASSERT_TRUE_MSG(test, kinds[it->kind].restore(test, it),
			      "kind %d at %#llx", it->kind, it->phys);
}

void item_expect_lost(struct kunit *test, struct item *it)
{
	KUNIT_ASSERT_FALSE_MSG(test, kinds[it->kind].restore(test, it),
			       "kind %d at %#llx", it->kind, it->phys);
}
