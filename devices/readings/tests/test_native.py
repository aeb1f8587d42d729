"""Blocks in ClickHouse's Native format, byte by byte."""

from __future__ import annotations

import struct

import pytest

from devices.readings.store.clickhouse.native import NULLABLE, block


def test_columns_follow_each_other_with_name_and_type() -> None:
    made = block([("id", "UInt32", (7, 2**32 - 1)), ("at", "Int64", [-1, 2**40])], 2)
    assert made == (
        b"\x02\x02"
        b"\x02id\x06UInt32\x07\0\0\0\xff\xff\xff\xff"
        b"\x02at\x05Int64" + struct.pack("<qq", -1, 2**40)
    )


@pytest.mark.parametrize(
    ("values", "missing", "numbers"),
    [
        ((1.5, -2), b"\0\0", (1.5, -2.0)),
        ((None, 2.5), b"\1\0", (0.0, 2.5)),
        (None, b"\1\1", (0.0, 0.0)),
    ],
)
def test_missing_numbers_are_told_before_the_numbers(
    values: tuple[float | None, ...] | None, missing: bytes, numbers: tuple[float, float]
) -> None:
    head = b"\x01\x02\x02v1" + bytes([len(NULLABLE)]) + NULLABLE.encode()
    assert block([("v1", NULLABLE, values)], 2) == head + missing + struct.pack("<dd", *numbers)


def test_many_rows_are_counted_in_sevens_of_bits() -> None:
    assert block([("n", "Int8", [0] * 300)], 300).startswith(b"\x01\xac\x02\x01n\x04Int8\0\0")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        block([("n", "Int8", [300])], 1)
    with pytest.raises(KeyError):
        block([("n", "String", ["a"])], 1)
