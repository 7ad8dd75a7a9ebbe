// SPDX-License-Identifier: GPL-2.0
/*
 * The ELF notes of Kexec Handover; include/linux/kho/abi/note.h has their layout.
 * They are in sections of an ELF file, in /sys/kernel/notes, or anywhere in an
 * image that is not ELF.
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include <gelf.h>
#include <libelf.h>

#include "khoctl.h"

#define HEAD		12		/* namesz, descsz, type */
#define OWNER		"KHO"
#define LAYOUT		1
#define STRING_MAX	1024

/* Notes with a larger alignment have other owners, and are padded differently. */
#define NOTE_ALIGN	4

static const char * const kind_names[KIND_END] = {
	[KIND_ROOT] = "root",
	[KIND_STRUCTURE] = "structure",
	[KIND_SUBTREE] = "subtree",
	[KIND_FILE] = "file",
	[KIND_FLB] = "flb",
	[KIND_ALIAS] = "alias",
};

const char *kind_name(enum kind kind)
{
	return kind > 0 && kind < KIND_END ? kind_names[kind] : "unknown";
}

static bool is_text(const char *s)
{
	for (; *s; s++) {
		if (*s < ' ' || *s > '~')
			return false;
	}
	return true;
}

void set_free(struct set *set)
{
	for (unsigned int i = 0; i < set->nr; i++) {
		free(set->c[i].name);
		free(set->c[i].writes);
		free(set->c[i].reads);
	}
	set->nr = 0;
}

/* Linkers and modules may duplicate a note; duplicates are ignored. */
static bool set_has(const struct set *set, const struct component *c)
{
	for (unsigned int i = 0; i < set->nr; i++) {
		const struct component *has = &set->c[i];

		if (has->kind == c->kind && !strcmp(has->name, c->name) &&
		    !strcmp(has->writes, c->writes) && !strcmp(has->reads, c->reads))
			return true;
	}
	return false;
}

static int by_kind(const void *a, const void *b)
{
	const struct component *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

/* Sorts the components: the order of the notes depends on the linker. */
void set_sort(struct set *set)
{
	qsort(set->c, set->nr, sizeof(*set->c), by_kind);
}

/* Adds a copy of @c, unless @set has it already. */
int set_add(struct set *set, const struct component *c)
{
	struct component copy = *c;

	if (set_has(set, c))
		return 0;
	if (set->nr == SET_MAX)
		return fail("more than %u components", SET_MAX);

	copy.name = strdup(c->name);
	copy.writes = strdup(c->writes);
	copy.reads = strdup(c->reads);
	set->c[set->nr++] = copy;
	if (copy.name && copy.writes && copy.reads)
		return 0;
	return fail("out of memory");
}

const struct component *set_find(const struct set *set, enum kind kind, const char *name)
{
	for (unsigned int i = 0; i < set->nr; i++) {
		if (set->c[i].kind == kind && !strcmp(set->c[i].name, name))
			return &set->c[i];
	}
	return NULL;
}

/* Removes a string from the start of @desc and returns it; NULL if it is invalid. */
static char *take_string(struct blob *desc)
{
	char *s = (char *)desc->data;
	size_t len = strnlen(s, desc->size);

	if (len == desc->size || len > STRING_MAX || !is_text(s))
		return NULL;
	desc->data += len + 1;
	desc->size -= len + 1;
	return s;
}

/* Returns false if the note is invalid. */
static bool parse_desc(struct blob desc, struct component *c)
{
	if (desc.size < 4)
		return false;
	c->kind = get16(desc.data);
	c->page_shift = get16(desc.data + 2);
	desc.data += 4;
	desc.size -= 4;

	c->name = take_string(&desc);
	c->writes = c->name ? take_string(&desc) : NULL;
	c->reads = c->writes ? take_string(&desc) : NULL;
	return c->reads && *c->name && *c->reads && c->kind > 0 && c->kind < KIND_END &&
	       c->page_shift >= 10 && c->page_shift <= 20;
}

static int parse_one(const struct blob *desc, uint32_t type, struct set *set)
{
	struct component c;

	if (type != LAYOUT) {
		set->newer++;
		return 0;
	}
	if (!parse_desc(*desc, &c))
		return fail("a note of Kexec Handover is damaged");
	return set_add(set, &c);
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ULL;
}

/* Parses a sequence of notes; those of other owners are skipped. */
int notes_parse(const struct blob *notes, struct set *set)
{
	struct blob owner, desc;
	uint64_t at = 0;

	while (at + HEAD <= notes->size) {
		const uint8_t *head = notes->data + at;
		uint32_t namesz = get32(head), descsz = get32(head + 4);

		if (!blob_part(notes, at + HEAD, namesz, &owner) ||
		    !blob_part(notes, at + HEAD + align4(namesz), descsz, &desc))
			return fail("ELF notes are damaged");
		if (namesz == sizeof(OWNER) && !memcmp(owner.data, OWNER, sizeof(OWNER)) &&
		    parse_one(&desc, get32(head + 8), set))
			return -1;
		at += HEAD + align4(namesz) + align4(descsz);
	}

	return 0;
}

/*
 * Searches a raw image, where the place of the notes is unknown.  Invalid data
 * that looks like a note is ignored.
 */
int notes_scan(const struct blob *raw, struct set *set)
{
	const uint8_t *end = raw->data + raw->size, *p = raw->data;
	struct component c;
	struct blob desc;

	while ((p = memmem(p, end - p, OWNER, sizeof(OWNER)))) {
		uint64_t at = p - raw->data;

		p++;
		if (at < HEAD || at & 3 || get32(raw->data + at - HEAD) != sizeof(OWNER))
			continue;
		if (!blob_part(raw, at + 4, get32(raw->data + at - 8), &desc) ||
		    get32(raw->data + at - 4) != LAYOUT || !parse_desc(desc, &c))
			continue;
		if (set_add(set, &c))
			return -1;
	}

	return 0;
}

static int elf_part(const struct blob *elf, uint64_t offset, uint64_t size, struct set *set)
{
	struct blob notes;

	if (!blob_part(elf, offset, size, &notes))
		return fail("ELF file is truncated");
	return notes_parse(&notes, set);
}

static int elf_sections(Elf *e, const struct blob *elf, struct set *set)
{
	Elf_Scn *section = NULL;
	GElf_Shdr head;

	while ((section = elf_nextscn(e, section))) {
		if (gelf_getshdr(section, &head) && head.sh_type == SHT_NOTE &&
		    head.sh_addralign <= NOTE_ALIGN &&
		    elf_part(elf, head.sh_offset, head.sh_size, set))
			return -1;
	}
	return 0;
}

static int elf_segments(Elf *e, const struct blob *elf, struct set *set)
{
	GElf_Phdr head;
	size_t nr;

	if (elf_getphdrnum(e, &nr))
		return fail("ELF file has damaged program headers");
	for (size_t i = 0; i < nr; i++) {
		if (gelf_getphdr(e, i, &head) && head.p_type == PT_NOTE &&
		    head.p_align <= NOTE_ALIGN &&
		    elf_part(elf, head.p_offset, head.p_filesz, set))
			return -1;
	}
	return 0;
}

/* Reads the notes of a vmlinux, which may have been stripped of its sections. */
int notes_of_elf(const struct blob *elf, struct set *set)
{
	int err;
	Elf *e;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return fail("libelf is too old");
	e = elf_memory((char *)elf->data, elf->size);
	if (!e || elf_kind(e) != ELF_K_ELF) {
		err = fail("ELF file is damaged: %s", elf_errmsg(-1));
	} else {
		err = elf_segments(e, elf, set);
		if (!err)
			err = elf_sections(e, elf, set);
	}
	elf_end(e);
	return err;
}
