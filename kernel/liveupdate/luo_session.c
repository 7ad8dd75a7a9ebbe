// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

/**
 * DOC: LUO Sessions
 *
 * A session is a set of files under a name.  It is *outgoing* in the kernel
 * that created it, and *incoming* in the next one.
 *
 * An outgoing session belongs to its file descriptor.  Closing the descriptor
 * unpreserves all files of the session.
 *
 * An incoming session has no holder at first: it is *parked*.  Retrieving it by
 * its name creates a file descriptor, and the session is *held*.  A session has
 * one file descriptor at most.  It is *finished* by %LIVEUPDATE_SESSION_FINISH,
 * which discards the files that were not retrieved, or when its last file has
 * left it.  A finished session is freed with its descriptor::
 *
 *     created --> outgoing --(kexec)--> parked <--> held --> finished
 *                    |                                          |
 *                  close                                      close
 *
 * ====================  ======================  ===============================
 * event                 in 7.3                  in this version
 * ====================  ======================  ===============================
 * FINISH                all files leave         the same; ``-EBUSY`` with orphans
 * close()               all files leave         files that the holder retrieved
 *                                               leave; others stay in the session
 * the holder exits      as close()              all files stay, retrieved ones
 *                                               too; the session is parked
 * PRESERVE_FD of a      ``-EBUSY`` until        the file leaves a parked session;
 * retrieved file        close()                 ``-EBUSY`` when it is held
 * reboot(KEXEC)         sessions are lost       the same, and logged
 * ====================  ======================  ===============================
 *
 * A file that leaves an incoming session is an ordinary file of its users.
 *
 * The records of incoming sessions are read when ``/dev/liveupdate`` is opened
 * for the first time, and the records of their files when a session is retrieved
 * for the first time.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/block.h>
#include <linux/kho/timeline.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringhash.h>

#include "kexec_handover_internal.h"
#include "luo_internal.h"

/* For %*pE: names come from user space, or from the previous kernel. */
#define LUO_NAME(session)	(int)strlen((session)->name), (session)->name

#define LUO_SESSIONS_INIT(_name) {					\
	.lock = __MUTEX_INITIALIZER((_name).lock),			\
	.list = LIST_HEAD_INIT((_name).list),				\
	.blocks = KHO_BLOCK_SET_INIT((_name).blocks,			\
				     sizeof(struct luo_session_ser)),	\
}

struct luo_sessions luo_incoming = LUO_SESSIONS_INIT(luo_incoming);
/*
 * Set while incoming sessions may refer to unclaimed memory, which must not be
 * released.
 */
static bool luo_incoming_holds;

struct luo_sessions luo_outgoing = LUO_SESSIONS_INIT(luo_outgoing);

static const struct file_operations luo_session_fops;

static u32 luo_name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

/**
 * luo_session_find - find a session by its name
 * @dir: the sessions of one direction
 * @name: the name
 *
 * Context: With the lock of @dir held.
 * Return: the session, or NULL.
 */
struct luo_session *luo_session_find(struct luo_sessions *dir, const char *name)
{
	struct luo_session *session;

	lockdep_assert_held(&dir->lock);

	hash_for_each_possible(dir->names, session, node, luo_name_hash(name)) {
		if (!strcmp(session->name, name))
			return session;
	}

	return NULL;
}

static struct luo_session *luo_session_alloc(struct luo_sessions *dir,
					     const char *name, gfp_t gfp)
{
	size_t len = strlen(name) + 1;
	struct luo_session *session = kzalloc_flex(*session, name, len, gfp);

	if (!session)
		return NULL;

	memcpy(session->name, name, len);
	session->dir = dir;
	mutex_init(&session->mutex);
	luo_file_set_init(&session->files, dir == &luo_incoming);
	return session;
}

static void luo_session_free(struct luo_session *session)
{
	mutex_destroy(&session->mutex);
	kfree(session);
}

/* The caller has checked that the name is unused. */
static void luo_session_add(struct luo_session *session)
{
	struct luo_sessions *dir = session->dir;

	lockdep_assert_held(&dir->lock);

	session->nr = dir->next_nr++;
	list_add_tail(&session->list, &dir->list);
	hash_add(dir->names, &session->node, luo_name_hash(session->name));
	dir->count++;
}

static void luo_session_del(struct luo_session *session)
{
	struct luo_sessions *dir = session->dir;

	lockdep_assert_held(&dir->lock);

	list_del(&session->list);
	hash_del(&session->node);
	dir->count--;
}

/* Create the file for the descriptor of a session. */
static int luo_session_hold(struct luo_session *session, struct file **filep)
{
	char name[LIVEUPDATE_SESSION_NAME_LENGTH + 16];
	struct file *file;

	snprintf(name, sizeof(name), "[luo_session] %s", session->name);
	file = anon_inode_getfile(name, &luo_session_fops, session, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);

	session->held = true;
	*filep = file;
	return 0;
}

/**
 * luo_session_create - create an outgoing session
 * @name: its name
 * @filep: set to a new file for the descriptor of the session
 *
 * Context: Between luo_enter() and luo_leave().
 * Return: 0, -EINVAL for an empty or unterminated name, -EEXIST, -ENOMEM, or an
 * error of kho_block_set_grow() or anon_inode_getfile().
 */
int luo_session_create(const char *name, struct file **filep)
{
	struct luo_sessions *dir = &luo_outgoing;
	struct luo_session *session;
	int err;

	if (!luo_string_valid(name, LIVEUPDATE_SESSION_NAME_LENGTH))
		return -EINVAL;

	guard(mutex)(&dir->lock);

	if (luo_session_find(dir, name))
		return -EEXIST;

	session = luo_session_alloc(dir, name, GFP_KERNEL);
	if (!session)
		return -ENOMEM;

	err = kho_block_set_grow(&dir->blocks, dir->count + 1);
	if (err)
		goto err_free;

	err = luo_session_hold(session, filep);
	if (err)
		goto err_shrink;

	if (!dir->count)
		kho_timeline_mark(KHO_TIMELINE_PRESERVE_BEGIN);
	luo_session_add(session);
	return 0;

err_shrink:
	kho_block_set_shrink(&dir->blocks, dir->count);
err_free:
	luo_session_free(session);
	return err;
}

/* On allocation failure, the records of the files stay for a later call. */
static int luo_session_read_files(struct luo_session *session)
{
	int err;

	guard(mutex)(&session->mutex);

	if (!session->unread)
		return 0;

	err = luo_file_restore_all(&session->files, &session->ser);
	if (err == -ENOMEM)
		return err;
	if (err)
		pr_err("session '%*pE': invalid records, all files are lost: %pe\n",
		       LUO_NAME(session), ERR_PTR(err));

	session->unread = false;
	return 0;
}

/**
 * luo_session_retrieve - retrieve a parked session
 * @name: its name
 * @filep: set to a new file for the descriptor of the session
 *
 * Context: Between luo_enter() and luo_leave().
 * Return: 0, -ENOENT, -EINVAL when the session is held, -ENOMEM, or an error of
 * anon_inode_getfile().
 */
int luo_session_retrieve(const char *name, struct file **filep)
{
	struct luo_sessions *dir = &luo_incoming;
	struct luo_session *session;
	int err;

	/* No session has such a name. */
	if (!luo_string_valid(name, LIVEUPDATE_SESSION_NAME_LENGTH))
		return -ENOENT;

	guard(mutex)(&dir->lock);

	session = luo_session_find(dir, name);
	if (!session)
		return -ENOENT;
	if (session->held)
		return -EINVAL;

	err = luo_session_read_files(session);
	if (err)
		return err;

	err = luo_session_hold(session, filep);
	if (err)
		return err;

	if (!session->retrieved)
		kho_timeline_session_retrieved(session->name);
	session->retrieved = true;
	return 0;
}

static void luo_session_release_outgoing(struct luo_session *session)
{
	struct luo_sessions *dir = session->dir;

	scoped_guard(mutex, &session->mutex)
		luo_file_unpreserve_all(&session->files);

	scoped_guard(mutex, &dir->lock) {
		luo_session_del(session);
		kho_block_set_shrink(&dir->blocks, dir->count);
	}
	luo_session_free(session);
}

/**
 * luo_session_unhold_incoming - allow the release of unclaimed memory
 *
 * Context: May sleep.
 */
void luo_session_unhold_incoming(void)
{
	if (xchg(&luo_incoming_holds, false))
		kho_incoming_put();
}

/*
 * Called when the last incoming session is finished, or the previous kernel had
 * none.  If an FLB failed to be retrieved and can be tried again, the next open of
 * the device calls this again.
 */
static void luo_incoming_done(void)
{
	if (luo_flb_finish_rest())
		luo_session_unhold_incoming();
}

/* Called with the mutex of the session held. */
static void luo_session_finished(struct luo_session *session)
{
	if (session->finished)
		return;

	session->finished = true;
	kho_timeline_session_finished(session->name);
}

/* A descriptor in a message that is never received is closed by a kernel thread. */
static bool luo_holder_is_gone(void)
{
	return current->flags & (PF_EXITING | PF_KTHREAD);
}

static void luo_session_release_incoming(struct luo_session *session)
{
	struct luo_sessions *dir = session->dir;
	bool last;

	scoped_guard(mutex, &session->mutex) {
		/* If the holder has exited, all files stay for the next holder. */
		if (!luo_holder_is_gone() &&
		    luo_file_finish_given(&session->files))
			luo_session_finished(session);
		luo_file_park_all(&session->files);
	}

	scoped_guard(mutex, &dir->lock) {
		session->held = false;
		if (!session->finished)
			return;
		luo_session_del(session);
		last = !dir->count;
	}

	luo_session_free(session);
	if (last)
		luo_incoming_done();
}

static int luo_session_release(struct inode *inode, struct file *file)
{
	struct luo_session *session = file->private_data;

	/* After the freeze, the session is preserved for the next kernel. */
	if (!luo_enter_close())
		return 0;

	if (session->dir == &luo_outgoing)
		luo_session_release_outgoing(session);
	else
		luo_session_release_incoming(session);

	luo_leave();
	return 0;
}

static int luo_session_preserve(struct luo_session *session, u64 token, int fd)
{
	guard(mutex)(&session->mutex);
	return luo_file_preserve(&session->files, token, fd);
}

/* Remove a retrieved file from a parked session, which has no holder. */
static bool luo_session_take_parked(int fd)
{
	struct luo_session *session;
	struct luo_file_set *set;
	struct luo_file *f;
	bool left, empty;

	guard(mutex)(&luo_incoming.lock);

	f = luo_file_find_claimed(fd, &set);
	if (!f)
		return false;

	/* As long as the lock is held, the session of a file is not freed. */
	session = container_of(set, struct luo_session, files);
	if (session->held)
		return false;

	scoped_guard(mutex, &session->mutex) {
		left = luo_file_leave(f);
		empty = list_empty(&set->files);
		if (empty)
			luo_session_finished(session);
	}
	if (empty) {
		luo_session_del(session);
		luo_session_free(session);
		if (!luo_incoming.count)
			luo_incoming_done();
	}
	return left;
}

static int luo_do_preserve_fd(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_session_preserve_fd *preserve = arg;
	struct luo_session *session = ctx;
	int err;

	if (session->dir != &luo_outgoing)
		return -EINVAL;

	err = luo_session_preserve(session, preserve->token, preserve->fd);
	if (err == -EBUSY && luo_session_take_parked(preserve->fd))
		err = luo_session_preserve(session, preserve->token, preserve->fd);
	return err;
}

static int luo_do_retrieve_fd(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_session_retrieve_fd *retrieve = arg;
	struct luo_session *session = ctx;

	if (session->dir != &luo_incoming)
		return -EINVAL;

	guard(mutex)(&session->mutex);
	return luo_file_retrieve(&session->files, retrieve->token, filep);
}

static void luo_give_fd(void *ctx, void *arg)
{
	struct liveupdate_session_retrieve_fd *retrieve = arg;
	struct luo_session *session = ctx;

	guard(mutex)(&session->mutex);
	luo_file_give(&session->files, retrieve->token);
}

static int luo_do_finish(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_session_finish *finish = arg;
	struct luo_session *session = ctx;
	int err;

	if (session->dir != &luo_incoming ||
	    finish->reserved & ~LIVEUPDATE_SESSION_FINISH_FORCE)
		return -EINVAL;

	guard(mutex)(&session->mutex);

	err = luo_file_finish_all(&session->files,
				  finish->reserved & LIVEUPDATE_SESSION_FINISH_FORCE);
	if (!err)
		luo_session_finished(session);
	return err;
}

static int luo_do_get_name(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_session_get_name *get_name = arg;
	struct luo_session *session = ctx;

	if (get_name->reserved)
		return -EINVAL;

	strscpy_pad((char *)get_name->name, session->name,
		    sizeof(get_name->name));
	return 0;
}

static const struct luo_ioctl_op luo_session_ops[] = {
	LUO_IOCTL(LIVEUPDATE_SESSION_PRESERVE_FD,
		  liveupdate_session_preserve_fd, token, luo_do_preserve_fd),
	LUO_IOCTL(LIVEUPDATE_SESSION_RETRIEVE_FD,
		  liveupdate_session_retrieve_fd, token, luo_do_retrieve_fd,
		  .respond = true,
		  .give = luo_give_fd,
		  .fd_offset = offsetof(struct liveupdate_session_retrieve_fd,
					fd)),
	LUO_IOCTL(LIVEUPDATE_SESSION_FINISH,
		  liveupdate_session_finish, reserved, luo_do_finish),
	LUO_IOCTL(LIVEUPDATE_SESSION_GET_NAME,
		  liveupdate_session_get_name, name, luo_do_get_name,
		  .respond = true),
};

static long luo_session_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	return luo_ioctl(luo_session_ops, ARRAY_SIZE(luo_session_ops),
			 file->private_data, cmd, arg);
}

static const struct file_operations luo_session_fops = {
	.owner		= THIS_MODULE,
	.release	= luo_session_release,
	.unlocked_ioctl	= luo_session_ioctl,
};

/**
 * luo_session_any_outgoing - check whether an outgoing session exists
 *
 * Return: true with at least one outgoing session.
 */
bool luo_session_any_outgoing(void)
{
	guard(mutex)(&luo_outgoing.lock);
	return luo_outgoing.count;
}

static int luo_session_freeze(struct luo_session *session,
			      struct luo_session_ser *ser)
{
	int err;

	guard(mutex)(&session->mutex);

	err = luo_file_freeze_all(&session->files, &ser->file_set_ser);
	if (!err)
		strscpy_pad(ser->name, session->name);
	return err;
}

static void luo_session_unfreeze(struct luo_session *session,
				 struct luo_session_ser *ser)
{
	guard(mutex)(&session->mutex);

	luo_file_unfreeze_all(&session->files, &ser->file_set_ser);
	memset(ser, 0, sizeof(*ser));
}

/**
 * luo_session_serialize - freeze all outgoing sessions and write their records
 * @sessions_pa: set to the address of the records
 *
 * Context: From the reboot system call, with luo_freeze_sem held for writing.
 * Return: 0, or the error of a handler, with nothing frozen.
 */
int luo_session_serialize(u64 *sessions_pa)
{
	struct luo_sessions *dir = &luo_outgoing;
	struct luo_session_ser *ser;
	struct luo_session *session;
	struct kho_block_set_it it;
	int err;

	guard(mutex)(&dir->lock);

	kho_block_set_clear(&dir->blocks);
	kho_block_set_it_init(&it, &dir->blocks);

	list_for_each_entry(session, &dir->list, list) {
		/* Creating a session has added the capacity for its record. */
		ser = kho_block_set_it_reserve_entry(&it);
		err = ser ? luo_session_freeze(session, ser) : -ENOSPC;
		if (err)
			goto err_unfreeze;
	}

	*sessions_pa = kho_block_set_head_pa(&dir->blocks);
	return 0;

err_unfreeze:
	pr_err("session '%*pE': failed to freeze, live update aborted: %pe\n",
	       LUO_NAME(session), ERR_PTR(err));
	if (ser)
		kho_block_set_it_prev(&it);
	list_for_each_entry_continue_reverse(session, &dir->list, list)
		luo_session_unfreeze(session, kho_block_set_it_prev(&it));
	*sessions_pa = 0;
	return err;
}

static void luo_warn_lost(const char *name, u64 nr_files)
{
	pr_warn("session '%*pE': not finished before kexec, %llu files are lost\n",
		(int)strnlen(name, LIVEUPDATE_SESSION_NAME_LENGTH), name, nr_files);
}

/**
 * luo_session_warn_unfinished - log the incoming sessions that are lost
 *
 * Unfinished sessions are not handed over again.
 *
 * Context: As luo_session_serialize().
 */
void luo_session_warn_unfinished(void)
{
	struct luo_sessions *dir = &luo_incoming;
	struct luo_session *session;
	struct luo_session_ser *ser;
	struct kho_block_set_it it;

	guard(mutex)(&dir->lock);

	list_for_each_entry(session, &dir->list, list) {
		guard(mutex)(&session->mutex);
		if (!session->finished)
			luo_warn_lost(session->name, session->unread ?
				      session->ser.count : session->files.count);
	}

	/* These records are unread: no agent has opened the device. */
	it = dir->it;
	while ((ser = kho_block_set_it_read_entry(&it)))
		luo_warn_lost(ser->name, ser->file_set_ser.count);
}

/**
 * luo_session_setup_incoming - restore the incoming records of sessions
 * @sessions_pa: address of the records
 *
 * Context: Early boot.
 */
void __init luo_session_setup_incoming(u64 sessions_pa)
{
	struct luo_sessions *dir = &luo_incoming;
	int err = kho_block_set_restore(&dir->blocks, sessions_pa);

	if (err) {
		pr_err("session records: invalid, all sessions are lost: %pe\n", ERR_PTR(err));
	} else if (sessions_pa) {
		luo_incoming_holds = true;
		kho_incoming_get();
	}

	kho_block_set_it_init(&dir->it, &dir->blocks);
}

/*
 * If the name in a record is invalid, the rest of the record is likely to be
 * damaged, too.  Therefore the memory of its files is not freed.
 */
static void luo_session_lost(const char *name, const char *why)
{
	pr_err("session '%*pE': %s, its memory stays unclaimed\n",
	       (int)strnlen(name, LIVEUPDATE_SESSION_NAME_LENGTH), name, why);
}

static void luo_session_read(const struct luo_session_ser *ser)
{
	struct luo_sessions *dir = &luo_incoming;
	struct luo_session *session;

	if (!luo_string_valid(ser->name, sizeof(ser->name))) {
		luo_session_lost(ser->name, "invalid name");
		return;
	}
	if (luo_session_find(dir, ser->name)) {
		luo_session_lost(ser->name, "duplicate name");
		return;
	}

	session = luo_session_alloc(dir, ser->name, GFP_KERNEL | __GFP_NOFAIL);
	session->ser = ser->file_set_ser;
	session->unread = true;
	luo_session_add(session);
}

/**
 * luo_session_read_incoming - read the incoming records of sessions
 *
 * The first call reads all records, and later calls do nothing.
 *
 * Context: May sleep.
 */
void luo_session_read_incoming(void)
{
	struct luo_sessions *dir = &luo_incoming;
	struct luo_session_ser *ser;

	guard(mutex)(&dir->lock);

	while ((ser = kho_block_set_it_read_entry(&dir->it)))
		luo_session_read(ser);

	kho_block_set_destroy(&dir->blocks);
	kho_block_set_it_init(&dir->it, &dir->blocks);

	if (!dir->count)
		luo_incoming_done();
}
