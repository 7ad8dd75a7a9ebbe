/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of damage, shared by the cases of hostile handovers.
 *
 * Address and value of a write are expressions of handover_hostile.c.  In them,
 * "@" stands for the number of the hop or the name of the session, which makes
 * names unique.
 */

#ifndef SELFTESTS_KHO_HOSTILE_H
#define SELFTESTS_KHO_HOSTILE_H

#include "steps.h"

#define NOWHERE		"0x200000010000"	/* no machine has memory there */
#define HOLE		"0xa0000"	/* not RAM either: video on a PC, flash on arm64 */
#define ODD		"0x123457"	/* in RAM, and no page begins there */
#define HUGE_NUMBER	"0xffffffffffffffff"

/* A step on a place, or on the field @where of a record of the previous kernel. */
struct harm {
	void (*step)(const char *where, const char *what, int number);
	const char *where;
	const char *what;
	int number;
	const char *record;
};

#define POKE(where, what)	{ step_poke, where, what, 64 }
#define POKE32(where, what)	{ step_poke, where, what, 32 }
#define POKE16(where, what)	{ step_poke, where, what, 16 }
#define POKE_BE32(where, what)	{ step_poke, where, what, POKE_BIG_ENDIAN }
#define FILL(where, length, byte)	{ step_fill, where, length, byte }
#define COPY(where, what, bytes)	{ step_copy, where, what, bytes }
#define MAP_ADD(where, size)	{ step_map_add, where, size }
#define MAP_KEY(key)		{ step_map_add, key }
#define MAP_COVER(area, size)	{ step_map_cover, NULL, size, area }
#define SCRATCH_SIZE(what)	{ step_scratch_set, NULL, what, true }
#define SCRATCH_START(what)	{ step_scratch_set, NULL, what, false }
#define BOOT(offset, what)	{ step_boot_set, NULL, what, offset }
#define LOADED			{ harm_load }
#define OFFER_FLBS(memfd, name)	{ harm_flbs, memfd, name }
#define SESSION(field, what)	{ NULL, field, what, 0, "session" }
#define BLOCK(field, what)	{ NULL, field, what, 0, "block" }
#define RECORD(field, what)	{ NULL, field, what, 2, "file" }

void harm_load(const char *where, const char *what, int number);
void harm_flbs(const char *name, const char *what, int number);

#define HARMS	10

/* Does the damage of @nr entries; @at replaces the "@" of a text. */
void harm_all(const struct harm *harm, unsigned int nr, const char *at);

/*
 * Reports the name of a row, in the kernel that does the damage and in the next
 * one.
 */
void row_begins(const char *name);

#define churn_some()	STEP(step_churn(1, 40))

#endif
