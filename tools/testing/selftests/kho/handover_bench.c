// SPDX-License-Identifier: GPL-2.0
/*
 * Measures a handover in guests whose time stamp counter counts instructions
 * (QEMU's -icount).  The agent is the first process, and the initramfs has all
 * of its data: without external input, a guest does the same in each run.
 */

#include "handover.h"

#include <glob.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <linux/reboot.h>

#define SESSION		"bench"

/*
 * Fields of /proc/slabinfo: objects in use, their size, pages of a slab, slabs.
 */
#define SLAB_LINE	"%*s %llu %*u %llu %*u %llu : tunables %*u %*u %*u : slabdata %*u %llu"

/* Time at which the deferred work of a boot is done.  The kexec does not start earlier. */
#define SETTLED		1500000000ull
/* Time for the serial port to send its last output. */
#define DRAIN		20000000ull
/* More than the memory of a node that deferred_init_memmap() does not initialize. */
#define NOT_DEFERRED	(512ull << 20)
/* Number of rounds to flush caches. */
#define ROUNDS		8

/* Preserved files: @nr files of @pages pages each. */
static struct load {
	u64 nr;
	u64 pages;
	int *fds;
} load;

/*
 * The time in instructions of the guest, since its start and across a kexec.
 * Under -icount, each instruction takes a nanosecond.
 */
static u64 now(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	u64 ticks, hz;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (ticks) : : "memory");
	asm("mrs %0, cntfrq_el0" : "=r" (hz));

	return ticks * (1000000000 / hz);
#endif
}

static u64 born;

/* Runs before main(), so that this program does not count as a part of the boot. */
static void __attribute__((constructor(101))) birth(void)
{
	born = now();
}

/* Sleeps most of the time: a busy guest uses CPU time of the host. */
static void wait_until(u64 when)
{
	const u64 slack = 10000000;

	if (now() + slack < when)
		usleep((when - slack - now()) / 1000);
	while (now() < when)
		;
}

static void power_off(void)
{
	tcdrain(STDOUT_FILENO);
	reboot(LINUX_REBOOT_CMD_POWER_OFF);
}

static int mount_all(void)
{
	static const struct {
		const char *type;
		const char *where;
	} table[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "devtmpfs", "/dev" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		mkdir(table[i].where, 0755);
		if (mount(table[i].type, table[i].where, table[i].type, 0, ""))
			return problem(-errno, "mount %s: %m", table[i].where);
	}

	return 0;
}

/*
 * @wait: delay of all further steps, which shifts them relative to the timers
 * of the machine.
 */
static int bench_begin(u64 wait)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	int err;

	if (!now())
		return problem(-EOPNOTSUPP,
			       "no counter of instructions is known here");
	if (getpid() == 1)
		atexit(power_off);
	note("bench init %llu", born);
	setrlimit(RLIMIT_NOFILE, &limit);
	err = mount_all();
	if (!err)
		wait_until(now() + wait);

	return err;
}

/* The next kernel and its command line are files of the initramfs. */
static int bench_load(void)
{
	static struct blob line;
	int kernel, initrd, err;

	err = blob_read(&line, "/line");
	if (err)
		return err;
	line.bytes[line.len - 1] = '\0';
	kernel = open("/kernel", O_RDONLY | O_CLOEXEC);
	initrd = open("/initrd", O_RDONLY | O_CLOEXEC);
	if (syscall(SYS_kexec_file_load, kernel, initrd, line.len, line.bytes,
		    0))
		err = problem(-errno, "load: %m");
	close(kernel);
	close(initrd);

	return err;
}

/* ---- preserved files: every page starts with its own number */

static int page_write(int fd, u64 page, u64 number)
{
	if (pwrite(fd, &number, sizeof(number), page * page_size) !=
	    sizeof(number))
		return problem(-errno, "write page %llu: %m", page);

	return 0;
}

static int page_check(int fd, u64 page, u64 number)
{
	u64 seen;

	if (pread(fd, &seen, sizeof(seen), page * page_size) != sizeof(seen) ||
	    seen != number)
		return problem(-EIO, "page %llu is not what it was", number);

	return 0;
}

static int load_alloc(u64 nr, u64 pages)
{
	load.nr = nr;
	load.pages = pages;
	load.fds = calloc(nr, sizeof(*load.fds));

	return load.fds ? 0 : problem(-ENOMEM, "no memory");
}

static int load_open(u64 nr, u64 pages)
{
	int err = load_alloc(nr, pages);

	for (u64 i = 0; i < nr && !err; i++) {
		load.fds[i] = memfd_create(SESSION, MFD_CLOEXEC);
		if (load.fds[i] < 0 || ftruncate(load.fds[i], pages * page_size))
			err = problem(-errno, "memfd %llu: %m", i);
	}

	return err;
}

static int fill_order(void)
{
	int err = 0;

	for (u64 i = 0; i < load.nr * load.pages && !err; i++)
		err = page_write(load.fds[i / load.pages], i % load.pages, i);

	return err;
}

/*
 * Every second page belongs to another file, and is freed at the end.  That file
 * first takes the memory whose struct pages are initialized early.  Such memory
 * costs less at boot, and would make small loads cheaper than large ones.
 */
static int fill_alternate(void)
{
	int other = memfd_create("other", MFD_CLOEXEC), err = 0;
	u64 first = NOT_DEFERRED / page_size;

	for (u64 i = 0; i < first && !err; i++)
		err = page_write(other, i, i);
	for (u64 i = 0; i < load.pages && !err; i++)
		err = page_write(load.fds[0], i, i) ?:
		      page_write(other, first + i, i);
	close(other);

	return err;
}

/* The sequence has each number below a power of two once, in pseudo-random order. */
static int fill_random(void)
{
	u64 size = 1, at = 0;
	int err = 0;

	while (size < load.pages)
		size <<= 1;
	for (u64 i = 0; i < size && !err; i++) {
		at = (at * 5 + 0x3c6ef35f) & (size - 1);
		if (at < load.pages)
			err = page_write(load.fds[0], at, at);
	}

	return err;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Frame numbers of the pages of a file, in the order of the file. */
static int file_frames(int fd, u64 *frames)
{
	size_t size = load.pages * page_size;
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd,
			 0);
	int err;

	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	err = page_frames(map, load.pages, frames);
	munmap(map, size);

	return err;
}

static int load_runs(void)
{
	u64 pages = load.nr * load.pages, runs = 0;
	u64 *frames = calloc(pages, sizeof(*frames));
	int err = frames ? 0 : problem(-ENOMEM, "no memory");

	for (u64 i = 0; i < load.nr && !err; i++)
		err = file_frames(load.fds[i], frames + i * load.pages);
	if (err)
		return err;
	qsort(frames, pages, sizeof(*frames), compare);
	for (u64 i = 0; i < pages; i++)
		runs += !i || frames[i] != frames[i - 1] + 1;
	free(frames);
	note("bench runs %llu", runs);

	return 0;
}

static int bench_fill(const char *how, u64 files, u64 pages)
{
	static const struct {
		const char *name;
		int (*fill)(void);
	} table[] = {
		{ "order", fill_order },
		{ "alternate", fill_alternate },
		{ "random", fill_random },
	};
	int err = load_open(files, pages);

	if (err)
		return err;

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].name, how))
			continue;
		return table[i].fill();
	}

	return problem(-EINVAL, "no way to fill: %s", how);
}

/* ---- before kexec */

/*
 * Files that flush_caches() writes to.  They are opened once and early, because
 * looking up their names uses memory for dentries.
 */
static int drop_fd;
static int shrink_fd[1024];
static unsigned int nr_shrink_fds;

static void open_caches(void)
{
	glob_t found;

	drop_fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc && i < ARRAY_SIZE(shrink_fd); i++)
		shrink_fd[nr_shrink_fds++] = open(found.gl_pathv[i],
						  O_WRONLY | O_CLOEXEC);
	globfree(&found);
}

/* Frees reclaimable memory, and the caches of all CPUs. */
static void flush_caches(void)
{
	(void)!pwrite(drop_fd, "2", 1, 0);
	sleep(1);
	for (unsigned int i = 0; i < nr_shrink_fds; i++)
		(void)!pwrite(shrink_fd[i], "1", 1, 0);
}

/* Counts free memory in slabs as free: it is random whether an object needs a new slab. */
static u64 free_in_slabs(void)
{
	unsigned long long active, size, pages, slabs, bytes = 0;
	char line[256];
	FILE *file;

	file = fopen("/proc/slabinfo", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, SLAB_LINE, &active, &size, &pages,
			   &slabs) == 4)
			bytes += slabs * pages * page_size - active * size;
	}
	fclose(file);

	return bytes;
}

/*
 * Free memory to the byte, with memory in caches of CPUs and memory that waits
 * for an RCU grace period.  Memory of this process and page tables count as
 * free: vmalloc keeps its page tables, and it is random whether an area needs a
 * new one.
 */
static u64 free_bytes(void)
{
	unsigned long long value, pages = 0;
	char line[128];
	FILE *file;

	flush_caches();
	file = fopen("/proc/sys/vm/stat_refresh", "re");
	if (file) {
		(void)!fread(line, 1, sizeof(line), file);
		fclose(file);
	}
	file = fopen("/proc/zoneinfo", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " nr_free_pages %llu", &value) == 1 ||
		    sscanf(line, " nr_anon_pages %llu", &value) == 1 ||
		    sscanf(line, " nr_page_table_pages %llu", &value) == 1 ||
		    sscanf(line, " count: %llu", &value) == 1)
			pages += value;
	}
	fclose(file);

	return pages * page_size + free_in_slabs();
}

/* The maximum of several rounds, as RCU and reclaim take time. */
static u64 settled_bytes(void)
{
	u64 most = 0;

	for (int i = 0; i < ROUNDS; i++) {
		u64 bytes = free_bytes();

		most = bytes > most ? bytes : most;
	}

	return most;
}

static int session_keep(int session)
{
	int err = 0;

	for (u64 i = 0; i < load.nr && !err; i++)
		err = luo_preserve(session, i, load.fds[i]);

	return err ? problem(err, "preserve: %m") : 0;
}

/* Preserves a small file of the same kind first, to warm up code and caches. */
static int warm_up(void)
{
	int session = luo_create("warm"), fd = memfd_create("warm", 0), err = 0;

	if (session < 0 || fd < 0)
		return problem(-EIO, "no session to begin with");
	for (u64 i = 0; i < 64 && !err; i++)
		err = page_write(fd, i, i);
	if (!err)
		err = luo_preserve(session, 1, fd);
	close(session);
	close(fd);

	return err;
}

static int keep(const char *what, int *session)
{
	u64 begin;
	int err;

	*session = luo_create(SESSION);
	if (*session < 0)
		return problem(*session, "create session: %m");
	begin = now();
	err = session_keep(*session);
	note("bench %s %llu", what, now() - begin);

	return err;
}

/*
 * Preserving the files for the first time migrates pages out of memory that
 * cannot be preserved.  The figure is from the second time; the number of runs
 * of page frames is recorded in between.
 */
static int bench_preserve(void)
{
	u64 begin, before;
	int session, err;

	err = warm_up();
	if (err)
		return err;
	open_caches();
	before = settled_bytes();
	err = keep("first", &session);
	if (err)
		return err;
	note("bench metadata %lld", (long long)(before - settled_bytes()));
	begin = now();
	close(session);
	note("bench unpreserve %llu", now() - begin);

	return load_runs() ?: keep("preserve", &session);
}

/* Prints the time of the kexec, and waits for that time. */
static int bench_kexec(void)
{
	u64 when = now() + DRAIN;

	when = when < SETTLED ? SETTLED : when;
	note("bench kexec %llu", when);
	tcdrain(STDOUT_FILENO);
	wait_until(when);
	reboot(LINUX_REBOOT_CMD_KEXEC);

	return problem(-errno, "kexec came back: %m");
}

/* ---- after kexec */

static int load_check(void)
{
	int err = 0;

	for (u64 i = 0; i < load.nr * load.pages && !err; i++)
		err = page_check(load.fds[i / load.pages], i % load.pages, i);

	return err;
}

static int bench_retrieve(u64 files, u64 pages)
{
	u64 begin, end;
	int session = luo_get(SESSION), err;

	if (session < 0)
		return problem(session, "get session: %m");
	err = load_alloc(files, pages);
	if (err)
		return err;

	begin = now();
	for (u64 i = 0; i < files; i++)
		load.fds[i] = luo_retrieve(session, i);
	end = now();
	note("bench retrieve %llu", end - begin);
	err = load_check();
	if (err)
		return err;
	begin = now();
	err = luo_finish(session);
	end = now();
	note("bench finish %llu", end - begin);

	return err ? problem(err, "finish: %m") : 0;
}

static int bench_memory(void)
{
	static const char *const fields[] = {
		"MemTotal", "MemAvailable", "CmaTotal", "CmaFree",
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		note("bench %s %llu", fields[i], memory_info(fields[i]) >> 10);

	return 0;
}

#define MEASURE(what, call)	(step(what), step_end(call))

static void bench_before(const char *how, u64 files, u64 pages)
{
	MEASURE("bench-load", bench_load());
	if (files) {
		MEASURE("bench-fill", bench_fill(how, files, pages));
		MEASURE("bench-preserve", bench_preserve());
	}
	MEASURE("bench-kexec", bench_kexec());
}

/*
 * @words: "before", "after" or "memory", then wait=, and fill=, files= and
 * pages= of the load.
 */
int bench_run(char **words)
{
	const char *how = option(words, "fill");
	u64 wait, files, pages;

	step_at("bench", 0);
	printf("KTAP version 1\n");
	if (option_u64(words, "wait", 0, &wait) ||
	    option_u64(words, "files", 0, &files) ||
	    option_u64(words, "pages", 0, &pages)) {
		printf("Bail out! %s\n", problem_text());
		return EXIT_FAILURE;
	}

	MEASURE("bench-begin", bench_begin(wait));
	if (option(words, "before"))
		bench_before(how ? how : "order", files, pages);
	else if (option(words, "memory"))
		MEASURE("bench-memory", bench_memory());
	else if (files)
		MEASURE("bench-retrieve", bench_retrieve(files, pages));

	return hop_end();
}
