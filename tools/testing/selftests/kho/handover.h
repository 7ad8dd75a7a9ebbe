/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the parts of the guest agent; see handover.c for what it is.
 */

#ifndef SELFTESTS_KHO_HANDOVER_H
#define SELFTESTS_KHO_HANDOVER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * An action gets the words of its line, NULL-terminated, without its own name.
 * It returns 0, or a negative errno after it told problem() the reason.
 */
struct action {
	const char *name;
	const char *usage;
	int min_words;
	int (*run)(char **words);
};

extern const struct action luo_actions[];
extern const struct action memfd_actions[];
extern const struct action memory_actions[];
extern const struct action ioctl_actions[];
extern const struct action holder_actions[];
extern const struct action damage_actions[];
extern const struct action stress_actions[];

/* handover.c */
int __printf(2, 3) problem(int err, const char *fmt, ...);
void __printf(1, 2) note(const char *fmt, ...);

/* "name=value" and plain "name" among the words of a line. */
const char *option(char **words, const char *name);
int option_u64(char **words, const char *name, uint64_t def, uint64_t *value);
int parse_u64(const char *text, uint64_t *value);

/* Every descriptor the script works with has a name. */
int fd_add(const char *name, int fd);
int fd_find(const char *name);
int fd_close(const char *name);

/* Seeded data: any part of it can be made again without the rest. */
void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t offset);

/* splitmix64: word number @index of the stream that @seed names. */
uint64_t pattern_word(uint64_t seed, uint64_t index);

/* handover_luo.c: a descriptor or 0, or a negative errno without a reason. */
int luo_device(void);
int luo_create(const char *name);
int luo_get(const char *name);
int luo_preserve(int session, uint64_t token, int fd);
int luo_retrieve(int session, uint64_t token);
int luo_finish(int session);

/* handover_memfd.c: a memfd full of seeded data, and whether it still is. */
int seeded_make(const char *name, uint64_t size, uint64_t seed);
int seeded_check(int fd, uint64_t size, uint64_t seed);

/* handover_memory.c: a number in the tree that crosses the kexec. */
int kho_fdt_u64(const char *path, const char *node, const char *prop,
		uint64_t *value);

#endif
