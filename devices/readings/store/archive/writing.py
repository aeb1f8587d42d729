"""One file of the archive: a month of some devices' readings, written, and read back to prove it.

A row is one reading: sorted by metric, time and entry number, so that a metric's readings lie
together, with names and units beside them for whoever opens the file with another tool.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb

from devices.readings.instants import from_ms, to_ms
from devices.readings.keeping import TroubleKind
from devices.readings.parquet import literal, options
from devices.readings.store.archive import duck, files
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import Month
from devices.readings.store.tables import NUMBERS, ORIGINS, ROWS, TEXTS

FORMAT = "1"
PAGE = 10_000
"""Rows held in memory."""
_CODES = {origin.value: code for origin, code in ORIGINS.items()}
_STAGED = f"""
CREATE TABLE numbers (stream BIGINT, time BIGINT, sequence BIGINT, origin SMALLINT,
    revised SMALLINT, {", ".join(f"{name} DOUBLE" for name in NUMBERS)});
CREATE TABLE texts (metric BIGINT, time BIGINT, sequence BIGINT, origin SMALLINT,
    revised SMALLINT, text VARCHAR, flag BOOLEAN);
CREATE TABLE metrics (metric BIGINT, name VARCHAR, unit VARCHAR, device VARCHAR,
    device_name VARCHAR, stream BIGINT, position SMALLINT);
CREATE TABLE origins (code SMALLINT, word VARCHAR);
"""
_NUMBERS_KINDS = ("BIGINT", "BIGINT", "SMALLINT", "SMALLINT", *["DOUBLE"] * len(NUMBERS))
_TEXTS_KINDS = ("BIGINT", "BIGINT", "SMALLINT", "SMALLINT", "VARCHAR", "BOOLEAN")
_METRICS_KINDS = (*["VARCHAR"] * 4, "BIGINT", "SMALLINT")
_OF_SLOTS = " UNION ALL ".join(
    f"SELECT m.metric, r.time, r.sequence, r.origin, (r.revised & {1 << place}) <> 0 AS revised, "
    f"r.{name} AS number, NULL AS text, NULL AS flag FROM numbers r JOIN metrics m "
    f"ON m.stream = r.stream AND m.position = {place + 1} WHERE r.{name} IS NOT NULL"
    for place, name in enumerate(NUMBERS)
)
_READINGS = f"""
SELECT m.metric AS metric_id, m.device, m.device_name, m.name AS metric, m.unit,
    CAST(make_timestamp_ms(r.time) AS TIMESTAMPTZ) AS time, r.sequence, o.word AS origin,
    r.revised, r.number, r.text, r.flag
FROM ({_OF_SLOTS} UNION ALL
    SELECT metric, time, sequence, origin, revised <> 0, NULL, text, flag FROM texts
    WHERE text IS NOT NULL OR flag IS NOT NULL) AS r
JOIN metrics m ON m.metric = r.metric JOIN origins o ON o.code = r.origin
ORDER BY m.metric, r.time, r.sequence, r.number IS NULL
"""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A metric, as the file calls it, and where its numbers stand."""

    metric: int
    name: str
    unit: str
    device: str
    """The device's UUID."""
    device_name: str
    stream: int | None
    position: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """How many readings of a metric a file holds, and the time of the first and the last."""

    metric: int
    readings: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A file that holds exactly what the database does; see `models.ArchivedFile`."""

    name: str
    checksum: str
    size: int
    metrics: Sequence[Held]

    @property
    def readings(self) -> int:
        """How many single readings it holds."""
        return sum(held.readings for held in self.metrics)


def write(engine: Engine, metrics: Sequence[Named], month: Month) -> Written | None:
    """Write a month of these metrics to a file; None when they said nothing in it.

    Raises ArchiveFailed: then no file was added to the archive.
    """
    try:
        with files.workplace() as folder, duck.connect(folder) as staged:
            file = folder / "month.parquet"
            _stage(engine, staged, metrics, month)
            _copy(staged, file, month)
            held = _held(staged, file)
            _prove(engine, staged, file, metrics, month)
            if not held:
                return None
            size = file.stat().st_size
            name, checksum = files.publish(file, f"{month.year:04}-{month.month:02}")
    except (OSError, duckdb.Error) as error:
        raise files.failed(error) from error
    return Written(name, checksum, size, held)


def _stage(
    engine: Engine, staged: duckdb.DuckDBPyConnection, metrics: Sequence[Named], month: Month
) -> None:
    staged.execute(_STAGED)
    for origin, code in ORIGINS.items():
        staged.execute("INSERT INTO origins VALUES (?, ?)", [code, origin.value])
    for one in metrics:
        row = (one.name, one.unit, one.device, one.device_name, one.stream, one.position)
        _insert(staged, "metrics", one.metric, _METRICS_KINDS, [row])
    columns = f"at, sequence, origin, revised, {', '.join(NUMBERS)}"
    for stream in sorted({one.stream for one in metrics if one.stream is not None}):
        select = f"SELECT {columns} FROM {engine.source(ROWS.name)} WHERE stream_id = %s"
        for page in _pages(engine, select, stream, month):
            _insert(staged, "numbers", stream, _NUMBERS_KINDS, page)
    for one in metrics:
        for page in _pages(engine, _texts_of(engine), one.metric, month):
            _insert(staged, "texts", one.metric, _TEXTS_KINDS, page)


def _texts_of(engine: Engine) -> str:
    return (
        f"SELECT at, sequence, origin, revised, text, flag FROM {engine.source(TEXTS.name)} "
        "WHERE metric_id = %s AND (text IS NOT NULL OR flag IS NOT NULL)"
    )


def _insert(
    staged: duckdb.DuckDBPyConnection,
    table: str,
    owner: int,
    kinds: Sequence[str],
    rows: Sequence[Row],
) -> None:
    """Columns travel as lists: a row at a time would take DuckDB a thousand times as long."""
    places = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds)
    columns = [list(column) for column in zip(*rows, strict=True)]
    staged.execute(f"INSERT INTO {table} SELECT ?, {places}", [owner, *columns])


def _pages(engine: Engine, select: str, owner: int, month: Month) -> Iterator[list[Row]]:
    """Rows of an owner in the month, in order, their time in milliseconds."""
    bounds = [engine.instant(month.begins), engine.instant(month.following.begins)]
    beyond = ""
    after: list[Any] = []
    while True:
        rows = engine.read(
            f"{select} AND at >= %s AND at < %s {beyond} ORDER BY at, sequence LIMIT %s",
            [owner, *bounds, *after, PAGE],
        )
        if rows:
            yield [(to_ms(engine.moment(row[0])), *row[1:]) for row in rows]
        if len(rows) < PAGE:
            return
        beyond, after = "AND (at, sequence) > (%s, %s)", list(rows[-1][:2])


def _copy(staged: duckdb.DuckDBPyConnection, file: Path, month: Month) -> None:
    facts = {
        "content": "readings",
        "format": FORMAT,
        "month": f"{month.year:04}-{month.month:02}",
        "zone": "UTC",
    }
    staged.execute(f"COPY ({_READINGS}) TO {literal(str(file))} {options(facts)}")


def _held(staged: duckdb.DuckDBPyConnection, file: Path) -> list[Held]:
    rows = staged.execute(
        "SELECT metric_id, count(*), epoch_ms(min(time)), epoch_ms(max(time)) "
        "FROM read_parquet(?) GROUP BY metric_id ORDER BY metric_id",
        [str(file)],
    ).fetchall()
    return [
        Held(metric, count, from_ms(first), from_ms(last)) for metric, count, first, last in rows
    ]


def _prove(
    engine: Engine,
    staged: duckdb.DuckDBPyConnection,
    file: Path,
    metrics: Sequence[Named],
    month: Month,
) -> None:
    """Compare the file, as it is on the disk, with the database, reading by reading.

    Raises ArchiveFailed where they differ.
    """
    staged.execute(
        "SELECT metric_id, epoch_ms(time), sequence, origin, revised, number, text, flag "
        "FROM read_parquet(?)",
        [str(file)],
    )
    for ours, theirs in zip_longest(_in_database(engine, metrics, month), _fetched(staged)):
        if ours != theirs:
            raise files.ArchiveFailed(
                TroubleKind.DIFFERS,
                f"The archive's file of {month.year:04}-{month.month:02} did not hold what the "
                "database does when it was read back, so it was thrown away and nothing was "
                "dropped. It is tried again within the hour; if this stays, look at the disk of "
                "ARCHIVE_DIR and tell the developers.",
            )


def _fetched(staged: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    while rows := staged.fetchmany(PAGE):
        for metric, at, sequence, origin, revised, *value in rows:
            yield (metric, at, sequence, _CODES[origin], revised, *value)


def _in_database(engine: Engine, metrics: Sequence[Named], month: Month) -> Iterator[Row]:
    """What the file must hold, in its order, read anew."""
    for one in sorted(metrics, key=lambda named: named.metric):
        kinds = [_texts(engine, one, month)]
        if one.stream is not None:
            kinds.insert(0, _numbers(engine, one, month))
        yield from heapq.merge(*kinds, key=lambda row: row[1:3])


def _numbers(engine: Engine, one: Named, month: Month) -> Iterator[Row]:
    place = (one.position or 1) - 1
    column = NUMBERS[place]
    select = (
        f"SELECT at, sequence, origin, revised, {column} FROM {engine.source(ROWS.name)} "
        f"WHERE stream_id = %s AND {column} IS NOT NULL"
    )
    for page in _pages(engine, select, one.stream or 0, month):
        for at, sequence, origin, revised, number in page:
            marked = bool(revised & 1 << place)
            yield one.metric, at, sequence, origin, marked, number, None, None


def _texts(engine: Engine, one: Named, month: Month) -> Iterator[Row]:
    for page in _pages(engine, _texts_of(engine), one.metric, month):
        for at, sequence, origin, revised, text, flag in page:
            value = None if flag is None else bool(flag)
            yield one.metric, at, sequence, origin, bool(revised), None, text, value
