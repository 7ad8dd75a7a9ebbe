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
                                 "luo_file.c", "luo_flb.c", "luo_session.c",
                                 "memfd_luo.c", "memfd_luo_retrieve.c")}
RESULT = re.compile(r"( *)(not ok|ok) \d+ ?(.*?)(?: # SKIP .*)?$")
SUBTEST = re.compile(r" +# Subtest: (.*)$")
TARGET = re.compile(r"^FUZZ_TARGET\((\w+)\)$", re.M)
CRASH = re.compile(r"^.*(?:BUG at |runtime error: |ERROR: (?:Address|Leak)Sanitizer|ERROR: libFuzzer).*$", re.M)
WHY = re.compile(r" +# \S+: (failed at .*)$")


def make(run, laid, title, *words, build=BUILD, folder=FOLDER):
    """Build from the laid tree with make in a folder, by default that of the unit tests."""
    where = laid.dir / folder
    if not (where / "Makefile").exists():
        raise Stop(f"{folder}/Makefile is missing")
    argv = ["make", "-C", where, f"O={os.path.relpath(build, where)}", f"-j{os.cpu_count()}", *words]
    return run.step(title, argv, env={"CCACHE_BASEDIR": str(laid.dir.parent)},
                    repeat="./kho " + run.verb)


def programs():
    return sorted(BUILD.glob("*/kho_unit"), key=lambda p: int(p.parent.name))


def parse(text, prefix):
    """[Result] of the KTAP text of one program."""
    results, above, why = [], [], ""
    for line in text.splitlines():
        sub, found, reason = SUBTEST.match(line), RESULT.match(line), WHY.match(line)
        if sub:
            above.append(sub[1])
        elif reason:
            why = why or reason[1]
        elif found:
            name = found[3]
            if above and name == above[-1]:
                above.pop()
                continue
            ok = found[2] == "ok"
            if "# SKIP" not in line:
                results.append(Result(".".join([prefix, *above, name]), ok, "" if ok else why))
            why = ""
    return results


def run_program(run, program):
    """[Result] of one page size."""
    size = 1 << int(program.parent.name)
    prefix = f"{size >> 10}K" if size >= 1024 else f"{size}B"
    for old in (program.parent / "kernel").glob("*.gcda"):
        old.unlink()
    try:
        log = run.step(f"unit tests with pages of {prefix}", [program], log=f"unit-{prefix}.log",
                       deadline=DEADLINE, repeat=str(program))
        crash = None
    except Failed as e:
        log, crash = e.log, e.why
    text = log.read_text(errors="replace")
    results = parse(text, prefix)
    if not results or crash and all(r.ok for r in results):
        found = CRASH.search(text)
        results.append(Result(prefix, False, found[0].strip() if found else crash or "nothing was run"))
    return results


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
    make(run, laid, "building khoctl", *kernel.compiler(), build=OUT / "build/khoctl", folder=KHOCTL)
    argv = ["python3", laid.dir / KHOCTL / "test_khoctl.py", OUT / "build/khoctl/khoctl", *words]
    try:
        log = run.step("tests of khoctl", argv, log="khoctl.log", deadline=2 * DEADLINE)
    except Failed as e:
        log = e.log
    return parse(log.read_text(errors="replace"), "khoctl") or [Result("khoctl", False, "nothing was run")]


def unit(run):
    """Build and run for every page size; returns [Result]."""
    tools.require(run, more=tools.KHOCTL)
    laid = tree.lay(run)
    make(run, laid, "building the unit tests", *kernel.compiler())
    results = []
    for program in programs():
        found = run_program(run, program)
        run.say(f"  pages of {found[0].name.split('.')[0]}: {sum(r.ok for r in found)} of {len(found)} passed")
        results += found
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
    make(run, laid, "building the fuzzers", "fuzz", *ccache)
    if chosen in (None, "khoctl"):
        make(run, laid, "building the fuzzer of khoctl", "fuzz", build=BUILD / "fuzz", folder=KHOCTL)
        khoctl(run, laid, "--corpus", BUILD / "corpus/khoctl")
    return [fuzz_target(run, name, seconds) for name in ([chosen] if chosen else names)]
