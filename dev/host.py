# SPDX-License-Identifier: GPL-2.0
"""This machine: where things are, how a command is run, how a verb ends.

Stop is the one way to end early.  Run is one execution of a verb: a directory
for its logs, and steps that stay quiet unless they fail.
"""
import difflib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kho"
KEEP_RUNS = 30

FIRST_ERROR = re.compile(
    r"\berror:|\bError\b|\*\*\*|undefined reference|^E: |\bfatal:|No space left"
    r"|multiple definition|No rule to make|^(tar|xz|cp|dpkg-deb): ")


class Stop(Exception):
    """Ends the verb: 1 = something failed, 2 = bad input or environment."""

    def __init__(self, message, status=2):
        super().__init__(message)
        self.status = status


class Failed(Stop):
    """A command of a step failed: why in one line, and the log to read."""

    def __init__(self, message, why, log):
        super().__init__(message, 1)
        self.why, self.log = why, log


def no_such(what, name, known, verb):
    """To be raised for a name that is not among those known."""
    near = difflib.get_close_matches(name, known, 1, 0)
    return Stop(f"no {what} '{name}'; nearest: {near[0]}.  './kho {verb} --help' lists them")


@dataclass
class Result:
    """One thing tested."""
    name: str
    ok: bool
    why: str = ""
    seconds: float = 0
    skipped: str = ""       # why it was not tested


def need_space(where, mib, what):
    """Stop unless the file system of `where` has enough space; `where` may not exist yet."""
    probe = Path(where)
    while not probe.exists():
        probe = probe.parent
    free = shutil.disk_usage(probe).free >> 20
    if free < mib:
        raise Stop(f"{what} needs {mib} MiB in {where}, and {free} MiB are free: "
                   "free some space and try again")


def lock(path, waiting):
    """Take the lock file; the lock lasts as long as the returned file is open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        owner = handle.read().strip() or "another process"
        print(f"{waiting} ({owner}); waiting", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    handle.truncate(0)
    handle.write(f"process {os.getpid()}\n")
    handle.flush()
    return handle


def write_if_changed(path, data, executable=False):
    """Replace the file as a whole, and only when something differs; say if it did."""
    mode = 0o755 if executable else 0o644
    try:
        same = (not path.is_symlink() and path.read_bytes() == data
                and bool(path.stat().st_mode & 0o100) == executable)
    except (FileNotFoundError, NotADirectoryError):
        same = False
    if same:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".kho-new")
    fresh.write_bytes(data)
    fresh.chmod(mode)
    fresh.replace(path)
    return True


def columns(lines):
    """Rows of cells as a text, each column as wide as its widest cell."""
    wide = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(line, wide)).rstrip() for line in lines)


def spell(seconds):
    """Seconds the way people read them."""
    seconds = int(seconds)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"


def first_error(log):
    """The line of a log that tells most: the first error, else the last line."""
    last = ""
    for line in Path(log).read_text(errors="replace").splitlines():
        if FIRST_ERROR.search(line):
            return line.strip()
        last = line.strip() or last
    return last or "(the command printed nothing)"


class Run:
    """One execution of a verb, with its directory out/runs/<time>-<verb>."""

    def __init__(self, verb):
        self.verb = verb
        runs = OUT / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.dir = runs / f"{stamp}-{verb}"
        for n in range(2, 100):
            try:
                self.dir.mkdir()
                break
            except FileExistsError:
                self.dir = runs / f"{stamp}.{n}-{verb}"
        self._point_last(runs)

    def _point_last(self, runs):
        fresh = runs / f".last-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.dir.name)
        fresh.replace(runs / "last")
        old = sorted(d for d in runs.iterdir() if d.is_dir() and not d.is_symlink())
        for d in old[:-KEEP_RUNS]:
            shutil.rmtree(d, ignore_errors=True)

    def path(self, name):
        """A file of this run."""
        return self.dir / name

    def say(self, text=""):
        """Print for the user, and keep it with the logs."""
        print(text, flush=True)
        with open(self.path("summary.txt"), "a") as out:
            out.write(text + "\n")

    def quiet(self, title, argv, **more):
        """A step that prints nothing unless it fails."""
        return self.step(title, argv, quiet=True, **more)

    def step(self, title, argv, log=None, cwd=None, env=None, deadline=None, repeat=None, quiet=False):
        """Run a command quietly and return its log; Stop with the reason when it fails.

        env holds additions to the environment.  repeat is the command to show for
        doing this step again; by default it is made from the other arguments.
        """
        argv = [str(a) for a in argv]
        log = self.path(log or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".log")
        begin = time.monotonic()
        with open(log, "ab") as out:
            try:
                child = subprocess.Popen(
                    argv, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as e:
                raise Stop(f"{title}: cannot start {argv[0]}: {e.strerror}") from None
            code = self._watch(child, title, begin, deadline, quiet)
        if not quiet:
            self._line(title, begin, "" if code == 0 else "  FAILED", end="\n")
        if code == 0:
            return log
        why = f"not finished after {spell(deadline)}" if code is None else first_error(log)
        repeat = repeat or spell_command(argv, cwd, env)
        raise Failed(f"{title} failed: {why}\n  log:    {log}\n  repeat: {repeat}",
                     why, log)

    def _watch(self, child, title, begin, deadline, quiet):
        """Exit status of the child, None when its time is over."""
        live = sys.stdout.isatty() and not quiet
        try:
            while True:
                if live:
                    self._line(title, begin, "")
                try:
                    return child.wait(1)
                except subprocess.TimeoutExpired:
                    if deadline and time.monotonic() - begin > deadline:
                        return None
        finally:
            if child.poll() is None:
                end_group(child)

    @staticmethod
    def _line(title, begin, verdict, end=""):
        start = "\r" if sys.stdout.isatty() else ""
        print(f"{start}{title} … {spell(time.monotonic() - begin)}{verdict}", end=end, flush=True)


def verdict(run, done):
    """Say what failed and how to repeat it; the closing line; the exit status."""
    total = [r for _, results in done for r in results]
    bad, skipped = sum(not r.ok for r in total), sum(bool(r.skipped) for r in total)
    for name, results in done:
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
    run.say(f"{len(total) - bad - skipped} passed, {bad} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if bad else 0


def end_group(child):
    """End a child started in a session of its own, and everything it started."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sig)
            child.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    child.wait()


def spell_command(argv, cwd, env):
    """A command as it can be pasted into a shell."""
    words = [f"{k}={shlex.quote(str(v))}" for k, v in (env or {}).items()]
    words += [shlex.quote(a) for a in argv]
    return (f"cd {shlex.quote(str(cwd))} && " if cwd else "") + " ".join(words)


def output(argv, cwd=None):
    """Standard output of a small command; None when it fails or does not exist."""
    try:
        done = subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
