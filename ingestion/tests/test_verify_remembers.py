"""Pressing Verify twice spends one request; an old answer is marked, a wrong key is asked anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.utils import timezone

from devices.models import Connection, Device, ThingSpeakChannel
from devices.tests.scene import Scene
from ingestion.polling import Equipment
from ingestion.resilience.freshcache import FreshCache
from ingestion.resilience.gate import LocalGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests.sitting import ENERGY, ENERGY_KEY, TANK
from ingestion.verify import Severity, Verification, verify_channel
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db


class Remembering(LocMemCache):
    """A cache whose whole content can be looked at."""

    def everything(self) -> str:
        return repr(self._cache)  # type: ignore[attr-defined]


@dataclass
class Desk:
    """Somebody who verifies channels, on a clock of their own."""

    simulator: RunningSimulator
    account: Connection
    device: Device
    later_s: float = 0.0
    cache: Remembering = field(default_factory=lambda: Remembering("desk", {}))

    def __post_init__(self) -> None:
        self.cache.clear()
        facts = FreshCache(self.cache, "secret", clock=lambda: self.now.timestamp())
        gate = LocalGate(clock=lambda: self.now.timestamp())
        self.equipment = Equipment(gate, RequestsTransport(allowed=["127.0.0.0/8"]), facts=facts)

    @property
    def now(self) -> datetime:
        return timezone.now() + timedelta(seconds=self.later_s)

    def verify(self, number: int = TANK, key: str = "") -> Verification:
        channel = ThingSpeakChannel(
            device=self.device, connection=self.account, channel_id=number, read_key=key
        )
        return verify_channel(channel, self.equipment, self.now)

    @property
    def requests(self) -> int:
        total: dict[str, Any] = self.simulator.control("journal?limit=0")["total"]
        return int(total["requests"])


@pytest.fixture
def desk() -> Iterator[Desk]:
    scene = Scene.make()
    account = scene.hill.connection
    with RunningSimulator() as simulator:
        account.base_url, account.rate_limit = simulator.url, 6000
        account.account_key = ""  # type: ignore[assignment]  # the field takes text
        account.save()
        yield Desk(simulator, account, scene.hill.device)


def test_the_second_time_costs_no_request_and_says_so(desk: Desk) -> None:
    first = desk.verify()
    before = desk.requests
    desk.later_s = 12
    second = desk.verify()
    assert desk.requests == before
    assert (second.name, second.labels, second.facts) == (first.name, first.labels, first.facts)
    assert [one.name for one in second.proposals] == [one.name for one in first.proposals]
    assert "It said so 12 s ago" in second.message
    assert second.severity is Severity.GOOD
    desk.later_s = 40
    assert "s ago" not in desk.verify().message
    assert desk.requests == before + 1


def test_when_asking_again_fails_the_old_answer_is_shown_as_old(desk: Desk) -> None:
    desk.verify()
    desk.later_s = 60
    desk.simulator.fault("status", code=500)
    found = desk.verify()
    assert found.severity is Severity.BAD
    assert "error of its own" in found.message
    assert "Shown is what the channel said 60 s ago." in found.message
    assert (found.stale, found.name) == (True, "Ambapur Overhead Tank")


def test_another_key_is_another_question(desk: Desk) -> None:
    assert desk.verify(ENERGY, ENERGY_KEY).severity is Severity.GOOD
    assert "read key is wrong" in desk.verify(ENERGY, "WRONGKEY12345678").message
    before = desk.requests
    assert "read key is wrong" in desk.verify(ENERGY, "WRONGKEY12345678").message
    assert desk.requests == before + 1  # a refusal is never remembered
    assert "it is private" in desk.verify(ENERGY).message


def test_no_key_and_no_value_that_looks_like_one_is_kept(desk: Desk) -> None:
    desk.verify(ENERGY, ENERGY_KEY)
    desk.verify()
    kept = desk.cache.everything()
    assert "Ambapur" in kept
    assert ENERGY_KEY not in kept
