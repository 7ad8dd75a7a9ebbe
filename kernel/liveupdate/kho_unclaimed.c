// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Unclaimed memory
 *
 * Preserved memory stays reserved until its owner restores it.  Memory without
 * an owner in this kernel, or whose owner only supports another version of its
 * data, stays unclaimed.  The kernel cannot know whether an owner is going to
 * appear, as a module may still be loaded, so an administrator has to decide.
 *
 * ``kho/in/unclaimed`` in debugfs lists unclaimed memory.  It has a line for each
 * range of blocks of one order, with the first and the last address, the order,
 * and the name of a subtree whose data starts in the range, if any.  The last
 * two lines have the total and the size of the incoming map.
 *
 * Writing ``1`` to ``kho/in/release`` frees all unclaimed memory.  The write
 * fails with ``-EBUSY`` as long as incoming sessions of the Live Update
 * Orchestrator are not finished, or an owner uses a subtree: it has called
 * kho_retrieve_subtree(), and not yet kho_put_subtree().
 *
 * Nodes of the map without keys are freed when the map is not in use.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/init.h>
#include <linux/libfdt.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#include "kexec_handover_internal.h"

/* Maximum number of ranges with a line.  Other ranges are only counted. */
#define KHO_UNCLAIMED_LINES	4096

/* Protects the references, and serializes the release. */
static DEFINE_MUTEX(kho_unclaimed_lock);

/* References to unclaimed memory, and to the data of each subtree. */
static unsigned int kho_incoming_refs;
static u8 kho_subtree_refs[KHO_MAX_SUBTREES];

/* A count that reaches this value is saturated, and never decreases. */
#define KHO_MAX_REFS	255

struct kho_unclaimed {
	struct seq_file *m;
	unsigned long runs;
	unsigned long pages;
};

/*
 * A reference counts until it is put, even if the data itself is restored: the
 * owner may still restore memory that the data refers to, or have a cursor in the
 * map.
 */
static bool kho_incoming_in_use(void)
{
	const void *fdt = kho_in_fdt();
	unsigned int nr = 0;
	int node;

	if (kho_incoming_refs || !fdt)
		return kho_incoming_refs;

	fdt_for_each_subnode(node, fdt, 0) {
		if (nr < KHO_MAX_SUBTREES && kho_subtree_refs[nr]) {
			pr_info("subtree '%s': in use\n",
				fdt_get_name(fdt, node, NULL));
			return true;
		}
		nr++;
	}

	return false;
}

static int kho_collect_node(phys_addr_t phys, void *data)
{
	list_add(&pfn_to_page(PHYS_PFN(phys))->lru, (struct list_head *)data);
	return 0;
}

/* Free the nodes of the incoming map that have no keys. */
static void kho_prune_locked(void)
{
	const struct kho_radix_walk_cb cb = { .node = kho_collect_node };
	struct page *page, *next;
	LIST_HEAD(nodes);

	if (!is_kho_boot() || kho_incoming_in_use())
		return;

	kho_radix_prune(&kho_in.map, &cb, &nodes);
	if (list_empty(&nodes))
		return;

	synchronize_rcu();
	list_for_each_entry_safe(page, next, &nodes, lru)
		kho_free_node(page);
}

static void kho_prune(struct work_struct *work)
{
	guard(mutex)(&kho_unclaimed_lock);
	kho_prune_locked();
}

static DECLARE_WORK(kho_prune_work, kho_prune);

/* By now, owners that restore memory during boot have done so. */
static int __init kho_prune_init(void)
{
	if (is_kho_boot())
		schedule_work(&kho_prune_work);
	return 0;
}
late_initcall_sync(kho_prune_init);

/**
 * kho_incoming_get - prevent the release of unclaimed memory
 *
 * For users that read incoming data before they restore it, and for users with a
 * cursor in the incoming map.
 *
 * Context: May sleep.
 */
void kho_incoming_get(void)
{
	guard(mutex)(&kho_unclaimed_lock);
	kho_incoming_refs++;
}

/**
 * kho_incoming_put - undo kho_incoming_get()
 *
 * Context: May sleep.
 */
void kho_incoming_put(void)
{
	guard(mutex)(&kho_unclaimed_lock);
	if (!--kho_incoming_refs && system_state == SYSTEM_RUNNING)
		schedule_work(&kho_prune_work);
}

/**
 * kho_subtree_get - get a reference to the data of a subtree
 * @nr: its number in the root tree
 *
 * Context: May sleep.
 * Return: false when the data was not preserved, or has been released.
 */
bool kho_subtree_get(unsigned int nr)
{
	guard(mutex)(&kho_unclaimed_lock);

	if (nr >= KHO_MAX_SUBTREES || !test_bit(nr, kho_in.preserved))
		return false;

	if (kho_subtree_refs[nr] < KHO_MAX_REFS)
		kho_subtree_refs[nr]++;
	return true;
}

/**
 * kho_subtree_put - undo kho_subtree_get()
 * @nr: number of the subtree in the root tree
 *
 * Context: May sleep.
 */
void kho_subtree_put(unsigned int nr)
{
	guard(mutex)(&kho_unclaimed_lock);

	if (nr >= KHO_MAX_SUBTREES || !kho_subtree_refs[nr])
		return;
	if (kho_subtree_refs[nr] < KHO_MAX_REFS)
		kho_subtree_refs[nr]--;
	if (!kho_subtree_refs[nr] && system_state == SYSTEM_RUNNING)
		schedule_work(&kho_prune_work);
}

/* Check whether all data of a subtree is preserved and not restored yet. */
static bool kho_subtree_is_preserved(int node)
{
	u64 phys, size;

	return !kho_in_read_subtree(node, &phys, &size) && kho_in_covers(phys, size);
}

/**
 * kho_mark_subtrees - allow or prevent retrieval of subtrees
 * @usable: true to allow it
 *
 * Only affects subtrees whose data is preserved and not restored yet.
 *
 * Context: Early boot, or with kho_unclaimed_lock held.
 */
void kho_mark_subtrees(bool usable)
{
	unsigned int nr = 0;
	int node;

	fdt_for_each_subnode(node, kho_in_fdt(), 0) {
		if (nr < KHO_MAX_SUBTREES && kho_subtree_is_preserved(node))
			assign_bit(nr, kho_in.preserved, usable);
		nr++;
	}
}

/* Name of the subtree whose data starts in [start, end), or NULL. */
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

static int kho_unclaimed_count_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

/**
 * kho_unclaimed_show - list unclaimed memory
 * @m: the file; gets a line for each range, one with the total, and one with the
 *     size of the map
 * @v: unused
 *
 * Context: May sleep.
 * Return: 0, or an error of kho_radix_walk_tree().
 */
int kho_unclaimed_show(struct seq_file *m, void *v)
{
	const struct kho_radix_walk_cb runs = { .run = kho_unclaimed_show_run };
	const struct kho_radix_walk_cb nodes = { .node = kho_unclaimed_count_node };
	struct kho_unclaimed seen = { .m = m };
	unsigned long nr_nodes = 0;
	int err;

	guard(mutex)(&kho_unclaimed_lock);

	err = kho_radix_walk_tree(&kho_in.map, &runs, &seen);
	if (!err)
		err = kho_radix_walk_tree(&kho_in.map, &nodes, &nr_nodes);
	if (!err)
		seq_printf(m, "total %lu pages in %lu ranges\nmap %lu pages\n",
			   seen.pages, seen.runs, nr_nodes);
	return err;
}

struct kho_released {
	struct kho_restore_batch batch;
	unsigned long pages;
};

static int kho_release_block(unsigned long key, void *data)
{
	struct kho_released *released = data;
	struct page *page;
	unsigned int order;
	phys_addr_t phys;

	if (!kho_decode_key(key, &phys, &order))
		return 0;

	page = kho_restore_pages_batched(phys, BIT(order), &released->batch);
	if (!page)
		return 0;

	for (unsigned long i = 0; i < BIT(order); i++)
		__free_page(page + i);
	released->pages += BIT(order);
	cond_resched();
	return 0;
}

/**
 * kho_unclaimed_release - free unclaimed memory
 *
 * Context: May sleep.
 * Return: 0, -EBUSY when it is in use, or -EINVAL without a handover.
 */
int kho_unclaimed_release(void)
{
	const struct kho_radix_walk_cb cb = { .leaf = kho_release_block };
	struct kho_released released = { };
	int err;

	if (!is_kho_boot())
		return -EINVAL;

	guard(mutex)(&kho_unclaimed_lock);

	if (kho_incoming_in_use())
		return -EBUSY;

	/* Owners that retrieve a subtree later get -EINVAL. */
	kho_mark_subtrees(false);
	err = kho_radix_walk_tree(&kho_in.map, &cb, &released);
	kho_restore_batch_end(&released.batch);
	pr_info("%lu unclaimed pages released\n", released.pages);
	kho_prune_locked();
	return err;
}
