// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz target "luo": sessions with memfds are handed over, then words of their
 * records are overwritten, from the root of LUO down to the entry of a single
 * folio.  User space of the next kernel retrieves everything, twice.
 */

#include "agent.h"
#include "fuzz.h"

#include <linux/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/memfd.h>
#include <linux/libfdt.h>

#define MAX_SESSIONS	4
#define MAX_FILES	3

static void mark_memfd(u64 pa)
{
	struct memfd_luo_ser *ser = phys_to_virt(pa);
	struct kho_vmalloc_chunk *chunk;

	fuzz_landmark(ser, sizeof(*ser));
	if (!ser->folios.first.phys)
		return;

	chunk = phys_to_virt(ser->folios.first.phys);
	fuzz_landmark(chunk, PAGE_SIZE);
	for (int i = 0; i < 2 && chunk->phys[i]; i++)
		fuzz_landmark(phys_to_virt(chunk->phys[i]), PAGE_SIZE);
}

/* Marks a chain of record blocks, and the memory that their records refer to. */
static void mark_records(u64 pa, size_t size, void (*mark)(void *record))
{
	while (pa) {
		struct kho_block_header_ser *ser = phys_to_virt(pa);
		void *record = ser + 1;

		fuzz_landmark(ser, PAGE_SIZE);
		for (u64 i = 0; i < ser->count; i++, record += size)
			mark(record);
		pa = ser->next;
	}
}

static void mark_file(void *record)
{
	struct luo_file_ser *ser = record;

	mark_memfd(ser->data);
}

static void mark_session(void *record)
{
	struct luo_session_ser *ser = record;

	mark_records(ser->file_set_ser.files, sizeof(struct luo_file_ser), mark_file);
}

static void mark_all(void)
{
	const void *fdt = sim_core_fdt();
	int node = fdt_subnode_offset(fdt, 0, LUO_KHO_ENTRY_NAME);
	const void *prop = fdt_getprop(fdt, node, "preserved-data", NULL);
	struct luo_ser *ser;

	BUG_ON(!prop);
	ser = phys_to_virt(get_unaligned((const u64 *)prop));
	fuzz_landmark(ser, sizeof(*ser));
	fuzz_landmark(phys_to_virt(ser->flbs_pa), 64);
	mark_records(ser->sessions_pa, sizeof(struct luo_session_ser), mark_session);
}

static void session_name(char *name, unsigned int i)
{
	sprintf(name, "session-%u", i);
}

static unsigned int leave_sessions(struct input *in)
{
	unsigned int nr = 1 + in_below(in, MAX_SESSIONS);
	int dev = sim_open_device();

	for (unsigned int i = 0; i < nr; i++) {
		char name[16];
		int session;

		session_name(name, i);
		session = agent_create(dev, name);
		BUG_ON(session < 0);
		for (unsigned int t = in_below(in, MAX_FILES + 1); t; t--) {
			u16 size = in_u16(in) % (12 * PAGE_SIZE);
			int fd = agent_memfd(size, in_below(in, 3), 0, 1);

			BUG_ON(fd < 0 || agent_preserve(session, t, fd));
		}
	}
	BUG_ON(liveupdate_reboot());
	return nr;
}

static void take_session(int dev, unsigned int i, u8 how)
{
	char name[16];
	int session;

	session_name(name, i);
	session = agent_retrieve(dev, name);
	if (session < 0)
		return;

	for (unsigned int t = 1; how & 1 && t <= MAX_FILES; t++) {
		int fd = agent_get(session, t);

		if (fd >= 0 && how & 2)
			sim_close(fd);
	}
	if (how & 4)
		agent_finish(session);
	sim_close(session);
}

FUZZ_TARGET(luo)
{
	unsigned int nr;
	u8 how;
	int dev;

	sim_liveupdate = true;
	fuzz_begin();
	nr = leave_sessions(in);
	how = in_u8(in);
	mark_all();
	fuzz_damage(in, 6);

	fuzz_hop();
	dev = sim_open_device();
	if (dev >= 0) {
		for (unsigned int i = 0; i < nr; i++)
			take_session(dev, i, how);
		for (unsigned int i = 0; i < nr; i++)
			take_session(dev, i, 4);
		sim_close(dev);
	}
	fuzz_end();
	sim_liveupdate = false;
}
