# SPDX-License-Identifier: GPL-2.0
"""Where ./kho series --check tries the patches: a copy of the base, and builds of it.

The copy, out/build/series/tree, consists of hard links to the base: a file that is changed
there has to be replaced, as git does.  The builds next to it, for each architecture and with
Kexec Handover on and off, compile what the patches touch and what includes their headers.
"""
import os
import re
import shutil
from dataclasses import dataclass, field

from dev import debian, kernel, series, tools, tree
from dev.host import OUT, Failed, Stop, need_space, output

PLACE = OUT / "build/series"
TREE = PLACE / "tree"
BUILDS = [(arch, state) for state in ("on", "off") for arch in tools.MACHINE]
OFF = "# CONFIG_KEXEC_HANDOVER is not set\n# CONFIG_LIVEUPDATE is not set\n"
# from the first patch on, so that not everything is compiled again for the sake of them
TESTS = "CONFIG_KUNIT=y\nCONFIG_LIVEUPDATE_KUNIT_TEST=y\nCONFIG_KHO_KUNIT_TEST=y\n"
FOLDER = "kernel/liveupdate/"
# what includes our headers or is edited by us
USERS = ["kernel/kexec_core.o", "kernel/kexec_file.o", "mm/mm_init.o", "mm/memblock.o"]
USERS_OF = {"x86_64": ["arch/x86/kernel/setup.o"],
            "arm64": ["arch/arm64/kernel/setup.o", "drivers/of/fdt.o", "drivers/of/kexec.o"]}


@dataclass
class Lab:
    """What all questions are about."""
    run: object
    base: object
    paths: set          # all that the series touches
    signed: bool
    final: dict
    known: set = field(default_factory=set)     # warnings of the base
    sparse: str = ""                            # the command, if there is one


def prepare(lab, files):
    """A tree as the base is, in a git repository of the touched paths, with all patches committed."""
    made, touched = PLACE / "base", PLACE / "paths"
    if not made.exists() or made.read_text() != lab.base.identity:
        need_space(OUT, 2000, "building the series")
        shutil.rmtree(PLACE, ignore_errors=True)
        TREE.mkdir(parents=True)
        near = os.stat(lab.base.dir).st_dev == os.stat(PLACE).st_dev
        parts = [p for p in sorted(lab.base.dir.iterdir()) if p.name != ".git"]
        lab.run.step(f"copying Linux {lab.base.version}", ["cp", "-al" if near else "-a", *parts, TREE], log="tree.log")
        made.write_text(lab.base.identity)
    paths = lab.paths | (set(touched.read_text().split()) if touched.exists() else set())
    touched.write_text("\n".join(sorted(paths)))
    for path in paths:
        tree.put(TREE, path, tree.read(lab.base.dir / path))
    git = series.Repository(lab.run, PLACE / "git", TREE)
    git.commit("base", sorted(path for path in lab.paths if (TREE / path).exists()))
    git.call("tagging the base", "tag", "base")
    git.call("git am", "am", "-q", "--whitespace=error", *files, log="am.log")
    return git


def configure(lab, arch, state):
    """Write the configuration from the fragments as they are in the tree now; the build directory."""
    where = PLACE / f"{arch}-{state}"
    text = kernel.fragments(TREE, arch, "guest") + TESTS
    if state == "off":
        text = re.sub(r"^CONFIG_(KEXEC_HANDOVER|LIVEUPDATE)\w*=y\n", "", text, flags=re.M) + OFF
    where.mkdir(exist_ok=True)
    kernel.configure(lab.run, TREE, arch, where, text, (TREE / FOLDER / "Kconfig").read_text(), quiet=True)
    value = "n" if state == "off" else "y"
    kernel.refuse_lost_options(where, f"CONFIG_KEXEC_HANDOVER={value}\nCONFIG_LIVEUPDATE={value}\n")
    return where


def objects(lab, arch, state):
    """Objects outside our folder that the patches can break, as far as they are there."""
    ours = ["lib/tests/liveupdate.c", *(path for path in lab.paths if re.match(r"(mm|lib)/.*\.c$", path))]
    found = {path[:-2] + ".o" for path in ours if (TREE / path).exists()} if state == "on" else set()
    return sorted(found | set(USERS + USERS_OF[arch]))


def compile_objects(lab, arch, state, name, check="1"):
    """What W=1 and sparse say about files of the series, without numbers of lines."""
    where = configure(lab, arch, state)
    sparse = [f"C={check}", f"CHECK={lab.sparse}"] if lab.sparse else []
    words = [*kernel.make_words(TREE, arch, where), "W=1", *sparse, FOLDER, *objects(lab, arch, state)]
    try:
        log, why = lab.run.step(f"compiling the {name} ({arch}, KHO {state})", words, quiet=name != "base",
                                log=f"{name}-{arch}-{state}.log", env=kernel.environment()), ""
    except Failed as e:
        log, why = e.log, e.why
    said = {f"{path}: {text}" for path, text, _ in
            kernel.complaints(log.read_text(errors="replace").splitlines(), lab.paths)}
    return said | ({why} if why and not any(": error: " in line for line in said) else set())


def compile_base(lab):
    """What is said about the base, which no patch is blamed for."""
    kept = PLACE / "warnings"       # make says nothing about what need not be compiled again
    for arch, state in BUILDS:
        lab.known |= compile_objects(lab, arch, state, "base", "2")
    lab.known |= set(kept.read_text().splitlines()) if kept.exists() else set()
    kept.write_text("\n".join(sorted(lab.known)))


def find_sparse(run):
    """The sparse to check this kernel with: that of this machine, else the newest of Debian."""
    def works(words):
        valid = output([TREE / "scripts/checker-valid.sh", *words, "--arch=x86_64", "-m64"])
        return (valid or "").strip() == "1"

    if tools.command("sparse") and works(["sparse"]):
        return "sparse"
    try:
        words = debian.program(run, "sparse", "sid", tools.HOST, f"{tools.MACHINE[tools.HOST]}-linux-gnu")
        if works(words):
            return " ".join(words)
        why = "the newest of Debian is too old for this kernel (scripts/checker-valid.sh)"
    except Stop as e:
        why = e
    run.say(f"# no sparse: {why}")
    return ""
