/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of files and FLBs that record each call of LUO, and fail on demand.
 * The only data of a file is its number.
 */
#ifndef KHO_WITNESS_H
#define KHO_WITNESS_H

#include "agent.h"

#define WITNESS_KINDS	3		/* the last one is another version of the first one */
#define WITNESS_FLBS	2

struct witness {
	struct liveupdate_file_handler fh;
	struct liveupdate_file_ops ops;
	const struct file_operations *fops;
	struct module module;
};

extern struct witness witness[WITNESS_KINDS];

/* FLBs "x" and "y". */
extern struct liveupdate_flb witness_flb[WITNESS_FLBS];
extern struct module witness_flb_module;

/*
 * Call in each new kernel: forgets registrations, recorded calls and failures.
 */
void witness_reset(void);
/* Registers the handler of a kind of files. */
int witness_register(unsigned int kind);
/* Returns a descriptor of a new file with number @nr. */
int witness_open(unsigned int kind, unsigned int nr);
/* Returns the number of a file. */
int witness_nr(int fd);

/*
 * The next call that is recorded as @call, such as "freeze 3", fails with @err.
 */
void witness_fail(const char *call, int err);
/* If true, LUO may repeat a retrieve() that failed. */
extern bool witness_retry;
/* If true, can_finish() returns false. */
extern bool witness_busy;
/* Called in freeze(); optional. */
extern void (*witness_in_freeze)(void);

/* If true, calls are not recorded. */
extern bool witness_quiet;

/*
 * Returns the calls that were recorded since this function was last called, each
 * followed by a semicolon.
 */
const char *witness_calls(void);
/* The retrieve_status that finish() of a file was last called with. */
extern int witness_status;

#endif /* KHO_WITNESS_H */
