"""Having a range read again from the admin: who may, what it takes, on record, and stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from devices.models import Device, ThingSpeakChannel
from devices.tests.scene import Scene, browser
from ingestion.gaps import backfill
from ingestion.models import EventKind, Gap, GapReason, GapState, PollState, SourceDay, SourceEvent

ADD = "admin:ingestion_gap_add"
DAY = timedelta(days=1)


@pytest.fixture
def scene(db: None) -> Scene:
    """Hill's channel reports once a minute."""
    scene = Scene.make()
    for village in (scene.hill, scene.valley):
        now = timezone.now()
        PollState.objects.create(
            source=village.channel, connection=village.connection, next_poll_at=now, cadence_s=60.0
        )
    return scene


def ask(client: Client, source: int, button: str = "_save", **changes: str) -> Any:
    data = {
        "source": source, "since_0": "2026-01-01", "since_1": "00:00:00",
        "until_0": "2026-01-02", "until_1": "00:00:00", button: "1",
    }  # fmt: skip
    return client.post(reverse(ADD), data | changes, follow=True)


def test_an_estimate_saves_nothing_and_says_what_it_takes(scene: Scene) -> None:
    page = ask(browser(scene.operator), scene.hill.channel.pk, "_estimate").content.decode()
    assert "About 1,440 entries, fetched in 1 request" in page
    assert "errornote" not in page
    assert 'value="2026-01-01"' in page  # what was typed stays
    assert not Gap.objects.exists()


def test_sources_of_devices_that_are_called_alike_are_told_apart(
    scene: Scene, django_assert_num_queries: Any
) -> None:
    Device.objects.update(name="Pump House")
    client = browser(scene.admin)
    client.get(reverse(ADD))
    with CaptureQueriesContext(connection) as few:
        text = client.get(reverse(ADD)).content.decode()
    assert "ThingSpeak channel 101 of Pump House (Hill)" in text
    assert "ThingSpeak channel 202 of Pump House (Valley)" in text
    for number in range(3, 9):
        ThingSpeakChannel.objects.create(
            device=scene.hill.device, connection=scene.hill.connection, channel_id=number
        )
    with django_assert_num_queries(len(few)):
        assert "channel 8 of Pump House (Hill)" in client.get(reverse(ADD)).content.decode()


def test_a_range_is_queued_told_and_on_record(scene: Scene) -> None:
    page = ask(browser(scene.operator), scene.hill.channel.pk).content.decode()
    gap = Gap.objects.get()
    assert (gap.reason, gap.state, gap.requested_by) == (
        GapReason.REQUESTED, GapState.OPEN, scene.operator,
    )  # fmt: skip
    assert (gap.since, gap.range_until) == (
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    assert "The range is queued" in page
    assert "2026-01-01 00:00 – 2026-01-02 00:00" in page
    assert "Cancel it" in page
    event = SourceEvent.objects.get()
    assert (event.kind, event.by) == (EventKind.BACKFILL_REQUESTED, scene.operator)
    ask(browser(scene.operator), scene.hill.channel.pk)
    assert Gap.objects.count() == 1  # the same range is read once


def test_without_a_start_everything_is_read(scene: Scene) -> None:
    ask(browser(scene.operator), scene.hill.channel.pk, since_0="", since_1="")
    assert str(Gap.objects.get()).startswith("the beginning – ")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"since_0": "2026-01-03"}, "must begin before it ends"),
        ({"since_0": "2199-01-01", "until_0": "2199-02-01"}, "must begin before it ends"),
        ({"since_0": "1969-01-01"}, "begins before 1970"),
        ({"until_0": "soon"}, "Enter a valid date"),
        ({"until_0": "", "until_1": ""}, "required"),
    ],
)
def test_a_range_that_cannot_be_read_is_refused(
    scene: Scene, changes: dict[str, str], says: str
) -> None:
    page = ask(browser(scene.operator), scene.hill.channel.pk, **changes)
    assert says in page.content.decode()
    assert not Gap.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "stranger"])
def test_others_read_nothing_again_and_stop_nothing(scene: Scene, who: str) -> None:
    client = browser(scene.user(who))
    ask(client, scene.hill.channel.pk)
    assert not Gap.objects.exists()
    now = timezone.now()
    gap = backfill.request_backfill(scene.hill.channel, now - DAY, now, now)
    client.post(reverse("admin:ingestion_gap_cancel", args=[gap.pk]))
    data = {"action": "cancel_chosen", "_selected_action": [gap.pk]}
    client.post(reverse("admin:ingestion_gap_changelist"), data)
    gap.refresh_from_db()
    assert gap.state == GapState.OPEN


def test_a_request_can_be_stopped_from_its_page_and_from_the_list(scene: Scene) -> None:
    client, now = browser(scene.operator), timezone.now()
    one = backfill.request_backfill(scene.hill.channel, now - DAY, now, now)
    page = client.post(reverse("admin:ingestion_gap_cancel", args=[one.pk]), follow=True)
    assert "1 cancelled. What was read stays." in page.content.decode()
    two = backfill.request_backfill(scene.hill.channel, now - 2 * DAY, now, now)
    found = Gap.objects.create(
        source=scene.hill.channel, since=now, until=now, range_until=now, found_at=now,
        next_try_at=now,
    )  # fmt: skip
    data = {"action": "cancel_chosen", "_selected_action": [two.pk, found.pk]}
    client.post(reverse("admin:ingestion_gap_changelist"), data)
    assert list(Gap.objects.order_by("pk").values_list("state", flat=True)) == [
        GapState.CANCELLED, GapState.CANCELLED, GapState.OPEN,
    ]  # fmt: skip


def test_the_list_says_how_far_each_is_and_why_nothing_comes(scene: Scene) -> None:
    now = timezone.now()
    gap = backfill.request_backfill(scene.hill.channel, now - 10 * DAY, now, now)
    Gap.objects.filter(pk=gap.pk).update(
        state=GapState.FILLING, entries=3600, until=now - 2.5 * DAY, expected=14_400
    )
    text = browser(scene.viewer).get(reverse("admin:ingestion_gap_changelist")).content.decode()
    assert "25 %, back to" in text
    scene.hill.connection.enabled = False
    scene.hill.connection.save()
    text = browser(scene.viewer).get(reverse("admin:ingestion_gap_changelist")).content.decode()
    assert "its connection “Account of Hill” is switched off" in text


def test_a_channels_page_shows_its_days_and_leads_here(scene: Scene) -> None:
    channel = scene.hill.channel
    today = timezone.now().date()
    SourceDay.objects.create(source=channel, day=today - 2 * DAY, entries=1400, lost=40)
    page = reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
    text = browser(scene.operator).get(page).content.decode()
    assert "40 lost at the source" in text
    assert f"{reverse(ADD)}?source={channel.pk}" in text
    text = browser(scene.operator).get(f"{reverse(ADD)}?source={channel.pk}").content.decode()
    assert f'<option value="{channel.pk}" selected>' in text
    assert "Valley" not in text
