"""Statements over many keys or rows, as each database takes them best."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from django.db import connection, models
from psycopg.pq import Format

from devices.readings.store.arrays import Column

_KINDS = {
    "bigint": "int8",
    "integer": "int4",
    "smallint": "int2",
    "double precision": "float8",
    "boolean": "bool",
    "timestamp with time zone": "timestamptz",
    "date": "date",
    "jsonb": "jsonb",
}
"""PostgreSQL's types by the names that their arrays go by; a text of any length is `text`."""


@contextmanager
def cursor() -> Iterator[Any]:
    """On PostgreSQL the driver's own cursor, behind Django's wrapper.

    Its statements are prepared once, and what they give travels in binary, which compiled code
    reads. Django's binds values in the client and reads instants in Python: ten times as long.
    """
    if connection.vendor != "postgresql":
        with connection.cursor() as wrapped:
            yield wrapped
        return
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as own:
        own.format = Format.BINARY
        yield connection.make_cursor(own)  # type: ignore[arg-type]  # any cursor of DB-API


def one_of(vendor: str, kind: str = "int8") -> str:
    """What follows a column whose value is to be one of the keys; `kind`: their type."""
    return {
        "postgresql": f"= ANY (%s::{kind}[])",
        "sqlite": "IN (SELECT value FROM json_each(%s))",
    }[vendor]


def rows_of(
    sql: str, keys: Iterable[int] | Iterable[str], kind: str = "int8"
) -> Sequence[Sequence[Any]]:
    """The rows of a statement whose one parameter is the keys (`one_of`); none of no keys."""
    wanted: list[Any] = sorted(set(keys))
    if not wanted:
        return []
    own = connection.vendor == "postgresql"
    with cursor() as asking:
        asking.execute(sql, [Column(kind, wanted) if own else json.dumps(wanted)])
        found: Sequence[Sequence[Any]] = asking.fetchall()
    return found


@cache
def kind_of(field: models.Field[Any, Any]) -> str:
    """The type in which PostgreSQL keeps a field's values."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return _KINDS.get(str(kind), "text")
