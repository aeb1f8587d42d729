"""A calibration holds from its time on; before the first one, the mapping's scale and offset do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from devices.calibrations import Ends, Linear, Table
from devices.models import CalibrationVersion
from ingestion.entries import Entry, Reason
from ingestion.models import Rejection
from ingestion.normalise import FieldRule, normalise
from ingestion.rules import field_rules
from ingestion.tests.recalculated import Scene

START = datetime(2026, 11, 20, tzinfo=UTC)
NOW = START + timedelta(days=365)


def rule(*versions: tuple[int | None, float], **changes: Any) -> FieldRule:
    """Scale 1 at first; then a scale from each day on."""
    held = [
        (
            None if day is None else START + timedelta(days=day),
            FieldRule("f", 1, calibration=Linear(scale)),
        )
        for day, scale in versions
    ]
    return FieldRule("f", 1, versions=tuple(held), **changes)


def value(of: FieldRule, raw: str, day: float = 0) -> Any:
    entry = Entry(START + timedelta(days=day), 1, {"f": raw})
    result = normalise(entry, [of], NOW)
    return result.values.get(1, result.refusals[0].reason if result.refusals else None)


def test_the_latest_version_that_had_begun_governs() -> None:
    calibrated = rule((4, 100.0), (2, 10.0), scale=2.0)
    assert [value(calibrated, "3", day) for day in (0, 1.99, 2, 3.99, 4, 9)] == [
        6.0, 6.0, 30.0, 30.0, 300.0, 300.0,
    ]  # fmt: skip
    assert value(rule((None, 5.0), scale=2.0), "3") == 15.0


@given(st.lists(st.integers(0, 300), unique=True, max_size=6), st.integers(0, 300))
def test_versions_divide_time_without_gap_or_overlap(days: Sequence[int], day: int) -> None:
    newest_first = sorted(days, reverse=True)
    calibrated = rule(*((one, float(one + 2)) for one in newest_first))
    expected = next((one + 2 for one in newest_first if one <= day), 1)
    assert value(calibrated, "1", day) == float(expected)


def test_what_lies_beyond_is_refused_with_its_reason() -> None:
    table = FieldRule("f", 1, calibration=Table(((0, 0), (10, 50))), convert=(0.01, 0.0))
    assert value(table, "5") == 0.25
    assert value(table, "11") is Reason.BEYOND_CALIBRATION
    extended = FieldRule("f", 1, calibration=Table(((0, 0), (10, 50)), Ends.EXTEND), maximum=54.0)
    assert (value(extended, "10.5"), value(extended, "11")) == (52.5, Reason.OUT_OF_RANGE)
    huge = FieldRule("f", 1, calibration=Linear(1e300))
    assert value(huge, "1e300") is Reason.NOT_FINITE


def test_whole_numbers_forgive_our_own_rounding_only() -> None:
    whole = FieldRule("f", 1, data_type="integer", calibration=Linear(0.1))
    assert (value(whole, "30"), value(whole, "31")) == (3, Reason.NOT_WHOLE)


pytestmark = pytest.mark.django_db


def calibrate(scene: Scene, **what: Any) -> CalibrationVersion:
    version = CalibrationVersion(mapping=scene.mapping, **what)
    version.full_clean()
    version.save()
    return version


def test_a_calibration_governs_what_is_received_from_its_time_on() -> None:
    scene = Scene()
    calibrate(scene, kind="linear", scale=10.0, valid_from=scene.at(2))
    scene.receive(["1", "2", "3"])
    assert scene.values() == [1.0, 2.0, 30.0]


def test_a_sensor_on_top_gives_litres() -> None:
    scene = Scene()
    litres = scene.add("volume_l", field="field1")
    litres.unit = "m³"
    litres.save()
    scene.village.mapping = litres.mappings.get()
    calibrate(
        scene, kind="box", length_cm=100, width_cm=100, height_cm=200, from_top=True,
        input_unit="mm", gap_cm=10,
    )  # fmt: skip

    scene.receive(["100", "1100", "2100", "2500"])

    assert scene.values(litres) == [2.0, 1.0, 0.0]
    assert Rejection.objects.get().reason == Reason.BEYOND_CALIBRATION
    assert scene.values(scene.level) == [100.0, 1100.0, 2100.0, 2500.0]


def test_a_calibration_made_today_reaches_back_when_asked() -> None:
    scene = Scene()
    scene.receive(["0", "412", "820", "900"])
    calibrate(scene, kind="table", points="0, 0\n412, 25.5\n820, 51")
    scene.recalculate()
    assert scene.values() == [0.0, 25.5, 51.0]


def test_a_calibration_that_no_longer_fits_its_metric_is_told_and_stores_nothing() -> None:
    scene = Scene()
    calibrate(scene, kind="linear", scale=2.0)
    CalibrationVersion.objects.update(kind="box", length_cm=1, width_cm=1, height_cm=1)
    rules = field_rules(scene.channel)
    assert rules.usable == ()
    assert "its calibration gives “L”" in rules.problems[0].text


@pytest.mark.parametrize(
    ("entered", "box"),
    [
        ({"kind": "linear"}, "scale"),
        ({"kind": "linear", "scale": 0.0}, "scale"),
        ({"kind": "two_point", "raw_1": 1, "true_1": 2, "raw_2": 1, "true_2": 3}, "raw_2"),
        ({"kind": "table", "points": "1, 2\nx"}, "points"),
        ({"kind": "table", "points": "1, 2"}, "points"),
        ({"kind": "box", "length_cm": 1, "width_cm": 0, "height_cm": 1}, "width_cm"),
        ({"kind": "box", "length_cm": 1, "width_cm": 1, "height_cm": 1}, "kind"),  # litres into cm
        ({"kind": "cone", "bottom_diameter_cm": 0, "height_cm": 1}, "top_diameter_cm"),
        ({"kind": "box", "length_cm": 1, "width_cm": 1, "height_cm": 1, "ends": "extend"}, "ends"),
    ],
)
def test_what_makes_no_calibration_is_said_beside_its_box(entered: Any, box: str) -> None:
    with pytest.raises(ValidationError) as refused:
        calibrate(Scene(), **entered)
    assert list(refused.value.message_dict) == [box]


def test_two_calibrations_never_begin_together() -> None:
    scene = Scene()
    for since in (None, scene.at(5)):
        calibrate(scene, scale=2.0, valid_from=since)
        with pytest.raises(ValidationError, match="edit it"):
            calibrate(scene, scale=3.0, valid_from=since)
