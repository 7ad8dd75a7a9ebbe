# SPDX-License-Identifier: GPL-2.0
"""Compiles each of our headers alone: included twice, with and without Kexec Handover.

The compiler is called as it was for a file of the built kernel.
"""
import shlex
import subprocess

from dev import manifest
from dev.host import Result

LIKE = "kernel/liveupdate/kexec_handover"
VARIANTS = {"": "", " without KHO": "#undef CONFIG_KEXEC_HANDOVER\n#undef CONFIG_LIVEUPDATE\n"}


def compiler(build):
    """The words that compiled LIKE, up to its output."""
    command = build / f"{LIKE.rpartition('/')[0]}/.{LIKE.rpartition('/')[2]}.o.cmd"
    first = command.read_text().splitlines()[0].partition(":=")[2].partition(";")[0]
    words = shlex.split(first)
    return [w for w in words[:words.index("-c")] if not w.startswith("-Wp,-MMD")]


def check(run, kernel):
    """[Result] of all headers of the overlay below include/."""
    headers = [path for path in manifest.Sources(kernel.base).overlay() if path.startswith("include/linux/")]
    bad = alone(run, kernel.dir, headers)
    count = len(headers) * len(VARIANTS)
    run.say(f"{count - len(bad)} of {count} headers compile alone")
    return bad + [Result("headers", True)] * (count - len(bad))


def alone(run, build, headers, log="headers.log"):
    """[Result] of those of the headers that do not compile alone, as in this build."""
    words, bad = compiler(build), []
    for header in sorted(headers):
        name = header[len("include/"):]
        for variant, before in VARIANTS.items():
            source = run.path("header.c")
            source.write_text(f"{before}#include <{name}>\n#include <{name}>\n")
            done = subprocess.run(words + ["-fsyntax-only", str(source)], cwd=build, text=True,
                                  stderr=subprocess.PIPE, check=False)
            if done.stderr:
                lines = done.stderr.splitlines()
                said = [line for line in lines if "error:" in line or "warning:" in line]
                bad.append(Result(name + variant, False, (said or lines)[0]))
                run.path(log).open("a").write(done.stderr)
    return bad
