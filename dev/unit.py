# SPDX-License-Identifier: GPL-2.0
"""Runs the unit tests, mutants and fuzzers of tools/testing/kho, and the tests of tools/kho."""
import importlib
import os
import re
import sys

from dev import kernel, tools, tree
from dev.host import OUT, ROOT, Result, Stop

FOLDER = "tools/testing/kho"
KHOCTL = "tools/kho"
BUILD = {FOLDER: OUT / "build/unit", KHOCTL: OUT / "build/khoctl"}
DEADLINE = 600
KUNIT = "tools/testing/kunit"
REASON = re.compile(r"# \S+: (?:EXPECTATION |ASSERTION )?failed (at .*)", re.I)


def command(tree_dir, folder, *words):
    """The command, and its environment, to make something in a folder of a tree."""
    where = tree_dir / folder
    argv = ["make", "-C", where, f"O={os.path.relpath(BUILD[folder], where)}",
            f"-j{os.cpu_count()}", *kernel.compiler(), *words]
    return {"argv": argv, "env": {"CCACHE_BASEDIR": str(tree_dir.parent)}}


def build_khoctl(run, tree_dir, **more):
    """Build khoctl from a tree; returns the program."""
    tools.require(run, "khoctl")
    run.step("building khoctl", **command(tree_dir, KHOCTL), repeat="./kho " + run.verb, **more)
    return BUILD[KHOCTL] / "khoctl"


# ---- the unit tests

def read_ktap(laid, text, *above):
    """[Result] of all test cases in a text, except for skipped ones."""
    sys.path.insert(0, str(laid.dir / KUNIT))
    try:
        parser, printer = map(importlib.import_module, ("kunit_parser", "kunit_printer"))
    finally:
        del sys.path[0]
    whole = parser.parse_run_tests(text.splitlines(), printer.null_printer)
    return list(flatten(parser.TestStatus, whole, above))


def flatten(status, group, above):
    for test in group.subtests:
        name = (*above, test.name)
        if test.subtests:
            yield from flatten(status, test, name)
        elif test.status != status.SKIPPED:
            found = next(filter(None, map(REASON.search, test.log)), None)
            why = re.sub(r"(\.\./)+tree[^/]*/", "", found[1]) if found else test.status.name.lower()
            yield Result(".".join(name), test.ok_status(), "" if test.ok_status() else why)


def unfinished(name, why, results):
    """[Result] of a program that has failed although all tests that it reported have passed."""
    return [Result(name, False, why)] if why and all(r.ok for r in results) else []


def run_tests(run, laid, argv, name):
    """[Result] of a program that prints KTAP."""
    log, why = run.attempt(f"unit tests: {name}", argv, log=f"unit-{name}.log", deadline=DEADLINE)
    # with a plan, each test that a crash has prevented would be a result
    text = re.sub(r"^1\.\.\d+\n", "", log.read_text(errors="replace"), flags=re.M)
    results = read_ktap(laid, text, name)
    results += unfinished(name, why or "nothing was run" * (not results), results)
    run.say(f"  {name}: {sum(r.ok for r in results)} of {len(results)} passed")
    return results


def unit(run):
    """Run the unit tests for every page size, and the tests of khoctl; returns [Result]."""
    tools.require(run, "khoctl")
    laid = tree.lay(run)
    run.step("building the unit tests", **command(laid.dir, FOLDER), repeat="./kho unit")
    results, build = [], BUILD[FOLDER]
    for old in build.glob("*/kernel/*.gcda"):
        old.unlink()
    programs = {int(path.parent.name): path for path in build.glob("*/kho_unit")}
    for shift, program in sorted(programs.items()):
        size = 1 << shift
        name = f"{size >> 10}K" if size >= 1024 else f"{size}B"
        results += run_tests(run, laid, [program], name)
    argv = ["python3", laid.dir / KHOCTL / "test_khoctl.py", build_khoctl(run, laid.dir)]
    results += run_tests(run, laid, [*argv, "--kernel", programs[12]], "khoctl")
    return results + coverage(run, laid)


def coverage(run, laid):
    """Print a line for each source; returns [Result]."""
    log, why = run.attempt("coverage", **command(laid.dir, FOLDER, "coverage"), quiet=True)
    results = []
    for name, text in re.findall(r"^(\w+\.c): (.*)$", log.read_text(errors="replace"), re.M):
        run.say(f"  {name}: {text}")
        results.append(Result(f"coverage.{name}", "required" not in text, text))
    return results + unfinished("coverage", why, results)


def mutate(run, names, jobs, sample):
    """Run the mutants of the sources; the exit status."""
    tools.require(run)
    laid = tree.lay(run)
    argv = ["python3", laid.dir / FOLDER / "mutate.py", "-b", OUT / "build/mutate",
            "-o", run.path("survivors"), "-j", jobs]
    argv += ["--sample", sample] if sample else []
    compiler = dict(word.split("=", 1) for word in kernel.compiler())
    return run.follow([*argv, "--", *names], env={"CCACHE_BASEDIR": str(OUT), **compiler})


def targets():
    """{fuzz target: the folder of its source}"""
    of_khoctl = sorted(path.stem[len("fuzz_"):] for path in (ROOT / KHOCTL).glob("fuzz_*.c"))
    others = sorted(path.stem for path in (ROOT / FOLDER / "corpus").glob("*.txt"))
    return {**dict.fromkeys(of_khoctl, KHOCTL), **dict.fromkeys(others, FOLDER)}


def fuzz_target(run, laid, build, name, seconds):
    """Result of one target.  Findings are written to the folder of the run."""
    argv = ["python3", laid.dir / FOLDER / "fuzz.py", "-t", seconds, "-i", build / "corpus",
            "-k", OUT / "fuzz", "-o", run.dir, build / f"fuzz/fuzz_{name}"]
    log, why = run.attempt(f"fuzzing {name}", argv)
    text = log.read_text(errors="replace").strip().removeprefix(f"{name}: ")
    if not why:
        run.say(f"  {name}: {text}")
    return Result(name, not why, text or why)


def fuzz(run, chosen, seconds):
    """Build the fuzzers and run one target or all; returns [Result].

    With 0 seconds, each target has a fixed number of runs instead of a time.
    """
    known = targets()
    if chosen and chosen not in known:
        raise Stop(f"no fuzz target '{chosen}'; there are: {', '.join(known)}")
    if seconds < 0:
        raise Stop("the time of a fuzz target cannot be negative")
    tools.require(run, "fuzz", "khoctl")
    tools.require(run, rows=tools.clang_runtime())
    laid = tree.lay(run)
    names = [chosen] if chosen else list(known)
    words = ["FUZZ_CC=ccache clang"] if kernel.compiler() else []
    for folder in sorted({known[name] for name in names}):
        title = "building the fuzzers" + " of khoctl" * (folder == KHOCTL)
        run.step(title, **command(laid.dir, folder, "fuzz", *words), repeat="./kho " + run.verb)
    return [fuzz_target(run, laid, BUILD[known[name]], name, seconds) for name in names]
