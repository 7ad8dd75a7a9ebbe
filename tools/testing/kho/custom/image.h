/* SPDX-License-Identifier: GPL-2.0 */
/* Loading of the next kernel, and contiguous memory for it. */
#ifndef KHO_CUSTOM_IMAGE_H
#define KHO_CUSTOM_IMAGE_H

#include "../duplicated/base.h"
#include "memory.h"

#define KEXEC_TYPE_DEFAULT	0
#define KEXEC_TYPE_CRASH	1
#define KEXEC_BUF_MEM_UNKNOWN	0
#define KEXEC_SEGMENT_MAX	16

struct kho_areas;

struct resource {
	u64 start;
	u64 end;
};

#define CONFIG_CRASH_RESERVE		1
#define resource_size(res)		((res)->end - (res)->start + 1)
extern struct resource crashk_res;

struct kexec_segment {
	const void *kbuf;
	unsigned long mem;
	unsigned long memsz;
};

struct kimage {
	int type;
	bool file_mode;
	unsigned int nr_segments;
	struct kexec_segment segment[KEXEC_SEGMENT_MAX];
	struct page *segment_cma[KEXEC_SEGMENT_MAX];
	size_t kernel_buf_len;
	size_t initrd_buf_len;
	struct {
		phys_addr_t fdt;
		struct kexec_segment *scratch;
		struct kho_areas *areas;
	} kho;
};

struct kexec_buf {
	struct kimage *image;
	void *buffer;
	struct page *cma;
	unsigned long bufsz;
	unsigned long memsz;
	unsigned long mem;
	unsigned long buf_align;
	unsigned long buf_max;
	bool top_down;
};

int kexec_add_buffer(struct kexec_buf *kbuf);
int kho_fill_kimage(struct kimage *image);
int kho_locate_mem_hole(struct kexec_buf *kbuf, int (*func)(struct resource *, void *));
int kho_check_kimage(const struct kimage *image);
void kho_release_kimage(struct kimage *image);
size_t arch_kho_image_size(const struct kimage *image);

/*
 * Pages of images: passed to the architecture, marked as reserved, and with
 * their KASAN tag reset.
 */
extern struct sim_image_pages {
	long shared;
	long reserved;
	long untagged;
} sim_image_pages;

/*
 * The n-th next call of arch_kexec_post_alloc_pages() fails; 0: no call does.
 */
extern unsigned int sim_share_fails;
int arch_kexec_post_alloc_pages(void *mem, unsigned int nr, gfp_t gfp);
#define arch_kexec_pre_free_pages(mem, nr)	((void)(mem), sim_image_pages.shared -= (nr))
#define SetPageReserved(page)		((void)(page), sim_image_pages.reserved++)
#define ClearPageReserved(page)		((void)(page), sim_image_pages.reserved--)
#define page_kasan_tag_reset(page)	((void)(page), sim_image_pages.untagged++)

/* What kexec_add_buffer() returns. */
extern int sim_add_err;

/* Allocated ranges, all of them past the end of the simulated memory. */
extern struct sim_contig {
	unsigned long pfn;
	unsigned long nr;
	unsigned long limit;		/* page frames below which the range had to be */
	int nid;
} sim_contig[64];
extern unsigned int sim_contig_nr;

/* Size of the largest range that can be allocated. */
extern unsigned long sim_contig_largest;
/* Number of allocations that succeed. */
extern unsigned int sim_contig_left;
/* Number of further allocations that succeed after an RCU barrier. */
extern unsigned int sim_contig_rcu;
void rcu_barrier(void);
#define kvfree_rcu_barrier()	sim_might_sleep()
extern unsigned long sim_available;

void free_contig_range(unsigned long pfn, unsigned long nr_pages);
#define si_mem_available()	((long)sim_available)

#endif /* KHO_CUSTOM_IMAGE_H */
