"""How long each class waits is the administrator's to say; the dispatcher follows at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from devices.models import Priority
from devices.tests.scene import Scene, browser
from ingestion.models import STANDARD_SLACK_S, PrioritySlack, slacks

LIST = "admin:ingestion_priorityslack_changelist"


@pytest.fixture
def scene(db: None) -> Scene:
    # Tests with real commits empty the tables, seeded rows included.
    for one, slack_s in STANDARD_SLACK_S.items():
        PrioritySlack.objects.get_or_create(priority=one, defaults={"slack_s": slack_s})
    return Scene.make()


def sent(**changes: Any) -> dict[str, Any]:
    """The list's boxes as a browser sends them."""
    boxes: dict[str, Any] = {"form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 4, "_save": "Save"}
    for place, one in enumerate(Priority):
        boxes |= {
            f"form-{place}-priority": one.value,
            f"form-{place}-slack_s": changes.get(one.name, STANDARD_SLACK_S[one]),
        }
    return boxes


def test_the_four_classes_are_listed_with_what_their_patience_means(scene: Scene) -> None:
    text = browser(scene.admin).get(reverse(LIST)).content.decode()
    for one in Priority:
        assert one.label in text
    assert "at its due time" in text
    assert "as if due 200 s later" in text
    assert "Nobody starves." in text


def test_an_edit_is_what_the_dispatcher_reads_next(scene: Scene) -> None:
    answer = browser(scene.admin).post(reverse(LIST), sent(CRITICAL=5, LOW=600))
    assert answer.status_code == 302
    assert slacks() == {**STANDARD_SLACK_S, Priority.CRITICAL: 5, Priority.LOW: 600}


def test_nonsense_is_refused(scene: Scene) -> None:
    answer = browser(scene.admin).post(reverse(LIST), sent(LOW=-1, HIGH=86_401))
    assert answer.status_code == 200
    assert slacks() == STANDARD_SLACK_S


@pytest.mark.parametrize("who", ["manager", "operator", "viewer", "stranger"])
def test_nobody_else_sees_or_changes_it(scene: Scene, who: str) -> None:
    client = browser(scene.user(who))
    assert client.get(reverse(LIST)).status_code == 403
    assert client.post(reverse(LIST), sent(LOW=1)).status_code == 403
    assert slacks() == STANDARD_SLACK_S
    assert reverse(LIST) not in client.get(reverse("admin:index")).content.decode()


def test_classes_are_neither_added_nor_deleted(scene: Scene) -> None:
    client = browser(scene.admin)
    row = Priority.LOW.value
    assert client.get(reverse("admin:ingestion_priorityslack_add")).status_code == 403
    delete = reverse("admin:ingestion_priorityslack_delete", args=[row])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert PrioritySlack.objects.count() == 4
