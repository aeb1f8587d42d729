"""The fleet that the promises speak of: 500 channels, four urgencies, 240 requests a minute."""

from __future__ import annotations

from tests.chaos.judge import Judge
from tests.chaos.plan import CRITICAL, HIGH, LOW, NORMAL, Polled

# Channels, seconds between their entries (and polls), priority: together 540 polls a minute.
MIX = ((25, 10, CRITICAL), (75, 30, HIGH), (200, 60, NORMAL), (200, 300, LOW))
BUDGET = 240
URGENCY = {cadence_s: priority for _, cadence_s, priority in MIX}


def fleet_of(share: int) -> str:
    """The fleet for the simulator; with a share of 5, a fifth of each kind."""
    return ",".join(f"{number // share}x{cadence_s}" for number, cadence_s, _ in MIX)


def planned(judge: Judge) -> list[Polled]:
    """The fleet, each channel polled as often as it says something."""
    return [
        Polled(one["id"], one["cadence_s"], URGENCY[one["cadence_s"]], one["read_key"] or "")
        for one in judge.fleet()
    ]
