# SPDX-License-Identifier: GPL-2.0
"""khoctl for guests: the cases of tools/testing/selftests/kho/cases_khoctl.c, and live-update."""
import shutil
import threading
from dataclasses import replace

from dev import guest, kernel as kernels, systemd, tools, unit

PLACE = "/share/khoctl"
ONE_AT_A_TIME = threading.Lock()
# Previous kernels with another version of one structure, and what is another in their notes.
ROWS = {"vmalloc-v2": ("vmalloc-v1", "vmalloc-v2"), "block-v2": ("block-v1", "block-v2"), "luo-v6": ("luo-v5", "luo-v6"),
        "memfd-v3": ("memfd-v2", "memfd-v3"), "radix-v2": ("radix-v1", "radix-v2"), "kho-v5": ("kho-v4", "kho-v5")}


def bring(run, kernel, share):
    """Put khoctl, its libraries and the image into the share; why that cannot be had, or nothing."""
    if kernel.arch != tools.HOST:
        return f"khoctl is built for {tools.HOST}, not for {kernel.arch}"
    *_, folders = guest.programs(run, kernel.arch)
    with ONE_AT_A_TIME:
        program = unit.build_khoctl(run, kernel.tree, quiet=True)
    target = share / "khoctl"
    target.mkdir()
    for name, source in {"khoctl": program, "this": kernel.image, **guest.libraries(program, folders)}.items():
        shutil.copy(source, target / name)
    # With the loader of its own libraries, whatever the guest has.
    loader = next(target.glob("ld-linux*")).name
    (target / "run").write_text(f'#!/bin/sh\nexec {PLACE}/{loader} --library-path {PLACE} {PLACE}/khoctl "$@"\n')
    (target / "run").chmod(0o755)
    return ""


def bring_others(run, kernel, share):
    """Likewise, with the image of the stock kernel, and the notes of those of ROWS."""
    why = bring(run, kernel, share)
    if why:
        return why
    target = share / "khoctl"
    with ONE_AT_A_TIME:
        stock = kernels.build(run, kernel.arch, kernels.like(kernel, "stock"))
    shutil.copy(stock.image, target / "stock")
    run.quiet("taking the notes", ["objcopy", "-O", "elf64-x86-64", "-j", ".notes", kernel.dir / "vmlinux", target / "notes"])
    for name, (old, new) in ROWS.items():
        (target / name).write_bytes((target / "notes").read_bytes().replace(old.encode(), new.encode()))
    return ""


def bring_systemd(run, kernel, share):
    why = systemd.bring(run, kernel, share) or bring_others(run, kernel, share)
    for place in () if why else (kernel.tree / unit.KHOCTL / "systemd").iterdir():
        shutil.copy(place, share / "khoctl")
    return why


def prepared(case):
    return replace(case, bring=bring_systemd if case.name.startswith("systemd") else bring_others)
