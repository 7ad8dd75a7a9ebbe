# SPDX-License-Identifier: GPL-2.0
"""./kho live-update --systemd, and the cases systemd*: descriptors of services over 'systemctl kexec'.

The guest has as much of Debian's systemd as it needs, and one service, which does what the
scripts say (tools/testing/selftests/kho/systemd_init.sh).  A second one is memcached.
"""
import functools
import itertools
import re

from dev import debian, guest, tools
from dev.cases import LOAD, SWITCH, look
from dev.guest import AGENT
from dev.host import Stop
from dev.selftest import OURS, Case

SUITE = "forky"
LEAST = 261         # the first version that knows live updates
PACKAGES = ("memcached", "systemd", "busybox-static", "kexec-tools")
MEMCACHED = "usr/bin/memcached"
PROGRAMS = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor", "usr/lib/systemd/systemd-shutdown",
            "usr/bin/systemctl", "usr/bin/systemd-notify", "usr/sbin/kexec")
UNITS = ("basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target", "slices.target",
         "shutdown.target", "umount.target", "final.target", "kexec.target", "systemd-kexec.service",
         "local-fs.target", "local-fs-pre.target", "swap.target")
APPEND = "systemd.unit=test.target systemd.minimum_uptime_sec=0 systemd.getty_auto=no"
ITEMS = 20000


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


# ---- pieces of scripts

STORED = {"alpha": "size=8M seed=1", "beta": "size=3000001 seed=2"}
OWN = "size=5M seed=3"
KEEP = [f"memfd own1 {OWN}", "preserve own 77 own1"]
USE = ["retrieve own 77 own1", f"check own1 {OWN}"]
TAKE = [*USE, "finish own"]
# The session is a new one, in which nothing can be retrieved.
NEW = "fails EINVAL retrieve own 77 own1"
EMPTY = ["listen", *(f"fails ENOENT close {name}" for name in (*STORED, "script", "own"))]
WARM, CHECK = f"items-set {ITEMS}", f"items-check {ITEMS}"
BYTES = "head -c 100000 /bin/busybox"
# A store with memfds and the file of a script; a socket and a session of systemd's name do not stay in it.
START = ["tell systemctl --version | head -n 1",
         f"run test $(systemctl --version | awk 'NR == 1 {{ print $2 }}') -ge {LEAST}", "listen",
         *(f"memfd {name} {options}" for name, options in STORED.items()), "socket refused", "session-new systemd",
         *(f"store {name}" for name in (*STORED, "refused", "systemd")),
         f"run exec 3<>/dev/shm/x; rm /dev/shm/x; {BYTES} >&3; systemd-notify --fd=3 --fdname=script"]
# What a later start finds is whole; names alone tell which is which.
FOUND = ["listen", *look(STORED), "fails ENOENT close refused", "fails ENOENT close systemd",
         f"run i=3; IFS=:; for n in $LISTEN_FDNAMES; do [ $n = script ] && {BYTES} | cmp - /proc/self/fd/$i && exit 0; "
         "i=$((i + 1)); done; exit 1"]
LONG = "n" * 63
NAMES = [f"session-name {LONG} 63", "session-name own"]


# ---- the cases

def case(name, sentence, *scripts, **settings):
    return Case(f"systemd{name}", sentence, [[*script, LOAD, SWITCH] for script in scripts[:-1]] + [scripts[-1]],
                **{"append": (APPEND,), "bring": bring, "arches": ("x86_64",), "deadline": 60, **settings})


STORE = [f"{APPEND} kho_store={size}" for size in (8, 0, 8)]
CASES = [
    # The session of the service goes from the first kernel to the second, and on from the third.
    case("", "A service keeps its descriptors and its session, and memcached its items, three times in a row, "
         "with 'systemctl kexec'.",
         [*START, *KEEP, WARM, CHECK], [*FOUND, *TAKE, CHECK], [*FOUND, *KEEP, CHECK], [*FOUND, *TAKE, CHECK],
         bring=functools.partial(bring, more=(MEMCACHED,))),
    case("-unfinished", "A service leaves its session unfinished: the session is lost, and the store is not.",
         [*START, *KEEP], [*FOUND, *USE], [*FOUND, NEW]),
    case("-names", "A session with a name of 63 bytes comes back under it.",
         [*START, f"session-new {LONG}", f"store {LONG}", f"memfd m {OWN}", f"preserve {LONG} 1 m", *NAMES],
         [*FOUND, *NAMES, f"retrieve {LONG} 1 m", f"check m {OWN}", f"finish {LONG}"]),
    # The session of the service is not finished: its 5 MiB stay reserved until the second kexec.
    case("-off", "The next kernel has no store for the service: its descriptors are lost, and their memory is free.",
         [*START, *KEEP, "total-keep"],
         [*EMPTY, "total-check slack=6M", "churn rounds=1", "run grep -o ' kho_total=.*' /proc/cmdline >/append"],
         [*START, "total-check slack=1M", NEW], append=STORE),
    case("-stock-ours", "The first kernel is the stock kernel: all is kept.",
         [*START, *KEEP], [*FOUND, *TAKE], kernels=("stock", OURS)),
    case("-ours-stock", "The second kernel is the stock kernel and boots cold: back to ours all is kept.",
         [*START, *KEEP], [*START, NEW, *KEEP], [*FOUND, *TAKE], kernels=(OURS, "stock", OURS)),
]


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


def shown(run):
    """Arguments of runner.alone(), to take services through three kexecs."""
    return CASES[0], tell(run), "live-update --systemd", "every descriptor and every item survived, three times"
