# SPDX-License-Identifier: GPL-2.0
"""The two-kernel cases: what each hands over, what must be found after the kexec.

A case is a list of scripts, one a kernel; the actions are those of
tools/testing/selftests/kho/handover.c.  Loading the next kernel and going to it
is added here, at the end of every script but the last.
"""
import concurrent.futures
import difflib
import os
import shutil
from dataclasses import dataclass

from dev import guest
from dev.host import Result, Stop, spell

PAGE = 4096
HUGE = "run echo {} > /sys/kernel/mm/transparent_hugepage/shmem_enabled"


@dataclass(frozen=True)
class Case:
    name: str
    sentence: str
    scripts: list
    append: tuple = ()      # additions to the command line, one a kernel; the last one stays
    memory: int = 1024      # MiB
    deadline: int = 20      # seconds with KVM
    load_first: bool = False
    allowed: tuple = ()     # lines of the console that this case brings about
    extra: tuple = ()       # words for QEMU

    def append_of(self, hop):
        return self.append[min(hop, len(self.append) - 1)] if self.append else ""


# ---- pieces of scripts

def keep(session, files):
    """Make memfds of {name: options} and preserve them under tokens 1, 2, …"""
    lines = [f"session-new {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"memfd {name} {options}", f"preserve {session} {token} {name}"]
    return lines


def claim(session, files, finish=True):
    """Get the session and the memfds back, and look at each."""
    lines = [f"session-get {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"retrieve {session} {token} {name}", f"check {name} {options}"]
    return lines + ([f"finish {session}", f"close {session}"] if finish else [])


def look(files):
    return [f"check {name} {options}" for name, options in files.items()]


def plain_case(name, sentence, files, more=(), prepare=(), **settings):
    """Hand over {name: options}; the same options must hold in the next kernel."""
    seen = {n: without(o, "flags=", "map") for n, o in files.items()}
    return Case(name, sentence, [[*prepare, *keep("main", files)],
                                 [*claim("main", seen), *more]], **settings)


def without(options, *starts):
    return " ".join(o for o in options.split() if not o.startswith(starts))


# ---- the cases

def one_memfd():
    file = {"a": "size=4M seed=11"}
    return plain_case("one-memfd", "One memfd of 4 MiB comes back whole and outlives its session.",
                      file, ["churn", *look(file)])


def many():
    """More sessions than an entry block of LUO has room for, and more files in one of them."""
    first, then = [], []
    for s in range(60):
        files = {f"f{s}.{n}": f"size={PAGE * (1 + (s + n) % 5)} seed={100 * s + n}" for n in range(2)}
        first += keep(f"s{s}", files)
        then += claim(f"s{s}", files)
    files = {f"big.{n}": f"size={1000 * n + 1} seed={n}" for n in range(140)}
    return Case("many-memfds-sessions", "60 sessions of two memfds and one of 140; kernel loaded first.",
                [first + keep("big", files), claim("big", files) + then],
                load_first=True, deadline=40)


def order():
    files = {f"f{n}": f"size={PAGE * (n + 1)} seed={n}" for n in range(8)}
    tokens = {name: 0xffffffffffffffff - 0x1234567890 * n for n, name in enumerate(files)}
    first, then = ["session-new x", "session-new y"], ["session-get y", "session-get x"]
    for name, options in files.items():
        first += [f"memfd {name} {options}", f"preserve x {tokens[name]} {name}"]
    first += ["memfd other size=1M seed=5", "preserve y 0 other"]
    for name in reversed(files):
        then += [f"retrieve x {tokens[name]} {name}", f"check {name} {files[name]}"]
    then += ["fails ENOENT retrieve x 7 none", "retrieve y 0 other", "finish x",
             "check other size=1M seed=5", "finish y"]
    return Case("out-of-order", "Files and sessions are retrieved in another order than preserved.",
                [first, then])


def position():
    files = {f"at{pos}": f"size=64K seed={pos + 1} pos={pos}" for pos in (0, 1, 4096, 65535, 65536, 1 << 33)}
    return plain_case("position", "File positions, in and beyond the file, come back.", files)


def odd_size():
    sizes = (1, 7, 4095, 4097, 12345, 65535, (1 << 20) + 1, (2 << 20) - 1)
    return plain_case("odd-size", "Sizes that are no multiple of a page come back to the byte.",
                      {f"s{size}": f"size={size} seed={size}" for size in sizes})


SEALS = ("seal", "shrink", "grow", "write", "future-write", "exec")
ADDED = {"shrink", "grow", "write", "future-write"}     # by F_SEAL_EXEC on an executable file


def seals():
    """Every set of seals on an executable memfd, every set with exec on one that is not."""
    first, then = ["session-new main"], ["session-get main"]
    for number in range(96):
        noexec = number >= 64
        chosen = {seal for bit, seal in enumerate(SEALS) if number >> bit & 1}
        final = chosen | ({"exec"} if noexec else ADDED if "exec" in chosen else set())
        text = ",".join(s for s in SEALS if s in chosen) or "none"
        end = ",".join(s for s in SEALS if s in final) or "none"
        name = f"{'noexec' if noexec else 'exec'}{number % 64}"
        content = f"size=5000 seed={number + 1}"
        first += [f"memfd {name} {content} map flags={'noexec' if noexec else 'sealing'} seals={text}",
                  f"check {name} {content} seals={end}", f"preserve main {number} {name}"]
        then += [f"retrieve main {number} {name}", f"check {name} {content} seals={end}",
                 f"enforce {name}", f"check {name} {content}"]
    return Case("seals", "Every set of seals comes back, forbids what it must and nothing more.",
                [first, then + ["finish main"]], deadline=40)


def mode():
    files = {"noexec": "size=64K seed=1 flags=noexec mode=0666 seals=exec",
             "exec": "size=64K seed=2 flags=exec,sealing mode=0777 seals=none",
             "plain": "size=64K seed=3 mode=0777 seals=seal"}
    made = {name: without(options, "mode=", "seals=") for name, options in files.items()}
    seen = {name: without(options, "flags=") for name, options in files.items()}
    use = [f"enforce {name}" for name in files]
    return Case("mode", "A memfd made without exec stays so, and can still be mapped and written.",
                [keep("main", made) + look(seen), claim("main", seen) + use])


def empty():
    return plain_case("empty-memfd", "Memfds of no bytes, and of one hole, come back.",
                      {"none": "size=0", "hole": "size=1M", "last": "size=4096 seed=3"})


def sparse():
    return plain_case("sparse", "The holes of a memfd read as zeroes, its pages as they were.",
                      {"a": "size=8M seed=4 step=64K", "b": "size=3000000 seed=5 step=12K"})


def three_hops():
    """One file goes all the way, one is given up after each hop, a new one starts."""
    scripts = []
    for hop in range(4):
        script = []
        if hop:
            script += claim("main", {"far": "size=3M seed=70", "near": f"size=1M seed={70 + hop}"})
            script += ["close near"]
        if hop < 3:
            script += ["session-new main"] + ([] if hop else ["memfd far size=3M seed=70"])
            script += ["preserve main 1 far", f"memfd near size=1M seed={71 + hop}", "preserve main 2 near"]
        scripts.append(script)
    return Case("three-hops", "A memfd is carried through three kexecs in a row.", scripts, deadline=40)


def test_kho():
    done = ["run dmesg | grep 'KHO restore succeeded'"]
    return Case("test-kho", "lib/test_kho.c finds the pages its first half kept.",
                [["run true"], done])


def reserve_mem():
    region = "reserve_mem=4M:4096:khotest"
    there = ["run dmesg | grep \"Revived memory reservation 'khotest'\"", "region-check khotest 77"]
    return Case("reserve-mem", "A reserve_mem= region keeps its place and its bytes through two kexecs.",
                [["region-fill khotest 77", "region-check khotest 77"],
                 [*there, "churn", "region-check khotest 77"], there], append=(region,), deadline=30)


def kho_off():
    return Case("kho-off", "A second kernel with kho=off boots and hands nothing on; the third starts anew.",
                [keep("main", {"a": "size=16M seed=8"}),
                 ["run test ! -e /dev/liveupdate", "churn"],
                 ["fails ENOENT session-get main", *keep("main", {"b": "size=1M seed=9"}), "churn"]],
                append=("", "kho=off", ""), deadline=40)


def debugfs_off():
    file = {"a": "size=32M seed=10"}
    return plain_case("debugfs-off", "A second kernel with debugfs=off keeps the memfd and its own memory.",
                      file, ["run test ! -e /sys/kernel/debug/kho", "churn", *look(file)],
                      append=("", "debugfs=off"), deadline=30)


def never_retrieved():
    new = {"b": "size=2M seed=13"}
    return Case("session-never-retrieved", "A session nobody asks for harms neither kernel after it.",
                [keep("lost", {"a": "size=32M seed=12"}), ["churn", *keep("new", new), "churn"],
                 ["fails ENOENT session-get lost", *claim("new", new), "churn"]], deadline=40)


def unpreserve():
    file = {"a": "size=64M seed=14", "b": "size=100000 seed=15"}
    return Case("preserve-unpreserve", "What was unpreserved is neither found nor missing after the kexec.",
                [["total-keep", *keep("main", file), "close main", *look(file)],
                 ["fails ENOENT session-get main", "total-check slack=16M", "churn"]], deadline=30)


def huge_folios():
    return plain_case("huge-folios", "A memfd of huge folios comes back, its small tail too.",
                      {"a": "size=33M seed=16", "b": "size=2000001 seed=17 map"},
                      prepare=[HUGE.format("always")], deadline=30)


def large():
    file = {"a": "size=640M seed=18"}
    return plain_case("large", "A memfd of 640 MiB needs more than one page of its list of pages.",
                      file, memory=2048, deadline=60)


def two_nodes():
    nodes = []
    for n in range(2):
        nodes += ["-object", f"memory-backend-ram,id=node{n},size=512M",
                  "-numa", f"node,memdev=node{n},cpus={n}"]
    file = {"a": "size=300M seed=19"}
    return plain_case("two-nodes", "A memfd that spreads over both nodes of a NUMA machine comes back.",
                      file, extra=tuple(nodes), deadline=30)


def above_4g():
    file = {"a": "size=40M seed=20", "b": "size=12345 seed=21"}
    return plain_case("above-4g", "Memory above 4 GiB is handed over, with free memory around it.",
                      file, look(file), memory=6144)


CASES = [make() for make in (
    one_memfd, many, order, position, odd_size, seals, mode, empty, sparse, huge_folios, large, two_nodes,
    above_4g, three_hops, test_kho, reserve_mem, kho_off, debugfs_off, never_retrieved, unpreserve)]


# ---- running them

def choose(names):
    """The cases of these names, all without names; Stop at one that is not there."""
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0)
            raise Stop(f"no case '{name}'; nearest: {near[0]}.  './kho kexec --help' lists them")
    return [known[name] for name in names] if names else list(CASES)


def script(case, hop, kernel):
    """The text of one script, with the way to the next kernel."""
    lines = case.scripts[hop]
    if hop + 1 == len(case.scripts):
        return "\n".join(lines) + "\n"
    append = guest.command_line(kernel, case.name, hop + 1, case.append_of(hop + 1))
    load = guest.load_line(append)
    both = [load, *lines] if case.load_first else [*lines, load]
    return "\n".join([*both, "kexec"]) + "\n"


def run_case(run, kernel, initrd, accel, case):
    """One guest through all kernels of a case."""
    where = run.path(case.name)
    share = where / "share"
    guest.share_kernel(share, kernel, initrd)
    for hop in range(len(case.scripts)):
        (share / f"hop{hop}").write_text(script(case, hop, kernel))
    words = guest.command(kernel, accel, share,
                          guest.command_line(kernel, case.name, 0, case.append_of(0)),
                          case.memory, case.extra)
    outcome = guest.boot(words, where, case.deadline * guest.SLOWER[accel])
    why = guest.problem(outcome, len(case.scripts), case.allowed)
    if why:
        why += f"; logs: {where}"
    else:
        shutil.rmtree(share)
    return Result(case.name, not why, why, outcome.seconds)


def jobs():
    return max(1, min(4, os.cpu_count() or 1))


def run_cases(run, kernel, names):
    """Run the named cases, all without names; KTAP on stdout as they end, in order."""
    chosen = choose(names)
    guest.splat_patterns()
    initrd = guest.initramfs(run, kernel)
    accel = guest.accelerator(kernel, initrd)
    run.say(f"# {len(chosen)} cases under {accel}, {jobs()} at a time, kernel {kernel.release}")
    run.say(f"KTAP version 1\n1..{len(chosen)}")
    results = []
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        running = [pool.submit(run_case, run, kernel, initrd, accel, case) for case in chosen]
        try:
            for number, job in enumerate(running, 1):
                result = job.result()
                results.append(result)
                if not result.ok:
                    run.say(f"# {result.why}")
                verdict = "ok" if result.ok else "not ok"
                run.say(f"{verdict} {number} - {result.name} ({spell(result.seconds)})")
        except BaseException:
            for job in running:
                job.cancel()
            guest.stop_all()
            raise
    return results
