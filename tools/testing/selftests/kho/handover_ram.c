// SPDX-License-Identifier: GPL-2.0
/*
 * Memory by its physical address: access through /dev/mem, and the addresses of
 * pages of this process.
 */

#include "handover.h"

#define WINDOW		(64UL << 20)

int memory_read(void *buf, size_t len, u64 pa)
{
	int mem = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	ssize_t done;

	if (mem < 0)
		return problem(-errno, "/dev/mem: %m");
	done = pread(mem, buf, len, pa);
	close(mem);

	return done == (ssize_t)len ? 0 :
	       problem(-EIO, "memory at %#llx: %s", pa, strerror(errno));
}

int memory_map(void **map, size_t len, u64 pa)
{
	int mem = open("/dev/mem", O_RDWR | O_CLOEXEC);

	if (mem < 0)
		return problem(-errno, "/dev/mem: %m");
	*map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, mem, pa);
	close(mem);

	return *map == MAP_FAILED ? problem(-errno, "map memory at %#llx: %m", pa) : 0;
}

/*
 * Write through a mapping: KASAN would report a write() to free memory, and
 * copies of the data to change may be in free memory.
 */
int memory_write(const void *buf, size_t len, u64 pa)
{
	size_t at = pa % page_size;
	void *map;
	int err = memory_map(&map, at + len, pa - at);

	if (err)
		return err;
	memcpy((u8 *)map + at, buf, len);
	munmap(map, at + len);

	return 0;
}

/* Looks for the bytes in [start, end), which is RAM, every @step bytes. */
static int bytes_find(int mem, const struct wanted *wanted, u64 start, u64 end, u64 *pa)
{
	size_t len = end - start;
	u32 word;
	u8 *map = mmap(NULL, len, PROT_READ, MAP_SHARED, mem, start);
	bool found = false;

	if (map == MAP_FAILED)
		return problem(-errno, "map /dev/mem at %#llx: %m", start);
	memcpy(&word, wanted->bytes, sizeof(word));
	for (size_t at = 0; at + wanted->len <= len && !found;
	     at += wanted->step) {
		found = *(u32 *)(map + at) == word &&
			!memcmp(map + at, wanted->bytes, wanted->len);
		*pa = start + at;
	}
	munmap(map, len);

	return found ? 0 : -ENOENT;
}

int ram_search(const struct wanted *wanted, u64 *pa)
{
	int mem = open("/dev/mem", O_RDONLY | O_CLOEXEC), err = -ENOENT;
	FILE *ram = fopen("/proc/iomem", "re");
	unsigned long long start, end;
	char line[128];

	while (err == -ENOENT && ram && fgets(line, sizeof(line), ram)) {
		if (line[0] == ' ' || !strstr(line, " : System RAM") ||
		    sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		start = (start + page_size - 1) & -page_size;
		end = (end + 1) & -page_size;
		if (start < wanted->from)
			start = wanted->from;
		for (; err == -ENOENT && start < end; start += WINDOW)
			err = bytes_find(mem, wanted, start,
					 end - start > WINDOW ?
					 start + WINDOW : end, pa);
	}
	if (ram)
		fclose(ram);
	close(mem);

	return err == -ENOENT ? problem(err, "not found in memory") : err;
}

/* The page may be under migration: reading it waits for the end of that. */
int page_address(const void *map, u64 *pa)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t len = sizeof(u64);
	u64 entry = 0;

	for (int i = 0; i < 100; i++) {
		if (len != sizeof(entry) || entry & PAGEMAP_PRESENT)
			break;
		(void)*(const volatile char *)map;
		len = pread(fd, &entry, sizeof(entry),
			    (uintptr_t)map / page_size * sizeof(entry));
	}
	close(fd);
	*pa = (entry & PAGEMAP_PFN) * page_size;

	return len == sizeof(entry) && entry & PAGEMAP_PRESENT && *pa ? 0 :
	       problem(-EIO, "page without an address");
}

/*
 * Page frame numbers of a mapping: one read for all of them, and single reads
 * for pages that are not present yet.
 */
int page_frames(const void *map, size_t nr, u64 *frames)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = 0;
	size_t len = nr * sizeof(*frames);

	if (fd < 0)
		return problem(-errno, "pagemap: %m");
	if (pread(fd, frames, len, (uintptr_t)map / page_size *
		  sizeof(*frames)) != (ssize_t)len)
		err = problem(-EIO, "pagemap: short read");
	close(fd);
	for (size_t i = 0; i < nr && !err; i++) {
		if (frames[i] & PAGEMAP_PRESENT) {
			frames[i] &= PAGEMAP_PFN;
			continue;
		}
		err = page_address((const char *)map + i * page_size, &frames[i]);
		frames[i] /= page_size;
	}

	return err;
}
