# SPDX-License-Identifier: GPL-2.0
"""The copy of the base, and its builds, in which ./kho series --check tries the patches.

The copy is out/build/series/tree, and consists of hard links to the base.  The builds are next to
it, for each architecture, with Kexec Handover on and off.  They compile the files of the patches,
and files that include our headers.
"""
import re
from dataclasses import dataclass, field

from dev import base as bases
from dev import debian, kernel, series, tools, tree
from dev.host import OUT, Run, Stop, output

PLACE = OUT / "build/series"
TREE = PLACE / "tree"
BUILDS = [(arch, state) for state in ("on", "off") for arch in tools.MACHINE]
OFF = "# CONFIG_KEXEC_HANDOVER is not set\n# CONFIG_LIVEUPDATE is not set\n"
# set from the first patch on: setting them later would compile everything again
TESTS = "CONFIG_KUNIT=y\nCONFIG_LIVEUPDATE_KUNIT_TEST=y\nCONFIG_KHO_KUNIT_TEST=y\n"
FOLDER = "kernel/liveupdate/"
# files that include our headers, or that we edit
USERS = ["kernel/kexec_core.o", "kernel/kexec_file.o", "mm/mm_init.o", "mm/memblock.o"]
USERS_OF = {"x86_64": ["arch/x86/kernel/setup.o"],
            "arm64": ["arch/arm64/kernel/setup.o", "drivers/of/fdt.o", "drivers/of/kexec.o"]}


@dataclass
class Lab:
    """What the checks need."""
    run: Run
    base: bases.Base
    final: dict         # the contents of all paths of the series after the last patch
    signed: bool
    known: set = field(default_factory=set)     # warnings of the base
    sparse: str = ""                            # the command, if there is one


def place_of(arch, state):
    """The folder of a build."""
    return PLACE / f"{arch}-{state}"


def prepare(lab, files):
    """Make the copy of the base, and a git repository with the base and all patches as commits.

    The base is checked out.
    """
    old = {path: tree.read(lab.base.dir / path) for path in lab.final}
    builds = [place_of(*build) for build in BUILDS]
    tree.update(lab.run, lab.base, TREE, old, builds, link=True)
    git = series.Repository(lab.run, PLACE / "git", TREE, lab.base, lab.final)
    git.call("am", "-q", "--whitespace=error", *files, log="am.log")
    git.call("checkout", "-q", "base")
    return git


def configure(lab, arch, state):
    """Write the configuration, from the fragments of the present tree; returns the build folder."""
    where = place_of(arch, state)
    text = kernel.fragments(TREE, arch, "guest") + TESTS
    if state == "off":
        text = re.sub(r"^CONFIG_(KEXEC_HANDOVER|LIVEUPDATE)\w*=y\n", "", text, flags=re.M) + OFF
    where.mkdir(exist_ok=True)
    kconfig = (TREE / FOLDER / "Kconfig").read_text()
    kernel.configure(lab.run, TREE, arch, where, text, kconfig, quiet=True)
    value = "n" if state == "off" else "y"
    kernel.refuse_lost_options(where, f"CONFIG_KEXEC_HANDOVER={value}\nCONFIG_LIVEUPDATE={value}\n")
    return where


def objects(lab, arch, state):
    """Objects outside of our folder that the patches can break and that the tree already has."""
    found = {*USERS, *USERS_OF[arch]}
    if state == "on":
        ours = [path for path in lab.final if re.match(r"(mm|lib)/.*\.c$", path)]
        found.update(path[:-2] + ".o" for path in ["lib/tests/liveupdate.c", *ours]
                     if (TREE / path).exists())
    return sorted(found)


def compile_objects(lab, arch, state, name, check="1"):
    """What W=1 and sparse report about files of the series, without line numbers."""
    where = configure(lab, arch, state)
    words = [*kernel.make_words(TREE, arch, where), "W=1", FOLDER, *objects(lab, arch, state)]
    words += [f"C={check}", f"CHECK={lab.sparse}"] if lab.sparse else []
    log, why = lab.run.attempt(f"compiling the {name} ({arch}, KHO {state})", words,
                               log=f"{name}-{arch}-{state}.log", env=kernel.environment(),
                               quiet=name != "base")
    said = {f"{path}: {text}" for path, text, _ in kernel.complaints(log, lab.final)}
    return said | ({why} if why and not any(": error: " in line for line in said) else set())


def compile_base(lab):
    """Collect the reports about the base, which are not faults of a patch."""
    for build in BUILDS:
        # make does not repeat the warnings of files that it need not compile again, so keep them
        kept = place_of(*build) / "kho.warnings"
        lab.known |= compile_objects(lab, *build, "base", "2")
        lab.known |= set(kept.read_text().splitlines()) if kept.exists() else set()
        kept.write_text("\n".join(sorted(lab.known)))


def find_sparse(run):
    """The newest sparse of Debian: that of this machine may be too old for the kernel."""
    try:
        usr = debian.unpacked(run, ["sparse"], "sid", tools.HOST) / "usr"
    except Stop as e:
        run.say(f"# no sparse: {e}")
        return ""
    # it runs with the C library of its own suite
    loader, library = next(usr.glob("lib*/ld-linux-*.so.*")), next(usr.glob("lib/*/libc.so.6"))
    words = [str(loader), "--library-path", str(library.parent), str(usr / "bin/sparse")]
    valid = output([TREE / "scripts/checker-valid.sh", *words, "--arch=x86_64", "-m64"])
    if valid.strip() == "1":
        return " ".join(words)
    run.say("# no sparse: the newest of Debian is too old (scripts/checker-valid.sh)")
    return ""
