// SPDX-License-Identifier: GPL-2.0
/* Files of debugfs and their readers, see seq_file.h. */

#include "../shims.h"

static struct {
	const char *name;
	void *data;
	const struct file_operations *fops;
} entries[8];

void (*sim_between_reads)(void);

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return NULL;
}

void debugfs_create_file(const char *name, umode_t mode, struct dentry *parent,
			 void *data, const struct file_operations *fops)
{
	unsigned int i = 0;

	while (entries[i].name)
		BUG_ON(++i == ARRAY_SIZE(entries));
	entries[i].name = name;
	entries[i].data = data;
	entries[i].fops = fops;
}

void sim_debugfs_forget(void)
{
	memset(entries, 0, sizeof(entries));
}

void *__seq_open_private(struct file *file, const struct seq_operations *ops, int size)
{
	struct seq_file *m = calloc(1, sizeof(*m));

	m->op = ops;
	m->private = calloc(1, size);
	file->private_data = m;
	return m->private;
}

int seq_release_private(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	free(m->private);
	free(m);
	return 0;
}

/* Returns whether the end was reached. */
static bool read_lines(struct seq_file *m, loff_t *pos, unsigned int lines)
{
	void *v = m->op->start(m, pos);
	bool end;

	for (unsigned int i = 0; v && i < lines; i++) {
		BUG_ON(m->op->show(m, v));
		v = m->op->next(m, v, pos);
	}
	end = !v;
	m->op->stop(m, v);
	return end;
}

char *sim_debugfs_read(const char *name, unsigned int lines)
{
	struct inode inode = { };
	struct file file = { };
	struct seq_file *m;
	char *text;
	loff_t pos = 0;
	unsigned int i = 0;

	while (i < ARRAY_SIZE(entries) && entries[i].name && strcmp(entries[i].name, name))
		i++;
	if (i == ARRAY_SIZE(entries) || !entries[i].name)
		return NULL;

	inode.i_private = entries[i].data;
	BUG_ON(entries[i].fops->open(&inode, &file));
	m = file.private_data;
	while (!read_lines(m, &pos, lines)) {
		if (sim_between_reads)
			sim_between_reads();
	}
	text = strdup(m->text);
	entries[i].fops->release(&inode, &file);
	return text;
}
