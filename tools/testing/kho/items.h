/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that is handed over, of each kind that there is, and filled. */
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

/* As its owner remembers it. */
struct item {
	enum item_kind kind;
	phys_addr_t phys;
	unsigned long nr;	/* order, pages, or records */
	struct kho_vmalloc desc;
	u64 salt;
};

void item_fill(void *mem, size_t size, u64 salt);
void item_expect_filled(struct kunit *test, const void *mem, size_t size, u64 salt);

/* A random one. */
void item_preserve(struct kunit *test, struct item *it, struct rnd_state *rnd);
/* All of it is there, once, and is freed. */
void item_restore(struct kunit *test, struct item *it);
/* A part of it has another owner. */
void item_expect_lost(struct kunit *test, struct item *it);

#endif /* KHO_ITEMS_H */
