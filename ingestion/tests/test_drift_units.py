"""In which unit a field's numbers come, after all that happened to it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from devices.models import CalibrationVersion
from ingestion.drift.conversions import changes
from ingestion.drift.converting import converted
from ingestion.drift.sent import unit_before, units_sent
from ingestion.tests.recalculated import START, Scene

pytestmark = pytest.mark.django_db
POINTS = {"kind": "two_point", "raw_1": 10.0, "true_1": 12.0, "raw_2": 30.0, "true_2": 33.0}
TABLE = {"kind": "table", "points": "0, 1\n20, 22\n40, 45"}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def calibrate(scene: Scene, minute: int | None, **boxes: Any) -> CalibrationVersion:
    since = None if minute is None else scene.at(minute)
    return CalibrationVersion.objects.create(mapping=scene.mapping, valid_from=since, **boxes)


def convert(scene: Scene, minute: int, was: str, now: str) -> None:
    """Somebody accepts that the unit changed."""
    change = next(one for one in changes(was) if one.unit == now)
    version = converted(scene.mapping, change, scene.at(minute))
    assert version is not None
    version.save()


def take(scene: Scene, names: list[str]) -> None:
    """The field comes in one unit after the other, the first minutes of its life."""
    scene.level.unit = names[0]
    scene.level.save()
    scene.mapping.metric = scene.level
    for minute, (was, now) in enumerate(pairwise(names), start=1):
        convert(scene, minute, was, now)


def told(scene: Scene) -> list[str]:
    return [one.unit for one in units_sent(scene.mapping)]


@pytest.mark.parametrize("start", [None, {"kind": "linear", "scale": 1.02, "offset": -0.4},
                                   POINTS, TABLE])  # fmt: skip
@pytest.mark.parametrize(
    "path",
    ["°C °F °C", "°F °C °F", "°C K °F °C", "in cm in", "cm m mm cm", "psi bar psi", "L gal L"],
)
def test_every_unit_that_was_accepted_is_known(
    scene: Scene, path: str, start: dict[str, Any] | None
) -> None:
    names = path.split()
    if start:
        calibrate(scene, None, **start)
    take(scene, names)
    sent = units_sent(scene.mapping)
    assert [one.unit for one in sent] == names
    assert [one.since for one in sent] == [None, *(scene.at(n) for n in range(1, len(names)))]
    assert unit_before(sent, scene.at(1)) == names[0]
    assert unit_before(sent, scene.at(1) + timedelta(seconds=1)) == names[1]


@pytest.mark.parametrize(
    ("path", "sent", "meant"),
    [("°C °F", "76.82", 24.9), ("°F °C", "24.9", 76.82),
     ("cm m", "1.827", 182.7), ("cm ft", "5.99", 182.5752), ("bar psi", "43.51132131906277", 3.0)],
)  # fmt: skip
def test_converted_values_are_what_was_measured(
    scene: Scene, path: str, sent: str, meant: float
) -> None:
    take(scene, path.split())
    scene.receive([sent], first=9)
    assert scene.values() == pytest.approx([meant], rel=1e-14, abs=0)


def test_a_unit_that_went_and_came_back_leaves_numbers_alone(scene: Scene) -> None:
    take(scene, ["°C", "°F", "°C"])
    scene.receive(["24.9", "0.1"], first=9)
    assert scene.values() == [24.9, 0.1]


def test_a_factor_is_as_people_write_it(scene: Scene) -> None:
    take(scene, ["cm", "ft", "cm", "m"])
    assert [one.scale for one in scene.mapping.calibrations.all()] == [100.0, 1.0, 30.48]


def test_a_calibration_corrected_since_is_of_the_same_unit(scene: Scene) -> None:
    convert(scene, 1, "cm", "m")
    CalibrationVersion.objects.update(scale=101.5, offset=-7.0)
    assert told(scene) == ["cm", "m"]
    calibrate(scene, 2, kind="linear", scale=99.0)
    assert told(scene) == ["cm", "m"]


def test_a_tank_says_what_its_sensor_measures_in(scene: Scene) -> None:
    scene.level.unit = "L"
    scene.level.save()
    scene.mapping.metric = scene.level
    calibrate(scene, None, kind="box", length_cm=1, width_cm=1, height_cm=1, input_unit="mm")
    convert(scene, 1, "mm", "in")
    assert told(scene) == ["mm", "in"]


def test_after_a_factor_without_a_name_no_unit_is_claimed(scene: Scene) -> None:
    calibrate(scene, 1, kind="linear", scale=0.001)
    assert told(scene) == ["cm", ""]
    calibrate(scene, 2, kind="linear", scale=1.0)
    assert told(scene) == ["cm", "", "cm"]


def test_what_cannot_work_changes_nothing(scene: Scene) -> None:
    calibrate(scene, 1, kind="table", points="no points")
    scene.mapping.scale = 0.0
    assert told(scene) == ["cm"]
    assert unit_before(units_sent(scene.mapping), START) == "cm"
