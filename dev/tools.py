# SPDX-License-Identifier: GPL-2.0
"""Installs the programs and headers that verbs need, from the packages in dev/packages."""
import glob
import os
import re
import shutil
from pathlib import Path

from dev.host import ROOT, Stop, output

# Architectures, and their names in GNU triples and in QEMU.
MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}
HOST = {name: arch for arch, name in MACHINE.items()}.get(os.uname().machine, "x86_64")
QEMU = """#!/bin/bash
exec {} "${{@/#kvm/tcg}}"
"""
SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def command(name):
    """Path of a program, which may also be in sbin."""
    return shutil.which(name, path=SBIN)


def present(sign):
    """Whether a sign exists: a program, a header (in a plain or multi-arch folder) or a path."""
    if sign.startswith("/"):
        return bool(glob.glob(sign))
    if sign.endswith(".h"):
        return any(glob.glob(f"/usr/include/{folder}{sign}") for folder in ("", "*-linux-gnu/"))
    if sign == "busybox" and command(sign):     # must be static: guests do not have its libraries
        return b"/ld-" not in Path(command(sign)).read_bytes()[:4096]
    return bool(command(sign))


def table(*needs):
    """[(package, sign)] of dev/packages for these needs."""
    rows = [line.split() for line in (ROOT / "dev/packages").read_text().splitlines()]
    return [(package, sign) for need, package, sign, *_ in rows if need in needs]


def missing(rows):
    return [package for package, sign in rows if not present(sign)]


def clang_runtime():
    """[(package, sign)] for libFuzzer of the installed clang."""
    version = re.search(r"version (\d+)", output(["clang", "--version"]))
    where = output(["clang", "--print-runtime-dir"]).strip() or "/nowhere"
    return [(f"libclang-rt-{version[1] if version else ''}-dev", f"{where}/libclang_rt.fuzzer*.a")]


def prefix(arch):
    """The prefix of the cross compiler, empty for this machine."""
    return "" if arch == HOST else f"{MACHINE[arch]}-linux-gnu-"


def without_kvm(run):
    """$PATH with QEMU that emulates instead, for programs that try KVM, even if it hangs."""
    place = run.path("bin")
    place.mkdir(exist_ok=True)
    for name in map("qemu-system-{}".format, MACHINE.values()):
        (place / name).write_text(QEMU.format(shutil.which(name)))
        (place / name).chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def for_arches(*arches):
    """The needs for building and running kernels of these architectures."""
    return [*arches, *(f"to-{arch}" for arch in arches if arch != HOST)]


def require(run, *needs, rows=(), useful=False):
    """Make sure that the tools of all verbs, of these needs and of further rows are installed.

    Only root can install them; for other users the command is printed.  Useful tools are
    installed together with missing ones, or if asked for by useful.
    """
    rows = [*table("needed", *needs), *rows]
    needed, more = missing(rows), missing(table("useful"))
    if not needed and not (more and useful):
        return
    line = f"apt-get install --no-install-recommends {' '.join(needed + more)}"
    if os.geteuid() != 0 or not command("apt-get"):
        text = f"missing: {', '.join(needed or more)}\n  run: sudo {line}"
        if needed:
            raise Stop(text)
        return run.say(f"useful and {text}")
    quiet = {"log": "setup.log", "env": {"DEBIAN_FRONTEND": "noninteractive"}}
    _, why = run.attempt("reading the package lists", ["apt-get", "-q", "update"], **quiet)
    if why:     # if one of several sources is dead, the others may suffice
        run.say(f"warning: {why}")
    names = ", ".join(needed + more)
    log, why = run.attempt(f"installing {names}", [*line.split(), "-q", "-y"], **quiet)
    if why:
        raise Stop(f"cannot install {names}: {why}\n  log: {log}\n  run: {line}")
    if missing(rows):
        raise Stop(f"installed, and still not usable: {', '.join(missing(rows))}")
