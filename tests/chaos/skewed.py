"""`python -m tests.chaos.skewed SECONDS MODULE …`: run a module in a process whose clock is off.

Every reading of the wall clock is shifted, in Python and in whatever the process forks; the steady
clock is not, as on a real machine.
"""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime, timedelta

import time_machine


def main() -> None:
    skew_s = float(sys.argv[1])
    sys.argv = sys.argv[2:]
    if skew_s:
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=skew_s), tick=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
