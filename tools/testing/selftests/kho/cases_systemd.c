// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of a systemd service, which keeps descriptors in its file descriptor
 * store, and a session of its own, over 'systemctl kexec'.  The first process
 * has to be systemd, see systemd_init.sh; the service runs the case.
 */

#include "steps.h"

#define APPEND	"systemd.unit=test.target systemd.minimum_uptime_sec=0 systemd.getty_auto=no"
#define ITEMS	20000
#define LONG_NAME "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define BYTES	"head -c 100000 /bin/busybox"

#define SYSTEMD_HOPS(n)	.hops = (n), .arch = "x86_64", .deadline = 60
#define SYSTEMD(n)	SYSTEMD_HOPS(n), .append = { APPEND }

static const struct memfd stored[] = { { "alpha", 8 * MIB, 1 }, { "beta", 3000001, 2 } };
static const struct memfd own = { "own1", 5 * MIB, 3 };

/*
 * The store keeps memfds and the file of a script.  It drops a socket, and a
 * session called "systemd".
 */
static void start_store(void)
{
	tell("systemctl --version | head -n 1");
	/* the first version that knows live updates */
	run("test $(systemctl --version | awk 'NR == 1 { print $2 }') -ge 261");
	listen_fds();
	for (unsigned int i = 0; i < ARRAY_SIZE(stored); i++)
		make(&stored[i]);
	make_socket("refused");
	session_new("systemd");
	store("alpha");
	store("beta");
	store("refused");
	store("systemd");
	run("exec 3<>/dev/shm/x; rm /dev/shm/x; " BYTES " >&3; systemd-notify --fd=3 --fdname=script");
}

/* When the service is started again, it finds all data by the names of the descriptors. */
static void find_store(void)
{
	listen_fds();
	look(stored);
	fails(ENOENT, close_fd("refused"));
	fails(ENOENT, close_fd("systemd"));
	run("i=3; IFS=:; for n in $LISTEN_FDNAMES; do "
	    "[ $n = script ] && { " BYTES " | cmp - /proc/self/fd/$i && exit 0; }; i=$((i + 1)); done; exit 1");
}

static void keep_own(void)
{
	make(&own);
	preserve("own", 77, "own1");
}

static void use_own(void)
{
	retrieve("own", 77, "own1");
	check(&own);
}

static void take_own(void)
{
	use_own();
	finish("own");
}

/* In a new session nothing can be retrieved. */
static void own_is_new(void)
{
	fails(EINVAL, retrieve("own", 77, "own1"));
}

static void go_to_next(void)
{
	load();
	leave_by_systemd();
}

/*
 * The session is preserved from the first kernel to the second, and again from
 * the third.
 */
KHO_TEST(systemd,
	 "A service keeps its descriptors and its session, and memcached its items, three times in a row, "
	 "with 'systemctl kexec'.",
	 SYSTEMD(4))
{
	if (!hop)
		start_store();
	else
		find_store();
	if (hop == 0 || hop == 2)
		keep_own();
	else
		take_own();
	if (!hop)
		items_set(ITEMS);
	items_check(ITEMS);
	if (hop < 3)
		go_to_next();
}

KHO_TEST(systemd_unfinished,
	 "A service leaves its session unfinished: the session is lost, and the store is not.",
	 SYSTEMD(3))
{
	if (!hop)
		start_store();
	else
		find_store();
	if (!hop)
		keep_own();
	else if (hop == 1)
		use_own();
	else
		own_is_new();
	if (hop < 2)
		go_to_next();
}

KHO_TEST(systemd_names, "A session with a name of 63 bytes comes back under that name.", SYSTEMD(2))
{
	static const struct memfd m = { "m", 5 * MIB, 3 };

	if (!hop) {
		start_store();
		session_new(LONG_NAME);
		store(LONG_NAME);
		make(&m);
		preserve(LONG_NAME, 1, "m");
	} else {
		find_store();
	}
	session_name(LONG_NAME, 63);
	session_name("own", 0);
	if (!hop) {
		go_to_next();
		return;
	}
	retrieve(LONG_NAME, 1, "m");
	check(&m);
	finish(LONG_NAME);
}

/* The session of the service is not finished: its 5 MiB stay reserved until the second kexec. */
KHO_TEST(systemd_off,
	 "The next kernel has no store for the service: its descriptors are lost, and their memory is free.",
	 SYSTEMD_HOPS(3), .append = { APPEND " kho_store=8", APPEND " kho_store=0", APPEND " kho_store=8" })
{
	static const char *const gone[] = { "alpha", "beta", "script", "own" };

	if (!hop) {
		start_store();
		keep_own();
		total_keep();
	} else if (hop == 1) {
		listen_fds();
		for (unsigned int i = 0; i < ARRAY_SIZE(gone); i++)
			fails(ENOENT, close_fd(gone[i]));
		total_check(6 * MIB);
		churn_once();
		run("grep -o ' kho_total=.*' /proc/cmdline >/append");
	} else {
		start_store();
		total_check(MIB);
		own_is_new();
		return;
	}
	go_to_next();
}

KHO_TEST(systemd_stock_ours, "The first kernel is the stock kernel: all is kept.",
	 SYSTEMD(2), .kernels = { "stock", "ours" })
{
	if (hop) {
		find_store();
		take_own();
		return;
	}
	start_store();
	keep_own();
	go_to_next();
}

KHO_TEST(systemd_ours_stock,
	 "The second kernel is the stock kernel and boots cold; in ours after it, all is kept.",
	 SYSTEMD(3), .kernels = { "ours", "stock", "ours" })
{
	if (hop == 2) {
		find_store();
		take_own();
		return;
	}
	start_store();
	if (hop)
		own_is_new();
	keep_own();
	go_to_next();
}

#define UNITS	"/etc/systemd/system/"
#define KHOCTL	"/share/khoctl/"

/* khoctl refuses to load the stock kernel, which would lose the session. */
static void refused_by_khoctl(void)
{
	run("ln -s " KHOCTL "run /usr/sbin/khoctl && mkdir " UNITS "kexec.target.d");
	run("cp " KHOCTL "khoctl-kexec.service " UNITS " && cp " KHOCTL "khoctl-only.conf " UNITS "kexec.target.d");
	run("printf 'IMAGE=" KHOCTL "stock\\nWORDS=--reuse-cmdline\\n' >/etc/khoctl.conf && systemctl daemon-reload");
	run("test -s " KHOCTL "stock");
	run("! systemctl start khoctl-kexec.service");
	run("! systemctl kexec");
	run("grep -x 0 /sys/kernel/kexec_loaded");
	run("systemctl is-active keeper.service");
}

KHO_TEST(systemd_khoctl,
	 "systemd refuses to start a kernel that would lose the session, and the service goes on.",
	 SYSTEMD(2))
{
	static const struct memfd more = { "own2", 3000, 9 };

	if (!hop) {
		start_store();
		keep_own();
		refused_by_khoctl();
		make(&more);
		preserve("own", 78, "own2");
		run("rm " UNITS "kexec.target.d/khoctl-only.conf && systemctl daemon-reload");
		go_to_next();
		return;
	}
	find_store();
	use_own();
	retrieve("own", 78, "own2");
	check(&more);
	finish("own");
}
