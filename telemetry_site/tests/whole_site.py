"""One copy of the whole site for a test: its own directory, its own ports, real processes."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from scripts.servers import free_port

PROJECT = Path(__file__).resolve().parent.parent.parent
FRAME = "╰"
LOGIN = re.compile(r"Login:  admin   (\S+)")

# What only the command of this process of the Procfile says.
WORDS = {
    "valkey": "valkey-server",
    "simulator": "-m simulator",
    "web": "uvicorn",
    "dispatcher": "dispatcher@",
    "worker": "worker@",
    "beat": "telemetry_site beat",
}


class Site:
    """One copy of the site in its own directory and on its own ports."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data of the site"
        self.log = directory / "console.log"
        self.port = free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "SIMULATOR_PORT": str(free_port()),
            "VALKEY_PORT": str(free_port()),
            # Named, so that a developer's own .env is never used.
            "DATABASE_URL": f"sqlite:///{self.data_dir}/telemetry.sqlite3",
            "REDIS_URL": "",
            "DEMO": "0",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, **changes: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "telemetry_site.start"],
                cwd=PROJECT,
                env=self.environment | changes,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def start(self, until: str = FRAME, **changes: str) -> str:
        """Launch, wait for the closing frame (or another text), return what the console shows."""
        process = self.launch(**changes)
        wait_for(lambda: until in self.console() or process.poll() is not None)
        assert process.poll() is None, self.console()
        return self.console()

    def refuse(self, **changes: str) -> str:
        """Launch, expect it to give up by itself, return what the console shows."""
        assert self.launch(**changes).wait(60) == 1, self.console()
        assert "Traceback" not in self.console()
        return self.sentence()

    def manage(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A management command, as somebody types it in a shell beside the site."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.environment | changes,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def clear(self) -> None:
        """End whatever a failed test left running."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def console(self) -> str:
        return self.log.read_text()

    def wait_to_read(self, text: str) -> None:
        """Waits until the console shows the text."""
        wait_for(lambda: text in self.console())

    def sentence(self) -> str:
        """The console's text without its line breaks, which depend on the width."""
        return " ".join(self.console().split())

    def processes(self) -> dict[int, str]:
        """Everything that was started for this directory and still runs."""
        mine = f"DATA_DIR={self.data_dir}".encode()
        # Valkey overwrites its environment with a title.
        valkey = f"valkey-server 127.0.0.1:{self.environment['VALKEY_PORT']}"
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if mine in environment or valkey in command:
                    found[int(entry.name)] = command
            except (OSError, ValueError):
                continue  # not a process, not ours, or gone meanwhile
        return {pid: command for pid, command in found.items() if command}

    def main_process(self, name: str) -> int:
        """Waits for the process of the Procfile called `name`, not one of its children."""
        word = WORDS[name]
        found: list[int] = []

        def runs() -> bool:
            found[:] = [
                pid
                for pid, command in self.processes().items()
                if word in command and self.process is not None and parent(pid) == self.process.pid
            ]
            return bool(found)

        wait_for(runs)
        return found[0]

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows from the site's SQLite database, which the site goes on using."""
        with closing(sqlite3.connect(self.data_dir / "telemetry.sqlite3")) as database:
            return database.execute(query, params).fetchall()

    def value(self, query: str, *params: object) -> Any:
        """One value from the site's database."""
        return self.rows(query, *params)[0][0]

    def change(self, statement: str) -> None:
        """Change the site's database, as somebody else who works at the site would."""
        with closing(sqlite3.connect(self.data_dir / "telemetry.sqlite3")) as database, database:
            database.execute(statement)

    def get(self, path: str) -> int:
        return self.request("GET", path)[0]

    def request(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            return response.status, response, response.read().decode()
        finally:
            connection.close()

    def can_log_in(self, password: str) -> bool:
        _, response, page = self.request("GET", "/admin/login/")
        cookie = (response.getheader("Set-Cookie") or "").split(";")[0]
        token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]
        body = f"csrfmiddlewaretoken={token}&username=admin&password={password}&next=/admin/"
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", "/admin/login/", body, headers)[0] == 302


def parent(pid: int) -> int | None:
    """The process that started this one; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
