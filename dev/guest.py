# SPDX-License-Identifier: GPL-2.0
"""Guests: what is in them, how one is started, watched and ended, what it said.

A guest has two serial ports.  The first is the console of its kernels, for
people and for the scan for splats.  The second carries the results of the
agent (tools/testing/selftests/kho/handover.c) as one KTAP document a kernel.
"""
import functools
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dev import base, debian, selftest, tools
from dev.kernel import split
from dev.host import OUT, ROOT, Stop, end_group, output

AGENT = selftest.DIR
APPEND = "kho=on liveupdate=on panic=-1 oops=panic loglevel=7 mitigations=off"
POLL = 0.02
PROBE_SECONDS = 10
GRACE = 15                          # seconds a guest goes on after it was seen to be broken
SLOWER = {"kvm": 1, "tcg": 5}       # how much longer a guest may take


@dataclass(frozen=True)
class Weight:
    """What the guests of a flavour need more than the plain one."""
    slower: int = 1
    page: int = 4       # KiB
    memory: int = 0     # MiB
    least: int = 0      # MiB, of each node
    append: str = ""
    scratch: str = ""   # of all kernels of the guest: what one needs is set aside by the one before


# KASAN and page owners take a share of all memory at boot, which has to be in scratch after a
# kexec.  They also make ACPI's interpreter so slow that it gives up on routing interrupts.
#
# Pages of 64 KiB come with page blocks of 512 MiB, and each scratch area is at least one.  By
# default lib/test_kho.c fills two folios of that size at each cold boot, which takes minutes.
WEIGHTS = {"debug": Weight(5, memory=1024, least=2048, append="page_owner=on acpi=noirq",
                          scratch="kho_scratch=64M,{}M,128M"),
           "64k": Weight(2, page=64, least=4096, append="test_kho.max_mem=33554432")}


@dataclass(frozen=True)
class Machine:
    """How QEMU makes a guest of one architecture."""
    qemu: str
    argv: tuple
    cpu: tuple          # when it is emulated
    console: str
    results: str
    ports: tuple        # which chardev is which port
    still: tuple = ()   # without devices that make a boot take a different time each time


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", ("-M", "pc"), (), "ttyS0", "ttyS1",
                      ("-serial", "chardev:console", "-serial", "chardev:results"), ("-machine", "i8042=off")),
    # This machine has one serial port of its own.  'max' would emulate pointer authentication, slowly.
    # A kernel without KASLR leaves the seed for it in the device tree, and kexec refuses to load an
    # image by kexec_load() then.
    "arm64": Machine("qemu-system-aarch64", ("-M", "virt,dtb-randomness=off"), ("-cpu", "neoverse-n1"), "ttyAMA0", "ttyS0",
                     ("-serial", "chardev:console", "-device", "pci-serial,chardev=results")),
}


# ---- the file system of the guest

def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """One member of a cpio archive in the format the kernel unpacks."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return pad4(head) + pad4(data)


def pad4(data):
    return data + b"\0" * (-len(data) % 4)


def write_cpio(path, files):
    """An archive of {path in the guest: file of the host}, with /dev/console."""
    parents = {str(p) for name in files for p in Path(name).parents} | {"dev"}
    out = [cpio_entry(d, stat.S_IFDIR | 0o755) for d in sorted(parents - {".", "/"})]
    out.append(cpio_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    for name, source in sorted(files.items()):
        out.append(cpio_entry(name, stat.S_IFREG | 0o755, Path(source).read_bytes()))
    out.append(cpio_entry("TRAILER!!!", 0))
    path.write_bytes(b"".join(out))


def libraries(program, folders):
    """{name: file} of the shared objects a program is loaded with."""
    found, todo = {}, [program]
    while todo:
        listed = output(["readelf", "-ld", todo.pop()])
        for name in re.findall(r"interpreter: \S*/([^]/]+)\]|NEEDED.*\[([^]]+)\]", listed):
            name = name[0] or name[1]
            if name not in found:
                places = [folder / name for folder in folders if (folder / name).exists()]
                if not places:
                    raise Stop(f"{program} needs {name}, and it is in none of {', '.join(map(str, folders))}")
                found[name] = places[0]
                todo.append(places[0])
    return found


def programs(run, arch):
    """busybox and kexec for guests, and the folders with their libraries.

    They are those of this machine, or of Debian for another architecture.
    """
    triple = f"{tools.MACHINE[arch]}-linux-gnu"
    if arch == tools.HOST:
        root, found = Path("/"), [tools.command("busybox"), tools.command("kexec")]
    else:
        suite = base.supported()[base.default()][1].partition("-")[0]
        root = debian.unpacked(run, ["busybox-static", "kexec-tools"], suite, arch)
        places = [root / folder for folder in ("usr/bin", "usr/sbin", "bin", "sbin")]
        found = [next((p / name for p in places if (p / name).exists()), None) for name in ("busybox", "kexec")]
    if not all(found):
        raise Stop("kexec and a static busybox are needed in the guest: run ./kho setup")
    folders = [root / folder / sub for folder in ("usr/lib", "lib", "usr/lib64", "lib64") for sub in (triple, "")]
    return *found, folders


def static(kernel, program, *sources):
    """The words that compile a program of guests."""
    return selftest.compile_words(f"{tools.prefix(kernel.arch)}gcc", kernel.tree / "include/uapi", program, *sources)


def build_agent(run, kernel):
    """The program with all cases."""
    agent = run.path(f"handover-{kernel.arch}")
    if not agent.exists():
        run.step(f"building the guest's program ({kernel.arch})",
                 static(kernel, agent, *selftest.sources()), log="guest-agent.log")
    return agent


def initramfs(run, kernel):
    """The first file system of every guest: agent, busybox, kexec."""
    image = run.path(f"initrd-{kernel.arch}")
    if image.exists():
        return image
    agent = build_agent(run, kernel)
    busybox, kexec, folders = programs(run, kernel.arch)
    files = {"init": AGENT / "guest_init.sh", "bin/busybox": busybox, "bin/handover": agent, "sbin/kexec": kexec}
    for name, place in libraries(kexec, folders).items():
        # where its own architecture looks for what loads a program
        files[f"lib64/{name}" if name.startswith("ld-linux-x86") else f"lib/{name}"] = place
    write_cpio(image, files)
    return image


def share_kernels(share, initrd, *kernels):
    """Put what the next kernels are loaded from where the guest sees it."""
    share.mkdir(parents=True, exist_ok=True)
    for kernel in kernels:
        shutil.copyfile(kernel.image, share / shared(kernel))
    shutil.copyfile(initrd, share / "initrd")


def shared(kernel):
    return f"kernel-{kernel.flavour}"


# ---- one guest, from start to end

@dataclass
class Line:
    at: float           # seconds since the guest was started
    text: str


@dataclass
class Outcome:
    console: list
    results: list
    finished: bool      # False: it was still running at its deadline
    seconds: float
    words: list         # the command that started it


class Tail:
    """Complete lines of a growing file, each with the time it was seen; hear() is told of each."""

    def __init__(self, path, hear=None):
        path.touch()
        self.hear = hear
        self.file = open(path, "rb")
        self.rest = b""
        self.lines = []

    def read(self, at):
        *done, self.rest = (self.rest + self.file.read()).split(b"\n")
        fresh = [Line(at, text.decode(errors="replace").strip("\r")) for text in done]
        self.lines += fresh
        for line in fresh if self.hear else ():
            self.hear(line)

    def close(self, at):
        self.read(at)
        if self.rest:
            self.lines.append(Line(at, self.rest.decode(errors="replace")))
        self.file.close()


def plain(path):
    """A path inside an option of QEMU: a comma is written twice."""
    return str(path).replace(",", ",,")


def command(kernel, accel, share, append, memory, extra=(), ports=None):
    """The words every guest is started with; the chardevs of the serial ports come on top."""
    machine = MACHINES[kernel.arch]
    speed = ["-accel", "kvm", "-cpu", "host"] if accel == "kvm" else ["-accel", "tcg,thread=multi", *machine.cpu]
    return [machine.qemu, *machine.argv, *speed, "-m", f"{memory}M", "-smp", "2,sockets=2", "-nodefaults",
            "-no-reboot", "-display", "none", "-monitor", "none", *extra, *(ports or machine.ports),
            "-fsdev", f"local,id=share,path={plain(share)},security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=kho",
            "-kernel", str(share / shared(kernel)), "-initrd", str(share / "initrd"),
            "-append", append]


def nodes(size, processors):
    """Words for a node of that size for each of the sets of processors."""
    words = []
    for n, owned in enumerate(processors):
        words += ["-object", f"memory-backend-ram,id=node{n},size={size}",
                  "-numa", f"node,memdev=node{n}{',cpus=' + owned if owned else ''}"]
    return words


def plugged(device, node):
    """Words for a device with memory that no kernel boots with, in a node that has one processor besides."""
    return ["-m", "slots=1,maxmem=16G", "-object", "memory-backend-ram,id=plugged,size=512M",
            "-device", f"{device},memdev=plugged,node={node}", "-numa", f"node,cpus={node}"]


def weight(flavour):
    parts = [WEIGHTS.get(name, Weight()) for name in split(flavour)[0]]
    return Weight(max(p.slower for p in parts), max(p.page for p in parts), sum(p.memory for p in parts),
                  max(p.least for p in parts), " ".join(p.append for p in parts if p.append),
                  "".join(p.scratch for p in parts))


def scratch(weights, memory):
    """The size of scratch memory in a guest with so many MiB, where it is not the usual one."""
    return next((w.scratch for w in weights if w.scratch), "").format(max(640, memory * 3 // 16))


def command_line(kernel, case, hop, *extra):
    machine = MACHINES[kernel.arch]
    words = [f"console={machine.console} {APPEND}", f"kho_results={machine.results}",
             f"kho_case={case} kho_hop={hop}", weight(kernel.flavour).append, *extra]
    return " ".join(word for word in words if word)


def share_lines(share, kernels, lines):
    """Tell the guest which kernel it goes to in each hop, and with which command line."""
    for hop, (kernel, line) in enumerate(zip(kernels, lines)):
        (share / f"kernel{hop}").write_text(shared(kernel))
        (share / f"append{hop}").write_text(line)


stopping = threading.Event()


def stop_all():
    """Let every guest of this process end now: boot() in other threads takes notice."""
    stopping.set()


def boot(words, where, deadline, allowed=(), hear=None):
    """Run a guest to its end or its deadline, reading both serial ports meanwhile."""
    tails = []
    for name in ("console", "results"):
        words = words + ["-chardev", f"file,id={name},path={plain(where / (name + '.log'))}"]
        tails.append(Tail(where / f"{name}.log", hear))
    begin = time.monotonic()
    with open(where / "qemu.log", "wb") as log:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
    try:
        finished = watch(child, tails, begin, deadline, allowed)
    finally:
        end_group(child)
        for tail in tails:
            tail.close(time.monotonic() - begin)
    seconds = time.monotonic() - begin
    if finished and child.returncode and not tails[0].lines:
        raise Stop(f"QEMU did not start a guest: {(where / 'qemu.log').read_text().strip()}", 1)
    return Outcome(tails[0].lines, tails[1].lines, finished, seconds, words)


def watch(child, tails, begin, deadline, allowed):
    """Did the guest end by itself?  One that shows a splat gets little time to do so."""
    console, scanned, broken = tails[0], 0, False
    while time.monotonic() - begin < deadline and not stopping.is_set():
        time.sleep(POLL)
        finished = child.poll() is not None
        for tail in tails:
            tail.read(time.monotonic() - begin)
        if finished:
            return True
        if not broken and splats(console.lines[scanned:], allowed):
            broken, deadline = True, min(deadline, time.monotonic() - begin + GRACE)
        scanned = len(console.lines)
    return False


def accelerator(kernel, initrd):
    """kvm only where a guest was seen to run on it: /dev/kvm may open and still hang."""
    wanted = os.environ.get("KHO_ACCEL", "")
    if wanted and wanted not in SLOWER:
        raise Stop(f"KHO_ACCEL={wanted} is neither of {', '.join(SLOWER)}")
    if wanted or kernel.arch != tools.HOST:
        return wanted if kernel.arch == tools.HOST else "tcg"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cache = OUT / "accelerator"
    known = cache.read_text().split() if cache.exists() else []
    if known[1:] == [machine]:
        return known[0]
    verdict = "kvm" if probe(kernel, initrd) else "tcg"
    cache.write_text(f"{verdict} {machine}\n")
    return verdict


def probe(kernel, initrd):
    """Does a small guest get to its first process on KVM?"""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUT) as name:
        share = Path(name) / "share"
        share_kernels(share, initrd, kernel)
        words = command(kernel, "kvm", share, command_line(kernel, "probe", 0), 512)
        try:
            seen = boot(words, Path(name), PROBE_SECONDS)
        except Stop:
            return False
    return any(line.text == "# end" for line in seen.results)


# ---- what a guest said

@dataclass
class Point:
    """One step of a case, as the agent reported it."""
    ok: bool
    text: str
    reason: str
    begin: float
    end: float


@dataclass
class Hop:
    """What one kernel said on the results port."""
    begin: float
    planned: int = 0
    points: list = field(default_factory=list)
    notes: list = field(default_factory=list)       # lines that are not test points
    doing: Line = None
    ended: str = ""                                 # "kexec", "end" or the reason to bail out


POINT = re.compile(r"(not )?ok \d+ - (.*)")
DOING = re.compile(r"# \d+ (.*)")


def hops(results):
    """The KTAP documents of all kernels of a guest."""
    found = []
    for line in results:
        if line.text == "KTAP version 1":
            found.append(Hop(line.at))
            continue
        if not found:
            if line.text.startswith("Bail out!"):
                found.append(Hop(line.at, ended=line.text))
            continue
        hear(found[-1], line)
    return found


def hear(hop, line):
    """One line of a KTAP document."""
    point, doing = POINT.fullmatch(line.text), DOING.fullmatch(line.text)
    if line.text.startswith("1..") and line.text[3:].isdigit():
        hop.planned = int(line.text[3:])
    elif point:
        reason = hop.notes[-1].text if point[1] and hop.notes else ""
        begin = hop.doing.at if hop.doing else line.at
        hop.points.append(Point(not point[1], point[2], reason, begin, line.at))
        hop.doing = None
    elif line.text in ("# kexec", "# end"):
        hop.ended = line.text[2:]
        hop.notes.append(Line(line.at, hop.ended))
    elif line.text.startswith("Bail out!"):
        hop.ended = line.text
    elif doing:
        hop.doing = Line(line.at, doing[1])
    elif line.text.startswith("# "):
        hop.notes.append(Line(line.at, line.text[2:]))


def stage(outcome):
    """Where a guest was when it stopped talking."""
    kernels = sum("Linux version " in line.text for line in outcome.console)
    told = hops(outcome.results)
    if not kernels:
        return "before the first kernel said anything"
    if len(told) < kernels:
        last = next((line.text for line in reversed(outcome.console) if line.text), "")
        return f"boot of kernel {kernels}, after: {last[:100]}"
    last = told[-1]
    if last.ended == "kexec":
        return f"kexec out of kernel {kernels}"
    if last.doing:
        return f"kernel {kernels}, in: {last.doing.text[:100]}"
    return f"kernel {kernels}, after {len(last.points)} of {last.planned} steps"


@functools.lru_cache(None)
def splat_patterns():
    """The expressions of dev/splats; without them no guest can be called clean."""
    path = ROOT / "dev/splats"
    try:
        rows = path.read_text().splitlines()
        parts = [row.split("\t") for row in rows if row and not row.startswith("#")]
        bad = [re.compile(row[0]) for row in parts if row[0] != "allow" and row[1].strip()]
        fine = [re.compile(row[1]) for row in parts if row[0] == "allow" and row[2].strip()]
    except (OSError, re.error, IndexError) as e:
        raise Stop(f"the patterns in {path} cannot be used: {e}", 1) from None
    if not bad:
        raise Stop(f"{path} has no pattern", 1)
    return bad, fine


def splats(console, allowed=()):
    """Lines of the console that no guest may show."""
    bad, fine = splat_patterns()
    fine = fine + [re.compile(text) for text in allowed]
    return [line.text for line in console
            if any(p.search(line.text) for p in bad)
            and not any(p.search(line.text) for p in fine)]


def problem(outcome, kernels, allowed=()):
    """Why a guest with so many kernels in a row is not good; empty when it is."""
    told = hops(outcome.results)
    parts = failures(told)[:1]
    parts += [f"on the console: {text.strip()}" for text in splats(outcome.console, allowed)[:1]]
    if not outcome.finished:
        parts.append(f"still running after {outcome.seconds:.0f} s, stage: {stage(outcome)}")
    elif not parts:
        parts = incomplete(told, kernels, outcome)
    return "; ".join(parts)


def failures(told):
    """What the agents found wrong, first things first."""
    return [f"kernel {n}: {point.text[:160]}: {point.reason}"
            for n, hop in enumerate(told, 1) for point in hop.points if not point.ok]


def incomplete(told, kernels, outcome):
    """What is missing in the reports of kernels that found nothing wrong."""
    for n, hop in enumerate(told, 1):
        if hop.ended.startswith("Bail out!"):
            return [f"kernel {n}: {hop.ended}"]
    if len(told) < kernels or told[-1].ended != "end":
        return [f"ended without a verdict, stage: {stage(outcome)}"]
    for n, hop in enumerate(told, 1):
        if n > kernels or not hop.planned or len(hop.points) != hop.planned:
            return [f"kernel {n}: {len(hop.points)} steps reported, {hop.planned} planned"]
    return []


# ---- a guest for people

def shell(run, kernel, memory=1024):
    """A shell in a guest, with the next kernel and kexec at hand."""
    needs = weight(kernel.flavour)
    memory = max(memory, needs.least)
    initrd = initramfs(run, kernel)
    accel = accelerator(kernel, initrd)
    share = run.path("share")
    share_kernels(share, initrd, kernel)
    append = command_line(kernel, "shell", 0, scratch([needs], memory))
    (share / "welcome").write_text(
        f"Linux {kernel.release} under {accel}.  To go to the next kernel and back here:\n"
        f"  kexec -s -l /share/{shared(kernel)} --initrd=/share/initrd --reuse-cmdline && kexec -e\n"
        "'handover --list' shows the cases of the tests, 'handover' runs some; exit ends the guest.\n")
    words = command(kernel, accel, share, append, memory, ports=("-serial", "mon:stdio"))
    run.say("starting a guest; Ctrl-A X ends it at once")
    return subprocess.call(words)
