# SPDX-License-Identifier: GPL-2.0
"""Mutation tests: one line of a source is damaged, and the unit tests have to notice.

Each mutant is one object compiled again, linked to the others and run with pages of 4 KiB.
A mutant that survives shows a line whose effect no test checks.  dev/mutants lists those
that cannot matter; they are not run.
"""
import os
import queue
import random
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dev import kernel, tools, tree, unit
from dev.host import OUT, ROOT, Stop, end_group

BUILD = OUT / "build/mutate"
LISTED = ROOT / "dev/mutants"
SOURCES = ("kernel/liveupdate/luo_*.c", "mm/memfd_luo*.c", "kernel/liveupdate/kho_*.c", "mm/memblock_kho.c")
# percent of the mutants that must be killed, and the suites: those most likely to kill, then the others
LUO = (90, ["*luo*", "*memfd*", "unit-corpus"], [])     # all other suites boot with live update off
KHO = (95, [], ["*"])
DEADLINE = 5            # at least, in seconds

NOT_MUTATED = re.compile(r"(pr_\w+|lockdep_\w+|might_sleep\w*|cond_resched|guard|scoped_guard|BUG\w*|WARN\w*)\(")
HEAD = re.compile(r"(?:(?:\} )?else|do|\w+:|case .*:)$")
CALL = re.compile(r"\*?[\w.>-]+\(.*\);$|[\w.>-]+(?:\+\+|--);$")
ASSIGNMENT = re.compile(r"\*?[\w.>\[\]+-]+ (?:[-+*/|&^]|<<|>>)?= .*;$")
CONDITION = re.compile(r"((?:\} else )?if )\((.*)\)( \{)?$")
ERROR = re.compile(r"return (?:-E\w+|err|ret|PTR_ERR\(\w+\));$")
COMPARED = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " + 1": " + 0", " - 1": " - 0"}


@dataclass(frozen=True)
class Mutant:
    path: Path
    number: int         # of the line
    function: str
    kind: str
    old: str
    new: str

    def row(self):
        """As in dev/mutants."""
        return f"{self.path.name} {self.function} {self.kind}: {self.old}"


def balanced(text):
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if depth < 0:
            return False
    return not depth


def changes(line, begins):
    """(kind, new line) for each mutant of one line of code."""
    condition = CONDITION.match(line)
    if begins and condition and balanced(condition[2]):
        for kind, text in (("true", "({}) || 1"), ("false", "({}) && 0")):
            yield kind, f"{condition[1]}({text.format(condition[2])}){condition[3] or ''}"
    if begins and balanced(line):
        if CALL.match(line) or ASSIGNMENT.match(line):
            yield "removed", ";"
        if ERROR.match(line):
            yield "swallowed", "return 0;"
        if line in ("return true;", "return false;"):
            yield "flipped", "return false;" if "true" in line else "return true;"
    for old, new in COMPARED.items():
        for found in re.finditer(re.escape(old) + r"(?!\w)" * (old[-1] == "1"), line):
            yield f"off-by-one-{found.start()}", line[:found.start()] + new + line[found.end():]


def code(path):
    """(number, function, line, begins a statement) of all function bodies, without comments."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    head, function, before, silent = "", "", ";", False
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
            yield number, function, line, begins
        before = line


def mutants(path):
    return [Mutant(path, number, function, kind, line, new)
            for number, function, line, begins in code(path) for kind, new in changes(line, begins)]


def chosen(laid, names):
    """Sources of the laid tree, with their gate and suites."""
    paths = [p for pattern in SOURCES for p in sorted(laid.dir.glob(pattern))]
    for name in names:
        if Path(name).name not in {p.name for p in paths}:
            raise Stop(f"no source '{name}'; there are: {', '.join(p.name for p in paths)}")
    wanted = [p for p in paths if not names or p.name in {Path(n).name for n in names}]
    return [(p, *(LUO if "luo" in p.name else (KHO[0], [f"*{p.stem.replace('kho', '').strip('_')}*"], KHO[2])))
            for p in wanted]


class Bench:
    """Compiles, links and runs mutants, each in a folder that no other uses at the time."""

    def __init__(self, run, laid, jobs):
        where = laid.dir / unit.FOLDER
        words = ["SHIFTS=12", "COVERAGE=", *kernel.compiler()]
        unit.make(run, laid, "building what is mutated", *words, build=BUILD)
        sources = [w for p in SOURCES for s in sorted(laid.dir.glob(p)) for w in ("-W", str(s))]
        text = subprocess.run(["make", "-n", "-C", where, f"O={os.path.relpath(BUILD, where)}", *words, *sources],
                              capture_output=True, text=True, check=True).stdout
        lines = [shlex.split(line) for line in text.splitlines() if " -o " in line]
        self.compile = {Path(argv[-1]).name: argv for argv in lines if "-c" in argv}
        self.link = next(argv for argv in lines if "-c" not in argv)
        self.cwd, self.known, self.folders = where, {}, queue.Queue()
        for n in range(jobs):
            folder = BUILD / f"mutant-{n}"
            (folder / "kernel").mkdir(parents=True, exist_ok=True)
            self.folders.put(folder)

    def good(self, argv, deadline=60):
        """Whether a command ends well, and in time."""
        child = subprocess.Popen(argv, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True,
                                 env={**os.environ, "KHO_STOP": "1"})
        try:
            return child.wait(deadline) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if child.poll() is None:
                end_group(child)

    def measure(self, suites):
        """Seconds that the suites take in the unchanged program, which has to pass."""
        begin = time.monotonic()
        if suites and not self.good([self.cwd / self.link[self.link.index("-o") + 1], *suites], unit.DEADLINE):
            raise Stop(f"'./kho unit' fails: nothing can be learned from mutants (suites {' '.join(suites)})", 1)
        self.known[tuple(suites)] = max(DEADLINE, 4 * (time.monotonic() - begin))

    def killed(self, mutant, suites):
        """Whether a test notices; None when it does not compile."""
        folder = self.folders.get()
        try:
            lines = mutant.path.read_text().splitlines()
            lines[mutant.number - 1] = mutant.new
            source, made = folder / mutant.path.name, folder / "kernel" / (mutant.path.stem + ".o")
            source.write_text(f'#line 1 "{mutant.path}"\n' + "\n".join(lines) + "\n")
            argv = list(self.compile[mutant.path.name])
            old, argv[argv.index("-o") + 1] = argv[argv.index("-o") + 1], str(made)
            if not self.good([*argv[:-1], "-w", "-iquote", mutant.path.parent, source]):
                return None
            argv = [str(made) if a == old else a for a in self.link]
            argv[argv.index("-o") + 1] = program = str(folder / "kho_unit")
            if not self.good(argv):
                return None
            return not all(self.good([program, *some], self.known[tuple(some)]) for some in suites if some)
        finally:
            self.folders.put(folder)


def listed():
    """Rows of dev/mutants that cannot matter."""
    rows = [line for line in LISTED.read_text().splitlines() if line and line[0] != "#"]
    wrong = [row for row in rows if "  # " not in row]
    if wrong:
        raise Stop(f"{LISTED.relative_to(ROOT)}: no reason: {wrong[0]}")
    return {row.partition("  # ")[0].strip() for row in rows}


def mutate(run, names, jobs, sample):
    """Run the mutants of the sources; the exit status."""
    tools.require(run)
    laid = tree.lay(run)
    files = chosen(laid, names)
    bench = Bench(run, laid, jobs)
    for suites in {tuple(s) for row in files for s in row[2:]}:
        bench.measure(list(suites))
    harmless, all_killed, survivors, bad = listed(), 0, [], 0
    with ThreadPoolExecutor(jobs) as pool:
        for path, gate, *suites in files:
            todo = [m for m in mutants(path) if m.row() not in harmless]
            if sample and sample < len(todo):
                todo = sorted(random.Random(path.name).sample(todo, sample), key=lambda m: m.number)
            results = []
            for result in pool.map(lambda m: bench.killed(m, suites), todo):
                results.append(result)
                if sys.stdout.isatty():
                    print(f"\r{path.name}: {len(results)} of {len(todo)}", end="\r", flush=True)
            alive = [m for m, killed in zip(todo, results) if killed is False]
            killed = results.count(True)
            percent = 100 * killed / max(1, killed + len(alive))
            low = percent < gate and bool(alive)
            run.say(f"{path.name}: {killed} of {killed + len(alive)} killed, {percent:.1f} %"
                    + f", {gate} % are required" * low)
            for m in alive:
                run.say(f"  {m.path.name}:{m.number}: {m.kind}: {m.old}")
            with open(run.path("survivors"), "a") as out:
                out.writelines(m.row() + "\n" for m in alive)
            all_killed, survivors, bad = all_killed + killed, survivors + alive, bad + low
    run.say(f"{all_killed} killed, {len(survivors)} survived")
    return 1 if bad else 0
