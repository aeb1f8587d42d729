"""Rows in ClickHouse's Native format: blocks of columns, each with its name and type.

The client asks of each value of a column whether it is missing, and then again; here it is known of
whole columns. Source of the format: ClickHouse's documentation, «Formats for input and output
data», Native. Numbers are little-endian; a Nullable column is a byte a row that says which are
missing, then the values. Pure.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

NULLABLE = "Nullable(Float64)"
_CODES = {"UInt32": "I", "Int64": "q", "Int16": "h", "Int8": "b", NULLABLE: "d"}
Column = tuple[str, str, Sequence[Any] | None]
"""Name, type and values, none of which is missing in an array; None: all are missing."""


def block(columns: Sequence[Column], rows: int) -> bytes:
    """A block of so many rows. Raises KeyError for a type that is not made here."""
    parts = [_whole(len(columns)), _whole(rows)]
    for name, kind, values in columns:
        parts += [_text(name), _text(kind), *_values(kind, values, rows)]
    return b"".join(parts)


def _values(kind: str, values: Sequence[Any] | None, rows: int) -> Iterable[bytes]:
    if kind != NULLABLE:
        assert values is not None  # noqa: S101 - only numbers may be missing
        return (_packed(kind, values),)
    if values is None:
        return b"\1" * rows, bytes(8 * rows)
    if isinstance(values, array) or None not in values:
        return bytes(rows), _packed(kind, values)
    missing = bytes([value is None for value in values])
    return missing, _packed(kind, [0.0 if value is None else value for value in values])


def _packed(kind: str, values: Sequence[Any]) -> bytes:
    packed = array(_CODES[kind], values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _text(text: str) -> bytes:
    content = text.encode()
    return _whole(len(content)) + content


def _whole(number: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
