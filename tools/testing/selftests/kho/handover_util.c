// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that all parts of the guest agent use: the reason for a failure,
 * options, names of open files, seeded data, and shell commands.
 */

#include "handover.h"

#include <stdarg.h>
#include <sys/wait.h>

#define NAME_SIZE	64

struct name {
	char name[NAME_SIZE];
	int fd;
};

unsigned long page_size;

static struct name names[MAX_FD_NAMES];
static unsigned int nr_names;
static char reason[256];

int problem(int err, const char *fmt, ...)
{
	va_list args;

	errno = -err;
	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);

	return err;
}

const char *problem_text(void)
{
	return reason;
}

void note(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = problem(-errno, "%s: %m", path);
	close(fd);

	return err;
}

const char *textf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);

	return text;
}

const char *option(char **words, const char *name)
{
	size_t len = strlen(name);

	for (; *words; words++) {
		if (strncmp(*words, name, len))
			continue;
		if ((*words)[len] == '=')
			return *words + len + 1;
		if (!(*words)[len])
			return "";
	}

	return NULL;
}

int parse_u64(const char *text, u64 *value)
{
	static const char units[] = "KMG";	/* and P for pages */
	const char *unit;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text)
		return problem(-EINVAL, "'%s' is not a number", text);

	unit = *end ? strchr(units, *end) : NULL;
	if (*end == 'P') {
		*value *= page_size;
		end++;
	} else if (unit) {
		*value <<= 10 * (unit - units + 1);
		end++;
	}
	if (*end)
		return problem(-EINVAL, "'%s' is not a number", text);

	return 0;
}

int option_u64(char **words, const char *name, u64 def, u64 *value)
{
	const char *text = option(words, name);

	*value = def;

	return text ? parse_u64(text, value) : 0;
}

static struct name *name_lookup(const char *name)
{
	for (unsigned int i = 0; i < nr_names; i++) {
		if (!strcmp(names[i].name, name))
			return &names[i];
	}

	return NULL;
}

int fd_add(const char *name, int fd)
{
	struct name *entry = name_lookup(name);

	if (entry && entry->fd >= 0) {
		close(fd);
		return problem(-EEXIST, "there is a '%s' already", name);
	}
	if (!entry) {
		if (nr_names == MAX_FD_NAMES || strlen(name) >= NAME_SIZE) {
			close(fd);
			return problem(-ENOSPC, "too many names for '%s'", name);
		}
		entry = &names[nr_names++];
		snprintf(entry->name, NAME_SIZE, "%s", name);
	}
	entry->fd = fd;

	return 0;
}

int fd_find(const char *name)
{
	struct name *entry = name_lookup(name);

	if (!entry || entry->fd < 0)
		return problem(-ENOENT, "no open '%s'", name);

	return entry->fd;
}

int fd_close(const char *name)
{
	int fd = fd_find(name);

	if (fd < 0)
		return fd;
	close(fd);
	name_lookup(name)->fd = -1;

	return 0;
}

u64 pattern_word(u64 seed, u64 index)
{
	u64 z = seed * 0xd1342543de82ef95ull;

	z += (index + 1) * 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;

	return z ^ (z >> 31);
}

/* @offset is a multiple of 8, @len need not be. */
void pattern_fill(void *buf, size_t len, u64 seed, u64 offset)
{
	u64 index = offset / sizeof(u64);
	u8 *out = buf;

	while (len) {
		u64 word = pattern_word(seed, index++);
		size_t part = min(len, sizeof(word));

		memcpy(out, &word, part);
		out += part;
		len -= part;
	}
}

int shell(const char *command)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return problem(-errno, "fork: %m");
	if (!pid) {
		/* stdout is the KTAP channel, so commands print to stderr. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}

	if (waitpid(pid, &status, 0) < 0)
		return problem(-errno, "wait: %m");
	if (WIFSIGNALED(status))
		return problem(-EIO, "killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		return problem(-EIO, "exit status %d", WEXITSTATUS(status));

	return 0;
}
