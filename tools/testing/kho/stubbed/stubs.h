/* SPDX-License-Identifier: GPL-2.0 */
/* What does nothing here. */
#ifndef KHO_STUBBED_STUBS_H
#define KHO_STUBBED_STUBS_H

#include "../duplicated/base.h"

/* Headers that only lead on to what is in here: these keep them out. */
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
#define lockdep_assert_held(lock)	((void)(lock))
#define lockdep_assert_held_write(lock)	((void)(lock))

static inline void reserve_mem_claim(void)
{
}

static inline bool is_kdump_kernel(void)
{
	return false;
}

/* All memory is on the first node; the others have a number only. */
#define MAX_NUMNODES		1024
#define NUMA_NO_NODE		(-1)
#define N_MEMORY		0
#define nr_online_nodes		1
#define nodes_weight(nodes)	((void)(nodes), sim_nr_nodes)
#define node_states		((const int[]){ 0 })
#define for_each_node_state(nid, state)	for ((nid) = 0; (nid) < sim_nr_nodes; (nid)++)
#define for_each_online_node(nid)	for ((nid) = 0; (nid) < 1; (nid)++)
#define pfn_to_nid(pfn)		((void)(pfn), 0)
#define page_zone_id(page)	((void)(page), 0)
#define pageblock_start_pfn(pfn)	round_down(pfn, pageblock_nr_pages)
#define pageblock_aligned(pfn)	IS_ALIGNED(pfn, pageblock_nr_pages)
#define pageblock_align(pfn)		ALIGN(pfn, pageblock_nr_pages)
static unsigned long totalcma_pages __maybe_unused;
#define deferred_pages_enabled()	false
#define deferred_sections_prepare()	do { } while (0)
#define deferred_init_section(pfn)	((void)(pfn))
#define kmemleak_ignore_phys(phys)	((void)(phys))

#define NR_VMALLOC		0
#define mod_lruvec_page_state(page, item, nr)	((void)(page))
#define clear_page_tag_ref(page)	((void)(page))

typedef unsigned int kasan_vmalloc_flags_t;
#define KASAN_VMALLOC_PROT_NORMAL	1
#define KASAN_VMALLOC_VM_ALLOC		2
#define kasan_unpoison_vmalloc(addr, size, flags)	((void)(flags), (addr))

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
