# SPDX-License-Identifier: GPL-2.0
"""./kho live-update: carry files of the user across a kexec, and compare every byte."""
import os
import random
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from dev import guest, khoctl
from dev.host import ROOT, Stop, need_space
from dev.kernel import PLAIN
from dev.story import Story

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


# ---- before anything is built

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


# ---- the guest

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

    def __init__(self, run, files, memory, flavour=PLAIN):
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

    def bring(self, run, kernel, share):
        """Put the files into the share, and khoctl if it can be built."""
        need_space(share, self.mib, "copying the files")
        self.sources = list(gather(share / "files", self.files))
        try:
            khoctl.bring(run, kernel, share)
        except Stop as e:
            shutil.rmtree(share / "khoctl", ignore_errors=True)
            run.say(f"without khoctl: {str(e).splitlines()[0]}")

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
