"""What breaker, budget and Celery add to a poll in batches of 100, as a share of all it costs.

The gate's part is the processor time inside its calls while sources are polled, dispatcher
included. Celery's part is that of a real worker for messages of 100 claims that came too late (it
loads nothing and asks nobody), and of sending them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

import redis
from django.conf import settings

from benchmarks.bare import cpu_s
from benchmarks.poll import CHANNELS, LOOPBACK, ROUNDS, build, measured, poll_all
from benchmarks.provider import HISTORIES, provider
from benchmarks.report import Figure
from ingestion.claims import Claim
from ingestion.equipment import batch_equipment
from ingestion.polling import Equipment
from ingestion.resilience.gate import Gate
from ingestion.resilience.transport import CurlTransport
from ingestion.tasks import queue_polls
from ingestion.work import Worker
from telemetry_site.celery import app

LIMIT_PERCENT = 25.0
BATCH = 100
MESSAGES = 300
QUEUE = "poll"
PATIENCE_S = 120.0
# Keys that no source has: the worker finds that these claims are not its own.
NOBODY = 10**12


class NotConsumed(Exception):
    """The worker did not take its messages in time."""


def run() -> Iterator[Figure]:
    """The share of gate and Celery in a poll."""
    app.set_default()  # whose broker is the site's
    with provider() as url:
        build(url)
        gate = _Timed(batch_equipment().gate)
        worker = Worker(Equipment(cast("Gate", gate), CurlTransport(LOOPBACK)))
        for _ in range(HISTORIES + 1):
            poll_all(worker)
        polls, gates = [], []
        for _ in range(ROUNDS):
            gate.spent_s = 0.0
            polls.append(measured(worker).cpu_s)
            gates.append(gate.spent_s / CHANNELS)
    poll_s, gate_s, celery_s = median(polls), median(gates), _celery_s()
    share = 100 * (gate_s + celery_s) / (poll_s + celery_s)
    what = (
        f"share of gate ({gate_s * 1e6:.0f} µs) and Celery ({celery_s * 1e6:.0f} µs) in a poll "
        f"({(poll_s + celery_s) * 1e6:.0f} µs) by libcurl, batches of {BATCH}"
    )
    yield Figure("gate", what, share, LIMIT_PERCENT, "%", ROUNDS)


class _Timed:
    """A gate that counts the processor time inside its calls."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.spent_s = 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._gate, name)

        def timed(*args: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*args, **named)
            finally:
                self.spent_s += time.thread_time() - started

        return timed


def _celery_s() -> float:
    """Processor seconds per claim: of sending messages, and of a worker that consumes them."""
    broker = redis.Redis.from_url(settings.REDIS_URL)
    claims = [Claim(NOBODY + one, 1, 0.0) for one in range(BATCH)]
    with _worker() as pid:
        _consumed(broker, claims, MESSAGES // 10)
        before, started = _spent_s(pid), cpu_s()
        _send(claims, MESSAGES)
        sending = cpu_s() - started
        _consumed(broker, claims, 1)
        consuming = _spent_s(pid) - before
    return (sending + consuming) / (MESSAGES * BATCH)


@contextmanager
def _worker() -> Iterator[int]:
    """A Celery worker as the site runs it, with one process; its number."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "telemetry_site",
        "worker",
        "-Q",
        QUEUE,
        "-c",
        "1",
    ]
    options = ["--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _send(claims: Sequence[Claim], count: int) -> None:
    for _ in range(count):
        queue_polls(claims)


def _consumed(broker: redis.Redis, claims: Sequence[Claim], count: int) -> None:
    """Send messages, and wait until the worker has taken and finished all there are."""
    _send(claims, count)
    ends = time.monotonic() + PATIENCE_S
    prefix = app.conf.broker_transport_options["global_keyprefix"]
    while broker.llen(f"{prefix}{QUEUE}") or broker.hlen(f"{prefix}unacked"):
        if time.monotonic() > ends:
            raise NotConsumed("No Celery worker took the messages of the benchmark.")
        time.sleep(0.02)


def _spent_s(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return _ticks(pid) + sum(_spent_s(int(child)) for child in children)


def _ticks(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
