/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_COMPAT_H
#define _LINUX_KHO_COMPAT_H

#include <linux/types.h>

/* Longer strings than this are no composite strings, NUL included. */
#define KHO_COMPAT_MAX	256

/**
 * enum kho_compat_verdict - what two kernels have to do with a component
 * @KHO_COMPAT_SAME: both have it, in the same version
 * @KHO_COMPAT_OTHER: both have it, in different versions
 * @KHO_COMPAT_MISSING: this kernel needs it, the other one does not name it
 * @KHO_COMPAT_UNKNOWN: the other kernel names it, this one does not know it
 * @KHO_COMPAT_MALFORMED: the string as a whole is no composite string
 */
enum kho_compat_verdict {
	KHO_COMPAT_SAME,
	KHO_COMPAT_OTHER,
	KHO_COMPAT_MISSING,
	KHO_COMPAT_UNKNOWN,
	KHO_COMPAT_MALFORMED,
};

/**
 * struct kho_compat_part - a component inside a composite string
 * @s: where it starts; no NUL ends it
 * @len: number of characters, 0 when there is no such component
 */
struct kho_compat_part {
	const char *s;
	unsigned int len;
};

/**
 * struct kho_compat_it - one component after the other of two strings
 * @verdict: about the component at hand
 * @offered: as the other kernel has it
 * @supported: as this kernel has it
 *
 * The parts are valid as long as the strings are.
 */
struct kho_compat_it {
	enum kho_compat_verdict verdict;
	struct kho_compat_part offered;
	struct kho_compat_part supported;
	/* private: */
	const char *theirs;
	const char *ours;
	const char *next;	/* in theirs, or in ours when that is through */
	bool missing;		/* theirs is through */
};

void kho_compat_it_init(struct kho_compat_it *it, const char *offered,
			size_t size, const char *supported);
bool kho_compat_it_next(struct kho_compat_it *it);

const char *kho_compat_defect(const char *s, size_t size);
const char *kho_compat_full(const char *s);
unsigned int kho_compat_name_len(const struct kho_compat_part *part);
bool kho_compat_same_name(const struct kho_compat_part *a,
			  const struct kho_compat_part *b);
bool kho_compat_usable(const char *offered, size_t size, const char *supported);
bool kho_compat_covers(const char *offered, size_t size, const char *needed);
bool kho_compat_akin(const char *offered, size_t size, const char *supported);
bool kho_compat_offers(const char *offered, size_t size, const char *component);

void kho_compat_report(const char *offered, size_t size, const char *supported);

#endif /* _LINUX_KHO_COMPAT_H */
