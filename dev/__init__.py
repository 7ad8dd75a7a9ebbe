# SPDX-License-Identifier: GPL-2.0
"""The driver.  Its guests are run by modules of the kernel tree, which also run without it."""
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools/testing/selftests/kho"))
