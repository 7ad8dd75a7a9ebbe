// SPDX-License-Identifier: GPL-2.0
/* A machine that boots, see machine.h. */

#include "shims.h"

#include <setjmp.h>

#include <linux/kexec_handover.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

static struct {
	enum sim_level level;
	int (*fn)(void);
} initcalls[24];

static struct {
	const char *name;
	int (*fn)(char *value);
} params[8];

void sim_add_initcall(enum sim_level level, int (*fn)(void))
{
	unsigned int i = 0;

	while (initcalls[i].fn)
		BUG_ON(++i == ARRAY_SIZE(initcalls));
	initcalls[i].level = level;
	initcalls[i].fn = fn;
}

void sim_add_param(const char *name, int (*fn)(char *))
{
	unsigned int i = 0;

	while (params[i].fn)
		BUG_ON(++i == ARRAY_SIZE(params));
	params[i].name = name;
	params[i].fn = fn;
}

int sim_param(const char *name, const char *value)
{
	char *copy = value ? strdup(value) : NULL;
	int err = -ENOENT;

	for (unsigned int i = 0; params[i].fn; i++) {
		if (!strcmp(params[i].name, name))
			err = params[i].fn(copy);
	}
	free(copy);
	return err;
}

static struct work_struct *pending[4];

void schedule_work(struct work_struct *work)
{
	unsigned int i = 0;

	if (work->pending)
		return;
	work->pending = true;
	while (pending[i])
		BUG_ON(++i == ARRAY_SIZE(pending));
	pending[i] = work;
}

void sim_flush_work(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pending) && pending[i]; i++) {
		struct work_struct *work = pending[i];

		pending[i] = NULL;
		work->pending = false;
		work->fn(work);
	}
}

static void run_initcalls(void)
{
	for (enum sim_level level = SIM_EARLY; level <= SIM_LATE; level++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(initcalls); i++) {
			if (initcalls[i].fn && initcalls[i].level == level)
				initcalls[i].fn();
		}
	}
	sim_flush_work();
}

static void find_memory(void)
{
	unsigned long start = 0;

	for (unsigned long pfn = 0; pfn <= SIM_PAGES; pfn++) {
		if (pfn < SIM_PAGES && sim_memmap[pfn].state != SIM_HOLE)
			continue;
		if (start < pfn)
			memblock_add(PFN_PHYS(start), PFN_PHYS(pfn - start));
		start = pfn + 1;
	}
}

/*
 * As on x86, RAM is known from a firmware table before it is added to memblock.
 */
bool arch_kho_is_ram(phys_addr_t start, phys_addr_t end)
{
	for (; start < end; start = (start | (PAGE_SIZE - 1)) + 1) {
		if (PHYS_PFN(start) >= SIM_PAGES ||
		    sim_memmap[PHYS_PFN(start)].state == SIM_HOLE)
			return false;
	}

	return true;
}

/*
 * Moves @i to the first region that ends after @phys, and tests if that region
 * overlaps the page.
 */
static bool page_in(const struct memblock_type *type, unsigned long *i, phys_addr_t phys)
{
	const struct memblock_region *r = &type->regions[*i];

	for (; *i < type->cnt && r->base + r->size <= phys; r++)
		++*i;

	return *i < type->cnt && r->base < phys + PAGE_SIZE;
}

/*
 * Gives free memory of memblock to the page allocator, except for memory of the
 * firmware.
 */
static void start_page_allocator(void)
{
	unsigned long ram = 0, reserved = 0;

	for (unsigned long pfn = 0; pfn < SIM_PAGES; pfn++) {
		phys_addr_t phys = PFN_PHYS(pfn);

		if (!page_in(&memblock.memory, &ram, phys) ||
		    memblock_is_nomap(&memblock.memory.regions[ram]) ||
		    page_in(&memblock.reserved, &reserved, phys))
			continue;
		sim_give_page(pfn, kho_scratch_overlap(phys, PAGE_SIZE) ?
				   SIM_CMA : SIM_FREE);
	}
}

/*
 * Resets all variables of the sources, which the linker has put into one
 * section, to their initial values.
 */
extern u64 sim_state_start[], sim_state_end[];
static u64 *first_state;

__attribute__((no_sanitize("address", "undefined")))
static void forget_variables(void)
{
	size_t nr = sim_state_end - sim_state_start;

	if (!first_state) {
		first_state = malloc(nr * sizeof(u64));
		for (size_t i = 0; i < nr; i++)
			((volatile u64 *)first_state)[i] = sim_state_start[i];
	}

	for (size_t i = 0; i < nr; i++) {
		if (sim_state_start[i] != first_state[i])
			((volatile u64 *)sim_state_start)[i] = first_state[i];
	}
}

bool sim_liveupdate;
bool sim_kdump;
u64 sim_tsc, sim_tsc_step = 1000;
unsigned int tsc_khz = 1000000;
bool sim_tsc_unstable;
unsigned int sim_nr_nodes = 1;
unsigned long sim_grace_periods;

static struct {
	const char *name, *value;
} options[4];

void sim_boot_with(const char *name, const char *value)
{
	unsigned int i = 0;

	while (options[i].name && strcmp(options[i].name, name))
		BUG_ON(++i == ARRAY_SIZE(options));
	options[i].name = name;
	options[i].value = value;
}

static void parse_options(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].name && options[i].value)
			BUG_ON(sim_param(options[i].name, options[i].value));
	}
}

static void forget(void)
{
	char size[64];

	sim_expect_locks(0);
	sim_kmalloc_forget();
	sim_vmalloc_forget();
	sim_files_forget();
	sim_debugfs_forget();
	sim_memblock_reset();
	forget_variables();
	memset(pending, 0, sizeof(pending));
	if (sim_liveupdate)
		BUG_ON(sim_param("liveupdate", "on"));
	snprintf(size, sizeof(size), "%lu,%lu,0", PAGE_SIZE, PAGE_SIZE);
	BUG_ON(sim_param("kho_scratch", size));
	parse_options();
}

/*
 * With the smallest pages, KHO fails to initialize and frees the scratch areas:
 * take them back.  See sim_core_init_out().
 */
static void take_scratch_back(unsigned int areas)
{
	for (unsigned int i = kho_scratch_cnt; i < areas; i++)
		sim_set_state(PHYS_PFN(kho_scratch[i].addr),
			      PHYS_PFN(kho_scratch[i].size), SIM_CMA);
	kho_scratch_cnt = areas;
}

void sim_boot_cold(void)
{
	unsigned int areas;

	forget();
	sim_memory_reset(SIM_LEFT);
	find_memory();
	kho_memory_init();
	start_page_allocator();
	areas = kho_scratch_cnt;
	run_initcalls();
	if (PAGE_SIZE < SZ_4K)
		take_scratch_back(areas);
	sim_core_init_out();
}

struct sim_handover sim_kexec(void)
{
	sim_vmalloc_sync();
	return (struct sim_handover){
		.fdt = virt_to_phys(sim_core_fdt()),
		.fdt_len = SIM_FDT_SIZE,
		.scratch = virt_to_phys(kho_scratch),
		.scratch_len = kho_scratch_cnt * sizeof(*kho_scratch),
	};
}

static void apply_to_ranges(struct sim_ranges r, int (*fn)(phys_addr_t, phys_addr_t))
{
	for (; r.nr; r.nr--, r.start += r.step)
		BUG_ON(fn(r.start, r.len));
}

static jmp_buf stopped;
static bool booting;
bool sim_panicked;

void sim_panic(void)
{
	BUG_ON(!booting);
	longjmp(stopped, 1);
}

bool sim_boot_warm(const struct sim_handover *handover)
{
	sim_panicked = setjmp(stopped);
	booting = !sim_panicked;
	if (sim_panicked)
		return false;

	forget();
	sim_memory_reset(SIM_LEFT);

	kho_populate(handover->fdt, handover->fdt_len, handover->scratch,
		     handover->scratch_len);
	BUG_ON(sim_early_maps);
	find_memory();
	apply_to_ranges(handover->firmware, memblock_mark_nomap);
	apply_to_ranges(handover->image, memblock_reserve);
	kho_memory_init_early();
	if (handover->between_walks)
		handover->between_walks();
	kho_memory_init();
	start_page_allocator();
	run_initcalls();
	sim_core_init_out();
	booting = false;
	return is_kho_boot();
}

#ifdef KUNIT
struct sim_balance sim_balance(void)
{
	struct sim_balance b = { .objects = sim_live_objects() };
	unsigned long nodes, keys;

	sim_core_out(&nodes, &keys);
	b.pages = sim_count(SIM_USED) - nodes;
	b.keys = keys;
	return b;
}

int sim_liveupdate_init(struct kunit *test)
{
	if (PAGE_SIZE < SZ_4K)
		kunit_skip(test, "a record does not fit into a page");

	sim_liveupdate = true;
	sim_boot_cold();
	return 0;
}

void sim_liveupdate_exit(struct kunit *test)
{
	sim_liveupdate = false;
	sim_boot_cold();
}

void sim_deferred_exit(struct kunit *test)
{
	sim_deferred = false;
	sim_before_init = NULL;
	sim_boot_cold();
}
#endif
