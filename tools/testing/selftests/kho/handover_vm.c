// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of virtual machines: output of programs, and the page frames of a file.
 */

#include "handover.h"

#include <sys/stat.h>

/*
 * Prints every line of output as a note.  The last line is the reason for a
 * failure.
 */
DEFINE_STEP(tell, (const char *command), (command), "tell %s", command)
{
	char line[256] = "no output";
	FILE *output = popen(command, "re");
	int status;

	if (!output)
		return problem(-errno, "popen: %m");
	while (fgets(line, sizeof(line), output)) {
		line[strcspn(line, "\r\n")] = '\0';
		note("%s", line);
	}
	status = pclose(output);

	return status ? problem(-EIO, "%s", line) : 0;
}

/* FNV-1a, over words */
static u64 hash_words(const u64 *words, size_t nr)
{
	u64 hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < nr; i++)
		hash = (hash ^ words[i]) * 0x100000001b3ull;

	return hash;
}

static int note_frames(const char *map, size_t nr)
{
	u64 *frames = calloc(nr, sizeof(*frames));
	int err;

	if (!frames)
		return problem(-ENOMEM, "no memory");
	err = page_frames(map, nr, frames);
	if (!err)
		note("frames %zu first %#llx hash %016llx", nr, frames[0] * page_size,
		     hash_words(frames, nr));
	free(frames);

	return err;
}

/* Physical addresses of all pages of a file; no page may be missing. */
DEFINE_STEP(frames, (const char *path), (path), "frames %s", path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stat stat;
	char *map;

	if (fd < 0 || fstat(fd, &stat))
		return problem(-errno, "%s: %m", path);
	map = mmap(NULL, stat.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return problem(-errno, "mmap: %m");
	err = note_frames(map, stat.st_size / page_size);
	munmap(map, stat.st_size);

	return err;
}
