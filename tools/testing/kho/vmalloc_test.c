// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptions of vmalloc areas with one fault each.  All pages are preserved,
 * so that the fault is the only reason to refuse the area.
 */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/kho/vmalloc.h>

/*
 * A full chunk, in which all entries have the address of one preserved page,
 * and a spare chunk.
 */
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
	/* A refused area stays preserved. */
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

/* The size of an area of large pages must be a multiple of their size. */
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

/* A page with two entries would be freed twice. */
static void vmalloc_test_page_twice(struct kunit *test)
{
	struct area *a = new_area(test);

	a->desc.total_pages = 2;
	a->chunk->phys[2] = 0;
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&a->desc));
}

static const struct wrong {
	const char *name;
	unsigned int order;
	unsigned long total;
	u64 first, next;	/* addresses of chunks, if not 0 */
	const char *why;
} wrongs[] = {
	{ "one page more than memory", 0, max_pfn + 1, .why = "number of pages out of range" },
	{ "as many pages as memory", 0, max_pfn, .why = "pages missing" },
	{ "one page too many", 0, KHO_VMALLOC_SIZE + 1, .why = "pages missing" },
	{ "one page too few", 0, KHO_VMALLOC_SIZE - 1, .why = "too many pages" },
	{ "no page", 0, 0, .why = "size misaligned to the order" },
	{ "order too large", MAX_PAGE_ORDER + 1, BIT(MAX_PAGE_ORDER + 1),
	  .why = "order out of range" },
	{ "largest order", MAX_PAGE_ORDER, BIT(MAX_PAGE_ORDER), .why = "page not preserved" },
	{ "no chunk", 0, 1, .first = 1ULL << 50, .why = "chunk not preserved" },
	{ "no second chunk", 0, KHO_VMALLOC_SIZE + 1, .next = 1ULL << 50,
	  .why = "chunk not preserved" },
};

KUNIT_ARRAY_PARAM_DESC(wrong, wrongs, name);

static void vmalloc_test_wrong(struct kunit *test)
{
	const struct wrong *w = test->param_value;
	struct area *a = new_area(test);

	a->desc.order = w->order;
	a->desc.total_pages = w->total;
	a->desc.first.phys = w->first ?: a->desc.first.phys;
	a->chunk->hdr.next.phys = w->next;
	expect_refused(test, a, w->why);
}

/* Only a full chunk may be followed by another one. */
static void vmalloc_test_early_end(struct kunit *test)
{
	struct area *a = new_area(test);

	a->desc.total_pages = KHO_VMALLOC_SIZE;
	a->chunk->phys[KHO_VMALLOC_SIZE - 1] = 0;
	a->chunk->hdr.next.phys = virt_to_phys(a->spare);
	a->spare->phys[0] = virt_to_phys(a->page);
	expect_refused(test, a, "partial chunk before the last one");
}

/*
 * Areas of each kind are restored as the same kind, and can be preserved again.
 */
static const struct kind {
	const char *name;
	unsigned long size;
	bool huge;
	unsigned int order;
} kinds[] = {
	{ "one page", PAGE_SIZE, false, 0 },
	{ "pages", 3 * PAGE_SIZE, false, 0 },
	{ "small, may be huge", 3 * PAGE_SIZE, true, 0 },
	{ "huge", PMD_SIZE + PAGE_SIZE, true, PMD_SHIFT - PAGE_SHIFT },
};

KUNIT_ARRAY_PARAM_DESC(kind, kinds, name);

static void expect_kind(struct kunit *test, const struct kind *k, void *mem)
{
	struct vm_struct *area = find_vm_area(mem);

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_EQ(test, area->flags, VM_ALLOC | (k->huge ? VM_ALLOW_HUGE_VMAP : 0));
	KUNIT_EXPECT_EQ(test, area->page_order, k->order);
	KUNIT_EXPECT_EQ(test, area->nr_pages, round_up(k->size, PAGE_SIZE << k->order) / PAGE_SIZE);
	for (unsigned int i = 0; i < area->nr_pages; i++)
		KUNIT_ASSERT_NULL(test, memchr_inv(mem + i * PAGE_SIZE, (u8)i, PAGE_SIZE));
}

static void vmalloc_test_kind(struct kunit *test)
{
	const struct kind *k = test->param_value;
	void *mem = k->huge ? vmalloc_huge(k->size, GFP_KERNEL) : vmalloc(k->size);
	struct kho_vmalloc desc;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	for (unsigned int i = 0; i < find_vm_area(mem)->nr_pages; i++)
		memset(mem + i * PAGE_SIZE, i, PAGE_SIZE);
	for (int i = 0; i < 2; i++) {
		struct sim_handover h;

		KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(mem, &desc), 0);
		h = sim_kexec();
		KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
		mem = kho_restore_vmalloc(&desc);
		KUNIT_ASSERT_NOT_NULL(test, mem);
		expect_kind(test, k, mem);
		KUNIT_EXPECT_FALSE(test, sim_logged("restore: not preserved"));
		KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	}
	vfree(mem);
}

/* Unpreserving an area again does nothing. */
static void vmalloc_test_undo(struct kunit *test)
{
	void *mem = vmalloc(3 * PAGE_SIZE);
	struct kho_vmalloc desc;

	KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(mem, &desc), 0);
	kho_unpreserve_vmalloc(&desc);
	sim_log_clear();
	kho_unpreserve_vmalloc(&desc);
	KUNIT_EXPECT_EQ(test, *sim_log(), 0);
	vfree(mem);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(phys_to_virt(PAGE_SIZE), &desc), -EINVAL);
}

static phys_addr_t other;

static void restore_other(void)
{
	kho_restore_free(phys_to_virt(other));
}

/*
 * Another owner restores a page of the area meanwhile: pages restored before it
 * are freed.
 */
static void vmalloc_test_meanwhile(struct kunit *test)
{
	for (unsigned int i = 1; i < 5; i++) {
		void *mem = vmalloc(5 * PAGE_SIZE);
		unsigned long total, objects;
		struct kho_vmalloc desc;
		struct sim_handover h;

		KUNIT_ASSERT_EQ(test, kho_preserve_vmalloc(mem, &desc), 0);
		other = page_to_phys(find_vm_area(mem)->pages[i]);
		sim_deferred = true;
		h = sim_kexec();
		KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
		total = totalram_pages();
		objects = sim_live_objects();
		sim_before_init = restore_other;
		KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&desc));
		KUNIT_EXPECT_EQ(test, totalram_pages(), total + i + 1);
		KUNIT_EXPECT_EQ(test, sim_live_objects(), objects);
		sim_deferred = false;
		sim_boot_cold();
	}
}

static int vmalloc_test_init(struct kunit *test)
{
	if (max_pfn <= KHO_VMALLOC_SIZE)
		kunit_skip(test, "a full chunk stands for more memory than there is");
	return 0;
}

static struct kunit_case vmalloc_cases[] = {
	KUNIT_CASE(vmalloc_test_one_page),
	KUNIT_CASE(vmalloc_test_flags),
	KUNIT_CASE(vmalloc_test_circle_of_full_chunks),
	KUNIT_CASE(vmalloc_test_more_than_memory),
	KUNIT_CASE(vmalloc_test_part_of_a_block),
	KUNIT_CASE(vmalloc_test_behind_the_end),
	KUNIT_CASE(vmalloc_test_page_twice),
	KUNIT_CASE_PARAM(vmalloc_test_wrong, wrong_gen_params),
	KUNIT_CASE(vmalloc_test_early_end),
	KUNIT_CASE_PARAM(vmalloc_test_kind, kind_gen_params),
	KUNIT_CASE(vmalloc_test_undo),
	KUNIT_CASE(vmalloc_test_meanwhile),
	{}
};

static struct kunit_suite vmalloc_suite = {
	.name = "unit-vmalloc",
	.init = vmalloc_test_init,
	.exit = sim_deferred_exit,
	.test_cases = vmalloc_cases,
};

kunit_test_suite(vmalloc_suite);
