# SPDX-License-Identifier: GPL-2.0
"""Applies our sources and edits to a kernel tree.

The contents of out/tree only depend on the base, our sources and the edits.  A file is only
written if it differs, so that make only builds what has changed; a file that is not among our
sources any more gets the content of the base.  With --base 7.2, the tree is out/tree-7.2.
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

# Git without the configuration of the user.
PLAIN_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


@dataclass
class Tree:
    dir: Path
    base: bases.Base
    paths: list         # all applied paths
    written: int        # files written or removed this time


def content(base):
    """The contents to apply: {path: (bytes, executable)}, None for a file to remove."""
    sources = manifest.Sources(base.series)
    laid = {path: None for path, row in sources.rows().items() if row.kind == "D"}
    laid.update({path: read(place) for path, place in sources.overlay().items()})
    for path, edits in sources.edited().items():
        old = read(base.dir / path)
        if old is None:
            raise Stop(f"{manifest.where(edits[0])}: the kernel tree has no {path}")
        laid[path] = (manifest.edited_bytes(old[0], edits, path), old[1])
    return laid


def read(place):
    """A file as (bytes, executable), or None if it does not exist."""
    return (place.read_bytes(), os.access(place, os.X_OK)) if place.is_file() else None


def put(tree, path, what):
    """Write or remove a file of a tree, by replacing it; returns whether it has changed."""
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
    """The tree with our sources for a series, and the builds of it."""
    name = f"tree-{series}" if series else "tree"
    builds = (OUT / "build").glob("*")
    return OUT / name, [d for d in builds if d.name.partition("@")[2] == (series or "")]


def lay(run, series=None):
    """Update the tree for a series, by default that of the base in use; returns the Tree."""
    base = bases.find(run, series)
    tree, builds = place_of(series)
    laid = content(base)
    for path in sorted(set(laid) - set(manifest.Sources(base.series).rows())):
        run.say(f"warning: {path} is not in dev/MANIFEST ('./kho check' tells where to add it)")
    return Tree(tree, base, sorted(laid), update(run, base, tree, laid, builds))


def update(run, base, tree, laid, builds, link=False):
    """Make the tree a copy of the base with these contents; returns the number of files written.

    TREE.json has the identity of the base, and all paths whose contents may not be those of the
    base.  With another base, the tree is copied again, and builds of the old one are removed.
    """
    memory = tree.with_name(f"{tree.name}.json")
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("base") != base.identity or not (tree / "Makefile").exists():
        copy_base(run, base, tree, builds, link)
        known = {}
    before = set(known.get("paths", []))
    # first list old and new paths, so that the next run can complete an interrupted one
    listed = {"base": base.identity, "paths": sorted(before.union(laid))}
    memory.write_text(json.dumps(listed, indent=1))
    wanted = {path: read(base.dir / path) for path in before.difference(laid)} | laid
    return sum(put(tree, path, what) for path, what in wanted.items())


def copy_base(run, base, tree, builds, link):
    """Make a new copy of the base, without its .git, and remove builds of the previous copy.

    With link, the files are hard links if possible: much faster, but programs that do not
    replace a file to change it would change the base.
    """
    need_space(OUT, 6000, "a kernel tree and its builds")
    fresh = tree.with_name("tree.new")
    for old in (fresh, tree, *builds):
        shutil.rmtree(old, ignore_errors=True)
    fresh.mkdir(parents=True)
    parts = [place for place in sorted(base.dir.iterdir()) if place.name != ".git"]
    link = link and base.dir.stat().st_dev == fresh.stat().st_dev
    run.step(f"copying Linux {base.version}",
             ["cp", "-a", "-l" if link else "--reflink=auto", *parts, fresh], log="tree.log")
    fresh.rename(tree)


# ---- ./kho apply

def write_patch(run, base):
    """Write the difference between base and base with our sources: (file, number of paths)."""
    laid, patch = content(base), run.path("kho.patch")
    for path, what in laid.items():
        put(run.path("a"), path, read(base.dir / path))
        put(run.path("b"), path, what)
    words = ("diff", "--no-index", "--no-renames", "--no-prefix", "--binary", "a", "b")
    patch.write_bytes(git(*words, cwd=run.dir).stdout)
    for folder in ("a", "b"):
        shutil.rmtree(run.path(folder))
    return patch, len(laid)


def git(*words, cwd):
    """Run git without the configuration of the user, and outside of a repository around cwd."""
    env = {**os.environ, **PLAIN_GIT, "GIT_CEILING_DIRECTORIES": str(cwd.parent)}
    return subprocess.run(["git", *map(str, words)], cwd=cwd, env=env, capture_output=True,
                          check=False)


def apply(run, place):
    """Apply our sources to a kernel tree of the user by 'git apply'; it need not be in git."""
    tree = Path(place).expanduser().resolve()
    base = bases.find(run, bases.supported_tree(tree, str(place)).series)
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
