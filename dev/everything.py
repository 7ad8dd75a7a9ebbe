# SPDX-License-Identifier: GPL-2.0
"""./kho test: all tests, layer by layer."""
from dev import base_tests, check, headers, kernel, kunit, runner, tools, unit
from dev.host import Result, Stop

# What 'test -a all' tests.
TARGETS = [(kernel.ARCH, kernel.PLAIN), ("arm64", kernel.PLAIN), ("arm64", "64k")]
MATRIX = """\
what runs where:
                        x86_64    arm64          arm64 -f 64k
  check, unit, fuzz     (once; the unit tests are built for pages of 4 and 64 KiB)
  headers, KUnit        test      test -a arm64  test -a arm64 -f 64k
  all kexec cases       test      test -a arm64  test -a arm64 -f 64k
  some kexec cases                test
  selftests of the base           (test -a all)
  'test -a all' runs everything in this table.  '--base 7.2' runs check, headers, KUnit and the
  kexec cases on the other base, and two further kexec cases from one base to the other.
"""


def test(run, arch, flavour):
    """{verb: [Result]}; every layer is run, even after another one has failed."""
    names, series = kernel.split(flavour)
    if arch == "all" and names != [kernel.PLAIN]:
        raise Stop("'-a all' has its own flavours: leave out -f")
    whole = arch in ("all", None) and flavour == kernel.PLAIN
    chosen = TARGETS if arch == "all" else [(arch or kernel.ARCH, "+".join(names))]
    targets = [(arch, kernel.on_base(name, series)) for arch, name in chosen]
    # report missing tools before anything is built
    arches = {arch for arch, _ in targets} | ({"arm64"} if whole else set())
    tools.require(run, *tools.for_arches(*sorted(arches)))
    layers = {f"check --base {series}": lambda: check.check(run, series)} if series else {}
    if whole:
        layers = {"check": lambda: check.check(run), "unit": lambda: unit.unit(run),
                  "fuzz": lambda: unit.fuzz(run, None, 0)}
    for target in targets:
        layers.update(of_kernel(run, *target))
    if arch == "all" and not series:
        layers["base-tests"] = lambda: base_tests.base_tests(run)
    if whole and arch is None:
        layers["kexec -a arm64"] = lambda: runner.run_cases(run, kernel.build(run, "arm64"),
                                                            runner.SHORT)
    return {verb: results(layer) for verb, layer in layers.items()}


def of_kernel(run, arch, flavour):
    """The layers for one kernel, {verb: function}."""
    options, which = kernel.words(arch, flavour), (run, arch, flavour)
    return {f"build{options}": lambda: headers.check(run, kernel.build(*which)),
            f"kunit{options}": lambda: kunit.kunit(*which),
            f"kexec{options}": lambda: runner.run_cases(run, kernel.build(*which), [])}


def results(layer):
    try:
        return layer()
    except Stop as e:
        if e.status == 2:
            raise
        return [Result("all", False, str(e))]
