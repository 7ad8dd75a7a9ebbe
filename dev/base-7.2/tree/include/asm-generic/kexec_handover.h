/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ASM_GENERIC_KEXEC_HANDOVER_H
#define ASM_GENERIC_KEXEC_HANDOVER_H

#include <linux/types.h>

/**
 * struct kho_scratch - memory that is never handed over
 * @addr: its address
 * @size: its size in bytes, 0 when there is none
 *
 * Part of the boot protocol.  The decompressor reads it, so this header must not
 * include what the decompressor cannot.
 */
struct kho_scratch {
	phys_addr_t addr;
	phys_addr_t size;
};

#endif /* ASM_GENERIC_KEXEC_HANDOVER_H */
