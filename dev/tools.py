# SPDX-License-Identifier: GPL-2.0
"""The programs and headers the verbs use, and the Debian packages that hold them."""
import os
import re
import shutil
from pathlib import Path

from dev.debian import NAMES
from dev.host import Failed, Stop, output

# Architectures, and what the rest of the world calls them.
MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}
HOST = {name: arch for arch, name in MACHINE.items()}.get(os.uname().machine, "x86_64")
QEMU = {"x86_64": "qemu-system-x86", "arm64": "qemu-system-arm"}    # packages
SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def command(name):
    """Path of a program, looked for in the administrator's folders too."""
    return shutil.which(name, path=SBIN)


def header(name):
    """A C header, in the plain or in the multi-arch include folder."""
    place = Path("/usr/include")
    return (place / name).exists() or any(place.glob(f"*-linux-gnu/{name}"))


def static_busybox():
    """busybox that runs in a guest without libraries: its ELF names no interpreter."""
    path = command("busybox")
    return bool(path) and b"/ld-" not in Path(path).read_bytes()[:4096]


# package, what it is needed for, how its presence is seen
NEEDED = [
    ("gcc", "building", lambda: command("gcc")),
    ("make", "building", lambda: command("make")),
    ("flex", "building", lambda: command("flex")),
    ("bison", "building", lambda: command("bison")),
    ("bc", "building", lambda: command("bc")),
    ("perl", "building", lambda: command("perl")),
    ("libc6-dev", "building", lambda: header("stdio.h")),
    ("libelf-dev", "building", lambda: header("gelf.h")),
    ("libssl-dev", "building", lambda: header("openssl/ssl.h")),
    ("xz-utils", "unpacking", lambda: command("xz")),
    ("busybox-static", "guest programs", static_busybox),
    ("kexec-tools", "guest programs", lambda: command("kexec")),
    ("git", "apply", lambda: command("git")),
    ("python3", "KUnit", lambda: command("python3")),
]
CLANG = [("clang", "fuzzing", lambda: command("clang"))]
KHOCTL = [("libfdt-dev", "khoctl", lambda: header("libfdt.h")),
          ("zlib1g-dev", "khoctl", lambda: header("zlib.h")),
          ("liblzma-dev", "khoctl", lambda: header("lzma.h")),
          ("libzstd-dev", "khoctl", lambda: header("zstd.h")),
          ("liblz4-dev", "khoctl", lambda: header("lz4.h")),
          ("libbz2-dev", "khoctl", lambda: header("bzlib.h")),
          ("liblzo2-dev", "khoctl", lambda: header("lzo/lzo1x.h")),
          ("libjson-c-dev", "khoctl", lambda: header("json-c/json.h")),
          *((name, "its tests", lambda name=name: command(name)) for name in ("zstd", "lz4", "lzop"))]
PROOF = [("coccinelle", "proving patches", lambda: command("spatch")),
         ("python3-sphinx", "the documentation", lambda: command("sphinx-build"))]
USEFUL = [
    ("ccache", "fast rebuilds", lambda: command("ccache")),
    ("kmod", "modules", lambda: command("depmod")),
]


def prefix(arch):
    """How the names of the compiler's programs begin."""
    return "" if arch == HOST else f"{MACHINE[arch]}-linux-gnu-"


def for_arch(arch):
    """What is needed to build and run kernels of this architecture."""
    qemu, gcc = f"qemu-system-{MACHINE[arch]}", f"{prefix(arch)}gcc"
    table = [(QEMU[arch], "guests", lambda: command(qemu))]
    if arch != HOST:
        triple = Path("/usr") / f"{MACHINE[arch]}-linux-gnu"
        table += [(f"gcc-{triple.name.replace('_', '-')}", "building", lambda: command(gcc)),
                  (f"libc6-dev-{NAMES[arch]}-cross", "guest programs", lambda: (triple / "include/stdio.h").exists())]
    return table


def missing(table):
    return [package for package, _, present in table if not present()]


def clang_runtime():
    """The package with libFuzzer for the clang that is installed, as a table."""
    version = re.search(r"version (\d+)", output(["clang", "--version"]) or "")
    where = Path((output(["clang", "--print-runtime-dir"]) or "").strip() or "/nowhere")
    return [(f"libclang-rt-{version[1] if version else ''}-dev", "fuzzing",
             lambda: any(where.glob("libclang_rt.fuzzer*.a")))]


def require(run, everything=False, more=()):
    """Make sure every needed tool is there: install as root, else say what to install.

    Tools that are only useful are not installed unless asked for.  more is
    a table of what this verb needs besides.
    """
    table = [*NEEDED, *more]
    needed, useful = missing(table), missing(USEFUL)
    if not needed and not (useful and everything):
        return
    line = "apt-get install --no-install-recommends " + " ".join(needed + useful)
    if os.geteuid() != 0 or not command("apt-get"):
        if needed:
            raise Stop(f"missing: {', '.join(needed)}\n  run: sudo {line}")
        run.say(f"useful and missing: {', '.join(useful)}\n  run: sudo {line}")
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run.step("reading the package lists", ["apt-get", "-q", "update"], log="setup.log", env=quiet)
    except Failed as e:
        # one dead source among several does not keep the others from working
        run.say(f"warning: {e.why}")
    try:
        run.step(f"installing {' '.join(needed + useful)}", line.split() + ["-q", "-y"],
                 log="setup.log", env=quiet)
    except Failed as e:
        raise Stop(f"cannot install {', '.join(needed + useful)}: {e.why}\n  log: {e.log}\n"
                   f"  run: {line}") from None
    if missing(table):
        raise Stop(f"installed, and still not usable: {', '.join(missing(table))}")
