# SPDX-License-Identifier: GPL-2.0
"""./kho live-update: carry files of the user across a real kexec, byte for byte."""
import hashlib
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import guest, khoctl
from dev.kernel import PLAIN
from dev.host import ROOT, Stop, need_space

MIB = 1 << 20
SEED = 20260601
SEEDED_MIB = 64
GUEST_MIB = 640             # a guest that holds no file, its scratch included
HOST_SPARE_MIB = 256        # left to the host when a guest takes its memory
SECONDS = 40                # with KVM, for the kernels themselves
SECONDS_PER_MIB = 0.1


@dataclass
class Source:
    """One file to hand over, under the name the user gave."""
    name: str
    path: Path
    size: int
    digest: str = ""


# ---- before anything is built

def check_files(files, memory=None, flavour=PLAIN):
    """Memory of the guest in MiB for these files; Stop at the first that cannot be used."""
    sizes = [usable(Path(name)) for name in files] or [SEEDED_MIB * MIB]
    total = sum(sizes) // MIB + 1
    weight = guest.weight(flavour)
    needed = GUEST_MIB + weight.memory + total + total // 8
    needed = max(weight.least, needed + -needed % 64)
    if memory is not None and memory < needed:
        raise Stop(f"--memory {memory} is too small: {total} MiB of files need {needed} MiB of guest memory")
    wanted = memory or needed
    there = available() - HOST_SPARE_MIB
    if wanted > there:
        largest = max(zip(sizes, files or ["the seeded data"]))
        raise Stop(f"{largest[1]}: a guest for {total} MiB of files needs {wanted} MiB of memory, and this "
                   f"machine can give {max(there, 0)} MiB: free some, or hand over less")
    return wanted


def usable(path):
    """Size of a file that can be handed over."""
    try:
        if not path.exists():
            raise Stop(f"{path}: no such file")
        if not path.is_file():
            raise Stop(f"{path}: {'a directory' if path.is_dir() else 'no plain file'}; give plain files")
        with open(path, "rb"):
            return path.stat().st_size
    except OSError as e:
        raise Stop(f"{path}: cannot be read: {e.strerror}") from None


def available():
    """MiB of memory the host can give without swapping."""
    found = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    return int(found[1]) // 1024 if found else 0


# ---- the files, as the guest gets them

def seeded(path):
    """The default data: the same bytes on every machine."""
    stream = random.Random(SEED)
    with open(path, "wb") as out:
        for _ in range(SEEDED_MIB):
            out.write(stream.getrandbits(8 * MIB).to_bytes(MIB, "little"))


def gather(run, share, files):
    """Copy the files into the share, taking their digests on the way."""
    folder = share / "files"
    folder.mkdir(parents=True)
    names = list(files)
    if not names:
        seeded(run.path("seeded-data"))
        names = [run.path("seeded-data"), ROOT / "README"]
    need_space(folder, sum(Path(n).stat().st_size for n in names) // MIB + 1, "copying the files")
    sources = []
    for number, name in enumerate(names):
        digest, size = copy(Path(name), folder / str(number))
        shown = str(name) if files else Path(name).name
        sources.append(Source(shown, Path(name), size, digest))
    return sources


def copy(source, target):
    """sha256 and size of what was really copied: the user may change the file meanwhile."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(source, "rb") as src, open(target, "wb") as out:
            while block := src.read(MIB):
                digest.update(block)
                out.write(block)
                size += len(block)
    except OSError as e:
        raise Stop(f"{source}: cannot be copied to {target}: {e.strerror}") from None
    return digest.hexdigest(), size


def bring_khoctl(run, kernel, share):
    """The live update checks the next kernel where it can; nothing else depends on that."""
    try:
        why = khoctl.bring(run, kernel, share)
    except Stop as e:
        why = str(e).splitlines()[0]
    if why:
        shutil.rmtree(share / "khoctl", ignore_errors=True)
        run.say(f"without khoctl: {why}")


# ---- what came of it

def live_update(run, kernel, files, memory=None):
    """Hand the files over and tell what came back; exit status 0 when every byte did."""
    memory = check_files(files, memory, kernel.flavour)
    guest.splat_patterns()
    initrd = guest.initramfs(run, kernel)
    accel = guest.accelerator(kernel, initrd)
    weight = guest.weight(kernel.flavour)
    scratch = guest.scratch([weight], memory)
    share = run.path("share")
    guest.share_kernels(share, initrd, kernel)
    try:
        sources = gather(run, share, files)
        bring_khoctl(run, kernel, share)
        lines = [guest.command_line(kernel, "live-update", hop, scratch) for hop in range(2)]
        guest.share_lines(share, [kernel] * 2, lines)
        words = guest.command(kernel, accel, share, lines[0], memory)
        run.say(f"live update of Linux {kernel.release} under {accel}, guest of {memory} MiB")
        seconds = SECONDS + SECONDS_PER_MIB * sum(s.size for s in sources) / MIB
        slower = guest.SLOWER[accel] * weight.slower
        outcome = guest.boot(words, run.dir, seconds * slower)
    finally:
        shutil.rmtree(share, ignore_errors=True)
        run.path("seeded-data").unlink(missing_ok=True)
    return report(run, kernel, sources, outcome)


def report(run, kernel, sources, outcome):
    told = guest.hops(outcome.results)
    notes = [line.text.split() for hop in told for line in hop.notes]
    digests = {words[1]: words[2] for words in notes if words[0] == "sha256" and len(words) == 3}
    compat = {tuple(words[1:3]): words[3] for words in notes if words[0] == "compat" and len(words) == 4}
    tell_formats(run, kernel, compat, digests)
    tell_khoctl(run, told)
    tell_times(run, told, outcome)
    lost = tell_files(run, sources, told, digests)
    why = guest.problem(outcome, 2)
    if why:
        run.say(f"FAILED: {why}\nlogs: {run.dir}")
    elif lost:
        run.say(f"FAILED: {lost} of {len(sources)} files did not survive\nlogs: {run.dir}")
    else:
        total = sum(s.size for s in sources)
        run.say(f"every byte survived: {len(sources)} files, {total} bytes")
    return 1 if why or lost else 0


def tell_formats(run, kernel, compat, digests):
    """The strings of the handover; that of the memfds is the string of their handler."""
    run.say("formats seen by the second kernel")
    for name in ("kho", "luo"):
        offered = compat.get(("out", name))
        missing = f"{offered} (only seen where it was written)" if offered else "not seen"
        run.say(f"  {name:6} {compat.get(('in', name), missing)}")
    run.say(f"  memfd  {handler(kernel) if digests else 'not seen'}")


def tell_khoctl(run, told):
    """What khoctl said: the last line of its check in the first kernel, its time line in the second."""
    notes = [[line.text for line in hop.notes] for hop in told]
    before, after = [*notes, [], []][:2]
    run.say(next((f"khoctl check: {text}" for text in before if re.match("safe: |would lose: |cannot tell: ", text)),
                 "khoctl check: not made"))
    begin = next((n for n, text in enumerate(after) if text.startswith("clock: ")), None)
    if begin is not None:
        end = next((n for n, text in enumerate(after) if n > begin and text.startswith("sha256 ")), len(after))
        run.say("khoctl timeline\n" + "\n".join(f"  {text}" for text in after[begin:end]))


def handler(kernel):
    """A file is only given to the handler of its own string, which is in the image."""
    image = kernel.dir / "vmlinux"
    found = re.findall(rb"(memfd-v\d[!-~]*)\0", image.read_bytes()) if image.exists() else []
    return max(found, key=len).decode() if found else "not found in the image"


def tell_times(run, told, outcome):
    """When each stage was reached, counted from the start of the guest."""
    def took(hop, verb):
        points = [p for p in told[hop].points if p.text.split()[0] == verb] if len(told) > hop else []
        return (points[0].begin, points[-1].end) if points else None

    rows = [("boot", (0, told[0].begin) if told else None), ("fill memfds", took(0, "file")),
            ("preserve", took(0, "preserve"))]
    leave = next((n.at for n in told[0].notes if n.text == "kexec"), None) if told else None
    rows.append(("kexec to init", (leave, told[1].begin) if leave is not None and len(told) > 1 else None))
    rows += [("retrieve", took(1, "retrieve")), ("digests", took(1, "sha256"))]
    run.say("time line                at     took")
    for name, when in rows:
        text = f"{when[0]:8.2f} {when[1] - when[0]:8.2f} s" if when else "       not reached"
        run.say(f"  {name:16} {text}")
    run.say(f"  {'end':16} {outcome.seconds:8.2f}")


def tell_files(run, sources, told, digests):
    """One line a file; the number of those that did not come back as they were."""
    bad = {p.text.split()[1]: p.reason for hop in told for p in hop.points
           if not p.ok and p.text.split()[0] == "check"}
    run.say("files")
    lost = 0
    for number, source in enumerate(sources):
        name = f"f{number}"
        seen = digests.get(name)
        verdict = ("did not come back" if seen is None else
                   f"CHANGED, now {seen[:16]}" if seen != source.digest else
                   bad.get(name, "equal"))
        lost += verdict != "equal"
        run.say(f"  {source.size:12} bytes  sha256 {source.digest[:16]}  {verdict:18} {source.name}")
    return lost
