# SPDX-License-Identifier: GPL-2.0
"""./kho kunit: kunit.py of the kernel configures, builds, and runs the suites in a guest."""
import os
import re

import kho_guest
import kho_report

from dev import guest, kernel, tools, tree, unit
from dev.host import OUT, Result

CONFIG = "kernel/liveupdate"
DEADLINE = 300
MEMORY = 1024       # MiB, unless the flavour needs more
# with KASAN, scratch memory of the default size would be larger than the guest
APPEND = "panic=-1 kho_scratch=16M,64M,64M"
SUITE = re.compile(r"struct kunit_suite \w+ = \{[^}]*?\.name = \"([^\"]+)\"", re.S)


def run_suites(run, arch, flavour, repeat):
    """Let kunit.py build the kernel and run it: (the console, the tree with our sources)."""
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
    env = {**kernel.environment(), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    # the suites only take seconds, so do not probe KVM
    env["PATH"] = os.environ["PATH"] if guest.wanted(arch) == "kvm" else tools.without_kvm(run)

    def step(title, verb, *more, **limit):
        return run.step(title, ["python3", f"{unit.KUNIT}/kunit.py", verb, *words, *more],
                        log=f"{where.name}-{verb}.log", cwd=laid.dir, env=env, repeat=repeat,
                        **limit)

    for verb, title in (("config", "configuring the KUnit kernel"),
                        ("build", f"building the kernel ({where.name})")):
        kernel.refuse_warnings(step(title, verb), laid.paths, repeat)
    memory = max(MEMORY, guest.weight(flavour).least)
    machine = " ".join([f"-m {memory} -smp {kho_guest.PROCESSORS}", *kho_guest.MACHINES[arch].cpu])
    return step("running KUnit in a guest", "exec", "--raw_output=all", f"--timeout={2 * DEADLINE}",
                f"--kernel_args={APPEND}", f"--qemu_args={machine}", deadline=DEADLINE), laid


def expected(laid):
    """Names of the KUnit suites in our sources."""
    sources = [laid.dir / path for path in laid.paths
               if path.startswith(CONFIG) and path.endswith(".c")]
    return [name for place in sources if place.exists()
            for name in SUITE.findall(place.read_text())]


def kunit(run, arch=kernel.ARCH, flavour=kernel.PLAIN):
    """Build and run the suites; prints a line for each suite and returns [Result]."""
    repeat = "./kho kunit" + kernel.words(arch, flavour)
    log, laid = run_suites(run, arch, flavour, repeat)
    text = log.read_text(errors="replace")
    results = unit.read_ktap(laid, text)
    for suite in expected(laid):
        mine = [r.ok for r in results if r.name.split(".")[0] == suite]
        if mine:
            run.say(f"  {suite}: {sum(mine)} of {len(mine)} passed")
        else:
            results.append(Result(suite, False, "the suite is in the sources and did not run"))
    bad = kho_report.splats(text.splitlines())
    return results + [Result("console", False, line.strip()) for line in bad[:1]]
