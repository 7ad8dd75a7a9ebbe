/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KHO_TIMELINE_H
#define _LINUX_KHO_TIMELINE_H

#include <linux/kho/abi/timeline.h>

#ifdef CONFIG_KEXEC_HANDOVER

void kho_timeline_mark(enum kho_timeline_event event);
void kho_timeline_session_retrieved(const char *name);
void kho_timeline_session_finished(const char *name);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline void kho_timeline_mark(enum kho_timeline_event event) { }
static inline void kho_timeline_session_retrieved(const char *name) { }
static inline void kho_timeline_session_finished(const char *name) { }

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_TIMELINE_H */
