# SPDX-License-Identifier: GPL-2.0
"""./kho bench: instructions of a handover, compared with the stock kernel.

The kernels are built here.  tools/testing/selftests/kho/kho_bench.py measures them.
"""
import json
import shutil

import kho_bench
import kho_guest
from kho_bench import OURS, STOCK

from dev import base as bases
from dev import runner
from dev.guest import agent
from dev.host import OUT, ROOT, no_such
from dev.kernel import ARCH, build

FLAVOURS = {OURS: "bench", STOCK: "stock"}
HOST = "host"           # value of -c that joins no further flavour to those of FLAVOURS
TABLE = OUT / "bench/table.json"        # of the last complete run with HOST, for ./kho series


def bench(run, names, quick=False, ours_only=False, arch=ARCH, config=HOST):
    """Measure and print the tables, and write that of instructions as JSON."""
    known = kho_bench.loads()
    for name in names:
        if name not in known and name != kho_bench.MEMORY:
            raise no_such("figure", name, known, "bench")
    more = "" if config == HOST else f"+{config}"
    built = {who: build(run, arch, flavour + more) for who, flavour in FLAVOURS.items()
             if who == OURS or not ours_only}
    kernels = [kho_bench.Kernel(who, kernel.dir, kho_guest.MACHINES[arch])
               for who, kernel in built.items()]
    work = kho_bench.Bench(run.dir, agent(arch, built[OURS].tree, run), quick)
    run.say(f"in instructions, metadata in bytes; {built[OURS].release} on one CPU, "
            f"configured for {config}")
    rows = kho_bench.run(work, kernels, names, runner.JOBS, run.say)
    found = run.path("bench.json")
    found.write_text(json.dumps(rows, indent=1))
    usual = (False, False, ARCH, HOST, bases.default())
    if not names and (quick, ours_only, arch, config, built[OURS].base) == usual:
        TABLE.parent.mkdir(exist_ok=True)
        shutil.copy(found, TABLE)
    run.say(f"all samples: {found.relative_to(ROOT)}")
