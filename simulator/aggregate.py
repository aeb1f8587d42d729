"""min, max, timescale, sum, average and median over rows (facts, "aggregation details")."""

import math
import statistics
from collections.abc import Iterable, Sequence

from simulator.channels import Facts, Row, Value
from simulator.query import Aggregate, View
from simulator.render import rounded, shown_fields
from simulator.times import json_form


def _number(value: Value) -> float | None:
    """A value as a finite number, None for null and text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def within(rows: Iterable[Row], low: float | None, high: float | None) -> list[Row]:
    """Rows of which no numeric value lies outside the bounds; nulls and text pass."""
    floor = -math.inf if low is None else low
    ceiling = math.inf if high is None else high
    return [
        row
        for row in rows
        if all(
            floor <= number <= ceiling
            for value in row.values
            if (number := _number(value)) is not None
        )
    ]


def _summary(values: Sequence[Value], kind: str) -> Value:
    if kind == "timescale":
        return values[0]
    # A null counts as 0 and an average divides by all rows of the slot, as documented.
    numbers = [_number(value) or 0.0 for value in values]
    if kind == "sum":
        return str(sum(numbers))
    return str(statistics.fmean(numbers) if kind == "average" else statistics.median(numbers))


def slots(
    rows: Sequence[Row], facts: Facts, view: View, aggregate: Aggregate
) -> list[dict[str, Value]]:
    """One object for every slot from the first to the last row: no entry_id, and nulls where no row
    fell into it.
    """
    filled: dict[int, list[Row]] = {}
    for row in rows:
        filled.setdefault(int(row.at // aggregate.slot_s), []).append(row)
    shown = []
    for slot in range(min(filled), max(filled) + 1) if filled else ():
        summary: dict[str, Value] = {"created_at": json_form(slot * aggregate.slot_s, view.zone)}
        for index, number in shown_fields(facts, view):
            values = [row.values[index] for row in filled.get(slot, ())]
            value = _summary(values, aggregate.kind) if values else None
            summary[f"field{number}"] = rounded(value, view.decimals)
        shown.append(summary)
    return shown
