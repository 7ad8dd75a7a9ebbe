# SPDX-License-Identifier: GPL-2.0
"""The language of dev/edits."""
import unittest

from dev import edit
from dev.host import Stop

TEXT = "a\n  b\nc\nd\nx\nx\n"


class Edit(unittest.TestCase):

    def check(self, rules, result, text=TEXT):
        self.assertEqual(result, edit.apply(text, edit.parse(rules, "e"), "t").split())

    def refused(self, rules, *words):
        with self.assertRaises(Stop) as caught:
            self.check(rules, [])
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_verbs(self):
        self.check("after b\n+n", list("abncdxx"))
        self.check("before b\n+n", list("anbcdxx"))
        self.check("replace b\n+n", list("ancdxx"))
        self.check("delete b", list("acdxx"))

    def test_ranges(self):
        self.check("replace b\nto d\n+n", list("anxx"))
        self.check("replace b\nuntil d\n+n", list("andxx"))
        self.check("delete a\nto x", ["x"])
        self.check("delete a\nuntil x", ["x", "x"])

    def test_rules_meet(self):
        self.check("before c\n+2\nafter b\n+1\ndelete c\nafter c\n+3", list("ab21") + list("3dxx"))
        self.refused("delete a\nto c\nreplace b\n+n", "two rules for the line 'b' of t")

    def test_lost_line(self):
        self.refused("# why\nafter bb\n+n", "e:2: 'bb' is in t 0 times", "2: b")
        self.refused("delete x", "'x' is in t 2 times", "5: x", "6: x")
        self.refused("delete d\nto c", "'c' is not in t after 'd'")

    def test_not_a_rule(self):
        self.refused("swap a", "e:1:", "is not a rule")
        self.refused("after a\nto b\n+n", "e:2:", "is not a rule")
        self.refused("after a", "needs new lines")
        self.refused("delete a\n+n", "needs no new lines")
        self.refused("# nothing", "no rule")
