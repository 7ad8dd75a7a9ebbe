// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of memfds that are preserved in sessions: sizes, holes, positions, seals.
 */

#include "steps.h"

KHO_TEST(one_memfd, "One memfd of 4 MiB comes back whole and outlives its session.")
{
	static const struct memfd file[] = { { "a", 4 * MIB, 11 } };

	if (!hop) {
		keep("main", file);
		return;
	}
	claim("main", file);
	churn();
	look(file);
}

/* One file goes all the way, one is given up after each hop, a new one starts. */
KHO_TEST(three_hops, "A memfd is carried through three kexecs in a row.",
	 .hops = 4, .deadline = 40)
{
	const struct memfd far = { "far", 3 * MIB, 70 };
	const struct memfd files[] = { far, { "near", MIB, 70 + hop } };

	if (hop) {
		claim("main", files);
		close_fd("near");
	}
	if (hop == 3)
		return;

	session_new("main");
	if (!hop)
		make(&far);
	preserve("main", 1, "far");
	memfd("near", MIB, 71 + hop);
	preserve("main", 2, "near");
}
