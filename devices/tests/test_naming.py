"""A channel's own labels become names, labels and units."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import naming


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Water Level (cm)", ("water_level_cm", "Water Level", "cm")),
        ("Temperature (°C)", ("temperature_c", "Temperature", "°C")),
        ("Temperature [Celsius]", ("temperature_c", "Temperature", "°C")),
        ("Humidity %", ("humidity_percent", "Humidity", "%")),
        ("Flow Rate (L/min)", ("flow_rate_l_per_min", "Flow Rate", "L/min")),
        ("Total Volume (m3)", ("total_volume_m3", "Total Volume", "m³")),
        ("pH", ("ph", "PH", "")),
        ("", ("field3", "Field3", "")),
        ("2nd tank", ("value_2nd_tank", "2nd tank", "")),
        ("waterLevel_cm", ("water_level_cm", "WaterLevel", "cm")),
    ],
)
def test_labels(label: str, expected: tuple[str, str, str]) -> None:
    assert tuple(naming.propose(label, "field3")) == expected


@given(st.text(max_size=255))
def test_any_label_gives_a_valid_name(label: str) -> None:
    found = naming.propose(label, "field1")
    assert re.fullmatch(r"[a-z][a-z0-9_]*", found.name)
    assert len(found.name) <= naming.LONGEST_NAME
    assert 0 < len(found.label) <= 60
