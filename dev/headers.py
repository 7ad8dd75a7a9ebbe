# SPDX-License-Identifier: GPL-2.0
"""Compiles each of our headers alone: included twice, with and without Kexec Handover.

The compiler is called as it was for a file of the built kernel.
"""
import shlex
import subprocess

from dev import manifest
from dev.host import Result

LIKE = "kernel/liveupdate/kho_radix"
VARIANTS = {"": "", " without KHO": "#undef CONFIG_KEXEC_HANDOVER\n#undef CONFIG_LIVEUPDATE\n"}


def compiler(kernel):
    """The words that compiled LIKE, up to its output."""
    command = kernel.dir / f"{LIKE.rpartition('/')[0]}/.{LIKE.rpartition('/')[2]}.o.cmd"
    first = command.read_text().splitlines()[0].partition(":=")[2].partition(";")[0]
    words = shlex.split(first)
    return [w for w in words[:words.index("-c")] if not w.startswith("-Wp,-MMD")]


def check(run, kernel):
    """[Result] of all headers of the overlay below include/."""
    words = compiler(kernel)
    headers = sorted(path for path in manifest.overlay() if path.startswith("include/linux/"))
    bad, count = [], 0
    for header in headers:
        name = header[len("include/"):]
        for variant, before in VARIANTS.items():
            source = run.path("header.c")
            source.write_text(f"{before}#include <{name}>\n#include <{name}>\n")
            count += 1
            done = subprocess.run(words + ["-fsyntax-only", str(source)], cwd=kernel.dir, text=True,
                                  stderr=subprocess.PIPE, check=False)
            if done.stderr:
                bad.append(Result(name + variant, False, done.stderr.splitlines()[-1]))
                run.path("headers.log").open("a").write(done.stderr)
    run.say(f"{count - len(bad)} of {count} headers compile alone")
    return bad + [Result("headers", True)] * (count - len(bad))
