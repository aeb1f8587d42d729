"""Answers from the archive's files: the same questions that the tables are asked, of older time.

Which files hold readings of a metric says the catalogue; of a file, DuckDB reads the stretch of the
metric alone. All ranges end at or before the instant up to which the metric's device is archived.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from devices.models import DataType
from devices.readings.instants import from_ms, to_ms
from devices.readings.models import ArchivedMetric
from devices.readings.periods import Span
from devices.readings.samples import Bucket, HistoryRequest, Origin, Percentiles
from devices.readings.store.archive import duck
from devices.readings.store.tables import ORIGINS

Row = tuple[Any, ...]
Query = tuple[str, list[Any]]

_KINDS = {DataType.BOOLEAN: "flag", DataType.TEXT: "text"}
_TIMES = (
    "time >= CAST(make_timestamp_ms(?) AS TIMESTAMPTZ) "
    "AND time < CAST(make_timestamp_ms(?) AS TIMESTAMPTZ)"
)
_OF_METRIC = f"FROM read_parquet(?) WHERE metric_id = ? AND {_TIMES}"
_IDENTITY = "(CAST(ms AS HUGEINT) * 18446744073709551616 + sequence)"
"""Time and entry number as one whole number, in their order."""
_CODES = {origin.value: ORIGINS[origin] for origin in Origin}


def page(metric: int, data_type: str, request: HistoryRequest) -> list[Row]:
    """(at, sequence, origin, revised, number, text, flag) of a page, as the tables give it."""
    since, until = request.since, request.until
    direction, beyond, after = "ASC", ">", []
    if request.newest_first:
        direction, beyond = "DESC", "<"
    where = f"{_KINDS.get(DataType(data_type), 'number')} IS NOT NULL"
    if request.after is not None:
        where += f" AND (epoch_ms(time), sequence) {beyond} (?, ?)"
        after = [to_ms(request.after[0]), request.after[1]]
        since, until = _narrowed(request)
    rows: list[Row] = []
    for files in _by_month([metric], since, until, newest_first=request.newest_first):
        found = duck.read(
            files,
            f"SELECT epoch_ms(time), sequence, origin, revised, number, text, flag {_OF_METRIC} "
            f"AND {where} ORDER BY time {direction}, sequence {direction} LIMIT ?",
            [metric, to_ms(since), to_ms(until), *after, request.limit - len(rows)],
        )
        rows += (
            (from_ms(at), sequence, _CODES[word], *rest) for at, sequence, word, *rest in found
        )
        if len(rows) == request.limit:
            break
    return rows


def _narrowed(request: HistoryRequest) -> tuple[datetime, datetime]:
    """The range without what lies on the wrong side of the place where the page goes on."""
    at = request.after[0] if request.after else request.since
    if request.newest_first:
        return request.since, min(request.until, from_ms(to_ms(at) + 1))
    return max(request.since, at), request.until


def count(metric: int, data_type: str, since: datetime, until: datetime, most: int) -> int:
    """How many readings there are, counted no further than `most`."""
    kind = _KINDS.get(DataType(data_type), "number")
    found = 0
    for files in _by_month([metric], since, until):
        rows = duck.read(
            files,
            f"SELECT count(*) {_OF_METRIC} AND {kind} IS NOT NULL",
            [metric, to_ms(since), to_ms(until)],
        )
        found += rows[0][0]
        if found >= most:
            return most
    return found


def summaries(metric: int, data_type: str, spans: Sequence[Span]) -> list[Bucket]:
    """Statistics of each bucket with readings; `spans` do not overlap."""
    source = _in_spans(metric, data_type, spans)
    if source is None:
        return []
    files, (joined, params) = source
    rows = duck.read(
        files,
        "SELECT bucket, count(*), min(v), max(v), sum(v), "
        f"sum(CASE WHEN abs(v) < 1e-150 THEN 0 ELSE v * v END), arg_min(v, {_IDENTITY}), "
        f"arg_max(v, {_IDENTITY}), min(ms), max(ms) {joined} GROUP BY bucket ORDER BY bucket",
        params,
    )
    return [_bucket(row) for row in rows]


def _bucket(row: Row) -> Bucket:
    bucket, *statistics, first_at, last_at = row
    values: list[Any] = [from_ms(bucket), *statistics, from_ms(first_at), from_ms(last_at)]
    return Bucket(*values)


def percentiles(
    metric: int, data_type: str, spans: Sequence[Span], shares: Mapping[int, float], whole: int
) -> list[Percentiles]:
    """Percentiles of each bucket, by nearest rank; `shares` are parts of `whole`."""
    source = _in_spans(metric, data_type, spans)
    if source is None:
        return []
    files, (joined, params) = source
    rows = duck.read(
        files,
        "SELECT bucket, n, share, v FROM (SELECT bucket, v, "
        "row_number() OVER (PARTITION BY bucket ORDER BY v) AS place, "
        f"count(*) OVER (PARTITION BY bucket) AS n {joined}) AS ranked "
        "JOIN (SELECT unnest(CAST(? AS BIGINT[])) AS share) AS wanted "
        f"ON place = (share * n + {whole - 1}) // {whole} ORDER BY bucket",
        [*params, sorted(shares)],
    )
    return [
        Percentiles(
            from_ms(bucket), some[0][1], {shares[share]: value for _, _, share, value in some}
        )
        for bucket, some in ((key, list(group)) for key, group in groupby(rows, itemgetter(0)))
    ]


def _in_spans(metric: int, data_type: str, spans: Sequence[Span]) -> tuple[list[str], Query] | None:
    """FROM (bucket, ms, sequence, v) of all numbers and flags (on is 1) in the spans.

    As the tables are read: a metric that is on/off now may have been a number before.
    """
    if not spans:
        return None
    since, until = min(span.since for span in spans), max(span.until for span in spans)
    files = _names([metric], since, until)
    if not files:
        return None
    kinds = "number IS NOT NULL"
    if data_type == DataType.BOOLEAN:
        kinds = "(number IS NOT NULL OR flag IS NOT NULL)"
    readings = (
        "(SELECT epoch_ms(time) AS ms, sequence, coalesce(number, CAST(flag AS DOUBLE)) AS v "
        f"{_OF_METRIC} AND {kinds}) AS r"
    )
    params: list[Any] = [metric, to_ms(since), to_ms(until)]
    width = _width(spans)
    if width is not None:
        begins = to_ms(spans[0].bucket)
        bucket = f"r.ms - (r.ms - {begins}) % {width}"
        return files, (f"FROM (SELECT {bucket} AS bucket, * FROM {readings})", params)
    columns = [[to_ms(at) for at in column] for column in zip(*spans, strict=True)]
    return files, (
        f"FROM (SELECT s.bucket, r.* FROM {readings} ASOF JOIN "
        "(SELECT unnest(CAST(? AS BIGINT[])) AS bucket, unnest(CAST(? AS BIGINT[])) AS since, "
        "unnest(CAST(? AS BIGINT[])) AS until) AS s ON r.ms >= s.since WHERE r.ms < s.until)",
        [*params, *columns],
    )


def _width(spans: Sequence[Span]) -> int | None:
    """Milliseconds of each bucket, where all are of one width without a gap; else None.

    Counting then takes half the time of looking every reading's bucket up.
    """
    widths = {later.bucket - one.bucket for one, later in pairwise(spans)}
    whole = all(one.until == later.since == later.bucket for one, later in pairwise(spans))
    if len(widths) != 1 or not whole:
        return None
    (width,) = widths
    return (
        width // timedelta(milliseconds=1) if spans[-1].until - spans[-1].bucket <= width else None
    )


def lines(
    metrics: Collection[int], since: datetime, until: datetime, most: int
) -> Iterator[tuple[int, list[Row]]]:
    """(at, number, text, flag) of each metric with readings, in order, up to `most` of all."""
    files = _names(metrics, since, until)
    if not files:
        return
    rows = duck.read(
        files,
        "SELECT metric_id, epoch_ms(time), number, text, flag FROM read_parquet(?) "
        f"WHERE metric_id IN (SELECT unnest(CAST(? AS BIGINT[]))) AND {_TIMES} "
        "ORDER BY metric_id, time, sequence LIMIT ?",
        [sorted(metrics), to_ms(since), to_ms(until), most],
    )
    for metric, some in groupby(rows, itemgetter(0)):
        yield metric, [(from_ms(at), *value) for _, at, *value in some]


def _names(metrics: Collection[int], since: datetime, until: datetime) -> list[str]:
    """The files that hold readings of these metrics in a range."""
    return [name for files in _by_month(metrics, since, until) for name in files]


def _by_month(
    metrics: Collection[int], since: datetime, until: datetime, *, newest_first: bool = False
) -> list[list[str]]:
    """The same, month by month."""
    rows = (
        ArchivedMetric.objects.filter(metric__in=metrics, first_at__lt=until, last_at__gte=since)
        .order_by("-file__month" if newest_first else "file__month", "file__name")
        .values_list("file__month", "file__name")
        .distinct()
    )
    return [[name for _, name in some] for _, some in groupby(rows, itemgetter(0))]
