/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations without an effect. */
#ifndef KHO_STUBBED_STUBS_H
#define KHO_STUBBED_STUBS_H

#include "../duplicated/base.h"

/* Include guards of headers whose contents are in here. */
#define __MM_VMALLOC_H
#define __MM_MM_INIT_H
#define __MM_INTERNAL_H
#define LINUX_KEXEC_INTERNAL_H

#define __init
#define __ref
#define __weak			__attribute__((weak))
#define __initdata
#define __initconst
#define __ro_after_init
#define __exit

#define EXPORT_SYMBOL(name)
#define EXPORT_SYMBOL_GPL(name)
#define EXPORT_SYMBOL_IF_KUNIT(name)
#define VISIBLE_IF_KUNIT
#define MODULE_DESCRIPTION(text)
#define MODULE_LICENSE(text)
#define MODULE_IMPORT_NS(name)
#define MODULE_PARM_DESC(name, text)
#define THIS_MODULE		NULL

#define SYSTEM_RUNNING		0
#define system_state		SYSTEM_RUNNING

#define might_sleep()		sim_might_sleep()
#define cond_resched()		sim_might_sleep()
#define cpu_relax()		do { } while (0)
#define dump_stack()		do { } while (0)
#define boot_cpu_has(feature)	true
#define lockdep_assert_held(lock)	((void)(lock))
#define lockdep_assert_held_write(lock)	((void)(lock))

static inline void reserve_mem_claim(void)
{
}

#define pageblock_start_pfn(pfn)	round_down(pfn, pageblock_nr_pages)
#define pageblock_aligned(pfn)	IS_ALIGNED(pfn, pageblock_nr_pages)
#define pageblock_align(pfn)		ALIGN(pfn, pageblock_nr_pages)
#define kmemleak_ignore_phys(phys)	((void)(phys))

enum migratetype {
	MIGRATE_MOVABLE,
	MIGRATE_CMA,
};

#define __NEW_UTS_LEN		64

static const struct {
	struct {
		char release[__NEW_UTS_LEN + 1];
	} name;
} init_uts_ns __maybe_unused = { { "7.3.0-user-space" } };

#endif /* KHO_STUBBED_STUBS_H */
