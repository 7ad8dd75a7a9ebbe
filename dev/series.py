# SPDX-License-Identifier: GPL-2.0
"""./kho series: the sources as patches for 'git am', in out/series/vN.

The second column of dev/MANIFEST says with which patch a path gets its final content.
dev/series/NN-slug is the commit message of a patch.  Where a path has to look otherwise
for a while, so that every patch builds, dev/series/NN-slug.d tells how:

    <path>.edit     this patch edits what the patches before it left
    <path>.early    this patch brings our file, without what this edit takes away again

both in the language of dev/edit.py.  dev/series/00-cover is the text of the cover letter.

The patches are made in a repository of just the paths they touch, with fixed dates, and
so are the same every time.
"""
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from dev import base as bases
from dev import manifest, tree
from dev.host import OUT, ROOT, Stop, output

FOLDER = ROOT / "dev/series"
COVER = FOLDER / "00-cover"
SERIES = OUT / "series"
FIGURES = OUT / "bench/table.json"        # of the last complete ./kho bench
STOCK, OURS = "stock", "ours"
BY_DEFAULT = ("Kexec Handover", "kho@localhost")
STEPS = (".edit", ".early")


@dataclass
class Patch:
    number: str
    name: str           # NN-slug
    message: str
    final: list         # paths that get their final content
    steps: list = field(default_factory=list)       # files in NN-slug.d
    changes: dict = field(default_factory=dict)     # {path: (bytes, executable) or None}


def text_of(path):
    """A text of dev/series without its comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return "\n".join(lines).strip("\n") + "\n"


def target(patch, step):
    """The path that a file in NN-slug.d is about."""
    return str(step.relative_to(FOLDER / f"{patch.name}.d")).rpartition(".")[0]


def plan(sources):
    """The patches in order, without their contents; Stop at what does not fit together."""
    table = sources.rows()
    where = {row.path: row.patch for row in table}
    found = []
    for place in sorted(FOLDER.glob("[0-9][0-9]-*")):
        if place == COVER or place.is_dir():
            continue
        number = place.name[:2]
        patch = Patch(number, place.name, text_of(place), [row.path for row in table if row.patch == number])
        patch.steps = sorted(p for p in (FOLDER / f"{place.name}.d").rglob("*") if p.is_file())
        for step in patch.steps:
            if step.suffix not in STEPS or where.get(target(patch, step), "") <= number:
                raise Stop(f"{step.relative_to(ROOT)}: want a path that dev/MANIFEST has in a patch after "
                           f"{number}, and .edit or .early after it", 1)
        if not patch.final and not patch.steps:
            raise Stop(f"dev/series/{place.name}: dev/MANIFEST has nothing for patch {number}", 1)
        found.append(patch)
    numbers = [patch.number for patch in found]
    for row in table:
        if numbers.count(row.patch) != 1:
            raise Stop(f"{row} is of patch {row.patch}, and dev/series has {numbers.count(row.patch)} "
                       f"files {row.patch}-... with its message", 1)
    for place in FOLDER.glob("*.d"):
        if place.name[:-2] not in [patch.name for patch in found]:
            raise Stop(f"dev/series/{place.name}: without dev/series/{place.name[:-2]}", 1)
    return found


def fill(patches, sources, origin):
    """Give each patch its changes; origin(path) is the base.  Returns what all of them make."""
    final, now = tree.content(sources, origin), {}
    lost = sorted(set(final) - {row.path for row in sources.rows()})
    if lost:
        raise Stop(f"{lost[0]} is not in dev/MANIFEST ('./kho check' tells where to add it)", 1)
    for patch in patches:
        for step in patch.steps:
            path = target(patch, step)
            start = final[path] if step.suffix == ".early" else now.get(path, origin(path))
            if start is None:
                raise Stop(f"{step.relative_to(ROOT)}: {path} to start from is missing", 1)
            patch.changes[path] = now[path] = manifest.edited_bytes(start[0], [step], path), start[1]
        for path in patch.final:
            if final[path] == now.get(path, origin(path)):
                raise Stop(f"dev/series/{patch.name}: nothing is left to do for {path} in this patch", 1)
            patch.changes[path] = now[path] = final[path]
    return final


# ---- the repository

def caller():
    """(name, address) that git knows the caller by."""
    known = output(["git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"]) or ""
    who = re.match(r"(.+) <(.+)> \d+ [+-]\d+$", known.strip())
    if not who:
        raise Stop("--signoff needs to know who signs: "
                   "git config --global user.name and user.email tell it")
    return who[1], who[2]


class Repository:
    """A git repository and its work tree, untouched by the user's configuration."""

    def __init__(self, run, git, work, who=BY_DEFAULT):
        self.run, self.git, self.work, self.who = run, Path(git), Path(work), who
        shutil.rmtree(self.git, ignore_errors=True)
        self.call("setting up a repository", "init", "-q", "-b", "series")

    def call(self, title, *words, minute=0, log="git.log"):
        """One git command; the date of what it commits follows from the minute."""
        when = f"2026-01-01T00:{minute:02}:00+00:00"
        env = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
               "GIT_DIR": str(self.git), "GIT_WORK_TREE": str(self.work)}
        for role in ("AUTHOR", "COMMITTER"):
            env.update({f"GIT_{role}_NAME": self.who[0], f"GIT_{role}_EMAIL": self.who[1],
                        f"GIT_{role}_DATE": when})
        return self.run.quiet(title, ["git", *words], log=log, cwd=self.work, env=env)

    def commit(self, message, paths, minute=0, signoff=False):
        self.call("adding files", "add", "-A", "-f", "--", *paths)
        note = self.run.path("message.txt")
        note.write_text(message)
        self.call("committing", "commit", "-q", "--cleanup=whitespace", "-F", note,
                  *(["--signoff"] if signoff else []), minute=minute)


def write(run, patches, base, origin, version, cover, who):
    """Write out/series/vN, signed off by who, if set; the folder."""
    work = run.path("repository")
    work.mkdir()
    repository = Repository(run, work / ".git", work, who or BY_DEFAULT)
    old = sorted({path for patch in patches for path in patch.changes if origin(path)})
    for path in old:
        tree.put(work, path, origin(path))
    repository.commit(f"Linux {base.version}", old)
    repository.call("marking the base", "tag", "base")
    for minute, patch in enumerate(patches, 1):
        for path, what in patch.changes.items():
            tree.put(work, path, what)
        repository.commit(patch.message, sorted(patch.changes), minute, signoff=bool(who))
    fresh = run.path("patches")
    repository.call("writing the patches", "format-patch", "-q", "-o", fresh, "--zero-commit", "--full-index",
                    "--patience", "-M", "-p", "--stat=79", f"--signature=base-version: {base.version}",
                    *([f"-v{version}"] if version > 1 else []),
                    *(["--cover-letter", "--cover-from-description=none"] if cover else []), "base")
    if cover:
        letter = next(fresh.glob("*0000-cover-letter.patch"))
        letter.write_text(fill_cover(letter.read_text()))
    shutil.rmtree(work)
    place = SERIES / f"v{version}"
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(fresh, place)
    return place


# ---- the cover letter

def fill_cover(letter):
    """The letter of git format-patch, with our words in it."""
    subject, _, words = text_of(COVER).partition("\n\n")
    words = words.replace("@STRINGS@", strings()).replace("@FIGURES@", figures())
    return letter.replace("*** SUBJECT HERE ***", subject).replace("*** BLURB HERE ***", words.strip("\n"))


def strings():
    """The compatibility strings of the headers as a table."""
    macros, rows = {}, []
    headers = sorted((ROOT / "include/linux/kho/abi").glob("*.h"))
    for header in headers:
        joined = header.read_text().replace("\\\n", " ")
        macros.update(re.findall(r"^#define[ \t]+(\w+_COMPAT(?:IBLE|_BASE))[ \t]+(.*)$", joined, re.M))
    for name in sorted(macros):
        if name.endswith("_COMPATIBLE"):
            rows.append(f"  {name:24} {expand(macros[name], macros)}")
    return "\n".join(rows)


def expand(body, macros):
    """What the preprocessor makes of a compatibility string."""
    value = ""
    for literal, sub, name in re.findall(r'"([^"]*)"|KHO_SUB_COMPAT\((\w+)\)|(\w+)', body):
        if sub:
            value += ";" + expand(macros[sub], macros)
        else:
            value += expand(macros[name], macros) if name else literal
    return value


def figures():
    """What the last complete ./kho bench found, from its JSON."""
    if not FIGURES.exists():
        return "  (none yet: ./kho bench makes them)"
    lines = [f"  {'':16} {'':10} {'':6} {'before':>12} {'after':>12}"]
    for row in json.loads(FIGURES.read_text()):
        if STOCK in row and OURS in row:
            cells = " ".join(f"{row[who]['per unit']:12.1f}" for who in (STOCK, OURS))
            lines.append(f"  {row['load']:16} {row['figure']:10} {row['unit']:6} {cells}")
    return "\n".join(lines)


# ---- the verb

def series(run, version=1, cover=False, signoff=False):
    """Write the series: (base, patches, what all of them make, folder)."""
    if not 1 <= version <= 99:
        raise Stop(f"-v {version}: want a number from 1 to 99")
    who = caller() if signoff else None
    base = bases.find(run)
    if base.series != bases.default():
        raise Stop(f"the base is Linux {base.version}, and dev/series is for {bases.default()}.y")
    origin, sources = tree.reader(base.dir), manifest.Sources(base.series)
    patches = plan(sources)
    final = fill(patches, sources, origin)
    place = write(run, patches, base, origin, version, cover, who)
    run.say(f"{place.relative_to(ROOT)}: {len(patches)} patches for Linux {base.version}"
            + (" and a cover letter" if cover else ""))
    return base, patches, final, place
