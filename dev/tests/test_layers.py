# SPDX-License-Identifier: GPL-2.0
"""Files of a folder call each other in one direction, as drawn in their internal header."""
import graphlib
import re
import unittest

from dev.host import ROOT

FOLDERS = ("kernel/liveupdate", "tools/kho", "tools/testing/kho", "tools/testing/selftests/kho")
SKETCHES = ("kexec_handover_internal.h", "luo_internal.h")
NOT_CODE = re.compile(r'/\*(?s:.*?)\*/|//.*|"(?:\\.|[^"\\\n])*"|^#(?:.*\\\n)*.*$', re.M)
FUNCTION = re.compile(r"^([\w \t*\n]*?)\b(\w+)\([^;{}]*\)\n\{", re.M)
STEP = re.compile(r"^DEFINE_(?:STEP|HARM)\((\w+),", re.M)        # of the selftest, with a body
CALL = re.compile(r"^DEFINE_STEP_AS\((\w+),", re.M)            # without one
VARIABLE = re.compile(r"^(?!static|extern|typedef)(?:[\w ]+ \**|LIST_HEAD\(|DE\w+_(?:RWSEM|MUTEX|SPINLOCK)\()"
                      r"((?!__)\w+)(?: __\w+)*(?:\[\w*\]|\))*(?: = |;)", re.M)


def uses(folder):
    """{file: names of the other files whose functions or variables it uses}."""
    places = [*(ROOT / folder).glob("*.c"), *(ROOT / folder / "custom").glob("*.c")]
    text = {p.name: NOT_CODE.sub(" ", p.read_text()) for p in places}
    text = {file: CALL.sub(r"void step_\1(void)\n{\n};(", STEP.sub(r"void step_\1(", t))
            for file, t in text.items()}
    own = {file: {m[2]: "static" in m[1] for m in FUNCTION.finditer(t)} for file, t in text.items()}
    owner = {f"{name}(": file for file, names in own.items() for name, static in names.items() if not static}
    owner.update((m[1], file) for file, t in text.items() for m in VARIABLE.finditer(t))
    found = {file: set(re.findall(r"(?<![.>\w])(?<!struct )\w+\b\(?", t)) - {f"{name}(" for name in own[file]}
             for file, t in text.items()}
    return {file: {owner[name] for name in names if name in owner} - {file} for file, names in found.items()}


class Layers(unittest.TestCase):

    def test_circles(self):
        for folder in FOLDERS:
            graph = uses(folder)
            self.assertTrue(any(graph.values()), folder)
            graphlib.TopologicalSorter(graph).prepare()     # CycleError has the circle

    def test_sketches(self):
        folder = ROOT / FOLDERS[0]
        core, luo = (re.findall(r"^ \*\t(.*\.c\b.*)$", (folder / name).read_text(), re.M) for name in SKETCHES)
        lines = [line for row in core for line in (luo if "luo_*.c" in row else [row])]
        layer = {name: n for n, line in enumerate(lines) for name in re.findall(r"\w+\.c\b", line)}
        self.assertEqual(set(layer), {p.name for p in folder.glob("*.c")} - {"liveupdate_test.c"})
        for file, others in uses(FOLDERS[0]).items():
            for other in others if file in layer else ():
                self.assertLess(layer[file], layer[other], f"{file} uses {other}")
