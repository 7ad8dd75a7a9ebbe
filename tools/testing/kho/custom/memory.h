/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of a simulated machine.
 *
 * Physical memory is an arena with a hole in the middle, and with unmapped
 * addresses around it.  phys_to_virt() converts an address outside of the arena
 * to a pointer that faults on access, and virt_to_phys() converts it back.  Each
 * page has a state, and a page without an owner is poisoned, so that
 * AddressSanitizer reports any access:
 *
 *     SIM_HOLE    no memory
 *     SIM_FREE    belongs to the page allocator; poisoned
 *     SIM_CMA     free CMA memory, from which nothing is allocated; poisoned
 *     SIM_USED    allocated
 *     SIM_LEFT    reserved since boot, and not in the page allocator
 */
#ifndef KHO_CUSTOM_MEMORY_H
#define KHO_CUSTOM_MEMORY_H

#include "../duplicated/base.h"
#include "../duplicated/list.h"

#ifndef PAGE_SHIFT
#define PAGE_SHIFT		12
#endif
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		ALIGN(x, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(x)	round_down(x, PAGE_SIZE)
#define PAGE_ALIGNED(x)		IS_ALIGNED((unsigned long)(x), PAGE_SIZE)
#define PHYS_PFN(phys)		((unsigned long)((phys) >> PAGE_SHIFT))
#define PFN_PHYS(pfn)		((phys_addr_t)(pfn) << PAGE_SHIFT)
#define PFN_UP(phys)		PHYS_PFN((phys) + PAGE_SIZE - 1)
#define PFN_DOWN(phys)		PHYS_PFN(phys)
#define PHYS_ADDR_MAX		(~(phys_addr_t)0)
#define PMD_SHIFT		(PAGE_SHIFT + (MAX_PAGE_ORDER < 9 ? MAX_PAGE_ORDER : 9))
#define PMD_SIZE		(1UL << PMD_SHIFT)
#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER		10
#endif
#define MAX_ORDER_NR_PAGES	(1UL << MAX_PAGE_ORDER)
#define MAX_FOLIO_ORDER		18
#define pageblock_nr_pages	(MAX_PAGE_ORDER < 9 ? MAX_ORDER_NR_PAGES : 512UL)
#define CMA_MIN_ALIGNMENT_BYTES	(pageblock_nr_pages * PAGE_SIZE)
#define SMP_CACHE_BYTES		64

/*
 * Number of pages.  The first SIM_HOLE_PAGES and as many in the middle are
 * holes.
 */
#ifndef SIM_PAGES
#define SIM_PAGES		(PAGE_SHIFT > 12 ? 6144UL : 16384UL)
#endif
#define SIM_HOLE_PAGES		16UL
#define max_pfn			SIM_PAGES
/* End of RAM, for the next boot. */
extern unsigned long sim_ram_end;

enum sim_state {
	SIM_HOLE,
	SIM_FREE,
	SIM_CMA,
	SIM_USED,
	SIM_LEFT,
};

/*
 * A folio is represented by its first page.  @order: order of the folio; @head:
 * its first page, NULL outside of folios; @tagged: allocated by the previous
 * kernel, must not be freed with this tag; @vmalloced: freed by vfree().
 */
#define SIM_PAGE_FIELDS							\
	enum sim_state state;						\
	int refcount;							\
	unsigned int order;						\
	struct page *head;						\
	unsigned long flags;						\
	bool tagged;							\
	bool vmalloced;							\
	unsigned long index;						\
	void *mapping;							\
	struct list_head lru;

struct page {
	SIM_PAGE_FIELDS
};

struct folio {
	union {
		struct page page;
		struct {
			SIM_PAGE_FIELDS
		};
	};
};

extern char *sim_base;
extern struct page *sim_memmap;

/*
 * Bits to invert in addresses outside the arena.  An address in a handover then
 * never refers to memory of this program, but pointers to such memory can still
 * be converted to physical addresses and back.
 */
#define SIM_WILD		0x5a5a000000000000UL

static inline void *phys_to_virt(phys_addr_t phys)
{
	return phys < SIM_PAGES * PAGE_SIZE ? sim_base + phys :
					      (void *)(phys ^ SIM_WILD);
}

static inline phys_addr_t virt_to_phys(const void *virt)
{
	phys_addr_t phys = (char *)virt - sim_base;

	return phys < SIM_PAGES * PAGE_SIZE ? phys : (unsigned long)virt ^ SIM_WILD;
}

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return pfn < SIM_PAGES ? &sim_memmap[pfn] : (void *)(pfn ^ SIM_WILD);
}

static inline unsigned long page_to_pfn(const struct page *page)
{
	unsigned long i = page - sim_memmap;

	return i < SIM_PAGES ? i : (unsigned long)page ^ SIM_WILD;
}

#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define __pa(virt)		virt_to_phys((const void *)(virt))
#define __va(phys)		phys_to_virt(phys)
#define phys_to_page(phys)	pfn_to_page(PHYS_PFN(phys))
#define page_to_phys(page)	PFN_PHYS(page_to_pfn(page))
#define virt_to_page(virt)	phys_to_page(virt_to_phys(virt))
#define page_address(page)	phys_to_virt(page_to_phys(page))

static inline bool pfn_valid(unsigned long pfn)
{
	return pfn < SIM_PAGES && sim_memmap[pfn].state != SIM_HOLE;
}

static inline struct page *pfn_to_online_page(unsigned long pfn)
{
	return pfn_valid(pfn) ? &sim_memmap[pfn] : NULL;
}

static inline int get_order(size_t size)
{
	return size <= PAGE_SIZE ? 0 : fls64((size - 1) >> PAGE_SHIFT);
}

/* Allocation. */

#define GFP_KERNEL		0x01u
#define GFP_USER		GFP_KERNEL
#define __GFP_ZERO		0x02u
#define __GFP_NOFAIL		0x04u
#define __GFP_NOWARN		0x08u
#define __GFP_RETRY_MAYFAIL	0x10u
#define __GFP_COMP		0x20u
#define __GFP_THISNODE		0x40u
#define __GFP_DMA32		0x80u
#define __GFP_MOVABLE		0x100u

/* First page of hot-added memory, at the start of a section. */
extern unsigned long sim_hot_pfn;

#define CONFIG_MEMORY_HOTPLUG		1
#define CONFIG_SPARSEMEM		1
#define PAGES_PER_SECTION		(2 * pageblock_nr_pages)
#define SECTION_ALIGN_UP(pfn)		ALIGN(pfn, PAGES_PER_SECTION)
#define __pfn_to_section(pfn)		(pfn)
#define early_section(section)		((section) < sim_hot_pfn)

struct page *alloc_pages(gfp_t gfp, unsigned int order);
struct folio *folio_alloc(gfp_t gfp, unsigned int order);
unsigned long __get_free_pages(gfp_t gfp, unsigned int order);
void free_pages(unsigned long addr, unsigned int order);
void __free_page(struct page *page);
void __free_pages(struct page *page, unsigned int order);
#define alloc_pages_node(nid, gfp, order)	((void)(nid), alloc_pages(gfp, order))
void split_page(struct page *page, unsigned int order);
void *sim_kmalloc(size_t size, gfp_t gfp);
void kfree(const void *mem);

#define get_zeroed_page(gfp)	__get_free_pages((gfp) | __GFP_ZERO, 0)
#define free_page(addr)		free_pages(addr, 0)

#define GFP_OR_KERNEL_CHOOSE(ignored, gfp, ...)	gfp
#define GFP_OR_KERNEL(...)	GFP_OR_KERNEL_CHOOSE(0, ##__VA_ARGS__, GFP_KERNEL)
#define kzalloc(size, gfp)	sim_kmalloc(size, (gfp) | __GFP_ZERO)
#define kmalloc(size, gfp)	sim_kmalloc(size, gfp)
#define kmalloc_obj(obj, ...)						\
	((typeof(obj) *)kmalloc(sizeof(obj), GFP_OR_KERNEL(__VA_ARGS__)))
#define kzalloc_obj(obj, ...)						\
	((typeof(obj) *)kzalloc(sizeof(obj), GFP_OR_KERNEL(__VA_ARGS__)))
#define kzalloc_flex(obj, fam, n, gfp)					\
	((typeof(&(obj)))kzalloc(sizeof(obj) + (n) * sizeof((obj).fam[0]), gfp))
#define kvmalloc_array(n, size, gfp)	kmalloc(array_size(n, size), gfp)
#define kvmalloc_objs(obj, n)						\
	((typeof(obj) *)kvmalloc_array(n, sizeof(obj), GFP_KERNEL))
#define kvfree(mem)		kfree(mem)

/* Folios. */

#define page_folio(p) ({						\
	struct page *__p = (struct page *)(p);			\
	(struct folio *)(__p->head ?: __p);				\
})
#define virt_to_folio(virt)	page_folio(virt_to_page(virt))
#define folio_page(folio, n)	(&(folio)->page + (n))
#define folio_pfn(folio)	page_to_pfn(&(folio)->page)
#define pfn_folio(pfn)		page_folio(pfn_to_page(pfn))
#define folio_order(folio)	((folio)->page.order)
#define folio_nr_pages(folio)	(1L << folio_order(folio))
#define folio_size(folio)	(PAGE_SIZE << folio_order(folio))
#define folio_address(folio)	page_address(&(folio)->page)
#define folio_ref_count(folio)	page_ref_count(&(folio)->page)
#define page_ref_count(page)	((page)->refcount)
#define PageCompound(page)	((page)->head != NULL)

#define folio_get(f)		((f)->refcount++)
void folio_put(struct folio *folio);
void prep_compound_page(struct page *page, unsigned int order);
void set_page_count(struct page *page, int count);
#define clear_page_tag_ref(page)	((page)->tagged = false)
#define NR_VMALLOC		0
#define mod_lruvec_page_state(page, item, nr)	((page)->vmalloced = (nr) > 0)

/* First page of the second node, which has no memory by default. */
extern unsigned long sim_node_pfn;

#define MAX_NUMNODES		1024
#define NUMA_NO_NODE		(-1)
#define N_MEMORY		0
#define nr_online_nodes		(sim_node_pfn < SIM_PAGES ? 2 : 1)
#define pfn_to_nid(pfn)		((pfn) >= sim_node_pfn)
#define page_zone_id(page)	pfn_to_nid(page_to_pfn(page))
/* All other nodes only exist as a number. */
#define nodes_weight(nodes)	((void)(nodes), sim_nr_nodes)
#define node_states		((const int[]){ 0 })
#define for_each_node_state(nid, state)	for ((nid) = 0; (nid) < sim_nr_nodes; (nid)++)
#define for_each_online_node(nid)	for ((nid) = 0; (nid) < 1; (nid)++)

/*
 * Struct pages are initialized late.  Restoring memory in a section before its
 * struct pages are initialized is a bug.
 */
extern bool sim_deferred;
/* Called once, before struct pages are initialized; optional. */
extern void (*sim_before_init)(void);
#define deferred_pages_enabled()	sim_deferred
void deferred_sections_prepare(void);
void deferred_init_section(unsigned long pfn);

struct zone {
	atomic_long_t managed_pages;
};

extern unsigned long totalcma_pages;
extern struct zone sim_zone;
#define page_zone(page)		((void)(page), &sim_zone)
void adjust_managed_page_count(struct page *page, long nr);
unsigned long totalram_pages(void);
/* The RAM pages of one node. */
unsigned long sim_managed(int nid);
void init_cma_reserved_pageblock(struct page *page);
void free_reserved_page(struct page *page);
unsigned long free_reserved_area(void *start, void *end, int poison,
				 const char *what);

/* The machine. */

/* Sets all memory to @state, and clears all struct pages. */
void sim_memory_reset(enum sim_state state);
void sim_set_state(unsigned long pfn, unsigned long nr, enum sim_state state);
unsigned long sim_count(enum sim_state state);

/* Gives a page to the page allocator, in state SIM_FREE or SIM_CMA. */
void sim_give_page(unsigned long pfn, enum sim_state state);

/* Number of kmalloc() objects. */
unsigned long sim_live_objects(void);
/* Frees all kmalloc() objects. */
void sim_kmalloc_forget(void);

/* The @n-th allocation from here fails, counted from 1; 0 for none. */
void sim_fail_nth(unsigned long n);
bool sim_failed(void);
bool sim_alloc_fails(gfp_t gfp);

/* Ends the test program, for conditions that must never occur. */
#define sim_bug(fmt, ...) do {						\
	fprintf(stderr, "BUG at %s:%d: " fmt "\n", __FILE__, __LINE__,	\
		##__VA_ARGS__);						\
	abort();							\
} while (0)
#define BUG_ON(bad)		do { if (bad) sim_bug("%s", #bad); } while (0)

#endif /* KHO_CUSTOM_MEMORY_H */
