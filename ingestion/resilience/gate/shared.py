"""The gate in Redis (or Valkey), shared by all processes: `gate.lua` on the server's clock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import redis

from ingestion.resilience.gate.base import (
    Budget,
    GateUnavailable,
    Passage,
    Reservation,
    Snapshot,
    Verdict,
)
from ingestion.resilience.gate.local import MICROS, describe, micros
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy

SCRIPT = Path(__file__).with_name("gate.lua").read_text(encoding="utf-8")
PREFIX = "telemetry:gate:"


class RedisGate:
    """`Gate` for any number of processes. Only names of hosts and accounts are kept, no secrets.

    Every operation is one call of one script, which the client loads again when the server has
    forgotten it. Keys expire when they say nothing any more. Any failure of Redis is
    GateUnavailable: nothing may be asked without the gate.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = PREFIX,
        script: str = SCRIPT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._prefix = prefix
        self._script = client.register_script(script)
        self._chance = chance

    def _run(self, operation: str, host: str, group: str, args: dict[str, Any]) -> list[float]:
        keys = [f"{self._prefix}host:{host}", f"{self._prefix}group:{group}"]
        try:
            answer = self._script(keys=keys, args=[operation, json.dumps(args)])
        except redis.RedisError as error:
            raise GateUnavailable(
                "Redis cannot be reached, so nothing may be asked. Start it, or correct REDIS_URL."
            ) from error
        return [float(item) for item in cast("list[bytes | str]", answer)]

    def reserve(self, group: str, policy: RatePolicy, n: int, max_wait_s: float) -> Reservation:
        """See `Gate.reserve`."""
        args = {"rate": _rate(policy), "n": n, "max_wait": micros(max_wait_s)}
        granted, wait, interval, end = self._run("reserve", "", group, args)
        return Reservation(int(granted), wait / MICROS, interval / MICROS, int(end))

    def refund(self, group: str, reservation: Reservation, unused: int) -> bool:
        """See `Gate.refund`."""
        unused = min(unused, reservation.granted)
        if unused <= 0:
            return False
        interval = round(reservation.interval_s * MICROS)
        args = {"end": reservation.end, "unused": unused, "interval": interval}
        return self._run("refund", "", group, args) == [1]

    def enter(
        self,
        host: str,
        policy: BreakerPolicy,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
        *,
        again: bool = False,
    ) -> Passage:
        """See `Gate.enter`."""
        return self._enter(host, policy, 1, budget, retry, again=again)

    def enter_batch(
        self,
        host: str,
        policy: BreakerPolicy,
        n: int,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
    ) -> Passage:
        """See `Gate.enter_batch`."""
        return self._enter(host, policy, n, budget, retry, again=False)

    def _enter(
        self,
        host: str,
        policy: BreakerPolicy,
        n: int,
        budget: Budget | None,
        retry: RetryPolicy,
        *,
        again: bool,
    ) -> Passage:
        args: dict[str, Any] = {
            "n": n,
            "lease": micros(policy.probe_lease_s),
            "again": again,
            "share": retry.share,
            "saved": retry.saved,
        }
        if budget is not None:
            args["budget"] = {
                "rate": _rate(budget.policy),
                "max_wait": micros(budget.max_wait_s),
                "reserved": budget.reserved,
            }
        group = "" if budget is None else budget.group
        verdict, wait, token, admitted, interval = self._run("enter", host, group, args)
        return Passage(
            Verdict(int(verdict)), wait / MICROS, int(token), int(admitted), interval / MICROS
        )

    def record(self, host: str, policy: BreakerPolicy, ok: bool | None, passage: Passage) -> None:
        """See `Gate.record`."""
        self.record_batch(host, policy, [ok], passage)

    def record_batch(
        self, host: str, policy: BreakerPolicy, outcomes: Sequence[bool | None], passage: Passage
    ) -> None:
        """See `Gate.record_batch`."""
        args = {
            "outcomes": list(outcomes),
            "token": passage.token,
            "failures": policy.failures,
            "window": micros(policy.window_s),
            "min_calls": policy.min_calls,
            "ratio": policy.ratio,
            "open": policy.open_s,
            "longest": policy.longest_open_s,
            "jitter": policy.jitter,
            "chance": self._chance(),
        }
        self._run("record", host, "", args)

    def throttled(self, group: str, policy: RatePolicy, retry_after_s: float | None) -> None:
        """See `Gate.throttled`."""
        seconds = policy.pause_s if retry_after_s is None else retry_after_s
        self._pause(group, policy, seconds, slower=True)

    def pause(self, group: str, policy: RatePolicy, seconds: float) -> None:
        """See `Gate.pause`."""
        self._pause(group, policy, seconds, slower=False)

    def _pause(self, group: str, policy: RatePolicy, seconds: float, *, slower: bool) -> None:
        pause = micros(min(max(seconds, policy.interval_s), policy.pause_max_s))
        self._run("pause", "", group, {"rate": _rate(policy), "pause": pause, "slower": slower})

    def snapshot(self, host: str, group: str, policy: RatePolicy) -> Snapshot:
        """See `Gate.snapshot`."""
        now, opened, lease, streak, trips, slot, paused, rate = self._run(
            "snapshot", host, group, {"rate": _rate(policy)}
        )
        return describe(
            int(now),
            (int(opened), int(lease), int(streak), int(trips)),
            (int(slot), int(paused), rate),
        )


def _rate(policy: RatePolicy) -> dict[str, float]:
    return {
        "interval": micros(policy.interval_s),
        "window": micros(policy.window_s),
        "slowest": policy.slowest,
        "recovery": policy.recovery,
    }
