/* SPDX-License-Identifier: GPL-2.0 */
/* Bitmaps: the same bits as in the kernel, found one at a time. */
#ifndef KHO_DUPLICATED_BITMAP_H
#define KHO_DUPLICATED_BITMAP_H

#include "base.h"

#define DECLARE_BITMAP(name, bits)	unsigned long name[BITS_TO_LONGS(bits)]

static inline unsigned long bit_mask(unsigned long nr)
{
	return BIT(nr % BITS_PER_LONG);
}

static inline bool test_bit(unsigned long nr, const unsigned long *map)
{
	return READ_ONCE(map[nr / BITS_PER_LONG]) & bit_mask(nr);
}

static inline void set_bit(unsigned long nr, unsigned long *map)
{
	__atomic_fetch_or(&map[nr / BITS_PER_LONG], bit_mask(nr), __ATOMIC_SEQ_CST);
}

#define __set_bit(nr, map)	set_bit(nr, map)

static inline bool test_and_clear_bit(unsigned long nr, unsigned long *map)
{
	return __atomic_fetch_and(&map[nr / BITS_PER_LONG], ~bit_mask(nr),
				  __ATOMIC_SEQ_CST) & bit_mask(nr);
}

static inline void clear_bit(unsigned long nr, unsigned long *map)
{
	test_and_clear_bit(nr, map);
}

static inline void assign_bit(unsigned long nr, unsigned long *map, bool value)
{
	if (value)
		set_bit(nr, map);
	else
		clear_bit(nr, map);
}

static inline void bitmap_set(unsigned long *map, unsigned long start,
			      unsigned long nr)
{
	while (nr--)
		set_bit(start++, map);
}

/*
 * The first bit from @from on that differs from the bits of @skip, which is 0
 * or ~0UL.
 */
static inline unsigned long find_bit_from(const unsigned long *map,
					  unsigned long size,
					  unsigned long from, unsigned long skip)
{
	while (from < size) {
		unsigned long word = READ_ONCE(map[from / BITS_PER_LONG]) ^ skip;

		word &= ~0UL << (from % BITS_PER_LONG);
		if (word) {
			from = round_down(from, BITS_PER_LONG) + __builtin_ctzl(word);
			break;
		}
		from = round_down(from, BITS_PER_LONG) + BITS_PER_LONG;
	}

	return from < size ? from : size;
}

static inline unsigned long find_next_bit(const unsigned long *map,
					  unsigned long size,
					  unsigned long from)
{
	return find_bit_from(map, size, from, 0);
}

static inline unsigned long find_next_zero_bit(const unsigned long *map,
					       unsigned long size,
					       unsigned long from)
{
	return find_bit_from(map, size, from, ~0UL);
}

#define for_each_set_bit(bit, map, size)				\
	for ((bit) = find_next_bit(map, size, 0); (bit) < (size);	\
	     (bit) = find_next_bit(map, size, (bit) + 1))

#define for_each_clear_bitrange(first, end, map, size)			\
	for ((first) = find_next_zero_bit(map, size, 0);		\
	     (end) = find_next_bit(map, size, first), (first) < (size);	\
	     (first) = find_next_zero_bit(map, size, end))

static inline bool bitmap_empty(const unsigned long *map, unsigned int nr)
{
	return find_next_bit(map, nr, 0) == nr;
}

#endif /* KHO_DUPLICATED_BITMAP_H */
