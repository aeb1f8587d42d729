"""A channel's page when its fields have changed: what it shows, what its buttons do, for whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from devices.models import FieldMapping, Job, Metric, Role, ThingSpeakChannel
from devices.tests.scene import browser, person
from ingestion.enrolment import new_state
from ingestion.models import MappingPause, PauseKind, Resolution, SourceEvent
from ingestion.tests.recalculated import START, Scene

pytestmark = pytest.mark.django_db

JUMP = {
    "anchor": 182.4,
    "usual": [120.0, 300.0],
    "guesses": [{"of": "unit", "change": [0.01, 0.0, "m", "cm"]}],
}


@pytest.fixture
def scene() -> Scene:
    """A tank in centimetres that sends metres since its third entry."""
    scene = Scene()
    scene.receive(["182.5", "182.4"])
    pause(scene, PauseKind.UNIT, JUMP)
    scene.receive(["1.823", "1.822", "1.821"], first=2)
    return scene


@pytest.fixture
def client(scene: Scene) -> Client:
    return browser(person("operator", scene.village.community, Role.OPERATOR))


def pause(scene: Scene, kind: PauseKind, evidence: dict[str, Any]) -> MappingPause:
    return MappingPause.objects.create(
        mapping=scene.mapping, source=scene.channel, kind=kind, since=scene.at(2), found_at=START,
        text="The source's field1 changed.", evidence=evidence,
    )  # fmt: skip


def page(client: Client, scene: Scene) -> str:
    address = reverse("admin:devices_thingspeakchannel_change", args=[scene.channel.pk])
    return client.get(address).content.decode()


def decide(client: Client, scene: Scene, fix: str, **more: Any) -> Any:
    found = MappingPause.objects.get()
    address = reverse("admin:devices_thingspeakchannel_decide", args=[scene.channel.pk])
    return client.post(address, {"decide": f"{found.pk}:{fix}"}, follow=True, **more)


def test_the_page_says_what_changed_and_what_each_button_would_make_of_it(
    scene: Scene, client: Client
) -> None:
    shown = page(client, scene)
    assert "Fields have changed" in shown
    assert "last 182.4, usually 120 to 300" in shown
    assert "3 entries" in shown
    assert "The unit is now m: convert" in shown
    assert "182.3 cm" in shown
    assert "1.823 cm" in shown  # what going on would store
    assert "Switch this mapping off" in shown


def test_without_changes_the_page_says_nothing_of_them(scene: Scene, client: Client) -> None:
    MappingPause.objects.all().delete()
    assert "Fields have changed" not in page(client, scene)


def test_list_and_page_say_that_fields_changed_and_a_filter_finds_them(
    scene: Scene, client: Client
) -> None:
    other = ThingSpeakChannel.objects.create(
        device=scene.village.device, connection=scene.village.connection, channel_id=4711
    )
    for channel in (scene.channel, other):
        state = new_state(channel, START)
        state.last_polled_at, state.last_outcome = START, "ok"
        state.save()
    address = reverse("admin:devices_thingspeakchannel_changelist")

    def rows(**query: str) -> str:
        return client.get(address, query).content.decode().partition('id="result_list"')[2]

    assert rows().count("Fields changed") == 1
    assert rows().count("Answered") == 1
    assert "4711" not in rows(fields="changed")
    assert "Fields changed" in rows(fields="changed")
    assert "4711" in rows(fields="same")
    assert "Fields changed" not in rows(fields="same")
    assert "Fields changed" in page(client, scene)
    decide(client, scene, "go_on")
    assert "Fields changed" not in rows() + page(client, scene)


def test_one_click_converts_tells_who_did_it_and_stores_what_waited(
    scene: Scene, client: Client
) -> None:
    answer = decide(client, scene, "convert")
    assert "as if m were sent instead of cm" in answer.content.decode()
    decided = MappingPause.objects.get()
    operator = User.objects.get(username="operator")
    assert (decided.resolution, decided.resolved_by) == (Resolution.CONVERTED, operator)
    event = SourceEvent.objects.get()
    assert (event.kind, event.by) == ("schema_accepted", operator)
    assert LogEntry.objects.get().user == operator
    scene.work()
    assert scene.values() == pytest.approx([182.5, 182.4, 182.3, 182.2, 182.1])
    assert "Fields have changed" not in page(client, scene)


@pytest.mark.parametrize(
    ("fix", "resolution", "stored"),
    [
        ("go_on", Resolution.STORED, [182.5, 182.4, 1.823, 1.822, 1.821]),
        ("switch_off", Resolution.SWITCHED_OFF, [182.5, 182.4]),
    ],
)
def test_other_buttons_do_what_they_say(
    scene: Scene, client: Client, fix: str, resolution: str, stored: list[float]
) -> None:
    decide(client, scene, fix)
    scene.work()
    assert MappingPause.objects.get().resolution == resolution
    assert scene.values() == stored


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ("go_on", "What waited is being worked through"),
        ("switch_off", "What waited stays as received"),
    ],
)
def test_what_becomes_of_the_waiting_rows_is_told_as_it_is(
    scene: Scene, client: Client, fix: str, told: str
) -> None:
    answer = decide(client, scene, fix).content.decode()
    assert told in answer
    assert ("see its progress" in answer) is Job.objects.exists()


def test_a_field_that_is_gone_leaves_its_waiting_rows_as_received(
    scene: Scene, client: Client
) -> None:
    MappingPause.objects.all().delete()
    pause(scene, PauseKind.VANISHED, {"was": "Level", "now": "", "moved_to": ""})
    address = reverse("admin:devices_thingspeakchannel_changelist")
    data = {"action": "accept_names", "_selected_action": [scene.channel.pk]}
    answer = client.post(address, data, follow=True).content.decode()
    assert "was switched off. What waited stays as received" in answer
    assert not Job.objects.exists()


def test_a_calibration_that_cannot_be_converted_is_left_alone(scene: Scene, client: Client) -> None:
    scene.mapping.calibrations.create(kind="linear", scale=2.0, valid_from=scene.at(3))
    answer = decide(client, scene, "convert")
    assert "cannot be converted by itself" in answer.content.decode()
    assert MappingPause.objects.get().resolved_at is None
    assert scene.mapping.calibrations.count() == 1
    assert not SourceEvent.objects.exists()


def test_a_calibration_in_force_is_converted_too(scene: Scene, client: Client) -> None:
    scene.mapping.calibrations.create(kind="linear", scale=2.0, offset=1.0)
    decide(client, scene, "convert")
    scene.work()
    assert scene.values()[2:] == pytest.approx([365.6, 365.4, 365.2])


@pytest.mark.parametrize("sent", ["", "x", "999999:go_on", "{pk}:nonsense", "{pk}:accept_name"])
def test_a_stale_or_senseless_decision_changes_nothing(
    scene: Scene, client: Client, sent: str
) -> None:
    address = reverse("admin:devices_thingspeakchannel_decide", args=[scene.channel.pk])
    data = {"decide": sent.format(pk=MappingPause.objects.get().pk)}
    assert client.post(address, data, follow=True).status_code == 200
    assert MappingPause.objects.get().resolved_at is None
    assert not LogEntry.objects.exists()


def test_viewers_see_what_changed_and_decide_nothing(scene: Scene) -> None:
    viewer = browser(person("viewer", scene.village.community, Role.VIEWER))
    shown = page(viewer, scene)
    assert "The unit is now m: convert" in shown
    assert 'name="decide"' not in shown
    assert decide(viewer, scene, "go_on").status_code == 403
    assert MappingPause.objects.get().resolved_at is None


def test_a_pause_of_another_channel_cannot_be_decided_through_ones_own(scene: Scene) -> None:
    other = type(scene.village).make("Valley", 202)
    stranger = browser(person("stranger", other.community, Role.MANAGER))
    address = reverse("admin:devices_thingspeakchannel_decide", args=[other.channel.pk])
    data = {"decide": f"{MappingPause.objects.get().pk}:switch_off"}
    assert stranger.post(address, data, follow=True).status_code == 200
    assert MappingPause.objects.get().resolved_at is None


def test_new_names_of_many_channels_are_accepted_from_the_list(
    scene: Scene, client: Client
) -> None:
    MappingPause.objects.all().delete()
    scene.correct(remote_label="Level")
    pause(scene, PauseKind.RENAMED, {"was": "Level", "now": "Tank level", "moved_to": ""})
    address = reverse("admin:devices_thingspeakchannel_changelist")
    data = {"action": "accept_names", "_selected_action": [scene.channel.pk]}
    answer = client.post(address, data, follow=True)
    assert "“Tank level” was accepted instead of “Level”" in answer.content.decode()
    scene.mapping.refresh_from_db()
    assert scene.mapping.remote_label == "Tank level"


@pytest.mark.parametrize("where", ["page", "list"])
def test_a_new_name_of_a_field_that_feeds_two_metrics_is_accepted_once(
    scene: Scene, client: Client, where: str
) -> None:
    MappingPause.objects.all().delete()
    metric = Metric.objects.create(device=scene.mapping.metric.device, name="volume", label="V")
    volume = FieldMapping.objects.create(source=scene.channel, field="field1", metric=metric)
    renamed = {"was": "Level", "now": "Tank level", "moved_to": ""}
    first = pause(scene, PauseKind.RENAMED, renamed)
    MappingPause.objects.create(
        mapping=volume, source=scene.channel, kind=PauseKind.RENAMED, since=scene.at(2),
        found_at=START, text="The source's field1 changed.", evidence=renamed,
    )  # fmt: skip
    if where == "page":
        address = reverse("admin:devices_thingspeakchannel_decide", args=[scene.channel.pk])
        client.post(address, {"decide": f"{first.pk}:accept_name"}, follow=True)
    else:
        address = reverse("admin:devices_thingspeakchannel_changelist")
        data = {"action": "accept_names", "_selected_action": [scene.channel.pk]}
        assert client.post(address, data, follow=True).status_code == 200
    assert not MappingPause.objects.filter(resolved_at=None).exists()
    names = FieldMapping.objects.values_list("remote_label", flat=True)
    assert set(names) == {"Tank level"}


def test_secrets_glued_into_values_are_masked(scene: Scene, client: Client) -> None:
    scene.receive(["1.82&api_key=CANARYKEY5678ABC"], first=5)
    assert "CANARYKEY5678ABC" not in page(client, scene)


@pytest.mark.parametrize("model", ["mappingpause", "fieldprofile"])
def test_lists_of_changes_are_scoped(scene: Scene, client: Client, model: str) -> None:
    address = reverse(f"admin:ingestion_{model}_changelist")
    assert client.get(address).status_code == 200
    other = type(scene.village).make("Valley", 202)
    stranger = browser(person("stranger", other.community, Role.VIEWER))
    assert "field1 →" not in stranger.get(address).content.decode()
