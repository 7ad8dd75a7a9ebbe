# SPDX-License-Identifier: GPL-2.0
"""The kexec cases, as the program of tools/testing/selftests/kho lists them."""
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev import tree
from dev.host import OUT, ROOT, Stop

DIR = ROOT / "tools/testing/selftests/kho"
CACHE = OUT / "cases"
# Among kernels: the one that is tested.  Others are flavours, of the same base unless they name one.
OURS = "ours"
OTHER_PAGES = "other-pages"     # likewise: the same with pages of another size


@dataclass(frozen=True)
class Case:
    name: str
    sentence: str
    hops: int               # kernels
    kernels: tuple = (OURS,)    # a row that ends early says the same about all further kernels
    append: tuple = ("",)   # additions to the command lines, likewise
    memory: int = 1024      # MiB
    pages: int = 0          # more, however large they are
    nodes: int = 1          # that this memory is in, with a processor each
    plug: str = ""          # a device with more memory, in one more node
    deadline: int = 20      # seconds with KVM
    allowed: tuple = ()     # lines of the console that this case brings about
    extra: tuple = ()       # words for QEMU
    default: bool = True    # run when no case is named
    arches: tuple = ("x86_64", "arm64")     # that it can run on
    base: str = ""      # the only one it is for, if any
    bring: object = None    # puts more into the share; returns why that cannot be had, if so
    rows: tuple = ()        # of its table: what is damaged, the line in the log, the result
    judge: object = None    # instead of guest.problem(), and with its arguments


def sources():
    """All but the virtual machines, which are programs of their own."""
    return sorted(path for path in DIR.glob("*.c") if not path.name.startswith("vm_"))


def compile_words(gcc, uapi, program, *files):
    """The words that compile a program of guests."""
    return [gcc, "-static", "-O2", "-Wall", "-idirafter", uapi, "-o", program, *files]


def listing(laid):
    """Lines of JSON, from a program for this machine; known until a source changes."""
    key = hashlib.sha256(b"".join(p.read_bytes() for p in [*sources(), *sorted(DIR.glob("*.h"))])).hexdigest()
    if CACHE.exists() and CACHE.read_text().startswith(key):
        return CACHE.read_text().splitlines()[1:]
    program = OUT / "handover"
    try:
        words = compile_words("gcc", laid / "include/uapi", program, *sources())
        subprocess.run(words, check=True, capture_output=True, text=True)
        text = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        raise Stop(f"the guest's program cannot list its cases: {getattr(e, 'stderr', '') or e}", 1) from None
    finally:
        Path(program).unlink(missing_ok=True)
    CACHE.write_text(f"{key}\n{text}")
    return text.splitlines()


def read(line):
    """The case that a line of the listing describes."""
    row = json.loads(line)
    more = {"arches": (row["arch"],)} if row["arch"] else {}
    return Case(row["name"], row["sentence"], row["hops"], kernels=tuple(row["kernels"]) or (OURS,),
                append=tuple(row["append"]) or ("",), memory=row["memory"], pages=row["pages"],
                nodes=row["nodes"], plug=row["plug"], deadline=row["deadline"], allowed=tuple(row["allowed"]),
                extra=tuple(row["qemu"]), default=not row["by_name"], base=row["base"],
                rows=tuple(map(tuple, row["rows"])), **more)


def cases(run=None, series=None):
    """All cases of the program; without a run those of a kernel tree that is there, or None."""
    laid = tree.lay(run, series).dir if run else tree.place_of(series)[0]
    return [read(line) for line in listing(laid)] if laid.exists() or CACHE.exists() else None
