// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: LUO in debugfs
 *
 * ``/sys/kernel/debug/liveupdate`` has two lists for each direction.  Each line
 * has a key, a colon and a value.  ``outgoing`` and ``incoming`` list the
 * sessions, and count files:
 *
 * ``sessions``
 *     Number of sessions.  Incoming sessions are counted after their records are
 *     read.
 *
 * ``handler``
 *     String of a registered handler, and the number of its files.  An incoming
 *     file is counted after its handler was looked up.
 *
 * ``flb``
 *     String of a registered FLB, and the number of outgoing files that need it.
 *
 * ``session``
 *     Name of a session, followed by a line ``files`` with the number of its
 *     files.  For an incoming session, a line ``state`` follows: ``parked``,
 *     ``held`` or ``finished``.
 *
 * ``outgoing_files`` and ``incoming_files`` list the files of each session that
 * was created or retrieved.  A line ``file`` has the token, the state, the size
 * in bytes and the string of the handler.  The state of an outgoing file is
 * ``preserved``, that of an incoming file ``waiting``, ``retrieved`` or
 * ``failed``.  The size is ``-`` if the file is not open or has no size.
 *
 * Characters that cannot be printed are escaped.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/array_size.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kho/abi/luo.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "luo_internal.h"

/*
 * The locks are only held while one buffer of a page is filled, so sessions and
 * files may be added or removed between two reads.  A reader resumes at its
 * position by name and token, which are hashed, so a list of n files takes O(n).
 * If the session or file was removed, the reader searches the list for the next
 * one, by the numbers that increase along the list.
 *
 * The mutex of a session is not taken: it is held while a file is preserved,
 * which may take a long time.
 */

/**
 * struct luo_list_kind - description of a file in debugfs
 * @name: name of the file
 * @dir: the sessions
 * @files: list the files of the sessions
 */
struct luo_list_kind {
	const char *name;
	struct luo_sessions *dir;
	bool files;
};

static const struct luo_list_kind luo_list_kinds[] = {
	{ "outgoing", &luo_outgoing, false },
	{ "outgoing_files", &luo_outgoing, true },
	{ "incoming", &luo_incoming, false },
	{ "incoming_files", &luo_incoming, true },
};

/**
 * struct luo_list - an open file of debugfs
 * @kind: what it lists
 * @stage: kind of the present line
 * @session: the present session, valid with the lock of its direction held
 * @file: the present file of the session, valid with luo_files_lock held; NULL
 *	  for the line of the session itself
 * @it: position after @record
 * @record: the present record in stage LUO_RECORD, of a session that the device
 *	    has not read yet
 * @nr_records: number of records before @record
 * @session_nr: number of @session
 * @in_file: the present line is that of a file
 * @file_nr: number of @file
 * @token: token of @file
 * @name: name of @session
 */
struct luo_list {
	const struct luo_list_kind *kind;
	enum { LUO_HEAD, LUO_SESSION, LUO_RECORD, LUO_END } stage;
	struct luo_session *session;
	struct luo_file *file;
	struct kho_block_set_it it;
	const struct luo_session_ser *record;
	u64 nr_records;
	u64 session_nr;
	bool in_file;
	u64 file_nr;
	u64 token;
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];
};

/* Record the position of the reader. */
static void luo_list_note(struct luo_list *l)
{
	if (l->stage != LUO_SESSION)
		return;

	l->session_nr = l->session->nr;
	strscpy(l->name, l->session->name);
	l->in_file = l->file;
	if (l->file) {
		l->file_nr = l->file->nr;
		l->token = l->file->token;
	}
}

/* Go to the session at @pos; past the last session, go to the records. */
static void luo_list_set_session(struct luo_list *l, struct list_head *pos)
{
	l->file = NULL;
	if (!list_is_head(pos, &l->kind->dir->list)) {
		l->stage = LUO_SESSION;
		l->session = list_entry(pos, struct luo_session, list);
		return;
	}

	l->it = l->kind->dir->it;
	l->nr_records = 0;
	l->record = kho_block_set_it_read_entry(&l->it);
	l->stage = l->record ? LUO_RECORD : LUO_END;
}

/* Go to the file at @pos; past the last file, go to the next session. */
static void luo_list_set_file(struct luo_list *l, struct list_head *pos)
{
	if (list_is_head(pos, &l->session->files.files))
		luo_list_set_session(l, l->session->list.next);
	else
		l->file = list_entry(pos, struct luo_file, list);
}

static void luo_list_step(struct luo_list *l)
{
	if (l->stage == LUO_HEAD) {
		luo_list_set_session(l, l->kind->dir->list.next);
	} else if (l->stage == LUO_RECORD) {
		l->nr_records++;
		l->record = kho_block_set_it_read_entry(&l->it);
		if (!l->record)
			l->stage = LUO_END;
	} else if (!l->kind->files) {
		luo_list_set_session(l, l->session->list.next);
	} else if (l->file) {
		luo_list_set_file(l, l->file->list.next);
	} else {
		luo_list_set_file(l, l->session->files.files.next);
	}
}

static void luo_list_find_record(struct luo_list *l)
{
	u64 nr = l->nr_records;

	l->it = l->kind->dir->it;
	do {
		l->record = kho_block_set_it_read_entry(&l->it);
	} while (l->record && nr--);
	if (!l->record)
		l->stage = LUO_END;
}

static void luo_list_find_file(struct luo_list *l)
{
	struct luo_file_set *set = &l->session->files;
	struct luo_file *f = luo_file_find_locked(set, l->token);
	struct list_head *pos;

	/* In damaged records, several files may have the same token. */
	if (f && f->nr == l->file_nr) {
		l->file = f;
		return;
	}
	list_for_each(pos, &set->files) {
		if (list_entry(pos, struct luo_file, list)->nr >= l->file_nr)
			break;
	}
	luo_list_set_file(l, pos);
}

static void luo_list_find_session(struct luo_list *l)
{
	struct luo_sessions *dir = l->kind->dir;
	struct luo_session *session = luo_session_find(dir, l->name);
	struct list_head *pos;

	if (session && session->nr == l->session_nr) {
		luo_list_set_session(l, &session->list);
		if (l->in_file)
			luo_list_find_file(l);
		return;
	}
	list_for_each(pos, &dir->list) {
		if (list_entry(pos, struct luo_session, list)->nr >= l->session_nr)
			break;
	}
	luo_list_set_session(l, pos);
}

/*
 * The lists of sessions also list handlers, which takes a sleeping lock.  Only the
 * lists of files can hold the spinlock.
 */
static void luo_list_lock(const struct luo_list_kind *kind)
{
	mutex_lock(&kind->dir->lock);
	if (kind->files)
		spin_lock(&luo_files_lock);
}

static void luo_list_unlock(const struct luo_list_kind *kind)
{
	if (kind->files)
		spin_unlock(&luo_files_lock);
	mutex_unlock(&kind->dir->lock);
}

static void *luo_list_start(struct seq_file *m, loff_t *pos)
{
	struct luo_list *l = m->private;

	luo_list_lock(l->kind);

	if (!*pos)
		l->stage = LUO_HEAD;
	else if (l->stage == LUO_SESSION)
		luo_list_find_session(l);
	else if (l->stage == LUO_RECORD)
		luo_list_find_record(l);
	luo_list_note(l);

	return l->stage == LUO_END ? NULL : l;
}

static void *luo_list_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct luo_list *l = m->private;

	++*pos;
	luo_list_step(l);
	luo_list_note(l);
	return l->stage == LUO_END ? NULL : l;
}

static void luo_list_stop(struct seq_file *m, void *v)
{
	struct luo_list *l = m->private;

	luo_list_unlock(l->kind);
}

static void luo_show_handler(const char *name, u64 nr, void *m)
{
	seq_printf(m, "handler: %s %llu\n", name, nr);
}

static void luo_show_flb(const char *name, u64 nr, void *m)
{
	seq_printf(m, "flb: %s %llu\n", name, nr);
}

static void luo_show_head(struct seq_file *m, const struct luo_list *l)
{
	const struct luo_sessions *dir = l->kind->dir;

	if (l->kind->files)
		return;

	seq_printf(m, "sessions: %llu\n", dir->count);
	luo_file_for_each_handler(luo_show_handler, dir == &luo_incoming, m);
	if (dir == &luo_outgoing)
		luo_flb_for_each(luo_show_flb, m);
}

/* Names come from user space, or from the previous kernel. */
static void luo_show_name(struct seq_file *m, const char *name, size_t size)
{
	seq_printf(m, "session: %*pE\n", (int)strnlen(name, size), name);
}

static const char *luo_session_state(const struct luo_session *session)
{
	/* Not locked: the last file may leave the session at any time. */
	if (READ_ONCE(session->finished))
		return "finished";

	return session->held ? "held" : "parked";
}

static void luo_show_session(struct seq_file *m, const struct luo_list *l)
{
	const struct luo_session *session = l->session;

	luo_show_name(m, session->name, LIVEUPDATE_SESSION_NAME_LENGTH);
	if (l->kind->files)
		return;

	/* Not locked: files may be preserved or finished at any time. */
	seq_printf(m, "files: %llu\n",
		   session->unread ? session->ser.count :
				     READ_ONCE(session->files.count));
	if (l->kind->dir == &luo_incoming)
		seq_printf(m, "state: %s\n", luo_session_state(session));
}

static void luo_show_record(struct seq_file *m, const struct luo_list *l)
{
	luo_show_name(m, l->record->name, sizeof(l->record->name));
	if (!l->kind->files)
		seq_printf(m, "files: %llu\nstate: parked\n",
			   l->record->file_set_ser.count);
}

static const char *luo_file_state(const struct luo_file *f)
{
	if (!f->set->incoming)
		return "preserved";
	if (!f->retrieve_status)
		return "waiting";

	return f->retrieve_status > 0 ? "retrieved" : "failed";
}

static void luo_show_file(struct seq_file *m, const struct luo_file *f)
{
	const char *name = f->fh ? f->fh->compatible : f->compatible;

	seq_printf(m, "file: %#llx %s ", f->token, luo_file_state(f));
	if (f->file && S_ISREG(file_inode(f->file)->i_mode))
		seq_printf(m, "%lld", i_size_read(file_inode(f->file)));
	else
		seq_puts(m, "-");
	seq_printf(m, " %*pE\n",
		   (int)strnlen(name, LIVEUPDATE_HNDL_COMPAT_LENGTH), name);
}

static int luo_list_show(struct seq_file *m, void *v)
{
	const struct luo_list *l = m->private;

	if (l->stage == LUO_HEAD)
		luo_show_head(m, l);
	else if (l->stage == LUO_RECORD)
		luo_show_record(m, l);
	else if (l->stage == LUO_SESSION && l->file)
		luo_show_file(m, l->file);
	else if (l->stage == LUO_SESSION)
		luo_show_session(m, l);
	return 0;
}

static const struct seq_operations luo_list_ops = {
	.start = luo_list_start,
	.next = luo_list_next,
	.stop = luo_list_stop,
	.show = luo_list_show,
};

/* Seeking is not supported: it would hold the locks for all skipped lines. */
static int luo_list_open(struct inode *inode, struct file *file)
{
	struct luo_list *l;

	l = __seq_open_private(file, &luo_list_ops, sizeof(*l));
	if (!l)
		return -ENOMEM;

	l->kind = inode->i_private;
	return nonseekable_open(inode, file);
}

static const struct file_operations luo_list_fops = {
	.owner = THIS_MODULE,
	.open = luo_list_open,
	.read = seq_read,
	.release = seq_release_private,
};

/* Nothing depends on these files: a failure only hides a file. */
static int __init luo_debugfs_init(void)
{
	struct dentry *dir;

	if (!liveupdate_enabled())
		return 0;

	dir = debugfs_create_dir("liveupdate", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(luo_list_kinds); i++)
		debugfs_create_file(luo_list_kinds[i].name, 0400, dir,
				    (void *)&luo_list_kinds[i], &luo_list_fops);
	return 0;
}
late_initcall(luo_debugfs_init);
