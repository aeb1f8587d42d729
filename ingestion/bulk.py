"""Many rows written at once, each with values of its own: one statement on PostgreSQL.

Django's `bulk_update` writes a CASE with a branch per row and column, and its `bulk_create` builds
an object for each row: both cost more than all the rest of a poll. Here the rows travel as one JSON
text, which PostgreSQL turns into a relation; SQLite runs one prepared statement for each row.
"""

# ruff: noqa: S608 - SQL is put together from the names of models' columns; values are parameters

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, models

Values = Mapping[str, Any]
"""What is written, by the attributes' names (a foreign key is `source_id`)."""

_Fields = Sequence["models.Field[Any, Any]"]


def insert_rows(model: type[models.Model], rows: Sequence[Values]) -> None:
    """Insert rows; all name the same attributes, and every column without a default."""
    if not rows:
        return
    fields = _fields(model, rows[0])
    table, columns = model._meta.db_table, ", ".join(str(field.column) for field in fields)
    if connection.vendor == "postgresql":
        source, document = _relation(fields, rows)
        _execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}", [document])
        return
    places = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places})",
            [_prepared(fields, row) for row in rows],
        )


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
        source, document = _relation([key, *others], rows)
        _execute(
            f"UPDATE {table} t SET {sets} FROM {source} WHERE t.{key.column} = n.{key.column}",
            [document],
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


def _relation(fields: _Fields, rows: Sequence[Values]) -> tuple[str, str]:
    """SQL for a relation `n` of the rows, and its parameter; instants travel in ISO form."""
    declared = ", ".join(f"{field.column} {_kind(field)}" for field in fields)
    columns = {field.attname: str(field.column) for field in fields}
    document = [{columns[name]: value for name, value in row.items()} for row in rows]
    # NaN is no JSON: refused here, with an error that says so.
    return f"json_to_recordset(%s::json) AS n({declared})", json.dumps(
        document, default=str, allow_nan=False
    )


def _kind(field: models.Field[Any, Any]) -> str:
    """The column's type; without a length, which would cut a text silently."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return "text" if str(kind).startswith("varchar") else str(kind)


def _execute(sql: str, params: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def _prepared(fields: _Fields, row: Values) -> list[Any]:
    return [field.get_db_prep_save(row[field.attname], connection) for field in fields]
