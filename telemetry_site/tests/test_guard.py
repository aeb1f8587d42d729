"""No process works with a key that is not the database's, and none dies of a database away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from scripts import servers, valkey
from telemetry_site.tests.whole_site import PROJECT, wait_for

COMMANDS = {
    "web": ["uvicorn", "telemetry_site.asgi:application", "--lifespan", "off"],
    "worker": ["celery", "-A", "telemetry_site", "worker", "--concurrency", "1"],
    "beat": ["celery", "-A", "telemetry_site", "beat"],
}


class Machine:
    """A migrated database with a key, a Redis, and processes that use them."""

    def __init__(self, directory: Path, running: ExitStack) -> None:
        self.log = directory / "log"
        self.database = directory / "telemetry.sqlite3"
        self.environment = os.environ | {
            "DATA_DIR": str(directory),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": valkey.start(directory / "valkey", running),
            "DJANGO_SETTINGS_MODULE": "telemetry_site.settings",
            "SECRET_KEY": "of a test",
            "FIELD_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        }
        self._running = running

    def migrate(self) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=PROJECT, env=self.environment, check=True)

    def start(self, name: str, **changes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *COMMANDS[name]]
        command += ["--port", str(servers.free_port())] if name == "web" else []
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment | changes,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.callback(end, process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as running:
        yield Machine(tmp_path, running)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_key_ends_the_process_with_words(machine: Machine, name: str) -> None:
    machine.migrate()
    process = machine.start(name, FIELD_ENCRYPTION_KEY=Fernet.generate_key().decode())
    assert process.wait(20) == 1
    assert "encryption key does not fit this database" in machine.log.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_database_that_is_away_is_waited_for(machine: Machine, name: str) -> None:
    process = machine.start(name)
    wait_for(lambda: "waiting_for_database" in machine.log.read_text())
    machine.migrate()
    wait_for(lambda: "database_is_back" in machine.log.read_text())
    assert process.poll() is None
