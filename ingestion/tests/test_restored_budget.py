"""After a restore the restored request budget governs, whatever Redis remembers of a later one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone

from devices.models import Connection, KeyCheck
from devices.readings.backup import restore, write_backup
from ingestion.resilience.gate import Gate, RedisGate
from ingestion.rules import route_of

pytestmark = [
    pytest.mark.redis,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
]


@pytest.fixture
def gate(redis_client: redis.Redis) -> Gate:
    """The gate as every process has it."""
    return RedisGate(redis_client)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a site that asks four times a minute."""
    KeyCheck.ensure()
    Connection.objects.create(name="ThingSpeak", rate_limit=4, rate_jitter_s=0)
    file = tmp_path / "site.zip"
    write_backup(file, timezone.now())
    return file


def spacing(gate: Gate, account: Connection) -> float:
    """How far apart requests are sent, as whoever holds these settings is told."""
    route = route_of(account)
    return gate.reserve(route.group, route.rate, 1, 60).interval_s


def test_a_restored_budget_governs_those_that_remember_a_later_one(
    gate: Gate, backup: Path
) -> None:
    raised = Connection.objects.get()
    raised.rate_limit = 240
    raised.save()
    assert spacing(gate, raised) == 0.25

    restore(backup, replace=True)

    assert spacing(gate, Connection.objects.get()) == 15.0
    assert spacing(gate, raised) == 15.0  # a worker that was not stopped


def test_the_budget_of_a_new_database_governs_too(gate: Gate, backup: Path) -> None:
    """The database was lost, Redis was not."""
    raised = Connection.objects.get()
    raised.rate_limit = 240
    raised.save()
    assert spacing(gate, raised) == 0.25
    raised.delete()

    restore(backup, replace=True)

    assert spacing(gate, Connection.objects.get()) == 15.0


def test_a_clock_that_was_set_back_does_not_keep_the_later_budget(gate: Gate, backup: Path) -> None:
    ahead = Connection.objects.get()
    ahead.rate_limit = 240
    tomorrow = timezone.now() + timedelta(days=1)
    ahead.revision = int(tomorrow.timestamp() * 1000)
    ahead.save()
    assert spacing(gate, ahead) == 0.25

    restore(backup, replace=True)

    assert spacing(gate, Connection.objects.get()) == 15.0
