# SPDX-License-Identifier: GPL-2.0
"""Edits: small changes to base files, kept as rules instead of patches.

dev/edits/<path>.edit holds the rules for <path>:

    # a comment
    after <line>        put the new lines below this line
    swap <line>         put the new lines in its place
    drop <line>         take the line away
    cut <line>          take away all from this line
    to <line>           ... to the next one like this; new lines may follow
    +<new line>         one new line of the rule above it, verbatim after the +

<line> is a whole line of the base file, and must be there exactly once; white space
at its ends does not count.  That of `to` may be there more often.  Rules never see what
other rules did.  An edit that is already in the file (new lines there, old ones gone)
changes nothing when asked for again, which is what a second `./kho apply` does.

MAINTAINERS is merged by heading: lines our section has and the base lacks are put in
beside the lines of the same letter, a new section goes to its place in the alphabet,
and files the overlay removes leave the list.
"""
import difflib
from dataclasses import dataclass, field

from dev.host import Stop

VERBS = ("after", "swap", "drop", "cut")


class EditError(Stop):
    """A rule that cannot be read or does not fit the base file."""

    def __init__(self, message):
        super().__init__(message, 1)


@dataclass
class Rule:
    line: int           # in the edit file, for messages
    verb: str
    anchor: str
    new: list = field(default_factory=list)
    last: str = ""      # of a cut: its last line


def parse(text, name):
    """Rules of an edit file."""
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        verb, _, anchor = line.partition(" ")
        if line.startswith("+") and rules:
            rules[-1].new.append(line[1:])
        elif verb in VERBS and anchor.strip():
            rules.append(Rule(number, verb, anchor.strip()))
        elif verb == "to" and anchor.strip() and rules and rules[-1].verb == "cut":
            rules[-1].last = anchor.strip()
        elif line.strip() and not line.startswith("#"):
            raise EditError(f"{name}:{number}: '{line}' is not a rule: a line starts with "
                            "after, swap, drop, cut, to (below cut), + or #")
    for rule in rules:
        if rule.verb == "cut":
            if not rule.last:
                raise EditError(f"{name}:{rule.line}: cut needs a line 'to ...' below it")
        elif bool(rule.new) == (rule.verb == "drop"):
            want = "no new lines" if rule.verb == "drop" else "new lines (+...) below it"
            raise EditError(f"{name}:{rule.line}: {rule.verb} needs {want}")
    if not rules:
        raise EditError(f"{name}:1: no rule in this file")
    return rules


def apply(text, rules, name, target, again=False):
    """The text after all rules; again = parts that are already in are left alone."""
    lines = text.splitlines()
    bare = [line.strip() for line in lines]
    todo = []
    for rule in rules:
        if again and already(lines, bare, rule):
            continue
        at = [i for i, line in enumerate(bare) if line == rule.anchor]
        if len(at) != 1:
            raise EditError(f"{name}:{rule.line}: '{rule.anchor}' is in {target} {len(at)} times "
                            f"instead of once{nearest(bare, rule.anchor, at)}")
        todo.append((at[0], last_line(bare, at[0], rule, name, target), rule))
    begin = len(lines)
    for at, last, rule in sorted(todo, key=lambda t: t[0], reverse=True):
        if last >= begin:
            raise EditError(f"{name}:{rule.line}: two rules for the line '{bare[begin]}'")
        begin = at
        keep = [lines[at]] if rule.verb == "after" else []
        lines[at:last + 1] = keep + rule.new
    return "\n".join(lines) + "\n"


def last_line(bare, first, rule, name, target):
    """Where the lines of a rule end: where they begin, unless it is a cut."""
    if rule.verb != "cut":
        return first
    for at in range(first + 1, len(bare)):
        if bare[at] == rule.last:
            return at
    raise EditError(f"{name}:{rule.line}: '{rule.last}' is not in {target} after "
                    f"'{rule.anchor}'{nearest(bare, rule.last, [])}")


def unguarded(text, rules, name, target):
    """Messages about rules that would not be missed when a line they need is lost."""
    for rule in rules:
        for anchor in filter(None, (rule.anchor, rule.last)):
            rest = "\n".join(line for line in text.splitlines() if line.strip() != anchor)
            try:
                apply(rest, rules, name, target)
            except EditError as e:
                said = str(e)
                if said.startswith(f"{name}:{rule.line}: '{anchor}' is ") and target in said:
                    continue
            yield f"{name}:{rule.line}: nothing names this rule when {target} has lost '{anchor}'"


def already(lines, bare, rule):
    """Whether the rule was carried out before."""
    if rule.verb == "drop" or rule.verb == "cut" and not rule.new:
        return rule.anchor not in bare
    kept = [line.strip() for line in rule.new].count(rule.anchor)
    if rule.verb in ("swap", "cut") and bare.count(rule.anchor) != kept:
        return False
    size = len(rule.new)
    starts = [i for i in range(len(lines) - size + 1) if lines[i:i + size] == rule.new]
    if rule.verb == "after":
        starts = [i for i in starts if i and bare[i - 1] == rule.anchor]
    return len(starts) == 1


def nearest(bare, anchor, at):
    """For a message: the lines that match, or those most like the anchor."""
    numbers = at[:4]
    if not at:
        alike = difflib.get_close_matches(anchor, set(bare) - {""}, 3, 0.5)
        numbers = sorted(bare.index(line) for line in alike)
    return "".join(f"\n  {i + 1}: {bare[i]}" for i in numbers) or "; nothing there is like it"


def merge_maintainers(base, ours, removed, name):
    """The base's MAINTAINERS with our sections merged in."""
    lines = base.splitlines()
    gone = {f"F:\t{path}" for path in removed}
    for heading, entries in sections(ours, name):
        if heading not in lines:
            at = new_place(lines, heading)
            lines[at:at] = [heading] + entries + [""]
            continue
        begin = lines.index(heading)
        end = lines.index("", begin) if "" in lines[begin:] else len(lines)
        body = [line for line in lines[begin + 1:end] if line not in gone]
        for entry in entries:
            if entry not in body:
                body.insert(entry_place(body, entry), entry)
        lines[begin + 1:end] = body
    return "\n".join(lines) + "\n"


def sections(text, name):
    """(heading, entry lines) of our MAINTAINERS."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[1:3] == ":\t":
            if not found:
                raise EditError(f"{name}:{number}: an entry above the first heading")
            found[-1][1].append(line.rstrip())
        else:
            found.append((line.rstrip(), []))
    return found


def entry_place(body, entry):
    """Where an entry goes: among those of its letter, sorted when they are files."""
    same = [i for i, line in enumerate(body) if line[:2] == entry[:2]]
    if entry[0] in "FX":
        later = [i for i in same if body[i] > entry]
        if later:
            return later[0]
    return same[-1] + 1 if same else len(body)


def new_place(lines, heading):
    """Line where a new section goes: the base's order has slips, so where it fits best."""
    start = lines.index("Maintainers List") if "Maintainers List" in lines else 0
    score = best = 0
    place = None
    for i in range(start + 1, len(lines) - 1):
        if lines[i - 1] or not lines[i][:1].isalnum() or lines[i + 1][1:3] != ":\t":
            continue
        if place is None or score < best:
            place, best = i, score
        score += 1 if lines[i] > heading else -1
    return len(lines) if place is None else place
