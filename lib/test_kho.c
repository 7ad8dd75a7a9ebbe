// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boot-time test of Kexec Handover.
 *
 * The first kernel preserves folios of random sizes with random contents.  The
 * next kernel restores them, compares orders and checksum, frees them, and
 * preserves new ones for the kernel after it.
 *
 * The random numbers depend on a seed, which is printed.  test_kho.seed=N repeats a
 * run with this seed.
 *
 * Copyright (c) 2025 Microsoft Corporation.
 *
 * Authors:
 *   Saurabh Sengar <ssengar@microsoft.com>
 *   Mike Rapoport <rppt@kernel.org>
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/kho/vmalloc.h>
#include <linux/libfdt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <net/checksum.h>

/*
 * The data for the next kernel is a device tree:
 *
 *	/ {
 *		compatible = KHO_TEST_COMPATIBLE;
 *		magic = <u32>;
 *		data {
 *			nr_folios = <u32>;
 *			folios_info = <struct kho_vmalloc>;
 *			csum = <__wsum>;
 *			named = <struct kho_test_named>;
 *		};
 *	};
 *
 * folios_info is an array with one entry per folio: the physical address, with
 * the order of the folio in the bits below PAGE_SHIFT.  csum is the checksum of
 * all folios, in the order of this array.  Numbers are in native byte order.
 *
 * named has entries of the first folios, and the checksum of these folios.  A
 * kernel with another version of vmalloc descriptions cannot restore the array, and
 * uses named instead.  named is optional, as older kernels do not write it.
 */
#define KHO_TEST_SUBTREE	"kho_test"
#define KHO_TEST_COMPATIBLE	"kho-test-v1"
#define KHO_TEST_MAGIC		0x4b484f21U	/* "KHO!" */

#define KHO_TEST_NR_NAMED	8

KHO_NOTE(KHO_NOTE_SUBTREE, "kho-test", KHO_TEST_COMPATIBLE, KHO_TEST_COMPATIBLE);

struct kho_test_named {
	u64 info[KHO_TEST_NR_NAMED];
	u32 nr;
	__wsum csum;
};

static unsigned long max_mem = (PAGE_SIZE << MAX_PAGE_ORDER) * 2;
module_param(max_mem, ulong, 0444);
MODULE_PARM_DESC(max_mem, "bytes to hand over (default: two folios of the largest order)");

static unsigned long seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "start value for sizes and contents of the folios");

#ifndef MODULE
static char release_at_init[16];

/*
 * Release a reserve_mem= region.  If the parameter is on the command line, the
 * region is released before regions are preserved.
 */
static int kho_test_release(const char *name, const struct kernel_param *kp)
{
	char buf[sizeof(release_at_init)];

	strscpy(buf, name);
	if (system_state < SYSTEM_SCHEDULING) {
		strscpy(release_at_init, strim(buf));
		return 0;
	}

	return reserve_mem_release_by_name(strim(buf)) ? 0 : -ENOENT;
}

static const struct kernel_param_ops kho_test_release_ops = {
	.set = kho_test_release,
};
module_param_cb(release, &kho_test_release_ops, NULL, 0200);
MODULE_PARM_DESC(release, "name of a reserve_mem= region to release");

static int __init kho_test_release_init(void)
{
	if (*release_at_init && !reserve_mem_release_by_name(release_at_init))
		pr_err("region '%s': not found\n", release_at_init);
	return 0;
}
device_initcall(kho_test_release_init);
#endif

/**
 * struct kho_test_out - outgoing data
 * @folios:       folios with the data
 * @nr_folios:    number of folios that are allocated
 * @nr_preserved: number of folios that are preserved
 * @max_folios:   number of elements of @folios and @info
 * @info:         address and order of each folio
 * @info_ser:     describes @info to the next kernel
 * @fdt:          the device tree, in preserved memory
 * @csum:         checksum of all folios
 * @named:        the first folios
 */
struct kho_test_out {
	struct folio **folios;
	unsigned int nr_folios;
	unsigned int nr_preserved;
	unsigned int max_folios;
	phys_addr_t *info;
	struct kho_vmalloc info_ser;
	void *fdt;
	__wsum csum;
	struct kho_test_named named;
};

/**
 * struct kho_test_in - incoming data
 * @nr_folios: number of folios
 * @info_ser:  the array with their addresses and orders
 * @csum:      their checksum
 * @named:     the first folios; empty if an older kernel wrote the data
 */
struct kho_test_in {
	u32 nr_folios;
	struct kho_vmalloc info_ser;
	__wsum csum;
	struct kho_test_named named;
};

static struct kho_test_out kho_test_out;

/*
 * Unpreserve and free everything.  Each step sets its field when it is done, so
 * this also cleans up after a failure.
 */
static void kho_test_drop(struct kho_test_out *out)
{
	if (out->info_ser.first.phys)
		kho_unpreserve_vmalloc(&out->info_ser);
	while (out->nr_preserved)
		kho_unpreserve_folio(out->folios[--out->nr_preserved]);
	while (out->nr_folios)
		folio_put(out->folios[--out->nr_folios]);
	if (out->fdt)
		kho_unpreserve_free(out->fdt);
	vfree(out->info);
	kvfree(out->folios);
	memset(out, 0, sizeof(*out));
}

static struct folio *kho_test_alloc_folio(unsigned int order)
{
	struct folio *folio;

	/* Fall back to smaller folios when memory is fragmented. */
	do {
		folio = folio_alloc(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, order);
	} while (!folio && order--);
	return folio;
}

/* Allocate and fill folios of random orders, max_mem bytes in all. */
static int kho_test_generate(struct kho_test_out *out, u64 start)
{
	unsigned long left = max_mem;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, start);
	while (left) {
		unsigned int order = prandom_u32_state(&rnd) % NR_PAGE_ORDERS;
		struct folio *folio;
		size_t size;

		order = min_t(unsigned int, order, ilog2(left >> PAGE_SHIFT));
		folio = kho_test_alloc_folio(order);
		if (!folio)
			return -ENOMEM;

		out->folios[out->nr_folios++] = folio;
		size = folio_size(folio);
		prandom_bytes_state(&rnd, folio_address(folio), size);
		out->csum = csum_partial(folio_address(folio), size, out->csum);
		if (out->nr_folios <= KHO_TEST_NR_NAMED)
			out->named.csum = out->csum;
		left -= size;
	}
	return 0;
}

static int kho_test_preserve(struct kho_test_out *out)
{
	struct kho_vmalloc ser = {};
	int err;

	for (unsigned int i = 0; i < out->nr_folios; i++) {
		struct folio *folio = out->folios[i];

		err = kho_preserve_folio(folio);
		if (err)
			return err;
		out->nr_preserved++;
		out->info[i] = PFN_PHYS(folio_pfn(folio)) | folio_order(folio);
		if (i < KHO_TEST_NR_NAMED)
			out->named.info[out->named.nr++] = out->info[i];
	}

	err = kho_preserve_vmalloc(out->info, &ser);
	if (!err)
		out->info_ser = ser;
	return err;
}

static int kho_test_write_fdt(struct kho_test_out *out)
{
	const u32 magic = KHO_TEST_MAGIC;
	void *fdt = out->fdt;
	int err;

	err = fdt_create(fdt, PAGE_SIZE);
	err = err ?: fdt_finish_reservemap(fdt);
	err = err ?: fdt_begin_node(fdt, "");
	err = err ?: fdt_property_string(fdt, "compatible", KHO_TEST_COMPATIBLE);
	err = err ?: fdt_property(fdt, "magic", &magic, sizeof(magic));
	err = err ?: fdt_begin_node(fdt, "data");
	err = err ?: fdt_property(fdt, "nr_folios", &out->nr_folios,
				  sizeof(out->nr_folios));
	err = err ?: fdt_property(fdt, "folios_info", &out->info_ser,
				  sizeof(out->info_ser));
	err = err ?: fdt_property(fdt, "csum", &out->csum, sizeof(out->csum));
	err = err ?: fdt_property(fdt, "named", &out->named, sizeof(out->named));
	err = err ?: fdt_end_node(fdt);
	err = err ?: fdt_end_node(fdt);
	err = err ?: fdt_finish(fdt);

	/* libfdt does not return errnos. */
	return err ? -ENOSPC : 0;
}

static int kho_test_publish(struct kho_test_out *out)
{
	void *fdt = kho_alloc_preserve(PAGE_SIZE);
	int err;

	if (IS_ERR(fdt))
		return PTR_ERR(fdt);
	out->fdt = fdt;

	err = kho_test_write_fdt(out);
	if (err)
		return err;
	return kho_add_subtree(KHO_TEST_SUBTREE, fdt, fdt_totalsize(fdt));
}

static int kho_test_alloc_arrays(struct kho_test_out *out)
{
	unsigned long nr;

	max_mem = round_down(max_mem, PAGE_SIZE);
	nr = max_mem >> PAGE_SHIFT;
	if (!nr || nr > UINT_MAX) {
		pr_err("max_mem: out of range (%lu bytes, 1 to %u pages)\n",
		       max_mem, UINT_MAX);
		return -EINVAL;
	}

	out->max_folios = nr;
	out->folios = kvcalloc(nr, sizeof(*out->folios), GFP_KERNEL);
	out->info = vcalloc(nr, sizeof(*out->info));
	return out->folios && out->info ? 0 : -ENOMEM;
}

/* @hop: offset of the seed, so that each kernel of a chain has other random data. */
static int kho_test_save(u32 hop)
{
	struct kho_test_out *out = &kho_test_out;
	u64 start = (u64)seed + hop;
	int err;

	err = kho_test_alloc_arrays(out);
	err = err ?: kho_test_generate(out, start);
	err = err ?: kho_test_preserve(out);
	err = err ?: kho_test_publish(out);
	if (err) {
		pr_err("KHO save failed: %pe\n", ERR_PTR(err));
		kho_test_drop(out);
		return err;
	}

	pr_info("saved %lu bytes in %u folios, seed %llu\n", max_mem,
		out->nr_folios, start);
	return 0;
}

static int kho_test_read(const void *fdt, int node, const char *name,
			 void *value, int size)
{
	const void *prop;
	int len;

	prop = fdt_getprop(fdt, node, name, &len);
	if (!prop || len != size) {
		pr_err("property %s: invalid size (%d bytes, expected %d)\n", name, len, size);
		return -EINVAL;
	}

	/* Device trees align to 4 bytes only. */
	memcpy(value, prop, size);
	return 0;
}

static int kho_test_read_fdt(const void *fdt, size_t size, struct kho_test_in *in)
{
	u64 capacity;
	u32 magic;
	int node, err;

	if (size < sizeof(struct fdt_header) || fdt_check_header(fdt) ||
	    fdt_totalsize(fdt) > size) {
		pr_err("subtree %s: invalid device tree (%zu bytes)\n",
		       KHO_TEST_SUBTREE, size);
		return -EINVAL;
	}

	if (fdt_node_check_compatible(fdt, 0, KHO_TEST_COMPATIBLE)) {
		pr_err("subtree: incompatible (expected %s)\n", KHO_TEST_COMPATIBLE);
		return -EINVAL;
	}

	err = kho_test_read(fdt, 0, "magic", &magic, sizeof(magic));
	if (err)
		return err;

	/* If the node is missing, reading its first property fails. */
	node = fdt_subnode_offset(fdt, 0, "data");
	err = kho_test_read(fdt, node, "nr_folios", &in->nr_folios, sizeof(in->nr_folios));
	err = err ?: kho_test_read(fdt, node, "folios_info", &in->info_ser,
				   sizeof(in->info_ser));
	err = err ?: kho_test_read(fdt, node, "csum", &in->csum, sizeof(in->csum));
	if (!err && fdt_getprop(fdt, node, "named", NULL))
		err = kho_test_read(fdt, node, "named", &in->named, sizeof(in->named));
	if (err)
		return err;

	capacity = (u64)in->info_ser.total_pages * PAGE_SIZE / sizeof(phys_addr_t);
	if (magic != KHO_TEST_MAGIC || !in->nr_folios || in->nr_folios > capacity ||
	    in->named.nr > KHO_TEST_NR_NAMED) {
		pr_err("header: invalid (magic %#x, %u folios, array of %llu, %u named)\n",
		       magic, in->nr_folios, capacity, in->named.nr);
		return -EINVAL;
	}
	return 0;
}

/* Restore, check and free one folio.  Return true when it has the expected order. */
static bool kho_test_restore_folio(phys_addr_t info, __wsum *csum)
{
	unsigned int order = info & ~PAGE_MASK;
	phys_addr_t phys = info & PAGE_MASK;
	struct folio *folio;
	bool good;

	folio = kho_restore_folio(phys);
	if (!folio) {
		pr_err("folio %pa: not preserved\n", &phys);
		return false;
	}

	good = folio_order(folio) == order;
	if (good)
		*csum = csum_partial(folio_address(folio), folio_size(folio), *csum);
	else
		pr_err("folio %pa: invalid order (%u, expected %u)\n", &phys,
		       folio_order(folio), order);
	folio_put(folio);
	return good;
}

static int kho_test_restore_folios(const u64 *info, u32 nr, __wsum expected)
{
	unsigned int nr_bad = 0;
	__wsum csum = 0;

	/* Free the other folios even if one of them is bad. */
	for (u32 i = 0; i < nr; i++)
		nr_bad += !kho_test_restore_folio(info[i], &csum);

	if (nr_bad) {
		pr_err("folios: %u of %u are invalid\n", nr_bad, nr);
		return -EINVAL;
	}
	/* Compare folded sums: the unfolded sums of two kernels may differ. */
	if (csum_fold(csum) != csum_fold(expected)) {
		pr_err("checksum: mismatch (%#x, expected %#x)\n",
		       (__force u32)csum, (__force u32)expected);
		return -EINVAL;
	}
	return 0;
}

/* If the array cannot be restored, restore named folios; others stay unclaimed. */
static int kho_test_restore_named(const struct kho_test_in *in)
{
	const struct kho_test_named *named = &in->named;
	int err;

	pr_err("array: failed to restore (%u folios)\n", in->nr_folios);
	err = kho_test_restore_folios(named->info, named->nr, named->csum);
	if (!err)
		pr_info("KHO restore of %u named folios succeeded\n", named->nr);
	return err ?: -EOPNOTSUPP;
}

static int kho_test_restore_data(const struct kho_test_in *in)
{
	u64 *info = kho_restore_vmalloc(&in->info_ser);
	int err;

	if (!info)
		return kho_test_restore_named(in);

	err = kho_test_restore_folios(info, in->nr_folios, in->csum);
	vfree(info);
	return err;
}

static int kho_test_restore(phys_addr_t phys, size_t size, struct kho_test_in *in)
{
	struct folio *folio = kho_restore_folio(phys);
	int err;

	if (!folio) {
		pr_err("subtree: not preserved (%pa)\n", &phys);
		return -EINVAL;
	}

	size = min(size, folio_size(folio));
	err = kho_test_read_fdt(folio_address(folio), size, in);
	err = err ?: kho_test_restore_data(in);
	folio_put(folio);
	return err;
}

static int __init kho_test_init(void)
{
	struct kho_test_in in = {};
	phys_addr_t phys;
	size_t size;
	int err;

	if (!kho_is_enabled())
		return 0;

	err = kho_retrieve_subtree(KHO_TEST_SUBTREE, &phys, &size);
	if (err == -ENOENT)
		return kho_test_save(0);

	err = err ?: kho_test_restore(phys, size, &in);
	kho_put_subtree(KHO_TEST_SUBTREE);
	if (err) {
		pr_err("KHO restore failed\n");
		return err;
	}
	pr_info("KHO restore succeeded\n");

	return kho_test_save((__force u32)in.csum);
}
module_init(kho_test_init);

static void __exit kho_test_exit(void)
{
	if (!kho_test_out.fdt)
		return;
	kho_remove_subtree(kho_test_out.fdt);
	kho_test_drop(&kho_test_out);
}
module_exit(kho_test_exit);

MODULE_DESCRIPTION("Boot-time test of Kexec Handover");
MODULE_AUTHOR("Mike Rapoport <rppt@kernel.org>");
MODULE_LICENSE("GPL");
