"""What the site keeps, read past the site: plain SQL on its database."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg

# Time (whole seconds since 1970), entry number and the values of the fields.
Identity = tuple[float, ...]

_ROWS = """
SELECT channel.channel_id, {at}, row.sequence, row.v1, row.v2
FROM readings_row row
JOIN readings_stream stream ON stream.id = row.stream_id
JOIN devices_source source ON source.device_id = stream.device_id
JOIN devices_thingspeakchannel channel ON channel.source_ptr_id = source.id
"""


class Kept(Protocol):
    """A database of either engine, asked in SQL with ? for parameters."""

    url: str

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """The answer's rows."""

    def change(self, statement: str) -> None:
        """Change something, as somebody else who works at the site would."""

    def readings(self) -> Mapping[int, Counter[Identity]]:
        """Every row of readings, by channel."""

    def instant(self, at: datetime) -> object:
        """A time as this engine compares it with a column of Django's."""


class InSQLite:
    """The embedded database."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.url = f"sqlite:///{file}"

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._file, timeout=30)) as database:
            return database.execute(query, params).fetchall()

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file, timeout=30)) as database, database:
            database.execute(statement)

    def readings(self) -> Mapping[int, Counter[Identity]]:
        return _by_channel(self.rows(_ROWS.format(at="row.at / 1000")))

    def instant(self, at: datetime) -> object:
        return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


class InPostgreSQL:
    """A database in a server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, connect_timeout=5) as database:
            return database.execute(query.replace("?", "%s").encode(), params).fetchall()

    def change(self, statement: str) -> None:
        with psycopg.connect(self.url, connect_timeout=5) as database:
            database.execute(statement.encode())

    def readings(self) -> Mapping[int, Counter[Identity]]:
        return _by_channel(self.rows(_ROWS.format(at="extract(epoch FROM row.at)::bigint")))

    def instant(self, at: datetime) -> object:
        return at


def _by_channel(rows: list[tuple[Any, ...]]) -> Mapping[int, Counter[Identity]]:
    found: defaultdict[int, Counter[Identity]] = defaultdict(Counter)
    for channel, *identity in rows:
        found[channel][tuple(identity)] += 1
    return found
