// SPDX-License-Identifier: GPL-2.0
/*
 * Not a test: preserves files of the host, /share/files/0 and so on, and prints
 * their digests in the next kernel.
 */

#include "steps.h"

#include <sys/stat.h>

/* Only there if the host could build khoctl. */
#define KHOCTL	"/share/khoctl/run"

/* The versions of memfds in the handover; known when a file has been retrieved. */
#define MEMFD	"awk '$5 == \"memfd\" { all = all sep $2; sep = \";\" } " \
		"END { print \"compat in memfd\", all }' " KHO_DIR "in/compat"

#define SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

/* Returns false past the last file. */
static bool file_of(unsigned int nr, char *name, char *path, u64 *size)
{
	struct stat st;

	snprintf(name, 16, "f%u", nr);
	snprintf(path, 32, "/share/files/%u", nr);
	*size = stat(path, &st) ? 0 : st.st_size;

	return !access(path, R_OK);
}

static void files_leave(void)
{
	char name[16], path[32];
	u64 size;

	formats("out");
	session_new("files");
	for (unsigned int i = 0; file_of(i, name, path, &size); i++)
		make_of_file(name, path, SEALS);
	for (unsigned int i = 0; file_of(i, name, path, &size); i++)
		preserve("files", i, name);
	if (access(KHOCTL, X_OK))
		return;
	tell(KHOCTL " check --to /share/$(cat /share/kernel1)");
	load_by(KHOCTL " load");
}

static void files_arrive(void)
{
	char name[16], path[32];
	u64 size;

	formats("in");
	session_get("files");
	for (unsigned int i = 0; file_of(i, name, path, &size); i++)
		retrieve("files", i, name);
	for (unsigned int i = 0; file_of(i, name, path, &size); i++)
		check_properties(&(struct memfd){ name, size, .seals = SEALS | SEALED });
	finish("files");
	if (!access(KHO_DIR "in/compat", R_OK))
		tell(MEMFD);
	if (!access(KHOCTL, X_OK))
		tell(KHOCTL " timeline");
	for (unsigned int i = 0; file_of(i, name, path, &size); i++)
		sha256(name);
}

KHO_TEST(live_update, "Files of the host are carried to the next kernel.", .by_name = true)
{
	if (!hop)
		files_leave();
	else
		files_arrive();
}
