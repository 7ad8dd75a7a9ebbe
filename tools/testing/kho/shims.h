/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stand-ins for kernel headers used by the user-space build.  Most headers that
 * kernel sources include are replaced by this one; see the Makefile.  The
 * stand-ins are sorted by intent, like those of tools/testing/vma:
 *
 *     duplicated/  means exactly the same as in the kernel
 *     stubbed/     does nothing
 *     custom/      does something else than in the kernel, for testing
 */
#ifndef KHO_SHIMS_H
#define KHO_SHIMS_H

#include "duplicated/base.h"
#include "duplicated/bitmap.h"
#include "duplicated/list.h"
#include "duplicated/string.h"
#include "stubbed/stubs.h"
#include "custom/image.h"
#include "custom/files.h"
#include "custom/locks.h"
#include "custom/memblock.h"
#include "custom/memory.h"
#include "custom/print.h"
#include "custom/seq_file.h"
#include "custom/vmalloc.h"
#include "machine.h"

#include <ctype.h>
#include <errno.h>

#ifdef KUNIT
#include "custom/kunit.h"
#endif

#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "kho"
#endif

typedef u8 __u8;

static inline void sort(void *base, size_t nr, size_t size,
			int (*cmp)(const void *, const void *), void *swap)
{
	if (nr)
		qsort(base, nr, size, cmp);
}

#endif /* KHO_SHIMS_H */
