"""In which units a field's numbers came, as the calibrations that took them tell.

When the unit changes, a calibration takes the new numbers and the mapping stays: the unit that it
declares is that of the oldest numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from devices.calibrations import Linear, Table, TwoPoint
from devices.models import CalibrationVersion, FieldMapping
from ingestion.drift.conversions import Change, changes

ABOUT = 0.05
"""A calibration corrected by less is none for another unit; known units lie further apart."""


class Sent(NamedTuple):
    """From `since` on (None: always) numbers came in `unit`; it is empty when nobody knows."""

    since: datetime | None
    unit: str


def units_sent(mapping: FieldMapping) -> list[Sent]:
    """The units of the numbers that a mapping reads, oldest first."""
    declared = mapping.unit or mapping.metric.unit
    sent = [Sent(None, declared)]
    known_unit, known_line = declared, _mapping_line(mapping)
    for version in list(mapping.calibrations.all())[::-1]:  # they come newest first
        line = _line(version)
        if version.is_tank:
            unit = version.input_unit
        elif version.valid_from is None:
            unit = declared
        else:
            unit = _unit_now(known_unit, known_line, line)
        if unit:  # else the last known one goes on being compared with
            known_unit, known_line = unit, line
        if version.valid_from is None:
            sent = [Sent(None, unit)]
        elif unit != sent[-1].unit:
            sent.append(Sent(version.valid_from, unit))
    return sent


def unit_before(sent: Sequence[Sent], at: datetime) -> str:
    """The unit of the last numbers before a time."""
    return next(one.unit for one in reversed(sent) if one.since is None or one.since < at)


def _unit_now(unit: str, was: Linear | None, now: Linear | None) -> str:
    """The unit whose numbers the new line takes to where the old one took those in `unit`."""
    if was is None or now is None:
        return unit
    factor, shift = was.scale / now.scale, (was.offset - now.offset) / now.scale
    fitting = [
        one
        for one in (Change(1.0, 0.0, unit), *changes(unit))
        if math.isclose(one.factor, factor, rel_tol=ABOUT)
    ]
    # Of one size may be °C and K, and a line's offset is corrected by little.
    nearest = min(fitting, key=lambda one: abs(one.shift - shift), default=None)
    return unit if nearest is None else nearest.unit


def _mapping_line(mapping: FieldMapping) -> Linear | None:
    """What a mapping does to numbers where no calibration governs."""
    try:
        return Linear(mapping.scale, mapping.offset)
    except ValueError:
        return None


def _line(version: CalibrationVersion) -> Linear | None:
    """A calibration as a straight line; None for a tank, or one that cannot work."""
    try:
        calibration = version.calibration()
        if isinstance(calibration, TwoPoint):
            return _through(calibration.first, calibration.second)
        if isinstance(calibration, Table):
            return _through(calibration.points[0], calibration.points[-1])
    except ValueError:
        return None
    return calibration if isinstance(calibration, Linear) else None


def _through(one: tuple[float, float], other: tuple[float, float]) -> Linear:
    scale = (other[1] - one[1]) / (other[0] - one[0])
    return Linear(scale, one[1] - scale * one[0])
