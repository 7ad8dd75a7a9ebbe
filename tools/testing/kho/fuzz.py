#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs fuzzers that were built with libFuzzer, one after the other.

The name of a program is fuzz_TARGET.  Its first inputs are in INPUTS/TARGET, and inputs that
reach new code are kept in KEPT/TARGET.  Without a time, each fuzzer has a fixed number of runs
with a fixed seed, and nothing is kept.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 1500                 # without a time
DEADLINE = 300              # for these runs, in seconds
SHORT, LONG = 512, 16384    # longest input in bytes; LONG if the first inputs need it
CRASH = re.compile(r"^.*(?:BUG at |runtime error: |ERROR: (?:Address|Leak)Sanitizer"
                   r"|ERROR: libFuzzer).*$", re.M)


def command(args, program, name, kept):
    """The command that runs a fuzzer."""
    inputs = args.inputs / name
    long = any(path.stat().st_size > SHORT for path in inputs.glob("*"))
    limit = [f"-max_total_time={args.seconds}"] if args.seconds else [f"-runs={RUNS}", "-seed=1"]
    return [program, *limit, f"-max_len={LONG if long else SHORT}", "-timeout=10", "-verbosity=1",
            "-print_final_stats=1", f"-artifact_prefix={args.found}/{name}-", kept, inputs]


def fuzz(args, program, name):
    """Run a fuzzer; returns the reason if it failed, and the text of its log."""
    deadline = (args.seconds or DEADLINE) + 120
    log = args.found / f"fuzz-{name}.log"
    with tempfile.TemporaryDirectory() as passing, open(log, "w") as out:
        kept = args.kept / name if args.seconds else Path(passing)
        kept.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(command(args, program, name, kept), stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=out, timeout=deadline)
            why = "failed" if done.returncode else ""
        except subprocess.TimeoutExpired:
            why = f"not finished after {deadline} s"
    text = log.read_text(errors="replace")
    if why:
        last = (text.strip() or "nothing was printed").splitlines()[-1]
        crash = CRASH.search(text)
        why = crash[0].strip() if crash else f"{why}: {last}"
    return why, text


def report(args, program):
    """Run a fuzzer and print its result; returns whether it failed."""
    name = program.name.removeprefix("fuzz_")
    why, text = fuzz(args, program, name)
    if why:
        print(f"{name}: {why}\n  repeat: KHO_LOG=1 {program} {args.found}/{name}-*", flush=True)
        return True
    runs = re.findall(r"number_of_executed_units: (\d+)", text) or ["?"]
    edges = re.findall(r"cov: (\d+)", text) or ["?"]
    print(f"{name}: {runs[0]} runs, {edges[-1]} edges reached, nothing found", flush=True)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("program", nargs="+", type=Path, metavar="PROGRAM")
    add("-t", dest="seconds", type=int, default=0, metavar="SECONDS", help="time for each fuzzer")
    add("-i", dest="inputs", type=Path, required=True, metavar="INPUTS")
    add("-k", dest="kept", type=Path, required=True, metavar="KEPT")
    add("-o", dest="found", type=Path, required=True, metavar="FOUND",
        help="folder for logs and findings")
    args = parser.parse_args()
    # libFuzzer and the hint for a repetition need a path that is valid everywhere
    args.found = args.found.resolve()
    args.found.mkdir(parents=True, exist_ok=True)
    for program in args.program:
        if not program.exists():
            print(f"fuzz.py: no fuzzer {program}", file=sys.stderr)
            return 2
    failed = [report(args, program.resolve()) for program in args.program]
    return int(any(failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
