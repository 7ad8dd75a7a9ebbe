# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases: each is one guest, which executes several kernels one after the other."""
import functools
import os

import kho_case
import kho_tables
from kho_case import OURS

from dev import base as bases
from dev import guest
from dev.host import Stop, no_such
from dev.kernel import ARCH, build, like, split, unlike

LIVE_UPDATE = "live-update"     # a case that only the verb live-update runs
OTHER_PAGES = "other-pages"     # the kernel under test, but with another page size
GROUPS = ("luo", "compat", "hostile")
# The cases that './kho test' without -a runs on arm64: some of each kind, because arm64 boots the
# second kernel in another way than x86_64.
SHORT = ("one-memfd", "sparse", "huge-folios", "three-hops", "test-kho", "iomem",
         "reserve-mem-odd-size", "debugfs-off", "stale-handover", "luo-holder-dies",
         "compat-vmalloc-v2")
JOBS = min(4, os.cpu_count())   # guests at a time


def seed():
    """The seed of random cases."""
    text = os.environ.get("KHO_SEED", "1")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        raise Stop(f"KHO_SEED={text} is not a whole number below 2^32")
    return text


def listing():
    """The cases, for --help."""
    found = guest.cases()
    if not found:
        return "cases: listed here once a kernel has been built\n"
    lines = [f"cases; {', '.join(GROUPS)} stand for all cases whose names begin with that word:\n"]
    for case in found.values():
        limits = {"Only by name.": case.by_name,
                  f"Only with -a {case.arch}.": case.arch not in ("", ARCH),
                  f"Only with --base {case.base}.": case.base}
        shown = "  ".join([case.sentence, *(text for text, true in limits.items() if true)])
        if case.name != LIVE_UPDATE:
            lines.append(f"  {case.name:28} {shown}\n")
    return "".join(lines)


def choose(run, names, arch, flavour):
    """The cases of these names, or those that run by default; Stop at an unknown name."""
    seed()
    series = split(flavour)[1]      # None for the default base
    base = bases.find(run, series).series
    every = guest.cases(run, series)
    del every[LIVE_UPDATE]
    known = {name: case for name, case in every.items()
             if case.arch in ("", arch) and case.base in ("", base)}
    usual = [case for case in known.values() if not case.by_name]
    found = [] if names else usual
    for name in names:
        group = [case for case in usual if name in GROUPS and case.name.startswith(f"{name}-")]
        if name in every and name not in known:
            case = every[name]
            option = f"-a {case.arch}" if case.arch not in ("", arch) else f"--base {case.base}"
            raise Stop(f"case '{name}' is not for this kernel: choose it with {option}")
        if not group and name not in known:
            raise no_such("case", name, [*known, *GROUPS], "kexec")
        found = found + (group or [known[name]])
    return list({case.name: case for case in found}.values())


# ---- one case

def place(run, kernel, case):
    """The folder of a case; a run may use several kernels, each with its own folder."""
    return run.path(f"{kernel.arch}-{kernel.flavour}") / case.name


def run_case(run, kernels, setup, case, hear=None):
    """Run the guest of a case, with all its kernels; hear() is called for every line of output."""
    case = guest.fitted(case, kernels, f"kho_seed={seed()}")
    return kho_case.run(case, setup, place(run, kernels[OURS], case), hear)


# ---- many cases

def run_cases(run, kernel, names):
    """Run the named cases, or those that run by default; prints KTAP in the order of the cases."""
    chosen = choose(run, names, kernel.arch, kernel.flavour)
    kernels = {OURS: kernel}
    for name in sorted({name for case in chosen for name in case.needs()} - {OURS}):
        flavour = unlike(kernel) if name == OTHER_PAGES else like(kernel, name)
        kernels[name] = build(run, kernel.arch, flavour)
    setup = guest.prepare(run, kernels)
    run.say(f"# {len(chosen)} cases under {setup.accel}, {JOBS} at a time, "
            f"kernel {kernel.release}, seed {seed()}")
    one = functools.partial(run_case, run, kernels, setup)
    results = kho_case.run_all(chosen, one, JOBS, run.say)
    if "compat" in names:
        run.say(kho_tables.compat(chosen, results))
    if "hostile" in names:
        run.say(kho_tables.hostile(chosen, lambda case: place(run, kernel, case), results))
    return results
