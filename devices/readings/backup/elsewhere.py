"""Tables that a site keeps in ClickHouse, as part of its backup.

Copies that share the disk with the originals stand still while they are written into the backup. On
the way back, rows are gathered in tables beside, and take the originals' place all at once. A
cluster that spreads rows over servers makes its own backups (docs/scale.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings

from devices.readings.instants import from_ms, to_ms
from devices.readings.moving.clickhouse import Clickhouse
from devices.readings.moving.pages import INSTANTS, TABLES, Moved, pages
from devices.readings.store.clickhouse import Server
from devices.readings.store.clickhouse.clusters import place_of
from devices.readings.store.clickhouse.schema import VERSION, create

_TABLES = {table.name: table for table in TABLES}


def server_of_site() -> Server | None:
    """The ClickHouse server that has the site's big tables; None: they are in the database, or
    spread over a cluster.
    """
    if settings.READINGS_ADDRESS is None:
        return None
    server = Server.of(settings.READINGS_ADDRESS)
    spread = any(place_of(server, name).cluster for name in _TABLES)
    return None if spread else server


class Copies:
    """The big tables as they were at one moment."""

    def __init__(self, server: Server) -> None:
        self._carrier = Clickhouse(server)

    def has(self, table: str) -> bool:
        """Whether a table is one of them."""
        return table in _TABLES

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Its rows, a page in memory at a time; instants are aware UTC."""
        kept = _TABLES[table]
        copy = Moved(_copy(table), kept.columns, kept.key)
        places = [(kept.columns.index(name), name in INSTANTS) for name in columns]
        for month in self._carrier.months(copy):
            for page in pages(month, self._carrier.counts(copy, month)):
                for row in self._carrier.rows(copy, page):
                    yield tuple(
                        from_ms(row[place]) if instant and row[place] is not None else row[place]
                        for place, instant in places
                    )


@contextmanager
def copies(server: Server) -> Iterator[Copies]:
    """Copies of now, until the end; nobody may write while they are made. They take no room but for
    what the originals lose meanwhile.
    """
    with _beside(server, _copy):
        for name in _TABLES:
            server.run(f"ALTER TABLE {_copy(name)} ATTACH PARTITION ALL FROM {name}")
        yield Copies(server)


class Loading:
    """Restored rows on their way into ClickHouse."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def has(self, table: str) -> bool:
        """Whether a table is kept there."""
        return table in _TABLES

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows as a backup has them; they are not to be seen yet."""
        values = [
            _milliseconds(column) if name in INSTANTS else column
            for name, column in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        names = (*columns, VERSION)
        self._server.insert(table, names, [*values, [1] * len(rows)], into=_restored(table))

    def take_place(self) -> None:
        """What was there goes, what was added stands."""
        for name in _TABLES:
            self._server.run(f"TRUNCATE TABLE {name}")
            self._server.run(f"ALTER TABLE {name} ATTACH PARTITION ALL FROM {_restored(name)}")


@contextmanager
def loading(server: Server) -> Iterator[Loading]:
    """Tables to gather rows in, beside those that are there; gone at the end."""
    with _beside(server, _restored):
        yield Loading(server)


@contextmanager
def _beside(server: Server, named: Any) -> Iterator[None]:
    """Empty tables like ours under other names; what was left of a killed process goes first."""
    names: Mapping[str, str] = {name: named(name) for name in _TABLES}
    try:
        for name, other in names.items():
            server.run(f"DROP TABLE IF EXISTS {other}")
            server.run(create(name, name=other))
        yield
    finally:
        for other in names.values():
            server.run(f"DROP TABLE IF EXISTS {other}")


def _copy(table: str) -> str:
    return f"{table}_backup"


def _restored(table: str) -> str:
    return f"{table}_restored"


def _milliseconds(texts: Sequence[str | None]) -> list[int | None]:
    return [text and to_ms(datetime.fromisoformat(text)) for text in texts]  # type: ignore[misc]
