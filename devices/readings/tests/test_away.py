"""A readings engine that is away: told at start, in the health report, to people and programs."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import Tags, run_checks
from django.db import transaction
from django.test import Client

from devices.models import Metric
from devices.readings.address import Address
from devices.readings.models import Slot, Stream
from devices.readings.samples import Sample
from devices.readings.store import RowsAway, get_store
from devices.readings.tests.network import START, device, metrics

pytestmark = pytest.mark.django_db
PASSWORD = "hush-hush"


@pytest.fixture
def level(settings: Any) -> Metric:
    """A metric whose readings nobody can have."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (metric,) = metrics(device(), 1)
    stream = Stream.objects.create(device=metric.device, number=1, used=1)
    Slot.objects.create(metric=metric, stream=stream, position=1)
    settings.READINGS_ADDRESS = Address.of(
        f"clickhouse://tele:{PASSWORD}@127.0.0.1:{port}/readings"
    )
    return metric


def test_a_check_names_it_before_anybody_needs_it(level: Metric) -> None:
    (error,) = run_checks(tags=[Tags.database], databases=["default"])

    assert error.id == "readings.E001"
    assert "Connection refused. Start it, or correct READINGS_URL" in error.msg
    assert PASSWORD not in error.msg


def test_nothing_is_half_written(level: Metric) -> None:
    with pytest.raises(RowsAway), transaction.atomic():
        get_store().write([Sample(level.device_id, START, 1, {level.pk: 1.0})])

    assert get_store().latest([level.pk]) == {}


@pytest.mark.parametrize("administrator", [True, False])
def test_people_are_told_and_its_administrators_why(
    client: Client, level: Metric, administrator: bool
) -> None:
    user = User.objects.create_user("one", is_staff=True, is_superuser=administrator)
    level.device.community.memberships.create(user=user)
    client.force_login(user)

    page = client.get("/admin/readings/retentionrule/")
    program = client.get(f"/api/v1/metrics/{level.pk}/history/")

    answers = [program.content.decode(), page.content.decode()]
    for answer in (program, page):
        assert answer.status_code == 503
        assert answer["Retry-After"] == "10"
    (problem,) = json.loads(answers[0])["errors"]
    assert problem["code"] == "readings_away"
    for text in answers:
        assert ("127.0.0.1" in text) is administrator
        assert PASSWORD not in text


def test_the_health_report_says_so(client: Client, level: Metric) -> None:
    report = client.get("/readyz").json()["checks"]

    assert report["readings"]["ok"] is False
    assert "check --database default" in report["readings"]["message"]
    assert report["database"]["ok"] is True
