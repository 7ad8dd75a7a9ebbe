# SPDX-License-Identifier: GPL-2.0
"""Guests of QEMU: the command that starts a guest, its accelerator, and its run to the end.

A guest has two serial ports: the console of its kernels, and the results of the agent.
"""
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

from dev import initramfs, tools
from dev.console import Outcome, Tail, splats
from dev.host import OUT, Stop, end_group
from dev.kernel import split

APPEND = "kho=on liveupdate=on panic=-1 oops=panic loglevel=7 mitigations=off"
POLL = 0.02
PROBE_SECONDS = 10
GRACE = 15                          # seconds that a guest may run on after a splat
SLOWER = {"kvm": 1, "tcg": 5}       # factor of the deadline of a guest


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


@dataclass(frozen=True)
class Machine:
    """The options of QEMU for a guest of one architecture."""
    qemu: str
    argv: tuple
    cpu: tuple          # options for an emulated CPU
    console: str
    results: str
    ports: tuple        # options that connect chardevs with ports
    still: tuple = ()   # disable devices that make the time of a boot vary


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", ("-M", "pc"), (), "ttyS0", "ttyS1",
                      ("-serial", "chardev:console", "-serial", "chardev:results"),
                      ("-machine", "i8042=off")),
    # This machine only has one serial port.  The CPU 'max' would have pointer authentication, whose
    # emulation is slow.  A kernel without KASLR does not remove its seed from the device tree, and
    # kexec-tools then refuses to load an image with kexec_load().
    "arm64": Machine("qemu-system-aarch64", ("-M", "virt,dtb-randomness=off"),
                     ("-cpu", "neoverse-n1"), "ttyAMA0", "ttyS0",
                     ("-serial", "chardev:console", "-device", "pci-serial,chardev=results")),
}


# ---- the command

def speed(machine, accel):
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", *machine.cpu]


def words(machine, speed, memory, processors="2,sockets=2"):
    """The program and the arguments that every guest has."""
    return [machine.qemu, *machine.argv, *speed, "-m", f"{memory}M", "-smp", processors,
            "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none"]


def command(kernel, accel, share, append, memory, extra=(), ports=None):
    """The command of a guest with a share, without the chardevs of its serial ports."""
    machine = MACHINES[kernel.arch]
    place = plain(share)
    return [*words(machine, speed(machine, accel), memory), *extra, *(ports or machine.ports),
            "-fsdev", f"local,id=share,path={place},security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=kho",
            "-kernel", str(share / initramfs.shared(kernel)), "-initrd", str(share / "initrd"),
            "-append", append]


def plain(path):
    """A path in an option of QEMU, where commas have to be doubled."""
    return str(path).replace(",", ",,")


def nodes(size, processors):
    """Arguments for NUMA nodes of this size, one for each set of processors."""
    found = []
    for n, owned in enumerate(processors):
        found += ["-object", f"memory-backend-ram,id=node{n},size={size}",
                  "-numa", f"node,memdev=node{n}{',cpus=' + owned if owned else ''}"]
    return found


def plugged(device, node):
    """Arguments for a device with hot-added memory, in a node with a CPU and no other memory."""
    return ["-m", "slots=1,maxmem=16G", "-object", "memory-backend-ram,id=plugged,size=512M",
            "-device", f"{device},memdev=plugged,node={node}", "-numa", f"node,cpus={node}"]


def weight(*flavours):
    """What a guest with kernels of these flavours needs: the maximum of each member."""
    names = dict.fromkeys(name for flavour in flavours for name in split(flavour)[0])
    parts = [WEIGHTS[name] for name in names if name in WEIGHTS] or [Weight()]
    most = {f.name: max(getattr(part, f.name) for part in parts) for f in fields(Weight)}
    return replace(Weight(**most), append=" ".join(part.append for part in parts))


def scratch(flavours, memory):
    """kho_scratch= for a guest with this memory in MiB, or an empty text for the default."""
    if len(set(flavours)) == 1:
        return ""
    return weight(*flavours).scratch.format(max(640, memory * 3 // 16))


def command_line(kernel, case, hop, *extra):
    """The command line of a kernel that runs a hop of a case."""
    machine = MACHINES[kernel.arch]
    found = [f"console={machine.console} {APPEND}", f"kho_results={machine.results}",
             f"kho_case={case} kho_hop={hop}", weight(kernel.flavour).append, *extra]
    return " ".join(filter(None, found))


# ---- one guest, from start to end

stopping = threading.Event()        # if set, all guests of this process end


def boot(argv, where, deadline, allowed=(), hear=None):
    """Run a guest to its end or its deadline, and read both serial ports; returns its Outcome."""
    tails = []
    for name in ("console", "results"):
        argv = [*argv, "-chardev", f"file,id={name},path={plain(where / (name + '.log'))}"]
        tails.append(Tail(where / f"{name}.log", hear))
    begin = time.monotonic()
    with open(where / "qemu.log", "wb") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
    try:
        finished = watch(child, tails, begin, deadline, allowed)
    finally:
        end_group(child)
        for tail in tails:
            tail.close(time.monotonic() - begin)
    console, results = (tail.lines for tail in tails)
    if finished and child.returncode and not console:
        said = (where / "qemu.log").read_text().strip()
        raise Stop(f"QEMU did not start a guest: {said}", 1)
    return Outcome(console, results, finished, time.monotonic() - begin)


def watch(child, tails, begin, deadline, allowed):
    """Whether the guest ends by itself; after a splat, it only has a short time to do so."""
    lines, scanned, broken = tails[0].lines, 0, False
    while time.monotonic() - begin < deadline and not stopping.is_set():
        time.sleep(POLL)
        finished = child.poll() is not None
        for tail in tails:
            tail.read(time.monotonic() - begin)
        if finished:
            return True
        if not broken and splats([line.text for line in lines[scanned:]], allowed):
            broken, deadline = True, min(deadline, time.monotonic() - begin + GRACE)
        scanned = len(lines)
    return False


# ---- the accelerator

def wanted(arch):
    """The accelerator in $KHO_ACCEL, or empty; always tcg for another architecture."""
    named = os.environ.get("KHO_ACCEL", "")
    if named and named not in SLOWER:
        raise Stop(f"KHO_ACCEL={named} is not one of: {', '.join(SLOWER)}")
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


def probe(kernel, initrd):
    """Whether a small guest on KVM starts its first process."""
    with tempfile.TemporaryDirectory(dir=OUT) as name:
        share = Path(name) / "share"
        initramfs.fill_share(share, initrd, [kernel])
        argv = command(kernel, "kvm", share, command_line(kernel, "probe", 0), 512)
        try:
            seen = boot(argv, Path(name), PROBE_SECONDS)
        except Stop:
            return False
    return any(line.text == "# end" for line in seen.results)


# ---- a guest for people

def shell(run, kernel, memory=1024):
    """A shell in a guest, with the next kernel and kexec at hand."""
    memory = max(memory, weight(kernel.flavour).least)
    initrd = initramfs.build(run, kernel)
    accel = accelerator(kernel, initrd)
    share, name = run.path("share"), initramfs.shared(kernel)
    initramfs.fill_share(share, initrd, [kernel])
    (share / "welcome").write_text(f"""\
Linux {kernel.release} under {accel}.  To go to the next kernel and back here:
  kexec -s -l /share/{name} --initrd=/share/initrd --reuse-cmdline && kexec -e
'handover --list' lists the kexec cases, 'handover' runs those that need no kexec.
exit ends the guest.
""")
    append = command_line(kernel, "shell", 0)
    run.say("starting a guest; Ctrl-A X ends it at once")
    return subprocess.call(command(kernel, accel, share, append, memory,
                                   ports=("-serial", "mon:stdio")))
