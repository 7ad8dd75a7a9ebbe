#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tries khoctl on images and handovers made here; KTAP.

    test_khoctl.py KHOCTL [--kernel PROGRAM] [--corpus FOLDER]

The kernel is a small ELF file whose notes have the layout of include/linux/kho/abi/note.h.
PROGRAM, if there is one, has the notes of the sources themselves: they are compared with
the layout that is written here.  --corpus writes the generated files to FOLDER/image and
FOLDER/blob, as seeds for the fuzzers.
"""
import argparse
import bz2
import gzip
import hashlib
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = json.loads((HERE / "khoctl.schema.json").read_text())
KINDS = {"root": 1, "structure": 2, "subtree": 3, "file": 4, "flb": 5, "alias": 6}
# The first byte of an input of fuzz_image.c and fuzz_blob.c is an index into one of these lists.
PARSERS = {"image": ["image", "notes", "scan"],
           "blob": ["any", "tree", "luo", "sessions", "files", "memfd", "metadata", "timeline", "map",
                    "running"]}
NOISE = random.Random(1)
BANNER = b"Linux version %s (user@host) #1\n\0"
OURS = [("root", "kho", "kho-v4;radix-v1;vmalloc-v1", "kho-v4;radix-v1"),
        ("structure", "block", "block-v1", "block-v1"),
        ("structure", "radix", "radix-v1", "radix-v1"),
        ("structure", "reserve-mem", "reserve-mem-v1", "reserve-mem-v1"),
        ("structure", "vmalloc", "vmalloc-v1", "vmalloc-v1"),
        ("subtree", "kexec-metadata", "kexec-metadata-v1", "kexec-metadata-v1"),
        ("subtree", "luo", "luo-v5;block-v1", "luo-v5;block-v1"),
        ("subtree", "memblock", "memblock-v1", "memblock-v1"),
        ("subtree", "timeline", "timeline-v1", "timeline-v1"),
        ("file", "memfd", "memfd-v2;vmalloc-v1", "memfd-v2;vmalloc-v1"),
        ("alias", "kho-v4", "", "kho-v4;radix-v1;vmalloc-v1"),
        ("alias", "luo-v5", "", "luo-v5;block-v1"),
        ("alias", "memfd-v2", "", "memfd-v2;vmalloc-v1")]


class Failed(Exception):
    """A test case failed."""


class Skipped(Exception):
    """A test case cannot be run on this machine."""


def want(ok, why):
    if not ok:
        raise Failed(why)


# ---- a kernel

def note(kind, name, writes, reads, shift=12, layout=1):
    """One note as the layout of the header has it."""
    desc = struct.pack("<HH", KINDS[kind], shift)
    desc += b"".join(s.encode() + b"\0" for s in (name, writes, reads))
    desc += b"\0" * (-len(desc) % 4)
    return struct.pack("<III", 4, len(desc), layout) + b"KHO\0" + desc


def notes(rows, **more):
    return struct.pack("<III", 6, 4, 1) + b"Linux\0\0\0" + b"salt" + b"".join(note(*row, **more) for row in rows)


def elf(noted, text, sections=True):
    """An ELF file with notes in a segment and, unless stripped, in a section."""
    header, program, section = 64, 56, 64
    at = header + program
    names = b"\0.notes\0.shstrtab\0"
    body = noted + text
    table = at + len(body) + len(names)
    table += -table % 8
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    out = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, header, table if sections else 0, 0,
                              header, program, 1, section, 3 if sections else 0, 2 if sections else 0)
    out += struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(noted), len(noted), 4)
    out += body
    if not sections:
        return out
    out += names
    out += b"\0" * (table - len(out)) + b"\0" * section
    out += struct.pack("<IIQQQQIIQQ", 1, 7, 2, 0, at, len(noted), 0, 0, 4, 0)
    out += struct.pack("<IIQQQQIIQQ", 8, 3, 0, 0, at + len(body), len(names), 0, 0, 1, 0)
    return out


def kernel(rows=OURS, release="7.3.4", strings=(), **more):
    text = BANNER % release.encode() + b"".join(s.encode() + b"\0" for s in strings)
    return elf(notes(rows, **more) if rows else b"", text + NOISE.randbytes(5000))


def stock(release="7.3.4", without=()):
    """A kernel without notes; its versions are among its strings."""
    strings = ["kho-v4", "luo-v5", "memfd-v2", "memblock-v1", "reserve-mem-v1", "kexec-metadata"]
    return kernel((), release, [s for s in strings if s not in without])


# ---- containers

def filtered(*command):
    def pack(data):
        if not shutil.which(command[0]):
            raise Skipped(f"{command[0]} is not installed")
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    return pack


PACKERS = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": filtered("zstd", "-19", "-c"),
    "lz4": filtered("lz4", "-l", "-9", "-c"),
    "lzo": filtered("lzop", "-9", "-c"),
}


def bzimage(packed, plain_size, sectors=4):
    """The setup of an x86 kernel, and the payload with the size that the build appends."""
    setup = bytearray((sectors + 1) * 512)
    setup[0:2] = b"MZ"
    setup[0x1f1] = sectors
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, 0x20f)
    struct.pack_into("<II", setup, 0x248, 64, len(packed) + 4)
    return bytes(setup) + b"\x90" * 64 + packed + struct.pack("<I", plain_size) + b"\0" * 100


def arm64(noted, release="7.3.4"):
    head = bytearray(64)
    head[0:2] = b"MZ"
    head[56:60] = b"ARM\x64"
    return bytes(head) + b"KHO\0" + NOISE.randbytes(400) + noted + BANNER % release.encode() + NOISE.randbytes(999)


def zboot(packed):
    head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + b"\0" * 8 + b"gzip" + b"\0" * 36
    return head + packed + b"\0" * 32


def uki(image):
    """A PE file with two sections, the second of which is the kernel."""
    pe, at = 128, 1024
    head = bytearray(at)
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 0x3c, pe)
    head[pe:pe + 24] = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 2, 0, 0, 0, 112, 0)
    for nr, (name, where, size) in enumerate([(b".osrel", at, 16), (b".linux", at + 16, len(image))]):
        head[pe + 136 + 40 * nr:pe + 176 + 40 * nr] = struct.pack(
            "<8sIIIIIIHHI", name, size, 0, size, where, 0, 0, 0, 0, 0)
    return bytes(head) + b"ID=test\0" * 2 + image


# ---- a handover

def fdt(tree):
    """A flattened tree of {name: bytes, or a dictionary for a node}."""
    strings, body = bytearray(), bytearray()

    def put(name, node):
        body.extend(struct.pack(">I", 1) + name.encode() + b"\0")
        body.extend(b"\0" * (-len(body) % 4))
        for key, value in node.items():
            if isinstance(value, dict):
                put(key, value)
                continue
            body.extend(struct.pack(">III", 3, len(value), len(strings)) + value)
            body.extend(b"\0" * (-len(body) % 4))
            strings.extend(key.encode() + b"\0")
        body.extend(struct.pack(">I", 2))

    put("", tree)
    body += struct.pack(">I", 9)
    at = 56
    total = at + len(body) + len(strings)
    head = struct.pack(">IIIIIIIIII", 0xd00dfeed, total, at, at + len(body), 40, 17, 16, 0,
                       len(strings), len(body))
    return head + b"\0" * 16 + bytes(body) + bytes(strings)


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def page(data):
    return data.ljust(4096, b"\0")


def block(following, *records):
    return page(u64(following, len(records)) + b"".join(records))


def handover(place):
    """A folder with two sessions, three memfds and a map."""
    mem = {
        0x10000: block(0x11000, b"main".ljust(64, b"\0") + u64(0x20000, 2)),
        0x11000: block(0, b"other".ljust(64, b"\0") + u64(0x21000, 1)),
        0x20000: block(0, b"memfd-v2;vmalloc-v1".ljust(48, b"\0") + u64(0x30000, 1),
                       b"memfd-v2;vmalloc-v1".ljust(48, b"\0") + u64(0x31000, 2)),
        0x21000: block(0, b"eventfd-v1".ljust(48, b"\0") + u64(0x99000, 7)),
        0x30000: page(u64(5, 8192) + struct.pack("<II", 12, 0) + u64(2, 0x40000) +
                      struct.pack("<IHH", 1, 1, 0) + struct.pack("<II", 0x65646f6d, 0o600)),
        0x31000: page(u64(0, 0) + struct.pack("<II", 0, 0) + u64(0, 0) + bytes(8)),
        0x40000: page(u64(0, 0x41000)),
        0x41000: page(u64(1 << 52 | 1 << 53 | 0x500, 0, 1 << 53 | 0x501, 1)),
        0x50000: page(bytes(8) + u64(0)),
    }
    # the map: the path from the root to one leaf with blocks of order 0
    first = 1 << 52
    for level in range(5, 0, -1):
        table = bytearray(4096)
        struct.pack_into("<Q", table, 8 * (first >> 15 + 9 * (level - 1) & 511), 0x60000 + 0x1000 * level)
        mem[0x60000 + 0x1000 * (level + 1)] = bytes(table)
    mem[0x61000] = page(b"\x0f")
    root = fdt({"compatible": b"kho-v4;radix-v1;vmalloc-v1\0", "preserved-memory-map": u64(0x66000),
                "LUO": {"preserved-data": u64(0x1000), "blob-size": u64(40)},
                "memblock": {"preserved-data": u64(0x2000), "blob-size": u64(4096)},
                "kexec-metadata": {"preserved-data": u64(0x3000), "blob-size": u64(73)},
                "timeline": {"preserved-data": u64(0x4000), "blob-size": u64(288)}})
    files = {"fdt": root, "sub_fdts/LUO": b"luo-v5;block-v1\0" + u64(3, 0x10000, 0),
             "sub_fdts/memblock": fdt({"compatible": b"memblock-v1\0",
                                       "logs": {"compatible": b"reserve-mem-v1\0", "start": u64(1 << 30),
                                                "size": u64(4 << 20)}}),
             "sub_fdts/kexec-metadata": b"\1\0\0\0" + b"7.3.4".ljust(65, b"\0") + b"\2\0\0\0",
             "sub_fdts/timeline": b"timeline-v1".ljust(16, b"\0") + u64(2 * 10**9) + struct.pack("<II", 1, 1) +
                                  u64(7, 8, 0, 0, 9) + bytes(27 * 8)}
    files.update({f"mem/{address:x}": data for address, data in mem.items()})
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


TIMELINE = """\
clock: tsc
frequency: 2000000000
reliable: yes
previous: valid
previous preserve-begin: 90.000000000
previous preserve-end: 91.500000000
previous kexec: 100.000000000
previous frozen: 100.250000000
previous left: 101.000000000
entered: 101.500000000
init: 103.000000000
retrieve-begin: 104.000000000
retrieve-end: 105.000000000
finish-end: 106.000000001
session: main
retrieved: 104.000000000
finished: 106.000000001
session: other\\012
retrieved: 105.000000000
more-sessions: 3
now: 200.000000000
"""


def machine(place, sessions=None, debugfs=True, device=True, rows=OURS):
    """What the running kernel shows, below a folder."""
    files = {"sys/kernel/notes": notes(rows), "proc/sys/kernel/osrelease": b"7.3.4-run\n",
             "sys/module/foo/notes/.note.kho": note("flb", "foo", "foo-v1", "foo-v1")}
    if device:
        files["dev/liveupdate"] = b""
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    if debugfs:
        handover(place / "sys/kernel/debug/kho/out")
        handover(place / "sys/kernel/debug/kho/in")
        for name, text in (("timeline", TIMELINE), ("in/release", ""),
                           ("out/compat", "kho: kho-v4;radix-v1;vmalloc-v1\nluo: luo-v5;block-v1\n"),
                           ("out/preserved", "order 0: 8192\norder 9: 4194304\ntotal: 4202496\nmap: 28672\n")):
            (place / "sys/kernel/debug/kho" / name).write_text(text)
    if sessions is not None:
        shown = place / "sys/kernel/debug/liveupdate"
        shown.mkdir(parents=True)
        (shown / "outgoing").write_text(sessions)
        (shown / "incoming").write_text(INCOMING)
    return place


INCOMING = """\
sessions: 3
handler: memfd-v2;vmalloc-v1 1
session: held
files: 2
state: held
session: done
files: 0
state: finished
session: left
files: 7
state: parked
"""


SESSIONS = """\
session: main
handler: memfd-v2;vmalloc-v1 2
session: other
handler: memfd-v2;vmalloc-v1 1
flb: foo-v1 1
"""


# ---- calls

def matches(value, schema, where="result"):
    """Why a value does not match the schema, or ""; only knows the keywords that our schema uses."""
    if "$ref" in schema:
        return matches(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "oneOf" in schema:
        wrong = [matches(value, one, where) for one in schema["oneOf"]]
        return "" if not all(wrong) else min(wrong, key=len)
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number",
             type(None): "null"}
    types = schema.get("type", names[type(value)])
    number = types == "number" and isinstance(value, int)
    if not number and names[type(value)] not in (types if isinstance(types, list) else [types]):
        return f"{where} is {names[type(value)]}, not {types}"
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return f"{where} is {value!r}"
    if isinstance(value, list):
        return next(filter(None, (matches(v, schema.get("items", {}), f"{where}[{i}]")
                                  for i, v in enumerate(value))), "")
    if isinstance(value, dict):
        lost = [key for key in schema.get("required", []) if key not in value]
        if lost:
            return f"{where} has no {lost[0]}"
        known = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        for key, one in value.items():
            if key not in known and more is False:
                return f"{where} has {key}"
            why = matches(one, known.get(key, more if isinstance(more, dict) else {}), f"{where}.{key}")
            if why:
                return why
    return ""


class Tool:
    """khoctl, and a folder for its input."""

    def __init__(self, program, place, corpus):
        self.program, self.place, self.corpus = program, place, corpus
        self.made = 0
        self.user = None

    def file(self, data):
        self.made += 1
        path = self.place / f"file-{self.made}"
        path.write_bytes(data)
        self.seed("image", "image", data)
        return path

    def seed(self, target, parser, data):
        """Adds the data to the corpus of fuzz_<target>.c, as an input of one of its parsers."""
        if not self.corpus or len(data) >= 1 << 16:
            return
        folder = self.corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        data = bytes([PARSERS[target].index(parser)]) + data
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)

    def run(self, *words, status=0, answer="", env=None):
        done = subprocess.run([self.program, *map(str, words)], input=answer, text=True, env=env,
                              capture_output=True, timeout=120, check=False, user=self.user)
        want(done.returncode == status, f"{' '.join(map(str, words))}: status {done.returncode}, not {status}: "
             f"{(done.stderr or done.stdout).strip()}")
        return done

    def json(self, *words, status=0):
        result = json.loads(self.run("--json", *words, status=status).stdout)
        why = matches(result, SCHEMA)
        want(not why, why)
        return result

    def refuses(self, *words, said="", **more):
        done = self.run(*words, status=2, **more)
        lines = done.stderr.splitlines()
        want(len(lines) == 1 and lines[0].startswith("khoctl: "), f"not one line: {done.stderr!r}")
        want(not done.stdout, f"something was printed: {done.stdout[:80]!r}")
        want(said in lines[0], f"'{said}' is not in: {lines[0]}")


def rows_of(result):
    return [(r["kind"], r["name"], r["writes"], r["reads"]) for r in result["components"]]


# ---- images

def has_ours(tool, data, *layers, rows=OURS):
    result = tool.json("abi", tool.file(data))
    want(rows_of(result) == list(rows), f"components are {rows_of(result)}")
    want(result["release"] == "7.3.4", f"release is {result['release']}")
    want(result["format"] == ", ".join(layers), f"format is {result['format']}")


def test_vmlinux(tool):
    has_ours(tool, kernel(), "vmlinux")


def test_vmlinux_stripped(tool):
    has_ours(tool, elf(notes(OURS), BANNER % b"7.3.4", sections=False), "vmlinux")


def bzimage_test(name):
    def test(tool):
        plain = kernel()
        has_ours(tool, bzimage(PACKERS[name](plain), len(plain)), "bzImage", name, "vmlinux")
    return test


def test_arm64_image(tool):
    has_ours(tool, arm64(notes(OURS)), "arm64 Image")


def arm64_test(name):
    def test(tool):
        has_ours(tool, PACKERS[name](arm64(notes(OURS))), name, "arm64 Image")
    return test


def test_zboot(tool):
    has_ours(tool, zboot(gzip.compress(arm64(notes(OURS)))), "EFI zboot", "gzip", "arm64 Image")


def test_uki(tool):
    plain = kernel()
    has_ours(tool, uki(bzimage(gzip.compress(plain), len(plain))), "UKI", "bzImage", "gzip", "vmlinux")


def test_uki_zboot(tool):
    has_ours(tool, uki(zboot(gzip.compress(arm64(notes(OURS))))), "UKI", "EFI zboot", "gzip", "arm64 Image")


def test_pages_of_64k(tool):
    result = tool.json("abi", tool.file(kernel(shift=16)))
    want({row["page_size"] for row in result["components"]} == {65536}, "the page size is not 65536")


def test_newer_notes(tool):
    both = notes(OURS) + note("root", "kho", "kho-v9", "kho-v9", layout=2)
    result = tool.json("abi", tool.file(elf(both, BANNER % b"7.3.4")))
    want(rows_of(result) == OURS and result["newer_notes"], "notes of another layout are not skipped")
    tool.refuses("abi", tool.file(kernel(layout=2)), said="layout")


def test_stock(tool):
    for release in ("7.2", "7.2.12", "7.3.0-rc1", "7.3.4-distribution"):
        result = tool.json("abi", tool.file(stock(release)))
        want(result["stock"] and len(result["components"]) == 6, f"{release} is not known")
    result = tool.json("abi", tool.file(stock(without=["memfd-v2"])))
    want("memfd" not in [row["name"] for row in result["components"]], "memfd is not built in")
    for release in ("6.12.1", "7.30.1"):
        tool.refuses("abi", tool.file(stock(release)), said="not known")


def test_notes_of_sources(tool):
    """The macro in C and the layout that is written here are the same."""
    if not tool.kernel:
        raise Skipped("no program with the notes of the sources")
    result = tool.json("abi", tool.kernel)
    found = rows_of(result)
    for row in OURS:
        if row[1] not in ("memblock", "reserve-mem"):      # in mm/memblock.c
            want(row in found, f"{row} is not among {found}")


# ---- comparisons

def changed(*changes):
    """OURS with another version of some components: (from, to) in all strings."""
    rows = []
    for kind, *strings in OURS:
        for old, new in changes:
            strings[1:] = [s.replace(old, new) for s in strings[1:]]
        if kind != "alias":
            rows.append((kind, *strings))
    return rows


def compared(tool, old, new, status, sentence, **verdicts):
    result = tool.json("check", "--from", tool.file(old), "--to", tool.file(new), status=status)
    want(result["sentence"].startswith(sentence), f"says: {result['sentence']}")
    seen = {row["name"].replace("-", "_"): row["verdict"] for row in result["components"]}
    for name, verdict in verdicts.items():
        want(seen.get(name) == verdict, f"{name} is {seen.get(name)}, not {verdict}")


def test_check_same(tool):
    compared(tool, kernel(), kernel(), 0, "safe: ", kho="same", memfd="same", memblock="same")


def test_check_table(tool):
    """The rows of './kho kexec compat', first kernel and second kernel."""
    newer = [
        (("vmalloc-v1", "vmalloc-v2"), "would lose: files of memfd", {"kho": "same", "memfd": "other"}),
        (("block-v1", "block-v2"), "would lose: all sessions", {"luo": "other", "memfd": "same"}),
        (("luo-v5", "luo-v6"), "would lose: all sessions", {"luo": "other", "block": "same"}),
        (("memfd-v2", "memfd-v3"), "would lose: files of memfd", {"memfd": "other", "luo": "same"}),
        (("radix-v1", "radix-v2"), "would lose: everything", {"kho": "other", "radix": "other"}),
        (("kho-v4", "kho-v5"), "would lose: everything", {"kho": "other", "luo": "same"}),
    ]
    for change, sentence, verdicts in newer:
        compared(tool, kernel(changed(change)), kernel(), 1, sentence, **verdicts)
    foo = changed(("kho-v4;", "kho-v4;foo-v1;"))
    foo[0] = ("root", "kho", "kho-v4;foo-v1;radix-v1;vmalloc-v1", "kho-v4;radix-v1")
    compared(tool, kernel(foo), kernel(), 0, "safe: ", kho="same")


def test_check_stock(tool):
    compared(tool, stock(), kernel(), 0, "safe: ", kho="same", luo="same", memfd="same")
    compared(tool, kernel(), stock(), 1, "would lose: everything", kho="other")
    compared(tool, stock("7.2.1"), stock(), 0, "safe: ")
    compared(tool, stock(), stock(without=["kho-v4"]), 1, "would lose: everything", kho="unknown")
    compared(tool, stock(without=["kho-v4", "luo-v5", "memfd-v2"]), kernel(), 0, "safe: ")


def test_check_two_versions(tool):
    """A kernel that reads an old version besides the one it writes."""
    both = [(kind, name, writes, f"{reads} memfd-v2;vmalloc-v1" if name == "memfd" else reads)
            for kind, name, writes, reads in changed(("memfd-v2", "memfd-v3"))]
    compared(tool, kernel(), kernel(both), 0, "safe: ", memfd="same")
    compared(tool, kernel(both), kernel(), 1, "would lose: files of memfd", memfd="other")
    apart = [*OURS, ("file", "memfd", "memfd-v3;vmalloc-v1", "memfd-v3;vmalloc-v1")]
    compared(tool, kernel(changed(("memfd-v2", "memfd-v3"))), kernel(apart), 0, "safe: ", memfd="same")


def test_check_page_size(tool):
    compared(tool, kernel(), kernel(shift=16), 1, "would lose: everything", kho="other")


def test_check_no_handler(tool):
    rows = [row for row in OURS if row[1] != "memfd"]
    compared(tool, kernel(), kernel(rows), 1, "would lose: files of memfd", memfd="unknown")
    compared(tool, kernel(rows), kernel(), 0, "safe: ", memfd="new")


def running(tool, place, new, status, sentence):
    result = tool.json("--root", place, "check", "--to", tool.file(new), status=status)
    want(result["sentence"] == sentence, f"says: {result['sentence']}")
    return {row["name"]: row["in_use"] for row in result["components"]}


def test_check_running(tool):
    place = machine(tool.place / "running", SESSIONS)
    use = running(tool, place, kernel(OURS + [("flb", "foo", "foo-v1", "foo-v1")]), 0,
                  "safe: Linux 7.3.4 reads all that Linux 7.3.4-run writes")
    want((use["luo"], use["memfd"], use["memblock"], use["foo"], use["block"]) == (2, 3, 1, 1, 2), f"in use: {use}")
    foo = ("flb", "foo", "foo-v1", "foo-v1")
    running(tool, place, kernel(), 1, "would lose: the FLB foo")
    running(tool, place, kernel(changed(("memfd-v2", "memfd-v3")) + [foo]), 1, "would lose: 3 files of memfd")
    running(tool, place, kernel(changed(("luo-v5", "luo-v6")) + [foo]), 1, "would lose: 2 sessions (main, other)")
    running(tool, place, stock(), 1, "would lose: 2 sessions (main, other), 1 reserve_mem region (logs)")


def test_check_nothing_in_use(tool):
    place = machine(tool.place / "idle", "")
    (place / "sys/kernel/debug/kho/out/fdt").write_bytes(
        fdt({"compatible": b"kho-v4\0", "LUO": {}, "kexec-metadata": {}}))
    for new in (kernel(), stock(), kernel(changed(("kho-v4", "kho-v5")))):
        running(tool, place, new, 0, "safe: nothing is in use")


def test_check_holders(tool):
    """A kernel that does not list its sessions: holders are found in /proc."""
    foo = ("flb", "foo", "foo-v1", "foo-v1")
    place = machine(tool.place / "holders")
    for number, target in enumerate(["/dev/null", "anon_inode:[luo_session] main", "anon_inode:[luo_session] main"]):
        (place / f"proc/{number + 1}/fd").mkdir(parents=True)
        (place / f"proc/{number + 1}/fd/3").symlink_to(target)
    running(tool, place, stock(), 1, "would lose: 1 session (main), 1 reserve_mem region (logs)")
    use = running(tool, place, kernel(changed(("memfd-v2", "memfd-v3")) + [foo]), 2,
                  "cannot tell: memfd differs, and it is not known whether it is in use")
    want((use["luo"], use["memfd"]) == (1, None), f"in use: {use}")
    for number in (2, 3):
        (place / f"proc/{number}/fd/3").unlink()
    running(tool, place, kernel(changed(("memfd-v2", "memfd-v3"))), 0,
            "safe: Linux 7.3.4 reads all that Linux 7.3.4-run writes")


def test_check_not_known(tool):
    place = machine(tool.place / "blind", debugfs=False)
    running(tool, place, kernel(changed(("memfd-v2", "memfd-v3")) + [("flb", "foo", "foo-v1", "foo-v1")]), 2,
            "cannot tell: memfd differs, and it is not known whether it is in use")
    running(tool, place, kernel(OURS + [("flb", "foo", "foo-v1", "foo-v1")]), 0,
            "safe: Linux 7.3.4 reads all that Linux 7.3.4-run writes")


def test_check_timeline(tool):
    """A time line that cannot be read is not a loss, even if the use is unknown."""
    foo = [("flb", "foo", "foo-v1", "foo-v1")]
    newer = changed(("timeline-v1", "timeline-v2"))
    older = [row for row in OURS if row[1] != "timeline"]
    compared(tool, kernel(), kernel(newer), 0, "safe: ", timeline="other")
    compared(tool, kernel(), kernel(older), 0, "safe: ", timeline="unknown")
    for place in (machine(tool.place / "line", SESSIONS), machine(tool.place / "blind-line", debugfs=False)):
        running(tool, place, kernel(newer + foo), 0, "safe: Linux 7.3.4 reads all that Linux 7.3.4-run writes")
        running(tool, place, kernel(older + foo), 0, "safe: Linux 7.3.4 reads all that Linux 7.3.4-run writes")


# ---- running kernel and handovers

def test_abi_running(tool):
    place = machine(tool.place / "abi", SESSIONS)
    found = rows_of(tool.json("--root", place, "abi"))
    want(("flb", "foo", "foo-v1", "foo-v1") in found and set(OURS) <= set(found), f"components are {found}")


def test_show(tool):
    place = machine(tool.place / "show", SESSIONS)
    out = tool.json("--root", place, "show")["outgoing"]
    want(out["sessions"] == ["main", "other"] and out["reserve_mem"] == ["logs"], f"outgoing is {out}")
    want(out["files"] == {"memfd-v2;vmalloc-v1": 3, "foo-v1": 1}, f"files are {out['files']}")
    want(out["preserved_bytes"] == {"order 0": 8192, "order 9": 4194304, "total": 4202496, "map": 28672},
         f"preserved: {out['preserved_bytes']}")
    want(out["writes"] == {"kho": "kho-v4;radix-v1;vmalloc-v1", "luo": "luo-v5;block-v1"}, f"writes {out['writes']}")
    tool.run("--root", place, "show")
    tool.refuses("--root", tool.place / "nothing", "show", said="No such file")


def test_show_incoming(tool):
    place = machine(tool.place / "incoming", SESSIONS)
    result = tool.json("--root", place, "show")
    came = result["incoming"]
    want(came["sessions"] == ["held", "done", "left"] and came["unfinished"] == ["held", "left"], f"incoming: {came}")
    want(came["files"] == {"memfd-v2;vmalloc-v1": 1}, f"files are {came['files']}")
    want(came["previous_kernel"] == {"release": "7.3.4", "kexecs": 2}, f"chain: {came['previous_kernel']}")
    want(result["timeline"]["took"]["blackout"] == 5, f"time line: {result['timeline']}")
    # A kernel without any of these files.
    for name in ("timeline", "out/compat", "out/preserved", "in/sub_fdts/kexec-metadata"):
        (place / "sys/kernel/debug/kho" / name).unlink()
    result = tool.json("--root", place, "show")
    want(result["timeline"] is None and result["incoming"]["previous_kernel"] is None,
         "incoming data without a file is shown")
    want(result["outgoing"]["writes"] is None and result["outgoing"]["preserved_bytes"] is None,
         "outgoing data without a file is shown")


def test_timeline(tool):
    place = machine(tool.place / "timeline")
    line = tool.json("--root", place, "timeline")["timeline"]
    want((line["clock"], line["previous"], line["zero"]) == ("tsc", "valid", "kexec"), f"clock: {line}")
    seen = [(e["at"], e["kernel"], e["event"]) for e in line["events"]]
    want(seen[0] == (-10, "previous", "preserve-begin") and seen[2] == (0, "previous", "kexec") and
         seen[5] == (1.5, "this", "entered") and seen == sorted(seen) and len(seen) == 10, f"events: {seen}")
    want(line["took"] == {"preserve": 1.5, "freeze": .25, "shut_down": .75, "kexec": .5, "boot": 1.5,
                          "to_last_session": 2, "blackout": 5}, f"took {line['took']}")
    want(line["sessions"] == [{"name": "main", "retrieved": 4, "finished": 6}, {"name": "other\\012", "retrieved": 5}],
         f"sessions: {line['sessions']}")
    want(line["more_sessions"] == 3, "other sessions are not counted")
    text = tool.run("--root", place, "timeline").stdout
    want("blackout: 5.000000" in text and "0.250000" in text, f"prints {text}")


def test_timeline_bad(tool):
    """Text that no kernel prints is left out."""
    place = machine(tool.place / "timeline-bad")
    path = place / "sys/kernel/debug/kho/timeline"
    head = "clock: none\nfrequency: 0\nreliable: no\nprevious: other clock\n"
    bad = ["entered: 1", "init: 99999999999999999999.000000000", "left: -1.000000000", "kexec: x.000000000",
           "finish-end: 1.0000000000", "frozen: 5.12345678x", "nothing", "session: a", "retrieved: 3", ": ", ""]
    path.write_text(head + "\n".join(bad) + "\nretrieve-end: 3.000000000\n" * 100)
    line = tool.json("--root", place, "timeline")["timeline"]
    want({e["event"] for e in line["events"]} == {"retrieve-end"} and line["zero"] == "clock", f"time line: {line}")
    path.unlink()
    tool.refuses("--root", place, "timeline", said="No such file")
    tool.refuses("timeline", "now", said="no arguments")


# ---- what changes the machine

def fake_kexec(tool, status=0, script=""):
    """An environment in which kexec runs a script, and writes its arguments to a file."""
    folder = tool.place / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "kexec").write_text(f"#!/bin/sh\n{script}\n"
                                  f"printf '%s\\n' \"$@\" > {folder}/words\nexit {status}\n")
    (folder / "kexec").chmod(0o755)
    (folder / "words").unlink(missing_ok=True)
    return {"PATH": f"{folder}:/bin:/usr/bin"}, folder / "words"


def test_load(tool):
    place = machine(tool.place / "load", SESSIONS)
    good = tool.file(kernel(OURS + [("flb", "foo", "foo-v1", "foo-v1")]))
    env, words = fake_kexec(tool, script="echo loading")
    done = tool.run("--root", place, "load", good, "--initrd=a b", "--force", "-l", "x", env=env)
    want(words.read_text().splitlines() == ["-s", "-l", str(good), "--initrd=a b", "--force", "-l", "x"],
         f"kexec got {words.read_text()}")
    want((done.stdout, done.stderr) == (f"load: done: {good}\n", "loading\n"), f"says {done.stdout}{done.stderr}")
    why = matches(json.loads(tool.run("--root", place, "--json", "load", good, env=env).stdout), SCHEMA)
    want(not why, why)


def test_load_refused(tool):
    place = machine(tool.place / "load-refused", SESSIONS)
    env, words = fake_kexec(tool)
    for image, status, said in ((stock(), 1, "would lose: 2 sessions (main, other), 1 reserve_mem region (logs)"),
                                (b"no kernel", 2, "not a kernel image")):
        image = tool.file(image)
        done = tool.run("--root", place, "load", image, "--reuse-cmdline", status=status, env=env)
        want(said in done.stderr and done.stderr.count("\n") == 1 and not words.exists(), f"{status}: {done.stderr}")
        done = tool.run("--root", place, "load", "--force", image, "--reuse-cmdline", env=env)
        want(said in done.stderr and words.exists(), "--force does not load the image")
        words.unlink()
    (place / "sys/kernel/debug/liveupdate/outgoing").unlink()
    foo = [("flb", "foo", "foo-v1", "foo-v1")]
    (place / "proc/1/fd").mkdir(parents=True)
    (place / "proc/1/fd/3").symlink_to("anon_inode:[luo_session] main")
    doubt = tool.file(kernel(changed(("memfd-v2", "memfd-v3")) + foo))
    tool.run("--root", place, "load", doubt, status=2, env=env)
    want(not words.exists(), "an image in doubt is loaded")


def test_load_fails(tool):
    place = machine(tool.place / "load-fails", "")
    image = tool.file(kernel(OURS + [("flb", "foo", "foo-v1", "foo-v1")]))
    env, words = fake_kexec(tool, status=1)
    tool.refuses("--root", place, "load", image, env=env, said="kexec: exit status 1")
    words.unlink()
    for bad in ("-c", "--kexec-syscall", "-p"):
        tool.refuses("--root", place, "load", image, "--reuse-cmdline", bad, env=env, said="no handover")
    want(not words.exists(), "kexec was run")
    tool.refuses("--root", place, "load", image, env={"PATH": "/nowhere"}, said="kexec: No such file")
    tool.refuses("load", said="an image")


def test_release(tool):
    place = machine(tool.place / "release")
    path = place / "sys/kernel/debug/kho/in/release"
    for answer in ("", "n\n", "yesterday\n", "\n"):
        done = tool.run("--root", place, "release", answer=answer, status=2)
        want("nothing was done" in done.stderr and path.read_text() == "", f"released after {answer!r}")
    tool.run("--root", place, "release", answer="y\n")
    want(path.read_text() == "1", "nothing was written")
    path.write_text("")
    done = tool.run("--root", place, "release", "-y")
    want(path.read_text() == "1" and "[y/N]" not in done.stderr, "--yes asks")
    tool.json("--root", place, "release", "--yes")
    path.unlink()
    tool.refuses("--root", place, "release", "-y", said="No such file")
    tool.refuses("release", "all", said="no arguments")


def test_finish(tool):
    """Without a kernel: a file that is not a device is refused, and the user is asked."""
    place = machine(tool.place / "finish")
    done = tool.run("--root", place, "finish", "main", answer="n\n", status=2)
    want("session 'main'" in done.stderr and "nothing was done" in done.stderr, f"says {done.stderr}")
    tool.refuses("--root", place, "finish", "-y", "main", said="session 'main': Inappropriate ioctl")
    tool.refuses("--root", place, "finish", "-y", "x" * 64, said="too long")
    (place / "dev/liveupdate").unlink()
    tool.refuses("--root", place, "finish", "-y", "main", said="No such file")
    tool.refuses("finish", said="one session")


def test_dump_folder(tool):
    data = tool.json("dump", handover(tool.place / "handover"))["data"]
    luo = data["subtrees"]["LUO"]
    want([s["name"] for s in luo["sessions"]] == ["main", "other"], f"sessions are {luo['sessions']}")
    files = luo["sessions"][0]["files"]
    want([(f["token"], f["memfd"]["size"]) for f in files] == [(1, 8192), (2, 0)], f"files are {files}")
    memfd = files[0]["memfd"]
    want(memfd["seals"] == ["grow", "write"] and memfd["mode"] == 0o600, f"memfd is {memfd}")
    want(memfd["folios_at_hand"] == {"found": 2, "dirty": 1, "uptodate": 2}, f"memfd is {memfd}")
    want(data["memory_map"] == {"blocks_of_order_0": 4}, f"map is {data['memory_map']}")
    want(data["subtrees"]["memblock"]["/"]["logs"]["size"] == "0x400000", "the region has another size")
    want(data["subtrees"]["kexec-metadata"] == {"release": "7.3.4", "kexecs": 2}, "the metadata is another one")
    line = data["subtrees"]["timeline"]
    want(line["at"] == {"entered": 7, "init": 8, "kexec": 9} and line["frequency"] == 2 * 10**9, f"time line: {line}")
    text = tool.run("dump", tool.place / "handover").stdout
    want("name: main" in text and "\033" not in text, "the text has no session, or colours")


def test_dump_files(tool):
    place = handover(tool.place / "files")
    want(tool.json("dump", place / "fdt")["data"]["/"]["compatible"].startswith("kho-v4"), "not the root tree")
    want(tool.json("dump", place / "sub_fdts/LUO")["data"]["live_updates"] == 3, "not LUO")
    for kind, name in (("sessions", "10000"), ("files", "20000"), ("memfd", "30000")):
        tool.seed("blob", kind, (place / "mem" / name).read_bytes())
        tool.json("dump", "--as", kind, place / "mem" / name)
    for kind, name in (("tree", "fdt"), ("luo", "sub_fdts/LUO"), ("metadata", "sub_fdts/kexec-metadata"),
                       ("timeline", "sub_fdts/timeline"), ("any", "sub_fdts/LUO"), ("map", "fdt")):
        tool.seed("blob", kind, (place / name).read_bytes())
    tool.seed("blob", "running", TIMELINE.encode())
    tool.seed("image", "notes", notes(OURS))
    tool.seed("image", "scan", notes(OURS))
    tool.refuses("dump", "--as", "folio", place / "fdt", said="is not one of")


def core(pages):
    """An ELF core file of two segments, with a note in between."""
    half = sorted(pages)[len(pages) // 2]
    parts = [{a: p for a, p in pages.items() if a < half}, {a: p for a, p in pages.items() if a >= half}]
    at, heads, body = 64 + 56 * 3, b"", b""
    for part in (parts[0], {}, parts[1]):
        first = min(part, default=0)
        data = b"".join(part.get(a, bytes(4096)) for a in range(first, max(part) + 1, 4096)) if part else b"note"
        heads += struct.pack("<IIQQQQQQ", 1 if part else 4, 4, at + len(body), 1 << 63 | first, first, len(data), len(data), 0)
        body += data
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    return ident + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0) + heads + body


def test_dump_memory(tool):
    """Pages in a core file are decoded as those in a folder are."""
    place = handover(tool.place / "memory")
    want_data = tool.json("dump", place)["data"]
    pages = {int(p.name, 16): p.read_bytes() for p in (place / "mem").iterdir()}
    shutil.rmtree(place / "mem")
    vmcore = tool.file(core(pages))
    want(tool.json("dump", "--memory", vmcore, place)["data"] == want_data, "the core file has other data")
    want(tool.json("dump", place)["data"] != want_data, "pages are found without the core file")
    whole = vmcore.read_bytes()
    for size in (0, 63, 64, 100, 64 + 56 * 3):
        vmcore.write_bytes(whole[:size])
        done = subprocess.run([tool.program, "dump", "--memory", vmcore, place], capture_output=True, check=False)
        want(done.returncode == (0 if size == 64 + 56 * 3 else 2), f"cut to {size}: status {done.returncode}")
    for at in range(64 + 56 * 3):
        vmcore.write_bytes(whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:])
        done = subprocess.run([tool.program, "dump", "--memory", vmcore, place], capture_output=True, check=False)
        want(done.returncode in (0, 2), f"byte {at} damaged: status {done.returncode}")
    tool.refuses("dump", "--memory", tool.place / "missing", place, said="No such file")


def test_dump_without_root(tool):
    """A tree that ends before its root is refused; fdt_check_full() accepts it."""
    tree = bytearray(fdt({"compatible": b"kho-v4\0"}))
    tree[56:60] = struct.pack(">I", 9)
    tool.refuses("dump", "--as", "tree", tool.file(tree), said="device tree is damaged")


def test_dump_old_tree(tool):
    """The libfdt of some distributions follows NULL in trees of old versions."""
    tree = bytearray(fdt({"compatible": b"kho-v4\0"}))
    tree[20:28] = struct.pack(">II", 14, 0)
    tool.refuses("dump", "--as", "tree", tool.file(tree), said="old version")


def test_dump_loops(tool):
    """Chains and trees that lead back to themselves."""
    place = handover(tool.place / "loops")
    (place / "mem/11000").write_bytes(block(0x10000, b"again".ljust(64, b"\0") + u64(0x20000, 2)))
    (place / "mem/40000").write_bytes(page(u64(0x40000, 0x40000)))
    (place / "mem/63000").write_bytes(u64(0x63000) * 512)
    tool.json("dump", place)


# ---- bad input

def test_garbage(tool):
    path = tool.place / "garbage"
    with open(path, "wb") as out:
        for _ in range(100):
            out.write(NOISE.randbytes(1 << 20))
    for words in (["abi"], ["check", "--to"], ["dump"], ["dump", "--as", "tree"]):
        tool.refuses(*words, path)
    path.unlink()


def test_empty_and_missing(tool):
    empty = tool.file(b"")
    tool.refuses("abi", empty, said="not a kernel image")
    tool.refuses("dump", empty)
    tool.refuses("abi", tool.place / "missing", said="No such file")
    tool.refuses("check", "--to", tool.place / "missing", said="No such file")
    tool.refuses("dump", tool.place / "missing", said="No such file")


def test_folder_and_device(tool):
    tool.refuses("abi", tool.place, said="is a folder")
    tool.refuses("abi", "/dev/zero", said="not a regular file")
    (tool.place / "nothing-in-it").mkdir()
    tool.refuses("dump", tool.place / "nothing-in-it", said="No such file")


def test_no_permission(tool):
    path = tool.file(kernel())
    path.chmod(0)
    if os.geteuid() == 0:
        tool.place.chmod(0o755)
        tool.user = 65534
    try:
        tool.refuses("abi", path, said="Permission denied")
    except PermissionError:
        raise Skipped("khoctl is where other users cannot run it") from None
    finally:
        tool.user = None


def test_truncated(tool):
    plain = kernel()
    images = {name: bzimage(PACKERS[name](plain), len(plain)) for name in ("gzip", "xz", "lzma", "bzip2")}
    images.update({"vmlinux": plain, "zboot": zboot(gzip.compress(arm64(notes(OURS)))),
                   "uki": uki(bzimage(gzip.compress(plain), len(plain)))})
    for name, image in images.items():
        for part in (0.1, 0.3, 0.5, 0.7):
            cut = tool.file(image[:int(len(image) * part)])
            done = subprocess.run([tool.program, "abi", cut], capture_output=True, text=True, check=False)
            # A file that lost only what is after the notes can be read.
            want(done.returncode == 2 or name == "vmlinux", f"{name} cut to {part} is taken")
            want(done.returncode in (0, 2), f"{name} cut to {part}: status {done.returncode}")


def test_damaged(tool):
    """Any single damaged byte of a small image is survived."""
    small = elf(notes(OURS[:2]), BANNER % b"7.3.4")
    path = tool.file(small)
    for at in range(0, len(small), 3):
        path.write_bytes(small[:at] + bytes([small[at] ^ 0xff]) + small[at + 1:])
        done = subprocess.run([tool.program, "abi", path], capture_output=True, check=False)
        want(done.returncode in (0, 2), f"status {done.returncode} with byte {at} damaged")


def test_words(tool):
    tool.refuses("boot", said="not a verb")
    tool.refuses("check", said="--to")
    tool.refuses("abi", "a", "b", said="one image")
    tool.refuses("dump", said="one file")
    want("usage:" in tool.run("--help").stdout, "the help is missing")
    tool.run(status=2)


def test_completion(tool):
    """Verbs, options of a verb, and files."""
    bash = shutil.which("bash")
    if not bash:
        raise Skipped("bash is not installed")
    (tool.place / "vmlinuz-1").write_bytes(b"")
    for words, found in ((["li"], []), (["fi"], ["finish"]), (["--json", "t"], ["timeline"]), (["load", "--f"], ["--force"]),
                         (["load", str(tool.place / "vmli")], [str(tool.place / "vmlinuz-1")]),
                         (["dump", "--as", "t"], ["tree", "timeline"]), (["release", "--"], ["--yes", "--json"])):
        script = (f"source {HERE}/khoctl-completion.bash; COMP_WORDS=(khoctl {' '.join(words)}); "
                  f"COMP_CWORD={len(words)}; _khoctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        seen = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True).stdout.split()
        want(seen == found, f"{words} is completed to {seen}, not {found}")


TESTS = [
    test_vmlinux, test_vmlinux_stripped,
    *((f"bzimage_{name}", bzimage_test(name)) for name in PACKERS),
    test_arm64_image, ("arm64_image_gzip", arm64_test("gzip")), ("arm64_image_zstd", arm64_test("zstd")),
    test_zboot, test_uki, test_uki_zboot, test_pages_of_64k, test_newer_notes, test_stock,
    test_notes_of_sources, test_check_same, test_check_table, test_check_stock, test_check_two_versions,
    test_check_page_size, test_check_no_handler, test_check_running, test_check_nothing_in_use,
    test_check_holders, test_check_not_known, test_check_timeline, test_abi_running, test_show, test_show_incoming,
    test_timeline, test_timeline_bad, test_load, test_load_refused, test_load_fails, test_release, test_finish,
    test_dump_folder, test_dump_files, test_dump_memory, test_dump_without_root,
    test_dump_old_tree, test_dump_loops,
    test_garbage, test_empty_and_missing, test_folder_and_device, test_no_permission, test_truncated,
    test_damaged, test_words, test_completion,
]


def run_all(tool):
    """Number of failed tests."""
    failed = 0
    print(f"TAP version 13\n1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        name, test = test if isinstance(test, tuple) else (test.__name__[len("test_"):], test)
        try:
            test(tool)
            print(f"ok {number} khoctl.{name}")
        except Skipped as e:
            print(f"ok {number} khoctl.{name} # SKIP {e}")
        except (Failed, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as e:
            failed += 1
            print(f"# {name}: failed at {e}\nnot ok {number} khoctl.{name}")
        sys.stdout.flush()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--corpus", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="khoctl-") as place:
        tool = Tool(args.program.resolve(), Path(place), args.corpus)
        tool.kernel = args.kernel
        return 1 if run_all(tool) else 0


if __name__ == "__main__":
    sys.exit(main())
