# SPDX-License-Identifier: GPL-2.0
"""The overlay, and dev/MANIFEST: one line for every path laid on a kernel tree.

    class  patch  base-hash  path  why

class is N (new file), R (replaces the base's), E (edited by dev/edits) or D (removed);
patch is the one of dev/series that brings its final content; base-hash starts the
sha256 of the base file an R, E or D was written against, and is - for N.

dev/base-7.2 is what Linux 7.2 needs besides: lines in a MANIFEST of its own, which come
instead of those for the same path, new files in tree/, and edits/ that come before those
of dev/edits.  The default base has no such folder.
"""
import hashlib
import os
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
    """The lines of a manifest; Stop at one that cannot be read."""
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        part = line.split(None, 4)
        if len(part) != 5 or part[0] not in "NRED" or not part[1].isdigit():
            raise Stop(f"{where(file)}:{number}: want 'class patch base-hash path why', "
                       "with class one of N R E D", 1)
        if (part[0] == "N") != (part[2] == "-"):
            raise Stop(f"{where(file)}:{number}: the base hash is - for N and a hash for the others", 1)
        found.append(Row(file, number, *part))
    return found


def files_below(top):
    """Source files below a folder, from there."""
    found = []
    for folder, folders, files in os.walk(top):
        folders[:] = [d for d in folders if d != "__pycache__"]
        found += [os.path.relpath(os.path.join(folder, f), top) for f in files if is_source(f)]
    return found


def is_source(name):
    """Not a file of an editor or a compiler."""
    if name.startswith("."):
        return name in (".kunitconfig", ".gitignore")
    return not name.endswith((".o", ".orig", ".rej", ".kho-new", "~"))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:HASH]


class Sources:
    """All that is laid on a base of one series."""

    def __init__(self, series=None):
        own = ROOT / f"dev/base-{series or bases.default()}"
        self.manifests = [f for f in (FILE, own / "MANIFEST") if f.exists()]
        self.tree = own / "tree"
        self.edits = [own / "edits", EDITS]

    def rows(self):
        found = {}
        for file in self.manifests:
            table = read_rows(file)
            found.update({row.path: row for row in table})
        return list(found.values())

    def overlay(self):
        """{path: the file that is laid there as it is}."""
        found = {}
        for top in sorted(ROOT.iterdir()):
            if top.is_dir() and top.name not in NOT_LAID and not top.name.startswith("."):
                found.update({f"{top.name}/{path}": top / path for path in files_below(top)})
        found.update({path: self.tree / path for path in files_below(self.tree)})
        return dict(sorted(found.items()))

    def edited(self):
        """{path of a base file: the edits for it, in order}."""
        found = defaultdict(list)
        for folder in self.edits:
            for place in sorted(folder.rglob("*.edit")):
                found[str(place.relative_to(folder))[:-len(".edit")]].append(place)
        return dict(sorted(found.items()))

    def removed(self):
        return [row.path for row in self.rows() if row.kind == "D"]

    def edit_text(self, path, edits, old):
        """The base file `old` of this path as bytes, after its edits."""
        text = old.decode("utf-8", "surrogateescape")
        for place in edits:
            name = where(place)
            text = edit.apply(text, edit.parse(place.read_text(), name), name, path)
        return text.encode("utf-8", "surrogateescape")

    def prove(self, base):
        """Compare manifest, overlay and base; (errors, warnings), each naming its line."""
        errors, warnings = self.listed_twice(), []
        table = self.rows()
        laid, changed = self.overlay(), self.edited()
        for row in table:
            wrong = row_error(row, base / row.path, laid, changed)
            if wrong:
                errors.append(f"{row} {wrong}")
                continue
            if row.kind != "N" and digest(base / row.path) != row.hash:
                warnings.append(f"{row} differs in this base from the file it was written against")
            if row.kind == "E":
                try:
                    self.edit_text(row.path, changed[row.path], (base / row.path).read_bytes())
                except edit.EditError as e:
                    errors.append(f"{where(row.file)}:{row.line}: {e}")
        for path in sorted({*laid, *changed} - {row.path for row in table}):
            errors.append(self.missing_row(path, laid.get(path) or changed[path][0]))
        return errors, warnings

    def missing_row(self, path, place):
        """Where the line belongs for a path that this file of the repository is laid on."""
        own = place.is_relative_to(self.tree.parent)
        table = read_rows(self.manifests[-1] if own else FILE)
        near = max((row for row in table if row.path < path), key=lambda r: r.path, default=table[0])
        return f"{where(near.file)}:{near.line}: a line for {path} is missing (near this one)"

    def listed_twice(self):
        errors = []
        for file in self.manifests:
            seen = {}
            for row in read_rows(file):
                first = seen.setdefault(row.path, row)
                if first is not row:
                    errors.append(f"{row} is listed twice, first on line {first.line}")
        return errors

    def update_hashes(self, base):
        """Write the hashes of this base into its own manifest; the rows that changed."""
        changed = []
        for row in self.rows():
            if row.kind == "N" or row.file != self.manifests[-1] or not (base / row.path).is_file():
                continue
            fresh = digest(base / row.path)
            if fresh != row.hash:
                lines = row.file.read_text().splitlines()
                lines[row.line - 1] = lines[row.line - 1].replace(row.hash.ljust(HASH), fresh, 1)
                row.file.write_text("\n".join(lines) + "\n")
                changed.append(row)
        return changed


def row_error(row, old, laid, changed):
    """What is wrong with one row, or None."""
    if row.kind == "N" and old.exists():
        return "is new here, and the base has it: make it R"
    if row.kind != "N" and not old.is_file():
        return f"is {row.kind} here, and the base has no such file"
    if row.kind in "NR" and row.path not in laid:
        return "is listed, and the file is not in this repository"
    if row.kind in "ED" and row.path in laid:
        return f"is {row.kind} here, and a file of ours lies there as well"
    if row.kind == "E" and row.path not in changed:
        return f"is E here, without {row.path}.edit"
    if row.kind != "E" and row.path in changed:
        return f"is {row.kind} here, and has an edit as well"
    return None
