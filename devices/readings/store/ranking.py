"""Percentiles, by nearest rank."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from devices.readings.periods import Span, clip
from devices.readings.samples import PercentileRequest, Percentiles
from devices.readings.store.aggregating import buckets_of, numeric_subject, refuse_before
from devices.readings.store.archive import reading as archive
from devices.readings.store.engine import Engine
from devices.readings.store.reading import Subject, numbers

_THOUSANDTHS = 1000
_ALL = 100 * _THOUSANDTHS


def percentiles(engine: Engine, request: PercentileRequest) -> list[Percentiles]:
    """See `ReadingStore.percentiles`."""
    shares = {_share(percent): percent for percent in request.percents}
    subject = numeric_subject(engine, request.metric)
    refuse_before(request.since, subject.kept.readings_from, "Percentiles need")
    if not shares:
        return []
    spans = [clip(span, request.since, request.until) for span in buckets_of(request, subject.zone)]
    edge = subject.kept.archived_until
    if edge is None:
        return _stored(engine, subject, spans, shares)
    older = [span for span in spans if span.until <= edge]
    across = [span for span in spans if span.since < edge < span.until]
    newer = [span for span in spans if span.since >= edge]
    return [
        *archive.percentiles(subject.metric, subject.data_type, older, shares, _ALL),
        *(one for span in across if (one := _across(engine, subject, span, shares)) is not None),
        *_stored(engine, subject, newer, shares),
    ]


def _across(
    engine: Engine, subject: Subject, span: Span, shares: Mapping[int, float]
) -> Percentiles | None:
    """The bucket that lies half in the archive: its values are sorted here, eight bytes each."""
    values = array("d", (value for _, value in numbers(engine, subject, span.since, span.until)))
    if not values:
        return None
    ordered = array("d", sorted(values))
    count = len(ordered)
    ranked = {shares[share]: ordered[(share * count - 1) // _ALL] for share in shares}
    return Percentiles(span.bucket, count, ranked)


def _stored(
    engine: Engine, subject: Subject, spans: Sequence[Span], shares: Mapping[int, float]
) -> list[Percentiles]:
    """Buckets that the tables answer."""
    if not spans:
        return []
    counts: dict[datetime, int] = {}
    values: dict[datetime, dict[float, float]] = defaultdict(dict)
    for stored, count, share, value in engine.ranked(subject.metric, spans, sorted(shares), _ALL):
        bucket = engine.moment(stored)
        counts[bucket] = count
        values[bucket][shares[share]] = value
    return [Percentiles(bucket, counts[bucket], values[bucket]) for bucket in sorted(counts)]


def _share(percent: float) -> int:
    """A percent in thousandths; raises ValueError for what is none."""
    share = round(percent * _THOUSANDTHS) if 0 < percent <= 100 else 0
    if not share or abs(share / _THOUSANDTHS - percent) > 1e-9:
        raise ValueError(
            f"{percent} is not a percentile: name one above 0 and up to 100, to a thousandth."
        )
    return share
