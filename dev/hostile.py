# SPDX-License-Identifier: GPL-2.0
"""The table of hostile handovers: a damaged field, and the expected result.

The rows are in the cases of tools/testing/selftests/kho/cases_hostile*.c; the agent reports
the name of a row when it does the damage, and when it looks at the result.
"""
from dev import guest
from dev.host import columns


def marks(results):
    """[(row, all fine)] of the reports of one guest, in their order."""
    seen = []
    for hop in guest.hops(results):
        for point in hop.points:
            if point.text.startswith("row "):
                seen.append([point.text[4:], True])
            elif seen and not point.ok:
                seen[-1][1] = False
    return seen


def verdicts(where, rows):
    """{row: verdict}.  Each is seen twice; the last one that was begun is to blame when a guest broke."""
    lines = [guest.Line(0, text) for text in (where / "results.log").read_text(errors="replace").splitlines()]
    seen = marks(lines)
    found = {}
    for r in rows:
        fine = [good for name, good in seen if name == r]
        found[r] = "FAILED" if False in fine else "ok" if len(fine) == 2 else "not run"
    return found, seen[-1][0] if seen else ""


def table(cases, place, results):
    """As people read it; place(case) is the folder of a case."""
    lines = [("field", "line in the log", "must happen", "verdict")]
    by_name = {result.name: result for result in results}
    for case in cases:
        if not case.rows:
            continue
        found, last = verdicts(place(case), [name for name, _, _ in case.rows])
        if not by_name[case.name].ok and "FAILED" not in found.values():
            found[last] = "FAILED"
        lines += [(name, log or "-", must, found[name]) for name, log, must in case.rows]
    return columns(lines)
