# SPDX-License-Identifier: GPL-2.0
"""./kho check: everything that can be checked without building a kernel."""
import unittest

from dev import base, manifest, series, words
from dev.host import ROOT, Result, Stop


def check(run, chosen=None):
    """[Result] for the chosen base, or for the default and all other bases in the cache."""
    found = base.find(run, chosen)
    results = prove(run, "manifest", found)
    if found.series == base.default():      # dev/series is for this base only
        results.append(check_series(found))
    for other in [] if chosen else {*base.supported()} - {found.series}:
        if base.cached(other):
            results += prove(run, f"manifest for {other}", base.cached(other))
        else:
            run.say(f"# not checked on Linux {other}: './kho setup --base {other}' fetches it")
    return results + own_tests() + words.check()


def prove(run, name, found):
    """[Result] of manifest and edits for a base."""
    errors, warnings = manifest.Sources(found.series).prove(found.dir)
    for warning in warnings:
        run.say(f"warning: {warning}")
    return [Result(name, False, error) for error in errors] or [Result(name, True)]


def check_series(found):
    """Whether the manifest, and the messages and edits of dev/series, fit together."""
    try:
        series.patches_for(found)
    except Stop as e:
        return Result("dev/series", False, str(e))
    return Result("dev/series", True)


def own_tests():
    """[Result] of the tests of this driver, dev/tests."""
    tests = unittest.defaultTestLoader.discover(str(ROOT / "dev/tests"), top_level_dir=str(ROOT))
    outcome = unittest.TestResult()
    tests.run(outcome)
    bad = [Result(test.id(), False, trace.strip().splitlines()[-1])
           for test, trace in outcome.failures + outcome.errors]
    return bad + [Result("dev/tests", True)] * (outcome.testsRun - len(bad))
