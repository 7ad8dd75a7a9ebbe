#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts the instructions of a handover, and compares two kernels.

    make -C tools/testing/selftests TARGETS=kho
    tools/testing/selftests/kho/kho_bench.py -d BUILD [--stock BUILD] [FIGURE...]

A BUILD is where a kernel was built.  The two kernels should have the same configuration, without
debug options.  Metadata is in bytes, all other figures are in instructions.

With -icount of QEMU, the clock of a guest counts instructions, so the figures do not depend on
the machine.  Such a guest has one CPU and no external input: the kernels and the handover program
are in its initramfs, and the arguments of the program are on the kernel command line.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import kho_guest
import kho_report
from kho_guest import HERE, OURS, STOCK
from kho_report import Stop

AGREE = 0.01            # spread up to which the guests agree on a figure
MIN_GUESTS, MAX_GUESTS = 2, 5
NOISE = 100_000         # difference between two boots of the same kernel
DEADLINE = 1800
APPEND = ("console={port} quiet loglevel=0 kho={kho} panic=-1 reboot=t oops=panic mitigations=off "
          "nokaslr transparent_hugepage_shmem={huge} initcall_blacklist=kho_test_init "
          "rdinit=/bin/handover -- --bench {words}")
FIGURES = ("preserve", "unpreserve", "boot", "retrieve", "finish", "metadata")
HEAD = f"{'figure':16} {'':10} {'per':6} {'stock':>12} {'ours':>12} {'ratio':>8} {'spread':>7}"
MEMORY = "memory"
MEMORY_SENTENCE = "what kho=on changes in /proc/meminfo before an image is loaded, in KiB"
MEMORY_SIZES = (512, 1024, 4096, 19456)         # MiB of the guests
MEMORY_FIELDS = ("MemTotal", "MemAvailable", "CmaTotal", "CmaFree")


@dataclass(frozen=True)
class Kernel:
    name: str           # STOCK or OURS
    build: Path         # the build directory
    machine: kho_guest.Machine

    @property
    def image(self):
        return self.build / self.machine.image


@dataclass(frozen=True)
class Load:
    """A line of the file 'loads'."""
    name: str
    fill: str
    files: int
    pages: int          # of a file
    unit: str
    memory: int         # MiB of a guest
    kernels: str
    run: str
    sentence: str

    @property
    def units(self):
        return self.files * self.pages // (512 if self.unit == "folio" else 1)

    def by(self, kernel):
        """Whether this load is measured with this kernel."""
        return kernel.name == OURS or self.kernels == "both"


NOTHING = Load("nothing", "", 0, 0, "page", 0, "both", "", "the same boot with nothing handed over")


def loads():
    """{name: load} of the file."""
    rows = [line.split(None, 8) for line in (HERE / "loads").read_text().splitlines()
            if not line.startswith("#")]
    return {name: Load(name, fill, int(files), int(pages), unit, int(memory), *rest)
            for name, fill, files, pages, unit, memory, *rest in rows}


def listing():
    rows = [*((load.name, load.sentence) for load in loads().values()), (MEMORY, MEMORY_SENTENCE)]
    return "figures:\n" + "".join(f"  {name:16} {sentence}\n" for name, sentence in rows)


# ---- one guest

def append(kernel, load, words, kho="on liveupdate=on"):
    huge = "always" if load.unit == "folio" else "never"
    return APPEND.format(port=kernel.machine.results, kho=kho, huge=huge, words=words)


def command(kernel, initrd, load, line):
    numa = "CONFIG_NUMA=y\n" in (kernel.build / ".config").read_text()
    nodes = kho_guest.nodes(f"{load.memory // 2}M", ["", "0"]) if numa else []
    return [*kho_guest.words(kernel.machine, "tcg,thread=single", load.memory, "1"),
            *kernel.machine.ports, *nodes, "-icount", "shift=0,sleep=off",
            "-rtc", "base=2026-01-01,clock=vm",
            "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", line]


def boot(where, kernel, initrd, load, line):
    """The outcome of a guest, and the values that the program printed: {name: value}."""
    outcome = kho_guest.boot(command(kernel, initrd, load, line), where, DEADLINE)
    seen = {}
    for hop, told in enumerate(kho_report.reports(outcome)):
        for note in told.notes:
            word, name, value = (note.split() + ["", "", ""])[:3]
            if word == "bench":
                seen[f"init{hop}" if name == "init" else name] = int(value)
    return outcome, seen


class Bench:
    """All measurements of a run, whose logs are in the folder 'top'."""

    def __init__(self, top, handover, quick):
        self.top, self.handover, self.quick = Path(top), handover, quick
        self.nothing = {}       # boots without a handover, by kernel and memory

    def measure(self, kernel, load, number):
        """The figures of one guest, in instructions or bytes."""
        where = self.top / f"{load.name}-{load.memory}-{kernel.name}-{number}"
        where.mkdir()
        size = f"wait={number * 1_234_567} files={load.files} pages={load.pages}"
        after = where / "line"
        after.write_text(append(kernel, load, f"after {size}") + "\n")
        # the initramfs of the second kernel is a file in that of the first one
        kho_guest.write_cpio(kernel.build, where / "initrd1", {"bin/handover": self.handover})
        files = {"bin/handover": self.handover, "line": after, "kernel": kernel.image,
                 "initrd": where / "initrd1"}
        kho_guest.write_cpio(kernel.build, where / "initrd0", files)
        before = append(kernel, load, f"before {size} fill={load.fill}")
        outcome, seen = boot(where, kernel, where / "initrd0", load, before)
        told = kho_report.reports(outcome)
        why = (kho_report.failures(told)
               + kho_report.splats([line.text for line in outcome.results]))
        if not why and (len(told) != 2 or told[1].ended != "end"):
            why = [f"ended without a verdict, stage: {kho_report.stage(outcome)}"]
        if why:
            raise Stop(f"{load.name} on {kernel.name}: {why[0].strip()}\n  logs: {where}", 1)
        shutil.rmtree(where)
        return {**seen, "boot": seen["init1"] - seen["kexec"]}

    def start(self, pool, kernels, loads):
        """[(load, {kernel: task})].  Boots without a handover start first, for the comparison."""
        for kernel in kernels:
            for memory in sorted({load.memory for load in loads if load.by(kernel)}):
                nothing = replace(NOTHING, memory=memory)
                self.nothing[kernel, memory] = pool.submit(self.settle, kernel, nothing)
        return [(load, {kernel.name: pool.submit(self.figures, kernel, load)
                        for kernel in kernels if load.by(kernel)}) for load in loads]

    def settle(self, kernel, load):
        """{figure: [values]}, from as many guests as are needed for values that agree."""
        seen = {}
        for number in range(1, MAX_GUESTS + 1):
            for name, value in self.measure(kernel, load, number).items():
                seen.setdefault(name, []).append(value)
            enough = number >= MIN_GUESTS and all(agree(seen.get(f, [0])) for f in FIGURES)
            if self.quick or enough:
                break
        return seen

    def figures(self, kernel, load):
        """As settle(), but 'boot' is the difference from a boot without a handover."""
        seen = self.settle(kernel, load)
        plain = statistics.median(self.nothing[kernel, load.memory].result()["boot"])
        seen["boot"] = [value - plain for value in seen["boot"]]
        return seen

    def memory(self, kernel, size, switch):
        """{field: KiB} of a guest of that size, as long as no image is loaded."""
        where = self.top / f"memory-{size}-{kernel.name}-{switch}"
        where.mkdir()
        kho_guest.write_cpio(kernel.build, where / "initrd", {"bin/handover": self.handover})
        load = replace(NOTHING, memory=size)
        line = append(kernel, load, "memory", switch)
        outcome, seen = boot(where, kernel, where / "initrd", load, line)
        if not set(MEMORY_FIELDS) <= set(seen):
            raise Stop(f"memory of {size} MiB on {kernel.name}: "
                       f"stage: {kho_report.stage(outcome)}\n  logs: {where}", 1)
        shutil.rmtree(where)
        return seen


def agree(values):
    return max(values) - min(values) <= max(AGREE * statistics.median(values), NOISE)


# ---- the tables

def row(load, figure, seen):
    """One line of the table, in the form of the JSON file."""
    line = {"load": load.name, "figure": figure, "unit": load.unit, "units": load.units}
    for who, values in seen.items():
        samples = values[figure]
        middle = statistics.median(samples)
        spread = (max(samples) - min(samples)) / middle if middle else 0
        line[who] = {"median": middle, "per unit": middle / load.units, "spread": spread,
                     "samples": samples, "runs": values["runs"][0]}
    if len(seen) == 2 and line[STOCK]["median"]:
        line["ratio"] = line[OURS]["median"] / line[STOCK]["median"]
    return line


def text(line):
    cells = [f"{line[who]['per unit']:12.1f}" if who in line else f"{'-':>12}"
             for who in (STOCK, OURS)]
    ratio = f"{line['ratio']:8.4f}" if "ratio" in line else f"{'-':>8}"
    widest = max(line[who]["spread"] for who in (STOCK, OURS) if who in line)
    return (f"{line['load']:16} {line['figure']:10} {line['unit']:6} {' '.join(cells)} {ratio} "
            f"{widest:7.2%}")


def memory(bench, kernels, say):
    """For each size of guest and each kernel, a line with what kho=on changes."""
    fields = "".join(f"{field:>14}" for field in MEMORY_FIELDS)
    say(f"{MEMORY_SENTENCE}\n{'guest':>9} {'kernel':8}{fields}")
    for size in MEMORY_SIZES:
        for kernel in kernels:
            off, on = (bench.memory(kernel, size, switch) for switch in ("off", "on"))
            changes = "".join(f"{on[field] - off[field]:14}" for field in MEMORY_FIELDS)
            say(f"{size:5} MiB {kernel.name:8}{changes}")


def run(bench, kernels, names, jobs, say):
    """Measure and print the named figures, or those that are always run; returns lines for JSON."""
    usual = [load for load in loads().values() if load.run == "always"]
    chosen = [loads()[name] for name in dict.fromkeys(names) if name != MEMORY]
    rows = []
    with kho_guest.at_once(jobs) as pool:
        for load, tasks in bench.start(pool, kernels, chosen if names else usual):
            seen = {who: task.result() for who, task in tasks.items()}
            if not rows:
                say(HEAD)
            for figure in FIGURES:
                rows.append(row(load, figure, seen))
                say(text(rows[-1]))
    if not names or MEMORY in names:
        memory(bench, kernels, say)
    return rows


def arguments():
    keep = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep, epilog=listing())
    parser.add_argument("-d", dest="build", type=Path, required=True, help="the kernel")
    parser.add_argument("--stock", type=Path, metavar="BUILD", help="another kernel, to compare")
    parser.add_argument("-p", dest="program", type=Path, default=HERE / "handover",
                        help="the program (default: handover)")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="number of guests at a time (default: number of CPUs)")
    parser.add_argument("--quick", action="store_true", help="only one guest for each figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all samples")
    parser.add_argument("figure", nargs="*", metavar="FIGURE", help="default: all")
    return parser.parse_args()


def main():
    args, machine = arguments(), kho_guest.this_machine()
    for name in args.figure:
        if name not in [*loads(), MEMORY]:
            raise Stop(f"no figure '{name}': --help lists them")
    kho_guest.need(machine.qemu)
    builds = {OURS: args.build, STOCK: args.stock}
    kernels = [Kernel(who, build, machine) for who, build in builds.items() if build]
    for place in (args.program, *(kernel.image for kernel in kernels)):
        if not place.exists():
            raise Stop(f"{place} is missing")
    top = Path(tempfile.mkdtemp(prefix="kho-bench."))
    rows = run(Bench(top, args.program, args.quick), kernels, args.figure, args.jobs,
               lambda text: print(text, flush=True))
    shutil.rmtree(top)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)     # guests have to end, too
    try:
        main()
    except Stop as e:
        sys.exit(f"kho_bench.py: {e}")
    except KeyboardInterrupt:
        sys.exit("kho_bench.py: interrupted")
