"""Many rows read or written at once, each with values of its own: one statement on PostgreSQL.

Django's `bulk_update` writes a CASE with a branch per row and column, and its `bulk_create` builds
an object for each row, and a query set takes ten times as long to be built as to be answered: each
costs more than all the rest of a poll. Here rows travel as one array for each column, which
PostgreSQL turns into a relation; SQLite runs one prepared statement for each row.
"""

# ruff: noqa: S608 - SQL is put together from the names of models' columns; values are parameters

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import psycopg
from django.db import connection, models
from django.db.models.base import ModelState
from psycopg.pq import Format

from devices.readings.store.arrays import Column, arrays, cast_of

Values = Mapping[str, Any]
"""What is written, by the attributes' names (a foreign key is `source_id`)."""

M = TypeVar("M", bound=models.Model)

_Fields = Sequence["models.Field[Any, Any]"]


def read_rows(model: type[M], by: str, keys: Iterable[int], *, lock: bool = False) -> list[M]:
    """The rows whose attribute `by` is one of the keys, as objects, in no order.

    Each as `Model.from_db` would make it; of a model with a parent, the parent's columns too.
    `lock`: they are locked until the transaction ends, in the order of `by`, as everybody does.
    """
    reading = _reading(model, by, None, connection.vendor)
    return [reading.made(row) for row in reading.rows(keys, lock)]


def read_values(
    model: type[models.Model], names: tuple[str, ...], by: str, keys: Iterable[int], *, lock: bool
) -> list[Any]:
    """The same rows as values of these attributes."""
    reading = _reading(model, by, names, connection.vendor)
    return [reading.converted(row) for row in reading.rows(keys, lock)]


ONE_OF = {"postgresql": "= ANY (%s::int8[])", "sqlite": "IN (SELECT value FROM json_each(%s))"}
"""What follows a column whose value is to be one of the keys, on each database."""


def rows_of(sql: str, keys: Iterable[int]) -> Sequence[Sequence[Any]]:
    """The rows of a statement whose one parameter is the keys (`ONE_OF`); none of no keys."""
    wanted = sorted(set(keys))
    if not wanted:
        return []
    own = connection.vendor == "postgresql"
    with _cursor() as cursor:
        cursor.execute(sql, [Column("int8", wanted) if own else json.dumps(wanted)])
        found: Sequence[Sequence[Any]] = cursor.fetchall()
    return found


@contextmanager
def _cursor() -> Iterator[Any]:
    """On PostgreSQL the driver's own cursor, behind Django's wrapper.

    Its statements are prepared once, and what they give travels in binary, which compiled code
    reads. Django's binds values in the client and reads instants in Python: ten times as long.
    """
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as own:
        own.format = Format.BINARY
        yield connection.make_cursor(own)  # type: ignore[arg-type]  # any cursor of DB-API


@dataclass(frozen=True, slots=True)
class _Reading(Generic[M]):
    """How rows of a model are read: the statement, and what becomes of a row."""

    model: type[M]
    sql: str
    key: str
    names: Sequence[str]
    converters: Sequence[tuple[int, Any, Sequence[Callable[..., Any]]]]

    def rows(self, keys: Iterable[int], lock: bool) -> Sequence[Sequence[Any]]:
        locking = lock and connection.features.has_select_for_update
        return rows_of(f"{self.sql} ORDER BY {self.key} FOR UPDATE" if locking else self.sql, keys)

    def converted(self, row: Sequence[Any]) -> Sequence[Any]:
        if not self.converters:
            return row
        values = list(row)
        for place, column, functions in self.converters:
            for convert in functions:
                values[place] = convert(values[place], column, connection)
        return values

    def made(self, row: Sequence[Any]) -> M:
        made = self.model.__new__(self.model)
        made.__dict__.update(zip(self.names, self.converted(row), strict=True))
        state = made._state = ModelState()
        state.adding, state.db, state.fields_cache = False, "default", {}
        return made


@cache
def _reading(model: type[M], by: str, chosen: tuple[str, ...] | None, vendor: str) -> _Reading[M]:
    """Prepared once: nothing of it changes while a process lives."""
    options = model._meta
    known = {field.attname: field for field in options.concrete_fields}
    fields = [known[name] for name in chosen or known]
    # A document as text: Django's field reads it.
    columns = [
        f"{_column(field)}::text" if _is_document(field, vendor) else _column(field)
        for field in fields
    ]
    source = options.db_table + "".join(
        f" JOIN {parent._meta.db_table}"
        f" ON {parent._meta.db_table}.{parent._meta.pk.column} = {options.db_table}.{link.column}"
        for parent, link in options.parents.items()
        if link is not None
    )
    key = _column(known[by])
    sql = f"SELECT {', '.join(columns)} FROM {source} WHERE {key} {ONE_OF[vendor]}"
    return _Reading(model, sql, key, [field.attname for field in fields], list(_converters(fields)))


def _column(field: models.Field[Any, Any]) -> str:
    return f"{field.model._meta.db_table}.{field.column}"


def _is_document(field: models.Field[Any, Any], vendor: str) -> bool:
    return vendor == "postgresql" and isinstance(field, models.JSONField)


def _converters(fields: _Fields) -> Iterator[tuple[int, Any, Sequence[Callable[..., Any]]]]:
    """What turns a column's value into the attribute's, where it is not that already."""
    for place, field in enumerate(fields):
        column = field.cached_col
        functions = [
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        ]
        if functions:
            yield place, column, functions


def insert_rows(
    model: type[models.Model], rows: Sequence[Values], unique: Sequence[str] = ()
) -> None:
    """Insert rows; all name the same attributes, and every column without a default.

    A row that is there already, by the `unique` attributes, gets the new values.
    """
    if not rows:
        return
    fields = _fields(model, rows[0])
    table, columns = model._meta.db_table, ", ".join(str(field.column) for field in fields)
    renew = _renewing(fields, unique)
    if connection.vendor == "postgresql":
        relation, values = _relation(fields, rows)
        _execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {relation}{renew}", values)
        return
    places = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places}){renew}",
            [_prepared(fields, row) for row in rows],
        )


def _renewing(fields: _Fields, unique: Sequence[str]) -> str:
    if not unique:
        return ""
    key = ", ".join(str(field.column) for field in fields if field.attname in unique)
    sets = ", ".join(
        f"{field.column} = excluded.{field.column}"
        for field in fields
        if field.attname not in unique
    )
    return f" ON CONFLICT ({key}) DO UPDATE SET {sets}"


def update_rows(
    model: type[models.Model], rows: Sequence[Values], kept: Collection[str] = ()
) -> None:
    """Give rows new values; all name the same attributes, the primary key first.

    None in one of the `kept` attributes leaves what is there.
    """
    if not rows:
        return
    key, *others = _fields(model, rows[0])
    table = model._meta.db_table
    if connection.vendor == "postgresql":
        sets = _sets(others, kept, "n.{0}")
        relation, values = _relation([key, *others], rows)
        _execute(
            f"UPDATE {table} t SET {sets} FROM {relation} WHERE t.{key.column} = n.{key.column}",
            values,
        )
        return
    sets = _sets(others, kept, "%s")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} AS t SET {sets} WHERE {key.column} = %s",
            [_prepared([*others, key], row) for row in rows],
        )


def _sets(fields: _Fields, kept: Collection[str], given: str) -> str:
    """The assignments of an UPDATE of `t`; `given` stands for a new value."""
    return ", ".join(
        f"{field.column} = COALESCE({value}, t.{field.column})"
        if field.attname in kept
        else f"{field.column} = {value}"
        for field, value in ((field, given.format(field.column)) for field in fields)
    )


def _fields(model: type[models.Model], row: Values) -> list[models.Field[Any, Any]]:
    known = {field.attname: field for field in model._meta.concrete_fields}
    return [known[name] for name in row]


_KINDS = {
    "bigint": "int8",
    "integer": "int4",
    "smallint": "int2",
    "double precision": "float8",
    "boolean": "bool",
    "timestamp with time zone": "timestamptz",
    "jsonb": "jsonb",
}
"""Types of columns by the names that their arrays go by; a text of any length is `text`."""


def _relation(fields: _Fields, rows: Sequence[Values]) -> tuple[str, list[Column]]:
    """SQL for a relation `n` of the rows, and its parameters: the values of each column."""
    columns = [Column(_kind(field), [row[field.attname] for row in rows]) for field in fields]
    names = [str(field.column) for field in fields]
    kinds = [one.kind for one in columns]
    chosen = ", ".join(
        f"{cast_of('', name, kind)} AS {name}" for name, kind in zip(names, kinds, strict=True)
    )
    sql = f"(SELECT {chosen} FROM unnest({arrays(kinds)}) AS r({', '.join(names)})) AS n"
    return sql, [_sent(column) for column in columns]


def _sent(column: Column) -> Column:
    """The column as it travels: documents as text."""
    if column.kind != "jsonb":
        return column
    return Column("text", [None if one is None else json.dumps(one) for one in column.values])


def _kind(field: models.Field[Any, Any]) -> str:
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return _KINDS.get(str(kind), "text")


def _execute(sql: str, params: Sequence[Column]) -> None:
    with _cursor() as cursor:
        cursor.execute(sql, params)


def _prepared(fields: _Fields, row: Values) -> list[Any]:
    return [field.get_db_prep_save(row[field.attname], connection) for field in fields]
