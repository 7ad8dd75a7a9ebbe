// SPDX-License-Identifier: GPL-2.0
/*
 * vm_linux - the only process of a virtual machine that runs Linux
 *
 * The rounds of vm_count.h use its own memory, whose pages are scattered over the
 * memory of the machine.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "vm_count.h"

#define FROM	0x10000000u
#define TO	(FROM + (64u << 20))

static void check(int err, const char *what)
{
	if (!err)
		return;
	perror(what);
	exit(EXIT_FAILURE);
}

/* Print line feeds as they are, as vm_machine does. */
static void console_set_raw(void)
{
	struct termios settings;

	check(tcgetattr(STDOUT_FILENO, &settings), "console");
	cfmakeraw(&settings);
	check(tcsetattr(STDOUT_FILENO, TCSANOW, &settings), "console");
}

int main(void)
{
	void *want = (void *)(unsigned long)FROM;
	u32 compared = 0, wrong = 0;

	console_set_raw();
	check(iopl(3), "ports");
	check(mmap(want, TO - FROM, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != want,
	      "memory");
	fill(FROM, TO);
	for (u32 count = 0;; count++) {
		wrong += renew_slices(FROM, TO, count);
		compared += (TO - FROM) / SLICES / sizeof(u32);

		printf("count %u compared %u wrong %u clock %u s\n", count + 1,
		       compared, wrong, second_of_day());
		fflush(stdout);
	}
}
