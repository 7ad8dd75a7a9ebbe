// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz targets "vmalloc" and "block": descriptions of areas and chains of
 * record blocks in which words are overwritten.  Pages that are not preserved
 * cannot be read, so any use of an unchecked address is detected.
 */

#include "fuzz.h"

#include <linux/kexec_handover.h>
#include <linux/kho/block.h>
#include <linux/kho/vmalloc.h>

static void mark_chunks(const struct kho_vmalloc *desc)
{
	struct kho_vmalloc_chunk *chunk;

	fuzz_landmark(desc, sizeof(*desc));
	for (u64 pa = desc->first.phys; pa; pa = chunk->hdr.next.phys) {
		chunk = phys_to_virt(pa);
		fuzz_landmark(chunk, PAGE_SIZE);
	}
}

/* Pages that are preserved and not part of the area. */
static void preserve_others(struct input *in)
{
	for (unsigned int i = in_below(in, 4); i; i--) {
		void *mem = kho_alloc_preserve(PAGE_SIZE << in_below(in, 3));

		BUG_ON(IS_ERR(mem));
		fuzz_landmark(mem, 64);
	}
}

FUZZ_TARGET(vmalloc)
{
	static struct kho_vmalloc desc;
	unsigned long pages;
	void *area;

	fuzz_begin();
	pages = 1 + in_below(in, 24);
	area = in_u8(in) & 1 ? vmalloc(pages * PAGE_SIZE) :
			       vmalloc_huge(PMD_SIZE, GFP_KERNEL);
	BUG_ON(!area || kho_preserve_vmalloc(area, &desc));
	preserve_others(in);
	mark_chunks(&desc);
	fuzz_damage(in, 8);

	if (fuzz_hop()) {
		area = kho_restore_vmalloc(&desc);
		BUG_ON(area && kho_vmalloc_check(&desc) != -EINVAL);
		if (!area)
			kho_vmalloc_check(&desc);
		vfree(area);
	}
	fuzz_end();
}

struct record {
	u64 word[5];
};

static void mark_blocks(u64 pa)
{
	struct kho_block_header_ser *ser;

	for (; pa; pa = ser->next) {
		ser = phys_to_virt(pa);
		fuzz_landmark(ser, sizeof(*ser));
	}
}

static void read_all(struct kho_block_set *bs)
{
	struct kho_block_set_it it;
	struct record *r;
	u64 n = 0;

	kho_block_set_it_init(&it, bs);
	while ((r = kho_block_set_it_read_entry(&it))) {
		/* The whole record is inside a block. */
		memset(r, n, sizeof(*r));
		n++;
	}
	while (kho_block_set_it_prev(&it))
		n--;
	BUG_ON(n);
}

FUZZ_TARGET(block)
{
	struct kho_block_set bs = KHO_BLOCK_SET_INIT(bs, sizeof(struct record));
	struct kho_block_set_it it;
	static u64 head;
	u64 count;

	fuzz_begin();
	count = in_below(in, 1024);
	BUG_ON(kho_block_set_grow(&bs, count + in_u8(in)));
	kho_block_set_it_init(&it, &bs);
	while (count--)
		BUG_ON(!kho_block_set_it_reserve_entry(&it));

	head = kho_block_set_head_pa(&bs);
	preserve_others(in);
	mark_blocks(head);
	fuzz_landmark(&head, sizeof(head));
	fuzz_damage(in, 8);

	kho_block_set_init(&bs, sizeof(struct record));
	if (fuzz_hop() && !kho_block_set_restore(&bs, head)) {
		read_all(&bs);
		kho_block_set_destroy(&bs);
	}
	fuzz_end();
}
