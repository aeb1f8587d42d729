"""Four dispatchers that claim the same sources as fast as they can: none is ever held twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from telemetry_site.tests.whole_site import PROJECT
from tests.chaos import figures
from tests.chaos.plan import Account, Polled, to_json
from tests.chaos.scale import LONG, scaled

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600 if LONG else 300)]

PROOF = "once at a time"
DISPATCHERS = 4
SOURCES = scaled("CHAOS_CLAIM_SOURCES", 120, 1200)
CLAIMS = scaled("CHAOS_CLAIMS", 8_000, 1_000_000)
# SQLite has one writer at a time: what can go wrong there is seen much sooner, and at great
# length only.
FEWER_ON_SQLITE = 10


@pytest.mark.parametrize("engine", ["PostgreSQL", "SQLite"] if LONG else ["PostgreSQL"])
def test_no_source_is_claimed_twice(
    engine: str, tmp_path: Path, redis_client: redis.Redis, redis_socket: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if engine == "SQLite":
        url, claims = f"sqlite:///{tmp_path}/race.sqlite3", CLAIMS // FEWER_ON_SQLITE
    else:
        url, claims = request.getfixturevalue("postgresql").url, CLAIMS
    race(engine, url, redis_socket, claims)
    assert not any(int(held) for held in redis_client.hvals("held"))


def race(engine: str, url: str, socket: str, claims: int) -> None:
    """Let the dispatchers claim so many in all, and add up what they found."""
    environment = {name: text for name, text in os.environ.items() if name != "TEST_DATABASE_URL"}
    environment |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "telemetry_site.settings_test"}
    account = Account("ThingSpeak", [Polled(number) for number in range(1, SOURCES + 1)])
    carry_out(["manage.py", "migrate", "--verbosity", "0"], environment)
    carry_out(
        ["-m", "tests.chaos.seed", "http://127.0.0.1:9", "2026-11-20T00:00:00+00:00"],
        environment,
        to_json([account]),
    )
    command = ["-m", "tests.chaos.claimer", socket, str(claims // DISPATCHERS)]
    with running(command, environment) as dispatchers:
        for one in dispatchers:
            one.stdin.write("go\n")  # type: ignore[union-attr]
            one.stdin.flush()  # type: ignore[union-attr]
        said = [one.communicate()[0].split() for one in dispatchers]
    assert all(one.returncode == 0 for one in dispatchers)
    claimed, taken = (sum(int(one[column]) for one in said) for column in (0, 1))
    what = f"sources held twice in {claimed:,} claims, {engine}"
    figures.at_least(PROOF, f"claims by {DISPATCHERS} dispatchers, {engine}", claimed, claims)
    figures.exactly(PROOF, what, taken, 0)


def carry_out(command: list[str], environment: dict[str, str], text: str = "") -> None:
    subprocess.run(
        [sys.executable, *command], cwd=PROJECT, env=environment, input=text.encode(), check=True
    )


@contextmanager
def running(
    command: list[str], environment: dict[str, str]
) -> Iterator[list[subprocess.Popen[str]]]:
    """The dispatchers, each of which has said that it is there."""
    crowd = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(DISPATCHERS)
    ]
    try:
        for one in crowd:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield crowd
    finally:
        for one in crowd:
            one.kill()
            one.wait()
            for stream in (one.stdin, one.stdout):
                assert stream is not None
                stream.close()
