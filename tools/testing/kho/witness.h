/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of files and FLBs that write down each call of LUO, and fail on demand.
 * Only the number of a file is preserved.
 */
#ifndef KHO_WITNESS_H
#define KHO_WITNESS_H

#include "agent.h"

#define WITNESS_KINDS	3		/* the last one is another version of the first */
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

/* For a new kernel: no registration, no recorded call, no failure to come. */
void witness_reset(void);
/* Makes a kind known to LUO. */
int witness_register(unsigned int kind);
/* A descriptor of a new file. */
int witness_open(unsigned int kind, unsigned int nr);
/* Its number. */
int witness_nr(int fd);

/*
 * The next call that is recorded as @call, such as "freeze 3", fails with @err.
 */
void witness_fail(const char *call, int err);
/* A retrieve() that fails can be called again. */
extern bool witness_retry;
/* can_finish() returns false. */
extern bool witness_busy;
/* Called in freeze(); optional. */
extern void (*witness_in_freeze)(void);

/* Calls are not written down. */
extern bool witness_quiet;

/* The calls since the last time, each followed by a semicolon. */
const char *witness_calls(void);
/* The retrieve_status that finish() of a file found last. */
extern int witness_status;

#endif /* KHO_WITNESS_H */
