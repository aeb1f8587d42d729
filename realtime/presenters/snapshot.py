"""The snapshot as JSON: the same readings and states as on the page and over the socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.readings.represent import represent
from realtime.messages import VERSION
from realtime.presenters.facts import Fleet
from realtime.presenters.live import state_item


def snapshot(fleet: Fleet, heads: Mapping[str, str]) -> dict[str, Any]:
    """All values and states of these devices; `heads` were read before them."""
    return {
        "v": VERSION,
        "t": "snapshot",
        "heads": dict(heads),
        "tel": [
            represent(reading, metric, seen.device.uuid)
            for seen in fleet.devices
            for metric, reading in seen.latest
            if reading is not None
        ],
        "state": [state_item(seen.device.uuid, seen.state) for seen in fleet.devices],
        "counts": fleet.counts(),
    }
