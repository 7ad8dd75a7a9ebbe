/* SPDX-License-Identifier: GPL-2.0 */
/* The plain reference: a sorted set of numbers, and random numbers for tests. */
#ifndef KHO_MODEL_H
#define KHO_MODEL_H

#include "shims.h"

struct model {
	unsigned long *key;
	unsigned long nr;
	unsigned long capacity;
};

void model_free(struct model *m);
/* First position whose key is not below @key. */
unsigned long model_find(const struct model *m, unsigned long key);
bool model_has(const struct model *m, unsigned long key);
/* Both return true if the set has changed. */
bool model_add(struct model *m, unsigned long key);
bool model_del(struct model *m, unsigned long key);
/* Number of different values of key >> @shift. */
unsigned long model_distinct(const struct model *m, unsigned int shift);

/* In [0, @below). */
static inline unsigned long rnd_below(struct rnd_state *rnd, unsigned long below)
{
	u64 x = (u64)prandom_u32_state(rnd) << 32;

	return (x | prandom_u32_state(rnd)) % below;
}

#endif /* KHO_MODEL_H */
