"""Reading many rows by their keys, without a query set."""

# ruff: noqa: S608 - SQL is put together from the names of models' columns; values are parameters

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import connection, models
from django.db.models.base import ModelState

from ingestion.bulk.session import kind_of, one_of, rows_of

M = TypeVar("M", bound=models.Model)


def read_rows(
    model: type[M], by: str, keys: Iterable[int] | Iterable[str], *, only: str = ""
) -> list[M]:
    """The rows whose attribute `by` is one of the keys, as objects, in no order.

    Each as `Model.from_db` would make it; of a model with a parent, the parent's columns too.
    `only` is a further condition, in SQL.
    """
    reading = _reading(model, by, None, only, connection.vendor)
    return [reading.made(row) for row in reading.rows(keys)]


def read_values(
    model: type[models.Model], names: tuple[str, ...], by: str, keys: Iterable[int], *, lock: bool
) -> list[Any]:
    """The same rows as values of these attributes.

    `lock`: they are locked until the transaction ends, in the order of `by`, as everybody does.
    """
    reading = _reading(model, by, names, "", connection.vendor)
    return [reading.converted(row) for row in reading.rows(keys, lock)]


@dataclass(frozen=True, slots=True)
class _Reading(Generic[M]):
    """How rows of a model are read: the statement, and what becomes of a row."""

    model: type[M]
    sql: str
    key: str
    kind: str
    names: Sequence[str]
    converters: Sequence[tuple[int, Any, Sequence[Callable[..., Any]]]]

    def rows(
        self, keys: Iterable[int] | Iterable[str], lock: bool = False
    ) -> Sequence[Sequence[Any]]:
        locking = lock and connection.features.has_select_for_update
        sql = f"{self.sql} ORDER BY {self.key} FOR UPDATE" if locking else self.sql
        return rows_of(sql, keys, self.kind)

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
def _reading(
    model: type[M], by: str, chosen: tuple[str, ...] | None, only: str, vendor: str
) -> _Reading[M]:
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
    kind = kind_of(known[by])
    sql = f"SELECT {', '.join(columns)} FROM {source} WHERE {key} {one_of(vendor, kind)}"
    sql += f" AND {only}" if only else ""
    names = [field.attname for field in fields]
    return _Reading(model, sql, key, kind, names, list(_converters(fields)))


def _column(field: models.Field[Any, Any]) -> str:
    return f"{field.model._meta.db_table}.{field.column}"


def _is_document(field: models.Field[Any, Any], vendor: str) -> bool:
    return vendor == "postgresql" and isinstance(field, models.JSONField)


def _converters(
    fields: Sequence[models.Field[Any, Any]],
) -> Iterator[tuple[int, Any, Sequence[Callable[..., Any]]]]:
    """What turns a column's value into the attribute's, where it is not that already."""
    for place, field in enumerate(fields):
        column = field.cached_col
        functions = [
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        ]
        if functions:
            yield place, column, functions
