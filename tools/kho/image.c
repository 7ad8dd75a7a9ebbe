// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel images: unpacks the files that boot loaders load, layer by layer, down
 * to an ELF file or the raw Image of arm64.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "khoctl.h"

/* A UKI that contains a zboot image with a compressed kernel has four layers. */
#define LAYERS_MAX	6

/* Offsets in the header of an x86 kernel: Documentation/arch/x86/boot.rst */
#define X86_SETUP_SECTS	0x1f1
#define X86_MAGIC	0x202
#define X86_PROTOCOL	0x206
#define X86_PAYLOAD	0x248
#define X86_HEADER_END	0x250

/* Offsets in the header of an arm64 Image: Documentation/arch/arm64/booting.rst */
#define ARM64_MAGIC	0x38
#define ARM64_HEADER	64

/* Offsets in a PE file */
#define PE_AT		0x3c
#define PE_HEADER	24
#define PE_SECTION	40

static void note_format(struct set *set, const char *name)
{
	size_t len = strlen(set->format);

	snprintf(set->format + len, sizeof(set->format) - len, "%s%s", len ? ", " : "", name);
}

static bool has_at(const struct blob *image, uint64_t at, const char *what, size_t len)
{
	struct blob part;

	return blob_part(image, at, len, &part) && !memcmp(part.data, what, len);
}

static bool is_x86(const struct blob *image)
{
	return image->size >= X86_HEADER_END && has_at(image, X86_MAGIC, "HdrS", 4);
}

static int x86_payload(const struct blob *image, struct blob *payload)
{
	unsigned int sectors = image->data[X86_SETUP_SECTS] ?: 4;
	uint64_t at = (sectors + 1) * 512;

	if (get16(image->data + X86_PROTOCOL) < 0x208)
		return fail("bzImage is older than Linux 2.6.26");
	at += get32(image->data + X86_PAYLOAD);
	if (!blob_part(image, at, get32(image->data + X86_PAYLOAD + 4), payload))
		return fail("bzImage is truncated");
	return 0;
}

static bool is_zboot(const struct blob *image)
{
	return image->size >= 32 && blob_starts(image, "MZ", 2) && has_at(image, 4, "zimg", 4);
}

static int zboot_payload(const struct blob *image, struct blob *payload)
{
	if (!blob_part(image, get32(image->data + 8), get32(image->data + 12), payload))
		return fail("EFI zboot image is truncated");
	return 0;
}

/* Finds the section ".linux" of a unified kernel image; false if it does not exist. */
static bool find_uki(const struct blob *image, struct blob *kernel, bool *truncated)
{
	struct blob head, table;
	uint64_t pe;

	*truncated = false;
	if (image->size < PE_AT + 4 || !blob_starts(image, "MZ", 2))
		return false;
	pe = get32(image->data + PE_AT);
	if (!blob_part(image, pe, PE_HEADER, &head) || memcmp(head.data, "PE\0", 4))
		return false;
	pe += PE_HEADER + get16(head.data + 20);
	for (unsigned int i = 0; i < get16(head.data + 6); i++) {
		if (!blob_part(image, pe + i * PE_SECTION, PE_SECTION, &table))
			return false;
		if (memcmp(table.data, ".linux\0", 8))
			continue;
		*truncated = !blob_part(image, get32(table.data + 20), get32(table.data + 16),
					kernel);
		return true;
	}
	return false;
}

/* "Linux version 7.3.4 (...": the version is a word that starts with a digit. */
static void find_release(const struct blob *kernel, struct set *set)
{
	static const char banner[] = "Linux version ";
	const uint8_t *end = kernel->data + kernel->size, *p = kernel->data;
	size_t len;

	while ((p = memmem(p, end - p, banner, sizeof(banner) - 1))) {
		p += sizeof(banner) - 1;
		for (len = 0; p + len < end && isgraph(p[len]) && len < sizeof(set->release); len++)
			;
		if (len && len < sizeof(set->release) && isdigit(*p)) {
			memcpy(set->release, p, len);
			set->release[len] = '\0';
			return;
		}
	}
}

/* Reads the components of the innermost layer. */
static int read_kernel(const struct blob *kernel, bool elf, struct set *set)
{
	int err = elf ? notes_of_elf(kernel, set) : notes_scan(kernel, set);

	if (err)
		return err;
	find_release(kernel, set);
	if (!set->nr && set->newer)
		return fail("its notes have a layout that this khoctl does not know");
	if (!set->nr)
		err = stock_fill(set, kernel);
	set_sort(set);
	return err;
}

/* Finds the layer inside @image; returns 1, 0 if @image is the kernel, or -1. */
static int peel(const struct blob *image, struct set *set, struct blob *inner, bool *elf)
{
	bool truncated;

	*elf = blob_starts(image, "\x7f" "ELF", 4);
	if (*elf) {
		note_format(set, "vmlinux");
		return 0;
	}
	if (is_zboot(image)) {
		note_format(set, "EFI zboot");
		return zboot_payload(image, inner) ?: 1;
	}
	if (find_uki(image, inner, &truncated)) {
		note_format(set, "UKI");
		return truncated ? fail("UKI is truncated") : 1;
	}
	if (is_x86(image)) {
		note_format(set, "bzImage");
		return x86_payload(image, inner) ?: 1;
	}
	if (image->size >= ARM64_HEADER && has_at(image, ARM64_MAGIC, "ARM\x64", 4)) {
		note_format(set, "arm64 Image");
		return 0;
	}
	if (unpack_name(image)) {
		note_format(set, unpack_name(image));
		return unpack(image, inner) ?: 1;
	}
	return fail("is not a kernel image");
}

/* Reads the components of the kernel in an image of any format. */
int image_read(const struct blob *image, struct set *set)
{
	struct blob layer = { .data = image->data, .size = image->size };
	struct blob inner = { }, kept = { };
	bool elf = false;
	int more = 1;

	for (int depth = 0; more == 1; depth++) {
		more = depth < LAYERS_MAX ? peel(&layer, set, &inner, &elf) :
					    fail("has too many layers");
		if (more != 1)
			break;
		/* A layer that was unpacked is freed when the next one is unpacked. */
		if (inner.owned) {
			blob_free(&kept);
			kept = inner;
		}
		layer = (struct blob){ .data = inner.data, .size = inner.size };
	}
	if (!more)
		more = read_kernel(&layer, elf, set);
	blob_free(&kept);

	return more;
}

int image_open(const char *path, struct set *set)
{
	struct blob image;
	char why[200];
	int err;

	if (blob_read(path, &image))
		return -1;
	err = image_read(&image, set);
	blob_free(&image);
	if (!err)
		return 0;

	snprintf(why, sizeof(why), "%s", failure());
	return fail("%s: %s", path, why);
}
