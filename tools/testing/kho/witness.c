// SPDX-License-Identifier: GPL-2.0
/* Kinds of files and FLBs that record each call, see witness.h. */

#include "witness.h"

#define PRESERVED	0x100
#define FROZEN		0x200
#define OLD_PRIVATE	0x1000UL
#define NEW_PRIVATE	0x2000UL

static char calls[16384], failing[32];
static int failure;

bool witness_retry;
bool witness_busy, witness_quiet;
int witness_status;
void (*witness_in_freeze)(void);

static int note(const char *op, const char *who)
{
	char call[32];

	if (witness_quiet)
		return 0;
	snprintf(call, sizeof(call), "%s %s", op, who);
	BUG_ON(strlen(calls) + strlen(call) + 2 > sizeof(calls));
	strcat(strcat(calls, call), ";");
	if (strcmp(call, failing))
		return 0;
	*failing = 0;
	return failure;
}

static int note_nr(const char *op, unsigned int nr)
{
	char who[12];

	snprintf(who, sizeof(who), "%u", nr);
	return note(op, who);
}

const char *witness_calls(void)
{
	static char taken[sizeof(calls)];

	strcpy(taken, calls);
	*calls = 0;
	return taken;
}

void witness_fail(const char *call, int err)
{
	snprintf(failing, sizeof(failing), "%s", call);
	failure = err;
}

/* Files. */

static unsigned int number(const struct file *file)
{
	return (unsigned long)file->private_data;
}

static bool can_preserve(struct liveupdate_file_handler *fh, struct file *file)
{
	return file->f_op == container_of(fh, struct witness, fh)->fops;
}

static int preserve(struct liveupdate_file_op_args *args)
{
	unsigned int nr = number(args->file);

	args->serialized_data = PRESERVED + nr;
	args->private_data = (void *)(OLD_PRIVATE + nr);
	return note_nr("preserve", nr);
}

/*
 * Checks the data that a callback gets, and returns the number of the file.
 * unfreeze() gets the data that freeze() has set, and all other callbacks get the
 * data that preserve() has set.
 */
static unsigned int known(const struct liveupdate_file_op_args *args, u64 base)
{
	unsigned int nr = number(args->file);

	BUG_ON(args->private_data != (void *)(OLD_PRIVATE + nr));
	BUG_ON(args->serialized_data != base + nr);
	return nr;
}

static void unpreserve(struct liveupdate_file_op_args *args)
{
	note_nr("unpreserve", known(args, PRESERVED));
}

static int freeze(struct liveupdate_file_op_args *args)
{
	unsigned int nr = known(args, PRESERVED);

	if (witness_in_freeze)
		witness_in_freeze();
	args->serialized_data = FROZEN + nr;
	return note_nr("freeze", nr);
}

static void unfreeze(struct liveupdate_file_op_args *args)
{
	note_nr("unfreeze", known(args, FROZEN));
}

static int retrieve(struct liveupdate_file_op_args *args)
{
	struct witness *w = container_of(args->handler, struct witness, fh);
	unsigned long nr = args->serialized_data - FROZEN;
	int err = note_nr("retrieve", nr);

	BUG_ON(args->file);
	/* private_data of a failed attempt is passed to the next attempt. */
	if (args->private_data)
		BUG_ON(args->private_data != (void *)(NEW_PRIVATE + nr));
	args->private_data = err ? (void *)(NEW_PRIVATE + nr) : NULL;
	args->retry = err && witness_retry;
	if (!err)
		args->file = anon_inode_getfile("witness", w->fops, (void *)nr, 0);
	return err;
}

static bool can_finish(struct liveupdate_file_op_args *args)
{
	BUG_ON(args->handler->ops->can_finish != can_finish);
	BUG_ON(args->serialized_data < FROZEN);
	return !witness_busy;
}

static void finish(struct liveupdate_file_op_args *args)
{
	witness_status = args->retrieve_status;
	BUG_ON((witness_status == 1) != !!args->file);
	note_nr("finish", args->serialized_data - FROZEN);
}

/*
 * The operations of each kind of files: can_preserve() identifies a kind by the
 * address of its operations.
 */
static const struct file_operations fops[WITNESS_KINDS];

#define WITNESS(kind, id) {						\
	.fh = { .ops = &witness[kind].ops, .compatible = id },		\
	.ops = {							\
		.can_preserve = can_preserve, .preserve = preserve,	\
		.unpreserve = unpreserve, .freeze = freeze,		\
		.unfreeze = unfreeze, .retrieve = retrieve,		\
		.can_finish = can_finish, .finish = finish,		\
		.owner = &witness[kind].module,				\
	},								\
	.fops = &fops[kind],						\
}

struct witness witness[WITNESS_KINDS] = {
	WITNESS(0, "unit-witness-v1"),
	WITNESS(1, "unit-other-v1"),
	WITNESS(2, "unit-witness-v2"),
};

int witness_register(unsigned int kind)
{
	return liveupdate_register_file_handler(&witness[kind].fh);
}

int witness_open(unsigned int kind, unsigned int nr)
{
	struct file *file = anon_inode_getfile("witness", witness[kind].fops,
					       (void *)(unsigned long)nr, 0);
	int fd = get_unused_fd_flags(0);

	BUG_ON(IS_ERR(file) || fd < 0);
	fd_install(fd, file);
	return fd;
}

int witness_nr(int fd)
{
	struct file *file = fd < 0 ? NULL : fget(fd);
	int nr = file ? number(file) : fd;

	if (file)
		fput(file);
	return nr;
}

/* FLBs. */

struct module witness_flb_module;

static const char *name_of(const struct liveupdate_flb *flb)
{
	return flb == &witness_flb[0] ? "x" : "y";
}

static int flb_preserve(struct liveupdate_flb_op_args *args)
{
	int err = note("flb-preserve", name_of(args->flb));

	args->data = PRESERVED + (args->flb - witness_flb);
	args->obj = args->flb;
	return err;
}

static void flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	BUG_ON(args->data != PRESERVED + (args->flb - witness_flb));
	BUG_ON(args->obj != args->flb);
	note("flb-unpreserve", name_of(args->flb));
}

static int flb_retrieve(struct liveupdate_flb_op_args *args)
{
	int err = note("flb-retrieve", name_of(args->flb));

	BUG_ON(args->data != PRESERVED + (args->flb - witness_flb));
	args->obj = args->flb;
	args->retry = err && witness_retry;
	return err;
}

static void flb_finish(struct liveupdate_flb_op_args *args)
{
	BUG_ON(args->data != PRESERVED + (args->flb - witness_flb));
	BUG_ON(args->obj != args->flb);
	note("flb-finish", name_of(args->flb));
}

static const struct liveupdate_flb_ops flb_ops = {
	.preserve = flb_preserve,
	.unpreserve = flb_unpreserve,
	.retrieve = flb_retrieve,
	.finish = flb_finish,
	.owner = &witness_flb_module,
};

struct liveupdate_flb witness_flb[WITNESS_FLBS] = {
	{ .ops = &flb_ops, .compatible = "unit-x-v1" },
	{ .ops = &flb_ops, .compatible = "unit-y-v1" },
};

void witness_reset(void)
{
	for (unsigned int i = 0; i < WITNESS_KINDS; i++) {
		memset(&witness[i].module, 0, sizeof(witness[i].module));
		memset(&witness[i].fh.list, 0, sizeof(witness[i].fh.list));
		memset(&witness[i].fh.flb_list, 0, sizeof(witness[i].fh.flb_list));
	}
	for (unsigned int i = 0; i < WITNESS_FLBS; i++)
		memset(&witness_flb[i].private, 0, sizeof(witness_flb[i].private));
	memset(&witness_flb_module, 0, sizeof(witness_flb_module));
	*calls = 0;
	*failing = 0;
	witness_busy = false;
	witness_quiet = false;
	witness_retry = false;
	witness_status = 0;
	witness_in_freeze = NULL;
}
