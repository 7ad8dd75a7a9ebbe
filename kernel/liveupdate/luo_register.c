// SPDX-License-Identifier: GPL-2.0
/*
 * Registration of file handlers and of FLBs with the Live Update Orchestrator.
 *
 * An FLB is registered for the files of a handler.  It may be registered for
 * several handlers: each pair of a handler and an FLB has a link.
 *
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/compat.h>
#include <linux/list.h>
#include <linux/list_private.h>
#include <linux/liveupdate.h>
#include <linux/printk.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "luo_internal.h"

/* Protected by luo_register_rwlock. */
static unsigned int luo_flb_count;

/* Check the string of a handler or an FLB. */
static int luo_may_register(const char *compatible, size_t size)
{
	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	return kho_compat_validate(compatible, size) ? -EINVAL : 0;
}

/* Called with luo_register_rwlock held. */
static bool luo_handler_is_registered(const struct liveupdate_file_handler *fh)
{
	struct liveupdate_file_handler *other;

	list_private_for_each_entry(other, &luo_file_handlers, list) {
		if (other == fh)
			return true;
	}

	return false;
}

static struct luo_flb_link *luo_flb_find_link(struct liveupdate_file_handler *fh,
					      struct liveupdate_flb *flb)
{
	struct luo_flb_link *link;

	list_for_each_entry(link, &ACCESS_PRIVATE(fh, flb_list), list) {
		if (link->flb == flb)
			return link;
	}

	return NULL;
}

static int luo_flb_add(struct liveupdate_flb *flb)
{
	struct liveupdate_flb *other;

	if (luo_flb_count == LUO_FLB_MAX)
		return -ENOSPC;

	list_private_for_each_entry(other, &luo_flbs, private.list) {
		if (kho_compat_match(other->compatible,
				     LIVEUPDATE_FLB_COMPAT_LENGTH,
				     flb->compatible))
			return -EEXIST;
	}

	list_add_tail(&luo_flb_private(flb)->list, &luo_flbs);
	luo_flb_count++;
	return 0;
}

/**
 * liveupdate_register_flb - register an FLB for the files of a handler
 * @fh: a registered handler
 * @flb: the FLB, with its ops and a string that no other FLB has
 *
 * Call it right after the handler is registered.  It fails while a file of the
 * handler is preserved: that file would not be counted for the FLB.
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when LUO is off, -EINVAL when a callback is missing,
 * the string is not a composite string or the handler is not registered, -EEXIST
 * when the FLB is already registered for this handler or its string is in use,
 * -EBUSY when files of the handler are preserved, -ENOSPC with too many FLBs, or
 * -ENOMEM.
 */
int liveupdate_register_flb(struct liveupdate_file_handler *fh,
			    struct liveupdate_flb *flb)
{
	struct luo_flb_private *p = luo_flb_private(flb);
	const struct liveupdate_flb_ops *ops = flb->ops;
	struct luo_flb_link *link;
	int err;

	err = luo_may_register(flb->compatible, LIVEUPDATE_FLB_COMPAT_LENGTH);
	if (err)
		return err;
	if (!ops->preserve || !ops->unpreserve || !ops->retrieve || !ops->finish)
		return -EINVAL;

	guard(rwsem_write)(&luo_register_rwlock);

	if (!luo_handler_is_registered(fh))
		return -EINVAL;
	if (luo_flb_find_link(fh, flb))
		return -EEXIST;
	if (luo_file_any_outgoing(fh))
		return -EBUSY;

	link = kzalloc_obj(struct luo_flb_link);
	if (!link)
		return -ENOMEM;

	if (!p->users)
		err = luo_flb_add(flb);
	if (err) {
		kfree(link);
		return err;
	}

	p->users++;
	link->flb = flb;
	list_add_tail(&link->list, &ACCESS_PRIVATE(fh, flb_list));
	return 0;
}

static void luo_flb_unlink(struct luo_flb_link *link)
{
	struct luo_flb_private *p = luo_flb_private(link->flb);

	if (!--p->users) {
		list_del_init(&p->list);
		luo_flb_count--;
	}

	list_del(&link->list);
	kfree(link);
}

/**
 * liveupdate_unregister_flb - undo liveupdate_register_flb()
 * @fh: the handler
 * @flb: the FLB
 *
 * In the next kernel, preserved files of the handler need the FLB.  Therefore the
 * FLB stays registered as long as such files exist.  They hold references to the
 * module of the handler and to that of the FLB.
 *
 * Context: May sleep.
 */
void liveupdate_unregister_flb(struct liveupdate_file_handler *fh,
			       struct liveupdate_flb *flb)
{
	struct luo_flb_link *link;

	guard(rwsem_write)(&luo_register_rwlock);

	link = luo_handler_is_registered(fh) ? luo_flb_find_link(fh, flb) :
					       NULL;
	if (!link)
		return;

	if (luo_file_any_outgoing(fh))
		pr_warn("FLB '%s': stays registered, files of '%s' are preserved\n",
			flb->compatible, fh->compatible);
	else
		luo_flb_unlink(link);
}

/**
 * liveupdate_register_file_handler - register a handler for a kind of files
 * @fh: the handler, with its ops and a string that no other handler has
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when LUO is off, -EINVAL when a callback is missing or
 * the string is not a composite string, or -EEXIST.
 */
int liveupdate_register_file_handler(struct liveupdate_file_handler *fh)
{
	const struct liveupdate_file_ops *ops = fh->ops;
	struct liveupdate_file_handler *other;
	int err;

	err = luo_may_register(fh->compatible, LIVEUPDATE_HNDL_COMPAT_LENGTH);
	if (err)
		return err;
	if (!ops->can_preserve || !ops->preserve || !ops->unpreserve ||
	    !ops->retrieve || !ops->finish)
		return -EINVAL;

	scoped_guard(rwsem_write, &luo_register_rwlock) {
		list_private_for_each_entry(other, &luo_file_handlers, list) {
			if (!kho_compat_match(other->compatible,
					      LIVEUPDATE_HNDL_COMPAT_LENGTH,
					      fh->compatible))
				continue;
			pr_err("file handler '%s': duplicate\n",
			       fh->compatible);
			return -EEXIST;
		}

		INIT_LIST_HEAD(&ACCESS_PRIVATE(fh, flb_list));
		ACCESS_PRIVATE(fh, nr_outgoing) = 0;
		ACCESS_PRIVATE(fh, nr_incoming) = 0;
		list_add_tail(&ACCESS_PRIVATE(fh, list), &luo_file_handlers);
	}

	liveupdate_test_register(fh);
	return 0;
}

/**
 * liveupdate_unregister_file_handler - undo liveupdate_register_file_handler()
 * @fh: the handler; FLBs that are registered for it are unregistered, too
 *
 * Context: May sleep.  No file of the handler is in a session: such a file holds
 * a reference to the module of the handler.
 */
void liveupdate_unregister_file_handler(struct liveupdate_file_handler *fh)
{
	struct luo_flb_link *link, *tmp;

	guard(rwsem_write)(&luo_register_rwlock);

	/* No handler is registered when LUO is off. */
	if (!luo_handler_is_registered(fh))
		return;

	list_for_each_entry_safe(link, tmp, &ACCESS_PRIVATE(fh, flb_list), list)
		luo_flb_unlink(link);
	list_del(&ACCESS_PRIVATE(fh, list));
}
