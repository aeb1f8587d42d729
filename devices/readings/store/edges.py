"""Hours that the edge of a range (or bucket) cuts in two, where readings were dropped by age. Pure.

The tier knows when an hour's first and last reading were: often all of them lie on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from devices.readings.instants import HOUR, hour_of
from devices.readings.periods import Span
from devices.readings.samples import Bucket

Asked = Callable[[Sequence[Span]], Sequence[Bucket]]
"""Statistics of spans, by their buckets."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Parts of hours, by what answers them: readings; or the hour (`whole`, under the part's
    bucket), all of whose readings lie within; or nothing any more (`left_out`).
    """

    readings: list[Span] = field(default_factory=list)
    whole: list[Bucket] = field(default_factory=list)
    left_out: list[Span] = field(default_factory=list)


def sorted_out(
    spans: Sequence[Span],
    kept_from: datetime | None,
    pending: Collection[datetime],
    hours_of: Asked,
    readings_of: Asked,
) -> Edges:
    """Sort parts of hours out. Before `kept_from` (None: nowhere) readings may be gone; not those
    of `pending` hours, which the tier does not hold rightly yet.
    """
    sure, doubted = _parts(spans, kept_from, set(pending))
    if not doubted:
        return Edges(list(spans))
    edges = Edges(sure)
    known = {hour.start: hour for hour in hours_of(_hours(doubted))}
    cut: list[Span] = []
    for part in doubted:
        hour = known.get(hour_of(part.since))
        if hour is None or hour.last_at < part.since or hour.first_at >= part.until:
            continue
        if part.since <= hour.first_at and hour.last_at < part.until:
            edges.whole.append(replace(hour, start=part.bucket))
        else:
            cut.append(part)
    there = {hour.start: hour.count for hour in readings_of(_hours(cut))} if cut else {}
    for part in cut:
        begins = hour_of(part.since)
        all_there = there.get(begins) == known[begins].count
        (edges.readings if all_there else edges.left_out).append(part)
    return edges


def _parts(
    spans: Sequence[Span], kept_from: datetime | None, waiting: Collection[datetime]
) -> tuple[list[Span], list[Span]]:
    """Parts whose readings are there, and parts of single hours whose readings may be gone.

    What is kept may be long, up to the end of time: it stays in one part.
    """
    sure: list[Span] = []
    doubted: list[Span] = []
    for span in spans:
        edge = span.since if kept_from is None else min(max(kept_from, span.since), span.until)
        for part in _by_hour(span._replace(until=edge)):
            (sure if hour_of(part.since) in waiting else doubted).append(part)
        if edge < span.until:
            sure.append(span._replace(since=edge))
    return sure, doubted


def _by_hour(span: Span) -> Iterator[Span]:
    begins = span.since
    while begins < span.until:
        ends = min(hour_of(begins) + HOUR, span.until)
        yield Span(span.bucket, begins, ends)
        begins = ends


def _hours(parts: Sequence[Span]) -> list[Span]:
    """The whole hours that these are parts of, each once."""
    return [Span(at, at, at + HOUR) for at in sorted({hour_of(part.since) for part in parts})]
