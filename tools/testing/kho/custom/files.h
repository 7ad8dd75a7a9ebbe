/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files: descriptors, their files, and shared memory whose page cache
 * is an array.  Only the functions that live update needs, without concurrency.
 */
#ifndef KHO_CUSTOM_FILES_H
#define KHO_CUSTOM_FILES_H

#include "memory.h"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <sys/stat.h>

#define MAX_LFS_FILESIZE	((loff_t)LLONG_MAX)
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif
#ifndef MFD_ALLOW_SEALING
#define MFD_ALLOW_SEALING	0x0002u
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x0008u
#endif

/* A module: the number of its users, and whether it is being unloaded. */
struct module {
	int refs;
	bool going;
};

static inline bool try_module_get(struct module *module)
{
	if (module && module->going)
		return false;
	if (module)
		module->refs++;
	return true;
}

static inline void module_put(struct module *module)
{
	BUG_ON(module && module->refs <= 0);
	if (module)
		module->refs--;
}

struct inode;
struct file;

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	void *read;			/* set, but never called */
};

/* The page cache: a pointer for each page, in the inode. */
struct sim_pages {
	struct inode *owner;
};

struct address_space {
	struct inode *host;
	struct sim_pages i_pages;
	unsigned long nrpages;
	unsigned long flags;
};

#define AS_EIO			0

struct inode {
	struct address_space mapping;
	int refs;			/* open files of this inode */
	bool locked;
	loff_t size;
	unsigned int i_nlink;
	unsigned int i_mode;
	void *i_private;
	unsigned int seals;
	bool frozen;
	long blocks;			/* accounted pages */
	long alloced;			/* pages of the file, as counted by shmem */
	struct folio **cache;
	u64 cache_size;
};

struct file {
	const struct file_operations *f_op;
	void *private_data;
	struct inode *f_inode;
	struct address_space *f_mapping;
	loff_t f_pos;
	unsigned int f_mode;
	int refs;
};

#define FMODE_READ	1u
#define FMODE_WRITE	2u
typedef unsigned int umode_t;
typedef unsigned int fmode_t;

/* The inode of anonymous files. */
extern struct inode sim_anon_inode;

#define file_inode(file)	((file)->f_inode ?: &sim_anon_inode)
#define i_size_read(inode)	((inode)->size)
#define i_size_write(inode, s)	((inode)->size = (s))
#define inode_unlock(inode)	sim_unlock(&(inode)->locked)

/* There is one thread, so locking twice is a deadlock. */
static inline void sim_lock(bool *locked)
{
	BUG_ON(*locked);
	*locked = true;
}

static inline void sim_unlock(bool *locked)
{
	BUG_ON(!*locked);
	*locked = false;
}

static inline bool inode_trylock(struct inode *inode)
{
	if (inode->locked)
		return false;
	inode->locked = true;
	return true;
}

struct file *get_file(struct file *file);
void fput(struct file *file);
struct file *fget(unsigned int fd);
int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(int fd);
void fd_install(int fd, struct file *file);
struct file *anon_inode_getfile(const char *name, const struct file_operations *fops,
				void *priv, int flags);
loff_t vfs_setpos(struct file *file, loff_t pos, loff_t max);

/* Closes a descriptor, as a process does. */
void sim_close(int fd);
/* Forgets all descriptors, for the next kernel. */
void sim_files_forget(void);

/* Devices. */

#define MISC_DYNAMIC_MINOR	255

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
};

int misc_register(struct miscdevice *dev);
/* Opens /dev/liveupdate; returns a descriptor or an error. */
int sim_open_device(void);
long sim_ioctl(int fd, unsigned int cmd, void *arg);

/* User space is the memory of this program.  A test can make it inaccessible. */
enum sim_user {
	SIM_USER_GOOD,
	SIM_USER_UNREADABLE,
	SIM_USER_UNWRITABLE,
};

extern enum sim_user sim_user;

#define get_user(x, ptr)						\
	(sim_user == SIM_USER_UNREADABLE ? -EFAULT : ((x) = *(ptr), 0))
/*
 * copy_to_user() may block for long, so the caller must not hold a lock that
 * other tasks wait for.
 */
#define copy_to_user(to, from, n) ({					\
	bool __writable = sim_user != SIM_USER_UNWRITABLE;		\
									\
	BUG_ON(sim_read_locks);						\
	if (__writable)							\
		memcpy(to, from, n);					\
	__writable ? 0 : n;						\
})
int copy_struct_from_user(void *dst, size_t ksize, const void *src, size_t usize);

/* The calling task. */
struct sim_task {
	unsigned int flags;
	bool killed;
};

extern struct sim_task sim_task;
#define current			(&sim_task)
#define PF_EXITING		4u
#define PF_KTHREAD		8u
#define fatal_signal_pending(task)	((task)->killed)

/* Called while the task sleeps; NULL if nothing would wake it up. */
extern void (*sim_asleep)(void);
void schedule_timeout_killable(long ticks);

/* Shared memory. */

struct file *memfd_alloc_file(const char *name, unsigned int flags);
int memfd_add_seals(struct file *file, unsigned int seals);
int memfd_get_seals(struct file *file);
struct folio *shmem_read_folio_gfp(struct address_space *mapping, pgoff_t index, gfp_t gfp);
bool folio_isolate_lru(struct folio *folio);
void putback_movable_pages(struct list_head *list);
int migrate_pages(struct list_head *list, void *alloc, void *free, unsigned long target,
		  int mode, int reason, unsigned int *succeeded);
extern int sim_migrate_fails, sim_migrate_error;	/* number of failing calls, their error */
extern long sim_migrate_most;			/* largest number of pages in one call */
/* A folio that is added to an LRU list by the next drain; the number of drains. */
extern struct folio *sim_folio_on_its_way;
extern unsigned int sim_drains;
bool shmem_file(struct file *file);
void shmem_freeze(struct inode *inode, bool freeze);
int shmem_inode_acct_blocks(struct inode *inode, long pages);
int shmem_add_to_page_cache(struct folio *folio, struct address_space *mapping,
			    pgoff_t index, void *expected, gfp_t gfp);
void shmem_recalc_inode(struct inode *inode, long alloced, long swapped);

/* Allocations of blocks, or of nodes of the page cache, fail. */
extern bool sim_no_blocks, sim_no_nodes;
/* Errors of creating and of sealing a file, or 0. */
extern int sim_memfd_error, sim_seal_error;
/* The largest folio that a file may have. */
extern unsigned int sim_max_folio_order;

/* Opens the file of a descriptor once more, as by /proc/self/fd. */
int sim_reopen(int fd);
/* Result of ftruncate() to another size. */
int sim_resize(int fd, loff_t size);

#define FOLIO_BATCH_SIZE	31

struct folio_batch {
	unsigned int nr;
	struct folio *folios[FOLIO_BATCH_SIZE];
};

#define folio_batch_init(batch)		((batch)->nr = 0)
#define folio_batch_reinit(batch)	((batch)->nr = 0)
#define folio_batch_count(batch)	((batch)->nr)
unsigned int folio_batch_add(struct folio_batch *batch, struct folio *folio);
void folios_put(struct folio_batch *batch);
void release_pages(struct folio **folios, int nr);
unsigned int filemap_get_folios_contig(struct address_space *mapping, pgoff_t *start,
				       pgoff_t end, struct folio_batch *batch);
/* From mm/internal.h.  The rest of that header is not needed. */
#define __MM_INTERNAL_H

/* Nesting depth of memalloc_pin_save(), within which new memory can be preserved. */
extern int sim_pin_scopes;

struct migration_target_control {
	int nid;
	gfp_t gfp_mask;
	int reason;
};

#define alloc_migration_target	NULL
#define MIGRATE_SYNC		2
#define MR_LONGTERM_PIN		1
#define NR_ISOLATED_ANON	0
#define folio_is_file_lru(f)	0
#define node_stat_mod_folio(f, item, nr)	((void)(f), (void)(nr))
#define lru_add_drain_all()	(sim_drains++, sim_folio_on_its_way = NULL)
#define memalloc_pin_save()	(sim_pin_scopes++)
#define memalloc_pin_restore(flags)	(sim_pin_scopes = (flags))
#define folio_is_longterm_pinnable(f)	(!((f)->page.flags & SIM_MOVABLE))

/*
 * Grows a file and fills it with folios of @order.  Some of them have to be
 * migrated.
 */
int sim_shmem_fill(struct file *file, loff_t size, unsigned int order);
/* Adds one such folio as page @i of a file. */
int sim_shmem_place(struct inode *inode, u64 i, unsigned int order);
/* Replaces a folio by another one with the same contents, as collapse_file() does. */
struct folio *sim_shmem_replace(struct folio *folio);

/* A position in the page cache. */
struct xa_state {
	struct inode *inode;
	unsigned long xa_index;
	unsigned int order;
	int err;
	bool locked;
	bool granted;			/* memory for the next store */
};

#define XA_CHUNK_SIZE		64UL
#define XA_CHUNK_MASK		(XA_CHUNK_SIZE - 1)
#define XA_STATE(name, pages, index)					\
	struct xa_state name = { .inode = (pages)->owner, .xa_index = index }
#define xas_set_order(xas, index, o)	((xas)->xa_index = (index), (xas)->order = (o))
#define xas_next(xas)		((xas)->xa_index++)
#define xas_error(xas)		((xas)->err)
#define xas_lock_irq(xas)	sim_lock(&(xas)->locked)
#define xas_unlock_irq(xas)	sim_unlock(&(xas)->locked)
#define GFP_RECLAIM_MASK	(~0u)
void xas_store(struct xa_state *xas, struct folio *folio);
bool xas_nomem(struct xa_state *xas, gfp_t gfp);

/* Flags of folios. */
enum {
	SIM_UPTODATE = 1,
	SIM_DIRTY = 2,
	SIM_CHARGED = 4,
	SIM_MOVABLE = 8,		/* in memory that cannot be preserved */
	SIM_LOCKED = 16,
	SIM_SWAPBACKED = 32,
	SIM_LRU = 64,
	SIM_POISONED = 128,		/* has a memory error */
	SIM_CACHED = 256,		/* written, and not flushed from the data cache */
	SIM_RMAPPABLE = 512,
	SIM_ISOLATED = 1024,		/* taken off its LRU list */
	SIM_TAGGED = 2048,		/* of a page: has memory tags */
};

#define folio_test_uptodate(f)	((f)->page.flags & SIM_UPTODATE)
#define folio_mark_uptodate(f) do {					\
	BUG_ON((f)->page.flags & SIM_CACHED);				\
	(f)->page.flags |= SIM_UPTODATE;				\
} while (0)
#define folio_test_dirty(f)	((f)->page.flags & SIM_DIRTY)
#define folio_mark_dirty(f)	((f)->page.flags |= SIM_DIRTY)
#define folio_test_large(f)	(folio_order(f) > 0)
#define folio_set_large_rmappable(f)	((f)->page.flags |= SIM_RMAPPABLE)
#define folio_memcg_charged(f)	((f)->page.flags & SIM_CHARGED)
#define __folio_mark_uptodate(f)	folio_mark_uptodate(f)
#define folio_test_set_dirty(f)	folio_mark_dirty(f)
#define folio_ref_add(f, nr)	((f)->refcount += (nr))
#define folio_ref_sub(f, nr)	((f)->refcount -= (nr))
#define folio_test_pmd_mappable(f)	(folio_size(f) >= PMD_SIZE)
#define folio_pos(f)		((loff_t)(f)->page.index << PAGE_SHIFT)
#define folio_next_index(f)	((f)->page.index + (1UL << folio_order(f)))
#define folio_contain_hwpoisoned_page(f)	((f)->page.flags & SIM_POISONED)
#define folio_zero_segment(f, start, end) do {				\
	BUG_ON(folio_contain_hwpoisoned_page(f));			\
	memset(folio_address(f) + (start), 0, (end) - (start));		\
	(f)->page.flags |= SIM_CACHED;					\
} while (0)
#define flush_dcache_folio(f)	((f)->page.flags &= ~SIM_CACHED)
/* Called right before a folio is locked, to simulate another CPU; or NULL. */
extern void (*sim_before_folio_lock)(struct folio *folio);
#define folio_lock(f) do {						\
	if (sim_before_folio_lock)					\
		sim_before_folio_lock(f);				\
	sim_folio_change(f, SIM_LOCKED, true);				\
} while (0)
#define folio_unlock(f)		sim_folio_change(f, SIM_LOCKED, false)
#define __folio_set_locked(f)	sim_folio_change(f, SIM_LOCKED, true)
#define __folio_set_swapbacked(f)	((f)->page.flags |= SIM_SWAPBACKED)
#define folio_set_lru(f)	sim_folio_change(f, SIM_LRU, true)
#define mapping_gfp_mask(m)	((void)(m), GFP_KERNEL)
#define mapping_max_folio_order(m)	((void)(m), sim_max_folio_order)

/* Changes a flag, which must have the other value. */
static inline void sim_folio_change(struct folio *folio, unsigned long flag, bool on)
{
	BUG_ON(!(folio->page.flags & flag) != on);
	folio->page.flags ^= flag;
}

/* lruvec of a folio: groups of eight pages alternate between two of them. */
enum {
	NR_FILE_PAGES,
	NR_SHMEM,
	NR_SHMEM_THPS,
	SIM_ON_LRU,
	SIM_NR_STATS,
};

struct lruvec {
	long stat[SIM_NR_STATS];
	bool locked;
};

extern struct lruvec sim_lruvecs[2];

#define folio_lruvec(f)		(&sim_lruvecs[folio_pfn(f) >> 3 & 1])
#define lruvec_stat_mod_folio(f, item, nr)	(folio_lruvec(f)->stat[item] += (nr))
#define lruvec_unlock_irq(lruvec)	sim_unlock(&(lruvec)->locked)

static inline struct lruvec *folio_lruvec_relock_irq(struct folio *folio,
						     struct lruvec *locked)
{
	if (locked == folio_lruvec(folio))
		return locked;
	if (locked)
		lruvec_unlock_irq(locked);
	sim_lock(&folio_lruvec(folio)->locked);
	return folio_lruvec(folio);
}

static inline void lruvec_add_folio(struct lruvec *lruvec, struct folio *folio)
{
	BUG_ON(lruvec != folio_lruvec(folio) || !lruvec->locked);
	lruvec->stat[SIM_ON_LRU] += folio_nr_pages(folio);
}

/* Whether the CPUs support memory tags. */
#define CONFIG_ARM64_MTE	1
extern bool sim_mte;
#define system_supports_mte()	sim_mte
#define page_mte_tagged(page)	((page)->flags & SIM_TAGGED)

#define CONFIG_MEMORY_FAILURE	1
extern atomic_long_t num_poisoned_pages;
void sim_poison(struct folio *folio);
/*
 * Decreases the number of poisoned pages, as if a page of another user was
 * unpoisoned.
 */
void sim_unpoison(void);

/* Error of charging a folio, or 0. */
extern int sim_charge_error;

static inline int mem_cgroup_charge(struct folio *folio, void *mm, gfp_t gfp)
{
	if (sim_charge_error)
		return sim_charge_error;
	if (sim_alloc_fails(gfp))
		return -ENOMEM;
	BUG_ON(folio->page.flags & SIM_CHARGED);
	folio->page.flags |= SIM_CHARGED;
	return 0;
}

/* The image that is loaded for the next kernel. */
extern struct kimage *kexec_image;

#endif /* KHO_CUSTOM_FILES_H */
