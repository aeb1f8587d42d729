"""Real Valkey, PostgreSQL and Chromium for tests and benchmarks, on this machine, for one command.

    python -m scripts.services -- pytest -m postgres

starts what it can on free ports and temporary directories, names it to the command
(`TEST_REDIS_URL`, `TEST_POSTGRES_URL`, `CHROMIUM`), and takes everything down again. What the
environment names already is used as it is. What this machine cannot have is told in the last lines.

With `--newest`, the newest PostgreSQL that is here runs as well, where it is another one
(`TEST_POSTGRES_NEWEST_URL`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType, TracebackType

from scripts import browser, postgresql, reports
from scripts.servers import Unavailable
from scripts.valkey import start as start_valkey

REPORTS_VARIABLE = "TEST_REPORTS"


class Services:
    """The servers of one test run: `environment` names those that run, `missing` tells the rest."""

    def __init__(self, *, newest: bool = False) -> None:
        """Start nothing yet: entering the context does."""
        self._newest = newest
        self.environment: dict[str, str] = {}
        self.missing: list[str] = []
        self._open = ExitStack()

    def __enter__(self) -> Services:
        """Start or find each service."""
        directory = Path(tempfile.mkdtemp(prefix="telemetry-services-"))
        self._open.callback(shutil.rmtree, directory, ignore_errors=True)
        # A server may run as another user, who must be able to pass through.
        directory.chmod(0o711)
        reports_directory = directory / "reports"
        reports_directory.mkdir()
        self.environment[REPORTS_VARIABLE] = str(reports_directory)
        try:
            self._provide("TEST_REDIS_URL", lambda: start_valkey(directory / "valkey", self._open))
            self._provide(
                "TEST_POSTGRES_URL", lambda: postgresql.start(directory / "postgresql", self._open)
            )
            if self._newest:
                self._provide(
                    "TEST_POSTGRES_NEWEST_URL",
                    lambda: postgresql.start_newest(directory / "postgresql-newest", self._open),
                )
            self._provide("CHROMIUM", browser.find_or_install)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the servers and remove their data."""
        self._open.close()

    def run(self, command: list[str]) -> int:
        """Run the command with the services named to it; its exit code."""
        process = subprocess.Popen(command, env=os.environ | self.environment)  # noqa: S603
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C reached the command as well: let it say its last words.
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            raise
        finally:
            process.terminate()
            process.wait()

    def _provide(self, variable: str, start: Callable[[], str]) -> None:
        given = os.environ.get(variable)
        try:
            self.environment[variable] = given or start()
        except Unavailable as reason:
            self.missing.append(str(reason))
            # Empty rather than unset: the command must not find a half-configured one.
            self.environment[variable] = ""


def main(arguments: list[str]) -> int:
    """Run the command after `--`; its exit code, after the last lines."""
    newest = arguments[:1] == ["--newest"]
    arguments = arguments[1:] if newest else arguments
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        sys.stderr.write("usage: python -m scripts.services [--newest] -- COMMAND…\n")
        return 2
    signal.signal(signal.SIGTERM, _stop)
    try:
        with Services(newest=newest) as services:
            code = services.run(command)
            summary = reports.summary(Path(services.environment[REPORTS_VARIABLE]))
    except KeyboardInterrupt:
        return 130
    reports.say(summary, services.missing)
    return code


def _stop(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
