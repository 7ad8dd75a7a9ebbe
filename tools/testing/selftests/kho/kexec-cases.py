#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs kexec cases of the handover program, each in a guest of QEMU.

    make -C tools/testing/selftests TARGETS=kho
    tools/testing/selftests/kho/kexec-cases.py -d BUILD [CASE...]

BUILD is where the kernel was built, with the options in 'config' beside this file.  The
results are KTAP on stdout; a guest that fails leaves its logs.

A static busybox and kexec of this machine go into the guest, so it has the architecture of
this machine.  Cases with kernels other than the one that was built need -k, as in
-k stock=BUILD/arch/x86/boot/bzImage.  Cases are skipped if they need programs that this script
does not put into guests.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL_DIR = HERE.parents[3]
SKIP = 4
MACHINES = {
    "x86_64": ("arch/x86/boot/bzImage", ["qemu-system-x86_64", "-M", "pc"], "ttyS0", "ttyS1",
               ["-serial", "chardev:console", "-serial", "chardev:results"], []),
    "aarch64": ("arch/arm64/boot/Image", ["qemu-system-aarch64", "-M", "virt,dtb-randomness=off"], "ttyAMA0", "ttyS0",
                ["-serial", "chardev:console", "-device", "pci-serial,chardev=results"], ["-cpu", "neoverse-n1"]),
}
# An emulated processor may not run while the kernel tests its timer.
APPEND = "kho=on liveupdate=on panic=-1 oops=panic loglevel=7 mitigations=off no_timer_check"
FAULTS = re.compile(r"\bBUG:|WARNING: |Oops|KASAN: |Kernel panic|Call [Tt]race:|INFO: task .* blocked")
SLOWER = 5              # without KVM


def need(name):
    """The path of a program of this machine."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not path:
        skip(f"{name} is not installed")
    return path


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(SKIP)


def libraries(program):
    """The paths of the libraries that a program needs."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def initramfs(build, program, where):
    """The file system of the guests: first process, cases, busybox and kexec."""
    busybox, kexec = need("busybox"), need("kexec")
    if libraries(busybox):
        skip("busybox is not static")
    files = {"/init": HERE / "guest_init.sh", "/bin/busybox": busybox, "/bin/handover": program, "/sbin/kexec": kexec}
    files.update({place: place for place in libraries(kexec)})
    folders = {str(parent) for name in files for parent in Path(name).parents} | {"/dev"}
    lines = [f"dir {name} 0755 0 0" for name in sorted(folders - {"/"})]
    lines += ["nod /dev/console 0600 0 0 c 5 1"]
    lines += [f"file {name} {os.path.realpath(source)} 0755 0 0" for name, source in files.items()]
    (where / "list").write_text("\n".join(lines) + "\n")
    tool = build / "usr/gen_init_cpio"
    if not tool.exists():
        skip(f"{tool} is missing: build the kernel with CONFIG_BLK_DEV_INITRD")
    with open(where / "initrd", "wb") as out:
        subprocess.run([tool, where / "list"], stdout=out, check=True)
    return where / "initrd"


def at(row, hop):
    """The entry of a hop; the last entry also applies to all further kernels."""
    return row[min(hop, len(row) - 1)] if row else ""


def unfit(case, arch, kernels):
    """Why a case cannot be run here, or nothing."""
    missing = sorted(set(case["kernels"]) - set(kernels))
    if missing:
        return f"needs other kernels: {', '.join(missing)}"
    if case["arch"] and case["arch"].replace("arm64", "aarch64") != arch:
        return f"is for {case['arch']}"
    if case["name"] == "live-update" or case["name"].split("-")[0] in ("vm", "systemd"):
        return "needs programs that this script does not put into guests"
    return ""


def fill_share(share, case, kernels, initrd, machine):
    """Files for the guest: kernels, initramfs, and a command line for each hop."""
    share.mkdir()
    os.link(initrd, share / "initrd")
    for name in {"ours", *case["kernels"]}:
        shutil.copy(kernels[name], share / f"kernel-{name}")
    for hop in range(case["hops"]):
        line = (f"console={machine[2]} {APPEND} kho_results={machine[3]} kho_case={case['name']} "
                f"kho_hop={hop} {at(case['append'], hop)}")
        (share / f"kernel{hop}").write_text(f"kernel-{at(case['kernels'], hop) or 'ours'}")
        (share / f"append{hop}").write_text(line)


def command(case, share, where, machine, kvm):
    nodes = []
    for n in range(case["nodes"] if case["nodes"] > 1 or case["plug"] else 0):
        nodes += ["-object", f"memory-backend-ram,id=node{n},size={case['memory'] // case['nodes']}M",
                  "-numa", f"node,memdev=node{n},cpus={n}"]
    if case["plug"]:
        nodes += ["-m", "slots=1,maxmem=16G", "-object", "memory-backend-ram,id=plugged,size=512M",
                  "-device", f"{case['plug']},memdev=plugged,node={case['nodes']}",
                  "-numa", f"node,cpus={case['nodes']}"]
    speed = ["-accel", "kvm", "-cpu", "host"] if kvm else ["-accel", "tcg,thread=multi", *machine[5]]
    memory = case["memory"] + (case["pages"] * 4 >> 10)
    return [*machine[1], *speed, "-m", f"{memory}M", "-smp", "2,sockets=2", "-nodefaults", "-no-reboot",
            "-display", "none", "-monitor", "none", *case["qemu"], *nodes, *machine[4],
            "-chardev", f"file,id=console,path={where}/console.log",
            "-chardev", f"file,id=results,path={where}/results.log",
            "-fsdev", f"local,id=share,path={share},security_model=none,readonly=on",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=kho",
            "-kernel", str(share / (share / "kernel0").read_text()),
            "-initrd", str(share / "initrd"), "-append", (share / "append0").read_text()]


def verdict(case, where):
    """The reason why a guest has failed, or nothing."""
    results = (where / "results.log").read_text(errors="replace").splitlines()
    console = (where / "console.log").read_text(errors="replace").splitlines()
    allowed = [re.compile(text) for text in case["allowed"]]
    for number, line in enumerate(results):
        if line.startswith("not ok "):
            return f"{line}: {results[number - 1].removeprefix('# ')}"
        if line.startswith("Bail out!"):
            return line
    for line in console:
        if FAULTS.search(line) and not any(p.search(line) for p in allowed):
            return f"on the console: {line.strip()}"
    if results.count("KTAP version 1") < case["hops"] or "# end" not in results:
        return f"ended in kernel {results.count('KTAP version 1')} of {case['hops']}"
    return ""


def run(case, kernels, initrd, machine, kvm, top):
    """Runs one guest; returns the reason of a failure, or nothing."""
    where = top / case["name"]
    where.mkdir()
    share = where / "share"
    fill_share(share, case, kernels, initrd, machine)
    deadline = case["deadline"] * (1 if kvm else SLOWER)
    try:
        with open(where / "qemu.log", "w") as log:
            subprocess.run(command(case, share, where, machine, kvm), stdin=subprocess.DEVNULL, stdout=log,
                           stderr=log, timeout=deadline, check=True)
        why = verdict(case, where)
    except subprocess.TimeoutExpired:
        why = verdict(case, where) or f"still running after {deadline} s"
    except subprocess.CalledProcessError:
        why = f"QEMU: {(where / 'qemu.log').read_text().strip()}"
    shutil.rmtree(share)
    if not why:
        shutil.rmtree(where)
    return why


def arguments(arch):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", dest="build", type=Path, default=KERNEL_DIR / ".kho",
                        help="where the kernel was built (default: %(default)s, that of vmtest.sh)")
    parser.add_argument("-k", dest="kernels", action="append", default=[], metavar="NAME=IMAGE", help="another kernel")
    parser.add_argument("-p", dest="program", type=Path, default=HERE / "handover", help="the program (default: handover)")
    parser.add_argument("--list", action="store_true", help="show all cases")
    parser.add_argument("--no-kvm", action="store_true", help="do not use KVM")
    parser.add_argument("case", nargs="*", metavar="CASE", help="default: all, except those that only run by name")
    return parser.parse_args()


def chosen(args, cases):
    known = {case["name"]: case for case in cases}
    for name in args.case:
        if name not in known:
            sys.exit(f"no case '{name}': --list shows them")
    return [known[name] for name in args.case] or [case for case in cases if not case["by_name"]]


def main():
    arch = os.uname().machine
    args = arguments(arch)
    if not args.program.exists():
        sys.exit(f"{args.program}: run 'make -C tools/testing/selftests TARGETS=kho' first")
    listed = subprocess.run([args.program, "--list"], capture_output=True, text=True, check=True).stdout
    cases = [json.loads(line) for line in listed.splitlines()]
    if args.list:
        for case in cases:
            print(f"{case['name']:28} {case['sentence']}")
        return 0
    if arch not in MACHINES:
        skip(f"architecture {arch} is not supported")
    machine, rows = MACHINES[arch], chosen(args, cases)
    kernel = args.build / machine[0]
    if not kernel.exists():
        skip(f"{kernel} is missing")
    kernels = {"ours": kernel, **dict(word.split("=", 1) for word in args.kernels)}
    need(machine[1][0])
    kvm = not args.no_kvm and os.access("/dev/kvm", os.R_OK | os.W_OK)
    top = Path(tempfile.mkdtemp(prefix="kho-cases."))
    initrd = initramfs(args.build, args.program, top)
    print(f"KTAP version 1\n1..{len(rows)}", flush=True)
    bad = 0
    for number, case in enumerate(rows, 1):
        begin, unable = time.monotonic(), unfit(case, arch, kernels)
        why = "" if unable else run(case, kernels, initrd, machine, kvm, top)
        if why:
            print(f"# {why}\n# logs: {top / case['name']}")
        seconds = f"# {time.monotonic() - begin:.0f} s"
        print(f"{'not ok' if why else 'ok'} {number} {case['name']} {'# SKIP ' + unable if unable else seconds}", flush=True)
        bad += bool(why)
    if not bad:
        shutil.rmtree(top)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
