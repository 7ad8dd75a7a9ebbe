# SPDX-License-Identifier: GPL-2.0
"""./kho series --check: 'git am' on a copy of the base, then checks of one patch after the other.

dev/series/remarks lists remarks of checkpatch that are accepted: type, path and reason.
"""
import difflib
import fnmatch
import os
import re
import subprocess
import time

from dev import headers, manifest, tools, tree
from dev import series_build as builds
from dev.host import Failed, Result, spell
from dev.series import FOLDER as TEXTS
from dev.series import text_of
from dev.series_build import BUILDS, FOLDER, PLACE, TREE

OURS = re.compile(r"(is_kho_|kho_|luo_|liveupdate_"
                  r"|memblock_reserve(d_grow|_sequence|_all_but_scratch)$"
                  r"|deferred_(sections_prepare|init_section)$)")
# Folders with documents of the series.
DOCUMENTS = "core-api/kho admin-guide/mm mm userspace-api"


def tool_lines(*words):
    """The lines that a script of the kernel prints, to stdout and stderr."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}
    done = subprocess.run([str(w) for w in words], cwd=TREE, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          text=True, errors="replace")
    return [line for line in done.stdout.splitlines() if line.strip()]


# ---- questions about a patch that is checked out: functions that return complaints

def checkpatch(lab, patch, file):
    # get_maintainer checks paths better
    ignored = "FILE_PATH_CHANGES" + ("" if lab.signed else ",MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF")
    said = tool_lines("perl", "scripts/checkpatch.pl", "--strict", "--terse", "--showfile",
                      "--no-summary", "--show-types", "--color=never", f"--ignore={ignored}", file)
    rows = text_of(TEXTS / "remarks").splitlines()
    known = [" ".join(row.split()[:2]) for row in rows if row.strip()]

    def stays(line):
        place = re.match(r"(\S+?):\d+: \w+:(\w+): ", line)
        remark = f"{place[2]} {place[1]}" if place else ""
        return any(fnmatch.fnmatchcase(remark, pattern) for pattern in known)

    return [line for line in said if not stays(line)]


def kernel_doc(lab, patch, file):
    """Complaints about our files, and new ones about files of the kernel."""
    edited, said = manifest.Sources(lab.base.series).edited(), []
    for path, what in patch.changes.items():
        if what is None or not path.endswith((".c", ".h")) or path.startswith("tools/"):
            continue
        now = doc_lines(TREE / path)
        if what != lab.final[path] or path in edited:
            now -= doc_lines(lab.base.dir / path)
        said += sorted(f"{path}: {line}" for line in now)
    return said


def doc_lines(place):
    said = tool_lines("python3", "scripts/kernel-doc", "-none", "-Wall", place)
    bad = [line for line in said if re.search("arning|rror", line)]
    return {re.sub(r"^(\w+: )?\S+:\d+ ", "", line) for line in bad}


def maintainers(lab, patch, file):
    """The patch needs a maintainer other than the default ones.

    A patch of MAINTAINERS alone is checked for the order of its lines instead.
    """
    final = lab.run.path("MAINTAINERS")
    final.write_bytes(lab.final["MAINTAINERS"][0])
    if set(patch.changes) == {"MAINTAINERS"}:
        more = out_of_order(lab, final) - out_of_order(lab, lab.base.dir / "MAINTAINERS")
        return [f"parse-maintainers.pl would change '{line}'" for line in sorted(more)]
    said = tool_lines("perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--nol",
                      "--norolestats", "--nogit-chief-penguins", "--nokeywords", "--nofixes",
                      f"--mpath={final}", file)
    known = any("@" in line for line in said)
    return [] if known else ["MAINTAINERS has no entry for any path of this patch"]


def out_of_order(lab, place):
    """Lines of a MAINTAINERS file that the script of the kernel would move."""
    ordered = lab.run.path("MAINTAINERS.ordered")
    tool_lines("perl", "scripts/parse-maintainers.pl", "--order", f"--input={place}",
               f"--output={ordered}")
    lines = [path.read_text(errors="replace").splitlines() for path in (place, ordered)]
    return {line for line in difflib.unified_diff(*lines, n=0, lineterm="") if line[0] in "+-"}


def compiles(arch, state):
    """A question: does the patch compile without new warnings?"""
    def ask(lab, patch, file):
        return sorted(builds.compile_objects(lab, arch, state, patch.name) - lab.known)
    return ask


def links(lab, patch, file):
    """No symbol may be defined twice, and each of ours that is used has to be defined."""
    said, linked = [], lab.run.path("linked.o")
    for arch in tools.MACHINE:
        made = [builds.place_of(arch, "on") / path
                for path in [f"{FOLDER}built-in.a", *builds.objects(lab, arch, "on")]]
        said += tool_lines(f"{tools.prefix(arch)}ld", "-r", "--whole-archive", "-o", linked, *made)
        missing = tool_lines(f"{tools.prefix(arch)}nm", "-u", "--format=just-symbols", linked)
        said += [f"{name} is used, and defined nowhere" for name in missing if OURS.match(name)]
    return said


def headers_alone(lab, patch, file):
    new = [path for path, what in patch.changes.items()
           if what and path.startswith("include/linux/")]
    return [f"{r.name}: {r.why}" for arch in tools.MACHINE
            for r in headers.alone(lab.run, builds.place_of(arch, "on"), new,
                                   f"{patch.name}-headers.log")]


QUESTIONS = {"checkpatch": checkpatch, "kernel-doc": kernel_doc, "get_maintainer": maintainers,
             **{f"KHO {state} {arch}": compiles(arch, state) for arch, state in BUILDS},
             "symbols": links, "headers alone": headers_alone}


# ---- questions about all patches together: functions (lab) that return complaints

def coccicheck(lab):
    """Semantic patches of the kernel on our C files; 'make coccicheck' does not take a list."""
    ours = [path for path in manifest.Sources(lab.base.series).overlay()
            if re.match(r"(kernel|mm|lib)/.*\.c$", path)]
    said = []
    for place in sorted((TREE / "scripts/coccinelle").rglob("*.cocci")):
        text = place.read_text(errors="replace")
        if "ocaml" in text or not re.search("^virtual report", text, re.M):
            continue    # scripts in OCaml need its compiler, which coccinelle does not install
        options = re.search("^// *Options: *(.*)$", text, re.M)
        said += tool_lines("spatch", "-D", "report", "--no-show-diff", "--very-quiet",
                           "--cocci-file", place, *(options[1].split() if options else []),
                           "-I", "include", *ours)
    return [line for line in said if re.match(r"\S+\.[ch]:\d+|ERROR:|Fatal", line)]


def documents(lab):
    """Our part of the documentation is built as HTML without warnings."""
    words = ["make", "-C", TREE, f"O={PLACE / 'docs'}", "htmldocs", f"SPHINXDIRS={DOCUMENTS}"]
    log = lab.run.step("making the documentation", words, log="htmldocs.log", quiet=True)
    texts = [(TREE / path).read_text() for path in lab.final if path.startswith("Documentation/")]
    labels = set(re.findall(r"^\.\. _(.*):$", "\n".join(texts), re.M))

    def elsewhere(line):
        """Whether a line is about a document or label in a part that is not built here."""
        document = re.search("unknown document: '/?([^']*)'", line)
        label = re.search("undefined label: '([^']*)'", line)
        return (document and (TREE / f"Documentation/{document[1]}.rst").exists()
                or label and label[1] in labels)

    said = [line for line in log.read_text(errors="replace").splitlines()
            if re.search(r":\d*:? (WARNING|ERROR|SEVERE): ", line) and not elsewhere(line)]
    return [line for line in said if any(path in line for path in lab.final)]


def same(lab):
    """The tree must now have the contents that ./kho tree writes."""
    return [f"{path} is not what ./kho tree makes" for path, what in sorted(lab.final.items())
            if tree.read(TREE / path) != what]


WHOLE = {"coccicheck": coccicheck, "htmldocs": documents, "same as out/tree": same}


# ---- the check

def ask(lab, number, title, questions, *about):
    """[Result] of questions; prints a line of KTAP, and writes complaints to the run folder."""
    results, begin = [], time.monotonic()
    name = title.partition(":")[0]
    for asked, question in questions.items():
        try:
            said = question(lab, *about)
        except Failed as e:
            said = [e.why]
        if said:
            file = lab.run.path(f"{name}-{asked}.txt".replace(" ", "-"))
            file.write_text("\n".join(said) + "\n")
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        results.append(Result(f"{name} {asked}", not said, said[0] + more if said else ""))
    bad = [r for r in results if not r.ok]
    for r in bad:
        lab.run.say(f"# {r.name}: {r.why}")
    took = spell(time.monotonic() - begin)
    lab.run.say(f"{'not ok' if bad else 'ok'} {number} - {title} ({took})")
    return results


def check(run, base, patches, final, place, signed):
    """[Result] of all questions, for each patch and for all patches together."""
    tools.require(run, "series", *tools.for_arches(*tools.MACHINE))
    lab = builds.Lab(run, base, final, signed)
    files = [file for file in sorted(place.glob("*.patch")) if "0000-cover-letter" not in file.name]
    try:
        git = builds.prepare(lab, files)
    except Failed as e:
        return [Result("git am", False, e.why)]
    lab.sparse = builds.find_sparse(run)
    builds.compile_base(lab)
    results = []
    run.say(f"KTAP version 1\n1..{len(patches) + 1}")
    for number, (patch, file) in enumerate(zip(patches, files), 1):
        git.call("checkout", "-q", f"series~{len(patches) - number}")
        stat = re.search(r"^ .* changed, .*$", file.read_text(errors="replace"), re.M)
        title = f"{patch.name}: {stat[0].strip()}"
        results += ask(lab, number, title, QUESTIONS, patch, file)
    return results + ask(lab, len(patches) + 1, "series: all patches together", WHOLE)
