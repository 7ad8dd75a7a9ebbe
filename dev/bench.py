# SPDX-License-Identifier: GPL-2.0
"""./kho bench: instructions of a handover, compared with the stock kernel.

QEMU's -icount lets the clock of a guest count instructions, so the figures do not
depend on the machine.  Such a guest has one CPU and no external input: the
kernels and the agent are in its first file system, and what the agent has to do is on the
command line (tools/testing/selftests/kho/handover_bench.c).
"""
import concurrent.futures
import hashlib
import json
import math
import shutil
import statistics
from dataclasses import dataclass, replace

from dev import base as bases
from dev import guest
from dev.host import OUT, ROOT, Stop, no_such, output, write_if_changed
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
    default: bool = True

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
    from dev import bench_memory
    both = [(load.name, load.sentence) for load in LOADS] + [(bench_memory.NAME, bench_memory.SENTENCE)]
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
    numa = options(kernel.config.read_text()).get("CONFIG_NUMA") == "y"
    return guest.nodes(f"{load.memory // 2}M", ["0", ""]) if numa else []


def measure(bench, kernel, load, number):
    """The figures of one guest in instructions, and bytes."""
    where = bench.run.path(f"{load.name}-{load.memory}-{kernel.flavour}-{number}")
    where.mkdir()
    before, after = lines(kernel, load, number * 1_234_567)
    initrd = pack(where, bench.agent, kernel, after)
    words = command(kernel, initrd, load, before)
    known = bench.known(words, initrd) if bench.quick else None
    if known and known.exists():
        return json.loads(known.read_text())
    outcome = guest.boot(words, where, DEADLINE)
    told = guest.hops(outcome.results)
    why = guest.failures(told) + guest.splats(outcome.results)
    if not why and (len(told) != 2 or told[1].ended != "end"):
        why = [f"ended without a verdict, stage: {guest.stage(outcome)}"]
    if why:
        raise Stop(f"{load.name} on {kernel.flavour}: {why[0].strip()}\n  logs: {where}", 1)
    figures = read(told)
    shutil.rmtree(where)
    if known:
        write_if_changed(known, json.dumps(figures).encode())
    return figures


def read(told):
    """What the kernels of a guest told."""
    seen = {}
    for hop, kernel in enumerate(told):
        for line in kernel.notes:
            word, name, value = (line.text.split() + ["", ""])[:3]
            if word == "bench":
                seen[f"init{hop}" if name == "init" else name] = int(value)
    seen["boot"] = seen["init1"] - seen["kexec"]
    return seen


# ---- figures that agree

class Bench:
    """What all measurements of a run share."""

    def __init__(self, run, agent, quick, arch):
        self.run, self.agent, self.quick = run, agent, quick
        self.qemu = output([guest.MACHINES[arch].qemu, "--version"]) or ""
        self.nothing = {}       # boots without a handover, by kernel and memory

    def known(self, words, initrd):
        """Where the figures of a guest are that had the same bytes in it."""
        key = hashlib.sha256(initrd.read_bytes())
        key.update("\n".join([self.qemu, *words]).replace(str(initrd), "").encode())
        return OUT / "bench" / f"{key.hexdigest()[:32]}.json"

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
    """Measure, print the tables, keep that of instructions as JSON and as a plot."""
    from dev import bench_memory
    timed = [name for name in names if name != bench_memory.NAME]
    loads = choose(timed) if timed or not names else []
    more = "" if config == HOST else f"+{config}"
    kernels = {who: build(run, arch, flavour + more) for who, flavour in FLAVOURS.items()
               if who == OURS or not ours_only}
    guest.splat_patterns()
    work = Bench(run, guest.build_agent(run, kernels[OURS]), quick, arch)
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
    if not names or bench_memory.NAME in names:
        bench_memory.table(run, work.agent, kernels)
    run.path("bench.json").write_text(json.dumps(rows, indent=1))
    if not (names or ours_only or arch != ARCH or config != HOST or kernels[OURS].base != bases.default()):
        write_if_changed(TABLE, json.dumps(rows, indent=1).encode())
    run.path("bench.svg").write_text(plot(rows))
    run.say(f"{run.path('bench.json').relative_to(ROOT)} and bench.svg beside it")


def start(pool, work, kernels, loads):
    """[(load, {whose: task})], after the boots that the others are compared with."""
    for kernel in kernels.values():
        for memory in sorted({load.memory for load in loads if load.both or kernel is kernels[OURS]}):
            work.nothing[kernel.flavour, memory] = pool.submit(work.settle, kernel, replace(NOTHING, memory=memory))
    return [(load, {who: pool.submit(work.figures, kernel, load) for who, kernel in kernels.items()
                    if load.both or who == OURS}) for load in loads]


# ---- the plot

def plot(rows):
    """Instructions of boot over the number of runs of memory, both logarithmic, as SVG."""
    lines = {who: sorted((row[who]["runs"], max(row[who]["median"], 1)) for row in rows
                         if row["figure"] == "boot" and who in row and row["load"].startswith("alternate"))
             for who in (STOCK, OURS)}
    wide, high, edge = 640, 420, 60
    points = [p for line in lines.values() for p in line] or [(1, 1)]
    (x0, x1), (y0, y1) = ((math.floor(math.log10(min(axis))), math.ceil(math.log10(max(axis)) + 0.01))
                          for axis in zip(*points))

    def place(runs, cost):
        return (edge + (math.log10(runs) - x0) / (x1 - x0) * (wide - 2 * edge),
                high - edge - (math.log10(cost) - y0) / (y1 - y0) * (high - 2 * edge))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{wide}" height="{high}" fill="white"/>',
           f'<text x="{wide / 2}" y="24" text-anchor="middle">extra instructions of boot over runs of preserved '
           'memory</text>']
    for x in range(x0, x1 + 1):
        at = place(10 ** x, 10 ** y0)
        out.append(f'<path d="M{at[0]:.1f} {at[1]:.1f}V{edge}" stroke="#ddd"/>'
                   f'<text x="{at[0]:.1f}" y="{at[1] + 18:.1f}" text-anchor="middle">1e{x}</text>')
    for y in range(y0, y1 + 1):
        at = place(10 ** x0, 10 ** y)
        out.append(f'<path d="M{at[0]:.1f} {at[1]:.1f}H{wide - edge}" stroke="#ddd"/>'
                   f'<text x="{at[0] - 8:.1f}" y="{at[1] + 4:.1f}" text-anchor="end">1e{y}</text>')
    for who, colour in ((STOCK, "#c33"), (OURS, "#36c")):
        places = [place(*point) for point in lines[who]]
        if places:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
            out.append(f'<text x="{places[-1][0] + 6:.1f}" y="{places[-1][1]:.1f}" fill="{colour}">{who}</text>')
    return "\n".join([*out, "</svg>", ""])
