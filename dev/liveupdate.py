# SPDX-License-Identifier: GPL-2.0
"""./kho live-update: runs a case, and prints what happens in its guest.

The case carries files of the user across a kexec and compares every byte, or it carries a virtual
machine, or services of systemd.
"""
import os
import random
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import kho_programs
import kho_report
import kho_vm
from kho_guest import OURS

from dev import guest, kernel as kernels, runner
from dev.host import ROOT, Stop, need_space

MIB = 1 << 20
SEED = 20260601
SEEDED_MIB = 64
GUEST_MIB = 640             # a guest without files, including its scratch memory
HOST_SPARE_MIB = 256        # not given to a guest
SECONDS = 40                # deadline of a guest with KVM and without files
SECONDS_PER_MIB = 0.1       # of files, added to the deadline
# The first step with each of these words is printed.
STEPS = {"file": "fill memfds", "preserve": "preserve", "retrieve": "retrieve",
         "timeline": "khoctl timeline", "sha256": "digests"}
VERDICT = re.compile("# (safe|would lose|cannot tell): ")     # of khoctl


def tell(run, kernel, story):
    """Run the case of a Story alone, and print its progress; returns the exit status."""
    setup = guest.prepare(run, {OURS: kernel})
    listed = guest.cases(run, kernels.split(kernel.flavour)[1])
    case = replace(story.fit(listed[story.name]), judge=story.judge)
    memory = guest.fitted(case, dict.fromkeys(case.row(), kernel)).memory
    run.say(f"live update of Linux {kernel.release} under {setup.accel}, guest of {memory} MiB; "
            f"log: {runner.place(run, kernel, case)}")
    result = runner.run_case(run, {OURS: kernel}, setup, case, story.hear)
    if result.skipped:
        raise Stop(f"the case cannot be run here: {result.skipped}")
    run.say(f"  {result.seconds:6.2f} s  end")
    if story.outcome:
        story.summary()
    if result.ok:
        run.say(story.good)
        return 0
    run.say(f"FAILED: {result.why}\n"
            f"repeat: ./kho live-update{story.options}{kernels.words(kernel.arch, kernel.flavour)}")
    return 1


class Story:
    """One case; each line of its guest is printed when it arrives, if shown() has a text for it."""
    name = ""           # of the case
    options = ""        # of './kho live-update'
    good = ""           # what is printed last if nothing is lost
    problem = staticmethod(kho_report.problem)

    def __init__(self, run):
        self.run = run
        self.kernels = 0
        self.outcome = None

    def fit(self, case):
        """The case with what this story needs in addition."""
        return case

    def hear(self, line):
        """Print what a line from a serial port of the guest shows."""
        if "Linux version " in line.text:
            self.kernels += 1
            text = f"kernel {self.kernels} entered"
        elif line.text == "# kexec":
            text = f"kernel {self.kernels} left"
        else:
            text = self.shown(line.text)
        if text:
            self.run.say(f"  {line.at:6.2f} s  {text}")

    def shown(self, text):
        """What is printed for a line, or an empty text."""
        raise NotImplementedError

    def judge(self, outcome, kernels, allowed=()):
        """The problem of the guest, or an empty text."""
        self.outcome = outcome
        return self.problem(outcome, kernels, allowed)

    def summary(self):
        """Print what is only known at the end."""


# ---- files of the user

def memory_for(sizes, names, wanted, flavour):
    """Memory in MiB of a guest for files of these sizes; Stop if they cannot be handed over."""
    total = sum(sizes) // MIB + 1
    weight = guest.weight(flavour)
    needed = GUEST_MIB + weight.memory + total + total // 8
    needed = max(weight.least, needed + -needed % 64)
    if wanted is not None and wanted < needed:
        raise Stop(f"--memory {wanted} is too small: {total} MiB of files need {needed} MiB "
                   "of guest memory")
    found = re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
    there = max(int(found[1]) // 1024 - HOST_SPARE_MIB, 0)
    memory = wanted or needed
    if memory > there:
        largest = max(zip(sizes, names or ["the seeded data"]))[1]
        raise Stop(f"{largest}: a guest for {total} MiB of files needs {memory} MiB of memory, and "
                   f"this machine can give {there} MiB: free some memory, or hand over less")
    return memory - weight.memory


def usable(path):
    """Size of a file that can be handed over."""
    if not path.is_file() or not os.access(path, os.R_OK):
        raise Stop(f"{path}: want a plain file that can be read")
    return path.stat().st_size


def gather(folder, files):
    """Copy the files into the folder; (name, size, digest) of each."""
    folder.mkdir()
    if not files:
        # the same bytes on every machine
        (folder / "0").write_bytes(random.Random(SEED).randbytes(SEEDED_MIB * MIB))
        shutil.copyfile(ROOT / "README", folder / "1")
    for number, name in enumerate(files):
        shutil.copyfile(name, folder / str(number))
    for number, name in enumerate(files or ["seeded-data", "README"]):
        target = folder / str(number)
        digest = subprocess.check_output(["sha256sum", target], text=True).split()[0]
        yield name, target.stat().st_size, digest


class Files(Story):
    """Files of the user in a live update."""
    name = "live-update"

    def __init__(self, run, files, memory, flavour=kernels.PLAIN):
        super().__init__(run)
        self.files = files
        sizes = [usable(Path(name)) for name in files] or [SEEDED_MIB * MIB]
        self.memory = memory_for(sizes, files, memory, flavour)
        self.mib = sum(sizes) // MIB + 1
        self.options = "".join(f" {shlex.quote(name)}" for name in files)
        self.options += f" --memory {memory}" if memory else ""
        self.sources, self.steps, self.step = [], dict(STEPS), ""

    def fit(self, case):
        return replace(case, memory=self.memory, bring=self.bring,
                       deadline=SECONDS + SECONDS_PER_MIB * self.mib)

    def bring(self, setup, share):
        """Put the files into the share, and khoctl if it can be built."""
        need_space(share, self.mib, "copying the files")
        self.sources = list(gather(share / "files", self.files))
        try:
            kho_programs.bring_khoctl(setup, share)
        except Stop as e:
            shutil.rmtree(share / "khoctl", ignore_errors=True)
            self.run.say(f"without khoctl: {str(e).splitlines()[0]}")

    def shown(self, text):
        step = re.match(r"# \d+ (?:tell /share/khoctl/run )?(\w+)", text)
        compat = re.match("# compat (in|out) (.*)", text)
        if step:
            self.step = step[1]
            return self.steps.pop(self.step, "")
        if compat:
            return f"{'read' if compat[1] == 'in' else 'written'}: {compat[2]}"
        if self.step == "timeline" and text.startswith("# "):
            self.run.say(f"            {text[2:]}")
        return f"khoctl check: {text[2:]}" if VERDICT.match(text) else ""

    def judge(self, outcome, kernels, allowed=()):
        why = super().judge(outcome, kernels, allowed)
        lost = sum(verdict != "equal" for verdict in self.verdicts())
        return why or (f"{lost} of {len(self.sources)} files did not survive" if lost else "")

    def verdicts(self):
        """For each file, whether it has survived."""
        seen = dict(re.findall(r"^# sha256 f(\d+) (\w+)$",
                               "\n".join(line.text for line in self.outcome.results), re.M))
        for number, (*_, digest) in enumerate(self.sources):
            found = seen.get(str(number))
            yield ("did not come back" if found is None else "equal" if found == digest
                   else f"CHANGED, now {found[:16]}")

    def summary(self):
        """Print a line for each file."""
        self.run.say("files")
        for (name, size, digest), verdict in zip(self.sources, self.verdicts()):
            self.run.say(f"  {size:12} bytes  sha256 {digest[:16]}  {verdict:18} {name}")

    @property
    def good(self):
        total = sum(size for _, size, _ in self.sources)
        return f"every byte survived: {len(self.sources)} files, {total} bytes"


# ---- a virtual machine, and systemd

class Vm(Story):
    """A virtual machine that survives, or does not with a fault of kho_vm.BREAKS."""
    good = "the virtual machine goes on, without any loss"
    problem = staticmethod(kho_vm.judge)

    def __init__(self, run, software="machine", broken=None):
        super().__init__(run)
        self.name = f"vm-lost-{broken}" if broken else "vm-linux" if software == "linux" else "vm"
        self.options = (" --vm=linux" if software == "linux" else
                        f" --vm --break {broken}" if broken else " --vm")
        self.told = set()

    def shown(self, text):
        text = text.removeprefix("# ")
        count = kho_vm.COUNT.fullmatch(text)
        if text in self.told or not re.match("VMM? |RAM |FAILED: |state saved |count ", text):
            return ""
        self.told.add(text)
        if not count:
            return text
        return f"VM round {count[1]}: {count[2]} words compared so far, {count[3]} wrong"

    def summary(self):
        """Print the blackout and the comparison, if the virtual machine was resumed."""
        text = kho_vm.Told(self.outcome).summary()
        if text:
            self.run.say(text)


class Systemd(Story):
    """Three kexecs with services."""
    name = "systemd"
    options = " --systemd"
    good = "every descriptor and every item survived, three times"

    def shown(self, text):
        checked = re.match(r"(not )?ok \d+ - check (\w+)", text)
        if checked:
            return f"{checked[2]}: {'LOST' if checked[1] else 'equal'}"
        if text.startswith("# listen "):
            return f"the service is started with descriptors {text[9:]}"
        return text[2:] if re.match("# (systemd|memcached) ", text) else ""
