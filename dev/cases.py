# SPDX-License-Identifier: GPL-2.0
"""Pieces of the scripts of cases that are not yet written in C.

The actions are those of tools/testing/selftests/kho/handover.c.  Loading the next kernel and
going to it is added by dev/runner.py, at the end of every script but the last.
"""

# Lines that stand for loading the next kernel where a case wants it otherwise, and the options of kexec.
LOAD = "load"
LOADS = {LOAD: "-s -l"}
SWITCH = "systemctl-kexec"      # as the last line: lets systemd go to the next kernel
HUGE = "run echo {} > /sys/kernel/mm/transparent_hugepage/shmem_enabled"


def keep(session, files):
    """Make memfds of {name: options} and preserve them under tokens 1, 2, …"""
    lines = [f"session-new {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"memfd {name} {options}", f"preserve {session} {token} {name}"]
    return lines


def claim(session, files, finish=True):
    """Get the session and the memfds back, and look at each."""
    lines = [f"session-get {session}"]
    for token, (name, options) in enumerate(files.items(), 1):
        lines += [f"retrieve {session} {token} {name}", f"check {name} {options}"]
    return lines + ([f"finish {session}", f"close {session}"] if finish else [])


def look(files):
    return [f"check {name} {options}" for name, options in files.items()]


def logged(text, number):
    """The log of this kernel has so many lines with this text."""
    return f"run test $(dmesg | grep -c '{text}') -eq {number}"
