"""Every way in which verifying a channel can end is said in plain words, beside the right box."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from cryptography.fernet import Fernet, MultiFernet
from encrypted_model_fields import fields

from devices.models import Connection, FieldMapping, Metric, ThingSpeakChannel
from devices.tests.scene import Scene
from ingestion.polling import Equipment
from ingestion.resilience.gate import LocalGate, RedisGate
from ingestion.resilience.transport import RequestsTransport
from ingestion.tests.sitting import EMPTY, ENERGY, ENERGY_KEY, TANK
from ingestion.verify import Severity, Verification, create_mappings, verify_channel
from simulator.testing import RunningSimulator


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with RunningSimulator() as simulator:
        yield simulator


@pytest.fixture
def provider(running: RunningSimulator) -> Iterator[RunningSimulator]:
    yield running
    running.heal()


@pytest.fixture
def equipment() -> Equipment:
    return Equipment(LocalGate(), RequestsTransport(allowed=["127.0.0.0/8"]))


@pytest.fixture
def account(db: None, provider: RunningSimulator) -> Connection:
    return Connection.objects.create(name="Simulator", base_url=provider.url, rate_limit=6000)


def verify(
    account: Connection,
    equipment: Equipment,
    number: int = TANK,
    key: str = "",
    ahead: timedelta = timedelta(0),
) -> Verification:
    channel = ThingSpeakChannel(connection=account, channel_id=number, read_key=key)
    return verify_channel(channel, equipment, datetime.now(UTC) + ahead)


def test_a_healthy_channel(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment)
    assert (found.severity, found.name) == (Severity.GOOD, "Ambapur Overhead Tank")
    assert found.labels["field1"] == "Water Level (cm)"
    assert len(found.entries) == 10
    assert [one.name for one in found.proposals] == [
        "water_level_cm", "water_temperature_c", "battery_v",
    ]  # fmt: skip


def test_a_wrong_number(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, 999_999)
    assert found.severity is Severity.BAD
    assert "no channel with this number" in found.message
    assert found.where == "channel_id"


def test_a_private_channel_without_a_key(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, ENERGY)
    assert "it is private" in found.message
    assert found.where == "read_key"


def test_a_wrong_key(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, ENERGY, "WRONGKEY12345678")
    assert "the read key is wrong" in found.message
    assert found.where == "read_key"
    assert "WRONGKEY12345678" not in found.message


def test_the_right_key(account: Connection, equipment: Equipment) -> None:
    assert verify(account, equipment, ENERGY, ENERGY_KEY).severity is Severity.GOOD


def test_the_accounts_key_is_used_where_a_channel_has_none(
    account: Connection, equipment: Equipment
) -> None:
    account.account_key = ENERGY_KEY  # type: ignore[assignment]  # the field takes text
    assert verify(account, equipment, ENERGY).severity is Severity.GOOD


def test_a_channel_without_entries(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, EMPTY)
    assert found.severity is Severity.WARNING
    assert "no entries yet" in found.message
    assert found.proposals  # from its labels


def test_a_channel_whose_device_has_stopped(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, ahead=timedelta(days=3))
    assert found.severity is Severity.WARNING
    assert "its last entry is 3 days old" in found.message
    assert found.proposals


def test_entries_from_the_future(account: Connection, equipment: Equipment) -> None:
    found = verify(account, equipment, ahead=-timedelta(days=3))
    assert found.severity is Severity.WARNING
    assert "Check the device's clock" in found.message


@pytest.mark.parametrize(
    ("fault", "options", "words", "where"),
    [
        ("status", {"code": 429, "retry_after": 42.0}, "Try again in 42 s", ""),
        ("status", {"code": 500}, "error of its own", ""),
        ("html", {}, "not ThingSpeak", "connection"),
        ("redirect", {"to": "http://127.0.0.1:1/"}, "another address", "connection"),
        ("reset", {}, "No connection", "connection"),
        ("cutoff", {}, "broke off", ""),
    ],
)
def test_what_a_provider_does(
    account: Connection, equipment: Equipment, provider: RunningSimulator,
    fault: str, options: dict[str, object], words: str, where: str,
) -> None:  # fmt: skip
    provider.fault(fault, **options)
    found = verify(account, equipment)
    assert found.severity is Severity.BAD
    assert words in found.message
    assert found.where == where


def test_an_address_where_nobody_answers(account: Connection, equipment: Equipment) -> None:
    account.base_url = "http://127.0.0.1:1"
    found = verify(account, equipment)
    assert "No connection" in found.message
    assert found.where == "connection"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://169.254.169.254", "http://[::1]"]
)
def test_private_addresses_are_refused(account: Connection, address: str) -> None:
    guarded = Equipment(LocalGate(), RequestsTransport())
    account.base_url = address
    found = verify(account, guarded)
    assert "not allowed" in found.message
    assert found.where == "connection"


def test_after_many_failures_the_provider_is_left_in_peace(
    account: Connection, equipment: Equipment, provider: RunningSimulator
) -> None:
    account.breaker_failures = 2
    provider.fault("status", code=500)
    for _ in range(2):
        verify(account, equipment)
    found = verify(account, equipment)
    assert "left in peace" in found.message
    assert "Try again in" in found.message


def test_a_budget_that_is_used_up(account: Connection, equipment: Equipment) -> None:
    account.rate_limit, account.rate_window_s = 1, 3600
    verify(account, equipment)
    found = verify(account, equipment)
    assert "request budget is used up" in found.message


def test_redis_not_there(account: Connection) -> None:
    client = redis.Redis(unix_socket_path="/nonexistent/redis.sock")
    found = verify(account, Equipment(RedisGate(client), RequestsTransport()))
    assert "Redis" in found.message
    assert "Nothing was asked" in found.message


def test_a_key_that_cannot_be_decrypted(account: Connection, equipment: Equipment) -> None:
    right = fields.CRYPTER
    channel = ThingSpeakChannel(connection=account, channel_id=ENERGY, read_key=ENERGY_KEY)
    fields.CRYPTER = MultiFernet([Fernet(Fernet.generate_key())])
    try:
        found = verify_channel(channel, equipment, datetime.now(UTC))
    finally:
        fields.CRYPTER = right
    assert "encrypted with another key" in found.message
    assert found.where == "read_key"


def test_proposals_become_mappings_once(
    account: Connection, equipment: Equipment, provider: RunningSimulator
) -> None:
    scene = Scene.make()
    device = scene.hill.device
    channel = ThingSpeakChannel.objects.create(device=device, connection=account, channel_id=TANK)
    found = verify_channel(channel, equipment, datetime.now(UTC))
    assert len(create_mappings(channel, found.proposals)) == 3
    assert create_mappings(channel, found.proposals) == []
    assert FieldMapping.objects.filter(source=channel).count() == 3
    metrics = list(Metric.objects.filter(device=device).values_list("name", "unit", "position"))
    assert metrics == [
        ("water_level_cm", "cm", 0), ("water_temperature_c", "°C", 1), ("battery_v", "V", 2),
    ]  # fmt: skip
