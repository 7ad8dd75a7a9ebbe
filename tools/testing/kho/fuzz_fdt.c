// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz targets "fdt", a root tree with subtrees in which bytes were changed,
 * and "rawfdt", a tree that consists of the input.
 */

#include "fuzz.h"

#include <kernel/liveupdate/kexec_handover_internal.h>
#include <linux/libfdt.h>

static const char * const names[] = {
	"LUO", "memblock", "kexec-metadata", "timeline", "a", "some-longer-name", "",
};

static void try_all(void)
{
	for (int i = 0; i < ARRAY_SIZE(names); i++) {
		phys_addr_t phys;
		size_t size;

		if (kho_retrieve_subtree(names[i], &phys, &size))
			continue;

		BUG_ON(!size || phys + size < phys);
		kho_put_subtree(names[i]);
		/*
		 * Data with several names may be restored already, by another
		 * name.
		 */
		if (!kho_in_covers(phys, size))
			continue;

		/* Memory that is reported as preserved can be read. */
		if (pfn_valid(PHYS_PFN(phys)) && pfn_valid(PHYS_PFN(phys + size - 1)))
			BUG_ON(memchr_inv(phys_to_virt(phys), 0, size) ==
			       phys_to_virt(phys + size));
		kho_restore_free(phys_to_virt(phys));
	}
	kho_incoming_differs(KHO_VMALLOC_COMPATIBLE);
}

static void add_subtrees(struct input *in)
{
	for (unsigned int i = in_below(in, ARRAY_SIZE(names)); i; i--) {
		size_t size = 1 + in_below(in, 3 * PAGE_SIZE);
		void *blob = kho_alloc_preserve(size);

		BUG_ON(IS_ERR(blob));
		kho_add_subtree(names[i], blob, size);
		fuzz_landmark(blob, size);
	}
}

/* Changes the values or sizes of existing properties. */
static void change_properties(struct input *in, void *fdt)
{
	for (unsigned int i = in_below(in, 4); i; i--) {
		int node = fdt_subnode_offset(fdt, 0, names[in_below(in, ARRAY_SIZE(names))]);
		static const char * const props[] = {
			"compatible", KHO_FDT_MEMORY_MAP_PROP_NAME,
			KHO_SUB_TREE_PROP_NAME, KHO_SUB_TREE_SIZE_PROP_NAME,
		};
		const char *prop = props[in_below(in, ARRAY_SIZE(props))];
		u64 value[2] = { fuzz_value(in), 0 };

		fdt_setprop(fdt, max(node, 0), prop, value, in_below(in, 17));
	}
}

FUZZ_TARGET(fdt)
{
	u8 *fdt;

	fuzz_begin();
	add_subtrees(in);
	fdt = sim_core_fdt();
	change_properties(in, (void *)fdt);
	for (unsigned int i = in_below(in, 6); i; i--) {
		size_t at = in_below(in, fdt_totalsize(fdt) % 4096 ?: 4096);

		fdt[at] = in_u8(in);
	}

	fuzz_hop();
	try_all();
	fuzz_end();
}

FUZZ_TARGET(rawfdt)
{
	size_t size = min((size_t)(in->end - in->at), (size_t)PAGE_SIZE);
	struct sim_handover h;

	fuzz_begin();
	memcpy(sim_core_fdt(), in->at, size);
	h = sim_kexec();
	h.fdt_len = size;
	sim_boot_warm(&h);
	try_all();
	fuzz_end();
}
