"""What a channel's mappings make of its newest values: for the dry run of an import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from devices.masking import shown
from devices.models import FieldMapping, Source
from ingestion.drift.waiting import Waiting
from ingestion.entries import Entry
from ingestion.imports.checking import labels_of
from ingestion.normalise import normalise
from ingestion.rules import mapping_rule
from ingestion.verify import Preview

NOTHING_MAPPED = (
    "none: what comes would only be kept as received. Map the channel's fields first: press "
    "Verify on the channel's page."
)


def mapped_fields(
    source: Source,
    entries: Sequence[Entry],
    now: datetime,
    *,
    labels: Mapping[str, str] | None = None,
    ranges: Mapping[str, str] | None = None,
) -> list[str]:
    """What each mapped field feeds, with its newest value as it would be stored.

    Such as «field1 “Level” feeds Water level: 245.5 → 2.455 m», by the rules of ingestion itself,
    calibrations included. A line says why where a mapping stores nothing or waits for a decision.
    `labels` are newer than what the site knows; `ranges` of all values go by the metric's name.
    """
    labels = {**labels_of(source), **(labels or {})}
    waiting = Waiting.of(source)
    said = []
    for mapping in source.mappings.filter(enabled=True).select_related("metric"):
        label = labels.get(mapping.field)
        name = f"{mapping.field} “{shown(label)}”" if label else mapping.field
        becomes = _becomes(mapping, source, entries, now)
        span = (ranges or {}).get(mapping.metric.name)
        every = f"; all values: {span}" if span else ""
        reason = waiting.told([mapping])
        waits = f" (waits: {reason})" if reason else ""
        said.append(f"{name} feeds {mapping.metric.label}: {becomes}{every}{waits}")
    return said


def _becomes(mapping: FieldMapping, source: Source, entries: Sequence[Entry], now: datetime) -> str:
    try:
        rule = mapping_rule(mapping, source)
    except ValueError as error:
        return f"nothing, {error}"
    newest = next(_values(mapping.field, entries), None)
    if newest is None:
        return "no value yet"
    at, sequence, raw = newest
    result = normalise(Entry(at, sequence, {mapping.field: raw}), [rule], now)
    made = Preview(
        received=shown(raw.strip())[:60],
        value=result.values.get(mapping.metric_id),
        unit=mapping.metric.unit if rule.data_type in ("float", "integer") else "",
        refused=len(result.refusals),
        total=1,
        why="",
    )
    return ". ".join([made.text, *(one.detail for one in result.refusals)])


def _values(field: str, entries: Sequence[Entry]) -> Iterator[tuple[datetime, int, str]]:
    """What was received in a field, newest first, without blanks."""
    for one in sorted(entries, key=lambda one: (one.at, one.sequence), reverse=True):
        raw = one.fields.get(field)
        if raw is not None and raw.strip():
            yield one.at, one.sequence, raw
