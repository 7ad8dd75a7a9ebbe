// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls of the Live Update Orchestrator, on the device and on sessions: their
 * common format, and the descriptors that they return.
 *
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "luo_internal.h"

/*
 * A freeze waits until luo_leave() is called, so user memory must not be
 * accessed before that: the page fault may be handled by the process that waits
 * in reboot().
 */
static int luo_execute(const struct luo_ioctl_op *op, void *ctx, void *arg,
		       struct file **filep)
{
	int err = luo_enter();

	if (err)
		return err;

	err = op->execute(ctx, arg, filep);
	luo_leave();
	return err;
}

static int luo_respond(const struct luo_ioctl_op *op, void __user *uarg,
		       u32 size, void *arg)
{
	if (!op->respond)
		return 0;

	return copy_to_user(uarg, arg, min(size, op->size)) ? -EFAULT : 0;
}

/* The file is installed last: until then, it can be put if an error occurs. */
static int luo_execute_fd(const struct luo_ioctl_op *op, void *ctx,
			  void __user *uarg, u32 size, void *arg)
{
	struct file *file;
	int fd, err;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	err = luo_execute(op, ctx, arg, &file);
	if (err)
		goto err_put_fd;

	*(s32 *)(arg + op->fd_offset) = fd;
	err = luo_respond(op, uarg, size, arg);
	if (err)
		goto err_put_file;

	/* Called first: once installed, the descriptor is visible to other threads. */
	if (op->give)
		op->give(ctx, arg);
	fd_install(fd, file);
	return 0;

err_put_file:
	fput(file);
err_put_fd:
	put_unused_fd(fd);
	return err;
}

static const struct luo_ioctl_op *luo_ioctl_find(const struct luo_ioctl_op *ops,
						 unsigned int nr_ops,
						 unsigned int cmd)
{
	for (unsigned int i = 0; i < nr_ops; i++) {
		if (_IOC_NR(ops[i].cmd) == _IOC_NR(cmd))
			return &ops[i];
	}

	return NULL;
}

/**
 * luo_ioctl - check and execute an ioctl
 * @ops: the ioctls
 * @nr_ops: number of @ops
 * @ctx: passed to the ioctl
 * @cmd: from user space
 * @arg: from user space
 *
 * The format is that of "General ioctl format" in uapi/linux/liveupdate.h.
 *
 * Return: 0 or an error.  On error no descriptor is installed, and the structure
 * of the caller is unchanged unless writing it failed.
 */
long luo_ioctl(const struct luo_ioctl_op *ops, unsigned int nr_ops, void *ctx,
	       unsigned int cmd, unsigned long arg)
{
	const struct luo_ioctl_op *op = luo_ioctl_find(ops, nr_ops, cmd);
	void __user *uarg = (void __user *)arg;
	u64 buf[LUO_IOCTL_MAX_SIZE / sizeof(u64)];
	u32 size;
	int err;

	if (!op)
		return -EINVAL;
	if (op->cmd != cmd)
		return -ENOIOCTLCMD;
	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;

	err = copy_struct_from_user(buf, op->size, uarg, size);
	if (err)
		return err;

	if (op->fd_offset)
		return luo_execute_fd(op, ctx, uarg, size, buf);

	err = luo_execute(op, ctx, buf, NULL);
	return err ?: luo_respond(op, uarg, size, buf);
}
