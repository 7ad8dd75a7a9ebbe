// SPDX-License-Identifier: GPL-2.0
/*
 * Images for kexec: where they are placed, and what they carry.
 *
 * With scratch memory on demand, areas are allocated when an image is loaded and
 * are freed with it.  Memory that is allocated cannot be preserved by anybody
 * else, so the next kernel can boot in them.  The segments of the image are
 * written to their place at once, as those in CMA are, and nothing is copied
 * during the kexec.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/align.h>
#include <linux/cleanup.h>
#include <linux/crash_reserve.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/overflow.h>
#include <linux/page-flags.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "../../mm/contig_search.h"
#include "../kexec_internal.h"
#include "kexec_handover_internal.h"
#include "kho_alloc.h"

/* More pieces than this are no good to a kernel that boots in them. */
#define KHO_DEMAND_AREAS	64

#define KHO_LOW_END		((phys_addr_t)ARCH_LOW_ADDRESS_LIMIT + 1)

/* A piece of memory that is too small for anything large is no area. */
#define KHO_DEMAND_MIN		SZ_16M

/*
 * Besides kernel and initrd: purgatory, boot parameters, device tree, alignment
 * of each.
 */
#define KHO_IMAGE_EXTRA		SZ_8M

/**
 * struct kho_areas - scratch areas of an image
 * @node: in kho_all_areas
 * @list: a page for the array that the next kernel finds, outside of all areas:
 *	  it must not place itself there
 * @nr: number of areas
 * @area: the areas; the first one has room for all of the image
 */
struct kho_areas {
	struct list_head node;
	struct page *list;
	unsigned int nr;
	struct kho_scratch area[KHO_DEMAND_AREAS];
};

/* Areas of all images; while one image replaces another, there are two. */
static LIST_HEAD(kho_all_areas);
static DEFINE_MUTEX(kho_all_areas_lock);

/**
 * arch_kho_image_size - memory that a kernel image takes when it is started
 * @image: image that is being loaded, with the file in kernel_buf
 *
 * For architectures whose kernels say how much memory they need.
 *
 * Context: The lock of kexec is held.
 * Return: number of bytes.
 */
size_t __weak arch_kho_image_size(const struct kimage *image)
{
	return image->kernel_buf_len;
}

/* The next kernel is not quite this one. */
static phys_addr_t kho_with_margin(phys_addr_t size)
{
	return size + size / 4;
}

/* Room for all segments, or more than there can be. */
static phys_addr_t kho_image_room(const struct kimage *image)
{
	const phys_addr_t most = round_down(PHYS_ADDR_MAX / 2, KHO_SCRATCH_UNIT);
	phys_addr_t room;

	if (check_add_overflow(arch_kho_image_size(image),
			       image->initrd_buf_len + KHO_IMAGE_EXTRA, &room))
		return most;

	return min(round_up(room, KHO_SCRATCH_UNIT), most);
}

static bool kho_may_be_scratch(unsigned long pfn, unsigned long nr_pages)
{
	/* The next kernel looks for its areas in the memory it was told of. */
	return kho_boot_memory_from(pfn) > pfn &&
	       !kho_out_overlaps(PFN_PHYS(pfn), PFN_PHYS(nr_pages));
}

/* A page that the next kernel finds before it knows of any memory. */
static struct page *kho_alloc_list(void)
{
	struct page *list = kho_alloc_pages(KHO_GFP, 0);

	if (list && arch_kexec_post_alloc_pages(page_address(list), 1, KHO_GFP)) {
		__free_page(list);
		return NULL;
	}
	return list;
}

static void kho_free_list(struct page *list)
{
	arch_kexec_pre_free_pages(page_address(list), 1);
	__free_page(list);
}

static void kho_free_area(const struct kho_scratch *area)
{
	unsigned long pfn = PHYS_PFN(area->addr);
	unsigned long nr_pages = PHYS_PFN(area->size);

	arch_kexec_pre_free_pages(phys_to_virt(area->addr), nr_pages);
	for (unsigned long i = 0; i < nr_pages; i++)
		ClearPageReserved(pfn_to_page(pfn + i));
	free_contig_range(pfn, nr_pages);
}

/* Returns false, with nothing allocated, when there is no such piece. */
static bool kho_alloc_area(struct kho_areas *areas, phys_addr_t size,
			   phys_addr_t limit, int nid)
{
	const struct contig_search search = {
		/* The first MiB is used by firmware. */
		.start = PHYS_PFN(KHO_SCRATCH_UNIT),
		.end = PHYS_PFN(limit),
		.nid = nid,
		.align = PHYS_PFN(KHO_SCRATCH_UNIT),
		.usable = kho_may_be_scratch,
	};
	struct kho_scratch area = { .size = size };
	unsigned long pfn;

	if (areas->nr == ARRAY_SIZE(areas->area))
		return false;

	pfn = contig_search_alloc(&search, PHYS_PFN(size));
	if (!pfn)
		return false;

	/*
	 * It stays where it is, and its block cannot be taken offline.  Segments
	 * are written through the address of their first page.
	 */
	for (unsigned long i = 0; i < PHYS_PFN(size); i++) {
		SetPageReserved(pfn_to_page(pfn + i));
		page_kasan_tag_reset(pfn_to_page(pfn + i));
	}

	area.addr = PFN_PHYS(pfn);
	if (kho_out_overlaps(area.addr, size) ||
	    arch_kexec_post_alloc_pages(phys_to_virt(area.addr), PHYS_PFN(size), 0)) {
		kho_free_area(&area);
		return false;
	}

	areas->area[areas->nr++] = area;
	return true;
}

/* In one piece or in several; returns how much there was. */
static phys_addr_t kho_alloc_pieces(struct kho_areas *areas, phys_addr_t size,
				    phys_addr_t limit, int nid)
{
	phys_addr_t piece = round_up(size, KHO_SCRATCH_UNIT), done = 0;

	while (done < size) {
		piece = min(piece, round_up(size - done, KHO_SCRATCH_UNIT));
		if (kho_alloc_area(areas, piece, limit, nid)) {
			done += piece;
			continue;
		}
		if (piece <= KHO_DEMAND_MIN)
			break;
		piece = max(round_up(piece / 2, KHO_SCRATCH_UNIT), KHO_DEMAND_MIN);
	}

	return done;
}

#ifdef CONFIG_CRASH_RESERVE
static const struct resource *kho_crash_memory(void)
{
	return &crashk_res;
}
#else
static const struct resource *kho_crash_memory(void)
{
	return &(const struct resource){ };
}
#endif

/*
 * Crash memory is in one piece, or there is none, and by then the next kernel has
 * used some of the memory.  KASLR may even have put it into the middle of the area,
 * which leaves two pieces of it beside the image: area 0 is as large as that.  Sets
 * @done to the size of the area.
 */
static bool kho_alloc_for_crash(struct kho_areas *areas, bool low,
				phys_addr_t *done)
{
	const struct resource *crash = kho_crash_memory();
	phys_addr_t end = low ? KHO_LOW_END : PHYS_ADDR_MAX, piece, best;

	*done = 0;
	if (!crash->end || low != (crash->end <= ARCH_LOW_ADDRESS_LIMIT))
		return true;

	piece = round_up(kho_with_margin(resource_size(crash)), KHO_SCRATCH_UNIT);
	best = 2 * piece + areas->area[0].size;
	*done = kho_alloc_area(areas, best, end, NUMA_NO_NODE) ? best : piece;

	return *done == best || kho_alloc_area(areas, piece, end, NUMA_NO_NODE);
}

static bool kho_alloc_low(struct kho_areas *areas)
{
	phys_addr_t size = kho_with_margin(kho_boot_use.low), done;

	if (!kho_alloc_for_crash(areas, true, &done))
		return false;
	if (done < size)
		done += kho_alloc_pieces(areas, size - done, KHO_LOW_END,
					 NUMA_NO_NODE);

	return done >= size;
}

/* For what memblock allocates on a node if it can, and elsewhere if not. */
static bool kho_alloc_high(struct kho_areas *areas)
{
	phys_addr_t size = kho_with_margin(kho_boot_use.high), done;
	int nid;

	if (!kho_alloc_for_crash(areas, false, &done))
		return false;
	for_each_node_state(nid, N_MEMORY)
		done += kho_alloc_pieces(areas,
					 kho_with_margin(kho_boot_use.node_high[nid]),
					 PHYS_ADDR_MAX, nid);
	if (done < size)
		done += kho_alloc_pieces(areas, size - done, PHYS_ADDR_MAX,
					 NUMA_NO_NODE);

	return done >= size;
}

static phys_addr_t kho_areas_size(const struct kho_areas *areas)
{
	phys_addr_t sum = 0;

	for (unsigned int i = 0; i < areas->nr; i++)
		sum += areas->area[i].size;

	return sum;
}

static int kho_alloc_all_areas(struct kho_areas *areas, phys_addr_t room)
{
	if (!kho_alloc_area(areas, room, PHYS_ADDR_MAX, NUMA_NO_NODE) ||
	    !kho_alloc_low(areas) || !kho_alloc_high(areas))
		return -ENOMEM;

	areas->list = kho_alloc_list();
	return areas->list ? 0 : -ENOMEM;
}

static void kho_free_areas(struct kho_areas *areas)
{
	while (areas->nr)
		kho_free_area(&areas->area[--areas->nr]);
	if (areas->list)
		kho_free_list(areas->list);
	kfree(areas);
}

/* Nothing is lost by an image without a handover. */
static bool kho_handover_is_optional(void)
{
	return kho_out_is_unused() && !(kexec_image && kexec_image->kho.areas);
}

/*
 * As long as nothing is preserved, an image that there is no scratch memory for
 * is loaded without a handover, as on a kernel without Kexec Handover.
 */
static int kho_alloc_image_areas(struct kimage *image)
{
	phys_addr_t room = kho_image_room(image);
	phys_addr_t need = room + kho_with_margin(kho_boot_use.low) +
			   kho_with_margin(kho_boot_use.high);
	phys_addr_t there = PFN_PHYS(si_mem_available());
	struct kho_areas *areas;

	areas = kzalloc_obj(*areas);
	if (!areas)
		return -ENOMEM;

	/* What others need to go on is not tried. */
	if (there > need) {
		if (!kho_alloc_all_areas(areas, room)) {
			image->kho.areas = areas;
			scoped_guard(mutex, &kho_all_areas_lock)
				list_add_tail(&areas->node, &kho_all_areas);
			pr_info("%lluMiB of scratch memory in %u areas\n",
				(u64)kho_areas_size(areas) >> 20, areas->nr);
			return 0;
		}
		there = kho_areas_size(areas);
	}

	kho_free_areas(areas);
	if (fatal_signal_pending(current))
		return -EINTR;

	if (kho_handover_is_optional()) {
		pr_notice("nothing is preserved: image loaded without a handover (%lluMiB needed, %lluMiB found)\n",
			  (u64)need >> 20, (u64)there >> 20);
		return 0;
	}
	pr_err("no scratch memory for the next kernel: %lluMiB needed, %lluMiB found; preserve or use less memory, or set some apart at boot with kho_scratch=\n",
	       (u64)need >> 20, (u64)there >> 20);
	return -ENOMEM;
}

static const struct kho_scratch *kho_image_areas(const struct kimage *image,
						 unsigned int *nr)
{
	if (!image->kho.areas) {
		*nr = kho_scratch_cnt;
		return kho_scratch;
	}

	*nr = image->kho.areas->nr;
	return image->kho.areas->area;
}

/**
 * kho_for_each_area - call a function for each scratch area there is
 * @fn: the function
 * @data: passed on to it
 *
 * Context: May sleep.
 */
void kho_for_each_area(void (*fn)(const struct kho_scratch *area, void *data),
		       void *data)
{
	struct kho_areas *areas;

	for (unsigned int i = 0; i < kho_scratch_cnt; i++)
		fn(&kho_scratch[i], data);

	guard(mutex)(&kho_all_areas_lock);
	list_for_each_entry(areas, &kho_all_areas, node) {
		for (unsigned int i = 0; i < areas->nr; i++)
			fn(&areas->area[i], data);
	}
}

/**
 * kho_locate_mem_hole - find room for a segment of the next kernel
 * @kbuf: the segment
 * @func: called for each area until it returns non-zero
 *
 * Return: 0 when @func found room, -EADDRNOTAVAIL when it did not, 1 when the
 * image is not restricted to scratch memory.
 */
int kho_locate_mem_hole(struct kexec_buf *kbuf,
			int (*func)(struct resource *, void *))
{
	const struct kho_scratch *area;
	unsigned int nr;

	if (!kbuf->image->kho.fdt)
		return 1;

	area = kho_image_areas(kbuf->image, &nr);
	for (unsigned int i = 0; i < nr; i++) {
		struct resource res = {
			.start = area[i].addr,
			.end = area[i].addr + area[i].size - 1,
		};
		int ret = area[i].size ? func(&res, kbuf) : 0;

		if (!ret)
			continue;
		if (ret != 1)
			return -EADDRNOTAVAIL;

		/* Written to its place at once, as segments in CMA are. */
		if (kbuf->image->kho.areas)
			kbuf->cma = phys_to_page(kbuf->mem);
		return 0;
	}

	return -EADDRNOTAVAIL;
}

/* The array of areas goes to a page of its own, or, reserved at boot, into them. */
static int kho_add_list(struct kimage *image)
{
	struct page *list = image->kho.areas ? image->kho.areas->list : NULL;
	struct kexec_buf kbuf = {
		.image = image,
		.mem = list ? page_to_phys(list) : KEXEC_BUF_MEM_UNKNOWN,
		/* One page of any size, so that it is easy to map. */
		.buf_align = list ? PAGE_SIZE : SZ_64K,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	const struct kho_scratch *area;
	unsigned int nr;
	int err;

	area = kho_image_areas(image, &nr);
	kbuf.buffer = (void *)area;
	kbuf.bufsz = nr * sizeof(*area);
	kbuf.memsz = kbuf.bufsz;

	err = kexec_add_buffer(&kbuf);
	if (err)
		return err;

	image->kho.scratch = &image->segment[image->nr_segments - 1];
	if (list)
		image->segment_cma[image->nr_segments - 1] = list;
	return 0;
}

/**
 * kho_fill_kimage - attach the handover to an image for kexec
 * @image: image that is being loaded, with kernel and initrd in their buffers,
 *	   and without any segment
 *
 * Context: The lock of kexec is held.  May sleep.
 * Return: 0, -ENOMEM when there is no scratch memory, -EINTR, or the error of
 * kexec_add_buffer().
 */
int kho_fill_kimage(struct kimage *image)
{
	if (!kho_enable || image->type == KEXEC_TYPE_CRASH)
		return 0;

	if (kho_scratch_on_demand) {
		int err = kho_alloc_image_areas(image);

		if (err || !image->kho.areas)
			return err;
	}

	image->kho.fdt = virt_to_phys(kho_out.fdt);
	return kho_add_list(image);
}

/**
 * kho_check_kimage - see that no data is left behind
 * @image: image that is about to be started
 *
 * An image that was loaded when nothing was preserved may have no handover.
 * kexec_load() never makes one, which is known to whoever uses it.
 *
 * Context: From the reboot system call, with the lock of kexec held.
 * Return: 0, or -EOPNOTSUPP when data would be lost.
 */
int kho_check_kimage(const struct kimage *image)
{
	if (!kho_enable || !image->file_mode || image->kho.fdt ||
	    kho_out_is_unused())
		return 0;

	pr_err("memory is preserved, and the image was loaded without a handover: load it again\n");
	return -EOPNOTSUPP;
}

/**
 * kho_release_kimage - free the scratch memory of an image
 * @image: image that is not used any more
 *
 * Context: May sleep.
 */
void kho_release_kimage(struct kimage *image)
{
	if (!image->kho.areas)
		return;

	/* All segments are in the areas and in the page of the list. */
	memset(image->segment_cma, 0, sizeof(image->segment_cma));
	scoped_guard(mutex, &kho_all_areas_lock)
		list_del(&image->kho.areas->node);
	kho_free_areas(image->kho.areas);
	image->kho.areas = NULL;
}
