"""Fixtures: an application with a frozen clock in this process, and one simulator process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from simulator.__main__ import Application
from simulator.channels import Channels
from simulator.clock import Clock
from simulator.messages import Answer, Request
from simulator.network import ANCHOR, network
from simulator.testing import RunningSimulator

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "thingspeak"
NOW = ANCHOR + 10 * 3600.0

TANK, SUMP, PUMP, ENERGY = 710001, 710002, 710003, 710006
DEAD, NULLS, EMPTY = 720007, 720002, 730008
KEY = "DEMOREADKEY00106"


class Site:
    """The application, asked without a network; its clock stands still."""

    def __init__(self, channels: Channels) -> None:
        self.clock = Clock()
        self.clock.run(at=NOW, speed=0)
        self.app = Application(channels, self.clock, control=True)

    def get(self, target: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
        parts = urlsplit(target)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        data = b"" if body is None else json.dumps(body).encode()
        answer = self.app(Request(method, target, parts.path, params, headers, data))
        if answer.sent:
            answer.sent()
        return answer

    def json(self, target: str, **headers: str) -> Any:
        return json.loads(self.get(target, **headers).body)

    def control(self, path: str, method: str = "GET", body: object = None) -> Any:
        answer = self.get(f"/control/{path}", method, body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def fault(self, kind: str, **options: object) -> Any:
        return self.control("faults", "POST", {"kind": kind, **options})


@pytest.fixture
def site() -> Site:
    return Site(Channels(network(dead_since=NOW - 3 * 3600)))


@pytest.fixture
def site_of() -> Callable[[Channels], Site]:
    return Site


@pytest.fixture(scope="module")
def process() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def running(process: RunningSimulator) -> RunningSimulator:
    process.control("reset", "POST")
    return process


@pytest.fixture(scope="session")
def recorded() -> Path:
    if not RECORDED.is_dir():
        pytest.skip(f"RECORDED FEEDS ARE MISSING: {RECORDED}")
    return RECORDED
