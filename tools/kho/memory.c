// SPDX-License-Identifier: GPL-2.0
/*
 * Physical memory in an ELF core file: /proc/kcore of the running kernel, or the
 * vmcore of a crashed kernel.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "khoctl.h"

struct core {
	int fd;
	size_t nr;
	Elf64_Phdr *segments;
};

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, to, size, offset) == (ssize_t)size;
}

static int read_segments(struct core *core, const char *path)
{
	Elf64_Ehdr head;
	size_t size;

	if (!read_at(core->fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_type != ET_CORE ||
	    head.e_phentsize != sizeof(Elf64_Phdr))
		return fail("%s: is not a 64-bit ELF core file", path);

	size = head.e_phnum * sizeof(Elf64_Phdr);
	core->nr = head.e_phnum;
	core->segments = malloc(size + 1);
	if (!core->segments || !read_at(core->fd, core->segments, size, head.e_phoff))
		return fail("%s: its segments cannot be read", path);
	return 0;
}

static bool core_page(struct memory *memory, uint64_t phys, struct blob *page)
{
	const struct core *core = memory->ctx;
	size_t size = memory->page_size;

	for (size_t i = 0; i < core->nr; i++) {
		const Elf64_Phdr *s = &core->segments[i];
		uint8_t *data;

		if (s->p_type != PT_LOAD || phys < s->p_paddr || s->p_filesz < size ||
		    phys - s->p_paddr > s->p_filesz - size)
			continue;
		data = malloc(size);
		if (data && read_at(core->fd, data, size, s->p_offset + (phys - s->p_paddr))) {
			*page = (struct blob){ .data = data, .size = size, .owned = true };
			return true;
		}
		free(data);
	}
	return false;
}

void memory_close(struct memory *memory)
{
	struct core *core = memory->ctx;

	close(core->fd);
	free(core->segments);
	free(core);
}

/* Makes @memory read its pages from a core file. */
int memory_open(const char *path, struct memory *memory)
{
	struct core *core = calloc(1, sizeof(*core));
	int err;

	if (!core)
		return fail("out of memory");
	core->fd = open(path, O_RDONLY | O_CLOEXEC);
	err = core->fd < 0 ? fail("%s: %s", path, strerror(errno)) : read_segments(core, path);
	if (!err) {
		memory->ctx = core;
		memory->page = core_page;
		return 0;
	}
	if (core->fd >= 0)
		close(core->fd);
	free(core->segments);
	free(core);
	return err;
}
