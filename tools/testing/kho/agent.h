/* SPDX-License-Identifier: GPL-2.0 */
/* A user of live update: wrappers of its ioctls. */
#ifndef KHO_AGENT_H
#define KHO_AGENT_H

#include "shims.h"

#include <linux/liveupdate.h>
#include <uapi/linux/liveupdate.h>

#ifdef KUNIT
/* Boots the next kernel, with an empty log. */
void agent_kexec(struct kunit *test);
#endif

/* Return a descriptor, or a negative errno. */
int agent_create(int dev, const char *name);
int agent_retrieve(int dev, const char *name);
int agent_preserve(int session, u64 token, int fd);
int agent_get(int session, u64 token);
int agent_finish(int session);
int agent_finish_force(int session);

/* A memfd of @size bytes in folios of @order, each page filled from @salt. */
int agent_memfd(loff_t size, unsigned int order, unsigned int seals, u8 salt);
/* Overwrites the whole memfd. */
void agent_memfd_fill(int fd, u8 salt);
struct inode *agent_inode(int fd);
/* Returns true if size, seals and all bytes are as expected. */
bool agent_memfd_is(int fd, loff_t size, unsigned int seals, u8 salt);

#endif /* KHO_AGENT_H */
