# SPDX-License-Identifier: GPL-2.0
"""KUnit: configured and built by the kernel's own kunit.py, and all KTAP read by its parser.

Only the guest is started here, because kunit.py tries KVM first and would wait for ever
where /dev/kvm is there and does not work.
"""
import importlib
import os
import re
import sys

from dev import guest, kernel, tools, tree
from dev.host import OUT, Failed, Result, Stop, need_space

KUNIT = "tools/testing/kunit"
CONFIG = "kernel/liveupdate"
DEADLINE = 300
MEMORY = 1024       # MiB, where the flavour needs no more
# KASAN makes the size that is worked out at boot larger than the guest
SCRATCH = "kho_scratch=16M,64M,64M"
# No suite needs these, and they are a third of the build.
LEFT_OUT = ("ACPI", "BLOCK", "FTRACE", "INPUT", "IO_URING", "NET", "PCI", "SERIO", "SUSPEND", "VT")
REASON = re.compile(r"# \S+: (?:EXPECTATION |ASSERTION )?failed (at .*)", re.I)
SUITE = re.compile(r"struct kunit_suite \w+ = \{[^}]*?\.name = \"([^\"]+)\"", re.S)


def build(run, arch, flavour):
    """The KUnit kernel and the laid tree it came from."""
    tools.require(run, more=tools.for_arch(arch))
    names, series = kernel.split(flavour)
    laid = tree.lay(run, series)
    if not (laid.dir / CONFIG / ".kunitconfig").exists():
        raise Stop(f"{CONFIG}/.kunitconfig is missing: it says which suites are built")
    pages = [name for name in names if name in kernel.PAGES]
    where = OUT / "build" / kernel.on_base("+".join([f"{arch}-kunit", *pages]), series)
    need_space(OUT, 300 if (where / "vmlinux").exists() else 3000, "building a kernel")
    words = [f"--arch={arch}", f"--kunitconfig={CONFIG}", f"--build_dir={where}"]
    words += [f"--cross_compile={tools.prefix(arch)}"] if tools.prefix(arch) else []
    words += [f"--kconfig_add=CONFIG_{option}" for option in ("EXPERT=y", *(f"{name}=n" for name in LEFT_OUT))]
    words += [f"--kconfig_add={option}={value}" for name in pages for option, value in kernel.options(kernel.fragment(name).read_text()).items()]
    words += [f"--make_options={w}" for w in kernel.compiler(arch) if w.startswith("CC=")]
    env = {**kernel.environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    for verb, title in (("config", "configuring the KUnit kernel"),
                        ("build", f"building the kernel ({where.name})")):
        log = run.step(title, ["python3", f"{KUNIT}/kunit.py", verb, *words], log=f"kunit-{verb}.log",
                       cwd=laid.dir, env=env, repeat="./kho kunit" + kernel.words(arch, flavour))
        kernel.refuse_warnings(log, laid.paths)
    return where, laid


def expected(laid):
    """Names of the suites in the sources of the overlay."""
    names = []
    for path in laid.paths:
        if path.startswith(CONFIG) and path.endswith(".c") and (laid.dir / path).exists():
            names += SUITE.findall((laid.dir / path).read_text())
    return names


def accelerator(arch):
    """What $KHO_ACCEL says; the suites take seconds, which is not worth a probe."""
    accel = arch == tools.HOST and os.environ.get("KHO_ACCEL") or "tcg"
    if accel not in guest.SLOWER:
        raise Stop(f"KHO_ACCEL={accel} is neither of {', '.join(guest.SLOWER)}")
    return accel


def run_guest(run, arch, flavour, where, accel):
    """Boot the kernel, which runs its suites and reboots; the console as a file."""
    console = run.path(f"{where.name}-console.log")
    machine = guest.MACHINES[arch]
    memory = max(MEMORY, guest.weight(flavour).least)
    argv = [machine.qemu, *machine.argv, *(machine.cpu if accel == "tcg" else ["-cpu", "host"]), "-accel", accel,
            "-m", f"{memory}M", "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot",
            "-serial", f"file:{console}", "-kernel", where / kernel.IMAGE[arch],
            "-append", f"console={machine.console} kunit.enable=1 kunit_shutdown=reboot panic=-1 {SCRATCH}"]
    try:
        run.step("running KUnit in a guest", argv, log="kunit-qemu.log", deadline=DEADLINE,
                 repeat="./kho kunit" + kernel.words(arch, flavour))
    except Failed as e:
        raise Failed(f"KUnit guest: {e.why}\n  console: {console}\n  repeat:  ./kho kunit"
                     + kernel.words(arch, flavour),
                     e.why, console) from None
    return console


def read_ktap(laid, text, *above):
    """[Result] of all test cases in a text, but for those that were skipped."""
    sys.path.insert(0, str(laid.dir / KUNIT))
    try:
        parser, printer = map(importlib.import_module, ("kunit_parser", "kunit_printer"))
    finally:
        del sys.path[0]
    whole = parser.parse_run_tests(text.splitlines(), printer.null_printer)
    return list(flatten(parser.TestStatus, whole, above))


def flatten(status, group, above):
    for test in group.subtests:
        name = (*above, test.name)
        if test.subtests:
            yield from flatten(status, test, name)
        elif test.status != status.SKIPPED:
            found = next(filter(None, map(REASON.search, test.log)), None)
            why = re.sub(r"(\.\./)+tree[^/]*/", "", found[1]) if found else test.status.name.lower()
            yield Result(".".join(name), test.ok_status(), "" if test.ok_status() else why)


def kunit(run, arch=kernel.ARCH, flavour=kernel.PLAIN):
    """Build, boot and judge; prints a line for each suite and returns [Result]."""
    accel = accelerator(arch)
    where, laid = build(run, arch, flavour)
    console = run_guest(run, arch, flavour, where, accel)
    results = read_ktap(laid, console.read_text(errors="replace"))
    for suite in expected(laid):
        mine = [r for r in results if r.name.split(".")[0] == suite]
        passed = sum(r.ok for r in mine)
        if mine:
            run.say(f"  {suite}: {passed} of {len(mine)} passed")
        else:
            results.append(Result(suite, False, "the suite is in the sources and did not run"))
    lines = console.read_text(errors="replace").splitlines()
    seen = guest.splats([guest.Line(0, line) for line in lines])
    return results + [Result("console", False, line.strip()) for line in seen[:1]]
