"""A process that ends is started again, with growing pauses, until that is hopeless."""

from __future__ import annotations

import pytest

from telemetry_site.start.restarts import Restarts, ordinal


def pauses(*ends: float) -> list[float | None]:
    restarts = Restarts()
    return [restarts.pause_after(end) for end in ends]


def test_pauses_double_up_to_ten_seconds() -> None:
    assert pauses(0, 20, 40, 60, 81, 102, 123) == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_calm_minute_makes_the_pause_short_again() -> None:
    assert pauses(0, 10, 80) == [0.5, 1, 0.5]


def test_the_fifth_end_within_a_minute_is_the_last() -> None:
    assert pauses(0, 15, 30, 45, 60) == [0.5, 1, 2, 4, None]
    assert None not in pauses(0, 15, 30, 45, 61)


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (12, "12th"), (21, "21st")]
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text
