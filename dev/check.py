# SPDX-License-Identifier: GPL-2.0
"""./kho check: everything that can be seen without building."""
import unittest

from dev import base, manifest, series, tree, words
from dev.host import ROOT, Result, Stop


def check(run, chosen=None, update=False):
    """[Result] for the base that is meant, and without one for all that are there."""
    found = base.find(run, chosen)
    sources = manifest.Sources(found.series)
    if update:
        for row in sources.update_hashes(found.dir):
            run.say(f"{row}: hash updated")
    errors, warnings = sources.prove(found.dir)
    for warning in warnings:
        run.say(f"warning: {warning}")
    results = [Result("manifest", False, e) for e in errors] or [Result("manifest", True)]
    if found.series == base.default():      # the one that dev/series is written for
        results.append(check_series(found, sources))
    if not chosen:
        results += other_bases(run, found.series)
    return results + own_tests() + words.check()


def check_series(found, sources):
    """Whether manifest, messages and edits of dev/series make a series."""
    try:
        series.fill(series.plan(sources), sources, tree.reader(found.dir))
    except Stop as e:
        return Result("dev/series", False, str(e))
    return Result("dev/series", True)


def other_bases(run, known):
    """[Result] of manifest and edits for the other bases, as far as they are there."""
    results = []
    for other in (row[0] for row in base.supported() if row[0] != known):
        found = base.cached(other)
        if found:
            errors, _ = manifest.Sources(other).prove(found.dir)
            results.append(Result(f"manifest for {other}", not errors, "; ".join(errors)))
        else:
            run.say(f"# not checked on Linux {other}: './kho setup --base {other}' fetches it")
    return results


def own_tests():
    """[Result] of the tests of this driver, dev/tests."""
    outcome = unittest.TestResult()
    unittest.defaultTestLoader.discover(str(ROOT / "dev/tests"), top_level_dir=str(ROOT)).run(outcome)
    bad = [Result(test.id(), False, trace.strip().splitlines()[-1]) for test, trace in outcome.failures + outcome.errors]
    return bad + [Result("dev/tests", True)] * (outcome.testsRun - len(bad))
