# SPDX-License-Identifier: GPL-2.0
"""Mutation tests: one line of a source is changed, and the unit tests have to fail.

For each mutant, one object is compiled, linked with the others and run with pages of 4 KiB.
A mutant that survives shows a line whose effect is not tested.  The file mutants beside
the unit tests lists mutants that cannot have an effect; they are not run.
"""
import os
import queue
import random
import re
import shlex
import subprocess
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dev import kernel, tools, tree, unit
from dev.host import OUT, ROOT, Stop, no_such, run_child

BUILD = OUT / "build/mutate"
LISTED = ROOT / unit.FOLDER / "mutants"
GATE = {True: 90, False: 95}        # percent to be killed, in LUO and in other sources
# all other suites boot with live update off
LUO_SUITES = ("*luo*", "*memfd*", "*timeline*", "unit-corpus")
DEADLINE = 5                        # seconds, or four times the usual duration

NOT_MUTATED = re.compile(r"(pr_\w+|lockdep_\w+|might_sleep\w*|cond_resched|guard|scoped_guard"
                         r"|BUG\w*|WARN\w*)\(")
HEAD = re.compile(r"(?:(?:\} )?else|do|\w+:|case .*:)$")
REMOVED = re.compile(r"\*?[\w.>-]+\(.*\);$|[\w.>-]+(?:\+\+|--);$"
                     r"|\*?[\w.>\[\]+-]+ (?:[-+*/|&^]|<<|>>)?= .*;$")
CONDITION = re.compile(r"((?:\} else )?if )\((.*)\)( \{)?$")
ERROR = re.compile(r"return (?:-E\w+|err|ret|PTR_ERR\(\w+\));$")
FLIPPED = {"return true;": "return false;", "return false;": "return true;"}
COMPARED = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ",
            " + 1": " + 0", " - 1": " - 0"}

Mutant = namedtuple("Mutant", "path number function kind old new")


def row(m):
    """A mutant as in the file mutants, with the text of the line, because line numbers change."""
    return f"{m.path.name} {m.function} {m.kind}: {m.old}"


def balanced(text):
    depth = [text[:n].count("(") - text[:n].count(")") for n in range(len(text) + 1)]
    return min(depth) == depth[-1] == 0


def changes(line, begins):
    """(kind, new line) for each mutant of one line of code."""
    condition = CONDITION.match(line)
    if begins and condition and balanced(condition[2]):
        # side effects of the condition stay
        for kind, constant in (("true", "|| 1"), ("false", "&& 0")):
            yield kind, f"{condition[1]}(({condition[2]}) {constant}){condition[3] or ''}"
    if begins and balanced(line):
        if REMOVED.match(line):
            yield "removed", ";"
        if ERROR.match(line):
            yield "swallowed", "return 0;"
        if line in FLIPPED:
            yield "flipped", FLIPPED[line]
    for old, new in COMPARED.items():
        for found in re.finditer(re.escape(old) + r"(?!\w)" * (old[-1] == "1"), line):
            yield f"off-by-one-{found.start()}", line[:found.start()] + new + line[found.end():]


def mutants(path):
    """[Mutant] of all function bodies."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    found, head, function, before, silent = [], "", "", ";", False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not function:
            head = head + raw if line else ""
            if raw == "{":
                function, before = re.search(r"(\w+)\(", head)[1], ";"
            continue
        if raw == "}":
            head = function = ""
        if not line or line[0] == "#" or not function:
            continue
        begins = before[-1] in ";{})" or bool(HEAD.match(before))
        silent = bool(NOT_MUTATED.match(line)) if begins else silent
        if not silent:
            found += [Mutant(path, number, function, kind, line, new)
                      for kind, new in changes(line, begins)]
        before = line
    return found


def suites_for(path):
    """Patterns of suites; those that are most likely to kill a mutant come first."""
    near = "*" + re.sub(r"^kho_|_kho$|(?<=memfd)_luo.*", "", path.stem).replace("_", "-") + "*"
    return (near, *LUO_SUITES) if "luo" in path.name else (near, "*")


def listed():
    """Rows of the file mutants, each with a reason."""
    rows = [line.partition("  # ") for line in LISTED.read_text().splitlines()
            if line and line[0] != "#"]
    for text, _, why in rows:
        if not why:
            raise Stop(f"{LISTED.relative_to(ROOT)}: no reason: {text}")
    return {text for text, _, _ in rows}


class Bench:
    """Compiles, links and runs mutants, several at a time, each in a folder of its own."""

    def __init__(self, run, laid, jobs):
        self.cwd, self.limit, self.folders = laid.dir / unit.FOLDER, {}, queue.Queue()
        words = ["SHIFTS=12", "COVERAGE=", *kernel.compiler()]
        unit.make(run, laid.dir, "building what is mutated", *words, build=BUILD)
        for source in unit.sources(laid.dir):
            words += ["-W", str(source)]
        make = ["make", "-n", "-C", self.cwd, f"O={os.path.relpath(BUILD, self.cwd)}", *words]
        text = subprocess.check_output(make, text=True)
        lines = [shlex.split(line) for line in text.splitlines() if " -o " in line]
        self.compile = {Path(argv[-1]).name: argv for argv in lines if "-c" in argv}
        self.link = next(argv for argv in lines if "-c" not in argv)
        for n in range(jobs):
            (BUILD / f"mutant-{n}/kernel").mkdir(parents=True, exist_ok=True)
            self.folders.put(BUILD / f"mutant-{n}")

    def good(self, argv, deadline=60):
        """Whether a command succeeds in time."""
        return run_child(argv, deadline, cwd=self.cwd, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL,
                         env={"KHO_STOP": "1", "CCACHE_DISABLE": "1"}) == 0

    def measure(self, suites):
        """Run the unchanged program, which has to pass, to get the usual duration."""
        begin = time.monotonic()
        program = self.cwd / self.link[self.link.index("-o") + 1]
        if not self.good([program, *suites], unit.DEADLINE):
            raise Stop("the unit tests fail, so mutants tell nothing: './kho unit'", 1)
        self.limit[suites[-1]] = max(DEADLINE, 4 * (time.monotonic() - begin))

    def killed(self, m):
        """Whether a test fails with the mutant; None if the mutant does not compile."""
        folder = self.folders.get()
        try:
            lines = m.path.read_text().splitlines()
            lines[m.number - 1] = m.new
            source, made = folder / m.path.name, folder / f"kernel/{m.path.stem}.o"
            source.write_text("\n".join(lines) + "\n")
            argv, link = list(self.compile[m.path.name]), list(self.link)
            at = argv.index("-o") + 1
            link[link.index(argv[at])] = made
            argv[at] = made
            link[link.index("-o") + 1] = program = folder / "kho_unit"
            argv[-1:] = ["-w", "-iquote", m.path.parent, source]
            if not self.good(argv) or not self.good(link):
                return None
            suites = suites_for(m.path)
            return not self.good([program, *suites], self.limit[suites[-1]])
        finally:
            self.folders.put(folder)

    def try_file(self, pool, todo):
        """(number of killed mutants, [Mutant] that survived)"""
        killed, alive = 0, []
        for n, (m, result) in enumerate(zip(todo, pool.map(self.killed, todo)), 1):
            killed += result is True
            alive += [m] * (result is False)
            if n % 50 == 0:
                print(f"{m.path.name}: {n} of {len(todo)}", flush=True)
        return killed, alive


def mutate(run, names, jobs, sample):
    """Run the mutants of the sources; the exit status."""
    tools.require(run)
    laid = tree.lay(run)
    paths = {path.name: path for path in unit.sources(laid.dir)}
    names = [Path(name).name for name in names]
    for name in names:
        if name not in paths:
            raise no_such("source", name, paths, "mutate")
    files = [path for path in paths.values() if not names or path.name in names]
    harmless, found = listed(), {path: mutants(path) for path in paths.values()}
    bench = Bench(run, laid, jobs)
    for suites in {suites_for(path)[-1]: suites_for(path) for path in files}.values():
        bench.measure(suites)
    totals, low = [0, 0], False
    pool = ThreadPoolExecutor(jobs)
    try:
        for path in files:
            todo = [m for m in found[path] if row(m) not in harmless]
            if sample and sample < len(todo):
                todo = random.Random(path.name).sample(todo, sample)
                todo.sort(key=lambda m: m.number)
            killed, alive = bench.try_file(pool, todo)
            low |= tell(run, path, killed, alive)
            totals = [totals[0] + killed, totals[1] + len(alive)]
    finally:
        pool.shutdown(cancel_futures=True)
    run.say(f"{totals[0]} killed, {totals[1]} survived")
    return int(low)


def tell(run, path, killed, alive):
    """Print the result for the mutants of a source; returns whether too few were killed."""
    total, gate = killed + len(alive), GATE["luo" in path.name]
    low = 100 * killed < gate * total
    run.say(f"{path.name}: {killed} of {total} killed, {100 * killed / max(1, total):.1f} %"
            + f", {gate} % are required" * low)
    for m in alive:
        run.say(f"  {m.path.name}:{m.number}: {m.kind}: {m.old}")
    with open(run.path("survivors"), "a") as out:
        out.writelines(row(m) + "\n" for m in alive)
    return low
