// SPDX-License-Identifier: GPL-2.0
/* Files and shared memory, see files.h. */

#include "../shims.h"

#define MAX_FDS		256

static struct file *fds[MAX_FDS];
static const struct file_operations *device;
struct sim_task sim_task;
void (*sim_asleep)(void);
void (*sim_before_folio_lock)(struct folio *folio);
atomic_long_t num_poisoned_pages;
struct inode sim_anon_inode;
int sim_charge_error;
bool sim_mte, sim_no_blocks, sim_no_nodes;

static struct kimage loaded = { .kho.fdt = 1 };
struct kimage *kexec_image = &loaded;

enum sim_user sim_user;
int sim_memfd_error, sim_seal_error;
unsigned int sim_max_folio_order = MAX_PAGE_ORDER;
struct lruvec sim_lruvecs[2];

/* Marks a descriptor that is reserved, but not open. */
static struct file reserved;

int sim_locks_held(void)
{
	return sim_read_locks + sim_write_locks + sim_atomic + sim_pin_scopes;
}

void sim_expect_locks(int sum)
{
	BUG_ON(sim_locks_held() != sum);
	for (unsigned int i = 0; i < ARRAY_SIZE(sim_lruvecs); i++)
		BUG_ON(sim_lruvecs[i].locked);
}

static struct file *new_file(const struct file_operations *fops, void *priv)
{
	struct file *file = kzalloc_obj(*file);

	if (file) {
		file->f_op = fops;
		file->private_data = priv;
		file->refs = 1;
	}
	return file;
}

struct file *get_file(struct file *file)
{
	file->refs++;
	return file;
}

void schedule_timeout_killable(long ticks)
{
	BUG_ON(!sim_asleep);
	sim_asleep();
}

static void inode_put(struct inode *inode)
{
	if (--inode->refs)
		return;

	BUG_ON(inode->locked);
	BUG_ON(inode->blocks != inode->mapping.nrpages);
	BUG_ON(inode->alloced != inode->mapping.nrpages);
	for (u64 i = 0; i < inode->cache_size;) {
		struct folio *folio = inode->cache[i];

		if (!folio) {
			i++;
			continue;
		}
		i += folio_nr_pages(folio);
		/* The page cache has a reference for each page. */
		folio->mapping = NULL;
		folio_ref_sub(folio, folio_nr_pages(folio) - 1);
		folio_put(folio);
	}
	kfree(inode->cache);
	kfree(inode);
}

void fput(struct file *file)
{
	BUG_ON(file->refs <= 0);
	if (--file->refs)
		return;
	if (file->f_op && file->f_op->release)
		file->f_op->release(NULL, file);
	if (file->f_inode)
		inode_put(file->f_inode);
	kfree(file);
}

struct file *fget(unsigned int fd)
{
	if (fd >= MAX_FDS || !fds[fd] || fds[fd] == &reserved)
		return NULL;
	return get_file(fds[fd]);
}

int get_unused_fd_flags(unsigned int flags)
{
	for (int fd = 0; fd < MAX_FDS; fd++) {
		if (fds[fd])
			continue;
		fds[fd] = &reserved;
		return fd;
	}
	return -EMFILE;
}

void put_unused_fd(int fd)
{
	BUG_ON(fds[fd] != &reserved);
	fds[fd] = NULL;
}

void fd_install(int fd, struct file *file)
{
	BUG_ON(fds[fd] != &reserved);
	fds[fd] = file;
}

void sim_close(int fd)
{
	struct file *file = fds[fd];

	fds[fd] = NULL;
	fput(file);
}

void sim_files_forget(void)
{
	memset(&sim_task, 0, sizeof(sim_task));
	sim_asleep = NULL;
	sim_before_folio_lock = NULL;
	sim_folio_on_its_way = NULL;
	sim_drains = 0;
	sim_migrate_most = 0;
	sim_charge_error = 0;
	sim_mte = sim_no_blocks = sim_no_nodes = false;
	memset(fds, 0, sizeof(fds));
	memset(sim_lruvecs, 0, sizeof(sim_lruvecs));
	device = NULL;
	loaded.kho.fdt = 1;
	sim_user = SIM_USER_GOOD;
	sim_memfd_error = sim_seal_error = 0;
	sim_max_folio_order = MAX_PAGE_ORDER;
}

struct file *anon_inode_getfile(const char *name, const struct file_operations *fops,
				void *priv, int flags)
{
	return new_file(fops, priv) ?: ERR_PTR(-ENOMEM);
}

loff_t vfs_setpos(struct file *file, loff_t pos, loff_t max)
{
	BUG_ON(pos < 0 || pos > max);
	return file->f_pos = pos;
}

/* Devices. */

int misc_register(struct miscdevice *dev)
{
	device = dev->fops;
	return 0;
}

int sim_open_device(void)
{
	struct file *file;
	int fd, err;

	if (!device)
		return -ENOENT;
	file = new_file(device, NULL);
	BUG_ON(!file);
	err = device->open(NULL, file);
	if (err) {
		kfree(file);
		return err;
	}
	fd = get_unused_fd_flags(0);
	fd_install(fd, file);
	return fd;
}

long sim_ioctl(int fd, unsigned int cmd, void *arg)
{
	struct file *file = fds[fd];
	int held = sim_locks_held();
	long err = file->f_op->unlocked_ioctl(file, cmd, (unsigned long)arg);

	sim_expect_locks(held);
	return err;
}

int copy_struct_from_user(void *dst, size_t ksize, const void *src, size_t usize)
{
	size_t size = min(ksize, usize);

	if (usize > ksize && memchr_inv(src + ksize, 0, usize - ksize))
		return -E2BIG;
	memset(dst, 0, ksize);
	memcpy(dst, src, size);
	return 0;
}

/* Shared memory. */

struct file *memfd_alloc_file(const char *name, unsigned int flags)
{
	struct inode *inode = sim_memfd_error ? NULL : kzalloc_obj(*inode);
	struct file *file = inode ? new_file(NULL, NULL) : NULL;

	if (!file) {
		/* The error of the kernel when the allocation of an inode fails. */
		int err = inode ? -ENOMEM : sim_memfd_error ?: -ENOSPC;

		kfree(inode);
		return ERR_PTR(err);
	}
	inode->mapping.host = inode;
	inode->mapping.i_pages.owner = inode;
	inode->refs = 1;
	inode->i_mode = S_IFREG | (flags & MFD_NOEXEC_SEAL ? 0666 : 0777);
	if (flags & MFD_NOEXEC_SEAL)
		inode->seals = F_SEAL_EXEC;
	file->f_mode = FMODE_READ | FMODE_WRITE;
	file->f_inode = inode;
	file->f_mapping = &inode->mapping;
	return file;
}

int memfd_add_seals(struct file *file, unsigned int seals)
{
	if (sim_seal_error)
		return sim_seal_error;
	file->f_inode->seals |= seals;
	return 0;
}

int memfd_get_seals(struct file *file)
{
	return file->f_inode->seals;
}

bool shmem_file(struct file *file)
{
	return file->f_inode;
}

void shmem_freeze(struct inode *inode, bool freeze)
{
	BUG_ON(freeze && !inode->locked);
	inode->frozen = freeze;
}

int sim_reopen(int fd)
{
	struct file *file = new_file(NULL, NULL), *old = fds[fd];

	BUG_ON(!file);
	file->f_mode = old->f_mode;
	file->f_inode = old->f_inode;
	file->f_mapping = old->f_mapping;
	file->f_inode->refs++;
	fd = get_unused_fd_flags(0);
	fd_install(fd, file);
	return fd;
}

int sim_resize(int fd, loff_t size)
{
	struct inode *inode = fds[fd]->f_inode;

	if (inode->frozen)
		return -EPERM;
	inode->size = size;
	return 0;
}

int shmem_inode_acct_blocks(struct inode *inode, long pages)
{
	if (sim_no_blocks || sim_alloc_fails(GFP_KERNEL))
		return -ENOSPC;
	inode->blocks += pages;
	return 0;
}

/* Unaccounts pages that are not in the file. */
void shmem_recalc_inode(struct inode *inode, long alloced, long swapped)
{
	long freed;

	inode->alloced += alloced;
	freed = inode->alloced - inode->mapping.nrpages;
	if (freed > 0) {
		inode->alloced -= freed;
		inode->blocks -= freed;
	}
}

static int make_room(struct inode *inode, u64 pages)
{
	struct folio **cache;

	if (pages <= inode->cache_size)
		return 0;
	/* This array is not sparse, unlike a real page cache: limit its size. */
	if (pages > 1 << 16)
		return -ENOMEM;

	cache = kzalloc(pages * sizeof(*cache), GFP_KERNEL | __GFP_NOFAIL);
	memcpy(cache, inode->cache, inode->cache_size * sizeof(*cache));
	kfree(inode->cache);
	inode->cache = cache;
	inode->cache_size = pages;
	return 0;
}

static int cache_put(struct inode *inode, struct folio *folio, u64 index)
{
	long nr = folio_nr_pages(folio);

	BUG_ON(!IS_ALIGNED(index, nr));
	if (make_room(inode, index + nr))
		return -ENOMEM;
	for (long i = 0; i < nr; i++) {
		if (inode->cache[index + i])
			return -EEXIST;
	}
	for (long i = 0; i < nr; i++)
		inode->cache[index + i] = folio;
	return 0;
}

int shmem_add_to_page_cache(struct folio *folio, struct address_space *mapping,
			    pgoff_t index, void *expected, gfp_t gfp)
{
	int err;

	BUG_ON(folio->mapping);
	err = sim_alloc_fails(gfp) ? -ENOMEM : cache_put(mapping->host, folio, index);
	if (err)
		return err;

	folio->index = index;
	folio->mapping = mapping;
	folio_ref_add(folio, folio_nr_pages(folio));
	mapping->nrpages += folio_nr_pages(folio);
	return 0;
}

/* The caller has made sure that the index is not in use. */
void xas_store(struct xa_state *xas, struct folio *folio)
{
	BUG_ON(!xas->locked || xas->order != folio_order(folio));
	BUG_ON((folio->page.flags & (SIM_LOCKED | SIM_SWAPBACKED | SIM_LRU | SIM_CHARGED)) !=
	       (SIM_LOCKED | SIM_SWAPBACKED | SIM_CHARGED));
	if (sim_no_nodes || (!xas->granted && sim_alloc_fails(GFP_KERNEL))) {
		xas->err = -ENOMEM;
		return;
	}
	xas->granted = false;
	xas->err = cache_put(xas->inode, folio, xas->xa_index);
	BUG_ON(xas->err == -EEXIST);
}

bool xas_nomem(struct xa_state *xas, gfp_t gfp)
{
	BUG_ON(xas->locked);
	if (xas->err != -ENOMEM || sim_no_nodes || sim_alloc_fails(gfp))
		return false;
	/* More memory does not help: the array is never that large. */
	if (xas->xa_index >> 16)
		return false;
	xas->err = 0;
	xas->granted = true;
	return true;
}

int sim_shmem_place(struct inode *inode, u64 i, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL | __GFP_ZERO, order);

	if (!folio || shmem_add_to_page_cache(folio, &inode->mapping, i, NULL, GFP_KERNEL))
		return -ENOMEM;
	folio_mark_uptodate(folio);
	if (folio_pfn(folio) / pageblock_nr_pages % 3 == 0)
		folio->page.flags |= SIM_MOVABLE;
	folio_put(folio);
	inode->blocks += BIT(order);
	inode->alloced += BIT(order);
	return 0;
}

int sim_shmem_fill(struct file *file, loff_t size, unsigned int order)
{
	struct inode *inode = file->f_inode;
	u64 pages = DIV_ROUND_UP(size, PAGE_SIZE);

	inode->size = size;
	for (u64 i = 0; i < pages; i += BIT(order)) {
		if (sim_shmem_place(inode, i, order))
			return -ENOMEM;
	}
	return 0;
}

struct folio *sim_shmem_replace(struct folio *folio)
{
	struct folio *other = folio_alloc(GFP_KERNEL, folio_order(folio));
	struct address_space *mapping = folio->mapping;
	struct inode *inode = mapping->host;
	long nr = folio_nr_pages(folio);

	BUG_ON(!other);
	memcpy(folio_address(other), folio_address(folio), nr * PAGE_SIZE);
	folio_mark_uptodate(other);
	for (long i = 0; i < nr; i++)
		inode->cache[folio->index + i] = other;
	other->index = folio->index;
	other->mapping = mapping;
	folio_ref_add(other, nr - 1);

	folio->mapping = NULL;
	folio_ref_sub(folio, nr - 1);
	folio_put(folio);
	return other;
}

void sim_poison(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;

	folio->page.flags |= SIM_POISONED;
	if (mapping)
		set_bit(AS_EIO, &mapping->flags);
	atomic_long_add(1, &num_poisoned_pages);
}

void sim_unpoison(void)
{
	atomic_long_add(-1, &num_poisoned_pages);
}

/* Fills a hole. */
static struct folio *folio_at(struct inode *inode, u64 i)
{
	bool hole = i >= inode->cache_size || !inode->cache[i];

	return hole && sim_shmem_place(inode, i, 0) ? NULL : inode->cache[i];
}

struct folio *shmem_read_folio_gfp(struct address_space *mapping, pgoff_t index, gfp_t gfp)
{
	struct folio *folio = folio_at(mapping->host, index);

	/*
	 * Callers must not invoke the OOM killer, and must not ask for movable
	 * memory.
	 */
	BUG_ON(!(gfp & __GFP_RETRY_MAYFAIL) || gfp & __GFP_MOVABLE);
	if (!folio)
		return ERR_PTR(-ENOMEM);
	folio_get(folio);
	return folio;
}

struct folio *sim_folio_on_its_way;
unsigned int sim_drains;
int sim_pin_scopes;

bool folio_isolate_lru(struct folio *folio)
{
	if (folio->page.flags & (SIM_ISOLATED | SIM_POISONED) || folio == sim_folio_on_its_way)
		return false;
	folio->page.flags |= SIM_ISOLATED;
	return true;
}

void putback_movable_pages(struct list_head *list)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, list, lru) {
		list_del(&folio->lru);
		folio->page.flags &= ~SIM_ISOLATED;
	}
}

int sim_migrate_fails, sim_migrate_error;
long sim_migrate_most;

/* Migration only changes the flag: the memory can be preserved afterwards. */
int migrate_pages(struct list_head *list, void *alloc, void *free, unsigned long target,
		  int mode, int reason, unsigned int *succeeded)
{
	struct folio *folio;
	long pages = 0;

	BUG_ON(!sim_pin_scopes);
	list_for_each_entry(folio, list, lru)
		pages += folio_nr_pages(folio);
	sim_migrate_most = max(sim_migrate_most, pages);
	if (sim_migrate_fails) {
		sim_migrate_fails--;
		return sim_migrate_error;
	}
	list_for_each_entry(folio, list, lru)
		folio->page.flags &= ~SIM_MOVABLE;
	putback_movable_pages(list);
	return 0;
}

unsigned int folio_batch_add(struct folio_batch *batch, struct folio *folio)
{
	BUG_ON(batch->nr == FOLIO_BATCH_SIZE);
	batch->folios[batch->nr++] = folio;
	return FOLIO_BATCH_SIZE - batch->nr;
}

void release_pages(struct folio **folios, int nr)
{
	while (nr--)
		folio_put(*folios++);
}

void folios_put(struct folio_batch *batch)
{
	release_pages(batch->folios, batch->nr);
	batch->nr = 0;
}

unsigned int filemap_get_folios_contig(struct address_space *mapping, pgoff_t *start,
				       pgoff_t end, struct folio_batch *batch)
{
	struct inode *inode = mapping->host;

	while (*start <= end && *start < inode->cache_size) {
		struct folio *folio = inode->cache[*start];

		if (!folio)
			break;
		folio_get(folio);
		*start = folio->page.index + folio_nr_pages(folio);
		if (!folio_batch_add(batch, folio))
			break;
	}
	return batch->nr;
}
