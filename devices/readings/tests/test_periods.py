"""Days and months tile time without gap or overlap in every zone, and hours split exactly."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.readings.instants import EPOCH, HOUR, from_ms, hour_of, to_ms
from devices.readings.periods import (
    Span,
    calendar_spans,
    day_of,
    day_span,
    month_span,
    split_hours,
)

instants = st.integers(-(10**12), 4 * 10**12).map(from_ms)
zones = st.sampled_from(
    ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Cairo",
     "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]
).map(ZoneInfo)  # fmt: skip


@given(instants, zones, st.sampled_from([day_span, month_span]))
def test_every_instant_lies_in_exactly_one_period(at: datetime, zone: ZoneInfo, period) -> None:  # type: ignore[no-untyped-def]
    span = period(at, zone)

    assert span.since <= at < span.until
    assert period(span.since, zone) == span
    assert period(span.until - timedelta(milliseconds=1), zone) == span
    assert period(span.until, zone).since == span.until


def test_a_day_has_as_many_hours_as_its_zone_gives_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    lengths = [
        (span.until - span.since) / HOUR
        for span in calendar_spans(
            day_span,
            datetime(2026, 10, 23, 22, tzinfo=UTC),
            datetime(2026, 10, 25, 23, tzinfo=UTC),
            berlin,
        )
    ]
    assert lengths == [24, 25]
    assert day_of(datetime(2026, 10, 25, 22, 59, tzinfo=UTC), berlin) == date(2026, 10, 25)


@given(
    st.integers(0, 600), st.integers(1, 900), st.integers(0, 20),
    st.sets(st.integers(0, 20)).map(sorted),
)  # fmt: skip
def test_hours_and_readings_together_cover_a_span_once(
    since: int, length: int, rolled: int, pending: list[int]
) -> None:
    start = EPOCH + timedelta(minutes=since)
    span = Span(start, start, start + timedelta(minutes=length))
    stale = [EPOCH + HOUR * hour for hour in pending]

    hours, readings = split_hours(span, EPOCH + HOUR * rolled, stale)

    parts = sorted((part.since, part.until) for part in [*hours, *readings])
    assert parts[0][0] == span.since
    assert parts[-1][1] == span.until
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))
    for part in hours:
        assert part.since == hour_of(part.since)
        assert part.until == hour_of(part.until) <= EPOCH + HOUR * rolled
        assert not [hour for hour in stale if part.since <= hour < part.until]


@pytest.mark.parametrize("milliseconds", [0, 1, -1, 1_795_212_000_123])
def test_instants_keep_their_milliseconds(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds
