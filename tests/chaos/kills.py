"""What can die at three in the morning, and the proof that it comes back and nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import redis

from scripts.postgresql import Server
from scripts.servers import Unavailable
from tests.chaos import figures
from tests.chaos.plan import Account
from tests.chaos.scale import scaled
from tests.chaos.site import Besieged, until

ROUNDS = scaled("CHAOS_KILLS", 1, 10)
TIMEOUT_S = 600 + ROUNDS * 300

# Entries of each channel come fifteen times as often as ThingSpeak takes them for nothing.
FLEET = "30x1"
# So many sources must have been asked with success before data counts as flowing again.
FLOWING = 10
# The provider was tried so often while it was down.
PROBES = 2
LIMIT = {"rate_limit": 900, "rate_window_s": 60, "breaker_open_s": 2}

Harm = Callable[[], None]


def prove(site: Besieged, proof: str, harms: Mapping[str, Harm], minutes: float = 0) -> None:
    """Do all harm so many times while entries come in, then compare with the judge.

    It takes so many minutes at least: who is back sooner waits for the next harm.
    """
    began = site.open([Account("ThingSpeak", site.judge.polled(), LIMIT)])
    site.wait_until_flowing(len(site.judge.fleet()))
    site.judge.control("limiter", "POST", {"limit": 900, "window_s": 60})
    recovered = besieged_for(site, harms, timedelta(minutes=minutes))
    end = datetime.now(UTC)
    site.wait_until_read(end)
    lost, added, compared = site.differences(began, end)
    for name, seconds in recovered.items():
        figures.note(proof, f"back after: {name}", seconds, "s at most")
    figures.note(proof, "answers of 429", site.judge.control("limiter")["refused"])
    figures.exactly(proof, f"lost of {compared} entries", lost, 0)
    figures.exactly(proof, "doubled or invented", added, 0)
    figures.at_most(proof, "requests at once for one channel", site.judge.most_at_once(), 1)
    assert not [text for kind, text in site.alerts() if kind == "device_offline"]
    assert site.stop() == 0
    assert site.processes() == {}


def harms_of(site: Besieged) -> dict[str, Harm]:
    """What can happen to any site. What takes longest to be made up for comes first."""
    killed: dict[str, Harm] = {
        name: lambda name=name: site.kill(name)  # type: ignore[misc]
        for name in ("dispatcher", "beat", "web")
    }
    return {
        "worker": lambda: kill_worker_at_work(site),
        "worker's children": lambda: site.kill_children("worker"),
        **killed,
        "Valkey": lambda: kill_valkey(site),
        "Valkey and its data": site.wipe_valkey,
        "provider hangs": lambda: hang(site),
        "provider is down": lambda: outage(site),
    }


def harms_of_server(server: Server) -> dict[str, Harm]:
    """What can happen to a database that is a server."""
    return {
        "database": lambda: restart(server, signal.SIGINT),
        "database, kill -9": lambda: restart(server, signal.SIGKILL),
    }


def besieged_for(site: Besieged, harms: Mapping[str, Harm], lasts: timedelta) -> dict[str, float]:
    """Do all harm, round after round; the longest that each took until data flowed again."""
    began = datetime.now(UTC)
    longest: dict[str, float] = {}
    for done in range(ROUNDS * len(harms)):
        name = list(harms)[done % len(harms)]
        start = datetime.now(UTC)
        harms[name]()
        site.wait_until_flowing(FLOWING)
        longest[name] = max(longest.get(name, 0.0), (datetime.now(UTC) - start).total_seconds())
        due = began + lasts * ((done + 1) / (ROUNDS * len(harms)))
        until(lambda due=due: datetime.now(UTC) >= due, "the next harm is due")  # type: ignore[misc]
    return longest


def kill_worker_at_work(site: Besieged) -> None:
    """Kill the worker while the provider has not answered it yet."""
    slow = site.judge.fault("latency", seconds=0.5)
    until(lambda: bool(site.judge.totals()["in_flight"]), "requests are under way")
    site.kill("worker")
    site.judge.control(f"faults/{slow}", "DELETE")


def kill_valkey(site: Besieged) -> None:
    """What Valkey was told stays known."""
    with redis.Redis.from_url(site.redis_url()) as client:
        client.set("of this test", "kept")
        site.kill("valkey")
        until(lambda: answers(client), "Valkey answers")
        assert client.get("of this test") == b"kept"


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def hang(site: Besieged) -> None:
    """The provider accepts connections and says nothing, until polls were given up."""
    began = datetime.now(UTC)
    os.kill(site.judge.pid, signal.SIGSTOP)
    try:
        until(lambda: timed_out(site, began), "polls are given up")
    finally:
        os.kill(site.judge.pid, signal.SIGCONT)


def outage(site: Besieged) -> None:
    """The provider answers every request late and with an error; it is asked by one at a time."""
    slow = site.judge.fault("latency", seconds=0.5)
    error = site.judge.fault("status", code=503)
    until(lambda: opened(site), "the provider is left in peace")
    until(lambda: not site.judge.totals()["in_flight"], "what was under way has ended")
    site.judge.control("journal", "DELETE")
    until(lambda: site.judge.totals()["requests"] >= PROBES, "it is tried again")
    probes = site.judge.totals()
    for fault in (slow, error):
        site.judge.control(f"faults/{fault}", "DELETE")
    assert probes["in_flight_max"] == 1, probes


def opened(site: Besieged) -> bool:
    """Whether an alert about the provider is open."""
    query = "SELECT count(*) FROM alerts_alert WHERE kind = 'upstream_down' AND resolved_at IS NULL"
    return bool(site.kept.rows(query)[0][0])


def timed_out(site: Besieged, since: datetime) -> bool:
    query = "SELECT count(*) FROM ingestion_polllog WHERE outcome = 'timeout' AND at > ?"
    return bool(site.kept.rows(query, site.kept.instant(since))[0][0])


def restart(server: Server, number: signal.Signals) -> None:
    """End the database server and start it again, as an upgrade or a crash does."""
    server.end(number)
    until(lambda: started(server), "PostgreSQL answers again")


def started(server: Server) -> bool:
    """Whether it could be started; what is left of a killed one may be in the way for a moment."""
    try:
        server.start()
    except Unavailable:
        return False
    return True
