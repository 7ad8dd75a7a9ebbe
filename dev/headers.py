# SPDX-License-Identifier: GPL-2.0
"""Compiles each of our headers alone, included twice, with and without Kexec Handover.

The options of the compiler are those of a file of the kernel that was built (LIKE).
"""
import re
import shlex
import subprocess

from dev import manifest
from dev.host import Result

LIKE = "kernel/liveupdate/.kexec_handover.o.cmd"
VARIANTS = {"": "",
            " without KHO": "#undef CONFIG_KEXEC_HANDOVER\n#undef CONFIG_LIVEUPDATE\n"}


def check(run, kernel):
    """[Result] of all our headers in include/linux/."""
    overlay = manifest.Sources(kernel.base).overlay()
    headers = [path for path in overlay if path.startswith("include/linux/")]
    bad = alone(run, kernel.dir, headers)
    count = len(headers) * len(VARIANTS)
    run.say(f"{count - len(bad)} of {count} headers compile alone")
    return bad + [Result("headers", True)] * (count - len(bad))


def alone(run, build, headers, log="headers.log"):
    """[Result] of the headers that do not compile alone with the options of this build."""
    recorded = re.search(r":= (.*?) -c ", (build / LIKE).read_text())[1]
    words = shlex.split(re.sub(r"-Wp,-MMD,\S+", "", recorded))
    bad, source = [], run.path("header.c")
    for name in sorted(header.removeprefix("include/") for header in headers):
        for variant, before in VARIANTS.items():
            source.write_text(f"{before}#include <{name}>\n#include <{name}>\n")
            done = subprocess.run([*words, "-fsyntax-only", source], cwd=build, text=True,
                                  stderr=subprocess.PIPE, check=False)
            if done.stderr:
                lines = done.stderr.splitlines()
                said = [line for line in lines if "error:" in line or "warning:" in line]
                bad.append(Result(name + variant, False, (said or lines)[0]))
                run.path(log).open("a").write(done.stderr)
    return bad
