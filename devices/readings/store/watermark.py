"""How far the tiers have come; see `models.Watermark`."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from devices.readings.instants import EPOCH
from devices.readings.store.engine import Engine


class Marks(NamedTuple):
    """How far the tiers have come; see `models.Watermark`."""

    closed: datetime
    rolled: datetime
    kept_from: datetime | None
    slots_gone: int | None
    """None: nobody counts yet."""


def marks(engine: Engine) -> Marks:
    """The watermark, or the beginning of time."""
    rows = engine.query(
        "SELECT closed, rolled, kept_from, slots_gone FROM readings_watermark WHERE id = 1"
    )
    if not rows:
        return Marks(EPOCH, EPOCH, None, None)
    closed, rolled, kept, slots_gone = rows[0]
    return Marks(
        engine.moment(closed),
        engine.moment(rolled),
        None if kept is None else engine.moment(kept),
        slots_gone,
    )
