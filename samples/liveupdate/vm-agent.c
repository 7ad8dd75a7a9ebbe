// SPDX-License-Identifier: GPL-2.0
/*
 * vm-agent save|resume SESSION VMM...: keep a virtual machine over a live update
 *
 * QEMU is the VMM.  It inherits the memfd of RAM as descriptor 10, and the
 * socket for QMP as descriptor 11.  "save" waits for a byte from stdin before it
 * preserves RAM, and for another one before it pauses the VM.  For "resume", the
 * command line of QEMU also needs "-incoming defer".  See
 * Documentation/admin-guide/mm/liveupdate-vm.rst.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/liveupdate.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RAM_TOKEN = 1, STATE_TOKEN, VMM_RAM = 10, VMM_QMP };

static FILE *qmp;

static int check(int ret, const char *what)
{
	if (ret >= 0)
		return ret;
	printf("FAILED: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Creates or retrieves a session: both ioctls have the same layout. */
static int session_open(unsigned long request, const char *name)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };
	int dev = check(open("/dev/liveupdate", O_RDWR | O_CLOEXEC), "/dev/liveupdate");

	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	check(ioctl(dev, request, &arg), name);
	close(dev);	/* only one process at a time can have it open */
	return arg.fd;
}

static int session_file(int session, unsigned long request, int token, int fd, const char *what)
{
	struct liveupdate_session_preserve_fd arg = { sizeof(arg), fd, token };

	check(ioctl(session, request, &arg), what);
	return arg.fd;
}

/* Sends a QMP command and returns its answer; events before the answer are dropped. */
static char *ask(const char *fmt, ...)
{
	static char *line;
	static size_t size;
	va_list args;

	va_start(args, fmt);
	check(vdprintf(fileno(qmp), fmt, args), "QMP");
	va_end(args);
	do {
		check(getline(&line, &size, qmp), "the VMM has ended");
		errno = EREMOTEIO;
		check(strstr(line, "\"error\"") || strstr(line, "\"failed\"") ? -1 : 0, line);
	} while (!strstr(line, "\"return\""));
	return line;
}

static void wait_until(const char *query, const char *status)
{
	while (!strstr(ask("{'execute':'%s'}", query), status))
		usleep(5000);
}

static void start(char **vmm, int ram)
{
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	if (!check(fork(), "fork")) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		dup2(ram, VMM_RAM);
		dup2(pair[1], VMM_QMP);
		check(execvp(vmm[0], vmm), vmm[0]);
	}
	close(pair[1]);
	qmp = fdopen(pair[0], "r");
	ask("{'execute':'qmp_capabilities'}");
	/* Memory that the VMM shares with a file is not part of the state. */
	ask("{'execute':'migrate-set-capabilities','arguments':{'capabilities':[{'capability':'x-ignore-shared','state':true}]}}");
	puts("VMM started");
}

static void save(int session, char **vmm)
{
	int ram = check(memfd_create("vm-ram", MFD_CLOEXEC), "memfd of RAM");
	int state = check(memfd_create("vm-state", MFD_CLOEXEC), "memfd of state");

	start(vmm, ram);
	getchar();
	session_file(session, LIVEUPDATE_SESSION_PRESERVE_FD, RAM_TOKEN, ram, "preserve RAM");
	puts("RAM preserved, VM runs");
	getchar();
	ask("{'execute':'stop'}");
	puts("VM paused");
	ask("{'execute':'migrate','arguments':{'uri':'exec:cat >/proc/%d/fd/%d'}}",
	    getpid(), state);
	wait_until("query-migrate", "\"completed\"");
	wait_until("query-status", "\"postmigrate\"");	/* cat has ended, too */
	ask("{'execute':'quit'}");
	wait(NULL);
	session_file(session, LIVEUPDATE_SESSION_PRESERVE_FD, STATE_TOKEN, state, "preserve state");
	printf("state saved and preserved, %ld bytes\n", (long)lseek(state, 0, SEEK_END));
	check(daemon(1, 0), "daemon");
	pause();	/* a session lasts as long as a process holds it */
}

static void resume(int session, char **vmm)
{
	struct liveupdate_session_finish arg = { .size = sizeof(arg) };
	int ram = session_file(session, LIVEUPDATE_SESSION_RETRIEVE_FD, RAM_TOKEN, -1, "RAM");
	int state = session_file(session, LIVEUPDATE_SESSION_RETRIEVE_FD, STATE_TOKEN, -1, "state");

	puts("RAM and state retrieved");
	start(vmm, ram);
	ask("{'execute':'migrate-incoming','arguments':{'uri':'exec:cat </proc/%d/fd/%d'}}",
	    getpid(), state);
	wait_until("query-migrate", "\"completed\"");
	/* Up to here, another agent could retrieve the session and try again. */
	check(ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg), "finish the session");
	ask("{'execute':'cont'}");
	puts("VM resumed");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 3 && !strcmp(argv[1], "save"))
		save(session_open(LIVEUPDATE_IOCTL_CREATE_SESSION, argv[2]), argv + 3);
	else if (argc > 3 && !strcmp(argv[1], "resume"))
		resume(session_open(LIVEUPDATE_IOCTL_RETRIEVE_SESSION, argv[2]), argv + 3);
	else
		check(-1, "want save|resume SESSION VMM...");
	return EXIT_SUCCESS;
}
