#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases of the handover program, each in a guest of QEMU.

    make -C tools/testing/selftests TARGETS=kho
    tools/testing/selftests/kho/kexec-cases.py -d BUILD [CASE...]

BUILD is where the kernel was built, with the options in 'config' beside this file.  The
results are KTAP on stdout; a guest that fails leaves its logs.

busybox and kexec of this machine go into the guest, so it has the architecture of this
machine.  Cases with kernels other than the one that was built need -k, as in
-k stock=BUILD/arch/x86/boot/bzImage.  The cases of systemd need a folder with the unpacked
packages systemd, kexec-tools, busybox-static and memcached.  A case is skipped if something that
it needs is missing, or cannot be built.
"""
import argparse
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import kho_case
import kho_guest
import kho_tables
from kho_guest import ARCH, HERE, OURS, need
from kho_report import Result, Skip, Stop

KERNEL_DIR = Path(*HERE.parts[:-4])
KSFT_SKIP = 4
LIVE_UPDATE = "live-update"     # a case with files of a user


def unfit(case, kernels):
    """Why a case cannot be run here, or nothing."""
    missing = sorted(case.needs() - set(kernels))
    if missing:
        return f"needs other kernels: {', '.join(missing)}"
    if case.arch not in ("", ARCH):
        return f"is for {case.arch}"
    return "needs files to carry" if case.name == LIVE_UPDATE else ""


def arguments():
    keep = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep)
    parser.add_argument("-d", dest="build", type=Path, default=KERNEL_DIR / ".kho",
                        help="where the kernel was built (default: %(default)s, that of vmtest.sh)")
    parser.add_argument("-k", dest="kernels", action="append", default=[], metavar="NAME=IMAGE",
                        help="another kernel")
    parser.add_argument("-p", dest="program", type=Path, default=HERE / "handover",
                        help="the program (default: handover)")
    parser.add_argument("-s", dest="systemd", type=Path, metavar="DIR",
                        help="root folder of a system with systemd")
    parser.add_argument("-j", dest="jobs", type=int, default=1, metavar="N",
                        help="number of guests at a time (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="show all cases")
    parser.add_argument("--no-kvm", action="store_true", help="do not use KVM")
    parser.add_argument("case", nargs="*", metavar="CASE",
                        help="default: all, except those that only run by name")
    args = parser.parse_args()
    for word in args.kernels:
        if not Path(word.partition("=")[2]).is_file():
            raise Stop(f"-k {word}: want NAME=IMAGE, with the image of a kernel")
    return args


def chosen(names, cases):
    known = {case.name: case for case in cases}
    for name in names:
        if name not in known:
            raise Stop(f"no case '{name}': --list shows them")
    return [known[name] for name in names] or [case for case in cases if not case.by_name]


# ---- what guests need

def step(title, argv):
    """Run a command; a case that needs its result is skipped if it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
    except OSError as e:
        raise Skip(f"{title}: cannot start {argv[0]}: {e.strerror}") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines() or ["it printed nothing"]
        error = next((line for line in lines if "error:" in line), lines[-1])
        raise Skip(f"{title} failed: {error}")


def khoctl(top):
    """Build khoctl; returns the program."""
    build = top / "build"
    step("building khoctl", ["make", "-C", KERNEL_DIR / "tools/kho", f"O={build}"])
    return build / "khoctl"


def prepare(args):
    """The Setup of all guests, whose initramfs is in the folder for their logs."""
    machine = kho_guest.this_machine()
    kernel = args.build / machine.image
    if not kernel.exists():
        raise Skip(f"{kernel} is missing")
    need(machine.qemu, "readelf")
    programs, top = need("busybox", "kexec"), Path(tempfile.mkdtemp(prefix="kho-cases."))
    kho_guest.write_initramfs(args.build, top / "initrd", args.program, *programs,
                              kho_guest.library_folders(machine))
    kvm = not args.no_kvm and os.access("/dev/kvm", os.R_OK | os.W_OK)

    def systemd():
        if not args.systemd:
            raise Skip("needs systemd: -s DIR")
        return args.systemd

    return kho_case.Setup(machine, "kvm" if kvm else "tcg",
                          {OURS: kernel, **dict(word.split("=", 1) for word in args.kernels)},
                          args.build, KERNEL_DIR, top / "initrd", args.program,
                          step, functools.partial(khoctl, top), systemd)


def run(args, cases):
    """[Result] of the cases; a temporary folder has the logs of those that fail."""
    setup = prepare(args)
    top = setup.initrd.parent

    def run_one(case):
        unable = unfit(case, setup.kernels)
        if unable:
            return Result(case.name, True, skipped=unable)
        return kho_case.run(case, setup, top / case.name)

    results = kho_case.run_all(cases, run_one, args.jobs, lambda text: print(text, flush=True))
    ran = [case for case, result in zip(cases, results) if not result.skipped]
    for table in (kho_tables.compat(ran, results),
                  kho_tables.hostile(ran, lambda case: top / case.name, results)):
        print(textwrap.indent(table, "# "), end="\n" * bool(table))
    for result in results:
        if result.ok:
            shutil.rmtree(top / result.name, ignore_errors=True)
    if all(result.ok for result in results):
        shutil.rmtree(top)
    return results


def main():
    args = arguments()
    if not args.program.exists():
        raise Stop(f"{args.program}: run 'make -C tools/testing/selftests TARGETS=kho' first")
    cases = kho_case.listed(args.program)
    if args.list:
        for case in cases:
            print(f"{case.name:28} {case.sentence}")
        return 0
    return 0 if all(result.ok for result in run(args, chosen(args.case, cases))) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)     # guests have to end, too
    try:
        sys.exit(main())
    except Skip as e:
        print(f"1..0 # SKIP {e}")
        sys.exit(KSFT_SKIP)
    except Stop as e:
        sys.exit(f"kexec-cases.py: {e}")
    except KeyboardInterrupt:
        sys.exit("Bail out! interrupted")
