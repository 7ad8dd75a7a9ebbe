# SPDX-License-Identifier: GPL-2.0
"""Tables of kexec cases: handovers between two kernels, and handovers with a damaged field."""
import re

from kho_guest import OURS


def columns(lines):
    """Rows of cells as a text, each column as wide as its widest cell; empty if only a head."""
    if len(lines) == 1:
        return ""
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)


def compat(cases, results):
    """Handovers between two kernels that differ; a row is a case."""
    seen = {result.name: "ok" if result.ok else "FAILED" for result in results}
    lines = [("handover", "kernels", "must happen", "verdict")]
    lines += [(case.name.removeprefix("compat-"), ", ".join(case.kernels) or OURS,
               case.sentence, seen[case.name])
              for case in cases if case.name.startswith("compat-")]
    return columns(lines)


def hostile(cases, place, results):
    """Handovers with a damaged field; a case has many rows; its log is in place(case)."""
    lines = [("field", "line in the log", "must happen", "verdict")]
    good = {result.name: result.ok for result in results}
    for case in cases:
        if case.rows:
            found, last = verdicts(place(case), [name for name, _, _ in case.rows])
            if not good[case.name] and "FAILED" not in found.values():
                found[last] = "FAILED"
            lines += [(name, log or "-", must, found[name]) for name, log, must in case.rows]
    return columns(lines)


def verdicts(where, rows):
    """{row: verdict}, and the last row that was begun, which is the culprit if the guest crashed.

    The program prints the name of a row before it does the damage, and before it checks the result.
    """
    text = (where / "results.log").read_text(errors="replace")
    seen = []
    for bad, row in re.findall(r"^(not )?ok \d+ - (?:row (.*))?", text, re.M):
        if row:
            seen.append([row, True])
        elif seen and bad:
            seen[-1][1] = False
    found = {}
    for row in rows:
        fine = [good for name, good in seen if name == row]
        found[row] = "FAILED" if False in fine else "ok" if len(fine) == 2 else "not run"
    return found, seen[-1][0] if seen else ""
