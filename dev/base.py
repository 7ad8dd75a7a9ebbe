# SPDX-License-Identifier: GPL-2.0
"""Finds a base kernel: $KHO_BASE, then the cache, then the Debian package.

dev/debian.py fetches packages without touching the machine's configuration.
"""
import hashlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import debian
from dev.host import CACHE, ROOT, Stop, lock, need_space

OWN_BASE = "set KHO_BASE to a kernel tree or tarball of version "


@dataclass
class Base:
    dir: Path
    version: str
    identity: str       # changes when the content may have changed

    @property
    def series(self):
        """Such as 7.3: what dev/BASE and dev/base-* call it."""
        return series_of(self.version)


def supported():
    """Rows of dev/BASE: (series, package, suite)."""
    rows = [line.split() for line in (ROOT / "dev/BASE").read_text().splitlines()]
    return [tuple(r) for r in rows if len(r) == 3 and not r[0].startswith("#")]


def series_of(version):
    return version.rsplit(".", 1)[0]


def default():
    """The series that is meant where none is named."""
    return supported()[0][0]


def wanted():
    return " or ".join(f"{version}.y" for version, _, _ in supported())


def version_of(tree):
    """Version of a kernel tree from its Makefile; None when it is not a kernel tree."""
    tree = Path(tree)
    try:
        head = (tree / "Makefile").read_text(errors="replace")[:4096]
    except OSError:
        return None
    part = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) *= *(\d+)$", head, re.M))
    if len(part) != 3 or not (tree / "kernel/liveupdate").is_dir() and not (tree / "Kbuild").exists():
        return None
    return "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}".format(**part)


def check_version(tree, name):
    """Version of the tree; Stop when it is not one we can be laid on."""
    version = version_of(tree)
    if version is None:
        raise Stop(f"{name} is not a kernel tree: it has no kernel Makefile")
    if series_of(version) not in [row[0] for row in supported()]:
        raise Stop(f"{name} is Linux {version}; this repository needs Linux {wanted()}")
    return version


def peek():
    """The base that would be used without fetching anything, or None."""
    place = own()
    if not place:
        return cached(default())
    return of_directory(place) if place.is_dir() else None


def own():
    """What $KHO_BASE names, if anything."""
    place = os.environ.get("KHO_BASE")
    return Path(place).expanduser().resolve() if place else None


def find(run, series=None):
    """The base kernel, fetched and unpacked when needed.

    $KHO_BASE stands for the series that it has, and for the default.
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
        with lock(CACHE / ".lock", "the cache is being filled"):
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
    # a tree of the user's may change at any time: any other time or size is another base
    digest = hashlib.sha256(str(tree).encode())
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(d for d in folders if d != ".git")
        for name in sorted(files):
            st = os.lstat(os.path.join(folder, name))
            digest.update(f"{folder}/{name} {st.st_size} {st.st_mtime_ns}\n".encode())
    return Base(tree, version, f"{version} {digest.hexdigest()[:16]}")


def cached(series):
    """The newest base of this series in the cache."""
    found = [tree for tree in CACHE.glob(f"linux-{series}.*") if version_of(tree) == tree.name[len("linux-"):]]
    if not found:
        return None
    tree = max(found, key=lambda tree: int(tree.name.rsplit(".", 1)[1]))
    return Base(tree, version_of(tree), f"{version_of(tree)} {tree}")


def of_tarball(run, path):
    st = path.stat()
    tag = hashlib.sha256(f"{path} {st.st_size} {st.st_mtime_ns}".encode()).hexdigest()[:12]
    tree = CACHE / f"tar-{tag}"
    with lock(CACHE / ".lock", "the cache is being filled"):
        if not tree.is_dir():
            unpack(run, f"tar -xf {shlex.quote(str(path))}", path.name, lambda _: tree)
    version = check_version(tree, f"KHO_BASE={path}")
    return Base(tree, version, f"{version} {tag}")


def unpack(run, command, name, place):
    """Unpack into the cache: under a passing name, and renamed to place(tree) once complete."""
    for left in CACHE.glob(".unpack-*"):
        shutil.rmtree(left)
    need_space(CACHE, 2200, "unpacking the base kernel")
    fresh = CACHE / f".unpack-{os.getpid()}"
    fresh.mkdir()
    try:
        run.step(f"unpacking {name}", ["bash", "-c", f"set -o pipefail; {command}"], log="base.log", cwd=fresh,
                 repeat="./kho setup")
        inside = [d for d in fresh.iterdir() if d.is_dir()]
        if len(inside) != 1:
            raise Stop(f"{name} does not hold one kernel tree")
        check_version(inside[0], name)
        if not place(inside[0]).exists():
            inside[0].rename(place(inside[0]))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def fetch(run, series):
    """Fetch and unpack the Debian source package."""
    package, suite = next((package, suite) for name, package, suite in supported() if name == series)
    need_space(CACHE, 2400, "fetching and unpacking the base kernel")
    try:
        deb, = debian.download(run, [package], suite)
    except Stop as e:
        raise Stop(f"no Linux {series}.y found, and {e}\n  or {OWN_BASE}{series}.y") from None
    unpack(run, f"dpkg-deb --fsys-tarfile {shlex.quote(str(deb))} | tar -xO ./usr/src/{package}.tar.xz | tar -xJ",
           package, lambda inside: CACHE / f"linux-{version_of(inside)}")
    deb.unlink()
