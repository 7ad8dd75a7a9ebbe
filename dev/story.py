# SPDX-License-Identifier: GPL-2.0
"""What './kho live-update' runs: a case, and what is printed of its guest."""
import kho_report


class Story:
    """One case; each line of its guest is printed when it arrives, if shown() has a text for it."""
    name = ""           # of the case
    options = ""        # of './kho live-update'
    good = ""           # what is printed last if nothing is lost

    def __init__(self, run):
        self.run = run
        self.kernels = 0
        self.outcome = None

    def fit(self, case):
        """The case with what this story needs in addition."""
        return case

    def hear(self, line):
        """Print what a line from a serial port of the guest shows."""
        if "Linux version " in line.text:
            self.kernels += 1
            text = f"kernel {self.kernels} entered"
        elif line.text == "# kexec":
            text = f"kernel {self.kernels} left"
        else:
            text = self.shown(line.text)
        if text:
            self.run.say(f"  {line.at:6.2f} s  {text}")

    def shown(self, text):
        """What is printed for a line, or an empty text."""
        raise NotImplementedError

    def judge(self, outcome, kernels, allowed=()):
        """The problem of the guest, or an empty text."""
        self.outcome = outcome
        return kho_report.problem(outcome, kernels, allowed)

    def summary(self):
        """Print what is only known at the end."""
