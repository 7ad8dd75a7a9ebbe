/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps of cases.  Each is a test point of its hop; a step that fails
 * reports its line in the case, and ends the hop without a kexec.
 *
 *	fails(ENOENT, session_get("main"));
 *
 * passes if the step fails with that error.
 */

#ifndef SELFTESTS_KHO_STEPS_H
#define SELFTESTS_KHO_STEPS_H

#include "handover.h"
#include "kho_test.h"

#define KIB		(1ull << 10)
#define MIB		(1ull << 20)
#define GIB		(1ull << 30)

/* Records the line of this call, for the report of a failure. */
#define STEP(call)	(step_at(__FILE__, __LINE__), (call))
#define fails(error, call)	(step_expect(error), call)

/* A shell command, whose output goes to the console. */
#define run(...)		STEP(step_run(__VA_ARGS__))
#define close_fd(name)		STEP(step_close(name))
#define logs(text)		STEP(step_logs(text))
#define logged(text, number)	STEP(step_logged(text, number))
#define log_clear()		STEP(step_log_clear())

/* Load the next kernel by kexec_file_load() or kexec_load(), or a crash kernel. */
#define load()			STEP(step_load("kexec -s -l"))
#define load_plain()		STEP(step_load("kexec -c -l"))
#define load_crash()		STEP(step_load("kexec -s -p"))
#define load_crash_plain()	STEP(step_load("kexec -c -p"))
#define load_in_time(seconds)	STEP(step_load_in_time(seconds))
#define load_refused()		STEP(step_load_refused())
/*
 * Load the next kernel by another program, which gets the arguments that follow
 * "kexec -s -l" otherwise.
 */
#define load_by(program)	STEP(step_load(program))
/* The command that executes the next kernel, instead of "kexec -e". */
#define leave_by_crash()	step_leave_by("echo c >/proc/sysrq-trigger")
#define leave_by_systemd()	step_leave_by("systemctl kexec && sleep 60")

/* Cases refer to sessions and open files by name. */
#define session_new(name)	STEP(step_session_new(name))
#define session_get(name)	STEP(step_session_get(name))
#define preserve(session, token, name)	STEP(step_preserve(session, token, name))
#define retrieve(session, token, name)	STEP(step_retrieve(session, token, name))
#define finish(session)		STEP(step_finish(session, false))
#define finish_force(session)	STEP(step_finish(session, true))

/*
 * Retrieve a file in a process of a memory cgroup.  The file stays in its
 * session.
 */
#define retrieve_in_group(...)	STEP(step_retrieve_in_group(__VA_ARGS__))
/* Holders of a session that end after each step, or while they retrieve a file. */
#define holder_sweep(session, files)	STEP(step_holder_sweep(session, files))
#define holder_killed_in(session, token)	STEP(step_holder_killed_in(session, token))

#define memfd(...)		STEP(step_memfd(&(struct memfd){ __VA_ARGS__ }))
#define make(...)		STEP(step_memfd(__VA_ARGS__))
#define check(...)		STEP(step_check(__VA_ARGS__))
#define enforce(name)		STEP(step_enforce(name))
/* All properties but the contents; and the digest of the contents. */
#define check_properties(...)	STEP(step_check_properties(__VA_ARGS__))
#define sha256(name)		STEP(step_sha256(name))
#define make_of_file(...)	STEP(step_make_of_file(__VA_ARGS__))

/* An array of one file. */
#define ONE(...)		((const struct memfd[]){ { __VA_ARGS__ } })
/* Sessions with the files of an array under the tokens from 1 on. */
#define keep(session, files)	STEP(step_keep(session, files, ARRAY_SIZE(files)))
#define claim(session, files)	STEP(step_claim(session, files, ARRAY_SIZE(files), true))
#define claim_none(session)	STEP(step_claim(session, NULL, 0, true))
#define claim_open(session, files)	STEP(step_claim(session, files, ARRAY_SIZE(files), false))
#define look(files)		STEP(step_look(files, ARRAY_SIZE(files)))
/* Keep the files in the first kernel, and claim them in the second. */
#define carry(hop, session, files) \
	STEP(step_carry(hop, session, files, ARRAY_SIZE(files)))
#define carry_one(hop, session, file)	STEP(step_carry(hop, session, file, 1))
#define carry_none(hop, session)	STEP(step_carry(hop, session, NULL, 0))

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
/* Print the versions that the previous kernel ("in") or this one ("out") offers. */
#define formats(direction)	STEP(step_formats(direction))

/* Fragment memory with pages that cannot be migrated, and free these pages. */
#define memory_fragment(left)	STEP(step_memory_fragment(left))
#define memory_mend()		STEP(step_memory_mend())
#define segments_zeroed()	STEP(step_segments_zeroed())
/*
 * Preserve @count files of one page each, whose page frames are multiples of
 * @every.
 */
#define borders(...)		STEP(step_borders(__VA_ARGS__))

/* Call each ioctl in each state, and with arguments that cannot be written. */
#define table_new()		STEP(step_table_new())
#define table_incoming(session, token)	STEP(step_table_incoming(session, token))
#define unwritable_new(session)	STEP(step_unwritable_new(session))
#define unwritable_get(session)	STEP(step_unwritable_get(session))
#define unwritable_name(session)	STEP(step_unwritable_name(session))
#define unwritable_retrieve(...)	STEP(step_unwritable_retrieve(__VA_ARGS__))

/*
 * Damage records of the previous kernel, and offer data of this kernel in other
 * versions.
 */
#define damage_file(...)	STEP(step_damage("file", __VA_ARGS__))
#define damage_flbs()		STEP(step_damage_flbs())
#define offer_root(offer)	STEP(step_offer_root(offer, 0))
#define offer_root_of(offer, length)	STEP(step_offer_root(offer, length))
#define offer_luo(offer)	STEP(step_offer_luo(offer))
#define offer_flbs(name, ...) \
	STEP(step_offer_flbs(name, (const char *const[]){ __VA_ARGS__, NULL }))

/* Every allocation of a call fails once. */
#define fail_create(session)	STEP(step_fail_create(session))
#define fail_get(session)	STEP(step_fail_get(session))
#define fail_preserve(session, name)	STEP(step_fail_preserve(session, name))
#define fail_keep(...)		STEP(step_fail_keep(__VA_ARGS__))
#define fail_claim(...)		STEP(step_fail_claim(__VA_ARGS__))

/* Preserve files while they are modified in other ways. */
#define storm(session, count, advice)	STEP(step_storm(session, count, advice))
#define storm_check(session, count)	STEP(step_storm_check(session, count))
#define pageout(name)		STEP(step_pageout(name))
#define blocks(name)		STEP(step_blocks(name))
#define tag(name)		STEP(step_tag(name))
#define stuck(session, name, way)	STEP(step_stuck(session, name, way))
#define at_work(session, diary, size)	STEP(step_at_work(session, diary, size))
#define diary_check(name)	STEP(step_diary_check(name))
#define reboot_kexec()		STEP(step_reboot_kexec())

#define parallel_keep(work)	STEP(step_parallel_keep(work))
#define parallel_claim(work)	STEP(step_parallel_claim(work))
#define stress_make(size, hop)	STEP(step_stress_make(size, hop))
#define stress_check(size, hop)	STEP(step_stress_check(size, hop))
#define many_keep(sessions, files)	STEP(step_many_keep(sessions, files))
#define many_claim(sessions, files)	STEP(step_many_claim(sessions, files))
#define empty_keep(sessions, files)	STEP(step_empty_keep(sessions, files))

/* Print the output of a command, or the page frames of a file. */
#define tell(command)		STEP(step_tell(command))
#define frames(path)		STEP(step_frames(path))

/* A service of systemd, and a client of memcached. */
#define listen_fds()		STEP(step_listen_fds())
#define store(name)		STEP(step_store(name))
#define make_socket(name)	STEP(step_make_socket(name))
#define session_name(session, len)	STEP(step_session_name(session, len))
#define items_set(nr)		STEP(step_items_set(nr))
#define items_check(nr)		STEP(step_items_check(nr))

/* cases_luo.c */
void flbs(const char *text, int number);

#define use_huge_folios(on) \
	run("echo %s > /sys/kernel/mm/transparent_hugepage/shmem_enabled", \
	    (on) ? "always" : "never")

#endif
