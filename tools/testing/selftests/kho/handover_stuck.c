// SPDX-License-Identifier: GPL-2.0
/*
 * A step that preserves a memfd while another thread holds the lock of its
 * inode: in a write() that waits for user space, through userfaultfd or FUSE,
 * or in one fallocate() after the other.
 */

#include "handover.h"

#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FUSE_DIR	"/tmp/fuse"
#define FUSE_FILE	2	/* its inode */

/* Maps a missing page that userfaultfd never provides. */
static void *page_of_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (uffd < 0 || page == MAP_FAILED || ioctl(uffd, UFFDIO_API, &api))
		return NULL;
	reg.range.start = (uintptr_t)page;
	reg.range.len = page_size;

	return ioctl(uffd, UFFDIO_REGISTER, &reg) ? NULL : page;
}

static int fuse_reply(int fuse, u64 unique, const void *body, size_t len)
{
	u8 reply[512] = { };
	struct fuse_out_header head = {
		.len = sizeof(head) + len,
		.error = body ? 0 : -ENOSYS,
		.unique = unique,
	};

	memcpy(reply, &head, sizeof(head));
	if (body)
		memcpy(reply + sizeof(head), body, len);

	return write(fuse, reply, head.len) == (ssize_t)head.len ? 0 : -EIO;
}

static struct fuse_attr fuse_attr(u64 ino)
{
	struct fuse_attr attr = {
		.ino = ino,
		.mode = ino == FUSE_FILE ? S_IFREG | 0644 : S_IFDIR | 0755,
		.nlink = 1,
		.size = ino == FUSE_FILE ? page_size : 0,
	};

	return attr;
}

static int fuse_serve(int fuse, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
	};
	struct fuse_entry_out entry = {
		.nodeid = FUSE_FILE,
		.entry_valid = 1000,
		.attr_valid = 1000,
		.attr = fuse_attr(FUSE_FILE),
	};
	struct fuse_attr_out attr = {
		.attr_valid = 1000,
		.attr = fuse_attr(in->nodeid),
	};
	struct fuse_open_out open = { };

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_reply(fuse, in->unique, &init, sizeof(init));
	case FUSE_LOOKUP:
		return fuse_reply(fuse, in->unique, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return fuse_reply(fuse, in->unique, &attr, sizeof(attr));
	case FUSE_OPEN:
		return fuse_reply(fuse, in->unique, &open, sizeof(open));
	case FUSE_READ:
		return 0;	/* never answered */
	default:
		return fuse_reply(fuse, in->unique, NULL, 0);
	}
}

static void *fuse_thread(void *arg)
{
	static union {
		struct fuse_in_header head;
		u8 bytes[64 << 10];
	} request;
	int fuse = *(int *)arg;

	while (read(fuse, &request, sizeof(request)) > 0)
		fuse_serve(fuse, &request.head);

	return NULL;
}

/* Maps a page of a file whose FUSE server does not answer a read. */
static void *page_of_fuse(void)
{
	static int fuse;
	pthread_t thread;
	void *page;
	int fd;

	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0 || (mkdir(FUSE_DIR, 0755) && errno != EEXIST) ||
	    mount("stuck", FUSE_DIR, "fuse", 0,
		  textf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse)) ||
	    pthread_create(&thread, NULL, fuse_thread, &fuse))
		return NULL;

	fd = open(FUSE_DIR "/file", O_RDONLY | O_CLOEXEC);
	page = fd < 0 ? MAP_FAILED : mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, 0);

	return page == MAP_FAILED ? NULL : page;
}

struct stuck {
	int session, fd;
	void *page;
};

static void *stuck_write(void *arg)
{
	const struct stuck *s = arg;

	if (pwrite(s->fd, s->page, page_size, 0) != (ssize_t)page_size)
		problem(-EIO, "the write came to an end");

	return NULL;
}

/* Each call takes longer than any timeout. */
static void *stuck_allocate(void *arg)
{
	const struct stuck *s = arg;
	off_t size = memory_info("MemAvailable") / 2;

	for (;;) {
		fallocate(s->fd, FALLOC_FL_KEEP_SIZE, 0, size);
		fallocate(s->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, size);
	}

	return NULL;
}

static void *stuck_preserve(void *arg)
{
	const struct stuck *s = arg;

	luo_preserve(s->session, 99, s->fd);

	return NULL;
}

/* Both threads are still running when the kexec starts. */
static int stuck_start(struct stuck *s, void *(*first)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, first, s))
		return problem(-EAGAIN, "no thread");
	usleep(200000);
	if (pthread_create(&thread, NULL, stuck_preserve, s))
		return problem(-EAGAIN, "no thread");
	usleep(200000);

	return 0;
}

DEFINE_STEP(stuck, (const char *session, const char *name, const char *way),
	    (session, name, way), "stuck %s %s %s", session, name, way)
{
	static struct stuck s;

	s.session = fd_find(session);
	s.fd = fd_find(name);
	if (s.session < 0 || s.fd < 0)
		return -ENOENT;
	if (!strcmp(way, "fallocate"))
		return stuck_start(&s, stuck_allocate);

	s.page = strcmp(way, "fuse") ? page_of_uffd() : page_of_fuse();
	if (!s.page)
		return problem(-errno, "%s: %m", way);

	return stuck_start(&s, stuck_write);
}
