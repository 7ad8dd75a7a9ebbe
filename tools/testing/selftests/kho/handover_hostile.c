// SPDX-License-Identifier: GPL-2.0
/*
 * Steps that write to handover data, in the kernel that preserves it, or in the
 * next one before it is read.
 *
 * Address and value are expressions.  An expression is a place or a number,
 * followed by any number of operators: "+N" adds, "/N" divides, and ">" reads
 * the eight bytes at the address so far.
 */

#include "handover.h"

#include <endian.h>

#define WORDS		128	/* size of an expression */
#define SPARE_STEP	(1UL << 20)	/* bytes to allocate for each attempt */
#define SPARE_STEPS	1024		/* attempts to get a spare page */

static int evaluate(const char *text, u64 *value);

/* Scratch areas of this kernel, which its successor inherits. */
static int scratch_area(unsigned int nr, u64 *start, u64 *size)
{
	static struct blob blob[2];
	static const char *const path[2] = { KHO_DIR "out/scratch_phys",
					     KHO_DIR "out/scratch_len" };
	u64 *value[2] = { start, size };

	for (int i = 0; i < 2; i++) {
		char *text = (char *)blob[i].bytes;
		int err = blob_read(&blob[i], path[i]);

		if (err)
			return err;
		blob[i].bytes[blob[i].len < BLOB_MAX ? blob[i].len : 0] = '\0';
		for (unsigned int n = 0; n < nr && text; n++)
			text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
		if (!text || !*text)
			return problem(-ENOENT, "no scratch area %u", nr);
		*value[i] = strtoull(text, NULL, 0);
	}

	return 0;
}

static int in_scratch(u64 pa)
{
	u64 start, size;

	for (unsigned int nr = 0; !scratch_area(nr, &start, &size); nr++) {
		if (pa - start < size)
			return 1;
	}

	return 0;
}

/*
 * Allocates a page outside of scratch memory.  It is not preserved, but the
 * next kernel does not overwrite it before it has reserved preserved memory.
 *
 * As long as most of the free memory is scratch memory, all pages come from
 * scratch memory: allocate in large steps, and check one page of each.
 */
static int spare_page(u64 *pa)
{
	for (int i = 0; i < SPARE_STEPS; i++) {
		void *page = mmap(NULL, SPARE_STEP, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED,
				  -1, 0);
		int err = page == MAP_FAILED ? -errno : 0;

		if (err)
			return problem(err, "mmap: %m");
		err = page_address(page, pa);
		if (err || !in_scratch(*pa))
			return err;
	}

	return problem(-ENOMEM, "all free memory is scratch memory");
}

/*
 * The memory map.  The page size determines the sizes of its tables and leaves,
 * as in include/linux/kho/abi/radix_tree.h.
 */

static unsigned int page_shift(void)
{
	return __builtin_ctzl(page_size);
}

static unsigned int leaf_bits(void)
{
	return page_shift() + 3;
}

static unsigned int table_bits(void)
{
	return page_shift() - 3;
}

static unsigned int root_level(void)
{
	unsigned int above = 64 - page_shift() + 1 - leaf_bits();

	return (above + table_bits() - 1) / table_bits();
}

static u64 map_key(u64 pa, unsigned int order)
{
	return 1ull << (64 - page_shift() - order) |
	       pa >> (page_shift() + order);
}

static int table_entry(u64 slot, u64 *node)
{
	int err = memory_read(node, sizeof(*node), slot);

	if (err || *node)
		return err;

	return spare_page(node) ?: memory_write(node, sizeof(*node), slot);
}

/* Finds the node at @level on the path to @key, and adds missing nodes. */
static int map_node(u64 key, unsigned int level, u64 *node, u64 *slot)
{
	int err = kho_fdt_u64(OUT_FDT, "", "preserved-memory-map", node);

	for (unsigned int at = root_level(); !err && at > level; at--) {
		unsigned int shift = leaf_bits() + (at - 1) * table_bits();

		*slot = *node + (key >> shift) % (1 << table_bits()) * 8;
		err = table_entry(*slot, node);
	}

	return err;
}

static int key_add(u64 key)
{
	u64 leaf, slot, word, bit = key % (1 << leaf_bits());
	int err = map_node(key, 0, &leaf, &slot);

	leaf += bit / 64 * 8;
	if (!err)
		err = memory_read(&word, sizeof(word), leaf);
	word |= 1ull << bit % 64;

	return err ?: memory_write(&word, sizeof(word), leaf);
}

/* Sets @leaf to the leaf for @key, or to 0 if it does not exist. */
static int map_leaf(u64 root, u64 key, u64 *leaf)
{
	int err = 0;

	*leaf = root;
	for (unsigned int at = root_level(); !err && *leaf && at; at--) {
		unsigned int shift = leaf_bits() + (at - 1) * table_bits();

		err = memory_read(leaf, sizeof(*leaf), *leaf +
				  (key >> shift) % (1 << table_bits()) * 8);
	}

	return err;
}

/* Counts the keys from @key to @last, which have the same leaf. */
static int map_count_leaf(u64 root, u64 key, u64 last, unsigned int *nr)
{
	static u8 bits[PAGE_MAX];
	u64 leaf, mask = (1 << leaf_bits()) - 1;
	int err = map_leaf(root, key, &leaf);

	if (err || !leaf)
		return err;
	err = memory_read(bits, page_size, leaf);
	for (; !err && key <= last; key++)
		*nr += bits[(key & mask) / 8] >> key % 8 & 1;

	return err;
}

int map_count(u64 pa, u64 len, unsigned int *nr)
{
	u64 root;
	int err = kho_fdt_u64(OUT_FDT, "", "preserved-memory-map", &root);

	*nr = 0;
	for (unsigned int order = 0; order < 64 - 2 * page_shift(); order++) {
		u64 last = map_key(pa + len - 1, order);

		for (u64 key = map_key(pa, order), end; !err && key <= last;
		     key = end + 1) {
			end = min(key | ((1 << leaf_bits()) - 1), last);
			err = map_count_leaf(root, key, end, nr);
		}
	}

	return err;
}

/* Functions for places; @rest is the text after the first colon. */

static int place_spare(char *rest, u64 *value)
{
	(void)rest;

	return spare_page(value);
}

static int place_scratch(char *rest, u64 *value)
{
	u64 size;

	return scratch_area(strtoul(rest, NULL, 0), value, &size);
}

static int place_memfd(char *rest, u64 *value)
{
	int fd = fd_find(rest), err;
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	err = page_address(map, value);
	munmap(map, page_size);

	return err;
}

static int place_file(char *rest, u64 *value)
{
	char *token = strchr(rest, ':');

	if (!token)
		return problem(-EINVAL, "wants file:SESSION:TOKEN");
	*token++ = '\0';

	return file_record(rest, strtoull(token, NULL, 0), value);
}

/*
 * Adds the offset of a property to @value, the address of its tree.  @rest is
 * NODE:PROP, or "" for the tree itself.
 */
static int add_property(const char *path, char *rest, u64 *value)
{
	static struct blob blob;
	char *prop = strchr(rest, ':');
	const u8 *found;
	size_t len;
	int err;

	if (!*rest)
		return 0;
	if (!prop)
		return problem(-EINVAL, "wants NODE:PROPERTY");
	*prop++ = '\0';

	err = blob_read(&blob, path);
	if (err)
		return err;
	found = fdt_prop(&blob, rest, prop, &len);
	if (!found)
		return problem(-ENOENT, "%s has no %s", rest, prop);
	*value += found - blob.bytes;

	return 0;
}

static int place_root(char *rest, u64 *value)
{
	static u64 root;
	int err = root ? 0 : root_address(&root);

	*value = root;

	return err ?: add_property(OUT_FDT, rest, value);
}

static int place_sub(char *rest, u64 *value)
{
	char *more = strchr(rest, ':');
	int err;

	if (more)
		*more++ = '\0';
	err = kho_fdt_u64(OUT_FDT, rest, "preserved-data", value);

	return err ?: add_property(textf(KHO_DIR "out/sub_fdts/%s", rest),
				   more ? more : "", value);
}

/* @rest: LEVEL:ORDER:PLACE */
static int map_path(char *rest, u64 *node, u64 *slot)
{
	unsigned int level, order;
	u64 pa;
	int len = 0;

	if (sscanf(rest, "%u:%u:%n", &level, &order, &len) != 2 || !len)
		return problem(-EINVAL, "wants LEVEL:ORDER:PLACE");

	return evaluate(rest + len, &pa) ?:
	       map_node(map_key(pa, order), level, node, slot);
}

static int place_node(char *rest, u64 *value)
{
	u64 slot;

	return map_path(rest, value, &slot);
}

static int place_slot(char *rest, u64 *value)
{
	u64 node;

	return map_path(rest, &node, value);
}

static const struct place {
	const char *name;
	int (*find)(char *rest, u64 *value);
} places[] = {
	{ "spare", place_spare },	/* a page that is not preserved */
	{ "scratch", place_scratch },	/* scratch:N, start of the area */
	{ "memfd", place_memfd },	/* memfd:NAME, its first page */
	{ "file", place_file },		/* file:SESSION:TOKEN, the record */
	{ "root", place_root },		/* root[:NODE:PROPERTY] */
	{ "sub", place_sub },		/* sub:NAME[:NODE:PROPERTY] */
	{ "node", place_node },		/* node:LEVEL:ORDER:PLACE in the map */
	{ "slot", place_slot },		/* the same for the table entry that leads to the node */
};

static int place_find(char *text, u64 *value)
{
	char *rest = strchr(text, ':');

	if (rest)
		*rest++ = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
		if (!strcmp(places[i].name, text))
			return places[i].find(rest ? rest : "", value);
	}

	return parse_u64(text, value);
}

static int evaluate(const char *text, u64 *value)
{
	size_t len = strcspn(text, "+/>");
	char place[WORDS], *end;
	int64_t number;
	int err;

	if (len >= sizeof(place))
		return problem(-EINVAL, "too long: %s", text);
	memcpy(place, text, len);
	place[len] = '\0';

	err = place_find(place, value);
	for (text += len; !err && *text; text = end) {
		if (*text == '>') {
			err = memory_read(value, sizeof(*value), *value);
			end = (char *)text + 1;
			continue;
		}
		number = strtoll(text + 1, &end, 0);
		if (*end == 'P') {
			number *= page_size;
			end++;
		}
		if (end == text + 1 || (*text == '/' && !number))
			err = problem(-EINVAL, "no number at %s", text);
		else if (*text == '+')
			*value += number;
		else
			*value /= number;
	}

	return err;
}

#define DEFINE_HARM(name, ...)							\
	DEFINE_STEP(name, (const char *where, const char *what, int number),	\
		    (where, what, number), __VA_ARGS__)

/* Writes @number bits. */
DEFINE_HARM(poke, "poke %s %s%d %s", where, number < 0 ? "be" : "", abs(number), what)
{
	u64 at, value;
	u32 big;
	int err = evaluate(where, &at) ?: evaluate(what, &value);

	if (err)
		return err;
	note("%s is %#llx, gets %#llx", where, at, value);
	if (number != POKE_BIG_ENDIAN)
		return memory_write(&value, number / 8, at);
	big = htobe32(value);

	return memory_write(&big, sizeof(big), at);
}

/* Fills @what bytes with the byte @number. */
DEFINE_HARM(fill, "fill %s %s %d", where, what, number)
{
	u8 bytes[PAGE_MAX];
	u64 at, len;
	int err = evaluate(where, &at) ?: parse_u64(what, &len);

	if (err || len > sizeof(bytes))
		return err ?: problem(-EINVAL, "more than a page");
	memset(bytes, number, len);

	return memory_write(bytes, len, at);
}

/* Copies @number bytes. */
DEFINE_HARM(copy, "copy %s %s %d", where, what, number)
{
	u8 bytes[PAGE_MAX];
	u64 to, from;

	return evaluate(where, &to) ?:
	       evaluate(what, &from) ?:
	       memory_read(bytes, number, from) ?:
	       memory_write(bytes, number, to);
}

/* @text is the order of a block, or its size as "2^BITS". */
static int parse_order(const char *text, u64 *order)
{
	int bits = !strncmp(text, "2^", 2);
	int err = parse_u64(text + 2 * bits, order);

	if (!err && bits)
		*order -= page_shift();

	return err;
}

/* @what: the size of the block at @where, or NULL if @where is the key itself. */
DEFINE_HARM(map_add, "map-add %s %s", where, what ? what : "")
{
	u64 value, order;
	int err = evaluate(where, &value);

	if (!err && what) {
		err = parse_order(what, &order);
		value = map_key(value, order);
	}

	return err ?: key_add(value);
}

/* Adds keys for all aligned blocks of this size within scratch area @number. */
DEFINE_HARM(map_cover, "map-cover %d %s", number, what)
{
	u64 order, start, size, bytes;
	int err = parse_order(what, &order) ?: scratch_area(number, &start, &size);

	if (err)
		return err;
	bytes = page_size << order;
	for (u64 pa = (start + bytes - 1) & -bytes;
	     !err && pa + bytes <= start + size; pa += bytes)
		err = key_add(map_key(pa, order));

	return err;
}

/*
 * Sets the size (@number is 1), or the start, of the last area.  The array is at
 * the start of a page, at an unknown address: search for it.  Copies of it are
 * changed as well, until this kernel reports the change.
 */
DEFINE_HARM(scratch_set, "scratch-set %s %s", number ? "size" : "start", what)
{
	u64 area[64], value, pa, seen[2];
	struct wanted wanted = { area, 0, page_size };
	unsigned int count = 0;
	int err = 0;

	while (count < ARRAY_SIZE(area) / 2 &&
	       !scratch_area(count, &area[2 * count], &area[2 * count + 1]))
		count++;
	if (!err && !count)
		err = problem(-ENOENT, "no scratch areas");
	if (!err)
		err = evaluate(what, &value);
	if (err)
		return err;

	wanted.len = count * 16;
	do {
		err = ram_search(&wanted, &pa) ?:
		      memory_write(&value, sizeof(value),
				   pa + (count - 1) * 16 + number * 8) ?:
		      scratch_area(count - 1, &seen[0], &seen[1]);
	} while (!err && seen[number] != value);

	return err;
}

/*
 * The boot parameters of a loaded image: address and size of the root tree, and
 * of the array of scratch areas, 64 bits each.
 */
struct boot_words {
	u32 bytes[4];	/* bytes to search for */
	unsigned int len;
	int tree, scratch;	/* offsets from these bytes */
	bool big_endian;
};

#ifdef __x86_64__
/* Type and length of setup_data, see arch/x86/include/uapi/asm/setup_data.h. */
static void boot_words(struct boot_words *boot, u64 root)
{
	*boot = (struct boot_words){ { 10, 32 }, 16, 8, 24, false };
	memcpy(&boot->bytes[2], &root, sizeof(root));
}
#else
/*
 * Properties of the device tree.  The property with the scratch areas was added
 * last and comes first; tag, length and name are between the two.
 */
static void boot_words(struct boot_words *boot, u64 root)
{
	u64 words[2] = { htobe64(root), htobe64(page_size) };

	*boot = (struct boot_words){ { 0 }, 16, 0, -28, true };
	memcpy(boot->bytes, words, sizeof(words));
}
#endif

/*
 * Sets the parameter at offset @number.  Also changes copies that are left from
 * loading the image.  The search must not find the pattern of this process.
 */
DEFINE_HARM(boot_set, "boot-set %d %s", number, what)
{
	/* Not at a multiple of 4, unlike the bytes in an image. */
	static u8 pattern[sizeof(struct boot_words) + 1];
	struct boot_words boot;
	struct wanted wanted = { &pattern[1], 0, 4 };
	u64 value, root, pa, nr = 0;
	int err = evaluate(what, &value) ?: root_address(&root);

	if (err)
		return err;
	boot_words(&boot, root);
	wanted.len = boot.len;
	memcpy(&pattern[1], boot.bytes, boot.len);
	memset(boot.bytes, 0, sizeof(boot.bytes));
	number += number < 16 ? boot.tree : boot.scratch - 16;
	if (boot.big_endian)
		value = htobe64(value);

	while (!ram_search(&wanted, &pa)) {
		err = memory_write(&value, sizeof(value), pa + number);
		if (err)
			return err;
		nr++;
		wanted.from = (pa & -page_size) + page_size;
	}

	return nr ? 0 : problem(-ENOENT, "no image is loaded");
}
