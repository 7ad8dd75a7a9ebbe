// SPDX-License-Identifier: GPL-2.0
/*
 * Kexec Handover core: hands memory to the next kernel and takes over what the
 * previous one left.
 *
 * Two sides that never mix.  "out" is what this kernel preserves: a radix tree
 * with a key for each block of memory, and the root tree with a node for each
 * subsystem.  "in" is what the previous kernel preserved: its root tree and its
 * radix tree, kept as they were found.  Memory that was handed over is reserved
 * from early boot on, belongs to nobody, and its struct pages are not touched.
 * Restoring it takes its key out of the tree, once, and only then sets up its
 * struct pages; memory that more than one key stands for is not restored.  What
 * is still in the tree has not been claimed.
 *
 * Neither side has a machine-wide lock on the way to a page.  kho_out.lock
 * serializes the writers of the outgoing root tree and its view in debugfs.
 */

#define pr_fmt(fmt) "KHO: " fmt

#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/count_zeros.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/compat.h>
#include <linux/kstrtox.h>
#include <linux/libfdt.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/mutex.h>
#include <linux/pgalloc_tag.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/unaligned.h>
#include <linux/utsname.h>

#include "../kexec_internal.h"
#include "kexec_handover_internal.h"

bool kho_enable __ro_after_init =
	IS_ENABLED(CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT);

struct kho_in kho_in;

static struct {
	void *fdt;		/* root tree, PAGE_SIZE bytes */
	struct mutex lock;	/* protects the contents of @fdt */
	struct kho_radix_tree map;
} kho_out = {
	.lock = __MUTEX_INITIALIZER(kho_out.lock),
};

static int __init kho_parse_enable(char *p)
{
	return kstrtobool(p, &kho_enable);
}
early_param("kho", kho_parse_enable);

/**
 * kho_is_enabled - tell whether this kernel can hand memory over
 *
 * Return: true unless Kexec Handover was switched off on the command line or
 * could not be set up.
 */
bool kho_is_enabled(void)
{
	return kho_enable;
}
EXPORT_SYMBOL_GPL(kho_is_enabled);

/**
 * is_kho_boot - tell whether the previous kernel handed memory over
 *
 * Context: Any, once kho_populate() had its chance.
 * Return: true when there is a hand-over that this kernel understands.
 */
bool is_kho_boot(void)
{
	return kho_in.fdt_phys;
}
EXPORT_SYMBOL_GPL(is_kho_boot);

/* Largest order of a block at @pfn: its address is a multiple of its size. */
static unsigned int kho_max_order_at(unsigned long pfn, unsigned int max)
{
	return pfn ? min_t(unsigned int, count_trailing_zeros(pfn), max) : max;
}

/* Preserving: the out side. */

/* For mistakes of a caller, who is found with CONFIG_KEXEC_HANDOVER_DEBUG. */
#define kho_debug_report(fmt, ...)					\
do {									\
	pr_err_ratelimited(fmt, ##__VA_ARGS__);				\
	if (IS_ENABLED(CONFIG_KEXEC_HANDOVER_DEBUG))			\
		dump_stack();						\
} while (0)

static int kho_preserve_block(unsigned long pfn, unsigned int order)
{
	return kho_radix_add_key(&kho_out.map,
				 kho_encode_key(PFN_PHYS(pfn), order));
}

static void kho_unpreserve_block(unsigned long pfn, unsigned int order)
{
	unsigned long key = kho_encode_key(PFN_PHYS(pfn), order);

	if (!kho_radix_take_key(&kho_out.map, key))
		kho_debug_report("pfn %#lx of order %u is not preserved\n", pfn,
				 order);
}

/* Scratch memory is overwritten by the next kernel, so it cannot be kept. */
static int kho_check_preservable(unsigned long pfn, unsigned long nr_pages)
{
	phys_addr_t phys = PFN_PHYS(pfn);

	if (!kho_out.map.root)
		return -EOPNOTSUPP;

	if (kho_scratch_overlap(phys, nr_pages << PAGE_SHIFT)) {
		kho_debug_report("%lu pages at %pa are scratch memory and cannot be preserved\n",
				 nr_pages, &phys);
		return -EINVAL;
	}

	return 0;
}

/**
 * kho_preserve_folio - hand a folio over to the next kernel
 * @folio: the folio; it must stay where it is, and must not be freed, until it
 *         is unpreserved
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when there is no Kexec Handover, -EINVAL when the
 * folio is in scratch memory, or -ENOMEM.
 */
int kho_preserve_folio(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);
	int err;

	err = kho_check_preservable(pfn, folio_nr_pages(folio));
	if (err)
		return err;

	return kho_preserve_block(pfn, folio_order(folio));
}
EXPORT_SYMBOL_GPL(kho_preserve_folio);

/**
 * kho_unpreserve_folio - undo kho_preserve_folio()
 * @folio: a preserved folio, of the same order as then
 *
 * Context: Any.
 */
void kho_unpreserve_folio(struct folio *folio)
{
	kho_unpreserve_block(folio_pfn(folio), folio_order(folio));
}
EXPORT_SYMBOL_GPL(kho_unpreserve_folio);

/*
 * Order of the block that starts at @pfn when [pfn, end) is cut into blocks.
 *
 * A block must not have pages of two nodes, because the next kernel handles it
 * by its first page.  Nodes do not alternate within a MAX_PAGE_ORDER block, so
 * there a look at both ends is enough.
 */
static unsigned int kho_block_order(unsigned long pfn, unsigned long end)
{
	int max = nr_online_nodes == 1 ? KHO_MAX_ORDER : MAX_PAGE_ORDER;
	unsigned int order = kho_max_order_at(pfn, min(max, ilog2(end - pfn)));

	while (pfn_to_nid(pfn) != pfn_to_nid(pfn + BIT(order) - 1))
		order--;

	return order;
}

/*
 * Order of the block in @map that is the part of [pfn, end) from @pfn on, or
 * -ENOENT.
 *
 * Whoever cut the blocks may have cut smaller ones than kho_block_order() does
 * here and now, because of its nodes for one.  So ask for all that are
 * possible, the likely one first.
 */
static int kho_find_block(const struct kho_radix_tree *map, unsigned long pfn,
			  unsigned long end)
{
	unsigned int max = min(KHO_MAX_ORDER, ilog2(end - pfn));

	for (int order = kho_max_order_at(pfn, max); order >= 0; order--) {
		if (kho_radix_test_key(map, kho_encode_key(PFN_PHYS(pfn), order)))
			return order;
	}

	return -ENOENT;
}

static void kho_unpreserve_range(unsigned long pfn, unsigned long end)
{
	while (pfn < end) {
		int order = kho_find_block(&kho_out.map, pfn, end);

		/* With no block at all, the smallest one is reported. */
		order = max(order, 0);
		kho_unpreserve_block(pfn, order);
		pfn += BIT(order);
	}
}

/**
 * kho_preserve_pages - hand contiguous pages over to the next kernel
 * @page: the first page; none may be freed until they are unpreserved
 * @nr_pages: number of pages
 *
 * The next kernel gets them as pages of order 0, from kho_restore_pages().
 *
 * Context: May sleep.
 * Return: 0, or an error as from kho_preserve_folio(); nothing is preserved
 * then.
 */
int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long start = page_to_pfn(page);
	unsigned long end = start + nr_pages;
	unsigned long pfn = start;
	int err;

	err = kho_check_preservable(start, nr_pages);

	while (!err && pfn < end) {
		unsigned int order = kho_block_order(pfn, end);

		err = kho_preserve_block(pfn, order);
		if (!err)
			pfn += BIT(order);
	}

	if (err)
		kho_unpreserve_range(start, pfn);

	return err;
}
EXPORT_SYMBOL_GPL(kho_preserve_pages);

/**
 * kho_unpreserve_pages - undo kho_preserve_pages()
 * @page: the first page
 * @nr_pages: number of pages; both as they were given then
 *
 * Context: Any.
 */
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long pfn = page_to_pfn(page);

	kho_unpreserve_range(pfn, pfn + nr_pages);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_pages);

/**
 * kho_alloc_preserve - allocate memory that is handed over
 * @size: number of bytes, rounded up to a power of two of pages
 *
 * Context: May sleep.
 * Return: zeroed, physically contiguous memory, or an ERR_PTR(): -EINVAL for a
 * size of 0, -E2BIG for one beyond MAX_PAGE_ORDER, -ENOMEM, or an error of
 * kho_preserve_folio().  To be freed with kho_unpreserve_free(), or, in the
 * next kernel, with kho_restore_free().
 */
void *kho_alloc_preserve(size_t size)
{
	struct folio *folio;
	int order, err;

	if (!size)
		return ERR_PTR(-EINVAL);

	order = get_order(size);
	if (order > MAX_PAGE_ORDER)
		return ERR_PTR(-E2BIG);

	folio = folio_alloc(GFP_KERNEL | __GFP_ZERO, order);
	if (!folio)
		return ERR_PTR(-ENOMEM);

	err = kho_preserve_folio(folio);
	if (err) {
		folio_put(folio);
		return ERR_PTR(err);
	}

	return folio_address(folio);
}
EXPORT_SYMBOL_GPL(kho_alloc_preserve);

/**
 * kho_unpreserve_free - free memory that was to be handed over
 * @mem: from kho_alloc_preserve() of this kernel, or NULL
 *
 * Context: Any.
 */
void kho_unpreserve_free(void *mem)
{
	struct folio *folio;

	if (!mem)
		return;

	folio = virt_to_folio(mem);
	kho_unpreserve_folio(folio);
	folio_put(folio);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_free);

/* Restoring: the in side. */

static bool kho_in_has_block(unsigned long pfn, unsigned int order)
{
	return kho_radix_test_key(&kho_in.map,
				  kho_encode_key(PFN_PHYS(pfn), order));
}

static bool kho_in_take_block(unsigned long pfn, unsigned int order)
{
	return kho_radix_take_key(&kho_in.map,
				  kho_encode_key(PFN_PHYS(pfn), order));
}

static void kho_init_page(struct page *page, int refcount)
{
	set_page_count(page, refcount);
	/* The allocation that this page came from is not in our profile. */
	clear_page_tag_ref(page);
}

static struct folio *kho_init_folio(struct page *page, unsigned int order)
{
	kho_init_page(page, 1);
	for (unsigned long i = 1; i < BIT(order); i++)
		set_page_count(page + i, 0);

	if (order)
		prep_compound_page(page, order);

	return page_folio(page);
}

/**
 * kho_restore_folio - take over a folio from the previous kernel
 * @phys: address of the folio
 *
 * Works once for each folio.
 *
 * Context: Any, after the page allocator is up.
 * Return: the folio, of the order it had, with a reference for the caller;
 * NULL when no folio was handed over at @phys or it was taken already.
 */
struct folio *kho_restore_folio(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);
	struct page *page = pfn_to_online_page(pfn);
	unsigned int order, max;

	if (!page || !PAGE_ALIGNED(phys))
		return NULL;

	max = kho_max_order_at(pfn, MAX_FOLIO_ORDER);
	for (order = 0; order <= max; order++) {
		if (!kho_in_take_block(pfn, order))
			continue;
		adjust_managed_page_count(page, BIT(order));
		return kho_init_folio(page, order);
	}

	return NULL;
}
EXPORT_SYMBOL_GPL(kho_restore_folio);

/**
 * kho_pages_preserved - tell whether pages can be restored
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * Context: Any.
 * Return: true when kho_restore_pages() would find all of them.
 */
bool kho_pages_preserved(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	if (!PAGE_ALIGNED(phys) || end < pfn)
		return false;

	while (pfn < end) {
		int order = kho_find_block(&kho_in.map, pfn, end);

		if (order < 0 || !pfn_to_online_page(pfn))
			return false;
		pfn += BIT(order);
	}

	return true;
}
EXPORT_SYMBOL_GPL(kho_pages_preserved);

/**
 * kho_claim_pages - keep memory from the previous kernel as it is
 * @phys: address of the first page
 * @nr_pages: number of pages
 *
 * For memory that stays reserved.  It counts as restored from now on, but its
 * struct pages are not touched.  What was not handed over of it is ignored.
 *
 * Context: Any, after the page allocator is up.
 */
void kho_claim_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = pfn + nr_pages;

	if (!kho_in.map.root)
		return;

	while (pfn < end) {
		int order = kho_find_block(&kho_in.map, pfn, end);

		if (order >= 0)
			kho_in_take_block(pfn, order);
		pfn += BIT(max(order, 0));
	}
}

static int kho_restore_block(unsigned long pfn, unsigned long end)
{
	struct page *page = pfn_to_online_page(pfn);
	int order = page ? kho_find_block(&kho_in.map, pfn, end) : -ENOENT;

	if (order < 0 || !kho_in_take_block(pfn, order))
		return -ENOENT;

	for (unsigned long i = 0; i < BIT(order); i++)
		kho_init_page(page + i, 1);
	adjust_managed_page_count(page, BIT(order));

	return order;
}

/**
 * kho_restore_pages - take over contiguous pages from the previous kernel
 * @phys: address of the first page
 * @nr_pages: number of pages; both as they were given to kho_preserve_pages()
 *
 * Works once for each page.
 *
 * Context: Any, after the page allocator is up.
 * Return: the first page, all of order 0 and with a reference each; NULL when
 * one of them is not there, and then none is taken.
 */
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long start = PHYS_PFN(phys);
	unsigned long end = start + nr_pages;
	unsigned long pfn = start;

	if (!kho_pages_preserved(phys, nr_pages))
		return NULL;

	while (pfn < end) {
		int order = kho_restore_block(pfn, end);

		/* Somebody else restores the same pages, which is their bug. */
		if (order < 0)
			goto err_free;
		pfn += BIT(order);
	}

	return pfn_to_page(start);

err_free:
	pr_err("%lu pages at %pa are restored twice\n", nr_pages, &phys);
	while (pfn > start)
		__free_page(pfn_to_page(--pfn));
	return NULL;
}
EXPORT_SYMBOL_GPL(kho_restore_pages);

/**
 * kho_restore_free - take memory over from the previous kernel and free it
 * @mem: from kho_alloc_preserve() of the previous kernel, at its address in
 *       the linear map of this one, or NULL
 *
 * Context: Any, after the page allocator is up.
 */
void kho_restore_free(void *mem)
{
	struct folio *folio;
	phys_addr_t phys;

	if (!mem)
		return;

	phys = __pa(mem);
	folio = kho_restore_folio(phys);
	if (folio)
		folio_put(folio);
	else
		pr_err_ratelimited("cannot free %pa: not handed over, or taken before\n",
				   &phys);
}
EXPORT_SYMBOL_GPL(kho_restore_free);

/**
 * kho_in_covers - tell whether memory was handed over and is unclaimed
 * @phys: start of the memory, any alignment
 * @size: number of bytes
 *
 * Return: true when every byte is in a block that nobody has restored.
 */
bool kho_in_covers(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long end = PHYS_PFN(phys + size - 1);

	if (!size || phys + size < phys)
		return false;

	while (pfn <= end) {
		unsigned int order = 0;
		unsigned long first = pfn;

		while (!kho_in_has_block(first, order)) {
			if (++order > KHO_MAX_ORDER)
				return false;
			first = round_down(pfn, BIT(order));
		}
		pfn = first + BIT(order);
	}

	return true;
}

/* Root trees. */

const void *kho_in_fdt(void)
{
	return kho_in.fdt_phys ? phys_to_virt(kho_in.fdt_phys) : NULL;
}

/* Values are aligned to four bytes only. */
int kho_fdt_get_u64(const void *fdt, int node, const char *name, u64 *val)
{
	int len;
	const void *prop = fdt_getprop(fdt, node, name, &len);

	if (!prop || len != sizeof(*val))
		return -EINVAL;

	*val = get_unaligned((const u64 *)prop);
	return 0;
}

/**
 * kho_add_subtree - hand a subsystem's data over under a name
 * @name: the name, unique
 * @blob: start of the data, in preserved memory
 * @size: number of bytes
 *
 * With CONFIG_KEXEC_HANDOVER_DEBUGFS the data can be read in
 * ``/sys/kernel/debug/kho/out/sub_fdts/``.
 *
 * Context: May sleep.
 * Return: 0, -EOPNOTSUPP when there is no Kexec Handover, -EEXIST when the name
 * is taken, -EINVAL when it is no name for a node, -ENOMEM when the root tree
 * is full.
 */
int kho_add_subtree(const char *name, void *blob, size_t size)
{
	u64 phys = virt_to_phys(blob);
	u64 len = size;
	int node, err;

	guard(mutex)(&kho_out.lock);

	if (!kho_out.fdt)
		return -EOPNOTSUPP;

	node = fdt_add_subnode(kho_out.fdt, 0, name);
	if (node == -FDT_ERR_EXISTS)
		return -EEXIST;
	if (node < 0)
		return node == -FDT_ERR_NOSPACE ? -ENOMEM : -EINVAL;

	err = fdt_setprop(kho_out.fdt, node, KHO_SUB_TREE_PROP_NAME, &phys,
			  sizeof(phys));
	if (!err)
		err = fdt_setprop(kho_out.fdt, node,
				  KHO_SUB_TREE_SIZE_PROP_NAME, &len,
				  sizeof(len));
	if (err) {
		fdt_del_node(kho_out.fdt, node);
		return -ENOMEM;
	}

	kho_debugfs_add_blob(name, blob, size);
	return 0;
}
EXPORT_SYMBOL_GPL(kho_add_subtree);

/**
 * kho_remove_subtree - undo kho_add_subtree()
 * @blob: start of the data, as it was given then
 *
 * Context: May sleep.
 */
void kho_remove_subtree(void *blob)
{
	u64 phys;
	int node;

	guard(mutex)(&kho_out.lock);

	if (!kho_out.fdt)
		return;

	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		if (kho_fdt_get_u64(kho_out.fdt, node, KHO_SUB_TREE_PROP_NAME,
				    &phys) || phys != virt_to_phys(blob))
			continue;

		kho_debugfs_remove_blob(blob);
		fdt_del_node(kho_out.fdt, node);
		return;
	}
}
EXPORT_SYMBOL_GPL(kho_remove_subtree);

/**
 * kho_retrieve_subtree - find data that the previous kernel handed over
 * @name: the name it was given
 * @phys: set to the address of the data
 * @size: set to the number of bytes, unless NULL
 *
 * Context: Any, from early boot on.
 * Return: 0, -ENOENT when there is no such data, -EINVAL when @phys is NULL or
 * what was handed over makes no sense; the data is preserved and not yet
 * restored.
 */
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size)
{
	const void *fdt = kho_in_fdt();
	u64 addr, len;
	int node;

	if (!fdt)
		return -ENOENT;
	if (!phys)
		return -EINVAL;

	node = fdt_subnode_offset(fdt, 0, name);
	if (node < 0)
		return -ENOENT;

	if (kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_PROP_NAME, &addr) ||
	    kho_fdt_get_u64(fdt, node, KHO_SUB_TREE_SIZE_PROP_NAME, &len)) {
		pr_warn("subtree '%s' has no valid address or size\n", name);
		return -EINVAL;
	}

	if (!kho_in_covers(addr, len)) {
		pr_warn("subtree '%s' is not in preserved memory: %llu bytes at %#llx\n",
			name, len, addr);
		return -EINVAL;
	}

	*phys = addr;
	if (size)
		*size = len;
	return 0;
}
EXPORT_SYMBOL_GPL(kho_retrieve_subtree);

/**
 * kho_incoming_differs - tell whether a structure changed between two kernels
 * @component: name and version that this kernel has of it, from its ABI header
 *
 * For structures that everybody relies on, which the root tree names.  Those
 * of a single user are named by that user.
 *
 * Context: Any.
 * Return: true when the previous kernel handed memory over and had another
 * version of the structure, or none.
 */
bool kho_incoming_differs(const char *component)
{
	const void *fdt = kho_in_fdt();
	const char *offered;
	int len;

	if (!fdt)
		return false;

	offered = fdt_getprop(fdt, 0, "compatible", &len);
	return !offered || !kho_compat_offers(offered, len, component);
}
EXPORT_SYMBOL_GPL(kho_incoming_differs);

/* Names the kernels of this chain to whoever reads their logs. */
static u32 __init kho_read_metadata(void)
{
	const struct kho_kexec_metadata *metadata;
	char release[sizeof(metadata->previous_release)];
	u32 kexec_count;
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(KHO_METADATA_NODE_NAME, &phys, &size))
		return 0;

	if (size < sizeof(*metadata)) {
		pr_warn("kexec-metadata ignored: %zu bytes at %pa\n", size,
			&phys);
		return 0;
	}

	metadata = phys_to_virt(phys);
	if (metadata->version != KHO_KEXEC_METADATA_VERSION) {
		pr_warn("kexec-metadata ignored: version %u, not %u\n",
			metadata->version, KHO_KEXEC_METADATA_VERSION);
		return 0;
	}

	strscpy(release, metadata->previous_release, sizeof(release));
	kexec_count = metadata->kexec_count;
	pr_info("exec from: %s (count %u)\n", release, kexec_count);
	kho_restore_free(phys_to_virt(phys));
	return kexec_count;
}

static int __init kho_write_metadata(u32 kexec_count)
{
	struct kho_kexec_metadata *metadata;
	int err;

	metadata = kho_alloc_preserve(sizeof(*metadata));
	if (IS_ERR(metadata))
		return PTR_ERR(metadata);

	metadata->version = KHO_KEXEC_METADATA_VERSION;
	metadata->kexec_count = kexec_count;
	strscpy(metadata->previous_release, init_uts_ns.name.release,
		sizeof(metadata->previous_release));

	err = kho_add_subtree(KHO_METADATA_NODE_NAME, metadata,
			      sizeof(*metadata));
	if (err)
		kho_unpreserve_free(metadata);
	return err;
}

static int __init kho_out_init(void)
{
	u64 map;
	void *fdt;
	int err;

	err = kho_radix_init_tree(&kho_out.map, NULL);
	if (err)
		return err;

	fdt = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(fdt)) {
		err = PTR_ERR(fdt);
		goto err_destroy_map;
	}

	/* The tree is edited in place; its size stays that of the page. */
	map = virt_to_phys(kho_out.map.root);
	if (fdt_create_empty_tree(fdt, PAGE_SIZE) ||
	    fdt_setprop_string(fdt, 0, "compatible", KHO_FDT_COMPATIBLE) ||
	    fdt_setprop(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &map,
			sizeof(map))) {
		err = -EINVAL;
		goto err_free_fdt;
	}

	kho_out.fdt = fdt;
	return 0;

err_free_fdt:
	kho_unpreserve_free(fdt);
err_destroy_map:
	kho_radix_destroy_tree(&kho_out.map);
	return err;
}

static int __init kho_init(void)
{
	int err;

	if (!kho_enable) {
		if (is_kho_boot())
			pr_notice("disabled: what was handed over stays reserved and unused\n");
		return 0;
	}

	err = kho_out_init();
	if (err) {
		pr_err("cannot be set up, nothing will be handed over: %pe\n",
		       ERR_PTR(err));
		kho_enable = false;
	}

	/*
	 * Scratch memory that this kernel reserved itself is still reserved.
	 * What it inherited is in the page allocator, with live pages.
	 */
	if (!kho_in.scratch_phys) {
		if (err)
			kho_release_scratch();
		else
			kho_open_scratch();
	}
	if (err)
		return err;

	kho_debugfs_init(kho_out.fdt);

	err = kho_write_metadata(kho_read_metadata() + 1);
	if (err)
		pr_warn("the next kernel will not know this one: %pe\n",
			ERR_PTR(err));
	return 0;
}
fs_initcall(kho_init);

/**
 * kho_fill_kimage - attach the hand-over to an image for kexec
 * @image: the image
 *
 * Return: 0, or the error of kexec_add_buffer().
 */
int kho_fill_kimage(struct kimage *image)
{
	struct kexec_buf scratch = {
		.image = image,
		.buffer = kho_scratch,
		.bufsz = kho_scratch_cnt * sizeof(*kho_scratch),
		.memsz = kho_scratch_cnt * sizeof(*kho_scratch),
		.mem = KEXEC_BUF_MEM_UNKNOWN,
		/* One page of any size, so that it is easy to map. */
		.buf_align = SZ_64K,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	int err;

	if (!kho_enable || image->type == KEXEC_TYPE_CRASH)
		return 0;

	err = kexec_add_buffer(&scratch);
	if (err)
		return err;

	image->kho.fdt = virt_to_phys(kho_out.fdt);
	image->kho.scratch = &image->segment[image->nr_segments - 1];
	return 0;
}
