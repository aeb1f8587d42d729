"""Percentiles, by nearest rank."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from devices.readings.periods import clip
from devices.readings.samples import PercentileRequest, Percentiles
from devices.readings.store.aggregating import buckets_of, numeric_subject, refuse_before
from devices.readings.store.engine import Engine

_THOUSANDTHS = 1000
_ALL = 100 * _THOUSANDTHS


def percentiles(engine: Engine, request: PercentileRequest) -> list[Percentiles]:
    """See `ReadingStore.percentiles`."""
    shares = {_share(percent): percent for percent in request.percents}
    subject = numeric_subject(engine, request.metric)
    refuse_before(request.since, subject.kept.readings_from, "Percentiles need")
    spans = [clip(span, request.since, request.until) for span in buckets_of(request, subject.zone)]
    if not spans or not shares:
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
