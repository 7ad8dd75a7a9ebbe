# SPDX-License-Identifier: GPL-2.0
"""Kexec cases: the list of the handover program, and the guest of each case.

The guest mounts a folder of the host as /share.  It has the kernels, and for each hop the name of
its kernel and its command line.
"""
import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import kho_guest
import kho_programs
import kho_vm
from kho_guest import OURS, STOCK
from kho_report import Result, Skip, Stop, problem

# An emulated processor may not run while the kernel tests its timer.
APPEND = ("kho=on liveupdate=on panic=-1 oops=panic loglevel=7 mitigations=off "
          "no_timer_check")
# Modules that put further files into the share of a guest; the key is a word in the names of the
# cases that need these files.
MORE = {"khoctl": kho_programs, "systemd": kho_programs, "vm": kho_vm}


@dataclass(frozen=True)
class Setup:
    """What guests are made of.  The functions are only called for cases that need their results."""
    machine: kho_guest.Machine
    accel: str
    kernels: dict       # {name: image}
    build: Path         # the build directory of OURS
    tree: Path          # the sources of OURS
    initrd: Path
    handover: Path      # the handover program
    step: object        # step(title, argv) runs a command, and raises Stop if it fails
    khoctl: object      # khoctl() builds khoctl, and returns the program
    systemd: object     # systemd() returns the root folder of a system with systemd

@dataclass(frozen=True)
class Case:
    """A case; all members but the last two are keys of the listing."""
    name: str
    sentence: str
    hops: int           # number of kernels; a hop is the run in one of them
    kernels: list       # names (default: OURS); the last one is for all further kernels too
    append: list        # additions to the command lines; the last one likewise
    memory: int         # MiB
    pages: int          # additional pages, of any size
    nodes: int          # NUMA nodes, with a processor each
    plug: str           # a device with more memory, in one more node
    deadline: int       # seconds with KVM
    allowed: list       # expected lines of the console that would be splats otherwise
    qemu: list          # arguments for QEMU
    live: bool          # can be run without a kexec, too
    by_name: bool       # only run if it is named
    arch: str           # the only architecture, or empty
    base: str           # the only series of the base, or empty
    rows: list          # of its table: name, line in the log, expected result
    bring: object = None        # function that puts more from a Setup into the share
    judge: object = problem     # function that finds the problem of an Outcome

    def row(self):
        """The name of the kernel of each hop."""
        return [at(self.kernels, hop) or OURS for hop in range(self.hops)]

    def needs(self):
        """The names of all kernels; for khoctl, also one that is loaded or read, and not run."""
        return {*self.row(), *([STOCK] if self.name in ("khoctl", "systemd-khoctl") else [])}


def at(row, hop):
    """The entry of a kernel in a row whose last entry counts for all further kernels."""
    return row[min(hop, len(row) - 1)] if row else ""


def listed(program):
    """The cases that the handover program lists, with a line of JSON for each."""
    try:
        text = subprocess.check_output([program, "--list"], text=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise Stop(f"the handover program cannot list its cases: {e}", 1) from None
    return [prepared(Case(**json.loads(line))) for line in text.splitlines()]


def prepared(case):
    """The case with the functions of a module of MORE, if it needs further files."""
    more = [module for word, module in MORE.items() if word in case.name.split("-")]
    return replace(case, **more[0].functions(case.name)) if more else case


# ---- one case

def command_line(machine, name, hop, *more):
    """The command line of a kernel that runs a hop of a case."""
    words = [f"{machine.console} {APPEND}", f"kho_results={machine.results}",
             f"kho_case={name} kho_hop={hop}", *more]
    return " ".join(filter(None, words))


def fill_share(share, initrd, kernels, row, lines):
    """Put {name: image} of kernels into the share, and the kernel and command line of each hop."""
    share.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(initrd, share / "initrd")
    for name in set(row):
        shutil.copyfile(kernels[name], share / f"kernel-{name}")
    for hop, (name, line) in enumerate(zip(row, lines)):
        (share / f"kernel{hop}").write_text(f"kernel-{name}")
        (share / f"append{hop}").write_text(line)


def extra(case, memory):
    """Arguments of QEMU for this case only."""
    if case.nodes == 1 and not case.plug:
        return case.qemu
    nodes = kho_guest.nodes(f"{memory // case.nodes}M", map(str, range(case.nodes)))
    return case.qemu + nodes + (kho_guest.plugged(case.plug, case.nodes) if case.plug else [])


def run(case, setup, where, hear=None):
    """Run the guest of a case; returns its Result.

    Its logs are in the folder 'where'.  hear() is called for every line of output.
    """
    share = Path(where) / "share"
    lines = [command_line(setup.machine, case.name, hop, at(case.append, hop))
             for hop in range(case.hops)]
    memory = case.memory + (case.pages * 4 >> 10)
    try:
        fill_share(share, setup.initrd, setup.kernels, case.row(), lines)
        if case.bring:
            case.bring(setup, share)
        argv = kho_guest.with_share(setup.machine, setup.accel, memory, share, extra(case, memory))
        deadline = case.deadline * kho_guest.SLOWER[setup.accel]
        outcome = kho_guest.boot(argv, where, deadline, case.allowed, hear)
    except Skip as e:
        return Result(case.name, True, skipped=str(e))
    except Stop as e:           # other cases may have what they need
        return Result(case.name, False, str(e))
    finally:
        shutil.rmtree(share, ignore_errors=True)
    why = case.judge(outcome, case.hops, case.allowed)
    return Result(case.name, not why, f"{why}; logs: {where}" if why else "", outcome.seconds)


# ---- many cases

def run_all(cases, run_one, jobs, say):
    """[Result] of run_one() for each case; prints KTAP in the order of the cases."""
    say(f"KTAP version 1\n1..{len(cases)}")
    results = []
    with kho_guest.at_once(jobs) as pool:
        running = [pool.submit(run_one, case) for case in cases]
        for number, job in enumerate(running, 1):
            result = job.result()
            results.append(result)
            if not result.ok:
                say(f"# {result.why}")
            more = f"SKIP {result.skipped}" if result.skipped else f"{result.seconds:.0f} s"
            say(f"{'ok' if result.ok else 'not ok'} {number} - {result.name} # {more}")
    return results
