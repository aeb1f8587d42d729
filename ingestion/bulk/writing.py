"""Writing many rows, each with values of its own, without an object for each."""

# ruff: noqa: S608 - SQL is put together from the names of models' columns; values are parameters

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from math import isfinite
from typing import Any

from django.db import connection, models

from devices.readings.store.arrays import Column, arrays
from ingestion.bulk.session import cursor, kind_of

Values = Mapping[str, Any]
"""What is written, by the attributes' names (a foreign key is `source_id`)."""

_Fields = Sequence["models.Field[Any, Any]"]


def insert_rows(
    model: type[models.Model],
    rows: Sequence[Values],
    unique: Collection[str] = (),
    added: Collection[str] = (),
) -> None:
    """Insert rows; all name the same attributes, and every column without a default.

    A row that is there already, by the `unique` attributes, gets the new values; those of `added`
    are added to what it has.
    """
    if not rows:
        return
    fields = _fields(model, rows)
    table, columns = model._meta.db_table, ", ".join(str(field.column) for field in fields)
    renew = _renewing(table, fields, unique, added)
    if connection.vendor == "postgresql":
        relation, values = _relation(fields, rows)
        _execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {relation}{renew}", values)
        return
    places = ", ".join(["%s"] * len(fields))
    with cursor() as writing:
        writing.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places}){renew}",
            [_prepared(fields, row) for row in rows],
        )


def _renewing(table: str, fields: _Fields, unique: Collection[str], added: Collection[str]) -> str:
    if not unique:
        return ""
    key = ", ".join(str(field.column) for field in fields if field.attname in unique)
    sets = ", ".join(
        f"{field.column} = {f'{table}.{field.column} + ' if field.attname in added else ''}"
        f"excluded.{field.column}"
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
    key, *others = _fields(model, rows)
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
    with cursor() as writing:
        writing.executemany(
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


def _fields(model: type[models.Model], rows: Sequence[Values]) -> list[models.Field[Any, Any]]:
    """The fields that the rows name. Raises ValueError for what is no number, or infinite."""
    known = {field.attname: field for field in model._meta.concrete_fields}
    fields = [known[name] for name in rows[0]]
    for field in fields:
        if isinstance(field, models.FloatField):
            numbers = [row[field.attname] for row in rows]
            if not all(isfinite(one) for one in numbers if one is not None):
                raise ValueError(f"{field.attname} holds what is no number, or infinite.")
    return fields


def _execute(sql: str, values: Sequence[Column]) -> None:
    with cursor() as writing:
        writing.execute(sql, values)


def _relation(fields: _Fields, rows: Sequence[Values]) -> tuple[str, list[Column]]:
    """SQL for a relation `n` of the rows, and its parameters: the values of each column."""
    names = ", ".join(str(field.column) for field in fields)
    kinds = [kind_of(field) for field in fields]
    sent = ["text" if kind in _AS_TEXT else kind for kind in kinds]
    chosen = ", ".join(f"{field.column}::{kind}" for field, kind in zip(fields, kinds, strict=True))
    sql = f"(SELECT {chosen} FROM unnest({arrays(sent)}) AS r({names})) AS n({names})"
    return sql, [
        _column(field.attname, kind, rows) for field, kind in zip(fields, kinds, strict=True)
    ]


_AS_TEXT: Mapping[str, Callable[[Any], str]] = {"jsonb": json.dumps, "date": str}
"""Types whose values travel as text, and how they are written."""


def _column(name: str, kind: str, rows: Sequence[Values]) -> Column:
    write = _AS_TEXT.get(kind)
    values = [row[name] for row in rows]
    if write is None:
        return Column(kind, values)
    return Column("text", [None if one is None else write(one) for one in values])


def _prepared(fields: _Fields, row: Values) -> list[Any]:
    return [field.get_db_prep_save(row[field.attname], connection) for field in fields]
