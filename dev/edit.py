# SPDX-License-Identifier: GPL-2.0
"""Edits: small changes of kernel files, written as rules instead of patches.

dev/edits/<path>.edit holds the rules for <path>:

    # a comment
    after <line>        new lines below this line
    before <line>       new lines above it
    replace <line>      new lines in its place
    delete <line>       nothing in its place
    to <line>           after replace or delete: the range up to the next such line
    until <line>        the same, without that line
    +<new line>         a new line of the rule above it, verbatim after the +

<line> is a whole line of the file, without white space at its ends.  The file must have it
exactly once; that of `to` and `until` may occur more often.  All rules refer to the original
file, not to the result of other rules.
"""
import difflib
from dataclasses import dataclass, field

from dev.host import Stop

# for each verb, whether new lines follow
VERBS = {"after": True, "before": True, "replace": True, "delete": False}


@dataclass
class Rule:
    where: str          # file and line, for messages
    verb: str
    anchor: str
    new: list = field(default_factory=list)
    end: str = ""       # `to` or `until`
    last: str = ""      # the line of `to` or `until`


def parse(text, name):
    """Rules of an edit file."""
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        verb, _, anchor = line.partition(" ")
        anchor = anchor.strip()
        ranged = rules and rules[-1].verb in ("replace", "delete")
        if line.startswith("+") and rules:
            rules[-1].new.append(line[1:])
        elif verb in VERBS and anchor:
            rules.append(Rule(f"{name}:{number}", verb, anchor))
        elif verb in ("to", "until") and anchor and ranged:
            rules[-1].end, rules[-1].last = verb, anchor
        elif line.strip() and not line.startswith("#"):
            raise Stop(f"{name}:{number}: '{line}' is not a rule: a line starts with "
                       f"{', '.join(VERBS)}, to or until (below replace or delete), + or #", 1)
    for rule in rules:
        if bool(rule.new) != VERBS[rule.verb]:
            want = "new lines (+...) below it" if VERBS[rule.verb] else "no new lines"
            raise Stop(f"{rule.where}: {rule.verb} needs {want}", 1)
    if not rules:
        raise Stop(f"{name}:1: no rule in this file", 1)
    return rules


def apply(text, rules, target):
    """The text after all rules are applied; target is its name in messages."""
    lines = text.splitlines()
    bare = [line.strip() for line in lines]
    todo = sorted(((*place(bare, rule, target), rule) for rule in rules), key=lambda t: t[:2])
    limit = len(lines)
    for start, end, rule in reversed(todo):
        if end > limit:
            raise Stop(f"{rule.where}: two rules for the line '{bare[limit]}' of {target}", 1)
        lines[start:end] = rule.new
        limit = start
    return "\n".join(lines) + "\n"


def place(bare, rule, target):
    """Start and end of the lines that a rule replaces."""
    found = [i for i, line in enumerate(bare) if line == rule.anchor]
    if len(found) != 1:
        raise Stop(f"{rule.where}: '{rule.anchor}' is in {target} {len(found)} times instead "
                   "of once" + nearest(bare, rule.anchor, found), 1)
    start = found[0] + (rule.verb == "after")
    if rule.verb in ("after", "before"):
        return start, start
    if not rule.end:
        return start, start + 1
    if rule.last not in bare[start + 1:]:
        raise Stop(f"{rule.where}: '{rule.last}' is not in {target} after '{rule.anchor}'"
                   + nearest(bare, rule.last, []), 1)
    return start, bare.index(rule.last, start + 1) + (rule.end == "to")


def nearest(bare, anchor, found):
    """For a message: the lines that match, or the lines that are most similar to the anchor."""
    alike = difflib.get_close_matches(anchor, set(bare) - {""}, 3, 0.5)
    numbers = found[:4] or sorted(map(bare.index, alike))
    return "".join(f"\n  {i + 1}: {bare[i]}" for i in numbers) or "; nothing there is like it"
