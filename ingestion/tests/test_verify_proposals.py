"""From labels and last values to proposed mappings, and what they would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.entries import Entry
from ingestion.verify import KnownMetric, Proposal, Unusable, preview, propose_mappings
from ingestion.verify.proposals import guess_type

START = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
LEVEL = KnownMetric("water_level_cm", "Water level", "cm", 0, 400)


def entries(*rows: Mapping[str, str | None]) -> list[Entry]:
    """One entry a minute, oldest first."""
    return [
        Entry(START + timedelta(minutes=number), number, row) for number, row in enumerate(rows)
    ]


def only(label: str, *values: str, known: tuple[KnownMetric, ...] = ()) -> Proposal:
    rows = entries(*({"field1": value} for value in values))
    (proposal,) = propose_mappings({"field1": label}, rows, known)
    return proposal


def test_a_label_with_its_unit() -> None:
    found = only("Water Level (cm)", "182.4", "181.9")
    assert (found.name, found.label, found.unit) == ("water_level_cm", "Water Level", "cm")
    assert found.data_type == "float"
    assert found.samples == ("181.9", "182.4")  # newest first
    assert preview(found, None).text == "181.9 → 181.9 cm"


def test_the_metric_that_devices_of_the_type_have_is_found_across_units() -> None:
    found = only("Water Level (m)", "2.455", known=(LEVEL,))
    assert (found.name, found.unit) == ("water_level_cm", "m")
    assert preview(found, LEVEL).text == "2.455 → 245.5 cm"


def test_no_unit_is_invented() -> None:
    found = only("Water Level", "182", known=(LEVEL,))
    assert (found.name, found.unit) == ("water_level", "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "2", "3"), ("float", ".", "")),
        (("4,8", "5,1"), ("float", ",", "")),
        (("on", "OFF", "on"), ("boolean", ".", "")),
        (("true", "False"), ("boolean", ".", "")),
        (("cloudy", "clear"), ("text", ".", "")),
        (("21.5", "nan", "21.6"), ("float", ".", "")),
        (("nan", "nan"), ("float", ".", "")),
        (("27.4°C", "27.5°C"), ("float", ".", "°C")),
        (("", " "), ("float", ".", "")),
        ((), ("float", ".", "")),
    ],
)
def test_types_follow_from_the_values(
    values: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    assert guess_type([value for value in values if value.strip()]) == expected


def test_a_unit_inside_the_value_is_accepted_as_it_comes() -> None:
    found = only("Room", "27.4°C", "27.9°C")
    assert (found.name, found.unit) == ("room_c", "°C")
    assert preview(found, None).text == "27.9°C → 27.9 °C"


def test_text_in_a_numeric_field_is_said_with_its_reason() -> None:
    found = only("Temperature (°C)", "21.5", "undefined", "21.7")
    shown = preview(found, None)
    assert shown.text == "21.7 → 21.7 °C"
    assert shown.note.startswith("1 of the last 3 values would be refused. This is not a number.")


def test_scale_offset_and_unit_are_those_of_ingestion() -> None:
    found = replace(only("Depth (cm)", "245.5"), scale=0.01, unit="m", offset=0.0)
    assert preview(found, None).text == "245.5 → 2.455 m"
    assert preview(replace(found, minimum=3.0), None).text == "245.5 → refused"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "L"}, "cannot be converted"),
        ({"scale": 0.0}, "A scale of 0"),
        ({"minimum": 5.0, "maximum": 1.0}, "must not be below"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, Any], words: str) -> None:
    found = replace(only("Water Level (cm)", "1"), **change)
    with pytest.raises(Unusable, match=words):
        preview(found, LEVEL)


def test_fields_without_values_are_left_out_at_first() -> None:
    found = propose_mappings({"field1": "A", "field2": "B"}, entries({"field1": "1"}), ())
    assert [one.use for one in found] == [True, False]


def test_a_channel_without_entries_is_mapped_by_its_labels() -> None:
    found = propose_mappings({"field1": "Flow (L/min)", "field2": "Pump On"}, [], ())
    assert [(one.name, one.use) for one in found] == [("flow_l_per_min", True), ("pump_on", True)]
    assert preview(found[0], None).text == "no value yet"


def test_equal_labels_get_different_names() -> None:
    found = propose_mappings({"field1": "Temp", "field2": "Temp", "field3": "temp"}, [], ())
    assert [one.name for one in found] == ["temp", "temp_2", "temp_3"]


def test_a_key_that_a_device_glued_into_its_value_is_masked() -> None:
    found = only("Level", "24&key=ABCDEFGH12345678")
    assert "ABCDEFGH12345678" not in found.samples[0]


def test_status_and_place_columns_are_no_fields() -> None:
    assert propose_mappings({}, entries({"status": "ok", "latitude": "1"}), ()) == []


@given(
    st.dictionaries(st.sampled_from(["field1", "field4", "field8"]), st.text(max_size=40)),
    st.lists(st.dictionaries(st.sampled_from(["field1", "field2"]), st.text(max_size=20))),
)
def test_anything_a_channel_says_gives_usable_proposals(
    labels: dict[str, str], rows: list[dict[str, str]]
) -> None:
    found = propose_mappings(labels, entries(*rows), (LEVEL,))
    assert len({one.name for one in found}) == len(found)
    for one in found:
        assert preview(one, LEVEL if one.name == LEVEL.name else None).text


def test_a_switch_is_proposed_only_where_label_and_values_say_so() -> None:
    assert only("Pump On", "0", "1").data_type == "boolean"
    assert only("Door Open").data_type == "boolean"
    assert only("Pump On", "0", "2.5").data_type == "float"
    assert only("Total Volume (m3)", "0", "1").data_type == "float"
