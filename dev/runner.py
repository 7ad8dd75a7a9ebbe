# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases: each is one guest, which executes several kernels one after the other."""
import concurrent.futures
import contextlib
import os
import shutil
from dataclasses import replace

from dev import base as bases
from dev import console, initramfs, khoctl, qemu, report, systemd, vm
from dev.cases import OTHER_PAGES, OURS, at
from dev.cases import cases as listed
from dev.host import Result, Skip, Stop, no_such, spell
from dev.kernel import ARCH, build, like, split, unlike, words

LIVE_UPDATE = "live-update"     # a case that only the verb live-update runs
GROUPS = ("luo", "compat", "hostile")
# The cases that './kho test' without -a runs on arm64: some of each kind, because arm64 boots the
# second kernel in another way than x86_64.
SHORT = ("one-memfd", "sparse", "huge-folios", "three-hops", "test-kho", "iomem",
         "reserve-mem-odd-size", "debugfs-off", "stale-handover", "luo-holder-dies",
         "compat-vmalloc-v2")
JOBS = min(4, os.cpu_count())   # guests at a time
# Modules that put further files into the share of a guest; the key is a word in the names of the
# cases that need these files.
MORE = {"khoctl": khoctl, "vm": vm, "systemd": systemd}


def seed():
    """The seed of random cases."""
    text = os.environ.get("KHO_SEED", "1")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        raise Stop(f"KHO_SEED={text} is not a whole number below 2^32")
    return text


def prepared(case):
    found = [module for word, module in MORE.items() if word in case.name.split("-")]
    return found[0].prepared(case) if found else case


def cases(run=None, series=None):
    """All cases but LIVE_UPDATE, prepared by the modules of MORE if they need further files."""
    found = listed(run, series)
    return found and [prepared(case) for case in found if case.name != LIVE_UPDATE]


def listing():
    """The cases, for --help."""
    found = cases()
    if found is None:
        return "cases: listed here once a kernel has been built\n"
    lines = [f"cases; {', '.join(GROUPS)} stand for all cases whose names begin with that word:\n"]
    for case in found:
        limits = {"Only by name.": case.by_name,
                  f"Only with -a {case.arch}.": case.arch not in ("", ARCH),
                  f"Only with --base {case.base}.": case.base}
        shown = "  ".join([case.sentence, *(text for text, true in limits.items() if true)])
        lines.append(f"  {case.name:28} {shown}\n")
    return "".join(lines)


def choose(run, names, arch, flavour):
    """The cases of these names, or those that run by default; Stop at an unknown name."""
    seed()
    series = split(flavour)[1]      # None for the default base
    base = bases.find(run, series).series
    every = {case.name: case for case in cases(run, series)}
    known = {name: case for name, case in every.items() if case.fits(arch, base)}
    usual = [case for case in known.values() if not case.by_name]
    found = [] if names else usual
    for name in names:
        group = [case for case in usual if name in GROUPS and case.name.startswith(f"{name}-")]
        if name in every and name not in known:
            case = every[name]
            option = f"--base {case.base}" if case.fits(arch, case.base) else f"-a {case.arch}"
            raise Stop(f"case '{name}' is not for this kernel: choose it with {option}")
        if not group and name not in known:
            raise no_such("case", name, [*known, *GROUPS], "kexec")
        found = found + (group or [known[name]])
    return list({case.name: case for case in found}.values())


# ---- one case

def place(run, kernel, case):
    """The folder of a case; a run may use several kernels, each with its own folder."""
    return run.path(f"{kernel.arch}-{kernel.flavour}") / case.name


def size(case, weight):
    """The memory of a guest in MiB, and the arguments of QEMU for its NUMA nodes."""
    memory = max(case.memory + weight.memory, case.nodes * weight.least)
    memory += case.pages * weight.page >> 10
    if case.nodes == 1 and not case.plug:
        return memory, []
    nodes = qemu.nodes(f"{memory // case.nodes}M", map(str, range(case.nodes)))
    return memory, nodes + (qemu.plugged(case.plug, case.nodes) if case.plug else [])


def run_case(run, kernels, initrd, accel, case, hear=None):
    """Run the guest of a case, with all its kernels; hear() is called for every line of output."""
    where = place(run, kernels[OURS], case)
    share = where / "share"
    row = [kernels[name] for name in case.row()]
    flavours = [kernel.flavour for kernel in row]
    weight = qemu.weight(*flavours)
    memory, nodes = size(case, weight)
    more = [f"kho_seed={seed()}", qemu.scratch(flavours, memory)]
    lines = [qemu.command_line(kernel, case.name, hop, *more, at(case.append or [""], hop))
             for hop, kernel in enumerate(row)]
    initramfs.fill_share(share, initrd, row, lines)
    try:
        if case.bring:
            case.bring(run, row[0], share)
    except Skip as e:
        shutil.rmtree(where)
        return Result(case.name, True, skipped=str(e))
    argv = qemu.command(row[0], accel, share, lines[0], memory, [*case.qemu, *nodes])
    deadline = case.deadline * qemu.SLOWER[accel] * weight.slower
    outcome = qemu.boot(argv, where, deadline, case.allowed, hear)
    why = (case.judge or console.problem)(outcome, len(row), case.allowed)
    if why:
        why += f"; logs: {where}"
    else:
        shutil.rmtree(share)
    return Result(case.name, not why, why, outcome.seconds)


def first_guest(run, kernel):
    """The initramfs of guests, and their accelerator."""
    initrd = initramfs.build(run, kernel)
    return initrd, qemu.accelerator(kernel, initrd)


def alone(run, kernel, story):
    """Run one case, whose progress is printed by a Story (dev/vm.py, dev/systemd.py).

    Returns the exit status.
    """
    initrd, accel = first_guest(run, kernel)
    case = next(case for case in cases(run) if case.name == story.name)
    case = replace(case, judge=story.judge)
    run.say(f"live update of Linux {kernel.release} under {accel}; log: {place(run, kernel, case)}")
    result = run_case(run, {OURS: kernel}, initrd, accel, case, story.hear)
    if result.skipped:
        raise Stop(f"the case cannot be run here: {result.skipped}")
    story.summary()
    run.say(f"FAILED: {result.why}" if result.why else f"{story.good} ({result.seconds:.1f} s)")
    run.say(f"repeat: ./kho live-update {story.options}{words(kernel.arch, kernel.flavour)}")
    return 0 if result.ok else 1


# ---- many cases

@contextlib.contextmanager
def at_once():
    """A pool for guests; an exception in the body ends all guests."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            qemu.stopping.set()
            raise


def run_cases(run, kernel, names):
    """Run the named cases, or those that run by default; prints KTAP in the order of the cases."""
    chosen = choose(run, names, kernel.arch, kernel.flavour)
    kernels = {OURS: kernel}
    for name in sorted({name for case in chosen for name in case.kernels} - {OURS}):
        flavour = unlike(kernel) if name == OTHER_PAGES else like(kernel, name)
        kernels[name] = build(run, kernel.arch, flavour)
    initrd, accel = first_guest(run, kernel)
    run.say(f"# {len(chosen)} cases under {accel}, {JOBS} at a time, kernel {kernel.release}, "
            f"seed {seed()}\nKTAP version 1\n1..{len(chosen)}")
    results = []
    with at_once() as pool:
        running = [pool.submit(run_case, run, kernels, initrd, accel, case) for case in chosen]
        for number, job in enumerate(running, 1):
            result = job.result()
            results.append(result)
            if not result.ok:
                run.say(f"# {result.why}")
            more = f"# SKIP {result.skipped}" if result.skipped else f"({spell(result.seconds)})"
            run.say(f"{'ok' if result.ok else 'not ok'} {number} - {result.name} {more}")
    if "compat" in names:
        run.say(report.compat(chosen, results))
    if "hostile" in names:
        run.say(report.hostile(chosen, lambda case: place(run, kernel, case), results))
    return results
