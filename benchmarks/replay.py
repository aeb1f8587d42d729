"""Poll recorded feeds with the real stack and report what became of them.

`python -m benchmarks.replay FOLDER` (or `make replay FOLDER=…`): every feed in the folder becomes a
channel of a temporary site, mapped as the admin would propose it, and is read to its beginning.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.site import temporary_site
from simulator.testing import RunningSimulator


def main(arguments: list[str]) -> int:
    """Print the report as JSON; 1 when a channel could not be read, 2 for wrong arguments."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m benchmarks.replay FOLDER", file=sys.stderr)
        return 2
    with temporary_site(), RunningSimulator(replay=Path(arguments[0])) as simulator:
        # The site's modules can be imported only now that Django is configured.
        from benchmarks.replayed import add_channels, read_everything, report

        channels = [one for one in simulator.control("catalogue") if "file" in one]
        started = time.perf_counter()
        add_channels(simulator.url, channels)
        ticks = read_everything()
        figures = report(channels)
        figures["duration_s"] = round(time.perf_counter() - started, 2)
        figures["ticks"] = ticks
        print(json.dumps({**figures, "machine": machine()}, indent=2, ensure_ascii=False))
    return 0 if figures["complete"] == figures["channels"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
