# SPDX-License-Identifier: GPL-2.0
"""Reads the output of a guest that has run a kexec case, and judges it.

The console is for people, and is searched for splats; the file 'splats' has their expressions.
The handover program reports on a serial port of its own, with a KTAP document for each kernel.
The parser of KUnit does not read the reports, because it does not say at which step a guest hangs.
"""
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

SPLATS = Path(__file__).resolve().parent / "splats"
POINT = re.compile(r"(not )?ok \d+ - (.*)")
DOING = re.compile(r"# \d+ (.*)")


class Stop(Exception):
    """Ends a script: 1 = something failed, 2 = bad input or environment."""

    def __init__(self, message, status=2):
        super().__init__(message)
        self.status = status


class Skip(Stop):
    """A test is skipped, because something that it needs is not available."""


@dataclass
class Result:
    """The result of one test."""
    name: str
    ok: bool
    why: str = ""
    seconds: float = 0
    skipped: str = ""       # why it was not tested


@dataclass
class Line:
    at: float           # seconds since the guest was started
    text: str


@dataclass
class Outcome:
    console: list
    results: list
    finished: bool      # False: the guest was still running at its deadline
    seconds: float


# ---- reports

@dataclass
class Point:
    """One step of a case, as the program reported it."""
    ok: bool
    text: str
    reason: str


@dataclass
class Hop:
    """What one kernel printed on the results port."""
    planned: int = 0
    points: list = field(default_factory=list)
    notes: list = field(default_factory=list)       # texts of lines that are not test points
    doing: str = ""
    ended: str = ""                                 # "kexec", "end" or the reason to bail out

    def hear(self, text):
        """Read one line of the KTAP document."""
        point, doing = POINT.fullmatch(text), DOING.fullmatch(text)
        if text.startswith("1..") and text[3:].isdigit():
            self.planned = int(text[3:])
        elif point:
            reason = self.notes[-1] if point[1] and self.notes else ""
            self.points.append(Point(not point[1], point[2], reason))
            self.doing = ""
        elif text.startswith("Bail out!"):
            self.ended = text
        elif doing:
            self.doing = doing[1]
        elif text.startswith("# "):
            self.notes.append(text[2:])
            if text in ("# kexec", "# end"):
                self.ended = text[2:]


def hops(texts):
    """The KTAP documents of all kernels of a guest, from the lines of its results port."""
    found = []
    for text in texts:
        if text == "KTAP version 1" or not found and text.startswith("Bail out!"):
            found.append(Hop())
        if found:
            found[-1].hear(text)
    return found


def failures(told):
    """The failed steps of all kernels, in their order."""
    return [f"kernel {n}: {point.text[:160]}: {point.reason}"
            for n, hop in enumerate(told, 1) for point in hop.points if not point.ok]


# ---- the console

@functools.lru_cache(None)
def splat_patterns():
    """The expressions of the file: those of splats, and those of allowed lines."""
    rows = [line.split("\t") for line in SPLATS.read_text().splitlines()
            if line and line[0] != "#"]
    return ([re.compile(row[0]) for row in rows if row[0] != "allow"],
            [re.compile(row[1]) for row in rows if row[0] == "allow"])


def splats(texts, allowed=()):
    """The lines of a console that are splats and not allowed."""
    bad, fine = splat_patterns()
    fine = [*fine, *map(re.compile, allowed)]
    return [text for text in texts
            if any(p.search(text) for p in bad) and not any(p.search(text) for p in fine)]


# ---- the verdict

def reports(outcome):
    """The KTAP documents of a guest."""
    return hops(line.text for line in outcome.results)


def stage(outcome):
    """The stage that a guest had reached when its output ended."""
    kernels = sum("Linux version " in line.text for line in outcome.console)
    told = reports(outcome)
    if not kernels:
        return "before the first kernel said anything"
    if len(told) < kernels:
        last = next((line.text for line in reversed(outcome.console) if line.text), "")
        return f"boot of kernel {kernels}, after: {last[:100]}"
    last = told[-1]
    if last.ended == "kexec":
        return f"kexec out of kernel {kernels}"
    if last.doing:
        return f"kernel {kernels}, in: {last.doing[:100]}"
    return f"kernel {kernels}, after {len(last.points)} of {last.planned} steps"


def problem(outcome, kernels, allowed=()):
    """The problem of a guest that should have run this number of kernels, or an empty text."""
    told = reports(outcome)
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
