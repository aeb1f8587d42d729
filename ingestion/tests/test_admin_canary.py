"""Keys planted everywhere appear nowhere: pages, history, API, change log, log lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from devices.models import ThingSpeakChannel
from devices.tests.scene import ACCOUNT_KEY, KEY, Scene, browser
from ingestion.polling import Equipment
from ingestion.resilience.gate import LocalGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests.sitting import Sitting
from simulator.testing import RunningSimulator

TYPED = "TYPEDCANARY90210"
SECRETS = (KEY, ACCOUNT_KEY, TYPED)


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningSimulator]:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def scene(db: None, provider: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene.make()
    scene.hill.connection.base_url = provider.url
    scene.hill.connection.rate_limit = 6000
    scene.hill.connection.save()
    equipment = Equipment(LocalGate(), RequestsTransport(allowed=["127.0.0.0/8"]))
    page = admin.site.get_model_admin(ThingSpeakChannel)
    monkeypatch.setattr(page, "ask_with", lambda: equipment)
    return scene


def assert_clean(text: str, where: str) -> None:
    for secret in SECRETS:
        assert secret not in text, where


def pages(scene: Scene) -> Iterator[str]:
    rows = {
        "connection": scene.hill.connection.pk,
        "thingspeakchannel": scene.hill.channel.pk,
        "device": scene.hill.device.pk,
        "fieldmapping": scene.hill.mapping.pk,
    }
    for model, pk in rows.items():
        yield reverse(f"admin:devices_{model}_changelist")
        for what in ("change", "history", "delete"):
            yield reverse(f"admin:devices_{model}_{what}", args=[pk])
    history = scene.hill.channel.history.first()
    yield reverse(
        "admin:devices_thingspeakchannel_simple_history",
        args=[scene.hill.channel.pk, history.pk],
    )
    yield from ("/admin/", "/api/v1/devices/", "/api/v1/metrics/", "/api/v1/alerts/")


def change_everything(scene: Scene, client: Client, provider: RunningSimulator) -> None:
    """Verify with good and bad answers, save, replace the key, poll."""
    at = Sitting.at(client, scene, scene.hill.channel)
    for fault in ("html", "reset", "minus_one", "wrong_key", ""):
        if fault:
            provider.fault(fault)
        at.press("_verify", channel_id=710006, read_key=TYPED)
        assert_clean(at.html, f"verify with {fault or 'no'} fault")
        provider.heal()
    at.boxes["read_key"] = TYPED
    at.press("_save")
    client.post(reverse("admin:devices_thingspeakchannel_poll_now", args=[scene.hill.channel.pk]))


def test_planted_keys_appear_nowhere(
    scene: Scene, provider: RunningSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = browser(scene.admin)
    change_everything(scene, client, provider)
    assert ThingSpeakChannel.objects.get(pk=scene.hill.channel.pk).read_key.reveal() == TYPED
    for path in pages(scene):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert_clean(answer.content.decode(), path)
        assert scene.hill.channel.read_key.token not in answer.content.decode(), path
    for entry in LogEntry.objects.all():
        assert_clean(entry.change_message + entry.object_repr, "log of changes")
    assert_clean(caplog.text, "log lines")
