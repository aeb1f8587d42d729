"""Integrals from readings streamed in order, and from tiers where readings were dropped by age."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from devices.models import DataType
from devices.readings.areas import Knot, integrals, knot_of
from devices.readings.instants import EPOCH
from devices.readings.periods import clip, day_span
from devices.readings.samples import IntegralRequest, Integrals, Tier
from devices.readings.store.aggregating import buckets_of, numeric_subject, refuse_gone
from devices.readings.store.engine import Engine
from devices.readings.store.reading import Subject, numbers
from devices.readings.store.summary import TIER_TABLES


def integrate(engine: Engine, request: IntegralRequest) -> Integrals:
    """See `ReadingStore.integrate`."""
    if request.bridge <= timedelta():
        raise ValueError("Readings are connected over a length of time: it must be above nothing.")
    subject = numeric_subject(engine, request.metric)
    refuse_gone(request, subject.kept)
    spans = [clip(span, request.since, request.until) for span in buckets_of(request, subject.zone)]
    if not spans:
        return Integrals(Tier.RAW)
    tiers, knots = _knots(engine, subject, request)
    found = integrals(
        knots, spans, request.bridge.total_seconds(), subject.data_type == DataType.BOOLEAN
    )
    return Integrals(tiers[0], found)


def _knots(
    engine: Engine, subject: Subject, request: IntegralRequest
) -> tuple[list[Tier], Iterator[Knot]]:
    """The line from a little before to a little after the range, and the tiers it comes from."""
    since, until = max(request.since - request.bridge, EPOCH), request.until + request.bridge
    kept = subject.kept
    hours_from = day_span(kept.hours_from, subject.zone).until if kept.hours_from else EPOCH
    readings_from = max(kept.readings_from or EPOCH, hours_from)
    edge = max(kept.archived_until or EPOCH, readings_from)
    parts = [
        (Tier.DAY, EPOCH, hours_from),
        (Tier.HOUR, hours_from, readings_from),
        (Tier.ARCHIVE, readings_from, edge),
        (Tier.RAW, edge, until),
    ]
    tiers: list[Tier] = []
    knots = []
    for tier, begins, ends in parts:
        begins, ends = max(begins, since), min(ends, until)
        if begins < ends:
            tiers.append(tier)
            knots.append(_of(engine, subject, tier, begins, ends))
    return tiers, chain(*knots)


def _of(
    engine: Engine, subject: Subject, tier: Tier, since: datetime, until: datetime
) -> Iterator[Knot]:
    if tier in (Tier.RAW, Tier.ARCHIVE):
        return (knot_of(at, value) for at, value in numbers(engine, subject, since, until))
    rows = engine.read(
        f"SELECT first_at, last_at, sum / count FROM {engine.source(TIER_TABLES[tier])} "
        "WHERE metric_id = %s AND bucket >= %s AND bucket < %s ORDER BY bucket",
        [subject.metric, engine.instant(since), engine.instant(until)],
    )
    return (
        Knot(engine.moment(first).timestamp(), engine.moment(last).timestamp(), average)
        for first, last, average in rows
    )
