# SPDX-License-Identifier: GPL-2.0
"""The agent: the program of guests, in tools/testing/selftests/kho, which lists the kexec cases."""
import os
import subprocess

import kho_case

from dev import tools, tree
from dev.host import OUT, ROOT

DIR = ROOT / "tools/testing/selftests/kho"


def compile_words(arch, laid, program, *sources):
    """The command that compiles a program of guests."""
    return [f"{tools.prefix(arch)}gcc", "-static", "-O2", "-Wall",
            "-idirafter", laid / "include/uapi", "-o", program, *sources]


def agent(arch, laid, run=None):
    """The agent for an architecture, with the headers of a tree; compiled if a source changes."""
    program = OUT / f"handover-{arch}-{laid.name}"
    # the programs of virtual machines are not among its sources
    sources = sorted(path for path in DIR.glob("*.c") if not path.name.startswith("vm_"))
    watched = [*sources, *DIR.glob("*.h"), laid / "include/uapi/linux/liveupdate.h"]
    newest = max(path.stat().st_mtime_ns for path in watched)
    if not program.exists() or program.stat().st_mtime_ns != newest:
        fresh = program.with_suffix(".new")     # an interrupted compiler leaves a part of it
        words = compile_words(arch, laid, fresh, *sources)
        if run:
            run.step(f"building the guest's program handover-{arch}", words)
        else:
            subprocess.run(words, capture_output=True)      # the next run shows the error
        if fresh.exists():
            os.utime(fresh, ns=(newest, newest))
            fresh.rename(program)
    return program


def cases(run=None, series=None):
    """All cases; without a run those of a tree that exists, or else none."""
    laid = tree.lay(run, series).dir if run else tree.place_of(series)[0]
    program = agent(tools.HOST, laid, run) if laid.exists() else laid
    return kho_case.listed(program) if program.is_file() else []
