# SPDX-License-Identifier: GPL-2.0
"""This machine: paths, running of commands, and how a verb ends.

Stop is the only way to end early.  Run is one execution of a verb: a folder for its logs,
and steps whose output is only shown if they fail.
"""
import contextlib
import difflib
import fcntl
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from kho_guest import end_group
from kho_report import Result, Skip, Stop  # noqa: F401 (modules import them from here)

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kho"
KEEP_RUNS = 30

FIRST_ERROR = re.compile(
    r"\berror:|\bError\b|\*\*\*|undefined reference|^E: |\bfatal:|No space left"
    r"|multiple definition|No rule to make|^(tar|xz|cp|dpkg-deb): |\bBUG at |ERROR: \w+Sanitizer")


class Failed(Stop):
    """A command of a step failed; has the reason in one line, and the log."""

    def __init__(self, title, why, log, repeat):
        super().__init__(f"{title} failed: {why}\n  log:    {log}\n  repeat: {repeat}", 1)
        self.why, self.log = why, log


def no_such(what, name, known, verb):
    """The exception for a name that is not one of the known ones."""
    near = difflib.get_close_matches(name, known, 1, 0)
    return Stop(f"no {what} '{name}'; nearest: {near[0]}.  './kho {verb} --help' lists them")


def need_space(where, mib, what):
    """Stop unless the file system of `where` has enough space; `where` may not exist yet."""
    there = next(place for place in (where, *where.parents) if place.exists())
    free = shutil.disk_usage(there).free >> 20
    if free < mib:
        raise Stop(f"{what} needs {mib} MiB in {where}, and {free} MiB are free: "
                   "free some space and try again")


def lock(path, waiting):
    """Take the lock file; the lock lasts as long as the returned file is open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{waiting}; waiting", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def spell(seconds):
    """Seconds as a text for people."""
    seconds = int(seconds)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"


def first_error(log):
    """The line of a log to show: the first error, or else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    lines = lines or ["(the command printed nothing)"]
    return next(filter(FIRST_ERROR.search, lines), lines[-1])


class Run:
    """One execution of a verb, with its directory out/runs/<time>-<verb>."""

    def __init__(self, verb):
        self.verb = verb
        self.dir = OUT / "runs" / f"{datetime.now():%Y%m%d-%H%M%S.%f}-{verb}"
        self.dir.mkdir(parents=True)
        last = self.dir.with_name("last")
        last.unlink(missing_ok=True)
        last.symlink_to(self.dir.name)
        for old in sorted(d for d in self.dir.parent.iterdir() if not d.is_symlink())[:-KEEP_RUNS]:
            shutil.rmtree(old, ignore_errors=True)

    def path(self, name):
        """A file of this run."""
        return self.dir / name

    def say(self, text=""):
        """Print for the user, and keep it with the logs."""
        print(text, flush=True)
        with open(self.path("summary.txt"), "a") as out:
            out.write(text + "\n")

    def step(self, title, argv, repeat=None, **more):
        """Run a command as attempt() does; returns its log, or raises Failed.

        repeat is the command to show for a repetition, if it is not argv.
        """
        log, why = self.attempt(title, argv, **more)
        if why:
            raise Failed(title, why, log, repeat or shlex.join(map(str, argv)))
        return log

    def attempt(self, title, argv, log=None, deadline=None, quiet=False, **more):
        """Run a command; returns its log, and the reason if it failed, else an empty text.

        A quiet step does not print its title either.
        """
        log = self.path(log or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".log")
        begin = time.monotonic()
        start = "\r" if sys.stdout.isatty() else ""

        def show(mark="", end=""):
            if not quiet and (start or end):
                took = spell(time.monotonic() - begin)
                print(f"{start}{title} … {took}{mark}", end=end, flush=True)

        with open(log, "ab") as out:
            try:
                code = run_child(argv, deadline, show, stdout=out, stderr=out, **more)
            except OSError as e:
                raise Stop(f"{title}: cannot start {argv[0]}: {e.strerror}") from None
        show("" if code == 0 else "  FAILED", "\n")
        if code is None:
            return log, f"not finished after {spell(deadline)}"
        return log, first_error(log) if code else ""

    def follow(self, argv, **more):
        """Run a command whose output is for the user; returns its exit status."""
        summary = self.path("summary.txt")
        with open(summary, "a") as out, open(summary) as lines:
            lines.seek(0, os.SEEK_END)

            def show():
                print(lines.read(), end="", flush=True)

            code = run_child(argv, tick=show, stdout=out, stderr=out, **more)
            show()
        return code


def verdict(run, done):
    """Print the failures of {verb: [Result]}, and how to repeat them; returns the exit status."""
    total = [r for results in done.values() for r in results]
    bad, skipped = sum(not r.ok for r in total), sum(bool(r.skipped) for r in total)
    for name, results in done.items():
        failed = [r for r in results if not r.ok]
        for r in failed:
            run.say(f"FAILED {name} {r.name}: {r.why}")
        if failed:
            names = [r.name for r in failed] if name.startswith("kexec") else []
            run.say(f"  repeat: ./kho {' '.join([name] + names)}")
    if bad:
        run.say(f"  logs:   {run.dir}")
    if not total:
        raise Stop("nothing was run", 1)
    skips = f", {skipped} skipped" if skipped else ""
    run.say(f"{len(total) - bad - skipped} passed, {bad} failed{skips}")
    return 1 if bad else 0


# ---- child processes

def run_child(argv, deadline=None, tick=lambda: None, env=None, **more):
    """Exit status of a command; None if it was killed at its deadline.

    env holds additions to the environment.  tick() is called every second.
    """
    child = subprocess.Popen([str(word) for word in argv], env={**os.environ, **(env or {})},
                             stdin=subprocess.DEVNULL, start_new_session=True, **more)
    end = time.monotonic() + (deadline or math.inf)
    try:
        while (left := end - time.monotonic()) > 0:
            tick()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(min(left, 1))
        return None
    finally:
        end_group(child)


def output(argv, cwd=None):
    """Standard output of a small command; empty when it fails or does not exist."""
    try:
        return subprocess.run([str(word) for word in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              text=True, errors="replace").stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
