"""What of a portion of rows is new here: read by the plan, compared with the store.

A reading that is stored already is left alone. One that is stored with another value is replaced
only when the person said so: a file that went through a spreadsheet must not overwrite what the
device itself reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devices.models import Device
from devices.readings.imports.columns import Plan
from devices.readings.imports.reasons import DETAILS, Reason, Refusal, Refused
from devices.readings.imports.rows import Damage, Line
from devices.readings.imports.tally import Tally, refusal_of
from devices.readings.imports.times import named_by, read_time
from devices.readings.imports.values import read_value
from devices.readings.models import KeptFrom
from devices.readings.samples import Origin, Sample, Value
from devices.readings.store import get_store

LARGEST_NUMBER = 2**63 - 1
Key = tuple[datetime, int]
Values = dict[int, Value]


@dataclass(frozen=True, slots=True)
class Target:
    """Where readings go, how each column is read, and whether differing readings are replaced.

    Readings before `kept_from` were dropped for their age and are not taken again.
    """

    device: Device
    plan: Plan
    replace: bool
    kept_from: datetime | None

    @classmethod
    def of(cls, device: Device, plan: Plan, *, replace: bool) -> Target:
        """As things stand now."""
        rows = KeptFrom.objects.filter(device=device)
        return cls(device, plan, replace, rows.values_list("readings_from", flat=True).first())


def judge(lines: Sequence[Line], target: Target, tally: Tally, now: datetime) -> list[Sample]:
    """Count the rows into `tally`; what an import would store of them. Stores nothing."""
    found: dict[Key, Values] = {}
    for line in lines:
        _read(line, target.plan, tally, found, now)
    stored = _stored(target, found)
    samples = []
    for key, values in sorted(found.items()):
        left = _left(key, values, stored.get(key, {}), target, tally)
        if left:
            samples.append(Sample(target.device.pk, *key, left, Origin.IMPORT))
    return samples


def _read(line: Line, plan: Plan, tally: Tally, found: dict[Key, Values], now: datetime) -> None:
    """A row's readings, put to those of the other rows of the same time and number."""
    tally.rows += 1
    key = _key(line, plan, tally, now)
    if key is None or line.cells is None:
        return
    values: Values = {}
    merged = found.setdefault(key, {})
    for place, metric, rule in plan.usable:
        cell = line.cells[place]
        try:
            value = read_value(cell, rule)
            if value is None:
                continue
            _refuse_repeated(merged.get(metric.pk), value)
        except Refused as refused:
            column = metric.name
            tally.refusal(line.where, _refusal(refused, column, cell))
            continue
        if metric.pk not in merged:
            values[metric.pk] = value
    merged.update(values)
    tally.row(*key, values)


def _refuse_repeated(earlier: Value | None, value: Value) -> None:
    if earlier is not None and not _same(earlier, value):
        raise Refused(Reason.REPEATED)


def _key(line: Line, plan: Plan, tally: Tally, now: datetime) -> Key | None:
    """The identity of a row's readings; None when the row is refused, which is counted."""
    if line.cells is None:
        reason = Reason(line.fault)
        tally.refusal(line.where, Refusal(reason, DETAILS[reason], "", line.raw))
        return None
    cell = line.cells[plan.time]
    offset = None if plan.offset is None else line.cells[plan.offset]
    try:
        at = read_time(cell, offset, plan.zone, now)
        if plan.entry is None:
            return at, 0
        cell = line.cells[plan.entry]
        return at, _sequence(cell)
    except Refused as refused:
        tally.refusal(line.where, _refusal(refused, "", cell, _advice(refused.reason, plan)))
        return None


def _advice(reason: Reason, plan: Plan) -> str:
    """What to do, where that depends on whose device it is."""
    return f" To say it, {named_by(plan.home)}" if reason == Reason.NO_ZONE else ""


def _sequence(cell: Any) -> int:
    """An entry number; 0 for none. Raises Refused."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return 0
    text = str(cell).strip().removesuffix(".0")
    if isinstance(cell, bool) or not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise Refused(Reason.BAD_ENTRY_NUMBER)
    number = int(text)
    if number > LARGEST_NUMBER:
        raise Refused(Reason.BAD_ENTRY_NUMBER)
    return number


def _refusal(refused: Refused, column: str, cell: Any, advice: str = "") -> Refusal:
    text = cell.text if isinstance(cell, Damage) else cell
    return refusal_of(refused.reason, refused.detail + advice, column, text)


def _stored(target: Target, found: dict[Key, Values]) -> dict[Key, Values]:
    """What the store holds of the same times and numbers."""
    metrics = {metric.pk for _, metric, _ in target.plan.usable}
    known: dict[Key, Values] = {}
    for sample in get_store().stored(metrics, list(found)):
        known.setdefault((sample.at, sample.sequence), {}).update(sample.values)
    return known


def _left(key: Key, values: Values, known: Values, target: Target, tally: Tally) -> Values:
    """The readings of a row that are to be written."""
    if target.kept_from is not None and key[0] < target.kept_from:
        tally.expired += len(values)
        return {}
    left = {}
    for metric, value in values.items():
        stored = known.get(metric)
        if stored is None:
            tally.new += 1
        elif _same(stored, value):
            tally.same += 1
            continue
        else:
            tally.difference(key[0], metric, stored, value)
            if not target.replace:
                continue
        left[metric] = value
    return left


def _same(one: Value, other: Value) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
