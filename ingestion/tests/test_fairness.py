"""The real dispatcher under too small a budget: nobody starves, nothing is lost, urgent first."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from devices.models import Connection, Priority
from ingestion.tests import stack as network
from ingestion.tests.virtual import VirtualFleet, mixed_fleet, percentile

pytestmark = pytest.mark.django_db


def account(**changes: Any) -> Connection:
    return Connection.objects.create(name="ThingSpeak", **changes)


def test_ten_channels_every_ten_seconds_under_four_a_minute() -> None:
    fleet = VirtualFleet(account(rate_limit=4))
    own = fleet.add(10, network.device(), 10, Priority.NORMAL)
    fleet.enrol()
    fleet.run(310)  # until all newcomers were asked
    fleet.forget()
    fleet.run(1500)
    assert len(fleet.sent) >= 1500 / 15.25 - 2  # the whole budget is used
    spans = [later - sooner for sooner, later in zip(fleet.sent, fleet.sent[4:], strict=False)]
    assert min(spans) >= 60
    assert sum(fleet.polls[one].lost for one in own) == 0
    counts = [len(fleet.polls[one].asked_at) for one in own]
    assert max(counts) - min(counts) <= 2  # none is starved, none preferred


def test_five_hundred_mixed_channels_at_more_than_twice_the_budget() -> None:
    fleet = VirtualFleet(account(rate_limit=240))
    classes = mixed_fleet(fleet, network.device())
    fleet.enrol()
    fleet.run(500)  # until the crowd of newcomers has spread
    fleet.forget()
    fleet.run(700)
    p95 = {
        one: percentile([age for pk in own for age in fleet.polls[pk].ages_s], 95)
        for one, own in classes.items()
    }
    assert p95[Priority.CRITICAL] <= 15
    assert p95[Priority.LOW] <= 500
    assert sum(polls.lost for polls in fleet.polls.values()) == 0
    fewest = min(len(fleet.polls[pk].asked_at) for own in classes.values() for pk in own)
    assert fewest >= 1  # none is starved


def test_after_half_an_hour_of_outage_the_urgent_come_first() -> None:
    fleet = VirtualFleet(account(rate_limit=240))
    classes = mixed_fleet(fleet, network.device())
    fleet.enrol()
    fleet.run(200)
    began, back = fleet.now, fleet.now + 1800
    fleet.down = lambda now: began <= now < back
    fleet.run(1800)
    trials = [at for at in fleet.sent if began + 5 <= at < back]
    assert all(later - sooner >= 5 for sooner, later in pairwise(trials))  # one at a time
    fleet.run(160)
    fresh_after = {
        pk: next(at for at in polls.asked_at if at >= back) - back
        for pk, polls in fleet.polls.items()
    }
    assert max(fresh_after[pk] for pk in classes[Priority.CRITICAL]) <= 50
    assert max(fresh_after.values()) <= 500 / 4 + 30
