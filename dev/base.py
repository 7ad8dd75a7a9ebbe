# SPDX-License-Identifier: GPL-2.0
"""Finds a base kernel: $KHO_BASE, then the cache, then the Debian package.

dev/debian.py fetches packages without touching the machine's configuration.
"""
import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from dev import debian
from dev.host import CACHE, ROOT, Stop, need_space, output


@dataclass
class Base:
    dir: Path
    version: str
    identity: str       # differs whenever the content may differ

    @property
    def series(self):
        """The series as named in dev/BASE and dev/base-*, such as 7.3."""
        return series_of(self.version)


def supported():
    """{series: (package, suite)} of dev/BASE."""
    rows = [line.split() for line in (ROOT / "dev/BASE").read_text().splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3 and row[0] != "#"}


def series_of(version):
    return version.rpartition(".")[0]


def default():
    """The series to use if no series is named."""
    return next(iter(supported()))


def version_of(tree):
    """Version of a kernel tree from its Makefile; None when it is not a kernel tree."""
    makefile = tree / "Makefile"
    head = makefile.read_text(errors="replace")[:4096] if makefile.is_file() else ""
    part = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) *= *(\d+)$", head, re.M)
    return ".".join(part) if len(part) == 3 and (tree / "Kbuild").exists() else None


def check_version(tree, name):
    """Version of the tree; Stop when dev/BASE does not have its series."""
    version = version_of(tree)
    if version is None:
        raise Stop(f"{name} is not a kernel tree: it has no kernel Makefile")
    if series_of(version) not in supported():
        wanted = " or ".join(f"{series}.y" for series in supported())
        raise Stop(f"{name} is Linux {version}; this repository needs Linux {wanted}")
    return version


def own():
    """The path in $KHO_BASE, or None."""
    place = os.environ.get("KHO_BASE")
    return Path(place).expanduser().resolve() if place else None


def peek():
    """The base that would be used without fetching anything, or None."""
    place = own()
    if not place:
        return cached(default())
    return of_directory(place) if place.is_dir() else None


def find(run, series=None):
    """The base kernel, fetched and unpacked when needed.

    $KHO_BASE is used if its series is asked for, or if no series is named.
    """
    place = own()
    if place:
        if not place.exists():
            raise Stop(f"KHO_BASE={place}: no such file or directory")
        mine = of_directory(place) if place.is_dir() else of_tarball(run, place)
        if series in (None, mine.series):
            return mine
    series = series or default()
    if not cached(series):
        with debian.locked():
            if not cached(series):
                fetch(run, series)
    return cached(series)


def of_directory(tree):
    where = f"KHO_BASE={tree}"
    version = check_version(tree, where)
    for trace in (".config", "include/config", "arch/x86/include/generated"):
        if (tree / trace).exists():
            raise Stop(f"{where} was built in place ({trace} exists): run 'make mrproper' there, "
                       "or name another tree")
    # the user may change the tree at any time: with another file time or size it is another base
    listed = output(["find", tree, "-name", ".git", "-prune", "-o", "!", "-type", "d",
                     "-printf", r"%p %s %T@\n"])
    digest = hashlib.sha256("\n".join(sorted(listed.splitlines())).encode()).hexdigest()
    return Base(tree, version, f"{version} {digest[:16]}")


def cached(series):
    """The newest base of this series in the cache."""
    found = [tree for tree in CACHE.glob(f"linux-{series}.*")
             if version_of(tree) == tree.name.removeprefix("linux-")]
    if not found:
        return None
    tree = max(found, key=lambda tree: int(tree.name.rpartition(".")[2]))
    return Base(tree, version_of(tree), f"{version_of(tree)} {tree}")


def of_tarball(run, path):
    st = path.stat()
    text = f"{path} {st.st_size} {st.st_mtime_ns}"
    tag = hashlib.sha256(text.encode()).hexdigest()[:12]
    tree = CACHE / f"tar-{tag}"
    with debian.locked():
        if not tree.is_dir():
            unpack(run, f"tar -xf {shlex.quote(str(path))}", path.name, tree)
    version = check_version(tree, f"KHO_BASE={path}")
    return Base(tree, version, f"{version} {tag}")


def unpack(run, command, name, tree):
    """Unpack a kernel tree into the cache, with a command that ends with a call of tar."""
    need_space(CACHE, 2200, "unpacking the base kernel")
    with debian.filling(tree) as fresh:
        words = ["bash", "-c", f"set -o pipefail; {command} --strip-components=1"]
        run.step(f"unpacking {name}", words, log="base.log", cwd=fresh, repeat="./kho setup")
        check_version(fresh, name)


def fetch(run, series):
    """Fetch and unpack the Debian source package."""
    package, suite = supported()[series]
    need_space(CACHE, 2400, "fetching and unpacking the base kernel")
    try:
        deb, = debian.download(run, [package], suite)
    except Stop as e:
        raise Stop(f"no Linux {series}.y found, and {e}\n"
                   f"  or set KHO_BASE to a kernel tree or tarball of version {series}") from None
    # the name is such as linux-source-7.3_7.3.4-1_all.deb
    version = re.search(r"_(\d[\d.]*)", deb.name)[1]
    unpack(run, f"dpkg-deb --fsys-tarfile {shlex.quote(str(deb))}"
           f" | tar -xO ./usr/src/{package}.tar.xz | tar -xJ", package, CACHE / f"linux-{version}")
    deb.unlink()


def copy(run, base, target, *options):
    """Copy the base, without its .git, into the folder target."""
    parts = [place for place in sorted(base.dir.iterdir()) if place.name != ".git"]
    run.step(f"copying Linux {base.version}", ["cp", "-a", *options, *parts, target],
             log="tree.log")
