// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of memfds that are preserved in sessions: sizes, holes, positions, seals.
 */

#include "steps.h"

KHO_TEST(one_memfd, "One memfd of 4 MiB comes back whole and outlives its session.")
{
	static const struct memfd file[] = { { "a", 4 * MIB, 11 } };

	carry(hop, "main", file);
	if (!hop)
		return;
	churn();
	look(file);
}

/* More sessions than fit into a record block of LUO, and more files in one session. */
KHO_TEST(many_memfds_sessions,
	 "60 sessions of two memfds and one session of 140 come back; the kernel is loaded first.",
	 .deadline = 40)
{
	struct memfd big[140], two[2];

	for (unsigned int i = 0; i < ARRAY_SIZE(big); i++)
		big[i] = (struct memfd){ textf("big.%u", i), 1000 * i + 1, i + 1 };
	if (!hop)
		load();
	else
		claim("big", big);
	for (unsigned int s = 0; s < 60; s++) {
		for (unsigned int i = 0; i < 2; i++)
			two[i] = (struct memfd){ textf("f%u.%u", s, i),
						 (1 + (s + i) % 5) * page_size,
						 100 * s + i + 1 };
		carry(hop, textf("s%u", s), two);
	}
	if (!hop)
		keep("big", big);
}

static u64 order_token(unsigned int nr)
{
	return ~0ull - 0x1234567890ull * nr;
}

KHO_TEST(out_of_order, "Files and sessions are retrieved in another order than preserved.")
{
	const struct memfd other = { "other", MIB, 5 };
	struct memfd files[8];

	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++)
		files[i] = (struct memfd){ textf("f%u", i), (i + 1) * page_size, i + 10 };

	if (!hop) {
		session_new("x");
		session_new("y");
		for (unsigned int i = 0; i < ARRAY_SIZE(files); i++) {
			make(&files[i]);
			preserve("x", order_token(i), files[i].name);
		}
		make(&other);
		preserve("y", 0, "other");
		return;
	}
	session_get("y");
	session_get("x");
	for (int i = ARRAY_SIZE(files) - 1; i >= 0; i--) {
		retrieve("x", order_token(i), files[i].name);
		check(&files[i]);
	}
	fails(ENOENT, retrieve("x", 7, "none"));
	retrieve("y", 0, "other");
	finish("x");
	check(&other);
	finish("y");
}

KHO_TEST(position, "File positions, in and beyond the file, come back.")
{
	static const struct memfd files[] = {
		{ "at0", 64 * KIB, 1, .pos = POS(0) },
		{ "at1", 64 * KIB, 2, .pos = POS(1) },
		{ "at4096", 64 * KIB, 4097, .pos = POS(4096) },
		{ "at65535", 64 * KIB, 65536, .pos = POS(65535) },
		{ "at65536", 64 * KIB, 65537, .pos = POS(65536) },
		{ "at8G", 64 * KIB, 3, .pos = POS(8 * GIB) },
	};

	carry(hop, "main", files);
}

KHO_TEST(odd_size, "Sizes that are not a multiple of the page size are preserved to the byte.")
{
	static const struct memfd files[] = {
		{ "s1", 1, 1 }, { "s7", 7, 7 }, { "s4095", 4095, 4095 },
		{ "s4097", 4097, 4097 }, { "s12345", 12345, 12345 },
		{ "s65535", 65535, 65535 }, { "s1M1", MIB + 1, MIB + 1 },
		{ "s2M-1", 2 * MIB - 1, 2 * MIB - 1 },
	};

	carry(hop, "main", files);
}

/* F_SEAL_EXEC on an executable file adds the seals that keep its contents. */
static unsigned int seals_in_force(unsigned int seals, bool noexec)
{
	if (noexec)
		return seals | F_SEAL_EXEC;
	if (seals & F_SEAL_EXEC)
		return seals | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
		       F_SEAL_FUTURE_WRITE;

	return seals;
}

/*
 * Every set of seals on an executable memfd, and the sets with F_SEAL_EXEC on one
 * that is not executable.
 */
KHO_TEST(seals, "Every set of seals comes back, forbids what it must and nothing more.",
	 .deadline = 40, .live = true)
{
	if (!hop)
		session_new("main");
	else
		session_get("main");
	for (unsigned int i = 0; i < 96; i++) {
		bool noexec = i >= 64;
		const char *name = textf("%s%u", noexec ? "noexec" : "exec", i % 64);
		struct memfd file = { name, 5000, i + 1, .map = true };

		file.flags = noexec ? MFD_NOEXEC_SEAL : MFD_ALLOW_SEALING;
		file.seals = i % 64 | SEALED;
		if (!hop)
			make(&file);
		else
			retrieve("main", i, name);
		file.seals = seals_in_force(file.seals, noexec);
		check(&file);
		if (!hop) {
			preserve("main", i, name);
			continue;
		}
		enforce(name);
		check(&(struct memfd){ name, 5000, i + 1 });
	}
	if (hop)
		finish("main");
}

KHO_TEST(mode, "A memfd that is not executable stays so, and can still be mapped and written.",
	 .live = true)
{
	static const struct memfd made[] = {
		{ "noexec", 64 * KIB, 1, .flags = MFD_NOEXEC_SEAL },
		{ "exec", 64 * KIB, 2, .flags = MFD_EXEC | MFD_ALLOW_SEALING },
		{ "plain", 64 * KIB, 3 },
	};
	static const struct memfd seen[] = {
		{ "noexec", 64 * KIB, 1, .mode = 0666, .seals = SEALED | F_SEAL_EXEC },
		{ "exec", 64 * KIB, 2, .mode = 0777, .seals = SEALED },
		{ "plain", 64 * KIB, 3, .mode = 0777, .seals = SEALED | F_SEAL_SEAL },
	};

	if (!hop) {
		keep("main", made);
		look(seen);
		return;
	}
	claim("main", seen);
	for (unsigned int i = 0; i < ARRAY_SIZE(seen); i++)
		enforce(seen[i].name);
}

KHO_TEST(empty_memfd, "Empty memfds and memfds of one hole come back.")
{
	static const struct memfd files[] = {
		{ "none" }, { "hole", MIB }, { "last", 4096, 3 },
	};

	carry(hop, "main", files);
}

KHO_TEST(sparse, "The holes of a memfd read as zeroes, its pages as they were.")
{
	static const struct memfd files[] = {
		{ "a", 8 * MIB, 4, .step = 64 * KIB },
		{ "b", 3000000, 5, .step = 12 * KIB },
	};

	carry(hop, "main", files);
}

KHO_TEST(huge_folios,
	 "A memfd of huge folios comes back, including its small tail.", .deadline = 30)
{
	static const struct memfd files[] = {
		{ "a", 33 * MIB, 16 }, { "b", 2000001, 17, .map = true },
	};

	if (!hop)
		use_huge_folios(true);
	carry(hop, "main", files);
}

KHO_TEST(large, "A memfd of 640 MiB comes back; its list of pages has more than one page.",
	 .memory = 2048, .deadline = 60)
{
	carry(hop, "main", ONE("a", 640 * MIB, 18));
}

KHO_TEST(two_nodes, "A memfd with pages on both nodes of a NUMA machine comes back.",
	 .nodes = 2, .deadline = 30)
{
	carry(hop, "main", ONE("a", 300 * MIB, 19));
}

/*
 * One file goes through all hops.  In each hop, the other file is closed, and a
 * new one is created.
 */
KHO_TEST(three_hops, "A memfd is carried through three kexecs in a row.",
	 .hops = 4, .deadline = 40)
{
	const struct memfd far = { "far", 3 * MIB, 70 };
	const struct memfd files[] = { far, { "near", MIB, 70 + hop } };

	if (hop) {
		claim("main", files);
		close_fd("near");
	}
	if (hop == 3)
		return;

	session_new("main");
	if (!hop)
		make(&far);
	preserve("main", 1, "far");
	memfd("near", MIB, 71 + hop);
	preserve("main", 2, "near");
}

KHO_TEST(session_never_retrieved,
	 "A session that is never retrieved does not affect the next two kernels.",
	 .hops = 3, .deadline = 40)
{
	static const struct memfd new[] = { { "b", 2 * MIB, 13 } };

	if (!hop) {
		keep("lost", ONE("a", 32 * MIB, 12));
	} else if (hop == 1) {
		churn();
		keep("new", new);
		churn();
	} else {
		fails(ENOENT, session_get("lost"));
		claim("new", new);
		churn();
	}
}

KHO_TEST(preserve_unpreserve,
	 "After the kexec, unpreserved files do not exist, and their memory is free.",
	 .deadline = 30, .live = true)
{
	static const struct memfd files[] = { { "a", 64 * MIB, 14 }, { "b", 100000, 15 } };

	if (!hop) {
		total_keep();
		keep("main", files);
		close_fd("main");
		look(files);
		return;
	}
	fails(ENOENT, session_get("main"));
	total_check(16 * MIB);
	churn();
}

#define GROUP		"/tmp/cgroup/guest"
#define GROUP_USED	"$(cat " GROUP "/memory.current)"
#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#define LIMITED_SIZE	(40 * MIB)
#define LIMITED_SPACE	(24 * MIB)

static void memory_max(u64 more)
{
	run("echo $((" GROUP_USED " + %llu)) > " GROUP "/memory.max", more);
}

/*
 * The limit first allows one more page for each attempt, and then about half of
 * the file.  An inode is charged, too, and the kernel may kill the process that
 * allocates it.  Folios that are in the file stay charged, and the others are
 * retrieved when the limit is raised.
 */
static void retrieve_at_limit(const struct memfd *file, u64 token, bool huge)
{
	for (int i = 0; i < 12; i++) {
		memory_max(4096);
		fails(ENOMEM, retrieve_in_group(GROUP "/cgroup.procs", "main", token, true));
	}
	memory_max(LIMITED_SPACE);
	for (int i = 0; i < 2; i++)
		fails(ENOMEM, retrieve_in_group(GROUP "/cgroup.procs", "main", token, false));
	/* With pages of 64 KiB, a huge folio alone has 512 MiB. */
	run("test " GROUP_USED " -gt %llu%s",
	    LIMITED_SIZE * (token - 1) + LIMITED_SPACE / 2,
	    huge ? " -o $(cat " HUGE_SIZE ") -gt 25165824" : "");
	run("echo max > " GROUP "/memory.max");
	retrieve_in_group(GROUP "/cgroup.procs", "main", token, false);
	run("test " GROUP_USED " -ge %llu", LIMITED_SIZE * token);
	retrieve("main", token, file->name);
	check(file);
}

KHO_TEST(memcg_limit,
	 "A retrieve that exceeds the limit of a memory cgroup loses nothing, and can be repeated.",
	 .deadline = 40, .allowed = { "Call Trace:", "Call trace:" })
{
	static const struct memfd files[] = {
		{ "small", LIMITED_SIZE, 1 }, { "huge", LIMITED_SIZE, 2 },
	};

	if (!hop) {
		session_new("main");
		for (unsigned int i = 0; i < 2; i++) {
			use_huge_folios(i);
			make(&files[i]);
			preserve("main", i + 1, files[i].name);
		}
		return;
	}
	run("mkdir /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup");
	run("echo +memory > /tmp/cgroup/cgroup.subtree_control && mkdir " GROUP);
	session_get("main");
	for (unsigned int i = 0; i < 2; i++)
		retrieve_at_limit(&files[i], i + 1, i);
	finish("main");
	close_fd("main");
	close_fd("small");
	close_fd("huge");
	run("test " GROUP_USED " -lt %llu", LIMITED_SPACE);
	churn();
}
