# SPDX-License-Identifier: GPL-2.0
"""Lays the overlay and the edits on a kernel tree.

out/tree is a pure function of base, overlay and edits: a file is written only when its
bytes differ, and one that left the overlay gets its base content back, so make builds
again just what changed.  out/tree.json remembers the base and the paths laid.  With
--base 7.2 it is out/tree-7.2 instead.
"""
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import base as bases
from dev import manifest
from dev.host import OUT, Stop, need_space, output, write_if_changed


@dataclass
class Tree:
    dir: Path
    base: bases.Base
    fingerprint: str    # of the base and of everything laid
    paths: list         # everything laid
    written: int        # files written or removed this time


def content(sources, origin, again=False):
    """What is laid: {path: (bytes, executable)}, None for a file to remove.

    origin(path) gives in the same form what an edit starts from.
    """
    laid = {path: None for path in sources.removed()}
    laid.update({path: read(place) for path, place in sources.overlay().items()})
    for path, edits in sources.edited().items():
        old = origin(path)
        if old is None:
            raise Stop(f"{manifest.where(edits[0])}: the kernel tree has no {path}")
        laid[path] = (sources.edit_text(path, edits, old[0], again), old[1])
    return laid


def read(place):
    """A file as (bytes, executable), None without it."""
    return (place.read_bytes(), os.access(place, os.X_OK)) if place.is_file() else None


def reader(tree):
    """A function that reads a file of the tree."""
    return lambda path: read(tree / path)


def put(tree, path, what):
    """Write or remove one file of a tree; say whether that changed anything."""
    place = tree / path
    if what is not None:
        return write_if_changed(place, *what)
    if not place.exists():
        return False
    place.unlink()
    while not any(place.parent.iterdir()):
        place = place.parent
        place.rmdir()
    return True


def place_of(series=None):
    """The laid tree for a series, and the file that remembers what is in it."""
    name = f"tree-{series}" if series else "tree"
    return OUT / name, OUT / f"{name}.json"


def lay(run, series=None):
    """Bring the tree for a series, or for the base that is meant without one, up to date; the Tree."""
    base = bases.find(run, series)
    sources = manifest.Sources(base.series)
    tree, memory = place_of(series)
    laid = content(sources, reader(base.dir))
    for path in sorted(set(laid) - {row.path for row in sources.rows()}):
        run.say(f"warning: {path} is not in dev/MANIFEST ('./kho check' tells where to add it)")
    known = remember(memory)
    if known.get("base") != base.identity or not (tree / "Makefile").exists():
        copy_base(run, base, tree, series)
        known = {}
    before = known.get("paths", [])
    # first the sum of old and new, so that an interrupted run can be taken up again
    note(memory, base, sorted(set(before) | set(laid)))
    written = sum(put(tree, path, what) for path, what in laid.items())
    for path in sorted(set(before) - set(laid)):
        written += put(tree, path, reader(base.dir)(path))
    note(memory, base, sorted(laid))
    return Tree(tree, base, fingerprint(base, laid), sorted(laid), written)


def remember(memory):
    try:
        return json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}


def note(memory, base, paths):
    text = json.dumps({"base": base.identity, "version": base.version, "paths": paths}, indent=1)
    write_if_changed(memory, text.encode())


def fingerprint(base, laid):
    total = hashlib.sha256(base.identity.encode())
    for path, what in sorted(laid.items()):
        total.update(f"\n{path} {what and (what[1], len(what[0]))}\n".encode())
        total.update(what[0] if what else b"")
    return total.hexdigest()


def copy_base(run, base, tree, series):
    """A fresh copy of the base; builds of what was there before are worth nothing then."""
    need_space(OUT, 6000, "a kernel tree and its builds")
    fresh = OUT / "tree.new"
    builds = [where for where in (OUT / "build").glob("*") if where.name.partition("@")[2] == (series or "")]
    for old in (fresh, tree, *builds):
        shutil.rmtree(old, ignore_errors=True)
    fresh.mkdir(parents=True)
    parts = [p for p in sorted(base.dir.iterdir()) if p.name != ".git"]
    run.step(f"copying Linux {base.version}",
             ["cp", "-a", "--reflink=auto", *parts, fresh], log="tree.log",
             repeat="./kho tree" + (f" --base {series}" if series else ""))
    fresh.rename(tree)


def apply(run, place):
    """Lay everything on a kernel tree of the user's: all of it or nothing."""
    tree = Path(place).expanduser().resolve()
    if not tree.is_dir():
        raise Stop(f"{place}: no such directory")
    sources = manifest.Sources(bases.series_of(bases.check_version(tree, str(place))))
    laid = content(sources, reader(tree), again=True)
    differ = [path for path, what in laid.items() if reader(tree)(path) != what]
    if not differ:
        run.say(f"{place}: all {len(laid)} paths are as they should be, nothing to write")
        return
    table = sources.rows()
    refuse_local_changes(tree, place, differ, table)
    for row in table:
        if row.path in differ and row.kind != "N" and manifest.digest(tree / row.path) != row.hash:
            run.say(f"warning: {row} differs in this tree from the file it was written against")
    for path in sorted(differ):
        word = "removed" if laid[path] is None else "changed" if (tree / path).exists() else "new"
        put(tree, path, laid[path])
        run.say(f"  {word:8} {path}")
    run.say(f"{place}: {len(differ)} paths written, {len(laid) - len(differ)} already as they should be")


def refuse_local_changes(tree, place, paths, table):
    """Stop when writing these paths would lose work of the user's."""
    top = output(["git", "rev-parse", "--show-toplevel"], cwd=tree)
    if top and Path(top.strip()).resolve() == tree:
        listing = output(["git", "status", "--porcelain", "--untracked-files=all", "--ignored", "-z",
                          "--no-renames", "--", *paths], cwd=tree) or ""
        dirty = sorted(entry[3:] for entry in listing.split("\0") if entry)
        remedy = "commit, stash or remove them first"
    else:
        new = {row.path for row in table if row.kind == "N"}
        dirty = sorted(path for path in paths if path in new and (tree / path).exists())
        remedy = "they are not the kernel's; move them away first"
    if dirty:
        more = f" and {len(dirty) - 5} more" if len(dirty) > 5 else ""
        raise Stop(f"{place} has changes of its own in {', '.join(dirty[:5])}{more}: {remedy}")
