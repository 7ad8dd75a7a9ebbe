/* SPDX-License-Identifier: GPL-2.0 */
/* Files of debugfs: text in a buffer. */
#ifndef KHO_CUSTOM_SEQ_FILE_H
#define KHO_CUSTOM_SEQ_FILE_H

#include "files.h"
#include "print.h"

struct seq_file;

struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	int (*show)(struct seq_file *m, void *v);
};

struct seq_file {
	const struct seq_operations *op;
	void *private;
	size_t used;
	char text[1 << 19];
};

static inline void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	m->used += sim_vsnprintf(m->text + m->used, sizeof(m->text) - m->used,
				 fmt, args);
	va_end(args);
}

#define seq_putc(m, c)		seq_printf(m, "%c", c)
#define seq_puts(m, s)		seq_printf(m, "%s", s)

void *__seq_open_private(struct file *file, const struct seq_operations *ops, int size);
int seq_release_private(struct inode *inode, struct file *file);
#define seq_read		NULL
#define nonseekable_open(inode, file)	0

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent);
void debugfs_create_file(const char *name, umode_t mode, struct dentry *parent,
			 void *data, const struct file_operations *fops);
void sim_debugfs_forget(void);

/* Called between two reads of a file; optional. */
extern void (*sim_between_reads)(void);

/*
 * Reads a list of sessions or files, @lines lines at a time, as a reader with a
 * small buffer does.  Returns the text, to be freed, or NULL if the file does
 * not exist.
 */
char *sim_debugfs_read(const char *name, unsigned int lines);

#endif /* KHO_CUSTOM_SEQ_FILE_H */
