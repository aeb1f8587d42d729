"""Rows as PostgreSQL's arrays, in its binary form: the fastest way to send very many.

Written without a loop where a column has no NULL. psycopg looks at every element; so does who
writes them as text, which the server has to read again. The binary form is that of array_send
(src/backend/utils/adt/arrayfuncs.c of PostgreSQL).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""From here PostgreSQL counts its microseconds."""
_HEAD = Struct("!iiiii")
_NONE_HEAD = Struct("!iii")
_LENGTH = Struct("!i")
_NULL = _LENGTH.pack(-1)


@dataclass(frozen=True, slots=True)
class Column:
    """The values of a column, of one of PostgreSQL's types."""

    kind: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A type of fixed size: PostgreSQL's number of it, and its letter in `array`."""

    oid: int
    letter: str
    convert: Callable[[Sequence[Any]], Sequence[Any]] = lambda values: values


def _moments(values: Sequence[datetime]) -> list[int]:
    """Instants (UTC, or of a fixed offset) as microseconds; most of a batch are the same few."""
    known = {}
    for at in set(values):
        since = at - _EPOCH
        known[at] = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return [known[at] for at in values]


_NUMBERS = {
    "int2": _Numbers(21, "h"),
    "int4": _Numbers(23, "i"),
    "int8": _Numbers(20, "q"),
    "float8": _Numbers(701, "d"),
    "bool": _Numbers(16, "b", lambda values: [1 if one else 0 for one in values]),
    "timestamptz": _Numbers(1184, "q", _moments),
}
_TEXT = 25


def columns_of(rows: Sequence[Sequence[Any]], kinds: Sequence[str]) -> list[Column]:
    """Rows turned into columns; also of no rows."""
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return [Column(kind, column) for kind, column in zip(kinds, columns, strict=True)]


def arrays(kinds: Sequence[str]) -> str:
    """Placeholders of one array for each type."""
    return ", ".join(f"%s::{kind}[]" for kind in kinds)


def _binary(column: Column) -> bytes:
    numbers = _NUMBERS.get(column.kind)
    oid = _TEXT if numbers is None else numbers.oid
    values = column.values
    if not values:  # no dimension
        return _NONE_HEAD.pack(0, 0, oid)
    missing = None in values
    if numbers is None:
        elements = b"".join(map(_text_element, values))
    elif missing:
        there = iter(_elements(numbers, [one for one in values if one is not None]))
        elements = b"".join(_NULL if one is None else next(there) for one in values)
    else:
        elements = bytes(_packed(numbers, values))
    return _HEAD.pack(1, int(missing), oid, len(values), 1) + elements


def _text_element(value: str | None) -> bytes:
    if value is None:
        return _NULL
    content = value.encode()
    return _LENGTH.pack(len(content)) + content


def _packed(numbers: _Numbers, values: Sequence[Any]) -> bytearray:
    """Each value after its length, all in the order of the network; byte by byte of all at once."""
    raw = array(numbers.letter, numbers.convert(values))
    size = raw.itemsize
    if sys.byteorder == "little":
        raw.byteswap()
    content, step = raw.tobytes(), _LENGTH.size + size
    packed = bytearray((_LENGTH.pack(size) + bytes(size)) * len(values))
    for place in range(size):
        packed[_LENGTH.size + place :: step] = content[place::size]
    return packed


def _elements(numbers: _Numbers, values: Sequence[Any]) -> list[bytes]:
    """The same, one by one."""
    packed = bytes(_packed(numbers, values)) if values else b""
    step = len(packed) // len(values) if values else 1
    return [packed[start : start + step] for start in range(0, len(packed), step)]


class _BinaryDumper(Dumper):
    """A column on its way to the server; the statement's cast says of which type it is."""

    format = Format.BINARY
    oid = 0

    def dump(self, obj: Column) -> bytes:
        """See `Dumper.dump`."""
        return _binary(obj)


class _TextDumper(Dumper):
    """A column inside a statement that was put together here (Django's own cursor does so)."""

    oid = 0

    def dump(self, obj: Column) -> bytes:
        """See `Dumper.dump`."""
        return ("{" + ",".join(map(_written, obj.values)) + "}").encode()


def _written(value: Any) -> str:
    """An element of an array's text."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


# The later one is the one that is used where both may be.
psycopg.adapters.register_dumper(Column, _TextDumper)
psycopg.adapters.register_dumper(Column, _BinaryDumper)
