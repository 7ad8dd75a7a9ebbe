# SPDX-License-Identifier: GPL-2.0
"""The compatibility table: result of a handover between two kernels that differ.

Each row is a case of tools/testing/selftests/kho/cases_compat.c.
"""
from dev.host import columns

# What the first kernel and those after it are, by the name of the case.
ROWS = {
    "ours-ours": ("ours", "ours"),
    "stock-ours": ("stock", "ours"),
    "stock-ours-ours": ("stock", "ours, ours"),
    "ours-stock": ("ours", "stock, ours"),
    "stock-7.2-ours": ("stock 7.2", "ours on 7.3, twice"),
    "ours-7.2-ours": ("ours on 7.2", "ours on 7.3, and on 7.2"),
    "vmalloc-v2": ("vmalloc-v2", "ours"),
    "block-v2": ("block-v2", "ours"),
    "luo-v6": ("luo-v6", "ours"),
    "memfd-v3": ("memfd-v3", "ours"),
    "radix-v2": ("radix-v2", "ours"),
    "kho-v5": ("kho-v5", "ours"),
    "foo-v1": ("foo-v1 besides", "ours"),
    "bad-root": ("bad root string", "ours"),
    "bad-luo": ("bad LUO string", "ours"),
    "bad-file": ("bad file strings", "ours"),
    "bad-flb": ("bad FLB names", "ours"),
}


def table(cases, results):
    """What was seen of the rows, as people read it."""
    seen = {result.name: "ok" if result.ok else "FAILED" for result in results}
    must = {case.name: case.sentence for case in cases}
    lines = [("first kernel", "second", "must happen", "verdict")]
    lines += [(*kernels, must[f"compat-{name}"], seen[f"compat-{name}"])
              for name, kernels in ROWS.items() if f"compat-{name}" in seen]
    return columns(lines)
