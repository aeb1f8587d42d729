"""Where the archive and the tables meet: time divided between them, and statistics put together.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from devices.readings.keeping import Kept
from devices.readings.periods import Span
from devices.readings.samples import Bucket


def divide(spans: Iterable[Span], edge: datetime | None) -> tuple[list[Span], list[Span]]:
    """The parts of the spans before the instant up to which the archive answers, and the rest."""
    older: list[Span] = []
    newer: list[Span] = []
    for span in spans:
        if edge is None or span.since >= edge:
            newer.append(span)
        elif span.until <= edge:
            older.append(span)
        else:
            older.append(Span(span.bucket, span.since, edge))
            newer.append(Span(span.bucket, edge, span.until))
    return older, newer


def by_hours(span: Span, kept: Kept, cut: Kept) -> list[tuple[Span, bool]]:
    """The span in parts, and of each whether the tier of hours can be asked.

    Where hours were dropped by age and the archive has the readings, only these can.
    """
    bucket, since, until = span
    ends = cut.hours_from
    if ends is None or kept.hours_from == ends:
        return [(span, True)]
    begins = kept.hours_from or since
    parts = [
        (Span(bucket, since, min(begins, until)), True),
        (Span(bucket, max(since, begins), min(ends, until)), False),
        (Span(bucket, max(since, ends), until), True),
    ]
    return [(part, hours) for part, hours in parts if part.since < part.until]


def joined(some: Iterable[Bucket], others: Iterable[Bucket]) -> list[Bucket]:
    """Buckets of both, in order; those with one beginning are of different instants, and become
    one.
    """
    found = {bucket.start: bucket for bucket in some}
    for bucket in others:
        there = found.get(bucket.start)
        found[bucket.start] = bucket if there is None else together([there, bucket])
    return [found[start] for start in sorted(found)]


def together(buckets: Sequence[Bucket]) -> Bucket:
    """One bucket of several that share no instant; it begins where the first of them does."""
    first = min(buckets, key=lambda bucket: bucket.first_at)
    last = max(buckets, key=lambda bucket: bucket.last_at)
    return Bucket(
        start=buckets[0].start,
        count=sum(bucket.count for bucket in buckets),
        minimum=min(bucket.minimum for bucket in buckets),
        maximum=max(bucket.maximum for bucket in buckets),
        sum=sum(bucket.sum for bucket in buckets),
        sum_of_squares=sum(bucket.sum_of_squares for bucket in buckets),
        first=first.first,
        last=last.last,
        first_at=first.first_at,
        last_at=last.last_at,
    )
