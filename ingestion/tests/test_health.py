"""What somebody's monitoring sees: alive, ready, and what exactly is not."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from django.test import Client
from encrypted_model_fields import fields

from devices.models import KeyCheck
from ingestion import pulse

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(redis_client: redis.Redis, redis_socket: str, settings: Any) -> Any:
    """A site whose Redis is the test's own."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    pulse.client.cache_clear()
    KeyCheck.ensure()
    yield Client()
    pulse.client.cache_clear()


def ready(site: Client) -> tuple[int, dict[str, Any]]:
    response = site.get("/readyz")
    return response.status_code, response.json()["checks"]


def test_alive_asks_nobody(client: Client, settings: Any, django_assert_num_queries: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "alive"}
    assert response["Cache-Control"] == "no-store"


def test_ready_when_everything_works(site: Client) -> None:
    pulse.beat(pulse.DISPATCH)
    pulse.beat(pulse.WORKER)
    status, checks = ready(site)
    assert status == 200
    assert set(checks) == {"database", "redis", "dispatch", "worker", "disk"}
    assert checks["disk"]["free_mb"] > 0
    assert all(part["ok"] for part in checks.values())
    assert checks["dispatch"]["age_s"] < 5


def test_a_disk_that_fills_up_is_named_before_it_is_full(site: Client, settings: Any) -> None:
    settings.LEAST_FREE_MB = 10**12
    status, checks = ready(site)
    assert status == 503
    assert re.fullmatch(
        r"Only [\d,]+ MB are free on the disk of (DATA|ARCHIVE)_DIR: make room before nothing can "
        r"be stored any more\.",
        checks["disk"]["message"],
    )


def test_a_dispatcher_that_never_ran_is_named(site: Client) -> None:
    pulse.beat(pulse.WORKER)
    status, checks = ready(site)
    assert status == 503
    assert checks["worker"]["ok"]
    assert checks["dispatch"] == {
        "ok": False,
        "message": "The dispatcher has not reported since Redis was started.",
    }


@pytest.mark.parametrize(
    ("name", "late_s", "who"),
    [(pulse.DISPATCH, 6, "The dispatcher"), (pulse.WORKER, 11, "The worker")],
)
def test_a_late_heartbeat_is_named_with_its_age(
    site: Client, redis_client: redis.Redis, name: str, late_s: int, who: str
) -> None:
    pulse.beat(pulse.DISPATCH)
    pulse.beat(pulse.WORKER)
    seconds, _ = redis_client.time()
    redis_client.set(f"telemetry:pulse:{name}", seconds - late_s)
    status, checks = ready(site)
    assert status == 503
    assert re.fullmatch(rf"{who} reported last \d+ s ago\.", checks[name]["message"])


def test_redis_away_is_told_without_its_address(site: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://:topsecret@127.0.0.1:1/0"
    pulse.client.cache_clear()
    response = site.get("/readyz")
    assert response.status_code == 503
    assert not response.json()["checks"]["redis"]["ok"]
    assert "Redis does not answer" in response.json()["checks"]["redis"]["message"]
    assert "topsecret" not in response.content.decode()


def test_a_key_of_another_database_is_told(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "CRYPTER", Fernet(Fernet.generate_key()))
    status, checks = ready(site)
    assert status == 503
    assert "encryption key does not fit this database" in checks["database"]["message"]
