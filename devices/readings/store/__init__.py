"""Where readings are kept: one protocol, one file for each engine."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from devices.readings.store.aggregating import refuse_before
from devices.readings.store.base import (
    ArchiveUnreadable,
    NotKept,
    NotNumeric,
    NotStorable,
    ReadingStore,
    TooManyBuckets,
    TooMuch,
    UnknownMetric,
)
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
    "TooManyBuckets",
    "TooMuch",
    "UnknownMetric",
    "get_store",
    "make_room",
    "refuse_before",
]

_STORES: dict[str, SqlStore] = {
    vendor: SqlStore(engine)
    for vendor, engine in dict[str, Engine](
        sqlite=SqliteEngine(), postgresql=PostgresqlEngine()
    ).items()
}


def make_room(table: str, instants: Collection[datetime]) -> None:
    """Before rows of these times are put into one of the store's tables by a restored backup."""
    _STORES[connection.vendor].engine.make_room(table, instants)


def get_store() -> ReadingStore:
    """The store on the default database; raises ImproperlyConfigured for other vendors."""
    try:
        return _STORES[connection.vendor]
    except KeyError as error:
        raise ImproperlyConfigured(
            f"Readings cannot be kept in {connection.display_name}: DATABASE_URL must name "
            "SQLite or PostgreSQL."
        ) from error
