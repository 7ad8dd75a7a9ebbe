# SPDX-License-Identifier: GPL-2.0
"""./kho series: the sources as patches for 'git am', in out/series/vN.

The second column of dev/MANIFEST is the number of the patch that gives a path its final content.
dev/series/NN-slug is the commit message of a patch.  If a path needs an intermediate content in
an earlier patch, so that every patch builds, dev/series/NN-slug.d has one of two files for it:

    <path>.edit     edits the path as the patches before this one left it
    <path>.early    edits the final content of the path, back to what this patch needs

both in the language of dev/edit.py.  dev/series/00-cover is the text of the cover letter.

The patches are made in a repository that only has the paths they change, with fixed dates, so
that the result is always the same.
"""
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field

from dev import base as bases
from dev import manifest, tree
from dev.host import OUT, ROOT, Stop, output

FOLDER = ROOT / "dev/series"
COVER = FOLDER / "00-cover"
SERIES = OUT / "series"
FIGURES = OUT / "bench/table.json"        # of the last complete ./kho bench
BY_DEFAULT = ("Kexec Handover", "kho@localhost")


@dataclass
class Patch:
    number: str
    name: str           # NN-slug
    message: str
    final: list         # paths that get their final content
    steps: dict         # {file in NN-slug.d: the path that it edits}
    changes: dict = field(default_factory=dict)     # {path: (bytes, executable) or None}


def text_of(path):
    """A text of dev/series without its comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return "\n".join(lines).strip("\n") + "\n"


def plan(sources):
    """The patches in order, without contents; Stop if dev/series and MANIFEST do not match."""
    table = sources.rows()
    where = {row.path: row.patch for row in table}
    found = []
    for message in sorted(p for p in FOLDER.glob("[0-9][0-9]-*") if p != COVER and p.is_file()):
        number, folder = message.name[:2], FOLDER / f"{message.name}.d"
        final = [row.path for row in table if row.patch == number]
        steps = {step: str(step.relative_to(folder).with_suffix(""))
                 for step in sorted(folder.rglob("*")) if step.is_file()}
        for step, path in steps.items():
            if step.suffix not in (".edit", ".early") or where.get(path, "") <= number:
                raise Stop(f"{manifest.where(step)}: want the name PATH.edit or PATH.early, where "
                           f"dev/MANIFEST has PATH in a patch after {number}", 1)
        if not final and not steps:
            raise Stop(f"{manifest.where(message)}: dev/MANIFEST has no path for this patch", 1)
        found.append(Patch(number, message.name, text_of(message), final, steps))
    numbers = [patch.number for patch in found]
    for row in table:
        if numbers.count(row.patch) != 1:
            raise Stop(f"{row} is of patch {row.patch}, and dev/series has "
                       f"{numbers.count(row.patch)} files {row.patch}-... with its message", 1)
    for folder in FOLDER.glob("*.d"):
        if not folder.with_suffix("").exists():
            raise Stop(f"{manifest.where(folder)}: dev/series has no message of this name", 1)
    return found


def fill(patches, sources, origin):
    """Set the changes of each patch; origin(path) reads the base.  Returns the final contents."""
    final, now = tree.content(sources, origin), {}
    lost = sorted(set(final) - {row.path for row in sources.rows()})
    if lost:
        raise Stop(f"{lost[0]} is not in dev/MANIFEST ('./kho check' tells where to add it)", 1)
    for patch in patches:
        for step, path in patch.steps.items():
            start = final[path] if step.suffix == ".early" else now.get(path, origin(path))
            if start is None:
                raise Stop(f"{manifest.where(step)}: {path} does not exist before this patch", 1)
            now[path] = manifest.edited_bytes(start[0], [step], path), start[1]
        for path in patch.final:
            if final[path] == now.get(path, origin(path)):
                raise Stop(f"dev/series/{patch.name}: nothing is left to do for {path}", 1)
            now[path] = final[path]
        patch.changes = {path: now[path] for path in [*patch.steps.values(), *patch.final]}
    return final


# ---- the repository

def caller():
    """(name, address) of the caller, from git."""
    known = output(["git", "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"])
    who = re.match(r"(.+) <(.+)> \d+ [+-]\d+$", known.strip())
    if not who:
        raise Stop("--signoff needs your name and address: "
                   "set user.name and user.email with 'git config --global'")
    return who.groups()


class Repository:
    """A git repository and its work tree, which do not use the configuration of the user."""

    def __init__(self, run, git, work, who=BY_DEFAULT):
        self.run, self.git, self.work, self.who = run, git, work, who
        shutil.rmtree(self.git, ignore_errors=True)
        self.call("setting up a repository", "init", "-q", "-b", "series")

    def call(self, title, *words, minute=0, log="git.log"):
        """Run a git command; a commit gets a date with this minute."""
        env = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
               "GIT_DIR": self.git, "GIT_WORK_TREE": self.work}
        for role in ("GIT_AUTHOR", "GIT_COMMITTER"):
            env.update({f"{role}_NAME": self.who[0], f"{role}_EMAIL": self.who[1],
                        f"{role}_DATE": f"2026-01-01T00:{minute:02}:00+00:00"})
        self.run.step(title, ["git", *words], log=log, cwd=self.work, env=env, quiet=True)

    def commit(self, message, changes, minute=0, signoff=False):
        """Write {path: content} to the work tree and commit it."""
        for path, what in changes.items():
            tree.put(self.work, path, what)
        self.call("adding files", "add", "-A", "-f", "--", *sorted(changes))
        note = self.run.path("message.txt")
        note.write_text(message)
        more = ["--signoff"] if signoff else []
        self.call("committing", "commit", "-q", "--cleanup=whitespace", "-F", note, *more,
                  minute=minute)


def write(run, patches, base, origin, version, cover, who):
    """Write the patches to out/series/vN, signed off by who, if set; returns the folder."""
    work = run.path("repository")
    work.mkdir()
    repository = Repository(run, work / ".git", work, who or BY_DEFAULT)
    old = {path: origin(path) for patch in patches for path in patch.changes if origin(path)}
    repository.commit(f"Linux {base.version}", old)
    repository.call("marking the base", "tag", "base")
    for minute, patch in enumerate(patches, 1):
        repository.commit(patch.message, patch.changes, minute, signoff=bool(who))
    place = SERIES / f"v{version}"
    shutil.rmtree(place, ignore_errors=True)
    words = ["format-patch", "-q", "-o", place, "--zero-commit", "--full-index", "--patience", "-M",
             "-p", "--stat=79", f"--signature=base-version: {base.version}"]
    words += [f"-v{version}"] if version > 1 else []
    words += ["--cover-letter", "--cover-from-description=none"] if cover else []
    repository.call("writing the patches", *words, "base")
    if cover:
        letter = next(place.glob("*0000-cover-letter.patch"))
        letter.write_text(fill_cover(letter.read_text()))
    shutil.rmtree(work)
    return place


# ---- the cover letter

def fill_cover(letter):
    """The letter of git format-patch, with our subject and text."""
    subject, _, words = text_of(COVER).partition("\n\n")
    words = words.replace("@STRINGS@", strings()).replace("@FIGURES@", figures())
    words = words.strip("\n")
    return letter.replace("*** SUBJECT HERE ***", subject).replace("*** BLURB HERE ***", words)


def strings():
    """The compatibility strings of the headers as a table; the preprocessor expands them."""
    headers = sorted((ROOT / "include/linux/kho/abi").glob("*.h"))
    text = "".join(header.read_text() for header in headers).replace("\\\n", " ")
    macros = "\n".join(re.findall(r"^#define[ \t]+\w+_COMPAT(?:IBLE|_BASE|\().*$", text, re.M))
    names = sorted(set(re.findall(r"^#define[ \t]+(\w+_COMPATIBLE)[ \t]", macros, re.M)))
    made = subprocess.run(["gcc", "-E", "-P", "-"], text=True, check=True, stdout=subprocess.PIPE,
                          input="\n".join([macros, *names])).stdout.splitlines()
    values = ["".join(re.findall(r'"([^"]*)"', line)) for line in made]
    return "\n".join(f"  {name:24} {value}" for name, value in zip(names, values))


def figures():
    """The figures of the last complete ./kho bench, from its JSON."""
    if not FIGURES.exists():
        return "  (none yet: ./kho bench makes them)"
    lines = [f"  {'':16} {'':10} {'':6} {'before':>12} {'after':>12}"]
    for row in json.loads(FIGURES.read_text()):
        if "stock" in row and "ours" in row:
            before, after = (row[who]["per unit"] for who in ("stock", "ours"))
            lines.append(f"  {row['load']:16} {row['figure']:10} {row['unit']:6} "
                         f"{before:12.1f} {after:12.1f}")
    return "\n".join(lines)


# ---- the verb

def series(run, version=1, cover=False, signoff=False):
    """Write the series: (base, patches, final contents, folder)."""
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
