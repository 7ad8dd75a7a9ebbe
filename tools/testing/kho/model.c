// SPDX-License-Identifier: GPL-2.0
/* The plain reference: a sorted array. */

#include "model.h"

void model_free(struct model *m)
{
	free(m->key);
	*m = (struct model){ };
}

unsigned long model_find(const struct model *m, unsigned long key)
{
	unsigned long low = 0, high = m->nr;

	while (low < high) {
		unsigned long mid = (low + high) / 2;

		if (m->key[mid] < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool model_has(const struct model *m, unsigned long key)
{
	unsigned long i = model_find(m, key);

	return i < m->nr && m->key[i] == key;
}

bool model_add(struct model *m, unsigned long key)
{
	unsigned long i = model_find(m, key);

	if (i < m->nr && m->key[i] == key)
		return false;

	if (m->nr == m->capacity) {
		m->capacity = m->capacity ? 2 * m->capacity : 64;
		m->key = realloc(m->key, m->capacity * sizeof(*m->key));
	}
	memmove(m->key + i + 1, m->key + i, (m->nr - i) * sizeof(*m->key));
	m->key[i] = key;
	m->nr++;
	return true;
}

bool model_del(struct model *m, unsigned long key)
{
	unsigned long i = model_find(m, key);

	if (i == m->nr || m->key[i] != key)
		return false;

	m->nr--;
	memmove(m->key + i, m->key + i + 1, (m->nr - i) * sizeof(*m->key));
	return true;
}

unsigned long model_distinct(const struct model *m, unsigned int shift)
{
	unsigned long nr = 0;

	for (unsigned long i = 0; i < m->nr; i++)
		nr += !i || m->key[i] >> shift != m->key[i - 1] >> shift;
	return nr;
}
