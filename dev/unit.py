# SPDX-License-Identifier: GPL-2.0
"""The sources of Kexec Handover as programs of user space: unit tests and fuzzers.

tools/testing/kho builds them; here they are run and judged, and the lines counted that
the tests reached.
"""
import json
import os
import re
from pathlib import Path

from dev import kernel, tools, tree
from dev.host import OUT, ROOT, Failed, Result, Stop, output
from dev.kunit import read_ktap

FOLDER = "tools/testing/kho"
BUILD = OUT / "build/unit"
KHOCTL = "tools/kho"
DEADLINE = 300
# of each fuzz target, unless told otherwise
FUZZ_SECONDS = 20
LONGEST = {"khoctl": 16384}  # inputs, where 512 bytes do not reach everything
SMOKE_RUNS = 1500       # a target, when everything is tested
# lines that must be reached, in percent
COVERED = {name: 95 for name in ("kho_radix.c", "kho_vmalloc.c", "kho_block.c", "kho_compat.c",
                                 "kho_memblock.c", "kho_pages.c", "kho_image.c", "memblock_kho.c",
                                 "kho_timeline.c", "kho_out_report.c", "luo_core.c", "luo_debugfs.c",
                                 "luo_file.c", "luo_flb.c", "luo_ioctl.c", "luo_register.c", "luo_session.c",
                                 "memfd_luo.c", "memfd_luo_retrieve.c")}
TARGET = re.compile(r"^FUZZ_TARGET\((\w+)\)$", re.M)
CRASH = re.compile(r"^.*(?:BUG at |runtime error: |ERROR: (?:Address|Leak)Sanitizer|ERROR: libFuzzer).*$", re.M)


def make(run, tree_dir, title, *words, build=BUILD, folder=FOLDER, **more):
    """Build with make in a folder of a tree, by default that of the unit tests."""
    where = tree_dir / folder
    if not (where / "Makefile").exists():
        raise Stop(f"{folder}/Makefile is missing")
    argv = ["make", "-C", where, f"O={os.path.relpath(build, where)}", f"-j{os.cpu_count()}", *words]
    return run.step(title, argv, env={"CCACHE_BASEDIR": str(tree_dir.parent)},
                    repeat="./kho " + run.verb, **more)


def build_khoctl(run, tree_dir, **more):
    """khoctl from a tree; its program."""
    tools.require(run, more=tools.KHOCTL)
    make(run, tree_dir, "building khoctl", *kernel.compiler(), build=OUT / "build/khoctl", folder=KHOCTL, **more)
    return OUT / "build/khoctl/khoctl"


def programs():
    return sorted(BUILD.glob("*/kho_unit"), key=lambda p: int(p.parent.name))


def run_tests(run, laid, argv, name):
    """[Result] of a program that prints KTAP."""
    try:
        log, why = run.step(f"unit tests: {name}", argv, log=f"unit-{name}.log", deadline=2 * DEADLINE), ""
    except Failed as e:
        log, why = e.log, e.why
    text = log.read_text(errors="replace")
    # the parser wants a plan to come first, or none
    results = read_ktap(laid, re.sub(r"^ *1\.\.\d+\n", "", text, flags=re.M), name)
    if not results or why and all(r.ok for r in results):
        found = CRASH.search(text)
        results.append(Result(name, False, found[0].strip() if found else why or "nothing was run"))
    run.say(f"  {name}: {sum(r.ok for r in results)} of {len(results)} passed")
    return results


def run_program(run, laid, program):
    """[Result] of one page size."""
    size = 1 << int(program.parent.name)
    for old in (program.parent / "kernel").glob("*.gcda"):
        old.unlink()
    return run_tests(run, laid, [program], f"{size >> 10}K" if size >= 1024 else f"{size}B")


def gcov(program):
    """(source, line, count) of all that the counts of one program tell about the kernel."""
    counts = sorted(str(p) for p in (program.parent / "kernel").glob("*.gcda"))
    text = output(["gcov", "--json-format", "--stdout", *counts], cwd=program.parent) or ""
    for one in text.splitlines():
        for source in json.loads(one)["files"]:
            path = Path(source["file"])
            if path.parent.name not in ("liveupdate", "mm") or path.suffix != ".c":
                continue
            for line in source["lines"]:
                yield path.name, line["line_number"], line["count"]


def coverage():
    """{source: (lines reached, lines)} over all page sizes."""
    found = {}
    for program in programs():
        for name, line, count in gcov(program):
            lines = found.setdefault(name, {})
            lines[line] = lines.get(line, 0) + count
    return {name: (sum(1 for n in lines.values() if n), len(lines)) for name, lines in found.items()}


def say_coverage(run):
    """A line for each source; [Result] for those that must be covered."""
    found, results = coverage(), []
    for name, (reached, lines) in sorted(found.items()):
        if name.endswith("_test.c"):
            continue
        percent = 100 * reached / lines
        run.say(f"  {name}: {percent:.1f} % of {lines} lines")
        if name in COVERED:
            results.append(Result(f"coverage.{name}", percent >= COVERED[name],
                                  f"{percent:.1f} % of the lines are reached, {COVERED[name]} % are required"))
    for name in sorted(set(COVERED) - set(found)):
        results.append(Result(f"coverage.{name}", False, "no line is reached"))
    return results


def khoctl(run, laid, *words):
    """[Result] of the tests of khoctl; the notes that they read are those of the unit tests, too."""
    program = build_khoctl(run, laid.dir)
    return run_tests(run, laid, ["python3", laid.dir / KHOCTL / "test_khoctl.py", program, *words], "khoctl")


def unit(run):
    """Build and run for every page size; returns [Result]."""
    tools.require(run, more=tools.KHOCTL)
    laid = tree.lay(run)
    make(run, laid.dir, "building the unit tests", *kernel.compiler())
    results = [r for program in programs() for r in run_program(run, laid, program)]
    results += khoctl(run, laid, "--kernel", BUILD / "12/kho_unit")
    return results + say_coverage(run)


def targets():
    """Names of the fuzz targets."""
    return sorted(name for path in (ROOT / FOLDER).glob("fuzz_*.c")
                  for name in TARGET.findall(path.read_text())) + ["khoctl"]


def fuzz_target(run, name, seconds):
    """Result of one target.  What is found stays in the run's folder.

    Without a time, the same inputs are tried each time, and nothing is kept for the next.
    """
    grown = OUT / "fuzz" / name if seconds else run.path(f"corpus-{name}")
    grown.mkdir(parents=True, exist_ok=True)
    program = BUILD / "fuzz" / f"fuzz_{name}"
    length = [f"-max_total_time={seconds}"] if seconds else [f"-runs={SMOKE_RUNS}", "-seed=1"]
    seconds = seconds or DEADLINE
    argv = [program, *length, f"-max_len={LONGEST.get(name, 512)}", "-timeout=10", "-verbosity=1",
            "-print_final_stats=1", f"-artifact_prefix={run.dir}/{name}-", grown, BUILD / "corpus" / name]
    repeat = f"{program} {run.dir}/{name}-*"
    try:
        log = run.step(f"fuzzing {name}", argv, log=f"fuzz-{name}.log", deadline=seconds + 120,
                       repeat=repeat)
    except Failed as e:
        why = CRASH.search(e.log.read_text(errors="replace"))
        return Result(name, False, f"{why[0].strip() if why else e.why}\n  repeat: KHO_LOG=1 {repeat}")
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    edges = re.findall(r"cov: (\d+)", text)
    run.say(f"  {name}: {runs[1] if runs else '?'} runs, {edges[-1] if edges else '?'} edges reached, "
            "nothing found")
    return Result(name, True)


def fuzz(run, chosen=None, seconds=None):
    """Build the fuzzers and run one target or all of them; returns [Result].  0 seconds: a smoke."""
    names = targets()
    if chosen and chosen not in names:
        raise Stop(f"no fuzz target '{chosen}'; there are: {', '.join(names)}")
    seconds = FUZZ_SECONDS if seconds is None else seconds
    if seconds < 0:
        raise Stop("the time of a fuzz target cannot be negative")
    tools.require(run, more=[*tools.CLANG, *tools.KHOCTL])
    tools.require(run, more=tools.clang_runtime())
    laid = tree.lay(run)
    ccache = ["FUZZ_CC=ccache clang"] if kernel.compiler() else []
    make(run, laid.dir, "building the fuzzers", "fuzz", *ccache)
    if chosen in (None, "khoctl"):
        make(run, laid.dir, "building the fuzzer of khoctl", "fuzz", build=BUILD / "fuzz", folder=KHOCTL)
        khoctl(run, laid, "--corpus", BUILD / "corpus/khoctl")
    return [fuzz_target(run, name, seconds) for name in ([chosen] if chosen else names)]
