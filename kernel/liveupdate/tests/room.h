/* SPDX-License-Identifier: GPL-2.0 */
/* For KUnit tests whose memory grows with the size of pages. */
#ifndef KHO_TESTS_ROOM_H
#define KHO_TESTS_ROOM_H

#include <kunit/test.h>
#include <linux/mm.h>

/* Leaves a third of a machine to others: a test is no reason to run out. */
static inline void skip_without_room(struct kunit *test, unsigned long pages)
{
	if (pages > totalram_pages() * 2 / 3)
		kunit_skip(test, "%lu pages are too many for this machine",
			   pages);
}

#endif /* KHO_TESTS_ROOM_H */
