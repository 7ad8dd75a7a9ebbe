/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations that the files of the guest agent share; see handover.c.
 */

#ifndef SELFTESTS_KHO_HANDOVER_H
#define SELFTESTS_KHO_HANDOVER_H

/* All files include this header first, because of this definition. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not defined by all C libraries. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x0008U
#define MFD_EXEC		0x0010U
#endif

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* As in the kernel: %llu prints them on all architectures. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define min(a, b)	((a) < (b) ? (a) : (b))

/* Page size of this kernel, and the largest one of any kernel, in bytes. */
extern unsigned long page_size;
#define PAGE_MAX	(64UL << 10)

/* handover_util.c: in the text of a problem, "%m" stands for that of @err. */
int __printf(2, 3) problem(int err, const char *fmt, ...);
const char *problem_text(void);
void __printf(1, 2) note(const char *fmt, ...);
int shell(const char *command);
int file_write(const char *path, const char *text);
/* A text that is never freed, such as a name. */
__printf(1, 2) const char *textf(const char *fmt, ...);

/*
 * DEFINE_STEP() defines step_NAME(), which announces the step by a text and runs
 * the body that follows.  The body returns 0 or a negative errno.  A step without
 * a body has a result, a call of another function.
 *
 *	DEFINE_STEP(pageout, (const char *name), (name), "pageout %s", name)
 *	{
 */
#define DEFINE_STEP(name, params, args, ...)				\
	static int do_##name params;					\
	DEFINE_STEP_AS(name, params, do_##name args, __VA_ARGS__)	\
	static int do_##name params

#define DEFINE_STEP_AS(name, params, result, ...)			\
	void step_##name params						\
	{								\
		step(__VA_ARGS__);					\
		step_end(result);					\
	}

/* Find "name=value" or plain "name" in a list of arguments. */
const char *option(char **words, const char *name);
int option_u64(char **words, const char *name, u64 def, u64 *value);
int parse_u64(const char *text, u64 *value);

/* Cases refer to descriptors by names. */
#define MAX_FD_NAMES	8192
int fd_add(const char *name, int fd);
int fd_find(const char *name);
int fd_close(const char *name);

/* Seeded data, of which any part can be generated without the rest. */
void pattern_fill(void *buf, size_t len, u64 seed, u64 offset);

/* splitmix64: word number @index of the data of @seed. */
u64 pattern_word(u64 seed, u64 index);

/*
 * handover_luo.c: return a descriptor or 0, or a negative errno, without
 * calling problem().
 */
int luo_device(void);
int luo_create(const char *name);
int luo_get(const char *name);
int luo_preserve(int session, u64 token, int fd);
int luo_retrieve(int session, u64 token);
int luo_finish(int session);

/* handover_memory.c: value of a key of /proc/meminfo, in bytes */
u64 memory_info(const char *key);
/*
 * Size of a file that leaves a tenth of memory: enough for kexec, but too little for
 * scratch memory.  In whole pages.
 */
u64 most_of_memory(void);

/*
 * handover_memfd.c: create, write and check a memfd of seeded data, in any
 * thread
 */
int seeded_make(const char *name, u64 size, u64 seed);
int seeded_write(int fd, u64 size, u64 seed);
int seeded_check(int fd, u64 size, u64 seed);
/* Retrieves, checks and closes a file. */
int seeded_retrieve(int session, u64 token, u64 size, u64 seed);

/* handover_vm.c: print the output of a command, and page frames, as notes */
void step_tell(const char *command);
void step_frames(const char *path);

/* handover_service.c */
void step_listen_fds(void);
void step_store(const char *name);
void step_make_socket(const char *name);
void step_session_name(const char *session, size_t len);

/* handover_items.c */
void step_items_set(u64 nr);
void step_items_check(u64 nr);

/* steps.c: functions that implement steps, and generic steps */
struct kho_test;
int hop_run(const struct kho_test *test, unsigned int hop);
int hop_run_live(const struct kho_test *test);
/* File with additions to the command line of the next kernel. */
const char *append_file(void);
/* The end of the last hop. */
int hop_end(void);
/* handover_bench.c */
int bench_run(char **words);
/* live.c: run all cases that need no kexec */
int live_run(void);
u64 case_seed(void);
void step_at(const char *file, int line);
void step_expect(int error);
/* Continue the hop after a step that fails. */
void step_going_on(bool on);
void __printf(1, 2) step(const char *fmt, ...);
void step_end(int ret);
void __printf(1, 2) step_run(const char *fmt, ...);
void step_close(const char *name);
void step_logs(const char *text);
void step_logged(const char *text, int number);
void step_log_clear(void);
char *log_read(void);
void step_load(const char *program);
void step_load_in_time(unsigned int seconds);
void step_load_refused(void);
void step_leave_by(const char *command);

/* handover_luo.c */
void step_session_new(const char *name);
void step_session_get(const char *name);
void step_preserve(const char *session, u64 token, const char *name);
void step_retrieve(const char *session, u64 token, const char *name);
void step_finish(const char *session, bool force);

/*
 * handover_memfd.c: description of a memfd, for its creation and for checks.
 * Without a seed it is one hole.
 */
struct memfd {
	const char *name;
	u64 size;
	u64 seed;
	u64 step;		/* from one page of data to the next; holes between */
	u64 pos;		/* POS(n); not checked if 0 */
	unsigned int flags;	/* of memfd_create() */
	unsigned int seals;	/* checked if SEALED is set, too */
	unsigned int mode;	/* not checked if 0 */
	int node;		/* NODE(n) to allocate on; 0 for any node */
	bool map;		/* written through a mapping */
};

#define SEALED	(1u << 31)
#define NODE(n)	((n) + 1)
#define POS(n)	((n) + 1)

void step_memfd(const struct memfd *file);
void step_check(const struct memfd *file);
void step_check_properties(const struct memfd *file);
void step_enforce(const char *name);
void step_make_of_file(const char *name, const char *path, unsigned int seals);
void step_sha256(const char *name);
void step_keep(const char *session, const struct memfd *files, unsigned int nr);
void step_claim(const char *session, const struct memfd *files, unsigned int nr,
		bool end);
void step_look(const struct memfd *files, unsigned int nr);
void step_carry(unsigned int hop, const char *session, const struct memfd *files,
		unsigned int nr);

/* handover_holder.c */
void step_retrieve_in_group(const char *procs, const char *session,
			    u64 token, bool or_killed);
void step_holder_sweep(const char *session, unsigned int files);
void step_holder_killed_in(const char *session, u64 token);

/* handover_memory.c */
void step_region_fill(const char *name, u64 seed);
void step_region_check(const char *name, u64 seed);
void step_region_release(const char *name);
void step_region_reused(void);
void step_churn(unsigned int rounds, unsigned int percent);
void step_total_keep(void);
void step_total_check(u64 slack);
void step_cma_check(void);
void step_formats(const char *direction);

/* handover_segments.c */
void step_segments_zeroed(void);

/* handover_ioctl.c */
void step_table_new(void);
void step_table_incoming(const char *session, u64 token);
void step_unwritable_new(const char *session);
void step_unwritable_get(const char *session);
void step_unwritable_name(const char *session);
void step_unwritable_retrieve(const char *session, u64 token);

/* handover_damage.c */
void step_damage(const char *record, const char *session, u64 token, const char *field,
		 const char *value);
void step_damage_flbs(void);

/* handover_compat.c */
void step_offer_root(const char *offer, u64 lie);
void step_offer_luo(const char *offer);
void step_offer_flbs(const char *name, const char *const *offers);

/* handover_fail.c: @nr equal files of an open session */
void step_fail_create(const char *session);
void step_fail_get(const char *session);
void step_fail_preserve(const char *session, const char *name);
void step_fail_keep(const char *session, u64 nr, u64 size, u64 seed);
void step_fail_claim(const char *session, u64 nr, u64 size, u64 seed);

/* handover_beside.c */
void step_storm(const char *session, u64 count, int advice);
void step_storm_check(const char *session, u64 count);
void step_pageout(const char *name);
void step_blocks(const char *name);
void step_tag(const char *name);

/* handover_stuck.c */
void step_stuck(const char *session, const char *name, const char *way);

/* handover_parallel.c */
struct parallel {
	unsigned int threads, files, rounds;
	u64 size;
};

void step_parallel_keep(const struct parallel *work);
void step_parallel_claim(const struct parallel *work);

/* handover_stress.c */
struct stress {
	unsigned int sessions, files;
};

void step_stress_make(const struct stress *size, unsigned int hop);
void step_stress_check(const struct stress *size, unsigned int hop);
void step_many_keep(unsigned int sessions, u64 files);
void step_many_claim(unsigned int sessions, u64 files);
void step_empty_keep(unsigned int sessions, u64 files);
void step_at_work(const char *session, const char *diary, u64 size);
void step_diary_check(const char *name);
void step_reboot_kexec(void);

/*
 * handover_hostile.c: writes to handover data.  Address and value are
 * expressions, which are described there.
 */
#define POKE_BIG_ENDIAN	(-32)

#define HARM_STEP(name)	void step_##name(const char *where, const char *what, int number)

HARM_STEP(poke);
HARM_STEP(fill);
HARM_STEP(copy);
HARM_STEP(map_add);
HARM_STEP(map_cover);
HARM_STEP(scratch_set);
HARM_STEP(boot_set);

/* handover_place.c */
void step_memory_fragment(u64 left);
void step_memory_mend(void);
void step_borders(const char *session, u64 every, u64 count, u64 token);

#define KHO_DIR		"/sys/kernel/debug/kho/"
#define OUT_FDT		KHO_DIR "out/fdt"
#define BLOB_MAX	PAGE_MAX

/*
 * The bytes do not start at a page boundary, so that a search for a page does
 * not find them.
 */
struct blob {
	size_t len;
	u8 bytes[BLOB_MAX];
};

/*
 * handover_fdt.c: values of properties of @node, a child of the root, or of the
 * root, which is "".  @lie: a false length; only the length is changed.
 */
int blob_read(struct blob *blob, const char *path);
const void *fdt_prop(const struct blob *blob, const char *node,
		     const char *prop, size_t *len);
int fdt_u64(const struct blob *blob, const char *node, const char *prop, u64 *value);
int fdt_prop_set(struct blob *blob, const char *node, const char *prop,
		 const void *value, size_t len);
int fdt_prop_lie(struct blob *blob, const char *node, const char *prop, u32 len);
int kho_fdt_u64(const char *path, const char *node, const char *prop, u64 *value);

/* handover_ram.c: access to physical memory.  Only whole pages can be mapped. */
int memory_map(void **map, size_t len, u64 pa);
int memory_read(void *buf, size_t len, u64 pa);
int memory_write(const void *buf, size_t len, u64 pa);

/* Bytes to search for in memory, at multiples of @step, a power of two. */
struct wanted {
	const void *bytes;
	size_t len;	/* at least 8 */
	size_t step;
	u64 from;	/* start of the search, page aligned */
};

/* handover_ram.c: physical addresses of bytes, and of pages of this process. */
int ram_search(const struct wanted *wanted, u64 *pa);
int page_address(const void *map, u64 *pa);
int page_frames(const void *map, size_t nr, u64 *frames);
#define PAGEMAP_PRESENT	(1ull << 63)
#define PAGEMAP_PFN	((1ull << 55) - 1)

/* Offset in struct luo_ser. */
#define LUO_FLBS	32

/* handover_damage.c: the record of a file in a session of the previous kernel. */
int file_record(const char *session, u64 token, u64 *pa);

/*
 * handover_compat.c: writes text that no kernel would write to a field of @size
 * bytes, or to @max bytes if it is huge; returns the size, 0 for an unknown
 * @kind.
 */
size_t bad_text(const char *kind, void *bytes, size_t size, size_t max);
int root_address(u64 *pa);

/*
 * handover_hostile.c: counts the keys of the outgoing memory map whose blocks
 * overlap a range.
 */
int map_count(u64 pa, u64 len, unsigned int *nr);

#endif
