"""What recalculation reads: entries as they came, and the values that stand for them."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from devices.readings.samples import Received, ReceivedRequest, Sample, Value
from devices.readings.store.engine import Engine
from devices.readings.store.places import Place
from devices.readings.store.placing import places_of
from devices.readings.store.summary import Query
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, RECEIVED, ROWS, TEXTS

Identity = tuple[datetime, int]


def stored(
    engine: Engine, metrics: Collection[int], identities: Collection[Identity]
) -> list[Sample]:
    """See `ReadingStore.stored`."""
    if not metrics or not identities:
        return []
    places = places_of(engine, metrics)
    instants = [(engine.instant(at), sequence) for at, sequence in identities]
    found = [*_numbers(engine, places, instants), *_texts(engine, places, instants)]
    return sorted(found, key=lambda one: (one.at, one.sequence))


def _numbers(
    engine: Engine, places: dict[int, Place], instants: list[tuple[Any, int]]
) -> Iterator[Sample]:
    """One sample for each row that holds a number of one of the metrics."""
    slots: dict[int, dict[int, int]] = defaultdict(dict)
    for metric, place in places.items():
        if place.stream is not None:
            slots[place.stream][metric] = place.position
    if not slots:
        return
    device = next(iter(places.values())).device
    keys = [(stream, *instant) for stream in sorted(slots) for instant in instants]
    for stream, at, sequence, origin, *numbers in engine.rows_at(ROWS, keys, NUMBERS):
        values: dict[int, Value] = {
            metric: number
            for metric, position in slots[stream].items()
            if (number := numbers[position - 1]) is not None
        }
        if values:
            yield Sample(device, engine.moment(at), sequence, values, ORIGIN_OF[origin])


def _texts(
    engine: Engine, places: dict[int, Place], instants: list[tuple[Any, int]]
) -> Iterator[Sample]:
    """One sample for each text or flag; most metrics have none, and are not asked one by one."""
    moments = [at for at, _ in instants]
    speaking = engine.owners_in(TEXTS, list(places), min(moments), max(moments))
    keys = [(metric, *instant) for metric in speaking for instant in instants]
    if not keys:
        return
    for metric, at, sequence, origin, text, flag in engine.rows_at(TEXTS, keys, ("text", "flag")):
        if text is None and flag is None:
            continue
        values = {metric: text if flag is None else bool(flag)}
        device = places[metric].device
        yield Sample(device, engine.moment(at), sequence, values, ORIGIN_OF[origin])


def held(engine: Engine, metrics: Collection[int], since: datetime, until: datetime) -> int:
    """See `ReadingStore.held`."""
    if not metrics:
        return 0
    bounds = [engine.instant(since), engine.instant(until)]
    total = 0
    for metric, place in places_of(engine, metrics).items():
        counts = [
            (
                f"{engine.source(TEXTS.name)} WHERE metric_id = %s "
                "AND (text IS NOT NULL OR flag IS NOT NULL)",
                metric,
            )
        ]
        if place.stream is not None:
            column = NUMBERS[place.position - 1]
            counts.append(
                (
                    f"{engine.source(ROWS.name)} WHERE stream_id = %s AND {column} IS NOT NULL",
                    place.stream,
                )
            )
        for rows, owner in counts:
            sql = f"SELECT count(*) FROM {rows} AND at >= %s AND at < %s"
            total += engine.read(sql, [owner, *bounds])[0][0]
    return total


def received(engine: Engine, request: ReceivedRequest) -> list[Received]:
    """See `ReadingStore.received`."""
    where, params = _entries(engine, request)
    direction, beyond = ("DESC", "<") if request.newest_first else ("ASC", ">")
    if request.after is not None:
        where += f" AND (at, sequence) {beyond} (%s, %s)"
        params += [engine.instant(request.after[0]), request.after[1]]
    rows = engine.read(
        "SELECT device_id, at, sequence, arrived_at, CAST(fields AS text) "
        f"FROM {engine.source(RECEIVED.name)} WHERE {where} "
        f"ORDER BY at {direction}, sequence {direction} LIMIT %s",
        [*params, request.limit],
    )
    return [
        Received(
            request.source,
            device,
            engine.moment(at),
            sequence,
            json.loads(fields),
            None if arrived is None else engine.moment(arrived),
        )
        for device, at, sequence, arrived, fields in rows
    ]


def received_count(engine: Engine, request: ReceivedRequest) -> int:
    """See `ReadingStore.received_count`."""
    where, params = _entries(engine, request)
    source = engine.source(RECEIVED.name)
    count: int = engine.read(f"SELECT count(*) FROM {source} WHERE {where}", params)[0][0]
    return count


def _entries(engine: Engine, request: ReceivedRequest) -> Query:
    """The source and range of a request."""
    where, params = "source_id = %s", [request.source]
    for limit, comparison in ((request.since, ">="), (request.until, "<")):
        if limit is not None:
            where += f" AND at {comparison} %s"
            params.append(engine.instant(limit))
    return where, params
