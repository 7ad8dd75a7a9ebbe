# SPDX-License-Identifier: GPL-2.0
"""./kho live-update: carry files of the user across a kexec, and compare every byte."""
import os
import random
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from dev import cases, console, khoctl, qemu, runner
from dev.host import ROOT, Stop, need_space
from dev.kernel import PLAIN

MIB = 1 << 20
SEED = 20260601
SEEDED_MIB = 64
GUEST_MIB = 640             # a guest without files, including its scratch memory
HOST_SPARE_MIB = 256        # not given to a guest
SECONDS = 40                # deadline of a guest with KVM and without files
SECONDS_PER_MIB = 0.1       # of files, added to the deadline


@dataclass
class Source:
    """One file to hand over, under the name the user gave."""
    name: str
    size: int
    digest: str


# ---- before anything is built

def check_files(files, memory=None, flavour=PLAIN):
    """Memory in MiB of a guest for these files; Stop at a file that cannot be handed over."""
    sizes = [usable(Path(name)) for name in files] or [SEEDED_MIB * MIB]
    total = sum(sizes) // MIB + 1
    weight = qemu.weight(flavour)
    needed = GUEST_MIB + weight.memory + total + total // 8
    needed = max(weight.least, needed + -needed % 64)
    if memory is not None and memory < needed:
        raise Stop(f"--memory {memory} is too small: {total} MiB of files need {needed} MiB "
                   "of guest memory")
    wanted = memory or needed
    there = max(available() - HOST_SPARE_MIB, 0)
    if wanted > there:
        largest = max(zip(sizes, files or ["the seeded data"]))[1]
        raise Stop(f"{largest}: a guest for {total} MiB of files needs {wanted} MiB of memory, and "
                   f"this machine can give {there} MiB: free some memory, or hand over less")
    return wanted


def usable(path):
    """Size of a file that can be handed over."""
    if not path.is_file() or not os.access(path, os.R_OK):
        raise Stop(f"{path}: want a plain file that can be read")
    return path.stat().st_size


def available():
    """MiB of memory that the host has without swapping."""
    found = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    return int(found[1]) // 1024


# ---- the guest

def gather(run, share, files):
    """Copy the files into the share; [Source] of the copies."""
    folder = share / "files"
    folder.mkdir()
    if not files:
        seeded = run.path("seeded-data")
        # the same bytes on every machine
        seeded.write_bytes(random.Random(SEED).randbytes(SEEDED_MIB * MIB))
    names = files or [seeded, ROOT / "README"]
    need_space(folder, sum(Path(n).stat().st_size for n in names) // MIB + 1, "copying the files")
    sources = []
    for number, name in enumerate(names):
        target = folder / str(number)
        shutil.copyfile(name, target)
        digest = subprocess.check_output(["sha256sum", target], text=True).split()[0]
        sources.append(Source(name if files else name.name, target.stat().st_size, digest))
    return sources


def bring_khoctl(run, kernel, share):
    """Put khoctl into the share, if it can be built; the live update also works without it."""
    try:
        khoctl.bring(run, kernel, share)
    except Stop as e:
        shutil.rmtree(share / "khoctl", ignore_errors=True)
        run.say(f"without khoctl: {str(e).splitlines()[0]}")


def live_update(run, kernel, files, memory=None):
    """Hand the files over and report the result; exit status 0 if every byte was retrieved."""
    memory = check_files(files, memory, kernel.flavour)
    initrd, accel = runner.first_guest(run, kernel)
    sources, outcomes = [], []

    def bring(run, kernel, share):
        sources.extend(gather(run, share, files))
        bring_khoctl(run, kernel, share)
        run.say(f"live update of Linux {kernel.release} under {accel}, guest of {memory} MiB")

    def judge(outcome, *about):
        outcomes.append(outcome)
        return console.problem(outcome, *about)

    total = sum(usable(Path(name)) for name in files) or SEEDED_MIB * MIB
    case = next(case for case in cases.cases(run) if case.name == runner.LIVE_UPDATE)
    case = replace(case, memory=memory - qemu.weight(kernel.flavour).memory, bring=bring,
                   deadline=SECONDS + SECONDS_PER_MIB * total / MIB, judge=judge)
    try:
        result = runner.run_case(run, {cases.OURS: kernel}, initrd, accel, case)
    finally:
        shutil.rmtree(runner.place(run, kernel, case) / "share", ignore_errors=True)
        run.path("seeded-data").unlink(missing_ok=True)
    return report(run, kernel, sources, outcomes[0], result)


# ---- the report

def report(run, kernel, sources, outcome, result):
    """Print the report; returns the exit status."""
    told = console.hops(outcome.results)
    notes = [line.text.split() for hop in told for line in hop.notes]
    digests = {words[1]: words[2] for words in notes if words[0] == "sha256" and len(words) == 3}
    tell_formats(run, kernel, notes, digests)
    first, second = [*told, console.Hop(0), console.Hop(0)][:2]
    tell_khoctl(run, first, second)
    tell_times(run, first, second, outcome)
    lost = tell_files(run, sources, told, digests)
    if result.why or lost:
        why = result.why or f"{lost} of {len(sources)} files did not survive"
        run.say(f"FAILED: {why}\nlogs: {run.dir}")
        return 1
    total = sum(source.size for source in sources)
    run.say(f"every byte survived: {len(sources)} files, {total} bytes")
    return 0


def tell_formats(run, kernel, notes, digests):
    """Print the compatibility strings of the handover; a memfd has the string of its handler."""
    compat = {tuple(words[1:3]): words[3] for words in notes
              if words[0] == "compat" and len(words) == 4}
    run.say("formats seen by the second kernel")
    for name in ("kho", "luo"):
        offered = compat.get(("out", name))
        missing = f"{offered} (only reported by the first kernel)" if offered else "not seen"
        run.say(f"  {name:6} {compat.get(('in', name), missing)}")
    run.say(f"  memfd  {handler(kernel) if digests else 'not seen'}")


def handler(kernel):
    """The compatibility string of the memfd handler, from the image; files have the same string."""
    found = re.findall(rb"(memfd-v\d[!-~]*)\0", (kernel.dir / "vmlinux").read_bytes())
    return max(found, key=len, default=b"not found in the image").decode()


def tell_khoctl(run, first, second):
    """Print the results of khoctl: check in the first kernel, timeline in the second."""
    before, after = ([line.text for line in hop.notes] for hop in (first, second))
    checks = [text for text in before if re.match("safe: |would lose: |cannot tell: ", text)]
    run.say(f"khoctl check: {checks[0] if checks else 'not made'}")
    begin = next((n for n, text in enumerate(after) if text.startswith("clock: ")), None)
    if begin is not None:
        ends = [n for n, text in enumerate(after) if n > begin and text.startswith("sha256 ")]
        lines = after[begin:ends[0] if ends else None]
        run.say("khoctl timeline\n" + "\n".join(f"  {text}" for text in lines))


def tell_times(run, first, second, outcome):
    """Print when each stage was reached, in seconds since the start of the guest."""
    def took(hop, verb):
        points = [p for p in hop.points if p.text.split()[0] == verb]
        return (points[0].begin, points[-1].end) if points else None

    leave = next((line.at for line in first.notes if line.text == "kexec"), None)
    rows = {"boot": first.begin and (0, first.begin), "fill memfds": took(first, "file"),
            "preserve": took(first, "preserve"),
            "kexec to init": second.begin and leave and (leave, second.begin),
            "retrieve": took(second, "retrieve"), "digests": took(second, "sha256")}
    run.say("time line                at     took")
    for name, when in rows.items():
        text = f"{when[0]:8.2f} {when[1] - when[0]:8.2f} s" if when else "       not reached"
        run.say(f"  {name:16} {text}")
    run.say(f"  {'end':16} {outcome.seconds:8.2f}")


def tell_files(run, sources, told, digests):
    """Print a line for each file; returns the number of files that are lost or differ."""
    bad = {p.text.split()[1]: p.reason for hop in told for p in hop.points
           if not p.ok and p.text.split()[0] == "check"}
    run.say("files")
    lost = 0
    for number, source in enumerate(sources):
        seen = digests.get(f"f{number}")
        verdict = ("did not come back" if seen is None else
                   f"CHANGED, now {seen[:16]}" if seen != source.digest else
                   bad.get(f"f{number}", "equal"))
        lost += verdict != "equal"
        run.say(f"  {source.size:12} bytes  sha256 {source.digest[:16]}  {verdict:18} "
                f"{source.name}")
    return lost
