// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for a machine that is in use, without a kexec: the first hop of cases
 * whose effects are undone when their sessions are closed.  kexec-cases.py runs
 * all cases in guests.
 */

#include "handover.h"
#include "kho_test.h"

#include <sys/wait.h>

#define KSFT_SKIP	4

/* Returns the reason why cases cannot be run here, or NULL. */
static const char *why_not(void)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return NULL;
	}

	return errno == EBUSY ? "/dev/liveupdate is in use" :
	       errno == ENOENT ? "no /dev/liveupdate: CONFIG_LIVEUPDATE, kho=on and liveupdate=on are needed" :
	       strerror(errno);
}

/* The report of the case is printed as comments. */
static int run_case(const struct kho_test *test)
{
	int pipes[2], status;
	char line[512];
	FILE *report;
	pid_t pid;

	if (pipe(pipes))
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		exit(hop_run_live(test));
	}
	close(pipes[1]);
	report = fdopen(pipes[0], "r");
	while (report && fgets(line, sizeof(line), report))
		printf("# %s", line);
	if (report)
		fclose(report);
	waitpid(pid, &status, 0);

	return status;
}

int live_run(void)
{
	const char *reason = why_not();
	unsigned int nr = 0, failed = 0, skipped = 0;
	const struct kho_test *test;

	for (test = kho_test_first(); test; test = test->next)
		nr++;
	printf("TAP version 13\n1..%u\n", nr);
	nr = 0;
	for (test = kho_test_first(); test; test = test->next) {
		const char *skip = test->live ? reason : "needs kexec: use kexec-cases.py";
		bool bad = !skip && run_case(test);

		printf("%sok %u %s%s%s\n", bad ? "not " : "", ++nr,
		       kho_test_name(test), skip ? " # SKIP " : "", skip ? skip : "");
		failed += bad;
		skipped += !!skip;
	}
	printf("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0\n",
	       nr - failed - skipped, failed, skipped);

	return failed ? EXIT_FAILURE : skipped == nr ? KSFT_SKIP : EXIT_SUCCESS;
}
