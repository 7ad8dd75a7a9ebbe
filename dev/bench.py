# SPDX-License-Identifier: GPL-2.0
"""./kho bench: instructions of a handover, compared with the stock kernel.

QEMU's -icount lets the clock of a guest count instructions, so the figures do not
depend on the machine.  Such a guest has one CPU and no external input: the
kernels and the agent are in its first file system, and what the agent has to do is on the
command line (tools/testing/selftests/kho/handover_bench.c).
"""
import concurrent.futures
import json
import shutil
import statistics
from dataclasses import dataclass, replace

from dev import base as bases
from dev import guest
from dev.host import OUT, ROOT, Stop, no_such
from dev.kernel import ARCH, build, options
from dev.runner import jobs

PAGE = 4096
MIB = 1 << 20
STOCK, OURS = "stock", "ours"
FLAVOURS = {OURS: "bench", STOCK: "stock"}
HOST = "host"           # what both are configured for, unless another flavour is joined to them
TABLE = OUT / "bench/table.json"        # all of the last complete run on HOST, for ./kho series
AGREE = 0.01            # spread of a figure that was measured often enough
MIN_GUESTS, MAX_GUESTS = 2, 5
NOISE = 100_000         # what two boots of the same kernel differ by
DEADLINE = 1800
MEMORY = 2048           # MiB of a guest, unless its load needs more
APPEND = ("console={port} quiet loglevel=0 kho=on liveupdate=on panic=-1 reboot=t oops=panic mitigations=off nokaslr "
          "transparent_hugepage_shmem={huge} initcall_blacklist=kho_test_init rdinit=/bin/handover -- --bench {words}")
MEMORY_FIGURE = ("memory", "what is missing with kho=on before an image is loaded, in KiB")
MEMORY_SIZES = (512, 1024, 4096, 19456)         # MiB of the guests
MEMORY_FIELDS = ("MemTotal", "MemAvailable", "CmaTotal", "CmaFree")
FIGURES = ("preserve", "unpreserve", "boot", "retrieve", "finish", "metadata")


@dataclass(frozen=True)
class Load:
    """The preserved files."""
    name: str
    sentence: str
    fill: str = ""
    files: int = 0
    pages: int = 0          # of a file
    unit: str = "page"
    per: int = 1            # pages of a unit
    memory: int = MEMORY
    both: bool = True       # False: takes stock too long
    default: bool = True    # measured when no figure is named

    @property
    def units(self):
        return self.files * self.pages // self.per


def in_order(mib):
    return Load(f"order-{mib}", f"one memfd of {mib} MiB, written in order", "order", 1, mib * MIB // PAGE,
                memory=max(MEMORY, mib + 1536))


def alternate(mib):
    return Load(f"alternate-{mib}", f"{mib} MiB in every second page of memory", "alternate", 1, mib * MIB // PAGE,
                memory=max(MEMORY, 2 * mib + 1024), both=mib <= 128)


def at_random(mib):
    return Load(f"random-{mib}", f"one memfd of {mib} MiB, written page by page at random", "random", 1,
                mib * MIB // PAGE)


def huge(mib):
    """The memory of in_order(): with less some folios lie in scratch areas, and preserve measures a copy."""
    return replace(in_order(mib), name=f"huge-{mib}", sentence=f"one memfd of {mib} MiB in folios of 2 MiB",
                   unit="folio", per=512)


def small_files(number):
    return Load(f"files-{number}", f"{number} memfds of one page in one session", "order", number, 1, unit="file")


NOTHING = Load("nothing", "the same boot with nothing handed over")
LOADS = ([in_order(mib) for mib in (16, 128, 512, 2048)]
         + [alternate(mib) for mib in (16, 32, 64, 128, 256, 512, 1024, 2048)]
         + [replace(make(16384), both=False, default=False) for make in (in_order, huge)]
         + [at_random(512), huge(1024)] + [small_files(number) for number in (500, 2000, 20000)])


def listing():
    both = [*((load.name, load.sentence) for load in LOADS), MEMORY_FIGURE]
    return "figures:\n" + "".join(f"  {name:16} {sentence}\n" for name, sentence in both)


def choose(names):
    """The loads of these names, the default ones without names; Stop at one that is not there."""
    known = {load.name: load for load in LOADS}
    for name in names:
        if name not in known:
            raise no_such("figure", name, known, "bench")
    return [known[name] for name in dict.fromkeys(names)] or [load for load in LOADS if load.default]


# ---- one guest

def append(kernel, load, words):
    return APPEND.format(port=guest.MACHINES[kernel.arch].results, huge="always" if load.per > 1 else "never",
                         words=words)


def lines(kernel, load, wait):
    """The command lines of both kernels of a guest."""
    size = f"wait={wait} files={load.files} pages={load.pages}"
    return append(kernel, load, f"before {size} fill={load.fill}"), append(kernel, load, f"after {size}")


def pack(where, agent, kernel, line):
    """The file systems of both kernels, the second one inside the first; where the first one is."""
    (where / "line").write_text(line + "\n")
    guest.write_cpio(where / "initrd1", {"bin/handover": agent})
    guest.write_cpio(where / "initrd0", {"bin/handover": agent, "line": where / "line",
                                         "kernel": kernel.image, "initrd": where / "initrd1"})
    return where / "initrd0"


def command(kernel, initrd, load, line):
    machine = guest.MACHINES[kernel.arch]
    return [machine.qemu, *machine.argv, *machine.cpu, *machine.ports, *machine.still, *nodes(kernel, load),
            "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm",
            "-m", f"{load.memory}M", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none",
            "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", line]


def nodes(kernel, load):
    """Two of them, where the kernel knows of nodes."""
    numa = options((kernel.dir / ".config").read_text()).get("CONFIG_NUMA") == "y"
    return guest.nodes(f"{load.memory // 2}M", ["0", ""]) if numa else []


def measure(bench, kernel, load, number):
    """The figures of one guest in instructions, and bytes."""
    where = bench.run.path(f"{load.name}-{load.memory}-{kernel.flavour}-{number}")
    where.mkdir()
    before, after = lines(kernel, load, number * 1_234_567)
    initrd = pack(where, bench.agent, kernel, after)
    outcome = guest.boot(command(kernel, initrd, load, before), where, DEADLINE)
    told = guest.hops(outcome.results)
    why = guest.failures(told) + guest.splats(outcome.results)
    if not why and (len(told) != 2 or told[1].ended != "end"):
        why = [f"ended without a verdict, stage: {guest.stage(outcome)}"]
    if why:
        raise Stop(f"{load.name} on {kernel.flavour}: {why[0].strip()}\n  logs: {where}", 1)
    shutil.rmtree(where)
    seen = read(told)
    return {**seen, "boot": seen["init1"] - seen["kexec"]}


def read(told):
    """What the kernels of a guest told."""
    seen = {}
    for hop, kernel in enumerate(told):
        for line in kernel.notes:
            word, name, value = (line.text.split() + ["", ""])[:3]
            if word == "bench":
                seen[f"init{hop}" if name == "init" else name] = int(value)
    return seen


# ---- figures that agree

class Bench:
    """What all measurements of a run share."""

    def __init__(self, run, agent, quick):
        self.run, self.agent, self.quick = run, agent, quick
        self.nothing = {}       # boots without a handover, by kernel and memory

    def settle(self, kernel, load):
        """{figure: [values]} of so many guests that they agree."""
        seen = {}
        for number in range(1, MAX_GUESTS + 1):
            for name, value in measure(self, kernel, load, number).items():
                seen.setdefault(name, []).append(value)
            if self.quick or number >= MIN_GUESTS and all(agree(seen.get(f, [0])) for f in FIGURES):
                break
        return seen

    def figures(self, kernel, load):
        """The same, with the instructions of a boot without a handover subtracted."""
        seen = self.settle(kernel, load)
        plain = statistics.median(self.nothing[kernel.flavour, load.memory].result()["boot"])
        seen["boot"] = [value - plain for value in seen["boot"]]
        return seen


def agree(values):
    return max(values) - min(values) <= max(AGREE * statistics.median(values), NOISE)


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0


def row(load, figure, seen):
    """One line of the table, as it is kept in the JSON."""
    line = {"load": load.name, "figure": figure, "unit": load.unit, "units": load.units}
    for who, values in seen.items():
        line[who] = {"median": statistics.median(values[figure]), "per unit": None, "spread": spread(values[figure]),
                     "samples": values[figure], "runs": values["runs"][0]}
        line[who]["per unit"] = line[who]["median"] / load.units
    if len(seen) == 2 and line[STOCK]["median"]:
        line["ratio"] = line[OURS]["median"] / line[STOCK]["median"]
    return line


HEAD = f"{'figure':16} {'':10} {'per':6} {'stock':>12} {'ours':>12} {'ratio':>8} {'spread':>7}"


def text(line):
    cells = [f"{line[who]['per unit']:12.1f}" if who in line else f"{'-':>12}" for who in (STOCK, OURS)]
    ratio = f"{line['ratio']:8.4f}" if "ratio" in line else f"{'-':>8}"
    widest = max(line[who]["spread"] for who in (STOCK, OURS) if who in line)
    return f"{line['load']:16} {line['figure']:10} {line['unit']:6} {' '.join(cells)} {ratio} {widest:7.2%}"


def bench(run, names, quick=False, ours_only=False, arch=ARCH, config=HOST):
    """Measure, print the tables, keep that of instructions as JSON."""
    timed = [name for name in names if name != MEMORY_FIGURE[0]]
    loads = choose(timed) if timed or not names else []
    more = "" if config == HOST else f"+{config}"
    kernels = {who: build(run, arch, flavour + more) for who, flavour in FLAVOURS.items()
               if who == OURS or not ours_only}
    guest.splat_patterns()
    work = Bench(run, guest.build_agent(run, kernels[OURS]), quick)
    run.say(f"in instructions, metadata in bytes; {kernels[OURS].release} on one CPU, configured for {config}\n{HEAD}")
    rows = []
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        try:
            tasks = start(pool, work, kernels, loads)
            for load, seen in tasks:
                seen = {who: task.result() for who, task in seen.items()}
                for figure in FIGURES:
                    rows.append(row(load, figure, seen))
                    run.say(text(rows[-1]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            guest.stop_all()
            raise
    if not names or MEMORY_FIGURE[0] in names:
        memory_table(run, work.agent, kernels)
    run.path("bench.json").write_text(json.dumps(rows, indent=1))
    if not (names or ours_only or arch != ARCH or config != HOST or kernels[OURS].base != bases.default()):
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(json.dumps(rows, indent=1))
    run.say(f"all samples: {run.path('bench.json').relative_to(ROOT)}")


def start(pool, work, kernels, loads):
    """[(load, {whose: task})], after the boots that the others are compared with."""
    for kernel in kernels.values():
        for memory in sorted({load.memory for load in loads if load.both or kernel is kernels[OURS]}):
            work.nothing[kernel.flavour, memory] = pool.submit(work.settle, kernel, replace(NOTHING, memory=memory))
    return [(load, {who: pool.submit(work.figures, kernel, load) for who, kernel in kernels.items()
                    if load.both or who == OURS}) for load in loads]


# ---- memory, as long as no image is loaded

def memory_of(run, agent, kernel, size, switch):
    """{field: KiB} of a guest of that size."""
    where = run.path(f"memory-{size}-{kernel.flavour}-{switch}")
    where.mkdir()
    guest.write_cpio(where / "initrd", {"bin/handover": agent})
    load = replace(NOTHING, memory=size)
    words = command(kernel, where / "initrd", load, append(kernel, load, "memory"))
    words[-1] = words[-1].replace("kho=on liveupdate=on", f"kho={switch}")
    outcome = guest.boot(words, where, DEADLINE)
    seen = read(guest.hops(outcome.results))
    if not set(MEMORY_FIELDS) <= set(seen):
        raise Stop(f"memory of {size} MiB on {kernel.flavour}: stage: {guest.stage(outcome)}\n  logs: {where}", 1)
    return seen


def memory_table(run, agent, kernels):
    """A line for each size of guest and kernel: what kho=on changes."""
    run.say(f"{MEMORY_FIGURE[1]}\n{'guest':>9} {'kernel':8}" + "".join(f"{field:>14}" for field in MEMORY_FIELDS))
    for size in MEMORY_SIZES:
        for who, kernel in kernels.items():
            off, on = (memory_of(run, agent, kernel, size, switch) for switch in ("off", "on"))
            run.say(f"{size:5} MiB {who:8}" + "".join(f"{on[field] - off[field]:14}" for field in MEMORY_FIELDS))
