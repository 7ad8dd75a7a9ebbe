# SPDX-License-Identifier: GPL-2.0
"""Tries './kho apply' on kernel trees that people may have: small ones, of the base's files.

Each is the part of the base that our sources touch, with something of the user's in it.
"""
import shutil
import tempfile
from pathlib import Path

from dev import manifest, series, tree
from dev.host import OUT, Result, Stop

WHERE = "mm/memblock.c"             # a file that has an edit
REPLACED = "mm/memfd_luo.c"         # one that is replaced
OTHER = "Kbuild"                    # one that is left alone
MINE = "/* mine */\n"


class Heard:
    """Stands for a run: keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


class Tree:
    """One small kernel tree."""

    def __init__(self, run, base, sources, place):
        self.run, self.place, self.sources = run, place, sources
        paths = {row.path for row in sources.rows() if row.kind != "N"} | {"Makefile", OTHER}
        for path in paths:
            tree.put(place, path, tree.read(base.dir / path))

    def commit(self):
        series.Repository(self.run, self.place / ".git", self.place).commit("base", ["."])

    def append(self, path):
        with open(self.place / path, "a", encoding="utf-8") as out:
            out.write(MINE)

    def lose(self, path, line):
        text = (self.place / path).read_text()
        (self.place / path).write_text(text.replace(line + "\n", "", 1))

    def state(self):
        files = [p for p in self.place.rglob("*") if p.is_file() and ".git" not in p.parts]
        return {str(p.relative_to(self.place)): tree.read(p) for p in files}

    def apply(self):
        """What was said."""
        heard = Heard()
        tree.apply(heard, self.place)
        return heard.lines

    def wrong(self):
        """A path that is not as it should be, or nothing."""
        laid = tree.content(self.sources, tree.reader(self.place), again=True)
        return next((path for path, what in laid.items() if tree.read(self.place / path) != what), "")

    def refused(self, *words):
        """Why it was not refused with these words and left as it was, or nothing."""
        before = self.state()
        try:
            self.apply()
        except Stop as e:
            lost = [word for word in words if word not in str(e)]
            changed = "" if self.state() == before else "something was written; "
            return changed + (f"'{lost[0]}' is not in: {e}" if lost else "")
        return "not refused"


# ---- what may be there; each returns what went wrong

def no_repository(it):
    it.apply()
    if it.wrong():
        return it.wrong()
    before, again = it.state(), it.apply()
    return "" if "nothing to write" in again[0] and it.state() == before else "a second time it writes"


def changes_elsewhere(it):
    it.commit()
    it.append(OTHER)
    it.apply()
    kept = (it.place / OTHER).read_text().endswith(MINE)
    return it.wrong() or ("" if kept else f"{OTHER} lost its change")


def changes_in_our_paths(it):
    it.commit()
    it.append(REPLACED)
    return it.refused(REPLACED, "commit, stash or remove")


def newer_base(it):
    it.append(WHERE)
    it.append(REPLACED)
    it.commit()
    warned = [line for line in it.apply() if line.startswith("warning:")]
    lost = [path for path in (WHERE, REPLACED) if not any(path in line for line in warned)]
    kept = (it.place / WHERE).read_text().endswith(MINE)
    return it.wrong() or (f"no warning names {lost[0]}" if lost else "" if kept else f"{WHERE} lost its change")


def lost_anchor(it):
    it.lose(WHERE, "static void __init memmap_init_reserved_pages(void)")
    it.commit()
    return it.refused(f"dev/edits/{WHERE}.edit:", "memmap_init_reserved_pages", WHERE, "\n  ")


def not_a_kernel(it):
    (it.place / "Makefile").unlink()
    return it.refused("is not a kernel tree")


KINDS = {"without git": no_repository, "with changes elsewhere": changes_elsewhere,
         "with changes in our paths": changes_in_our_paths, "of a newer base": newer_base,
         "without a line that an edit needs": lost_anchor, "that is not a kernel": not_a_kernel}


def check(run, base):
    """[Result] of all kinds of trees."""
    sources, results = manifest.Sources(base.series), []
    OUT.mkdir(exist_ok=True)
    for name, kind in KINDS.items():
        place = Path(tempfile.mkdtemp(dir=OUT, prefix="own-"))
        try:
            why = kind(Tree(run, base, sources, place))
        except Stop as e:
            why = str(e)
        finally:
            shutil.rmtree(place)
        results.append(Result(f"apply to a tree {name}", not why, why))
    return results
