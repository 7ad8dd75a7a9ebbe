// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptions of vmalloc areas in which one thing is wrong.  The pages are there
 * and preserved, so that nothing else is a reason to refuse them.
 */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/vmalloc.h>

/* A full chunk, all of whose entries are one preserved page, and the next chunk. */
struct area {
	struct kho_vmalloc desc;
	struct kho_vmalloc_chunk *chunk;
	struct kho_vmalloc_chunk *spare;
	void *page;
};

static void *left_page(void)
{
	void *mem = kho_alloc_preserve(PAGE_SIZE);

	BUG_ON(IS_ERR(mem));
	return mem;
}

static struct area *new_area(struct kunit *test)
{
	struct area *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	struct sim_handover h;

	a->chunk = left_page();
	a->spare = left_page();
	a->page = left_page();
	h = sim_kexec();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));

	for (unsigned int i = 0; i < KHO_VMALLOC_SIZE; i++)
		a->chunk->phys[i] = virt_to_phys(a->page);
	a->desc = (struct kho_vmalloc){
		.first.phys = virt_to_phys(a->chunk),
		.total_pages = KHO_VMALLOC_SIZE,
		.flags = KHO_VMALLOC_ALLOC,
	};
	return a;
}

static void expect_refused(struct kunit *test, struct area *a, const char *why)
{
	sim_log_clear();
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&a->desc));
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(why), "%s", sim_log());
	KUNIT_EXPECT_EQ(test, kho_vmalloc_check(&a->desc), -EINVAL);
	/* All of it is still there. */
	KUNIT_EXPECT_TRUE(test, kho_pages_preserved(virt_to_phys(a->chunk), 1));
	KUNIT_EXPECT_TRUE(test, kho_pages_preserved(virt_to_phys(a->page), 1));
}

static void vmalloc_test_one_page(struct kunit *test)
{
	struct area *a = new_area(test);
	void *mem;

	a->desc.total_pages = 1;
	a->chunk->phys[1] = 0;
	mem = kho_restore_vmalloc(&a->desc);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	vfree(mem);
}

static void vmalloc_test_flags(struct kunit *test)
{
	for (int bit = 2; bit < 16; bit++) {
		struct area *a = new_area(test);

		a->desc.total_pages = 1;
		a->chunk->phys[1] = 0;
		a->desc.flags |= BIT(bit);
		expect_refused(test, a, "unknown flags");
	}
}

static void vmalloc_test_circle_of_full_chunks(struct kunit *test)
{
	struct area *a = new_area(test);

	a->chunk->hdr.next.phys = a->desc.first.phys;
	a->desc.total_pages = 3 * KHO_VMALLOC_SIZE;
	expect_refused(test, a, "too many pages");
}

static void vmalloc_test_more_than_memory(struct kunit *test)
{
	struct area *a = new_area(test);

	a->desc.total_pages = max_pfn + 1;
	expect_refused(test, a, "number of pages out of range");
}

/* An area of large pages is a whole number of them. */
static void vmalloc_test_part_of_a_block(struct kunit *test)
{
	struct area *a = new_area(test);

	a->desc.order = 1;
	a->desc.total_pages = 3;
	expect_refused(test, a, "size misaligned to the order");
	a->desc.total_pages = 1;
	expect_refused(test, a, "size misaligned to the order");
}

static void vmalloc_test_behind_the_end(struct kunit *test)
{
	struct area *a = new_area(test);

	a->chunk->hdr.next.phys = virt_to_phys(a->spare);
	a->spare->phys[0] = virt_to_phys(a->page);
	expect_refused(test, a, "too many pages");
}

/* The same page under two addresses has two owners, and one free too many. */
static void vmalloc_test_page_twice(struct kunit *test)
{
	struct area *a = new_area(test);

	a->desc.total_pages = 2;
	a->chunk->phys[2] = 0;
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&a->desc));
}

static int vmalloc_test_init(struct kunit *test)
{
	if (max_pfn <= KHO_VMALLOC_SIZE)
		kunit_skip(test, "a full chunk stands for more memory than there is");
	return 0;
}

static void back_to_cold(struct kunit *test)
{
	sim_boot_cold();
}

static struct kunit_case vmalloc_cases[] = {
	KUNIT_CASE(vmalloc_test_one_page),
	KUNIT_CASE(vmalloc_test_flags),
	KUNIT_CASE(vmalloc_test_circle_of_full_chunks),
	KUNIT_CASE(vmalloc_test_more_than_memory),
	KUNIT_CASE(vmalloc_test_part_of_a_block),
	KUNIT_CASE(vmalloc_test_behind_the_end),
	KUNIT_CASE(vmalloc_test_page_twice),
	{}
};

static struct kunit_suite vmalloc_suite = {
	.name = "unit-vmalloc",
	.init = vmalloc_test_init,
	.exit = back_to_cold,
	.test_cases = vmalloc_cases,
};

kunit_test_suite(vmalloc_suite);
