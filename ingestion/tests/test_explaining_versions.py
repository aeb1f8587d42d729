"""Which version of a mapping made a number, whatever became of the mapping since."""

from __future__ import annotations

import pytest

from devices.models import FieldMapping, Role
from devices.readings.samples import Value
from devices.tests.scene import browser, person
from ingestion.explaining.finding import find
from ingestion.explaining.tracing import Explanation, explain
from ingestion.models import FormerField
from ingestion.tests.recalculated import Scene

pytestmark = pytest.mark.django_db
PAGE = "/admin/ingestion/status/explain/"


@pytest.fixture
def scene() -> Scene:
    """Entry 1 was read as it came; then the scale was corrected, and entry 2 came."""
    scene = Scene()
    scene.receive(["3"], first=1)
    scene.correct(scale=2.0)
    scene.receive(["5"], first=2)
    return scene


def explained(scene: Scene, number: int) -> Explanation:
    return explain(scene.level, find(scene.level, scene.at(number), number))


def made_by(found: Explanation) -> tuple[Value, int, int, bool | None]:
    assert found.origin is not None
    assert found.origin.makes_it
    origin = found.origin
    return found.reading.value, origin.version.number, origin.last.number, found.agrees


def test_each_number_is_explained_by_the_version_that_made_it(scene: Scene) -> None:
    assert made_by(explained(scene, 1)) == (3.0, 1, 2, False)
    assert made_by(explained(scene, 2)) == (10.0, 2, 2, True)
    assert [one.what for one in explained(scene, 1).today][:2] == ["Read as a number", "× 2 + 0"]


def test_what_was_recalculated_is_explained_by_the_version_that_did_it(scene: Scene) -> None:
    scene.ask()
    scene.work()
    assert made_by(explained(scene, 1)) == (6.0, 2, 2, True)


def test_saving_without_a_change_of_the_rule_is_no_version(scene: Scene) -> None:
    scene.correct(remote_label="Level")
    scene.level.label = "Depth"
    scene.level.save()
    assert made_by(explained(scene, 2)) == (10.0, 2, 2, True)


def test_a_field_that_is_read_no_more_still_explains_its_numbers(scene: Scene) -> None:
    scene.correct(field="field7")
    found = explained(scene, 2)
    assert made_by(found) == (10.0, 2, 2, True)
    assert found.origin is not None
    assert found.origin.raw == "5"


def test_a_number_from_before_a_swap_is_read_from_the_field_it_was_in(scene: Scene) -> None:
    FormerField.objects.create(
        mapping=scene.mapping, source=scene.channel, field="field1", until=scene.at(3)
    )
    scene.correct(field="field2")
    scene.receive([{"field1": "21", "field2": "7"}], first=3)
    before, after = explained(scene, 2), explained(scene, 3)
    assert (made_by(before), made_by(after)) == ((10.0, 2, 3, True), (14.0, 3, 3, True))
    assert before.origin is not None
    assert before.origin.raw == "5"


@pytest.mark.parametrize("away", ["deleted", "off"])
def test_a_mapping_that_is_away_still_explains_its_numbers(scene: Scene, away: str) -> None:
    if away == "off":
        scene.correct(enabled=False)
    else:
        FieldMapping.objects.all().delete()
    assert made_by(explained(scene, 1)) == (3.0, 1, 2, False)


def test_a_number_that_no_version_makes_is_said_to_be_another(scene: Scene) -> None:
    scene.correct(scale=7.0)
    FieldMapping.history.filter(scale=2.0).delete()
    found = explained(scene, 2)
    assert found.origin is not None
    assert (found.origin.makes_it, found.agrees, found.today) == (False, False, ())
    assert found.steps[-1].result == "35 cm"


def test_the_page_names_the_version_and_what_would_be_made_today(scene: Scene) -> None:
    staff = browser(person("operator", scene.village.community, Role.OPERATOR))
    asked: dict[str, str | int] = {"metric": scene.level.pk, "at": scene.at(1).isoformat()}
    shown = " ".join(staff.get(PAGE, asked).content.decode().split())
    assert "By version 1 of 2 of the mapping, in force from" in shown
    assert "This is the stored value." in shown
    assert "What would be made of it today" in shown
    assert "<dd>6" in shown
