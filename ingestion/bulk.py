"""Changing many rows at once, each to values of its own: one statement on PostgreSQL.

Django's `bulk_update` writes a CASE with a branch per row and column, which costs more than all the
rest of a poll. SQLite runs one prepared statement for each row, within the process.
"""

# ruff: noqa: S608 - SQL is put together from the names of models' columns; values are parameters

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

Values = Mapping[str, Any]


def update_rows(model: type[models.Model], rows: Mapping[Any, Values]) -> None:
    """Give the rows of these primary keys new values; all name the same fields."""
    if not rows:
        return
    names = list(next(iter(rows.values())))
    fields = [model._meta.get_field(name) for name in names]
    key = model._meta.pk
    if not all(isinstance(field, models.Field) for field in (key, *fields)):
        raise ValueError("Only columns can be changed.")
    change = _change_at_once if connection.vendor == "postgresql" else _change_one_by_one
    change(model._meta.db_table, [key, *fields], [  # type: ignore[list-item]
        [pk, *(values[name] for name in names)] for pk, values in rows.items()
    ])  # fmt: skip


def _change_one_by_one(
    table: str, fields: Sequence[models.Field[Any, Any]], rows: Sequence[Sequence[Any]]
) -> None:
    key, *others = fields
    sets = ", ".join(f"{field.column} = %s" for field in others)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET {sets} WHERE {key.column} = %s",
            [
                [field.get_db_prep_save(value, connection) for field, value in pairs[1:]]
                + [pairs[0][1]]
                for pairs in (list(zip(fields, row, strict=True)) for row in rows)
            ],
        )


def _change_at_once(
    table: str, fields: Sequence[models.Field[Any, Any]], rows: Sequence[Sequence[Any]]
) -> None:
    """UPDATE … FROM arrays, one for each column."""
    key, *others = fields
    sets = ", ".join(f"{field.column} = {_cast(field)}" for field in others)
    arrays = ", ".join(f"%s::{_travels_as(field)}[]" for field in fields)
    names = ", ".join(str(field.column) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} t SET {sets} FROM unnest({arrays}) AS n({names}) "
            f"WHERE t.{key.column} = n.{key.column}",
            [
                [_prepared(field, value) for value in column]
                for field, column in zip(fields, zip(*rows, strict=True), strict=True)
            ],
        )


def _travels_as(field: models.Field[Any, Any]) -> str:
    """The type of an array's elements: documents and limited texts travel as text."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return "text" if kind == "jsonb" or str(kind).startswith("varchar") else str(kind)


def _cast(field: models.Field[Any, Any]) -> str:
    is_document = field.db_type(connection) == "jsonb"
    return f"n.{field.column}::jsonb" if is_document else f"n.{field.column}"


def _prepared(field: models.Field[Any, Any], value: Any) -> Any:
    if isinstance(field, models.JSONField):
        return None if value is None else json.dumps(value)
    return field.get_db_prep_save(value, connection)
