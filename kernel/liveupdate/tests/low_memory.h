/* SPDX-License-Identifier: GPL-2.0 */
/* For KUnit tests that need more memory with a larger page size. */
#ifndef KHO_TESTS_LOW_MEMORY_H
#define KHO_TESTS_LOW_MEMORY_H

#include <kunit/test.h>
#include <linux/mm.h>

/* Leave a third of the memory to other users. */
static inline void kho_skip_if_low_memory(struct kunit *test, unsigned long pages)
{
	if (pages > totalram_pages() * 2 / 3)
		kunit_skip(test, "%lu pages are too many for this machine",
			   pages);
}

#endif /* KHO_TESTS_LOW_MEMORY_H */
