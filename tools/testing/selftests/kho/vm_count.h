/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting and comparing in a virtual machine, and its clock.
 *
 * The word at an address depends on the address and on a generation.  Each
 * round compares a slice of every page, and writes the words of the next
 * generation to it, so that stale pages are detected as well as misplaced ones.
 * SLICES rounds compare every word.  Each round prints a line on the first
 * serial port:
 *
 *	count 7 compared 13647872 wrong 0 clock 43871 s
 *
 * All numbers but the last one are sums since the start.  The clock is the RTC,
 * in seconds of the day, which advances while the machine is stopped.
 */
#ifndef VM_COUNT_H
#define VM_COUNT_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define PAGE_SIZE		4096u
#define SLICES			8u
#define SLICE_SIZE		(PAGE_SIZE / SLICES)

#define RTC_INDEX		0x70
#define RTC_DATA		0x71
#define RTC_SECONDS		0
#define RTC_MINUTES		2
#define RTC_HOURS		4
#define RTC_STATUS		10
#define RTC_UPDATING		0x80

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

static u8 rtc_register(u8 index)
{
	out8(RTC_INDEX, index);

	return in8(RTC_DATA);
}

/* The register has two decimal digits. */
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

/* Within 64 MiB, all words of close generations differ. */
static inline u32 word_at(u32 address, u32 generation)
{
	return address * 2654435761u + generation;
}

static inline void fill(u32 from, u32 to)
{
	for (u32 at = from; at < to; at += sizeof(u32))
		*(volatile u32 *)(unsigned long)at = word_at(at, 0);
}

/*
 * Compares the words of a slice and writes the next generation.  Returns the
 * number of wrong words.
 */
static u32 renew(u32 from, u32 generation)
{
	u32 wrong = 0;

	for (u32 at = from; at < from + SLICE_SIZE; at += sizeof(u32)) {
		volatile u32 *word = (volatile u32 *)(unsigned long)at;

		wrong += *word != word_at(at, generation);
		*word = word_at(at, generation + 1);
	}

	return wrong;
}

/* A round: one slice of every page.  Returns the number of wrong words. */
static u32 renew_slices(u32 from, u32 to, u32 count)
{
	u32 slice = count % SLICES * SLICE_SIZE, wrong = 0;

	for (u32 page = from; page < to; page += PAGE_SIZE)
		wrong += renew(page + slice, count / SLICES);

	return wrong;
}

#endif /* VM_COUNT_H */
