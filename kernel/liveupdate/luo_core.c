// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

/**
 * DOC: Live Update Orchestrator (LUO)
 *
 * A live update replaces the running kernel with kexec while the state of
 * selected workloads is preserved.  Kexec Handover carries the state to the new
 * kernel, where user space retrieves it.  The Orchestrator has three layers:
 *
 * *Sessions* are named by user space and belong to a file descriptor.  A
 * virtual machine monitor typically has one for each virtual machine.
 *
 * *Files* are added to a session with a number, the token.  Each kind of file has
 * a handler, which defines the data to preserve.
 *
 * *FLBs* are objects that several files share, such as the tables of an IOMMU.
 *
 * All three have the same life cycle.  In the old kernel they are *preserved*
 * while the system runs.  When user space calls
 * ``reboot(LINUX_REBOOT_CMD_KEXEC)`` they are *frozen*; if this step fails, it is
 * undone.  In the new kernel they are *retrieved*, and finally *finished*, which
 * frees the preserved memory that is left.
 *
 * Incoming data is never trusted, and errors in it are never fatal.  An error is
 * logged and only affects the record that it is in.
 *
 * .. note::
 *    LUO is off unless the kernel is booted with ``liveupdate=on``, and needs
 *    Kexec Handover.
 *
 * Locks, in the order in which they are taken:
 *
 * ``luo_freeze_sem``
 *     A read-write semaphore.  Held for reading while a session is released, and
 *     while an ioctl is executed, but not while the ioctl accesses user memory.
 *     Held for writing while sessions are frozen.  During a freeze and after a
 *     successful one, new ioctls fail with ``-EBUSY``.  Closing a session waits
 *     for the freeze, and does nothing after a successful one.  Before the
 *     semaphore is taken for writing, running ioctls are asked to abort early:
 *     handlers with long callbacks poll liveupdate_interrupted().
 *
 * ``luo_sessions.lock``
 *     A mutex for each direction.  Protects the list of sessions, their names,
 *     and their holders.
 *
 * ``luo_session.mutex``
 *     Protects the files of one session.  Files in different sessions are
 *     preserved and retrieved in parallel.
 *
 * ``luo_files_lock``
 *     A spinlock.  Protects two tables of files: all files by token, and the
 *     files that must not be added to another session.  Fields of struct luo_file
 *     that are shown in debugfs only change with this lock held.
 *
 * ``luo_register_rwlock``
 *     Protects the lists of handlers and of FLBs.
 *
 * ``luo_flb_private.lock``
 *     Protects one FLB, in both directions.
 *
 * ``luo_flb_in_lock``
 *     Protects the incoming records of FLBs.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/compat.h>
#include <linux/kho/timeline.h>
#include <linux/liveupdate.h>
#include <linux/miscdevice.h>
#include <linux/string.h>

#include "luo_internal.h"

static struct {
	struct luo_ser *out;	/* outgoing root structure */
	u64 liveupdate_num;	/* live updates since the last cold boot */
} luo_global;

KHO_NOTE(KHO_NOTE_SUBTREE, "luo", LUO_ABI_COMPATIBLE, LUO_ABI_COMPATIBLE);

/*
 * Read the root structure.  The length of the string at its start determines
 * the offset of the rest.
 */
static int __init luo_read_root(phys_addr_t phys, size_t size,
				struct luo_ser *ser)
{
	const size_t head = offsetof(struct luo_ser, liveupdate_num);
	const char *offered = phys_to_virt(phys);
	size_t len;

	if (!kho_pages_preserved(phys, 1) || size > PAGE_SIZE) {
		pr_err("incoming state: not preserved (%zu bytes at %pa)\n",
		       size, &phys);
		return -EINVAL;
	}

	kho_compat_report(offered, size, LUO_ABI_COMPATIBLE);
	if (!kho_compat_match(offered, size, LUO_ABI_COMPATIBLE)) {
		pr_err("incoming state: incompatible version (%zu bytes at %pa)\n",
		       size, &phys);
		return -EINVAL;
	}

	len = ALIGN(strlen(offered) + 1, 8);
	if (len + sizeof(*ser) - head > size) {
		pr_err("incoming state: too small (%zu bytes at %pa)\n", size,
		       &phys);
		return -EINVAL;
	}

	memcpy(&ser->liveupdate_num, offered + len, sizeof(*ser) - head);
	return 0;
}

/*
 * Runs early, so that other initcalls can access incoming FLBs.
 */
static int __init luo_init_incoming(void)
{
	struct luo_ser ser;
	phys_addr_t phys;
	size_t size;
	int err;

	if (luo_enabled && !kho_is_enabled()) {
		pr_warn("disabled, Kexec Handover is off\n");
		luo_enabled = false;
	}
	if (!luo_enabled)
		return 0;

	err = kho_retrieve_subtree(LUO_KHO_ENTRY_NAME, &phys, &size);
	if (err) {
		if (err != -ENOENT)
			pr_err("incoming state: failed to retrieve: %pe\n",
			       ERR_PTR(err));
		return 0;
	}

	if (!luo_read_root(phys, size, &ser)) {
		luo_global.liveupdate_num = ser.liveupdate_num;
		pr_info("Retrieved live update data, liveupdate number: %llu\n",
			luo_global.liveupdate_num);
		luo_session_setup_incoming(ser.sessions_pa);
		luo_flb_setup_incoming(ser.flbs_pa);
	}

	kho_restore_free(phys_to_virt(phys));
	kho_put_subtree(LUO_KHO_ENTRY_NAME);
	return 0;
}
early_initcall(luo_init_incoming);

static int __init luo_init_outgoing(void)
{
	struct luo_ser *ser;
	int err;

	if (!luo_enabled)
		return 0;

	ser = kho_alloc_preserve(sizeof(*ser));
	if (IS_ERR(ser)) {
		err = PTR_ERR(ser);
		goto err_disable;
	}

	strscpy_pad(ser->compatible, LUO_ABI_COMPATIBLE);
	ser->liveupdate_num = luo_global.liveupdate_num + 1;

	err = luo_flb_setup_outgoing(&ser->flbs_pa);
	if (err)
		goto err_free;

	err = kho_add_subtree(LUO_KHO_ENTRY_NAME, ser, sizeof(*ser));
	if (err)
		goto err_free_flbs;

	luo_global.out = ser;
	return 0;

err_free_flbs:
	kho_unpreserve_free(phys_to_virt(ser->flbs_pa));
err_free:
	kho_unpreserve_free(ser);
err_disable:
	pr_err("failed to initialize: %pe\n", ERR_PTR(err));
	luo_enabled = false;
	luo_session_unhold_incoming();
	return err;
}
late_initcall(luo_init_outgoing);

/* An image without a handover would lose all sessions. */
static int luo_check_image(void)
{
	if (kexec_image->kho.fdt || !luo_session_any_outgoing())
		return 0;

	pr_err("image: loaded without a handover, but sessions are preserved\n");
	return -EOPNOTSUPP;
}

/**
 * liveupdate_reboot - freeze all sessions before kexec
 *
 * Waits for running ioctls, which are asked to abort early.
 *
 * Context: From the reboot system call, with the lock of kexec held.
 * Return: 0, and no session can change any more; -EOPNOTSUPP when sessions exist
 * and the loaded image has no handover; or the error of a handler.  On error
 * nothing is frozen.
 */
int liveupdate_reboot(void)
{
	int err;

	if (!liveupdate_enabled())
		return 0;

	err = luo_check_image();
	if (err)
		return err;

	luo_freeze_begin();
	/* Check again: from now on, no session can be created. */
	err = luo_check_image();
	if (!err)
		err = luo_session_serialize(&luo_global.out->sessions_pa);
	if (!err) {
		luo_flb_serialize();
		luo_session_warn_unfinished();
	}
	if (!err)
		kho_timeline_mark(KHO_TIMELINE_FROZEN);
	luo_freeze_end(!err);

	return err;
}

/**
 * DOC: LUO ioctl Interface
 *
 * ``/dev/liveupdate`` can only be opened once at a time.  It belongs to an agent,
 * which controls live updates and passes the descriptors of sessions to their
 * holders.  A second open() fails with ``-EBUSY``.
 *
 * Ioctls of the device create and retrieve sessions.  Ioctls of the descriptor
 * of a session preserve and retrieve files, and finish the session.  What
 * an ioctl does depends on the state of the session:
 *
 * ===========  ===========  ==================  ===========  ===========
 * ioctl        new          retrieved           finished     frozen
 * ===========  ===========  ==================  ===========  ===========
 * PRESERVE_FD  preserves    ``-EINVAL``         ``-EINVAL``  ``-EBUSY``
 * RETRIEVE_FD  ``-EINVAL``  retrieves           ``-ENOENT``  ``-EBUSY``
 * FINISH       ``-EINVAL``  finishes            nothing, 0   ``-EBUSY``
 * GET_NAME     the name     the name            the name     ``-EBUSY``
 * close()      unpreserves  see "LUO Sessions"  frees it     nothing
 * ===========  ===========  ==================  ===========  ===========
 *
 * A session that is closed before it is finished can be retrieved again, with
 * the files that its holder did not retrieve.  If its holder exits instead, all
 * files stay in the session.  When the next holder retrieves a file that was
 * retrieved before, it gets the same open file.
 */

static atomic_t luo_dev_in_use;

static int luo_do_create_session(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_ioctl_create_session *create = arg;

	return luo_session_create((char *)create->name, filep);
}

static int luo_do_retrieve_session(void *ctx, void *arg, struct file **filep)
{
	struct liveupdate_ioctl_retrieve_session *retrieve = arg;

	return luo_session_retrieve((char *)retrieve->name, filep);
}

static const struct luo_ioctl_op luo_dev_ops[] = {
	LUO_IOCTL(LIVEUPDATE_IOCTL_CREATE_SESSION,
		  liveupdate_ioctl_create_session, name, luo_do_create_session,
		  .respond = true,
		  .fd_offset = offsetof(struct liveupdate_ioctl_create_session,
					fd)),
	LUO_IOCTL(LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
		  liveupdate_ioctl_retrieve_session, name,
		  luo_do_retrieve_session,
		  .respond = true,
		  .fd_offset = offsetof(struct liveupdate_ioctl_retrieve_session,
					fd)),
};

static long luo_dev_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	return luo_ioctl(luo_dev_ops, ARRAY_SIZE(luo_dev_ops), NULL, cmd, arg);
}

static int luo_dev_open(struct inode *inode, struct file *file)
{
	if (atomic_cmpxchg(&luo_dev_in_use, 0, 1))
		return -EBUSY;

	/* By now all file handlers are registered, except those in modules. */
	luo_session_read_incoming();
	return 0;
}

static int luo_dev_release(struct inode *inode, struct file *file)
{
	atomic_set(&luo_dev_in_use, 0);
	return 0;
}

static const struct file_operations luo_dev_fops = {
	.owner		= THIS_MODULE,
	.open		= luo_dev_open,
	.release	= luo_dev_release,
	.unlocked_ioctl	= luo_dev_ioctl,
};

static struct miscdevice luo_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "liveupdate",
	.fops	= &luo_dev_fops,
};

static int __init luo_init_device(void)
{
	return liveupdate_enabled() ? misc_register(&luo_dev) : 0;
}
late_initcall(luo_init_device);
