// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

/**
 * DOC: LUO File Descriptors
 *
 * Each kind of file has a &struct liveupdate_file_handler.  Its callbacks
 * preserve and retrieve files, and its compatibility string identifies the
 * handler in the next kernel.  Life cycle of a file, with the callbacks::
 *
 *     old kernel                        new kernel
 *
 *     can_preserve(), preserve()
 *         |
 *     PRESERVED --unpreserve()-->
 *         |
 *     freeze()   --unfreeze()-->
 *         |
 *         +----------(kexec)--------->  WAITING <--+
 *                                          |       | retry
 *                                      retrieve() -+
 *                                       |       |
 *                                 RETRIEVED    FAILED
 *                                       |       |
 *                                 can_finish(), finish()
 *
 * ``preserve()`` is called while the system runs, and may take a long time.  It
 * sets ``serialized_data`` to the location of the state for the next kernel, and
 * may set ``private_data`` to state for this kernel.  LUO holds a reference to
 * the file.
 *
 * ``freeze()`` is called right before kexec, to update state that may have
 * changed since preserve().
 *
 * ``retrieve()`` recreates the file.  If it fails without losing data, it may set
 * ``retry``: the file stays in the state WAITING, and ``private_data`` is passed
 * to the next call.  Any other failure is permanent, and later attempts return
 * the same error.  Only invalid data should cause a permanent error: the next
 * caller may have more memory, or permissions that this caller does not have.
 *
 * ``finish()`` is called once for each file.  It frees the preserved memory that
 * ``retrieve()`` has not restored: all of it if the file was not retrieved.  If
 * ``can_finish()`` of a file returns false, the session cannot be finished.
 *
 * A file without a handler in this kernel, because its module is not loaded or
 * because the handler has another version, is an orphan: retrieving it fails
 * with ``-EOPNOTSUPP``, and finishing its session with ``-EBUSY``.  If the
 * session is finished by force, the memory of the file stays unclaimed, see
 * "Unclaimed memory".
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/block.h>
#include <linux/kho/compat.h>
#include <linux/kho/timeline.h>
#include <linux/list.h>
#include <linux/list_private.h>
#include <linux/liveupdate.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "luo_internal.h"

#define LUO_FILE_HASH_BITS	12

/* All files of all sessions, by session and token. */
static DEFINE_HASHTABLE(luo_files, LUO_FILE_HASH_BITS);
/*
 * Files that must not be added to another session, by id.  They are claimed by
 * their session.  This is not related to claimed memory.
 */
static DEFINE_HASHTABLE(luo_claims, LUO_FILE_HASH_BITS);
/* Protects both tables, and the fields of files and sets that debugfs reads. */
DEFINE_SPINLOCK(luo_files_lock);

void luo_file_set_init(struct luo_file_set *set, bool incoming)
{
	set->incoming = incoming;
	INIT_LIST_HEAD(&set->files);
	set->count = 0;
	set->next_nr = 0;
	kho_block_set_init(&set->block_set, sizeof(struct luo_file_ser));
}

static u64 luo_file_key(const struct luo_file_set *set, u64 token)
{
	return token ^ hash_ptr(set, 32);
}

/**
 * luo_file_find_locked - find a file by its token
 * @set: files of the session
 * @token: number of the file
 *
 * Context: With luo_files_lock held.
 * Return: the file, or NULL.
 */
struct luo_file *luo_file_find_locked(struct luo_file_set *set, u64 token)
{
	struct luo_file *f;

	lockdep_assert_held(&luo_files_lock);

	hash_for_each_possible(luo_files, f, node, luo_file_key(set, token)) {
		if (f->set == set && f->token == token)
			return f;
	}

	return NULL;
}

static struct luo_file *luo_file_find(struct luo_file_set *set, u64 token)
{
	guard(spinlock)(&luo_files_lock);
	return luo_file_find_locked(set, token);
}

static int luo_file_hash(struct luo_file *f)
{
	guard(spinlock)(&luo_files_lock);

	if (luo_file_find_locked(f->set, f->token))
		return -EEXIST;

	hash_add(luo_files, &f->node, luo_file_key(f->set, f->token));
	return 0;
}

static struct luo_file *luo_file_alloc(struct luo_file_set *set, u64 token,
				       size_t len, gfp_t gfp)
{
	struct luo_file *f = kzalloc_flex(*f, compatible, len, gfp);

	if (!f)
		return NULL;

	f->set = set;
	f->token = token;
	INIT_LIST_HEAD(&f->list);
	return f;
}

/* The number of files of a handler in outgoing or incoming sessions. */
static u64 *luo_handler_files(struct liveupdate_file_handler *fh, bool incoming)
{
	return incoming ? &ACCESS_PRIVATE(fh, nr_incoming) :
			  &ACCESS_PRIVATE(fh, nr_outgoing);
}

/* Add @change to the number of files that the handler of @f has. */
static void luo_file_count(struct luo_file *f, int change)
{
	lockdep_assert_held(&luo_files_lock);
	*luo_handler_files(f->fh, f->set->incoming) += change;
}

static void luo_file_add(struct luo_file *f)
{
	guard(spinlock)(&luo_files_lock);

	list_add_tail(&f->list, &f->set->files);
	f->set->count++;
	f->nr = f->set->next_nr++;
	if (f->fh)
		luo_file_count(f, 1);
}

static void luo_file_del(struct luo_file *f)
{
	lockdep_assert_held(&luo_files_lock);

	list_del(&f->list);
	f->set->count--;
	if (f->fh)
		luo_file_count(f, -1);
}

/* Free a file in any state. */
static void luo_file_free(struct luo_file *f)
{
	scoped_guard(spinlock, &luo_files_lock) {
		hash_del(&f->node);
		hash_del(&f->claim);
		if (!list_empty(&f->list))
			luo_file_del(f);
	}

	if (f->file)
		fput(f->file);
	if (f->fh)
		module_put(f->fh->ops->owner);
	kfree(f);
}

static unsigned long luo_file_id(struct liveupdate_file_handler *fh,
				 struct file *file)
{
	return fh->ops->get_id ? fh->ops->get_id(file) : (unsigned long)file;
}

static struct luo_file *luo_claim_find(struct liveupdate_file_handler *fh,
				       unsigned long id)
{
	struct luo_file *f;

	lockdep_assert_held(&luo_files_lock);

	hash_for_each_possible(luo_claims, f, claim, id) {
		if (f->fh == fh && f->id == id)
			return f;
	}

	return NULL;
}

static int luo_file_claim(struct luo_file *f)
{
	if (hash_hashed(&f->claim))
		return 0;

	f->id = luo_file_id(f->fh, f->file);

	guard(spinlock)(&luo_files_lock);
	if (luo_claim_find(f->fh, f->id))
		return -EBUSY;
	hash_add(luo_claims, &f->claim, f->id);
	return 0;
}

static struct liveupdate_file_op_args luo_file_args(const struct luo_file *f)
{
	return (struct liveupdate_file_op_args){
		.handler = f->fh,
		.file = f->file,
		.serialized_data = f->serialized_data,
		.private_data = f->private_data,
		.retrieve_status = f->retrieve_status,
	};
}

/* Find the handler of a file to be preserved, and get its module. */
static struct liveupdate_file_handler *luo_handler_for(struct file *file)
{
	struct liveupdate_file_handler *fh;

	guard(rwsem_read)(&luo_register_rwlock);

	list_private_for_each_entry(fh, &luo_file_handlers, list) {
		if (fh->ops->can_preserve(fh, file))
			return try_module_get(fh->ops->owner) ? fh : NULL;
	}

	return NULL;
}

static void luo_file_set_handler(struct luo_file *f,
				 struct liveupdate_file_handler *fh)
{
	guard(spinlock)(&luo_files_lock);
	f->fh = fh;
	luo_file_count(f, 1);
}

/* Find the handler of an incoming file, and get its module. */
static bool luo_file_bind(struct luo_file *f)
{
	const size_t size = LIVEUPDATE_HNDL_COMPAT_LENGTH;
	struct liveupdate_file_handler *fh;
	const char *known = "";

	if (f->fh)
		return true;

	guard(rwsem_read)(&luo_register_rwlock);

	list_private_for_each_entry(fh, &luo_file_handlers, list) {
		if (kho_compat_match(f->compatible, size, fh->compatible)) {
			known = fh->compatible;
			if (try_module_get(fh->ops->owner))
				luo_file_set_handler(f, fh);
			break;
		}
		if (kho_compat_same_base(f->compatible, size, fh->compatible))
			known = fh->compatible;
	}

	kho_compat_report(f->compatible, size, known);
	return f->fh;
}

static void luo_file_warn_orphan(const struct luo_file *f, const char *what)
{
	pr_warn_ratelimited("token %#llx: %s, no handler for '%*pE'\n",
			    f->token, what,
			    (int)strnlen(f->compatible,
					 LIVEUPDATE_HNDL_COMPAT_LENGTH),
			    f->compatible);
}

static int luo_file_call_preserve(struct luo_file *f)
{
	struct liveupdate_file_op_args args = luo_file_args(f);
	int err;

	err = luo_flb_file_preserve(f->fh);
	if (err)
		return err;

	err = f->fh->ops->preserve(&args);
	if (err) {
		luo_flb_file_unpreserve(f->fh);
		return err;
	}

	f->serialized_data = args.serialized_data;
	f->private_data = args.private_data;
	return 0;
}

/**
 * luo_file_preserve - add a file to an outgoing session
 * @set: files of the session
 * @token: number for the file, unique in the session
 * @fd: descriptor of the file
 *
 * Context: With the mutex of the session held.
 * Return: 0, -EEXIST for a token in use, -EBADF, -ENOENT without a handler for
 * the file, -EBUSY when the file is in a session already, -ENOMEM, or an error of
 * the handler.  On error nothing has changed.
 */
int luo_file_preserve(struct luo_file_set *set, u64 token, int fd)
{
	struct luo_file *f;
	int err;

	f = luo_file_alloc(set, token, 0, GFP_KERNEL);
	if (!f)
		return -ENOMEM;

	err = luo_file_hash(f);
	if (err)
		goto err_free;

	err = -EBADF;
	f->file = fget(fd);
	if (!f->file)
		goto err_free;

	err = -ENOENT;
	f->fh = luo_handler_for(f->file);
	if (!f->fh)
		goto err_free;

	err = luo_file_claim(f);
	if (err)
		goto err_free;

	err = kho_block_set_grow(&set->block_set, set->count + 1);
	if (err)
		goto err_free;

	err = luo_file_call_preserve(f);
	if (err)
		goto err_shrink;

	luo_file_add(f);
	kho_timeline_mark(KHO_TIMELINE_PRESERVE_END);
	return 0;

err_shrink:
	kho_block_set_shrink(&set->block_set, set->count);
err_free:
	luo_file_free(f);
	return err;
}

/**
 * luo_file_unpreserve_all - unpreserve all files of an outgoing session
 * @set: files of the session
 *
 * Context: With the mutex of the session held.
 */
void luo_file_unpreserve_all(struct luo_file_set *set)
{
	struct luo_file *f, *tmp;

	list_for_each_entry_safe_reverse(f, tmp, &set->files, list) {
		struct liveupdate_file_op_args args = luo_file_args(f);

		f->fh->ops->unpreserve(&args);
		luo_flb_file_unpreserve(f->fh);
		luo_file_free(f);
	}

	kho_block_set_destroy(&set->block_set);
}

static int luo_file_freeze(struct luo_file *f, struct luo_file_ser *ser)
{
	struct liveupdate_file_op_args args = luo_file_args(f);
	int err = 0;

	if (f->fh->ops->freeze)
		err = f->fh->ops->freeze(&args);
	if (err) {
		pr_err("token %#llx: handler '%s' failed to freeze: %pe\n",
		       f->token, f->fh->compatible, ERR_PTR(err));
		return err;
	}

	f->frozen_data = args.serialized_data;
	strscpy_pad(ser->compatible, f->fh->compatible);
	ser->data = f->frozen_data;
	ser->token = f->token;
	return 0;
}

static void luo_file_unfreeze(struct luo_file *f)
{
	struct liveupdate_file_op_args args = luo_file_args(f);

	args.serialized_data = f->frozen_data;
	if (f->fh->ops->unfreeze)
		f->fh->ops->unfreeze(&args);
}

/**
 * luo_file_freeze_all - freeze the files of a session and write their records
 * @set: files of the session
 * @ser: set to the location of the records
 *
 * Context: With the mutex of the session held.
 * Return: 0, or the error of a handler, with nothing frozen.
 */
int luo_file_freeze_all(struct luo_file_set *set, struct luo_file_set_ser *ser)
{
	struct kho_block_set_it it;
	struct luo_file *f;
	int err;

	kho_block_set_clear(&set->block_set);
	kho_block_set_it_init(&it, &set->block_set);

	list_for_each_entry(f, &set->files, list) {
		/* Preserving a file has added the capacity for its record. */
		struct luo_file_ser *rec = kho_block_set_it_reserve_entry(&it);

		err = rec ? luo_file_freeze(f, rec) : -ENOSPC;
		if (err)
			goto err_unfreeze;
	}

	ser->files = kho_block_set_head_pa(&set->block_set);
	ser->count = set->count;
	return 0;

err_unfreeze:
	list_for_each_entry_continue_reverse(f, &set->files, list)
		luo_file_unfreeze(f);
	return err;
}

/**
 * luo_file_unfreeze_all - undo luo_file_freeze_all()
 * @set: files of the session
 * @ser: location of the records; set to all zero
 *
 * Context: With the mutex of the session held.
 */
void luo_file_unfreeze_all(struct luo_file_set *set,
			   struct luo_file_set_ser *ser)
{
	struct luo_file *f;

	list_for_each_entry_reverse(f, &set->files, list)
		luo_file_unfreeze(f);

	*ser = (struct luo_file_set_ser){ };
}

static void luo_file_read(struct luo_file_set *set,
			  const struct luo_file_ser *ser)
{
	const size_t size = sizeof(ser->compatible);
	struct luo_file *f = luo_file_alloc(set, ser->token, size,
					    GFP_KERNEL | __GFP_NOFAIL);

	f->serialized_data = ser->data;
	memcpy(f->compatible, ser->compatible, size);

	/*
	 * A duplicate cannot be retrieved.  It is finished with its session.
	 */
	if (luo_file_hash(f))
		pr_err("token %#llx: duplicate, file is lost\n", f->token);

	luo_file_add(f);
}

/**
 * luo_file_restore_all - read the incoming records of files
 * @set: files of the session, empty
 * @ser: location of the records
 *
 * Context: May sleep.
 * Return: 0, -ENOMEM with nothing changed, or -EINVAL when the records are
 * damaged and were discarded.
 */
int luo_file_restore_all(struct luo_file_set *set,
			 const struct luo_file_set_ser *ser)
{
	struct luo_file_ser *rec;
	struct kho_block_set_it it;
	int err;

	err = kho_block_set_restore(&set->block_set, ser->files);
	if (err)
		return err;

	kho_block_set_it_init(&it, &set->block_set);
	while ((rec = kho_block_set_it_read_entry(&it)))
		luo_file_read(set, rec);
	kho_block_set_destroy(&set->block_set);

	if (set->count != ser->count)
		pr_warn("file records: count mismatch (%llu found, expected %llu)\n",
			set->count, ser->count);
	return 0;
}

static int luo_file_call_retrieve(struct luo_file *f)
{
	struct liveupdate_file_op_args args = luo_file_args(f);
	int err;

	err = f->fh->ops->retrieve(&args);
	f->private_data = args.private_data;

	guard(spinlock)(&luo_files_lock);
	if (!err) {
		f->file = args.file;
		f->retrieve_status = 1;
	} else if (!args.retry) {
		f->retrieve_status = err;
	}

	return err;
}

/**
 * luo_file_retrieve - retrieve a file of an incoming session
 * @set: files of the session
 * @token: number of the file
 * @filep: set to the file, with a reference for the caller
 *
 * A file can be retrieved any number of times until the session is finished.
 *
 * Context: With the mutex of the session held.
 * Return: 0, -ENOENT without a file of that number, -EOPNOTSUPP without a handler
 * for it, -EBUSY when the file is in another session, or an error of the handler.
 */
int luo_file_retrieve(struct luo_file_set *set, u64 token, struct file **filep)
{
	struct luo_file *f = luo_file_find(set, token);
	int err = 0;

	if (!f)
		return -ENOENT;
	if (f->retrieve_status < 0)
		return f->retrieve_status;

	if (!luo_file_bind(f)) {
		luo_file_warn_orphan(f, "failed to retrieve");
		return -EOPNOTSUPP;
	}

	if (!f->file)
		err = luo_file_call_retrieve(f);
	/* While the file is in this session, no other session may have it. */
	if (!err)
		err = luo_file_claim(f);
	if (!err)
		*filep = get_file(f->file);

	return err;
}

/**
 * luo_file_give - record that the holder of a session has a file
 * @set: files of the session
 * @token: number of the file; the file may already be finished
 *
 * Context: With the mutex of the session held.
 */
void luo_file_give(struct luo_file_set *set, u64 token)
{
	struct luo_file *f = luo_file_find(set, token);

	if (f)
		f->given = true;
}

static bool luo_file_can_finish(struct luo_file *f)
{
	struct liveupdate_file_op_args args;

	if (!luo_file_bind(f) || !f->fh->ops->can_finish)
		return true;

	args = luo_file_args(f);
	return f->fh->ops->can_finish(&args);
}

static void luo_file_finish(struct luo_file *f)
{
	struct liveupdate_file_op_args args = luo_file_args(f);

	if (f->fh) {
		f->fh->ops->finish(&args);
		luo_flb_file_finish(f->fh);
	} else {
		luo_file_warn_orphan(f, "memory stays unclaimed");
	}
	luo_file_free(f);
}

/**
 * luo_file_finish_all - finish all files of an incoming session
 * @set: files of the session
 * @force: finish orphans as well
 *
 * Files that were not retrieved are discarded.
 *
 * Context: With the mutex of the session held.
 * Return: 0, or -EBUSY when a handler refuses, or because of an orphan.  On error
 * nothing has changed.
 */
int luo_file_finish_all(struct luo_file_set *set, bool force)
{
	struct luo_file *f, *tmp;

	list_for_each_entry(f, &set->files, list) {
		if (!luo_file_can_finish(f))
			return -EBUSY;
		if (!f->fh && !force) {
			luo_file_warn_orphan(f, "failed to finish");
			return -EBUSY;
		}
	}

	list_for_each_entry_safe_reverse(f, tmp, &set->files, list)
		luo_file_finish(f);
	return 0;
}

/**
 * luo_file_leave - remove a retrieved file from its session
 * @f: a file of an incoming session
 *
 * Context: With the mutex of the session held.
 * Return: false when its handler refuses.
 */
bool luo_file_leave(struct luo_file *f)
{
	if (!luo_file_can_finish(f))
		return false;

	luo_file_finish(f);
	return true;
}

/**
 * luo_file_finish_given - remove the files that the holder of a session has
 * @set: files of an incoming session
 *
 * Files that were retrieved by an earlier holder, or whose descriptor was not
 * installed, stay: they may have no user.  Files with a permanent error are
 * finished as well.
 *
 * Context: With the mutex of the session held.
 * Return: true when no file is left.
 */
bool luo_file_finish_given(struct luo_file_set *set)
{
	struct luo_file *f, *tmp;

	list_for_each_entry_safe_reverse(f, tmp, &set->files, list) {
		if (f->given || f->retrieve_status < 0)
			luo_file_leave(f);
	}

	return list_empty(&set->files);
}

/**
 * luo_file_park_all - reset the files of a session without a holder
 * @set: files of the session
 *
 * Context: With the mutex of the session held.
 */
void luo_file_park_all(struct luo_file_set *set)
{
	struct luo_file *f;

	list_for_each_entry(f, &set->files, list)
		f->given = false;
}

/**
 * luo_file_find_claimed - find a file of an incoming session
 * @fd: descriptor of a retrieved file
 * @set: set to the files of its session
 *
 * Context: May sleep.
 * Return: the file, valid as long as its session is parked; or NULL.
 */
struct luo_file *luo_file_find_claimed(int fd, struct luo_file_set **set)
{
	struct liveupdate_file_handler *fh;
	struct file *file = fget(fd);
	struct luo_file *f = NULL;
	unsigned long id;

	if (!file)
		return NULL;

	fh = luo_handler_for(file);
	if (!fh)
		goto out_put;

	id = luo_file_id(fh, file);
	scoped_guard(spinlock, &luo_files_lock) {
		f = luo_claim_find(fh, id);
		if (f && !f->set->incoming)
			f = NULL;
		if (f)
			*set = f->set;
	}

	module_put(fh->ops->owner);
out_put:
	fput(file);
	return f;
}

/**
 * luo_file_any_outgoing - test if a handler has files in outgoing sessions
 * @fh: the handler
 *
 * A file is in luo_claims before its FLBs are preserved, and stays there until
 * they are unpreserved.  So this finds every file that is counted for an FLB.
 *
 * Context: With luo_register_rwlock held for writing.
 * Return: true when a file of the handler is preserved or being preserved.
 */
bool luo_file_any_outgoing(const struct liveupdate_file_handler *fh)
{
	struct luo_file *f;
	int bucket;

	guard(spinlock)(&luo_files_lock);

	hash_for_each(luo_claims, bucket, f, claim) {
		if (f->fh == fh && !f->set->incoming)
			return true;
	}

	return false;
}

/**
 * luo_file_for_each_handler - call a function for each registered handler
 * @fn: gets the string of the handler and the number of its files
 * @incoming: true for the files of incoming sessions whose handler was looked up,
 *	      false for the files of outgoing sessions
 * @data: passed to @fn
 *
 * The handlers have counters for their files, so the cost does not depend on the
 * number of files.
 *
 * Context: May sleep.
 */
void luo_file_for_each_handler(void (*fn)(const char *name, u64 nr, void *data),
			       bool incoming, void *data)
{
	struct liveupdate_file_handler *fh;

	guard(rwsem_read)(&luo_register_rwlock);

	list_private_for_each_entry(fh, &luo_file_handlers, list) {
		u64 nr;

		scoped_guard(spinlock, &luo_files_lock)
			nr = *luo_handler_files(fh, incoming);
		fn(fh->compatible, nr, data);
	}
}
