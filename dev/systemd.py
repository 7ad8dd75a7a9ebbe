# SPDX-License-Identifier: GPL-2.0
"""./kho live-update --systemd, and the cases systemd*: descriptors of services over 'systemctl kexec'.

The guest has as much of Debian's systemd as it needs, and one service, which runs the
cases of cases_systemd.c (tools/testing/selftests/kho/systemd_init.sh).  A second one is memcached.
"""
import functools
import itertools
import re
from dataclasses import replace

from dev import debian, guest, tools
from dev.guest import AGENT
from dev.host import Stop

SUITE = "forky"
PACKAGES = ("memcached", "systemd", "busybox-static", "kexec-tools")
MEMCACHED = "usr/bin/memcached"
PROGRAMS = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor", "usr/lib/systemd/systemd-shutdown",
            "usr/bin/systemctl", "usr/bin/systemd-notify", "usr/sbin/kexec")
UNITS = ("basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target", "slices.target",
         "shutdown.target", "umount.target", "final.target", "kexec.target", "systemd-kexec.service",
         "local-fs.target", "local-fs-pre.target", "swap.target")


def bring(run, kernel, share, more=()):
    """Put a file system with systemd, and more programs, in the place of the one of other guests."""
    try:
        top = debian.unpacked(run, PACKAGES, SUITE, kernel.arch)
    except Stop as e:
        return str(e).splitlines()[0]
    triple = f"usr/lib/{tools.MACHINE[kernel.arch]}-linux-gnu"
    lib = top / triple
    files = {"init": AGENT / "systemd_init.sh", "bin/handover": guest.build_agent(run, kernel),
             "bin/busybox": next(top.glob("usr/bin/busybox")),
             "bin/systemd_memcached.sh": AGENT / "systemd_memcached.sh"}
    # libmount is not among those that the programs name
    for name in [*PROGRAMS, *more, f"{triple}/libmount.so.1"]:
        files[name] = top / name
        for library, place in guest.libraries(top / name, [lib, lib / "systemd"]).items():
            loader = {"ld-linux-x86-64.so.2": "lib64", "ld-linux-aarch64.so.1": "lib"}.get(library)
            files[f"{loader or place.parent.relative_to(top)}/{library}"] = place
    files.update({f"usr/lib/systemd/system/{unit}": top / "usr/lib/systemd/system" / unit for unit in UNITS})
    guest.write_cpio(share / "initrd", files)
    return ""


def prepared(case):
    """A case with systemd: the first one has memcached as well."""
    return replace(case, bring=functools.partial(bring, more=(MEMCACHED,)) if case.name == "systemd" else bring)


# ---- for people

def tell(run):
    """What people are told of it while it happens: a function that hears every line."""
    kernels = itertools.count(1)

    def hear(line):
        text = line.text
        checked = re.match(r"(not )?ok \d+ - check (\w+)", text)
        shown = (f"kernel {next(kernels)} entered" if "Linux version" in text else
                 text[2:] if re.match("# (systemd|memcached) ", text) else
                 "systemctl kexec" if text == "# kexec" else
                 f"the service is started with descriptors {text[9:]}" if text.startswith("# listen ") else
                 f"{checked[2]}: {'LOST' if checked[1] else 'equal'}" if checked else "")
        if shown:
            run.say(f"  {line.at:6.2f} s  {shown}")

    return hear


def shown(cases, run):
    """Arguments of runner.alone(), to take services through three kexecs."""
    case = next(case for case in cases if case.name == "systemd")
    return case, tell(run), "live-update --systemd", "every descriptor and every item survived, three times"
