/* SPDX-License-Identifier: GPL-2.0 */
/* Files of debugfs: text in a buffer. */
#ifndef KHO_CUSTOM_SEQ_FILE_H
#define KHO_CUSTOM_SEQ_FILE_H

#include "print.h"

struct seq_file {
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

#endif /* KHO_CUSTOM_SEQ_FILE_H */
