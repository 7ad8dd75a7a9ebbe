# SPDX-License-Identifier: GPL-2.0
"""Reading KTAP with the parser of the base."""
import unittest
from unittest import mock

from dev import base, unit

KTAP = """\
[    0.1] noise of the boot
[    0.2] KTAP version 1
[    0.2] 1..2
[    0.2]     KTAP version 1
[    0.2]     # Subtest: first
[    0.2]     1..4
[    0.2]     ok 1 good
[    0.2]     # bad: EXPECTATION FAILED at ../../tree/kernel/liveupdate/tests/a_kunit.c:12
[    0.2]     Expected 1 == 2
[    0.2]     # bad: ASSERTION FAILED at kernel/b.c:13
[    0.2]     not ok 2 bad
[    0.2]     ok 3 left # SKIP not enough memory
[    0.2]         KTAP version 1
[    0.2]         # Subtest: table
[    0.2]         ok 1 row a
[    0.2]         not ok 2 row b
[    0.2]     not ok 4 table
[    0.2] not ok 1 first
[    0.2]     KTAP version 1
[    0.2]     # Subtest: second
[    0.2]     1..1
[    0.2]     ok 1 good
[    0.2] ok 2 second
"""


class Ktap(unittest.TestCase):

    def setUp(self):
        found = base.peek()
        if not found:
            self.skipTest("no base kernel yet: './kho setup'")
        self.laid = mock.Mock(dir=found.dir)

    def read(self, text, *above):
        return {r.name: "" if r.ok else r.why for r in unit.read_ktap(self.laid, text, *above)}

    def test_whole(self):
        self.assertEqual({"first.good": "", "first.bad": "at kernel/liveupdate/tests/a_kunit.c:12",
                          "first.table.row a": "", "first.table.row b": "failure",
                          "second.good": ""}, self.read(KTAP))

    def test_prefix(self):
        self.assertEqual({"4K.one": ""}, self.read("TAP version 13\n1..1\nok 1 one\n", "4K"))

    def test_cut_short(self):
        """If the output of a guest ends within a case, a failure is reported."""
        lines = KTAP.splitlines(keepends=True)
        self.assertIn("test_crashed", self.read("".join(lines[:8])).values())
        whole = {"first.good", "first.bad"}
        self.assertEqual(whole, whole & set(self.read("".join(lines[:11]))))
        self.assertNotEqual({""}, set(self.read("".join(lines[:18])).values()))

    def test_nothing(self):
        self.assertEqual({}, self.read("no KTAP at all\n"))
