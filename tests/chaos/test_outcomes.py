"""A provider that misbehaves towards some channels: each ending is told as what it is, and the
channels beside it do not notice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from simulator.testing import RunningSimulator
from tests.chaos import figures
from tests.chaos.conftest import Besiege
from tests.chaos.plan import Account, Polled
from tests.chaos.scale import LONG, scaled
from tests.chaos.site import Besieged, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

PROOF = "outcomes"
HEALTHY = 20
LASTS_S = scaled("CHAOS_OUTCOMES_S", 20, 180)
# Polled every 5 s; the machine of a short run is busy with other tests.
OLDEST_S = 15.0 if LONG else 45.0
BESIDE = 3

SHARED = {"rate_limit": 1200}

# What the provider does to a channel, and what the poll log must say of it.
Fault = tuple[Mapping[str, object], str]
OF_ONE_CHANNEL: dict[str, Fault] = {
    "wrong_key": ({"kind": "wrong_key"}, "credential"),
    "-1": ({"kind": "minus_one"}, "credential"),
    "404": ({"kind": "status", "code": 404}, "not_found"),
    "500": ({"kind": "status", "code": 500}, "server"),
    "503": ({"kind": "status", "code": 503}, "gateway"),
    "html": ({"kind": "html"}, "not_the_api"),
    "cut-off": ({"kind": "cutoff"}, "cut_off"),
    "slow drip": ({"kind": "drip"}, "timeout"),
    "10 MB": ({"kind": "huge"}, "too_large"),
    "reset": ({"kind": "reset"}, "connect"),
    "redirect": ({"kind": "redirect"}, "redirected"),
}
# What concerns the whole account: its own channels wait, those of other accounts do not.
OF_AN_ACCOUNT: dict[str, Fault] = {
    "402": ({"kind": "status", "code": 402}, "licence"),
    "429": ({"kind": "status", "code": 429, "retry_after": 30.0}, "throttled"),
}
# How a source's trouble is called where only a person can cure it.
REASONS = {"wrong_key": "key_rejected", "-1": "key_rejected", "404": "not_found"}


def test_every_ending_is_told_as_what_it_is_and_harms_no_other(besiege: Besiege) -> None:
    site = besiege(f"{HEALTHY + len(OF_ONE_CHANNEL) + BESIDE * len(OF_AN_ACCOUNT)}x2")
    channels = site.judge.polled()
    healthy, rest = channels[:HEALTHY], channels[HEALTHY:]
    struck = dict(zip(OF_ONE_CHANNEL, rest, strict=False))
    accounts = [Account("Shared", mixed(healthy, list(struck.values())), SHARED)]
    for place, name in enumerate(OF_AN_ACCOUNT):
        own = rest[len(OF_ONE_CHANNEL) + BESIDE * place :][:BESIDE]
        struck[name] = own[0]
        accounts.append(Account(f"Account {name}", own, {"rate_limit": 1200}))
    with RunningSimulator() as private:
        began = site.open(accounts)
        until(lambda: site.succeeded(began) == len(channels), "every channel was read once")
        struck_at = strike(site, struck, private.url)
        until(lambda: told(site, struck, struck_at), "every ending is in the poll log", 90)
        site.judge.control("journal", "POST", {"record_rows": True})
        until(lambda: (datetime.now(UTC) - struck_at).total_seconds() > LASTS_S, "time passes")
        ages = site.judge.control("ages")
        elapsed_s = (datetime.now(UTC) - struck_at).total_seconds()
        assert private.control("journal")["total"]["requests"] == 0

    figures.none(PROOF, "endings told wrongly", wrong(site, struck, struck_at))
    oldest = max(max(ages[str(one.channel)], default=elapsed_s) for one in healthy)
    figures.at_most(PROOF, "oldest entry of a channel beside them", oldest, OLDEST_S, "s")
    site.judge.heal()
    site.kept.change("UPDATE ingestion_pollstate SET next_poll_at = last_polled_at")
    # A licence that is used up is asked about once an hour.
    readable = [one for one in channels if one not in accounts[1].channels]
    healed_at = datetime.now(UTC)
    site.wait_for_cursors(readable, healed_at)
    lost, added, compared = site.differences(began, healed_at, readable)
    figures.exactly(PROOF, f"lost of {compared} entries, all faults over", lost, 0)
    figures.exactly(PROOF, "doubled or invented", added, 0)
    assert failing(site) >= {(struck[name].channel, reason) for name, reason in REASONS.items()}
    assert not [text for kind, text in site.alerts() if kind == "device_offline"]
    for polled in channels:
        assert not polled.read_key or polled.read_key not in site.logs()


def mixed(healthy: Sequence[Polled], struck: Sequence[Polled]) -> list[Polled]:
    """All of them, the struck ones spread among the healthy."""
    each = len(healthy) // len(struck) + 1
    order: list[Polled] = []
    for place in range(len(healthy)):
        order += [*healthy[place * each : (place + 1) * each], *struck[place : place + 1]]
    return order


def strike(site: Besieged, struck: Mapping[str, Polled], elsewhere: str) -> datetime:
    """Let the provider misbehave; from when on it does."""
    for name, (fault, _) in {**OF_ONE_CHANNEL, **OF_AN_ACCOUNT}.items():
        more = {"to": f"{elsewhere}/channels/1/feeds.json"} if name == "redirect" else {}
        site.judge.control("faults", "POST", {**fault, **more, "channel": struck[name].channel})
    return datetime.now(UTC)


def outcomes(site: Besieged, channel: int, since: datetime) -> Counter[str]:
    """What the polls of a channel that began since then came to."""
    query = """
        SELECT log.outcome, log.message FROM ingestion_polllog log
        JOIN devices_thingspeakchannel channel ON channel.source_ptr_id = log.source_id
        WHERE channel.channel_id = ? AND log.at > ?
    """
    rows = site.kept.rows(query, channel, site.kept.instant(since))
    assert all(message for outcome, message in rows if outcome != "ok")
    return Counter(outcome for outcome, _ in rows)


def told(site: Besieged, struck: Mapping[str, Polled], since: datetime) -> bool:
    """Whether every struck channel was asked meanwhile."""
    return all(outcomes(site, one.channel, since) for one in struck.values())


def wrong(site: Besieged, struck: Mapping[str, Polled], since: datetime) -> dict[str, Counter[str]]:
    """What was told of a struck channel beside what happened to it."""
    expected = {name: kind for name, (_, kind) in {**OF_ONE_CHANNEL, **OF_AN_ACCOUNT}.items()}
    found = {}
    for name, kind in expected.items():
        # Its account's budget or the breaker may have kept it from asking; that is true as well.
        said = outcomes(site, struck[name].channel, since)
        if not said[kind] or said.keys() - {kind, "budget", "circuit_open"}:
            found[name] = said
    return found


def failing(site: Besieged) -> set[tuple[int, str]]:
    """Channels that are told to fail, and why."""
    query = """
        SELECT channel.channel_id, alert.reason FROM alerts_alert alert
        JOIN devices_thingspeakchannel channel ON channel.source_ptr_id = alert.source_id
        WHERE alert.kind = 'source_failing'
    """
    return set(site.kept.rows(query))
