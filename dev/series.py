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
FIGURES = OUT / "bench/table.json"        # of the last complete ./kho bench
DATE = "2026-01-01T00:{:02}:00+00:00"     # of a commit, with its minute
BY_DEFAULT = ("Kexec Handover", "kho@localhost")


@dataclass
class Patch:
    name: str           # NN-slug
    message: str
    final: list         # paths that get their final content
    steps: dict         # {file in NN-slug.d: the path that it edits}
    changes: dict = field(default_factory=dict)     # {path: (bytes, executable) or None}


def text_of(path):
    """A text of dev/series without its comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return "\n".join(lines).strip("\n") + "\n"


def plan(table):
    """The patches in order, without contents; Stop if they do not match these rows of MANIFEST."""
    where = {path: row.patch for path, row in table.items()}
    found = []
    for message in sorted(p for p in FOLDER.glob("[0-9][0-9]-*") if p != COVER and p.is_file()):
        number, folder = message.name[:2], FOLDER / f"{message.name}.d"
        final = [path for path in where if where[path] == number]
        steps = {step: str(step.relative_to(folder).with_suffix(""))
                 for step in sorted(folder.rglob("*")) if step.is_file()}
        for step, path in steps.items():
            if step.suffix not in (".edit", ".early") or where.get(path, "") <= number:
                raise Stop(f"{manifest.where(step)}: want the name PATH.edit or PATH.early, where "
                           f"dev/MANIFEST has PATH in a patch after {number}", 1)
        if not final and not steps:
            raise Stop(f"{manifest.where(message)}: dev/MANIFEST has no path for this patch", 1)
        found.append(Patch(message.name, text_of(message), final, steps))
    numbers = [patch.name[:2] for patch in found]
    for row in table.values():
        if numbers.count(row.patch) != 1:
            raise Stop(f"{row} is of patch {row.patch}, and dev/series has "
                       f"{numbers.count(row.patch)} files {row.patch}-... with its message", 1)
    for folder in FOLDER.glob("*.d"):
        if not folder.with_suffix("").exists():
            raise Stop(f"{manifest.where(folder)}: dev/series has no message of this name", 1)
    return found


def patches_for(base):
    """The patches in order, and the final contents {path: (bytes, executable) or None}."""
    table, final, now = manifest.Sources(base.series).rows(), tree.content(base), {}

    def before(path):
        return now[path] if path in now else tree.read(base.dir / path)

    if lost := sorted(set(final) - set(table)):
        raise Stop(f"{lost[0]} is not in dev/MANIFEST ('./kho check' tells where to add it)", 1)
    patches = plan(table)
    for patch in patches:
        for step, path in patch.steps.items():
            start = final[path] if step.suffix == ".early" else before(path)
            if start is None:
                raise Stop(f"{manifest.where(step)}: {path} does not exist before this patch", 1)
            now[path] = manifest.edited_bytes(start[0], [step], path), start[1]
        for path in patch.final:
            if final[path] == before(path):
                raise Stop(f"dev/series/{patch.name}: nothing is left to do for {path}", 1)
            now[path] = final[path]
        patch.changes = {path: now[path] for path in [*patch.steps.values(), *patch.final]}
    return patches, final


# ---- the repository

class Repository:
    """A git repository that starts with these paths of the base, as the tag 'base'."""

    def __init__(self, run, git, work, base, paths, who=None):
        self.run, self.work = run, work
        name, address = who or BY_DEFAULT
        self.env = {**tree.PLAIN_GIT, "GIT_DIR": git, "GIT_WORK_TREE": work,
                    "GIT_COMMITTER_DATE": DATE.format(0)}
        for role in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": address}
        shutil.rmtree(git, ignore_errors=True)
        self.call("init", "-q", "-b", "series")
        old = {path: tree.read(base.dir / path) for path in paths}
        self.commit(f"Linux {base.version}", {path: what for path, what in old.items() if what})
        self.call("tag", "base")

    def call(self, *words, log="git.log"):
        """Run a git command."""
        self.run.step(f"git {words[0]}", ["git", *words], log=log, cwd=self.work, env=self.env,
                      quiet=True)

    def commit(self, message, changes, *options):
        """Write {path: content} to the work tree and commit it."""
        for path, what in changes.items():
            tree.put(self.work, path, what)
        self.call("add", "-A", "-f", "--", *sorted(changes))
        note = self.run.path("message.txt")
        note.write_text(message)
        self.call("commit", "-q", "--cleanup=whitespace", "-F", note, *options)


def write(run, patches, base, final, place, options, who):
    """Write the patches to a folder by 'git format-patch', signed off by who, if set."""
    work = run.path("repository")
    work.mkdir()
    repository = Repository(run, work / ".git", work, base, final, who)
    for minute, patch in enumerate(patches, 1):
        repository.commit(patch.message, patch.changes, f"--date={DATE.format(minute)}",
                          *(["--signoff"] if who else []))
    shutil.rmtree(place, ignore_errors=True)
    repository.call("format-patch", "-q", "-o", place, "--zero-commit", "--full-index",
                    "--patience", "-M", "-p", "--stat=79",
                    f"--signature=base-version: {base.version}", *options, "base")
    shutil.rmtree(work)


# ---- the cover letter

def fill_cover(letter):
    """Put our subject and text into the letter of git format-patch."""
    subject, _, words = text_of(COVER).partition("\n\n")
    words = words.replace("@STRINGS@", strings()).replace("@FIGURES@", figures()).strip("\n")
    text = letter.read_text().replace("*** SUBJECT HERE ***", subject)
    letter.write_text(text.replace("*** BLURB HERE ***", words))


def strings():
    """The compatibility strings of the headers as a table; the preprocessor expands them."""
    headers = sorted((ROOT / "include/linux/kho/abi").glob("*.h"))
    text = "".join(header.read_text() for header in headers)
    names = sorted(set(re.findall(r"^#define[ \t]+(\w+_COMPATIBLE)[ \t]", text, re.M)))
    source = re.sub("^#include.*", "", text, flags=re.M) + "\n@".join(["", *names])
    made = subprocess.run(["gcc", "-E", "-P", "-"], text=True, check=True, input=source,
                          stdout=subprocess.PIPE).stdout
    values = ["".join(re.findall(r'"(.*?)"', line)) for line in made.split("@")[1:]]
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
    who = signoff and [output(["git", "config", f"user.{k}"]).strip() for k in ("name", "email")]
    if signoff and not all(who):
        raise Stop("--signoff needs your name and address: "
                   "set user.name and user.email with 'git config --global'")
    base = bases.find(run)
    if base.series != bases.default():
        raise Stop(f"the base is Linux {base.version}, and dev/series is for {bases.default()}.y")
    patches, final = patches_for(base)
    place = OUT / f"series/v{version}"
    options = [f"-v{version}"] if version > 1 else []
    options += ["--cover-letter", "--cover-from-description=none"] if cover else []
    write(run, patches, base, final, place, options, who)
    for letter in place.glob("*0000-cover-letter.patch"):
        fill_cover(letter)
    run.say(f"{place.relative_to(ROOT)}: {len(patches)} patches for Linux {base.version}"
            + (" and a cover letter" if cover else ""))
    return base, patches, final, place
