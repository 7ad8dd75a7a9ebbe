/* SPDX-License-Identifier: GPL-2.0 */
/* What a user of live update does, by the ioctls it has. */
#ifndef KHO_AGENT_H
#define KHO_AGENT_H

#include "shims.h"

#include <linux/liveupdate.h>
#include <uapi/linux/liveupdate.h>

#ifdef KUNIT
/* From this kernel to the next one, whose log is empty. */
void agent_kexec(struct kunit *test);
#endif

/* Descriptors or errors. */
int agent_create(int dev, const char *name);
int agent_retrieve(int dev, const char *name);
int agent_preserve(int session, u64 token, int fd);
int agent_get(int session, u64 token);
int agent_finish(int session);
int agent_finish_force(int session);

/* A memfd of @size bytes in folios of @order, each page filled from @salt. */
int agent_memfd(loff_t size, unsigned int order, unsigned int seals, u8 salt);
/* Writes all of it again. */
void agent_memfd_fill(int fd, u8 salt);
struct inode *agent_inode(int fd);
/* Whether every byte is there. */
bool agent_memfd_is(int fd, loff_t size, unsigned int seals, u8 salt);

#endif /* KHO_AGENT_H */
