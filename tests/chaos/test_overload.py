"""More is wanted than the budget gives: nothing is lost, nobody forgotten, the urgent fresh."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import redis

from benchmarks.report import percentile
from devices.models import ThingSpeakChannel
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from tests.chaos import figures
from tests.chaos.judge import Judge
from tests.chaos.mix import BUDGET, fleet_of, planned
from tests.chaos.operator import set_up
from tests.chaos.plan import CRITICAL, LOW, Account, Polled
from tests.chaos.scale import scaled
from tests.chaos.virtual import START, Virtual

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(1800),
]

SHARE = scaled("CHAOS_OVERLOAD_SHARE", 5, 1)  # a short run has a fifth of channels and budget
MIXED_S = 60 * scaled("CHAOS_OVERLOAD_MINUTES", 10, 60)
# Newcomers are asked for the first time one after the other, with half of the budget.
NEWCOMERS_S = 450
TEN_S = 60 * scaled("CHAOS_TEN_MINUTES", 20, 120)


@pytest.fixture
def client(redis_client: redis.Redis, redis_socket: str, settings: Any) -> redis.Redis:
    """The gate's server."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    return redis_client


def test_ten_channels_share_four_requests_a_minute(client: redis.Redis) -> None:
    proof = "10 at 4/min"
    with Judge("10x10") as judge:
        virtual = Virtual(judge, client)
        judge.control("journal", "POST", {"record_rows": True})
        channels = judge.polled(interval_s=10)
        set_up([Account("ThingSpeak", channels, {"rate_limit": 4})], judge.url, START)
        virtual.run(NEWCOMERS_S)
        figures.exactly(proof, "never asked", 10 - len(asked(judge)), 0)
        judge.control("journal", "DELETE")
        virtual.run(TEN_S)
        # One round of ten takes 152.5 s; each new round begins with whoever waits longest.
        figures.at_most(proof, "longest wait between polls", longest_wait(judge, virtual), 320, "s")
        figures.note(proof, "age when read, p95", oldest(judge, channels), "s")
        compare(proof, judge, channels)


def test_500_channels_want_more_than_twice_the_budget(client: redis.Redis) -> None:
    proof = "500 at 2.25x"
    with Judge(fleet_of(SHARE)) as judge:
        virtual = Virtual(judge, client)
        channels = planned(judge)
        settings = {"rate_limit": BUDGET // SHARE}
        set_up([Account("ThingSpeak", channels, settings)], judge.url, START)
        virtual.run(NEWCOMERS_S)
        judge.control("journal", "DELETE")
        judge.control("journal", "POST", {"record_rows": True})
        virtual.run(MIXED_S)
        urgent = [one for one in channels if one.priority == CRITICAL]
        patient = [one for one in channels if one.priority == LOW]
        figures.at_most(proof, "critical, age when read, p95", oldest(judge, urgent), 15, "s")
        figures.at_most(proof, "low, age when read, p95", oldest(judge, patient), 500, "s")
        figures.at_most(proof, "longest wait between polls", longest_wait(judge, virtual), 900, "s")
        compare(proof, judge, channels)


def oldest(judge: Judge, channels: list[Polled]) -> float:
    """The age at which 95 % of these channels' entries had been served, in seconds."""
    ages = judge.control("ages")
    return percentile([age for one in channels for age in ages[str(one.channel)]], 95)


def asked(judge: Judge) -> set[int]:
    """The channels that were asked at all."""
    return {one["channel"] for one in judge.visits()}


def longest_wait(judge: Judge, virtual: Virtual) -> float:
    """The longest time, in seconds, that any channel was not asked; never asked counts from the
    beginning of the record to now.
    """
    visits = judge.visits()
    longest = 0.0
    for channel in {one["id"] for one in judge.fleet()}:
        polls = [one["simulated"] for one in visits if one["channel"] == channel]
        times = [visits[0]["simulated"], *polls, virtual.at.timestamp()]
        longest = max(longest, *(later - earlier for earlier, later in pairwise(times)))
    return longest


def compare(proof: str, judge: Judge, channels: list[Polled]) -> None:
    """Every entry up to each channel's newest is stored, and nothing else."""
    lost = added = compared = 0
    for one in channels:
        kept = stored(one.channel)
        provided = {(at, number) for at, number, *_ in judge.rows(one.channel, START, max(kept)[0])}
        own = {(int(at.timestamp()), number) for at, number in kept}
        lost += len(provided - own)
        added += len(own - provided)
        compared += len(provided)
    figures.exactly(proof, f"lost of {compared} entries", lost, 0)
    figures.exactly(proof, "doubled or invented", added, 0)


def stored(channel: int) -> list[tuple[datetime, int]]:
    """Time and number of every stored entry of a channel."""
    source = ThingSpeakChannel.objects.get(channel_id=channel)
    metric = source.device.metrics.get(name="field1")
    request = HistoryRequest(metric.pk, START, datetime.max.replace(tzinfo=START.tzinfo), 1_000_000)
    return [(one.at, one.sequence) for one in get_store().history(request)]
