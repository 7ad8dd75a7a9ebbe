# SPDX-License-Identifier: GPL-2.0
"""The table of hostile handovers: a damaged field, and the expected result.

A guest goes through many kernels.  Each damages what it hands over, in one row of the table or
in several that do not disturb each other; the next one must boot, say so in its log, keep all that
is not concerned, and go on to the next rows.  What is only read when user space asks for it is
damaged in the second kernel, and all such rows are in one guest.
"""
from dataclasses import dataclass

from dev import base as bases
from dev import guest
from dev.cases import HUGE, LOAD, claim, keep, logged
from dev.selftest import Case

IN = "/sys/kernel/debug/kho/in"
REGION = "reserve_mem=4M:4096:khotest"
NOWHERE = (1 << 45) + (1 << 16)     # no machine has memory there
HOLE = 0xa0000                  # nor here: video on a PC, flash on arm64
ODD = 0x123457                  # in RAM, and no page begins there
HUGE_NUMBER = (1 << 64) - 1
MEMORY = 512
CHURN = "churn rounds=1 percent=40"
MAIN, OTHER = {"a": "size=1M seed=1", "b": "size=5000 seed=2"}, {"c": "size=300000 seed=3"}


FATES = {"": "all kept", "all": "all lost, boots", "cold": "boots cold"}


@dataclass(frozen=True)
class Row:
    name: str
    harm: tuple         # what is done
    log: str            # line in the log of the next kernel; none when it is empty
    loses: str = ""     # some of "files region folios", or of FATES
    see: tuple = ()     # what else must be so then

    @property
    def must(self):
        return FATES.get(self.loses, f"{self.loses} lost, the rest kept")


def row(name, harm, log, loses="", see=()):
    return Row(name, (harm,) if isinstance(harm, str) else tuple(harm), log, loses, tuple(see))


def logs(text):
    return f'run dmesg | grep -F "{text}"' if text else "run true"


def not_in_ram(address):
    """The block that begins there is named, however large a page is."""
    return f'run dmesg | grep "[[]{address:#018x}-0x[0-9a-f]*]: discarded, not in RAM"'


# ---- rows that lose the whole handover: the root tree, the array of scratch areas

RESERVED = "kho_scratch=200%"   # areas are known before an image is loaded
LAST = 512 << 20                # bytes of the last area of scratch memory, aligned with all pages
TOP = (1 << 64) - 4096          # the last page that there is an address for


def last_area(start):
    """The commands to put it elsewhere; into the areas before it, kexec itself puts images."""
    return [f"scratch-set size {LAST}", f"scratch-set start {start}"]


def last_area_at(start):
    """What is said about it."""
    return f"{LAST:#018x} bytes at {start:#018x}"


DAMAGED, NO_MAP = "root tree: invalid FDT (", "root tree: invalid memory map address"
MAP = "root::preserved-memory-map"
COLD = [
    row("root-magic", "poke root be32 0x12345678", DAMAGED + "FDT_ERR_BADMAGIC", "cold"),
    row("root-totalsize-huge", "poke root+4 be32 0x100000", DAMAGED + "larger than its memory", "cold"),
    row("root-totalsize-small", "poke root+4 be32 0x20", DAMAGED, "cold"),
    row("root-struct-beyond", "poke root+8 be32 0xffffff00", DAMAGED, "cold"),
    row("root-struct-shifted", "poke root+8 be32 0x3c", "compat: ", "cold"),
    row("root-strings-beyond", "poke root+12 be32 0x7fffffff", DAMAGED, "cold"),
    row("root-version", ["poke root+20 be32 99", "poke root+24 be32 99"], DAMAGED + "FDT_ERR_BADVERSION", "cold"),
    row("root-struct-short", "poke root+36 be32 8", "disabling KHO revival", "cold"),
    row("map-length", f"poke {MAP}+-8 be32 7", NO_MAP, "cold"),
    row("map-zero", f"poke {MAP} 64 0", NO_MAP, "cold"),
    row("map-unaligned", f"poke {MAP} 64 {ODD}", NO_MAP, "cold"),
    row("map-missing", f"poke {MAP}+-4 be32 12", NO_MAP, "cold"),
    row("scratch-unaligned", last_area(ODD), "misaligned or out of range (" + last_area_at(ODD), "cold"),
    row("scratch-size-odd", "scratch-set size 0x1001", "misaligned or out of range (0x0000000000001001 bytes at", "cold"),
    row("scratch-wraps", last_area(TOP), "misaligned or out of range (" + last_area_at(TOP), "cold"),
    row("scratch-nowhere", last_area(1 << 45), f": not in RAM ({last_area_at(1 << 45)})", "cold"),
    # 32 MiB with the smallest pages, and an area of any machine with the largest ones
    row("scratch-overlap", ["scratch-set size 8192P", "scratch-set start scratch:0"], ""),
    row("scratch-empty", "scratch-set size 0", ""),
]

# ---- what the boot loader is told; the image has to be loaded for that

FAR = 1 << 38                   # an address that a processor has, and no memory


def far(name, offset, what):
    """Addresses outside of RAM are not read.  The root tree has a page of any size."""
    return row(name, [LOAD, f"boot-set {offset} 64 {FAR}"], "", "cold",
               [f'run dmesg | grep -E "{what}: failed to map .[0-9]+ bytes at {FAR:#018x}.$"'])


BOOT = [row(name, [LOAD, f"boot-set {offset} 64 {value}"], log, "cold") for name, offset, value, log in (
    ("boot-tree-size-0", 8, 0, "root tree: failed to map (0 bytes at"),
    ("boot-tree-size-huge", 8, 1 << 40, f"root tree: failed to map ({1 << 40} bytes at"),
    ("boot-tree-size-small", 8, 32, "root tree: failed to map (32 bytes at"),
    ("boot-scratch-size-0", 24, 0, "scratch array: failed to map (0 bytes at"),
    ("boot-scratch-size-odd", 24, 17, "scratch array: invalid size (17 bytes)"),
    ("boot-scratch-size-huge", 24, 1 << 40, f"scratch array: failed to map ({1 << 40} bytes at"),
)] + [far("boot-tree-nowhere", 0, "root tree"), far("boot-scratch-nowhere", 16, "scratch array")]

# ---- rows that cost the map

LOST, CANNOT = "handover: discarded, invalid root tree or memory map", "handover: discarded, invalid memory map:"
BAD_NODE = "memory map: invalid node address"
PATH = "0:memfd:{hop}a"
WHOLE = [
    row("map-nowhere", f"poke {MAP} 64 {NOWHERE}", BAD_NODE, "all"),
    row("map-in-scratch", f"poke {MAP} 64 scratch:0", BAD_NODE, "all"),
    row("map-empty", f"poke {MAP} 64 spare", "root tree: not preserved", "all"),
    row("entry-nowhere", f"poke slot:1:{PATH} 64 {NOWHERE}", BAD_NODE, "all"),
    row("entry-unaligned", f"poke slot:1:{PATH} 64 {ODD}", BAD_NODE, "all"),
    row("entry-in-scratch", f"poke slot:0:{PATH} 64 scratch:0", BAD_NODE, "all"),
    row("entry-self", f"poke slot:2:{PATH} 64 node:3:{PATH}", LOST, "all"),
    row("entry-root", f"poke slot:0:{PATH}+64 64 {MAP}>", CANNOT, "all"),
    row("entry-shared-child", f"poke slot:0:{PATH}+64 64 slot:0:{PATH}>", CANNOT, "all"),
    row("entry-leaf-as-table", f"poke slot:1:{PATH} 64 node:0:{PATH}", BAD_NODE, "all"),
    row("table-of-itself", [f"poke {MAP}> 64 {MAP}>",
                            *(f"copy {MAP}>+{n} {MAP}> {n}" for n in (8 << i for i in range(9)))],
        "memory map: loop detected", "all"),
]

# ---- rows that cost a key

KEYS = [[
    row("key-beyond-ram", f"map-add {NOWHERE} 0", "", see=[not_in_ram(NOWHERE)]),
    row("key-in-hole", f"map-add {HOLE} 0", "", see=[not_in_ram(HOLE)]),
    row("key-of-no-order", ["map-add 5", "map-add 0"], ""),
    row("key-too-wide", "map-add 0x40000000000000", ""),
    # One owner comes, and gets all of its memory.
    row("key-twice", "map-add memfd:{hop}h 0", "duplicate, the first owner gets it",
        see=["session-get huge", "retrieve huge 1 {hop}h", "check {hop}h size=2M seed=5", "close huge"]),
    row("root-twice", "map-add root 1", "duplicate, the first owner gets it"),
    row("key-over-node", f"map-add node:0:{PATH} 0", "discarded, in use by this kernel"),
], [
    # Somewhere in there is where the next kernel will be.
    row("key-kernel", ["map-cover 0 2^22", "map-cover 1 2^22"], "discarded, in "),
], [
    row("key-in-scratch", "map-add scratch:0 2^22", "discarded, in "),
    # A leaf with all keys names free memory, memory in use and memory of owners.
    # The folios of test_kho are asked for without their size, and are not told from stale pages.
    row("leaf-full", "fill node:0:0:root 1P 255", "discarded, in use by this kernel", "folios"),
    row("key-order-huge", "map-add 0 2^45", "[0x0000000000000000-0x00001fffffffffff]: discarded, not in RAM"),
]]

# ---- rows that lose the data of one user

OUTSIDE = "subtree '{}': not preserved"
META, TEST, LUO, BLOCK = "kexec-metadata", "kho_test", "LUO", "memblock"
INFO = "sub:kho_test:data:folios_info"
ARRAY = "vmalloc area: "      # of the folios of test_kho


def subtree(name, user, prop, value, log, loses):
    return row(name, f"poke root:{user}:{prop} 64 {value}", log.format(user), loses)


def address(name, user, value, loses, log=OUTSIDE):
    return subtree(name, user, "preserved-data", value, log, loses)


def size(name, user, value, loses, log=OUTSIDE):
    return subtree(name, user, "blob-size", value, log, loses)


def sessions_at(name, value):
    """The address of the sessions is written by the freeze, so all of the header is replaced."""
    return row(name, ["copy memfd:{hop}p sub:LUO 40", f"poke memfd:{{hop}}p+24 64 {value}",
                      "poke root:LUO:preserved-data 64 memfd:{hop}p"], "all sessions are lost", "files")


def flbs_at(name, value):
    return row(name, f"poke sub:LUO+32 64 {value}", "all FLBs are lost")


START = "sub:memblock:khotest:start"


def region(name, field, value, log, loses="region"):
    return row(name, f"poke sub:memblock:khotest:{field} 64 {value}", log, loses)


def test(name, harm, log):
    return row(name, harm, log, "folios")


USERS = [
    [address("luo-nowhere", LUO, NOWHERE, "files"), size("test-size-0", TEST, 0, "folios"),
     size("memblock-wraps", BLOCK, HUGE_NUMBER - (1 << 16) + 1, "region"), address("metadata-foreign", META, "spare", "")],
    [size("luo-size-huge", LUO, 1 << 40, "files"), address("memblock-foreign", BLOCK, "spare", "region"),
     address("test-unaligned", TEST, "sub:kho_test+8", "folios", "subtree: not preserved"),
     size("metadata-size-small", META, 8, "", "kexec-metadata: invalid size (8 bytes")],
    [address("luo-unaligned", LUO, "sub:LUO+8", "files", "incoming state: not preserved"),
     size("test-size-huge", TEST, 1 << 62, "folios"), size("memblock-size-0", BLOCK, 0, "region"),
     address("metadata-wraps", META, HUGE_NUMBER - 255, "")],
    [row("luo-address-length", "poke root:LUO:preserved-data+-8 be32 7", "'LUO': invalid address or size", "files"),
     row("metadata-version", "poke sub:kexec-metadata 32 2", "incompatible version (2, expected 1)"),
     region("region-start-unaligned", "start", ODD, "'khotest' has wrong alignment"),
     test("test-magic", "poke sub:kho_test be32 1", "invalid device tree (")],
    [sessions_at("sessions-nowhere", NOWHERE),
     row("metadata-endless", "fill sub:kexec-metadata+4 65 120", f"exec from: {'x' * 64} (count"),
     region("region-size-wrong", "size", 8 << 20, "'khotest' has wrong size"),
     test("test-totalsize", "poke sub:kho_test+4 be32 0x1000000", "invalid device tree (")],
    [sessions_at("sessions-unaligned", ODD),
     row("metadata-count", "poke sub:kexec-metadata+69 32 0xffffffff", "(count 4294967295)"),
     row("memblock-magic", "poke sub:memblock be32 1", "'memblock' is incompatible", "region"),
     test("test-nr-folios", "poke sub:kho_test:data:nr_folios 32 0xffffffff", "header: invalid")],
    [sessions_at("sessions-foreign", "spare"), region("region-size-0", "size", 0, "'khotest' has wrong size"),
     test("test-chunk-nowhere", f"poke {INFO} 64 {NOWHERE}", ARRAY + "chunk not preserved")],
    [flbs_at("flbs-nowhere", NOWHERE),
     row("luo-number", f"poke sub:LUO+16 64 {HUGE_NUMBER}", f"liveupdate number: {HUGE_NUMBER}"),
     test("test-order-huge", f"poke {INFO}+14 16 40", ARRAY + "order out of range"),
     row("memblock-totalsize", "poke sub:memblock+4 be32 0x7fffffff", "'memblock' is incompatible", "region")],
    [row("memblock-struct-beyond", ["poke sub:memblock+4 be32 0x7ffffffe", "poke sub:memblock+8 be32 0x7ff00000"],
         "'memblock' is incompatible", "region")],
    [flbs_at("flbs-unaligned", ODD), test("test-next-self", f"poke {INFO}> 64 {INFO}>", ARRAY + "partial chunk before the last one")],
    [flbs_at("flbs-foreign", "spare"),
     test("test-entry-foreign", f"poke {INFO}>+8 64 spare", ARRAY + "page not preserved")],
    [row("flbs-pages", "poke sub:LUO+32> 64 7", "FLB records: invalid size"),
     test("test-folio-nowhere", f"poke {INFO}>+8> 64 {NOWHERE}", f"folio 0x{NOWHERE:016x}: not preserved")],
    [row("flbs-count", ["offer-flbs {hop}p nobody-v1", "poke memfd:{hop}p+8 64 10000"], "FLB records: too many"),
     test("test-csum", "poke sub:kho_test:data:csum 32 1", "checksum")],
]
TWICE = [row("region-twice", f"map-add {START}>+4096 0", "duplicate, the first owner gets it")]
# Each loses the region permanently, so it is the last of a guest.
FOREIGN = [region("region-start-foreign", "start", "memfd:{hop}a", "not in preserved memory")]
ASTRAY = [region("region-start-nowhere", "start", NOWHERE, "not in preserved memory")]


# ---- a guest that goes through hops of rows

KEPT = {"region": ["run dmesg | grep \"Revived memory reservation 'khotest'\"", "region-check khotest 77"],
        "folios": [logs("KHO restore succeeded")]}
GONE = {"files": ["fails ENOENT session-get main", "fails ENOENT session-get other"],
        # Early boot may find out later what the memory of a revived region is.
        "region": ["run test $(dmesg | grep -c 'Revived memory') -eq $(dmesg | grep -c \"'khotest' is lost\")"],
        "folios": [logged("KHO restore succeeded", 0)]}
END = [f"run test ! -e {IN}/unclaimed || echo 1 > {IN}/release", CHURN]


def named(files, hop):
    return {f"{hop}{name}": options for name, options in files.items()}


def hand_over(hop, there):
    """Names are not used again: what came back is still open."""
    fill = ["region-fill khotest 77"] if "region" in there else []
    return [*fill, *keep("main", named(MAIN, hop)), *keep("other", named(OTHER, hop)),
            *keep("page", {f"{hop}p": "size=4096 seed=4"}),
            HUGE.format("always"), *keep("huge", {f"{hop}h": "size=2M seed=5", f"{hop}x": "size=5 seed=6"}),
            HUGE.format("never")]


def fate(loses, there, hop):
    """What must be so of all that is handed over."""
    lost = there if loses & {"all", "cold"} else loses
    lines = []
    for what in sorted(there):
        if what in lost:
            lines += GONE[what]
        elif what == "files":
            lines += claim("main", named(MAIN, hop)) + claim("other", named(OTHER, hop))
            lines += claim("page", {}) + claim("huge", {})
        else:
            lines += KEPT[what]
    return lines


def left(loses, there):
    """What the next kernel hands over in turn: no region that it had to put into scratch memory."""
    if "cold" in loses:
        return {"files", "region", "folios"}
    lost = {"folios"} & loses & there | {"region"} & ({"region"} if "all" in loses else loses | ({"region"} - there))
    return {"files", "region", "folios"} - lost


def chain(name, sentence, hops, base=""):
    scripts, there = [[]], {"files", "region", "folios"}
    for hop, rows in enumerate(hops):
        now, following = scripts[-1], []
        now += hand_over(hop, there)
        loses = {word for r in rows for word in r.loses.split()}
        for r in rows:
            now += [f"row {r.name}", *r.harm]
            following += [f"row {r.name}", logs(r.log), *r.see]
        following += [*fate(loses, there, hop), *END]
        scripts[-1] = [line.replace("{hop}", str(hop)) for line in now]
        following = [line.replace("{hop}", str(hop)) for line in following]
        scripts.append(following)
        there = left(loses, there)
    return Case(f"hostile-{name}", sentence, scripts, append=(f"{REGION} {RESERVED}",), memory=MEMORY,
                deadline=15 + 8 * len(scripts), base=base)


def interleave(first, then):
    """Each user's row needs what a cold boot brings back."""
    hops = []
    for n in range(max(len(first), len(then))):
        hops += first[n:n + 1] + [[r] for r in then[n:n + 1]]
    return hops


# ---- what is read when user space asks for it: one session a row, of a small file and another

@dataclass(frozen=True)
class Record:
    name: str
    harm: tuple         # {s} is the session; by default it is about its second file
    fate: str           # of the two: "fine" or the error of retrieving it; empty without a session
    log: str
    size: str = "3P"

    @property
    def must(self):
        if not self.fate:
            return "session lost, the others kept"
        return "all kept" if self.fate == "fine fine" else f"{self.fate}, other sessions kept"


def record(name, harm, fate, log, size="3P"):
    return Record(name, (harm,) if isinstance(harm, str) else tuple(harm), fate, log, size)


def described(name, field, bits, value, log):
    """The description of a memfd."""
    return record(name, f"poke {SER}+{field} {bits} {value}", "fine EINVAL", log)


def listed(name, where, value, log, fate="fine EINVAL", size="3P"):
    """The list of its folios, or what that list is described with."""
    return record(name, f"poke {where} 64 {value}", fate, log, size)


SER = "file:{s}:2+48>"
CHUNK = SER + "+32>"
FOLIO = CHUNK + "+8>"
FLAGS = 3 << 52                 # of a folio, above its frame number
AREA_LOST, MEMFD_LOST = "vmalloc area: ", "memfd_luo: invalid {} ("
FOLIO_LOST = "folio {1}: invalid {0} ("
NOT_FOUND = "invalid records, all files are lost"
RECORDS = [
    record("name-endless", "damage-session {s} name endless", "", "invalid name, its memory stays unclaimed"),
    record("name-twice", "damage-session {s} name first", "", "duplicate name, its memory stays unclaimed"),
    record("name-empty", "damage-session {s} name empty", "", "invalid name, its memory stays unclaimed"),
    record("files-nowhere", f"damage-session {{s}} files {NOWHERE}", "ENOENT ENOENT", NOT_FOUND),
    record("files-unaligned", f"damage-session {{s}} files {ODD}", "ENOENT ENOENT", NOT_FOUND),
    record("files-foreign", "damage-session {s} files 0x9000", "ENOENT ENOENT", NOT_FOUND),
    record("files-none", "damage-session {s} files 0", "ENOENT ENOENT", "count mismatch (0 found, expected 2)"),
    record("count-wrong", "damage-session {s} count 7", "fine fine", "count mismatch (2 found, expected 7)"),
    record("block-count", "damage-block {s} count 10000", "ENOENT ENOENT", "record count out of range"),
    record("block-short", "damage-block {s} count 1", "fine ENOENT", "count mismatch (1 found, expected 2)"),
    record("next-self", "damage-block {s} next self", "ENOENT ENOENT", "records after a partial block"),
    record("next-circle", ["damage-block {s} count full", "damage-block {s} next self"], "ENOENT ENOENT",
           "record block: loop detected"),
    record("next-nowhere", f"damage-block {{s}} next {NOWHERE}", "ENOENT ENOENT", "record block: not preserved"),
    record("token-twice", "damage-file {s} 2 token 1", "fine ENOENT", "token 0x1: duplicate, file is lost"),
    record("handler-endless", "damage-file {s} 2 handler endless", "fine EOPNOTSUPP", "compat: "),
    record("data-none", "damage-file {s} 2 data 0", "fine EINVAL", "description not preserved (0"),
    record("data-nowhere", f"damage-file {{s}} 2 data {NOWHERE}", "fine EINVAL", f"description not preserved ({NOWHERE:#x})"),
    described("memfd-size", 8, 64, 1 << 63, MEMFD_LOST.format("size")),
    described("memfd-size-small", 8, 64, 1, MEMFD_LOST.format("nr_folios")),
    described("memfd-pos", 0, 64, HUGE_NUMBER, MEMFD_LOST.format("pos")),
    described("memfd-seals", 16, 32, 0x8000, MEMFD_LOST.format("seals")),
    described("memfd-flags", 20, 32, 1, MEMFD_LOST.format("flags")),
    described("memfd-folios-huge", 24, 64, HUGE_NUMBER, MEMFD_LOST.format("nr_folios")),
    record("memfd-folios-capacity", [f"poke {SER}+8 64 {1 << 40}", f"poke {SER}+24 64 {1 << 28}"], "fine EINVAL",
           MEMFD_LOST.format("nr_folios")),
    described("memfd-folios-none", 24, 64, 0, MEMFD_LOST.format("nr_folios")),
    described("memfd-folios-few", 24, 64, 2, "folios missing (nr_folios 2"),
    described("list-pages-0", 40, 32, 0, MEMFD_LOST.format("nr_folios")),
    described("list-pages-huge", 40, 32, 0xffffffff, AREA_LOST + "number of pages out of range"),
    described("list-flags", 44, 16, 0x10, AREA_LOST + "unknown flags"),
    described("list-order-huge", 46, 16, 40, AREA_LOST + "order out of range"),
    described("list-order", 46, 16, 1, AREA_LOST + "size misaligned to the order"),
    described("chunk-none", 32, 64, 0, AREA_LOST + "pages missing"),
    described("chunk-nowhere", 32, 64, NOWHERE, AREA_LOST + "chunk not preserved"),
    described("chunk-unaligned", 32, 64, ODD, AREA_LOST + "chunk not preserved"),
    described("chunk-foreign", 32, 64, "spare", AREA_LOST + "chunk not preserved"),
    described("chunk-of-another", 32, 64, "file:{s}:1+48>", AREA_LOST),
    listed("chunk-next-self", CHUNK, CHUNK, AREA_LOST + "partial chunk before the last one"),
    listed("chunk-next-nowhere", CHUNK, NOWHERE, AREA_LOST + "partial chunk before the last one"),
    listed("page-none", CHUNK + "+8", 0, AREA_LOST + "pages missing"),
    listed("page-nowhere", CHUNK + "+8", NOWHERE, AREA_LOST + "page not preserved"),
    listed("page-unaligned", CHUNK + "+8", f"{FOLIO}+8", AREA_LOST + "page not preserved"),
    listed("page-foreign", CHUNK + "+8", "spare", AREA_LOST + "page not preserved"),
    listed("page-too-many", CHUNK + "+16", FOLIO, AREA_LOST + "too many pages"),
    listed("page-twice", CHUNK + "+16", FOLIO, AREA_LOST, size="4100P"),
    listed("pfn-none", FOLIO, FLAGS, "folio not preserved (pfn", "fine EIO"),
    listed("pfn-nowhere", FOLIO, f"{NOWHERE}/1P+{FLAGS}", "folio not preserved (pfn", "fine EIO"),
    listed("pfn-foreign", FOLIO, f"spare/1P+{FLAGS}", "folio not preserved (pfn", "fine EIO"),
    listed("pfn-twice", FOLIO + "+16", FOLIO + ">", "folio not preserved (pfn", "fine EIO"),
    listed("pfn-of-another", FOLIO, "file:{s}:1+48>+32>+8>>", "folio not preserved (pfn", "fine EIO"),
    listed("folio-flags", FOLIO, f"{FOLIO}>+{1 << 54}", FOLIO_LOST.format("flags", 0)),
    listed("index-order", FOLIO + "+8", 2, "folio misplaced (index 2, order 0, expected index 0)"),
    listed("index-beyond", FOLIO + "+40", 1000, FOLIO_LOST.format("index", 2)),
    listed("index-unaligned", FOLIO + "+8", 1, "folio misplaced (index 1, order", size="4M"),
]
WHOLE_FILES = {"1": "size=5000 seed=91", "2": "size=1M seed=92"}


def record_files(number, r):
    return {f"{r.name}.1": f"size=5000 seed={2 * number}", f"{r.name}.2": f"size={r.size} seed={2 * number + 1}"}


def expect_record(r, files):
    """Twice, for an error that is final."""
    if not r.fate:
        return [f"fails ENOENT session-get {r.name}", logs(r.log)]
    lines = ["run dmesg -c > /dev/null"] if r.fate.startswith("fine E") else []
    lines += [f"session-get {r.name}"]
    for token, (word, (file, options)) in enumerate(zip(r.fate.split(), files.items()), 1):
        get = f"retrieve {r.name} {token} {file}"
        lines += [get, f"check {file} {options}"] if word == "fine" else 2 * [f"fails {word} {get}"]
    force = " force" if "EOPNOTSUPP" in r.fate else ""
    lines += [f"finish {r.name}{force}", logs(r.log), f"close {r.name}"]
    # Of lines about lists there are ten in five seconds.
    return lines + (["run sleep 2"] if AREA_LOST in r.log else [])


def records():
    first, last = ({f"{where}{n}": o for n, o in WHOLE_FILES.items()} for where in ("first", "last"))
    make, harm, see = keep("first", first), [], []
    for number, r in enumerate(RECORDS, 1):
        files = record_files(number, r)
        huge = [HUGE.format("always" if r.size.endswith("M") else "never")]
        make += huge + keep(r.name, files) + [f"close {file}" for file in files]
        harm += [f"row {r.name}"] + [line.format(s=r.name) for line in r.harm]
        see += [f"row {r.name}", *expect_record(r, files)]
    new = {"n": "size=3M seed=5"}
    return Case("hostile-records", "An error in a record loses that record, and no other.",
                [make + keep("last", last),
                 harm + claim("first", first) + see + claim("last", last) + keep("next", new) + [CHURN],
                 claim("next", new)], memory=MEMORY, deadline=60)


# ---- not hostile, but long

# In KiB, with the pages that processors keep at hand.
FREE = "awk '$1 == \"nr_free_pages\" || $1 == \"count:\" {n += $2} END {print 4 * n}' /proc/zoneinfo"
THEN = "grep -o 'kho_free=[0-9]*' /proc/cmdline"


def long_chain(hops=100):
    """Free memory after the second hop travels on the command line, and is compared after the last."""
    file = {"a": "size=64M seed=1"}
    scripts = [keep("main", file)]
    for hop in range(1, hops + 1):
        script = [*claim("main", file), f"run echo 1 > {IN}/release", "run echo 3 > /proc/sys/vm/drop_caches",
                  f"run echo hop {hop}: $({FREE}) KiB free"]
        if hop == 2:
            script += [f"run echo -n \" kho_free=$({FREE})\" > /append"]
        elif hop > 2:
            script += [f"run echo -n \" $({THEN})\" > /append"]
        script += ["session-new main", "preserve main 1 a"]
        scripts.append(script)
    scripts[-1][-2:] = [f"run less=$(($({THEN} | cut -d= -f2) - $({FREE}))); test ${{less#-}} -le 1024", "churn"]
    return Case("chain-100", "After 100 kexecs with a memfd of 64 MiB free memory is that after two, but for 1 MiB.",
                scripts, memory=MEMORY, deadline=15 + 10 * hops, default=False)


HALF = len(USERS) // 2
CHAINS = [("users", "Damage to the data of one user loses the data of that user only.", interleave(USERS[:HALF], COLD[:HALF]) + [FOREIGN]),
          ("users-more", "The same, other fields.", interleave(USERS[HALF:], COLD[HALF:]) + [ASTRAY]),
          ("map", "A corrupted memory map loses only the memory it no longer describes.", KEYS + [TWICE] + [[r] for r in WHOLE]),
          # Linux 7.2 has purgatory look for damage, which then does not go on.
          ("boot", "Damage to the data of the boot protocol loses the handover.", [[r] for r in BOOT],
           bases.default())]
CASES = [records()] + [chain(*words) for words in CHAINS] + [long_chain()]
ROWS = [RECORDS] + [[r for rows in hops for r in rows] for _, _, hops, *_ in CHAINS]


# ---- what was seen

def marks(results):
    """[(row, all fine)] of the reports of one guest, in their order."""
    seen = []
    for hop in guest.hops(results):
        for point in hop.points:
            if point.text.startswith("row "):
                seen.append([point.text[4:], True])
            elif seen and not point.ok:
                seen[-1][1] = False
    return seen


def verdicts(where, rows):
    """{row: verdict}.  Each is seen twice; the last one that was begun is to blame when a guest broke."""
    lines = [guest.Line(0, text) for text in (where / "results.log").read_text(errors="replace").splitlines()]
    seen = marks(lines)
    found = {}
    for r in rows:
        fine = [good for name, good in seen if name == r.name]
        found[r.name] = "FAILED" if False in fine else "ok" if len(fine) == 2 else "not run"
    return found, seen[-1][0] if seen else ""


def table(place, results):
    """As people read it; place(case) is the folder of a case."""
    lines = [("field", "line in the log", "must happen", "verdict")]
    by_name = {result.name: result for result in results}
    for case, rows in zip(CASES, ROWS):
        if case.name not in by_name:
            continue
        found, last = verdicts(place(case), rows)
        if not by_name[case.name].ok and "FAILED" not in found.values():
            found[last] = "FAILED"
        lines += [(r.name, r.log or "-", r.must, found[r.name]) for r in rows]
    wide = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(line, wide)).rstrip() for line in lines)
