"""Reading single readings: the latest of many metrics, and pages of one metric's history."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from devices.models import DataType
from devices.readings.instants import EPOCH
from devices.readings.keeping import Kept, Survey
from devices.readings.samples import (
    HistoryRequest,
    Reading,
    Value,
)
from devices.readings.store.archive import reading as archive
from devices.readings.store.base import UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.summary import Query
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, ROWS, TEXTS

PAGE = 10_000
"""Readings of one metric held in memory."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What reading needs to know of one metric."""

    metric: int
    device: int
    data_type: str
    stream: int | None
    position: int
    zone: ZoneInfo
    """The community's zone."""
    days_ready: bool
    """Days and months were rolled up in that zone."""
    rolled: datetime
    expected_every_s: int | None
    kept: Kept
    cut: Kept
    """From when on samples are still taken, and from when on the tier of hours is whole."""
    runs: tuple[datetime | None, datetime | None]
    """From when on and up to when runs stand for its readings, if it has runs."""

    @property
    def is_number(self) -> bool:
        """Whether its values stand in numeric slots."""
        return self.data_type in (DataType.FLOAT, DataType.INTEGER)


def subject_of(engine: Engine, metric: int) -> Subject:
    """Look a metric up; raises UnknownMetric."""
    rows = engine.query(
        "SELECT m.id, m.device_id, m.data_type, s.stream_id, s.position, c.zone, z.zone, w.rolled, "
        "m.expected_every_s, k.readings_from, k.hours_from, k.archived_from, k.archived_until, "
        "k.dropped_until, k.runs_from, k.runs_until FROM devices_metric m "
        "JOIN devices_device d ON d.id = m.device_id "
        "JOIN devices_community c ON c.id = d.community_id "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id "
        "LEFT JOIN readings_dayzone z ON z.device_id = d.id "
        "LEFT JOIN readings_keptfrom k ON k.device_id = d.id "
        "LEFT JOIN readings_watermark w ON w.id = 1 WHERE m.id = %s",
        [metric],
    )
    if not rows:
        raise UnknownMetric(f"No such metric: {metric}.")
    _, device, data_type, stream, position, zone, rolled_zone, rolled, cadence, *stored = rows[0]
    *cuts, begun, ended = (None if one is None else engine.moment(one) for one in stored)
    cut, kept = kept_of(engine, cuts)
    return Subject(
        metric=metric,
        device=device,
        data_type=data_type,
        stream=stream,
        position=position,
        zone=ZoneInfo(zone),
        days_ready=zone == rolled_zone,
        rolled=EPOCH if rolled is None else engine.moment(rolled),
        expected_every_s=cadence,
        kept=kept,
        cut=cut,
        runs=(begun, ended) if data_type in (DataType.BOOLEAN, DataType.TEXT) else (None, None),
    )


def kept_of(engine: Engine, cuts: Sequence[datetime | None]) -> tuple[Kept, Kept]:
    """What is cut off, and what can be had with the archive, of a device's KeptFrom columns.

    Where the archive reaches back without a gap, so do hours: they can be made of its readings.
    """
    readings, hours, archived_from, archived_until, dropped = cuts
    cut = Kept(readings, hours)
    if archived_until is None:
        return cut, cut
    if dropped is not None and engine.gone_until(dropped) > archived_until:
        return cut, replace(cut, archived_until=archived_until)
    hours = hours and archived_from and min(hours, archived_from)
    return cut, Kept(archived_from, hours, archived_until)


def value_of(data_type: str, number: float | None, text: str | None, flag: Any) -> Value | None:
    """A stored value in the type of its metric."""
    if number is not None:
        return int(number) if data_type == DataType.INTEGER and number.is_integer() else number
    return text if flag is None else bool(flag)


def history(engine: Engine, request: HistoryRequest) -> list[Reading]:
    """See `ReadingStore.history`."""
    subject = subject_of(engine, request.metric)
    return [
        Reading(subject.metric, at, sequence, value, ORIGIN_OF[origin], bool(revised))
        for at, sequence, origin, revised, *stored in _rows(engine, subject, request)
        if (value := value_of(subject.data_type, *stored)) is not None
    ]


def _rows(engine: Engine, subject: Subject, request: HistoryRequest) -> list[tuple[Any, ...]]:
    """A page, its older part from the archive: (at, sequence, origin, revised, number, text, flag).

    What is archived is read from there also while its rows are not dropped yet: never twice.
    """
    edge = subject.kept.archived_until
    if edge is None or request.since >= edge:
        return _stored_rows(engine, subject, request)
    rows: list[tuple[Any, ...]] = []
    for archived in (False, True) if request.newest_first else (True, False):
        room = request.limit - len(rows)
        if archived and room:
            older = replace(request, until=min(request.until, edge), limit=room)
            rows += archive.page(subject.metric, subject.data_type, older)
        elif request.until > edge and room:
            rows += _stored_rows(engine, subject, replace(request, since=edge, limit=room))
    return rows


def _stored_rows(
    engine: Engine, subject: Subject, request: HistoryRequest
) -> list[tuple[Any, ...]]:
    """A page from the tables."""
    if _unheard(subject):
        return []
    select, params = _stored(engine, subject)
    sql, bounds = _page(engine, request)
    mark = 1 << (subject.position - 1) if subject.is_number else 1
    return [
        (engine.moment(at), sequence, origin, bool(revised & mark), *rest)
        for at, sequence, origin, revised, *rest in engine.read(
            f"{select} {sql}", [*params, *bounds]
        )
    ]


def survey(engine: Engine, metric: int) -> Survey:
    """See `ReadingStore.survey`."""
    subject = subject_of(engine, metric)
    kept = beside = subject.kept
    if kept.archived_until is not None:
        # Older rows are not all there; hours and days are, whatever the archive holds.
        begins = max(kept.archived_until, kept.readings_from or EPOCH)
        beside = Kept(begins, subject.cut.hours_from)
    return Survey(kept, beside, *subject.runs)


def count(engine: Engine, metric: int, since: datetime, until: datetime, most: int) -> int:
    """See `ReadingStore.count`."""
    subject = subject_of(engine, metric)
    since = max(since, subject.kept.readings_from or EPOCH)
    edge = subject.kept.archived_until
    found = 0
    if edge is not None and since < min(edge, until):
        older = min(edge, until)
        found = archive.count(subject.metric, subject.data_type, since, older, most + 1)
        since = edge
    if since < until and found <= most and not _unheard(subject):
        found += _count(engine, subject, since, until, most + 1 - found)
    return found


def _count(engine: Engine, subject: Subject, since: datetime, until: datetime, most: int) -> int:
    """How many readings the tables hold, counted no further than `most`."""
    select, params = _stored(engine, subject)
    # In order, although any would do: else the planner reads whole months to find a few rows.
    ((count,),) = engine.read(
        f"SELECT count(*) FROM ({select} AND at >= %s AND at < %s "
        "ORDER BY at, sequence LIMIT %s) AS few",
        [*params, engine.instant(since), engine.instant(until), most],
    )
    return int(count)


def numbers(
    engine: Engine, subject: Subject, since: datetime, until: datetime
) -> Iterator[tuple[datetime, float]]:
    """The readings of a number or on/off metric (on is 1), in order, a page in memory at a time."""
    after = None
    while True:
        request = HistoryRequest(subject.metric, since, until, limit=PAGE, after=after)
        rows = _rows(engine, subject, request)
        for at, _, _, _, number, _, flag in rows:
            yield at, float(flag) if number is None else number
        if len(rows) < PAGE:
            return
        after = rows[-1][0], rows[-1][1]


def _unheard(subject: Subject) -> bool:
    """Whether a number never came."""
    return subject.is_number and subject.stream is None


def _stored(engine: Engine, subject: Subject) -> Query:
    """SELECT (at, sequence, origin, revised, number, text, flag) of the metric's readings."""
    if subject.is_number:
        column = NUMBERS[subject.position - 1]
        return (
            f"SELECT at, sequence, origin, revised, {column}, NULL, NULL "
            f"FROM {engine.source(ROWS.name)} WHERE stream_id = %s AND {column} IS NOT NULL",
            [subject.stream],
        )
    column = "flag" if subject.data_type == DataType.BOOLEAN else "text"
    return (
        "SELECT at, sequence, origin, revised, NULL, text, flag "
        f"FROM {engine.source(TEXTS.name)} WHERE metric_id = %s AND {column} IS NOT NULL",
        [subject.metric],
    )


def _page(engine: Engine, request: HistoryRequest) -> Query:
    """The range, place, order and length of a page."""
    sql, params = (
        "AND at >= %s AND at < %s",
        [engine.instant(request.since), engine.instant(request.until)],
    )
    direction, beyond = ("DESC", "<") if request.newest_first else ("ASC", ">")
    if request.after:
        sql += f" AND (at, sequence) {beyond} (%s, %s)"
        params += [engine.instant(request.after[0]), request.after[1]]
    sql += f" ORDER BY at {direction}, sequence {direction} LIMIT %s"
    return sql, [*params, request.limit]
