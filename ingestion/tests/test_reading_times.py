"""Which times are read: only those that can mean a single instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.entries import Reason
from ingestion.sources.times import DETAILS, read_time

AT = datetime(2016, 11, 22, 12, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2016-11-22T12:20:00Z", "2016-11-22T12:20:00+00:00", "2016-11-22 12:20:00 UTC",
     "2016-11-22 07:20:00 -0500", "2016-11-22T17:50:00+05:30", "2016-11-22 12:20:00+00:00",
     "2016-11-22 12:20:00 +00:00", "2016-11-22T12:20Z", "2016-11-22T12:20:00.000Z",
     " 2016-11-22T12:20:00Z\r\n", "2016-11-22T13:20:00+01"],
)  # fmt: skip
def test_ways_to_write_one_instant(text: str) -> None:
    assert read_time(text) == AT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2016-11-22 12:20:00", Reason.NO_ZONE),
        ("2016-11-22T12:20", Reason.NO_ZONE),
        ("2020-11-19 08:25:02 CAT", Reason.UNKNOWN_ZONE),
        ("2020-11-19 08:25:02 Africa/Lusaka", Reason.UNKNOWN_ZONE),
        ("1969-12-31T23:59:59Z", Reason.BEFORE_1970),
        ("1970-01-01T00:00:00+01:00", Reason.BEFORE_1970),
        ("0000-00-00T00:00:00Z", Reason.UNREADABLE_TIME),
        ("2016-02-30T00:00:00Z", Reason.UNREADABLE_TIME),
        ("2016-11-22T25:00:00Z", Reason.UNREADABLE_TIME),
        ("2016-11-22T12:20:00+15:00", Reason.UNREADABLE_TIME),
        ("2016-11-22T12:20:00+01:75", Reason.UNREADABLE_TIME),
        ("9999-12-31T23:59:59-05:00", Reason.UNREADABLE_TIME),
        ("10000-01-01T00:00:00Z", Reason.UNREADABLE_TIME),
        ("٢٠١٦-11-22T12:20:00Z", Reason.UNREADABLE_TIME),
        ("22/11/2016 12:20", Reason.UNREADABLE_TIME),
        ("", Reason.UNREADABLE_TIME),
        (None, Reason.UNREADABLE_TIME),
        (1479817200, Reason.UNREADABLE_TIME),
    ],
)
def test_times_that_could_mean_anything_else_are_refused(text: object, reason: Reason) -> None:
    assert read_time(text) is reason
    assert DETAILS[reason].endswith(".")


@given(
    seconds=st.integers(86_400, 253_402_000_000),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_whatever_the_offset_the_instant_is_the_same(seconds: int, minutes: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    written = instant.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert read_time(written) == instant


@given(text=st.text() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d ?.{0,6}"))
def test_no_text_crashes(text: str) -> None:
    found = read_time(text)
    assert isinstance(found, Reason) or found.utcoffset() == timedelta(0)
