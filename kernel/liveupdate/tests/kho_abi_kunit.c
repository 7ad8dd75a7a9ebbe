// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the ABI: each number, name and byte that another kernel relies
 * on, in the versions that this file lists.
 *
 * If a structure changes, its header needs a new version, and this file needs new
 * numbers.  These tests fail if only one of the two is changed.  Numbers are
 * written as literals on purpose: a constant from a header would change with the
 * header.
 *
 * The golden bytes are little-endian, as all machines with Kexec Handover are.
 */

#include <kunit/test.h>
#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/compat.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memblock.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho/abi/ptr.h>
#include <linux/kho/abi/radix_tree.h>
#include <linux/kho/abi/timeline.h>
#include <linux/kho/abi/vmalloc.h>
#include <linux/libfdt.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/stringify.h>

#include "../kexec_handover_internal.h"

/* A number that depends on the page size: 4, 16 and 64 KiB. */
#define PAGED(k4, k16, k64)						\
	(PAGE_SHIFT == 12 ? (k4) : PAGE_SHIFT == 14 ? (k16) : (k64))

enum { BLOCK, KHO, LUO, MEMBLOCK, MEMFD, METADATA, RADIX, RESERVE_MEM, TIMELINE, VMALLOC };

/* A version in this file, and the macro in its header. */
#define VERSION(macro, string)	{ #macro, string, macro }

static const struct version {
	const char *macro;
	const char *here;
	const char *now;
} versions[] = {
	[BLOCK] = VERSION(KHO_BLOCK_COMPATIBLE, "block-v1"),
	[KHO] = VERSION(KHO_FDT_COMPAT_BASE, "kho-v4"),
	[LUO] = VERSION(LUO_ABI_COMPAT_BASE, "luo-v5"),
	[MEMBLOCK] = VERSION(MEMBLOCK_KHO_NODE_COMPATIBLE, "memblock-v1"),
	[MEMFD] = VERSION(MEMFD_LUO_FH_COMPAT_BASE, "memfd-v2"),
	[METADATA] = { "KHO_KEXEC_METADATA_VERSION", "version 1",
		       "version " __stringify(KHO_KEXEC_METADATA_VERSION) },
	[RADIX] = VERSION(KHO_RADIX_COMPATIBLE, "radix-v1"),
	[RESERVE_MEM] = VERSION(RESERVE_MEM_KHO_NODE_COMPATIBLE, "reserve-mem-v1"),
	[TIMELINE] = VERSION(KHO_TIMELINE_COMPATIBLE, "timeline-v1"),
	[VMALLOC] = VERSION(KHO_VMALLOC_COMPATIBLE, "vmalloc-v1"),
};

KUNIT_ARRAY_PARAM_DESC(version, versions, here);

/* Sizes of the structures, and offsets and sizes of their fields. */
#define SIZE(version, type, bytes)					\
	{ version, #type, 0, bytes, 0, sizeof(type) }
#define FIELD(version, type, member, at, bytes)				\
	{ version, #type "." #member, at, bytes,			\
	  offsetof(type, member), sizeof_field(type, member) }

static const struct layout {
	int version;
	const char *name;
	size_t at, bytes;
	size_t now_at, now_bytes;
} layouts[] = {
	SIZE(RADIX, struct kho_radix_node, PAGE_SIZE),
	FIELD(RADIX, struct kho_radix_node, table, 0, PAGE_SIZE),
	FIELD(RADIX, struct kho_radix_node, table[0], 0, 8),
	SIZE(RADIX, struct kho_radix_leaf, PAGE_SIZE),
	FIELD(RADIX, struct kho_radix_leaf, bitmap, 0, PAGE_SIZE),

	/* Pointers of ptr.h have no version, but the structures around them have. */
	SIZE(VMALLOC, struct kho_vmalloc_hdr, 8),
	FIELD(VMALLOC, struct kho_vmalloc_hdr, next, 0, 8),
	FIELD(VMALLOC, struct kho_vmalloc_hdr, next.phys, 0, 8),
	SIZE(VMALLOC, struct kho_vmalloc_chunk, PAGE_SIZE),
	FIELD(VMALLOC, struct kho_vmalloc_chunk, hdr, 0, 8),
	FIELD(VMALLOC, struct kho_vmalloc_chunk, phys, 8, PAGE_SIZE - 8),
	FIELD(VMALLOC, struct kho_vmalloc_chunk, phys[0], 8, 8),
	SIZE(VMALLOC, struct kho_vmalloc, 16),
	FIELD(VMALLOC, struct kho_vmalloc, first, 0, 8),
	FIELD(VMALLOC, struct kho_vmalloc, first.phys, 0, 8),
	FIELD(VMALLOC, struct kho_vmalloc, total_pages, 8, 4),
	FIELD(VMALLOC, struct kho_vmalloc, flags, 12, 2),
	FIELD(VMALLOC, struct kho_vmalloc, order, 14, 2),

	SIZE(BLOCK, struct kho_block_header_ser, 16),
	FIELD(BLOCK, struct kho_block_header_ser, next, 0, 8),
	FIELD(BLOCK, struct kho_block_header_ser, count, 8, 8),

	/* A longer string moves the other members, which needs no new version. */
	SIZE(LUO, struct luo_ser, LUO_ABI_COMPAT_LEN + 24),
	FIELD(LUO, struct luo_ser, compatible, 0, LUO_ABI_COMPAT_LEN),
	FIELD(LUO, struct luo_ser, liveupdate_num, LUO_ABI_COMPAT_LEN, 8),
	FIELD(LUO, struct luo_ser, sessions_pa, LUO_ABI_COMPAT_LEN + 8, 8),
	FIELD(LUO, struct luo_ser, flbs_pa, LUO_ABI_COMPAT_LEN + 16, 8),
	SIZE(LUO, struct luo_file_ser, 64),
	FIELD(LUO, struct luo_file_ser, compatible, 0, 48),
	FIELD(LUO, struct luo_file_ser, data, 48, 8),
	FIELD(LUO, struct luo_file_ser, token, 56, 8),
	SIZE(LUO, struct luo_file_set_ser, 16),
	FIELD(LUO, struct luo_file_set_ser, files, 0, 8),
	FIELD(LUO, struct luo_file_set_ser, count, 8, 8),
	SIZE(LUO, struct luo_session_ser, 80),
	FIELD(LUO, struct luo_session_ser, name, 0, 64),
	FIELD(LUO, struct luo_session_ser, file_set_ser, 64, 16),
	SIZE(LUO, struct luo_flb_header_ser, 16),
	FIELD(LUO, struct luo_flb_header_ser, pgcnt, 0, 8),
	FIELD(LUO, struct luo_flb_header_ser, count, 8, 8),
	SIZE(LUO, struct luo_flb_ser, 64),
	FIELD(LUO, struct luo_flb_ser, name, 0, 48),
	FIELD(LUO, struct luo_flb_ser, data, 48, 8),
	FIELD(LUO, struct luo_flb_ser, count, 56, 8),

	SIZE(MEMFD, struct memfd_luo_folio_ser, 16),
	FIELD(MEMFD, struct memfd_luo_folio_ser, index, 8, 8),
	SIZE(MEMFD, struct memfd_luo_ser, 48),
	FIELD(MEMFD, struct memfd_luo_ser, pos, 0, 8),
	FIELD(MEMFD, struct memfd_luo_ser, size, 8, 8),
	FIELD(MEMFD, struct memfd_luo_ser, seals, 16, 4),
	FIELD(MEMFD, struct memfd_luo_ser, flags, 20, 4),
	FIELD(MEMFD, struct memfd_luo_ser, nr_folios, 24, 8),
	FIELD(MEMFD, struct memfd_luo_ser, folios, 32, 16),

	SIZE(METADATA, struct kho_kexec_metadata, 73),
	FIELD(METADATA, struct kho_kexec_metadata, version, 0, 4),
	FIELD(METADATA, struct kho_kexec_metadata, previous_release, 4, 65),
	FIELD(METADATA, struct kho_kexec_metadata, kexec_count, 69, 4),

	SIZE(TIMELINE, struct kho_timeline_ser, 288),
	FIELD(TIMELINE, struct kho_timeline_ser, compatible, 0, 16),
	FIELD(TIMELINE, struct kho_timeline_ser, hz, 16, 8),
	FIELD(TIMELINE, struct kho_timeline_ser, clock, 24, 4),
	FIELD(TIMELINE, struct kho_timeline_ser, reliable, 28, 4),
	FIELD(TIMELINE, struct kho_timeline_ser, at, 32, 256),
};

#define NUMBER(version, macro, value)	{ version, #macro, value, macro }

static const struct number {
	int version;
	const char *name;
	u64 here, now;
} numbers[] = {
	NUMBER(RADIX, KHO_RADIX_KEY_WIDTH, PAGED(53, 51, 49)),
	NUMBER(RADIX, KHO_TABLE_SIZE_LOG2, PAGED(9, 11, 13)),
	NUMBER(RADIX, KHO_BITMAP_SIZE_LOG2, PAGED(15, 17, 19)),
	NUMBER(RADIX, KHO_TREE_MAX_DEPTH, PAGED(6, 5, 4)),
	NUMBER(KHO, KHO_MAX_ORDER, PAGED(37, 33, 29)),
	NUMBER(VMALLOC, KHO_VMALLOC_ALLOC, 1),
	NUMBER(VMALLOC, KHO_VMALLOC_HUGE_VMAP, 2),
	NUMBER(VMALLOC, KHO_VMALLOC_SIZE, PAGED(511, 2047, 8191)),
	NUMBER(BLOCK, KHO_BLOCK_SIZE, PAGED(4096, 16384, 65536)),
	NUMBER(LUO, LIVEUPDATE_SESSION_NAME_LENGTH, 64),
	NUMBER(LUO, LIVEUPDATE_HNDL_COMPAT_LENGTH, 48),
	NUMBER(LUO, LIVEUPDATE_FLB_COMPAT_LENGTH, 48),
	NUMBER(LUO, LUO_ABI_COMPAT_LEN, ALIGN(sizeof(LUO_ABI_COMPATIBLE), 8)),
	NUMBER(MEMFD, MEMFD_LUO_FOLIO_DIRTY, 1),
	NUMBER(MEMFD, MEMFD_LUO_FOLIO_UPTODATE, 2),
	NUMBER(MEMFD, MEMFD_LUO_ALL_SEALS, 0x3f),
	NUMBER(TIMELINE, KHO_TIMELINE_SLOTS, 32),
	NUMBER(TIMELINE, KHO_TIMELINE_CLOCK_TSC, 1),
	NUMBER(TIMELINE, KHO_TIMELINE_CLOCK_ARCH, 2),
	NUMBER(TIMELINE, KHO_TIMELINE_ENTERED, 0),
	NUMBER(TIMELINE, KHO_TIMELINE_INIT, 1),
	NUMBER(TIMELINE, KHO_TIMELINE_PRESERVE_BEGIN, 2),
	NUMBER(TIMELINE, KHO_TIMELINE_PRESERVE_END, 3),
	NUMBER(TIMELINE, KHO_TIMELINE_KEXEC, 4),
	NUMBER(TIMELINE, KHO_TIMELINE_FROZEN, 5),
	NUMBER(TIMELINE, KHO_TIMELINE_LEFT, 6),
	NUMBER(TIMELINE, KHO_TIMELINE_RETRIEVE_BEGIN, 7),
	NUMBER(TIMELINE, KHO_TIMELINE_RETRIEVE_END, 8),
	NUMBER(TIMELINE, KHO_TIMELINE_FINISH_END, 9),
};

#define NAME(version, macro, string)	{ version, #macro, string, macro }

static const struct name {
	int version;
	const char *name;
	const char *here, *now;
} names[] = {
	NAME(KHO, KHO_FDT_MEMORY_MAP_PROP_NAME, "preserved-memory-map"),
	NAME(KHO, KHO_SUB_TREE_PROP_NAME, "preserved-data"),
	NAME(KHO, KHO_SUB_TREE_SIZE_PROP_NAME, "blob-size"),
	NAME(LUO, LUO_KHO_ENTRY_NAME, "LUO"),
	NAME(LUO, LIVEUPDATE_TEST_FLB_COMPATIBLE(3), "liveupdate-test-flb-v3"),
	NAME(MEMBLOCK, MEMBLOCK_KHO_FDT, "memblock"),
	NAME(METADATA, KHO_METADATA_NODE_NAME, "kexec-metadata"),
	NAME(TIMELINE, KHO_TIMELINE_NODE_NAME, "timeline"),
};

/* The message names the difference and the required change. */
#define DIFFERS	"%s is not as in %s: %s, %s"

static const char *advice(const struct version *v)
{
	return strcmp(v->now, v->here) ? "write down in this file what is new" :
					 "bump the version";
}

static void expect_number(struct kunit *test, const struct version *v,
			  const char *name, u64 now, u64 here)
{
	KUNIT_EXPECT_EQ_MSG(test, now, here, DIFFERS, name, v->here, advice(v),
			    v->macro);
}

static void expect_string(struct kunit *test, const struct version *v,
			  const char *name, const char *now, const char *here)
{
	KUNIT_EXPECT_STREQ_MSG(test, now, here, DIFFERS, name, v->here,
			       advice(v), v->macro);
}

static void expect_bytes(struct kunit *test, const struct version *v,
			 const char *name, const void *now, const u8 *here,
			 size_t size)
{
	KUNIT_EXPECT_MEMEQ_MSG(test, now, here, size, DIFFERS, name, v->here,
			       advice(v), v->macro);
}

static void kho_abi_test_version(struct kunit *test)
{
	const struct version *v = test->param_value;

	KUNIT_EXPECT_STREQ_MSG(test, v->now, v->here,
			       "%s is new: write down in this file what it stands for",
			       v->macro);
}

static void kho_abi_test_layout(struct kunit *test)
{
	const struct version *v = test->param_value;

	for (int i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct layout *l = &layouts[i];

		if (&versions[l->version] != v)
			continue;
		expect_number(test, v, l->name, l->now_at, l->at);
		expect_number(test, v, l->name, l->now_bytes, l->bytes);
	}
}

static void kho_abi_test_numbers(struct kunit *test)
{
	const struct version *v = test->param_value;

	for (int i = 0; i < ARRAY_SIZE(numbers); i++) {
		const struct number *n = &numbers[i];

		if (&versions[n->version] == v)
			expect_number(test, v, n->name, n->now, n->here);
	}
}

static void kho_abi_test_names(struct kunit *test)
{
	const struct version *v = test->param_value;

	for (int i = 0; i < ARRAY_SIZE(names); i++) {
		const struct name *n = &names[i];

		if (&versions[n->version] == v)
			expect_string(test, v, n->name, n->now, n->here);
	}
}

/* Keys of the map of preserved memory, a part of kho-v4. */
static const struct golden_key {
	const char *name;
	phys_addr_t phys;
	unsigned int order;
	u64 key;
} golden_keys[] = {
	{ "first page", 0, 0,
	  PAGED(0x0010000000000000, 0x0004000000000000, 0x0001000000000000) },
	{ "a page", 0x12340000, 0,
	  PAGED(0x0010000000012340, 0x00040000000048d0, 0x0001000000001234) },
	{ "last page", -(phys_addr_t)PAGE_SIZE, 0,
	  PAGED(0x001fffffffffffff, 0x0007ffffffffffff, 0x0001ffffffffffff) },
	{ "two pages", 0x12340000, 1,
	  PAGED(0x00080000000091a0, 0x0002000000002468, 0x000080000000091a) },
	{ "order 9", 0x40000000, 9,
	  PAGED(0x0000080000000200, 0x0000020000000080, 0x0000008000000020) },
	{ "order 18", 0xc00000000, 18,
	  PAGED(0x0000000400000030, 0x000000010000000c, 0x0000000040000003) },
	{ "largest order", 0xc000000000000, KHO_MAX_ORDER,
	  PAGED(0x0000000000008006, 0x0000000000020018, 0x0000000000080060) },
};

KUNIT_ARRAY_PARAM_DESC(golden_key, golden_keys, name);

static void kho_abi_test_keys(struct kunit *test)
{
	const struct golden_key *g = test->param_value;

	expect_number(test, &versions[KHO], "kho_encode_key()",
		      kho_encode_key(g->phys, g->order), g->key);
}

/*
 * Golden bytes: memory contents after the fields of a structure are set.  All
 * bytes of all values differ.
 */

/*
 * Compare the start and the last eight bytes of a structure that fills a page.
 */
static void expect_page(struct kunit *test, const struct version *v,
			const char *name, const void *page, const u8 *head,
			size_t size, const u8 *tail)
{
	expect_bytes(test, v, name, page, head, size);
	expect_bytes(test, v, name, page + PAGE_SIZE - 8, tail, 8);
}

/* A page, or more if the structure is too large by mistake. */
static void *zeroed_page(struct kunit *test, size_t size)
{
	void *page = kunit_kzalloc(test, max(size, PAGE_SIZE), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

static void kho_abi_test_radix_node(struct kunit *test)
{
	struct kho_radix_node *node = zeroed_page(test, sizeof(*node));
	static const u8 head[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	static const u8 tail[] = {
		0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
	};

	node->table[0] = 0x0807060504030201;
	node->table[1] = 0x1817161514131211;
	node->table[ARRAY_SIZE(node->table) - 1] = 0x2827262524232221;

	expect_page(test, &versions[RADIX], "struct kho_radix_node", node, head,
		    sizeof(head), tail);
}

static void kho_abi_test_radix_leaf(struct kunit *test)
{
	struct kho_radix_leaf *leaf = zeroed_page(test, sizeof(*leaf));
	static const u8 head[] = {
		0x81, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
		0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	static const u8 tail[] = {
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
	};

	__set_bit(0, leaf->bitmap);
	__set_bit(7, leaf->bitmap);
	__set_bit(9, leaf->bitmap);
	__set_bit(63, leaf->bitmap);
	__set_bit(64, leaf->bitmap);
	__set_bit(sizeof(leaf->bitmap) * 8 - 1, leaf->bitmap);

	expect_page(test, &versions[RADIX], "struct kho_radix_leaf", leaf, head,
		    sizeof(head), tail);
}

static void kho_abi_test_vmalloc_chunk(struct kunit *test)
{
	struct kho_vmalloc_chunk *chunk = zeroed_page(test, sizeof(*chunk));
	static const u8 head[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	static const u8 tail[] = {
		0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
	};

	chunk->hdr.next.phys = 0x0807060504030201;
	chunk->phys[0] = 0x1817161514131211;
	chunk->phys[1] = 0x2827262524232221;
	chunk->phys[KHO_VMALLOC_SIZE - 1] = 0x3837363534333231;

	expect_page(test, &versions[VMALLOC], "struct kho_vmalloc_chunk", chunk,
		    head, sizeof(head), tail);
}

static void kho_abi_test_vmalloc(struct kunit *test)
{
	const struct kho_vmalloc area = {
		.first.phys = 0x0807060504030201,
		.total_pages = 0x14131211,
		.flags = 0x2221,
		.order = 0x3231,
	};
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x31, 0x32,
	};

	expect_bytes(test, &versions[VMALLOC], "struct kho_vmalloc", &area,
		     golden, sizeof(golden));
}

/* The stored value of a pointer, and of a NULL pointer. */
static void kho_abi_test_ptr(struct kunit *test)
{
	struct kho_vmalloc_chunk *chunk = zeroed_page(test, sizeof(*chunk));
	struct kho_vmalloc area = { };
	u64 stored;

	KUNIT_EXPECT_NULL(test, KHOSER_LOAD_PTR(area.first));

	KHOSER_STORE_PTR(area.first, chunk);
	memcpy(&stored, &area, sizeof(stored));
	expect_number(test, &versions[VMALLOC], "KHOSER_STORE_PTR()", stored,
		      virt_to_phys(chunk));
	KUNIT_EXPECT_PTR_EQ(test, KHOSER_LOAD_PTR(area.first), chunk);
}

static void kho_abi_test_block(struct kunit *test)
{
	const struct kho_block_header_ser header = {
		.next = 0x0807060504030201,
		.count = 0x1817161514131211,
	};
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	};

	expect_bytes(test, &versions[BLOCK], "struct kho_block_header_ser",
		     &header, golden, sizeof(golden));
}

/* All fields but the string, which has a test of its own. */
static void kho_abi_test_luo(struct kunit *test)
{
	const struct luo_ser ser = {
		.liveupdate_num = 0x0807060504030201,
		.sessions_pa = 0x1817161514131211,
		.flbs_pa = 0x2827262524232221,
	};
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
	};

	expect_bytes(test, &versions[LUO], "struct luo_ser",
		     (u8 *)&ser + offsetofend(struct luo_ser, compatible),
		     golden, sizeof(golden));
}

static void kho_abi_test_luo_file(struct kunit *test)
{
	const struct luo_file_ser file = {
		.compatible = "memfd-v2;vmalloc-v1",
		.data = 0x0807060504030201,
		.token = 0x1817161514131211,
	};
	static const u8 golden[64] = {
		'm', 'e', 'm', 'f', 'd', '-', 'v', '2',
		';', 'v', 'm', 'a', 'l', 'l', 'o', 'c',
		'-', 'v', '1', '\0',
		[48] = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		[56] = 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	};

	expect_bytes(test, &versions[LUO], "struct luo_file_ser", &file, golden,
		     sizeof(golden));
}

static void kho_abi_test_luo_session(struct kunit *test)
{
	const struct luo_session_ser session = {
		.name = "vm 1",
		.file_set_ser = {
			.files = 0x0807060504030201,
			.count = 0x1817161514131211,
		},
	};
	static const u8 golden[80] = {
		'v', 'm', ' ', '1', '\0',
		[64] = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		[72] = 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	};

	expect_bytes(test, &versions[LUO], "struct luo_session_ser", &session,
		     golden, sizeof(golden));
}

static void kho_abi_test_luo_flb(struct kunit *test)
{
	const struct {
		struct luo_flb_header_ser header;
		struct luo_flb_ser flb;
	} array = {
		.header.pgcnt = 0x0807060504030201,
		.header.count = 0x1817161514131211,
		.flb.name = "iommu-v1",
		.flb.data = 0x2827262524232221,
		.flb.count = 0x3837363534333231,
	};
	static const u8 golden[80] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		'i', 'o', 'm', 'm', 'u', '-', 'v', '1',
		[64] = 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		[72] = 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
	};

	expect_bytes(test, &versions[LUO], "struct luo_flb_ser and its header",
		     &array, golden, sizeof(golden));
}

static void kho_abi_test_memfd(struct kunit *test)
{
	const struct memfd_luo_ser memfd = {
		.pos = 0x0807060504030201,
		.size = 0x1817161514131211,
		.seals = 0x24232221,
		.flags = 0x34333231,
		.nr_folios = 0x4847464544434241,
		.folios.first.phys = 0x5857565554535251,
		.folios.total_pages = 0x64636261,
		.folios.flags = 0x7271,
		.folios.order = 0x8281,
	};
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0x21, 0x22, 0x23, 0x24, 0x31, 0x32, 0x33, 0x34,
		0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
		0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
		0x61, 0x62, 0x63, 0x64, 0x71, 0x72, 0x81, 0x82,
	};

	expect_bytes(test, &versions[MEMFD], "struct memfd_luo_ser", &memfd,
		     golden, sizeof(golden));
}

/* 52 bits of page frame number, and 12 of flags above them. */
static void kho_abi_test_memfd_folio(struct kunit *test)
{
	const struct memfd_luo_folio_ser folio = {
		.pfn = 0x7060504030201,
		.flags = 0xabc,
		.index = 0x1817161514131211,
	};
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xc7, 0xab,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	};

	expect_bytes(test, &versions[MEMFD], "struct memfd_luo_folio_ser",
		     &folio, golden, sizeof(golden));
}

static void kho_abi_test_metadata(struct kunit *test)
{
	const struct kho_kexec_metadata metadata = {
		.version = 1,
		.previous_release = "7.3.4",
		.kexec_count = 0x14131211,
	};
	static const u8 golden[73] = {
		0x01, 0x00, 0x00, 0x00, '7', '.', '3', '.', '4',
		[69] = 0x11, 0x12, 0x13, 0x14,
	};

	expect_bytes(test, &versions[METADATA], "struct kho_kexec_metadata",
		     &metadata, golden, sizeof(golden));
}

/* Values are in native byte order; device trees have no type for that. */
static void expect_property(struct kunit *test, const void *fdt,
			    const char *path, const char *name)
{
	static const u8 golden[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	};
	int node = fdt_path_offset(fdt, path);
	int len = 0;
	const void *value = fdt_getprop(fdt, node, name, &len);

	KUNIT_ASSERT_NOT_NULL_MSG(test, value, DIFFERS, name,
				  versions[KHO].here, advice(&versions[KHO]),
				  versions[KHO].macro);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)value, 4));
	KUNIT_ASSERT_EQ(test, len, sizeof(golden));
	expect_bytes(test, &versions[KHO], name, value, golden, len);
}

/* A root tree that is built like that of the core. */
static void kho_abi_test_root_tree(struct kunit *test)
{
	void *fdt = zeroed_page(test, PAGE_SIZE);
	u64 value = 0x0807060504030201;
	int node;

	KUNIT_ASSERT_EQ(test, fdt_create_empty_tree(fdt, PAGE_SIZE), 0);
	fdt_setprop_string(fdt, 0, "compatible", KHO_FDT_COMPATIBLE);
	fdt_setprop(fdt, 0, KHO_FDT_MEMORY_MAP_PROP_NAME, &value, sizeof(value));
	node = fdt_add_subnode(fdt, 0, "example");
	fdt_setprop(fdt, node, KHO_SUB_TREE_PROP_NAME, &value, sizeof(value));
	fdt_setprop(fdt, node, KHO_SUB_TREE_SIZE_PROP_NAME, &value,
		    sizeof(value));

	expect_property(test, fdt, "/", "preserved-memory-map");
	expect_property(test, fdt, "/example", "preserved-data");
	expect_property(test, fdt, "/example", "blob-size");
}

static struct kunit_case kho_abi_cases[] = {
	KUNIT_CASE_PARAM(kho_abi_test_version, version_gen_params),
	KUNIT_CASE_PARAM(kho_abi_test_layout, version_gen_params),
	KUNIT_CASE_PARAM(kho_abi_test_numbers, version_gen_params),
	KUNIT_CASE_PARAM(kho_abi_test_names, version_gen_params),
	KUNIT_CASE_PARAM(kho_abi_test_keys, golden_key_gen_params),
	KUNIT_CASE(kho_abi_test_radix_node),
	KUNIT_CASE(kho_abi_test_radix_leaf),
	KUNIT_CASE(kho_abi_test_vmalloc_chunk),
	KUNIT_CASE(kho_abi_test_vmalloc),
	KUNIT_CASE(kho_abi_test_ptr),
	KUNIT_CASE(kho_abi_test_block),
	KUNIT_CASE(kho_abi_test_luo),
	KUNIT_CASE(kho_abi_test_luo_file),
	KUNIT_CASE(kho_abi_test_luo_session),
	KUNIT_CASE(kho_abi_test_luo_flb),
	KUNIT_CASE(kho_abi_test_memfd),
	KUNIT_CASE(kho_abi_test_memfd_folio),
	KUNIT_CASE(kho_abi_test_metadata),
	KUNIT_CASE(kho_abi_test_root_tree),
	{}
};

static struct kunit_suite kho_abi_suite = {
	.name = "kho-abi",
	.test_cases = kho_abi_cases,
};

kunit_test_suite(kho_abi_suite);

MODULE_DESCRIPTION("KUnit tests of the layouts that kernels agree on");
MODULE_LICENSE("GPL");
