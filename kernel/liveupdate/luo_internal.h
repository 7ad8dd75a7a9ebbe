/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_LUO_INTERNAL_H
#define _LINUX_LUO_INTERNAL_H

/*
 * Layers.  A file only calls files on lines below its own.  All files may call
 * Kexec Handover, but not kho_image.c:
 *
 *	luo_core.c luo_debugfs.c	the device, and kexec; files for administrators
 *	luo_session.c			sessions
 *	luo_register.c			registration of handlers and FLBs
 *	luo_file.c			files in sessions
 *	luo_flb.c			objects that files share
 *	luo_ioctl.c			format of ioctls
 *	luo_state.c			state that all other files use
 */

#include <linux/hashtable.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/block.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* luo_ioctl.c: large enough for the structure of each ioctl. */
#define LUO_IOCTL_MAX_SIZE	128

/**
 * struct luo_ioctl_op - description of an ioctl
 * @cmd: its number
 * @size: size of its structure in this kernel
 * @min_size: size of the structure when the ioctl was introduced
 * @fd_offset: offset of a new descriptor in the structure, 0 for none
 * @respond: copy the structure back to the caller
 * @execute: executes the ioctl.  @ctx is the object of the file descriptor, @arg
 *           the structure; sets @filep if @fd_offset is not 0.
 * @give: called before the new descriptor is installed; optional
 */
struct luo_ioctl_op {
	unsigned int cmd;
	unsigned int size;
	unsigned int min_size;
	unsigned int fd_offset;
	bool respond;
	int (*execute)(void *ctx, void *arg, struct file **filep);
	void (*give)(void *ctx, void *arg);
};

#define LUO_IOCTL(_cmd, _struct, _last, _execute, ...) {		\
	.cmd = (_cmd),							\
	.size = sizeof(struct _struct) +				\
		BUILD_BUG_ON_ZERO(sizeof(struct _struct) >		\
				  LUO_IOCTL_MAX_SIZE),			\
	.min_size = offsetofend(struct _struct, _last),			\
	.execute = (_execute),						\
	__VA_ARGS__							\
}

long luo_ioctl(const struct luo_ioctl_op *ops, unsigned int nr_ops, void *ctx,
	       unsigned int cmd, unsigned long arg);

/* luo_state.c */
extern bool luo_enabled;

/* Protects the lists of file handlers, of FLBs, and of the links between them. */
extern struct rw_semaphore luo_register_rwlock;
extern struct list_head luo_file_handlers, luo_flbs;

/* The freeze before kexec waits for changes, and prevents new ones. */
int luo_enter(void);
bool luo_enter_close(void);
void luo_leave(void);
void luo_freeze_begin(void);
void luo_freeze_end(bool frozen);

/**
 * struct luo_file_set - the files of a session
 * @files: the files, in the order in which they were preserved
 * @count: number of @files
 * @next_nr: &struct luo_file @nr of the next file
 * @incoming: the files were preserved by the previous kernel
 * @block_set: blocks for the records of the files; without blocks in an incoming
 *	       set, except while the records are read
 *
 * @files and @count only change with both the mutex of the session and
 * luo_files_lock held.  Either lock is sufficient to read them.
 */
struct luo_file_set {
	struct list_head files;
	u64 count;
	u64 next_nr;
	bool incoming;
	struct kho_block_set block_set;
};

/**
 * struct luo_file - a file in a session
 * @set: the files of the session
 * @list: position in @set
 * @node: position among all files, by @set and @token
 * @nr: increases along @list, so that a reader in debugfs can resume
 * @token: its number in the session
 * @fh: the handler, NULL until it is found
 * @file: the file, NULL until it is retrieved
 * @claim: position among the files that must not be added to another session;
 *	   see luo_claims
 * @id: key of @file in luo_claims
 * @given: the present holder of the session has a descriptor of @file
 * @retrieve_status: as &struct liveupdate_file_op_args
 * @serialized_data: as &struct liveupdate_file_op_args, set by preserve()
 * @frozen_data: @serialized_data after freeze()
 * @private_data: as &struct liveupdate_file_op_args
 * @compatible: string of the handler that preserved the file, not validated;
 *              only in an incoming file
 *
 * Protected by the mutex of the session.  As long as a file is in a set, @fh,
 * @file and @retrieve_status change with luo_files_lock held in addition.
 */
struct luo_file {
	struct luo_file_set *set;
	struct list_head list;
	struct hlist_node node;
	u64 nr;
	u64 token;
	struct liveupdate_file_handler *fh;
	struct file *file;
	struct hlist_node claim;
	unsigned long id;
	bool given;
	int retrieve_status;
	u64 serialized_data;
	u64 frozen_data;
	void *private_data;
	char compatible[];
};

extern spinlock_t luo_files_lock;

struct luo_file *luo_file_find_locked(struct luo_file_set *set, u64 token);
void luo_file_for_each_handler(void (*fn)(const char *name, u64 nr, void *data),
			       bool incoming, void *data);

void luo_file_set_init(struct luo_file_set *set, bool incoming);
int luo_file_preserve(struct luo_file_set *set, u64 token, int fd);
void luo_file_unpreserve_all(struct luo_file_set *set);
int luo_file_freeze_all(struct luo_file_set *set, struct luo_file_set_ser *ser);
void luo_file_unfreeze_all(struct luo_file_set *set,
			   struct luo_file_set_ser *ser);
int luo_file_restore_all(struct luo_file_set *set,
			 const struct luo_file_set_ser *ser);
int luo_file_retrieve(struct luo_file_set *set, u64 token, struct file **filep);
void luo_file_give(struct luo_file_set *set, u64 token);
int luo_file_finish_all(struct luo_file_set *set, bool force);
bool luo_file_finish_given(struct luo_file_set *set);
void luo_file_park_all(struct luo_file_set *set);
struct luo_file *luo_file_find_claimed(int fd, struct luo_file_set **set);
bool luo_file_leave(struct luo_file *f);
bool luo_file_any_outgoing(const struct liveupdate_file_handler *fh);

#define LUO_NAME_HASH_BITS	10

/**
 * struct luo_session - a session
 * @list: position in &struct luo_sessions @list
 * @node: position in &struct luo_sessions @names
 * @nr: increases along @list, so that a reader in debugfs can resume
 * @dir: all sessions of its direction
 * @mutex: protects @files, @ser, @unread and @finished
 * @files: the files of the session
 * @ser: location of the records of the files, until they are read
 * @held: the session has a file descriptor; protected by the lock of @dir
 * @retrieved: the session had a file descriptor; protected by the lock of @dir
 * @unread: @ser is valid; only changes with the lock of @dir held as well
 * @finished: the session has no files, and is freed with its file descriptor
 * @name: name of the session, unique in its direction
 */
struct luo_session {
	struct list_head list;
	struct hlist_node node;
	u64 nr;
	struct luo_sessions *dir;
	struct mutex mutex;
	struct luo_file_set files;
	struct luo_file_set_ser ser;
	bool held;
	bool retrieved;
	bool unread;
	bool finished;
	char name[];
};

/**
 * struct luo_sessions - all sessions of one direction
 * @lock: protects this structure, and &struct luo_session @held
 * @list: the sessions, in the order of their creation
 * @count: number of sessions
 * @next_nr: &struct luo_session @nr of the next session
 * @names: the sessions by name
 * @blocks: blocks for the records of the sessions; for incoming sessions, with
 *	    the records of the previous kernel
 * @it: position of the first unread record of an incoming session
 */
struct luo_sessions {
	struct mutex lock;
	struct list_head list;
	u64 count;
	u64 next_nr;
	DECLARE_HASHTABLE(names, LUO_NAME_HASH_BITS);
	struct kho_block_set blocks;
	struct kho_block_set_it it;
};

extern struct luo_sessions luo_incoming, luo_outgoing;

struct luo_session *luo_session_find(struct luo_sessions *dir, const char *name);
int luo_session_create(const char *name, struct file **filep);
int luo_session_retrieve(const char *name, struct file **filep);
void luo_session_read_incoming(void);
void luo_session_setup_incoming(u64 sessions_pa);
int luo_session_serialize(u64 *sessions_pa);
bool luo_session_any_outgoing(void);
void luo_session_warn_unfinished(void);
void luo_session_unhold_incoming(void);

/* The array of records of FLBs has one page. */
#define LUO_FLB_PAGES	1
#define LUO_FLB_MAX							\
	((LUO_FLB_PAGES * PAGE_SIZE - sizeof(struct luo_flb_header_ser)) / \
	 sizeof(struct luo_flb_ser))

/**
 * struct luo_flb_link - link between a handler and an FLB of its files
 * @flb: the FLB
 * @list: position in the list of the handler
 */
struct luo_flb_link {
	struct liveupdate_flb *flb;
	struct list_head list;
};

/* luo_flb.c */
struct luo_flb_private *luo_flb_private(struct liveupdate_flb *flb);
int luo_flb_file_preserve(struct liveupdate_file_handler *fh);
void luo_flb_file_unpreserve(struct liveupdate_file_handler *fh);
void luo_flb_file_finish(struct liveupdate_file_handler *fh);
bool luo_flb_finish_rest(void);
int luo_flb_setup_outgoing(u64 *flbs_pa);
void luo_flb_setup_incoming(u64 flbs_pa);
void luo_flb_serialize(void);
void luo_flb_for_each(void (*fn)(const char *name, u64 nr, void *data), void *data);

/* Check whether a field has a string that is not empty and ends with a NUL. */
static inline bool luo_string_valid(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	return len && len < size;
}

#ifdef CONFIG_LIVEUPDATE_TEST
void liveupdate_test_register(struct liveupdate_file_handler *fh);
#else
static inline void liveupdate_test_register(struct liveupdate_file_handler *fh)
{
}
#endif

#endif /* _LINUX_LUO_INTERNAL_H */
