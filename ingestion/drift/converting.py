"""Keeping a calibration right when the numbers it takes come in another unit."""

from __future__ import annotations

import math
from datetime import datetime

from devices import units
from devices.calibrations import points_of
from devices.calibrations.curves import text_of
from devices.models import CalibrationKind, CalibrationVersion, FieldMapping
from ingestion.drift.conversions import Change, tidy

_UNITS = ("cm", "mm", "m", "in", "ft")


def converted(mapping: FieldMapping, change: Change, since: datetime) -> CalibrationVersion | None:
    """An unsaved calibration that gives, from `since` on, the values that old numbers gave.

    None when that cannot be said exactly: then somebody has to enter a calibration.
    """
    versions = list(mapping.calibrations.all())
    if any(one.valid_from is not None and one.valid_from >= since for one in versions):
        return None  # it was entered for numbers of which we know nothing
    governing = next(iter(versions), None)  # newest first
    new = CalibrationVersion(mapping=mapping, valid_from=since)
    if governing is None:
        return _linear(new, mapping.scale, mapping.offset, change)
    if governing.kind == CalibrationKind.LINEAR and governing.scale is not None:
        return _linear(new, governing.scale, governing.offset or 0.0, change)
    return copied(new, governing, change)


def _linear(
    new: CalibrationVersion, scale: float, offset: float, change: Change
) -> CalibrationVersion:
    new.kind = CalibrationKind.LINEAR
    new.scale = tidy(scale / change.factor)
    moved = scale * change.shift / change.factor
    back = math.isclose(offset, moved, rel_tol=1e-14)  # their difference is what rounding left
    new.offset = 0.0 if back else tidy(offset - moved)
    return new


def copied(
    new: CalibrationVersion, old: CalibrationVersion, change: Change
) -> CalibrationVersion | None:
    """The new calibration (a tank or points), made to give for changed numbers what the old gave.

    None when it cannot.
    """
    for one in old._meta.concrete_fields:
        if one.name not in _OWN:
            setattr(new, one.name, getattr(old, one.name))
    if old.is_tank:
        unit = _unit_of(old.input_unit, change)
        if unit is None:
            return None
        new.input_unit = unit
    elif old.kind == CalibrationKind.TWO_POINT:
        new.raw_1, new.raw_2 = _forth(old.raw_1, change), _forth(old.raw_2, change)
    else:
        new.points = text_of(
            [(tidy(change.forth(raw)), true) for raw, true in points_of(old.points)]
        )
    return new


_OWN = ("id", "mapping", "valid_from", "note", "created_by", "created_at")


def _forth(number: float | None, change: Change) -> float | None:
    return None if number is None else tidy(change.forth(number))


def _unit_of(was: str, change: Change) -> str | None:
    """The unit that a tank's sensor measures in now, if the calibration knows it."""
    for unit in _UNITS:
        conversion = units.conversion(was, unit)
        if conversion and math.isclose(conversion.factor, change.factor) and not change.shift:
            return unit
    return None
