// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the composite strings of this kernel.
 *
 * The preprocessor joins the strings, so a test has to check that they follow the
 * rules of include/linux/kho/abi/compat.h.  tests/kho_compat_kunit.c tests how
 * strings of other kernels are validated.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/build_bug.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/kho/compat.h>
#include <linux/module.h>
#include <linux/string.h>

/* LUO stores the string of a file handler in a field of this size. */
static_assert(sizeof(MEMFD_LUO_FH_COMPATIBLE) <= LIVEUPDATE_HNDL_COMPAT_LENGTH);

static const struct composite {
	const char *name;
	const char *string;
	const char *base;
} composites[] = {
	{ "kho", KHO_FDT_COMPATIBLE, KHO_FDT_COMPAT_BASE },
	{ "luo", LUO_ABI_COMPATIBLE, LUO_ABI_COMPAT_BASE },
	{ "memfd", MEMFD_LUO_FH_COMPATIBLE, MEMFD_LUO_FH_COMPAT_BASE },
};

KUNIT_ARRAY_PARAM_DESC(composite, composites, name);

/* Components are unique, in order and not empty. */
static void compat_test_rules(struct kunit *test)
{
	const struct composite *c = test->param_value;

	KUNIT_EXPECT_STREQ(test,
			   kho_compat_validate(c->string, strlen(c->string) + 1) ?:
			   "none",
			   "none");
}

static void compat_test_base_first(struct kunit *test)
{
	const struct composite *c = test->param_value;

	KUNIT_EXPECT_EQ(test, strncmp(c->string, c->base, strlen(c->base)), 0);
	KUNIT_EXPECT_EQ(test, strcspn(c->string, ";"), strlen(c->base));
}

/*
 * The components that each composite string must have.  The matcher does not find
 * a missing component, because a bare base is valid, too: it stands for several
 * components.
 */
static const struct relation {
	const char *name;
	const char *string;
	const char *component;
} relations[] = {
	{ "kho on radix", KHO_FDT_COMPATIBLE,
	  KHO_SUB_COMPAT(KHO_RADIX_COMPATIBLE) },
	{ "kho on vmalloc", KHO_FDT_COMPATIBLE,
	  KHO_SUB_COMPAT(KHO_VMALLOC_COMPATIBLE) },
	{ "luo on block", LUO_ABI_COMPATIBLE,
	  KHO_SUB_COMPAT(KHO_BLOCK_COMPATIBLE) },
	{ "memfd on vmalloc", MEMFD_LUO_FH_COMPATIBLE,
	  KHO_SUB_COMPAT(KHO_VMALLOC_COMPATIBLE) },
};

KUNIT_ARRAY_PARAM_DESC(relation, relations, name);

static void compat_test_names_component(struct kunit *test)
{
	const struct relation *r = test->param_value;

	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(r->string, r->component),
				  "'%s' does not name '%s'", r->string,
				  r->component);
}

/* Bare strings of earlier kernels always stand for the first versions. */
static const struct legacy {
	const char *bare;
	const char *full;
} legacies[] = {
	{ "kho-v4", "kho-v4;radix-v1;vmalloc-v1" },
	{ "luo-v5", "luo-v5;block-v1" },
	{ "memfd-v2", "memfd-v2;vmalloc-v1" },
};

KUNIT_ARRAY_PARAM_DESC(legacy, legacies, bare);

static void compat_test_legacy(struct kunit *test)
{
	const struct legacy *l = test->param_value;

	KUNIT_EXPECT_STREQ(test, kho_compat_expand(l->bare), l->full);
	KUNIT_EXPECT_STREQ(test, kho_compat_expand(l->full), l->full);
}

static void compat_test_sub_compat(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, "a-v1" KHO_SUB_COMPAT("b-v2"), "a-v1;b-v2");
}

static void compat_test_align(struct kunit *test)
{
	/* The NUL is part of the size. */
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN(""), 8);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("1234567"), 8);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("12345678"), 16);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("123456789012345"), 16);
	KUNIT_EXPECT_EQ(test, KHO_COMPAT_ALIGN("1234567890123456"), 24);
}

static void compat_test_sorted(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, KHO_COMPAT_SORTED("block-v1", "radix-v1"));
	KUNIT_EXPECT_TRUE(test, KHO_COMPAT_SORTED("block-v1", "blocks-v1"));
	KUNIT_EXPECT_FALSE(test, KHO_COMPAT_SORTED("radix-v1", "block-v1"));
	KUNIT_EXPECT_FALSE(test, KHO_COMPAT_SORTED("radix-v1", "radix-v1"));
}

static void compat_test_fits(struct kunit *test)
{
	KUNIT_EXPECT_LT(test, strlen(MEMFD_LUO_FH_COMPATIBLE),
			LIVEUPDATE_HNDL_COMPAT_LENGTH);
	KUNIT_EXPECT_LT(test, strlen(LUO_ABI_COMPATIBLE), LUO_ABI_COMPAT_LEN);
	KUNIT_EXPECT_LT(test, strlen(KHO_FDT_COMPATIBLE), KHO_COMPAT_MAX);
}

static struct kunit_case compat_cases[] = {
	KUNIT_CASE_PARAM(compat_test_rules, composite_gen_params),
	KUNIT_CASE_PARAM(compat_test_base_first, composite_gen_params),
	KUNIT_CASE_PARAM(compat_test_names_component, relation_gen_params),
	KUNIT_CASE_PARAM(compat_test_legacy, legacy_gen_params),
	KUNIT_CASE(compat_test_sub_compat),
	KUNIT_CASE(compat_test_align),
	KUNIT_CASE(compat_test_sorted),
	KUNIT_CASE(compat_test_fits),
	{}
};

static struct kunit_suite compat_suite = {
	.name = "liveupdate-compatibility",
	.test_cases = compat_cases,
};

kunit_test_suite(compat_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of live update compatibility strings");
MODULE_LICENSE("GPL");
