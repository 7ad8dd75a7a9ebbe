# SPDX-License-Identifier: GPL-2.0
"""The kexec cases, as the program of tools/testing/selftests/kho lists them."""
import hashlib
import json
import subprocess
from dataclasses import dataclass

from dev import tree
from dev.host import OUT, ROOT, Stop

DIR = ROOT / "tools/testing/selftests/kho"
CACHE = OUT / "cases"
# Among kernels: the one that is tested.  Others are flavours, on its base unless they name one.
OURS = "ours"
OTHER_PAGES = "other-pages"     # likewise: the same with pages of another size


@dataclass(frozen=True)
class Case:
    """The members are those of the listing, but for the last two."""
    name: str
    sentence: str
    hops: int           # kernels
    kernels: list       # those that are not ours; the last one stands for all that follow
    append: list        # additions to the command lines, likewise
    memory: int         # MiB
    pages: int          # more, however large they are
    nodes: int          # that this memory is in, with a processor each
    plug: str           # a device with more memory, in one more node
    deadline: int       # seconds with KVM
    allowed: list       # lines of the console that this case brings about
    qemu: list          # words for QEMU
    live: bool          # can be run without a kexec, too
    by_name: bool       # not run when no case is named
    arch: str           # the only one it is for, if any
    base: str           # likewise
    rows: list          # of its table: what is damaged, the line in the log, the result
    bring: object = None    # puts more into the share, or raises Skip
    judge: object = None    # instead of console.problem(), and with its arguments

    def row(self):
        """The kernel of each hop."""
        return [at(self.kernels or [OURS], hop) for hop in range(self.hops)]

    def fits(self, arch, base):
        """Whether it is for this architecture and base."""
        return self.arch in ("", arch) and self.base in ("", base)


def at(row, hop):
    """What a row that ends early says about a kernel."""
    return row[min(hop, len(row) - 1)]


def sources():
    """All but the virtual machines, which are programs of their own."""
    return sorted(path for path in DIR.glob("*.c") if not path.name.startswith("vm_"))


def compile_words(gcc, uapi, program, *files):
    """The words that compile a program of guests."""
    return [gcc, "-static", "-O2", "-Wall", "-idirafter", uapi, "-o", program, *files]


def listing(laid):
    """Lines of JSON, from a program for this machine; known until a source changes."""
    texts = [path.read_bytes() for path in [*sources(), *sorted(DIR.glob("*.h"))]]
    key = hashlib.sha256(b"".join(texts)).hexdigest()
    if CACHE.exists() and CACHE.read_text().startswith(key):
        return CACHE.read_text().splitlines()[1:]
    program = OUT / "handover"
    try:
        words = compile_words("gcc", laid / "include/uapi", program, *sources())
        subprocess.run(words, check=True, capture_output=True, text=True)
        text = subprocess.check_output([program, "--list"], text=True)
    except subprocess.CalledProcessError as e:
        raise Stop(f"the guest's program cannot list its cases: {e.stderr or e}", 1) from None
    finally:
        program.unlink(missing_ok=True)
    CACHE.write_text(f"{key}\n{text}")
    return text.splitlines()


def cases(run=None, series=None):
    """All cases of the program; without a run those of a kernel tree that is there, or None."""
    laid = tree.lay(run, series).dir if run else tree.place_of(series)[0]
    known = laid.exists() or CACHE.exists()
    return [Case(**json.loads(line)) for line in listing(laid)] if known else None
