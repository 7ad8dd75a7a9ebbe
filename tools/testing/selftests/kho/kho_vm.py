# SPDX-License-Identifier: GPL-2.0
"""Cases of a virtual machine that counts across a kexec: their files, and their result.

The virtual machine runs vm_machine.c, or the kernel of the guest with vm_linux.c.  The guest
emulates it, with the QEMU of the host.  samples/liveupdate/vm-agent.c carries the virtual machine
to the next kernel.
"""
import re
import shutil
import subprocess
from pathlib import Path

import kho_guest
from kho_guest import HERE, OURS
from kho_report import Skip, problem, splats

AGENT = "samples/liveupdate/vm-agent.c"        # in the kernel tree
STATE_MAX = 1 << 20
MACHINE_FLAGS = ("-m32 -O2 -Wall -ffreestanding -fno-pic -no-pie -fno-stack-protector "
                 "-mgeneral-regs-only -fno-asynchronous-unwind-tables -nostdlib -static "
                 "-Wl,-N,-Ttext=0x100000,--build-id=none").split()
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "multiboot_dma.bin", "linuxboot_dma.bin")
COUNT = re.compile(r"count (\d+) compared (\d+) wrong (\d+) clock (\d+) s")
SAVED = re.compile(r"state saved and preserved, (\d+) bytes")
LOST = "the virtual machine is lost: "
WRONG = "words of the virtual machine's memory are wrong"
# For each case vm-lost-*, the loss that must be reported.
BREAKS = {
    "session": LOST + "vm: No such file or directory",
    "state": LOST + "state: Operation not supported",
    "page": WRONG,
    "pause": WRONG,
}


# ---- files for the guest

def bring(setup, share):
    """Put QEMU, the program of the virtual machine and vm-agent into the share."""
    target = kho_guest.copy(share / "vm", qemu_files(setup.machine))
    setup.step("building the virtual machine", ["gcc", *MACHINE_FLAGS, "-o", target / "vm_machine",
                                                HERE / "vm_machine.c"])
    compile_static(setup, target / "vm-agent", setup.tree / AGENT)


def bring_linux(setup, share):
    """As bring(); the virtual machine boots the kernel of the guest."""
    bring(setup, share)
    program = share / "vm/vm_linux"
    compile_static(setup, program, HERE / "vm_linux.c")
    kho_guest.write_cpio(setup.build, share / "vm/initrd", {"init": program})
    shutil.copy(setup.kernels[OURS], share / "vm/linux")


def qemu_files(machine):
    """{name: file} of QEMU, its libraries, its firmware and the scripts that start it."""
    [program] = kho_guest.need(machine.qemu)

    def told(*words):
        return subprocess.run([program, *words], capture_output=True, text=True).stdout

    if "tcg" not in told("-accel", "help"):
        raise Skip(f"{program} cannot emulate: it has no accelerator tcg")
    # tcg is a module of QEMU, unless it is built in
    modules = [*Path("/usr/lib").glob("qemu/accel-tcg-x86_64.so"),
               *Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so")][:1]
    files = {place.name: place for place in [Path(program), *HERE.glob("vm_*.sh"), *modules]}
    places = told("-L", "help").splitlines()
    for name in FIRMWARE:
        found = next((Path(p) / name for p in places if (Path(p) / name).exists()), None)
        if not found:
            raise Skip(f"{name} is in none of {', '.join(places)}, where {program} looks for it")
        files[name] = found
    return {**files, **kho_guest.libraries([program, *modules], kho_guest.library_folders(machine))}


def compile_static(setup, program, source):
    """Compile a further program of guests."""
    setup.step(f"building the guest's program {program.name}",
               ["gcc", "-static", "-O2", "-Wall", "-idirafter", setup.tree / "include/uapi",
                "-o", program, source])


# ---- the result

class Told:
    """The times, counts, page frames, size of the state and losses that were reported."""

    def __init__(self, outcome):
        texts = [line.text.removeprefix("# ") for line in outcome.results]
        self.at = {text: line.at for text, line in zip(texts, outcome.results)}
        self.counts = [tuple(map(int, m.groups())) for m in map(COUNT.fullmatch, texts) if m]
        self.frames = [text for text in texts if text.startswith("frames ")]
        self.state = max((int(m[1]) for m in map(SAVED.fullmatch, texts) if m), default=0)
        self.failed = [text.replace("FAILED: ", LOST) for text in texts
                       if text.startswith("FAILED: ")]

    def resumed(self):
        """Whether the virtual machine has counted in both kernels."""
        return len(self.counts) >= 3 and len(self.frames) >= 2

    def lost(self):
        """The loss of a virtual machine that was resumed, or an empty text."""
        if not self.resumed():
            return "the virtual machine did not count in both kernels"
        before, first, last = self.counts[-3:]
        if last[2]:
            return f"{last[2]} {WRONG}"
        if first[0] - before[0] not in (1, 2):      # 2 if it was paused while it printed a line
            return f"the virtual machine counts {first[0]} after {before[0]}"
        if self.frames[0] != self.frames[1]:
            return (f"pages of RAM have moved: {self.frames[0]} before the kexec, "
                    f"{self.frames[1]} after it")
        return f"{self.state} bytes of state: RAM is among them" if self.state > STATE_MAX else ""

    def summary(self):
        """The blackout and the comparison, if the virtual machine was resumed."""
        if not self.resumed():
            return ""
        before, first, last = self.counts[-3:]
        _, pages, _, address, *_ = self.frames[1].split()
        same = "the same" if self.frames[0] == self.frames[1] else "OTHER"
        blackout = self.at["VM resumed"] - self.at["VM paused"]
        return f"""\
blackout   {blackout:.2f} s from 'VM paused' to 'VM resumed', by the clock of this machine
           {(first[3] - before[3]) % 86400} s from count {before[0]} to count {first[0]}, \
as the VM reads them from its RTC
compared   {last[1] - before[1]} words of the VM's memory after the kexec, {last[2]} wrong
RAM        {pages} pages at {same} physical addresses, from {address} on; 0 bytes copied
state      {self.state} bytes copied"""


def judge(outcome, kernels, allowed=()):
    """The problem of a guest whose virtual machine should survive, or an empty text."""
    told = Told(outcome)
    return told.failed[0] if told.failed else problem(outcome, kernels, allowed) or told.lost()


def functions(name):
    """bring() and judge() of a case; one of BREAKS passes if the expected loss is reported."""
    loss = BREAKS.get(name.removeprefix("vm-lost-"))

    def expect(outcome, kernels, allowed=()):
        found = judge(outcome, kernels, allowed)
        if loss not in found:
            return f"'{loss}' was expected, not '{found}'"
        bad = splats([line.text for line in outcome.console], allowed)
        return bad[0] if bad else "" if outcome.finished else "still running after the loss"

    return {"bring": bring_linux if name == "vm-linux" else bring,
            "judge": expect if loss else judge}
