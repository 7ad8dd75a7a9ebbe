# SPDX-License-Identifier: GPL-2.0
"""The sources of Kexec Handover as user-space programs: unit tests and fuzzers.

The Makefile of tools/testing/kho builds them.  This module runs them, and counts the lines that
the tests reach.
"""
import json
import os
import re
from collections import Counter
from pathlib import Path

from dev import kernel, tools, tree
from dev.host import OUT, ROOT, Result, Stop, output
from dev.kunit import read_ktap

FOLDER = "tools/testing/kho"
BUILD = OUT / "build/unit"
KHOCTL = "tools/kho"
# the sources that the unit tests build
NOT_BUILT = {"kho_debugfs_blob.c"}      # the core is built without files in debugfs
SOURCES = ("kernel/liveupdate/luo_*.c", "mm/memfd_luo*.c", "kernel/liveupdate/kho_*.c",
           "mm/memblock_kho.c")
COVERED = 95            # percent of the lines of a source that must be reached
DEADLINE = 300
FUZZ_SECONDS = 20       # default for each fuzz target
LONGEST = {"image": 16384, "blob": 16384}   # longest input in bytes, if 512 are not enough
SMOKE_RUNS = 1500       # runs of a target in './kho test'
TARGET = re.compile(r"^FUZZ_TARGET\((\w+)\)$", re.M)
CRASH = re.compile(r"^.*(?:BUG at |runtime error: |ERROR: (?:Address|Leak)Sanitizer"
                   r"|ERROR: libFuzzer).*$", re.M)


# ---- building

def make(run, tree_dir, title, *words, build=BUILD, folder=FOLDER, **more):
    """Build with make in a folder of a tree, by default that of the unit tests."""
    where = tree_dir / folder
    argv = ["make", "-C", where, f"O={os.path.relpath(build, where)}", f"-j{os.cpu_count()}"]
    return run.step(title, [*argv, *words], env={"CCACHE_BASEDIR": str(tree_dir.parent)},
                    repeat="./kho " + run.verb, **more)


def build_khoctl(run, tree_dir, **more):
    """Build khoctl from a tree; returns the program."""
    tools.require(run, "khoctl")
    build = OUT / "build/khoctl"
    make(run, tree_dir, "building khoctl", *kernel.compiler(), build=build, folder=KHOCTL, **more)
    return build / "khoctl"


def sources(folder):
    """The sources that are tested, in a kernel tree or in this repository."""
    return [path for pattern in SOURCES for path in sorted(folder.glob(pattern))
            if path.name not in NOT_BUILT]


def programs():
    """{page shift: program with the unit tests}."""
    return {int(path.parent.name): path for path in BUILD.glob("*/kho_unit")}


# ---- running

def crash(log, why):
    """The message of a program that crashed, or else the reason of its failure."""
    found = CRASH.search(log.read_text(errors="replace"))
    return found[0].strip() if found else why


def run_tests(run, laid, argv, name):
    """[Result] of a program that prints KTAP."""
    log, why = run.attempt(f"unit tests: {name}", argv, log=f"unit-{name}.log",
                           deadline=2 * DEADLINE)
    # the parser does not accept a plan after the results
    text = re.sub(r"^ *1\.\.\d+\n", "", log.read_text(errors="replace"), flags=re.M)
    results = read_ktap(laid, text, name)
    if not results or why and all(r.ok for r in results):
        results.append(Result(name, False, crash(log, why or "nothing was run")))
    run.say(f"  {name}: {sum(r.ok for r in results)} of {len(results)} passed")
    return results


def khoctl(run, laid, *words):
    """[Result] of the tests of khoctl; with --kernel, they also read the notes of that program."""
    program = build_khoctl(run, laid.dir)
    test = laid.dir / KHOCTL / "test_khoctl.py"
    return run_tests(run, laid, ["python3", test, program, *words], "khoctl")


def unit(run):
    """Run the unit tests for every page size, and the tests of khoctl; returns [Result]."""
    tools.require(run, "khoctl")
    laid = tree.lay(run)
    make(run, laid.dir, "building the unit tests", *kernel.compiler())
    results = []
    for old in BUILD.glob("*/kernel/*.gcda"):
        old.unlink()
    for shift, program in sorted(programs().items()):
        size = 1 << shift
        name = f"{size >> 10}K" if size >= 1024 else f"{size}B"
        results += run_tests(run, laid, [program], name)
    results += khoctl(run, laid, "--kernel", programs()[12])
    return results + coverage(run, laid)


# ---- coverage

def counts():
    """{source: {line: number of executions}}, summed over all page sizes."""
    found = {}
    for program in programs().values():
        data = sorted((program.parent / "kernel").glob("*.gcda"))
        text = output(["gcov", "--json-format", "--stdout", *data], cwd=program.parent)
        for source in (file for one in text.splitlines() for file in json.loads(one)["files"]):
            path = Path(source["file"])
            if path.parent.name in ("liveupdate", "mm") and path.suffix == ".c":
                lines = found.setdefault(path.name, Counter())
                lines.update({row["line_number"]: row["count"] for row in source["lines"]})
    return found


def coverage(run, laid):
    """Print a line for each source; returns [Result]."""
    found = {name: lines for name, lines in counts().items() if not name.endswith("_test.c")}
    results = []
    for name in sorted({*found, *(path.name for path in sources(laid.dir))}):
        lines = found.get(name, {0: 0})
        percent = 100 * sum(map(bool, lines.values())) / len(lines)
        run.say(f"  {name}: {percent:.1f} % of {len(lines)} lines")
        why = f"{percent:.1f} % of the lines are reached, {COVERED} % are required"
        results.append(Result(f"coverage.{name}", percent >= COVERED, why))
    return results


# ---- fuzzing

def targets():
    """Names of the fuzz targets."""
    return khoctl_targets() + sorted(name for path in (ROOT / FOLDER).glob("fuzz_*.c")
                                     for name in TARGET.findall(path.read_text()))


def khoctl_targets():
    """Names of the fuzz targets in the folder of khoctl."""
    return sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / KHOCTL).glob("fuzz_*.c"))


def fuzz_target(run, name, seconds):
    """Result of one target.  Findings are written to the folder of the run.

    Without a time, a fixed number of runs with a fixed seed is made, and the corpus is not kept.
    """
    grown = OUT / "fuzz" / name if seconds else run.path(f"corpus-{name}")
    grown.mkdir(parents=True, exist_ok=True)
    program = BUILD / "fuzz" / f"fuzz_{name}"
    length = [f"-max_total_time={seconds}"] if seconds else [f"-runs={SMOKE_RUNS}", "-seed=1"]
    argv = [program, *length, f"-max_len={LONGEST.get(name, 512)}", "-timeout=10", "-verbosity=1",
            "-print_final_stats=1", f"-artifact_prefix={run.dir}/{name}-", grown,
            BUILD / "corpus" / name]
    log, why = run.attempt(f"fuzzing {name}", argv, log=f"fuzz-{name}.log",
                           deadline=(seconds or DEADLINE) + 120)
    if why:
        repeat = f"KHO_LOG=1 {program} {run.dir}/{name}-*"
        return Result(name, False, f"{crash(log, why)}\n  repeat: {repeat}")
    text = log.read_text(errors="replace")
    runs = re.findall(r"number_of_executed_units: (\d+)", text) or ["?"]
    edges = re.findall(r"cov: (\d+)", text) or ["?"]
    run.say(f"  {name}: {runs[0]} runs, {edges[-1]} edges reached, nothing found")
    return Result(name, True)


def fuzz(run, chosen=None, seconds=None):
    """Build the fuzzers and run one target or all; returns [Result].

    With 0 seconds, each target has a fixed number of runs instead of a time.
    """
    names = targets()
    if chosen and chosen not in names:
        raise Stop(f"no fuzz target '{chosen}'; there are: {', '.join(names)}")
    seconds = FUZZ_SECONDS if seconds is None else seconds
    if seconds < 0:
        raise Stop("the time of a fuzz target cannot be negative")
    tools.require(run, "fuzz", "khoctl")
    tools.require(run, rows=tools.clang_runtime())
    laid = tree.lay(run)
    ccache = ["FUZZ_CC=ccache clang"] if kernel.compiler() else []
    make(run, laid.dir, "building the fuzzers", "fuzz", *ccache)
    if chosen is None or chosen in khoctl_targets():
        make(run, laid.dir, "building the fuzzers of khoctl", "fuzz", build=BUILD / "fuzz",
             folder=KHOCTL)
        khoctl(run, laid, "--corpus", BUILD / "corpus")
    return [fuzz_target(run, name, seconds) for name in ([chosen] if chosen else names)]
