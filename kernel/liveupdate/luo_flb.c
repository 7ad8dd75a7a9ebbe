// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

/**
 * DOC: LUO File Lifecycle Bound Global Data
 *
 * Some state does not belong to a single file but is needed by all files of a
 * kind.  For example, all devices that use an IOMMU need its state.  Such state
 * is a File-Lifecycle-Bound object, or FLB.  It is preserved with the first
 * file that needs it, and unpreserved or finished after the last.
 *
 * A file handler declares the FLBs of its files with liveupdate_register_flb(),
 * as long as none of its files is preserved.
 *
 * In the old kernel, ``preserve()`` is called before the first file is preserved,
 * and ``unpreserve()`` after the last one is unpreserved.  In the new kernel,
 * ``retrieve()`` is called when the object is first used, and ``finish()`` after
 * the last file was finished.  If the object was never used, both are called
 * after the last file was finished.
 *
 * Code other than file handlers may use the object between
 * liveupdate_flb_get_incoming() and liveupdate_flb_put_incoming(), or the
 * corresponding functions for outgoing FLBs.  Such a reference keeps the object
 * alive when no file needs it any longer.  It does not preserve the object for
 * the next kernel: the record of an FLB only counts files.
 *
 * A file that is finished without its handler does not release its FLBs.
 * Therefore all remaining FLBs are finished with the last incoming session.
 *
 * If ``retrieve()`` fails at that point and sets ``retry``, the next user of the
 * FLB or the next open of ``/dev/liveupdate`` calls it again.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/compat.h>
#include <linux/list.h>
#include <linux/list_private.h>
#include <linux/liveupdate.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "luo_internal.h"

/* Outgoing records. */
static struct luo_flb_header_ser *luo_flb_out;

/* Incoming records; NULL if the previous kernel had none, or after they were freed. */
static struct luo_flb_header_ser *luo_flb_in;
static DEFINE_MUTEX(luo_flb_in_lock);

static struct luo_flb_ser *luo_flb_records(struct luo_flb_header_ser *header)
{
	return (struct luo_flb_ser *)(header + 1);
}

/**
 * luo_flb_private - get the state of an FLB
 * @flb: the FLB
 *
 * The first call initializes the state.
 *
 * Context: May sleep.
 * Return: the state.
 */
struct luo_flb_private *luo_flb_private(struct liveupdate_flb *flb)
{
	static DEFINE_MUTEX(first_use);
	struct luo_flb_private *p = &ACCESS_PRIVATE(flb, private);

	/* Pairs with the release below: the lock and the list are initialized. */
	if (smp_load_acquire(&p->initialized))
		return p;

	guard(mutex)(&first_use);
	if (!p->initialized) {
		mutex_init(&p->lock);
		INIT_LIST_HEAD(&p->list);
		/* Pairs with the acquire above. */
		smp_store_release(&p->initialized, true);
	}

	return p;
}

/* Outgoing. */

static int luo_flb_preserve(struct liveupdate_flb *flb,
			    struct luo_flb_private *p)
{
	const struct liveupdate_flb_ops *ops = flb->ops;
	struct liveupdate_flb_op_args op = { .flb = flb };
	int err;

	if (!try_module_get(ops->owner))
		return -ENODEV;

	err = ops->preserve(&op);
	if (err) {
		module_put(ops->owner);
		return err;
	}

	p->outgoing.data = op.data;
	p->outgoing.obj = op.obj;
	return 0;
}

static int luo_flb_add_file(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	int err;

	guard(mutex)(&p->lock);

	if (!p->outgoing.files && !p->outgoing.gets) {
		err = luo_flb_preserve(flb, p);
		if (err)
			return err;
	}

	p->outgoing.files++;
	return 0;
}

/* Called with the lock held, after a reference was dropped. */
static void luo_flb_drop_outgoing(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	struct liveupdate_flb_op_args args = {
		.flb = flb,
		.data = p->outgoing.data,
		.obj = p->outgoing.obj,
	};

	if (p->outgoing.files || p->outgoing.gets)
		return;

	flb->ops->unpreserve(&args);
	p->outgoing.data = 0;
	p->outgoing.obj = NULL;
	module_put(flb->ops->owner);
}

static void luo_flb_del_file(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);

	guard(mutex)(&p->lock);
	p->outgoing.files--;
	luo_flb_drop_outgoing(flb);
}

/**
 * luo_flb_file_preserve - preserve the FLBs of a new file
 * @fh: handler of the file
 *
 * Return: 0, or the error of an FLB.  On error no FLB is preserved.
 */
int luo_flb_file_preserve(struct liveupdate_file_handler *fh)
{
	struct list_head *links = &ACCESS_PRIVATE(fh, flb_list);
	struct luo_flb_link *link;
	int err;

	guard(rwsem_read)(&luo_register_rwlock);

	list_for_each_entry(link, links, list) {
		err = luo_flb_add_file(link->flb);
		if (err)
			goto err_undo;
	}
	return 0;

err_undo:
	list_for_each_entry_continue_reverse(link, links, list)
		luo_flb_del_file(link->flb);
	return err;
}

/**
 * luo_flb_file_unpreserve - undo luo_flb_file_preserve()
 * @fh: handler of the file
 */
void luo_flb_file_unpreserve(struct liveupdate_file_handler *fh)
{
	struct luo_flb_link *link;

	guard(rwsem_read)(&luo_register_rwlock);

	list_for_each_entry_reverse(link, &ACCESS_PRIVATE(fh, flb_list), list)
		luo_flb_del_file(link->flb);
}

/**
 * liveupdate_flb_get_outgoing - get a reference to an outgoing FLB
 * @flb: the FLB
 * @objp: set to the object from its preserve()
 *
 * Context: May sleep.
 * Return: 0, to be followed by liveupdate_flb_put_outgoing(); -EOPNOTSUPP when
 * LUO is off, -ENOENT when the FLB is not preserved.
 */
int liveupdate_flb_get_outgoing(struct liveupdate_flb *flb, void **objp)
{
	struct luo_flb_private *p = luo_flb_private(flb);

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(mutex)(&p->lock);

	if (!p->outgoing.obj)
		return -ENOENT;

	p->outgoing.gets++;
	*objp = p->outgoing.obj;
	return 0;
}

/**
 * liveupdate_flb_put_outgoing - put a reference to an outgoing FLB
 * @flb: the FLB
 *
 * Context: May sleep.
 */
void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);

	guard(mutex)(&p->lock);
	p->outgoing.gets--;
	luo_flb_drop_outgoing(flb);
}

/* Incoming. */

/* Find the record of an FLB, and mark it as read. */
static int luo_flb_find_record(const char *name, struct luo_flb_ser *found)
{
	struct luo_flb_ser *rec;

	guard(mutex)(&luo_flb_in_lock);

	if (!luo_flb_in)
		return -ENODATA;

	rec = luo_flb_records(luo_flb_in);
	for (u64 i = 0; i < luo_flb_in->count; i++) {
		if (!kho_compat_match(rec[i].name, sizeof(rec[i].name), name))
			continue;
		*found = rec[i];
		rec[i].count = 0;
		return 0;
	}

	return -ENOENT;
}

/* Read the record of an FLB, once. */
static int luo_flb_read(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	struct luo_flb_ser rec;
	int err;

	if (p->incoming.state == LUO_FLB_DONE)
		return -ENODATA;
	if (p->incoming.state != LUO_FLB_UNREAD)
		return 0;

	err = luo_flb_find_record(flb->compatible, &rec);
	if (err)
		return err;

	p->incoming.data = rec.data;
	p->incoming.files = rec.count;
	p->incoming.state = LUO_FLB_WAITING;
	return 0;
}

static int luo_flb_retrieve(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	const struct liveupdate_flb_ops *ops = flb->ops;
	struct liveupdate_flb_op_args op = {
		.flb = flb,
		.data = p->incoming.data,
	};
	int err;

	if (p->incoming.state == LUO_FLB_RETRIEVED)
		return 0;
	if (p->incoming.err)
		return p->incoming.err;
	if (!try_module_get(ops->owner))
		return -ENODEV;

	err = ops->retrieve(&op);
	if (err) {
		module_put(ops->owner);
		if (!op.retry)
			p->incoming.err = err;
		return err;
	}

	p->incoming.obj = op.obj;
	p->incoming.state = LUO_FLB_RETRIEVED;
	return 0;
}

/* Called with the lock held, after a reference was dropped. */
static void luo_flb_drop_incoming(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	struct liveupdate_flb_op_args args = { .flb = flb };
	int err;

	if (p->incoming.files || p->incoming.gets)
		return;

	err = luo_flb_retrieve(flb);
	if (err && !p->incoming.err) {
		pr_warn("FLB '%s': failed to retrieve, waiting for a retry: %pe\n",
			flb->compatible, ERR_PTR(err));
		return;
	}

	if (err) {
		pr_err("FLB '%s': failed to retrieve, data is lost: %pe\n",
		       flb->compatible, ERR_PTR(err));
	} else {
		args.data = p->incoming.data;
		args.obj = p->incoming.obj;
		flb->ops->finish(&args);
		module_put(flb->ops->owner);
	}

	p->incoming.obj = NULL;
	p->incoming.state = LUO_FLB_DONE;
}

static void luo_flb_finish_file(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);

	guard(mutex)(&p->lock);

	/* The previous kernel did not preserve the FLB, or counted fewer files. */
	if (luo_flb_read(flb) || !p->incoming.files)
		return;

	p->incoming.files--;
	luo_flb_drop_incoming(flb);
}

/**
 * luo_flb_file_finish - drop the FLBs of a finished file
 * @fh: handler of the file
 */
void luo_flb_file_finish(struct liveupdate_file_handler *fh)
{
	struct luo_flb_link *link;

	guard(rwsem_read)(&luo_register_rwlock);

	list_for_each_entry_reverse(link, &ACCESS_PRIVATE(fh, flb_list), list)
		luo_flb_finish_file(link->flb);
}

/* A record is unread if its FLB is not registered in this kernel. */
static void luo_flb_report_rest(void)
{
	const struct luo_flb_ser *rec = luo_flb_records(luo_flb_in);

	for (u64 i = 0; i < luo_flb_in->count; i++) {
		if (!rec[i].count)
			continue;
		kho_compat_report(rec[i].name, sizeof(rec[i].name), "");
		pr_warn("FLB '%*pE': not supported, its memory stays unclaimed\n",
			(int)strnlen(rec[i].name, sizeof(rec[i].name)),
			rec[i].name);
	}
}

/**
 * luo_flb_finish_rest - finish the remaining incoming FLBs
 *
 * Context: May sleep.
 * Return: false when an FLB failed to be retrieved and can be tried again.
 */
bool luo_flb_finish_rest(void)
{
	struct liveupdate_flb *flb;
	bool all = true;

	guard(rwsem_read)(&luo_register_rwlock);

	list_private_for_each_entry(flb, &luo_flbs, private.list) {
		struct luo_flb_private *p = luo_flb_private(flb);

		guard(mutex)(&p->lock);
		if (luo_flb_read(flb))
			continue;
		p->incoming.files = 0;
		luo_flb_drop_incoming(flb);
		all &= p->incoming.state != LUO_FLB_WAITING;
	}

	guard(mutex)(&luo_flb_in_lock);
	if (!luo_flb_in)
		return all;

	luo_flb_report_rest();
	folio_put(virt_to_folio(luo_flb_in));
	luo_flb_in = NULL;
	return all;
}

/**
 * liveupdate_flb_get_incoming - get a reference to an incoming FLB
 * @flb: the FLB
 * @objp: set to the object from its retrieve()
 *
 * Context: May sleep.
 * Return: 0, to be followed by liveupdate_flb_put_incoming(); -EOPNOTSUPP when
 * LUO is off, -ENODATA when the previous kernel had no FLBs or this FLB is
 * finished, -ENOENT when the previous kernel did not preserve this FLB, -ENODEV
 * when its module is being unloaded, or an error of its retrieve().
 */
int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **objp)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	int err;

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(mutex)(&p->lock);

	err = luo_flb_read(flb);
	if (!err)
		err = luo_flb_retrieve(flb);
	if (err)
		return err;

	p->incoming.gets++;
	*objp = p->incoming.obj;
	return 0;
}

/**
 * liveupdate_flb_put_incoming - put a reference to an incoming FLB
 * @flb: the FLB
 *
 * Context: May sleep.
 */
void liveupdate_flb_put_incoming(struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);

	guard(mutex)(&p->lock);
	p->incoming.gets--;
	luo_flb_drop_incoming(flb);
}

/* Serialization. */

/**
 * luo_flb_setup_outgoing - allocate the outgoing records
 * @flbs_pa: set to the address of the records
 *
 * Return: 0, or an error of kho_alloc_preserve().
 */
int __init luo_flb_setup_outgoing(u64 *flbs_pa)
{
	struct luo_flb_header_ser *header;

	header = kho_alloc_preserve(LUO_FLB_PAGES * PAGE_SIZE);
	if (IS_ERR(header))
		return PTR_ERR(header);

	header->pgcnt = LUO_FLB_PAGES;
	luo_flb_out = header;
	*flbs_pa = virt_to_phys(header);
	return 0;
}

static const char *__init luo_flb_verify(u64 flbs_pa)
{
	const struct luo_flb_header_ser *header = phys_to_virt(flbs_pa);

	if (!kho_pages_preserved(flbs_pa, LUO_FLB_PAGES))
		return "not preserved";
	if (header->pgcnt != LUO_FLB_PAGES)
		return "invalid size";
	if (header->count > LUO_FLB_MAX)
		return "too many";

	return NULL;
}

/* Records without a valid name cannot match any FLB. */
static void __init luo_flb_drop_nameless(struct luo_flb_header_ser *header)
{
	struct luo_flb_ser *rec = luo_flb_records(header);

	for (u64 i = 0; i < header->count; i++) {
		if (!kho_compat_validate(rec[i].name, sizeof(rec[i].name)))
			continue;
		kho_compat_report(rec[i].name, sizeof(rec[i].name), "");
		rec[i].count = 0;
	}
}

/**
 * luo_flb_setup_incoming - restore the incoming records
 * @flbs_pa: address of the records
 *
 * Context: Early boot.
 */
void __init luo_flb_setup_incoming(u64 flbs_pa)
{
	struct folio *folio;
	const char *why;

	if (!flbs_pa)
		return;

	why = luo_flb_verify(flbs_pa);
	folio = why ? NULL : kho_restore_folio(flbs_pa);
	if (!folio) {
		pr_err("FLB records: %s, all FLBs are lost (%#llx)\n",
		       why ?: "already restored", flbs_pa);
		return;
	}

	luo_flb_in = folio_address(folio);
	luo_flb_drop_nameless(luo_flb_in);
}

/**
 * luo_flb_serialize - write the outgoing records
 *
 * Context: From the reboot system call, after all files were frozen.
 */
void luo_flb_serialize(void)
{
	struct luo_flb_ser *rec = luo_flb_records(luo_flb_out);
	struct liveupdate_flb *flb;
	u64 count = 0;

	guard(rwsem_read)(&luo_register_rwlock);

	list_private_for_each_entry(flb, &luo_flbs, private.list) {
		struct luo_flb_private *p = luo_flb_private(flb);

		guard(mutex)(&p->lock);
		if (!p->outgoing.files)
			continue;

		strscpy_pad(rec[count].name, flb->compatible);
		rec[count].data = p->outgoing.data;
		rec[count].count = p->outgoing.files;
		count++;
	}

	luo_flb_out->count = count;
}

/**
 * luo_flb_for_each - call a function for each registered FLB
 * @fn: gets the string of the FLB and the number of outgoing files that need it
 * @data: passed to @fn
 *
 * Context: May sleep.
 */
void luo_flb_for_each(void (*fn)(const char *name, u64 nr, void *data), void *data)
{
	struct liveupdate_flb *flb;

	guard(rwsem_read)(&luo_register_rwlock);

	/* The lock of an FLB is not taken: it is held during slow callbacks. */
	list_private_for_each_entry(flb, &luo_flbs, private.list)
		fn(flb->compatible,
		   READ_ONCE(luo_flb_private(flb)->outgoing.files), data);
}
