// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Unclaimed memory
 *
 * Memory that was handed over stays reserved until somebody restores it.  What
 * nobody can restore, because its user is not in this kernel or has another
 * version of its data, would stay so until the next kexec.  The kernel cannot
 * know that nobody will come, a module may still be loaded, but people can:
 * ``kho/in/unclaimed`` in debugfs lists this memory, a line for each run of
 * blocks with its first and last address, the order of the blocks, and the
 * subtree that begins there, when there is one.
 *
 * Writing ``release`` to it gives all of it to the page allocator.  Whoever
 * comes too late finds nothing; nothing that is in use is touched.  As long as
 * the Live Update Orchestrator has sessions of the previous kernel the request
 * fails with ``-EBUSY``: these have to be finished before.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/libfdt.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "kexec_handover_internal.h"

/* More is not shown, only counted. */
#define KHO_UNCLAIMED_LINES	4096

/* Who still works with unclaimed memory; nothing is released meanwhile. */
static unsigned int kho_incoming_holders;
static DEFINE_MUTEX(kho_unclaimed_lock);

struct kho_unclaimed {
	struct seq_file *m;
	unsigned long runs;
	unsigned long pages;
};

/**
 * kho_incoming_hold - keep unclaimed memory from being released
 *
 * For users who go back to what was handed over before they restore it.
 *
 * Context: May sleep.
 */
void kho_incoming_hold(void)
{
	guard(mutex)(&kho_unclaimed_lock);
	kho_incoming_holders++;
}

/**
 * kho_incoming_drop - undo kho_incoming_hold()
 *
 * Context: May sleep.
 */
void kho_incoming_drop(void)
{
	guard(mutex)(&kho_unclaimed_lock);
	kho_incoming_holders--;
}

/* Name of the subtree whose data begins in [start, end), or NULL. */
static const char *kho_unclaimed_owner(phys_addr_t start, phys_addr_t end)
{
	const void *fdt = kho_in_fdt();
	int node;
	u64 phys;

	fdt_for_each_subnode(node, fdt, 0) {
		if (!kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_PROP_NAME, &phys) &&
		    phys >= start && phys < end)
			return fdt_get_name(fdt, node, NULL);
	}

	return NULL;
}

static int kho_unclaimed_show_run(unsigned long key, unsigned long nr,
				  void *data)
{
	struct kho_unclaimed *seen = data;
	phys_addr_t start, end, last;
	unsigned int order;
	const char *owner;

	if (!kho_decode_key(key, &start, &order))
		return 0;

	end = start + ((phys_addr_t)nr << (PAGE_SHIFT + order));
	seen->pages += nr << order;
	if (seen->runs++ >= KHO_UNCLAIMED_LINES)
		return 0;

	owner = kho_unclaimed_owner(start, end);
	last = end - 1;
	seq_printf(seen->m, "%pa-%pa order %u %s\n", &start, &last, order,
		   owner ?: "-");
	return 0;
}

/**
 * kho_unclaimed_show - list unclaimed memory
 * @m: gets a line for each run of blocks, and one with the sum
 * @v: unused
 *
 * Return: 0, or an error of kho_radix_walk_tree().
 */
int kho_unclaimed_show(struct seq_file *m, void *v)
{
	const struct kho_radix_walk_cb cb = { .run = kho_unclaimed_show_run };
	struct kho_unclaimed seen = { .m = m };
	int err;

	guard(mutex)(&kho_unclaimed_lock);

	err = kho_radix_walk_tree(&kho_in.map, &cb, &seen);
	if (!err)
		seq_printf(m, "total %lu pages in %lu runs\n", seen.pages,
			   seen.runs);
	return err;
}

static int kho_unclaimed_free_block(unsigned long key, void *data)
{
	unsigned long *released = data;
	struct page *page;
	unsigned int order;
	phys_addr_t phys;

	if (!kho_decode_key(key, &phys, &order))
		return 0;

	page = kho_restore_pages(phys, BIT(order));
	if (!page)
		return 0;

	for (unsigned long i = 0; i < BIT(order); i++)
		__free_page(page + i);
	*released += BIT(order);
	cond_resched();
	return 0;
}

/**
 * kho_unclaimed_release - give unclaimed memory to the page allocator
 *
 * Context: May sleep.
 * Return: 0, -EBUSY when somebody still works with it, or an error of
 * kho_radix_walk_tree().
 */
int kho_unclaimed_release(void)
{
	const struct kho_radix_walk_cb cb = { .leaf = kho_unclaimed_free_block };
	unsigned long released = 0;
	int err;

	guard(mutex)(&kho_unclaimed_lock);

	if (kho_incoming_holders)
		return -EBUSY;

	err = kho_radix_walk_tree(&kho_in.map, &cb, &released);
	pr_info("%lu unclaimed pages released\n", released);
	return err;
}
