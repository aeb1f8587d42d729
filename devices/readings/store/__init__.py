"""Where readings are kept: one protocol, one file for each engine."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from devices.readings.address import Address
from devices.readings.store.aggregating import refuse_before
from devices.readings.store.base import (
    ArchiveUnreadable,
    NotKept,
    NotNumeric,
    NotStorable,
    ReadingStore,
    RowsMoved,
    TooManyBuckets,
    TooMuch,
    UnknownMetric,
)
from devices.readings.store.clickhouse import ClickhouseEngine, RowsAway, RowsRefused, Server
from devices.readings.store.engine import Engine
from devices.readings.store.postgresql import PostgresqlEngine
from devices.readings.store.sql import SqlStore
from devices.readings.store.sqlite import SqliteEngine

__all__ = [
    "ArchiveUnreadable",
    "NotKept",
    "NotNumeric",
    "NotStorable",
    "ReadingStore",
    "RowsAway",
    "RowsMoved",
    "RowsRefused",
    "TooManyBuckets",
    "TooMuch",
    "UnknownMetric",
    "get_store",
    "make_room",
    "refuse_before",
    "store_at",
]

_ENGINES: dict[str, Engine] = {"sqlite": SqliteEngine(), "postgresql": PostgresqlEngine()}
_STORES: dict[tuple[str, Address | None], SqlStore] = {
    (vendor, None): SqlStore(engine) for vendor, engine in _ENGINES.items()
}


def make_room(table: str, instants: Collection[datetime]) -> None:
    """Before rows of these times are put into one of the store's tables by a restored backup."""
    _ENGINES[connection.vendor].make_room(table, instants)


def get_store() -> ReadingStore:
    """The store that the settings name: on the default database, or beside it (READINGS_URL).

    Raises ImproperlyConfigured for a default database that is neither SQLite nor PostgreSQL.
    """
    return store_at(settings.READINGS_ADDRESS)


def store_at(address: Address | None) -> SqlStore:
    """The store whose rows are there; None: in the default database, where all books are."""
    key = connection.vendor, address
    if key in _STORES:
        return _STORES[key]
    if connection.vendor not in _ENGINES or address is None:
        raise ImproperlyConfigured(
            f"Readings cannot be kept in {connection.display_name}: DATABASE_URL must name "
            "SQLite or PostgreSQL."
        )
    _STORES[key] = SqlStore(ClickhouseEngine(_ENGINES[connection.vendor], Server.of(address)))
    return _STORES[key]
