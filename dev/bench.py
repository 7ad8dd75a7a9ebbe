# SPDX-License-Identifier: GPL-2.0
"""./kho bench: instructions of a handover, compared with the stock kernel.

With QEMU's -icount, the clock of a guest counts instructions, so the figures do not depend
on the machine.  Such a guest has one CPU and no external input: the kernels and the agent
(tools/testing/selftests/kho/handover_bench.c) are in its initramfs, and the arguments of the
agent are on the kernel command line.
"""
import json
import shutil
import statistics
from dataclasses import dataclass, replace

import kho_guest
import kho_report

from dev import base as bases
from dev import runner
from dev.cases import agent
from dev.host import OUT, ROOT, Stop, no_such
from dev.kernel import ARCH, build, options

STOCK, OURS = "stock", "ours"
FLAVOURS = {OURS: "bench", STOCK: "stock"}
HOST = "host"           # value of -c that joins no further flavour to those of FLAVOURS
TABLE = OUT / "bench/table.json"        # of the last complete run with HOST, for ./kho series
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
class Load:
    """A line of dev/loads."""
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

    def by(self, who):
        """Whether this load is measured with this kernel."""
        return who == OURS or self.kernels == "both"


NOTHING = Load("nothing", "", 0, 0, "page", 0, "both", "", "the same boot with nothing handed over")


def loads():
    """{name: load} of dev/loads."""
    rows = [line.split(None, 8) for line in (ROOT / "dev/loads").read_text().splitlines()
            if not line.startswith("#")]
    return {name: Load(name, fill, int(files), int(pages), unit, int(memory), *rest)
            for name, fill, files, pages, unit, memory, *rest in rows}


def listing():
    rows = [*((load.name, load.sentence) for load in loads().values()), (MEMORY, MEMORY_SENTENCE)]
    return "figures:\n" + "".join(f"  {name:16} {sentence}\n" for name, sentence in rows)


def choose(names):
    """The loads of these names, or those that are always run; Stop at an unknown name."""
    known = loads()
    for name in names:
        if name not in known and name != MEMORY:
            raise no_such("figure", name, known, "bench")
    usual = [name for name, load in known.items() if load.run == "always"]
    return [known[name] for name in dict.fromkeys(names or usual) if name != MEMORY]


# ---- one guest

def append(kernel, load, words, kho="on liveupdate=on"):
    port = kho_guest.MACHINES[kernel.arch].results
    huge = "always" if load.unit == "folio" else "never"
    return APPEND.format(port=port, kho=kho, huge=huge, words=words)


def command(kernel, initrd, load, line):
    machine = kho_guest.MACHINES[kernel.arch]
    numa = options((kernel.dir / ".config").read_text()).get("CONFIG_NUMA") == "y"
    nodes = kho_guest.nodes(f"{load.memory // 2}M", ["0", ""]) if numa else []
    return [*kho_guest.words(machine, "tcg,thread=single", load.memory, "1"),
            *machine.ports, *nodes, "-icount", "shift=0,sleep=off",
            "-rtc", "base=2026-01-01,clock=vm",
            "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", line]


def boot(where, kernel, initrd, load, line):
    """The outcome of a guest, and the values that the agent printed: {name: value}."""
    outcome = kho_guest.boot(command(kernel, initrd, load, line), where, DEADLINE)
    seen = {}
    for hop, told in enumerate(kho_report.reports(outcome)):
        for note in told.notes:
            word, name, value = (note.split() + ["", "", ""])[:3]
            if word == "bench":
                seen[f"init{hop}" if name == "init" else name] = int(value)
    return outcome, seen


def measure(work, kernel, load, number):
    """The figures of one guest, in instructions or bytes."""
    where = work.run.path(f"{load.name}-{load.memory}-{kernel.flavour}-{number}")
    where.mkdir()
    size = f"wait={number * 1_234_567} files={load.files} pages={load.pages}"
    after = where / "line"
    after.write_text(append(kernel, load, f"after {size}") + "\n")
    # the initramfs of the second kernel is a file in that of the first one
    kho_guest.write_cpio(kernel.dir, where / "initrd1", {"bin/handover": work.agent})
    files = {"bin/handover": work.agent, "line": after, "kernel": kernel.image,
             "initrd": where / "initrd1"}
    kho_guest.write_cpio(kernel.dir, where / "initrd0", files)
    before = append(kernel, load, f"before {size} fill={load.fill}")
    outcome, seen = boot(where, kernel, where / "initrd0", load, before)
    told = kho_report.reports(outcome)
    why = kho_report.failures(told) + kho_report.splats([line.text for line in outcome.results])
    if not why and (len(told) != 2 or told[1].ended != "end"):
        why = [f"ended without a verdict, stage: {kho_report.stage(outcome)}"]
    if why:
        raise Stop(f"{load.name} on {kernel.flavour}: {why[0].strip()}\n  logs: {where}", 1)
    shutil.rmtree(where)
    return {**seen, "boot": seen["init1"] - seen["kexec"]}


# ---- figures that agree

class Bench:
    """State that all measurements of a run share."""

    def __init__(self, run, agent, quick):
        self.run, self.agent, self.quick = run, agent, quick
        self.nothing = {}       # boots without a handover, by kernel and memory

    def start(self, pool, kernels, loads):
        """[(load, {kernel: task})].  Boots without a handover start first, for the comparison."""
        for who, kernel in kernels.items():
            for memory in sorted({load.memory for load in loads if load.by(who)}):
                nothing = replace(NOTHING, memory=memory)
                self.nothing[kernel, memory] = pool.submit(self.settle, kernel, nothing)
        return [(load, {who: pool.submit(self.figures, kernel, load)
                        for who, kernel in kernels.items() if load.by(who)}) for load in loads]

    def settle(self, kernel, load):
        """{figure: [values]}, from as many guests as are needed for values that agree."""
        seen = {}
        for number in range(1, MAX_GUESTS + 1):
            for name, value in measure(self, kernel, load, number).items():
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


def agree(values):
    return max(values) - min(values) <= max(AGREE * statistics.median(values), NOISE)


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


def bench(run, names, quick=False, ours_only=False, arch=ARCH, config=HOST):
    """Measure and print the tables, and write that of instructions as JSON."""
    chosen = choose(names)
    more = "" if config == HOST else f"+{config}"
    kernels = {who: build(run, arch, flavour + more) for who, flavour in FLAVOURS.items()
               if who == OURS or not ours_only}
    work = Bench(run, agent(arch, kernels[OURS].tree, run), quick)
    run.say(f"in instructions, metadata in bytes; {kernels[OURS].release} on one CPU, "
            f"configured for {config}\n{HEAD}")
    rows = []
    with kho_guest.at_once(runner.JOBS) as pool:
        for load, tasks in work.start(pool, kernels, chosen):
            seen = {who: task.result() for who, task in tasks.items()}
            for figure in FIGURES:
                rows.append(row(load, figure, seen))
                run.say(text(rows[-1]))
    if not names or MEMORY in names:
        memory_table(run, work.agent, kernels)
    found = run.path("bench.json")
    found.write_text(json.dumps(rows, indent=1))
    usual = (False, ARCH, HOST, bases.default())
    if not names and (ours_only, arch, config, kernels[OURS].base) == usual:
        TABLE.parent.mkdir(exist_ok=True)
        shutil.copy(found, TABLE)
    run.say(f"all samples: {found.relative_to(ROOT)}")


# ---- memory, as long as no image is loaded

def memory_of(run, agent, kernel, size, switch):
    """{field: KiB} of a guest of that size."""
    where = run.path(f"memory-{size}-{kernel.flavour}-{switch}")
    where.mkdir()
    kho_guest.write_cpio(kernel.dir, where / "initrd", {"bin/handover": agent})
    load = replace(NOTHING, memory=size)
    line = append(kernel, load, "memory", switch)
    outcome, seen = boot(where, kernel, where / "initrd", load, line)
    if not set(MEMORY_FIELDS) <= set(seen):
        raise Stop(f"memory of {size} MiB on {kernel.flavour}: stage: {kho_report.stage(outcome)}\n"
                   f"  logs: {where}", 1)
    return seen


def memory_table(run, agent, kernels):
    """For each size of guest and each kernel, a line with what kho=on changes."""
    fields = "".join(f"{field:>14}" for field in MEMORY_FIELDS)
    run.say(f"{MEMORY_SENTENCE}\n{'guest':>9} {'kernel':8}{fields}")
    for size in MEMORY_SIZES:
        for who, kernel in kernels.items():
            off, on = (memory_of(run, agent, kernel, size, switch) for switch in ("off", "on"))
            changes = "".join(f"{on[field] - off[field]:14}" for field in MEMORY_FIELDS)
            run.say(f"{size:5} MiB {who:8}{changes}")
