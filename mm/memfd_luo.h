/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Preserving of memfds is in memfd_luo.c, retrieving in memfd_luo_retrieve.c.
 */
#ifndef __MM_MEMFD_LUO_H
#define __MM_MEMFD_LUO_H

#include <linux/kho/abi/memfd.h>
#include <linux/math64.h>
#include <linux/mm.h>

struct liveupdate_file_op_args;

#define MEMFD_LUO_FOLIO_FLAGS	(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE)

/* The permissions follow the description in the same page. */
static inline struct memfd_luo_mode_ser *memfd_luo_mode(struct memfd_luo_ser *desc)
{
	return (struct memfd_luo_mode_ser *)(desc + 1);
}

static inline u64 memfd_luo_pages(u64 size)
{
	return DIV_ROUND_UP_ULL(size, PAGE_SIZE);
}

int memfd_luo_retrieve(struct liveupdate_file_op_args *op);
void memfd_luo_finish(struct liveupdate_file_op_args *op);

#endif /* __MM_MEMFD_LUO_H */
