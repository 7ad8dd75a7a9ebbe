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

struct harm {
	enum {
		NO_HARM, HARM_POKE, HARM_FILL, HARM_COPY, HARM_MAP_ADD, HARM_MAP_COVER,
		HARM_SCRATCH_SIZE, HARM_SCRATCH_START, HARM_LOAD, HARM_BOOT,
		HARM_FLBS, HARM_SESSION, HARM_BLOCK, HARM_FILE,
	} kind;
	const char *where;
	const char *what;
	int number;
};

#define POKE(where, what)	{ HARM_POKE, where, what, 64 }
#define POKE32(where, what)	{ HARM_POKE, where, what, 32 }
#define POKE16(where, what)	{ HARM_POKE, where, what, 16 }
#define POKE_BE32(where, what)	{ HARM_POKE, where, what, POKE_BIG_ENDIAN }
#define FILL(where, length, byte)	{ HARM_FILL, where, length, byte }
#define COPY(where, what, bytes)	{ HARM_COPY, where, what, bytes }
#define MAP_ADD(where, size)	{ HARM_MAP_ADD, where, size }
#define MAP_KEY(key)		{ HARM_MAP_ADD, key }
#define MAP_COVER(area, size)	{ HARM_MAP_COVER, NULL, size, area }
#define SCRATCH_SIZE(what)	{ HARM_SCRATCH_SIZE, NULL, what }
#define SCRATCH_START(what)	{ HARM_SCRATCH_START, NULL, what }
#define LOADED			{ HARM_LOAD }
#define BOOT(offset, what)	{ HARM_BOOT, NULL, what, offset }
#define OFFER_FLBS(memfd, name)	{ HARM_FLBS, memfd, name }
#define SESSION(field, what)	{ HARM_SESSION, field, what }
#define BLOCK(field, what)	{ HARM_BLOCK, field, what }
#define RECORD(field, what)	{ HARM_FILE, field, what, 2 }

#define HARMS	10

/* Does the damage of @nr entries; @at replaces each "@". */
void harm_all(const struct harm *harm, unsigned int nr, const char *at);

/*
 * Reports the name of a row, in the kernel that does the damage and in the next
 * one.
 */
void row_begins(const char *name);

#define churn_some()	STEP(step_churn(1, 40))

#endif
