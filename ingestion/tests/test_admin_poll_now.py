"""«Poll now» makes channels due at once: only for who may, and on record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from devices.tests.scene import Scene, browser
from ingestion.enrolment import new_state
from ingestion.models import PollState
from ingestion.models.poll_state import BY_HAND

LIST = "admin:devices_thingspeakchannel_changelist"


@pytest.fixture
def scene(db: None) -> Scene:
    """Both channels are due in an hour."""
    scene = Scene.make()
    later = timezone.now() + timedelta(hours=1)
    for village in (scene.hill, scene.valley):
        new_state(village.channel, later).save()
    return scene


def due(scene: Scene) -> list[bool]:
    """Whether Hill's and Valley's channels are due now."""
    now = timezone.now()
    states = [PollState.objects.get(source=one.channel) for one in (scene.hill, scene.valley)]
    return [state.next_poll_at <= now and state.urgency == BY_HAND for state in states]


def button(scene: Scene) -> str:
    return reverse("admin:devices_thingspeakchannel_poll_now", args=[scene.hill.channel.pk])


def test_the_button_queues_a_poll_and_leads_to_the_log(scene: Scene) -> None:
    answer = browser(scene.operator).post(button(scene), follow=True)
    text = answer.content.decode()
    assert "The poll is queued" in text
    log = reverse("admin:ingestion_polllog_changelist")
    assert f"{log}?source__id__exact={scene.hill.channel.pk}" in text
    assert due(scene) == [True, False]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (scene.operator, str(scene.hill.channel.pk))
    assert entry.get_change_message() == "Polled now."


@pytest.mark.parametrize("who", ["viewer", "stranger", "nobody"])
def test_who_may_not(scene: Scene, who: str) -> None:
    answer = browser(scene.user(who)).post(button(scene))
    assert answer.status_code in (302, 403, 404)
    assert due(scene) == [False, False]
    assert not LogEntry.objects.exists()


def test_looking_at_the_address_does_nothing(scene: Scene) -> None:
    assert browser(scene.operator).get(button(scene)).status_code == 405
    assert due(scene) == [False, False]


def test_many_at_once_only_the_own_ones(scene: Scene) -> None:
    chosen = [scene.hill.channel.pk, scene.valley.channel.pk]
    data = {"action": "poll_chosen_now", "_selected_action": chosen}
    browser(scene.operator).post(reverse(LIST), data)
    assert due(scene) == [True, False]
    browser(scene.admin).post(reverse(LIST), data)
    assert due(scene) == [True, True]


def test_a_viewer_has_no_such_action(scene: Scene) -> None:
    data = {"action": "poll_chosen_now", "_selected_action": [scene.hill.channel.pk]}
    browser(scene.viewer).post(reverse(LIST), data)
    assert due(scene) == [False, False]


def test_what_is_switched_off_is_not_polled_and_this_is_said(scene: Scene) -> None:
    scene.hill.connection.enabled = False
    scene.hill.connection.save()
    answer = browser(scene.operator).post(button(scene), follow=True)
    assert "switched off" in answer.content.decode()
    assert due(scene) == [False, False]


REFUSED = "ThingSpeak refused access. " * 5 + "Enter the key."
"""Longer than a list shows: the page tells all of it."""


def test_the_page_tells_how_polling_goes(scene: Scene) -> None:
    PollState.objects.filter(source=scene.hill.channel).update(
        last_polled_at=timezone.now(), last_outcome="credential", misses=2, failures=3,
        last_message=REFUSED, cursor_at=timezone.now(), cursor_sequence=17,
    )  # fmt: skip
    client = browser(scene.viewer)
    page = reverse("admin:devices_thingspeakchannel_change", args=[scene.hill.channel.pk])
    text = client.get(page).content.decode()
    for words in (
        "Key refused",
        REFUSED,
        "2 polls without a reading",
        "3 failed polls",
        "entry 17",
    ):
        assert words in text
    for log in ("polllog", "rejection", "gap"):
        url = reverse(f"admin:ingestion_{log}_changelist")
        assert f"{url}?source__id__exact={scene.hill.channel.pk}" in text
    assert scene.hill.device.get_absolute_url() in text
    assert "ThingSpeak refused access." in client.get(reverse(LIST)).content.decode()
