"""What starting a server for a test run takes, whichever server it is."""

from __future__ import annotations

import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

START_WITHIN_S = 30.0


class Unavailable(Exception):
    """This machine cannot have a service; the message names it, and why."""


def free_port() -> int:
    """A port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: list[str], log: Path, running: ExitStack, *, user: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a server, in a session of its own, that stops when `running` closes."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # commands are our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=group_of(user),
            extra_groups=None if user is None else [],
            start_new_session=True,
        )
    running.callback(_stop, process)
    return process


def wait_until(
    answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, name: str
) -> None:
    """Wait until the server answers; raises Unavailable with its last words when it does not."""
    deadline = time.monotonic() + START_WITHIN_S
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise Unavailable(f"{name} did not start: {' / '.join(words)}")
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def group_of(user: str | None) -> int | None:
    """The main group of a user."""
    if user is None:
        return None
    return pwd.getpwnam(user).pw_gid


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
