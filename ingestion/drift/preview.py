"""What waiting rows would become under each fix: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from devices.masking import shown
from devices.models import FieldMapping
from devices.readings.samples import Received
from ingestion.drift.converting import converted
from ingestion.drift.fixes import Fix, target_of
from ingestion.drift.rows import WaitingRows
from ingestion.entries import Entry
from ingestion.normalise import FieldRule, Value, normalise
from ingestion.rules import calibrated_rule, mapping_rule

SHOWN = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One waiting row: its time, what the field said, and what it would become (or why not)."""

    at: str
    received: str
    value: str


def lines(fix: Fix, rows: WaitingRows) -> list[Line]:
    """The first waiting rows under a fix; none when nothing would be stored."""
    rule = _rule(fix, rows)
    if rule is None:
        return []
    unit = rows.pause.mapping.metric.unit
    entries = rows.first
    if fix is Fix.FOLLOW:  # those before it begins stay what they are
        since = rows.begins(rows.read_from(rule.field))
        entries = [one for one in entries if one.at >= since]
    return [_line(one, rule, unit) for one in _telling(entries, rule.field)]


def _telling(entries: Sequence[Received], field: str) -> list[Received]:
    """Rows in which the field says something."""
    return [one for one in entries if (one.fields.get(field) or "").strip()][:SHOWN]


def _rule(fix: Fix, rows: WaitingRows) -> FieldRule | None:
    mapping = rows.pause.mapping
    try:
        rule = replace(mapping_rule(mapping, rows.pause.source), field=rows.field)
    except ValueError:
        return None
    if fix is Fix.FOLLOW:
        return replace(rule, field=target_of(rows.pause))
    if fix is Fix.CONVERT:
        return _converted(rule, mapping, rows)
    return rule if fix in (Fix.ACCEPT_NAME, Fix.GO_ON) else None


def _converted(rule: FieldRule, mapping: FieldMapping, rows: WaitingRows) -> FieldRule | None:
    change = rows.change
    version = converted(mapping, change, rows.begins(rows.converted(change))) if change else None
    if version is None:
        return None
    since = (version.valid_from, calibrated_rule(rule, version))
    return replace(rule, versions=(since, *rule.versions))


def _line(entry: Received, rule: FieldRule, unit: str) -> Line:
    raw = entry.fields.get(rule.field)
    result = normalise(Entry(entry.at, entry.sequence, {rule.field: raw}), [rule], entry.at)
    value = result.values.get(rule.metric)
    text = _written(value, unit) if value is not None else "refused"
    return Line(f"{entry.at:%Y-%m-%d %H:%M:%S}", shown((raw or "").strip())[:40], text)


def _written(value: Value, unit: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g} {unit}".rstrip() if isinstance(value, int | float) else value
