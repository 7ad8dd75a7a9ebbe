# SPDX-License-Identifier: GPL-2.0
"""Guests of QEMU: their initramfs, their command, and their run to the end.

A guest has two serial ports: the console of its kernels, and the results of the handover program.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kho_report import Line, Outcome, Skip, Stop, splats

HERE = Path(__file__).resolve().parent
OURS, STOCK = "ours", "stock"       # names of kernels: the one under test, and that of the base
POLL = 0.02
GRACE = 15                          # seconds that a guest may run on after a splat
# If the CPUs are in several sockets, Linux does not use the TSC as its clock.  Its frequency may be
# measured wrongly in an emulated guest.
PROCESSORS = "2,sockets=2"
SLOWER = {"kvm": 1, "tcg": 5}       # factor of the deadline of a guest


@dataclass(frozen=True)
class Machine:
    """The guests of one architecture."""
    name: str           # of the architecture, for QEMU and in GNU triples
    image: str          # of a kernel, in its build directory
    argv: tuple         # options of QEMU
    cpu: tuple          # options for an emulated CPU
    console: str        # options for the console, and for the one of early boot
    results: str
    ports: tuple        # options that connect chardevs with ports

    @property
    def qemu(self):
        return f"qemu-system-{self.name}"

    @property
    def triple(self):
        return f"{self.name}-linux-gnu"


MACHINES = {
    "x86_64": Machine("x86_64", "arch/x86/boot/bzImage", ("-M", "pc"), (),
                      "console=ttyS0 earlycon=uart8250,io,0x3f8", "ttyS1",
                      ("-serial", "chardev:console", "-serial", "chardev:results")),
    # This machine only has one serial port.  The CPU 'max' would have pointer authentication, whose
    # emulation is slow.  A kernel without KASLR does not remove its seed from the device tree, and
    # kexec-tools then refuses to load an image with kexec_load().
    "arm64": Machine("aarch64", "arch/arm64/boot/Image", ("-M", "virt,dtb-randomness=off"),
                     ("-cpu", "neoverse-n1"), "console=ttyAMA0 earlycon", "ttyS0",
                     ("-serial", "chardev:console", "-device", "pci-serial,chardev=results")),
}


ARCH = next((arch for arch, m in MACHINES.items() if m.name == os.uname().machine), "")


def this_machine():
    """Guests of the architecture of this machine."""
    if not ARCH:
        raise Skip(f"architecture {os.uname().machine} is not supported")
    return MACHINES[ARCH]


def need(*names):
    """The paths of programs of this machine."""
    folders = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = [shutil.which(name, path=folders) for name in names]
    for name, path in zip(names, found):
        if not path:
            raise Skip(f"{name} is not installed")
    return found


# ---- the initramfs

def library_folders(machine, root=Path("/")):
    """The folders that may have shared libraries of a system."""
    return [root / folder / sub for folder in ("usr/lib", "lib", "usr/lib64", "lib64")
            for sub in (machine.triple, "")]


def libraries(programs, folders):
    """{path in a guest: file} of the shared libraries that programs need, and of their loader."""
    found, todo = {}, list(programs)
    while todo:
        program = todo.pop()
        read = subprocess.run(["readelf", "-ld", program], capture_output=True, text=True)
        for name in re.findall(r"(?:interpreter: \S*/|NEEDED.*\[)([^]/]+)\]", read.stdout):
            # the folder in which the architecture looks for the loader
            path = f"lib64/{name}" if name.startswith("ld-linux-x86") else f"lib/{name}"
            if path in found:
                continue
            place = next((folder / name for folder in folders if (folder / name).exists()), None)
            if not place:
                raise Stop(f"{program} needs {name}, which is in none of "
                           + ", ".join(map(str, folders)))
            found[path] = place
            todo.append(place)
    return found


def write_cpio(build, image, files):
    """An archive of {path in a guest: file}, by the program of a kernel's build directory."""
    folders = {folder for name in files for folder in Path(name).parents} | {Path("dev")}
    lines = [f"dir {folder} 0755 0 0" for folder in sorted(folders - {Path(".")})]
    lines += ["nod dev/console 0600 0 0 c 5 1"]
    lines += [f"file {name} {source} 0755 0 0" for name, source in sorted(files.items())]
    tool = Path(build) / "usr/gen_init_cpio"
    if not tool.exists():
        raise Stop(f"{tool} is missing: build the kernel with CONFIG_BLK_DEV_INITRD")
    with open(image, "wb") as out:
        subprocess.run([tool, "-t", "0", "-"], stdout=out, check=True,
                       input="\n".join(lines).encode() + b"\n")


def write_initramfs(build, image, handover, busybox, kexec, folders):
    """The initramfs of the guests of kexec cases."""
    write_cpio(build, image, {"init": HERE / "guest_init.sh", "bin/handover": handover,
                              "bin/busybox": busybox, "sbin/kexec": kexec,
                              **libraries([busybox, kexec], folders)})


def copy(target, files):
    """A folder with {name: file}, by the last part of the names."""
    target.mkdir()
    for name, source in files.items():
        shutil.copy(source, target / Path(name).name)
    return target


# ---- the command

def words(machine, accel, memory, processors=PROCESSORS):
    """The program and the arguments that every guest has."""
    cpu = ["-cpu", "host"] if accel == "kvm" else machine.cpu
    return [machine.qemu, *machine.argv, "-accel", accel, *cpu, "-m", f"{memory}M",
            "-smp", processors, "-nodefaults", "-no-reboot", "-display", "none",
            "-monitor", "none"]


def with_share(machine, accel, memory, share, extra=(), ports=None):
    """The command of a guest with a share, without the chardevs of its serial ports."""
    return [*words(machine, accel, memory), *extra, *(ports or machine.ports),
            "-fsdev", f"local,id=share,path={plain(share)},security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=kho",
            "-kernel", str(share / (share / "kernel0").read_text()),
            "-initrd", str(share / "initrd"), "-append", (share / "append0").read_text()]


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


# ---- from start to end

stopping = threading.Event()        # if set, all guests of this process end


class Tail:
    """Complete lines of a growing file, each with the time it was seen; calls hear() for each."""

    def __init__(self, path, hear=None):
        path.touch()
        self.hear = hear
        self.file = open(path, "rb")
        self.rest = b""
        self.lines = []

    def read(self, at, last=False):
        *done, self.rest = (self.rest + self.file.read()).split(b"\n")
        if last and self.rest:
            done.append(self.rest)
        for text in done:
            line = Line(at, text.decode(errors="replace").strip("\r"))
            self.lines.append(line)
            if self.hear:
                self.hear(line)


def boot(argv, where, deadline, allowed=(), hear=None):
    """Run a guest to its end or its deadline, and read both serial ports; returns its Outcome."""
    tails = []
    for name in ("console", "results"):
        argv = [*argv, "-chardev", f"file,id={name},path={plain(where / (name + '.log'))}"]
        tails.append(Tail(where / f"{name}.log", hear))
    begin = time.monotonic()
    with open(where / "qemu.log", "wb") as log:
        try:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        except OSError as e:
            raise Stop(f"cannot start {argv[0]}: {e.strerror}") from None
    try:
        finished = watch(child, tails, begin, deadline, allowed)
    finally:
        end_group(child)
        for tail in tails:
            tail.read(time.monotonic() - begin, last=True)
            tail.file.close()
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


def end_group(child):
    """End a child that has a session of its own, and all processes that it started."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            os.killpg(child.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)


@contextlib.contextmanager
def at_once(jobs):
    """A pool for so many guests at a time; an exception in the body ends all guests."""
    stopping.clear()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stopping.set()
            raise
