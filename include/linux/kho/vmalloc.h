/* SPDX-License-Identifier: GPL-2.0 */

#ifndef _LINUX_KHO_VMALLOC_H
#define _LINUX_KHO_VMALLOC_H

#include <linux/errno.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/stddef.h>
#include <linux/types.h>

#ifdef CONFIG_KEXEC_HANDOVER

void *kho_vzalloc(unsigned long size);
int kho_preserve_vmalloc(void *ptr, struct kho_vmalloc *preservation);
void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation);
void *kho_restore_vmalloc(const struct kho_vmalloc *preservation);
int kho_vmalloc_check(const struct kho_vmalloc *preservation);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline void *kho_vzalloc(unsigned long size)
{
	return NULL;
}

static inline int kho_preserve_vmalloc(void *ptr,
				       struct kho_vmalloc *preservation)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation) { }

static inline void *kho_restore_vmalloc(const struct kho_vmalloc *preservation)
{
	return NULL;
}

static inline int kho_vmalloc_check(const struct kho_vmalloc *preservation)
{
	return -EOPNOTSUPP;
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_VMALLOC_H */
