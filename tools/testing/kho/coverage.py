#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the share of lines that the unit tests reach, for each source; needs gcov.

    coverage.py BUILD SOURCE...

BUILD is the folder where the programs were built and run.  The counts of all page sizes are
added.  Fails if the share of a source is below the limit; a source without counts has 0 %.
"""
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

COVERED = 95            # percent of the lines of a source that must be reached


def counts(build, names):
    """{source: {line: number of executions}}"""
    found = {name: Counter() for name in names}
    for program in build.glob("*/kho_unit"):
        data = sorted((program.parent / "kernel").resolve().glob("*.gcda"))
        if not data:
            continue
        text = subprocess.check_output(["gcov", "--json-format", "--stdout", *data], text=True,
                                       cwd=program.parent)
        for source in (file for one in text.splitlines() for file in json.loads(one)["files"]):
            lines = found.get(Path(source["file"]).name, Counter())
            lines.update({row["line_number"]: row["count"] for row in source["lines"]})
    return found


def main():
    build, *names = sys.argv[1:]
    found = counts(Path(build), names)
    if not any(found.values()):
        print(f"coverage.py: {build}: no counts, run 'make check' first", file=sys.stderr)
        return 2
    low = False
    for name, lines in sorted(found.items()):
        percent = 100 * sum(map(bool, lines.values())) / max(1, len(lines))
        short = percent < COVERED
        print(f"{name}: {percent:.1f} % of {len(lines)} lines"
              + f" are reached, {COVERED} % are required" * short)
        low |= short
    return int(low)


if __name__ == "__main__":
    sys.exit(main())
