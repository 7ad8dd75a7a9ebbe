# SPDX-License-Identifier: GPL-2.0
"""The compatibility table: result of a handover between two kernels that differ.

Each row is a case.  The first kernel hands over a reserve_mem= region, the folios of
lib/test_kho.c and memfds in two sessions; that it is of another version is brought about by
changing the strings in its handover.
"""
from dev import base as bases
from dev.kernel import PLAIN
from dev.cases import OURS, Case, claim, flbs, keep, logged

CHURN = "churn rounds=1"
IN = "/sys/kernel/debug/kho/in"
REGION = "reserve_mem=4M:4096:khotest"
NEWER, OLDER = (row[0] for row in bases.supported()[:2])
ROOT, LUO, MEMFD = "kho-v4;radix-v1;vmalloc-v1", "luo-v5;block-v1", "memfd-v2;vmalloc-v1"
LARGE = {"a": "size=64M seed=1", "b": "size=5000 seed=2"}
SMALL = {"c": "size=300000 seed=3", "d": "size=1 seed=4"}
TINY = {"e": "size=5000 seed=6"}
NEW = {"n": "size=1M seed=5"}


# ---- pieces of scripts

def give(*offers, main=LARGE):
    """All that is handed over, in the versions of this kernel but for the offers."""
    return ["region-fill khotest 77", "total-keep", *keep("main", main), *keep("other", SMALL), *offers]


def logs(text):
    return f'run dmesg | grep -F "{text}"'


def shows(name, offered, supported, verdict, base):
    return f"run grep -x '{name} {offered} {supported} {verdict} {base} *' {IN}/compat"


def differs(name, offered, supported, base):
    """A component of another version is named, in the log and in debugfs."""
    return [logs(f"KHO: compat: {name}: previous kernel has {offered}, this one {supported}"),
            shows(name, offered, supported, "other", base)]


def same(*names):
    return [shows(name, f"{name}-v{v}", f"{name}-v{v}", "same", base) for name, v, base in names]


FORMATS = same(("kho", 4, "kho"), ("radix", 1, "kho"), ("vmalloc", 1, "kho"), ("luo", 5, "luo"),
               ("block", 1, "luo"), ("memfd", 2, "memfd"), ("vmalloc", 1, "memfd"))
REGION_KEPT = [logs("Revived memory reservation 'khotest'"), "region-check khotest 77"]
MEMORY_KEPT = [*REGION_KEPT, logs("KHO restore succeeded")]
FILES_KEPT = [*claim("main", LARGE), *claim("other", SMALL)]
# After that, unclaimed memory is free, and nothing else.
RELEASE = [f"run echo 1 > {IN}/release", "total-check slack=1M", CHURN, *REGION_KEPT]
COLD = [logs("disabling KHO revival"), logged("Revived memory", 0), logged("KHO restore", 0),
        "total-check slack=4M", "fails ENOENT session-get main", CHURN]
LOST = ["fails ENOENT session-get main", "fails ENOENT session-get other"]
ON = [*keep("next", NEW), "region-fill khotest 77"]
NEXT = [*MEMORY_KEPT, *claim("next", NEW)]


def case(name, must, *scripts, **settings):
    return Case(f"compat-{name}", must, list(scripts), append=(REGION,), memory=512,
                deadline=15 + 10 * len(scripts), **settings)


# ---- the rows

def ours_ours():
    return case("ours-ours", "all kept", give(), [*MEMORY_KEPT, *FILES_KEPT, *FORMATS, logged("compat:", 0)])


LEGACY = [logs(f"KHO: compat: '{bare}' stands for '{full}'")
          for full in (ROOT, LUO, MEMFD) for bare in [full.partition(";")[0]]]


def stock_ours():
    return case("stock-ours", "all kept, the log says what the strings stand for",
                give(), [*MEMORY_KEPT, *FILES_KEPT, *LEGACY, *FORMATS], kernels=("stock", OURS))


def stock_ours_ours():
    return case("stock-ours-ours", "all kept twice", give(), [*MEMORY_KEPT, *FILES_KEPT, *ON], NEXT,
                kernels=("stock", OURS))


def ours_stock():
    return case("ours-stock", "stock boots cold; back to ours all kept",
                give(), [*COLD, *ON], NEXT, kernels=(OURS, "stock", OURS))


def bases_stock():
    return case(f"stock-{OLDER}-ours", "all kept, the log says what the strings stand for",
                give(), [*MEMORY_KEPT, *FILES_KEPT, *LEGACY, *FORMATS, *ON], NEXT,
                kernels=("stock", f"{PLAIN}@{NEWER}"), base=OLDER)


def bases_ours():
    return case(f"ours-{OLDER}-ours", "all kept, and kept on the way back",
                give(), [*MEMORY_KEPT, *FILES_KEPT, *FORMATS, logged("compat:", 0), *ON], NEXT,
                kernels=(OURS, f"{PLAIN}@{NEWER}", OURS), base=OLDER)


def give_up(session):
    """End a session with files that nothing here can free."""
    return [f"fails EBUSY finish {session}", f"finish {session} force", f"close {session}"]


def vmalloc_v2():
    v2 = "damage-file main {} handler memfd-v2;vmalloc-v2"
    return case("vmalloc-v2", "memfds -EOPNOTSUPP, region and folios kept, memory free again",
                give("offer-root kho-v4;radix-v1;vmalloc-v2"),
                [*REGION_KEPT, logs("named folios succeeded"), *differs("vmalloc", "vmalloc-v2", "vmalloc-v1", "kho"),
                 v2.format(1), v2.format(2), "session-get main", "fails EOPNOTSUPP retrieve main 1 a",
                 "fails EOPNOTSUPP retrieve main 2 b", f"run ! echo 1 > {IN}/release",
                 *differs("vmalloc", "vmalloc-v2", "vmalloc-v1", "memfd"), *give_up("main"),
                 "session-get other", "fails EOPNOTSUPP retrieve other 1 c", "finish other", "close other",
                 *RELEASE, *ON],
                [*REGION_KEPT, *claim("next", NEW)])


def luo_lost(name, offer, *named):
    return case(name, "LUO empty, region and folios kept, live updates go on", give(f"offer-luo {offer}"),
                [*MEMORY_KEPT, *differs(*named, "luo"), *LOST, *RELEASE, *ON], NEXT)


def memfd_v3():
    v3 = "damage-file main {} handler memfd-v3;vmalloc-v1"
    return case("memfd-v3", "that file -EOPNOTSUPP, the rest kept, memory free again", give(),
                [*MEMORY_KEPT, v3.format(1), "session-get main", "fails EOPNOTSUPP retrieve main 1 a",
                 "retrieve main 2 b", f"check b {LARGE['b']}", *differs("memfd", "memfd-v3", "memfd-v2", "memfd"),
                 *give_up("main"), *claim("other", SMALL), *RELEASE, *ON], NEXT)


def cold(name, offer, *named):
    return case(name, "boots cold and says so", give(f"offer-root {offer}"),
                [*differs(*named, "kho"), *COLD, f"run test ! -e {IN}/fdt", *ON], NEXT)


def foo():
    return case("foo-v1", "all kept, foo is named", give("offer-root kho-v4;foo-v1;radix-v1;vmalloc-v1"),
                [*MEMORY_KEPT, *FILES_KEPT, *FORMATS, shows("foo", "foo-v1", "-", "unknown", "kho"),
                 logs("KHO: compat: foo: previous kernel has foo-v1, this one none")])


# ---- rows of text that no kernel would write; one kernel after the other gets another

BAD = ("garbage", "empty", "endless", "huge")


def bad_root():
    offers = [*BAD, "huge length=65536"]
    scripts = [give(f"offer-root {offer}", main=TINY) for offer in offers] + [[*ON]]
    for script in scripts[1:]:
        script[:0] = [logs(f"instead of '{ROOT}'"), shows("kho", "-", "-", "malformed", "kho"), *COLD]
    return case("bad-root", "boots cold each time and says so", *scripts, NEXT)


def bad_luo():
    scripts = [give(f"offer-luo {offer}", main=TINY) for offer in BAD] + [[*ON]]
    for script in scripts[1:]:
        script[:0] = [*MEMORY_KEPT, *LOST, *RELEASE]
    for script in scripts[1:-1]:
        script[:0] = [logs(f"instead of '{LUO}'"), shows("luo", "-", "-", "malformed", "luo")]
    scripts[-1][:0] = [logs("subtree 'LUO': not preserved")]
    return case("bad-luo", "LUO empty each time, region and folios kept", *scripts, NEXT)


def bad_file():
    files = {f"f{n}": f"size=4M seed={n}" for n in range(1, 7)}
    none = "fails {} retrieve main {} f{}"
    return case("bad-file", "those files -EOPNOTSUPP or unknown, the rest kept, memory free again", give(main=files),
                [*(f"damage-file main {n} handler {bad}" for n, bad in enumerate(BAD, 2)), "session-get main",
                 "retrieve main 1 f1", f"check f1 {files['f1']}", *(none.format("EOPNOTSUPP", n, n) for n in (2, 3, 4)),
                 *(none.format("ENOENT", n, n) for n in (5, 6)), logs("compat: '"), *give_up("main"),
                 *MEMORY_KEPT, *claim("other", SMALL), *RELEASE, *ON], NEXT)


def bad_flb():
    """The records stay in their page until all sessions are finished, so the one with the page is not."""
    return case("bad-flb", "that FLB is lost, the rest kept",
                give("session-new page", "memfd p size=4096 seed=1", "preserve page 1 p",
                     f"offer-flbs p liveupdate-test-flb-v0 {' '.join(BAD)}", main=TINY),
                [*MEMORY_KEPT, logged("flb-v0: found", 1), logged("flb-v1: found", 0), logged("ERROR", 0),
                 logs("compat: '"), *claim("main", TINY), *claim("other", SMALL), *ON],
                [*NEXT, *flbs("finish was", 1)])


ROWS = [
    ("ours", "ours", ours_ours()),
    ("stock", "ours", stock_ours()),
    ("stock", "ours, ours", stock_ours_ours()),
    ("ours", "stock, ours", ours_stock()),
    (f"stock {OLDER}", f"ours on {NEWER}, twice", bases_stock()),
    (f"ours on {OLDER}", f"ours on {NEWER}, and on {OLDER}", bases_ours()),
    ("vmalloc-v2", "ours", vmalloc_v2()),
    ("block-v2", "ours", luo_lost("block-v2", "luo-v5;block-v2", "block", "block-v2", "block-v1")),
    ("luo-v6", "ours", luo_lost("luo-v6", "luo-v6;block-v1", "luo", "luo-v6", "luo-v5")),
    ("memfd-v3", "ours", memfd_v3()),
    ("radix-v2", "ours", cold("radix-v2", "kho-v4;radix-v2;vmalloc-v1", "radix", "radix-v2", "radix-v1")),
    ("kho-v5", "ours", cold("kho-v5", "kho-v5;radix-v1;vmalloc-v1", "kho", "kho-v5", "kho-v4")),
    ("foo-v1 besides", "ours", foo()),
    ("bad root string", "ours", bad_root()),
    ("bad LUO string", "ours", bad_luo()),
    ("bad file strings", "ours", bad_file()),
    ("bad FLB names", "ours", bad_flb()),
]
CASES = [row[2] for row in ROWS]


def table(results):
    """What was seen of the rows, as people read it."""
    seen = {result.name: "ok" if result.ok else "FAILED" for result in results}
    lines = [("first kernel", "second", "must happen", "verdict")]
    lines += [(first, second, row.sentence, seen[row.name]) for first, second, row in ROWS if row.name in seen]
    wide = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(line, wide)).rstrip() for line in lines)
