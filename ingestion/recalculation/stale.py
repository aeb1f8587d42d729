"""Readings that were computed with other settings than those of today: found, and said.

What people change is in the histories of mappings, metrics and calibrations. Whether it left other
values behind is decided by computing a few entries of that time anew, so that nobody is asked to
recompute what is right already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from devices.models import CalibrationVersion, FieldMapping, Job, JobState, Metric, Source
from devices.models.calibration import PARAMETERS
from devices.readings.samples import HistoryRequest, Received, ReceivedRequest, Sample
from devices.readings.store import ArchiveUnreadable, get_store
from ingestion.recalculation.asking import KIND, Order
from ingestion.recalculation.comparing import compare
from ingestion.recalculation.governed import Stretch
from ingestion.recalculation.scope import Scope
from ingestion.recalculation.working import BEGINNING

SAMPLED = 100
"""Entries looked at, on either end of a stretch."""
_MAPPING = (
    "field", "metric_id", "data_type", "decimal_mark", "scale", "offset", "unit", "minimum",
    "maximum",
)  # fmt: skip
_METRIC = ("unit", "data_type", "minimum", "maximum")
_CALIBRATION = (
    "valid_from", "kind", *PARAMETERS, "input_unit", "from_top", "gap_cm", "ends",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stale:
    """Readings of a mapping's metric that differ from what today's settings would make of them."""

    mapping: FieldMapping
    stretch: Stretch
    changed_at: datetime
    kept: bool
    """Whether what was received is still there, so that they can be recomputed."""


def stale(source: Source, now: datetime) -> list[Stale]:
    """What to recompute; `source` comes with its mappings, their metrics and calibrations."""
    mappings = {one.pk: one for one in source.mappings.all() if one.enabled}
    if not mappings:
        return []
    changes = {pk: list(_changes(mapping)) for pk, mapping in mappings.items()}
    orders = _carried_out(source)
    scope = Scope.of(source)
    found = []
    for pk, mapping in mappings.items():
        left = [
            (at, stretch)
            for at, stretch in changes[pk]
            if not any(order.asked_at >= at and _of(order).holds(stretch) for order in orders)
        ]
        one = _merged(mapping, left)
        if one is not None and (kept := _differs(scope, one, now)) is not None:
            found.append(Stale(mapping, one.stretch, one.changed_at, kept))
    return found


def _merged(mapping: FieldMapping, left: Sequence[tuple[datetime, Stretch]]) -> Stale | None:
    """One stretch for everything that is left of a mapping's changes."""
    if not left:
        return None
    changed_at, stretch = left[0]
    for at, other in left[1:]:
        changed_at, stretch = max(changed_at, at), stretch.with_(other)
    return Stale(mapping, stretch, changed_at, kept=True)


def _of(order: Order) -> Stretch:
    return Stretch(order.since, order.until)


def _carried_out(source: Source) -> list[Order]:
    jobs = Job.objects.filter(kind=KIND, state=JobState.DONE, params__source=source.pk)
    return [Order.of(job) for job in jobs]


def _changes(mapping: FieldMapping) -> Iterator[tuple[datetime, Stretch]]:
    """When the settings of a mapping changed, and which entries were received under older ones."""
    history = FieldMapping.history.filter(id=mapping.pk).order_by("history_date", "history_id")
    records = list(history)
    if records:
        yield records[0].history_date, Stretch(None, records[0].history_date)
    metrics = Metric.history.filter(id=mapping.metric_id).order_by("history_date", "history_id")
    for names, rows in ((_MAPPING, records), (_METRIC, list(metrics))):
        for at in _edited(rows, names):
            yield at, Stretch(None, at)
    versions = CalibrationVersion.history.filter(mapping_id=mapping.pk)
    by_version: dict[int, list[Any]] = {}
    for row in versions.order_by("history_date", "history_id"):
        by_version.setdefault(row.id, []).append(row)
    for rows in by_version.values():
        yield from _of_version(rows)


def _edited(rows: Sequence[Any], names: Iterable[str]) -> Iterator[datetime]:
    names = tuple(names)
    for before, after in pairwise(rows):
        if any(getattr(before, name) != getattr(after, name) for name in names):
            yield after.history_date


def _of_version(rows: Sequence[Any]) -> Iterator[tuple[datetime, Stretch]]:
    """Each time a calibration was made, edited or deleted: what it governed from its time on."""
    before = None
    for row in rows:
        edited = before is None or any(
            getattr(before, name) != getattr(row, name) for name in _CALIBRATION
        )
        if edited or row.history_type == "-":
            begins = [one.valid_from for one in (before, row) if one is not None]
            since = None if None in begins else min(begins)
            if since is None or since < row.history_date:
                yield row.history_date, Stretch(since, row.history_date)
        before = row


def _differs(scope: Scope, one: Stale, now: datetime) -> bool | None:
    """Whether what was received is kept (and comes to other values); None: nothing is wrong."""
    page = _some(scope.source.pk, one.stretch)
    metric = one.mapping.metric_id
    if not page:
        request = HistoryRequest(
            metric, one.stretch.since or BEGINNING, one.stretch.until or now, limit=1
        )
        try:
            return False if get_store().history(request) else None
        except ArchiveUnreadable:
            return False  # there are readings, only the archive's file is away
    stored = get_store().stored([metric], [(entry.at, entry.sequence) for entry in page])
    rules = [rule for rule in scope.rules.usable if rule.metric == metric]
    if not rules:
        return None  # held back: said elsewhere
    found = compare(page, stored, rules, scope.watched & {metric}, now)
    gone: Sequence[Sample] = found.gone
    return True if found.samples or gone else None


def _some(source: int, stretch: Stretch) -> list[Received]:
    """Entries at both ends of a stretch."""
    store = get_store()
    first = store.received(ReceivedRequest(source, *stretch, limit=SAMPLED))
    last = store.received(ReceivedRequest(source, *stretch, limit=SAMPLED, newest_first=True))
    some = {(one.at, one.sequence): one for one in (*first, *last)}
    return [some[identity] for identity in sorted(some)]
