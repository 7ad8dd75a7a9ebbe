# SPDX-License-Identifier: GPL-2.0
"""Reading the output of a guest."""
import unittest

import kho_report

GOOD = """\
KTAP version 1
1..2
# 1 file f0
ok 1 - file f0
# kexec
ok 2 - kexec
KTAP version 1
1..1
# sha256 f0 12
ok 1 - check f0
# end
"""
BOOTS = "Linux version 7\nLinux version 7"


def lines(text):
    return [kho_report.Line(at, line) for at, line in enumerate(text.splitlines())]


class Report(unittest.TestCase):

    def why(self, results, boots=BOOTS, finished=True):
        outcome = kho_report.Outcome(lines(boots), lines(results), finished, 9)
        return kho_report.problem(outcome, 2)

    def test_good(self):
        first, second = kho_report.hops(GOOD.splitlines())
        self.assertEqual((2, "kexec", "end"), (first.planned, first.ended, second.ended))
        self.assertEqual("file f0", first.points[0].text)
        self.assertEqual("sha256 f0 12", second.notes[0])
        self.assertEqual("", self.why(GOOD))

    def test_failed_step(self):
        bad = GOOD.replace("ok 1 - check", "not ok 1 - check")
        self.assertEqual("kernel 2: check f0: sha256 f0 12", self.why(bad))

    def test_cut_short(self):
        first = GOOD[:GOOD.index("KTAP", 9)]
        self.assertIn("kexec out of kernel 1", self.why(first, "Linux version 7"))
        self.assertIn("boot of kernel 2, after: Linux version 7", self.why(first))
        self.assertIn("kernel 2, after 1 of 1 steps", self.why(GOOD.replace("# end\n", "")))
        self.assertIn("kernel 1: 2 steps reported, 3 planned",
                      self.why(GOOD.replace("1..2", "1..3")))
        self.assertIn("before the first kernel", self.why("", ""))

    def test_bail_out(self):
        self.assertEqual("kernel 1: Bail out! no share", self.why("Bail out! no share"))

    def test_deadline(self):
        self.assertIn("still running after 9 s", self.why(GOOD, finished=False))

    def test_splats(self):
        splat = "[ 1.0] BUG: KASAN: use-after-free in luo_file"
        self.assertIn(splat, self.why(GOOD, f"{BOOTS}\n{splat}"))
        self.assertEqual([], kho_report.splats([splat], ["KASAN: use"]))
        self.assertEqual([], kho_report.splats(["Linux version 7", ""]))
