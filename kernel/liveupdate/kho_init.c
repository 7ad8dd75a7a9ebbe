// SPDX-License-Identifier: GPL-2.0-only
/*
 * Set-up of Kexec Handover during initcalls, when memory can be allocated: the
 * outgoing root tree, and the data that belongs to Kexec Handover itself.
 *
 * Copyright (C) 2023 Alexander Graf <graf@amazon.com>
 * Copyright (C) 2025 Microsoft Corporation, Mike Rapoport <rppt@kernel.org>
 * Copyright (C) 2025 Google LLC, Changyuan Lyu <changyuanl@google.com>
 * Copyright (C) 2025 Pasha Tatashin <pasha.tatashin@soleen.com>
 * Copyright (C) 2026 Google LLC, Jason Miu <jasonmiu@google.com>
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/abi/note.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/utsname.h>

#include "kexec_handover_internal.h"

#define KHO_METADATA_COMPATIBLE						\
	KHO_METADATA_NODE_NAME "-v" __stringify(KHO_KEXEC_METADATA_VERSION)

KHO_NOTE(KHO_NOTE_SUBTREE, KHO_METADATA_NODE_NAME, KHO_METADATA_COMPATIBLE,
	 KHO_METADATA_COMPATIBLE);

/* Log the previous kernel, and return the number of handovers. */
static u32 __init kho_read_metadata(void)
{
	const struct kho_kexec_metadata *chain;
	char release[sizeof(chain->previous_release)];
	u32 kexec_count;
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(KHO_METADATA_NODE_NAME, &phys, &size))
		return 0;

	/* Metadata of an incompatible version stays unclaimed. */
	kho_put_subtree(KHO_METADATA_NODE_NAME);
	if (size < sizeof(*chain)) {
		pr_warn("kexec-metadata: invalid size (%zu bytes at %pa)\n",
			size, &phys);
		return 0;
	}

	/* In a damaged handover, another owner may have restored the page. */
	if (!kho_in_covers(phys, sizeof(*chain))) {
		pr_warn("kexec-metadata: not preserved (%zu bytes at %pa)\n",
			size, &phys);
		return 0;
	}

	chain = phys_to_virt(phys);
	if (chain->version != KHO_KEXEC_METADATA_VERSION) {
		pr_warn("kexec-metadata: incompatible version (%u, expected %u)\n",
			chain->version, KHO_KEXEC_METADATA_VERSION);
		return 0;
	}

	strscpy(release, chain->previous_release, sizeof(release));
	kexec_count = chain->kexec_count;
	pr_info("exec from: %s (count %u)\n", release, kexec_count);
	kho_restore_free(phys_to_virt(phys));
	return kexec_count;
}

static int __init kho_write_metadata(u32 kexec_count)
{
	struct kho_kexec_metadata *chain;
	int err;

	chain = kho_alloc_preserve(sizeof(*chain));
	if (IS_ERR(chain))
		return PTR_ERR(chain);

	chain->version = KHO_KEXEC_METADATA_VERSION;
	chain->kexec_count = kexec_count;
	strscpy(chain->previous_release, init_uts_ns.name.release,
		sizeof(chain->previous_release));

	err = kho_add_subtree(KHO_METADATA_NODE_NAME, chain,
			      sizeof(*chain));
	if (err)
		kho_unpreserve_free(chain);
	return err;
}

static int __init kho_init(void)
{
	int err;

	if (!kho_enable) {
		kho_scratch_init_cma();
		if (is_kho_boot()) {
			pr_notice("disabled, preserved memory stays reserved until released\n");
			kho_debugfs_init();
		}
		return 0;
	}

	err = kho_out_init();
	if (err) {
		pr_err("failed to initialize, disabling kexec handover: %pe\n",
		       ERR_PTR(err));
		kho_enable = false;
	}

	/*
	 * Scratch areas that this kernel reserved itself are still reserved.
	 * Inherited areas already belong to the page allocator, and are in use.
	 */
	if (err && !kho_in.scratch_phys)
		kho_release_scratch();
	else
		kho_scratch_init_cma();
	kho_debugfs_init();
	if (err)
		return err;

	err = kho_write_metadata(kho_read_metadata() + 1);
	if (err)
		pr_warn("kexec-metadata: failed to preserve: %pe\n",
			ERR_PTR(err));

	kho_timeline_read();
	kho_timeline_write();
	return 0;
}
fs_initcall(kho_init);
