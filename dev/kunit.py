# SPDX-License-Identifier: GPL-2.0
"""KUnit: kunit.py of the kernel configures and builds, and its parser reads all KTAP.

The guest is started here, because kunit.py tries KVM first, and hangs if /dev/kvm exists and
does not work.
"""
import re

import kho_guest
import kho_report

from dev import guest, kernel, tools, tree, unit
from dev.host import OUT, Result

CONFIG = "kernel/liveupdate"
DEADLINE = 300
MEMORY = 1024       # MiB, unless the flavour needs more
# with KASAN, scratch memory of the default size would be larger than the guest
APPEND = "kunit.enable=1 kunit_shutdown=reboot panic=-1 kho_scratch=16M,64M,64M"
SUITE = re.compile(r"struct kunit_suite \w+ = \{[^}]*?\.name = \"([^\"]+)\"", re.S)


def build(run, arch, flavour, repeat):
    """Build the KUnit kernel: (its build folder, the tree with our sources)."""
    tools.require(run, *tools.for_arches(arch))
    names, series = kernel.split(flavour)
    laid = tree.lay(run, series)
    pages = [kernel.PAGES] if kernel.PAGES in names else []
    where = OUT / "build" / kernel.on_base("+".join([f"{arch}-kunit", *pages]), series)
    kernel.need_space_for(where)
    words = [f"--arch={arch}", f"--build_dir={where}"]
    words += [f"--kunitconfig={path}"
              for path in (CONFIG, *map(kernel.fragment, ["kunit", *pages]))]
    words += [f"--cross_compile={tools.prefix(arch)}"] if tools.prefix(arch) else []
    words += [f"--make_options={w}" for w in kernel.compiler(arch) if w.startswith("CC=")]
    env = {**kernel.environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    for verb, title in (("config", "configuring the KUnit kernel"),
                        ("build", f"building the kernel ({where.name})")):
        log = run.step(title, ["python3", f"{unit.KUNIT}/kunit.py", verb, *words],
                       log=f"kunit-{verb}.log", cwd=laid.dir, env=env, repeat=repeat)
        kernel.refuse_warnings(log, laid.paths, repeat)
    return where, laid


def expected(laid):
    """Names of the KUnit suites in our sources."""
    sources = [laid.dir / path for path in laid.paths
               if path.startswith(CONFIG) and path.endswith(".c")]
    return [name for place in sources if place.exists()
            for name in SUITE.findall(place.read_text())]


def run_guest(run, arch, flavour, where, repeat):
    """Boot the kernel, which runs its suites and reboots; returns the text of the console."""
    machine = kho_guest.MACHINES[arch]
    # the suites only take seconds, so do not probe KVM
    accel = guest.wanted(arch) or "tcg"
    memory = max(MEMORY, guest.weight(flavour).least)
    argv = [*kho_guest.words(machine, accel, memory), "-serial", "stdio",
            "-kernel", where / machine.image, "-append", f"console={machine.console} {APPEND}"]
    log = run.step("running KUnit in a guest", argv, log=f"{where.name}-console.log",
                   deadline=DEADLINE, repeat=repeat)
    return log.read_text(errors="replace")


def kunit(run, arch=kernel.ARCH, flavour=kernel.PLAIN):
    """Build and run the suites; prints a line for each suite and returns [Result]."""
    repeat = "./kho kunit" + kernel.words(arch, flavour)
    where, laid = build(run, arch, flavour, repeat)
    text = run_guest(run, arch, flavour, where, repeat)
    results = unit.read_ktap(laid, text)
    for suite in expected(laid):
        mine = [r.ok for r in results if r.name.split(".")[0] == suite]
        if mine:
            run.say(f"  {suite}: {sum(mine)} of {len(mine)} passed")
        else:
            results.append(Result(suite, False, "the suite is in the sources and did not run"))
    bad = kho_report.splats(text.splitlines())
    return results + [Result("console", False, line.strip()) for line in bad[:1]]
