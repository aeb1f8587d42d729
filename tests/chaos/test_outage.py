"""The provider is away for half an hour: it is left in peace, people are told once and truly, and
whatever is most urgent is fresh again first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis

from devices.alerts.models import Alert, Kind
from tests.chaos import figures
from tests.chaos.judge import Judge
from tests.chaos.mix import BUDGET, MIX, fleet_of, planned
from tests.chaos.operator import set_up
from tests.chaos.plan import CRITICAL, Account
from tests.chaos.scale import scaled
from tests.chaos.virtual import START, Virtual

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
]

PROOF = "outage"
OUTAGE_S = 60 * scaled("CHAOS_OUTAGE_MINUTES", 10, 30)
SHARE = scaled("CHAOS_OUTAGE_SHARE", 5, 1)  # a short run has a fifth of channels and budget
CHANNELS = sum(number for number, _, _ in MIX) // SHARE
# Asking every channel once takes so long with this budget, whatever the order.
MINIMUM_S = 60.0 * CHANNELS / (BUDGET // SHARE)


@pytest.fixture
def mixed() -> Iterator[Judge]:
    with Judge(fleet_of(SHARE)) as judge:
        yield judge


def test_after_an_outage_the_urgent_is_fresh_first(
    mixed: Judge, redis_client: redis.Redis, settings: Any, redis_socket: str
) -> None:
    settings.REDIS_URL = f"unix://{redis_socket}"
    virtual = Virtual(mixed, redis_client)
    channels = planned(mixed)
    set_up([Account("ThingSpeak", channels, {"rate_limit": BUDGET // SHARE})], mixed.url, START)
    virtual.run(2 * MINIMUM_S)
    outage = mixed.fault("status", code=503)
    mixed.control("journal", "DELETE")
    virtual.run(OUTAGE_S)
    probes = [one for one in mixed.visits() if one["status"] == 503]
    assert [alert.kind for alert in Alert.objects.open()] == [Kind.UPSTREAM_DOWN]

    mixed.control(f"faults/{outage}", "DELETE")
    mixed.control("journal", "DELETE")
    recovered = virtual.at.timestamp()
    virtual.run(3 * MINIMUM_S)
    fresh = first_success(mixed.visits(), recovered)

    figures.note(PROOF, f"probes in {OUTAGE_S // 60} min", len(probes))
    figures.at_most(PROOF, "requests a minute meanwhile", 60 * len(probes) / OUTAGE_S, 4)
    urgent = [one.channel for one in channels if one.priority == CRITICAL]
    assert fresh.keys() >= {one.channel for one in channels}
    figures.at_most(PROOF, "critical fresh after", max(fresh[one] for one in urgent), 50, "s")
    last = max(fresh.values())
    figures.at_most(PROOF, f"all fresh beyond {MINIMUM_S:.0f} s", last - MINIMUM_S, 30, "s")
    upstream = Alert.objects.filter(kind=Kind.UPSTREAM_DOWN)
    figures.exactly(PROOF, "alerts about the provider", upstream.count(), 1)
    assert upstream.get().resolved_at is not None
    offline = Alert.objects.filter(kind=Kind.DEVICE_OFFLINE)
    figures.exactly(PROOF, "devices wrongly offline", offline.count(), 0)


def first_success(visits: list[Mapping[str, Any]], since: float) -> dict[int, float]:
    """After how many seconds each channel was answered with success for the first time."""
    first: dict[int, float] = {}
    for one in visits:
        if one["status"] == 200:
            first.setdefault(one["channel"], one["simulated"] - since)
    return first
