// SPDX-License-Identifier: GPL-2.0
/*
 * Live updates with one value of their records overwritten, from the root of
 * LUO down to the folio of a file.  Each row names the line that the next
 * kernel logs, and the data that may be lost.
 */

#include "agent.h"

#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/libfdt.h>
#include <kernel/liveupdate/kexec_handover_internal.h>

#define FAR_AWAY	BIT_ULL(50)
#define FLB_DATA	0x464c42
#define MEMFD		7
#define OTHER		8
#define SIZE		(16 * PAGE_SIZE)

/* A handler of files with an FLB: it takes all files except memfds. */

static bool other_can_preserve(struct liveupdate_file_handler *fh, struct file *file)
{
	return !shmem_file(file);
}

static int other_preserve(struct liveupdate_file_op_args *args)
{
	return 0;
}

static void other_nothing(struct liveupdate_file_op_args *args)
{
}

static unsigned int finished;

static void other_finish(struct liveupdate_file_op_args *args)
{
	finished++;
}

static int other_retrieve(struct liveupdate_file_op_args *args)
{
	return -ENODEV;
}

static const struct liveupdate_file_ops other_ops = {
	.can_preserve = other_can_preserve,
	.preserve = other_preserve,
	.unpreserve = other_nothing,
	.retrieve = other_retrieve,
	.finish = other_finish,
};

static int flb_preserve(struct liveupdate_flb_op_args *args)
{
	args->data = FLB_DATA;
	args->obj = args->flb;
	return 0;
}

static void flb_nothing(struct liveupdate_flb_op_args *args)
{
}

static int flb_retrieve(struct liveupdate_flb_op_args *args)
{
	args->obj = args->flb;
	return args->data == FLB_DATA ? 0 : -EINVAL;
}

static const struct liveupdate_flb_ops flb_ops = {
	.preserve = flb_preserve,
	.unpreserve = flb_nothing,
	.retrieve = flb_retrieve,
	.finish = flb_nothing,
};

static struct liveupdate_file_handler other = {
	.ops = &other_ops,
	.compatible = "unit-other-v1",
};

static struct liveupdate_flb flb = {
	.ops = &flb_ops,
	.compatible = "unit-flb-v1",
};

/* A new kernel knows nothing of the FLB: reset its state before it is registered. */
static void register_other(struct kunit *test)
{
	memset(&flb.private, 0, sizeof(flb.private));
	KUNIT_ASSERT_EQ(test, liveupdate_register_file_handler(&other), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_register_flb(&other, &flb), 0);
}

/* The records: session "a" with a memfd and another file, and an empty session "b". */

struct parts {
	void *fdt;
	int node;
	struct luo_ser *luo;
	struct luo_session_ser *session;
	struct luo_file_ser *file;
	struct luo_flb_header_ser *flbs;
	struct luo_flb_ser *flb;
	struct memfd_luo_ser *memfd;
	struct memfd_luo_folio_ser *entry;
};

static void *first_record(u64 pa)
{
	return (struct kho_block_header_ser *)phys_to_virt(pa) + 1;
}

static struct parts find_parts(void)
{
	struct parts p = { .fdt = sim_core_fdt() };
	struct kho_vmalloc_chunk *chunk;

	p.node = fdt_subnode_offset(p.fdt, 0, LUO_KHO_ENTRY_NAME);
	p.luo = phys_to_virt(get_unaligned((const u64 *)
		fdt_getprop(p.fdt, p.node, KHO_SUB_TREE_PROP_NAME, NULL)));
	p.session = first_record(p.luo->sessions_pa);
	p.file = first_record(p.session->file_set_ser.files);
	p.flbs = phys_to_virt(p.luo->flbs_pa);
	p.flb = (struct luo_flb_ser *)(p.flbs + 1);
	p.memfd = phys_to_virt(p.file->data);
	chunk = phys_to_virt(p.memfd->folios.first.phys);
	p.entry = phys_to_virt(chunk->phys[0]);
	return p;
}

static void set_prop(struct parts *p, const char *name, u64 value)
{
	fdt_setprop_inplace(p->fdt, p->node, name, &value, sizeof(value));
}

static void move_luo(struct parts *p, phys_addr_t phys)
{
	set_prop(p, KHO_SUB_TREE_PROP_NAME, phys);
}

/* Copies the root of LUO to memory that is not preserved. */
static void luo_not_preserved(struct parts *p)
{
	void *page = (void *)__get_free_pages(GFP_KERNEL, 0);

	memcpy(page, p->luo, sizeof(*p->luo));
	move_luo(p, virt_to_phys(page));
}

static void luo_odd(struct parts *p)
{
	memmove((void *)p->luo + 8, p->luo, sizeof(*p->luo));
	move_luo(p, virt_to_phys(p->luo) + 8);
}

static void luo_large(struct parts *p)
{
	set_prop(p, KHO_SUB_TREE_SIZE_PROP_NAME, PAGE_SIZE + 8);
}

/* A subtree of a whole page is valid. */
static void luo_page(struct parts *p)
{
	set_prop(p, KHO_SUB_TREE_SIZE_PROP_NAME, PAGE_SIZE);
}

static void luo_small(struct parts *p)
{
	set_prop(p, KHO_SUB_TREE_SIZE_PROP_NAME, sizeof(*p->luo) - 8);
}

static void luo_version(struct parts *p) { strscpy(p->luo->compatible, "luo-v9", 8); }
static void sessions(struct parts *p) { p->luo->sessions_pa = FAR_AWAY; }
static void session_name(struct parts *p) { memset(p->session[1].name, 'b', 64); }
static void session_twice(struct parts *p) { strscpy(p->session[1].name, "a", 2); }
static void session_files(struct parts *p) { p->session->file_set_ser.files = FAR_AWAY; }
static void session_loop(struct parts *p)
{
	p->session[1].file_set_ser.files = p->luo->sessions_pa;
}

static void session_count(struct parts *p) { p->session->file_set_ser.count = 3; }
static void file_token(struct parts *p) { p->file[1].token = MEMFD; }
static void file_kind(struct parts *p) { strscpy(p->file->compatible, "nobody-v1", 16); }
static void flbs(struct parts *p) { p->luo->flbs_pa = FAR_AWAY; }
static void flb_pages(struct parts *p) { p->flbs->pgcnt = 2; }
static void flb_count(struct parts *p) { p->flbs->count = PAGE_SIZE / sizeof(*p->flb); }
static void flb_name(struct parts *p) { memset(p->flb->name, 'f', sizeof(p->flb->name)); }
static void flbs_0(struct parts *p) { p->luo->flbs_pa = 0; }
static void flb_fewer(struct parts *p) { p->flbs->count = 0; }
static void flb_data(struct parts *p) { p->flb->data = 1; }
static void handle(struct parts *p) { p->file->data = FAR_AWAY; }
static void handle_0(struct parts *p) { p->file->data = 0; }
static void handle_odd(struct parts *p) { p->file->data += 8; }
static void size(struct parts *p) { p->memfd->size = 1ULL << 63; }
static void size_0(struct parts *p) { p->memfd->size = 0; }
static void pos(struct parts *p) { p->memfd->pos = 1ULL << 63; }
static void size_max(struct parts *p) { p->memfd->size = MAX_LFS_FILESIZE; }
static void pos_max(struct parts *p) { p->memfd->pos = MAX_LFS_FILESIZE; }
static void list(struct parts *p) { p->memfd->folios.first.phys = FAR_AWAY; }
static void seals(struct parts *p) { p->memfd->seals = 1U << 31; }
static void flags(struct parts *p) { p->memfd->flags = 1; }
static void nr(struct parts *p) { p->memfd->nr_folios = SIZE / PAGE_SIZE + 1; }
static void nr_0(struct parts *p) { p->memfd->nr_folios = 0; }
static void nr_less(struct parts *p) { p->memfd->nr_folios = 1; }
static void pfn_0(struct parts *p) { p->entry->pfn = 0; }
static void pfn(struct parts *p) { p->entry->pfn = 1ULL << 40; }
static void pfn_twice(struct parts *p) { p->entry[1].pfn = p->entry[0].pfn; }
static void index_back(struct parts *p) { p->entry[1].index = 0; }
static void index_last(struct parts *p) { p->entry[1].index = SIZE / PAGE_SIZE; }
static void index_odd(struct parts *p) { p->entry[1].index = 5; }
static void index_first(struct parts *p) { p->entry[0].index = 1; }
static void index_gap(struct parts *p) { p->entry[1].index = 8; }
static void folio_flags(struct parts *p) { p->entry->flags |= 1 << 11; }

static void flb_after(struct parts *p)
{
	flb_name(p);
	flb_fewer(p);
}

static void flb_most(struct parts *p)
{
	p->flbs->count = (PAGE_SIZE - sizeof(*p->flbs)) / sizeof(*p->flb);
	/* Give each record a name: records without one are not for any FLB. */
	for (u64 i = 1; i < p->flbs->count; i++)
		snprintf(p->flb[i].name, sizeof(p->flb[i].name), "unit-more-%llu-v1", i);
}

/* More entries than fit into the list, but fewer than the file has pages. */
static void capacity(struct parts *p)
{
	p->memfd->size = 1ULL << 40;
	p->memfd->nr_folios = 1 << 20;
}

/* Data that a row may lose. */
enum loss {
	NOTHING,
	FLB,		/* the object */
	ONE_FILE,	/* the memfd */
	OTHER_FILE,	/* the file that is not a memfd */
	FILES,		/* of session "a" */
	SESSION,	/* "b" */
	SESSIONS,	/* both sessions, but not the FLB */
	ALL,
};

static const struct damage {
	const char *name;
	void (*apply)(struct parts *p);
	const char *log;
	enum loss loss;
	const char *never;	/* text that must not be in the log */
} damages[] = {
	{ "root not preserved", luo_not_preserved, "incoming state: failed to retrieve", ALL },
	{ "root of a page", luo_page, "Retrieved live update data", NOTHING },
	{ "root not aligned", luo_odd, "incoming state: not preserved", ALL },
	{ "root too large", luo_large, "incoming state: not preserved", ALL },
	{ "root too small", luo_small, "incoming state: too small", ALL },
	{ "version", luo_version, "incoming state: incompatible version", ALL },
	{ "sessions outside memory", sessions,
	  "session records: invalid, all sessions are lost", SESSIONS },
	{ "name without end", session_name, "invalid name, its memory", SESSION },
	{ "name twice", session_twice, "duplicate name, its memory", SESSION },
	{ "files outside memory", session_files, "invalid records, all files are lost", FILES },
	{ "sessions as files", session_loop, "invalid records, all files are lost", NOTHING },
	{ "number of files", session_count, "count mismatch (2 found, expected 3)", NOTHING },
	{ "token twice", file_token, "duplicate, file is lost", OTHER_FILE },
	{ "unknown kind", file_kind, "failed to retrieve, no handler", ONE_FILE },
	{ "FLBs outside memory", flbs, "FLB records: not preserved", FLB },
	{ "pages of FLBs", flb_pages, "FLB records: invalid size", FLB },
	{ "number of FLBs", flb_count, "FLB records: too many", FLB },
	{ "name of an FLB", flb_name, "compat: ", FLB, "': not supported" },
	{ "no FLBs", flbs_0, NULL, FLB, "FLBs are lost" },
	{ "fewer FLBs", flb_fewer, NULL, FLB, "': not supported" },
	{ "no name after all FLBs", flb_after, NULL, FLB, "compat: '" },
	{ "as many FLBs as there can be", flb_most, NULL, NOTHING, "FLBs are lost" },
	{ "data of an FLB", flb_data, "failed to retrieve, data is lost", FLB },
	{ "handle outside memory", handle, "description not preserved (", ONE_FILE },
	{ "no handle", handle_0, "description not preserved (", ONE_FILE },
	{ "handle not aligned", handle_odd, "description not preserved (", ONE_FILE },
	{ "size", size, "memfd_luo: invalid size", ONE_FILE },
	{ "largest size", size_max, "folios missing (", ONE_FILE },
	{ "folios and no size", size_0, "memfd_luo: invalid nr_folios", ONE_FILE },
	{ "size and no folios", nr_0, "memfd_luo: invalid nr_folios", ONE_FILE },
	{ "position", pos, "memfd_luo: invalid pos", ONE_FILE },
	{ "last position", pos_max, NULL, NOTHING },
	{ "list outside memory", list, "failed to restore folio list (4 folios)", ONE_FILE },
	{ "seals", seals, "memfd_luo: invalid seals", ONE_FILE },
	{ "flags", flags, "memfd_luo: invalid flags", ONE_FILE },
	{ "more folios than pages", nr, "memfd_luo: invalid nr_folios", ONE_FILE },
	{ "more folios than entries", capacity, "memfd_luo: invalid nr_folios", ONE_FILE },
	{ "fewer folios than pages", nr_less, "folios missing (", ONE_FILE },
	{ "page 0", pfn_0, "folio not preserved (pfn 0)", ONE_FILE },
	{ "page outside memory", pfn, "folio not preserved (pfn", ONE_FILE },
	{ "folio twice", pfn_twice, "folio not preserved (pfn", ONE_FILE },
	{ "order of entries", index_back, "folio 1: invalid index", ONE_FILE },
	{ "entry after the file", index_last, "folio 1: invalid index", ONE_FILE },
	{ "entry not aligned", index_odd, "expected index 4)", ONE_FILE, "folios missing (" },
	{ "gap between entries", index_gap, "expected index 4)", ONE_FILE, "folios missing (" },
	{ "entries overlap", index_first, "expected index 0)", ONE_FILE, "folios missing (" },
	{ "flags of a folio", folio_flags, "folio 0: invalid flags", ONE_FILE },
};

KUNIT_ARRAY_PARAM_DESC(damage, damages, name);

static void leave_sessions(struct kunit *test)
{
	int dev, session, fd;

	register_other(test);
	dev = sim_open_device();
	session = agent_create(dev, "a");
	fd = agent_memfd(SIZE, 2, 0, 1);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, MEMFD, fd), 0);
	KUNIT_ASSERT_EQ(test, agent_preserve(session, OTHER, dev), 0);
	KUNIT_ASSERT_GE(test, agent_create(dev, "b"), 0);
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
}

static void expect_session(struct kunit *test, int session, enum loss loss,
			   bool orphan)
{
	int fd;

	KUNIT_ASSERT_GE(test, session, 0);
	fd = agent_get(session, MEMFD);
	if (loss == ONE_FILE || loss == FILES)
		KUNIT_EXPECT_LT(test, fd, 0);
	else
		KUNIT_EXPECT_TRUE(test, agent_memfd_is(fd, SIZE, 0, 1));

	KUNIT_EXPECT_EQ(test, agent_get(session, OTHER),
			loss == OTHER_FILE || loss == FILES ? -ENOENT : -ENODEV);
	if (orphan)
		KUNIT_EXPECT_EQ(test, agent_finish(session), -EBUSY);
	KUNIT_EXPECT_EQ(test, orphan ? agent_finish_force(session) :
				       agent_finish(session), 0);
}

static void expect_flb(struct kunit *test, enum loss loss)
{
	void *obj = NULL;
	int err = liveupdate_flb_get_incoming(&flb, &obj);

	if (loss == FLB || loss == ALL) {
		KUNIT_EXPECT_LT(test, err, 0);
		return;
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_PTR_EQ(test, obj, &flb);
	liveupdate_flb_put_incoming(&flb);
}

static void luo_damage_test(struct kunit *test, const struct damage *d)
{
	bool any = d->loss != SESSIONS && d->loss != ALL;
	struct sim_handover h;
	struct parts p;
	int dev, a, b;

	leave_sessions(test);
	h = sim_kexec();
	p = find_parts();
	if (d->apply)
		d->apply(&p);
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	register_other(test);

	expect_flb(test, d->loss);
	dev = sim_open_device();
	a = agent_retrieve(dev, "a");
	b = agent_retrieve(dev, "b");
	if (any)
		expect_session(test, a, d->loss, d->apply == file_kind);
	else
		KUNIT_EXPECT_EQ(test, a, -ENOENT);
	if (any && d->loss != SESSION)
		KUNIT_EXPECT_EQ(test, agent_finish(b), 0);
	else
		KUNIT_EXPECT_EQ(test, b, -ENOENT);

	if (d->loss == ALL)
		KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	if (a >= 0)
		sim_close(a);
	if (b >= 0)
		sim_close(b);
	if (d->log)
		KUNIT_EXPECT_TRUE(test, sim_logged(d->log));
	if (d->never)
		KUNIT_EXPECT_FALSE(test, sim_logged(d->never));
	KUNIT_EXPECT_GE(test, agent_create(dev, "c"), 0);
}

static void luo_damage_test_row(struct kunit *test)
{
	luo_damage_test(test, test->param_value);
}

/* Without damage nothing is lost, so the damage is the only cause in each row. */
static void luo_damage_test_none(struct kunit *test)
{
	static const struct damage none = { .loss = NOTHING };

	luo_damage_test(test, &none);
}

/* If a session has no valid name, its memory is not freed as long as LUO is in use. */
static void luo_damage_test_nameless(struct kunit *test)
{
	struct sim_handover h;
	struct parts p;
	int session;

	leave_sessions(test);
	h = sim_kexec();
	p = find_parts();
	*p.session->name = '\0';
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	register_other(test);
	finished = 0;
	session = agent_retrieve(sim_open_device(), "b");
	KUNIT_EXPECT_TRUE(test, sim_logged("session '': invalid name, its memory stays unclaimed"));
	KUNIT_EXPECT_EQ(test, finished, 0);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), -EBUSY);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	sim_close(session);
	KUNIT_EXPECT_EQ(test, kho_unclaimed_release(), 0);
	KUNIT_EXPECT_TRUE(test, sim_logged("unclaimed pages released"));
	KUNIT_EXPECT_FALSE(test, sim_logged(" 0 unclaimed pages released"));
}

/* The mode of a file, and that of the retrieved file. */

static const struct mode {
	const char *name;
	unsigned int mode, seals, magic, record, want;
} modes[] = {
	{ "as it is made", 0777, 0, MEMFD_LUO_MODE_MAGIC, 0777, 0777 },
	{ "of its owner", 0700, 0, MEMFD_LUO_MODE_MAGIC, 0700, 0700 },
	{ "not executable", 0666, F_SEAL_EXEC, MEMFD_LUO_MODE_MAGIC, 0666, 0666 },
	{ "of a tmpfs", 0644, 0, MEMFD_LUO_MODE_MAGIC, 0644, 0644 },
	{ "none", 0, 0, MEMFD_LUO_MODE_MAGIC, 0, 0 },
	{ "sticky", 01777, 0, MEMFD_LUO_MODE_MAGIC, 0777, 0777 },
	{ "no record, as of 7.3", 0640, 0, 0, 0, 0777 },
	{ "not a record", 0640, 0, MEMFD_LUO_MODE_MAGIC + 1, 0640, 0777 },
	{ "set user ID", 0755, 0, MEMFD_LUO_MODE_MAGIC, 06755, 0755 },
	{ "type of file", 0755, 0, MEMFD_LUO_MODE_MAGIC, S_IFDIR | 0755, 0755 },
	{ "executable, and sealed", 0777, F_SEAL_EXEC, MEMFD_LUO_MODE_MAGIC, 0777, 0666 },
};

KUNIT_ARRAY_PARAM_DESC(mode, modes, name);

static void luo_damage_test_mode(struct kunit *test)
{
	const struct mode *m = test->param_value;
	int session = agent_create(sim_open_device(), "a");
	int fd = agent_memfd(PAGE_SIZE, 0, m->seals, 1);
	struct memfd_luo_mode_ser *mode;
	struct sim_handover h;

	KUNIT_ASSERT_EQ(test, agent_preserve(session, 1, fd), 0);
	/* The mode at the time of the kexec counts. */
	agent_inode(fd)->i_mode = m->mode;
	KUNIT_ASSERT_EQ(test, liveupdate_reboot(), 0);
	h = sim_kexec();

	mode = (void *)(find_parts().memfd + 1);
	KUNIT_EXPECT_EQ(test, mode->magic, MEMFD_LUO_MODE_MAGIC);
	KUNIT_EXPECT_EQ(test, mode->mode, m->mode & 0777);
	*mode = (struct memfd_luo_mode_ser){ m->magic, m->record };

	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	fd = agent_get(agent_retrieve(sim_open_device(), "a"), 1);
	KUNIT_ASSERT_GE(test, fd, 0);
	KUNIT_EXPECT_EQ(test, agent_inode(fd)->i_mode & ~S_IFMT, m->want);
}

/* Returns session "a" of the next kernel, whose records are damaged. */
static int hop(struct kunit *test, void (*apply)(struct parts *p))
{
	struct sim_handover h;
	struct parts p;

	sim_boot_cold();
	leave_sessions(test);
	h = sim_kexec();
	p = find_parts();
	if (apply)
		apply(&p);
	sim_log_clear();
	KUNIT_ASSERT_TRUE(test, sim_boot_warm(&h));
	register_other(test);
	return agent_retrieve(sim_open_device(), "a");
}

static const struct discard {
	const char *name;
	void (*apply)(struct parts *p);
	const char *log;
} discards[] = {
	{ "flags of a folio", folio_flags, "failed to free folios of a discarded file (1 folios)" },
	{ "order of entries", index_back, "failed to free folios of a discarded file (1 folios)" },
	{ "entry past the end", index_last,
	  "failed to free folios of a discarded file (1 folios)" },
	{ "page outside memory", pfn, "failed to free folios of a discarded file (1 folios)" },
	{ "list", list, "memory of a discarded file stays unclaimed (4 folios)" },
	{ "none", NULL, NULL },
};

KUNIT_ARRAY_PARAM_DESC(discard, discards, name);

/*
 * If a file is not retrieved, its memory is freed as far as the damaged record
 * allows.
 */
static void luo_damage_test_discard(struct kunit *test)
{
	const struct discard *d = test->param_value;
	int session = hop(test, d->apply);

	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_EQ(test, sim_logged("of a discarded file"), !!d->log);
	if (d->log)
		KUNIT_EXPECT_TRUE(test, sim_logged(d->log));
}

static const struct ending {
	void (*apply)(struct parts *p);
	bool get;
	unsigned int max_order;
} endings[] = {
	{ NULL, true, 2 },
	{ NULL, false, 2 },
	{ index_gap, true, 2 },
	/* Large folios are divided into pages. */
	{ NULL, true, 0 },
	{ index_gap, true, 0 },
};

static void end(struct kunit *test, const struct ending *e)
{
	int session = hop(test, e->apply), fd = -1;

	sim_max_folio_order = e->max_order;
	if (e->get)
		fd = agent_get(session, MEMFD);
	KUNIT_EXPECT_EQ(test, fd < 0, !e->get || e->apply);
	if (fd >= 0)
		sim_close(fd);
	KUNIT_EXPECT_EQ(test, agent_finish(session), 0);
	KUNIT_EXPECT_FALSE(test, sim_logged("of a discarded file"));
}

/*
 * After a file was retrieved, failed or was discarded, the same amount of
 * memory is free.
 */
static void luo_damage_test_ends(struct kunit *test)
{
	struct sim_balance want = { }, left;
	unsigned long ram = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(endings); i++) {
		end(test, &endings[i]);
		left = sim_balance();
		if (i) {
			KUNIT_EXPECT_MEMEQ_MSG(test, &left, &want, sizeof(left), "row %u", i);
			KUNIT_EXPECT_EQ_MSG(test, totalram_pages(), ram, "row %u", i);
		}
		want = left;
		ram = totalram_pages();
	}
}

static void not_uptodate(struct parts *p) { p->entry->flags &= ~MEMFD_LUO_FOLIO_UPTODATE; }
static void not_dirty(struct parts *p) { p->entry->flags &= ~MEMFD_LUO_FOLIO_DIRTY; }

/* Flags that the previous kernel did not set stay clear. */
static void luo_damage_test_folio_flags(struct kunit *test)
{
	struct folio *folio;

	folio = agent_inode(agent_get(hop(test, not_uptodate), MEMFD))->cache[0];
	KUNIT_EXPECT_FALSE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	folio = agent_inode(agent_get(hop(test, not_dirty), MEMFD))->cache[0];
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));
}

static struct kunit_case luo_damage_cases[] = {
	KUNIT_CASE(luo_damage_test_none),
	KUNIT_CASE(luo_damage_test_nameless),
	KUNIT_CASE_PARAM(luo_damage_test_row, damage_gen_params),
	KUNIT_CASE_PARAM(luo_damage_test_mode, mode_gen_params),
	KUNIT_CASE_PARAM(luo_damage_test_discard, discard_gen_params),
	KUNIT_CASE(luo_damage_test_ends),
	KUNIT_CASE(luo_damage_test_folio_flags),
	{}
};

static struct kunit_suite luo_damage_suite = {
	.name = "unit-luo-damage",
	.init = sim_liveupdate_init,
	.exit = sim_liveupdate_exit,
	.test_cases = luo_damage_cases,
};

kunit_test_suite(luo_damage_suite);
