// SPDX-License-Identifier: GPL-2.0
/* Loading of the next kernel, see image.h. */

#include "shims.h"

#include <mm/contig_search.h>

struct resource crashk_res;
struct sim_contig sim_contig[64];
unsigned int sim_contig_nr;
unsigned long sim_contig_largest = ULONG_MAX;
unsigned int sim_contig_left = UINT_MAX;
unsigned int sim_contig_rcu;
struct sim_image_pages sim_image_pages;
unsigned int sim_share_fails;
int sim_add_err;
unsigned long sim_available = ULONG_MAX >> PAGE_SHIFT;

/*
 * Returns ranges past the end of the simulated memory, each one just below the
 * previous one with the same limit.
 */
unsigned long contig_search_alloc(const struct contig_search *search, unsigned long nr_pages)
{
	unsigned long end = min(search->end, PHYS_PFN(1UL << 44));
	struct sim_contig *range = &sim_contig[sim_contig_nr];

	BUG_ON(!nr_pages || nr_pages % search->align);
	if (nr_pages > sim_contig_largest || !sim_contig_left)
		return 0;
	sim_contig_left--;

	for (unsigned int i = 0; i < sim_contig_nr; i++) {
		if (sim_contig[i].limit == search->end)
			end = min(end, sim_contig[i].pfn);
	}
	BUG_ON(++sim_contig_nr > ARRAY_SIZE(sim_contig));
	*range = (struct sim_contig){
		.pfn = round_down(end - nr_pages, search->align),
		.nr = nr_pages,
		.limit = search->end,
		.nid = search->nid,
	};
	return range->pfn;
}

void free_contig_range(unsigned long pfn, unsigned long nr_pages)
{
	for (unsigned int i = 0; i < sim_contig_nr; i++) {
		if (sim_contig[i].pfn != pfn)
			continue;
		BUG_ON(sim_contig[i].nr != nr_pages);
		sim_contig[i] = sim_contig[--sim_contig_nr];
		return;
	}
	BUG_ON(true);
}

void rcu_barrier(void)
{
	sim_contig_left += sim_contig_rcu;
	sim_contig_rcu = 0;
}

int arch_kexec_post_alloc_pages(void *mem, unsigned int nr, gfp_t gfp)
{
	if (sim_share_fails && !--sim_share_fails)
		return -EIO;
	sim_image_pages.shared += nr;
	return 0;
}

static int put_there(struct resource *res, void *data)
{
	struct kexec_buf *kbuf = data;

	if (res->end - res->start + 1 < kbuf->memsz)
		return 0;
	kbuf->mem = res->start;
	return 1;
}

int kexec_add_buffer(struct kexec_buf *kbuf)
{
	struct kimage *image = kbuf->image;
	int err = 0;

	BUG_ON(image->nr_segments == KEXEC_SEGMENT_MAX || kbuf->bufsz > kbuf->memsz);
	if (sim_add_err)
		return sim_add_err;
	kbuf->cma = NULL;
	if (kbuf->mem == KEXEC_BUF_MEM_UNKNOWN)
		err = kho_locate_mem_hole(kbuf, put_there);
	if (err)
		return err;

	image->segment[image->nr_segments] = (struct kexec_segment){
		kbuf->buffer, kbuf->mem, kbuf->memsz,
	};
	image->segment_cma[image->nr_segments++] = kbuf->cma;
	return 0;
}
