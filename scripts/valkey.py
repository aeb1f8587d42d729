"""A Valkey server for one test run: the bundled one, configured as in production."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import redis

from scripts import servers
from telemetry_site.embedded import valkey


def start(directory: Path, running: ExitStack) -> str:
    """Start the server until `running` closes; its URL. Raises Unavailable."""
    try:
        executable = valkey.binary()
    except valkey.NoBundledValkey as error:
        raise servers.Unavailable(f"Valkey: {error}") from error
    url = valkey.configure(directory, servers.free_port())
    log = directory / "server.log"
    process = servers.start([str(executable), str(directory / valkey.CONFIG_FILE)], log, running)
    servers.wait_until(lambda: _answers(url), process, log, "Valkey")
    return url


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return False
    return True
