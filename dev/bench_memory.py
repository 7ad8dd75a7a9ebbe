# SPDX-License-Identifier: GPL-2.0
"""./kho bench memory: what Kexec Handover costs in memory as long as no image is loaded."""
from dataclasses import replace

from dev import bench, guest
from dev.host import Stop

NAME, SENTENCE = "memory", "what is missing with kho=on before an image is loaded, in KiB"
SIZES = (512, 1024, 4096, 19456)        # MiB of the guests
FIELDS = ("MemTotal", "MemAvailable", "CmaTotal", "CmaFree")


def boot(run, agent, kernel, size, switch):
    """{field: KiB} of a guest of that size."""
    where = run.path(f"memory-{size}-{kernel.flavour}-{switch}")
    where.mkdir()
    initrd = where / "initrd"
    guest.write_cpio(initrd, {"bin/handover": agent})
    load = replace(bench.NOTHING, memory=size)
    words = bench.command(kernel, initrd, load, bench.append(kernel, load, "memory"))
    words[-1] = words[-1].replace("kho=on liveupdate=on", f"kho={switch}")
    outcome = guest.boot(words, where, bench.DEADLINE)
    told = guest.hops(outcome.results)
    seen = {}
    for line in told[0].notes if told else []:
        word, name, value = (line.text.split() + ["", ""])[:3]
        if word == "bench" and name in FIELDS:
            seen[name] = int(value)
    if set(seen) != set(FIELDS):
        raise Stop(f"memory of {size} MiB on {kernel.flavour}: stage: {guest.stage(outcome)}\n  logs: {where}", 1)
    return seen


def table(run, agent, kernels):
    """A line for each size of guest and kernel: what kho=on changes."""
    run.say(f"{SENTENCE}\n{'guest':>9} {'kernel':8}" + "".join(f"{field:>14}" for field in FIELDS))
    for size in SIZES:
        for who, kernel in kernels.items():
            off, on = (boot(run, agent, kernel, size, switch) for switch in ("off", "on"))
            run.say(f"{size:5} MiB {who:8}" + "".join(f"{on[field] - off[field]:14}" for field in FIELDS))
