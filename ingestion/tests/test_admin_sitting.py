"""A channel, its metrics and its mappings are added in one sitting, verified before anything is
saved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from devices.models import FieldMapping, Metric, ThingSpeakChannel
from devices.tests.scene import Scene, browser
from ingestion.models import PollState
from ingestion.polling import Equipment
from ingestion.resilience.gate import LocalGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests.sitting import ENERGY, ENERGY_KEY, TANK, Sitting
from simulator.testing import RunningSimulator


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningSimulator]:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def scene(db: None, provider: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Hill reads from the simulator, through a gate of this test's own."""
    scene = Scene.make()
    scene.hill.connection.base_url = provider.url
    scene.hill.connection.rate_limit = 6000
    scene.hill.connection.account_key = ""  # type: ignore[assignment]  # the field takes text
    scene.hill.connection.save()
    equipment = Equipment(LocalGate(), RequestsTransport(allowed=["127.0.0.0/8"]))
    page = admin.site.get_model_admin(ThingSpeakChannel)
    monkeypatch.setattr(page, "ask_with", lambda: equipment)
    return scene


@pytest.fixture
def sitting(scene: Scene) -> Sitting:
    return Sitting(browser(scene.operator), scene)


def channels() -> set[int]:
    return set(ThingSpeakChannel.objects.values_list("channel_id", flat=True))


def test_verify_shows_the_channel_and_saves_nothing(sitting: Sitting) -> None:
    before = channels(), Metric.objects.count()
    sitting.press("_verify")
    assert "Ambapur Overhead Tank" in sitting.text
    assert "“Water Level (cm)”" in sitting.text
    assert "The channel answers and its entries are recent." in sitting.text
    assert "Last entry" in sitting.text
    assert sitting.boxes["proposal-0-name"] == "water_level_cm"
    assert sitting.boxes["proposal-1-unit"] == "°C"
    assert " → " in sitting.text
    assert (channels(), Metric.objects.count()) == before


def test_confirming_saves_channel_metrics_and_mappings(sitting: Sitting, scene: Scene) -> None:
    sitting.press("_verify")
    changes = {"proposal-1-label": "Water", "proposal-1-scale": "2"}
    sitting.boxes.pop("proposal-2-use")
    answer = sitting.press("_confirm", **changes)
    channel = ThingSpeakChannel.objects.get(channel_id=TANK)
    assert answer.headers["Location"] == reverse(
        "admin:devices_thingspeakchannel_change", args=[channel.pk]
    )
    mapped = {row.field: row for row in channel.mappings.select_related("metric")}
    assert set(mapped) == {"field1", "field2"}
    assert mapped["field1"].metric == scene.hill.metric  # the device had it already
    assert mapped["field2"].metric.label == "Water"
    assert mapped["field2"].scale == 2
    assert PollState.objects.filter(source=channel).exists()  # polled at once
    entry = LogEntry.objects.get(object_id=str(channel.pk))
    assert "field mapping" in entry.get_change_message()


def test_a_key_typed_before_verifying_needs_no_second_typing(sitting: Sitting) -> None:
    sitting.press("_verify", channel_id=ENERGY, read_key=ENERGY_KEY)
    assert "Ambapur Energy Meter" in sitting.text
    assert ENERGY_KEY not in sitting.html
    assert "••••0106 (entered, not saved yet)" in sitting.html
    sitting.press("_confirm")
    assert ThingSpeakChannel.objects.get(channel_id=ENERGY).read_key.reveal() == ENERGY_KEY


def test_a_sealed_key_of_somebody_else_is_worthless(sitting: Sitting, scene: Scene) -> None:
    sitting.press("_verify", channel_id=ENERGY, read_key=ENERGY_KEY)
    theirs = Sitting(browser(scene.manager), scene)
    theirs.press("_save", channel_id=ENERGY, sealed_key=sitting.boxes["sealed_key"])
    assert "enter it again" in " ".join(theirs.errors_of("read_key"))
    assert ENERGY not in channels()


def test_saving_without_mappings(sitting: Sitting) -> None:
    sitting.press("_verify")
    sitting.press("_save")
    assert not ThingSpeakChannel.objects.get(channel_id=TANK).mappings.exists()


def test_verify_works_before_a_device_is_chosen(sitting: Sitting) -> None:
    sitting.press("_verify", device="")
    assert "Ambapur Overhead Tank" in sitting.text
    assert sitting.errors_of("device")
    sitting.press("_confirm")
    assert TANK not in channels()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"proposal-0-name": "Water Level"}, "Begin with a small letter"),
        ({"proposal-0-unit": "bananas"}, "cannot be converted"),
        ({"proposal-0-scale": "0"}, "A scale of 0"),
        ({"proposal-0-minimum": "9", "proposal-0-maximum": "1"}, "must not be below"),
        ({"proposal-0-name": "battery_v", "proposal-0-unit": "V"}, "feeds this metric already"),
        ({"proposal-0-label": ""}, "This field is required."),
    ],
)
def test_mistakes_in_the_table_are_named_and_save_nothing(
    sitting: Sitting, changes: dict[str, str], words: str
) -> None:
    sitting.press("_verify")
    sitting.press("_confirm", **changes)
    assert words in sitting.text
    assert "Correct the marked mappings below" in sitting.text
    assert TANK not in channels()
    assert FieldMapping.objects.count() == 2  # those of the scene


def test_the_preview_follows_what_is_typed(sitting: Sitting, scene: Scene) -> None:
    sitting.press("_verify")
    newest = float(sitting.page.context["proposals"].forms[0].shown_samples[0])
    sent = {**sitting.boxes, "proposal-0-scale": "0.01", "proposal-0-unit": "m"}
    path = reverse("admin:devices_thingspeakchannel_preview")
    found = browser(scene.operator).post(path, sent).json()
    # The device's metric is in cm: scaled to metres, then converted to its unit.
    assert found["proposal-0"]["text"].endswith(f"→ {newest:.10g} cm")
    assert browser(scene.operator).get(path).status_code == 405
    assert browser(scene.stranger).post(path, sent).json()["proposal-0"]["text"].endswith(" m")
    assert browser(None).post(path, sent).status_code == 302


def test_verifying_a_channel_again_offers_only_what_is_not_mapped(
    sitting: Sitting, scene: Scene
) -> None:
    sitting.press("_verify")
    sitting.boxes.pop("proposal-1-use")
    sitting.press("_confirm")
    channel = ThingSpeakChannel.objects.get(channel_id=TANK)
    again = Sitting.at(browser(scene.operator), scene, channel)
    again.boxes["mappings-TOTAL_FORMS"] = 0
    again.press("_verify")
    assert "already feeds Water level" in again.text
    again.press("_confirm")
    fields = set(channel.mappings.values_list("field", flat=True))
    assert fields == {"field1", "field2", "field3"}


def test_a_viewer_and_a_stranger_cannot_verify(scene: Scene) -> None:
    assert Sitting(browser(scene.viewer), scene).press("_verify").status_code == 403
    theirs = Sitting(browser(scene.stranger), scene)
    theirs.press("_verify")
    assert "Select a valid choice" in theirs.text
    assert "Ambapur" not in theirs.text
    at_page = Sitting.at(browser(scene.stranger), scene, scene.hill.channel)
    assert at_page.press("_verify").status_code in (302, 403, 404)


def test_a_corrected_channel_is_asked_at_once(sitting: Sitting, scene: Scene) -> None:
    page = Sitting.at(browser(scene.operator), scene, scene.hill.channel)
    page.press("_save", interval_s=60)
    assert not PollState.objects.filter(source=scene.hill.channel).exists()
    page.press("_save", channel_id=TANK)
    assert PollState.objects.filter(source=scene.hill.channel).exists()
