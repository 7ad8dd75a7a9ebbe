// SPDX-License-Identifier: GPL-2.0
/*
 * handover - the part of a kexec test that runs inside the guest
 *
 * Reads a script and does what its lines say, one action each, in the kernel
 * before a kexec or in one after it.  Every line is a test point of a KTAP
 * document on stdout, announced before it starts, so that a reader knows where a
 * guest hangs.
 *
 * A line that fails does not end the script, but no kexec is done after it: a
 * failed handover must not be hidden by the next kernel.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "handover.h"
#include "kho_test.h"

#define MAX_WORDS	32
#define MAX_NAMES	8192
#define NAME_SIZE	64

struct name {
	char name[NAME_SIZE];
	int fd;
};

unsigned long page_size;

static struct name names[MAX_NAMES];
static unsigned int nr_names;
static char reason[256];

int problem(int err, const char *fmt, ...)
{
	va_list args;

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

int parse_u64(const char *text, uint64_t *value)
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

int option_u64(char **words, const char *name, uint64_t def, uint64_t *value)
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
		if (nr_names == MAX_NAMES || strlen(name) >= NAME_SIZE) {
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
		return problem(-ENOENT, "the script has no open '%s'", name);

	return entry->fd;
}

int fd_close(const char *name)
{
	struct name *entry = name_lookup(name);

	if (!entry || entry->fd < 0)
		return problem(-ENOENT, "the script has no open '%s'", name);
	close(entry->fd);
	entry->fd = -1;

	return 0;
}

uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t z = seed * 0xd1342543de82ef95ull;

	z += (index + 1) * 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;

	return z ^ (z >> 31);
}

/* @offset is a multiple of 8, @len need not be. */
void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t offset)
{
	uint64_t index = offset / sizeof(uint64_t);
	uint8_t *out = buf;

	while (len) {
		uint64_t word = pattern_word(seed, index++);
		size_t part = len < sizeof(word) ? len : sizeof(word);

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
		return problem(-errno, "fork: %s", strerror(errno));
	if (!pid) {
		/* stdout is the KTAP channel: what commands print is not. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}

	if (waitpid(pid, &status, 0) < 0)
		return problem(-errno, "wait: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return problem(-EIO, "killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		return problem(-EIO, "exit status %d", WEXITSTATUS(status));

	return 0;
}

static int do_close(char **words)
{
	return fd_close(words[0]);
}

static const struct action basic_actions[] = {
	{ "close", "NAME", 1, do_close },
	{ }
};

static const struct action *const all_actions[] = {
	basic_actions, luo_actions, memfd_actions, memory_actions,
	bench_actions,
};

static const struct action *action_find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_actions); i++) {
		const struct action *action = all_actions[i];

		for (; action->name; action++) {
			if (!strcmp(action->name, name))
				return action;
		}
	}

	return NULL;
}

static int run_words(char **words)
{
	const struct action *action = action_find(words[0]);
	int nr = 0;

	if (!action)
		return problem(-EINVAL, "no such action: %s", words[0]);
	while (words[nr + 1])
		nr++;
	if (nr < action->min_words)
		return problem(-EINVAL, "wants %s", action->usage);

	return action->run(words + 1);
}

/* "fails ENAME action ..." is good when the action ends in that very error. */
static int run_failing(char **words)
{
	const char *seen;
	int err;

	if (!words[1] || !words[2])
		return problem(-EINVAL, "wants ERRNO ACTION...");
	err = run_words(words + 2);
	if (!err)
		return problem(-EINVAL, "worked, expected %s", words[1]);
	seen = strerrorname_np(-err);
	if (!seen || strcmp(seen, words[1]))
		return problem(-EINVAL, "%s instead of %s",
			       seen ? seen : "unknown error", words[1]);

	return 0;
}

static int run_line(const char *line)
{
	char *words[MAX_WORDS + 1];
	int nr = 0, err;
	char *copy, *word, *rest;

	if (!strncmp(line, "run ", 4))
		return shell(line + 4);

	copy = strdup(line);
	if (!copy)
		return problem(-ENOMEM, "no memory");
	for (word = strtok_r(copy, " ", &rest); word && nr < MAX_WORDS;
	     word = strtok_r(NULL, " ", &rest))
		words[nr++] = word;
	words[nr] = NULL;

	if (word || !nr)
		err = problem(-EINVAL, "too many words or none");
	else if (!strcmp(words[0], "fails"))
		err = run_failing(words);
	else
		err = run_words(words);
	free(copy);

	return err;
}

/* Last lines that lead to the next kernel, and their commands. */
static const struct {
	const char *line;
	const char *command;
} ways_out[] = {
	{ "kexec", "exec kexec -e" },
};

static const char *way_out(const char *line)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ways_out); i++) {
		if (!strcmp(ways_out[i].line, line))
			return ways_out[i].command;
	}

	return NULL;
}

/* Only returns when the kexec failed. */
static int leave(const char *command, int nr_failed)
{
	if (nr_failed) {
		printf("Bail out! no kexec after a failure\n");
		return EXIT_FAILURE;
	}

	note("kexec");
	/* A crash does not wait for what is still to be sent. */
	tcdrain(STDOUT_FILENO);
	shell(command);
	printf("Bail out! kexec came back: %s\n", reason);

	return EXIT_FAILURE;
}

static bool wanted(char *line)
{
	size_t len = strlen(line);

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';

	return len && line[0] != '#';
}

static char **read_script(const char *path, unsigned int *nr)
{
	char **lines = NULL, *line = NULL;
	size_t size = 0, max = 0;
	FILE *file;

	file = fopen(path, "r");
	if (!file)
		return NULL;

	*nr = 0;
	while (getline(&line, &size, file) >= 0) {
		if (!wanted(line))
			continue;
		if (*nr == max) {
			max = max * 2 + 64;
			lines = realloc(lines, max * sizeof(*lines));
			if (!lines)
				break;
		}
		lines[(*nr)++] = line;
		line = NULL;
		size = 0;
	}
	fclose(file);

	return lines;
}

static int run_script(const char *path)
{
	unsigned int nr, nr_failed = 0;
	const char *command;
	char **lines = read_script(path, &nr);

	if (!lines) {
		printf("Bail out! no script: %s\n", path);
		return EXIT_FAILURE;
	}

	command = way_out(lines[nr - 1]);
	if (command)
		nr--;

	printf("KTAP version 1\n1..%u\n", nr);
	for (unsigned int i = 0; i < nr; i++) {
		note("%u %s", i + 1, lines[i]);
		if (!run_line(lines[i])) {
			printf("ok %u - %s\n", i + 1, lines[i]);
			continue;
		}
		nr_failed++;
		note("%s", reason);
		printf("not ok %u - %s\n", i + 1, lines[i]);
	}

	if (command)
		return leave(command, nr_failed);
	note("end");

	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

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
	struct rlimit limit = { MAX_NAMES + 64, MAX_NAMES + 64 };

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
	if (argc == 2)
		return run_script(argv[1]);
	fprintf(stderr, "usage: handover [--list | --case NAME [HOP] | SCRIPT]\n");

	return EXIT_FAILURE;
}
