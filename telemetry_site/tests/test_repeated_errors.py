"""An error that repeats many times a second is told once a minute, with how often it happened."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry_site.logs import TellOnce

PROJECT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import logging.config
import structlog
from telemetry_site import logs

logging.config.dictConfig(logs.configuration("INFO"))

def fail(host):
    try:
        raise ConnectionError(f"redis://:hunter2@{host} does not answer")
    except ConnectionError:
        logging.getLogger("celery").exception("Task %s failed", "dispatch")
        structlog.get_logger("ingestion").exception("poll_failed", source=1)

for host in ("one", "one", "one", "two"):
    fail(host)
for _ in range(2):
    logging.getLogger("celery").error("broker lost")
"""


def test_what_the_console_shows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert [line.split("event=")[1].split("'")[1] for line in lines] == [
        "Task dispatch failed",
        "poll_failed",
        "Task dispatch failed",
        "poll_failed",
        "broker lost",
        "broker lost",
    ]
    for line in lines[:4]:
        assert "Traceback (most recent call last)" in line
        assert "hunter2" not in line


class Console:
    """A handler on a clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.log = logging.getLogger(__name__)
        self.handler = logging.StreamHandler(self.stream)
        self.handler.addFilter(TellOnce(clock=lambda: self.now))
        self.log.addHandler(self.handler)

    def fail(self, host: str) -> None:
        try:
            raise ConnectionError(host)
        except ConnectionError:
            self.log.exception("Task %s failed", "dispatch")

    def told(self) -> list[str]:
        return [line for line in self.stream.getvalue().splitlines() if "Task" in line]


@pytest.fixture
def console() -> Iterator[Console]:
    console = Console()
    yield console
    console.log.removeHandler(console.handler)


def test_once_a_minute_with_the_number_of_the_others(console: Console) -> None:
    for console.now in (0, 1, 2, 59, 60, 61):
        console.fail("database")
    assert console.told() == ["Task dispatch failed", "Task dispatch failed (held back: 3)"]


def test_another_error_is_told_at_once(console: Console) -> None:
    console.fail("database")
    console.fail("Redis")
    assert len(console.told()) == 2
