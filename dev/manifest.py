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

from dev import edit
from dev.host import ROOT, Stop

FILE = ROOT / "dev/MANIFEST"
EDITS = ROOT / "dev/edits"
NOT_LAID = {"dev", "out"}
HASH = 12
# The places that have a path, for each class.
KINDS = {"N": "this repository", "R": "the base and this repository",
         "E": "the base and the edits", "D": "the base"}


@dataclass
class Row:
    where: str          # file and line, for messages
    kind: str
    patch: str
    hash: str
    path: str
    why: str

    def __str__(self):
        return f"{self.where}: {self.path}"


def where(path):
    """How messages name a file of this repository."""
    return str(path.relative_to(ROOT))


def read_rows(file):
    """{path: row} of a manifest; Stop at a line that cannot be read."""
    found = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        at, part = f"{where(file)}:{number}", line.split(None, 4)
        if (len(part) != 5 or part[0] not in KINDS or not part[1].isdigit()
                or (part[0] == "N") != (part[2] == "-")):
            raise Stop(f"{at}: want 'class patch base-hash path why', with class one of "
                       f"{' '.join(KINDS)}, and a base hash that is - for N only", 1)
        row = Row(at, *part)
        if row.path in found:
            raise Stop(f"{row} is listed twice, first at {found[row.path].where}", 1)
        found[row.path] = row
    return found


def files_below(top):
    """{path in the folder: file} of a folder, without files of editors, compilers and Python."""
    passing = (".o", ".pyc", ".orig", ".rej", ".kho-new", "~")
    return {str(path.relative_to(top)): path for path in top.rglob("*")
            if path.is_file() and not path.name.endswith(passing)
            and (path.name[0] != "." or path.name in (".kunitconfig", ".gitignore"))}


def edited_bytes(old, edits, path):
    """The content `old` of this path after these edits."""
    text = old.decode("utf-8", "surrogateescape")
    for place in edits:
        text = edit.apply(text, edit.parse(place.read_text(), where(place)), path)
    return text.encode("utf-8", "surrogateescape")


class Sources:
    """The sources for a base of one series."""

    def __init__(self, series):
        self.own = ROOT / f"dev/base-{series}"
        self.manifests = [f for f in (FILE, self.own / "MANIFEST") if f.exists()]

    def rows(self):
        """{path: row} of all manifests."""
        return {path: row for file in self.manifests for path, row in read_rows(file).items()}

    def overlay(self):
        """{path: file of this repository} for new and replaced files."""
        found = {}
        for top in ROOT.iterdir():
            if top.is_dir() and top.name not in NOT_LAID and not top.name.startswith("."):
                found.update({f"{top.name}/{path}": top / path for path in files_below(top)})
        found.update(files_below(self.own / "tree"))
        return dict(sorted(found.items()))

    def edited(self):
        """{path of a base file: the edits for it, in order}."""
        found = defaultdict(list)
        for folder in (self.own / "edits", EDITS):
            for place in sorted(folder.rglob("*.edit")):
                found[str(place.relative_to(folder)).removesuffix(".edit")].append(place)
        return dict(sorted(found.items()))

    def prove(self, base):
        """Compare manifest, sources and base: (errors, warnings), each with its line."""
        errors, warnings = [], []
        table, laid, changed = self.rows(), self.overlay(), self.edited()
        for path, row in table.items():
            old = base / path
            places = {"the base": old.is_file(), "this repository": path in laid,
                      "the edits": path in changed}
            there = " and ".join(name for name, has in places.items() if has)
            if there != KINDS[row.kind]:
                errors.append(f"{row} has class {row.kind}, but {there or 'nothing'} has the path")
                continue
            now = row.kind != "N" and hashlib.sha256(old.read_bytes()).hexdigest()[:HASH]
            if now and now != row.hash:
                warnings.append(f"{row} differs in this base (hash {now}) from the file it was "
                                "written against")
            if row.kind == "E":
                try:
                    edited_bytes(old.read_bytes(), changed[path], path)
                except Stop as e:
                    errors.append(f"{row.where}: {e}")
        for path in sorted({*laid, *changed} - set(table)):
            place = laid.get(path) or changed[path][0]
            file = self.manifests[-1] if place.is_relative_to(self.own) else FILE
            errors.append(f"{where(file)}: a line for {path} is missing")
        return errors, warnings
