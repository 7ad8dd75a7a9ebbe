# SPDX-License-Identifier: GPL-2.0
"""The programs and headers the verbs use, and the Debian packages that hold them."""
import glob
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


# (package, what shows that it is there): a program, a header or a path
NEEDED = [("gcc", "gcc"), ("make", "make"), ("flex", "flex"), ("bison", "bison"), ("bc", "bc"), ("perl", "perl"),
          ("libc6-dev", "stdio.h"), ("libelf-dev", "gelf.h"), ("libssl-dev", "openssl/ssl.h"), ("xz-utils", "xz"),
          ("busybox-static", "busybox"), ("kexec-tools", "kexec"), ("git", "git"), ("python3", "python3")]
CLANG = [("clang", "clang")]
KHOCTL = [("libfdt-dev", "libfdt.h"), ("zlib1g-dev", "zlib.h"), ("liblzma-dev", "lzma.h"), ("libzstd-dev", "zstd.h"),
          ("liblz4-dev", "lz4.h"), ("libbz2-dev", "bzlib.h"), ("liblzo2-dev", "lzo/lzo1x.h"),
          ("libjson-c-dev", "json-c/json.h"), ("zstd", "zstd"), ("lz4", "lz4"), ("lzop", "lzop")]
PROOF = [("coccinelle", "spatch"), ("python3-sphinx", "sphinx-build")]
USEFUL = [("ccache", "ccache"), ("kmod", "depmod")]


def command(name):
    """Path of a program, looked for in the administrator's folders too."""
    return shutil.which(name, path=SBIN)


def present(sign):
    """Whether there is such a program, such a header in the plain or a multi-arch folder, or such a path."""
    if sign.startswith("/"):
        return bool(glob.glob(sign))
    if sign.endswith(".h"):
        return any(glob.glob(f"/usr/include/{folder}{sign}") for folder in ("", "*-linux-gnu/"))
    if sign == "busybox" and command(sign):     # guests lack libraries for it
        return b"/ld-" not in Path(command(sign)).read_bytes()[:4096]
    return bool(command(sign))


def missing(table):
    return [package for package, sign in table if not present(sign)]


def prefix(arch):
    """How the names of the compiler's programs begin."""
    return "" if arch == HOST else f"{MACHINE[arch]}-linux-gnu-"


def for_arch(arch):
    """What is needed to build and run kernels of this architecture."""
    name = MACHINE[arch]
    table = [(QEMU[arch], f"qemu-system-{name}")]
    if arch != HOST:
        table += [(f"gcc-{name.replace('_', '-')}-linux-gnu", f"{prefix(arch)}gcc"),
                  (f"libc6-dev-{NAMES[arch]}-cross", f"/usr/{name}-linux-gnu/include/stdio.h")]
    return table


def for_arches(arches):
    return [row for arch in sorted(arches) for row in for_arch(arch)]


def clang_runtime():
    """The package with libFuzzer for the clang that is installed, as a table."""
    version = re.search(r"version (\d+)", output(["clang", "--version"]) or "")
    where = (output(["clang", "--print-runtime-dir"]) or "").strip() or "/nowhere"
    return [(f"libclang-rt-{version[1] if version else ''}-dev", f"{where}/libclang_rt.fuzzer*.a")]


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
