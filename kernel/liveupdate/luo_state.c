// SPDX-License-Identifier: GPL-2.0
/*
 * State that all files of the Live Update Orchestrator use: whether it is
 * enabled or frozen, and the lists of handlers and FLBs.
 *
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>

#include "luo_internal.h"

bool luo_enabled;

/* Few handlers and FLBs are registered, so lists are sufficient. */
LIST_HEAD(luo_file_handlers);
LIST_HEAD(luo_flbs);
DECLARE_RWSEM(luo_register_rwlock);

static DECLARE_RWSEM(luo_freeze_sem);

/* Written with luo_freeze_sem held for writing, except LUO_FREEZING. */
static enum {
	LUO_RUNNING,
	LUO_FREEZING,		/* running ioctls should abort early */
	LUO_FROZEN,		/* nothing may change before kexec */
} luo_freeze_state;

static int __init luo_parse_enable(char *p)
{
	return kstrtobool(p, &luo_enabled);
}
early_param("liveupdate", luo_parse_enable);

/**
 * liveupdate_enabled - check whether live update is enabled
 *
 * Return: true when LUO was switched on and is initialized.
 */
bool liveupdate_enabled(void)
{
	return luo_enabled;
}

/**
 * liveupdate_interrupted - check whether a file handler should abort
 *
 * For handlers whose preserve() or retrieve() may take a long time.  When this
 * returns true, they return -EINTR without losing any data.
 *
 * Context: Process context, in a callback from LUO.
 * Return: true when the caller is being killed or the freeze before kexec waits
 * for it.
 */
bool liveupdate_interrupted(void)
{
	return READ_ONCE(luo_freeze_state) != LUO_RUNNING ||
	       fatal_signal_pending(current);
}

/**
 * luo_enter_close - start a change that cannot be refused
 *
 * Waits for a running freeze.  If the freeze fails, the change has to be made.
 *
 * Return: true, to be followed by luo_leave(); false after a successful freeze:
 * the change is not made then.
 */
bool luo_enter_close(void)
{
	down_read(&luo_freeze_sem);
	if (luo_freeze_state != LUO_FROZEN)
		return true;

	up_read(&luo_freeze_sem);
	return false;
}

/**
 * luo_enter - start a change of sessions
 *
 * Return: 0, to be followed by luo_leave(), or -EBUSY during a freeze and after
 * a successful one.
 */
int luo_enter(void)
{
	if (READ_ONCE(luo_freeze_state) != LUO_RUNNING)
		return -EBUSY;

	return luo_enter_close() ? 0 : -EBUSY;
}

/**
 * luo_leave - end a change of sessions
 */
void luo_leave(void)
{
	up_read(&luo_freeze_sem);
}

/**
 * luo_freeze_begin - wait for running changes, and prevent new ones
 *
 * Running ioctls are asked to abort early.
 *
 * Context: May sleep.  To be followed by luo_freeze_end().
 */
void luo_freeze_begin(void)
{
	WRITE_ONCE(luo_freeze_state, LUO_FREEZING);
	down_write(&luo_freeze_sem);
}

/**
 * luo_freeze_end - end the freeze
 * @frozen: true if nothing may change from now on, false to allow changes again
 */
void luo_freeze_end(bool frozen)
{
	WRITE_ONCE(luo_freeze_state, frozen ? LUO_FROZEN : LUO_RUNNING);
	up_write(&luo_freeze_sem);
}
