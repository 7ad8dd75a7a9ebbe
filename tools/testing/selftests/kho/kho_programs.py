# SPDX-License-Identifier: GPL-2.0
"""Further programs in guests: khoctl, and systemd with memcached.

For the cases of cases_khoctl.c and cases_systemd.c.
"""
import shutil
import threading

import kho_guest
from kho_guest import HERE, OURS, STOCK
from kho_report import Stop

PLACE = "/share/khoctl"
KHOCTL_UNITS = "tools/kho/systemd"         # in the kernel tree
ONE_AT_A_TIME = threading.Lock()
# Previous kernels with another version of one structure: the other notes are the same.
ROWS = ("vmalloc-v2", "block-v2", "luo-v6", "memfd-v3", "radix-v2", "kho-v5")
PROGRAMS = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor",
            "usr/lib/systemd/systemd-shutdown", "usr/bin/systemctl", "usr/bin/systemd-notify",
            "usr/sbin/kexec")
UNITS = ("basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target",
         "slices.target", "shutdown.target", "umount.target", "final.target", "kexec.target",
         "systemd-kexec.service", "local-fs.target", "local-fs-pre.target", "swap.target")


# ---- khoctl

def bring_khoctl(setup, share):
    """Put khoctl, its libraries and the image of the kernel into the share."""
    with ONE_AT_A_TIME:
        program = setup.khoctl()
    folders = kho_guest.library_folders(setup.machine)
    files = {"khoctl": program, "this": setup.kernels[OURS],
             **kho_guest.libraries([program], folders)}
    target = kho_guest.copy(share / "khoctl", files)
    # Use the loader that belongs to the libraries: the guest may not have one.
    loader = next(target.glob("ld-linux*")).name
    script = target / "run"
    script.write_text(f'#!/bin/sh\n'
                      f'exec {PLACE}/{loader} --library-path {PLACE} {PLACE}/khoctl "$@"\n')
    script.chmod(0o755)


def bring_notes(setup, share):
    """As bring_khoctl(), with a file with notes for each of ROWS, and the stock kernel if given."""
    bring_khoctl(setup, share)
    target = share / "khoctl"
    if STOCK in setup.kernels:
        shutil.copy(setup.kernels[STOCK], target / "stock")
    setup.step("taking the notes", ["objcopy", "-O", "elf64-x86-64", "-j", ".notes",
                                    setup.build / "vmlinux", target / "notes"])
    notes = (target / "notes").read_bytes()
    for new in ROWS:
        old = f"{new[:-1]}{int(new[-1]) - 1}"
        (target / new).write_bytes(notes.replace(old.encode(), new.encode()))


# ---- systemd

def bring_systemd(setup, share, *more):
    """Replace the initramfs in the share by one with systemd and more programs."""
    top = setup.systemd()
    system = top / "usr/lib/systemd/system"
    private = top / "usr/lib" / setup.machine.triple
    # the programs load libmount at run time, so it is not among the libraries that they list
    parts = [top / name for name in [*PROGRAMS, *more]] + [private / "libmount.so.1"]
    files = {str(place.relative_to(top)): place for place in [*parts, *map(system.joinpath, UNITS)]}
    files.update({"init": HERE / "systemd_init.sh",
                  "bin/systemd_memcached.sh": HERE / "systemd_memcached.sh",
                  "bin/busybox": top / "usr/bin/busybox", "bin/handover": setup.handover})
    missing = next((place for place in files.values() if not place.exists()), None)
    if missing:
        raise Stop(f"{missing} is missing")
    folders = [*kho_guest.library_folders(setup.machine, top), private / "systemd"]
    files.update(kho_guest.libraries(parts, folders))
    kho_guest.write_cpio(setup.build, share / "initrd", files)


def bring_memcached(setup, share):
    """As bring_systemd(), with memcached as a second service."""
    bring_systemd(setup, share, "usr/bin/memcached")


def bring_systemd_khoctl(setup, share):
    bring_systemd(setup, share)
    bring_notes(setup, share)
    for place in (setup.tree / KHOCTL_UNITS).iterdir():
        shutil.copy(place, share / "khoctl")


def functions(name):
    """bring() of a case."""
    if not name.startswith("systemd"):
        return {"bring": bring_notes}
    return {"bring": {"systemd": bring_memcached,
                      "systemd-khoctl": bring_systemd_khoctl}.get(name, bring_systemd)}
