// SPDX-License-Identifier: GPL-2.0
/* Access to the state of the core, see machine.h. */

#include "shims.h"

#include <linux/kexec_handover.h>
#include <linux/libfdt.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

static int create_root(void *fdt)
{
	u64 map = virt_to_phys(kho_out.map.root);

	return fdt_create_empty_tree(fdt, SIM_FDT_SIZE) ?:
	       fdt_setprop_string(fdt, 0, "compatible", KHO_FDT_COMPATIBLE) ?:
	       fdt_setprop(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map, sizeof(map));
}

/*
 * A root tree does not fit into a page of the smallest size.  Here it has several
 * pages.
 */
void sim_core_init_out(void)
{
	void *fdt;

	if (PAGE_SIZE >= SZ_4K)
		return;
	if (!kho_out.map.root && kho_radix_init_tree(&kho_out.map, NULL))
		return;

	kho_enable = true;
	fdt = kho_alloc_preserve(SIM_FDT_SIZE);
	if (IS_ERR(fdt))
		return;

	BUG_ON(kho_out.fdt ? fdt_open_into(kho_out.fdt, fdt, SIM_FDT_SIZE) :
			     create_root(fdt));
	kho_unpreserve_free(kho_out.fdt);
	kho_out.fdt = fdt;
}

void *sim_core_fdt(void)
{
	return kho_out.fdt;
}

struct kho_radix_tree sim_core_out_map(void)
{
	return kho_out.map;
}

static int count_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

static int count_run(unsigned long key, unsigned long nr, void *data)
{
	*(unsigned long *)data += nr;
	return 0;
}

void sim_core_out(unsigned long *nodes, unsigned long *keys)
{
	const struct kho_radix_walk_cb node_cb = { .node = count_node };
	const struct kho_radix_walk_cb key_cb = { .run = count_run };

	*nodes = 0;
	*keys = 0;
	kho_radix_walk_tree(&kho_out.map, &node_cb, nodes);
	kho_radix_walk_tree(&kho_out.map, &key_cb, keys);
}
