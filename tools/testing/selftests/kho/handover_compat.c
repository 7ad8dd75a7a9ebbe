// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that make this kernel offer its data in another version: they change
 * strings of the handover in memory, before the next kernel reads them.
 *
 * The records of files get their strings when the kexec begins, so the next
 * kernel changes them, see handover_damage.c.
 */

#include "handover.h"

#define LUO_STRING	16	/* size in struct luo_ser */
#define FLB_NAME	48	/* size in struct luo_flb_ser */
#define FLB_MAGIC	0xfeedf00dcafebee0ull	/* lib/tests/liveupdate.c */

/* Too long for a compatibility string, but it fits into the page of the tree. */
#define LONG_STRING	2500

struct flb {
	char name[FLB_NAME];
	u64 data;
	u64 count;
};

struct flb_page {
	u64 pages;
	u64 count;
	struct flb flb[63];
};

size_t bad_text(const char *kind, void *bytes, size_t size, size_t max)
{
	if (!strcmp(kind, "huge"))
		size = max;

	if (!strcmp(kind, "endless") || !strcmp(kind, "huge"))
		memset(bytes, 'x', size);
	else if (!strcmp(kind, "garbage"))
		pattern_fill(bytes, size, 7, 0);
	else if (!strcmp(kind, "empty"))
		memset(bytes, 0, size);
	else
		return 0;

	return size;
}

/* The root tree, as it was when its address was found. */
static struct blob root;

/*
 * Checks whether the root tree is at @pa: changes the last byte of the page,
 * which the tree does not use, and reads the tree from debugfs.  The byte of
 * another page is not restored, because that page was free and may be in use by
 * now.
 */
static int root_is_at(u64 pa, bool *found)
{
	u8 old = root.bytes[page_size - 1], new = ~old;
	static struct blob seen;
	int err = memory_write(&new, 1, pa + page_size - 1) ?:
		  blob_read(&seen, OUT_FDT);

	*found = !err && seen.bytes[page_size - 1] == new;

	return *found ? memory_write(&old, 1, pa + page_size - 1) : err;
}

/*
 * The kernel does not show the address of the root tree, so search for its
 * contents.  Each reader of debugfs leaves a copy in free memory, so the first
 * match need not be the tree.
 */
int root_address(u64 *pa)
{
	struct wanted wanted = { root.bytes, page_size, page_size };
	int err = blob_read(&root, OUT_FDT);
	bool found = false;

	if (!err && root.len != page_size)
		err = problem(-EINVAL, "the tree has %zu bytes", root.len);
	while (!err && !found) {
		err = ram_search(&wanted, pa) ?: root_is_at(*pa, &found);
		wanted.from = *pa + page_size;
	}

	return err;
}

static int root_set(const char *node, const char *prop, const void *value,
		    size_t len, u64 lie)
{
	static struct blob blob;
	u64 pa;
	int err = root_address(&pa);

	blob = root;
	if (!err)
		err = fdt_prop_set(&blob, node, prop, value, len);
	if (!err && lie)
		err = fdt_prop_lie(&blob, node, prop, lie);

	return err ?: memory_write(blob.bytes, page_size, pa);
}

/* @lie: a false length of the text, if not 0. */
DEFINE_STEP(offer_root, (const char *offer, u64 lie), (offer, lie), "offer-root %s%s",
	    offer, lie ? " of a wrong length" : "")
{
	char text[LONG_STRING];
	size_t len = bad_text(offer, text, 24, sizeof(text));

	if (!len)
		len = snprintf(text, sizeof(text), "%s", offer) + 1;
	else if (!strcmp(offer, "empty"))
		len = 1;

	return root_set("", "compatible", text, len, lie);
}

DEFINE_STEP(offer_luo, (const char *offer), (offer), "offer-luo %s", offer)
{
	const u64 size = 16 * page_size;
	char text[PAGE_MAX];
	u64 pa;
	size_t len = bad_text(offer, text, LUO_STRING, page_size);
	int err = 0;

	if (!len) {
		len = LUO_STRING;
		memset(text, 0, len);
		memcpy(text, offer, strnlen(offer, len));
	} else if (!strcmp(offer, "huge")) {
		err = root_set("LUO", "blob-size", &size, sizeof(size), 0);
	}
	if (!err)
		err = kho_fdt_u64(OUT_FDT, "LUO", "preserved-data", &pa);

	return err ?: memory_write(text, len, pa);
}

/*
 * Puts the records into a page of a preserved memfd, so that the next kernel
 * can read them.
 */
DEFINE_STEP(offer_flbs, (const char *name, const char *const *offers), (name, offers),
	    "offer-flbs %s %s", name, offers[0])
{
	int fd = fd_find(name), err;
	struct flb_page *page;
	u64 luo, pa;

	if (fd < 0)
		return fd;
	page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return problem(-errno, "mmap: %m");

	page->pages = 1;
	page->count = ARRAY_SIZE(page->flb);
	memset(page->flb, 0, sizeof(page->flb));
	for (int i = 0; offers[i]; i++) {
		struct flb *flb = &page->flb[i];

		if (!bad_text(offers[i], flb->name, FLB_NAME,
			      (char *)page + page_size - flb->name))
			snprintf(flb->name, FLB_NAME, "%s", offers[i]);
		if (strcmp(offers[i], "huge"))
			flb->data = FLB_MAGIC + i;
		flb->count = 1;
	}

	err = page_address(page, &pa) ?:
	      kho_fdt_u64(OUT_FDT, "LUO", "preserved-data", &luo);
	munmap(page, page_size);

	return err ?: memory_write(&pa, sizeof(pa), luo + LUO_FLBS);
}
