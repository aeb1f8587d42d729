"""A simulator for tests and benchmarks of others: its own process on a free port."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_START_S = 60.0
_STOP_S = 10.0
_ROOT = Path(__file__).resolve().parent.parent


class SimulatorFailed(Exception):
    """The simulator did not start or refused a control request; the message is its own."""


class RunningSimulator:
    """A context manager: `with RunningSimulator(replay=folder) as running: get(running.url)`."""

    def __init__(
        self,
        *,
        replay: Path | None = None,
        state: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.url = ""
        self.first_line = ""
        self._arguments = ["--port", "0", *arguments]
        if replay:
            self._arguments += ["--replay", str(replay.resolve())]
        if state:
            self._arguments += ["--state", str(state.resolve())]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it and wait for its first line, which names the port."""
        self._process = process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "simulator", *self._arguments],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        if process.stdout is None:
            raise SimulatorFailed("the simulator has no output")
        watchdog = threading.Timer(_START_S, process.kill)
        watchdog.start()
        self.first_line = process.stdout.readline().strip()
        watchdog.cancel()
        match = re.search(r"http://\S+", self.first_line)
        if match is None:
            self.stop()
            raise SimulatorFailed(f"the simulator did not start: {self.first_line or 'see above'}")
        self.url = match[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process, for tests that let it hang."""
        if self._process is None:
            raise SimulatorFailed("the simulator does not run")
        return self._process.pid

    def stop(self) -> int | None:
        """End the process as Ctrl-C's gentler sister does; returns its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            code = process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdout:
            process.stdout.close()
        return code

    def control(
        self, path: str, method: str = "GET", json_body: Mapping[str, Any] | list[Any] | None = None
    ) -> Any:
        """Ask the control API: `control("faults", "POST", {"kind": "reset"})`. Returns its JSON."""
        data = None if json_body is None else json.dumps(json_body).encode()
        request = Request(  # noqa: S310 - always our own http address
            f"{self.url}/control/{path.removeprefix('/control/').lstrip('/')}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urlopen(request, timeout=_START_S) as response:  # noqa: S310
                return json.load(response)
        except HTTPError as refused:
            with refused:
                raise SimulatorFailed(refused.read().decode()) from refused

    def fault(self, kind: str, **options: object) -> int:
        """Activate a fault; returns its id."""
        return int(self.control("faults", "POST", {"kind": kind, **options})["id"])

    def heal(self) -> None:
        """End all faults."""
        self.control("faults", "DELETE")
