# SPDX-License-Identifier: GPL-2.0
"""The overlay, and dev/MANIFEST: one line for every path laid on a kernel tree.

    class  patch  base-hash  path  why

class is N (new file), R (replaces the base's), E (edited by dev/edits) or D (removed);
patch is the one of dev/series that brings its final content; base-hash starts the
sha256 of the base file an R, E or D was written against, and is - for N.
"""
import hashlib
import os
from dataclasses import dataclass

from dev import edit
from dev.host import ROOT, Stop

FILE = ROOT / "dev/MANIFEST"
EDITS = ROOT / "dev/edits"
NOT_LAID = {"dev", "out"}
HASH = 12


@dataclass
class Row:
    line: int
    kind: str
    patch: str
    hash: str
    path: str
    why: str

    def __str__(self):
        return f"dev/MANIFEST:{self.line}: {self.path}"


def rows():
    """The lines of the manifest; Stop at one that cannot be read."""
    found = []
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        part = line.split(None, 4)
        if len(part) != 5 or part[0] not in "NRED" or not part[1].isdigit():
            raise Stop(f"dev/MANIFEST:{number}: want 'class patch base-hash path why', "
                       "with class one of N R E D", 1)
        if (part[0] == "N") != (part[2] == "-"):
            raise Stop(f"dev/MANIFEST:{number}: the base hash is - for N and a hash for the others", 1)
        found.append(Row(number, *part))
    return found


def overlay():
    """Paths of the files that are laid as they are."""
    found = []
    for top in sorted(ROOT.iterdir()):
        if not top.is_dir() or top.name in NOT_LAID or top.name.startswith("."):
            continue
        for folder, folders, files in os.walk(top):
            folders[:] = [d for d in folders if d != "__pycache__"]
            found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files if is_source(f)]
    return sorted(found)


def is_source(name):
    """Not what editors and compilers leave behind."""
    if name.startswith("."):
        return name in (".kunitconfig", ".gitignore")
    return not name.endswith((".o", ".orig", ".rej", ".kho-new", "~"))


def edited():
    """Paths of base files that have an edit."""
    found = [str(p.relative_to(EDITS))[:-len(".edit")] for p in EDITS.rglob("*.edit")]
    if (ROOT / "MAINTAINERS").exists():
        found.append("MAINTAINERS")
    return sorted(found)


def edit_text(path, old, removed, again=False):
    """The base file `old` of this path as bytes, edited."""
    text = old.decode("utf-8", "surrogateescape")
    if path == "MAINTAINERS":
        new = edit.merge_maintainers(text, (ROOT / path).read_text(), removed, path)
    else:
        new = edit.apply(text, *rules_of(path), path, again)
    return new.encode("utf-8", "surrogateescape")


def rules_of(path):
    """The rules for a base file, and the name of the file they are in."""
    name = f"dev/edits/{path}.edit"
    return edit.parse((ROOT / name).read_text(), name), name


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:HASH]


def prove(base):
    """Compare manifest, overlay and base; (errors, warnings), each naming its line."""
    table, errors, warnings = rows(), [], []
    laid, changed = set(overlay()), set(edited())
    seen = {}
    for row in table:
        if row.path in seen:
            errors.append(f"{row} is listed twice, first on line {seen[row.path]}")
        seen.setdefault(row.path, row.line)
        wrong = row_error(row, base / row.path, laid, changed)
        if wrong:
            errors.append(f"{row} {wrong}")
            continue
        if row.kind != "N" and digest(base / row.path) != row.hash:
            warnings.append(f"{row} differs in this base from the file it was written against")
        if row.kind == "E":
            old = (base / row.path).read_bytes()
            try:
                edit_text(row.path, old, removed(table))
                if row.path != "MAINTAINERS":
                    errors += edit.unguarded(old.decode("utf-8", "surrogateescape"), *rules_of(row.path), row.path)
            except edit.EditError as e:
                errors.append(f"dev/MANIFEST:{row.line}: {e}")
    for path in sorted((laid | changed) - set(seen)):
        near = max((row for row in table if row.path < path), key=lambda r: r.path, default=table[0])
        errors.append(f"dev/MANIFEST:{near.line}: a line for {path} is missing (near this one)")
    return errors, warnings


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
        return f"is E here, and dev/edits/{row.path}.edit is missing"
    if row.kind != "E" and row.path in changed:
        return f"is {row.kind} here, and has an edit as well"
    return None


def removed(table=None):
    return [row.path for row in (table or rows()) if row.kind == "D"]


def update_hashes(base):
    """Write the hashes of this base into the manifest; the rows that changed."""
    lines, changed = FILE.read_text().splitlines(), []
    for row in rows():
        if row.kind == "N" or not (base / row.path).is_file():
            continue
        fresh = digest(base / row.path)
        if fresh != row.hash:
            at = row.line - 1
            lines[at] = lines[at].replace(row.hash.ljust(HASH), fresh, 1)
            changed.append(row)
    FILE.write_text("\n".join(lines) + "\n")
    return changed
