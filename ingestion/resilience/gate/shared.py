"""The gate in Redis (or Valkey), shared by all processes: `gate.lua` on the server's clock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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
from ingestion.resilience.gate.budget import MICROS, asked_for, micros, pause_for
from ingestion.resilience.gate.snapshots import Numbers, describe
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
        self._client = client
        self._script = client.register_script(script)
        self._chance = chance

    def _run(self, operation: str, host: str, group: str, args: dict[str, Any]) -> list[float]:
        return self._run_many(operation, [(host, group, args)])[0]

    def _run_many(
        self, operation: str, calls: Sequence[tuple[str, str, dict[str, Any]]]
    ) -> list[list[float]]:
        """One exchange for all calls, each for itself: they may be of different accounts."""
        many = len(calls) > 1
        try:
            with self._client.pipeline(transaction=False) as pipe:
                answers = [
                    self._script(
                        keys=[f"{self._prefix}host:{host}", f"{self._prefix}group:{group}"],
                        args=[operation, json.dumps(args)],
                        client=pipe if many else self._client,
                    )
                    for host, group, args in calls
                ]
                answers = pipe.execute() if many else answers
        except redis.RedisError as error:
            raise GateUnavailable(
                "Redis cannot be reached, so nothing may be asked. Start it, or correct REDIS_URL."
            ) from error
        return [[float(item) for item in cast("list[bytes | str]", one)] for one in answers]

    def now(self) -> float:
        """See `Gate.now`."""
        return self._run("now", "", "", {})[0] / MICROS

    def reserve(self, group: str, policy: RatePolicy, n: int, max_wait_s: float) -> Reservation:
        """See `Gate.reserve`."""
        return self.reserve_many([(group, policy, n)], max_wait_s)[0]

    def reserve_many(
        self, wanted: Sequence[tuple[str, RatePolicy, int]], max_wait_s: float
    ) -> list[Reservation]:
        """See `Gate.reserve_many`."""
        most = micros(max_wait_s)
        calls = [
            ("", group, {"rate": _rate(policy), "n": n, "max_wait": most})
            for group, policy, n in wanted
        ]
        return [
            Reservation(int(granted), wait / MICROS, interval / MICROS, int(last))
            for granted, wait, interval, last in self._run_many("reserve", calls)
        ]

    def refund(self, group: str, reservation: Reservation, unused: int) -> bool:
        """See `Gate.refund`."""
        unused = min(unused, reservation.granted)
        if unused <= 0:
            return False
        interval = round(reservation.interval_s * MICROS)
        args = {"last": reservation.last, "unused": unused, "interval": interval}
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
            args["rate"] = _rate(budget.policy)
            args["budget"] = {
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
        self,
        host: str,
        policy: BreakerPolicy,
        outcomes: Sequence[bool | None],
        passage: Passage,
        failed_ago_s: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        """See `Gate.record_batch`."""
        if not passage.open:
            return
        args = {
            "outcomes": list(outcomes),
            # By place as Lua counts.
            "ago": {str(place + 1): micros(ago) for place, ago in failed_ago_s.items()},
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
        self._pause(group, policy, seconds, asked_for(retry_after_s), slower=True)

    def pause(self, group: str, policy: RatePolicy, seconds: float) -> None:
        """See `Gate.pause`."""
        self._pause(group, policy, seconds, -1, slower=False)

    def _pause(
        self, group: str, policy: RatePolicy, seconds: float, asked: int, *, slower: bool
    ) -> None:
        pause = pause_for(policy, seconds)
        args = {"rate": _rate(policy), "pause": pause, "asked": asked, "slower": slower}
        self._run("pause", "", group, args)

    def resume(self, group: str, policy: RatePolicy) -> bool:
        """See `Gate.resume`."""
        return self._run("resume", "", group, {"rate": _rate(policy)}) == [1]

    def offer(self, host: str, seconds: float) -> bool:
        """See `Gate.offer`."""
        return self._run("offer", host, "", {"lasts": micros(seconds)}) == [1]

    def snapshot(self, host: str, group: str, policy: RatePolicy) -> Snapshot:
        """See `Gate.snapshot`."""
        return self.snapshots([(host, group, policy)])[0]

    def snapshots(self, of: Sequence[tuple[str, str, RatePolicy]]) -> list[Snapshot]:
        """See `Gate.snapshots`."""
        calls = [(host, group, {"rate": _rate(policy)}) for host, group, policy in of]
        return [describe(Numbers(*answer)) for answer in self._run_many("snapshot", calls)]


def _rate(policy: RatePolicy) -> dict[str, float]:
    return {
        "revision": policy.revision,
        "interval": micros(policy.interval_s),
        "window": micros(policy.window_s),
        "slowest": policy.slowest,
        "recovery": policy.recovery,
    }
