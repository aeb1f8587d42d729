"""ClickHouse's tables: the newest version of a row counts.

Each table replaces rows of one key by the one with the highest version (FINAL in a SELECT).
Versions are counted by whoever writes a row, under a lock: clocks have no say. Instants are
milliseconds since 1970, as everywhere outside PostgreSQL; `time` shows them to people. A table that
is there already (replicated or distributed, see docs/scale.md) is used as it is.
"""

from __future__ import annotations

from devices.readings.samples import Tier
from devices.readings.store.summary import STATISTICS, TIER_TABLES
from devices.readings.store.tables import NUMBERS, RECEIVED, ROWS, TEXTS

VERSION = "version"
GONE = "gone"
"""1 in a tier's version of a bucket that is no more: FINAL does not show it."""
_INSTANT = "Int64 CODEC(DoubleDelta, ZSTD(1))"
_NUMBER = "Nullable(Float64) CODEC(Gorilla, ZSTD(1))"
_COUNTED = "Int64 CODEC(Delta, ZSTD(1))"
_MONTH = "toYYYYMM(fromUnixTimestamp64Milli({}, 'UTC'))"
_YEAR = "toYear(fromUnixTimestamp64Milli({}, 'UTC'))"
_SMALL = "index_granularity = 1024"
"""Rows that a look-up reads at least; a device's day is about as many."""

_TIER_COLUMNS = {
    "metric_id": _COUNTED,
    "bucket": _INSTANT,
    **dict.fromkeys(STATISTICS.split(", "), "Float64"),
    "count": "Int64",
    "first_at": _INSTANT,
    "last_at": _INSTANT,
    VERSION: "UInt32",
    GONE: "UInt8",
}
COLUMNS = {
    ROWS.name: {
        "stream_id": "UInt32 CODEC(Delta, ZSTD(1))",
        "at": _INSTANT,
        "sequence": _COUNTED,
        "origin": "Int8",
        "revised": "Int16",
        **dict.fromkeys(NUMBERS, _NUMBER),
        VERSION: "UInt32",
    },
    TEXTS.name: {
        "metric_id": _COUNTED,
        "at": _INSTANT,
        "sequence": _COUNTED,
        "origin": "Int8",
        "revised": "Int16",
        "text": "Nullable(String) CODEC(ZSTD(1))",
        "flag": "Nullable(Bool)",
        VERSION: "UInt32",
    },
    RECEIVED.name: {
        "source_id": _COUNTED,
        "at": _INSTANT,
        "sequence": _COUNTED,
        "device_id": _COUNTED,
        "arrived_at": "Nullable(Int64) CODEC(ZSTD(1))",
        "fields": "String CODEC(ZSTD(3))",
        VERSION: "UInt32",
    },
    **dict.fromkeys(TIER_TABLES.values(), _TIER_COLUMNS),
}
"""Columns of each table, with their types and codecs."""
TYPES = {
    table: {name: kind.partition(" CODEC")[0] for name, kind in columns.items()}
    for table, columns in COLUMNS.items()
}
KEYS = {table.name: table.key for table in (ROWS, TEXTS, RECEIVED)}
_PERIODS = {
    **{name: _MONTH.format("at") for name in KEYS},
    TIER_TABLES[Tier.HOUR]: _MONTH.format("bucket"),
    TIER_TABLES[Tier.DAY]: _YEAR.format("bucket"),
    TIER_TABLES[Tier.MONTH]: "tuple()",
}


def create(table: str, engine: str = "ReplacingMergeTree({})", name: str = "") -> str:
    """The statement that makes a table; `engine` has a place for the columns it replaces by."""
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS[table].items())
    if table in KEYS:
        key, instant, by = ", ".join(KEYS[table]), "at", VERSION
    else:
        key, instant, by = "metric_id, bucket", "bucket", f"{VERSION}, {GONE}"
    return (
        f"CREATE TABLE IF NOT EXISTS {name or table} ({columns}, "
        f"time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli({instant}, 'UTC')) "
        f"ENGINE = {engine.format(by)} PARTITION BY {_PERIODS[table]} ORDER BY ({key}) "
        f"SETTINGS {_SMALL}"
    )


CREATE = tuple(create(table) for table in COLUMNS)
