// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that the cases of hostile handovers share, to do the damage of a
 * table.
 */

#include "hostile.h"

void harm_load(const char *where, const char *what, int number)
{
	step_load("kexec -s -l");
}

void harm_flbs(const char *name, const char *what, int number)
{
	step_offer_flbs(name, (const char *const[]){ what, NULL });
}

/* Returns @text with @at in the place of "@". */
static const char *with(const char *text, const char *at)
{
	const char *mark = text ? strchr(text, '@') : NULL;

	return mark ? textf("%.*s%s%s", (int)(mark - text), text, at, mark + 1) : text;
}

static void harm_one(const struct harm *harm, const char *at)
{
	const char *where = with(harm->where, at), *what = with(harm->what, at);

	if (harm->record)
		STEP(step_damage(harm->record, at, harm->number, where, what));
	else
		STEP(harm->step(where, what, harm->number));
}

void harm_all(const struct harm *harm, unsigned int nr, const char *at)
{
	for (unsigned int i = 0; i < nr && (harm[i].step || harm[i].record); i++)
		harm_one(&harm[i], at);
}

void row_begins(const char *name)
{
	step("row %s", name);
	step_end(0);
}
