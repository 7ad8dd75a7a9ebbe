/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_LIVEUPDATE_H
#define _LINUX_LIVEUPDATE_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/note.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <uapi/linux/liveupdate.h>

struct file;
struct liveupdate_file_handler;
struct liveupdate_flb;
struct module;

/**
 * struct liveupdate_file_op_args - arguments of the callbacks of a file handler
 * @handler: the handler
 * @retry: set by retrieve() if it fails without losing data and may be called
 *         again.  Otherwise the error is permanent.
 * @retrieve_status: for can_finish() and finish(): 1 when the file was
 *                   retrieved, a negative errno after a permanent error of
 *                   retrieve(), 0 when retrieve() was not called or can be
 *                   called again
 * @file: the file; set by retrieve()
 * @serialized_data: where the next kernel finds the state of the file; set by
 *                   preserve(), may be changed by freeze()
 * @private_data: for the handler.  The value that preserve() sets is passed to
 *                freeze(), unfreeze() and unpreserve() in the same kernel.  The
 *                value that retrieve() sets is passed to the next call of
 *                retrieve() and to finish().
 */
struct liveupdate_file_op_args {
	struct liveupdate_file_handler *handler;
	bool retry;
	int retrieve_status;
	struct file *file;
	u64 serialized_data;
	void *private_data;
};

/**
 * struct liveupdate_file_ops - callbacks of a file handler
 * @can_preserve: check whether a file is of this kind
 * @preserve: make the file survive a kexec
 * @unpreserve: undo @preserve
 * @freeze: bring the state up to date, right before the kexec; optional
 * @unfreeze: undo @freeze; optional
 * @retrieve: recreate the file in the next kernel
 * @can_finish: check whether @finish can be called; optional
 * @finish: free preserved memory that is not in use by the file
 * @get_id: return a number for the object that the file refers to; files that
 *          share an object have the same number; optional, defaults to the file
 * @owner: module of these functions
 *
 * See "LUO File Descriptors" for when each is called.
 */
struct liveupdate_file_ops {
	bool (*can_preserve)(struct liveupdate_file_handler *handler,
			     struct file *file);
	int (*preserve)(struct liveupdate_file_op_args *args);
	void (*unpreserve)(struct liveupdate_file_op_args *args);
	int (*freeze)(struct liveupdate_file_op_args *args);
	void (*unfreeze)(struct liveupdate_file_op_args *args);
	int (*retrieve)(struct liveupdate_file_op_args *args);
	bool (*can_finish)(struct liveupdate_file_op_args *args);
	void (*finish)(struct liveupdate_file_op_args *args);
	unsigned long (*get_id)(struct file *file);
	struct module *owner;
};

/**
 * struct liveupdate_file_handler - support for one kind of files
 * @ops: its callbacks
 * @compatible: version of its data, a composite string
 */
struct liveupdate_file_handler {
	const struct liveupdate_file_ops *ops;
	const char compatible[LIVEUPDATE_HNDL_COMPAT_LENGTH];

	/* private: */
	struct list_head __private list;
	struct list_head __private flb_list;
	u64 __private nr_outgoing;
	u64 __private nr_incoming;
};

/**
 * LIVEUPDATE_FILE_NOTE - announce a file handler
 * @name: string literal, name of the handler without a version
 * @compatible: string literal that the handler is registered with
 *
 * Tools compare the notes of two kernels before a kexec; see "Kexec Handover
 * notes".
 */
#define LIVEUPDATE_FILE_NOTE(name, compatible)				\
	KHO_NOTE(KHO_NOTE_FILE, name, compatible, compatible)

/**
 * LIVEUPDATE_FLB_NOTE - announce an FLB
 * @name: string literal, name of the FLB without a version
 * @compatible: string literal that the FLB is registered with
 */
#define LIVEUPDATE_FLB_NOTE(name, compatible)				\
	KHO_NOTE(KHO_NOTE_FLB, name, compatible, compatible)

/**
 * struct liveupdate_flb_op_args - arguments of the callbacks of an FLB
 * @flb: the FLB
 * @data: where the next kernel finds the state; set by preserve()
 * @obj: the live object; set by preserve() and by retrieve()
 * @retry: set by retrieve() if it fails without losing data and may be called
 *         again.  Otherwise the error is permanent.
 */
struct liveupdate_flb_op_args {
	struct liveupdate_flb *flb;
	u64 data;
	void *obj;
	bool retry;
};

/**
 * struct liveupdate_flb_ops - callbacks of an FLB
 * @preserve: make the object survive a kexec, for the first file that needs it
 * @unpreserve: undo @preserve, after the last file
 * @retrieve: recreate the object in the next kernel
 * @finish: free preserved memory, after the last file
 * @owner: module of these functions
 */
struct liveupdate_flb_ops {
	int (*preserve)(struct liveupdate_flb_op_args *argp);
	void (*unpreserve)(struct liveupdate_flb_op_args *argp);
	int (*retrieve)(struct liveupdate_flb_op_args *argp);
	void (*finish)(struct liveupdate_flb_op_args *argp);
	struct module *owner;
};

/* State of an incoming FLB. */
enum luo_flb_state {
	LUO_FLB_UNREAD,		/* its record was not read */
	LUO_FLB_WAITING,	/* its record was read, the object is not recreated */
	LUO_FLB_RETRIEVED,	/* the object was recreated */
	LUO_FLB_DONE,		/* finished, or lost */
};

/*
 * State of an FLB in both directions, protected by @lock.  @files is the number
 * of files that need the FLB, @gets the number of references of other users.
 * luo_register_rwlock protects @list and @users, the number of handlers.
 */
struct luo_flb_private {
	struct list_head list;
	int users;
	bool initialized;
	struct mutex lock;
	struct {
		u64 data;
		void *obj;
		u64 files;
		u64 gets;
	} outgoing;
	struct {
		enum luo_flb_state state;
		int err;
		u64 data;
		void *obj;
		u64 files;
		u64 gets;
	} incoming;
};

/**
 * struct liveupdate_flb - an object that several files share
 * @ops: its callbacks
 * @compatible: version of its data, a composite string
 */
struct liveupdate_flb {
	const struct liveupdate_flb_ops *ops;
	const char compatible[LIVEUPDATE_FLB_COMPAT_LENGTH];

	/* private: */
	struct luo_flb_private __private private;
};

#ifdef CONFIG_LIVEUPDATE

bool liveupdate_enabled(void);
bool liveupdate_interrupted(void);
int liveupdate_reboot(void);

int liveupdate_register_file_handler(struct liveupdate_file_handler *fh);
void liveupdate_unregister_file_handler(struct liveupdate_file_handler *fh);

int liveupdate_register_flb(struct liveupdate_file_handler *fh,
			    struct liveupdate_flb *flb);
void liveupdate_unregister_flb(struct liveupdate_file_handler *fh,
			       struct liveupdate_flb *flb);

int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **objp);
void liveupdate_flb_put_incoming(struct liveupdate_flb *flb);
int liveupdate_flb_get_outgoing(struct liveupdate_flb *flb, void **objp);
void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb);

#else /* !CONFIG_LIVEUPDATE */

static inline bool liveupdate_enabled(void)
{
	return false;
}

static inline bool liveupdate_interrupted(void)
{
	return false;
}

static inline int liveupdate_reboot(void)
{
	return 0;
}

static inline int
liveupdate_register_file_handler(struct liveupdate_file_handler *fh)
{
	return -EOPNOTSUPP;
}

static inline void
liveupdate_unregister_file_handler(struct liveupdate_file_handler *fh)
{
}

static inline int liveupdate_register_flb(struct liveupdate_file_handler *fh,
					  struct liveupdate_flb *flb)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_unregister_flb(struct liveupdate_file_handler *fh,
					     struct liveupdate_flb *flb)
{
}

static inline int liveupdate_flb_get_incoming(struct liveupdate_flb *flb,
					      void **objp)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_flb_put_incoming(struct liveupdate_flb *flb)
{
}

static inline int liveupdate_flb_get_outgoing(struct liveupdate_flb *flb,
					      void **objp)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb)
{
}

#endif /* CONFIG_LIVEUPDATE */

#endif /* _LINUX_LIVEUPDATE_H */
