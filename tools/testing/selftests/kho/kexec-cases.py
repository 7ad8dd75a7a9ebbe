#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases of the handover program, each in a guest of QEMU.

    make -C tools/testing/selftests TARGETS=kho
    tools/testing/selftests/kho/kexec-cases.py -d BUILD [CASE...]

BUILD is where the kernel was built, with the options in 'config' beside this file.  The
results are KTAP on stdout; a guest that fails leaves its logs.

busybox and kexec of this machine go into the guest, so it has the architecture of this
machine.  Cases with kernels other than the one that was built need -k, as in
-k stock=BUILD/arch/x86/boot/bzImage.  Cases are skipped if they need programs that this script
does not put into guests.
"""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import kho_case
import kho_guest
from kho_guest import ARCH, need
from kho_report import Result, Skip, Stop

HERE = Path(__file__).resolve().parent
KERNEL_DIR = HERE.parents[3]
KSFT_SKIP = 4
MORE_PROGRAMS = {"live-update", "vm", "systemd", "khoctl"}


def unfit(case, kernels):
    """Why a case cannot be run here, or nothing."""
    missing = sorted(set(case.kernels) - set(kernels))
    if missing:
        return f"needs other kernels: {', '.join(missing)}"
    if case.arch not in ("", ARCH):
        return f"is for {case.arch}"
    if MORE_PROGRAMS & {case.name, case.name.split("-")[0]}:
        return "needs programs that this script does not put into guests"
    return ""


def arguments():
    keep = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep)
    parser.add_argument("-d", dest="build", type=Path, default=KERNEL_DIR / ".kho",
                        help="where the kernel was built (default: %(default)s, that of vmtest.sh)")
    parser.add_argument("-k", dest="kernels", action="append", default=[], metavar="NAME=IMAGE",
                        help="another kernel")
    parser.add_argument("-p", dest="program", type=Path, default=HERE / "handover",
                        help="the program (default: handover)")
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


def run(args, cases):
    """[Result] of the cases; a temporary folder has the logs of those that fail."""
    machine = kho_guest.this_machine()
    kernel = args.build / machine.image
    if not kernel.exists():
        raise Skip(f"{kernel} is missing")
    kernels = {kho_case.OURS: kernel, **dict(word.split("=", 1) for word in args.kernels)}
    need(machine.qemu, "readelf")
    programs, top = need("busybox", "kexec"), Path(tempfile.mkdtemp(prefix="kho-cases."))
    kho_guest.write_initramfs(args.build, top / "initrd", args.program, *programs,
                              kho_guest.library_folders(machine))
    kvm = not args.no_kvm and os.access("/dev/kvm", os.R_OK | os.W_OK)

    def run_one(case):
        unable = unfit(case, kernels)
        if unable:
            return Result(case.name, True, skipped=unable)
        result = kho_case.run(case, kernels, top / "initrd", machine, "kvm" if kvm else "tcg",
                              top / case.name)
        if result.ok:
            shutil.rmtree(top / case.name)
        return result

    results = kho_case.run_all(cases, run_one, args.jobs, lambda text: print(text, flush=True))
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
    try:
        sys.exit(main())
    except Skip as e:
        print(f"1..0 # SKIP {e}")
        sys.exit(KSFT_SKIP)
    except Stop as e:
        sys.exit(f"kexec-cases.py: {e}")
    except KeyboardInterrupt:
        sys.exit("Bail out! interrupted")
