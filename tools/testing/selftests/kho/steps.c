// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of cases: test points of a KTAP document, announced before they start,
 * so that the log shows the step at which a guest hangs.
 *
 * A step that fails prevents the kexec: the next kernel must not hide a failed
 * handover.
 */

#include "handover.h"
#include "kho_test.h"

#include <stdarg.h>
#include <sys/klog.h>
#include <termios.h>

#define LOG_MAX		(4UL << 20)
#define LOG_READ_ALL	3
#define LOG_CLEAR	5

static struct {
	char text[400];
	const char *file;
	int line;
	int expected;		/* errno, or 0 */
	unsigned int nr, nr_failed;
	bool going_on;
} now;

/* State of the hop: loaded kernel, and command to leave it. */
static unsigned int hop_nr;
static bool loaded;
static const char *way_out = "exec kexec -e";
static const char *append = "/append";

/* The seed of random cases, from the kernel command line. */
u64 case_seed(void)
{
	static struct blob line;
	char *word;

	if (!line.len && blob_read(&line, "/proc/cmdline"))
		return 1;
	line.bytes[line.len - 1] = '\0';
	word = strstr((char *)line.bytes, " kho_seed=");

	return word ? strtoull(strchr(word, '=') + 1, NULL, 0) : 1;
}

void step_at(const char *file, int line)
{
	now.file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	now.line = line;
}

void step_expect(int error)
{
	now.expected = error;
}

void step_going_on(bool on)
{
	now.going_on = on;
}

void step(const char *fmt, ...)
{
	size_t len = 0;
	va_list args;

	if (now.expected)
		len = snprintf(now.text, sizeof(now.text), "fails %s ",
			       strerrorname_np(now.expected));
	va_start(args, fmt);
	vsnprintf(now.text + len, sizeof(now.text) - len, fmt, args);
	va_end(args);
	now.text[strcspn(now.text, "\n")] = '\0';

	problem(0, "%s", "");
	note("%u %s", ++now.nr, now.text);
}

static void hop_plan(void)
{
	printf("1..%u\n", now.nr);
}

static void __attribute__((noreturn)) hop_fail(const char *why)
{
	hop_plan();
	printf("Bail out! %s\n", why);
	exit(EXIT_FAILURE);
}

/* Return true if a step has the expected result. */
static bool as_expected(int ret)
{
	const char *seen = ret < 0 ? strerrorname_np(-ret) : NULL;

	if (!now.expected && ret < 0 && !*problem_text())
		problem(ret, "%m");
	if (!now.expected)
		return ret >= 0;
	if (ret >= 0)
		problem(-EINVAL, "worked, expected %s",
			strerrorname_np(now.expected));
	else if (ret != -now.expected)
		problem(-EINVAL, "%s instead of %s", seen ? seen : "unknown error",
			strerrorname_np(now.expected));

	return ret == -now.expected;
}

void step_end(int ret)
{
	bool good = as_expected(ret);

	now.expected = 0;
	if (good) {
		printf("ok %u - %s\n", now.nr, now.text);
		return;
	}
	note("%s:%d: %s", now.file, now.line, problem_text());
	printf("not ok %u - %s\n", now.nr, now.text);
	now.nr_failed++;
	if (!now.going_on)
		hop_fail("no kexec after a failure");
}

void step_run(const char *fmt, ...)
{
	char command[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	step("run %s", command);
	step_end(shell(command));
}

DEFINE_STEP_AS(close, (const char *name), fd_close(name), "close %s", name)

/* The kernel log, to be freed; NULL if it cannot be read. */
char *log_read(void)
{
	char *log = malloc(LOG_MAX);
	int len = log ? klogctl(LOG_READ_ALL, log, LOG_MAX - 1) : -1;

	if (len < 0) {
		problem(-EIO, "the kernel log cannot be read");
		free(log);
		return NULL;
	}
	log[len] = '\0';

	return log;
}

/* The lines of the kernel log with this text in them, or a negative errno. */
static int log_count(const char *text)
{
	char *log = log_read(), *line, *rest;
	int nr = 0;

	if (!log)
		return -EIO;
	for (line = strtok_r(log, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		nr += !!strstr(line, text);
	free(log);

	return nr;
}

DEFINE_STEP_AS(logs, (const char *text),
	       log_count(text) ?: problem(-ENOENT, "no such line in the kernel log"),
	       "log has '%s'", text)

DEFINE_STEP(logged, (const char *text, int number), (text, number),
	    "log has '%s' %d times", text, number)
{
	int nr = log_count(text);

	return nr < 0 || nr == number ? nr :
	       problem(-EINVAL, "%d such lines in the kernel log", nr);
}

DEFINE_STEP_AS(log_clear, (void), klogctl(LOG_CLEAR, NULL, 0) ? -errno : 0,
	       "clear the log")

/*
 * Loads the kernel that the host provides for the next hop, with its command
 * line.
 */
static int load_by(const char *program)
{
	loaded = true;

	return shell(textf("%s /share/$(cat /share/kernel%u) --initrd=/share/initrd "
			   "--append=\"$(cat /share/append%u)$(cat /append 2>/dev/null)\"",
			   program, hop_nr + 1, hop_nr + 1));
}

DEFINE_STEP_AS(load, (const char *program), load_by(program),
	       "load the next kernel (%s)", program)
DEFINE_STEP_AS(load_refused, (void),
	       load_by("kexec -s -l") ? 0 : problem(-EINVAL, "it was loaded"),
	       "the next kernel is refused")

/* Tries again, because memory may become free or contiguous with a delay. */
DEFINE_STEP(load_in_time, (unsigned int seconds), (seconds),
	    "load the next kernel within %u s", seconds)
{
	int err;

	for (unsigned int i = 0; (err = load_by("kexec -s -l")) && i < 2 * seconds; i++)
		usleep(500000);

	return err;
}

void step_leave_by(const char *command)
{
	way_out = command;
}

/* Only returns when the kexec failed. */
static int leave(void)
{
	note("kexec");
	/* A crash would lose output that was not sent yet. */
	tcdrain(STDOUT_FILENO);
	shell(way_out);
	printf("Bail out! kexec came back: %s\n", problem_text());

	return EXIT_FAILURE;
}

const char *append_file(void)
{
	return append;
}

/* Run the first hop without a kexec, on a machine that may be in use. */
int hop_run_live(const struct kho_test *test)
{
	append = "/dev/null";
	test->run(0);
	hop_plan();

	return now.nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int hop_end(void)
{
	hop_plan();
	note("end");

	return EXIT_SUCCESS;
}

int hop_run(const struct kho_test *test, unsigned int hop)
{
	unsigned int hops = test->hops ? test->hops : 2;

	hop_nr = hop;
	printf("KTAP version 1\n");
	test->run(hop);
	if (now.nr_failed)
		hop_fail("no kexec after a failure");
	if (hop + 1 < hops && !loaded) {
		step_at("steps.c", __LINE__);
		step_load("kexec -s -l");
	}
	if (hop + 1 == hops)
		return hop_end();
	hop_plan();

	return leave();
}
