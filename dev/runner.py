# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases: each is one guest that goes through a row of kernels."""
import concurrent.futures
import os
import shutil

from dev import base as bases
from dev import compat, guest, hostile, khoctl, selftest, systemd, vm
from dev.host import Result, Stop, no_such, spell
from dev.kernel import ARCH, build, like, split, unlike, words
from dev.selftest import OTHER_PAGES, OURS

LIVE_UPDATE = "live-update"     # is a verb
GROUPS = ("luo", "compat", "hostile")
# What is run for arm64 when nothing else is asked for: the other way into the second kernel, and
# something of each kind.
SHORT = ("one-memfd", "sparse", "huge-folios", "three-hops", "test-kho", "iomem", "reserve-mem-odd-size",
         "debugfs-off", "stale-handover", "luo-holder-dies", "compat-vmalloc-v2")


def seed():
    """What random cases start from."""
    text = os.environ.get("KHO_SEED", "1")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        raise Stop(f"KHO_SEED={text} is not a whole number below 2^32")
    return text


def cases(run=None, series=None):
    """All cases, those with more in the guest prepared for it."""
    listed = selftest.cases(run, series)
    return listed and [khoctl.prepared(case) if "khoctl" in case.name.split("-") else
                       vm.prepared(case) if case.name.split("-")[0] == "vm" else
                       systemd.prepared(case) if case.name.split("-")[0] == "systemd" else case
                       for case in listed if case.name != LIVE_UPDATE]


def listing():
    """The cases, for --help."""
    listed = cases()
    if listed is None:
        return "cases: listed here once a kernel has been built\n"
    lines = [f"  {c.name:28} {c.sentence}{'' if c.default else '  Only by name.'}"
             f"{'' if ARCH in c.arches else '  Only with -a ' + c.arches[0] + '.'}"
             f"{'  Only with --base ' + c.base + '.' if c.base else ''}\n" for c in listed]
    return f"cases, and {', '.join(GROUPS)} for all whose names begin so:\n" + "".join(lines)


def choose(run, names, arch, flavour):
    """The cases of these names, those of the default run without names; Stop at one that is not there."""
    seed()
    series = split(flavour)[1]      # None where it goes without saying: that tree is laid anyway
    base = bases.find(run, series).series
    every = cases(run, series)
    known = {case.name: case for case in every if arch in case.arches and case.base in ("", base)}
    found = {case.name: case for case in known.values() if case.default and not names}
    elsewhere = {case.name: case for case in every if case.name not in known}
    for name in names:
        if name in elsewhere:
            case = elsewhere[name]
            option = "-a " + " or ".join(case.arches) if arch not in case.arches else f"--base {case.base}"
            raise Stop(f"case '{name}' is not for this kernel: choose it with {option}")
        group = [c for c in known.values() if c.default and c.name.startswith(f"{name}-")] if name in GROUPS else []
        if not group and name not in known:
            raise no_such("case", name, [*known, *GROUPS], "kexec")
        found.update({case.name: case for case in group or [known[name]]})
    return list(found.values())


def at(row, hop):
    """What a row that ends early says about a kernel."""
    return row[min(hop, len(row) - 1)]


def place(run, kernel, case):
    """The folder of a case; one run may have it for several kernels."""
    return run.path(f"{kernel.arch}-{kernel.flavour}") / case.name


def run_case(run, kernels, initrd, accel, case, hear=None):
    """One guest through all kernels of a case; hear() is told of every line as it comes."""
    where = place(run, kernels[OURS], case)
    share = where / "share"
    row = [kernels[at(case.kernels, hop)] for hop in range(case.hops)]
    guest.share_kernels(share, initrd, *row)
    skipped = case.bring and case.bring(run, row[0], share)
    if skipped:
        shutil.rmtree(where)
        return Result(case.name, True, skipped=skipped)
    weights = [guest.weight(kernel.flavour) for kernel in row]
    memory = max(case.memory + max(weight.memory for weight in weights),
                 case.nodes * max(weight.least for weight in weights))
    memory += case.pages * max(weight.page for weight in weights) >> 10
    nodes = (guest.nodes(f"{memory // case.nodes}M", map(str, range(case.nodes)))
             if case.nodes > 1 or case.plug else [])
    if case.plug:
        nodes += guest.plugged(case.plug, case.nodes)
    scratch = guest.scratch(weights, memory)
    append = [guest.command_line(kernel, case.name, hop, f"kho_seed={seed()}", scratch, at(case.append, hop))
              for hop, kernel in enumerate(row)]
    guest.share_lines(share, row, append)
    argv = guest.command(row[0], accel, share, append[0], memory, [*case.extra, *nodes])
    slower = guest.SLOWER[accel] * max(weight.slower for weight in weights)
    outcome = guest.boot(argv, where, case.deadline * slower, case.allowed, hear)
    why = (case.judge or guest.problem)(outcome, len(row), case.allowed)
    if why:
        why += f"; logs: {where}"
    else:
        shutil.rmtree(share)
    return Result(case.name, not why, why, outcome.seconds)


def alone(run, kernel, case, hear, verb, good, summary=lambda: None):
    """Run one case for people, who are told by hear(), and by summary() at the end; the exit status."""
    guest.splat_patterns()
    initrd = guest.initramfs(run, kernel)
    accel = guest.accelerator(kernel, initrd)
    run.say(f"live update of Linux {kernel.release} under {accel}; log: {place(run, kernel, case)}")
    result = run_case(run, {OURS: kernel}, initrd, accel, case, hear)
    if result.skipped:
        raise Stop(f"it cannot be run: {result.skipped}")
    summary()
    repeat = f"repeat: ./kho {verb}{words(kernel.arch, kernel.flavour)}"
    run.say(f"{'FAILED: ' + result.why if result.why else f'{good} ({result.seconds:.1f} s)'}\n{repeat}")
    return 1 if result.why else 0


def jobs():
    return max(1, min(4, os.cpu_count() or 1))


def run_cases(run, kernel, names):
    """Run the named cases, all without names; KTAP on stdout as they end, in order."""
    chosen = choose(run, names, kernel.arch, kernel.flavour)
    others = {flavour for case in chosen for flavour in case.kernels} - {OURS}
    kernels = {OURS: kernel}
    for name in sorted(others):
        flavour = unlike(kernel) if name == OTHER_PAGES else like(kernel, name)
        kernels[name] = build(run, kernel.arch, flavour)
    guest.splat_patterns()
    initrd = guest.initramfs(run, kernel)
    accel = guest.accelerator(kernel, initrd)
    run.say(f"# {len(chosen)} cases under {accel}, {jobs()} at a time, kernel {kernel.release}, "
            f"seed {seed()}")
    run.say(f"KTAP version 1\n1..{len(chosen)}")
    results = []
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        running = [pool.submit(run_case, run, kernels, initrd, accel, case) for case in chosen]
        try:
            for number, job in enumerate(running, 1):
                result = job.result()
                results.append(result)
                if not result.ok:
                    run.say(f"# {result.why}")
                verdict = "ok" if result.ok else "not ok"
                more = f"# SKIP {result.skipped}" if result.skipped else f"({spell(result.seconds)})"
                run.say(f"{verdict} {number} - {result.name} {more}")
        except BaseException:
            for job in running:
                job.cancel()
            guest.stop_all()
            raise
    if "compat" in names:
        run.say(compat.table(chosen, results))
    if "hostile" in names:
        run.say(hostile.table(chosen, lambda case: place(run, kernel, case), results))
    return results
