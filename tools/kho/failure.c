// SPDX-License-Identifier: GPL-2.0
/* The reason for the last failure, in one line: control characters in file names are replaced. */

#include <stdarg.h>
#include <stdio.h>

#include "khoctl.h"

static char last[512];

int fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last, sizeof(last), fmt, args);
	va_end(args);
	for (char *s = last; *s; s++) {
		if ((unsigned char)*s < ' ')
			*s = '?';
	}
	return -1;
}

const char *failure(void)
{
	return last;
}
