# SPDX-License-Identifier: GPL-2.0
"""Words that must not be used in this repository, so that its text is uniform: dev/words."""
import re
import subprocess
from dataclasses import dataclass, field

from dev.host import ROOT, Result, Stop

# Files that are not checked: text of other authors, and inputs of tests.
OTHERS = re.compile(r"^(dev/words|COPYING|.*/corpus/.*)$")
# Between two words: white space, and the markers at the start of lines of comments and edits.
BLANK = r"(?:[\s*#+]|//|\"\s*\")+"


@dataclass
class Word:
    pattern: re.Pattern
    instead: str
    right: list = field(default_factory=list)


def words():
    """The words of the list; Stop at a line that cannot be read."""
    found = []
    for number, line in enumerate((ROOT / "dev/words").read_text().splitlines(), 1):
        pattern, colon, instead = map(str.strip, line.rpartition(" : "))
        if line.startswith("#") or not line:
            continue
        if line.startswith("    except ") and found:
            found[-1].right.append(re.compile(line.removeprefix("    except ")))
        elif colon:
            pattern = re.compile(rf"\b(?:{pattern.replace(' ', BLANK)})\b", re.I)
            found.append(Word(pattern, instead))
        else:
            raise Stop(f"dev/words:{number}: want 'pattern : what to write instead', "
                       "or 'except pattern'", 1)
    return found


def findings(text, table):
    """(line, word, what to write instead) for each word in a text."""
    for word in table:
        for hit in word.pattern.finditer(text):
            start = text.rfind("\n", 0, hit.start()) + 1
            around = text[start:text.find("\n", hit.end()) + 1 or None]
            if not any(right.search(around) for right in word.right):
                yield text.count("\n", 0, hit.start()) + 1, " ".join(hit[0].split()), word.instead


def check():
    """[Result] of all files that git tracks or would add."""
    table, results = words(), []
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file() and not OTHERS.match(name):
            text = (ROOT / name).read_text(errors="replace")
            results += [Result("words", False, f"{name}:{line}: '{word}': write {instead}")
                        for line, word, instead in findings(text, table)]
    return results or [Result("words", True)]
