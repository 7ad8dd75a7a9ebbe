/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_KEXEC_HANDOVER_INTERNAL_H
#define LINUX_KEXEC_HANDOVER_INTERNAL_H

/*
 * Layers.  A file only calls files on lines below its own:
 *
 *	kho_init.c			set-up in initcalls
 *	kexec_handover_debugfs.c	files for administrators and tools
 *	kho_image.c			images for kexec, and their scratch areas
 *	luo_*.c				sessions and files, see luo_internal.h
 *	kho_boot.c			early boot: finds the handover
 *	kho_memblock.c			early boot: reserves preserved memory
 *	kho_block.c kho_timeline.c kho_vmalloc.c
 *					structures in preserved memory
 *	kexec_handover.c		root trees: find data by name
 *	kho_unclaimed.c			memory that is not restored yet
 *	kho_pages.c			pages and folios
 *	kho_scratch.c			scratch areas reserved at boot
 *	kho_out_report.c		outgoing versions and memory, for debugfs
 *	kho_state.c			kho_in and kho_out
 *	kho_compat_report.c kho_debugfs_blob.c kho_radix.c
 *	kho_alloc.c kho_compat.c
 */

#include <asm-generic/kexec_handover.h>
#include <linux/bitmap.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/radix_tree.h>
#include <linux/mutex.h>
#include <linux/types.h>

/*
 * The next kernel adds scratch areas to memblock when the array of regions cannot
 * grow yet.
 */
#define KHO_MAX_SCRATCH_AREAS	120

/* Size and alignment of scratch areas are multiples of this. */
#define KHO_SCRATCH_UNIT	SZ_4M

/**
 * struct kho_boot_use - memory that this kernel reserved for itself during boot
 * @low: bytes below ARCH_LOW_ADDRESS_LIMIT
 * @high: bytes elsewhere
 * @node: bytes on each node, including allocations without a preferred node
 * @node_high: bytes on each node that are not low
 */
struct kho_boot_use {
	phys_addr_t low;
	phys_addr_t high;
	phys_addr_t node[MAX_NUMNODES];
	phys_addr_t node_high[MAX_NUMNODES];
};

/* A root tree has fewer subtrees than this, with any page size. */
#define KHO_MAX_SUBTREES	2048

/**
 * struct kho_in - incoming handover
 * @fdt_phys: root tree, 0 without a handover
 * @fdt_len: bytes of memory at @fdt_phys
 * @scratch_phys: array of scratch areas, 0 without a handover
 * @same: all versions in the root tree are those of this kernel
 * @orders: a bit for each order of which @map may have blocks
 * @overlap_start: first page frame of the range from the first to the last
 *		   overlap: it contains each page that is in more than one block
 *		   of @map
 * @overlap_end: page frame after the last one of that range, 0 for no range
 * @map: preserved memory that is not restored yet
 * @nr_nodes: number of nodes in @map when it was found
 * @preserved: a bit for each subtree, in the order of the root tree; set if the
 *	       data was preserved and has not been released
 * @reserved: preserved memory is reserved and @preserved is valid
 */
struct kho_in {
	phys_addr_t fdt_phys;
	size_t fdt_len;
	phys_addr_t scratch_phys;
	bool same;
	unsigned long orders;
	unsigned long overlap_start;
	unsigned long overlap_end;
	struct kho_radix_tree map;
	unsigned long nr_nodes;
	bool reserved;
	DECLARE_BITMAP(preserved, KHO_MAX_SUBTREES);
};

/**
 * struct kho_out - outgoing handover
 * @fdt: root tree, PAGE_SIZE bytes; NULL as long as nothing can be preserved
 * @fdt_lock: protects the contents of @fdt
 * @map: preserved memory
 */
struct kho_out {
	void *fdt;
	struct mutex fdt_lock;
	struct kho_radix_tree map;
};

/* kho_state.c */
extern struct kho_in kho_in;
extern struct kho_out kho_out;
extern bool kho_enable;

const void *kho_in_fdt(void);
int kho_in_read_subtree(int node, u64 *phys, u64 *size);
int kho_fdt_get_u64(const void *fdt, int node, const char *name, u64 *val);

/* kexec_handover.c */
int kho_out_init(void);

/**
 * struct kho_preserve_batch - common state of pages that are preserved together
 * @cursor: position of the last block in the outgoing map
 * @start: first page frame of a range that can be preserved
 * @end: page frame after the last one of that range
 */
struct kho_preserve_batch {
	struct kho_radix_cursor cursor;
	unsigned long start;
	unsigned long end;
};

/* kho_pages.c */
int kho_preserve_pages_batched(struct page *page, unsigned long nr_pages,
			       struct kho_preserve_batch *batch);
void kho_unpreserve_pages_at(struct page *page, unsigned long nr_pages,
			     struct kho_radix_cursor *cursor);
bool kho_pages_preserved_at(phys_addr_t phys, unsigned long nr_pages,
			    struct kho_radix_cursor *cursor);
struct page *kho_restore_pages_batched(phys_addr_t phys, unsigned long nr_pages,
				       struct kho_restore_batch *batch);
void kho_free_node(struct page *page);
bool kho_out_overlaps(phys_addr_t phys, size_t size);
bool kho_in_covers(phys_addr_t phys, size_t size);
void kho_in_claim_block(phys_addr_t phys);

/* kho_memblock.c */
int kho_reserve_incoming(void);

/* kho_scratch.c */
extern struct kho_scratch *kho_scratch;
extern unsigned int kho_scratch_cnt;
extern struct kho_boot_use kho_boot_use;
phys_addr_t kho_scratch_from(phys_addr_t phys);

void kho_record_boot_use(void);
void kho_reserve_scratch(void);
void kho_forget_scratch(void);
void kho_extend_scratch(void);
void kho_release_scratch(void);
void kho_scratch_init_cma(void);

/* kho_image.c */
bool kho_out_is_unused(void);
void kho_for_each_area(void (*fn)(const struct kho_scratch *area, void *data),
		       void *data);

/* kho_compat_report.c */
struct seq_file;
bool kho_compat_reported(void);
int kho_compat_show(struct seq_file *m, void *v);

/* kho_out_report.c */
int kho_out_compat_show(struct seq_file *m, void *v);
int kho_out_preserved_show(struct seq_file *m, void *v);

/* kho_timeline.c */
void kho_timeline_read(void);
void kho_timeline_write(void);
int kho_timeline_show(struct seq_file *m, void *v);

/* kho_unclaimed.c */
void kho_incoming_get(void);
void kho_incoming_put(void);
bool kho_subtree_get(unsigned int nr);
void kho_subtree_put(unsigned int nr);
int kho_unclaimed_show(struct seq_file *m, void *v);
void kho_mark_subtrees(bool usable);
int kho_unclaimed_release(void);

/* kho_debugfs_blob.c and kexec_handover_debugfs.c */
#ifdef CONFIG_KEXEC_HANDOVER_DEBUGFS
struct dentry;
void kho_debugfs_add_blob(const char *name, void *blob, size_t size);
void kho_debugfs_remove_blob(void *blob);
void kho_debugfs_set_blob_dir(struct dentry *dir);
bool kho_debugfs_add_snapshot(const char *name, void *data, size_t size);
void kho_debugfs_show_snapshots(struct dentry *dir);
void kho_debugfs_drop_snapshots(void);

void kho_debugfs_init(void);
#else
static inline void kho_debugfs_add_blob(const char *name, void *blob,
					size_t size) { }
static inline void kho_debugfs_remove_blob(void *blob) { }

static inline void kho_debugfs_init(void) { }
#endif

#endif /* LINUX_KEXEC_HANDOVER_INTERNAL_H */
