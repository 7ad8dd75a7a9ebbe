# SPDX-License-Identifier: GPL-2.0
"""Lays the overlay and the edits on a kernel tree.

out/tree is a pure function of base, overlay and edits: a file is written only when its
bytes differ, and one that left the overlay gets its base content back, so make builds
again just what changed.  out/tree.json remembers the base and the paths laid.  With
--base 7.2 it is out/tree-7.2 instead.
"""
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev import base as bases
from dev import manifest
from dev.host import OUT, Stop, need_space


@dataclass
class Tree:
    dir: Path
    base: bases.Base
    paths: list         # everything laid
    written: int        # files written or removed this time


def content(sources, origin):
    """What is laid: {path: (bytes, executable)}, None for a file to remove.

    origin(path) gives in the same form what an edit starts from.
    """
    laid = {row.path: None for row in sources.rows() if row.kind == "D"}
    laid.update({path: read(place) for path, place in sources.overlay().items()})
    for path, edits in sources.edited().items():
        old = origin(path)
        if old is None:
            raise Stop(f"{manifest.where(edits[0])}: the kernel tree has no {path}")
        laid[path] = (manifest.edited_bytes(old[0], edits, path), old[1])
    return laid


def read(place):
    """A file as (bytes, executable), None without it."""
    return (place.read_bytes(), os.access(place, os.X_OK)) if place.is_file() else None


def reader(tree):
    """A function that reads a file of the tree."""
    return lambda path: read(tree / path)


def put(tree, path, what):
    """Write or remove one file of a tree, as a whole; say whether that changed anything."""
    place = tree / path
    if read(place) == what and not place.is_symlink():
        return False
    if what is None:
        place.unlink()
        while not any(place.parent.iterdir()):
            place = place.parent
            place.rmdir()
        return True
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(place.name + ".kho-new")
    fresh.write_bytes(what[0])
    fresh.chmod(0o755 if what[1] else 0o644)
    fresh.replace(place)
    return True


def place_of(series=None):
    """The laid tree for a series, and the file that remembers what is in it."""
    name = f"tree-{series}" if series else "tree"
    return OUT / name, OUT / f"{name}.json"


def lay(run, series=None):
    """Bring the tree for a series up to date, or for the base that is meant; the Tree."""
    base = bases.find(run, series)
    sources = manifest.Sources(base.series)
    tree, memory = place_of(series)
    laid = content(sources, reader(base.dir))
    for path in sorted(set(laid) - {row.path for row in sources.rows()}):
        run.say(f"warning: {path} is not in dev/MANIFEST ('./kho check' tells where to add it)")
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("base") != base.identity or not (tree / "Makefile").exists():
        copy_base(run, base, tree, series)
        known = {}
    before = set(known.get("paths", []))

    def remember(paths):
        memory.write_text(json.dumps({"base": base.identity, "paths": sorted(paths)}, indent=1))

    # first the sum of old and new, so that an interrupted run can be taken up again
    remember(before | set(laid))
    written = sum(put(tree, path, what) for path, what in laid.items())
    written += sum(put(tree, path, read(base.dir / path)) for path in before - set(laid))
    remember(laid)
    return Tree(tree, base, sorted(laid), written)


def copy_base(run, base, tree, series):
    """A fresh copy of the base; builds of what was there before are worth nothing then."""
    need_space(OUT, 6000, "a kernel tree and its builds")
    fresh = OUT / "tree.new"
    builds = [place for place in (OUT / "build").glob("*")
              if place.name.partition("@")[2] == (series or "")]
    for old in (fresh, tree, *builds):
        shutil.rmtree(old, ignore_errors=True)
    fresh.mkdir(parents=True)
    bases.copy(run, base, fresh, "--reflink=auto")
    fresh.rename(tree)


# ---- ./kho apply

def git(*words, cwd):
    """git without the user's configuration, and without a repository further up."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
           "GIT_CEILING_DIRECTORIES": str(cwd.parent), "LC_ALL": "C"}
    return subprocess.run(["git", *map(str, words)], cwd=cwd, env=env, capture_output=True,
                          check=False)


def write_patch(run, base):
    """The difference between the base and the base with our sources; how many paths it has."""
    laid = content(manifest.Sources(base.series), reader(base.dir))
    for path, what in laid.items():
        put(run.path("a"), path, read(base.dir / path))
        put(run.path("b"), path, what)
    patch = run.path("kho.patch")
    diff = ("diff", "--no-index", "--no-renames", "--no-prefix", "--binary", "a", "b")
    patch.write_bytes(git(*diff, cwd=run.dir).stdout)
    for folder in ("a", "b"):
        shutil.rmtree(run.path(folder))
    return patch, len(laid)


def apply(run, place):
    """'git apply' of our sources to a kernel tree of the user's, which need not be in git."""
    tree = Path(place).expanduser().resolve()
    if not tree.is_dir():
        raise Stop(f"{place}: no such directory")
    base = bases.find(run, bases.series_of(bases.check_version(tree, str(place))))
    patch, count = write_patch(run, base)
    if git("apply", "--reverse", "--check", patch, cwd=tree).returncode == 0:
        run.say(f"{place}: already applied, all {count} paths")
        return
    done = git("apply", "--whitespace=nowarn", patch, cwd=tree)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines()
        if len(lines) > 8:
            lines[8:] = [f"and {len(lines) - 8} more lines"]
        first = f"{place}: conflicts, nothing was written: the patch is {patch}"
        raise Stop("\n  ".join([first, *lines]), 1)
    run.say(f"{place}: {count} paths written; 'git apply --reverse {patch}' takes them back")
