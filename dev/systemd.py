# SPDX-License-Identifier: GPL-2.0
"""Live updates with systemd: services keep their descriptors over 'systemctl kexec'.

The guest has the necessary parts of systemd from Debian, and a service that runs the cases of
cases_systemd.c, see tools/testing/selftests/kho/systemd_init.sh.  A second service is memcached.
"""
import functools
import itertools
import re
from dataclasses import replace

from dev import console, debian, initramfs, tools
from dev.initramfs import AGENT
from dev.host import Skip, Stop

SUITE = "forky"
PACKAGES = ("memcached", "systemd", "busybox-static", "kexec-tools")
MEMCACHED = "usr/bin/memcached"
PROGRAMS = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor",
            "usr/lib/systemd/systemd-shutdown", "usr/bin/systemctl", "usr/bin/systemd-notify",
            "usr/sbin/kexec")
UNITS = ("basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target",
         "slices.target", "shutdown.target", "umount.target", "final.target", "kexec.target",
         "systemd-kexec.service", "local-fs.target", "local-fs-pre.target", "swap.target")


def bring(run, kernel, share, more=()):
    """Replace the initramfs in the share by one with systemd and more programs."""
    try:
        top = debian.unpacked(run, PACKAGES, SUITE, kernel.arch)
    except Stop as e:
        raise Skip(str(e).splitlines()[0]) from None
    triple = f"usr/lib/{tools.MACHINE[kernel.arch]}-linux-gnu"
    folders = [top / triple, top / triple / "systemd"]
    scripts = ("systemd_init.sh", "systemd_memcached.sh")
    files = {"init": AGENT / scripts[0], f"bin/{scripts[1]}": AGENT / scripts[1],
             "bin/busybox": top / "usr/bin/busybox",
             "bin/handover": initramfs.build_agent(run, kernel)}
    # the programs load libmount at run time, so it is not among the libraries that they list
    for name in [*PROGRAMS, *more, f"{triple}/libmount.so.1"]:
        files[name] = top / name
        for library, place in initramfs.libraries(top / name, folders).items():
            loader = {"ld-linux-x86-64.so.2": "lib64", "ld-linux-aarch64.so.1": "lib"}.get(library)
            files[f"{loader or place.parent.relative_to(top)}/{library}"] = place
    files.update({f"usr/lib/systemd/system/{unit}": top / "usr/lib/systemd/system" / unit
                  for unit in UNITS})
    initramfs.write_cpio(kernel, share / "initrd", files)


def prepared(case):
    """A case with systemd; the case 'systemd' also has memcached."""
    more = (MEMCACHED,) if case.name == "systemd" else ()
    return replace(case, bring=functools.partial(bring, more=more))


class Story:
    """The progress of three kexecs with services, printed line by line."""
    name = "systemd"
    options = "--systemd"
    good = "every descriptor and every item survived, three times"
    judge = staticmethod(console.problem)

    def __init__(self, run):
        self.run = run
        self.kernels = itertools.count(1)

    def hear(self, line):
        """Print the progress that a line from a serial port of the guest shows."""
        text = line.text
        checked = re.match(r"(not )?ok \d+ - check (\w+)", text)
        if checked:
            shown = f"{checked[2]}: {'LOST' if checked[1] else 'equal'}"
        elif "Linux version" in text:
            shown = f"kernel {next(self.kernels)} entered"
        elif re.match("# (systemd|memcached) ", text):
            shown = text[2:]
        elif text.startswith("# listen "):
            shown = f"the service is started with descriptors {text[9:]}"
        elif text == "# kexec":
            shown = "systemctl kexec"
        else:
            return
        self.run.say(f"  {line.at:6.2f} s  {shown}")

    def summary(self):
        """Print nothing: hear() has printed everything."""
