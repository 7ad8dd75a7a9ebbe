# SPDX-License-Identifier: GPL-2.0
"""./kho series --check: each patch on top of those before it, by 'git am' on a copy of the base.

The copy, out/build/series/tree, consists of hard links to the base; a file that is
changed there has to be replaced.  The kernels next to it, for each architecture and with Kexec Handover on
and off, are built as far as it takes to compile what the patches touch and what includes
their headers.

A remark of a tool that has to stay is in dev/series/remarks: its type, the path, and why.
"""
import difflib
import fnmatch
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from dev import debian, headers, kernel, manifest, series, tools, tree
from dev.host import OUT, Failed, Result, Stop, need_space, output, spell

PLACE = OUT / "build/series"
ARCHES = list(tools.MACHINE)
OFF = "# CONFIG_KEXEC_HANDOVER is not set\n# CONFIG_LIVEUPDATE is not set\n"
# from the first patch on, so that not everything is compiled again for the sake of them
TESTS = "CONFIG_KUNIT=y\nCONFIG_LIVEUPDATE_KUNIT_TEST=y\nCONFIG_KHO_KUNIT_TEST=y\n"
FOLDER = "kernel/liveupdate/"
# what includes our headers or is edited by us
USERS = ["kernel/kexec_core.o", "kernel/kexec_file.o", "mm/mm_init.o", "mm/memblock.o"]
USERS_OF = {"x86_64": ["arch/x86/kernel/setup.o"],
            "arm64": ["arch/arm64/kernel/setup.o", "drivers/of/fdt.o", "drivers/of/kexec.o"]}
OURS = re.compile(r"(is_kho_|kho_|luo_|liveupdate_|memblock_reserve(d_grow|_sequence|_all_but_scratch)$|deferred_(sections_prepare|init_section)$)")
DOCUMENTS = "core-api/kho admin-guide/mm mm userspace-api"      # places with documents of the series
# checked by get_maintainer instead
NOT_ASKED = "FILE_PATH_CHANGES"
HEAD = f"{'patch':22} {'files':>5} {'lines':>14} {'seconds':>7}  verdict"


@dataclass
class Lab:
    """Where the patches are tried."""
    run: object
    base: object
    paths: set          # all that the series touches
    signed: bool
    final: dict
    tree: object = PLACE / "tree"
    git: object = None
    known: set = None   # warnings of the base
    on: dict = None     # {architecture: kernel.Kernel}
    off: dict = None
    sparse: str = ""    # the command, if there is one

    def __post_init__(self):
        self.known = set()
        self.origin = tree.reader(self.base.dir)
        self.now = tree.reader(self.tree)
        self.sources = manifest.Sources(self.base.series)
        self.edited = self.sources.edited()


# ---- the tree and its builds

def prepare(lab):
    """A tree as the base is, in a git repository of the paths that the series touches."""
    made = PLACE / "base"
    if not made.exists() or made.read_text() != lab.base.identity:
        need_space(OUT, 2000, "building the series")
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir(parents=True)
        near = os.stat(lab.base.dir).st_dev == os.stat(PLACE).st_dev
        parts = [p for p in sorted(lab.base.dir.iterdir()) if p.name != ".git"]
        lab.tree.mkdir()
        lab.run.step(f"copying Linux {lab.base.version}",
                     ["cp", "-al" if near else "-a", *parts, lab.tree], log="tree.log")
        made.write_text(lab.base.identity)
    touched = PLACE / "paths"
    before = set(touched.read_text().split()) if touched.exists() else set()
    touched.write_text("\n".join(sorted(before | lab.paths)))
    for path in before | lab.paths:
        tree.put(lab.tree, path, lab.origin(path))
    lab.git = series.Repository(lab.run, PLACE / "git", lab.tree)
    lab.git.commit("base", sorted(path for path in lab.paths if lab.origin(path)))
    lab.on, lab.off = ({arch: beside(lab, arch, name) for arch in ARCHES} for name in ("on", "off"))


def beside(lab, arch, name):
    where = PLACE / f"{arch}-{name}"
    return kernel.Kernel(arch, f"series-{name}", where, None, where / ".config", lab.tree, lab.base.series,
                         lab.base.version)


def configure(lab, made):
    """Write the configuration from the fragments as they are in the tree now."""
    text = kernel.fragments(made_tree(lab), made.arch, "guest") + TESTS
    if made is lab.off[made.arch]:
        text = re.sub(r"^CONFIG_(KEXEC_HANDOVER|LIVEUPDATE)\w*=y\n", "", text, flags=re.M) + OFF
    made.dir.mkdir(exist_ok=True)
    stamp = made.dir / "kho.fragments"
    kconfig = (lab.tree / FOLDER / "Kconfig").read_text()
    if stamp.exists() and stamp.read_text() == text + kconfig:
        return
    made.config.write_text(text)
    make(lab, made, ["olddefconfig"], "config.log")
    want = "n" if made is lab.off[made.arch] else "y"
    got = kernel.options(made.config.read_text())
    for option in ("CONFIG_KEXEC_HANDOVER", "CONFIG_LIVEUPDATE"):
        if got.get(option, "n") != want:
            raise Stop(f"{option}={want} was asked for, and the configuration in {made.dir} has it otherwise", 1)
    stamp.write_text(text + kconfig)


def make(lab, made, goals, log, title=None):
    """Build goals there; the lines that were printed."""
    words = [*kernel.make_words(made_tree(lab), made.arch, made.dir), *goals]
    call = lab.run.step if title else lab.run.quiet
    done = call(title or f"make {goals[0]}", words, log=log, env=kernel.environment())
    return done.read_text(errors="replace").splitlines()


def made_tree(lab):
    return tree.Tree(lab.tree, lab.base, "", [], 0)


def warnings(lab, lines):
    """What compiler and sparse say about files of the series, without numbers of lines."""
    return {f"{path}: {said}" for path, said, _ in kernel.complaints(lines, lab.paths)}


def objects(lab, made):
    """Objects outside our folder that the patches can break, as far as they are there."""
    ours = ["lib/tests/liveupdate.c", *(path for path in lab.paths if re.match(r"(mm|lib)/.*\.c$", path))]
    found = {path[:-2] + ".o" for path in ours if lab.now(path)} if made is lab.on[made.arch] else set()
    return sorted(found | set(USERS + USERS_OF[made.arch]))


def compile_objects(lab, made, log, title=None, check="1"):
    """New warnings with W=1, and of sparse when there is one."""
    configure(lab, made)
    goals = [FOLDER, *objects(lab, made)]
    sparse = [f"C={check}", f"CHECK={lab.sparse}"] if lab.sparse else []
    try:
        return warnings(lab, make(lab, made, ["W=1", *sparse, *goals], log, title))
    except Failed as e:
        said = warnings(lab, e.log.read_text(errors="replace").splitlines())
        return said if any(": error: " in line for line in said) else said | {e.why}


def compile_base(lab):
    """The state that the first patch starts from, and what is said about it already."""
    kept = PLACE / "warnings"       # make says nothing about what need not be compiled again
    for name, row in (("with", lab.on), ("without", lab.off)):
        for arch, made in row.items():
            lab.known |= compile_objects(lab, made, f"base-{name}-{arch}.log",
                                         f"compiling the base {name} KHO ({arch})", "2")
    lab.known |= set(kept.read_text().splitlines()) if kept.exists() else set()
    kept.write_text("\n".join(sorted(lab.known)))


def find_sparse(lab):
    """The sparse to check this kernel with: that of this machine, else the newest of Debian."""
    if tools.command("sparse") and sparse_works(lab, ["sparse"]):
        return "sparse"
    try:
        words = debian.program(lab.run, "sparse", "sid", tools.HOST, f"{tools.MACHINE[tools.HOST]}-linux-gnu")
    except Stop as e:
        lab.run.say(f"# no sparse: {e}")
        return ""
    if sparse_works(lab, words):
        return " ".join(words)
    lab.run.say("# no sparse: the newest of Debian is too old for this kernel (scripts/checker-valid.sh)")
    return ""


def sparse_works(lab, words):
    """Whether it knows what the kernel is written in."""
    valid = output([lab.tree / "scripts/checker-valid.sh", *words, "--arch=x86_64", "-m64"]) or ""
    return valid.strip() == "1"


# ---- what is asked of each patch: functions (lab, patch, file) that return complaints

def applies(lab, patch, file):
    lab.git.call(f"applying {file.name}", "am", "-q", "--whitespace=error", file, log=f"{patch.name}-am.log")
    return []


def checkpatch(lab, patch, file):
    ignored = [NOT_ASKED] + ([] if lab.signed else ["MISSING_SIGN_OFF", "NO_AUTHOR_SIGN_OFF"])
    said = tool_lines(lab, ["perl", "scripts/checkpatch.pl", "--strict", "--terse", "--showfile", "--no-summary",
                            "--show-types", "--color=never", f"--ignore={','.join(ignored)}", file])
    known = [row.split()[:2] for row in series.text_of(series.FOLDER / "remarks").splitlines() if row.strip()]
    return [line for line in said if not remark(line, known)]


def remark(line, known):
    """Whether this is a remark that stays."""
    place = re.match(r"(\S+?):\d+: \w+:(\w+): ", line)
    return bool(place) and any(fnmatch.fnmatchcase(place[2], kind) and fnmatch.fnmatchcase(place[1], path)
                               for kind, path in known)


def kernel_doc(lab, patch, file):
    """Nothing to say about files of ours, nothing new about those that are the kernel's."""
    said = []
    for path, what in patch.changes.items():
        if what is None or not path.endswith((".c", ".h")) or path.startswith("tools/"):
            continue
        now = doc_lines(lab, lab.tree / path)
        if what != lab.final[path] or path in lab.edited:
            now -= doc_lines(lab, lab.base.dir / path)
        said += sorted(f"{path}: {line}" for line in now)
    return said


def doc_lines(lab, place):
    said = tool_lines(lab, ["python3", "scripts/kernel-doc", "-none", "-Wall", place])
    return {re.sub(r"^(\w+: )?\S+:\d+ ", "", line) for line in said if "arning" in line or "rror" in line}


def maintainers(lab, patch, file):
    """A maintainer other than the default ones; MAINTAINERS itself goes to those it names."""
    final = lab.run.path("MAINTAINERS")
    final.write_bytes(lab.final["MAINTAINERS"][0])
    if set(patch.changes) == {"MAINTAINERS"}:
        more = out_of_order(lab, final) - out_of_order(lab, lab.base.dir / "MAINTAINERS")
        return [f"parse-maintainers.pl would change '{line}'" for line in sorted(more)]
    said = tool_lines(lab, ["perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--norolestats",
                            "--nol", "--nogit-chief-penguins", "--nokeywords", "--nofixes", f"--mpath={final}", file])
    return [] if any("@" in line for line in said) else ["MAINTAINERS has no entry for any path of this patch"]


def out_of_order(lab, place):
    """Lines of a MAINTAINERS file that are not where the kernel's own script would put them."""
    ordered = lab.run.path("MAINTAINERS.ordered")
    tool_lines(lab, ["perl", "scripts/parse-maintainers.pl", "--order", f"--input={place}", f"--output={ordered}"])
    lines = [path.read_text(errors="replace").splitlines() for path in (place, ordered)]
    return {line for line in difflib.unified_diff(*lines, n=0, lineterm="") if line[0] in "+-"}


def tool_lines(lab, words):
    """What a script of the kernel prints, on both channels."""
    done = subprocess.run([str(w) for w in words], cwd=lab.tree, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"})
    return [line for line in done.stdout.splitlines() if line.strip()]


def compiles(which, arch):
    """The question whether a patch compiles without new warnings, which being on or off."""
    def question(lab, patch, file):
        made = getattr(lab, which)[arch]
        return sorted(compile_objects(lab, made, f"{patch.name}-{which}-{arch}.log") - lab.known)
    return question


def links(lab, patch, file):
    """Every symbol of ours that is used is defined, exactly once."""
    return [line for made in lab.on.values() for line in unlinked(lab, made)]


def unlinked(lab, made):
    done = subprocess.run([f"{tools.prefix(made.arch)}nm", "-P", f"{FOLDER}built-in.a", *objects(lab, made)],
                          cwd=made.dir, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    used, defined = set(), []
    for name, kind in re.findall(r"^(\S+) ([A-Za-z])\b", done.stdout, re.M):
        if OURS.match(name):
            used.add(name) if kind == "U" else defined.append(name) if kind in "TDBRW" else None
    return ([f"{name} is used, and defined nowhere" for name in sorted(used - set(defined))]
            + [f"{name} is defined twice" for name in sorted(set(defined)) if defined.count(name) > 1])


def headers_alone(lab, patch, file):
    new = [path for path, what in patch.changes.items() if what and path.startswith("include/linux/")]
    return [f"{r.name}: {r.why}" for made in lab.on.values()
            for r in headers.alone(lab.run, made, new, f"{patch.name}-headers.log")]


ASKED = {"git am": applies, "checkpatch": checkpatch, "kernel-doc": kernel_doc, "get_maintainer": maintainers,
         **{f"with KHO {arch}": compiles("on", arch) for arch in ARCHES},
         **{f"without KHO {arch}": compiles("off", arch) for arch in ARCHES},
         "symbols": links, "headers alone": headers_alone}


# ---- the whole

def check(run, base, patches, final, place, signed):
    """[Result] of each question to each patch, and of the tree that all of them make."""
    tools.require(run, more=[*tools.PROOF, *(row for arch in ARCHES for row in tools.for_arch(arch))])
    lab = Lab(run, base, {path for patch in patches for path in patch.changes}, signed, final)
    prepare(lab)
    lab.sparse = find_sparse(lab)
    compile_base(lab)
    files = sorted(place.glob("*.patch"))
    files = [file for file in files if "0000-cover-letter" not in file.name]
    results, table = [], [HEAD]
    run.say(f"KTAP version 1\n1..{len(patches) + 1}")
    for number, (patch, file) in enumerate(zip(patches, files), 1):
        begin = time.monotonic()
        mine = ask(lab, patch, file)
        results += mine
        bad = [r for r in mine if not r.ok]
        table.append(line_of(patch, file, time.monotonic() - begin, bad))
        say(run, number, patch.name, bad, time.monotonic() - begin)
        if bad and bad[0].name.endswith("git am"):
            break
    whole = [coccicheck(lab), documents(lab), same(lab)]
    results += whole
    say(run, len(patches) + 1, "the whole", [r for r in whole if not r.ok], sum(r.seconds for r in whole))
    run.say("\n".join(["", *table]))
    return results


def ask(lab, patch, file):
    """[Result] of one patch; nothing more is asked when it does not apply."""
    results = []
    for name, question in ASKED.items():
        begin = time.monotonic()
        try:
            said = question(lab, patch, file)
        except Failed as e:
            said = [e.why]
        if said:
            lab.run.path(f"{patch.name}-{name.replace(' ', '-')}.txt").write_text("\n".join(said) + "\n")
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        results.append(Result(f"{patch.name} {name}", not said, said[0] + more if said else "",
                              time.monotonic() - begin))
        if said and question is applies:
            break
    return results


def say(run, number, name, bad, seconds):
    for r in bad:
        run.say(f"# {r.name}: {r.why}")
    run.say(f"{'not ok' if bad else 'ok'} {number} - {name} ({spell(seconds)})")


def line_of(patch, file, seconds, bad):
    stat = next((line for line in file.read_text(errors="replace").splitlines() if " changed, " in line), "")
    plus, minus = (re.search(rf"(\d+) {word}", stat) for word in ("insertion", "deletion"))
    lines = f"+{plus[1] if plus else 0} -{minus[1] if minus else 0}"
    verdict = "; ".join(r.name[len(patch.name) + 1:] for r in bad) or "ok"
    return f"{patch.name:22} {len(patch.changes):5} {lines:>14} {seconds:7.0f}  {verdict}"


def same(lab):
    """Whether the tree is now what ./kho tree lays."""
    differ = sorted(path for path, what in lab.final.items() if lab.now(path) != what)
    why = f"{differ[0]} is not what ./kho tree lays (and {len(differ) - 1} more)" if differ else ""
    return Result("same as out/tree", not differ, why)


def coccicheck(lab):
    """The kernel's semantic patches on our C files, in the tree that all patches make."""
    begin, said = time.monotonic(), []
    ours = [path for path in lab.sources.overlay() if re.match(r"(kernel|mm|lib)/.*\.c$", path)]
    for place in sorted((lab.tree / "scripts/coccinelle").rglob("*.cocci")):
        text = place.read_text(errors="replace")
        if "ocaml" in text or not re.search("^virtual report", text, re.M):
            continue    # some need a compiler of OCaml, which spatch itself does not
        options = re.search("^// *Options: *(.*)$", text, re.M)
        said += tool_lines(lab, ["spatch", "-D", "report", "--no-show-diff", "--very-quiet", "--cocci-file", place,
                                 *(options[1].split() if options else []), "-I", "include", *ours])
    said = [line for line in said if re.match(r"\S+\.[ch]:\d+|ERROR:|Fatal", line)]
    return Result("coccicheck", not said, said[0] if said else "", time.monotonic() - begin)


def documents(lab):
    """Our part of the documentation, made into HTML."""
    begin = time.monotonic()
    words = ["make", "-C", lab.tree, f"O={PLACE / 'docs'}", "htmldocs", f"SPHINXDIRS={DOCUMENTS}"]
    try:
        log = lab.run.step("making the documentation", words, log="htmldocs.log")
    except Failed as e:
        return Result("htmldocs", False, e.why, time.monotonic() - begin)
    said = [line for line in log.read_text(errors="replace").splitlines()
            if re.search(r":\d*:? (WARNING|ERROR|SEVERE): ", line) and not elsewhere(lab, line)
            and any(path in line for path in lab.paths)]
    return Result("htmldocs", not said, said[0] if said else "", time.monotonic() - begin)


def elsewhere(lab, line):
    """Whether this is about something that is there, in a part of the documentation made on its own."""
    document = re.search("unknown document: '/?([^']*)'", line)
    label = re.search("undefined label: '([^']*)'", line)
    ours = [lab.tree / path for path in lab.paths if path.startswith("Documentation/")]
    return (bool(document) and (lab.tree / f"Documentation/{document[1]}.rst").exists()
            or bool(label) and any(f".. _{label[1]}:" in path.read_text() for path in ours))
