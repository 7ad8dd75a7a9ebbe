# SPDX-License-Identifier: GPL-2.0
"""KUnit: configured, built and judged by the kernel's own kunit.py.

Only the guest is started here, because kunit.py tries KVM first and would wait for ever
where /dev/kvm is there and does not work.
"""
import json
import os
import re

from dev import guest, kernel, tools, tree
from dev.host import OUT, Failed, Result, Stop, need_space

KUNIT = "tools/testing/kunit/kunit.py"
CONFIG = "kernel/liveupdate"
DEADLINE = 300
MEMORY = 1024       # MiB, where the flavour needs no more
# KASAN makes the size that is worked out at boot larger than the guest
SCRATCH = "kho_scratch=16M,64M,64M"
# No suite needs these, and they are a third of the build.
LEFT_OUT = ("ACPI", "BLOCK", "FTRACE", "INPUT", "IO_URING", "NET", "PCI", "SERIO", "SUSPEND", "VT")
EXPECTED = re.compile(r"# (\S+): (?:EXPECTATION|ASSERTION) FAILED at (\S+)")
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
        log = run.step(title, ["python3", KUNIT, verb, *words], log=f"kunit-{verb}.log",
                       cwd=laid.dir, env=env, repeat="./kho kunit" + kernel.words(arch, flavour))
        kernel.refuse_warnings(log, laid)
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


def parse(run, laid, console):
    """[Result] of one guest, read by the parser of kunit.py."""
    found, verdict = console.with_suffix(".json"), ""
    try:
        run.step("reading the KUnit results",
                 ["python3", KUNIT, "parse", f"--json={found}", console], log="kunit-parse.log",
                 cwd=laid.dir, env={"PYTHONDONTWRITEBYTECODE": "1"})
    except Failed as e:
        # it ends so when a case failed, and also when results are cut short
        if not found.exists():
            raise
        verdict = f"kunit.py says: {e.why}"
    results = list(flatten(json.loads(found.read_text()), []))
    if verdict and all(r.ok for r in results):
        results.append(Result("results", False, verdict))
    return results


def flatten(group, above):
    for case in group.get("test_cases", []):
        if case["status"] != "SKIP":
            yield Result(".".join(above + [case["name"]]), case["status"] == "PASS",
                         "" if case["status"] == "PASS" else case["status"].lower())
    for sub in group.get("sub_groups", []):
        yield from flatten(sub, above + [sub["name"]])


def explain(results, lines):
    """Add to each failed case where its first expectation was not met."""
    found = [EXPECTED.search(line) for line in lines]
    for r in results:
        places = [re.sub(r"^(\.\./)+tree[^/]*/", "", m[2]) for m in found if m and not r.ok and m[1] in r.name.split(".")]
        if places:
            r.why += f" at {places[0]}"


def kunit(run, arch=kernel.ARCH, flavour=kernel.PLAIN):
    """Build, boot and judge; prints a line for each suite and returns [Result]."""
    accel = accelerator(arch)
    where, laid = build(run, arch, flavour)
    console = run_guest(run, arch, flavour, where, accel)
    results = parse(run, laid, console)
    for suite in expected(laid):
        mine = [r for r in results if r.name.split(".")[0] == suite]
        passed = sum(r.ok for r in mine)
        if mine:
            run.say(f"  {suite}: {passed} of {len(mine)} passed")
        else:
            results.append(Result(suite, False, "the suite is in the sources and did not run"))
    lines = console.read_text(errors="replace").splitlines()
    explain(results, lines)
    seen = guest.splats([guest.Line(0, line) for line in lines])
    return results + [Result("console", False, line.strip()) for line in seen[:1]]
