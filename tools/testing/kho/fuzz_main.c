// SPDX-License-Identifier: GPL-2.0
/* The entries of libFuzzer.  The name of the program is fuzz_<target>. */

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const struct fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = strrchr((*argv)[0], '/');

	name = name ? name + 1 : (*argv)[0];
	target = strncmp(name, "fuzz_", 5) ? NULL : fuzz_find(name + 5);
	if (!target) {
		fprintf(stderr, "%s: the name of the program has to be one of\n", name);
		for (target = fuzz_targets; target; target = target->next)
			fprintf(stderr, "  fuzz_%s\n", target->name);
		exit(2);
	}
	sim_log_shown = getenv("KHO_LOG");
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	fuzz_run(target, data, size);
	return 0;
}
