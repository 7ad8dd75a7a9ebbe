/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_TIMELINE_H
#define _LINUX_KHO_ABI_TIMELINE_H

#include <linux/build_bug.h>
#include <linux/kho/abi/compat.h>
#include <linux/stddef.h>
#include <linux/types.h>

/**
 * DOC: Kexec Handover time line ABI
 *
 * The times at which the previous kernel reached the steps of a live update, as
 * values of a counter of the machine that a kexec does not reset.  The subtree
 * %KHO_TIMELINE_NODE_NAME of the root tree is one &struct kho_timeline_ser.  No
 * other data depends on it: a kernel that cannot read it continues without it.
 *
 * If a slot of ``at`` is 0, the event did not happen.  Events may be added in
 * free slots without a new version.  Any other change needs a new number in
 * %KHO_TIMELINE_COMPATIBLE.
 */

/* Name of the subtree. */
#define KHO_TIMELINE_NODE_NAME	"timeline"

#define KHO_TIMELINE_COMPATIBLE	"timeline-v1"
#define KHO_TIMELINE_COMPAT_LEN	16

/**
 * enum kho_timeline_event - slots of the time line
 * @KHO_TIMELINE_ENTERED: the writing kernel found its incoming handover
 * @KHO_TIMELINE_INIT: it started the first program in user space
 * @KHO_TIMELINE_PRESERVE_BEGIN: the first session was created
 * @KHO_TIMELINE_PRESERVE_END: the last file was preserved
 * @KHO_TIMELINE_KEXEC: the kexec was requested
 * @KHO_TIMELINE_FROZEN: all sessions were frozen
 * @KHO_TIMELINE_LEFT: the next kernel is started
 * @KHO_TIMELINE_RETRIEVE_BEGIN: the first incoming session was retrieved
 * @KHO_TIMELINE_RETRIEVE_END: the last incoming session was retrieved
 * @KHO_TIMELINE_FINISH_END: the last incoming session was finished
 * @KHO_TIMELINE_EVENTS: number of events that this kernel has
 */
enum kho_timeline_event {
	KHO_TIMELINE_ENTERED = 0,
	KHO_TIMELINE_INIT = 1,
	KHO_TIMELINE_PRESERVE_BEGIN = 2,
	KHO_TIMELINE_PRESERVE_END = 3,
	KHO_TIMELINE_KEXEC = 4,
	KHO_TIMELINE_FROZEN = 5,
	KHO_TIMELINE_LEFT = 6,
	KHO_TIMELINE_RETRIEVE_BEGIN = 7,
	KHO_TIMELINE_RETRIEVE_END = 8,
	KHO_TIMELINE_FINISH_END = 9,
	KHO_TIMELINE_EVENTS,
};

#define KHO_TIMELINE_SLOTS	32

/**
 * enum kho_timeline_clock - the counter
 * @KHO_TIMELINE_CLOCK_NONE: no counter that a kexec does not reset
 * @KHO_TIMELINE_CLOCK_TSC: time stamp counter of x86
 * @KHO_TIMELINE_CLOCK_ARCH: virtual counter of the generic timer of Arm
 */
enum kho_timeline_clock {
	KHO_TIMELINE_CLOCK_NONE = 0,
	KHO_TIMELINE_CLOCK_TSC = 1,
	KHO_TIMELINE_CLOCK_ARCH = 2,
};

/**
 * struct kho_timeline_ser - time line of the previous kernel
 * @compatible: %KHO_TIMELINE_COMPATIBLE, padded with NULs (offset 0)
 * @hz: frequency of the counter, as measured by the writing kernel (offset 16)
 * @clock: &enum kho_timeline_clock (offset 24)
 * @reliable: 1 if the counter has one rate on all CPUs, else 0 (offset 28)
 * @at: value of the counter at each event (offset 32)
 */
struct kho_timeline_ser {
	char compatible[KHO_TIMELINE_COMPAT_LEN];
	u64 hz;
	u32 clock;
	u32 reliable;
	u64 at[KHO_TIMELINE_SLOTS];
};

static_assert(sizeof(KHO_TIMELINE_COMPATIBLE) <= KHO_TIMELINE_COMPAT_LEN);
static_assert(KHO_TIMELINE_EVENTS <= KHO_TIMELINE_SLOTS);

static_assert(sizeof(struct kho_timeline_ser) == 288);
static_assert(offsetof(struct kho_timeline_ser, compatible) == 0);
static_assert(offsetof(struct kho_timeline_ser, hz) == 16);
static_assert(offsetof(struct kho_timeline_ser, clock) == 24);
static_assert(offsetof(struct kho_timeline_ser, reliable) == 28);
static_assert(offsetof(struct kho_timeline_ser, at) == 32);

#endif /* _LINUX_KHO_ABI_TIMELINE_H */
