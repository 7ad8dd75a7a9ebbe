// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of outgoing data in the core: preserving pages and folios, memory
 * from kho_alloc_preserve(), and subtrees.
 */

#include <kunit/test.h>
#include <linux/array_size.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>

#include "../kexec_handover_internal.h"

static int kho_core_test_init(struct kunit *test)
{
	if (!kho_is_enabled())
		kunit_skip(test, "Kexec Handover is off: boot with kho=on");

	return 0;
}

KUNIT_DEFINE_ACTION_WRAPPER(unpreserve_free, kho_unpreserve_free, void *);

static void *preserved_memory(struct kunit *test, size_t size)
{
	void *mem = kho_alloc_preserve(size);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, unpreserve_free, mem),
			0);
	return mem;
}

#define RANGE_ORDER	4

static void free_range(void *mem)
{
	free_pages((unsigned long)mem, RANGE_ORDER);
}

/* 2^RANGE_ORDER pages that are aligned to their size. */
static struct page *page_range(struct kunit *test)
{
	void *mem = (void *)__get_free_pages(GFP_KERNEL, RANGE_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_range, mem),
			0);
	return virt_to_page(mem);
}

/* Preserving. */

static const struct extent {
	const char *name;
	unsigned int first;
	unsigned int nr;
} extents[] = {
	{ "none", 0, 0 },
	{ "one page", 0, 1 },
	{ "one odd page", 1, 1 },
	{ "across an odd border", 1, 2 },
	{ "three from an even one", 2, 3 },
	{ "seven from an odd one", 1, 7 },
	{ "aligned block", 0, 16 },
	{ "all but the first", 1, 15 },
	{ "all but the last", 0, 15 },
	{ "all but both ends", 1, 14 },
};

KUNIT_ARRAY_PARAM_DESC(extent, extents, name);

static void kho_core_test_preserve_range(struct kunit *test)
{
	const struct extent *extent = test->param_value;
	struct page *page = page_range(test) + extent->first;

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, extent->nr), 0);
	kho_unpreserve_pages(page, extent->nr);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, extent->nr), 0);
	kho_unpreserve_pages(page, extent->nr);
}

static void kho_core_test_preserve_folio(struct kunit *test)
{
	for (unsigned int order = 0; order < 4; order++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, order);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, kho_preserve_folio(folio), 0);
		kho_unpreserve_folio(folio);
		folio_put(folio);
	}
}

/* A scratch area; skips the test if none exists. */
static const struct kho_scratch *some_scratch(struct kunit *test)
{
	if (!kho_scratch_cnt)
		kunit_skip(test, "without scratch memory");

	return &kho_scratch[kho_scratch_cnt - 1];
}

static void kho_core_test_scratch_page(struct kunit *test)
{
	const struct kho_scratch *area = some_scratch(test);
	struct page *first = pfn_to_page(PHYS_PFN(area->addr));
	struct page *last = pfn_to_page(PHYS_PFN(area->addr + area->size) - 1);

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(first, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(last, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_preserve_folio(page_folio(first)), -EINVAL);
}

static void kho_core_test_scratch_overlap(struct kunit *test)
{
	const struct kho_scratch *area = some_scratch(test);
	unsigned long first = PHYS_PFN(area->addr);

	if (!pfn_valid(first - 1))
		kunit_skip(test, "without memory before scratch memory");

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(pfn_to_page(first - 1), 2),
			-EINVAL);
}

static void kho_core_test_scratch_borders(struct kunit *test)
{
	const struct kho_scratch *area = some_scratch(test);
	phys_addr_t end = area->addr + area->size;

	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(area->addr, area->size));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(area->addr - 1, 2));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(end - 1, 2));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(0, end));
	if (kho_scratch_cnt == 1) {
		KUNIT_EXPECT_FALSE(test, kho_scratch_overlap(end, PAGE_SIZE));
		KUNIT_EXPECT_FALSE(test, kho_scratch_overlap(0, area->addr));
	}
}

/* Memory that is allocated to be preserved. */

static void kho_core_test_alloc_nothing(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(0)), -EINVAL);
}

static void kho_core_test_alloc_too_large(struct kunit *test)
{
	size_t largest = PAGE_SIZE << MAX_PAGE_ORDER;

	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(largest + 1)), -E2BIG);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(SIZE_MAX)), -E2BIG);
}

static const struct alloc_size {
	const char *name;
	size_t size;
	size_t allocated;
} alloc_sizes[] = {
	{ "1 byte", 1, PAGE_SIZE },
	{ "a page", PAGE_SIZE, PAGE_SIZE },
	{ "a page and 1 byte", PAGE_SIZE + 1, 2 * PAGE_SIZE },
	{ "3 pages", 3 * PAGE_SIZE, 4 * PAGE_SIZE },
	{ "32 pages", 32 * PAGE_SIZE, 32 * PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(alloc_size, alloc_sizes, name);

static void kho_core_test_alloc(struct kunit *test)
{
	const struct alloc_size *s = test->param_value;
	void *mem = preserved_memory(test, s->size);

	KUNIT_EXPECT_EQ(test, folio_size(virt_to_folio(mem)), s->allocated);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(virt_to_phys(mem), s->allocated));
	KUNIT_EXPECT_NULL(test, memchr_inv(mem, 0, s->allocated));
	KUNIT_EXPECT_FALSE(test, kho_scratch_overlap(virt_to_phys(mem), s->allocated));
}

static void kho_core_test_free_nothing(struct kunit *test)
{
	kho_unpreserve_free(NULL);
	kho_restore_free(NULL);
}

/* Subtrees. */

KUNIT_DEFINE_ACTION_WRAPPER(remove_subtree, kho_remove_subtree, void *);

/* Adds a subtree that is removed at the end of the test. */
static int add_subtree(struct kunit *test, const char *name, void *blob)
{
	int err = kho_add_subtree(name, blob, PAGE_SIZE);

	if (!err)
		KUNIT_ASSERT_EQ(test,
				kunit_add_action_or_reset(test, remove_subtree,
							  blob),
				0);
	return err;
}

static void kho_core_test_subtree_same_name(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);
	void *other = preserved_memory(test, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", blob), 0);
	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", other), -EEXIST);
	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", blob), -EEXIST);
}

static void kho_core_test_subtree_other_name(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);
	void *other = preserved_memory(test, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", blob), 0);
	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit", other), 0);
}

static void kho_core_test_subtree_add_again(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, kho_add_subtree("kunit-a", blob, PAGE_SIZE), 0);
	kho_remove_subtree(blob);
	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", blob), 0);
}

static void kho_core_test_subtree_remove_unknown(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);
	void *other = preserved_memory(test, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, add_subtree(test, "kunit-a", blob), 0);
	kho_remove_subtree(other);
	KUNIT_EXPECT_EQ(test, add_subtree(test, "kunit-a", other), -EEXIST);
}

static void kho_core_test_subtree_no_room(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);
	unsigned int nr;
	char name[32];
	int err = 0;

	/* The root tree has one page, so it is full at some point. */
	for (nr = 0; !err && nr < PAGE_SIZE; nr++) {
		snprintf(name, sizeof(name), "kunit-%u", nr);
		err = add_subtree(test, name, blob);
	}
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_GT(test, nr, 10);

	/* A subtree that does not fit leaves nothing in the root tree. */
	kho_remove_subtree(blob);
	KUNIT_EXPECT_EQ(test, add_subtree(test, name, blob), 0);
}

static void kho_core_test_retrieve_unknown(struct kunit *test)
{
	phys_addr_t phys = 42;
	size_t size = 42;

	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("kunit-none", &phys, &size),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, phys, 42);
	KUNIT_EXPECT_EQ(test, size, 42);
}

/* A kernel cannot retrieve its own outgoing subtrees. */
static void kho_core_test_retrieve_own(struct kunit *test)
{
	void *blob = preserved_memory(test, PAGE_SIZE);
	phys_addr_t phys;

	KUNIT_ASSERT_EQ(test, add_subtree(test, "kunit-a", blob), 0);
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("kunit-a", &phys, NULL),
			-ENOENT);
}

static struct kunit_case kho_core_cases[] = {
	KUNIT_CASE_PARAM(kho_core_test_preserve_range, extent_gen_params),
	KUNIT_CASE(kho_core_test_preserve_folio),
	KUNIT_CASE(kho_core_test_scratch_page),
	KUNIT_CASE(kho_core_test_scratch_overlap),
	KUNIT_CASE(kho_core_test_scratch_borders),
	KUNIT_CASE(kho_core_test_alloc_nothing),
	KUNIT_CASE(kho_core_test_alloc_too_large),
	KUNIT_CASE_PARAM(kho_core_test_alloc, alloc_size_gen_params),
	KUNIT_CASE(kho_core_test_free_nothing),
	KUNIT_CASE(kho_core_test_subtree_same_name),
	KUNIT_CASE(kho_core_test_subtree_other_name),
	KUNIT_CASE(kho_core_test_subtree_add_again),
	KUNIT_CASE(kho_core_test_subtree_remove_unknown),
	KUNIT_CASE(kho_core_test_subtree_no_room),
	KUNIT_CASE(kho_core_test_retrieve_unknown),
	KUNIT_CASE(kho_core_test_retrieve_own),
	{}
};

static struct kunit_suite kho_core_suite = {
	.name = "kho-core",
	.init = kho_core_test_init,
	.test_cases = kho_core_cases,
};

kunit_test_suite(kho_core_suite);

MODULE_DESCRIPTION("KUnit tests of the KHO core");
MODULE_LICENSE("GPL");
