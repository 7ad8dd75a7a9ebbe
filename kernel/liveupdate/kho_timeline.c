// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Time line
 *
 * A live update begins in the previous kernel and ends in this one, so neither
 * of them can measure it alone.  Both kernels therefore read a counter of the
 * machine that a kexec does not reset: the time stamp counter on x86, the
 * virtual counter of the generic timer on arm64.  The previous kernel hands over
 * the values that it has read.  ``kho/timeline`` in debugfs lists the values of
 * both kernels.  Each line has a key, a colon and a value:
 *
 * ``clock``, ``frequency``, ``reliable``
 *     The counter, ``tsc``, ``arch`` or ``none``; its frequency in Hz; and
 *     ``yes``, or ``no`` if its rate may change or differ between CPUs.  With
 *     the clock ``none``, no event has a time.
 *
 * ``previous``
 *     ``valid``, or the reason why times of the previous kernel are not shown:
 *     ``none``, ``invalid`` or ``other clock``.
 *
 * ``now``, and the name of each event
 *     Time in seconds on the counter.  The names of events of the previous
 *     kernel start with the word ``previous``.
 *
 * ``session``, followed by ``retrieved`` and ``finished``
 *     Name and times of an incoming session.  Only the first sessions are
 *     listed; ``more-sessions`` is the number of the others.
 *
 * The time line never affects a handover.  If the page for it cannot be
 * allocated, a message is logged, and the next kernel does not get it.
 */

#define pr_fmt(fmt) "KHO: timeline: " fmt

#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/compat.h>
#include <linux/kho/timeline.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/string_choices.h>
#include <linux/time64.h>
#include <uapi/linux/liveupdate.h>

#ifdef CONFIG_X86_TSC
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#endif

#ifdef CONFIG_ARM_ARCH_TIMER
#include <asm/arch_timer.h>
#endif

#include "kexec_handover_internal.h"

/* Maximum number of sessions in the list. */
#define KHO_TIMELINE_SESSIONS	64

struct kho_timeline_session {
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];
	u64 retrieved;
	u64 finished;
};

static struct kho_timeline {
	u64 at[KHO_TIMELINE_EVENTS];
	struct kho_timeline_ser *out;		/* NULL until it is preserved */
	struct kho_timeline_ser in;		/* copy of incoming data */
	const char *in_state;
	unsigned int nr_sessions;
	unsigned long more_sessions;
	struct kho_timeline_session session[KHO_TIMELINE_SESSIONS];
} kho_timeline = {
	.in_state = "none",
};

/* Protects the sessions. */
static DEFINE_MUTEX(kho_timeline_lock);

static const char * const kho_timeline_names[] = {
	[KHO_TIMELINE_ENTERED] = "entered",
	[KHO_TIMELINE_INIT] = "init",
	[KHO_TIMELINE_PRESERVE_BEGIN] = "preserve-begin",
	[KHO_TIMELINE_PRESERVE_END] = "preserve-end",
	[KHO_TIMELINE_KEXEC] = "kexec",
	[KHO_TIMELINE_FROZEN] = "frozen",
	[KHO_TIMELINE_LEFT] = "left",
	[KHO_TIMELINE_RETRIEVE_BEGIN] = "retrieve-begin",
	[KHO_TIMELINE_RETRIEVE_END] = "retrieve-end",
	[KHO_TIMELINE_FINISH_END] = "finish-end",
};

static_assert(ARRAY_SIZE(kho_timeline_names) == KHO_TIMELINE_EVENTS);

static const char * const kho_timeline_clocks[] = {
	[KHO_TIMELINE_CLOCK_NONE] = "none",
	[KHO_TIMELINE_CLOCK_TSC] = "tsc",
	[KHO_TIMELINE_CLOCK_ARCH] = "arch",
};

/* The counter.  It can be read before its frequency is known. */
#if defined(CONFIG_X86_TSC)
static u64 kho_clock_read(void)
{
	return rdtsc_ordered();
}

static u64 kho_clock_hz(void)
{
	return tsc_khz * 1000ULL;
}

static bool kho_clock_reliable(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
	       boot_cpu_has(X86_FEATURE_NONSTOP_TSC) && !check_tsc_unstable();
}

#define KHO_CLOCK	KHO_TIMELINE_CLOCK_TSC
#elif defined(CONFIG_ARM_ARCH_TIMER)
static u64 kho_clock_read(void)
{
	return __arch_counter_get_cntvct();
}

static u64 kho_clock_hz(void)
{
	return arch_timer_get_cntfrq();
}

static bool kho_clock_reliable(void)
{
	return true;
}

#define KHO_CLOCK	KHO_TIMELINE_CLOCK_ARCH
#else
static u64 kho_clock_read(void)
{
	return 0;
}

static u64 kho_clock_hz(void)
{
	return 0;
}

static bool kho_clock_reliable(void)
{
	return false;
}

#define KHO_CLOCK	KHO_TIMELINE_CLOCK_NONE
#endif

static enum kho_timeline_clock kho_clock(void)
{
	return kho_clock_hz() ? KHO_CLOCK : KHO_TIMELINE_CLOCK_NONE;
}

/* Called again at kexec, as the frequency is refined during boot on x86. */
static void kho_timeline_write_clock(struct kho_timeline_ser *ser)
{
	ser->hz = kho_clock_hz();
	ser->clock = kho_clock();
	ser->reliable = kho_clock_reliable();
}

/**
 * kho_timeline_mark - record that an event happens now
 * @event: the event; if it was recorded before, the new time replaces the old one
 *
 * Context: Any, from early boot until the next kernel is started.
 */
void kho_timeline_mark(enum kho_timeline_event event)
{
	struct kho_timeline_ser *out = kho_timeline.out;
	u64 now = kho_clock_read();

	WRITE_ONCE(kho_timeline.at[event], now);
	if (!out)
		return;

	WRITE_ONCE(out->at[event], now);
	if (event == KHO_TIMELINE_KEXEC)
		kho_timeline_write_clock(out);
}

static struct kho_timeline_session *kho_timeline_find(const char *name)
{
	struct kho_timeline_session *s = kho_timeline.session;

	for (unsigned int i = 0; i < kho_timeline.nr_sessions; i++) {
		if (!strcmp(s[i].name, name))
			return &s[i];
	}

	return NULL;
}

/**
 * kho_timeline_session_retrieved - record that a session is retrieved now
 * @name: its name; called once for each session
 *
 * Context: May sleep.
 */
void kho_timeline_session_retrieved(const char *name)
{
	struct kho_timeline_session *s;

	guard(mutex)(&kho_timeline_lock);

	if (!kho_timeline.at[KHO_TIMELINE_RETRIEVE_BEGIN])
		kho_timeline_mark(KHO_TIMELINE_RETRIEVE_BEGIN);
	kho_timeline_mark(KHO_TIMELINE_RETRIEVE_END);
	if (kho_timeline.nr_sessions == ARRAY_SIZE(kho_timeline.session)) {
		kho_timeline.more_sessions++;
		return;
	}

	s = &kho_timeline.session[kho_timeline.nr_sessions++];
	strscpy(s->name, name);
	s->retrieved = kho_timeline.at[KHO_TIMELINE_RETRIEVE_END];
}

/**
 * kho_timeline_session_finished - record that a session is finished now
 * @name: its name
 *
 * Context: May sleep.
 */
void kho_timeline_session_finished(const char *name)
{
	struct kho_timeline_session *s;

	guard(mutex)(&kho_timeline_lock);

	kho_timeline_mark(KHO_TIMELINE_FINISH_END);
	s = kho_timeline_find(name);
	if (s)
		s->finished = kho_timeline.at[KHO_TIMELINE_FINISH_END];
}

KHO_NOTE(KHO_NOTE_SUBTREE, KHO_TIMELINE_NODE_NAME, KHO_TIMELINE_COMPATIBLE,
	 KHO_TIMELINE_COMPATIBLE);

/* Both kernels measure the frequency of the same counter, with small errors. */
static bool kho_timeline_same_clock(const struct kho_timeline_ser *in)
{
	u64 hz = kho_clock_hz();

	return in->clock == kho_clock() &&
	       in->hz > hz - hz / 64 && in->hz < hz + hz / 64;
}

static const char *__init kho_timeline_check(phys_addr_t phys, size_t size)
{
	const struct kho_timeline_ser *in = phys_to_virt(phys);

	/* In a damaged handover, another owner may have restored the page. */
	if (size < sizeof(*in) || !IS_ALIGNED(phys, __alignof__(*in)) ||
	    !kho_in_covers(phys, sizeof(*in)))
		return "invalid";

	kho_compat_report(in->compatible, sizeof(in->compatible),
			  KHO_TIMELINE_COMPATIBLE);
	if (!kho_compat_match(in->compatible, sizeof(in->compatible),
			      KHO_TIMELINE_COMPATIBLE))
		return "invalid";

	return kho_timeline_same_clock(in) ? "valid" : "other clock";
}

/**
 * kho_timeline_read - read the time line of the previous kernel
 *
 * An invalid time line stays unclaimed, as its page may belong to another
 * owner.
 *
 * Context: During boot, when memory can be restored.
 */
void __init kho_timeline_read(void)
{
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(KHO_TIMELINE_NODE_NAME, &phys, &size))
		return;

	kho_timeline.in_state = kho_timeline_check(phys, size);
	if (!strcmp(kho_timeline.in_state, "valid"))
		memcpy(&kho_timeline.in, phys_to_virt(phys), sizeof(kho_timeline.in));
	else
		pr_info("incoming data: %s (%zu bytes at %pa)\n",
			kho_timeline.in_state, size, &phys);

	if (strcmp(kho_timeline.in_state, "invalid"))
		kho_restore_free(phys_to_virt(phys));
	kho_put_subtree(KHO_TIMELINE_NODE_NAME);
}

/**
 * kho_timeline_write - preserve the time line for the next kernel
 *
 * Context: During boot, when memory can be preserved.
 */
void __init kho_timeline_write(void)
{
	struct kho_timeline_ser *out = kho_alloc_preserve(sizeof(*out));
	int err = PTR_ERR_OR_ZERO(out);

	if (err)
		goto err_log;

	strscpy_pad(out->compatible, KHO_TIMELINE_COMPATIBLE);
	kho_timeline_write_clock(out);
	memcpy(out->at, kho_timeline.at, sizeof(kho_timeline.at));

	err = kho_add_subtree(KHO_TIMELINE_NODE_NAME, out, sizeof(*out));
	if (err)
		goto err_free;

	kho_timeline.out = out;
	return;

err_free:
	kho_unpreserve_free(out);
err_log:
	pr_warn("failed to preserve: %pe\n", ERR_PTR(err));
}

/* An event without a time did not happen. */
static void kho_timeline_show_time(struct seq_file *m, const char *before,
				   const char *name, u64 at)
{
	u64 hz = kho_clock_hz(), sec, rest;

	if (!at || !hz)
		return;

	/* As rest < hz, the quotient is below NSEC_PER_SEC. */
	sec = div64_u64_rem(at, hz, &rest);
	seq_printf(m, "%s%s: %llu.%09llu\n", before, name, sec,
		   mul_u64_u64_div_u64(rest, NSEC_PER_SEC, hz));
}

static void kho_timeline_show_previous(struct seq_file *m)
{
	const struct kho_timeline_ser *in = &kho_timeline.in;
	u64 entered = kho_timeline.at[KHO_TIMELINE_ENTERED];

	seq_printf(m, "previous: %s\n", kho_timeline.in_state);
	for (unsigned int i = 0; i < ARRAY_SIZE(kho_timeline_names); i++) {
		/* Times after the entry of this kernel are invalid. */
		if (in->at[i] <= entered)
			kho_timeline_show_time(m, "previous ",
					       kho_timeline_names[i], in->at[i]);
	}
}

static void kho_timeline_show_sessions(struct seq_file *m)
{
	guard(mutex)(&kho_timeline_lock);

	for (unsigned int i = 0; i < kho_timeline.nr_sessions; i++) {
		const struct kho_timeline_session *s = &kho_timeline.session[i];

		seq_printf(m, "session: %*pE\n", (int)strlen(s->name), s->name);
		kho_timeline_show_time(m, "", "retrieved", s->retrieved);
		kho_timeline_show_time(m, "", "finished", s->finished);
	}
	if (kho_timeline.more_sessions)
		seq_printf(m, "more-sessions: %lu\n", kho_timeline.more_sessions);
}

/**
 * kho_timeline_show - list the events of both kernels
 * @m: the file; see "Time line"
 * @v: unused
 *
 * Context: May sleep.
 * Return: 0.
 */
int kho_timeline_show(struct seq_file *m, void *v)
{
	seq_printf(m, "clock: %s\nfrequency: %llu\nreliable: %s\n",
		   kho_timeline_clocks[kho_clock()], kho_clock_hz(),
		   str_yes_no(kho_clock_reliable()));
	kho_timeline_show_previous(m);
	for (unsigned int i = 0; i < ARRAY_SIZE(kho_timeline_names); i++)
		kho_timeline_show_time(m, "", kho_timeline_names[i],
				       READ_ONCE(kho_timeline.at[i]));
	kho_timeline_show_sessions(m);
	kho_timeline_show_time(m, "", "now", kho_clock_read());
	return 0;
}
