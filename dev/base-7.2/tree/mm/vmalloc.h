/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MM_VMALLOC_H
#define MM_VMALLOC_H

/* Linux 7.2 has all that is private to mm/ in one header. */
#include "internal.h"

#endif /* MM_VMALLOC_H */
