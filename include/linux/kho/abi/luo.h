/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (c) 2025, Google LLC.
 * Pasha Tatashin <pasha.tatashin@soleen.com>
 */

#ifndef _LINUX_KHO_ABI_LUO_H
#define _LINUX_KHO_ABI_LUO_H

#include <linux/build_bug.h>
#include <linux/kho/abi/block.h>
#include <linux/kho/abi/compat.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <uapi/linux/liveupdate.h>

/**
 * DOC: Live Update Orchestrator ABI
 *
 * LUO hands over one structure, &struct luo_ser, as the subtree
 * %LUO_KHO_ENTRY_NAME of the Kexec Handover root tree.  It leads to all other data::
 *
 *     struct luo_ser
 *       sessions_pa --> blocks of struct luo_session_ser
 *                         file_set_ser.files --> blocks of struct luo_file_ser
 *       flbs_pa     --> struct luo_flb_header_ser, struct luo_flb_ser[]
 *
 * "Blocks" are the chains of block.h.  The format of the data of a file is
 * private to its handler.  The string in the record of the file is the version
 * of that format.
 *
 * A change of any structure of this header needs a new number in
 * %LUO_ABI_COMPAT_BASE.
 */

/* Name of LUO's subtree. */
#define LUO_KHO_ENTRY_NAME	"LUO"

/* Version of the structures of this header alone. */
#define LUO_ABI_COMPAT_BASE	"luo-v5"

/* The string in &struct luo_ser, and the size of its field. */
#define LUO_ABI_COMPATIBLE						\
	"" LUO_ABI_COMPAT_BASE						\
	KHO_SUB_COMPAT(KHO_BLOCK_COMPATIBLE)
#define LUO_ABI_COMPAT_LEN	KHO_COMPAT_ALIGN(LUO_ABI_COMPATIBLE)

/* Size of the strings of file handlers and of FLBs, NUL included. */
#define LIVEUPDATE_HNDL_COMPAT_LENGTH	48
#define LIVEUPDATE_FLB_COMPAT_LENGTH	48

/**
 * struct luo_ser - root of the data of LUO
 * @compatible: %LUO_ABI_COMPATIBLE, padded with NULs (offset 0)
 * @liveupdate_num: live updates since the last cold boot (offset 16)
 * @sessions_pa: first block of sessions, 0 for none (offset 24)
 * @flbs_pa: the &struct luo_flb_header_ser (offset 32)
 *
 * The offsets are those for the present string.  With another string,
 * @liveupdate_num starts at the first multiple of eight after its NUL.
 */
struct luo_ser {
	char compatible[LUO_ABI_COMPAT_LEN];
	u64 liveupdate_num;
	u64 sessions_pa;
	u64 flbs_pa;
} __packed;

/**
 * struct luo_file_ser - a preserved file
 * @compatible: composite string of the handler that wrote @data (offset 0)
 * @data: private to the handler (offset 48)
 * @token: number of the file in its session, chosen by user space (offset 56)
 */
struct luo_file_ser {
	char compatible[LIVEUPDATE_HNDL_COMPAT_LENGTH];
	u64 data;
	u64 token;
} __packed;

/**
 * struct luo_file_set_ser - the files of a session
 * @files: first block of files, 0 for none (offset 0)
 * @count: number of files in all the blocks (offset 8)
 */
struct luo_file_set_ser {
	u64 files;
	u64 count;
} __packed;

/**
 * struct luo_session_ser - a session
 * @name: name given by user space, unique, ended by a NUL (offset 0)
 * @file_set_ser: its files (offset 64)
 */
struct luo_session_ser {
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];
	struct luo_file_set_ser file_set_ser;
} __packed;

/**
 * struct luo_flb_header_ser - start of the array of FLBs
 * @pgcnt: number of pages of header and array together (offset 0)
 * @count: number of &struct luo_flb_ser after the header (offset 8)
 */
struct luo_flb_header_ser {
	u64 pgcnt;
	u64 count;
} __packed;

/**
 * struct luo_flb_ser - a File-Lifecycle-Bound object, shared by files
 * @name: composite string of the FLB that wrote @data (offset 0)
 * @data: private to the FLB (offset 48)
 * @count: number of preserved files that need it (offset 56)
 */
struct luo_flb_ser {
	char name[LIVEUPDATE_FLB_COMPAT_LENGTH];
	u64 data;
	u64 count;
} __packed;

/* FLBs of lib/tests/liveupdate.c. */
#define LIVEUPDATE_TEST_FLB_COMPATIBLE(i)	"liveupdate-test-flb-v" #i

static_assert(sizeof(struct luo_ser) == LUO_ABI_COMPAT_LEN + 24);
static_assert(offsetof(struct luo_ser, compatible) == 0);
static_assert(offsetof(struct luo_ser, liveupdate_num) == LUO_ABI_COMPAT_LEN);
static_assert(offsetof(struct luo_ser, sessions_pa) == LUO_ABI_COMPAT_LEN + 8);
static_assert(offsetof(struct luo_ser, flbs_pa) == LUO_ABI_COMPAT_LEN + 16);

static_assert(sizeof(struct luo_file_ser) == 64);
static_assert(offsetof(struct luo_file_ser, compatible) == 0);
static_assert(offsetof(struct luo_file_ser, data) == 48);
static_assert(offsetof(struct luo_file_ser, token) == 56);

static_assert(sizeof(struct luo_file_set_ser) == 16);
static_assert(offsetof(struct luo_file_set_ser, files) == 0);
static_assert(offsetof(struct luo_file_set_ser, count) == 8);

static_assert(sizeof(struct luo_session_ser) == 80);
static_assert(offsetof(struct luo_session_ser, name) == 0);
static_assert(offsetof(struct luo_session_ser, file_set_ser) == 64);

static_assert(sizeof(struct luo_flb_header_ser) == 16);
static_assert(offsetof(struct luo_flb_header_ser, pgcnt) == 0);
static_assert(offsetof(struct luo_flb_header_ser, count) == 8);

static_assert(sizeof(struct luo_flb_ser) == 64);
static_assert(offsetof(struct luo_flb_ser, name) == 0);
static_assert(offsetof(struct luo_flb_ser, data) == 48);
static_assert(offsetof(struct luo_flb_ser, count) == 56);

#endif /* _LINUX_KHO_ABI_LUO_H */
