# SPDX-License-Identifier: GPL-2.0
"""Builds a kernel from the tree with our sources, or from the base, in out/build/<arch>-<flavour>.

The configuration is a list of fragments.  It is an error if the final .config does not have
an option of a fragment.  Flavours can be joined: debug+64k has the fragments of both.
guest@7.2 is the flavour guest on a base that is not the default one.
"""
import os
import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from dev import base as bases
from dev import tools, tree
from dev.host import OUT, ROOT, Failed, Stop, need_space

IMAGE = {"x86_64": "arch/x86/boot/bzImage", "arm64": "arch/arm64/boot/Image"}
ARCH, PLAIN = "x86_64", "guest"     # the defaults
# The fragments of each flavour, in their order.  'selftests' is only joined to other flavours.
FRAGMENTS = {**{name: (PLAIN, name) for name in ("debug", "64k", "kvm", "virtio-mem", "stock")},
             PLAIN: (PLAIN,), "bench": (PLAIN, "stock", "bench"), "selftests": ("selftests",)}
SHOWN = (PLAIN, "debug", "64k")     # in --help; the others are for certain cases, and for bench
OF_BASE = "stock"                   # built from the base, without our sources
PAGES = "64k"                       # only differs from PLAIN in the page size
SELFTESTS = "tools/testing/selftests/liveupdate"


@dataclass(frozen=True)
class Kernel:
    arch: str
    flavour: str
    dir: Path           # the build directory
    tree: Path
    base: str           # its series
    release: str

    @property
    def image(self):
        return self.dir / IMAGE[self.arch]


# ---- flavours

def split(flavour):
    """The names in a flavour, and the series of its base, or None if no series is named."""
    names, _, series = flavour.partition("@")
    return names.split("+"), series or None


def on_base(flavour, series):
    """The flavour with the series of its base, which is only named if it is not the default."""
    named = series and (series != bases.default() or os.environ.get("KHO_BASE"))
    return flavour + (f"@{series}" if named else "")


def flavour_name(text):
    """A flavour of the command line; an error if it does not exist."""
    if set(text.split("+")) - set(FRAGMENTS):
        known = ", ".join(SHOWN)
        raise ArgumentTypeError(f"no flavour '{text}': {known}, or several joined by '+'")
    return text


def words(arch, flavour):
    """The options of the command line that choose a kernel, without those that are defaults."""
    names, series = split(flavour)
    return ((f" -a {arch}" if arch != ARCH else "")
            + (f" -f {'+'.join(names)}" if names != [PLAIN] else "")
            + (f" --base {series}" if series else ""))


def of_base(flavour):
    """Whether this flavour is built from the base, without our sources."""
    return OF_BASE in split(flavour)[0]


def like(kernel, flavour):
    """The flavour, with the page size of this kernel, and its base unless the flavour names one."""
    names, series = split(kernel.flavour)
    wanted, of = split(flavour)
    pages = [PAGES] if PAGES in names and PAGES not in wanted else []
    return on_base("+".join(wanted + pages), of or series)


def unlike(kernel):
    """The flavour that only differs from that of this kernel in the page size."""
    names, series = split(kernel.flavour)
    rest = [name for name in names if name not in (PLAIN, PAGES)]
    other = [] if PAGES in names else [PAGES]
    return on_base("+".join(rest + other) or PLAIN, series)


# ---- configuration

def fragment(name):
    return ROOT / f"dev/config/{name}.config"


def fragments(tree, arch, flavour):
    """Text of all fragments; if options occur in several of them, the last one counts."""
    names = dict.fromkeys(part for name in split(flavour)[0] for part in FRAGMENTS[name])
    parts = [tree / SELFTESTS / "config", *map(fragment, [*names, arch])]
    return "".join(part.read_text().rstrip("\n") + "\n" for part in parts)


def options(text):
    """{option: value} of a configuration; n for 'is not set'; the last line wins."""
    rows = re.findall(r"^(?:# (CONFIG_\w+) is not set|(CONFIG_\w+)=(.*))$", text, re.M)
    return {unset or name: "n" if unset else value.strip() for unset, name, value in rows}


def configure(run, tree, arch, build, text, state, quiet=False):
    """Write .config, unless the present one is from these fragments and this state of the tree."""
    made, config = build / "kho.fragments", build / ".config"
    stamp = f"{text}\n{state}"
    if not (config.exists() and made.exists() and made.read_text() == stamp):
        made.unlink(missing_ok=True)
        config.write_text(text)
        run.step("configuring the kernel", [*make_words(tree, arch, build), "olddefconfig"],
                 log="config.log", env=environment(), quiet=quiet)
        made.write_text(stamp)


def refuse_lost_options(build, text):
    """Each option of the fragments must be in the final .config."""
    final = options((build / ".config").read_text())
    for name, value in options(text).items():
        if final.get(name, "n") != value:
            raise Stop(f"{name}={value} was asked for, and {build}/.config has "
                       f"{name}={final.get(name, 'n')}: something it depends on is off", 1)


# ---- the build

def make_words(tree, arch, build):
    return ["make", "-C", tree, f"O={build}", f"ARCH={arch}", f"-j{os.cpu_count()}",
            *compiler(arch)]


def compiler(arch=tools.HOST):
    """The variables of make that select the compiler."""
    words = [f"CROSS_COMPILE={tools.prefix(arch)}"] if tools.prefix(arch) else []
    return words + ([f"CC=ccache {tools.prefix(arch)}gcc"] if tools.command("ccache") else [])


def environment():
    """Variables that make builds reproducible, and let all checkouts share the compiler cache.

    CCACHE_DEPEND: ccache looks results up by the source and its headers.  If it preprocessed each
    source instead, a build without cached results would take 1.5 times as long.
    """
    return {"KBUILD_BUILD_TIMESTAMP": "2026-01-01", "KBUILD_BUILD_USER": "kho",
            "KBUILD_BUILD_HOST": "kho", "CCACHE_BASEDIR": str(OUT),
            "CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1", "LC_ALL": "C"}


def need_space_for(build):
    need_space(OUT, 300 if (build / "vmlinux").exists() else 3000, "building a kernel")


def complaints(log, paths):
    """What compiler and sparse report about these files: (file, message, whole line)."""
    for line in log.read_text(errors="replace").splitlines():
        place = re.match(r"(\S+?):\d+(?::\d+)?: (?:sparse: )?((?:warning|error): .*)", line)
        if place:
            where = "/" + os.path.normpath(place[1])
            yield from ((path, place[2], line) for path in paths if where.endswith("/" + path))


def refuse_warnings(log, paths, repeat):
    """A warning about a file of ours ends the build, like an error."""
    for _, _, line in complaints(log, paths):
        raise Failed("building the kernel", line, log, repeat)


def build(run, arch=ARCH, flavour=PLAIN):
    """The kernel of this flavour; applies our sources, configures and builds as far as needed."""
    tools.require(run, *tools.for_arches(arch))
    laid = tree.lay(run, split(flavour)[1])
    source, paths = (laid.base.dir, []) if of_base(flavour) else (laid.dir, laid.paths)
    where = OUT / "build" / f"{arch}-{flavour}"
    text = fragments(source, arch, flavour)
    kconfig = [(source / path).read_text() for path in paths if "Kconfig" in path]
    repeat = "./kho build" + words(arch, flavour)
    need_space_for(where)
    where.mkdir(parents=True, exist_ok=True)
    configure(run, source, arch, where, text, "\n".join([laid.base.identity, *kconfig]))
    refuse_lost_options(where, text)
    log = run.step(f"building the kernel ({arch}-{flavour})",
                   [*make_words(source, arch, where), Path(IMAGE[arch]).name], log="build.log",
                   env=environment(), repeat=repeat)
    refuse_warnings(log, paths, repeat)
    release = (where / "include/config/kernel.release").read_text().strip()
    return Kernel(arch, flavour, where, source, laid.base.series, release)
