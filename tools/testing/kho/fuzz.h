/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that fuzz targets share.
 *
 * The input of a target is not a memory image, as nearly all images would be
 * refused at the first word.  It is a program: the first part selects the data
 * that a kernel hands over with its normal code, the second part overwrites
 * words of that data.  Then the next kernel boots.
 */
#ifndef KHO_FUZZ_H
#define KHO_FUZZ_H

#include "shims.h"

struct input {
	const u8 *at;
	const u8 *end;
};

/* After the end of the input, these return 0. */
u8 in_u8(struct input *in);
u16 in_u16(struct input *in);
u64 in_u64(struct input *in);
/* In [0, @below), which is at most 65536. */
unsigned int in_below(struct input *in, unsigned int below);
bool in_left(const struct input *in);

/* Landmarks are memory to overwrite, and to point to. */
void fuzz_landmarks_reset(void);
void fuzz_landmark(const void *mem, size_t size);
/* An address, a boundary value, or any number. */
u64 fuzz_value(struct input *in);
/* Overwrites words of landmarks for as long as there is input, or @max times. */
void fuzz_damage(struct input *in, unsigned int max);

/* Boot a kernel that preserves memory, and then the next kernel. */
void fuzz_begin(void);
bool fuzz_hop(void);
/* Frees everything, and checks the state of the machine. */
void fuzz_end(void);

struct fuzz_target {
	const char *name;
	void (*one)(struct input *in);
	struct fuzz_target *next;
};

extern struct fuzz_target *fuzz_targets;

#define FUZZ_TARGET(_name)						\
static void fuzz_##_name(struct input *in);				\
__attribute__((constructor)) static void fuzz_register_##_name(void)	\
{									\
	static struct fuzz_target target = { #_name, fuzz_##_name };	\
									\
	target.next = fuzz_targets;					\
	fuzz_targets = &target;						\
}									\
static void fuzz_##_name(struct input *in)

void fuzz_run(const struct fuzz_target *target, const u8 *data, size_t size);
const struct fuzz_target *fuzz_find(const char *name);

#endif /* KHO_FUZZ_H */
