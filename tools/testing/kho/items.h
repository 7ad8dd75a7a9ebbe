/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of each kind that can be handed over, with contents. */
#ifndef KHO_ITEMS_H
#define KHO_ITEMS_H

#include "model.h"

#include <linux/kho/vmalloc.h>

/* Order of the largest folios. */
#define MAX_ITEM_ORDER	5

enum item_kind {
	ITEM_FOLIO,
	ITEM_PAGES,
	ITEM_AREA,
	ITEM_BLOCKS,
	NR_ITEM_KINDS,
};

/* Preserved memory, as its owner remembers it in the next kernel. */
struct item {
	enum item_kind kind;
	phys_addr_t phys;
	unsigned long nr;	/* order of a folio, number of pages, or of records */
	struct kho_vmalloc desc;
	u64 salt;
};

void item_fill(void *mem, size_t size, u64 salt);
void item_expect_filled(struct kunit *test, const void *mem, size_t size, u64 salt);

/* Preserves memory of a random kind and size. */
void item_preserve(struct kunit *test, struct item *it, struct rnd_state *rnd);
/* Restores the item once, checks its contents, and frees it. */
void item_restore(struct kunit *test, struct item *it);
/*
 * Expects that the item cannot be restored, because another owner has a part of
 * it.
 */
void item_expect_lost(struct kunit *test, struct item *it);

#endif /* KHO_ITEMS_H */
