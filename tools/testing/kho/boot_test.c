// SPDX-License-Identifier: GPL-2.0
/*
 * Early boot: the arguments of the boot protocol and the root tree.  A handover
 * that cannot be used is refused with a line that has the reason, and the
 * kernel boots without it.
 */

#include "old.h"

#include <linux/kho/vmalloc.h>
#include <linux/libfdt.h>

/* The arguments of the boot protocol. */

struct bad_call {
	const char *name;
	void (*damage)(struct old *old);
	const char *line;
};

static void odd_fdt(struct old *old)
{
	old->handover.fdt += 8;
}

static void odd_fdt_size(struct old *old)
{
	old->handover.fdt_len += 8;
}

static void no_fdt(struct old *old)
{
	old->handover.fdt = 0;
}

static void fdt_far_away(struct old *old)
{
	old->handover.fdt = 1ULL << 50;
}

static void short_fdt(struct old *old)
{
	old->handover.fdt_len = 16;
}

static void fdt_without_bytes(struct old *old)
{
	old->handover.fdt_len = 0;
}

static void bad_magic(struct old *old)
{
	*(u32 *)old->fdt ^= 1;
}

static void long_tree(struct old *old)
{
	fdt_set_totalsize(old->fdt, old->handover.fdt_len + 8);
}

static void no_map(struct old *old)
{
	fdt_delprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME);
}

static void short_map(struct old *old)
{
	u32 map = 0x1000;

	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
}

static void set_map(struct old *old, u64 map)
{
	fdt_setprop(old->fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
}

static void null_map(struct old *old)
{
	set_map(old, 0);
}

static void odd_map(struct old *old)
{
	set_map(old, virt_to_phys(old->map.root) + 8);
}

static void map_far_away(struct old *old)
{
	set_map(old, 1ULL << 50);
}

static void no_compatible(struct old *old)
{
	fdt_delprop(old->fdt, 0, "compatible");
}

static void other_compatible(struct old *old)
{
	fdt_setprop_string(old->fdt, 0, "compatible", "kho-v9;radix-v1;vmalloc-v1");
}

static void other_radix(struct old *old)
{
	fdt_setprop_string(old->fdt, 0, "compatible", "kho-v4;radix-v9;vmalloc-v1");
}

static void endless_compatible(struct old *old)
{
	fdt_setprop(old->fdt, 0, "compatible", "kho-v4;radix-v1;vmalloc-v1", 26);
}

static void no_scratch(struct old *old)
{
	old->handover.scratch_len = 0;
}

static void odd_scratch(struct old *old)
{
	old->handover.scratch_len = sizeof(struct kho_scratch) + 8;
}

static void much_scratch(struct old *old)
{
	old->handover.scratch_len = 1000 * sizeof(struct kho_scratch);
}

static void huge_scratch(struct old *old)
{
	old->handover.scratch_len = SZ_1M;
}

static void empty_area(struct old *old)
{
	old->scratch[0].size = 0;
}

static void odd_area(struct old *old)
{
	old->scratch[0].addr -= PAGE_SIZE;
}

static void endless_area(struct old *old)
{
	old->scratch[0].size = -CMA_MIN_ALIGNMENT_BYTES;
}

static void area_in_hole(struct old *old)
{
	old->scratch[0].addr = SIM_PAGES / 2 * PAGE_SIZE;
	old->scratch[0].size = CMA_MIN_ALIGNMENT_BYTES;
}

static void area_far_away(struct old *old)
{
	old->scratch[0].addr = 1ULL << 50;
}

/* The area begins in RAM and ends after it. */
static void area_too_long(struct old *old)
{
	old->scratch[0].size += CMA_MIN_ALIGNMENT_BYTES;
}

static void scratch_far_away(struct old *old)
{
	old->handover.scratch = 1ULL << 50;
}

static const struct bad_call bad_calls[] = {
	{ "no root tree", no_fdt, "root tree: failed to map (" },
	{ "root tree not aligned", odd_fdt, "root tree: failed to map (" },
	{ "odd bytes of root tree", odd_fdt_size, "root tree: failed to map (" },
	{ "root tree far away", fdt_far_away, "root tree: failed to map (" },
	{ "short root tree", short_fdt, "root tree: failed to map (16 bytes" },
	{ "root tree without bytes", fdt_without_bytes,
	  "root tree: failed to map (0 bytes" },
	{ "bad magic", bad_magic, "root tree: invalid FDT (" },
	{ "root tree too long", long_tree, "larger than its memory" },
	{ "no map", no_map, "root tree: invalid memory map address" },
	{ "short map", short_map, "root tree: invalid memory map address" },
	{ "null map", null_map, "root tree: invalid memory map address" },
	{ "map not aligned", odd_map, "root tree: invalid memory map address" },
	{ "map far away", map_far_away, "memory map: invalid node address" },
	{ "no compatible", no_compatible, "empty string" },
	{ "other base", other_compatible, "kho-v9" },
	{ "other radix", other_radix, "radix-v9" },
	{ "compatible without end", endless_compatible, "not terminated" },
	{ "no scratch", no_scratch, "scratch array: failed to map (0 bytes" },
	{ "odd bytes of scratch", odd_scratch, "scratch array: invalid size (24 bytes)" },
	{ "too many scratch areas", much_scratch,
	  "scratch array: invalid size (16000 bytes)" },
	{ "huge array of scratch areas", huge_scratch,
	  "scratch array: failed to map (1048576 bytes" },
	{ "empty scratch area", empty_area, "scratch array: all areas are empty" },
	{ "scratch area not aligned", odd_area, "scratch area 0: misaligned or out of range (" },
	{ "endless scratch area", endless_area, "scratch area 0: misaligned or out of range (" },
	{ "scratch area in hole", area_in_hole, ": not in RAM (" },
	{ "scratch area far away", area_far_away, ": not in RAM (" },
	{ "scratch area beyond memory", area_too_long, ": not in RAM (" },
	{ "scratch far away", scratch_far_away, "scratch array: failed to map (" },
};

KUNIT_ARRAY_PARAM_DESC(bad_call, bad_calls, name);

static void boot_test_bad_call(struct kunit *test)
{
	const struct bad_call *bad = test->param_value;
	struct old *old = old_new(test);

	old_write_root(test, old);
	bad->damage(old);
	sim_log_clear();
	KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
	KUNIT_EXPECT_TRUE_MSG(test, sim_logged(bad->line), "'%s' was not logged",
			      bad->line);
	/*
	 * Refused by kho_populate() or by kho_memory_init_early(), not by both.
	 */
	KUNIT_EXPECT_NE(test, sim_logged("disabling KHO revival"),
			sim_logged("handover: discarded"));
	KUNIT_EXPECT_NULL(test, kho_in.map.root);
	/* Most memory is free. */
	KUNIT_EXPECT_GT(test, sim_count(SIM_FREE), SIM_PAGES / 2);
}

/*
 * A handover of a kernel with another page size is not read; the log has both
 * sizes.
 */
static void boot_test_other_pages(struct kunit *test)
{
	static const unsigned int sizes[] = { SZ_4K, SZ_16K, SZ_64K };

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct old *old = old_new(test);
		char line[64];

		if (sizes[i] == PAGE_SIZE)
			continue;
		old_write_root(test, old);
		old->handover.fdt_len = sizes[i];
		sim_log_clear();
		KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
		snprintf(line, sizeof(line), "page size (%u bytes, expected %lu)",
			 sizes[i], PAGE_SIZE);
		KUNIT_EXPECT_TRUE(test, sim_logged(line));
		KUNIT_EXPECT_FALSE(test, sim_logged("invalid FDT"));
		KUNIT_EXPECT_TRUE(test, sim_logged("disabling KHO revival"));
		KUNIT_EXPECT_FALSE(test, sim_logged("handover: discarded"));
		KUNIT_EXPECT_NULL(test, kho_in.map.root);
	}
}

/*
 * The same handover without damage, so that each failure above has one cause.
 */
static void boot_test_good_call(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, old_boot(test, old_new(test)));
	KUNIT_EXPECT_FALSE(test, sim_logged("disabling KHO revival"));
	KUNIT_EXPECT_FALSE(test, sim_logged("handover: discarded"));
	KUNIT_EXPECT_FALSE(test, sim_logged("lost"));
	KUNIT_EXPECT_TRUE(test, kho_in.same);
	for (int i = 0; i < ARRAY_SIZE(bad_calls); i++)
		KUNIT_EXPECT_FALSE(test, sim_logged(bad_calls[i].line));
}

static bool only_scratch;

static void look_at_memblock(void)
{
	only_scratch = memblock_kho_scratch_only();
}

/* Before the map is read, only scratch memory is used. */
static void boot_test_only_scratch(struct kunit *test)
{
	struct old *old = old_new(test);

	only_scratch = false;
	old->handover.between_walks = look_at_memblock;
	KUNIT_EXPECT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_TRUE(test, only_scratch);
}

/* Another version of vmalloc is reported, and other data can be restored. */
static void boot_test_other_vmalloc(struct kunit *test)
{
	static const struct {
		const char *offered;
		bool differs;
	} rows[] = {
		{ KHO_FDT_COMPATIBLE, false },
		{ "kho-v4", false },
		{ "kho-v4;radix-v1;vmalloc-v9", true },
		{ "kho-v4;radix-v1", true },
		{ "kho-v4;other-v1;radix-v1;vmalloc-v1", false },
	};

	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct old *old = old_new(test);
		struct kho_vmalloc desc = { };

		old_write_root(test, old);
		fdt_setprop_string(old->fdt, 0, "compatible", rows[i].offered);
		KUNIT_EXPECT_TRUE(test, sim_boot_warm(&old->handover));
		KUNIT_EXPECT_EQ_MSG(test, kho_incoming_differs(KHO_VMALLOC_COMPATIBLE),
				    rows[i].differs, "%s", rows[i].offered);
		KUNIT_EXPECT_EQ_MSG(test, kho_in.same, i < 2, "%s", rows[i].offered);
		KUNIT_EXPECT_EQ_MSG(test, kho_vmalloc_check(&desc),
				    rows[i].differs ? -EOPNOTSUPP : -EINVAL,
				    "%s", rows[i].offered);
	}
}

/* The root tree. */

/*
 * Writes the root tree to the first half of a block, and returns its page frame.
 * The tree is preserved as a block of order @preserved.
 */
static unsigned long write_half_root(struct kunit *test, struct old *old,
				     unsigned int preserved)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	unsigned long pfn;
	void *copy;

	old_write_root(test, old);
	copy = (void *)__get_free_pages(GFP_KERNEL, order + 1);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, old->fdt, SIM_FDT_SIZE);
	kho_radix_del_key(&old->map, kho_encode_key(old->handover.fdt, order));
	old->handover.fdt = virt_to_phys(copy);
	pfn = PHYS_PFN(old->handover.fdt);
	old_put(test, old, pfn, preserved);
	return pfn;
}

/*
 * A stale block of a larger order around the root tree does not affect the
 * tree.
 */
static void boot_test_root_preserved_twice(struct kunit *test)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	struct old *old = old_new(test);
	unsigned long pfn = write_half_root(test, old, order);

	old_put(test, old, pfn, order + 1);

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_TRUE(test, sim_logged("duplicate, the first owner gets it"));
	KUNIT_EXPECT_TRUE(test, sim_logged("discarded, another owner restored a part of it"));
	old_expect_lost(test, old, pfn, BIT(order));
	old_expect_lost(test, old, pfn, BIT(order + 1));
	old_check(test, old, false);
}

/* The root tree may be anywhere in a preserved block. */
static void boot_test_root_in_larger_block(struct kunit *test)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	struct old *old = old_new(test);
	unsigned long pfn = write_half_root(test, old, order + 1);

	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	KUNIT_EXPECT_EQ(test, kho_in.overlap_end, 0);
	old_expect_lost(test, old, pfn, BIT(order + 1));
	old_check(test, old, false);
}

/*
 * A root tree in use by this kernel is refused before anything is reserved, so
 * that no memory is lost.
 */
static void boot_test_root_in_use(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long first = SIM_PAGES / 3;

	old_put_block(test, old, first, 0);
	old_write_root(test, old);
	old->handover.image = (struct sim_ranges){ old->handover.fdt, PAGE_SIZE, 1 };
	old_expect_refused(test, old, "root tree: in use by this kernel");
	KUNIT_EXPECT_EQ(test, sim_memmap[first].state, SIM_FREE);
	KUNIT_EXPECT_FALSE(test, memblock_kho_scratch_only());
}

/* The next kernel has less memory, for example because of "mem=". */
static void boot_test_root_not_mapped(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long first = SIM_PAGES / 3;

	old_put_block(test, old, first, 0);
	old_write_root(test, old);
	old->handover.firmware = (struct sim_ranges){ old->handover.fdt, PAGE_SIZE, 1 };
	old_expect_refused(test, old, "root tree: not in RAM");
	KUNIT_EXPECT_EQ(test, sim_memmap[first].state, SIM_FREE);
}

/* The next page is not in RAM, and the page after a second root tree has an owner. */
static void boot_test_root_at_end(struct kunit *test)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	struct old *old = old_new(test);
	unsigned long pfn = write_half_root(test, old, order);

	old->handover.firmware = (struct sim_ranges){ PFN_PHYS(pfn + BIT(order)), PAGE_SIZE, 1 };
	KUNIT_EXPECT_TRUE(test, sim_boot_warm(&old->handover));

	old = old_new(test);
	pfn = write_half_root(test, old, order);
	old_put_block(test, old, pfn + BIT(order), 0);
	KUNIT_ASSERT_TRUE(test, old_boot(test, old));
	old_expect_folio(test, old, pfn + BIT(order), 0);
}

/* The maximum number of areas, of which most are empty, and one more. */
static void boot_test_many_areas(struct kunit *test)
{
	for (unsigned int nr = KHO_MAX_SCRATCH_AREAS; nr < KHO_MAX_SCRATCH_AREAS + 2; nr++) {
		struct old *old = old_new(test);

		if (PAGE_SIZE < SZ_4K)
			kunit_skip(test, "the array does not fit into a page");
		memset(&old->scratch[1], 0, nr * sizeof(*old->scratch));
		old->handover.scratch_len = nr * sizeof(*old->scratch);
		old_write_root(test, old);
		KUNIT_EXPECT_EQ(test, sim_boot_warm(&old->handover), nr == KHO_MAX_SCRATCH_AREAS);
	}
}

static void boot_test_scratch_not_mapped(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned int areas = kho_scratch_cnt;

	old_write_root(test, old);
	old->handover.firmware = (struct sim_ranges){ old->handover.scratch, PAGE_SIZE, 1 };
	sim_log_clear();
	KUNIT_EXPECT_FALSE(test, sim_boot_warm(&old->handover));
	KUNIT_EXPECT_TRUE(test, sim_logged("scratch array: not in RAM"));
	/* This kernel has an array of its own. */
	KUNIT_EXPECT_NOT_NULL(test, kho_scratch);
	if (PAGE_SIZE >= SZ_4K)
		KUNIT_EXPECT_EQ(test, kho_scratch_cnt, areas);
	KUNIT_EXPECT_NE(test, virt_to_phys(kho_scratch), old->handover.scratch);
}

/* This kernel may have overwritten a root tree in scratch memory. */
static void boot_test_root_in_scratch(struct kunit *test)
{
	struct old *old = old_new(test);
	unsigned long size = max(SIM_FDT_SIZE, PAGE_SIZE);
	unsigned long first = SIM_PAGES / 3;

	old_put_block(test, old, first, 0);
	old_write_root(test, old);
	sim_set_state(PHYS_PFN(old->scratch[0].addr), size / PAGE_SIZE, SIM_LEFT);
	memcpy(phys_to_virt(old->scratch[0].addr), old->fdt, SIM_FDT_SIZE);
	old->handover.fdt = old->scratch[0].addr;
	old_put(test, old, PHYS_PFN(old->handover.fdt), get_order(SIM_FDT_SIZE));
	old_expect_refused(test, old, "root tree: in scratch memory");
	KUNIT_EXPECT_EQ(test, sim_memmap[first].state, SIM_FREE);
}

static void boot_test_root_not_preserved(struct kunit *test)
{
	struct old *old = old_new(test);

	old_write_root(test, old);
	kho_radix_del_key(&old->map, kho_encode_key(old->handover.fdt,
						    get_order(SIM_FDT_SIZE)));
	old_expect_refused(test, old, "root tree: not preserved");
}

/*
 * The block of the root tree is partly in use by this kernel, so its key is
 * dropped.
 */
static void boot_test_root_loses_key(struct kunit *test)
{
	unsigned int order = get_order(SIM_FDT_SIZE);
	struct old *old = old_new(test);
	unsigned long pfn = write_half_root(test, old, order + 1);

	old->handover.image = (struct sim_ranges){ PFN_PHYS(pfn + BIT(order)), 8, 1 };
	old_expect_refused(test, old, "root tree: not preserved");
	KUNIT_EXPECT_TRUE(test, sim_logged("discarded, in use by this kernel"));
	KUNIT_EXPECT_TRUE(test, sim_logged("handover: discarded, invalid memory map:"));
}

/* The kernel that writes a handover. */

/* The maximum number of areas, and one more. */
static void boot_test_many_nodes(struct kunit *test)
{
	static const struct {
		unsigned int nodes;
		bool enabled;
	} rows[] = {
		{ 1, true }, { 118, true }, { 119, false }, { 1024, false },
	};

	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		sim_nr_nodes = rows[i].nodes;
		sim_log_clear();
		sim_boot_cold();
		KUNIT_EXPECT_EQ_MSG(test, !!kho_scratch, rows[i].enabled,
				    "%u nodes", rows[i].nodes);
		KUNIT_EXPECT_EQ_MSG(test, sim_logged("scratch areas: too many ("),
				    !rows[i].enabled, "%u nodes", rows[i].nodes);
		KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA) != 0, rows[i].enabled);
	}
}

static void back_to_cold(struct kunit *test)
{
	sim_nr_nodes = 1;
	sim_boot_cold();
}

static struct kunit_case boot_cases[] = {
	KUNIT_CASE(boot_test_good_call),
	KUNIT_CASE(boot_test_only_scratch),
	KUNIT_CASE_PARAM(boot_test_bad_call, bad_call_gen_params),
	KUNIT_CASE(boot_test_other_pages),
	KUNIT_CASE(boot_test_other_vmalloc),
	KUNIT_CASE(boot_test_root_not_preserved),
	KUNIT_CASE(boot_test_root_preserved_twice),
	KUNIT_CASE(boot_test_root_in_larger_block),
	KUNIT_CASE(boot_test_root_loses_key),
	KUNIT_CASE(boot_test_root_in_use),
	KUNIT_CASE(boot_test_root_not_mapped),
	KUNIT_CASE(boot_test_root_at_end),
	KUNIT_CASE(boot_test_many_areas),
	KUNIT_CASE(boot_test_scratch_not_mapped),
	KUNIT_CASE(boot_test_root_in_scratch),
	KUNIT_CASE(boot_test_many_nodes),
	{}
};

static struct kunit_suite boot_suite = {
	.name = "unit-boot",
	.exit = back_to_cold,
	.test_cases = boot_cases,
};

kunit_test_suite(boot_suite);
