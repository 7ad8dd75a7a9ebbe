/* SPDX-License-Identifier: GPL-2.0 */
/* String functions that the C library does not have. */
#ifndef KHO_DUPLICATED_STRING_H
#define KHO_DUPLICATED_STRING_H

#include "base.h"

static inline const char *str_yes_no(bool value)
{
	return value ? "yes" : "no";
}

static inline ssize_t sized_strscpy(char *dst, const char *src, size_t size)
{
	size_t len = 0;

	while (len < size && src[len])
		len++;
	if (!size)
		return -E2BIG;
	if (len == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = 0;
		return -E2BIG;
	}

	memcpy(dst, src, len + 1);
	return len;
}

static inline ssize_t sized_strscpy_pad(char *dst, const char *src, size_t size)
{
	ssize_t len = sized_strscpy(dst, src, size);

	if (len >= 0)
		memset(dst + len, 0, size - len);
	return len;
}

/* The size is optional if the destination is an array. */
#define STRSCPY_CHOOSE(a, b, c, fn, ...)	fn
#define strscpy_array(dst, src)		sized_strscpy(dst, src, sizeof(dst))
#define strscpy_pad_array(dst, src)	sized_strscpy_pad(dst, src, sizeof(dst))
#define strscpy(...)							\
	STRSCPY_CHOOSE(__VA_ARGS__, sized_strscpy, strscpy_array)(__VA_ARGS__)
#define strscpy_pad(...)						\
	STRSCPY_CHOOSE(__VA_ARGS__, sized_strscpy_pad, strscpy_pad_array)(__VA_ARGS__)

static inline size_t strlcat(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(dst, size);

	if (len < size)
		sized_strscpy(dst + len, src, size - len);
	return len + strlen(src);
}

/* The first byte that is not @c. */
static inline void *memchr_inv(const void *mem, int c, size_t size)
{
	const u8 *p = mem;

	for (size_t i = 0; i < size; i++) {
		if (p[i] != (u8)c)
			return (void *)(p + i);
	}

	return NULL;
}

#define ESCAPE_ANY		1u
#define ESCAPE_NAP		2u

/* Non-printable characters become octal numbers, for all flags. */
static inline int string_escape_mem(const char *src, size_t len, char *dst,
				    size_t size, unsigned int flags,
				    const char *only)
{
	size_t at = 0;

	for (; len-- && at + 4 <= size; src++) {
		u8 c = *src;

		if (c >= ' ' && c <= '~' && c != '\\') {
			dst[at++] = c;
			continue;
		}
		dst[at++] = '\\';
		dst[at++] = '0' + (c >> 6);
		dst[at++] = '0' + (c >> 3 & 7);
		dst[at++] = '0' + (c & 7);
	}
	return at;
}

static inline u32 full_name_hash(const void *salt, const char *name,
				 unsigned int len)
{
	u32 hash = 5381;

	while (len--)
		hash = hash * 33 + (u8)*name++;
	return hash;
}

static inline int kstrtouint(const char *s, unsigned int base, unsigned int *val)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;

	v = strtoull(s, &end, base);
	if (*end)
		return -EINVAL;
	if (v > UINT_MAX)
		return -ERANGE;

	*val = v;
	return 0;
}

static inline int kstrtobool(const char *s, bool *val)
{
	if (!s)
		return -EINVAL;
	if (!strcmp(s, "on") || !strcmp(s, "1") || !strcmp(s, "y"))
		*val = true;
	else if (!strcmp(s, "off") || !strcmp(s, "0") || !strcmp(s, "n"))
		*val = false;
	else
		return -EINVAL;
	return 0;
}

/* A number with one of the suffixes K, M and G. */
static inline u64 memparse(const char *s, char **end)
{
	u64 v = strtoull(s, end, 0);

	switch (**end) {
	case 'G':
	case 'g':
		v <<= 10;
		fallthrough;
	case 'M':
	case 'm':
		v <<= 10;
		fallthrough;
	case 'K':
	case 'k':
		v <<= 10;
		(*end)++;
	}

	return v;
}

struct rnd_state {
	u64 x;
};

/* Not the generator of the kernel, but also repeatable. */
static inline void prandom_seed_state(struct rnd_state *rnd, u64 seed)
{
	rnd->x = seed ^ 0x9e3779b97f4a7c15ULL;
}

static inline u32 prandom_u32_state(struct rnd_state *rnd)
{
	u64 z = rnd->x += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z >> 32;
}

#endif /* KHO_DUPLICATED_STRING_H */
