"""Everything that exists is listed, searchable and filterable, at a bounded cost, in both skins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from devices.alerts.models import Alert, Kind, Severity
from devices.models import Device, FieldMapping, Metric, ThingSpeakChannel
from devices.tests.scene import Scene, Village, browser
from ingestion.enrolment import new_state
from ingestion.models import Gap, PollLog, Rejection

LISTED = (
    "devices.Community", "devices.Connection", "devices.DeviceType", "devices.Device",
    "devices.Metric", "devices.ThingSpeakChannel", "devices.FieldMapping", "ingestion.PollState",
    "ingestion.PollLog", "ingestion.Rejection", "ingestion.Gap", "ingestion.Import", "devices.Job",
    "alerts.Alert", "auth.User",
    "auth.Group", "axes.AccessAttempt", "axes.AccessLog", "axes.AccessFailureLog",
    "django_celery_beat.PeriodicTask", "django_celery_beat.IntervalSchedule",
    "django_celery_beat.CrontabSchedule",
)  # fmt: skip
MOST_QUERIES = 14


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene.make()


def list_of(model: str) -> str:
    meta = apps.get_model(model)._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


def everything_about(village: Village, number: int) -> None:
    """One more row of everything that grows."""
    now = timezone.now()
    device = Device.objects.create(
        community=village.community, type=village.device.type, name=f"Device {number}"
    )
    metric = Metric.objects.create(device=device, name="flow", label="Flow")
    source = ThingSpeakChannel.objects.create(
        device=device, connection=village.connection, channel_id=1000 + number
    )
    FieldMapping.objects.create(source=source, field="field1", metric=metric)
    new_state(source, now).save()
    PollLog.objects.create(source=source, at=now, lane="live", outcome="ok", duration_ms=12)
    Rejection.objects.create(
        source=source, received_at=now, reason="not_a_number", detail="No number.", raw="abc",
        fingerprint=str(number),
    )  # fmt: skip
    Gap.objects.create(
        source=source, since=now, until=now, range_until=now, found_at=now, next_try_at=now
    )
    Alert.objects.create(
        key=str(number), kind=Kind.DEVICE_OFFLINE, severity=Severity.CRITICAL, text="silent",
        community=village.community, device=device, opened_at=now,
    )  # fmt: skip


@pytest.mark.parametrize("model", LISTED)
def test_every_list_opens_and_can_be_searched(scene: Scene, model: str) -> None:
    everything_about(scene.hill, 1)
    client = browser(scene.admin)
    assert client.get(list_of(model)).status_code == 200
    page = admin.site.get_model_admin(apps.get_model(model))
    if page.search_fields:
        for text in ("tank", "101"):
            assert client.get(list_of(model), {"q": text}).status_code == 200


@pytest.mark.parametrize("model", [name for name in LISTED if name.split(".")[0] in
                                   ("devices", "ingestion", "alerts")])  # fmt: skip
def test_our_own_lists_have_search_and_filters(model: str) -> None:
    page = admin.site.get_model_admin(apps.get_model(model))
    assert page.search_fields
    assert page.list_filter


@pytest.mark.parametrize("who", ["admin", "operator"])
def test_more_rows_cost_no_more_queries(scene: Scene, who: str) -> None:
    def cost(model: str) -> int:
        client = browser(scene.user(who))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(list_of(model)).status_code == 200
        return len(queries)

    models = [name for name in LISTED if name.split(".")[0] in ("devices", "ingestion", "alerts")]
    everything_about(scene.hill, 1)
    few = {model: cost(model) for model in models}
    for number in range(2, 22):
        everything_about(scene.hill, number)
    for model, queries in few.items():
        assert cost(model) <= queries <= MOST_QUERIES, model


def test_the_logs_are_read_only_and_link_to_their_source(scene: Scene) -> None:
    everything_about(scene.hill, 1)
    client = browser(scene.operator)
    log = PollLog.objects.get()
    assert client.get(reverse("admin:ingestion_polllog_add")).status_code == 403
    page = client.get(reverse("admin:ingestion_polllog_change", args=[log.pk]))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    text = client.get(list_of("ingestion.PollLog")).content.decode()
    assert reverse("admin:devices_thingspeakchannel_change", args=[log.source_id]) in text
    assert "Answered" in text


def test_logs_of_one_channel_only(scene: Scene) -> None:
    everything_about(scene.hill, 1)
    everything_about(scene.hill, 2)
    source = PollLog.objects.order_by("pk").values_list("source", flat=True)[0]
    for name in ("PollLog", "Rejection", "Gap"):
        url = f"{list_of(f'ingestion.{name}')}?source__id__exact={source}"
        shown = browser(scene.operator).get(url).context["cl"].result_list
        assert {row.source_id for row in shown} == {source}


def test_acknowledging_an_alert_is_noted(scene: Scene) -> None:
    everything_about(scene.hill, 1)
    alert = Alert.objects.get()
    data = {"action": "acknowledge", "_selected_action": [alert.pk]}
    for who, expected in (("viewer", None), ("stranger", None), ("operator", scene.operator)):
        browser(scene.user(who)).post(list_of("alerts.Alert"), data)
        alert.refresh_from_db()
        assert alert.acknowledged_by == expected, who


def test_places_that_do_not_exist_are_refused_in_clear_words(scene: Scene) -> None:
    path = reverse("admin:devices_device_add")
    data = {
        "name": "Far away", "community": scene.hill.community.pk,
        "type": scene.hill.device.type_id, "latitude": "91", "longitude": "-180.5",
    }  # fmt: skip
    text = browser(scene.operator).post(path, data).content.decode()
    assert "Ensure this value is less than or equal to 90." in text
    assert "Ensure this value is greater than or equal to -180." in text
    assert not Device.objects.filter(name="Far away").exists()


def test_a_time_zone_that_does_not_exist_is_refused(scene: Scene) -> None:
    path = reverse("admin:devices_community_change", args=[scene.hill.community.pk])
    data = {
        "name": "Hill", "slug": "hill", "zone": "Mars/Olympus", "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert "is not a time zone" in browser(scene.admin).post(path, data).content.decode()


ONE_PAGE = """
import django; django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
call_command("check")
user = User.objects.create_superuser("admin")
client = Client()
client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
for path in ("thingspeakchannel/add/", "device/", "connection/add/"):
    answer = client.get("/admin/devices/" + path)
    assert answer.status_code == 200, path
    assert b"unfold" not in answer.content, path
assert b"_verify" in client.get("/admin/devices/thingspeakchannel/add/").content
assert client.get("/admin/django_celery_beat/periodictask/add/").status_code == 200
for path in ("", "now/", "levels/"):
    answer = client.get("/admin/ingestion/status/" + path)
    assert answer.status_code == 200, path
    assert b"unfold" not in answer.content, path
"""


def test_the_stock_skin_is_a_setting_away(tmp_path: Path) -> None:
    environment = {
        **os.environ, "ADMIN_SKIN": "stock", "DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'stock.sqlite3'}",
    }  # fmt: skip
    environment.pop("TEST_DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", ONE_PAGE], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
