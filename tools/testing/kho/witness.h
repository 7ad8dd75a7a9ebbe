/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kinds of files and FLBs that write down each call of LUO, and fail on demand.
 * A file has a number, which is all that is preserved of it.
 */
#ifndef KHO_WITNESS_H
#define KHO_WITNESS_H

#include "agent.h"

#define WITNESS_KINDS	3		/* the last one is another version of the first */
#define WITNESS_FLBS	2

struct witness {
	struct liveupdate_file_handler fh;
	struct liveupdate_file_ops ops;
	struct file_operations fops;
	struct module module;
};

extern struct witness witness[WITNESS_KINDS];

/* FLBs "x" and "y". */
extern struct liveupdate_flb witness_flb[WITNESS_FLBS];
extern struct module witness_flb_module;

/* A new kernel: nothing is registered, written down or about to fail. */
void witness_reset(void);
/* Makes a kind known to LUO. */
int witness_register(unsigned int kind);
/* A descriptor of a new file. */
int witness_open(unsigned int kind, unsigned int nr);
/* Its number. */
int witness_nr(int fd);

/* The next call of @op for @who, such as "freeze 3" or "flb-preserve x", fails. */
void witness_fail(const char *call, int err);
/* A retrieve() that fails can be called again. */
extern bool witness_retry;
/* can_finish() says no. */
extern bool witness_busy;
/* What is to be called in freeze(). */
extern void (*witness_in_freeze)(void);

/* Calls are not written down. */
extern bool witness_quiet;

/* The calls since the last time, each followed by a semicolon. */
const char *witness_calls(void);
/* The retrieve_status that finish() of a file found last. */
extern int witness_status;

#endif /* KHO_WITNESS_H */
