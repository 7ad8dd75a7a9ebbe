// SPDX-License-Identifier: GPL-2.0
/* A user of live update, see agent.h. */

#include "agent.h"

/* Sets the size, the first field of every ioctl, and calls the ioctl. */
#define CALL(fd, cmd, request) ({					\
	(request)->size = sizeof(*(request));				\
	sim_ioctl(fd, cmd, request);					\
})

#ifdef KUNIT
void agent_kexec(struct kunit *test)
{
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	h = sim_kexec();
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
}
#endif

int agent_create(int dev, const char *name)
{
	struct liveupdate_ioctl_create_session create = { };
	int err;

	strncpy((char *)create.name, name, sizeof(create.name));
	err = CALL(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &create);
	return err ?: create.fd;
}

int agent_retrieve(int dev, const char *name)
{
	struct liveupdate_ioctl_retrieve_session retrieve = { };
	int err;

	strncpy((char *)retrieve.name, name, sizeof(retrieve.name));
	err = CALL(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &retrieve);
	return err ?: retrieve.fd;
}

int agent_preserve(int session, u64 token, int fd)
{
	struct liveupdate_session_preserve_fd preserve = { .fd = fd, .token = token };

	return CALL(session, LIVEUPDATE_SESSION_PRESERVE_FD, &preserve);
}

int agent_get(int session, u64 token)
{
	struct liveupdate_session_retrieve_fd get = { .token = token };
	int err = CALL(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &get);

	return err ?: get.fd;
}

int agent_finish(int session)
{
	struct liveupdate_session_finish finish = { };

	return CALL(session, LIVEUPDATE_SESSION_FINISH, &finish);
}

int agent_finish_force(int session)
{
	struct liveupdate_session_finish finish = {
		.reserved = LIVEUPDATE_SESSION_FINISH_FORCE,
	};

	return CALL(session, LIVEUPDATE_SESSION_FINISH, &finish);
}

static void *page_of(struct file *file, u64 i)
{
	struct folio *folio = file->f_inode->cache[i];

	return folio_address(folio) + (i - folio->index) * PAGE_SIZE;
}

int agent_memfd(loff_t size, unsigned int order, unsigned int seals, u8 salt)
{
	struct file *file = memfd_alloc_file("", MFD_ALLOW_SEALING);
	int fd;

	BUG_ON(IS_ERR(file));
	if (sim_shmem_fill(file, size, order)) {
		fput(file);
		return -ENOMEM;
	}
	memfd_add_seals(file, seals);

	fd = get_unused_fd_flags(0);
	BUG_ON(fd < 0);
	fd_install(fd, file);
	agent_memfd_fill(fd, salt);
	return fd;
}

void agent_memfd_fill(int fd, u8 salt)
{
	struct file *file = fget(fd);
	loff_t size = i_size_read(file_inode(file));

	for (u64 i = 0; i < DIV_ROUND_UP(size, PAGE_SIZE); i++)
		memset(page_of(file, i), salt + i, PAGE_SIZE);
	fput(file);
}

struct inode *agent_inode(int fd)
{
	struct file *file = fget(fd);
	struct inode *inode = file_inode(file);

	fput(file);
	return inode;
}

bool agent_memfd_is(int fd, loff_t size, unsigned int seals, u8 salt)
{
	struct file *file = fget(fd);
	bool same;

	if (!file)
		return false;

	same = i_size_read(file_inode(file)) == size &&
	       file_inode(file)->seals == seals;
	for (u64 i = 0; same && i < DIV_ROUND_UP(size, PAGE_SIZE); i++) {
		struct inode *inode = file_inode(file);

		same = i < inode->cache_size && inode->cache[i] &&
		       !memchr_inv(page_of(file, i), salt + i, PAGE_SIZE);
	}
	fput(file);
	return same;
}
