# SPDX-License-Identifier: GPL-2.0
"""Each row of tools/testing/kho/mutants is a mutant of the sources as they are."""
import unittest

from dev import mutate, unit
from dev.host import ROOT


class Mutants(unittest.TestCase):

    def test_listed(self):
        rows = {mutate.row(m) for path in unit.sources(ROOT) for m in mutate.mutants(path)}
        self.assertEqual(mutate.listed() - rows, set())
