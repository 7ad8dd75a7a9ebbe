# SPDX-License-Identifier: GPL-2.0
"""Lays the overlay and the edits on a kernel tree.

out/tree is a pure function of base, overlay and edits: a file is written only when its
bytes differ, and one that left the overlay gets its base content back, so make builds
again just what changed.  out/tree.json remembers the base and the paths laid.
"""
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import base as bases
from dev import manifest
from dev.host import OUT, ROOT, Stop, need_space, output, write_if_changed

TREE = OUT / "tree"
MEMORY = OUT / "tree.json"


@dataclass
class Tree:
    dir: Path
    base: bases.Base
    fingerprint: str    # of the base and of everything laid
    paths: list         # everything laid
    written: int        # files written or removed this time


def content(origin, again=False):
    """What is laid: {path: (bytes, executable)}, None for a file to remove.

    origin(path) gives in the same form what an edit starts from.
    """
    gone = manifest.removed()
    laid = {path: None for path in gone}
    for path in manifest.overlay():
        laid[path] = reader(ROOT)(path)
    for path in manifest.edited():
        old = origin(path)
        if old is None:
            raise Stop(f"dev/edits/{path}.edit: the kernel tree has no {path}")
        laid[path] = (manifest.edit_text(path, old[0], gone, again), old[1])
    return laid


def reader(tree):
    """A function that reads a file of the tree: (bytes, executable), None without it."""
    def read(path):
        place = tree / path
        return (place.read_bytes(), os.access(place, os.X_OK)) if place.is_file() else None
    return read


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


def lay(run):
    """Bring out/tree up to date; the Tree."""
    base = bases.find(run)
    laid = content(reader(base.dir))
    for path in sorted(set(laid) - {row.path for row in manifest.rows()}):
        run.say(f"warning: {path} is not in dev/MANIFEST ('./kho check' tells where to add it)")
    memory = remember()
    if memory.get("base") != base.identity or not (TREE / "Makefile").exists():
        copy_base(run, base)
        memory = {}
    before = memory.get("paths", [])
    # first the sum of old and new, so that an interrupted run can be taken up again
    note(base, sorted(set(before) | set(laid)))
    written = sum(put(TREE, path, what) for path, what in laid.items())
    for path in sorted(set(before) - set(laid)):
        written += put(TREE, path, reader(base.dir)(path))
    note(base, sorted(laid))
    return Tree(TREE, base, fingerprint(base, laid), sorted(laid), written)


def remember():
    try:
        return json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        return {}


def note(base, paths):
    text = json.dumps({"base": base.identity, "version": base.version, "paths": paths}, indent=1)
    write_if_changed(MEMORY, text.encode())


def fingerprint(base, laid):
    total = hashlib.sha256(base.identity.encode())
    for path, what in sorted(laid.items()):
        total.update(f"\n{path} {what and (what[1], len(what[0]))}\n".encode())
        total.update(what[0] if what else b"")
    return total.hexdigest()


def copy_base(run, base):
    """A fresh copy of the base; builds of another base are worth nothing then."""
    need_space(OUT, 6000, "a kernel tree and its builds")
    fresh = OUT / "tree.new"
    for old in (fresh, TREE, OUT / "build"):
        shutil.rmtree(old, ignore_errors=True)
    fresh.mkdir(parents=True)
    parts = [p for p in sorted(base.dir.iterdir()) if p.name != ".git"]
    run.step(f"copying Linux {base.version}",
             ["cp", "-a", "--reflink=auto", *parts, fresh], log="tree.log", repeat="./kho tree")
    fresh.rename(TREE)


def apply(run, place):
    """Lay everything on a kernel tree of the user's: all of it or nothing."""
    tree = Path(place).expanduser().resolve()
    if not tree.is_dir():
        raise Stop(f"{place}: no such directory")
    bases.check_version(tree, str(place))
    laid = content(reader(tree), again=True)
    differ = [path for path, what in laid.items() if reader(tree)(path) != what]
    if not differ:
        run.say(f"{place}: all {len(laid)} paths are as they should be, nothing to write")
        return
    refuse_local_changes(tree, place, differ)
    for row in manifest.rows():
        if row.path in differ and row.kind != "N" and manifest.digest(tree / row.path) != row.hash:
            run.say(f"warning: {row} differs in this tree from the file it was written against")
    for path in sorted(differ):
        word = "removed" if laid[path] is None else "changed" if (tree / path).exists() else "new"
        put(tree, path, laid[path])
        run.say(f"  {word:8} {path}")
    run.say(f"{place}: {len(differ)} paths written, {len(laid) - len(differ)} already as they should be")


def refuse_local_changes(tree, place, paths):
    """Stop when writing these paths would lose work of the user's."""
    top = output(["git", "rev-parse", "--show-toplevel"], cwd=tree)
    if top and Path(top.strip()).resolve() == tree:
        listing = output(["git", "status", "--porcelain", "--untracked-files=all", "--ignored", "-z",
                          "--no-renames", "--", *paths], cwd=tree) or ""
        dirty = sorted(entry[3:] for entry in listing.split("\0") if entry)
        remedy = "commit, stash or remove them first"
    else:
        new = {row.path for row in manifest.rows() if row.kind == "N"}
        dirty = sorted(path for path in paths if path in new and (tree / path).exists())
        remedy = "they are not the kernel's; move them away first"
    if dirty:
        more = f" and {len(dirty) - 5} more" if len(dirty) > 5 else ""
        raise Stop(f"{place} has changes of its own in {', '.join(dirty[:5])}{more}: {remedy}")
