// SPDX-License-Identifier: GPL-2.0
/*
 * The outgoing handover for administrators and tools: the versions that this
 * kernel writes, and the memory that is preserved.  Each line of these files in
 * debugfs has a key, a colon and a value.
 */

#include <linux/align.h>
#include <linux/elf.h>
#include <linux/kho/abi/note.h>
#include <linux/kho/radix_tree.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "kexec_handover_internal.h"

/* From the linker script: all notes of the kernel. */
extern const char __start_notes[], __stop_notes[];

/* The strings of a note follow its head, each ended by a NUL. */
static void kho_out_show_note(struct seq_file *m, const struct kho_note_head *head)
{
	const char *name = (const char *)(head + 1);
	const char *writes = name + strlen(name) + 1;

	if (*writes)
		seq_printf(m, "%s: %s\n", name, writes);
}

static bool kho_out_is_our_note(const struct kho_note_head *head)
{
	return head->type == KHO_NOTE_LAYOUT_V1 &&
	       head->namesz == sizeof(KHO_NOTE_OWNER) &&
	       !memcmp(head->owner, KHO_NOTE_OWNER, sizeof(KHO_NOTE_OWNER));
}

/**
 * kho_out_compat_show - list the versions that this kernel writes
 * @m: the file; gets a line for each component that is built in, with the composite
 *     string of its outgoing data
 * @v: unused
 *
 * Return: 0.
 */
int kho_out_compat_show(struct seq_file *m, void *v)
{
	const char *at = __start_notes;

	while (at + sizeof(struct elf64_note) <= __stop_notes) {
		const struct kho_note_head *head = (const void *)at;

		if (kho_out_is_our_note(head))
			kho_out_show_note(m, head);
		at += sizeof(struct elf64_note) + ALIGN(head->namesz, 4) +
		      ALIGN(head->descsz, 4);
	}

	return 0;
}

static int kho_out_count_run(unsigned long key, unsigned long nr, void *data)
{
	u64 *bytes = data;
	unsigned int order;
	phys_addr_t phys;

	if (kho_decode_key(key, &phys, &order))
		bytes[order] += (u64)nr << (PAGE_SHIFT + order);
	return 0;
}

static int kho_out_count_node(phys_addr_t phys, void *data)
{
	*(u64 *)data += PAGE_SIZE;
	return 0;
}

/**
 * kho_out_preserved_show - count preserved memory
 * @m: the file; gets the number of bytes in blocks of each order and in all
 *     blocks, and the size of the map
 * @v: unused
 *
 * Nodes of the outgoing map are never freed, so the walk needs no lock.  Memory
 * that is preserved or unpreserved meanwhile may or may not be counted.
 *
 * Return: 0, or an error of kho_radix_walk_tree().
 */
int kho_out_preserved_show(struct seq_file *m, void *v)
{
	const struct kho_radix_walk_cb runs = { .run = kho_out_count_run };
	const struct kho_radix_walk_cb nodes = { .node = kho_out_count_node };
	u64 bytes[KHO_MAX_ORDER + 1] = { }, total = 0, map = 0;
	int err;

	err = kho_radix_walk_tree(&kho_out.map, &runs, bytes);
	if (!err)
		err = kho_radix_walk_tree(&kho_out.map, &nodes, &map);
	if (err)
		return err;

	for (unsigned int order = 0; order <= KHO_MAX_ORDER; order++) {
		if (bytes[order])
			seq_printf(m, "order %u: %llu\n", order, bytes[order]);
		total += bytes[order];
	}
	seq_printf(m, "total: %llu\nmap: %llu\n", total, map);
	return 0;
}
