// SPDX-License-Identifier: GPL-2.0
/* The memory of a simulated machine: pages, folios and small objects. */

#include "../model.h"

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

/* Size of the unmapped ranges before and after the arena. */
#define GUARD_BYTES	(1UL << 30)
#define FREE_BYTE	0x6b
#define USED_BYTE	0xa5

char *sim_base;
struct page *sim_memmap;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long next_pfn;
static long managed_pages[2];
struct zone sim_zone;
unsigned long totalcma_pages;
/* Sections with initialized struct pages; valid if @sections_known. */
static bool section_ready[SIM_PAGES / PAGES_PER_SECTION + 1], sections_known;
static unsigned long fail_at, fail_count;

static void *map_guarded(size_t size)
{
	char *mem = mmap(NULL, size + 2 * GUARD_BYTES, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED ||
	    mprotect(mem + GUARD_BYTES, size, PROT_READ | PROT_WRITE)) {
		perror("memory of the simulated machine");
		exit(1);
	}
	return mem + GUARD_BYTES;
}

unsigned long sim_ram_end = SIM_PAGES;

static bool is_hole(unsigned long pfn)
{
	return pfn < SIM_HOLE_PAGES || pfn >= sim_ram_end ||
	       (pfn >= SIM_PAGES / 2 && pfn < SIM_PAGES / 2 + SIM_HOLE_PAGES);
}

/* Only the start of a large page is poisoned, as poisoning is slow. */
#define POISON_BYTES	min(PAGE_SIZE, SZ_4K)

static bool is_hidden(enum sim_state state)
{
	return state == SIM_FREE || state == SIM_CMA || state == SIM_HOLE;
}

static void set_poison(unsigned long pfn, enum sim_state state)
{
	void *mem = phys_to_virt(PFN_PHYS(pfn));

	if (is_hidden(state))
		ASAN_POISON_MEMORY_REGION(mem, POISON_BYTES);
	else
		ASAN_UNPOISON_MEMORY_REGION(mem, POISON_BYTES);
}

void sim_set_state(unsigned long pfn, unsigned long nr, enum sim_state state)
{
	for (; nr--; pfn++) {
		if (is_hidden(sim_memmap[pfn].state) != is_hidden(state))
			set_poison(pfn, state);
		sim_memmap[pfn] = (struct page){ .state = state };
		INIT_LIST_HEAD(&sim_memmap[pfn].lru);
	}
}

void sim_memory_reset(enum sim_state state)
{
	managed_pages[0] = managed_pages[1] = 0;
	totalcma_pages = 0;
	memset(section_ready, false, sizeof(section_ready));
	sections_known = false;
	next_pfn = SIM_HOLE_PAGES;
	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++) {
		sim_set_state(pfn, 1, is_hole(pfn) ? SIM_HOLE : state);
		sim_memmap[pfn].tagged = state == SIM_LEFT;
		managed_pages[pfn_to_nid(pfn)] += !is_hole(pfn) && state == SIM_FREE;
	}
}

/* Runs before the other constructors, which may allocate memory. */
__attribute__((constructor(101))) static void sim_memory_init(void)
{
	size_t memmap_size = SIM_PAGES * sizeof(struct page);

	sim_base = map_guarded(round_up(SIM_PAGES * PAGE_SIZE, SZ_64K));
	sim_memmap = map_guarded(round_up(memmap_size, SZ_4K));
	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++)
		set_poison(pfn, SIM_HOLE);
	sim_memory_reset(SIM_FREE);
}

unsigned long sim_count(enum sim_state state)
{
	unsigned long nr = 0;

	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++)
		nr += sim_memmap[pfn].state == state;
	return nr;
}

unsigned long totalram_pages(void)
{
	return managed_pages[0] + managed_pages[1];
}

unsigned long sim_managed(int nid)
{
	return managed_pages[nid];
}

/* Failures on demand. */

void sim_fail_nth(unsigned long n)
{
	fail_at = n;
	fail_count = 0;
}

bool sim_failed(void)
{
	return fail_at && fail_count >= fail_at;
}

unsigned long sim_hot_pfn = SIM_PAGES;

unsigned long sim_node_pfn = SIM_PAGES;

bool sim_deferred;

void deferred_sections_prepare(void)
{
	sections_known = true;
}

void (*sim_before_init)(void);

void deferred_init_section(unsigned long pfn)
{
	void (*hook)(void) = sim_before_init;

	sim_before_init = NULL;
	if (hook)
		hook();
	sim_might_sleep();
	BUG_ON(!sim_deferred || !sections_known || pfn >= SIM_PAGES);
	section_ready[pfn / PAGES_PER_SECTION] = true;
}

bool sim_alloc_fails(gfp_t gfp)
{
	if (!fail_at || gfp & __GFP_NOFAIL)
		return false;
	return ++fail_count == fail_at;
}

/* Pages. */

static bool range_is_free(unsigned long pfn, unsigned long nr)
{
	while (nr--) {
		if (sim_memmap[pfn++].state != SIM_FREE)
			return false;
	}
	return true;
}

/*
 * A search for a small block starts where the last one ended, and wraps around:
 * a freed page is not allocated again soon, so that a use after free is
 * detected for longer.  Large blocks come from the upper half of memory, small
 * ones only if the lower half has none.
 */
static unsigned long find_free(unsigned long nr, unsigned long end)
{
	unsigned long start = SIM_PAGES / 2;

	if (nr < 64)
		start = next_pfn < start ? next_pfn : 0;

	start = round_up(start, nr);
	for (int round = 0; round < 2; round++, start = 0) {
		for (unsigned long pfn = start; pfn + nr <= end; pfn += nr) {
			if (!range_is_free(pfn, nr))
				continue;
			if (nr < 64)
				next_pfn = pfn + nr;
			return pfn;
		}
	}
	return 0;
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	unsigned long pfn;

	BUG_ON(order > MAX_PAGE_ORDER);
	sim_might_sleep();
	if (sim_alloc_fails(gfp))
		return NULL;

	pthread_mutex_lock(&lock);
	/* Low memory was present at boot: it is never hot-added. */
	pfn = find_free(BIT(order), gfp & __GFP_DMA32 ? sim_hot_pfn : SIM_PAGES);
	if (pfn)
		sim_set_state(pfn, BIT(order), SIM_USED);
	pthread_mutex_unlock(&lock);
	if (!pfn)
		return NULL;

	memset(phys_to_virt(PFN_PHYS(pfn)), gfp & __GFP_ZERO ? 0 : USED_BYTE,
	       PAGE_SIZE << order);
	sim_memmap[pfn].refcount = 1;
	if (gfp & __GFP_COMP && order)
		prep_compound_page(&sim_memmap[pfn], order);
	return &sim_memmap[pfn];
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	return page ? (unsigned long)page_address(page) : 0;
}

static void release(struct page *page, unsigned long nr)
{
	unsigned long pfn = page_to_pfn(page);

	for (unsigned long i = 0; i < nr; i++) {
		/*
		 * Pages in state SIM_LEFT, too: a test may also act as the
		 * previous kernel, see kernel/liveupdate/tests/incoming.h.
		 */
		if (page[i].state != SIM_USED && page[i].state != SIM_LEFT)
			sim_bug("page %#lx is freed in state %d", pfn + i,
				page[i].state);
		if (page->tagged)
			sim_bug("page %#lx is freed with the tag of another kernel", pfn);
		if (page[i].refcount)
			sim_bug("page %#lx is freed while it is in use", pfn + i);
	}

	for (unsigned long i = 0; i < nr; i++)
		memset(phys_to_virt(PFN_PHYS(pfn + i)), FREE_BYTE, POISON_BYTES);
	pthread_mutex_lock(&lock);
	sim_set_state(pfn, nr, SIM_FREE);
	pthread_mutex_unlock(&lock);
}

static void put(struct page *page, unsigned int order)
{
	BUG_ON(page->refcount <= 0);
	if (!--page->refcount)
		release(page, BIT(order));
}

void free_pages(unsigned long addr, unsigned int order)
{
	if (addr)
		put(virt_to_page((void *)addr), order);
}

void __free_page(struct page *page)
{
	BUG_ON(PageCompound(page));
	put(page, 0);
}

void __free_pages(struct page *page, unsigned int order)
{
	put(page, order);
}

void split_page(struct page *page, unsigned int order)
{
	BUG_ON(PageCompound(page) || page->refcount != 1);
	for (unsigned long i = 1; i < BIT(order); i++)
		page[i].refcount = 1;
}

/* Folios. */

void prep_compound_page(struct page *page, unsigned int order)
{
	BUG_ON(!order || !IS_ALIGNED(page_to_pfn(page), BIT(order)));
	page->order = order;
	for (unsigned long i = 0; i < BIT(order); i++)
		page[i].head = page;
}

struct folio *folio_alloc(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	if (page && order)
		prep_compound_page(page, order);
	return (struct folio *)page;
}

void folio_put(struct folio *folio)
{
	BUG_ON(folio->page.head && folio->page.head != &folio->page);
	BUG_ON(folio->refcount == 1 && folio->mapping);
	put(&folio->page, folio_order(folio));
}

/* Restored memory. */

/* Only called to restore a page, and once for each page. */
void set_page_count(struct page *page, int count)
{
	if (page->state != SIM_LEFT)
		sim_bug("page %#lx is restored in state %d",
			page_to_pfn(page), page->state);
	if (sim_deferred && !section_ready[page_to_pfn(page) / PAGES_PER_SECTION])
		sim_bug("page %#lx is restored and is not set up", page_to_pfn(page));
	page->state = SIM_USED;
	page->refcount = count;
}

/*
 * If the count decreases, the pages from @page on are kept for the next kernel.
 * If it increases, the counted pages may be anywhere.
 */
void adjust_managed_page_count(struct page *page, long nr)
{
	managed_pages[page_zone_id(page)] += nr;
	for (; nr < 0; nr++, page++) {
		BUG_ON(page->state != SIM_USED);
		page->state = SIM_LEFT;
	}
}

void sim_give_page(unsigned long pfn, enum sim_state state)
{
	sim_set_state(pfn, 1, state);
	managed_pages[pfn_to_nid(pfn)]++;
}

void free_reserved_page(struct page *page)
{
	BUG_ON(page->state != SIM_LEFT || page->tagged);
	sim_give_page(page_to_pfn(page), SIM_FREE);
}

void init_cma_reserved_pageblock(struct page *page)
{
	for (unsigned long i = 0; i < pageblock_nr_pages; i++)
		sim_give_page(page_to_pfn(page) + i, SIM_CMA);
}

unsigned long free_reserved_area(void *start, void *end, int poison,
				 const char *what)
{
	unsigned long nr = (end - start) >> PAGE_SHIFT;

	for (unsigned long i = 0; i < nr; i++)
		sim_give_page(PHYS_PFN(virt_to_phys(start)) + i, SIM_FREE);
	return nr;
}

/* Small objects. */

static struct model objects;

unsigned long sim_live_objects(void)
{
	return objects.nr;
}

void sim_kmalloc_forget(void)
{
	for (unsigned long i = 0; i < objects.nr; i++)
		free((void *)objects.key[i]);
	model_free(&objects);
}

void *sim_kmalloc(size_t size, gfp_t gfp)
{
	void *mem;

	/* Sizes larger than all memory must fail. */
	if (sim_alloc_fails(gfp) || size > 2 * SIM_PAGES * PAGE_SIZE + SZ_1M)
		return NULL;

	mem = malloc(size ?: 1);
	BUG_ON(!mem);
	memset(mem, gfp & __GFP_ZERO ? 0 : USED_BYTE, size);
	pthread_mutex_lock(&lock);
	model_add(&objects, (unsigned long)mem);
	pthread_mutex_unlock(&lock);
	return mem;
}

void kfree(const void *mem)
{
	if (!mem)
		return;

	pthread_mutex_lock(&lock);
	if (!model_del(&objects, (unsigned long)mem))
		sim_bug("%p is freed and is not an object", mem);
	pthread_mutex_unlock(&lock);
	free((void *)mem);
}
