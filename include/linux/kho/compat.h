/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_COMPAT_H
#define _LINUX_KHO_COMPAT_H

#include <linux/types.h>

/* Maximum size of a composite string, NUL included. */
#define KHO_COMPAT_MAX	256

/**
 * enum kho_compat_verdict - result of comparing a component of two kernels
 * @KHO_COMPAT_SAME: both have it, in the same version
 * @KHO_COMPAT_OTHER: both have it, in different versions
 * @KHO_COMPAT_MISSING: this kernel needs it, the other kernel does not have it
 * @KHO_COMPAT_UNKNOWN: the other kernel has it, this kernel does not
 * @KHO_COMPAT_MALFORMED: the other kernel has an invalid composite string
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
 * @s: its first character; not terminated by a NUL
 * @len: number of characters, 0 for none
 */
struct kho_compat_part {
	const char *s;
	unsigned int len;
};

/**
 * struct kho_compat_it - iterator over the components of two strings
 * @verdict: result for the current component
 * @offered: the component of the other kernel
 * @supported: the component of this kernel
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
	const char *next;	/* in theirs, then in ours */
	bool missing;		/* the end of theirs was reached */
};

void kho_compat_it_init(struct kho_compat_it *it, const char *offered,
			size_t size, const char *supported);
bool kho_compat_it_next(struct kho_compat_it *it);

const char *kho_compat_validate(const char *s, size_t size);
const char *kho_compat_expand(const char *s);
unsigned int kho_compat_name_len(const struct kho_compat_part *part);
bool kho_compat_match(const char *offered, size_t size, const char *supported);
bool kho_compat_includes(const char *offered, size_t size, const char *needed);
bool kho_compat_same_base(const char *offered, size_t size, const char *supported);
bool kho_compat_has(const char *offered, size_t size, const char *component);

void kho_compat_report(const char *offered, size_t size, const char *supported);

#endif /* _LINUX_KHO_COMPAT_H */
