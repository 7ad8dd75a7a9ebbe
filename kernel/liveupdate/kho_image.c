// SPDX-License-Identifier: GPL-2.0
/*
 * Images for kexec: their scratch areas, and the handover attached to them.
 *
 * With scratch memory on demand, areas are allocated when an image is loaded and
 * are freed with it.  Allocated memory cannot be preserved by another user, so
 * the next kernel can boot in the areas.  Like segments in CMA, the segments of
 * the image are written to their destination when the image is loaded, and
 * nothing is copied during the kexec.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/align.h>
#include <linux/cleanup.h>
#include <linux/crash_reserve.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/timeline.h>
#include <linux/libfdt.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/overflow.h>
#include <linux/page-flags.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../../mm/contig_search.h"
#include "../kexec_internal.h"
#include "kexec_handover_internal.h"
#include "kho_alloc.h"
#include "luo_internal.h"

/* Maximum number of areas.  In more fragmented memory, the allocation fails. */
#define KHO_DEMAND_AREAS	64

#define KHO_LOW_END		((phys_addr_t)ARCH_LOW_ADDRESS_LIMIT + 1)

/* Memory is not divided into areas smaller than this. */
#define KHO_DEMAND_MIN		SZ_16M

/*
 * Space for the other segments: purgatory, boot parameters and device tree, each
 * with its alignment.
 */
#define KHO_IMAGE_EXTRA		SZ_8M

/**
 * struct kho_areas - scratch areas of an image
 * @node: in kho_all_areas
 * @list: page with the array of areas for the next kernel; not in an area, where
 *	  the next kernel might overwrite it
 * @nr: number of areas
 * @area: the areas; the whole image fits into the first one
 */
struct kho_areas {
	struct list_head node;
	struct page *list;
	unsigned int nr;
	struct kho_scratch area[KHO_DEMAND_AREAS];
};

/* Areas of all images: one, or two while an image replaces another. */
static LIST_HEAD(kho_all_areas);
static DEFINE_MUTEX(kho_all_areas_lock);

/**
 * arch_kho_image_size - get the memory size of a kernel image
 * @image: image being loaded, with the file in kernel_buf
 *
 * Overridden by architectures whose image header has the size.
 *
 * Context: The lock of kexec is held.
 * Return: number of bytes.
 */
size_t __weak arch_kho_image_size(const struct kimage *image)
{
	return image->kernel_buf_len;
}

/* The next kernel may need more memory than this one. */
static phys_addr_t kho_with_margin(phys_addr_t size)
{
	return size + size / 4;
}

/* Size of all segments; on overflow, a size that cannot be allocated. */
static phys_addr_t kho_image_space(const struct kimage *image)
{
	const phys_addr_t most = round_down(PHYS_ADDR_MAX / 2, KHO_SCRATCH_UNIT);
	phys_addr_t space;

	if (check_add_overflow(arch_kho_image_size(image),
			       image->initrd_buf_len + KHO_IMAGE_EXTRA, &space))
		return most;

	return min(round_up(space, KHO_SCRATCH_UNIT), most);
}

static bool kho_may_be_scratch(unsigned long pfn, unsigned long nr_pages)
{
	/* The next kernel needs its areas in memory that is present at boot. */
	return kho_boot_memory_from(pfn) > pfn &&
	       !kho_out_overlaps(PFN_PHYS(pfn), PFN_PHYS(nr_pages));
}

/* The page with the array of areas.  The next kernel reads it in early boot. */
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

/* Allocate an area of @size bytes; return false on failure. */
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
	 * Reserved pages are not migrated, and their memory block cannot be
	 * taken offline.  Segments are written through the address of their
	 * first page, so no page may have a KASAN tag of its own.
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

/* Allocate @size bytes in one area or in several; return the size allocated. */
static phys_addr_t kho_alloc_areas(struct kho_areas *areas, phys_addr_t size,
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
 * The next kernel needs contiguous memory for its crash kernel, after it has
 * used some memory itself.  KASLR may place the kernel image in the middle of
 * the area.  If the area has space for the image and for twice the crash
 * memory, the crash memory fits on one side of the image.  Set @done to the
 * size of the area.
 */
static bool kho_alloc_for_crash(struct kho_areas *areas, bool low,
				phys_addr_t *done)
{
	const struct resource *crash = kho_crash_memory();
	phys_addr_t end = low ? KHO_LOW_END : PHYS_ADDR_MAX, piece, best;
	bool in_low;

	*done = 0;
	in_low = crash->end <= ARCH_LOW_ADDRESS_LIMIT;
	if (!crash->end || low != in_low)
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
		done += kho_alloc_areas(areas, size - done, KHO_LOW_END,
					NUMA_NO_NODE);

	return done >= size;
}

/*
 * Allocate on each node first, as memblock does.  If a node is full, allocate on
 * any node.
 */
static bool kho_alloc_high(struct kho_areas *areas)
{
	phys_addr_t size = kho_with_margin(kho_boot_use.high), done;
	int nid;

	if (!kho_alloc_for_crash(areas, false, &done))
		return false;
	for_each_node_state(nid, N_MEMORY)
		done += kho_alloc_areas(areas,
					kho_with_margin(kho_boot_use.node_high[nid]),
					PHYS_ADDR_MAX, nid);
	if (done < size)
		done += kho_alloc_areas(areas, size - done, PHYS_ADDR_MAX,
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

static bool kho_alloc_all_areas(struct kho_areas *areas, phys_addr_t space)
{
	return kho_alloc_area(areas, space, PHYS_ADDR_MAX, NUMA_NO_NODE) &&
	       kho_alloc_low(areas) && kho_alloc_high(areas);
}

static void kho_free_all_areas(struct kho_areas *areas)
{
	while (areas->nr)
		kho_free_area(&areas->area[--areas->nr]);
}

/* RCU may hold pages that cannot be migrated: wait until it has freed them. */
static bool kho_retry_all_areas(struct kho_areas *areas, phys_addr_t space)
{
	kho_free_all_areas(areas);
	kvfree_rcu_barrier();
	rcu_barrier();

	return kho_alloc_all_areas(areas, space);
}

static void kho_free_areas(struct kho_areas *areas)
{
	kho_free_all_areas(areas);
	if (areas->list)
		kho_free_list(areas->list);
	kfree(areas);
}

/**
 * kho_out_is_unused - check whether the outgoing handover is empty
 *
 * The next kernel can only find data that has a subtree.  Three subtrees do not
 * count, as they are written even if nothing is preserved: the kexec metadata,
 * the time line, and the list of sessions.
 *
 * Context: May sleep.
 * Return: true when no other subtree and no outgoing session exists.
 */
bool kho_out_is_unused(void)
{
	int node;

	if (IS_ENABLED(CONFIG_LIVEUPDATE) && luo_session_any_outgoing())
		return false;

	guard(mutex)(&kho_out.fdt_lock);
	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		const char *name = fdt_get_name(kho_out.fdt, node, NULL);

		if (strcmp(name, KHO_METADATA_NODE_NAME) &&
		    strcmp(name, KHO_TIMELINE_NODE_NAME) &&
		    strcmp(name, LUO_KHO_ENTRY_NAME))
			return false;
	}

	return true;
}

/*
 * Without outgoing data, an image does not need a handover, unless it replaces an
 * image that has scratch areas.
 */
static bool kho_handover_is_optional(void)
{
	return kho_out_is_unused() && !(kexec_image && kexec_image->kho.areas);
}

/*
 * If scratch memory is insufficient and a handover is optional, load the image
 * without one, as a kernel without Kexec Handover does.
 */
static int kho_alloc_image_areas(struct kimage *image)
{
	phys_addr_t space = kho_image_space(image);
	phys_addr_t need = space + kho_with_margin(kho_boot_use.low) +
			   kho_with_margin(kho_boot_use.high);
	phys_addr_t found = PFN_PHYS(si_mem_available());
	struct kho_areas *areas;

	areas = kzalloc_obj(*areas);
	if (!areas)
		return -ENOMEM;

	/* Do not try to allocate more than the system can spare. */
	if (found > need) {
		if (kho_alloc_all_areas(areas, space) ||
		    kho_retry_all_areas(areas, space))
			areas->list = kho_alloc_list();
		if (areas->list) {
			image->kho.areas = areas;
			scoped_guard(mutex, &kho_all_areas_lock)
				list_add_tail(&areas->node, &kho_all_areas);
			pr_info("scratch memory: allocated for image (%lluMiB in %u areas)\n",
				(u64)kho_areas_size(areas) >> 20, areas->nr);
			return 0;
		}
		found = kho_areas_size(areas);
	}

	kho_free_areas(areas);
	if (fatal_signal_pending(current))
		return -EINTR;

	if (kho_handover_is_optional()) {
		pr_notice("image: loaded without a handover, nothing is preserved (%lluMiB needed, %lluMiB available)\n",
			  (u64)need >> 20, (u64)found >> 20);
		return 0;
	}
	pr_err("scratch memory: failed to allocate for image (%lluMiB needed, %lluMiB available): free memory, or reserve it at boot with kho_scratch=\n",
	       (u64)need >> 20, (u64)found >> 20);
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
 * kho_for_each_area - call a function for each scratch area
 * @fn: the function
 * @data: passed to @fn
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
 * kho_locate_mem_hole - find a place for a segment of the next kernel
 * @kbuf: the segment
 * @func: called for each area until it returns non-zero
 *
 * Return: 0 when @func found a place, -EADDRNOTAVAIL when not, 1 when the
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

		/* Write the segment to its destination now, like one in CMA. */
		if (kbuf->image->kho.areas)
			kbuf->cma = phys_to_page(kbuf->mem);
		return 0;
	}

	return -EADDRNOTAVAIL;
}

/* The array is in a page of its own, or in one of the areas reserved at boot. */
static int kho_add_list(struct kimage *image)
{
	struct page *list = image->kho.areas ? image->kho.areas->list : NULL;
	struct kexec_buf kbuf = {
		.image = image,
		.mem = list ? page_to_phys(list) : KEXEC_BUF_MEM_UNKNOWN,
		/* Page-aligned in the next kernel, with any page size. */
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
 * @image: image being loaded, with kernel and initrd in their buffers, and
 *	   without any segment
 *
 * Context: The lock of kexec is held.  May sleep.
 * Return: 0, -ENOMEM without enough scratch memory, -EINTR, or the error of
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
 * kho_check_kimage - check that no outgoing data would be lost
 * @image: image about to be started
 *
 * An image that was loaded when nothing was preserved may have no handover.
 * Images from kexec_load() never have one, and are not checked.
 *
 * Context: From the reboot system call, with the lock of kexec held.
 * Return: 0, or -EOPNOTSUPP when data would be lost.
 */
int kho_check_kimage(const struct kimage *image)
{
	if (!kho_enable || !image->file_mode || image->kho.fdt ||
	    kho_out_is_unused())
		return 0;

	pr_err("image: loaded without a handover, but memory is preserved: load it again\n");
	return -EOPNOTSUPP;
}

/**
 * kho_release_kimage - free the scratch memory of an image
 * @image: image that is not in use any longer
 *
 * Context: May sleep.
 */
void kho_release_kimage(struct kimage *image)
{
	if (!image->kho.areas)
		return;

	/* Segments are freed with the areas and the array, not as CMA. */
	memset(image->segment_cma, 0, sizeof(image->segment_cma));
	scoped_guard(mutex, &kho_all_areas_lock)
		list_del(&image->kho.areas->node);
	kho_free_areas(image->kho.areas);
	image->kho.areas = NULL;
}
