"""Readings of many metrics at once: each stream's rows are read once for all of its metrics."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from devices.models import DataType
from devices.readings.samples import HistoriesRequest, Line, Value
from devices.readings.store.archive import reading as archive
from devices.readings.store.base import TooMuch, UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.tables import NUMBERS, ROWS, TEXTS, Table

_OWNER_COLUMNS = (("owner", "int8"), ("since", "timestamptz"))


@dataclass(frozen=True, slots=True)
class _Slot:
    """A metric's data type, stream and position, and up to when its readings are archived."""

    data_type: str
    stream: int | None
    position: int
    archived_until: datetime | None


Slots = Mapping[int, _Slot]


def histories(engine: Engine, request: HistoriesRequest) -> dict[int, Line]:
    """See `ReadingStore.histories`."""
    slots = _slots(engine, request.metrics)
    found = dict.fromkeys(request.metrics, Line())
    room = request.most
    for metric, line in chain(_archived(request, slots), _lines(engine, request, slots)):
        room -= len(line.at)
        if room < 0:
            raise TooMuch(_too_much(request.most))
        older = found[metric]
        found[metric] = Line([*older.at, *line.at], [*older.values, *line.values])
    return found


def _archived(request: HistoriesRequest, slots: Slots) -> Iterator[tuple[int, Line]]:
    """What the archive holds of the range, metrics that are archived equally far at once."""
    alike: dict[datetime, list[int]] = defaultdict(list)
    for metric, slot in slots.items():
        if slot.archived_until is not None and request.since < slot.archived_until:
            alike[min(slot.archived_until, request.until)].append(metric)
    for until, metrics in alike.items():
        for metric, rows in archive.lines(metrics, request.since, until, request.most + 1):
            if slots[metric].data_type in (DataType.BOOLEAN, DataType.TEXT):
                yield metric, _sparse([(at, *value) for at, _, *value in rows], slots[metric])
            else:
                whole = slots[metric].data_type == DataType.INTEGER
                yield metric, _line([at for at, *_ in rows], [row[1] for row in rows], whole)


def _too_much(most: int) -> str:
    return f"That is more than {most:,} readings at once. Ask for a shorter range or fewer metrics."


def _slots(engine: Engine, metrics: Collection[int]) -> Slots:
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    rows = engine.query(
        f"SELECT m.id, m.data_type, s.stream_id, s.position, f.archived_until FROM {wanted} "
        "JOIN devices_metric m ON m.id = k.id LEFT JOIN readings_slot s ON s.metric_id = m.id "
        "LEFT JOIN readings_keptfrom f ON f.device_id = m.device_id",
        params,
    )
    slots = {
        metric: _Slot(data_type, stream, position, None if edge is None else engine.moment(edge))
        for metric, data_type, stream, position, edge in rows
    }
    missing = sorted(set(metrics) - slots.keys())
    if missing:
        raise UnknownMetric(f"No such metric: {', '.join(map(str, missing))}.")
    return slots


def _lines(engine: Engine, request: HistoriesRequest, slots: Slots) -> Iterator[tuple[int, Line]]:
    streams: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    sparse: dict[int, datetime] = {}
    begins: dict[int, datetime] = {}
    for metric, slot in slots.items():
        since = max(request.since, slot.archived_until or request.since)
        if slot.data_type in (DataType.BOOLEAN, DataType.TEXT):
            sparse[metric] = since
        elif slot.stream is not None:
            whole = slot.data_type == DataType.INTEGER
            streams[slot.stream].append((metric, slot.position, whole))
            begins[slot.stream] = since
    if streams:
        yield from _numbers(engine, request, streams, begins)
    if sparse:
        yield from _texts(engine, request, slots, sparse)


def _numbers(
    engine: Engine,
    request: HistoriesRequest,
    streams: Mapping[int, Sequence[tuple[int, int, bool]]],
    begins: Mapping[int, datetime],
) -> Iterator[tuple[int, Line]]:
    positions = sorted({position for some in streams.values() for _, position, _ in some})
    columns = ", ".join(f"r.{NUMBERS[position - 1]}" for position in positions)
    places = {position: place for place, position in enumerate(positions, start=2)}
    for stream, rows in _rows(engine, request, ROWS, begins, columns):
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
    engine: Engine, request: HistoriesRequest, slots: Slots, begins: Mapping[int, datetime]
) -> Iterator[tuple[int, Line]]:
    for metric, rows in _rows(engine, request, TEXTS, begins, "r.text, r.flag"):
        told = [(engine.moment(at), text, flag) for _, at, text, flag in rows]
        yield metric, _sparse(told, slots[metric])


def _sparse(rows: Iterable[Sequence[Any]], slot: _Slot) -> Line:
    """Those of (at, text, flag) that are of the metric's type."""
    wants_flag = slot.data_type == DataType.BOOLEAN
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
    begins: Mapping[int, datetime],
    columns: str,
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """The rows of each owner from its instant on, in order; raises TooMuch before it is in memory.

    An owner is what the first column of the table's key names.
    """
    owners = [[one, engine.instant(since)] for one, since in sorted(begins.items())]
    wanted, params = engine.relation("k", _OWNER_COLUMNS, owners)
    source = engine.for_each(
        table.name, "r", f"r.{table.key[0]} = k.owner AND r.at >= k.since AND r.at < %s"
    )
    rows = engine.many(
        f"SELECT k.owner, r.at, {columns} FROM {wanted} {source} "
        "ORDER BY k.owner, r.at, r.sequence LIMIT %s",
        [*params, engine.instant(request.until), request.most + 1],
    )
    if len(rows) > request.most:
        raise TooMuch(_too_much(request.most))
    for one, some in groupby(rows, key=itemgetter(0)):
        yield one, list(some)
