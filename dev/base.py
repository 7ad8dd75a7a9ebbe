# SPDX-License-Identifier: GPL-2.0
"""Finds a base kernel: $KHO_BASE, then the cache, then the Debian package."""
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from dev import debian
from dev.host import CACHE, ROOT, Stop, need_space, output


# $0 is the Debian package, which has the tarball $1
UNPACK = """set -o pipefail
dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/src/$1.tar.xz | tar -xJ --strip-components=1"""


@dataclass
class Base:
    dir: Path
    version: str

    @property
    def series(self):
        """The series as named in dev/BASE and dev/base-*, such as 7.3."""
        return self.version.rpartition(".")[0]

    @property
    def identity(self):
        """A text that differs whenever the content may differ."""
        if self.dir.is_relative_to(CACHE):
            return f"{self.version} {self.dir}"
        # the user may change this tree at any time, which changes file times or sizes
        listed = output(["find", self.dir, "-name", ".git", "-prune", "-o", "!", "-type", "d",
                         "-printf", r"%p %s %T@\n"])
        digest = hashlib.sha256("\n".join(sorted(listed.splitlines())).encode()).hexdigest()
        return f"{self.version} {digest[:16]}"


def supported():
    """{series: (package, suite)} of dev/BASE."""
    rows = [line.split() for line in (ROOT / "dev/BASE").read_text().splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3 and row[0] != "#"}


def default():
    """The series to use if no series is named."""
    return next(iter(supported()))


def version_of(tree):
    """Version of a kernel tree from its Makefile; None when it is not a kernel tree."""
    makefile = tree / "Makefile"
    head = makefile.read_text(errors="replace")[:4096] if makefile.is_file() else ""
    part = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) *= *(\d+)$", head, re.M)
    return ".".join(part) if len(part) == 3 and (tree / "Kbuild").exists() else None


def supported_tree(tree, name):
    """The Base in a kernel tree; Stop when dev/BASE does not have its series."""
    base = Base(tree, version_of(tree))
    if not tree.is_dir():
        raise Stop(f"{name}: " + ("this is a file: unpack it, and name the folder"
                                  if tree.exists() else "no such directory"))
    if base.version is None:
        raise Stop(f"{name} is not a kernel tree: it has no kernel Makefile")
    if base.series not in supported():
        wanted = " or ".join(f"{series}.y" for series in supported())
        raise Stop(f"{name} is Linux {base.version}; this repository needs Linux {wanted}")
    return base


def peek(series=None):
    """The base to use, or None if it has to be fetched.

    $KHO_BASE is used if its series is asked for, or if no series is named.
    """
    place = os.environ.get("KHO_BASE")
    if place:
        own = supported_tree(Path(place).expanduser().resolve(), f"KHO_BASE={place}")
        for trace in (".config", "include/config", "arch/x86/include/generated"):
            if (own.dir / trace).exists():
                raise Stop(f"KHO_BASE={place} was built in place ({trace} exists): "
                           "run 'make mrproper' there, or name another tree")
        if series in (None, own.series):
            return own
    return cached(series or default())


def find(run, series=None):
    """The base to use, fetched and unpacked when needed."""
    return peek(series) or fetch(run, series or default())


def cached(series):
    """The newest base of this series in the cache, or None."""
    found = [Base(tree, version_of(tree)) for tree in CACHE.glob(f"linux-{series}.*")]
    return max((base for base in found if base.dir.name == f"linux-{base.version}"),
               key=lambda base: int(base.version.rpartition(".")[2]), default=None)


def fetch(run, series):
    """Fetch and unpack the Debian source package, unless another checkout has just done so."""
    package, suite = supported()[series]
    with debian.locked():
        if cached(series):
            return cached(series)
        need_space(CACHE, 2400, "fetching and unpacking the base kernel")
        try:
            deb, = debian.download(run, [package], suite)
        except Stop as e:
            raise Stop(f"no Linux {series}.y found, and {e}\n"
                       f"  or set KHO_BASE to a kernel tree of version {series}") from None
        # the name is such as linux-source-7.3_7.3.4-1_all.deb
        version = re.search(r"_(\d[\d.]*)", deb.name)[1]
        with debian.filling(CACHE / f"linux-{version}") as fresh:
            run.step(f"unpacking {package}", ["bash", "-c", UNPACK, deb, package], log="base.log",
                     cwd=fresh, repeat="./kho setup")
            supported_tree(fresh, package)
        deb.unlink()
        return cached(series)
