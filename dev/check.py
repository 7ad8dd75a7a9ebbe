# SPDX-License-Identifier: GPL-2.0
"""./kho check: everything that can be checked without building a kernel."""
import re
import unittest

from dev import base, manifest, series
from dev.host import ROOT, Result, Stop, output

# Files whose words are not checked: text of other authors, and inputs of tests.
OTHERS = (":!dev/words", ":!COPYING", ":!*/corpus/*")
# Between two words: white space, and the markers at the start of lines of comments and edits.
BLANK = r"(?:[\s*#+]|//|\"\s*\")+"


def check(run, chosen=None):
    """[Result] for the chosen base, or for the default and all other bases in the cache."""
    found = base.find(run, chosen)
    results = prove(run, "manifest", found)
    if found.series == base.default():      # dev/series is for this base only
        try:
            series.patches_for(found)
            results.append(Result("dev/series", True))
        except Stop as e:
            results.append(Result("dev/series", False, str(e)))
    others = [] if chosen else [other for other in base.supported() if other != found.series]
    for other in others:
        if base.cached(other):
            results += prove(run, f"manifest for {other}", base.cached(other))
        else:
            run.say(f"# not checked on Linux {other}: './kho setup --base {other}' fetches it")
    return results + own_tests() + words()


def prove(run, name, found):
    """[Result] of manifest and edits for a base."""
    errors, warnings = manifest.Sources(found.series).prove(found.dir)
    for warning in warnings:
        run.say(f"warning: {warning}")
    return [Result(name, False, error) for error in errors] or [Result(name, True)]


def own_tests():
    """[Result] of the tests of this driver, dev/tests."""
    tests = unittest.defaultTestLoader.discover(str(ROOT / "dev/tests"), top_level_dir=str(ROOT))
    outcome = unittest.TestResult()
    tests.run(outcome)
    bad = [Result(test.id(), False, trace.strip().splitlines()[-1])
           for test, trace in outcome.failures + outcome.errors]
    return bad + [Result("dev/tests", True)] * (outcome.testsRun - len(bad))


def words():
    """[Result] of the words of dev/words in all files that git tracks or would add."""
    results, table = [], []
    for number, line in enumerate((ROOT / "dev/words").read_text().splitlines(), 1):
        pattern, colon, instead = map(str.strip, line.rpartition(" : "))
        if colon:
            pattern = rf"\b(?:{pattern.replace(' ', BLANK)})\b"
            table.append((re.compile(pattern, re.I), instead))
        elif not line.startswith("#"):
            raise Stop(f"dev/words:{number}: want 'pattern : what to write instead'", 1)
    listed = output(["git", "ls-files", "-co", "--exclude-standard", "--", ".", *OTHERS], cwd=ROOT)
    if not listed:
        raise Stop(f"{ROOT} is not a git repository, whose files could be checked for words")
    for name in listed.splitlines():
        text = (ROOT / name).read_text(errors="replace") if (ROOT / name).is_file() else ""
        for pattern, instead in table:
            for hit in pattern.finditer(text):
                line, word = text.count("\n", 0, hit.start()) + 1, " ".join(hit[0].split())
                results.append(Result("words", False, f"{name}:{line}: '{word}': write {instead}"))
    return results or [Result("words", True)]
