/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps that cases consist of.  Each is a test point of its hop; one that
 * fails says where it stands in the case, and ends the hop without a kexec.
 *
 *	fails(ENOENT, session_get("main"));
 *
 * passes when the step ends in that very error.
 */

#ifndef SELFTESTS_KHO_STEPS_H
#define SELFTESTS_KHO_STEPS_H

#include "handover.h"
#include "kho_test.h"

#define KIB		(1ull << 10)
#define MIB		(1ull << 20)
#define GIB		(1ull << 30)

/* The line of the case is that of its own call, not of one in a helper. */
#define STEP(call)	(step_at(__FILE__, __LINE__), (call))
#define fails(error, call)	(step_expect(error), call)

/* A command of the shell.  What it prints is on the console. */
#define run(...)		STEP(step_run(__VA_ARGS__))
#define close_fd(name)		STEP(step_close(name))
#define logs(text)		STEP(step_logs(text))
#define logged(text, number)	STEP(step_logged(text, number))
#define log_clear()		STEP(step_log_clear())

/* The next kernel: by kexec_file_load(), by kexec_load(), and for a crash. */
#define load()			STEP(step_load("-s -l"))
#define load_plain()		STEP(step_load("-c -l"))
#define load_crash()		STEP(step_load("-s -p"))
#define load_crash_plain()	STEP(step_load("-c -p"))
#define load_refused()		STEP(step_load_refused())
/* The way to it, if it is not "kexec -e". */
#define leave_by_crash()	step_leave_by("echo c >/proc/sysrq-trigger")
#define leave_by_systemd()	step_leave_by("systemctl kexec && sleep 60")

/* Sessions have names, and so have all open files. */
#define session_new(name)	STEP(step_session_new(name))
#define session_get(name)	STEP(step_session_get(name))
#define preserve(session, token, name)	STEP(step_preserve(session, token, name))
#define retrieve(session, token, name)	STEP(step_retrieve(session, token, name))
#define finish(session)		STEP(step_finish(session, false))
#define finish_force(session)	STEP(step_finish(session, true))

#define memfd(...)		STEP(step_memfd(&(struct memfd){ __VA_ARGS__ }))
#define make(file)		STEP(step_memfd(file))
#define check(file)		STEP(step_check(file))
#define enforce(name)		STEP(step_enforce(name))

/* Sessions with the files of an array under the tokens from 1 on. */
#define keep(session, files)	STEP(step_keep(session, files, ARRAY_SIZE(files)))
#define keep_one(session, file)	STEP(step_keep(session, file, 1))
#define keep_none(session)	STEP(step_keep(session, NULL, 0))
#define claim(session, files)	STEP(step_claim(session, files, ARRAY_SIZE(files), true))
#define claim_one(session, file)	STEP(step_claim(session, file, 1, true))
#define claim_none(session)	STEP(step_claim(session, NULL, 0, true))
#define claim_open(session, files)	STEP(step_claim(session, files, ARRAY_SIZE(files), false))
#define look(files)		STEP(step_look(files, ARRAY_SIZE(files)))

#define region_fill(name, seed)		STEP(step_region_fill(name, seed))
#define region_check(name, seed)	STEP(step_region_check(name, seed))
#define region_release(name)		STEP(step_region_release(name))
#define region_reused()			STEP(step_region_reused())

/* Most of the free memory is written and compared. */
#define churn()			STEP(step_churn(2, 75))
#define churn_once()		STEP(step_churn(1, 75))
#define total_keep()		STEP(step_total_keep())
#define total_check(slack)	STEP(step_total_check(slack))
#define cma_check()		STEP(step_cma_check())

#define HUGE_FOLIOS(when) \
	run("echo " when " > /sys/kernel/mm/transparent_hugepage/shmem_enabled")

#endif
