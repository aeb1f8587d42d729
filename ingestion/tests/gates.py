"""Both gates behind one handle, with a clock that tests move by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import redis

from ingestion.resilience.gate import Gate, LocalGate, RedisGate
from ingestion.resilience.gate.shared import SCRIPT
from ingestion.resilience.policy import BreakerPolicy, RatePolicy

HOST, GROUP = "https://api.thingspeak.com:443", "connection:1"
RATE = RatePolicy(limit=60, window_s=59.0)  # an interval of exactly one second
BREAKER = BreakerPolicy(failures=3, open_s=60, open_max_s=200, probe_lease_s=30, min_calls=1000)

START_S = 1_795_212_000.0
"""2026-11-20, so that times have the size that they have in life."""

_SERVER_CLOCK = "local now = redis.call('TIME')\n  return now[1] * 1000000 + now[2]"
_TEST_CLOCK = "return tonumber(redis.call('GET', 'test:clock'))"


class Handle(Protocol):
    """A gate under test."""

    gate: Gate

    def advance(self, seconds: float) -> None:
        """Let time pass."""


@dataclass
class Local:
    """The gate in memory."""

    now_us: int = int(START_S * 1_000_000)
    luck: float = 0.0
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = LocalGate(clock=lambda: self.now_us / 1_000_000, chance=lambda: self.luck)

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


@dataclass
class Shared:
    """The gate in Redis: the real script, only its clock reads a key instead of the server's."""

    client: redis.Redis
    prefix: str = "telemetry:gate:"
    luck: float = 0.0
    now_us: int = int(START_S * 1_000_000)
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        assert SCRIPT.count(_SERVER_CLOCK) == 1
        script = SCRIPT.replace(_SERVER_CLOCK, _TEST_CLOCK)
        self.gate = RedisGate(
            self.client, prefix=self.prefix, script=script, chance=lambda: self.luck
        )
        self.advance(0)

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)
        self.client.set("test:clock", str(self.now_us))
