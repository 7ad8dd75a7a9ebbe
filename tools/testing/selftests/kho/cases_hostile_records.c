// SPDX-License-Identifier: GPL-2.0
/*
 * A case of damaged records, which are only read when user space needs them.
 * Each row has a session with two files.  The second kernel damages the record
 * of the session or of the second file before it is read.
 */

#include "hostile.h"

#define SER	"file:@:2+48>"		/* the description of the second file */
#define CHUNK	SER "+32>"		/* of the list of its folios */
#define FOLIO	CHUNK "+8>"		/* the first one, with flags above its frame number */

#define GONE	1			/* the session cannot be retrieved */

struct record {
	const char *name;
	struct harm harm[2];
	int fate[2];			/* errors of retrieving the two files, or 0 */
	const char *log;
	const char *size;		/* of the second file, if it is not three pages */
};

static const struct record records[] = {
	{ "name-endless", { SESSION("name", "endless") }, { GONE },
	  "invalid name, its memory stays unclaimed" },
	{ "name-twice", { SESSION("name", "first") }, { GONE },
	  "duplicate name, its memory stays unclaimed" },
	{ "name-empty", { SESSION("name", "empty") }, { GONE },
	  "invalid name, its memory stays unclaimed" },
	{ "files-nowhere", { SESSION("files", NOWHERE) }, { ENOENT, ENOENT },
	  "invalid records, all files are lost" },
	{ "files-unaligned", { SESSION("files", ODD) }, { ENOENT, ENOENT },
	  "invalid records, all files are lost" },
	{ "files-foreign", { SESSION("files", "0x9000") }, { ENOENT, ENOENT },
	  "invalid records, all files are lost" },
	{ "files-none", { SESSION("files", "0") }, { ENOENT, ENOENT },
	  "count mismatch (0 found, expected 2)" },
	{ "count-wrong", { SESSION("count", "7") }, { 0, 0 },
	  "count mismatch (2 found, expected 7)" },
	{ "block-count", { BLOCK("count", "10000") }, { ENOENT, ENOENT },
	  "record count out of range" },
	{ "block-short", { BLOCK("count", "1") }, { 0, ENOENT },
	  "count mismatch (1 found, expected 2)" },
	{ "next-self", { BLOCK("next", "self") }, { ENOENT, ENOENT },
	  "records after a partial block" },
	{ "next-circle", { BLOCK("count", "full"), BLOCK("next", "self") }, { ENOENT, ENOENT },
	  "record block: loop detected" },
	{ "next-nowhere", { BLOCK("next", NOWHERE) }, { ENOENT, ENOENT },
	  "record block: not preserved" },
	{ "token-twice", { RECORD("token", "1") }, { 0, ENOENT },
	  "token 0x1: duplicate, file is lost" },
	{ "handler-endless", { RECORD("handler", "endless") }, { 0, EOPNOTSUPP },
	  "compat: " },
	{ "data-none", { RECORD("data", "0") }, { 0, EINVAL },
	  "description not preserved (0" },
	{ "data-nowhere", { RECORD("data", NOWHERE) }, { 0, EINVAL },
	  "description not preserved (0x200000010000)" },
	{ "memfd-size", { POKE(SER "+8", "0x8000000000000000") }, { 0, EINVAL },
	  "memfd_luo: invalid size (" },
	{ "memfd-size-small", { POKE(SER "+8", "1") }, { 0, EINVAL },
	  "memfd_luo: invalid nr_folios (" },
	{ "memfd-pos", { POKE(SER "+0", HUGE_NUMBER) }, { 0, EINVAL },
	  "memfd_luo: invalid pos (" },
	{ "memfd-seals", { POKE32(SER "+16", "32768") }, { 0, EINVAL },
	  "memfd_luo: invalid seals (" },
	{ "memfd-flags", { POKE32(SER "+20", "1") }, { 0, EINVAL },
	  "memfd_luo: invalid flags (" },
	{ "memfd-folios-huge", { POKE(SER "+24", HUGE_NUMBER) }, { 0, EINVAL },
	  "memfd_luo: invalid nr_folios (" },
	{ "memfd-folios-capacity", { POKE(SER "+8", "0x10000000000"), POKE(SER "+24", "0x10000000") }, { 0, EINVAL },
	  "memfd_luo: invalid nr_folios (" },
	{ "memfd-folios-none", { POKE(SER "+24", "0") }, { 0, EINVAL },
	  "memfd_luo: invalid nr_folios (" },
	{ "memfd-folios-few", { POKE(SER "+24", "2") }, { 0, EINVAL },
	  "folios missing (nr_folios 2" },
	{ "list-pages-0", { POKE32(SER "+40", "0") }, { 0, EINVAL },
	  "memfd_luo: invalid nr_folios (" },
	{ "list-pages-huge", { POKE32(SER "+40", "0xffffffff") }, { 0, EINVAL },
	  "vmalloc area: number of pages out of range" },
	{ "list-flags", { POKE16(SER "+44", "16") }, { 0, EINVAL },
	  "vmalloc area: unknown flags" },
	{ "list-order-huge", { POKE16(SER "+46", "40") }, { 0, EINVAL },
	  "vmalloc area: order out of range" },
	{ "list-order", { POKE16(SER "+46", "1") }, { 0, EINVAL },
	  "vmalloc area: size misaligned to the order" },
	{ "chunk-none", { POKE(SER "+32", "0") }, { 0, EINVAL },
	  "vmalloc area: pages missing" },
	{ "chunk-nowhere", { POKE(SER "+32", NOWHERE) }, { 0, EINVAL },
	  "vmalloc area: chunk not preserved" },
	{ "chunk-unaligned", { POKE(SER "+32", ODD) }, { 0, EINVAL },
	  "vmalloc area: chunk not preserved" },
	{ "chunk-foreign", { POKE(SER "+32", "spare") }, { 0, EINVAL },
	  "vmalloc area: chunk not preserved" },
	{ "chunk-of-another", { POKE(SER "+32", "file:@:1+48>") }, { 0, EINVAL },
	  "vmalloc area: " },
	{ "chunk-next-self", { POKE(CHUNK, CHUNK) }, { 0, EINVAL },
	  "vmalloc area: partial chunk before the last one" },
	{ "chunk-next-nowhere", { POKE(CHUNK, NOWHERE) }, { 0, EINVAL },
	  "vmalloc area: partial chunk before the last one" },
	{ "page-none", { POKE(CHUNK "+8", "0") }, { 0, EINVAL },
	  "vmalloc area: pages missing" },
	{ "page-nowhere", { POKE(CHUNK "+8", NOWHERE) }, { 0, EINVAL },
	  "vmalloc area: page not preserved" },
	{ "page-unaligned", { POKE(CHUNK "+8", FOLIO "+8") }, { 0, EINVAL },
	  "vmalloc area: page not preserved" },
	{ "page-foreign", { POKE(CHUNK "+8", "spare") }, { 0, EINVAL },
	  "vmalloc area: page not preserved" },
	{ "page-too-many", { POKE(CHUNK "+16", FOLIO) }, { 0, EINVAL },
	  "vmalloc area: too many pages" },
	{ "page-twice", { POKE(CHUNK "+16", FOLIO) }, { 0, EINVAL },
	  "vmalloc area: ", .size = "4100P" },
	{ "pfn-none", { POKE(FOLIO, "0x30000000000000") }, { 0, EIO },
	  "folio not preserved (pfn" },
	{ "pfn-nowhere", { POKE(FOLIO, NOWHERE "/1P+0x30000000000000") }, { 0, EIO },
	  "folio not preserved (pfn" },
	{ "pfn-foreign", { POKE(FOLIO, "spare/1P+0x30000000000000") }, { 0, EIO },
	  "folio not preserved (pfn" },
	{ "pfn-twice", { POKE(FOLIO "+16", FOLIO ">") }, { 0, EIO },
	  "folio not preserved (pfn" },
	{ "pfn-of-another", { POKE(FOLIO, "file:@:1+48>+32>+8>>") }, { 0, EIO },
	  "folio not preserved (pfn" },
	{ "folio-flags", { POKE(FOLIO, FOLIO ">+0x40000000000000") }, { 0, EINVAL },
	  "folio 0: invalid flags (" },
	{ "index-order", { POKE(FOLIO "+8", "2") }, { 0, EINVAL },
	  "folio misplaced (index 2, order 0, expected index 0)" },
	{ "index-beyond", { POKE(FOLIO "+40", "1000") }, { 0, EINVAL },
	  "folio 2: invalid index (" },
	{ "index-unaligned", { POKE(FOLIO "+8", "1") }, { 0, EINVAL },
	  "folio misplaced (index 1, order", .size = "4M" },
};

static void files_of(const struct record *r, struct memfd *files)
{
	unsigned int number = r - records + 1;
	u64 size = 3 * page_size;

	if (r->size)
		parse_u64(r->size, &size);
	for (int i = 0; i < 2; i++)
		files[i] = (struct memfd){ textf("%s.%d", r->name, i + 1),
					   i ? size : 5000, 2 * number + i };
}

static void keep_record(const struct record *r)
{
	struct memfd files[2];

	files_of(r, files);
	use_huge_folios(r->size && strchr(r->size, 'M'));
	keep(r->name, files);
	close_fd(files[0].name);
	close_fd(files[1].name);
}

/* Twice, as the error is permanent. */
static void expect_file(const struct record *r, u64 token, int fate,
			const struct memfd *file)
{
	if (!fate) {
		retrieve(r->name, token, file->name);
		check(file);
		return;
	}
	fails(fate, retrieve(r->name, token, file->name));
	fails(fate, retrieve(r->name, token, file->name));
}

static void expect_record(const struct record *r)
{
	struct memfd files[2];

	row_begins(r->name);
	if (r->fate[0] == GONE) {
		fails(ENOENT, session_get(r->name));
		logs(r->log);
		return;
	}
	files_of(r, files);
	if (!r->fate[0] && r->fate[1])
		log_clear();
	session_get(r->name);
	for (int i = 0; i < 2; i++)
		expect_file(r, i + 1, r->fate[i], &files[i]);
	if (r->fate[1] == EOPNOTSUPP)
		finish_force(r->name);
	else
		finish(r->name);
	logs(r->log);
	close_fd(r->name);
	/* These lines are limited to ten in five seconds. */
	if (strstr(r->log, "vmalloc area: "))
		run("sleep 2");
}

static void records_each(kho_test_row_fn each)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
		const struct record *r = &records[i];
		const char *first = r->fate[0] ? strerrorname_np(r->fate[0]) : "fine";
		const char *second = r->fate[1] ? strerrorname_np(r->fate[1]) : "fine";

		each(r->name, r->log,
		     r->fate[0] == GONE ? "session lost, the others kept" :
		     !r->fate[0] && !r->fate[1] ? "all kept" :
		     textf("%s %s, other sessions kept", first, second));
	}
}

static const struct memfd first[] = { { "first1", 5000, 91 }, { "first2", MIB, 92 } };
static const struct memfd last[] = { { "last1", 5000, 91 }, { "last2", MIB, 92 } };

static void damaged_hop(void)
{
	step_going_on(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
		row_begins(records[i].name);
		harm_all(records[i].harm, ARRAY_SIZE(records[i].harm), records[i].name);
	}
	claim("first", first);
	for (unsigned int i = 0; i < ARRAY_SIZE(records); i++)
		expect_record(&records[i]);
	claim("last", last);
}

KHO_TEST(hostile_records, "A damaged record loses the data of that record only.",
	 .hops = 3, .memory = 512, .deadline = 60, .rows = records_each)
{
	static const struct memfd new[] = { { "n", 3 * MIB, 5 } };

	if (!hop) {
		keep("first", first);
		for (unsigned int i = 0; i < ARRAY_SIZE(records); i++)
			keep_record(&records[i]);
		keep("last", last);
	} else if (hop == 1) {
		damaged_hop();
		keep("next", new);
		churn_some();
	} else {
		claim("next", new);
	}
}
