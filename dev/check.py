# SPDX-License-Identifier: GPL-2.0
"""./kho check: everything that can be checked without building a kernel."""
import unittest

from dev import base, manifest, series, tree, words
from dev.host import ROOT, Result, Stop


def check(run, chosen=None, update=False):
    """[Result] for the chosen base, or for the default and all other bases in the cache."""
    found = base.find(run, chosen)
    sources = manifest.Sources(found.series)
    if update:
        for row in sources.update_hashes(found.dir):
            run.say(f"{row}: hash updated")
    results = prove(run, "manifest", found)
    if found.series == base.default():      # dev/series is for this base only
        results.append(check_series(found, sources))
    for other in [] if chosen else base.supported():
        if other == found.series:
            continue
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


def check_series(found, sources):
    """Whether the manifest, and the messages and edits of dev/series, fit together."""
    try:
        series.fill(series.plan(sources), sources, tree.reader(found.dir))
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
