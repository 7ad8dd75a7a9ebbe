# SPDX-License-Identifier: GPL-2.0
"""khoctl in guests: what it says before the kexec, and what the second kernel then finds."""
import re
import shutil
import threading

from dev import compat, guest, kernel as kernels, systemd, tools
from dev.cases import OURS, Case, claim, keep
from dev.host import OUT
from dev.unit import KHOCTL

BUILD = OUT / "build/khoctl"
PLACE = "/share/khoctl"
TOOL, THIS, STOCK = f"{PLACE}/run", f"{PLACE}/this", f"{PLACE}/stock"
KHO = "/sys/kernel/debug/kho"
ONE_AT_A_TIME = threading.Lock()


# ---- what the guest gets

def build(run, kernel):
    """khoctl from the tree of that kernel."""
    with ONE_AT_A_TIME:
        tools.require(run, more=tools.KHOCTL)
        run.quiet("building khoctl", ["make", "-C", kernel.tree / KHOCTL, f"O={BUILD}", *kernels.compiler()])
    return BUILD / "khoctl"


def bring(run, kernel, share):
    """Put khoctl and its libraries into the share; why that cannot be had, or nothing."""
    if kernel.arch != tools.HOST:
        return f"khoctl is built for {tools.HOST}, not for {kernel.arch}"
    program = build(run, kernel)
    *_, folders = guest.programs(run, kernel.arch)
    target = share / "khoctl"
    target.mkdir()
    for name, source in {"khoctl": program, "this": kernel.image, **guest.libraries(program, folders)}.items():
        shutil.copy(source, target / name)
    # With the loader of its own libraries, whatever the guest has.
    loader = next(target.glob("ld-linux*")).name
    (target / "run").write_text(f'#!/bin/sh\nexec {PLACE}/{loader} --library-path {PLACE} {PLACE}/khoctl "$@"\n')
    (target / "run").chmod(0o755)
    return ""


def load_line(kernel, append):
    """As guest.load_line(), by khoctl, which checks the image first."""
    return guest.load_line(kernel, append).replace("run kexec -s -l", f"run {TOOL} load", 1)


# ---- kernels of other versions

def bring_stock(run, kernel, share):
    """khoctl, and the image of a kernel without notes."""
    why = bring(run, kernel, share)
    if not why:
        with ONE_AT_A_TIME:
            stock = kernels.build(run, kernel.arch, kernels.like(kernel, "stock"))
        shutil.copy(stock.image, share / "khoctl/stock")
    return why


def bring_rows(run, kernel, share):
    """Notes of the first kernel of each row of the compatibility table, as small images."""
    why = bring_stock(run, kernel, share)
    if why:
        return why
    vmlinux, notes = kernel.dir / "vmlinux", share / "khoctl/notes"
    run.quiet("taking the notes", ["objcopy", "-O", "elf64-x86-64", "-j", ".notes", vmlinux, notes])
    for name, changes in ROWS.items():
        data = notes.read_bytes()
        for old, new in changes:
            data = data.replace(old.encode() + b"\0", new.encode() + b"\0").replace(old.encode() + b";", new.encode() + b";")
        (share / "khoctl" / name).write_bytes(data)
    return ""


# The rows of dev/compat.py in which the first kernel has another version of one structure.
ROWS = {"vmalloc-v2": [("vmalloc-v1", "vmalloc-v2")], "block-v2": [("block-v1", "block-v2")],
        "luo-v6": [("luo-v5", "luo-v6")], "memfd-v3": [("memfd-v2", "memfd-v3")],
        "radix-v2": [("radix-v1", "radix-v2")], "kho-v5": [("kho-v4", "kho-v5")]}
LOSES = {"vmalloc-v2": "files of memfd", "block-v2": "all sessions", "luo-v6": "all sessions",
         "memfd-v3": "files of memfd", "radix-v2": "everything", "kho-v5": "everything"}
SHOWS = re.compile(r"run grep -x '(\S+) (\S+) (\S+) other \S+ \*' ")


def verdicts(name):
    """(component, version before, version after) that the second kernel of a row must show."""
    row = next(case for case in compat.CASES if case.name == f"compat-{name}")
    return sorted({found.groups() for script in row.scripts for line in script if (found := SHOWS.match(line))})


def agrees(name):
    """Lines that compare what khoctl says about a row with what the second kernel of that row must show."""
    lines = [f"run {TOOL} check --from {PLACE}/{name} --to {THIS} >/tmp/check; test $? -eq 1",
             f"run grep -q '^would lose: .*{LOSES[name]}' /tmp/check"]
    for component, before, after in verdicts(name):
        lines.append(f"run grep -Eq '^{component} +{before}(;| ).* {after}(;| ).* other$' /tmp/check")
    return lines


def compat_case():
    lines = [line for name in ROWS for line in agrees(name)]
    lines += [f"run {TOOL} check --from {PLACE}/notes --to {THIS} | grep -q '^safe: '",
              f"run {TOOL} check --from {THIS} --to {STOCK} >/tmp/check; test $? -eq 1",
              "run grep -x 'would lose: everything' /tmp/check",
              f"run {TOOL} check --from {STOCK} --to {THIS} | grep -q '^safe: '"]
    return Case("khoctl-compat", "khoctl says of images what the second kernel of each row of the table shows.",
                [lines], bring=bring_rows, arches=("x86_64",))


# ---- a live update with khoctl

MAIN = {"a": "size=8M seed=1", "b": "size=12345 seed=2"}
LEFT = {"c": "size=4M seed=3"}


def json_has(words, *texts):
    """The JSON of a verb has these texts, white space aside."""
    return [f"run {TOOL} --json {words} | tr -d ' \\n' >/tmp/json"] + [f"run grep -qF '{text}' /tmp/json" for text in texts]


def update_case():
    first = [f"run {TOOL} abi {THIS} | tail -n +2 >/tmp/image; {TOOL} abi | tail -n +2 | cmp - /tmp/image",
             f"run {TOOL} check --to {THIS} | grep -x 'safe: nothing is in use'",
             f"run {TOOL} check --to {STOCK} | grep -x 'safe: nothing is in use'",
             *keep("main", MAIN), *keep("left", LEFT),
             f"run {TOOL} check --to {THIS} | grep -q '^safe: Linux'",
             f"run {TOOL} check --to {STOCK} >/tmp/check; test $? -eq 1",
             "run grep -x 'would lose: 2 sessions (main, left)' /tmp/check",
             f"run {TOOL} load {STOCK} --reuse-cmdline; test $? -eq 1",
             "run grep -x 0 /sys/kernel/kexec_loaded",
             *json_has("show", '"sessions":["main","left"]', '"memfd-v2;vmalloc-v1":3', '"writes":{"kho":"kho-v4;'),
             "run grep -c '^file: 0x. preserved ' /sys/kernel/debug/liveupdate/outgoing_files | grep -x 3",
             f"run grep -x 'luo: luo-v5;block-v1' {KHO}/out/compat", f"run grep -q '^order 0: [1-9]' {KHO}/out/preserved"]
    then = [*json_has(f"dump {KHO}/in", '"name":"main","nr_files":2', '"name":"left","nr_files":1', '"size":8388608',
                      '"size":12345', '"size":4194304', '"blocks_of_order_0":'),
            *json_has("show", '"unfinished":["main","left"]', '"kexecs":1', '"previous":"valid"'),
            f"run {TOOL} release -y 2>&1 | grep -q 'in use'",
            f"run {TOOL} finish -y other 2>&1 | grep -q 'not among the incoming'",
            f"run echo y | {TOOL} finish left", *claim("main", MAIN),
            *json_has("show", '"unfinished":[]', '"name":"main","retrieved":', '"name":"left"'),
            f"run {TOOL} release -y", f"run grep -q '^total 0 pages' {KHO}/in/unclaimed",
            *json_has("timeline", '"blackout":', '"freeze":', '"kexec":', '"boot":', '"preserve":'),
            f"tell {TOOL} timeline"]
    return Case("khoctl", "khoctl checks, loads, decodes what came in, finishes a session and releases the rest.",
                [first, then], kernels=(OURS, OURS), bring=bring_stock, arches=("x86_64",))


# ---- systemd

UNITS = "/etc/systemd/system"
INSTALL = [f"run ln -s {TOOL} /usr/sbin/khoctl", f"run mkdir {UNITS}/kexec.target.d",
           f"run cp {PLACE}/khoctl-kexec.service {UNITS}", f"run cp {PLACE}/khoctl-only.conf {UNITS}/kexec.target.d",
           "run systemctl daemon-reload"]


def bring_systemd(run, kernel, share):
    why = systemd.bring(run, kernel, share) or bring_stock(run, kernel, share)
    for unit in () if why else (kernel.tree / KHOCTL / "systemd").iterdir():
        shutil.copy(unit, share / "khoctl")
    return why


def systemd_case():
    """The image without notes loses the session: nothing is stopped, frozen or loaded."""
    refused = [f"run printf 'IMAGE={STOCK}\\nWORDS=--reuse-cmdline\\n' >/etc/khoctl.conf",
               "run systemctl start khoctl-kexec.service; test $? -eq 1", "run systemctl kexec; test $? -eq 1",
               "run grep -x 0 /sys/kernel/kexec_loaded", "run systemctl is-active keeper.service",
               "run ! grep '^frozen: ' /sys/kernel/debug/kho/timeline"]
    first = [*systemd.START, *systemd.KEEP, "run mount -t debugfs debugfs /sys/kernel/debug || true", *INSTALL, *refused,
             "memfd own2 size=3000 seed=9", "preserve own 78 own2",
             f"run rm {UNITS}/kexec.target.d/khoctl-only.conf && systemctl daemon-reload"]
    then = [*systemd.FOUND, *systemd.USE, "retrieve own 78 own2", "check own2 size=3000 seed=9", "finish own"]
    return systemd.case("-khoctl", "systemd is told to start a kernel that does not fit, and refuses: all goes on.",
                        first, then, bring=bring_systemd)


CASES = [update_case(), compat_case(), systemd_case()]
