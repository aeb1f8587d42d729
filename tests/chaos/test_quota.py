"""A strict server, a crowd of processes whose clocks disagree, a restart in the middle: the budget
is used and never exceeded, and no channel is ever asked twice at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scripts.postgresql import Server
from tests.chaos import figures
from tests.chaos.conftest import Besiege
from tests.chaos.plan import Account
from tests.chaos.scale import LONG, scaled
from tests.chaos.site import Besieged, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PROOF = "strict quota"
# Four requests a second; three times as many are wanted. A channel that was handed out when its
# worker was killed is out of the race until its lease ends: the others alone have to want it all.
WINDOW_S = scaled("CHAOS_QUOTA_WINDOW_S", 10, 60)
LIMIT = 4 * WINDOW_S
FLEET = "60x5"
# So many windows before the restart, and again after it.
WINDOWS = scaled("CHAOS_QUOTA_WINDOWS", 1, 3)
# A second is kept free for jitter on the way: 60 of 61 s is all that can be used, 10 of 11 here.
# The machine of a short run is busy with other tests: nothing is promised but that it is asked.
LEAST = 0.97 if LONG else 0.20
SETTLES_S = scaled("CHAOS_QUOTA_SETTLES_S", 3, 10)
SKEWS_S = (2.0, -2.0)
# The site's own dispatcher and worker, two more workers, three more dispatchers.
CONSUMERS = 2 + 2 + 3


def test_the_quota_is_used_and_never_exceeded(postgresql: Server, besiege: Besiege) -> None:
    site = besiege(FLEET, postgresql)
    site.judge.control("limiter", "POST", {"limit": LIMIT, "window_s": WINDOW_S})
    site.judge.fault("latency", seconds=0.2)  # only then is it seen who is asked at once
    budget = {"rate_limit": LIMIT, "rate_window_s": WINDOW_S}
    began = site.open([Account("ThingSpeak", site.judge.polled(interval_s=5), budget)])
    skewed = [site.add("worker", skew_s=skew_s) for skew_s in SKEWS_S]
    for skew_s in (*SKEWS_S, 0.0):
        site.add("dispatcher", skew_s=skew_s)
    site.add("beat")
    until(lambda: site.consumers() == CONSUMERS, "all are there")
    site.wait_until_flowing(len(site.judge.fleet()))

    before = used(site)
    for process in skewed:
        process.kill()
    for name in ("worker", "dispatcher", "beat"):
        site.kill(name)
    for skew_s in SKEWS_S:
        site.add("worker", skew_s=skew_s)
    site.wait_until_flowing(len(site.judge.fleet()) // 4)
    pause(SETTLES_S)
    after = used(site)

    limiter = site.judge.control("limiter")
    figures.exactly(PROOF, f"429s in {limiter['accepted']} requests", limiter["refused"], 0)
    most = site.judge.control(f"pace?window_s={WINDOW_S}")["most_in_a_window"]
    figures.at_most(PROOF, f"most requests in any {WINDOW_S} s", most, LIMIT)
    figures.at_least(PROOF, "quota used before the restart", 100 * before, 100 * LEAST, "%")
    figures.at_least(PROOF, "quota used after the restart", 100 * after, 100 * LEAST, "%")
    figures.at_most(
        "once at a time", "requests at once, 4 dispatchers", site.judge.most_at_once(), 1
    )
    assert began


def used(site: Besieged) -> float:
    """The share of the quota that is used from now on, over so many windows."""
    start = site.judge.control(f"pace?window_s={WINDOW_S}")["now"]
    pause(WINDOW_S * WINDOWS)
    counted = site.judge.control(f"pace?window_s={WINDOW_S}&since={start}")
    return float(counted["arrivals"] / (LIMIT * (counted["now"] - start) / WINDOW_S))


def pause(seconds: float) -> None:
    """Let real time pass: what is proved is what happens in it."""
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    until(lambda: datetime.now(UTC) >= end, "time passes", seconds + 60)
