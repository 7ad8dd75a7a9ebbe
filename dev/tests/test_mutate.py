# SPDX-License-Identifier: GPL-2.0
"""Each row of dev/mutants is a mutant of the sources as they are."""
import unittest

from dev import mutate, unit
from dev.host import ROOT


class Mutants(unittest.TestCase):

    def test_listed(self):
        paths = [path for pattern in unit.SOURCES for path in ROOT.glob(pattern)]
        rows = {mutate.row(m) for path in paths for m in mutate.mutants(path)}
        self.assertEqual(mutate.listed() - rows, set())
