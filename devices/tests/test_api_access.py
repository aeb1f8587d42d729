"""The API shows a member the own communities, and nothing at all of others."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.alerts.models import Alert, Kind, Severity
from devices.models import Device, Metric
from devices.tests.scene import ACCOUNT_KEY, KEY, Scene, browser

INSIDERS = ("manager", "operator", "viewer", "admin")


def paths(scene: Scene) -> dict[str, tuple[str, str]]:
    """List and one of its rows, for everything that belongs to Hill."""
    alert = Alert.objects.create(
        key="k", kind=Kind.DEVICE_OFFLINE, severity=Severity.CRITICAL, text="silent",
        community=scene.hill.community, device=scene.hill.device, opened_at=timezone.now(),
    )  # fmt: skip
    rows = {
        "communities": scene.hill.community.pk,
        "devices": scene.hill.device.uuid,
        "metrics": scene.hill.metric.pk,
        "alerts": alert.pk,
    }
    return {name: (f"/api/v1/{name}/", f"/api/v1/{name}/{key}/") for name, key in rows.items()}


def seen(who: str, path: str, scene: Scene) -> Any:
    answer = browser(scene.user(who)).get(path)
    assert answer.status_code == 200, (who, path, answer.content)
    return answer.json()


@pytest.mark.parametrize("who", INSIDERS)
def test_members_see_their_community(scene: Scene, who: str) -> None:
    for name, (rows, row) in paths(scene).items():
        expected = 2 if who == "admin" and name != "alerts" else 1
        assert seen(who, rows, scene)["count"] == expected, name
        seen(who, row, scene)


def test_a_stranger_gets_404_and_an_empty_list(scene: Scene) -> None:
    for name, (rows, row) in paths(scene).items():
        own = 0 if name == "alerts" else 1
        assert seen("stranger", rows, scene)["count"] == own, name
        assert browser(scene.stranger).get(row).status_code == 404, name


def test_a_stranger_cannot_find_foreign_rows_by_filter(scene: Scene) -> None:
    for query in (f"metrics/?device={scene.hill.device.uuid}", "devices/?community=hill"):
        assert seen("stranger", f"/api/v1/{query}", scene)["count"] == 0


def test_nobody_is_refused(scene: Scene) -> None:
    for rows, row in paths(scene).values():
        for path in (rows, row):
            assert browser(None).get(path).status_code in (401, 403), path


def test_nothing_can_be_written(scene: Scene) -> None:
    for rows, row in paths(scene).values():
        client = browser(scene.admin)
        assert client.post(rows, {}, content_type="application/json").status_code == 405
        assert client.delete(row).status_code == 405


def test_unknown_parameters_are_refused_by_name(scene: Scene) -> None:
    for name in ("communities", "devices", "metrics", "device-types", "alerts"):
        answer = browser(scene.viewer).get(f"/api/v1/{name}/?colour=red")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["attr"] == "colour"


def test_filters(scene: Scene) -> None:
    assert seen("admin", "/api/v1/devices/?community=hill", scene)["count"] == 1
    assert seen("admin", "/api/v1/devices/?type=sump", scene)["count"] == 0
    assert seen("viewer", "/api/v1/metrics/?name=water_level_cm", scene)["count"] == 1
    paths(scene)
    assert seen("viewer", "/api/v1/alerts/?open=true", scene)["count"] == 1
    assert seen("viewer", "/api/v1/alerts/?open=false", scene)["count"] == 0
    assert browser(scene.viewer).get("/api/v1/metrics/?device=x").status_code == 400


def test_a_device_as_a_phone_sees_it(scene: Scene) -> None:
    device = seen("viewer", f"/api/v1/devices/{scene.hill.device.uuid}/", scene)
    assert device["community"] == "hill"
    assert device["type"] == "overhead-tank"
    assert [metric["name"] for metric in device["metrics"]] == ["water_level_cm"]
    assert device["metrics"][0]["device"] == str(scene.hill.device.uuid)


def test_more_rows_cost_no_more_queries(scene: Scene) -> None:
    def cost(path: str) -> int:
        client = browser(scene.viewer)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    few = {name: cost(rows) for name, (rows, _) in paths(scene).items()}
    for number in range(20):
        device = Device.objects.create(
            community=scene.hill.community, type=scene.hill.device.type, name=f"D{number}"
        )
        Metric.objects.create(device=device, name="flow", label="Flow")
    for name, queries in few.items():
        assert cost(f"/api/v1/{name}/") == queries <= 8, name


def test_no_credential_in_any_answer(scene: Scene) -> None:
    for rows, row in paths(scene).values():
        for path in (rows, row):
            text = browser(scene.admin).get(path).content.decode()
            assert KEY not in text
            assert ACCOUNT_KEY not in text
            assert scene.hill.channel.read_key.token not in text


def test_the_api_document_has_no_warnings(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "/api/v1/devices/{uuid}/" in capsys.readouterr().out
