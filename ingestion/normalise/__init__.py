"""From a received row to typed values: text, number, calibration, conversion, range. Pure.

Numbers are read strictly: what a person would not call a plain decimal number is refused with a
reason, never guessed. Each value is refused alone; its neighbours in the row are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.masking import shown
from ingestion.entries import Entry, Reason, Refusal
from ingestion.normalise.rules import DataType, FieldRule, Stretch, Value, held_metrics
from ingestion.normalise.values import ValueRefused, read

__all__ = [
    "FUTURE_TOLERANCE",
    "DataType",
    "FieldRule",
    "Normalised",
    "Stretch",
    "Value",
    "held_metrics",
    "normalise",
]

FUTURE_TOLERANCE = timedelta(minutes=10)
"""How far ahead of our clock a row's time may be: clocks of devices and servers differ a little."""

_FUTURE = (
    "The row's time lies in the future, so it cannot be a measurement. Set the clock or the time "
    "zone of the device or of the programme that uploads its data."
)
_EMPTY = (
    "The row carries no value at all. If this repeats, the device uploads without reading its "
    "sensors."
)


@dataclass(frozen=True, slots=True)
class Normalised:
    """What a row came to: values by metric, in the metrics' units, and what was refused."""

    values: dict[int, Value]
    refusals: list[Refusal]


def normalise(entry: Entry, rules: Sequence[FieldRule], now: datetime) -> Normalised:
    """The row's values by metric, and a refusal for each value that cannot be stored.

    `now` is aware. A row from the future and a row without any value are refused whole. Blank
    values count as not sent: neither value nor refusal. A row with values in unmapped fields only
    gives neither; the caller keeps it as received.
    """
    if entry.at > now + FUTURE_TOLERANCE:
        return Normalised({}, [_whole(entry, Reason.FUTURE_TIME, _FUTURE)])
    values: dict[int, Value] = {}
    refusals: list[Refusal] = []
    fields = entry.fields
    for rule in rules:
        raw = fields.get(rule.field)
        if raw is None or (rule.held and rule.holds(entry.at)):
            continue
        try:
            value = read(raw, rule.at(entry.at) if rule.versions else rule)
        except ValueRefused as refused:
            refusal = _single(entry, rule.field, raw, refused)
            if refusal not in refusals:  # one field may feed several metrics
                refusals.append(refusal)
            continue
        if value is not None:
            values[rule.metric] = value
    if not (values or refusals) and entry.blank:
        refusals.append(_whole(entry, Reason.EMPTY_ROW, _EMPTY))
    return Normalised(values, refusals)


def _whole(entry: Entry, reason: Reason, detail: str) -> Refusal:
    return Refusal(reason, detail, None, shown(dict(entry.fields)), entry.at, entry.sequence)


def _single(entry: Entry, field: str, raw: str, refused: ValueRefused) -> Refusal:
    return Refusal(refused.reason, refused.detail, field, raw, entry.at, entry.sequence)
