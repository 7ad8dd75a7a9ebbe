# SPDX-License-Identifier: GPL-2.0
"""Reads the console of a guest and the reports of its kernels, and finds what is wrong.

The console is for people, and is searched for splats (dev/splats).  The agent
(tools/testing/selftests/kho/handover.c) reports on a serial port of its own, with a KTAP document
for each kernel.  The reports are not read by the parser of KUnit, because the time of each line
is needed.
"""
import functools
import re
from dataclasses import dataclass, field

from dev.host import ROOT

POINT = re.compile(r"(not )?ok \d+ - (.*)")
DOING = re.compile(r"# \d+ (.*)")


@dataclass
class Line:
    at: float           # seconds since the guest was started
    text: str


class Tail:
    """Complete lines of a growing file, each with the time it was seen; calls hear() for each."""

    def __init__(self, path, hear=None):
        path.touch()
        self.hear = hear
        self.file = open(path, "rb")
        self.rest = b""
        self.lines = []

    def read(self, at):
        *done, self.rest = (self.rest + self.file.read()).split(b"\n")
        for text in done:
            self.add(at, text)

    def add(self, at, text):
        line = Line(at, text.decode(errors="replace").strip("\r"))
        self.lines.append(line)
        if self.hear:
            self.hear(line)

    def close(self, at):
        self.read(at)
        if self.rest:
            self.add(at, self.rest)
        self.file.close()


@dataclass
class Outcome:
    console: list
    results: list
    finished: bool      # False: the guest was still running at its deadline
    seconds: float


# ---- reports

@dataclass
class Point:
    """One step of a case, as the agent reported it."""
    ok: bool
    text: str
    reason: str
    begin: float
    end: float


@dataclass
class Hop:
    """What one kernel printed on the results port."""
    begin: float
    planned: int = 0
    points: list = field(default_factory=list)
    notes: list = field(default_factory=list)       # lines that are not test points
    doing: Line = None
    ended: str = ""                                 # "kexec", "end" or the reason to bail out

    def hear(self, line):
        """Read one line of the KTAP document."""
        point, doing = POINT.fullmatch(line.text), DOING.fullmatch(line.text)
        if line.text.startswith("1..") and line.text[3:].isdigit():
            self.planned = int(line.text[3:])
        elif point:
            reason = self.notes[-1].text if point[1] and self.notes else ""
            begin = self.doing.at if self.doing else line.at
            self.points.append(Point(not point[1], point[2], reason, begin, line.at))
            self.doing = None
        elif line.text.startswith("Bail out!"):
            self.ended = line.text
        elif doing:
            self.doing = Line(line.at, doing[1])
        elif line.text.startswith("# "):
            self.notes.append(Line(line.at, line.text[2:]))
            if line.text in ("# kexec", "# end"):
                self.ended = line.text[2:]


def hops(results):
    """The KTAP documents of all kernels of a guest."""
    found = []
    for line in results:
        if line.text == "KTAP version 1" or not found and line.text.startswith("Bail out!"):
            found.append(Hop(line.at))
        if found:
            found[-1].hear(line)
    return found


def failures(told):
    """The failed steps of all kernels, in their order."""
    return [f"kernel {n}: {point.text[:160]}: {point.reason}"
            for n, hop in enumerate(told, 1) for point in hop.points if not point.ok]


# ---- the console

@functools.lru_cache(None)
def splat_patterns():
    """The expressions of dev/splats: those of splats, and those of allowed lines."""
    lines = (ROOT / "dev/splats").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and line[0] != "#"]
    return ([re.compile(row[0]) for row in rows if row[0] != "allow"],
            [re.compile(row[1]) for row in rows if row[0] == "allow"])


def splats(texts, allowed=()):
    """The lines of a console that are splats and not allowed."""
    bad, fine = splat_patterns()
    fine = [*fine, *map(re.compile, allowed)]
    return [text for text in texts
            if any(p.search(text) for p in bad) and not any(p.search(text) for p in fine)]


# ---- the verdict

def stage(outcome):
    """The stage that a guest had reached when its output ended."""
    kernels = sum("Linux version " in line.text for line in outcome.console)
    told = hops(outcome.results)
    if not kernels:
        return "before the first kernel said anything"
    if len(told) < kernels:
        last = next((line.text for line in reversed(outcome.console) if line.text), "")
        return f"boot of kernel {kernels}, after: {last[:100]}"
    last = told[-1]
    if last.ended == "kexec":
        return f"kexec out of kernel {kernels}"
    if last.doing:
        return f"kernel {kernels}, in: {last.doing.text[:100]}"
    return f"kernel {kernels}, after {len(last.points)} of {last.planned} steps"


def problem(outcome, kernels, allowed=()):
    """The problem of a guest that should have run this number of kernels, or an empty text."""
    told = hops(outcome.results)
    bad = splats([line.text for line in outcome.console], allowed)
    parts = failures(told)[:1] + [f"on the console: {text.strip()}" for text in bad[:1]]
    if not outcome.finished:
        parts.append(f"still running after {outcome.seconds:.0f} s, stage: {stage(outcome)}")
    return "; ".join(parts) or incomplete(told, kernels, outcome)


def incomplete(told, kernels, outcome):
    """Why the reports are incomplete if no step failed and no splat was found, or an empty text."""
    for n, hop in enumerate(told, 1):
        if hop.ended.startswith("Bail out!"):
            return f"kernel {n}: {hop.ended}"
    if len(told) < kernels or told[-1].ended != "end":
        return f"ended without a verdict, stage: {stage(outcome)}"
    for n, hop in enumerate(told, 1):
        if n > kernels or not hop.planned or len(hop.points) != hop.planned:
            return f"kernel {n}: {len(hop.points)} steps reported, {hop.planned} planned"
    return ""
