/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_LUO_INTERNAL_H
#define _LINUX_LUO_INTERNAL_H

#include <linux/kho/abi/luo.h>
#include <linux/kho/block.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>

/* Large enough for the structure of each ioctl. */
#define LUO_IOCTL_MAX_SIZE	128

/**
 * struct luo_ioctl_op - description of an ioctl
 * @cmd: its number
 * @size: size of its structure in this kernel
 * @min_size: size of the structure when the ioctl was introduced
 * @fd_offset: offset of a new descriptor in the structure, 0 for none
 * @respond: the structure is copied back to the caller
 * @execute: executes the ioctl.  @ctx is the object of the file descriptor, @arg
 *           the structure; sets @filep if @fd_offset is not 0.
 * @give: called before the descriptor of that file is installed; optional
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

/* The freeze before kexec waits for changes, and prevents new ones. */
bool luo_enter_close(void);
void luo_leave(void);

struct luo_file;

/**
 * struct luo_file_set - the files of a session
 * @files: the files, in the order in which they were preserved
 * @count: number of @files
 * @incoming: the previous kernel preserved them
 * @block_set: blocks for their records, only in an outgoing set
 */
struct luo_file_set {
	struct list_head files;
	u64 count;
	bool incoming;
	struct kho_block_set block_set;
};

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
bool luo_file_handler_is_registered(const struct liveupdate_file_handler *fh);
bool luo_file_any_outgoing(const struct liveupdate_file_handler *fh);

int luo_session_create(const char *name, struct file **filep);
int luo_session_retrieve(const char *name, struct file **filep);
void luo_session_read_incoming(void);
void luo_session_setup_incoming(u64 sessions_pa);
int luo_session_serialize(u64 *sessions_pa);
bool luo_session_any_outgoing(void);
void luo_session_warn_unfinished(void);
void luo_session_unhold_incoming(void);

int luo_flb_file_preserve(struct liveupdate_file_handler *fh);
void luo_flb_file_unpreserve(struct liveupdate_file_handler *fh);
void luo_flb_file_finish(struct liveupdate_file_handler *fh);
bool luo_flb_finish_rest(void);
void luo_flb_unregister_all(struct liveupdate_file_handler *fh);
int luo_flb_setup_outgoing(u64 *flbs_pa);
void luo_flb_setup_incoming(u64 flbs_pa);
void luo_flb_serialize(void);

/* Protects the lists of file handlers, of FLBs, and of the links between them. */
extern struct rw_semaphore luo_register_rwlock;

/* Check whether a field has a string that is not empty and ends within it. */
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
