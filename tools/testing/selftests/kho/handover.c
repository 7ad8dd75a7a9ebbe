// SPDX-License-Identifier: GPL-2.0
/*
 * handover - tests of handovers between kernels
 *
 * Without arguments, it runs the cases that do not need a kexec.  In a guest,
 * it runs the part of a case for one kernel: the report is a KTAP document on
 * stdout.
 */

#include "handover.h"
#include "kho_test.h"

#include <sys/resource.h>

static int run_case(const char *name, const char *hop)
{
	const struct kho_test *test = kho_test_find(name);

	if (!test) {
		printf("Bail out! no case: %s\n", name);
		return EXIT_FAILURE;
	}

	return hop_run(test, hop ? strtoul(hop, NULL, 0) : 0);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { MAX_FD_NAMES + 64, MAX_FD_NAMES + 64 };

	page_size = sysconf(_SC_PAGESIZE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	setrlimit(RLIMIT_NOFILE, &limit);

	if (argc == 1)
		return live_run();
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		kho_test_list();
		return EXIT_SUCCESS;
	}
	if (argc >= 3 && !strcmp(argv[1], "--case"))
		return run_case(argv[2], argv[3]);
	if (argc >= 3 && !strcmp(argv[1], "--bench"))
		return bench_run(argv + 2);
	fprintf(stderr, "usage: handover [--list | --case NAME [HOP] | --bench WORD...]\n");

	return EXIT_FAILURE;
}
