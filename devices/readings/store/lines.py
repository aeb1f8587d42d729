"""Readings of many metrics at once: each stream's rows are read once for all of its metrics."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from devices.models import DataType
from devices.readings.samples import HistoriesRequest, Line, Value
from devices.readings.store.archive import reading as archive
from devices.readings.store.base import TooMuch, UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.tables import NUMBERS, ROWS, TEXTS, Table

Slots = Mapping[int, tuple[str, int | None, int]]
"""Data type, stream and position of each metric."""
Edges = Mapping[int, datetime]
"""Up to when readings of a metric come from the archive, of those that have any there."""


def histories(engine: Engine, request: HistoriesRequest) -> dict[int, Line]:
    """See `ReadingStore.histories`."""
    slots, edges = _slots(engine, request.metrics)
    found = dict.fromkeys(request.metrics, Line()) | dict(_archived(request, slots, edges))
    room = request.most - sum(len(line.at) for line in found.values())
    for metric, line in _lines(engine, request, slots):
        if metric in edges:
            line = _from(line, edges[metric])
        room -= len(line.at)
        if room < 0:
            break
        older = found[metric]
        found[metric] = Line([*older.at, *line.at], [*older.values, *line.values])
    if room < 0:
        raise TooMuch(_too_much(request.most))
    return found


def _from(line: Line, edge: datetime) -> Line:
    """What of a line is not in the archive."""
    place = bisect_left(line.at, edge)
    return Line(line.at[place:], line.values[place:])


def _archived(request: HistoriesRequest, slots: Slots, edges: Edges) -> Iterator[tuple[int, Line]]:
    """What the archive holds of the range; metrics that are archived equally far, at once."""
    alike: dict[datetime, list[int]] = defaultdict(list)
    for metric, edge in edges.items():
        if request.since < edge:
            alike[min(edge, request.until)].append(metric)
    for until, metrics in alike.items():
        for metric, rows in archive.lines(metrics, request.since, until, request.most + 1):
            data_type = slots[metric][0]
            if data_type in (DataType.BOOLEAN, DataType.TEXT):
                yield metric, _sparse(((at, *rest) for at, _, *rest in rows), data_type)
            else:
                instants, numbers = [row[0] for row in rows], [row[1] for row in rows]
                yield metric, _line(instants, numbers, data_type == DataType.INTEGER)


def _too_much(most: int) -> str:
    return f"That is more than {most:,} readings at once. Ask for a shorter range or fewer metrics."


def _slots(engine: Engine, metrics: Collection[int]) -> tuple[Slots, Edges]:
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    rows = engine.query(
        f"SELECT m.id, m.data_type, s.stream_id, s.position, f.archived_until FROM {wanted} "
        "JOIN devices_metric m ON m.id = k.id LEFT JOIN readings_slot s ON s.metric_id = m.id "
        "LEFT JOIN readings_keptfrom f ON f.device_id = m.device_id",
        params,
    )
    slots = {metric: (data_type, stream, place) for metric, data_type, stream, place, _ in rows}
    missing = sorted(set(metrics) - slots.keys())
    if missing:
        raise UnknownMetric(f"No such metric: {', '.join(map(str, missing))}.")
    return slots, {row[0]: engine.moment(row[-1]) for row in rows if row[-1] is not None}


def _lines(engine: Engine, request: HistoriesRequest, slots: Slots) -> Iterator[tuple[int, Line]]:
    streams: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    sparse = []
    for metric, (data_type, stream, position) in slots.items():
        if data_type in (DataType.BOOLEAN, DataType.TEXT):
            sparse.append(metric)
        elif stream is not None:
            streams[stream].append((metric, position, data_type == DataType.INTEGER))
    if streams:
        yield from _numbers(engine, request, streams)
    if sparse:
        yield from _texts(engine, request, slots, sparse)


def _numbers(
    engine: Engine,
    request: HistoriesRequest,
    streams: Mapping[int, Sequence[tuple[int, int, bool]]],
) -> Iterator[tuple[int, Line]]:
    positions = sorted({position for some in streams.values() for _, position, _ in some})
    columns = [NUMBERS[position - 1] for position in positions]
    places = {position: place for place, position in enumerate(positions, start=2)}
    for stream, rows in _rows(engine, request, ROWS, sorted(streams), columns):
        by_column = list(zip(*rows, strict=True))
        instants = [engine.moment(at) for at in by_column[1]]
        for metric, position, whole in streams[stream]:
            values = by_column[places[position]]
            yield metric, _line(instants, values, whole)


def _line(instants: Sequence[datetime], values: Sequence[Any], whole: bool) -> Line:
    if None in values:
        pairs = [pair for pair in zip(instants, values, strict=True) if pair[1] is not None]
        instants, values = [at for at, _ in pairs], [value for _, value in pairs]
    if whole:
        values = [int(value) if value.is_integer() else value for value in values]
    return Line(instants, values)


def _texts(
    engine: Engine, request: HistoriesRequest, slots: Slots, metrics: Sequence[int]
) -> Iterator[tuple[int, Line]]:
    for metric, rows in _rows(engine, request, TEXTS, sorted(metrics), ("text", "flag")):
        told = ((engine.moment(at), text, flag) for _, at, text, flag in rows)
        yield metric, _sparse(told, slots[metric][0])


def _sparse(rows: Iterable[tuple[Any, ...]], data_type: str) -> Line:
    """Those of (at, text, flag) that are of the metric's type."""
    wants_flag = data_type == DataType.BOOLEAN
    instants: list[datetime] = []
    values: list[Value] = []
    for at, text, flag in rows:
        value = flag if wants_flag else text
        if value is not None:
            instants.append(at)
            values.append(bool(value) if wants_flag else value)
    return Line(instants, values)


def _rows(
    engine: Engine,
    request: HistoriesRequest,
    table: Table,
    owners: Sequence[int],
    columns: Sequence[str],
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """The rows of each owner in the range, in order; raises TooMuch before it is in memory."""
    rows = engine.rows_of(
        table, owners, request.since, request.until, columns, limit=request.most + 1
    )
    if len(rows) > request.most:
        raise TooMuch(_too_much(request.most))
    for one, some in groupby(rows, key=itemgetter(0)):
        yield one, list(some)
