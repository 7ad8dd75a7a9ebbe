# SPDX-License-Identifier: GPL-2.0
"""./kho base-tests: the selftests of the base for Kexec Handover and live update.

Their scripts are run unchanged, in the tree with our sources: they configure and build kernels
of their own, and start QEMU.  The first folder of their $PATH has ccache under the names of the
compilers.
"""
import re

from dev import tools, tree, unit
from dev.host import OUT, Failed, Result

FOLDER = "tools/testing/selftests"
CCACHE = "/usr/lib/ccache"
DEADLINE = 3600
REPEAT = "./kho base-tests"
ROW = re.compile(r"-> (\S+) +(\S+) +\.\.\. .*?(PASS|SKIP|FAIL)")


def kho(run, laid, arch, path):
    """[Result] of the test of Kexec Handover on one architecture."""
    name = f"selftests/kho/vmtest.sh ({arch})"
    log, why = run.attempt(name, [laid.dir / FOLDER / "kho/vmtest.sh", "-t", tools.MACHINE[arch],
                                  "-d", OUT / f"build/{arch}-base-kho"],
                           log=f"base-kho-{arch}.log", deadline=DEADLINE,
                           env={"PATH": path, "CROSS_COMPILE": tools.prefix(arch)})
    results = unit.read_ktap(laid, log.read_text(errors="replace"), name)
    if not results:
        raise Failed(name, why or "it was skipped", log, REPEAT)
    return results + unit.unfinished(name, why, results)


def live_update(run, laid, path):
    """[Result] of the tests of live update; the script itself selects the cross compilers."""
    logs = run.path("liveupdate")
    name = "selftests/liveupdate/run-vmtests.sh"
    argv = [laid.dir / FOLDER / "liveupdate/run-vmtests.sh", "-k", "-o", logs]
    log, why = run.attempt(name, argv, log="base-liveupdate.log", deadline=DEADLINE,
                           env={"PATH": path, "CROSS_COMPILE": ""})
    rows = ROW.findall(log.read_text(errors="replace"))
    if not rows:
        raise Failed(name, why or "no test was run", log, REPEAT)
    results = [Result(f"{test} ({target})", word == "PASS",
                      f"{word}: see {logs}/{target}_{test}.log") for target, test, word in rows]
    return results + unit.unfinished(name, why, results)


def base_tests(run):
    """[Result] of the selftests of the base, on both architectures."""
    tools.require(run, "base-tests", *tools.for_arches(*tools.MACHINE), useful=True)
    laid, path = tree.lay(run), f"{CCACHE}:{tools.without_kvm(run)}"
    results = [r for arch in tools.MACHINE for r in kho(run, laid, arch, path)]
    return results + live_update(run, laid, path)
