"""Units convert exactly, and only where that means something."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import units

KNOWN = sorted(units._UNITS)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (245.5, "cm", "m", 2.455),
        (1.0, "in", "mm", 25.4),
        (1.0, "gal", "L", 3.785411784),
        (100.0, "°C", "°F", 212.0),
        (32.0, "°F", "°C", 0.0),
        (0.0, "K", "°C", -273.15),
        (60.0, "L/min", "m³/h", 3.6),
        (14.503773773, "psi", "bar", 1.0),
        (50.0, "%", "percent", 50.0),
    ],
)
def test_known_values(value: float, source: str, target: str, expected: float) -> None:
    found = units.conversion(source, target)
    assert found is not None
    assert math.isclose(value * found.factor + found.shift, expected, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("source", "target"), [("cm", "L"), ("°C", ""), ("bananas", "cm"), ("", "cm")]
)
def test_what_does_not_compare_does_not_convert(source: str, target: str) -> None:
    assert units.conversion(source, target) is None


def test_equal_texts_convert_even_when_unknown() -> None:
    assert units.conversion("widgets", "widgets") == (1.0, 0.0)
    assert units.conversion("", "") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("Celsius", "°C"), (" CM ", "cm"), ("litres", "L"), ("LPM", "L/min"), ("kwh", "kWh"),
     ("mw", "MW"), ("foo", None)],
)  # fmt: skip
def test_spellings(text: str, unit: str | None) -> None:
    assert units.canonical(text) == unit


@given(st.sampled_from(KNOWN), st.sampled_from(KNOWN), st.floats(-1e6, 1e6))
def test_there_and_back(source: str, target: str, value: float) -> None:
    there, back = units.conversion(source, target), units.conversion(target, source)
    assert (there is None) == (back is None)
    if there and back:
        converted = value * there.factor + there.shift
        returned = converted * back.factor + back.shift
        # Shifts of temperatures cost digits near zero.
        assert math.isclose(returned, value, rel_tol=1e-9, abs_tol=1e-6 * max(1, abs(back.factor)))


@pytest.mark.parametrize(
    ("unit", "amount", "of_an_hour"),
    [
        ("lpm", "L", 60),
        ("L/s", "L", 3600),
        ("m3/h", "m³", 1),
        ("kW", "kWh", 1),
        ("W", "Wh", 1),
        ("MW", "MWh", 1),
    ],
)
def test_flows_and_powers_add_up(unit: str, amount: str, of_an_hour: float) -> None:
    found = units.integral(unit)
    assert found is not None
    assert found[0] == amount
    assert found[1] * 3600 == pytest.approx(of_an_hour)


@pytest.mark.parametrize("unit", ["", "°C", "cm", "L", "kWh", "furlong"])
def test_other_units_add_up_to_nothing(unit: str) -> None:
    assert units.integral(unit) is None


@pytest.mark.parametrize(
    ("unit", "rate"),
    [("litres", "L/h"), ("m³", "m³/h"), ("kWh", "kW"), ("Wh", "W"), ("cm", "cm/h"), ("", "/h")],
)
def test_changes_in_an_hour(unit: str, rate: str) -> None:
    assert units.rate_per_hour(unit) == rate
