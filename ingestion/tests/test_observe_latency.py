"""Percentiles of the histogram against the exact ones, whatever the durations are."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.observe.counts import Counts, total
from ingestion.observe.latency import ERROR, LEAST_MS, bucket_of, percentile_ms

DURATIONS = st.lists(st.floats(LEAST_MS, 600_000), min_size=1, max_size=200)
SHARES = st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0])


def exact(durations: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    return sorted(durations)[max(math.ceil(share * len(durations)), 1) - 1]


@given(DURATIONS, SHARES)
def test_a_percentile_is_within_the_stated_error(durations: list[float], share: float) -> None:
    found = percentile_ms(Counter(map(bucket_of, durations)), share)
    assert found == pytest.approx(exact(durations, share), rel=ERROR + 1e-9)


@given(st.lists(DURATIONS, min_size=1, max_size=5), SHARES)
def test_hours_merge_into_what_all_of_them_say(hours: list[list[float]], share: float) -> None:
    merged = total(Counts(requests=len(one), latency=Counter(map(bucket_of, one))) for one in hours)
    everything = [duration for one in hours for duration in one]
    assert merged.percentile_ms(share) == percentile_ms(Counter(map(bucket_of, everything)), share)
    assert merged.requests == len(everything)


def test_no_answer_has_no_percentile_and_no_network_is_faster_than_a_tenth() -> None:
    assert percentile_ms({}, 0.5) is None
    assert bucket_of(0.0) == bucket_of(LEAST_MS)
