// SPDX-License-Identifier: GPL-2.0
/*
 * Comparison of the composite strings of two kernels; see "Kexec Handover
 * compatibility strings".
 *
 * One of the strings comes from another kernel and is not trusted.  It is not
 * read past the end of its field, and not copied.  Strings are short, so
 * components are found by a linear search.
 */

#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/compat.h>
#include <linux/minmax.h>
#include <linux/string.h>

/*
 * Kernels older than composite strings announce the base alone, and have these
 * components in these versions.  The table never changes: new versions of this
 * kernel do not affect it.
 */
#define KHO_COMPAT_LEGACY(entry)					\
	entry("kho-v4", "kho-v4;radix-v1;vmalloc-v1")			\
	entry("luo-v5", "luo-v5;block-v1")				\
	entry("memfd-v2", "memfd-v2;vmalloc-v1")

#define KHO_COMPAT_ENTRY(bare, full)	{ bare, full },
#define KHO_COMPAT_NOTE(bare, full)	KHO_NOTE_STANDS_FOR(bare, full);

static const struct {
	const char *bare;
	const char *full;
} kho_compat_legacy[] = {
	KHO_COMPAT_LEGACY(KHO_COMPAT_ENTRY)
};

KHO_COMPAT_LEGACY(KHO_COMPAT_NOTE)

/* Read the first component of @s; return the next one, or NULL. */
static const char *kho_compat_part(const char *s, struct kho_compat_part *part)
{
	part->s = s;
	part->len = strcspn(s, ";");

	return s[part->len] ? s + part->len + 1 : NULL;
}

/**
 * kho_compat_name_len - get the length of a component without its version
 * @part: the component
 *
 * The version is a ``-v`` and the digits at the end.
 *
 * Return: number of characters before the version; the length of the component
 * if it has no version.
 */
unsigned int kho_compat_name_len(const struct kho_compat_part *part)
{
	unsigned int len = part->len;

	while (len && isdigit(part->s[len - 1]))
		len--;

	if (len < part->len && len > 2 && part->s[len - 1] == 'v' &&
	    part->s[len - 2] == '-')
		return len - 2;

	return part->len;
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_name_len);

static bool kho_compat_same_name(const struct kho_compat_part *a,
				 const struct kho_compat_part *b)
{
	unsigned int len = kho_compat_name_len(a);

	return len == kho_compat_name_len(b) && !memcmp(a->s, b->s, len);
}

/* Find the component with the name of @named in a string. */
static struct kho_compat_part kho_compat_find(const char *s,
					      const struct kho_compat_part *named)
{
	struct kho_compat_part part;

	while (s) {
		s = kho_compat_part(s, &part);
		if (kho_compat_same_name(&part, named))
			return part;
	}

	return (struct kho_compat_part){ };
}

/* As kho_compat_find(), but only search the base, or only the components after it. */
static struct kho_compat_part
kho_compat_find_like(const char *s, const struct kho_compat_part *named,
		     bool is_base)
{
	struct kho_compat_part base = { };

	if (s)
		s = kho_compat_part(s, &base);
	if (!is_base)
		return kho_compat_find(s, named);
	if (base.len && kho_compat_same_name(&base, named))
		return base;

	return (struct kho_compat_part){ };
}

static bool kho_compat_same(const struct kho_compat_part *a,
			    const struct kho_compat_part *b)
{
	return a->len == b->len && !memcmp(a->s, b->s, a->len);
}

/* Return the fault if components after the base are not in alphabetical order. */
static const char *kho_compat_disorder(const char *s)
{
	struct kho_compat_part part, before = { };

	for (s = kho_compat_part(s, &part); s; before = part) {
		int order = -1;

		s = kho_compat_part(s, &part);
		if (before.len)
			order = memcmp(before.s, part.s,
				       min(before.len, part.len)) ?:
				(int)before.len - (int)part.len;
		if (order > 0)
			return "components not sorted";
	}

	return NULL;
}

static const char *kho_compat_repetition(const char *s)
{
	struct kho_compat_part part;

	while (s) {
		s = kho_compat_part(s, &part);
		if (!part.len)
			return "empty component";
		if (s && kho_compat_find(s, &part).len)
			return "duplicate component";
	}

	return NULL;
}

/**
 * kho_compat_validate - validate a composite string
 * @s: the string, not trusted
 * @size: bytes of the field that it is in
 *
 * Context: Any.
 * Return: the fault, or NULL for a valid string, which ends within @size bytes.
 */
const char *kho_compat_validate(const char *s, size_t size)
{
	size_t len = strnlen(s, min_t(size_t, size, KHO_COMPAT_MAX));
	const char *why;

	if (!len)
		return "empty string";
	if (len == KHO_COMPAT_MAX)
		return "too long";
	if (len == size)
		return "not terminated";

	for (size_t i = 0; i < len; i++) {
		if (!isascii(s[i]) || !isgraph(s[i]))
			return "non-printable character";
	}

	why = kho_compat_repetition(s);
	return why ?: kho_compat_disorder(s);
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_validate);

/**
 * kho_compat_expand - expand the string of an earlier kernel
 * @s: a valid string
 *
 * Return: the composite string that a bare base of earlier kernels stands for,
 * or @s itself.
 */
const char *kho_compat_expand(const char *s)
{
	for (int i = 0; i < ARRAY_SIZE(kho_compat_legacy); i++) {
		if (!strcmp(s, kho_compat_legacy[i].bare))
			return kho_compat_legacy[i].full;
	}

	return s;
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_expand);

/**
 * kho_compat_it_init - start comparing two strings
 * @it: set up for kho_compat_it_next()
 * @offered: string of the other kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @supported: string of this kernel, empty for none
 *
 * Context: Any.
 */
void kho_compat_it_init(struct kho_compat_it *it, const char *offered,
			size_t size, const char *supported)
{
	*it = (struct kho_compat_it){
		.ours = *supported ? kho_compat_expand(supported) : NULL,
	};

	if (!kho_compat_validate(offered, size)) {
		it->theirs = kho_compat_expand(offered);
		it->next = it->theirs;
	}
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_it_init);

static bool kho_compat_next_offered(struct kho_compat_it *it)
{
	bool is_base = it->next == it->theirs;

	it->next = kho_compat_part(it->next, &it->offered);
	it->supported = kho_compat_find_like(it->ours, &it->offered, is_base);

	if (!it->supported.len)
		it->verdict = KHO_COMPAT_UNKNOWN;
	else if (kho_compat_same(&it->offered, &it->supported))
		it->verdict = KHO_COMPAT_SAME;
	else
		it->verdict = KHO_COMPAT_OTHER;

	return true;
}

static bool kho_compat_next_missing(struct kho_compat_it *it)
{
	it->verdict = KHO_COMPAT_MISSING;
	it->offered = (struct kho_compat_part){ };

	while (it->next) {
		bool is_base = it->next == it->ours;

		it->next = kho_compat_part(it->next, &it->supported);
		if (!kho_compat_find_like(it->theirs, &it->supported,
					  is_base).len)
			return true;
	}

	return false;
}

/**
 * kho_compat_it_next - go to the next component
 * @it: the comparison
 *
 * The components of the other kernel come first, in the order of its string.
 * Then follow the components that only this kernel has.  A malformed string has
 * one verdict, without components.
 *
 * Context: Any.
 * Return: false after the last component.
 */
bool kho_compat_it_next(struct kho_compat_it *it)
{
	if (!it->theirs) {
		bool first = it->verdict != KHO_COMPAT_MALFORMED;

		it->verdict = KHO_COMPAT_MALFORMED;
		return first;
	}

	if (!it->missing) {
		if (it->next)
			return kho_compat_next_offered(it);
		it->missing = true;
		it->next = it->ours;
	}

	return kho_compat_next_missing(it);
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_it_next);

/**
 * kho_compat_match - check whether data of another kernel can be read
 * @offered: string of the other kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @supported: string of this kernel
 *
 * Context: Any.
 * Return: true when both name the same components in the same versions.
 */
bool kho_compat_match(const char *offered, size_t size, const char *supported)
{
	size_t len = strlen(supported);
	struct kho_compat_it it;

	/* Fast path: called once for each file, and the strings are usually identical. */
	if (len && len < size && !memcmp(offered, supported, len + 1))
		return true;

	kho_compat_it_init(&it, offered, size, supported);
	while (kho_compat_it_next(&it)) {
		if (it.verdict != KHO_COMPAT_SAME)
			return false;
	}

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_match);

/**
 * kho_compat_includes - check whether a part of another kernel's data can be read
 * @offered: string of the other kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @needed: the components that are needed to read this part
 *
 * Context: Any.
 * Return: true when @offered has all components of @needed, in the same
 * versions.  It may have other components as well.
 */
bool kho_compat_includes(const char *offered, size_t size, const char *needed)
{
	struct kho_compat_it it;

	kho_compat_it_init(&it, offered, size, needed);
	while (kho_compat_it_next(&it)) {
		if (it.verdict != KHO_COMPAT_SAME &&
		    it.verdict != KHO_COMPAT_UNKNOWN)
			return false;
	}

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_includes);

/**
 * kho_compat_same_base - check whether two strings have the same base
 * @offered: string of the other kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @supported: string of this kernel
 *
 * Context: Any.
 * Return: true when the names of the bases are the same.
 */
bool kho_compat_same_base(const char *offered, size_t size, const char *supported)
{
	struct kho_compat_it it;

	kho_compat_it_init(&it, offered, size, supported);
	return kho_compat_it_next(&it) && it.supported.len;
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_same_base);

/**
 * kho_compat_has - check whether a string has a component
 * @offered: string of the other kernel, not trusted
 * @size: bytes of the field that @offered is in
 * @component: name and version of the component
 *
 * Context: Any.
 * Return: true when the string has the component in this version.
 */
bool kho_compat_has(const char *offered, size_t size, const char *component)
{
	struct kho_compat_part found, named = { component, strlen(component) };

	if (kho_compat_validate(offered, size))
		return false;

	found = kho_compat_find(kho_compat_expand(offered), &named);
	return kho_compat_same(&found, &named);
}
EXPORT_SYMBOL_IF_KUNIT(kho_compat_has);
