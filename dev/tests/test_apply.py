# SPDX-License-Identifier: GPL-2.0
"""'./kho apply' on trees like those of users, but only with the files that our sources change."""
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from dev import base, tree
from dev.host import OUT, Stop

WHERE = "mm/memblock.c"             # a file that has an edit
REPLACED = "mm/memfd_luo.c"         # a file that is replaced
NEW = "mm/memblock_kho.c"
OTHER = "Kbuild"                    # a file that is not changed
MINE = "/* mine */\n"


class Apply(unittest.TestCase):

    def setUp(self):
        self.base = base.peek()
        if not self.base:
            self.skipTest("no base kernel yet: './kho setup'")
        OUT.mkdir(exist_ok=True)
        self.tmp = Path(tempfile.mkdtemp(dir=OUT, prefix="apply-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.place = self.tmp / "linux"
        self.laid = tree.content(self.base)
        for path in {*self.laid, "Makefile", OTHER}:
            tree.put(self.place, path, tree.read(self.base.dir / path))

    def apply(self):
        """Apply the sources; returns the text that is printed."""
        run = mock.Mock(dir=self.tmp, path=self.tmp.joinpath)
        tree.apply(run, self.place)
        return run.say.call_args.args[0]

    def state(self):
        files = [p for p in self.place.rglob("*") if p.is_file() and ".git" not in p.parts]
        return {str(p.relative_to(self.place)): tree.read(p) for p in files}

    def append(self, path):
        with open(self.place / path, "a", encoding="utf-8") as out:
            out.write(MINE)

    def check_applied(self, *changed):
        for path, what in self.laid.items():
            if path in changed:
                what = (what[0] + MINE.encode(), what[1])
            self.assertEqual(what, tree.read(self.place / path), path)

    def check_refused(self, *words):
        before = self.state()
        with self.assertRaises(Stop) as caught:
            self.apply()
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(before, self.state())

    def test_without_git(self):
        self.apply()
        self.check_applied()

    def test_again(self):
        self.apply()
        before = self.state()
        self.assertIn("already applied", self.apply())
        self.assertEqual(before, self.state())

    def test_git_with_changes_elsewhere(self):
        subprocess.run(["git", "init", "-q", self.place], check=True)
        self.append(OTHER)
        self.append(WHERE)
        self.apply()
        self.check_applied(WHERE)
        self.assertTrue((self.place / OTHER).read_text().endswith(MINE))

    def test_conflict(self):
        text = (self.place / REPLACED).read_text()
        (self.place / REPLACED).write_text(text.replace("#include", MINE + "#include"))
        self.check_refused(REPLACED, "patch does not apply", "nothing was written")

    def test_new_file_exists(self):
        (self.place / NEW).write_text(MINE)
        self.check_refused(NEW, "already exists")

    def test_not_a_kernel(self):
        (self.place / "Makefile").unlink()
        self.check_refused("is not a kernel tree")
