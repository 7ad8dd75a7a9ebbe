#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mutation tests: one line of a source is changed, and the unit tests have to fail.

For each mutant, one object is compiled, linked with the others and run with pages of 4 KiB.
A mutant that survives shows a line whose effect is not tested.  The file 'mutants' lists mutants
that cannot have an effect; they are not run.
"""
import argparse
import difflib
import os
import queue
import random
import re
import shlex
import subprocess
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[2]
LISTED = HERE / "mutants"
# the core is built without files in debugfs
NOT_BUILT = {"kho_debugfs_blob.c"}
SOURCES = ("kernel/liveupdate/luo_*.c", "mm/memfd_luo*.c", "kernel/liveupdate/kho_*.c",
           "mm/memblock_kho.c")
GATE = {True: 90, False: 95}        # percent to be killed, in LUO and in other sources
# all other suites boot with live update off
LUO_SUITES = ("*luo*", "*memfd*", "*timeline*", "unit-corpus")
# the suites that are most likely to kill a mutant, if no suite has the name of the source
NEAR = {"init": "boot", "state": "boot"}
BUILD_DEADLINE = 60
UNCHANGED_DEADLINE = 300
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


def stop(why, status=1):
    """End the script: 1 = something failed, 2 = bad input."""
    print(f"mutate.py: {why}", file=sys.stderr)
    sys.exit(status)


# ---- mutants of a source

def sources():
    """{name: source} of all sources to mutate."""
    return {path.name: path for pattern in SOURCES for path in sorted(TREE.glob(pattern))
            if path.name not in NOT_BUILT}


def row(m):
    """A mutant as in the list, with the text of the line, because line numbers change."""
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
    """Two tuples of patterns of suites; the first suites are few, and kill most mutants."""
    name = re.sub(r"^kho_|_kho$|(?<=memfd)_luo.*", "", path.stem)
    near = f"*{NEAR.get(name, name).replace('_', '-')}*"
    return (near,), LUO_SUITES if "luo" in path.name else ("*",)


# ---- the list of mutants without an effect

def listed():
    """The rows of the list, each with a reason."""
    rows = [line.partition("  # ") for line in LISTED.read_text().splitlines()
            if line and line[0] != "#"]
    for text, _, why in rows:
        if not why:
            stop(f"{LISTED.name}: no reason: {text}")
    return {text for text, _, _ in rows}


def check():
    """Stop if a row of the list is not a mutant of the sources as they are."""
    stale = listed() - {row(m) for path in sources().values() for m in mutants(path)}
    if stale:
        stop(f"{LISTED.name}: not a mutant of the sources: {min(stale)}")


# ---- running

class Bench:
    """Compiles, links and runs mutants, several at a time, each in a folder of its own."""

    def __init__(self, build, jobs):
        self.limit, self.folders = {}, queue.Queue()
        # A relative path, for compiler caches: see the Makefile.
        self.make = ["make", "-C", HERE, f"O={os.path.relpath(build, HERE)}", "SHIFTS=12",
                     "COVERAGE="]
        begin = time.monotonic()
        print("building what is mutated … ", end="", flush=True)
        made = subprocess.run([*self.make, f"-j{jobs}"], capture_output=True, text=True)
        if made.returncode:
            print("FAILED", flush=True)
            stop(f"the unit tests cannot be built\n{made.stderr.strip()}")
        print(f"{time.monotonic() - begin:.0f} s", flush=True)
        for n in range(jobs):
            (build / f"mutant-{n}/kernel").mkdir(parents=True, exist_ok=True)
            self.folders.put(build / f"mutant-{n}")

        self.learn()

    def learn(self):
        """Let make print the commands that compile a source, and the one that links."""
        changed = [word for path in sources().values() for word in ("-W", str(path))]
        text = subprocess.check_output([*self.make, "-n", *changed], text=True)
        lines = [shlex.split(line) for line in text.splitlines() if " -o " in line]
        self.compile = {Path(argv[-1]).name: argv for argv in lines if "-c" in argv}
        self.link = next(argv for argv in lines if "-c" not in argv)

    def good(self, argv, deadline=BUILD_DEADLINE):
        """Whether a command succeeds in time."""
        env = {**os.environ, "KHO_STOP": "1", "CCACHE_DISABLE": "1"}
        try:
            return subprocess.run(argv, timeout=deadline, cwd=HERE, env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def measure(self, suites):
        """Run the unchanged program, which has to pass, to get the usual duration."""
        if suites in self.limit:
            return
        begin = time.monotonic()
        program = HERE / self.link[self.link.index("-o") + 1]
        if not self.good([program, *suites], UNCHANGED_DEADLINE):
            stop("the unit tests fail, so mutants tell nothing: run 'make check'")
        self.limit[suites] = max(DEADLINE, 4 * (time.monotonic() - begin))

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
            # a mutant that hangs mostly does so in the first suites, which have a short deadline
            return not all(self.good([program, *suites], self.limit[suites])
                           for suites in suites_for(m.path))
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


def mutate(bench, files, harmless, sample, survivors):
    """Run the mutants of the sources; returns whether too few of a source were killed."""
    for suites in (suites for path in files for suites in suites_for(path)):
        bench.measure(suites)
    totals, low = [0, 0], False
    survivors.write_text("")
    pool = ThreadPoolExecutor(bench.folders.qsize())
    try:
        for path in files:
            todo = [m for m in mutants(path) if row(m) not in harmless]
            if sample and sample < len(todo):
                todo = random.Random(path.name).sample(todo, sample)
                todo.sort(key=lambda m: m.number)
            killed, alive = bench.try_file(pool, todo)
            low |= tell(path, killed, alive, survivors) or bool(todo) and not killed
            totals = [totals[0] + killed, totals[1] + len(alive)]
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{totals[0]} killed, {totals[1]} survived", flush=True)
    return low


def tell(path, killed, alive, survivors):
    """Print the result for the mutants of a source; returns whether too few were killed."""
    total, gate = killed + len(alive), GATE["luo" in path.name]
    low = 100 * killed < gate * total
    print(f"{path.name}: {killed} of {total} killed, {100 * killed / max(1, total):.1f} %"
          + f", {gate} % are required" * low)
    for m in alive:
        print(f"  {m.path.name}:{m.number}: {m.kind}: {m.old}")
    sys.stdout.flush()
    with open(survivors, "a") as out:
        out.writelines(row(m) + "\n" for m in alive)
    return low


# ---- the command line

def parse():
    keep = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep)
    add = parser.add_argument
    add("file", nargs="*", metavar="FILE", help="sources to mutate (default: all)")
    add("-j", dest="jobs", type=int, default=os.cpu_count(), metavar="N",
        help="number of mutants to run at a time (default: number of CPUs)")
    add("--sample", type=int, metavar="N",
        help="only N mutants of each source, the same in each run")
    add("-b", dest="build", type=Path, default=HERE / "build/mutate", metavar="DIR",
        help="folder for objects (default: build/mutate beside this script)")
    add("-o", dest="survivors", type=Path, metavar="FILE",
        help="write survivors to this file, as rows of the list (default: DIR/survivors)")
    add("--check", action="store_true", help="only check the list of mutants without an effect")
    return parser.parse_args()


def main():
    args, known, harmless = parse(), sources(), listed()
    if args.check:
        return check()
    names = [Path(name).name for name in args.file]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0)[0]
            stop(f"no source '{name}'; nearest: {near}", 2)
    build = args.build.resolve()
    bench = Bench(build, args.jobs)
    files = [path for path in known.values() if not names or path.name in names]
    return mutate(bench, files, harmless, args.sample, args.survivors or build / "survivors")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
