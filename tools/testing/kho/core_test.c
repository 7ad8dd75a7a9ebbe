// SPDX-License-Identifier: GPL-2.0
/*
 * The core from boot to kexec: kernels without a handover, the chain of kernels,
 * subtrees in a root tree that is full, and a boot that runs out of memory.
 */

#include "old.h"

#include <linux/kho/abi/kexec_metadata.h>
#include <linux/libfdt.h>

static int core_test_init(struct kunit *test)
{
	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "the root tree of this machine is not the kernel's");
	return 0;
}

static void core_test_exit(struct kunit *test)
{
	sim_kdump = false;
	sim_boot_with("kho", NULL);
	sim_boot_cold();
}

/* Kernels without an outgoing handover. */

static const struct answer {
	const char *value;
	int err;
	bool enabled;
} answers[] = {
	{ "on", 0, true }, { "off", 0, false }, { "0", 0, false }, { "1", 0, true },
	{ "perhaps", -EINVAL }, { "", -EINVAL },
};

static void core_test_option(struct kunit *test)
{
	for (int i = 0; i < 2 * ARRAY_SIZE(answers); i++) {
		const struct answer *a = &answers[i / 2];

		kho_enable = i % 2;
		KUNIT_EXPECT_EQ(test, sim_param("kho", a->value), a->err);
		KUNIT_EXPECT_EQ_MSG(test, kho_is_enabled(), a->err ? i % 2 : a->enabled,
				    "%s", a->value);
	}
}

/*
 * Functions that need an outgoing handover fail, and those that undo them do
 * nothing.
 */
static void expect_no_handover(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 1);
	struct kimage image = { .kernel_buf_len = SZ_1M, .file_mode = true };

	KUNIT_EXPECT_FALSE(test, kho_is_enabled());
	KUNIT_EXPECT_NULL(test, kho_out.fdt);
	KUNIT_EXPECT_EQ(test, kho_preserve_folio(folio), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(&folio->page, 2), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(PAGE_SIZE)), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, kho_add_subtree("data", folio_address(folio), PAGE_SIZE),
			-EOPNOTSUPP);
	kho_remove_subtree(folio_address(folio));
	folio_put(folio);

	KUNIT_EXPECT_EQ(test, kho_fill_kimage(&image), 0);
	KUNIT_EXPECT_EQ(test, image.nr_segments, 0);
	KUNIT_EXPECT_EQ(test, kho_check_kimage(&image), 0);
}

static void core_test_off(struct kunit *test)
{
	sim_boot_with("kho", "off");
	sim_boot_cold();
	expect_no_handover(test);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA) + totalcma_pages, 0);
	KUNIT_EXPECT_FALSE(test, is_kho_boot());
	KUNIT_EXPECT_FALSE(test, sim_logged("disabled"));
}

/* With kho=off, preserved memory stays reserved. */
static void core_test_off_keeps(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 2);
	phys_addr_t phys = PFN_PHYS(folio_pfn(folio));
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	h = sim_kexec();
	sim_boot_with("kho", "off");
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	KUNIT_EXPECT_TRUE(test, sim_logged("disabled, preserved memory stays reserved"));
	KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA), totalcma_pages);
	KUNIT_EXPECT_GT(test, totalcma_pages, 0);
	KUNIT_EXPECT_TRUE(test, kho_in_covers(phys, 4 * PAGE_SIZE));

	folio = kho_restore_folio(phys);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	expect_no_handover(test);
}

static void core_test_kdump(struct kunit *test)
{
	sim_kdump = true;
	sim_log_clear();
	sim_boot_cold();
	KUNIT_EXPECT_TRUE(test, sim_logged("disabled in the kdump kernel"));
	expect_no_handover(test);
	KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA), 0);
}

/* If an allocation of the core fails, only the handover is lost. */
static void core_test_no_memory(struct kunit *test)
{
	unsigned int off = 0, unnamed = 0;
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		struct old *old = old_new(test);

		old_put_block(test, old, SIM_PAGES / 3, 0);
		old_finish(test, old);
		sim_fail_nth(n);
		sim_boot_warm(&old->handover);
		failed = sim_failed();
		sim_fail_nth(0);
		if (sim_logged("kexec-metadata: failed to preserve")) {
			KUNIT_EXPECT_EQ(test, fdt_subnode_offset(sim_core_fdt(), 0,
								 KHO_METADATA_NODE_NAME),
					-FDT_ERR_NOTFOUND);
			/* Only the root tree and the time line are preserved. */
			KUNIT_EXPECT_EQ(test, sim_balance().pages, 2);
			KUNIT_EXPECT_EQ(test, sim_balance().keys, 2);
			unnamed++;
		}
		if (!sim_logged("failed to initialize, disabling kexec handover"))
			continue;
		KUNIT_EXPECT_EQ(test, sim_count(SIM_USED), 0);
		KUNIT_EXPECT_EQ(test, sim_count(SIM_CMA), totalcma_pages);
		KUNIT_EXPECT_NE(test, kho_scratch_cnt, 0);
		old_expect_folio(test, old, SIM_PAGES / 3, 0);
		expect_no_handover(test);
		off++;
	}
	/*
	 * Allocations that the core needs: the root of the map, the root tree,
	 * and the other nodes on the path to its key.
	 */
	KUNIT_EXPECT_EQ(test, off, 2 + KHO_TREE_MAX_DEPTH - 1);
	KUNIT_EXPECT_GE(test, unnamed, 1);
}

/* The chain of kernels. */

static struct kho_kexec_metadata *chain(void)
{
	u64 phys;
	int node = fdt_subnode_offset(sim_core_fdt(), 0, KHO_METADATA_NODE_NAME);

	BUG_ON(kho_fdt_get_u64(sim_core_fdt(), node, KHO_SUB_TREE_PROP_NAME, &phys));
	return phys_to_virt(phys);
}

static bool hop(void)
{
	struct sim_handover h = sim_kexec();

	sim_log_clear();
	return sim_boot_warm(&h);
}

static void core_test_chain(struct kunit *test)
{
	char line[80];

	for (unsigned int n = 1; n < 5; n++) {
		phys_addr_t before = virt_to_phys(chain());

		KUNIT_EXPECT_EQ(test, chain()->version, KHO_KEXEC_METADATA_VERSION);
		KUNIT_EXPECT_EQ(test, chain()->kexec_count, n);
		KUNIT_EXPECT_STREQ(test, chain()->previous_release, init_uts_ns.name.release);
		snprintf(line, sizeof(line), "exec from: some-kernel (count %u)", n);
		strcpy(chain()->previous_release, "some-kernel");
		KUNIT_ASSERT_TRUE(test, hop());
		KUNIT_EXPECT_TRUE(test, sim_logged(line));
		KUNIT_EXPECT_FALSE(test, sim_logged("kexec-metadata: in"));
		KUNIT_EXPECT_NE(test, phys_to_page(before)->state, SIM_LEFT);
	}
}

static const struct bad_chain {
	const char *name;
	u64 size;
	u32 version;
	const char *log;	/* NULL: it is good */
} bad_chains[] = {
	{ "as it is", sizeof(struct kho_kexec_metadata), 1, NULL },
	{ "larger", PAGE_SIZE, 1, NULL },
	{ "a byte short", sizeof(struct kho_kexec_metadata) - 1, 1,
	  "kexec-metadata: invalid size (72 bytes" },
	{ "one byte", 1, 1, "kexec-metadata: invalid size (1 bytes" },
	{ "no version", sizeof(struct kho_kexec_metadata), 0,
	  "kexec-metadata: incompatible version (0, expected 1)" },
	{ "next version", sizeof(struct kho_kexec_metadata), 2,
	  "kexec-metadata: incompatible version (2, expected 1)" },
};

KUNIT_ARRAY_PARAM_DESC(bad_chain, bad_chains, name);

/*
 * Invalid metadata restarts the count of kexecs, and its memory can be
 * released.
 */
static void core_test_bad_chain(struct kunit *test)
{
	const struct bad_chain *bad = test->param_value;
	phys_addr_t before = virt_to_phys(chain());
	void *fdt = sim_core_fdt();

	chain()->version = bad->version;
	KUNIT_ASSERT_EQ(test, fdt_setprop(fdt, fdt_subnode_offset(fdt, 0, KHO_METADATA_NODE_NAME),
					  KHO_SUB_TREE_SIZE_PROP_NAME, &bad->size,
					  sizeof(bad->size)), 0);
	KUNIT_ASSERT_TRUE(test, hop());
	KUNIT_EXPECT_EQ(test, sim_logged("exec from:"), !bad->log);
	KUNIT_EXPECT_TRUE(test, !bad->log || sim_logged(bad->log));
	KUNIT_EXPECT_EQ(test, chain()->kexec_count, bad->log ? 1 : 2);
	KUNIT_EXPECT_EQ(test, kho_in_covers(before, PAGE_SIZE), !!bad->log);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_NE(test, phys_to_page(before)->state, SIM_LEFT);
}

/* A property is only a number if it has eight bytes. */
static void core_test_number(struct kunit *test)
{
	const void *fdt = sim_core_fdt();
	u64 val = 7;

	KUNIT_EXPECT_EQ(test, kho_fdt_get_u64(fdt, 0, "none", &val), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_fdt_get_u64(fdt, 0, "compatible", &val), -EINVAL);
	KUNIT_EXPECT_EQ(test, val, 7);
	KUNIT_EXPECT_EQ(test, kho_fdt_get_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &val), 0);
	KUNIT_EXPECT_EQ(test, val, virt_to_phys(sim_core_out_map().root));
}

/* Without metadata, for example from another version, the count starts again. */
static void core_test_no_chain(struct kunit *test)
{
	void *fdt = sim_core_fdt();

	KUNIT_ASSERT_EQ(test, fdt_del_node(fdt, fdt_subnode_offset(fdt, 0,
								   KHO_METADATA_NODE_NAME)), 0);
	KUNIT_ASSERT_TRUE(test, hop());
	KUNIT_EXPECT_FALSE(test, sim_logged("kexec-metadata"));
	KUNIT_EXPECT_EQ(test, chain()->kexec_count, 1);
}

/* Subtrees. */

/*
 * Add subtrees until the tree is full: a subtree that does not fit leaves no
 * node.  The space that is left depends on the length of the names.
 */
static void core_test_full_tree(struct kunit *test)
{
	for (unsigned int len = 1; len < 64; len += (PAGE_SIZE > SZ_4K) ? 31 : 3) {
		char name[80];
		int err = 0, node;

		sim_boot_cold();
		for (unsigned int nr = 0; !err; nr++) {
			snprintf(name, sizeof(name), "%0*u", len + 4, nr);
			err = kho_add_subtree(name, chain(), PAGE_SIZE);
		}
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_LT(test, fdt_subnode_offset(sim_core_fdt(), 0, name), 0);
		fdt_for_each_subnode(node, sim_core_fdt(), 0)
			KUNIT_EXPECT_NOT_NULL(test, fdt_getprop(sim_core_fdt(), node,
								KHO_SUB_TREE_SIZE_PROP_NAME, NULL));
	}
}

/* The error for a damaged tree differs from that for a full one. */
static void core_test_damaged_tree(struct kunit *test)
{
	u32 *magic = sim_core_fdt();

	*magic ^= 1;
	KUNIT_EXPECT_EQ(test, kho_add_subtree("data", chain, PAGE_SIZE), -EINVAL);
	*magic ^= 1;
	KUNIT_EXPECT_LT(test, fdt_subnode_offset(sim_core_fdt(), 0, "data"), 0);
}

/* If data has several names, each call removes one name. */
static void core_test_remove(struct kunit *test)
{
	void *a = kho_alloc_preserve(PAGE_SIZE), *b = kho_alloc_preserve(PAGE_SIZE);
	static const char * const names[] = { "a", "b", "c" };
	unsigned int left = ARRAY_SIZE(names);

	KUNIT_EXPECT_TRUE(test, kho_out_is_unused());
	for (int i = 0; i < ARRAY_SIZE(names); i++)
		KUNIT_ASSERT_EQ(test, kho_add_subtree(names[i], i == 1 ? b : a, PAGE_SIZE), 0);

	KUNIT_EXPECT_FALSE(test, kho_out_is_unused());
	for (; left; left--) {
		unsigned int nr = 0;

		for (int i = 0; i < ARRAY_SIZE(names); i++)
			nr += fdt_subnode_offset(sim_core_fdt(), 0, names[i]) >= 0;
		KUNIT_EXPECT_EQ(test, nr, left);
		KUNIT_EXPECT_EQ(test, fdt_subnode_offset(sim_core_fdt(), 0, "b") >= 0, left > 1);
		kho_remove_subtree(left > 2 ? a : left > 1 ? b : a);
		KUNIT_EXPECT_EQ(test, kho_out_is_unused(), left == 1);
	}
	kho_unpreserve_free(a);
	kho_unpreserve_free(b);
}

/*
 * References are counted for each subtree; putting other subtrees has no
 * effect.
 */
static void core_test_references(struct kunit *test)
{
	static const char * const names[] = { "a", "b", "c" };
	phys_addr_t phys, at[ARRAY_SIZE(names)];
	size_t size;

	for (int i = 0; i < ARRAY_SIZE(names); i++) {
		void *data = kho_alloc_preserve(PAGE_SIZE);

		at[i] = virt_to_phys(data);
		KUNIT_ASSERT_EQ(test, kho_add_subtree(names[i], data, i + 1), 0);
	}
	KUNIT_ASSERT_TRUE(test, hop());
	for (int i = 0; i < ARRAY_SIZE(names); i++) {
		KUNIT_ASSERT_EQ(test, kho_retrieve_subtree(names[i], &phys, &size), 0);
		KUNIT_EXPECT_EQ(test, phys, at[i]);
		KUNIT_EXPECT_EQ(test, size, i + 1);
		for (int other = 0; other < ARRAY_SIZE(names); other++) {
			if (other != i)
				kho_put_subtree(names[other]);
		}
		kho_put_subtree("none");
		sim_log_clear();
		KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
		KUNIT_EXPECT_TRUE(test, sim_logged(names[i]));
		kho_put_subtree(names[i]);
	}
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	for (int i = 0; i < ARRAY_SIZE(names); i++) {
		sim_log_clear();
		KUNIT_EXPECT_EQ(test, kho_retrieve_subtree(names[i], &phys, NULL), -EINVAL);
		KUNIT_EXPECT_TRUE(test, sim_logged("': not preserved"));
	}
}

/* Nothing differs without a previous kernel. */
static void core_test_cold(struct kunit *test)
{
	phys_addr_t phys;

	KUNIT_EXPECT_FALSE(test, is_kho_boot());
	KUNIT_EXPECT_FALSE(test, kho_incoming_differs("radix-v9"));
	KUNIT_EXPECT_NULL(test, kho_in_fdt());
	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("data", &phys, NULL), -ENOENT);
	kho_put_subtree("data");
	KUNIT_EXPECT_EQ(test, chain()->kexec_count, 1);
	KUNIT_EXPECT_TRUE(test, kho_out_is_unused());
}

static struct kunit_case core_cases[] = {
	KUNIT_CASE(core_test_option),
	KUNIT_CASE(core_test_cold),
	KUNIT_CASE(core_test_off),
	KUNIT_CASE(core_test_off_keeps),
	KUNIT_CASE(core_test_kdump),
	KUNIT_CASE(core_test_no_memory),
	KUNIT_CASE(core_test_chain),
	KUNIT_CASE_PARAM(core_test_bad_chain, bad_chain_gen_params),
	KUNIT_CASE(core_test_number),
	KUNIT_CASE(core_test_no_chain),
	KUNIT_CASE(core_test_full_tree),
	KUNIT_CASE(core_test_damaged_tree),
	KUNIT_CASE(core_test_remove),
	KUNIT_CASE(core_test_references),
	{}
};

static struct kunit_suite core_suite = {
	.name = "unit-core",
	.init = core_test_init,
	.exit = core_test_exit,
	.test_cases = core_cases,
};

kunit_test_suite(core_suite);
