"""Devices that have come equally far and go equally far: what is done of them is done together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

TOGETHER = 50
"""Devices at once: at eight values a minute, some hundred megabytes of a month at the most."""
NEVER = datetime(1, 1, 2, tzinfo=UTC)
"""Before all readings: a day after the first that can be written, for zones west of Greenwich."""
Instants = Mapping[int, datetime]
"""By device."""


def groups(until: Instants, done: Instants) -> list[tuple[list[int], datetime]]:
    """Devices of which something is left between what is `done` and `until`, and that `until`."""
    alike: dict[tuple[datetime, datetime], list[int]] = defaultdict(list)
    for device, ends in sorted(until.items()):
        if device in done and done[device] < ends:
            alike[done[device], ends].append(device)
    return [
        (devices[start : start + TOGETHER], ends)
        for (_, ends), devices in alike.items()
        for start in range(0, len(devices), TOGETHER)
    ]
