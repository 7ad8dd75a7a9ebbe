# SPDX-License-Identifier: GPL-2.0
"""Our kernel is compared with the stock kernel, and not with itself."""
import unittest

from dev import bench, kernel


class Bench(unittest.TestCase):

    def test_trees(self):
        for who, flavour in bench.FLAVOURS.items():
            self.assertEqual(who == bench.STOCK, kernel.of_base(flavour), flavour)
