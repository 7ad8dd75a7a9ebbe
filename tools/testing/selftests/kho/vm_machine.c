// SPDX-License-Identifier: GPL-2.0
/*
 * vm_machine - all the software of a virtual machine that counts
 *
 * QEMU loads it with -kernel, as a multiboot image, without any other kernel or
 * interrupt.  All memory past the program has a word for each address.  In each
 * round a slice of every page is compared, and written with the words of the next
 * generation, so that a page from another moment is as wrong as one from another
 * place.  After SLICES rounds every word was compared.  Each round is a line on the
 * first serial port:
 *
 *	count 7 compared 13647872 wrong 0 clock 43871 s
 *
 * All numbers but the last one are sums since the start.  The clock is the one that
 * goes on while the machine is stopped: seconds of the day, from the RTC.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define PAGE_SIZE		4096u
#define SLICES			8u
#define SLICE_SIZE		(PAGE_SIZE / SLICES)

#define MULTIBOOT_MAGIC		0x1badb002u
#define MULTIBOOT_MEMORY	(1u << 1)	/* asks for the size of memory */

#define SERIAL_DATA		0x3f8
#define SERIAL_STATUS		0x3fd
#define SERIAL_READY		0x20

#define RTC_INDEX		0x70
#define RTC_DATA		0x71
#define RTC_SECONDS		0
#define RTC_MINUTES		2
#define RTC_HOURS		4
#define RTC_STATUS		10
#define RTC_UPDATING		0x80

struct multiboot_info {
	u32 flags;
	u32 lower_kib;
	u32 upper_kib;	/* from 1 MiB on */
};

__attribute__((section(".text.multiboot"), used, aligned(4)))
static const u32 multiboot_header[] = {
	MULTIBOOT_MAGIC, MULTIBOOT_MEMORY, -(MULTIBOOT_MAGIC + MULTIBOOT_MEMORY),
};

/* The loader has the address of struct multiboot_info in ebx, and sets no stack. */
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

static inline void out8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port));
}

static inline u8 in8(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));

	return value;
}

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

static u8 rtc_register(u8 index)
{
	out8(RTC_INDEX, index);

	return in8(RTC_DATA);
}

/* Two decimal digits in a byte. */
static u32 rtc_number(u8 index)
{
	u8 value = rtc_register(index);

	return (value >> 4) * 10 + (value & 15);
}

static u32 second_of_day(void)
{
	while (rtc_register(RTC_STATUS) & RTC_UPDATING)
		;

	return (rtc_number(RTC_HOURS) * 60 + rtc_number(RTC_MINUTES)) * 60 +
	       rtc_number(RTC_SECONDS);
}

/* No two words of 64 MiB are equal, in generations that are near each other. */
static inline u32 word_at(u32 address, u32 generation)
{
	return address * 2654435761u + generation;
}

static void fill(u32 from, u32 to)
{
	for (u32 at = from; at < to; at += sizeof(u32))
		*(volatile u32 *)at = word_at(at, 0);
}

/* How many words of a part of a page are wrong; then it is of the next generation. */
static u32 renew(u32 from, u32 generation)
{
	u32 wrong = 0;

	for (u32 at = from; at < from + SLICE_SIZE; at += sizeof(u32)) {
		volatile u32 *word = (volatile u32 *)at;

		wrong += *word != word_at(at, generation);
		*word = word_at(at, generation + 1);
	}

	return wrong;
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
		u32 slice = count % SLICES * SLICE_SIZE;

		for (u32 page = from; page < to; page += PAGE_SIZE)
			wrong += renew(page + slice, count / SLICES);
		compared += (to - from) / SLICES / sizeof(u32);

		print_number("count ", count + 1);
		print_number(" compared ", compared);
		print_number(" wrong ", wrong);
		print_number(" clock ", second_of_day());
		print(" s\n");
	}
}
