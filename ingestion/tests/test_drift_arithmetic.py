"""Fingerprints, readings of values, conversions and verdicts as pure arithmetic."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import units
from ingestion.drift.conversions import Change, changes
from ingestion.drift.detect import DECIDE, Verdict, judge
from ingestion.drift.fingerprint import MEMORY, PLACES, STEPS, Fingerprint, learn
from ingestion.drift.labels import Fate, label_change
from ingestion.drift.stored import (
    from_fingerprint,
    from_suspicion,
    to_fingerprint,
    to_suspicion,
)
from ingestion.drift.values import Number, Type, Value, what
from ingestion.drift.watch import ERRORS, Guess, Held, Suspected, Suspicion, Watch
from ingestion.entries import JsonValue, as_text

measured = st.floats(-1e6, 1e6).map(lambda one: Number(round(one, 2), 0.01))
values: st.SearchStrategy[Value] = st.one_of(measured, st.sampled_from([None, *Type]))
raws: st.SearchStrategy[JsonValue] = st.one_of(
    st.text(max_size=40), st.none(), st.booleans(), st.integers(), st.floats()
)


@given(raws)
def test_any_value_is_something(raw: JsonValue) -> None:
    found = what(as_text(raw))
    if isinstance(found, Number):
        assert math.isfinite(found.value)
        assert found.grain > 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_plain_number_is_read_as_it_is(number: float) -> None:
    found = what(repr(number))
    assert isinstance(found, Number)
    assert found.value == number


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("4.80", Number(4.8, 0.01)),
        (" 36.00\r\n\r\n", Number(36.0, 0.01)),
        ("4,8", Number(4.8, 0.1)),
        ("27.4°C", Number(27.4, 0.1)),
        ("-57 dBm", Number(-57.0, 1.0)),
        ("1.5e3", Number(1500.0, 100.0)),
        (".5", Number(0.5, 0.1)),
        (12, Number(12.0, 1.0)),
        ("ON", Type.WORD),
        (True, Type.WORD),
        ("Cloudy", Type.TEXT),
        ("24HTTP/1.1", Type.TEXT),
        ("19.00GET /update?key=x", Type.TEXT),
        ("nan", None),
        ("-inf", None),
        ("undefined", None),
        ("", None),
        (None, None),
    ],
)
def test_values_of_real_devices_are_understood(raw: JsonValue, expected: Value) -> None:
    assert what(as_text(raw)) == expected


@given(st.lists(values, max_size=300), st.lists(values, max_size=300))
def test_a_fingerprint_stays_small_and_true(first: list[Value], second: list[Value]) -> None:
    known = learn(learn(Fingerprint(), first), second)
    numbers = [one.value for one in (*first, *second) if isinstance(one, Number)]
    assert known.count == len(numbers)
    assert len(known.places) <= PLACES
    assert len(known.steps) <= STEPS
    assert set(known.places) <= set(numbers)
    if numbers:
        assert min(numbers) <= known.level <= max(numbers)
        assert known.last == numbers[-1]
        low, high = known.usual
        assert min(numbers) <= low <= high <= max(numbers)
    shares = sum(known.share(kind) for kind in Type)
    assert shares == pytest.approx(1.0) or shares == 0


@given(st.lists(values, max_size=200))
def test_what_is_stored_comes_back(seen: list[Value]) -> None:
    known = learn(Fingerprint(), seen)
    back = to_fingerprint(json.loads(json.dumps(from_fingerprint(known))))
    assert replace(back, places=(), steps=(), step=0) == replace(known, places=(), steps=(), step=0)
    assert back.places == pytest.approx(known.places)
    assert back.steps == pytest.approx(known.steps)


def test_what_was_usual_long_ago_is_forgotten() -> None:
    known = learn(Fingerprint(), [Number(5.0, 1.0)] * 500)
    known = learn(known, [Number(50.0, 1.0)] * 20 * MEMORY)
    assert known.places.count(5.0) < PLACES / 10
    assert known.level == 50.0


def test_a_suspicion_comes_back_as_it_was() -> None:
    guesses = (
        Guess(Suspected.UNIT, Change(0.01, 0.0, "m", "cm")),
        Guess(Suspected.SWAP, other="field2"),
        Guess(Suspected.TYPE, type=Type.TEXT),
    )
    held = (Held("2026-11-20T12:00:00+00:00", 7, 1.8), Held("2026-11-20T12:00:11+00:00", 8, None))
    known = Suspicion(guesses, 182.4, {"field2": 25.6}, held, "2026-11-20T12:00:12+00:00")
    assert to_suspicion(json.loads(json.dumps(from_suspicion(known)))) == known


@given(st.sampled_from(["cm", "°C", "kPa", "L", "V", "L/min"]), st.floats(-1e4, 1e4))
def test_every_change_leads_back(unit: str, number: float) -> None:
    for change in changes(unit):
        assert change.back(change.forth(number)) == pytest.approx(number, rel=1e-9, abs=1e-6)
        if change.unit:
            conversion = units.conversion(unit, change.unit)
            assert conversion is not None
            told = number * conversion.factor + conversion.shift
            assert change.forth(number) == pytest.approx(told, rel=1e-12, abs=1e-12)


def test_the_known_changes_are_watched_for() -> None:
    assert {one.unit for one in changes("°C")} >= {"°F", "K"}
    assert {one.unit for one in changes("cm")} >= {"in", "m", "mm", "ft"}
    assert {one.unit for one in changes("psi")} >= {"bar", "kPa"}
    assert {one.unit for one in changes("L")} >= {"gal", "m³"}
    assert {one.factor for one in changes("")} == {10, 100, 1000, 0.1, 0.01, 0.001}


def watch(level: float = 182.0, unit: str = "cm") -> Watch:
    """A field that was learned: it wavers by a few tenths about its level."""
    seen: list[Value] = [Number(round(level + 0.3 * (-1) ** n * (n % 4), 1), 0.1)
                         for n in range(100)]  # fmt: skip
    known = replace(learn(Fingerprint(), seen), calm=3)
    return Watch(known, changes(unit), known.last)


def verdicts(one: Watch, numbers: list[float], grain: float = 0.001) -> list[Verdict]:
    return [
        judge({"field1": one}, {"field1": Number(number, grain)}, str(n), n)["field1"]
        for n, number in enumerate(numbers)
    ]


def test_the_first_number_in_another_unit_is_held_already() -> None:
    found = verdicts(watch(), [1.82, 1.819, 1.821, 1.82, 1.818])
    assert found == [*[Verdict.HELD] * (DECIDE[Suspected.UNIT] - 1), Verdict.CONFIRMED]


@pytest.mark.parametrize(
    "story",
    [
        [150.0, 110.0, 70.0, 30.0, 5.0, 0.0, 0.0],  # a tank that empties
        [0.0] * 8,  # a sensor that lost its supply
        [85.0] * 8,
        [-127.0] * 8,
        [65535.0] * 8,
        [182.1, 18.21, 182.0, 181.9, 182.0],  # one outlier
        [1.82, 12.0, 44.0, 90.0, 130.0],  # as if converted once, then otherwise
        [260.0, 260.2, 260.1, 259.9],  # another level
    ],
)
def test_plain_physics_raises_no_alarm(story: list[float]) -> None:
    assert Verdict.CONFIRMED not in verdicts(watch(), story, grain=0.1)


def test_little_history_judges_nothing() -> None:
    young = watch()
    young.fingerprint = replace(young.fingerprint, count=10)
    assert set(verdicts(young, [1.82] * 8)) == {Verdict.FINE}


@given(st.floats(80.0, 500.0), st.sampled_from([one for one in changes("cm") if one.unit != "km"]))
def test_every_clear_jump_of_a_steady_field_is_found(level: float, change: Change) -> None:
    one = watch(round(level, 1))
    numbers = [change.forth(level + waver) for waver in (0.1, -0.2, 0.0, 0.3, 0.1)]
    near = abs(change.forth(level) - level) < 12.0 or any(
        abs(number - place) < 4.0 for number in numbers for place in one.fingerprint.places
    )
    if near or any(round(number, 6) in ERRORS for number in numbers):
        return  # nobody could tell
    assert verdicts(one, numbers)[-1] is Verdict.CONFIRMED


def test_a_field_whose_numbers_become_texts_is_paused() -> None:
    one = watch()
    found = [
        judge({"field1": one}, {"field1": Type.TEXT}, str(n), n)["field1"]
        for n in range(DECIDE[Suspected.TYPE])
    ]
    assert found[-1] is Verdict.CONFIRMED
    assert found[0] is Verdict.HELD


def test_a_text_now_and_then_is_no_other_type() -> None:
    one = watch()
    for n in range(40):
        value: Value = Type.TEXT if n % 3 == 0 else Number(182.0, 0.1)
        verdict = judge({"field1": one}, {"field1": value}, str(n), n)["field1"]
        assert verdict is not Verdict.CONFIRMED


LABELS = {"field1": "Level", "field2": "Temperature", "field3": "Battery"}


@pytest.mark.parametrize(
    ("now", "fate", "moved_to"),
    [
        ({**LABELS, "field1": "Depth"}, Fate.RENAMED, ""),
        ({"field2": "Temperature", "field3": "Battery"}, Fate.VANISHED, ""),
        ({**LABELS, "field1": "Temperature", "field2": "Level"}, Fate.MOVED, "field2"),
        ({"field2": "Level"}, Fate.MOVED, "field2"),
        ({**LABELS, "field1": "X", "field2": "Level", "field3": "Level"}, Fate.RENAMED, ""),
    ],
)
def test_the_fate_of_a_name(now: dict[str, str], fate: Fate, moved_to: str) -> None:
    change = label_change("field1", "Level", now)
    assert change is not None
    assert (change.fate, change.moved_to) == (fate, moved_to)


def test_a_name_that_stays_has_no_fate() -> None:
    assert label_change("field1", "Level", LABELS) is None
