// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that the cases of hostile handovers share, to do the damage of a
 * table.
 */

#include <stdio.h>
#include <string.h>

#include "hostile.h"

/* Copies @text to @out, with @at in the place of each "@". */
static const char *with(const char *text, const char *at, char *out, size_t size)
{
	size_t len = 0;

	if (!text)
		return NULL;
	for (; *text && len + 1 < size; text++) {
		if (*text == '@')
			len += snprintf(out + len, size - len, "%s", at);
		else
			out[len++] = *text;
	}
	out[len < size ? len : size - 1] = '\0';

	return out;
}

static void harm_records(const struct harm *harm, const char *session)
{
	switch (harm->kind) {
	case HARM_SESSION:
		damage_session(session, harm->where, harm->what);
		break;
	case HARM_BLOCK:
		damage_block(session, harm->where, harm->what);
		break;
	case HARM_FILE:
		damage_file(session, harm->number, harm->where, harm->what);
		break;
	default:
		break;
	}
}

static void harm_one(const struct harm *harm, const char *at)
{
	char buf[2][128];
	const char *where = with(harm->where, at, buf[0], sizeof(buf[0]));
	const char *what = with(harm->what, at, buf[1], sizeof(buf[1]));

	switch (harm->kind) {
	case HARM_POKE:
		STEP(step_poke(where, harm->number, what));
		break;
	case HARM_FILL:
		STEP(step_fill(where, what, harm->number));
		break;
	case HARM_COPY:
		STEP(step_copy(where, what, harm->number));
		break;
	case HARM_MAP_ADD:
		STEP(step_map_add(where, what));
		break;
	case HARM_MAP_COVER:
		STEP(step_map_cover(harm->number, what));
		break;
	case HARM_SCRATCH_SIZE:
	case HARM_SCRATCH_START:
		STEP(step_scratch_set(harm->kind == HARM_SCRATCH_SIZE, what));
		break;
	case HARM_LOAD:
		load();
		break;
	case HARM_BOOT:
		STEP(step_boot_set(harm->number, what));
		break;
	case HARM_FLBS:
		offer_flbs(where, what);
		break;
	default:
		harm_records(harm, at);
	}
}

void harm_all(const struct harm *harm, unsigned int nr, const char *at)
{
	for (unsigned int i = 0; i < nr && harm[i].kind != NO_HARM; i++)
		harm_one(&harm[i], at);
}

void row_begins(const char *name)
{
	step("row %s", name);
	step_end(0);
}
