# SPDX-License-Identifier: GPL-2.0
"""Each row of tools/testing/kho/mutants is a mutant of the sources as they are."""
import subprocess
import unittest

from dev.host import ROOT
from dev.unit import FOLDER


class Mutants(unittest.TestCase):

    def test_listed(self):
        done = subprocess.run([ROOT / FOLDER / "mutate.py", "--check"], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            self.fail(done.stderr.strip())
