/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_ABI_COMPAT_H
#define _LINUX_KHO_ABI_COMPAT_H

#include <linux/align.h>

/**
 * DOC: Kexec Handover compatibility strings
 *
 * Each structure that crosses a kexec has a version of its own, written once,
 * in its own header under ``include/linux/kho/abi/``, as a short string of the
 * form ``<name>-v<number>``.
 *
 * The owner of the data announces one *composite* string: the version of its
 * own layout, followed by the version of each structure that this layout is
 * built on, separated by semicolons::
 *
 *     <base>;<component>;<component>...
 *
 * The base comes first.  The components that follow are unique and in strict
 * alphabetical order, so that two kernels with the same versions have the same
 * string.  The string ends with a NUL.  In a field of fixed size, it is padded
 * with NULs to a multiple of eight bytes.
 *
 * Kernels older than composite strings announce the base alone.  A bare
 * ``kho-v4``, ``luo-v5`` or ``memfd-v2`` also stands for the first version of
 * each of its components.
 *
 * If the layout of a structure changes, only the number in its header has to be
 * changed.  The composite strings of all its users follow.
 */

/**
 * KHO_SUB_COMPAT - append a component to a composite string
 * @s: string literal with the version of the component
 *
 * The definition of a composite string begins with an empty literal, so that
 * tools that do not expand macros recognize it as a string.
 *
 * Return: a string literal, to be placed right after another one.
 */
#define KHO_SUB_COMPAT(s)	";" s

/**
 * KHO_COMPAT_ALIGN - size of a composite string in a serialized structure
 * @s: string literal
 *
 * Return: size in bytes of @s and its NUL, rounded up to a multiple of 8.
 */
#define KHO_COMPAT_ALIGN(s)	ALIGN(sizeof(s), 8)

/**
 * KHO_COMPAT_SORTED - check the order of two components
 * @a: string literal with the version of a component
 * @b: string literal of the following component
 *
 * For ``static_assert``.
 *
 * Return: true when @a and @b differ and are in order.
 */
#define KHO_COMPAT_SORTED(a, b)	(__builtin_strcmp(a, b) < 0)

/* For sparse, the result of a string comparison is not a constant. */
#ifdef __CHECKER__
#undef KHO_COMPAT_SORTED
#define KHO_COMPAT_SORTED(a, b)	(sizeof(a) && sizeof(b))
#endif

#endif /* _LINUX_KHO_ABI_COMPAT_H */
