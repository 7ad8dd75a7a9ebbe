// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the matcher of composite strings: its verdicts on two strings,
 * and strings of another kernel with arbitrary contents.
 *
 * Each string is copied to memory of exactly the size of its field, so that
 * KASAN reports reads past the end of the field.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/kho/compat.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sprintf.h>
#include <linux/string.h>

/* Copy a field of @size bytes. */
static char *field(struct kunit *test, const void *bytes, size_t size)
{
	char *copy = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, bytes, size);
	return copy;
}

static char *string_field(struct kunit *test, const char *s)
{
	return field(test, s, strlen(s) + 1);
}

/* Verdicts. */

static const char * const words[] = {
	[KHO_COMPAT_SAME] = "same",
	[KHO_COMPAT_OTHER] = "other",
	[KHO_COMPAT_MISSING] = "missing",
	[KHO_COMPAT_UNKNOWN] = "unknown",
	[KHO_COMPAT_MALFORMED] = "malformed",
};

/*
 * @says lists the verdict and the two versions of each component.  @usable: all
 * data can be read; @covers: @offered has all components of @supported, in the
 * same versions; @akin: the bases of both strings have the same name.
 */
static const struct comparison {
	const char *name;
	const char *offered;
	const char *supported;
	const char *says;
	bool usable, covers, akin;
} comparisons[] = {
	{ "all the same",
	  "kho-v4;radix-v1;vmalloc-v1", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, same radix-v1 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  true, true, true },
	{ "other component",
	  "kho-v4;radix-v1;vmalloc-v2", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, same radix-v1 radix-v1, other vmalloc-v2 vmalloc-v1, ",
	  false, false, true },
	{ "other component in the middle",
	  "kho-v4;radix-v2;vmalloc-v1", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, other radix-v2 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  false, false, true },
	{ "other base",
	  "kho-v5;radix-v1;vmalloc-v1", "kho-v4;radix-v1;vmalloc-v1",
	  "other kho-v5 kho-v4, same radix-v1 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  false, false, true },
	{ "another thing",
	  "luo-v5;block-v1", "memfd-v2;vmalloc-v1",
	  "unknown luo-v5 -, unknown block-v1 -, missing - memfd-v2, missing - vmalloc-v1, ",
	  false, false, false },
	{ "missing component",
	  "kho-v4;vmalloc-v1", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, same vmalloc-v1 vmalloc-v1, missing - radix-v1, ",
	  false, false, true },
	{ "missing components",
	  "kho-v3", "kho-v4;radix-v1;vmalloc-v1",
	  "other kho-v3 kho-v4, missing - radix-v1, missing - vmalloc-v1, ",
	  false, false, true },
	{ "unknown component",
	  "kho-v4;maple-v1;radix-v1;vmalloc-v1", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, unknown maple-v1 -, same radix-v1 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  false, true, true },
	{ "needed part",
	  "kho-v4;radix-v1;vmalloc-v9", "kho-v4;radix-v1",
	  "same kho-v4 kho-v4, same radix-v1 radix-v1, unknown vmalloc-v9 -, ",
	  false, true, true },
	{ "each verdict",
	  "kho-v4;maple-v1;radix-v2", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, unknown maple-v1 -, other radix-v2 radix-v1, missing - vmalloc-v1, ",
	  false, false, true },
	{ "nothing supported",
	  "memfd-v2;vmalloc-v1", "",
	  "unknown memfd-v2 -, unknown vmalloc-v1 -, ",
	  false, true, false },
	{ "longer number",
	  "luo-v5;block-v10", "luo-v5;block-v1",
	  "same luo-v5 luo-v5, other block-v10 block-v1, ",
	  false, false, true },
	{ "longer name",
	  "luo-v5;blocks-v1", "luo-v5;block-v1",
	  "same luo-v5 luo-v5, unknown blocks-v1 -, missing - block-v1, ",
	  false, false, true },
	{ "no version",
	  "luo-v5;block", "luo-v5;block-v1",
	  "same luo-v5 luo-v5, other block block-v1, ",
	  false, false, true },
	{ "base is not a component",
	  "a-v1;b-v1", "b-v1;c-v1",
	  "unknown a-v1 -, unknown b-v1 -, missing - b-v1, missing - c-v1, ",
	  false, false, false },
	{ "garbage after the end",
	  "luo-v5;block-v1\0;;\xff", "luo-v5;block-v1",
	  "same luo-v5 luo-v5, same block-v1 block-v1, ",
	  true, true, true },
	{ "bare kho-v4",
	  "kho-v4", "kho-v4;radix-v1;vmalloc-v1",
	  "same kho-v4 kho-v4, same radix-v1 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  true, true, true },
	{ "bare luo-v5",
	  "luo-v5", "luo-v5;block-v1",
	  "same luo-v5 luo-v5, same block-v1 block-v1, ",
	  true, true, true },
	{ "bare memfd-v2",
	  "memfd-v2", "memfd-v2;vmalloc-v1",
	  "same memfd-v2 memfd-v2, same vmalloc-v1 vmalloc-v1, ",
	  true, true, true },
	{ "bare, with a newer component here",
	  "memfd-v2", "memfd-v2;vmalloc-v2",
	  "same memfd-v2 memfd-v2, other vmalloc-v1 vmalloc-v2, ",
	  false, false, true },
	{ "bare, with one more component here",
	  "memfd-v2", "memfd-v2;foo-v1;vmalloc-v1",
	  "same memfd-v2 memfd-v2, same vmalloc-v1 vmalloc-v1, missing - foo-v1, ",
	  false, false, true },
	{ "bare, of a version that never was",
	  "memfd-v3", "memfd-v3;vmalloc-v1",
	  "same memfd-v3 memfd-v3, missing - vmalloc-v1, ",
	  false, false, true },
	{ "bare for both",
	  "kho-v4", "kho-v4",
	  "same kho-v4 kho-v4, same radix-v1 radix-v1, same vmalloc-v1 vmalloc-v1, ",
	  true, true, true },
};

KUNIT_ARRAY_PARAM_DESC(comparison, comparisons, name);

static int print_part(char *buf, size_t size, const struct kho_compat_part *part)
{
	return part->len ? scnprintf(buf, size, " %.*s", part->len, part->s) :
			   scnprintf(buf, size, " -");
}

static void expect_verdicts(struct kunit *test, const char *offered, size_t size,
			    const char *supported, const char *says)
{
	const size_t max = 256;
	char *buf = kunit_kzalloc(test, max, GFP_KERNEL);
	struct kho_compat_it it;
	size_t len = 0;

	KUNIT_ASSERT_NOT_NULL(test, buf);

	kho_compat_it_init(&it, offered, size, supported);
	while (kho_compat_it_next(&it)) {
		len += scnprintf(buf + len, max - len, "%s", words[it.verdict]);
		len += print_part(buf + len, max - len, &it.offered);
		len += print_part(buf + len, max - len, &it.supported);
		len += scnprintf(buf + len, max - len, ", ");
	}

	KUNIT_EXPECT_STREQ(test, buf, says);
	KUNIT_EXPECT_FALSE(test, kho_compat_it_next(&it));
}

static void kho_compat_test_verdicts(struct kunit *test)
{
	const struct comparison *c = test->param_value;
	size_t size = strlen(c->offered) + 1;
	char *offered = string_field(test, c->offered);

	KUNIT_EXPECT_NULL(test, kho_compat_validate(offered, size));
	expect_verdicts(test, offered, size, c->supported, c->says);
}

static void kho_compat_test_questions(struct kunit *test)
{
	const struct comparison *c = test->param_value;
	size_t size = strlen(c->offered) + 1;
	char *offered = string_field(test, c->offered);

	KUNIT_EXPECT_EQ(test, kho_compat_match(offered, size, c->supported),
			c->usable);
	KUNIT_EXPECT_EQ(test, kho_compat_includes(offered, size, c->supported),
			c->covers);
	KUNIT_EXPECT_EQ(test, kho_compat_same_base(offered, size, c->supported),
			c->akin);
}

static const struct offer {
	const char *name;
	const char *offered;
	const char *component;
	bool found;
} offers[] = {
	{ "first", "kho-v4;radix-v1;vmalloc-v1", "radix-v1", true },
	{ "last", "kho-v4;radix-v1;vmalloc-v1", "vmalloc-v1", true },
	{ "bare", "kho-v4", "vmalloc-v1", true },
	{ "other version", "kho-v4;radix-v1;vmalloc-v2", "vmalloc-v1", false },
	{ "longer version", "kho-v4;radix-v1;vmalloc-v10", "vmalloc-v1", false },
	{ "none", "kho-v4;radix-v1", "vmalloc-v1", false },
	{ "longer name", "kho-v4;radix-v1;vmallocs-v1", "vmalloc-v1", false },
	{ "end of a name", "kho-v4;kvmalloc-v1;radix-v1", "vmalloc-v1", false },
	{ "malformed", "kho-v4;;vmalloc-v1", "vmalloc-v1", false },
};

KUNIT_ARRAY_PARAM_DESC(offer, offers, name);

static void kho_compat_test_offers(struct kunit *test)
{
	const struct offer *o = test->param_value;

	KUNIT_EXPECT_EQ(test,
			kho_compat_has(string_field(test, o->offered),
				       strlen(o->offered) + 1, o->component),
			o->found);
}

static const struct name_len {
	const char *part;
	unsigned int len;
} name_lens[] = {
	{ "kho-v4", 3 },
	{ "reserve-mem-v1", 11 },
	{ "radix-v12", 5 },
	{ "a-v0", 1 },
	{ "x-v1-v2", 4 },
	{ "radix", 5 },
	{ "radix-v", 7 },
	{ "radix-1", 7 },
	{ "radixv1", 7 },
	{ "radix-v1x", 9 },
	{ "radix-w1", 8 },
	{ "123", 3 },
	{ "v1", 2 },
	{ "-v1", 3 },
};

KUNIT_ARRAY_PARAM_DESC(name_len, name_lens, part);

static void kho_compat_test_name_len(struct kunit *test)
{
	const struct name_len *n = test->param_value;
	const size_t size = strlen(n->part);
	const struct kho_compat_part part = {
		field(test, n->part, size), size,
	};

	KUNIT_EXPECT_EQ(test, kho_compat_name_len(&part), n->len);
}

/* Strings that are not composite strings. */

#define EMPTY		"empty string"
#define TOO_LONG	"too long"
#define NO_END		"not terminated"
#define NO_TEXT		"non-printable character"
#define NO_PART		"empty component"
#define TWICE		"duplicate component"
#define NOT_SORTED	"components not sorted"

#define BAD(name, s, why)	{ name, s, sizeof(s), why }
#define NO_NUL(name, s, why)	{ name, s, sizeof(s) - 1, why }

static const struct malformed {
	const char *name;
	const char *bytes;
	size_t size;
	const char *why;
} malformeds[] = {
	NO_NUL("no field", "", EMPTY),
	BAD("empty", "", EMPTY),
	BAD("empty, with text after it", "\0kho-v4", EMPTY),
	NO_NUL("unterminated", "kho-v4;radix-v1", NO_END),
	NO_NUL("unterminated base", "kho-v4", NO_END),
	NO_NUL("unterminated separator", ";", NO_END),
	BAD("separator", ";", NO_PART),
	BAD("leading separator", ";kho-v4", NO_PART),
	BAD("trailing separator", "kho-v4;radix-v1;", NO_PART),
	BAD("separator after the base", "kho-v4;", NO_PART),
	BAD("two separators", "kho-v4;;radix-v1", NO_PART),
	BAD("space", "kho-v4; radix-v1", NO_TEXT),
	BAD("newline", "kho-v4;radix-v1\n", NO_TEXT),
	BAD("control character", "kho-v4\033[2J", NO_TEXT),
	BAD("delete", "kho-v4;\x7f", NO_TEXT),
	BAD("beyond ASCII", "kh\xf6-v4", NO_TEXT),
	BAD("all bits", "\xff\xff\xff\xff", NO_TEXT),
	BAD("swapped", "kho-v4;vmalloc-v1;radix-v1", NOT_SORTED),
	BAD("swapped at the end", "a-v1;b-v1;d-v1;c-v1", NOT_SORTED),
	BAD("name and longer name", "a-v1;bb-v1;b-v1", NOT_SORTED),
	BAD("doubled", "kho-v4;radix-v1;radix-v1", TWICE),
	BAD("doubled in another version", "kho-v4;radix-v1;radix-v2", TWICE),
	BAD("doubled later", "a-v1;b-v1;c-v1;b-v1", TWICE),
	BAD("doubled without a version", "kho-v4;radix;radix", TWICE),
	BAD("base as component", "kho-v4;kho-v4", TWICE),
	BAD("base as component, other version", "kho-v4;kho-v3", TWICE),
};

KUNIT_ARRAY_PARAM_DESC(malformed, malformeds, name);

static void expect_malformed(struct kunit *test, const char *s, size_t size,
			     const char *why)
{
	KUNIT_EXPECT_STREQ(test, kho_compat_validate(s, size) ?: "nothing", why);
	expect_verdicts(test, s, size, "kho-v4;radix-v1", "malformed - -, ");
	expect_verdicts(test, s, size, "", "malformed - -, ");
	KUNIT_EXPECT_FALSE(test, kho_compat_match(s, size, "kho-v4"));
	KUNIT_EXPECT_FALSE(test, kho_compat_match(s, size, ""));
	KUNIT_EXPECT_FALSE(test, kho_compat_includes(s, size, "kho-v4"));
	KUNIT_EXPECT_FALSE(test, kho_compat_same_base(s, size, "kho-v4"));
	KUNIT_EXPECT_FALSE(test, kho_compat_has(s, size, "kho-v4"));
}

static void kho_compat_test_malformed(struct kunit *test)
{
	const struct malformed *m = test->param_value;

	expect_malformed(test, field(test, m->bytes, m->size), m->size, m->why);
}

/* A string may have KHO_COMPAT_MAX - 1 characters and not one more. */
static void kho_compat_test_longest(struct kunit *test)
{
	const size_t sizes[] = {
		KHO_COMPAT_MAX + 1, KHO_COMPAT_MAX + 2, KHO_COMPAT_MAX + 40,
		0x10000,
	};
	char *s;

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		s = kunit_kzalloc(test, sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, s);

		memset(s, 'x', KHO_COMPAT_MAX - 1);
		KUNIT_EXPECT_NULL(test, kho_compat_validate(s, sizes[i]));
		KUNIT_EXPECT_TRUE(test, kho_compat_match(s, sizes[i], s));

		memset(s, 'x', sizes[i] - 1);
		expect_malformed(test, s, sizes[i], TOO_LONG);
		s[sizes[i] - 1] = 'x';
		expect_malformed(test, s, sizes[i], TOO_LONG);
		kunit_kfree(test, s);
	}

	s = kunit_kzalloc(test, KHO_COMPAT_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	memset(s, 'x', KHO_COMPAT_MAX - 1);
	KUNIT_EXPECT_NULL(test, kho_compat_validate(s, KHO_COMPAT_MAX));
}

/* Every exchange of two components, and every duplicate at every position. */

static void expect_unusable(struct kunit *test, const char * const *parts,
			    const int *order, int nr)
{
	static const char right[] = "kho-v4;block-v1;radix-v1;vmalloc-v1";
	char s[64] = "";

	for (int i = 0; i < nr; i++) {
		strlcat(s, i ? ";" : "", sizeof(s));
		strlcat(s, parts[order[i]], sizeof(s));
	}

	KUNIT_EXPECT_FALSE_MSG(test, kho_compat_match(s, sizeof(s), right),
			       "%s", s);
}

static void kho_compat_test_order(struct kunit *test)
{
	static const char * const parts[] = {
		"kho-v4", "block-v1", "radix-v1", "vmalloc-v1",
	};

	for (int i = 0; i < ARRAY_SIZE(parts); i++) {
		for (int j = 0; j < i; j++) {
			int order[] = { 0, 1, 2, 3 };

			swap(order[i], order[j]);
			expect_unusable(test, parts, order, ARRAY_SIZE(order));
		}
		for (int j = 0; j <= ARRAY_SIZE(parts); j++) {
			int order[] = { 0, 1, 2, 3, 3 };

			memmove(order + j + 1, order + j,
				(ARRAY_SIZE(parts) - j) * sizeof(*order));
			order[j] = i;
			expect_unusable(test, parts, order, ARRAY_SIZE(order));
		}
	}
}

/* Random strings: the results are compared with a second implementation. */

static size_t name_of(const char *part)
{
	size_t len = strlen(part), digits = 0;

	while (digits < len && isdigit(part[len - 1 - digits]))
		digits++;
	if (digits && len > digits + 2 &&
	    !strncmp(part + len - digits - 2, "-v", 2))
		return len - digits - 2;

	return len;
}

/* The second implementation.  Unlike the matcher, it modifies the string. */
static bool well_formed(char *s, size_t size)
{
	const char *const first = s;
	const char *part, *before = NULL;

	if (!memchr(s, '\0', min(size, KHO_COMPAT_MAX)))
		return false;

	for (const char *c = s; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}

	while ((part = strsep(&s, ";"))) {
		size_t len = name_of(part);

		if (!len || (before && strcmp(before, part) >= 0))
			return false;
		for (const char *p = first; p < part; p += strlen(p) + 1) {
			if (name_of(p) == len && !memcmp(p, part, len))
				return false;
		}
		before = part == first ? NULL : part;
	}

	return true;
}

static void random_string(struct rnd_state *rnd, char *s, size_t size)
{
	static const char * const tokens[] = {
		"", "", "kho-v4", "luo-v5", "memfd-v2", "block-v1", "radix-v1",
		"radix-v2", "vmalloc-v1", "a", "z-v", "1", ";", ";", ";", ";",
		";kho-v4", ";radix-v1", ";vmalloc-v1", ";zero-v0",
	};
	size_t at = 0;

	while (at < size) {
		const char *token = tokens[prandom_u32_state(rnd) %
					   ARRAY_SIZE(tokens)];
		size_t len = min(strlen(token), size - at);

		/* The empty tokens stand for an arbitrary byte or for a NUL. */
		if (!len)
			s[at++] = prandom_u32_state(rnd) % 2 ?
				  prandom_u32_state(rnd) : '\0';
		memcpy(s + at, token, len);
		at += len;
	}
}

static void expect_sense(struct kunit *test, const char *s, size_t size)
{
	static const char ours[] = "kho-v4;radix-v1;vmalloc-v1";
	bool bad = kho_compat_validate(s, size);
	struct kho_compat_it it;
	size_t nr = 0;

	kho_compat_it_init(&it, s, size, ours);
	while (kho_compat_it_next(&it) && nr <= size + 3) {
		KUNIT_ASSERT_LE(test, it.verdict, KHO_COMPAT_MALFORMED);
		KUNIT_EXPECT_EQ(test, it.verdict == KHO_COMPAT_MALFORMED, bad);
		KUNIT_EXPECT_EQ(test, it.offered.len || it.supported.len, !bad);
		nr++;
	}
	KUNIT_EXPECT_GT(test, nr, 0);
	KUNIT_EXPECT_LE(test, nr, bad ? 1 : size + 3);

	KUNIT_EXPECT_EQ(test, kho_compat_match(s, size, bad ? ours : s), !bad);
	kho_compat_includes(s, size, ours);
	kho_compat_same_base(s, size, ours);
	kho_compat_has(s, size, "vmalloc-v1");
}

#define RANDOM_SIZES	301
#define RANDOM_STRINGS	20

static void kho_compat_test_random(struct kunit *test)
{
	const u64 seed = 4;
	unsigned int nr_good = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	for (int i = 0; i < RANDOM_SIZES * RANDOM_STRINGS; i++) {
		size_t size = i % RANDOM_SIZES;
		char *s = kunit_kmalloc(test, size, GFP_KERNEL);
		char *copy;
		bool good;

		KUNIT_ASSERT_NOT_NULL(test, s);
		random_string(&rnd, s, size);
		copy = field(test, s, size);

		good = well_formed(copy, size);
		nr_good += good;
		KUNIT_EXPECT_EQ_MSG(test, !kho_compat_validate(s, size), good,
				    "string %d of seed %llu: '%*pE'", i, seed,
				    (int)size, s);
		expect_sense(test, s, size);
		kunit_kfree(test, copy);
		kunit_kfree(test, s);
	}

	/* Many strings must be valid, and many must be malformed. */
	KUNIT_EXPECT_GT(test, nr_good, RANDOM_SIZES);
	KUNIT_EXPECT_LT(test, nr_good, RANDOM_SIZES * (RANDOM_STRINGS - 1));
}

static struct kunit_case kho_compat_cases[] = {
	KUNIT_CASE_PARAM(kho_compat_test_verdicts, comparison_gen_params),
	KUNIT_CASE_PARAM(kho_compat_test_questions, comparison_gen_params),
	KUNIT_CASE_PARAM(kho_compat_test_offers, offer_gen_params),
	KUNIT_CASE_PARAM(kho_compat_test_name_len, name_len_gen_params),
	KUNIT_CASE_PARAM(kho_compat_test_malformed, malformed_gen_params),
	KUNIT_CASE(kho_compat_test_longest),
	KUNIT_CASE(kho_compat_test_order),
	KUNIT_CASE(kho_compat_test_random),
	{}
};

static struct kunit_suite kho_compat_suite = {
	.name = "kho-compat",
	.test_cases = kho_compat_cases,
};

kunit_test_suite(kho_compat_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the matcher of KHO compatibility strings");
MODULE_LICENSE("GPL");
