# SPDX-License-Identifier: GPL-2.0
"""Live updates with systemd: services keep their descriptors over 'systemctl kexec'.

The guest has the necessary parts of systemd from Debian, and a service that runs the cases of
cases_systemd.c, see tools/testing/selftests/kho/systemd_init.sh.  A second service is memcached.
"""
import functools
import re
from dataclasses import replace

import kho_guest

from dev import debian
from dev.cases import DIR, agent
from dev.host import Skip, Stop
from dev.story import Story

SUITE = "forky"
PACKAGES = ("memcached", "systemd", "busybox-static", "kexec-tools")
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
    machine = kho_guest.MACHINES[kernel.arch]
    system = top / "usr/lib/systemd/system"
    private = top / "usr/lib" / machine.triple
    # the programs load libmount at run time, so it is not among the libraries that they list
    parts = [top / name for name in [*PROGRAMS, *more]] + [private / "libmount.so.1"]
    files = {str(place.relative_to(top)): place for place in [*parts, *map(system.joinpath, UNITS)]}
    files.update({"init": DIR / "systemd_init.sh",
                  "bin/systemd_memcached.sh": DIR / "systemd_memcached.sh",
                  "bin/busybox": top / "usr/bin/busybox",
                  "bin/handover": agent(kernel.arch, kernel.tree, run)})
    folders = [*kho_guest.library_folders(machine, top), private / "systemd"]
    files.update(kho_guest.libraries(parts, folders))
    kho_guest.write_cpio(kernel.dir, share / "initrd", files)


def prepared(case):
    """A case with systemd; the case 'systemd' also has memcached."""
    more = ("usr/bin/memcached",) if case.name == "systemd" else ()
    return replace(case, bring=functools.partial(bring, more=more))


class Systemd(Story):
    """Three kexecs with services."""
    name = "systemd"
    options = " --systemd"
    good = "every descriptor and every item survived, three times"

    def shown(self, text):
        checked = re.match(r"(not )?ok \d+ - check (\w+)", text)
        if checked:
            return f"{checked[2]}: {'LOST' if checked[1] else 'equal'}"
        if text.startswith("# listen "):
            return f"the service is started with descriptors {text[9:]}"
        return text[2:] if re.match("# (systemd|memcached) ", text) else ""
