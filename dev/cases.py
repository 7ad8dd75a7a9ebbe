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
# The kernel under test.  Other names of kernels are flavours, on the same base unless they name
# another base.
OURS = "ours"
OTHER_PAGES = "other-pages"     # the kernel under test, but with another page size


@dataclass(frozen=True)
class Case:
    """A case; all members but the last two are keys of the listing."""
    name: str
    sentence: str
    hops: int           # number of kernels; a hop is the run in one of them
    kernels: list       # names (default: OURS); the last one is for all further kernels too
    append: list        # additions to the command lines; the last one likewise
    memory: int         # MiB
    pages: int          # additional pages, of any size
    nodes: int          # NUMA nodes, with a processor each
    plug: str           # a device with more memory, in one more node
    deadline: int       # seconds with KVM
    allowed: list       # expected lines of the console that would be splats otherwise
    qemu: list          # arguments for QEMU
    live: bool          # can be run without a kexec, too
    by_name: bool       # only run if it is named
    arch: str           # the only architecture, or empty
    base: str           # the only series of the base, or empty
    rows: list          # of its table: name, line in the log, expected result
    bring: object = None    # function that puts more into the share, or raises Skip
    judge: object = None    # function to call instead of console.problem()

    def row(self):
        """The kernel of each hop."""
        return [at(self.kernels or [OURS], hop) for hop in range(self.hops)]

    def fits(self, arch, base):
        """Whether the case is for this architecture and base."""
        return self.arch in ("", arch) and self.base in ("", base)


def at(row, hop):
    """The entry of a kernel in a row whose last entry counts for all further kernels."""
    return row[min(hop, len(row) - 1)]


def sources():
    """The sources of the program, without those of virtual machines."""
    return sorted(path for path in DIR.glob("*.c") if not path.name.startswith("vm_"))


def compile_words(gcc, uapi, program, *files):
    """The command that compiles a program of guests."""
    return [gcc, "-static", "-O2", "-Wall", "-idirafter", uapi, "-o", program, *files]


def listing(laid):
    """Lines of JSON, from the program built for this machine; cached until a source changes."""
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
    """All cases; without a run those of a tree that exists or of the cache, or else None."""
    laid = tree.lay(run, series).dir if run else tree.place_of(series)[0]
    known = laid.exists() or CACHE.exists()
    return [Case(**json.loads(line)) for line in listing(laid)] if known else None
