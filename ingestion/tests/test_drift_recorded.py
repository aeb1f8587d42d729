"""The watch on fields against real recordings: silent on them, awake when they are altered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from ingestion.drift.conversions import Change, changes
from ingestion.drift.values import Number, Value
from ingestion.drift.watch import Suspected
from ingestion.tests.recorded import (
    AFTER,
    BEFORE,
    FOLDER,
    Feed,
    after,
    alarms,
    changed,
    feeds,
    numbers,
    recorded,
)

pytestmark = recorded
FOLDERS = [FOLDER, FOLDER / "fleet"]
Alter = Callable[[Mapping[str, Value]], Mapping[str, Value]]
PART = 400
"""Rows looked at before a change; the last ones of a recording."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
@pytest.mark.timeout(120)
def test_unaltered_recordings_raise_no_alarm(folder: Path) -> None:
    judged = held = 0
    for feed in feeds(folder):
        found, values, waited = alarms(feed)
        assert found == []
        judged, held = judged + values, held + waited
    assert judged > 40_000
    assert held <= 10  # values that were stored a few polls late


@pytest.fixture(scope="module")
def all_feeds() -> list[Feed]:
    found = (feed for folder in FOLDERS for feed in feeds(folder))
    return [Feed(one.name, one.units, one.rows[-PART:]) for one in found if len(one.rows) >= 100]


def test_jumps_of_unit_are_found(all_feeds: list[Feed]) -> None:
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for feed, field, split in steady_fields(all_feeds):
        for change in changes(feed.units[field]):
            name = change.unit or f"x{change.factor:g}"
            tried[name] += 1
            guesses = after(feed, [field], split, in_unit(field, change)).get(field, ())
            likeliest = next(iter(guesses), None)
            found[name] += likeliest is not None and likeliest.change == change
    assert sum(tried.values()) > 1000
    assert sum(found.values()) >= 0.95 * sum(tried.values()), (found, tried)


def test_exchanged_fields_are_found(all_feeds: list[Feed]) -> None:
    tried = found = 0
    for feed in all_feeds:
        split = int(len(feed.rows) * 0.6)
        for one, other in combinations(feed.units, 2):
            if not apart(feed, one, other, split):
                continue
            tried += 1
            guesses = after(feed, [one, other], split, exchanged(one, other))
            kinds = {guesses[name][0].of for name in guesses}
            found += set(guesses) == {one, other} and kinds == {Suspected.SWAP}
    assert tried > 100
    assert found >= 0.95 * tried, (found, tried)


def steady_fields(all_feeds: list[Feed]) -> Iterator[tuple[Feed, str, int]]:
    """Fields of which a person would see the jump: numbers that vary little at this point."""
    for feed in all_feeds:
        split = int(len(feed.rows) * 0.6)
        for field in feed.units:
            if _steady(feed, field, split):
                yield feed, field, split


def _steady(feed: Feed, field: str, split: int) -> bool:
    near = around(feed, field, split)
    varied = len({one.value for one in numbers(feed.rows[:split], field)}) > 3
    return bool(near) and varied and max(near) - min(near) <= 0.2 * middle(near)


def apart(feed: Feed, one: str, other: str, split: int) -> bool:
    """Fields that nobody would mistake for each other: far apart, measured by how they vary."""
    first, second = around(feed, one, split), around(feed, other, split)
    if not first or not second:
        return False
    spread = max(max(first) - min(first), max(second) - min(second))
    gap = max(min(first) - max(second), min(second) - max(first))
    return gap > max(3 * spread, 0.1 * max(middle(first), middle(second)))


def around(feed: Feed, field: str, split: int) -> list[float]:
    """Eight numbers before and after a row; none of fields that jump about by themselves."""
    before = [one.value for one in numbers(feed.rows[:split], field)]
    following = [one.value for one in numbers(feed.rows[split : split + AFTER], field)]
    if len(before) < BEFORE or len(following) < 8 or before[-1] == 0:
        return []
    near = [*before[-8:], *following[:8]]
    steps = sorted(abs(later - one) for one, later in pairwise(before) if later != one)
    restless = bool(steps) and steps[len(steps) // 2] > 0.1 * middle(near)
    return [] if restless else near


def middle(values: Sequence[float]) -> float:
    return sorted(map(abs, values))[len(values) // 2]


def in_unit(field: str, change: Change) -> Alter:
    def alter(row: Mapping[str, Value]) -> Mapping[str, Value]:
        value = row.get(field)
        return {field: changed(value, change) if isinstance(value, Number) else value}

    return alter


def exchanged(one: str, other: str) -> Alter:
    def alter(row: Mapping[str, Value]) -> Mapping[str, Value]:
        return {one: row.get(other), other: row.get(one)}

    return alter
