"""The shared gate among real processes on the server's own clock, and when Redis misbehaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingestion.resilience.gate import Budget, CircuitState, GateUnavailable, RedisGate, Verdict
from ingestion.resilience.policy import BreakerPolicy, RatePolicy

pytestmark = pytest.mark.redis

ROOT = Path(__file__).parents[2]
HOST, GROUP = "http://127.0.0.1:80", "connection:1"
PROCESSES = 8
RATE = RatePolicy(limit=50, window_s=0.5, jitter_allowance_s=0.02)
BREAKER = BreakerPolicy(
    failures=1, open_s=0.1, open_max_s=0.1, jitter=0.0, probe_lease_s=0.5, min_calls=1000
)

# Each process waits for a line (so that all start together), asks, and tells what it was given.
# A prober never answers: it hangs until it is killed.
PROBER = """
import sys, time, redis
from ingestion.resilience.gate import RedisGate, Verdict
from ingestion.tests.test_gate_in_redis import BREAKER, GROUP, HOST, RATE
gate = RedisGate(redis.Redis(unix_socket_path=sys.argv[1]))
gate.snapshot(HOST, GROUP, RATE)
print("ready", flush=True)
for line in sys.stdin:
    verdict = gate.enter(HOST, BREAKER).verdict
    print(int(verdict), flush=True)
    if verdict is Verdict.PROBE:
        time.sleep(1000)
"""
BOOKER = """
import sys, redis
from ingestion.resilience.gate import RedisGate
from ingestion.tests.test_gate_in_redis import GROUP, RATE
client = redis.Redis(unix_socket_path=sys.argv[1])
gate = RedisGate(client)
print("ready", flush=True)
sys.stdin.readline()
booked = [gate.reserve(GROUP, RATE, 3, 2.0) for _ in range(20)]
print(sum(one.granted for one in booked), flush=True)
step = round(RATE.interval_s * 1e6)
print(*[one.last - n * step for one in booked for n in range(one.granted)], flush=True)
"""


class Crowd:
    """Several processes of one programme."""

    def __init__(self, programme: str, socket: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.members = [
            subprocess.Popen(
                [sys.executable, "-c", programme, socket],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
            )
            for _ in range(PROCESSES)
        ]  # fmt: skip
        assert self.lines() == ["ready"] * PROCESSES

    def lines(self) -> list[str]:
        """One line from each."""
        return [member.stdout.readline().strip() for member in self.members if member.stdout]

    def go(self) -> None:
        """All at once."""
        for member in self.members:
            assert member.stdin is not None
            member.stdin.write("go\n")
            member.stdin.flush()

    def kill(self, place: int) -> None:
        """One is killed (-9) in the middle of its request."""
        dead = self.members.pop(place)
        dead.kill()
        dead.communicate()
        assert dead.returncode == -signal.SIGKILL

    def close(self) -> None:
        """Nobody stays behind."""
        for member in self.members:
            member.kill()
            member.communicate()


def wait_until_half_open(gate: RedisGate) -> None:
    """Until the breaker lets something through, by its own word."""
    while gate.snapshot(HOST, GROUP, RATE).circuit is not CircuitState.HALF_OPEN:
        pass


def test_one_probe_per_lease_among_processes_though_every_prober_is_killed(
    redis_socket: str, redis_client: redis.Redis
) -> None:
    gate = RedisGate(redis_client)
    crowd = Crowd(PROBER, redis_socket)
    try:
        gate.record(HOST, BREAKER, False, gate.enter(HOST, BREAKER))
        for _ in range(3):
            wait_until_half_open(gate)
            crowd.go()
            answers = [Verdict(int(line)) for line in crowd.lines()]
            assert answers.count(Verdict.PROBE) == 1
            assert answers.count(Verdict.OPEN) == len(answers) - 1
            crowd.kill(answers.index(Verdict.PROBE))
    finally:
        crowd.close()


def test_processes_together_never_exceed_the_limit(
    redis_socket: str, redis_client: redis.Redis
) -> None:
    crowd = Crowd(BOOKER, redis_socket)
    try:
        crowd.go()
        granted = sum(int(line) for line in crowd.lines())
        starts = sorted(int(start) for line in crowd.lines() for start in line.split())
    finally:
        crowd.close()
    assert len(starts) == granted  # no slot was given twice
    assert granted >= 2.0 / RATE.interval_s  # and none was lost
    for first, beyond in zip(starts, starts[RATE.limit :], strict=False):
        assert beyond - first >= RATE.window_s * 1_000_000


def test_the_gate_survives_a_server_that_forgot_its_scripts(redis_client: redis.Redis) -> None:
    gate = RedisGate(redis_client)
    assert gate.reserve(GROUP, RATE, 1, 0).granted == 1
    redis_client.script_flush()
    assert gate.enter(HOST, BREAKER).open


def test_all_keys_are_under_one_prefix_and_expire(redis_client: redis.Redis) -> None:
    gate = RedisGate(redis_client)
    gate.record(HOST, BREAKER, False, gate.enter(HOST, BREAKER, Budget(GROUP, RATE)))
    gate.throttled(GROUP, RATE, 5)
    gate.snapshot(HOST, "never-used", RATE)
    keys = redis_client.keys()
    assert sorted(keys) == [
        b"telemetry:gate:group:connection:1",
        b"telemetry:gate:host:http://127.0.0.1:80",
    ]
    assert all(redis_client.pttl(key) > 5_000 for key in keys)


def test_without_redis_nothing_may_be_asked(tmp_path: Path) -> None:
    nobody = redis.Redis(unix_socket_path=str(tmp_path / "nobody"), retry=Retry(NoBackoff(), 0))
    gate = RedisGate(nobody)
    with pytest.raises(GateUnavailable, match="Redis cannot be reached"):
        gate.enter(HOST, BREAKER)
    with pytest.raises(GateUnavailable):
        gate.reserve(GROUP, RATE, 1, 0)
    with pytest.raises(GateUnavailable):
        gate.throttled(GROUP, RATE, None)
    with pytest.raises(GateUnavailable):
        gate.snapshot(HOST, GROUP, RATE)
