# SPDX-License-Identifier: GPL-2.0
"""Our sources, and dev/MANIFEST: a line for every path that is applied to a kernel tree.

    class  patch  base-hash  path  why

class is N (new file), R (replaces the file of the base), E (edited by dev/edits) or D (removed);
patch is the number of the patch in dev/series that gives the path its final content; base-hash is
the start of the sha256 of the base file for which an R, E or D was written, and - for N.

dev/base-7.2 has the additions for Linux 7.2: a MANIFEST whose lines replace the lines of
dev/MANIFEST for the same path, new files in tree/, and edits/ that are applied before those of
dev/edits.  The default base does not have such a folder.
"""
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dev import base as bases
from dev import edit
from dev.host import ROOT, Stop

FILE = ROOT / "dev/MANIFEST"
EDITS = ROOT / "dev/edits"
NOT_LAID = {"dev", "out"}
HASH = 12
# The class of a path, by the places that have it.
PLACES = ("the base", "this repository", "the edits")
KINDS = {(False, True, False): "N", (True, True, False): "R", (True, False, True): "E",
         (True, False, False): "D"}


@dataclass
class Row:
    file: Path
    line: int
    kind: str
    patch: str
    hash: str
    path: str
    why: str

    def __str__(self):
        return f"{where(self.file)}:{self.line}: {self.path}"


def where(path):
    """How messages name a file of this repository."""
    return str(path.relative_to(ROOT))


def read_rows(file):
    """{path: row} of a manifest; Stop at a line that cannot be read."""
    found = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        part = line.split(None, 4)
        if (len(part) != 5 or part[0] not in "NRED" or not part[1].isdigit()
                or (part[0] == "N") != (part[2] == "-")):
            raise Stop(f"{where(file)}:{number}: want 'class patch base-hash path why', with class "
                       "one of N R E D, and a base hash that is - for N only", 1)
        row = Row(file, number, *part)
        if row.path in found:
            raise Stop(f"{row} is listed twice, first on line {found[row.path].line}", 1)
        found[row.path] = row
    return found


def is_source(path):
    """Whether this is a source file, and not a file of an editor, a compiler or Python."""
    if path.name.startswith("."):
        return path.name in (".kunitconfig", ".gitignore")
    passing = (".o", ".pyc", ".orig", ".rej", ".kho-new", "~")
    return path.is_file() and not path.name.endswith(passing)


def files_below(top):
    """{path in the folder: source file} of a folder."""
    return {str(path.relative_to(top)): path for path in top.rglob("*") if is_source(path)}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:HASH]


def edited_bytes(old, edits, path):
    """The content `old` of this path after these edits."""
    text = old.decode("utf-8", "surrogateescape")
    for place in edits:
        text = edit.apply(text, edit.parse(place.read_text(), where(place)), path)
    return text.encode("utf-8", "surrogateescape")


class Sources:
    """The sources for a base of one series."""

    def __init__(self, series=None):
        own = ROOT / f"dev/base-{series or bases.default()}"
        self.manifests = [f for f in (FILE, own / "MANIFEST") if f.exists()]
        self.tree = own / "tree"
        self.edits = [own / "edits", EDITS]

    def rows(self):
        found = {}
        for file in self.manifests:
            found.update(read_rows(file))
        return list(found.values())

    def overlay(self):
        """{path: file of this repository} for new and replaced files."""
        found = {}
        for top in ROOT.iterdir():
            if top.is_dir() and top.name not in NOT_LAID and not top.name.startswith("."):
                found.update({f"{top.name}/{path}": top / path for path in files_below(top)})
        found.update(files_below(self.tree))
        return dict(sorted(found.items()))

    def edited(self):
        """{path of a base file: the edits for it, in order}."""
        found = defaultdict(list)
        for folder in self.edits:
            for place in sorted(folder.rglob("*.edit")):
                found[str(place.relative_to(folder)).removesuffix(".edit")].append(place)
        return dict(sorted(found.items()))

    def prove(self, base):
        """Compare manifest, sources and base: (errors, warnings), each with its line."""
        errors, warnings = [], []
        table, laid, changed = self.rows(), self.overlay(), self.edited()
        for row in table:
            old = base / row.path
            seen = (old.is_file(), row.path in laid, row.path in changed)
            if row.kind != KINDS.get(seen):
                there = [name for name, has in zip(PLACES, seen) if has] or ["nothing"]
                errors.append(f"{row} has class {row.kind}, but {' and '.join(there)} has the path")
                continue
            if row.kind != "N" and digest(old) != row.hash:
                warnings.append(f"{row} differs in this base from the file it was written against")
            if row.kind == "E":
                try:
                    edited_bytes(old.read_bytes(), changed[row.path], row.path)
                except edit.EditError as e:
                    errors.append(f"{where(row.file)}:{row.line}: {e}")
        for path in sorted({*laid, *changed} - {row.path for row in table}):
            place = laid.get(path) or changed[path][0]
            file = self.manifests[-1] if place.is_relative_to(self.tree.parent) else FILE
            errors.append(f"{where(file)}: a line for {path} is missing")
        return errors, warnings

    def update_hashes(self, base):
        """Write the hashes of this base into its own manifest; returns the rows that changed."""
        own = self.manifests[-1]
        lines = own.read_text().splitlines()
        known = [row for row in read_rows(own).values()
                 if row.kind != "N" and (base / row.path).is_file()]
        changed = [row for row in known if row.hash != digest(base / row.path)]
        for row in changed:
            fresh = digest(base / row.path)
            lines[row.line - 1] = lines[row.line - 1].replace(row.hash.ljust(HASH), fresh, 1)
        own.write_text("\n".join(lines) + "\n")
        return changed
