/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine that boots: it calls the hooks of early boot, the parsers of the
 * command line and the initcalls in the order in which a kernel does.
 */
#ifndef KHO_MACHINE_H
#define KHO_MACHINE_H

#include "duplicated/base.h"

#include <linux/kho/radix_tree.h>

/* Boot hooks of the sources, in the order in which they are called. */
enum sim_level {
	SIM_EARLY,
	SIM_FS,
	SIM_LATE,
};

void sim_add_initcall(enum sim_level level, int (*fn)(void));
void sim_add_param(const char *name, int (*fn)(char *));

#define sim_initcall(level, fn)						\
__attribute__((constructor)) static void sim_initcall_##fn(void)	\
{									\
	sim_add_initcall(level, fn);					\
}

#define early_initcall(fn)	sim_initcall(SIM_EARLY, fn)
#define fs_initcall(fn)		sim_initcall(SIM_FS, fn)
#define late_initcall(fn)	sim_initcall(SIM_LATE, fn)
#define late_initcall_sync(fn)	sim_initcall(SIM_LATE, fn)

#define early_param(name, fn)						\
__attribute__((constructor)) static void sim_param_##fn(void)		\
{									\
	sim_add_param(name, fn);					\
}

/* Passes a parameter of the command line to its parser; returns the result. */
int sim_param(const char *name, const char *value);

/*
 * Size of the root tree: a page.  If a page is too small for the tree, 8 KiB,
 * which is not the page size of any kernel with Kexec Handover.
 */
#define SIM_FDT_SIZE	(PAGE_SHIFT < 12 ? SZ_8K : PAGE_SIZE)

/* @nr ranges of @len bytes; each begins @step bytes after the preceding one. */
struct sim_ranges {
	phys_addr_t start;
	u64 len;
	unsigned int nr;
	u64 step;
};

/* Data that the boot loader passes on from the previous kernel. */
struct sim_handover {
	phys_addr_t fdt;
	u64 fdt_len;
	phys_addr_t scratch;
	u64 scratch_len;
	/* Memory in use: the kernel image, its initramfs and so on. */
	struct sim_ranges image;
	/* RAM that the firmware uses. */
	struct sim_ranges firmware;
	/* Called between the two walks of the map; optional. */
	void (*between_walks)(void);
};

/* Number of nodes with memory, as reported to the kernel. */
extern unsigned int sim_nr_nodes;

/* The kernel is a kdump kernel. */
extern bool sim_kdump;
#define is_kdump_kernel()	sim_kdump

/* The counter of the machine; each read advances it by @sim_tsc_step. */
extern u64 sim_tsc, sim_tsc_step;
extern unsigned int tsc_khz;
extern bool sim_tsc_unstable;
#define rdtsc_ordered()		(sim_tsc += sim_tsc_step)
#define check_tsc_unstable()	sim_tsc_unstable
#define NSEC_PER_SEC		1000000000L

/* Sets "@name=@value" for further boots; removes it if @value is NULL. */
void sim_boot_with(const char *name, const char *value);

/* Further boots have "liveupdate=on". */
extern bool sim_liveupdate;

/* Boots without a handover. */
void sim_boot_cold(void);

/*
 * Boots with a handover, which is in memory.  All variables of the sources are
 * reset.  Returns is_kho_boot().
 */
bool sim_boot_warm(const struct sim_handover *handover);

/* Stops the boot: sim_boot_warm() returns false, and sim_panicked is set. */
#define panic(fmt, ...)		(sim_printk(fmt, ##__VA_ARGS__), sim_panic())
__noreturn void sim_panic(void);
extern bool sim_panicked;

/* Ends this kernel; returns its handover. */
struct sim_handover sim_kexec(void);

/* See core.c. */
void sim_core_init_out(void);
void *sim_core_fdt(void);
struct kho_radix_tree sim_core_out_map(void);

/* Nodes and keys of the outgoing map. */
void sim_core_out(unsigned long *nodes, unsigned long *keys);

#endif /* KHO_MACHINE_H */
