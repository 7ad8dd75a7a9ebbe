# SPDX-License-Identifier: GPL-2.0
"""Guests of the driver: their programs, their accelerator, and what flavours of kernels need.

The modules of tools/testing/selftests/kho start the guests, and read and judge their output.  The
agent is the handover program in that folder, which lists the kexec cases.
"""
import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import kho_case
import kho_guest
from kho_guest import HERE, OURS

from dev import base, debian, tools, tree, unit
from dev.host import OUT, Skip, Stop
from dev.kernel import split

PROBE_SECONDS = 10
BUSYBOX, KEXEC = "busybox-static", "kexec-tools"    # Debian packages
SYSTEMD = ("memcached", "systemd", BUSYBOX, KEXEC)
SYSTEMD_SUITE = "forky"


@dataclass(frozen=True)
class Weight:
    """The needs of the guests of a flavour, in addition to those of the plain flavour."""
    slower: int = 1
    page: int = 4       # KiB
    memory: int = 0     # MiB
    least: int = 0      # minimum for each node, in MiB
    append: str = ""
    scratch: str = ""   # kho_scratch= for a guest in which kernels of another flavour run, too


# KASAN and page owners need a share of all memory at boot.  A kernel without them allocates too
# little scratch memory for a next kernel with them.  They also make the interpreter of ACPI so slow
# that routing of interrupts fails.
#
# With pages of 64 KiB, page blocks have 512 MiB, and a scratch area has at least one of them.  By
# default, lib/test_kho.c fills two folios of that size at each cold boot, which takes minutes.
WEIGHTS = {"debug": Weight(5, memory=1024, least=2048, append="page_owner=on acpi=noirq",
                           scratch="kho_scratch=64M,{}M,128M"),
           "64k": Weight(2, page=64, least=4096, append="test_kho.max_mem=33554432")}


def weight(*flavours):
    """What a guest with kernels of these flavours needs: the maximum of each member."""
    names = dict.fromkeys(name for flavour in flavours for name in split(flavour)[0])
    parts = [WEIGHTS[name] for name in names if name in WEIGHTS] or [Weight()]
    most = {f.name: max(getattr(part, f.name) for part in parts) for f in fields(Weight)}
    return replace(Weight(**most), append=" ".join(part.append for part in parts))


def fitted(case, kernels, *more):
    """The case with the memory, the time and the command lines that its kernels need."""
    flavours = [kernels[name].flavour for name in case.row()]
    most = weight(*flavours)
    memory = max(case.memory + most.memory, case.nodes * most.least)
    memory += case.pages * most.page >> 10
    if len(set(flavours)) > 1:
        more = [*more, most.scratch.format(max(640, memory * 3 // 16))]
    lines = [" ".join(filter(None, [weight(flavour).append, *more, kho_case.at(case.append, hop)]))
             for hop, flavour in enumerate(flavours)]
    return replace(case, memory=memory, pages=0, deadline=case.deadline * most.slower, append=lines)


# ---- programs

def agent(arch, laid, run=None):
    """The agent for an architecture, with the headers of a tree; compiled if a source changes."""
    program = OUT / f"handover-{arch}-{laid.name}"
    # the programs of virtual machines are not among its sources
    sources = [path for path in sorted(HERE.glob("*.c")) if not path.name.startswith("vm_")]
    # the time of the folder changes if a file is removed
    watched = [HERE, *sources, *HERE.glob("*.h"), laid / "include/uapi/linux/liveupdate.h"]
    newest = max(path.stat().st_mtime_ns for path in watched)
    if not program.exists() or program.stat().st_mtime_ns != newest:
        fresh = program.with_suffix(".new")     # an interrupted compiler leaves a part of it
        words = [f"{tools.prefix(arch)}gcc", "-static", "-O2", "-Wall",
                 "-idirafter", laid / "include/uapi", "-o", fresh, *sources]
        if run:
            run.step(f"building the guest's program handover-{arch}", words)
        else:
            subprocess.run(words, capture_output=True)      # the next run shows the error
        if fresh.exists():
            os.utime(fresh, ns=(newest, newest))
            fresh.rename(program)
    return program


def cases(run=None, series=None):
    """{name: case}; without a run those of a tree that exists, or else none."""
    laid = tree.lay(run, series).dir if run else tree.place_of(series)[0]
    program = agent(tools.HOST, laid, run) if laid.exists() else laid
    return {c.name: c for c in kho_case.listed(program)} if program.is_file() else {}


def khoctl(run, kernel):
    """Build khoctl for guests."""
    if kernel.arch != tools.HOST:
        raise Skip(f"khoctl is built for {tools.HOST}, not for {kernel.arch}")
    return unit.build_khoctl(run, kernel.tree, quiet=True)


def systemd(run, kernel):
    """The folder with systemd and memcached from Debian."""
    try:
        return debian.unpacked(run, SYSTEMD, SYSTEMD_SUITE, kernel.arch)
    except Stop as e:
        raise Skip(str(e).splitlines()[0]) from None


def prepare(run, kernels):
    """The Setup of guests with {name: kernel}; programs are built for OURS.

    busybox and kexec are those of this machine, or from Debian for another architecture.
    """
    kernel, root = kernels[OURS], Path("/")
    image = run.path(f"initrd-{kernel.arch}")
    machine, program = kho_guest.MACHINES[kernel.arch], agent(kernel.arch, kernel.tree, run)
    programs = [tools.command(name) for name in ("busybox", "kexec")]
    if not image.exists():
        if kernel.arch != tools.HOST:
            suite = base.supported()[base.default()][1].partition("-")[0]
            root = debian.unpacked(run, [BUSYBOX, KEXEC], suite, kernel.arch)
            programs = [next(root.glob(f"**/*bin/{name}")) for name in ("busybox", "kexec")]
        folders = kho_guest.library_folders(machine, root)
        kho_guest.write_initramfs(kernel.dir, image, program, *programs, folders)
    images = {name: each.image for name, each in kernels.items()}
    return kho_case.Setup(machine, accelerator(kernel, image), images, kernel.dir, kernel.tree,
                          image, program, functools.partial(run.step, quiet=True),
                          functools.partial(khoctl, run, kernel),
                          functools.partial(systemd, run, kernel))


# ---- the accelerator

def wanted(arch):
    """The accelerator in $KHO_ACCEL, or empty; always tcg for another architecture."""
    named = os.environ.get("KHO_ACCEL", "")
    if named and named not in kho_guest.SLOWER:
        raise Stop(f"KHO_ACCEL={named} is not one of: {', '.join(kho_guest.SLOWER)}")
    return named if arch == tools.HOST else "tcg"


def accelerator(kernel, initrd):
    """The accelerator: kvm only if a probe guest has run on it, because /dev/kvm may hang."""
    if wanted(kernel.arch):
        return wanted(kernel.arch)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cache = OUT / "accelerator"
    known = cache.read_text().split() if cache.exists() else []
    if known[1:] != [machine]:
        known = ["kvm" if probe(kernel, initrd) else "tcg", machine]
        cache.write_text(" ".join(known))
    return known[0]


def command(kernel, accel, share, initrd, case, memory, **more):
    """The command of a guest without a case of the program; it fills the share."""
    machine = kho_guest.MACHINES[kernel.arch]
    line = kho_case.command_line(machine, case, 0, weight(kernel.flavour).append)
    kho_case.fill_share(share, initrd, {OURS: kernel.image}, [OURS], [line])
    return kho_guest.with_share(machine, accel, memory, share, **more)


def probe(kernel, initrd):
    """Whether a small guest on KVM starts its first process."""
    with tempfile.TemporaryDirectory(dir=OUT) as name:
        argv = command(kernel, "kvm", Path(name) / "share", initrd, "probe", 512)
        try:
            seen = kho_guest.boot(argv, Path(name), PROBE_SECONDS)
        except Stop:
            return False
    return any(line.text == "# end" for line in seen.results)


# ---- a guest for people

def shell(run, kernel, memory=1024):
    """A shell in a guest, with the next kernel and kexec at hand."""
    memory = max(memory, weight(kernel.flavour).least)
    setup, share = prepare(run, {OURS: kernel}), run.path("share")
    argv = command(kernel, setup.accel, share, setup.initrd, "shell", memory,
                   ports=("-serial", "mon:stdio"))
    (share / "welcome").write_text(f"""\
Linux {kernel.release} under {setup.accel}.  To go to the next kernel and back here:
  kexec -s -l /share/kernel-{OURS} --initrd=/share/initrd --reuse-cmdline && kexec -e
'handover --list' lists the kexec cases, 'handover' runs those that need no kexec.
exit ends the guest.
""")
    run.say("starting a guest; Ctrl-A X ends it at once")
    return subprocess.call(argv)
