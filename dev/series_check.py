# SPDX-License-Identifier: GPL-2.0
"""./kho series --check: 'git am' of all patches on a copy of the base, then a look at one after the other.

A remark of checkpatch that has to stay is in dev/series/remarks: its type, the path, and why.
"""
import difflib
import fnmatch
import os
import re
import subprocess
import time

from dev import headers, manifest, tools, tree
from dev.host import Failed, Result, output, spell
from dev.series import FOLDER as TEXTS
from dev.series import text_of
from dev.series_build import BUILDS, FOLDER, PLACE, TREE, Lab, compile_base, compile_objects, find_sparse, objects, prepare

OURS = re.compile(r"(is_kho_|kho_|luo_|liveupdate_|memblock_reserve(d_grow|_sequence|_all_but_scratch)$|deferred_(sections_prepare|init_section)$)")
DOCUMENTS = "core-api/kho admin-guide/mm mm userspace-api"      # places with documents of the series


# ---- what is asked of each patch, which the tree is at: functions (lab, patch, file) that return complaints

def tool_lines(*words):
    """What a script of the kernel prints, on both channels."""
    done = subprocess.run([str(w) for w in words], cwd=TREE, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"})
    return [line for line in done.stdout.splitlines() if line.strip()]


def checkpatch(lab, patch, file):
    # get_maintainer knows better about paths
    ignored = ["FILE_PATH_CHANGES"] + ([] if lab.signed else ["MISSING_SIGN_OFF", "NO_AUTHOR_SIGN_OFF"])
    said = tool_lines("perl", "scripts/checkpatch.pl", "--strict", "--terse", "--showfile", "--no-summary",
                      "--show-types", "--color=never", f"--ignore={','.join(ignored)}", file)
    known = [row.split()[:2] for row in text_of(TEXTS / "remarks").splitlines() if row.strip()]
    return [line for line in said if not remark(line, known)]


def remark(line, known):
    """Whether this is a remark that stays."""
    place = re.match(r"(\S+?):\d+: \w+:(\w+): ", line)
    return bool(place) and any(fnmatch.fnmatchcase(place[2], kind) and fnmatch.fnmatchcase(place[1], path)
                               for kind, path in known)


def kernel_doc(lab, patch, file):
    """Nothing to say about files of ours, nothing new about those that are the kernel's."""
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
    return {re.sub(r"^(\w+: )?\S+:\d+ ", "", line) for line in said if "arning" in line or "rror" in line}


def maintainers(lab, patch, file):
    """A maintainer other than the default ones; MAINTAINERS itself goes to those it names."""
    final = lab.run.path("MAINTAINERS")
    final.write_bytes(lab.final["MAINTAINERS"][0])
    if set(patch.changes) == {"MAINTAINERS"}:
        more = out_of_order(lab, final) - out_of_order(lab, lab.base.dir / "MAINTAINERS")
        return [f"parse-maintainers.pl would change '{line}'" for line in sorted(more)]
    said = tool_lines("perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--norolestats",
                      "--nol", "--nogit-chief-penguins", "--nokeywords", "--nofixes", f"--mpath={final}", file)
    return [] if any("@" in line for line in said) else ["MAINTAINERS has no entry for any path of this patch"]


def out_of_order(lab, place):
    """Lines of a MAINTAINERS file that are not where the kernel's own script would put them."""
    ordered = lab.run.path("MAINTAINERS.ordered")
    tool_lines("perl", "scripts/parse-maintainers.pl", "--order", f"--input={place}", f"--output={ordered}")
    lines = [path.read_text(errors="replace").splitlines() for path in (place, ordered)]
    return {line for line in difflib.unified_diff(*lines, n=0, lineterm="") if line[0] in "+-"}


def compiles(arch, state):
    """The question whether a patch compiles without new warnings."""
    return lambda lab, patch, file: sorted(compile_objects(lab, arch, state, patch.name) - lab.known)


def links(lab, patch, file):
    """Every symbol of ours that is used is defined, exactly once."""
    said = []
    for arch in tools.MACHINE:
        listed = output([f"{tools.prefix(arch)}nm", "-P", f"{FOLDER}built-in.a", *objects(lab, arch, "on")],
                        cwd=PLACE / f"{arch}-on") or ""
        names = [(name, kind) for name, kind in re.findall(r"^(\S+) ([A-Za-z])\b", listed, re.M) if OURS.match(name)]
        used = {name for name, kind in names if kind == "U"}
        defined = [name for name, kind in names if kind in "TDBRW"]
        said += [f"{name} is used, and defined nowhere" for name in sorted(used - set(defined))]
        said += [f"{name} is defined twice" for name in sorted(set(defined)) if defined.count(name) > 1]
    return said


def headers_alone(lab, patch, file):
    new = [path for path, what in patch.changes.items() if what and path.startswith("include/linux/")]
    return [f"{r.name}: {r.why}" for arch in tools.MACHINE
            for r in headers.alone(lab.run, PLACE / f"{arch}-on", new, f"{patch.name}-headers.log")]


QUESTIONS = {"checkpatch": checkpatch, "kernel-doc": kernel_doc, "get_maintainer": maintainers,
             **{f"KHO {state} {arch}": compiles(arch, state) for arch, state in BUILDS},
             "symbols": links, "headers alone": headers_alone}


# ---- what is asked of all patches together: functions (lab) that return complaints

def coccicheck(lab):
    """The kernel's semantic patches on our C files, which 'make coccicheck' takes no list of."""
    said = []
    ours = [path for path in manifest.Sources(lab.base.series).overlay() if re.match(r"(kernel|mm|lib)/.*\.c$", path)]
    for place in sorted((TREE / "scripts/coccinelle").rglob("*.cocci")):
        text = place.read_text(errors="replace")
        if "ocaml" in text or not re.search("^virtual report", text, re.M):
            continue    # some need a compiler of OCaml, which spatch itself does not
        options = re.search("^// *Options: *(.*)$", text, re.M)
        said += tool_lines("spatch", "-D", "report", "--no-show-diff", "--very-quiet", "--cocci-file", place,
                           *(options[1].split() if options else []), "-I", "include", *ours)
    return [line for line in said if re.match(r"\S+\.[ch]:\d+|ERROR:|Fatal", line)]


def documents(lab):
    """Our part of the documentation, made into HTML."""
    words = ["make", "-C", TREE, f"O={PLACE / 'docs'}", "htmldocs", f"SPHINXDIRS={DOCUMENTS}"]
    log = lab.run.quiet("making the documentation", words, log="htmldocs.log")
    ours = [path for path in lab.paths if path.startswith("Documentation/")]
    labels = {name for path in ours for name in re.findall(r"^\.\. _(.*):$", (TREE / path).read_text(), re.M)}

    def elsewhere(line):
        """Whether this is about something that is there, in a part of the documentation made on its own."""
        document = re.search("unknown document: '/?([^']*)'", line)
        label = re.search("undefined label: '([^']*)'", line)
        return (bool(document) and (TREE / f"Documentation/{document[1]}.rst").exists()
                or bool(label) and label[1] in labels)

    return [line for line in log.read_text(errors="replace").splitlines()
            if re.search(r":\d*:? (WARNING|ERROR|SEVERE): ", line) and not elsewhere(line)
            and any(path in line for path in lab.paths)]


def same(lab):
    """Whether the tree is now what ./kho tree makes."""
    return [f"{path} is not what ./kho tree makes" for path, what in sorted(lab.final.items())
            if tree.read(TREE / path) != what]


WHOLE = {"coccicheck": coccicheck, "htmldocs": documents, "same as out/tree": same}


# ---- all of it

def ask(lab, name, questions, *about):
    """[Result] of questions; their complaints stay in the folder of the run."""
    results = []
    for title, question in questions.items():
        begin = time.monotonic()
        try:
            said = question(lab, *about)
        except Failed as e:
            said = [e.why]
        if said:
            lab.run.path(f"{name}-{title}.txt".replace(" ", "-")).write_text("\n".join(said) + "\n")
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        results.append(Result(f"{name} {title}", not said, said[0] + more if said else "", time.monotonic() - begin))
    return results


def say(run, number, name, results):
    """One line of KTAP, after what is wrong."""
    bad = [r for r in results if not r.ok]
    for r in bad:
        run.say(f"# {r.name}: {r.why}")
    run.say(f"{'not ok' if bad else 'ok'} {number} - {name} ({spell(sum(r.seconds for r in results))})")


def check(run, base, patches, final, place, signed):
    """[Result] of each question to each patch, and of the tree that all of them make."""
    tools.require(run, more=[*tools.PROOF, *tools.for_arches(tools.MACHINE)])
    lab = Lab(run, base, {path for patch in patches for path in patch.changes}, signed, final)
    files = sorted(file for file in place.glob("*.patch") if "0000-cover-letter" not in file.name)
    try:
        git = prepare(lab, files)
    except Failed as e:
        return [Result("git am", False, e.why)]
    lab.sparse = find_sparse(run)
    git.call("going back to the base", "checkout", "-q", "base")
    compile_base(lab)
    results = []
    run.say(f"KTAP version 1\n1..{len(patches) + 1}")
    for number, (patch, file) in enumerate(zip(patches, files), 1):
        git.call("going to the next patch", "checkout", "-q", f"series~{len(patches) - number}")
        mine = ask(lab, patch.name, QUESTIONS, patch, file)
        stat = next(line for line in file.read_text(errors="replace").splitlines() if " changed, " in line)
        say(run, number, f"{patch.name}: {stat.strip()}", mine)
        results += mine
    mine = ask(lab, "series", WHOLE)
    say(run, len(patches) + 1, "the whole series", mine)
    return results + mine
