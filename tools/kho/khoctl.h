/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations that the files of khoctl share.  Input is not trusted: sizes and
 * offsets are checked where they are used.
 */
#ifndef KHOCTL_H
#define KHOCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

/* Exit status of all verbs. */
enum {
	EXIT_SAFE = 0,		/* done; nothing is lost */
	EXIT_LOSS = 1,		/* something in use would be lost */
	EXIT_UNKNOWN = 2,	/* invalid input, or the result is unknown */
};

/* Bytes in memory.  blob_free() frees them if @owned is set. */
struct blob {
	const uint8_t *data;
	size_t size;
	bool owned;
};

/* failure.c: the last error, one line */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *failure(void);

/* file.c */
int blob_read(const char *path, struct blob *blob);
void blob_free(struct blob *blob);
int path_below(const char *root, const char *path, char *name, size_t size);
int read_below(const char *root, const char *path, struct blob *blob);
typedef void (*line_visit)(void *ctx, const char *key, const char *value);
void text_lines(const struct blob *text, line_visit visit, void *ctx);
bool blob_part(const struct blob *blob, uint64_t offset, uint64_t size, struct blob *part);
bool blob_starts(const struct blob *blob, const char *with, size_t len);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
uint64_t get64(const uint8_t *p);
uint32_t get32_big(const uint8_t *p);

/* unpack.c */
extern size_t unpack_limit;
const char *unpack_name(const struct blob *packed);
int unpack(const struct blob *packed, struct blob *plain);

/*
 * A component of the ABI; the names of the kinds are those of
 * include/linux/kho/abi/note.h.  The strings are freed with the set that has the
 * component.
 */
enum kind {
	KIND_ROOT = 1,
	KIND_STRUCTURE,
	KIND_SUBTREE,
	KIND_FILE,
	KIND_FLB,
	KIND_ALIAS,
	KIND_END,
};

struct component {
	enum kind kind;
	unsigned int page_shift;
	char *name;
	char *writes;
	char *reads;
};

#define SET_MAX	256

/**
 * struct set - the components of one kernel
 * @nr: number of @c
 * @c: the components, in the order of the notes
 * @newer: number of notes with a layout that khoctl does not know
 * @stock: the kernel has no notes; @c has the components of its version
 * @release: version of the kernel, empty if it was not found
 * @format: formats of the image, from the outermost to the innermost
 */
struct set {
	unsigned int nr;
	struct component c[SET_MAX];
	unsigned int newer;
	bool stock;
	char release[80];
	char format[120];
};

/* notes.c */
const char *kind_name(enum kind kind);
int notes_parse(const struct blob *notes, struct set *set);
int notes_of_elf(const struct blob *elf, struct set *set);
int notes_scan(const struct blob *raw, struct set *set);
int set_add(struct set *set, const struct component *c);
const struct component *set_find(const struct set *set, enum kind kind, const char *name);
void set_sort(struct set *set);
void set_free(struct set *set);

/* image.c */
int image_read(const struct blob *image, struct set *set);
int image_open(const char *path, struct set *set);

/* stock.c */
int stock_fill(struct set *set, const struct blob *kernel);

/**
 * struct use - outgoing data of the running kernel
 * @known: the other members are complete; if not set, they have what was found
 *	   before a failure
 * @sessions: names of the outgoing sessions
 * @files: number of files for the string of each handler, and number of users for
 *	   the string of each FLB; NULL if unknown
 * @regions: names of the regions of reserve_mem=
 * @subtrees: names of all other subtrees
 */
struct use {
	bool known;
	struct json_object *sessions;
	struct json_object *files;
	struct json_object *regions;
	struct json_object *subtrees;
};

/* running.c */
#define DEBUGFS	"/sys/kernel/debug/kho"
int running_set(const char *root, struct set *set);
int running_use(const char *root, struct use *use);
bool is_own(const char *node);
void use_free(struct use *use);
struct json_object *running_show(const char *root);

/* timeline.c */
struct json_object *timeline_parse(const struct blob *text);
struct json_object *timeline_read(const char *root);
struct json_object *timeline_show(const char *root);

/* act.c */
bool confirm(const char *question);
int load_image(char * const *words);
int finish_session(const char *root, const char *name, bool force);
int release_unclaimed(const char *root);

/* check.c */
enum verdict {
	VERDICT_SAME,
	VERDICT_OTHER,		/* both kernels have it, and the second cannot read it */
	VERDICT_UNKNOWN,	/* the second kernel does not have it */
	VERDICT_NEW,		/* the first kernel does not have it */
};

struct json_object *check_sets(const struct set *from, const struct set *to, const struct use *use,
			       int *status);

/**
 * struct memory - pages of another kernel
 * @page: reads the page at an address; false if it is not available.  The caller
 *	  frees the page.
 * @ctx: data for @page
 * @page_size: page size of that kernel
 * @left: number of pages that may still be read, a limit for chains with a loop
 */
struct memory {
	bool (*page)(struct memory *memory, uint64_t phys, struct blob *page);
	void *ctx;
	unsigned int page_size;
	unsigned int left;
};

/* memory.c */
int memory_open(const char *path, struct memory *memory);
void memory_close(struct memory *memory);

/* dump.c */
struct json_object *dump_path(const char *path, const char *as, const char *core);
struct json_object *dump_blob(const struct blob *blob, const char *as, struct memory *memory);
const char *dump_types(void);

/* decode.c: all return NULL and set a failure for invalid data */
struct json_object *decode_tree(const struct blob *blob);
struct json_object *decode_map(uint64_t root, struct memory *memory);
struct json_object *decode_luo(const struct blob *blob, struct memory *memory);
struct json_object *decode_sessions(const struct blob *block, struct memory *memory);
struct json_object *decode_files(const struct blob *block, struct memory *memory);
struct json_object *decode_metadata(const struct blob *blob, struct memory *memory);
struct json_object *decode_timeline(const struct blob *blob, struct memory *memory);
struct json_object *decode_memfd(const struct blob *page, struct memory *memory);

/* fdt.c */
typedef int (*fdt_visit)(void *ctx, unsigned int depth, const char *node, const char *prop,
			 const struct blob *value);
bool fdt_is(const struct blob *blob);
int fdt_walk(const struct blob *blob, fdt_visit visit, void *ctx);

/* print.c */
struct json_object *set_json(const struct set *set);
void print_json(struct json_object *what);
void print_abi(struct json_object *what);
void print_check(struct json_object *what);
void print_timeline(struct json_object *what);
void print_done(struct json_object *what);
void print_tree(struct json_object *what);
const char *json_string(struct json_object *what, const char *key);
struct json_object *json_text(const void *text, size_t size);
struct json_object *json_result(const char *verb);
struct json_object *json_address(uint64_t value);

#endif /* KHOCTL_H */
