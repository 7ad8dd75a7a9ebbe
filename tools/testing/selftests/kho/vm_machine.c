// SPDX-License-Identifier: GPL-2.0
/*
 * vm_machine - all the software of a virtual machine that counts
 *
 * QEMU loads it with -kernel, as a multiboot image.  It runs without a kernel
 * and without interrupts, and counts in all memory past the end of the program,
 * see vm_count.h.
 */

#include "vm_count.h"

#define MULTIBOOT_MAGIC		0x1badb002u
#define MULTIBOOT_MEMORY	(1u << 1)	/* asks for the size of memory */

#define SERIAL_DATA		0x3f8
#define SERIAL_STATUS		0x3fd
#define SERIAL_READY		0x20

struct multiboot_info {
	u32 flags;
	u32 lower_kib;
	u32 upper_kib;	/* from 1 MiB on */
};

__attribute__((section(".text.multiboot"), used, aligned(4)))
static const u32 multiboot_header[] = {
	MULTIBOOT_MAGIC, MULTIBOOT_MEMORY, -(MULTIBOOT_MAGIC + MULTIBOOT_MEMORY),
};

/*
 * The loader passes the address of struct multiboot_info in ebx, and does not
 * set up a stack.
 */
__asm__(".globl _start\n"
	"_start:\n"
	"	mov $stack_top, %esp\n"
	"	cld\n"
	"	push %ebx\n"
	"	call run\n"
	".bss\n"
	".balign 16\n"
	".skip 4096\n"
	"stack_top:\n"
	".text\n");

static void print(const char *text)
{
	for (; *text; text++) {
		while (!(in8(SERIAL_STATUS) & SERIAL_READY))
			;
		out8(SERIAL_DATA, *text);
	}
}

static void print_number(const char *label, u32 number)
{
	char digits[11], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = '0' + number % 10;
		number /= 10;
	} while (number);

	print(label);
	print(at);
}

__attribute__((used))
static void run(const struct multiboot_info *info)
{
	extern char end[];
	u32 from = ((u32)end + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
	u32 to = (1024 + info->upper_kib) / 4 * PAGE_SIZE;
	u32 compared = 0, wrong = 0;

	fill(from, to);
	for (u32 count = 0;; count++) {
		wrong += renew_slices(from, to, count);
		compared += (to - from) / SLICES / sizeof(u32);

		print_number("count ", count + 1);
		print_number(" compared ", compared);
		print_number(" wrong ", wrong);
		print_number(" clock ", second_of_day());
		print(" s\n");
	}
}
