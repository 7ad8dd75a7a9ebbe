// SPDX-License-Identifier: GPL-2.0
/* Scratch memory of an image: size, place, number of areas, and owner. */

#include "shims.h"

#include <kernel/liveupdate/kexec_handover_internal.h>

#define KERNEL	(30 * SZ_1M)
#define INITRD	(5 * SZ_1M)
#define LOW	(40 * SZ_1M)
#define HIGH	(400 * SZ_1M)

static int image_test_init(struct kunit *test)
{
	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "the root tree has no space for a subtree");
	BUG_ON(sim_param("kho_scratch", "demand"));
	sim_image_pages = (struct sim_image_pages){ };
	kho_boot_use = (struct kho_boot_use){ .low = LOW, .high = HIGH, .node_high[0] = HIGH / 2 };
	return 0;
}

static void image_test_exit(struct kunit *test)
{
	sim_contig_largest = ULONG_MAX;
	sim_contig_left = UINT_MAX;
	sim_available = ULONG_MAX >> PAGE_SHIFT;
	sim_share_fails = 0;
	sim_add_err = 0;
	current->killed = false;
	crashk_res = (struct resource){ };
	sim_boot_cold();
}

static struct kimage *new_image(struct kunit *test)
{
	struct kimage *image = kunit_kzalloc(test, sizeof(*image), GFP_KERNEL);

	image->kernel_buf_len = KERNEL;
	image->initrd_buf_len = INITRD;
	return image;
}

static u64 allocated(u64 limit)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < sim_contig_nr; i++) {
		if (PFN_PHYS(sim_contig[i].pfn) < limit)
			sum += PFN_PHYS(sim_contig[i].nr);
	}
	return sum;
}

struct seen {
	struct kunit *test;
	struct kho_scratch area[64];
	unsigned int nr;
};

static void see(const struct kho_scratch *area, void *data)
{
	struct seen *seen = data;

	KUNIT_ASSERT_LT(seen->test, seen->nr, ARRAY_SIZE(seen->area));
	seen->area[seen->nr++] = *area;
}

/* Areas of images, without those that the simulation reserved at boot. */
static struct seen areas_of_images(struct kunit *test)
{
	struct seen seen = { .test = test };

	kho_for_each_area(see, &seen);
	seen.nr -= kho_scratch_cnt;
	memmove(seen.area, seen.area + kho_scratch_cnt, sizeof(seen.area[0]) * seen.nr);
	return seen;
}

static void expect_enough(struct kunit *test)
{
	struct seen seen = areas_of_images(test);
	u64 sum = 0;

	KUNIT_ASSERT_EQ(test, seen.nr, sim_contig_nr);
	/* The first area is large enough for the whole image. */
	KUNIT_EXPECT_GE(test, seen.area[0].size, KERNEL + INITRD);
	for (unsigned int i = 0; i < seen.nr; i++) {
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(seen.area[i].addr | seen.area[i].size, SZ_4M));
		sum += seen.area[i].size;
	}
	KUNIT_EXPECT_GE(test, sum, KERNEL + INITRD + (LOW + HIGH) / 4 * 5);
	KUNIT_EXPECT_GE(test, allocated(1UL << 32), LOW / 4 * 5);
	/* 1.25 times the memory in use, and not much more. */
	KUNIT_EXPECT_LE(test, sum, KERNEL + INITRD + (LOW + HIGH) / 4 * 5 + 32 * SZ_1M);
}

/* One area for each purpose; the area of a node is on that node. */
static void image_test_pieces(struct kunit *test)
{
	struct kimage *image = new_image(test);
	u64 here = 0;

	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 4);
	expect_enough(test);
	for (unsigned int i = 0; i < sim_contig_nr; i++) {
		if (sim_contig[i].nid == 0)
			here += PFN_PHYS(sim_contig[i].nr);
	}
	KUNIT_EXPECT_GE(test, here, HIGH / 8 * 5);
	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	KUNIT_EXPECT_NULL(test, image->kho.areas);
}

/*
 * Several small areas replace a large one, but the image needs one area that is
 * large enough.
 */
static void image_test_small_pieces(struct kunit *test)
{
	struct kimage *image = new_image(test);

	sim_contig_largest = PHYS_PFN(64 * SZ_1M);
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_GT(test, sim_contig_nr, 8);
	expect_enough(test);
	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);

	sim_contig_largest = PHYS_PFN(32 * SZ_1M);
	kho_add_subtree("owner", kho_out.fdt, 1);
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), -ENOMEM);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
}

/*
 * Segments are in their area from the start; the list of areas is not in an
 * area.
 */
static void image_test_in_place(struct kunit *test)
{
	struct kimage *image = new_image(test);
	struct kexec_buf kbuf = { .image = image, .memsz = KERNEL };
	struct seen seen;

	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, image->kho.fdt, virt_to_phys(kho_out.fdt));
	KUNIT_EXPECT_PTR_EQ(test, image->kho.scratch, &image->segment[0]);
	KUNIT_EXPECT_PTR_EQ(test, image->segment_cma[0], phys_to_page(image->segment[0].mem));
	seen = areas_of_images(test);
	KUNIT_EXPECT_EQ(test, image->segment[0].memsz, seen.nr * sizeof(seen.area[0]));
	for (unsigned int i = 0; i < seen.nr; i++)
		KUNIT_EXPECT_FALSE(test, image->segment[0].mem - seen.area[i].addr <
					 seen.area[i].size);

	KUNIT_ASSERT_EQ(test, kexec_add_buffer(&kbuf), 0);
	KUNIT_EXPECT_EQ(test, kbuf.mem, seen.area[0].addr);
	KUNIT_EXPECT_PTR_EQ(test, image->segment_cma[1], phys_to_page(kbuf.mem));
	kho_release_kimage(image);
	KUNIT_EXPECT_NULL(test, image->segment_cma[1]);
}

/* Each allocation fails once, which is an error if memory is preserved. */
static void image_test_no_memory(struct kunit *test)
{
	struct kimage *image = new_image(test);
	struct sim_balance before = sim_balance();
	unsigned int n = 0;

	kho_add_subtree("owner", kho_out.fdt, 1);
	do {
		sim_contig_left = n++;
		if (!kho_fill_kimage(image))
			break;
		KUNIT_ASSERT_EQ(test, sim_contig_nr, 0);
		KUNIT_ASSERT_NULL(test, image->kho.areas);
		KUNIT_ASSERT_EQ(test, image->kho.fdt, 0);
		KUNIT_ASSERT_EQ(test, image->nr_segments, 0);
		KUNIT_ASSERT_EQ(test, sim_balance().objects, before.objects);
	} while (n < 64);
	KUNIT_EXPECT_EQ(test, n, 5);
	kho_release_kimage(image);

	/* If too little memory is available, no area is allocated. */
	sim_available = PHYS_PFN(LOW + HIGH);
	sim_contig_left = UINT_MAX;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(new_image(test)), -ENOMEM);
	KUNIT_EXPECT_EQ(test, sim_contig_left, UINT_MAX);
	KUNIT_EXPECT_TRUE(test, sim_logged("scratch memory: failed to allocate for image"));

	for (int i = 1; i <= 2; i++) {
		sim_available = ULONG_MAX >> PAGE_SHIFT;
		sim_fail_nth(i);
		KUNIT_EXPECT_EQ(test, kho_fill_kimage(new_image(test)), -ENOMEM);
		KUNIT_EXPECT_TRUE(test, sim_failed());
		sim_fail_nth(0);
		KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	}
}

/*
 * If an area cannot be allocated, all are freed, and allocated again after an
 * RCU barrier.
 */
static void image_test_rcu(struct kunit *test)
{
	struct kimage *image = new_image(test);

	kho_add_subtree("owner", kho_out.fdt, 1);
	sim_contig_left = 3;
	sim_contig_rcu = 4;
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 4);
	expect_enough(test);
	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
}

/* Without outgoing data, an image can be loaded without a handover. */
static void image_test_unused(struct kunit *test)
{
	struct kimage *image = new_image(test);

	sim_contig_left = 0;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, image->kho.fdt, 0);
	KUNIT_EXPECT_EQ(test, image->nr_segments, 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("image: loaded without a handover, nothing"));
	KUNIT_EXPECT_EQ(test, kho_locate_mem_hole(&(struct kexec_buf){ .image = image }, NULL), 1);

	/*
	 * With outgoing data, that image is refused at kexec, unless
	 * kexec_load() has loaded it.
	 */
	image->file_mode = true;
	KUNIT_EXPECT_EQ(test, kho_check_kimage(image), 0);
	kho_add_subtree("owner", kho_out.fdt, 1);
	KUNIT_EXPECT_EQ(test, kho_check_kimage(image), -EOPNOTSUPP);
	image->file_mode = false;
	KUNIT_EXPECT_EQ(test, kho_check_kimage(image), 0);
}

/* Pages of an image are marked while they are in use, and are all freed. */
static void image_test_marks(struct kunit *test)
{
	struct kimage *image = new_image(test);
	unsigned long before = sim_count(SIM_USED), nr = 0;
	char line[80];

	sim_log_clear();
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	for (unsigned int i = 0; i < sim_contig_nr; i++)
		nr += sim_contig[i].nr;
	KUNIT_EXPECT_EQ(test, sim_image_pages.reserved, nr);
	KUNIT_EXPECT_EQ(test, sim_image_pages.untagged, nr);
	/* This includes the page of the list of areas. */
	KUNIT_EXPECT_EQ(test, sim_image_pages.shared, nr + 1);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_USED), before + 1);
	snprintf(line, sizeof(line), "scratch memory: allocated for image (%lluMiB in %u areas)",
		 PFN_PHYS(nr) >> 20, sim_contig_nr);
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(line), "%s in %s", line, sim_log());

	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, sim_image_pages.reserved, 0);
	KUNIT_EXPECT_EQ(test, sim_image_pages.shared, 0);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_USED), before);
}

/* The architecture refuses the pages of an area, or the page of the list. */
static void image_test_not_shared(struct kunit *test)
{
	unsigned long before = sim_count(SIM_USED);
	bool refused = true;
	unsigned int n;

	for (n = 0; refused; n++) {
		struct kimage *image = new_image(test);

		sim_share_fails = n + 1;
		KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
		refused = !sim_share_fails;
		/*
		 * If an area is refused, another one may replace it, but the
		 * page of the list has no replacement.
		 */
		if (image->kho.areas)
			expect_enough(test);
		KUNIT_EXPECT_TRUE(test, n != 4 || !image->kho.areas);
		kho_release_kimage(image);
		KUNIT_ASSERT_EQ(test, sim_contig_nr, 0);
		KUNIT_ASSERT_EQ(test, sim_image_pages.reserved, 0);
		KUNIT_ASSERT_EQ(test, sim_count(SIM_USED), before);
	}
	KUNIT_EXPECT_EQ(test, n, 6);
}

/* A range is not used for an area if a page in it is preserved. */
static void image_test_preserved_meanwhile(struct kunit *test)
{
	struct kho_radix_tree map = sim_core_out_map();
	struct kimage *image = new_image(test);
	phys_addr_t taken;

	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	taken = areas_of_images(test).area[1].addr + SZ_1M;
	kho_release_kimage(image);
	KUNIT_ASSERT_EQ(test, kho_radix_add_key(&map, kho_encode_key(taken, 0)), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct seen seen;

		KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
		seen = areas_of_images(test);
		for (unsigned int j = 0; j < seen.nr; j++)
			KUNIT_EXPECT_FALSE(test, taken - seen.area[j].addr < seen.area[j].size);
		kho_release_kimage(image);
		KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	}
	kho_radix_take_key(&map, kho_encode_key(taken, 0));
}

/* Not too many areas for the next kernel, and none larger than needed. */
static void image_test_number_of_pieces(struct kunit *test)
{
	struct kimage *image = new_image(test);
	u64 high = 0;

	kho_boot_use = (struct kho_boot_use){ .high = 176 * SZ_1M };
	sim_contig_largest = PHYS_PFN(120 * SZ_1M);
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	for (unsigned int i = 1; i < sim_contig_nr; i++)
		high += PFN_PHYS(sim_contig[i].nr);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 3);
	KUNIT_EXPECT_EQ(test, high, 220 * SZ_1M);
	kho_release_kimage(image);

	image->kernel_buf_len = 0;
	image->initrd_buf_len = 0;
	for (unsigned int pieces = 62; pieces < 66; pieces++) {
		kho_boot_use.high = pieces * SZ_16M / 5 * 4;
		sim_contig_largest = PHYS_PFN(SZ_16M);
		KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
		KUNIT_EXPECT_EQ(test, !!image->kho.areas, pieces < 64);
		kho_release_kimage(image);
		KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	}
}

#define NO_HANDOVER	"image: loaded without a handover, nothing is preserved "

/* If the areas would need all available memory, none is allocated. */
static void image_test_available(struct kunit *test)
{
	u64 need = round_up(KERNEL + INITRD + SZ_8M, SZ_4M) + (LOW + HIGH) / 4 * 5;
	struct kimage *image = new_image(test);

	for (int more = -1; more <= 1; more++) {
		sim_available = PHYS_PFN(need) + more;
		KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
		KUNIT_EXPECT_EQ(test, !!image->kho.areas, more > 0);
		kho_release_kimage(image);
	}
	KUNIT_EXPECT_TRUE(test,
			  sim_logged(NO_HANDOVER "(594MiB needed, 594MiB available)"));

	/*
	 * If an area cannot be allocated, the log has the size of the areas that
	 * were allocated.
	 */
	sim_available = ULONG_MAX >> PAGE_SHIFT;
	sim_contig_left = 2;
	sim_contig_rcu = 2;
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("(594MiB needed, 96MiB available)"));
}

/* A caller that is killed does not get -ENOMEM. */
static void image_test_killed(struct kunit *test)
{
	struct kimage *image = new_image(test);

	current->killed = true;
	sim_contig_left = 1;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), -EINTR);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	KUNIT_EXPECT_NULL(test, image->kho.areas);
}

static int answers[8], nr_asked;

static int answer(struct resource *res, void *data)
{
	struct kexec_buf *kbuf = data;

	kbuf->mem = res->start;
	return answers[nr_asked++];
}

/* One area after the other is tried until one has space. */
static void image_test_hole(struct kunit *test)
{
	static const struct {
		int answers[4];
		int err, asked;
	} rows[] = {
		{ { 1 }, 0, 1 }, { { 0, 1 }, 0, 2 }, { { 0, 0, 0, 1 }, 0, 4 },
		{ { 0, 0, 0, 0 }, -EADDRNOTAVAIL, 4 }, { { -EBUSY, 1 }, -EADDRNOTAVAIL, 1 },
		{ { 0, -EBUSY, 1 }, -EADDRNOTAVAIL, 2 },
	};
	struct kimage *image = new_image(test);
	struct seen seen;

	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	seen = areas_of_images(test);
	KUNIT_ASSERT_EQ(test, seen.nr, 4);
	KUNIT_EXPECT_MEMEQ(test, image->segment[0].kbuf, seen.area, seen.nr * sizeof(*seen.area));
	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kexec_buf kbuf = { .image = image };

		memcpy(answers, rows[i].answers, sizeof(rows[i].answers));
		nr_asked = 0;
		KUNIT_EXPECT_EQ(test, kho_locate_mem_hole(&kbuf, answer), rows[i].err);
		KUNIT_EXPECT_EQ(test, nr_asked, rows[i].asked);
		KUNIT_EXPECT_EQ(test, kbuf.mem, seen.area[nr_asked - 1].addr);
		KUNIT_EXPECT_PTR_EQ(test, kbuf.cma, rows[i].err ? NULL : phys_to_page(kbuf.mem));
	}
	kho_release_kimage(image);
}

/*
 * If the segment of the list cannot be added, the areas are freed with the
 * image.
 */
static void image_test_no_segment(struct kunit *test)
{
	struct kimage *image = new_image(test);

	sim_add_err = -EINVAL;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), -EINVAL);
	KUNIT_EXPECT_NULL(test, image->kho.scratch);
	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	KUNIT_EXPECT_EQ(test, sim_image_pages.shared, 0);
}

/* An image that has a handover is not replaced by one without. */
static void image_test_replace(struct kunit *test)
{
	struct kimage *first = new_image(test), *second = new_image(test);
	struct kimage *loaded = kexec_image;
	unsigned int nr;

	KUNIT_ASSERT_EQ(test, kho_fill_kimage(first), 0);
	nr = sim_contig_nr;
	kexec_image = first;
	sim_contig_left = 1;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(second), -ENOMEM);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, nr);

	sim_contig_left = UINT_MAX;
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(second), 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 2 * nr);
	kexec_image = second;
	kho_release_kimage(first);
	KUNIT_EXPECT_EQ(test, areas_of_images(test).nr, nr);
	kexec_image = loaded;
	kho_release_kimage(second);
	KUNIT_EXPECT_EQ(test, areas_of_images(test).nr, 0);
}

/* The area for crash memory is contiguous, and low if crash memory is low. */
static void image_test_crash_memory(struct kunit *test)
{
	const u64 size = 256 * SZ_1M;
	/* The second range ends at the end of low memory. */
	const u64 starts[] = { SZ_1G, (1UL << 32) - size, 1UL << 36 };

	kho_boot_use.low = HIGH;
	for (int i = 0; i < ARRAY_SIZE(starts); i++) {
		struct kimage *image = new_image(test);
		bool there = false, high = starts[i] >> 32;

		crashk_res = (struct resource){ starts[i], starts[i] + size - 1 };
		KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
		for (unsigned int j = 0; j < sim_contig_nr; j++) {
			there |= sim_contig[j].nr > PHYS_PFN(2 * size + KERNEL) &&
				 high == (PFN_PHYS(sim_contig[j].pfn) >> 32 > 0);
		}
		KUNIT_EXPECT_TRUE(test, there);
		kho_release_kimage(image);

		/* One area has to be large enough for the crash kernel. */
		sim_contig_largest = PHYS_PFN(size / 4 * 5);
		KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
		KUNIT_EXPECT_NOT_NULL(test, image->kho.areas);
		kho_release_kimage(image);

		sim_contig_largest = PHYS_PFN(size);
		KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
		KUNIT_EXPECT_NULL(test, image->kho.areas);
		KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
		sim_contig_largest = ULONG_MAX;
	}
}

/* A sum of sizes that overflows must not become a small one. */
static void image_test_huge(struct kunit *test)
{
	struct kimage *image = new_image(test);

	sim_available = PHYS_PFN(1UL << 40);
	image->kernel_buf_len = SIZE_MAX - SZ_4M;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, image->kho.fdt, 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
}

static void image_test_crash(struct kunit *test)
{
	struct kimage *image = new_image(test);

	image->type = KEXEC_TYPE_CRASH;
	KUNIT_EXPECT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	KUNIT_EXPECT_EQ(test, image->kho.fdt, 0);
}

/* Areas reserved at boot do not belong to an image. */
static void image_test_reserved(struct kunit *test)
{
	struct kimage *image = new_image(test);

	sim_boot_cold();
	KUNIT_ASSERT_EQ(test, kho_fill_kimage(image), 0);
	KUNIT_EXPECT_EQ(test, sim_contig_nr, 0);
	KUNIT_EXPECT_EQ(test, image->segment[0].mem, kho_scratch[0].addr);
	KUNIT_EXPECT_NULL(test, image->segment_cma[0]);
	kho_release_kimage(image);
	KUNIT_EXPECT_EQ(test, areas_of_images(test).nr, 0);
}

/* Overlaps are found for each preserved page, in blocks of any order. */
static void image_test_overlap(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, 3);
	phys_addr_t phys = page_to_phys(page);

	KUNIT_EXPECT_FALSE(test, kho_out_overlaps(phys, 8 * PAGE_SIZE));
	for (unsigned int first = 0; first < 8; first++) {
		for (unsigned int nr = 1; first + nr <= 8; nr++) {
			KUNIT_ASSERT_EQ(test, kho_preserve_pages(page + first, nr), 0);
			for (unsigned int i = 0; i < 8; i++)
				KUNIT_EXPECT_EQ(test, i - first < nr,
						kho_out_overlaps(phys + i * PAGE_SIZE, PAGE_SIZE));
			KUNIT_EXPECT_TRUE(test, kho_out_overlaps(0, SIM_PAGES * PAGE_SIZE));
			kho_unpreserve_pages(page + first, nr);
		}
	}
	__free_pages(page, 3);
}

static struct kunit_case image_test_cases[] = {
	KUNIT_CASE(image_test_pieces),
	KUNIT_CASE(image_test_small_pieces),
	KUNIT_CASE(image_test_in_place),
	KUNIT_CASE(image_test_no_memory),
	KUNIT_CASE(image_test_rcu),
	KUNIT_CASE(image_test_unused),
	KUNIT_CASE(image_test_marks),
	KUNIT_CASE(image_test_not_shared),
	KUNIT_CASE(image_test_preserved_meanwhile),
	KUNIT_CASE(image_test_number_of_pieces),
	KUNIT_CASE(image_test_available),
	KUNIT_CASE(image_test_killed),
	KUNIT_CASE(image_test_hole),
	KUNIT_CASE(image_test_no_segment),
	KUNIT_CASE(image_test_replace),
	KUNIT_CASE(image_test_crash_memory),
	KUNIT_CASE(image_test_huge),
	KUNIT_CASE(image_test_crash),
	KUNIT_CASE(image_test_reserved),
	KUNIT_CASE(image_test_overlap),
	{}
};

static struct kunit_suite image_suite = {
	.name = "unit-image",
	.init = image_test_init,
	.exit = image_test_exit,
	.test_cases = image_test_cases,
};

kunit_test_suite(image_suite);
