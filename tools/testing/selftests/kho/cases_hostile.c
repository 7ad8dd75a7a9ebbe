// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of hostile handovers: a damaged field, and the expected result.
 *
 * A guest goes through many kernels.  Each kernel damages its handover data, by
 * one row of the table or by several independent ones.  The next kernel must
 * boot, log the damage, keep all other data, and continue with the next rows.
 */

#include "hostile.h"

#define IN		"/sys/kernel/debug/kho/in"
#define FAR		"0x4000000000"	/* a valid physical address, without memory */
#define LAST_SIZE	"0x20000000"	/* of the last scratch area, aligned for all page sizes */
#define TOP		"0xfffffffffffff000"	/* the last page of the address space */
#define MAP		"root::preserved-memory-map"
#define INFO		"sub:kho_test:data:folios_info"
#define START		"sub:memblock:khotest:start"
/* A copy of the header of LUO, with another address of its sessions. */
#define LUO_SESSIONS(where) \
	COPY("memfd:@p", "sub:LUO", 40), POKE("memfd:@p+24", where), \
	POKE("root:LUO:preserved-data", "memfd:@p")
#define X64		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* Handover data of each kernel; a row loses some of it. */
enum { FILES = 1, FOLIOS = 2, REGION = 4, ALL = 8, COLD = 16 };
#define EVERYTHING	(FILES | FOLIOS | REGION)

struct row {
	const char *name;
	struct harm harm[HARMS];
	bool beside;		/* in the same kernel as the preceding row */
	const char *log;	/* line in the log of the next kernel, if any */
	unsigned int loses;
	const char *see;	/* a command that must succeed in the next kernel */
	void (*then)(unsigned int hop);		/* further checks, in the kernel after that hop */
};

/* ---- handover data of each kernel: with new names, as old files stay open */

static struct memfd files[5];

/*
 * Names the files of a hop, such as "3a".  Rows have "@" in place of the number,
 * which harm_all() replaces.
 */
static void name_files(unsigned int hop)
{
	static const struct memfd made[5] = {
		{ "a", MIB, 1 }, { "b", 5000, 2 }, { "c", 300000, 3 },
		{ "h", 2 * MIB, 5 }, { "x", 5, 6 },
	};

	for (int i = 0; i < 5; i++) {
		files[i] = made[i];
		files[i].name = textf("%u%s", hop, made[i].name);
	}
}

static void hand_over(unsigned int hop, unsigned int there)
{
	name_files(hop);
	if (there & REGION)
		region_fill("khotest", 77);
	STEP(step_keep("main", files, 2));
	STEP(step_keep("other", files + 2, 1));
	keep("page", ONE(textf("%up", hop), 4096, 4));
	use_huge_folios(true);
	STEP(step_keep("huge", files + 3, 2));
	use_huge_folios(false);
}

/*
 * The memory of the file has a second key.  The owner of the file is the first to
 * restore the memory, and gets all of it.
 */
static void huge_comes_back(unsigned int hop)
{
	name_files(hop);
	session_get("huge");
	retrieve("huge", 1, files[3].name);
	check(&files[3]);
	close_fd("huge");
}

static const struct row users_rows[] = {
	{ "luo-nowhere", { POKE("root:LUO:preserved-data", NOWHERE) },
	  .log = "subtree 'LUO': not preserved", .loses = FILES },
	{ "test-size-0", { POKE("root:kho_test:blob-size", "0") }, .beside = true,
	  .log = "subtree 'kho_test': not preserved", .loses = FOLIOS },
	{ "memblock-wraps", { POKE("root:memblock:blob-size", "0xffffffffffff0000") },
	  .beside = true, .log = "subtree 'memblock': not preserved", .loses = REGION },
	{ "metadata-foreign", { POKE("root:kexec-metadata:preserved-data", "spare") },
	  .beside = true, .log = "subtree 'kexec-metadata': not preserved" },
	{ "root-magic", { POKE_BE32("root", "0x12345678") },
	  .log = "root tree: invalid FDT (FDT_ERR_BADMAGIC", .loses = COLD },
	{ "luo-size-huge", { POKE("root:LUO:blob-size", "0x10000000000") },
	  .log = "subtree 'LUO': not preserved", .loses = FILES },
	{ "memblock-foreign", { POKE("root:memblock:preserved-data", "spare") },
	  .beside = true, .log = "subtree 'memblock': not preserved", .loses = REGION },
	{ "test-unaligned", { POKE("root:kho_test:preserved-data", "sub:kho_test+8") },
	  .beside = true, .log = "subtree: not preserved", .loses = FOLIOS },
	{ "metadata-size-small", { POKE("root:kexec-metadata:blob-size", "8") },
	  .beside = true, .log = "kexec-metadata: invalid size (8 bytes" },
	{ "root-totalsize-huge", { POKE_BE32("root+4", "0x100000") },
	  .log = "root tree: invalid FDT (larger than its memory", .loses = COLD },
	{ "luo-unaligned", { POKE("root:LUO:preserved-data", "sub:LUO+8") },
	  .log = "incoming state: not preserved", .loses = FILES },
	{ "test-size-huge", { POKE("root:kho_test:blob-size", "0x4000000000000000") },
	  .beside = true, .log = "subtree 'kho_test': not preserved", .loses = FOLIOS },
	{ "memblock-size-0", { POKE("root:memblock:blob-size", "0") }, .beside = true,
	  .log = "subtree 'memblock': not preserved", .loses = REGION },
	{ "metadata-wraps",
	  { POKE("root:kexec-metadata:preserved-data", "0xffffffffffffff00") },
	  .beside = true, .log = "subtree 'kexec-metadata': not preserved" },
	{ "root-totalsize-small", { POKE_BE32("root+4", "0x20") },
	  .log = "root tree: invalid FDT (", .loses = COLD },
	{ "luo-address-length", { POKE_BE32("root:LUO:preserved-data+-8", "7") },
	  .log = "'LUO': invalid address or size", .loses = FILES },
	{ "metadata-version", { POKE32("sub:kexec-metadata", "2") }, .beside = true,
	  .log = "incompatible version (2, expected 1)" },
	{ "region-start-unaligned", { POKE(START, ODD) }, .beside = true,
	  .log = "'khotest' has wrong alignment", .loses = REGION },
	{ "test-magic", { POKE_BE32("sub:kho_test", "1") }, .beside = true,
	  .log = "invalid device tree (", .loses = FOLIOS },
	{ "root-struct-beyond", { POKE_BE32("root+8", "0xffffff00") },
	  .log = "root tree: invalid FDT (", .loses = COLD },
	{ "sessions-nowhere", { LUO_SESSIONS(NOWHERE) },
	  .log = "all sessions are lost", .loses = FILES },
	{ "metadata-endless", { FILL("sub:kexec-metadata+4", "65", 120) },
	  .beside = true, .log = "exec from: " X64 " (count" },
	{ "region-size-wrong", { POKE("sub:memblock:khotest:size", "0x800000") },
	  .beside = true, .log = "'khotest' has wrong size", .loses = REGION },
	{ "test-totalsize", { POKE_BE32("sub:kho_test+4", "0x1000000") },
	  .beside = true, .log = "invalid device tree (", .loses = FOLIOS },
	{ "root-struct-shifted", { POKE_BE32("root+8", "0x3c") },
	  .log = "compat: ", .loses = COLD },
	{ "sessions-unaligned", { LUO_SESSIONS(ODD) },
	  .log = "all sessions are lost", .loses = FILES },
	{ "metadata-count", { POKE32("sub:kexec-metadata+69", "0xffffffff") },
	  .beside = true, .log = "(count 4294967295)" },
	{ "memblock-magic", { POKE_BE32("sub:memblock", "1") }, .beside = true,
	  .log = "'memblock' is incompatible", .loses = REGION },
	{ "test-nr-folios", { POKE32("sub:kho_test:data:nr_folios", "0xffffffff") },
	  .beside = true, .log = "header: invalid", .loses = FOLIOS },
	{ "root-strings-beyond", { POKE_BE32("root+12", "0x7fffffff") },
	  .log = "root tree: invalid FDT (", .loses = COLD },
	/* This loses the region permanently, so it is the last. */
	{ "region-start-foreign", { POKE(START, "memfd:@a") },
	  .log = "not in preserved memory", .loses = REGION },
};

static const struct row users_more_rows[] = {
	{ "sessions-foreign", { LUO_SESSIONS("spare") },
	  .log = "all sessions are lost", .loses = FILES },
	{ "region-size-0", { POKE("sub:memblock:khotest:size", "0") }, .beside = true,
	  .log = "'khotest' has wrong size", .loses = REGION },
	{ "test-chunk-nowhere", { POKE(INFO, NOWHERE) }, .beside = true,
	  .log = "vmalloc area: chunk not preserved", .loses = FOLIOS },
	{ "root-version", { POKE_BE32("root+20", "99"), POKE_BE32("root+24", "99") },
	  .log = "root tree: invalid FDT (FDT_ERR_BADVERSION", .loses = COLD },
	{ "flbs-nowhere", { POKE("sub:LUO+32", NOWHERE) }, .log = "all FLBs are lost" },
	{ "luo-number", { POKE("sub:LUO+16", HUGE_NUMBER) }, .beside = true,
	  .log = "liveupdate number: 18446744073709551615" },
	{ "test-order-huge", { POKE16(INFO "+14", "40") }, .beside = true,
	  .log = "vmalloc area: order out of range", .loses = FOLIOS },
	{ "memblock-totalsize", { POKE_BE32("sub:memblock+4", "0x7fffffff") },
	  .beside = true, .log = "'memblock' is incompatible", .loses = REGION },
	{ "root-struct-short", { POKE_BE32("root+36", "8") },
	  .log = "disabling KHO revival", .loses = COLD },
	{ "memblock-struct-beyond",
	  { POKE_BE32("sub:memblock+4", "0x7ffffffe"), POKE_BE32("sub:memblock+8", "0x7ff00000") },
	  .log = "'memblock' is incompatible", .loses = REGION },
	{ "map-length", { POKE_BE32(MAP "+-8", "7") },
	  .log = "root tree: invalid memory map address", .loses = COLD },
	{ "flbs-unaligned", { POKE("sub:LUO+32", ODD) }, .log = "all FLBs are lost" },
	{ "test-next-self", { POKE(INFO ">", INFO ">") }, .beside = true,
	  .log = "vmalloc area: partial chunk before the last one", .loses = FOLIOS },
	{ "map-zero", { POKE(MAP, "0") },
	  .log = "root tree: invalid memory map address", .loses = COLD },
	{ "flbs-foreign", { POKE("sub:LUO+32", "spare") }, .log = "all FLBs are lost" },
	{ "test-entry-foreign", { POKE(INFO ">+8", "spare") }, .beside = true,
	  .log = "vmalloc area: page not preserved", .loses = FOLIOS },
	{ "map-unaligned", { POKE(MAP, ODD) },
	  .log = "root tree: invalid memory map address", .loses = COLD },
	{ "flbs-pages", { POKE("sub:LUO+32>", "7") },
	  .log = "FLB records: invalid size" },
	{ "test-folio-nowhere", { POKE(INFO ">+8>", NOWHERE) }, .beside = true,
	  .log = "folio 0x0000200000010000: not preserved", .loses = FOLIOS },
	{ "map-missing", { POKE_BE32(MAP "+-4", "12") },
	  .log = "root tree: invalid memory map address", .loses = COLD },
	{ "flbs-count", { OFFER_FLBS("@p", "nobody-v1"), POKE("memfd:@p+8", "10000") },
	  .log = "FLB records: too many" },
	{ "test-csum", { POKE32("sub:kho_test:data:csum", "1") }, .beside = true,
	  .log = "checksum", .loses = FOLIOS },
	{ "scratch-unaligned", { SCRATCH_SIZE(LAST_SIZE), SCRATCH_START(ODD) },
	  .log = "misaligned or out of range (0x0000000020000000 bytes at 0x0000000000123457", .loses = COLD },
	{ "scratch-size-odd", { SCRATCH_SIZE("0x1001") },
	  .log = "misaligned or out of range (0x0000000000001001 bytes at", .loses = COLD },
	{ "scratch-wraps", { SCRATCH_SIZE(LAST_SIZE), SCRATCH_START(TOP) },
	  .log = "misaligned or out of range (0x0000000020000000 bytes at 0xfffffffffffff000", .loses = COLD },
	{ "scratch-nowhere",
	  { SCRATCH_SIZE(LAST_SIZE), SCRATCH_START("0x200000000000") },
	  .log = ": not in RAM (0x0000000020000000 bytes at 0x0000200000000000)", .loses = COLD },
	/* 32 MiB with pages of 4 KiB, more with larger pages */
	{ "scratch-overlap", { SCRATCH_SIZE("8192P"), SCRATCH_START("scratch:0") } },
	{ "scratch-empty", { SCRATCH_SIZE("0") } },
	/* This loses the region permanently, so it is the last. */
	{ "region-start-nowhere", { POKE(START, NOWHERE) },
	  .log = "not in preserved memory", .loses = REGION },
};

static const struct row map_rows[] = {
	{ "key-beyond-ram", { MAP_ADD(NOWHERE, "0") },
	  .see = "dmesg | grep \"[[]0x0000200000010000-0x[0-9a-f]*]: discarded, not in RAM\"" },
	{ "key-in-hole",
	  { MAP_ADD(HOLE, "0") }, .beside = true,
	  .see = "dmesg | grep \"[[]0x00000000000a0000-0x[0-9a-f]*]: discarded, not in RAM\"" },
	{ "key-of-no-order", { MAP_KEY("5"), MAP_KEY("0") }, .beside = true },
	{ "key-too-wide", { MAP_KEY("0x40000000000000") }, .beside = true },
	/* A duplicate key does not split memory: the first owner gets all of it. */
	{ "key-twice", { MAP_ADD("memfd:@h", "0") }, .beside = true,
	  .log = "duplicate, the first owner gets it", .then = huge_comes_back },
	{ "root-twice", { MAP_ADD("root", "1") }, .beside = true,
	  .log = "duplicate, the first owner gets it" },
	{ "key-over-node", { MAP_ADD("node:0:0:memfd:@a", "0") }, .beside = true,
	  .log = "discarded, in use by this kernel" },
	/* These keys cover the memory that the next kernel is loaded to. */
	{ "key-kernel", { MAP_COVER(0, "2^22"), MAP_COVER(1, "2^22") },
	  .log = "discarded, in " },
	{ "key-in-scratch", { MAP_ADD("scratch:0", "2^22") }, .log = "discarded, in " },
	/*
	 * 32768 bits of a leaf are set.  Its keys cover free memory, memory in use and
	 * memory of owners, but not all memory outside scratch areas, which would leave
	 * none to the kernel.  With pages of 4 KiB, this is the whole leaf.
	 * test_kho restores its folios without their size, so it cannot
	 * distinguish them from stale pages.
	 */
	{ "leaf-full", { FILL("node:0:0:root", "4096", 255) }, .beside = true,
	  .log = "discarded, in use by this kernel", .loses = FOLIOS },
	{ "key-order-huge", { MAP_ADD("0", "2^45") }, .beside = true,
	  .log = "[0x0000000000000000-0x00001fffffffffff]: discarded, not in RAM" },
	{ "region-twice", { MAP_ADD(START ">+4096", "0") },
	  .log = "duplicate, the first owner gets it" },
	{ "map-nowhere", { POKE(MAP, NOWHERE) },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "map-in-scratch", { POKE(MAP, "scratch:0") },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "map-empty", { POKE(MAP, "spare") },
	  .log = "root tree: not preserved", .loses = ALL },
	{ "entry-nowhere", { POKE("slot:1:0:memfd:@a", NOWHERE) },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "entry-unaligned", { POKE("slot:1:0:memfd:@a", ODD) },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "entry-in-scratch", { POKE("slot:0:0:memfd:@a", "scratch:0") },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "entry-self", { POKE("slot:2:0:memfd:@a", "node:3:0:memfd:@a") },
	  .log = "handover: discarded, invalid root tree or memory map", .loses = ALL },
	{ "entry-root", { POKE("slot:0:0:memfd:@a+64", MAP ">") },
	  .log = "handover: discarded, invalid memory map:", .loses = ALL },
	{ "entry-shared-child", { POKE("slot:0:0:memfd:@a+64", "slot:0:0:memfd:@a>") },
	  .log = "handover: discarded, invalid memory map:", .loses = ALL },
	{ "entry-leaf-as-table", { POKE("slot:1:0:memfd:@a", "node:0:0:memfd:@a") },
	  .log = "memory map: invalid node address", .loses = ALL },
	{ "table-of-itself",
	  { POKE(MAP ">", MAP ">"), COPY(MAP ">+8", MAP ">", 8), COPY(MAP ">+16", MAP ">", 16),
	    COPY(MAP ">+32", MAP ">", 32), COPY(MAP ">+64", MAP ">", 64), COPY(MAP ">+128", MAP ">", 128),
	    COPY(MAP ">+256", MAP ">", 256), COPY(MAP ">+512", MAP ">", 512),
	    COPY(MAP ">+1024", MAP ">", 1024), COPY(MAP ">+2048", MAP ">", 2048) },
	  .log = "memory map: loop detected", .loses = ALL },
};

static const struct row boot_rows[] = {
	{ "boot-tree-size-0", { LOADED, BOOT(8, "0") },
	  .log = "root tree: failed to map (0 bytes at", .loses = COLD },
	{ "boot-tree-size-huge", { LOADED, BOOT(8, "0x10000000000") },
	  .log = "root tree: failed to map (1099511627776 bytes at", .loses = COLD },
	{ "boot-tree-size-small", { LOADED, BOOT(8, "32") },
	  .log = "root tree: failed to map (32 bytes at", .loses = COLD },
	{ "boot-scratch-size-0", { LOADED, BOOT(24, "0") },
	  .log = "scratch array: failed to map (0 bytes at", .loses = COLD },
	{ "boot-scratch-size-odd", { LOADED, BOOT(24, "17") },
	  .log = "scratch array: invalid size (17 bytes)", .loses = COLD },
	{ "boot-scratch-size-huge", { LOADED, BOOT(24, "0x10000000000") },
	  .log = "scratch array: failed to map (1099511627776 bytes at", .loses = COLD },
	/*
	 * Addresses outside of RAM are not read.  The logged size of the root
	 * tree depends on the page size.
	 */
	{ "boot-tree-nowhere",
	  { LOADED, BOOT(0, FAR) }, .loses = COLD,
	  .see = "dmesg | grep -E \"root tree: failed to map .[0-9]+ bytes at 0x0000004000000000.$\"" },
	{ "boot-scratch-nowhere",
	  { LOADED, BOOT(16, FAR) }, .loses = COLD,
	  .see = "dmesg | grep -E \"scratch array: failed to map .[0-9]+ bytes at 0x0000004000000000.$\"" },
};

/* ---- expected incoming data */

static void files_are(bool lost, unsigned int hop)
{
	if (lost) {
		fails(ENOENT, session_get("main"));
		fails(ENOENT, session_get("other"));
		return;
	}
	name_files(hop);
	STEP(step_claim("main", files, 2, true));
	STEP(step_claim("other", files + 2, 1, true));
	claim_none("page");
	claim_none("huge");
}

static void folios_are(bool lost)
{
	if (lost)
		logged("KHO restore succeeded", 0);
	else
		logs("KHO restore succeeded");
}

/*
 * A region may be reported as revived first, and as lost when its memory is
 * checked.
 */
static void region_is(bool lost)
{
	if (lost) {
		run("test $(dmesg | grep -c 'Revived memory') -eq $(dmesg | grep -c \"'khotest' is lost\")");
		return;
	}
	logs("Revived memory reservation 'khotest'");
	region_check("khotest", 77);
}

static void fate(unsigned int loses, unsigned int there, unsigned int hop)
{
	unsigned int lost = loses & (ALL | COLD) ? there : loses;

	if (there & FILES)
		files_are(lost & FILES, hop);
	if (there & FOLIOS)
		folios_are(lost & FOLIOS);
	if (there & REGION)
		region_is(lost & REGION);
}

/*
 * Data that the next kernel hands over.  If it boots warm without the region,
 * it allocates the region in scratch memory, which cannot be preserved.
 */
static unsigned int left(unsigned int loses, unsigned int there)
{
	unsigned int lost = loses & there & FOLIOS;

	if (loses & COLD)
		lost = 0;
	else if (loses & (ALL | REGION) || !(there & REGION))
		lost |= REGION;

	return EVERYTHING & ~lost;
}

/* ---- the way through the kernels */

struct chain {
	const struct row *rows;
	unsigned int nr;
};

/* Sets @first to the first row of a hop; returns the number of its rows. */
static unsigned int rows_of_hop(const struct chain *chain, unsigned int hop, unsigned int *first)
{
	unsigned int at = 0, nr = 1;

	for (;; at++) {
		if (at == chain->nr)
			return 0;
		if (!chain->rows[at].beside && !hop--)
			break;
	}
	*first = at;
	while (at + nr < chain->nr && chain->rows[at + nr].beside)
		nr++;

	return nr;
}

static unsigned int losses(const struct chain *chain, unsigned int hop)
{
	unsigned int first = 0, nr = rows_of_hop(chain, hop, &first), loses = 0;

	while (nr--)
		loses |= chain->rows[first++].loses;

	return loses;
}

static void harm_is_seen(const struct chain *chain, unsigned int hop)
{
	unsigned int first = 0, nr = rows_of_hop(chain, hop, &first);

	for (const struct row *row = &chain->rows[first]; nr--; row++) {
		row_begins(row->name);
		if (row->log)
			logs(row->log);
		if (row->see)
			run("%s", row->see);
		if (row->then)
			row->then(hop);
	}
}

static void harm_is_done(const struct chain *chain, unsigned int hop)
{
	unsigned int first = 0, nr = rows_of_hop(chain, hop, &first);

	for (const struct row *row = &chain->rows[first]; nr--; row++) {
		row_begins(row->name);
		harm_all(row->harm, HARMS, textf("%u", hop));
	}
}

static void chain_hop(const struct chain *chain, unsigned int hop)
{
	unsigned int there = EVERYTHING, first;

	step_going_on(true);
	for (unsigned int past = 0; past + 1 < hop; past++)
		there = left(losses(chain, past), there);
	if (hop) {
		harm_is_seen(chain, hop - 1);
		fate(losses(chain, hop - 1), there, hop - 1);
		run("test ! -e " IN "/unclaimed || echo 1 > " IN "/release");
		churn_some();
		there = left(losses(chain, hop - 1), there);
	}
	if (!rows_of_hop(chain, hop, &first))
		return;
	hand_over(hop, there);
	harm_is_done(chain, hop);
}

static void chain_rows(const struct chain *chain, kho_test_row_fn each)
{
	for (unsigned int i = 0; i < chain->nr; i++) {
		const struct row *row = &chain->rows[i];

		each(row->name, row->log, row->loses & COLD ? "boots cold" :
		     row->loses & ALL ? "all lost, boots" :
		     row->loses & FILES ? "files lost, the rest kept" :
		     row->loses & FOLIOS ? "folios lost, the rest kept" :
		     row->loses & REGION ? "region lost, the rest kept" : "all kept");
	}
}

#define CHAIN(id, sentence, table, kernels, ...)				\
	static const struct chain id##_chain = { table, ARRAY_SIZE(table) };	\
	static void id##_rows_each(kho_test_row_fn each)			\
	{									\
		chain_rows(&id##_chain, each);					\
	}									\
	KHO_TEST(id, sentence, .hops = kernels, .deadline = 15 + 8 * (kernels),	\
		 .append = { "reserve_mem=4M:4096:khotest kho_scratch=64M,640M,128M" },	\
		 .memory = 1536, .rows = id##_rows_each, ##__VA_ARGS__)		\
	{									\
		chain_hop(&id##_chain, hop);					\
	}

CHAIN(hostile_users, "Damage to the data of one user loses the data of that user only.",
      users_rows, 14)
CHAIN(hostile_users_more, "Damage to more fields of one user loses the data of that user only.", users_more_rows, 21)
CHAIN(hostile_map, "A corrupted memory map loses only the memory it no longer describes.",
      map_rows, 16)
/* In Linux 7.2, purgatory detects the damage and stops. */
CHAIN(hostile_boot, "Damage to the data of the boot protocol loses the handover.",
      boot_rows, 9, .base = "7.3")
