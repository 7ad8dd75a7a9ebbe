// SPDX-License-Identifier: GPL-2.0
/*
 * Steps on the memory of the guest: regions of reserve_mem=, use of all free
 * memory, and the contents of the handover.
 */

#include "handover.h"

struct region {
	u64 start;
	u64 size;
};

/* Finds a region in the incoming handover, or else in the outgoing one. */
static int region_find(const char *name, struct region *region)
{
	static struct blob blob;
	int err;

	err = blob_read(&blob, KHO_DIR "in/sub_fdts/memblock");
	if (err)
		err = blob_read(&blob, KHO_DIR "out/sub_fdts/memblock");
	if (!err)
		err = fdt_u64(&blob, name, "start", &region->start);
	if (!err)
		err = fdt_u64(&blob, name, "size", &region->size);
	if (!err)
		note("region %s at %#llx, %llu bytes", name, region->start,
		     region->size);

	return err;
}

static int region_map(const char *name, struct region *region, void **map)
{
	return region_find(name, region) ?:
	       memory_map(map, region->size, region->start);
}

/*
 * The region starts with its own address, so that the next kernel can check
 * that it was not moved.
 */
DEFINE_STEP(region_fill, (const char *name, u64 seed), (name, seed),
	    "region-fill %s %llu", name, seed)
{
	struct region region;
	void *map;
	int err = region_map(name, &region, &map);

	if (err)
		return err;
	pattern_fill(map, region.size, seed, 0);
	memcpy(map, &region.start, sizeof(region.start));
	munmap(map, region.size);

	return 0;
}

DEFINE_STEP(region_check, (const char *name, u64 seed), (name, seed),
	    "region-check %s %llu", name, seed)
{
	static u8 want[PAGE_MAX];
	struct region region;
	void *map;
	int err = region_map(name, &region, &map);

	if (err)
		return err;

	for (u64 at = 0; at < region.size && !err; at += page_size) {
		size_t len = min(region.size - at, page_size);

		pattern_fill(want, len, seed, at);
		if (!at)
			memcpy(want, &region.start, sizeof(region.start));
		if (memcmp((u8 *)map + at, want, len))
			err = problem(-EIO, "page at %#llx has changed",
				      region.start + at);
	}
	munmap(map, region.size);

	return err;
}

static struct region released;

/*
 * Releases a region: its keys must be removed from the memory map, and its node
 * from the tree of regions.
 */
DEFINE_STEP(region_release, (const char *name), (name), "region-release %s", name)
{
	unsigned int before, after;
	u64 start;
	int err;

	err = region_find(name, &released) ?:
	      map_count(released.start, released.size, &before) ?:
	      file_write("/sys/module/test_kho/parameters/release", name) ?:
	      map_count(released.start, released.size, &after);
	if (err)
		return err;

	if (!before || after)
		return problem(-EIO, "%u keys in the memory map, and %u without the region",
			       before, after);
	if (!kho_fdt_u64(KHO_DIR "out/sub_fdts/memblock", name, "start", &start))
		return problem(-EIO, "the next kernel is told of the region");

	return 0;
}

/*
 * Checks that memory of the released region is preserved again.  Otherwise the
 * case would not detect memory that is preserved twice.
 */
DEFINE_STEP(region_reused, (void), (), "region-reused")
{
	unsigned int nr;
	int err = map_count(released.start, released.size, &nr);

	if (err)
		return err;
	note("%u keys", nr);

	return nr ? 0 : problem(-ENOENT, "nothing is preserved there");
}

u64 memory_info(const char *key)
{
	unsigned long long value = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, len) && line[len] == ':')
			value = strtoull(line + len + 1, NULL, 10) << 10;
	}
	fclose(file);

	return value;
}

u64 most_of_memory(void)
{
	u64 size = memory_info("MemFree") - memory_info("MemTotal") / 10;

	return size / page_size * page_size;
}

static int churn_round(u8 *map, u64 pages, unsigned int round)
{
	static u8 want[PAGE_MAX];

	for (u64 i = 0; i < pages; i++) {
		memset(map + i * page_size, (u8)(i + round), page_size);
		memcpy(map + i * page_size, &i, sizeof(i));
	}
	for (u64 i = 0; i < pages; i++) {
		memset(want, (u8)(i + round), page_size);
		memcpy(want, &i, sizeof(i));
		if (memcmp(map + i * page_size, want, page_size))
			return problem(-EIO, "page %llu of own memory changed", i);
	}

	return 0;
}

/*
 * Write and read back most of the free memory, @rounds times: memory with two
 * owners is detected here or by the kernel.
 */
DEFINE_STEP(churn, (unsigned int rounds, unsigned int percent), (rounds, percent),
	    "churn, %u rounds of %u %%", rounds, percent)
{
	u64 size;
	u8 *map;
	int err = 0;

	size = memory_info("MemAvailable") / 100 * percent;
	size -= size % page_size;
	note("churn %llu MiB", size >> 20);
	for (unsigned int round = 0; round < rounds && !err; round++) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED)
			return problem(-errno, "mmap: %m");
		madvise(map, size, MADV_HUGEPAGE);
		err = churn_round(map, size / page_size, round);
		munmap(map, size);
	}

	return err;
}

/*
 * Leaked memory shows as a smaller total in the next kernel.  The total is
 * passed on the command line, which is built with /append.
 */
DEFINE_STEP_AS(total_keep, (void),
	       file_write(append_file(),
			  textf(" kho_total=%llu", memory_info("MemTotal"))),
	       "total-keep")

DEFINE_STEP(total_check, (u64 slack), (slack), "total-check slack=%llu", slack)
{
	static struct blob line;
	u64 then, now = memory_info("MemTotal");
	char *word;
	int err = blob_read(&line, "/proc/cmdline");

	if (err)
		return err;
	line.bytes[line.len - 1] = '\0';
	word = strstr((char *)line.bytes, " kho_total=");
	if (!word)
		return problem(-ENOENT, "no total on the command line");
	then = strtoull(strchr(word, '=') + 1, NULL, 10);

	note("memory %llu KiB, was %llu KiB", now >> 10, then >> 10);
	if (now + slack < then)
		return problem(-EIO, "memory is missing");

	return 0;
}

static int scratch_bytes(u64 *sum)
{
	const char *path = KHO_DIR "out/scratch_len";
	FILE *file = fopen(path, "re");
	char line[32];

	if (!file)
		return problem(-errno, "%s: %m", path);
	*sum = 0;
	while (fgets(line, sizeof(line), file))
		*sum += strtoull(line, NULL, 0);
	fclose(file);

	return 0;
}

/*
 * The number of blocks of a type in a line; the column is found in the table
 * head.
 */
static u64 blocks_in_line(char *line, const char *type, int *column)
{
	char *save, *word = strtok_r(line, "\n ", &save);
	int head = word && !strcmp(word, "Number"), at = 0;

	if (head)
		*column = 0;
	for (; word; word = strtok_r(NULL, "\n ", &save), at++) {
		if (head && !strcmp(word, type))
			*column = at;
		else if (!head && *column && at == *column)
			return strtoull(word, NULL, 10);
	}

	return 0;
}

static int cma_bytes(u64 *sum, u64 *block)
{
	const char *path = "/proc/pagetypeinfo";
	unsigned long long per_block = 0;
	FILE *file = fopen(path, "re");
	u64 blocks = 0;
	char line[512];
	int column = 0;

	if (!file)
		return problem(-errno, "%s: %m", path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Pages per block: %llu", &per_block) != 1)
			blocks += blocks_in_line(line, "CMA", &column);
	}
	fclose(file);
	*block = per_block * page_size;
	*sum = blocks * *block;

	return 0;
}

/*
 * In each kernel, pageblocks are CMA if they are scratch memory.  An area that was
 * allocated on demand may be a part of a pageblock if pages have 64 KiB.
 */
DEFINE_STEP(cma_check, (void), (), "cma-check")
{
	u64 scratch = 0, cma = 0, block = 0;
	int err;

	err = scratch_bytes(&scratch) ?: cma_bytes(&cma, &block);
	if (err)
		return err;

	note("scratch %llu MiB, CMA %llu MiB", scratch >> 20, cma >> 20);
	if (scratch == cma || (scratch % block && scratch < cma))
		return 0;

	return problem(-EIO, "CMA is not what scratch is");
}

/*
 * Versions of the previous kernel ("in"), and of this one ("out").  LUO frees
 * its incoming page early in the boot, so the page is only used if its contents
 * are still valid.  Without a root tree, only "in" fails.
 */
DEFINE_STEP(formats, (const char *direction), (direction), "compat %s", direction)
{
	static struct blob blob;
	const char *root = NULL, *luo = (const char *)blob.bytes;
	const char *path = textf(KHO_DIR "%s/fdt", direction);
	size_t len;

	if (!blob_read(&blob, path))
		root = fdt_prop(&blob, "", "compatible", &len);
	if (root)
		note("compat %s kho %.*s", direction, (int)len, root);
	else if (!strcmp(direction, "in"))
		return problem(-ENOENT, "no handover in %s", path);

	path = textf(KHO_DIR "%s/sub_fdts/LUO", direction);
	if (!blob_read(&blob, path) && blob.len > 8 && !strncmp(luo, "luo-v", 5))
		note("compat %s luo %.64s", direction, luo);

	return 0;
}
