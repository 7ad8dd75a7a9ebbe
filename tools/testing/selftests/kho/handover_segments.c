// SPDX-License-Identifier: GPL-2.0
/*
 * The segments of an image in memory.  The kernel lists them in its log when an image
 * is loaded with KEXEC_FILE_DEBUG.
 */

#include "handover.h"

#include <glob.h>
#include <sys/syscall.h>

#ifndef KEXEC_FILE_DEBUG
#define KEXEC_FILE_DEBUG	0x00000008
#endif

static int image_load(void)
{
	glob_t kernels;
	int kernel, initrd, err = 0;

	if (glob("/share/kernel-*", 0, NULL, &kernels))
		return problem(-ENOENT, "no kernel to load");
	kernel = open(kernels.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	initrd = open("/share/initrd", O_RDONLY | O_CLOEXEC);
	if (syscall(SYS_kexec_file_load, kernel, initrd, 1UL, "", (unsigned long)KEXEC_FILE_DEBUG))
		err = problem(-errno, "kexec_file_load: %m");
	close(initrd);
	close(kernel);
	globfree(&kernels);

	return err;
}

/* Check that all bytes from @begin to @end are 0, and add their number to @nr. */
static int zeros(u64 begin, u64 end, u64 *nr)
{
	static const char zero[4096];
	char buf[sizeof(zero)];
	int err = 0;

	while (!err && begin < end) {
		size_t size = min(end - begin, sizeof(buf));

		err = memory_read(buf, size, begin);
		if (!err && memcmp(buf, zero, size))
			err = problem(-EINVAL, "not zero: %zu bytes at %#llx", size,
				      begin);
		begin += size;
		*nr += size;
	}

	return err;
}

static int segments_check(char *log)
{
	u64 nr = 0;
	char *rest;
	int err = 0;

	for (char *line = strtok_r(log, "\n", &rest); line && !err;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *at = strstr(line, " bufsz=");
		unsigned long long bufsz, mem, memsz;

		if (at && sscanf(at, " bufsz=%llx mem=%llx memsz=%llx", &bufsz, &mem, &memsz) == 3)
			err = zeros(mem + bufsz, mem + memsz, &nr);
	}
	note("%llu bytes follow the data of segments", nr);

	return err || nr ? err : problem(-ENODATA, "no segment is larger than its data");
}

/* Load an image, and check that the memory of each segment after its data is zero. */
DEFINE_STEP(segments_zeroed, (void), (), "memory after the data of each segment is zero")
{
	int err = image_load();
	char *log = err ? NULL : log_read();

	if (!err)
		err = log ? segments_check(log) : -EIO;
	free(log);

	return err;
}
