# SPDX-License-Identifier: GPL-2.0
"""khoctl for guests: the cases of tools/testing/selftests/kho/cases_khoctl.c, and live-update."""
import shutil
import threading
from dataclasses import replace

import kho_guest

from dev import guest, kernel as kernels, systemd, tools, unit
from dev.host import Skip

PLACE = "/share/khoctl"
ONE_AT_A_TIME = threading.Lock()
# Previous kernels with another version of one structure: the other notes are the same.
ROWS = ("vmalloc-v2", "block-v2", "luo-v6", "memfd-v3", "radix-v2", "kho-v5")


def bring(run, kernel, share):
    """Put khoctl, its libraries and the image of the kernel into the share."""
    if kernel.arch != tools.HOST:
        raise Skip(f"khoctl is built for {tools.HOST}, not for {kernel.arch}")
    folders = kho_guest.library_folders(kho_guest.MACHINES[kernel.arch])
    with ONE_AT_A_TIME:
        program = unit.build_khoctl(run, kernel.tree, quiet=True)
    files = {"khoctl": program, "this": kernel.image, **kho_guest.libraries([program], folders)}
    target = guest.copy(share / "khoctl", files)
    # Use the loader that belongs to the libraries: the guest may not have one.
    loader = next(target.glob("ld-linux*")).name
    script = target / "run"
    script.write_text(f'#!/bin/sh\n'
                      f'exec {PLACE}/{loader} --library-path {PLACE} {PLACE}/khoctl "$@"\n')
    script.chmod(0o755)


def bring_others(run, kernel, share):
    """As bring(), with the image of the stock kernel, and a file with notes for each of ROWS."""
    bring(run, kernel, share)
    target = share / "khoctl"
    with ONE_AT_A_TIME:
        stock = kernels.build(run, kernel.arch, kernels.like(kernel, "stock"))
    shutil.copy(stock.image, target / "stock")
    run.step("taking the notes", ["objcopy", "-O", "elf64-x86-64", "-j", ".notes",
                                  kernel.dir / "vmlinux", target / "notes"], quiet=True)
    notes = (target / "notes").read_bytes()
    for new in ROWS:
        old = f"{new[:-1]}{int(new[-1]) - 1}"
        (target / new).write_bytes(notes.replace(old.encode(), new.encode()))


def bring_systemd(run, kernel, share):
    systemd.bring(run, kernel, share)
    bring_others(run, kernel, share)
    for place in (kernel.tree / unit.KHOCTL / "systemd").iterdir():
        shutil.copy(place, share / "khoctl")


def prepared(case):
    return replace(case, bring=bring_systemd if case.name.startswith("systemd") else bring_others)
