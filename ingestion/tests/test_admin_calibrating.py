"""A technician calibrates a field at its page, sees what it does, and has the past recomputed."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices.models import CalibrationVersion, FieldMapping, Job, Metric
from devices.tests.scene import browser, person
from ingestion.drift.fixes import Decision, Fix, apply
from ingestion.models import MappingPause, PauseKind
from ingestion.tests.recalculated import Scene

pytestmark = pytest.mark.django_db
ADD = "admin:devices_calibrationversion_add"
EMPTY = {"valid_from_0": "now", "valid_from_1": "", "input_unit": "cm", "gap_cm": "0",
         "ends": "refuse", "offset": "0", "recompute": "on"}  # fmt: skip


@pytest.fixture
def scene() -> Scene:
    return Scene(now=timezone.now())


@pytest.fixture
def client(scene: Scene) -> Client:
    return browser(person("operator", scene.village.community, "operator"))  # type: ignore[arg-type]


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


def save(client: Client, scene: Scene, **boxes: Any) -> Any:
    sent = {"of": scene.mapping.pk, **EMPTY, **boxes}
    return client.post(reverse(ADD), sent, follow=True)


def test_the_channels_page_leads_to_calibrating(scene: Scene, client: Client) -> None:
    page = client.get(reverse("admin:devices_thingspeakchannel_change", args=[scene.channel.pk]))
    address = f"{reverse(ADD)}?of={scene.mapping.pk}"
    assert address in page.content.decode()

    scene.receive(["41", "42.5"])
    shown = client.get(address)

    assert "field1 of Tank of Hill feeds Water level (cm)" in text_of(shown)
    assert "Time of Asia/Kolkata" in text_of(shown)
    assert "11-01 05:31:00 42.5 42.5 cm 42.5 cm" in text_of(shown)


def test_saving_from_now_on_changes_nothing_stored(scene: Scene, client: Client) -> None:
    scene.receive(["1", "2"])
    page = save(client, scene, kind="linear", scale="10")

    version = CalibrationVersion.objects.get()
    assert (version.scale, version.created_by.username) == (10.0, "operator")  # type: ignore[union-attr]
    assert version.valid_from is not None
    assert abs(version.valid_from - timezone.now()) < timedelta(minutes=1)
    assert not Job.objects.exists()
    assert "Scale and offset, since" in text_of(page)
    assert version.history.count() == 1


def test_saving_for_the_past_recomputes_what_it_governs(scene: Scene, client: Client) -> None:
    scene.receive(["1", "2", "3"])
    page = save(
        client, scene, kind="two_point", raw_1="0", true_1="100", raw_2="10", true_2="0",
        valid_from_0="from", valid_from_1="2026-11-01T05:31",  # 00:01 UTC, of the second entry
    )  # fmt: skip

    assert "Stored readings are being recomputed" in text_of(page)
    job = Job.objects.get()
    assert job.created_by is not None
    scene.work()
    assert scene.values() == [1.0, 80.0, 70.0]


def test_declining_leaves_a_notice_that_leads_to_it(scene: Scene, client: Client) -> None:
    scene.receive(["1", "2"])
    boxes = {"kind": "linear", "scale": "10", "valid_from_0": "always"}
    answer = client.post(reverse(ADD), {"of": scene.mapping.pk, **EMPTY, **boxes, "recompute": ""})
    page = client.get(answer["Location"])
    assert "Readings that were stored before are as they were" in text_of(page)
    assert re.search(
        r"Readings of Water level before \S+ \S+ were computed with other settings "
        r"\(the last minutes of them may have been read again since, with the new ones\)\.",
        text_of(page),
    )

    channel = reverse("admin:devices_thingspeakchannel_change", args=[scene.channel.pk])
    html = client.get(channel).content.decode()
    address = unescape(re.search(r'href="([^"]+/recompute/[^"]*)">', html)[1])  # type: ignore[index]
    assert "2 entries." in text_of(client.get(address))
    client.post(address)
    assert Job.objects.count() == 1
    assert "being recomputed" in text_of(client.get(channel))
    scene.work()
    assert scene.values() == [10.0, 20.0]
    assert "other settings" not in text_of(client.get(channel))


def test_an_edited_calibration_reaches_back_over_what_it_governed(
    scene: Scene, client: Client
) -> None:
    for since, scale in ((2, 2.0), (5, 100.0)):
        CalibrationVersion.objects.create(
            mapping=scene.mapping, kind="linear", scale=scale, valid_from=scene.at(since)
        )
    scene.receive([str(n) for n in range(7)])
    first = CalibrationVersion.objects.earliest("valid_from")
    page = reverse("admin:devices_calibrationversion_change", args=[first.pk])
    assert 'value="2026-11-01T05:32"' in client.get(page).content.decode()

    client.post(
        page,
        {**EMPTY, "kind": "linear", "scale": "3", "valid_from_0": "from",
         "valid_from_1": "2026-11-01T05:34"},
    )  # fmt: skip

    job = Job.objects.get()
    assert (job.params["since"], job.params["until"]) == (
        scene.at(2).isoformat(), scene.at(5).isoformat(),
    )  # fmt: skip
    scene.work()
    assert scene.values() == [0.0, 1.0, 2.0, 3.0, 12.0, 500.0, 600.0]


def test_deleting_one_offers_what_it_governed(scene: Scene, client: Client) -> None:
    version = CalibrationVersion.objects.create(
        mapping=scene.mapping, kind="linear", scale=2.0, valid_from=scene.at(2)
    )
    scene.receive(["1", "2", "3"])
    page = reverse("admin:devices_calibrationversion_delete", args=[version.pk])
    answer = client.post(page, {"post": "yes"}, follow=True)

    address = unescape(re.search(r'href="([^"]+/recompute/[^"]*)"', answer.content.decode())[1])  # type: ignore[index]
    client.post(address)
    assert Job.objects.get().params["since"] == scene.at(2).isoformat()
    scene.work()
    assert scene.values() == [1.0, 2.0, 3.0]


def test_a_depth_also_becomes_a_volume(scene: Scene, client: Client) -> None:
    device = scene.village.device
    device.tank_height_cm, device.tank_capacity_l = 200, 1000
    device.save()
    scene.receive(["0", "100", "200"])
    channel = reverse("admin:devices_thingspeakchannel_change", args=[scene.channel.pk])
    address = f"{reverse(ADD)}?of={scene.mapping.pk}&volume=1"
    assert f"{address.replace('&', '&amp;')}" in client.get(channel).content.decode()

    shown = text_of(client.get(address))
    assert "Full at 200 cm: 1,000" in shown
    assert "The device's page says 1,000 litres" in shown
    page = save(
        client, scene, volume="1", kind="upright_cylinder", diameter_cm="79.8", height_cm="200"
    )

    assert "being recomputed" in text_of(page)
    litres = Metric.objects.get(name="volume_l")
    mapping = FieldMapping.objects.get(metric=litres)
    mapping.full_clean()
    assert CalibrationVersion.objects.get().valid_from is None
    scene.work()
    assert [round(float(one)) for one in scene.values(litres)] == [0, 500, 1000]
    assert scene.values() == [0.0, 100.0, 200.0]
    assert "Also compute volume" not in client.get(channel).content.decode()
    again = save(
        client, scene, volume="1", kind="upright_cylinder", diameter_cm="79.8", height_cm="200"
    )
    assert "feeds a volume already" in text_of(again)


BOX = {"volume": "1", "kind": "box", "length_cm": "100", "width_cm": "100", "height_cm": "300"}
"""Ten litres in each centimetre of depth."""


def change(scene: Scene, since: int, kind: PauseKind, guess: dict[str, Any], fix: Fix) -> None:
    """What the field sends changed with an entry, was seen and decided about."""
    pause = MappingPause.objects.create(
        mapping=scene.mapping, source=scene.channel, kind=kind, since=scene.at(since),
        found_at=scene.at(since), text="The source's field1 changed.",
        evidence={"anchor": 182.4, "guesses": [guess]},
    )  # fmt: skip
    apply(Decision(fix, pause, None, scene.now))
    scene.work()
    scene.mapping.refresh_from_db()


def litres(scene: Scene) -> list[float]:
    return [round(float(one), 6) for one in scene.values(Metric.objects.get(name="volume_l"))]


def test_a_volume_is_read_from_the_field_that_had_the_depth_at_the_time(
    scene: Scene, client: Client
) -> None:
    scene.add("temperature", field="field2")
    scene.receive([{"field1": "182", "field2": "25"}, {"field1": "181", "field2": "26"}])
    swap = {"of": "swap", "other": "field2"}
    change(scene, 2, PauseKind.SWAPPED, swap, Fix.FOLLOW)
    scene.receive([{"field1": "27", "field2": "180"}], first=2)
    save(client, scene, **BOX)
    scene.work()
    scene.receive([{"field1": "28", "field2": "179"}], first=3)

    assert scene.values() == [182.0, 181.0, 180.0, 179.0]
    assert litres(scene) == [1820, 1810, 1800, 1790]
    scene.recalculate()
    assert litres(scene) == [1820, 1810, 1800, 1790]


TO_METRES = {"of": "unit", "change": [0.01, 0.0, "m", "cm"]}


def test_a_volume_takes_each_number_in_the_unit_it_came_in(scene: Scene, client: Client) -> None:
    scene.receive(["182.5", "182.4", "1.823"])
    change(scene, 2, PauseKind.UNIT, TO_METRES, Fix.CONVERT)

    shown = client.get(f"{reverse(ADD)}?of={scene.mapping.pk}&volume=1")
    assert '<option value="m" selected>' in shown.content.decode()
    assert "came in cm until 2026-11-01 05:32 (Asia/Kolkata)" in text_of(shown)
    save(client, scene, **BOX, input_unit="m", note="A box")
    scene.work()
    scene.receive(["1.822"], first=3)

    assert litres(scene) == [1825, 1824, 1823, 1822]
    scene.recalculate()
    assert litres(scene) == [1825, 1824, 1823, 1822]
    made = CalibrationVersion.objects.filter(mapping__metric__name="volume_l")
    assert {one.note for one in made} == {"A box"}
    assert {one.created_by.username for one in made} == {"operator"}  # type: ignore[union-attr]


def test_a_volume_that_cannot_tell_what_came_before_is_refused(
    scene: Scene, client: Client
) -> None:
    scene.receive(["182.5", "182.4", "1.823"])
    change(scene, 2, PauseKind.UNIT, TO_METRES, Fix.CONVERT)
    assert "did not measure in any unit of this list" in text_of(
        save(client, scene, **BOX, input_unit="mm")
    )
    assert not Metric.objects.filter(name="volume_l").exists()


def test_a_volume_waits_for_what_its_depth_waits_for(scene: Scene, client: Client) -> None:
    scene.receive(["182.5", "182.4"])
    MappingPause.objects.create(
        mapping=scene.mapping, source=scene.channel, kind=PauseKind.UNIT, since=scene.at(2),
        found_at=scene.at(2), text="The source's field1 changed.",
        evidence={"anchor": 182.4, "guesses": [TO_METRES]},
    )  # fmt: skip
    scene.receive(["1.823"], first=2)
    save(client, scene, **BOX)
    scene.work()
    assert litres(scene) == [1825, 1824]

    apply(Decision(Fix.CONVERT, scene.mapping.pauses.get(), None, scene.now))
    scene.work()
    assert litres(scene) == [1825, 1824, 1823]
    assert not MappingPause.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ({"kind": "linear", "scale": "0"}, "scale of 0"),
        ({"kind": "table", "points": "1, 2\nbad"}, "Line 2"),
        ({"kind": "linear", "scale": "1", "valid_from_0": "from"}, "Enter the time like"),
        ({"kind": "box", "scale": "1"}, "Select a valid choice"),  # litres into cm
    ],
)
def test_what_cannot_be_is_said_and_not_stored(
    scene: Scene, client: Client, boxes: Any, said: str
) -> None:
    assert said in text_of(save(client, scene, **boxes))
    assert not CalibrationVersion.objects.exists()


def test_the_preview_follows_what_is_typed(scene: Scene, client: Client) -> None:
    scene.receive(["1", "2"])
    url = reverse("admin:devices_calibrationversion_preview")

    def preview(**boxes: Any) -> str:
        sent = {"of": scene.mapping.pk, **EMPTY, "valid_from_0": "always", **boxes}
        return text_of(client.post(url, sent))

    assert "2.0 cm 21.0 cm" in preview(kind="linear", scale="10", offset="1")
    assert "It governs 2 received entries" in preview(kind="linear", scale="10")
    assert "It governs 0 received entries" in preview(kind="linear", scale="10", valid_from_0="now")
    assert "This has to be entered" in preview(kind="two_point")
    assert "refused: The number received lies outside" in preview(kind="table", points="5,1\n9,2")
    assert not CalibrationVersion.objects.exists()


def test_nobody_calibrates_for_others(scene: Scene) -> None:
    scene.receive(["1"])
    stranger = browser(person("stranger"))
    boxes = {"of": scene.mapping.pk, **EMPTY, "kind": "linear", "scale": "2"}
    for name in (ADD, "admin:devices_calibrationversion_preview"):
        stranger.post(reverse(name), boxes)
    recompute = reverse("admin:devices_fieldmapping_recompute", args=[scene.mapping.pk])
    assert stranger.post(recompute).status_code == 404
    viewer = browser(person("viewer", scene.village.community, "viewer"))  # type: ignore[arg-type]
    assert viewer.post(recompute).status_code == 403
    assert viewer.get(recompute).status_code == 403
    assert not CalibrationVersion.objects.exists()
    assert not Job.objects.exists()


def test_a_viewer_reads_a_calibration(scene: Scene) -> None:
    scene.receive(["1"])
    version = CalibrationVersion.objects.create(mapping=scene.mapping, kind="linear", scale=2.0)
    viewer = browser(person("viewer", scene.village.community, "viewer"))  # type: ignore[arg-type]
    page = reverse("admin:devices_calibrationversion_change", args=[version.pk])
    shown = text_of(viewer.get(page))
    assert "2.0 cm" in shown
    assert "Recompute stored" not in shown
    viewer.post(page, {**EMPTY, "kind": "linear", "scale": "9"})
    version.refresh_from_db()
    assert version.scale == 2.0


@pytest.mark.parametrize(
    "query",
    [
        "since=never",
        "since=2026-01-01",
        "since=2026-01-02T00:00:00%2B00:00&until=2026-01-01T00:00:00%2B00:00",
    ],
)
def test_a_stretch_that_is_none_is_not_found(scene: Scene, client: Client, query: str) -> None:
    page = reverse("admin:devices_fieldmapping_recompute", args=[scene.mapping.pk])
    assert client.get(f"{page}?{query}").status_code == 404


def test_settings_changed_elsewhere_are_noticed(scene: Scene, client: Client) -> None:
    channel = reverse("admin:devices_thingspeakchannel_change", args=[scene.channel.pk])
    scene.receive(["1", "2"])
    assert "other settings" not in text_of(client.get(channel))
    scene.correct(scale=2.0)
    assert "other settings" in text_of(client.get(channel))
    scene.correct(scale=1.0)
    assert "other settings" not in text_of(client.get(channel)), "as they are stored, after all"
    scene.level.unit = "m"
    scene.level.save()
    scene.correct(unit="cm")
    assert "other settings" in text_of(client.get(channel))
