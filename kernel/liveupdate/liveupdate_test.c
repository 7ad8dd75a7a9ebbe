// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the strings by which two kernels recognize each other's data.
 *
 * The preprocessor joins the strings, so nothing but a test can tell that they
 * follow the rules of include/linux/kho/abi/compat.h.
 */

#include <kunit/test.h>
#include <linux/array_size.h>
#include <linux/build_bug.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/module.h>
#include <linux/string.h>

/* LUO stores the string of a file handler in a field of that size. */
static_assert(sizeof(MEMFD_LUO_FH_COMPATIBLE) <= LIVEUPDATE_HNDL_COMPAT_LENGTH);

static const char * const components[] = {
	KHO_BLOCK_COMPATIBLE,
	KHO_RADIX_COMPATIBLE,
	KHO_VMALLOC_COMPATIBLE,
};

static bool known_component(const char *s)
{
	for (int i = 0; i < ARRAY_SIZE(components); i++) {
		if (!strcmp(components[i], s))
			return true;
	}

	return false;
}

/* Returns which rule a composite string breaks, or "none". */
static const char *broken_rule(struct kunit *test, const char *composite,
			       const char *base)
{
	char *rest = kunit_kstrdup(test, composite, GFP_KERNEL);
	const char *part, *before = NULL;

	KUNIT_ASSERT_NOT_NULL(test, rest);

	if (strcmp(strsep(&rest, ";"), base))
		return "base first";

	while ((part = strsep(&rest, ";"))) {
		if (!*part)
			return "no empty component";
		if (!known_component(part))
			return "known components";
		if (before && strcmp(before, part) >= 0)
			return "strict order";
		before = part;
	}

	return "none";
}

/* The strings in full: they are what other kernels compare with. */
static const struct composite {
	const char *name;
	const char *string;
	const char *base;
	const char *value;
} composites[] = {
	{ "kho", KHO_FDT_COMPATIBLE, KHO_FDT_COMPAT_BASE,
	  "kho-v4;radix-v1;vmalloc-v1" },
	{ "luo", LUO_ABI_COMPATIBLE, LUO_ABI_COMPAT_BASE,
	  "luo-v5;block-v1" },
	{ "memfd", MEMFD_LUO_FH_COMPATIBLE, MEMFD_LUO_FH_COMPAT_BASE,
	  "memfd-v2;vmalloc-v1" },
};

KUNIT_ARRAY_PARAM_DESC(composite, composites, name);

static void compat_test_value(struct kunit *test)
{
	const struct composite *c = test->param_value;

	KUNIT_EXPECT_STREQ(test, c->string, c->value);
}

static void compat_test_rules(struct kunit *test)
{
	const struct composite *c = test->param_value;

	KUNIT_EXPECT_STREQ(test, broken_rule(test, c->string, c->base), "none");
}

static void compat_test_memfd_fits(struct kunit *test)
{
	KUNIT_EXPECT_LT(test, strlen(MEMFD_LUO_FH_COMPATIBLE),
			LIVEUPDATE_HNDL_COMPAT_LENGTH);
}

/* A test is worth what it refuses. */
static const struct specimen {
	const char *name;
	const char *string;
	const char *rule;
} specimens[] = {
	{ "base alone", "kho-v4", "none" },
	{ "one component", "kho-v4;radix-v1", "none" },
	{ "all components", "kho-v4;block-v1;radix-v1;vmalloc-v1", "none" },
	{ "nothing", "", "base first" },
	{ "other base", "luo-v5;radix-v1", "base first" },
	{ "longer base", "kho-v40;radix-v1", "base first" },
	{ "shorter base", "kho-v;radix-v1", "base first" },
	{ "no base", "radix-v1;vmalloc-v1", "base first" },
	{ "empty base", ";kho-v4;radix-v1", "base first" },
	{ "swapped", "kho-v4;vmalloc-v1;radix-v1", "strict order" },
	{ "doubled", "kho-v4;radix-v1;radix-v1", "strict order" },
	{ "repeated later", "kho-v4;block-v1;radix-v1;block-v1", "strict order" },
	{ "empty component", "kho-v4;;radix-v1", "no empty component" },
	{ "trailing separator", "kho-v4;radix-v1;", "no empty component" },
	{ "base and separator", "kho-v4;", "no empty component" },
	{ "unknown component", "kho-v4;maple-v1", "known components" },
	{ "unknown version", "kho-v4;radix-v2", "known components" },
	{ "space", "kho-v4; radix-v1", "known components" },
	{ "base twice", "kho-v4;kho-v4", "known components" },
};

KUNIT_ARRAY_PARAM_DESC(specimen, specimens, name);

static void compat_test_checker(struct kunit *test)
{
	const struct specimen *s = test->param_value;

	KUNIT_EXPECT_STREQ(test, broken_rule(test, s->string, "kho-v4"), s->rule);
}

static void compat_test_sub_compat(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, "a-v1" KHO_SUB_COMPAT("b-v2"), "a-v1;b-v2");
}

static void compat_test_align(struct kunit *test)
{
	/* The NUL counts. */
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN(""), 8);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("1234567"), 8);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("12345678"), 16);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("123456789012345"), 16);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("1234567890123456"), 24);
}

static void compat_test_align_composites(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN(KHO_FDT_COMPATIBLE), 32);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN(LUO_ABI_COMPATIBLE), 16);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN(MEMFD_LUO_FH_COMPATIBLE), 24);
	KUNIT_EXPECT_EQ(test, LUO_ABI_COMPAT_LEN, 16);
}

static struct kunit_case compat_cases[] = {
	KUNIT_CASE_PARAM(compat_test_value, composite_gen_params),
	KUNIT_CASE_PARAM(compat_test_rules, composite_gen_params),
	KUNIT_CASE(compat_test_memfd_fits),
	KUNIT_CASE_PARAM(compat_test_checker, specimen_gen_params),
	KUNIT_CASE(compat_test_sub_compat),
	KUNIT_CASE(compat_test_align),
	KUNIT_CASE(compat_test_align_composites),
	{}
};

static struct kunit_suite compat_suite = {
	.name = "liveupdate-compatibility",
	.test_cases = compat_cases,
};

kunit_test_suite(compat_suite);

MODULE_DESCRIPTION("KUnit tests of live update compatibility strings");
MODULE_LICENSE("GPL");
