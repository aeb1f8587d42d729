"""Heartbeats of clock and worker, and the one Redis client that ingestion shares per process."""

from __future__ import annotations

import contextlib
import threading

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingestion.process import per_process

DISPATCH = "dispatch"
WORKER = "worker"
# Long enough to see «reported last 6 h ago»; short enough to forget a name that is gone.
KEEP_S = 7 * 86_400


@per_process
def client() -> redis.Redis:
    """This process's Redis client."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=2.0,
        socket_connect_timeout=2.0,
        # Fail closed at once: the schedule is the retry.
        retry=Retry(NoBackoff(), 1),
    )


def _key(name: str) -> str:
    return f"telemetry:pulse:{name}"


def beat(name: str) -> None:
    """Say «I am alive», on the Redis server's clock."""
    seconds, micros = client().time()
    client().set(_key(name), f"{seconds}.{micros:06d}", ex=KEEP_S)


def age_s(name: str) -> float | None:
    """Seconds since the last heartbeat; None when there was none."""
    stored = client().get(_key(name))
    if stored is None:
        return None
    seconds, micros = client().time()
    return max(seconds + micros / 1e6 - float(stored), 0.0)


def queue_length(key: str) -> int:
    """How many messages wait in a queue of the broker."""
    return int(client().llen(key))


def ping() -> None:
    """Raise redis.exceptions.RedisError when Redis does not answer."""
    client().ping()


def keep_beating(name: str, stop: threading.Event, every_s: float = 3.0) -> None:
    """Beat until `stop` is set; a Redis that is away is waited for, readiness tells of it."""
    while not stop.is_set():
        with contextlib.suppress(redis.RedisError):
            beat(name)
        stop.wait(every_s)
