# SPDX-License-Identifier: GPL-2.0
"""./kho live-update --vm, and the case vm: a virtual machine that counts across a kexec.

The virtual machine runs tools/testing/selftests/kho/vm_machine.c, or the kernel of the guest with
vm_linux.c.  The guest emulates it, with the QEMU of the host.  samples/liveupdate/vm-agent.c
carries the virtual machine to the next kernel.
"""
import re
import shutil
from dataclasses import replace
from pathlib import Path

import kho_guest

from dev import guest, tools
from dev.cases import DIR
from dev.host import ROOT, Skip, output
from dev.story import Story

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

def bring(run, kernel, share):
    """Put QEMU, the program of the virtual machine and vm-agent into the share."""
    machine = kho_guest.MACHINES["x86_64"]
    program = tools.command(machine.qemu)
    if "tcg" not in output([program, "-accel", "help"]):
        raise Skip(f"{program} cannot emulate: it has no accelerator tcg")
    # tcg is a module of QEMU, unless it is built in
    modules = [*Path("/usr/lib").glob("qemu/accel-tcg-x86_64.so"),
               *Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so")][:1]
    files = {place.name: place for place in [Path(program), *DIR.glob("vm_*.sh"), *modules]}
    places = output([program, "-L", "help"]).splitlines()
    for name in FIRMWARE:
        found = next((Path(p) / name for p in places if (Path(p) / name).exists()), None)
        if not found:
            raise Skip(f"{name} is in none of {', '.join(places)}, where {program} looks for it")
        files[name] = found
    files.update(kho_guest.libraries([program, *modules], kho_guest.library_folders(machine)))
    target = guest.copy(share / "vm", files)
    words = ["gcc", *MACHINE_FLAGS, "-o", target / "vm_machine", DIR / "vm_machine.c"]
    run.step("building the virtual machine", words, quiet=True)
    guest.compile_static(run, kernel, target / "vm-agent",
                         ROOT / "samples/liveupdate/vm-agent.c")


def bring_linux(run, kernel, share):
    """As bring(); the virtual machine boots the kernel of the guest."""
    bring(run, kernel, share)
    program = run.path("vm_linux")
    guest.compile_static(run, kernel, program, DIR / "vm_linux.c")
    kho_guest.write_cpio(kernel.dir, share / "vm/initrd", {"init": program})
    shutil.copy(kernel.image, share / "vm/linux")


# ---- the result

class Vm(Story):
    """The stages of a virtual machine that survives, or does not with a fault of BREAKS."""
    good = "the virtual machine goes on, without any loss"

    def __init__(self, run=None, software="machine", broken=None):
        super().__init__(run)
        self.name = f"vm-lost-{broken}" if broken else "vm-linux" if software == "linux" else "vm"
        self.options = (" --vm=linux" if software == "linux" else
                        f" --vm --break {broken}" if broken else " --vm")
        self.told = set()

    def shown(self, text):
        text = text.removeprefix("# ")
        count = COUNT.fullmatch(text)
        if text in self.told or not re.match("VMM? |RAM |FAILED: |state saved |count ", text):
            return ""
        self.told.add(text)
        if not count:
            return text
        return f"VM round {count[1]}: {count[2]} words compared so far, {count[3]} wrong"

    def read(self, outcome):
        """Read the times, counts, page frames, size of the state and losses that were reported."""
        texts = [line.text.removeprefix("# ") for line in outcome.results]
        self.at = {text: line.at for text, line in zip(texts, outcome.results)}
        self.counts = [tuple(map(int, m.groups())) for m in map(COUNT.fullmatch, texts) if m]
        self.frames = [text for text in texts if text.startswith("frames ")]
        self.state = max((int(m[1]) for m in map(SAVED.fullmatch, texts) if m), default=0)
        self.failed = [text.replace("FAILED: ", LOST) for text in texts
                       if text.startswith("FAILED: ")]

    def judge(self, outcome, kernels, allowed=()):
        why = super().judge(outcome, kernels, allowed)
        self.read(outcome)
        return self.failed[0] if self.failed else why or self.lost()

    def lost(self):
        """The loss of a virtual machine that was resumed, or an empty text."""
        if len(self.counts) < 3 or len(self.frames) < 2:
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
        """Print the blackout and the comparison, if the virtual machine was resumed."""
        if len(self.frames) < 2 or len(self.counts) < 3:
            return
        before, first, last = self.counts[-3:]
        _, pages, _, address, *_ = self.frames[1].split()
        same = "the same" if self.frames[0] == self.frames[1] else "OTHER"
        blackout = self.at["VM resumed"] - self.at["VM paused"]
        self.run.say(f"""\
blackout   {blackout:.2f} s from 'VM paused' to 'VM resumed', by the clock of this machine
           {(first[3] - before[3]) % 86400} s from count {before[0]} to count {first[0]}, \
as the VM reads them from its RTC
compared   {last[1] - before[1]} words of the VM's memory after the kexec, {last[2]} wrong
RAM        {pages} pages at {same} physical addresses, from {address} on; 0 bytes copied
state      {self.state} bytes copied""")


def prepared(case):
    """A case with a virtual machine; a case of BREAKS passes if the expected loss is reported."""
    loss = BREAKS.get(case.name.removeprefix("vm-lost-"))

    def expect(*args):
        told = Vm().judge(*args)
        return "" if loss in told else f"'{loss}' was expected, not '{told}'"

    return replace(case, bring=bring_linux if case.name == "vm-linux" else bring,
                   judge=expect if loss else Vm().judge)
