"""Keeps the processes of the Procfile running: what dies is started again; none outlives the site.

honcho reads the Procfile and prints the prefixed, coloured lines. Its own manager is not used: it
signals whole process groups (which kills Celery's pool in the middle of a task), stops the broker
together with those who still need it, and gives up after five seconds.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.environ import parse_procfile
from honcho.printer import Message, Printer

from telemetry_site.start.console import SCREEN, say
from telemetry_site.start.restarts import HOPELESS, WITHIN_S, Restarts, ordinal

# Whom others lean on stops last, so that a worker can finish what it has begun.
STOPPED_LAST = ("simulator", "valkey")
# Whose lines are shown only when something is wrong: Valkey repeats a warning about the kernel's
# memory settings at every start.
QUIET = ("valkey",)
KEPT_LINES = 20
PATIENCE_S = 20.0
PR_SET_PDEATHSIG = 1


class ProcessEnded(Exception):
    """A process ended so often that starting it again is no help."""

    def __init__(self, name: str, how: str) -> None:
        """Name the process and how it ended last."""
        self.name = name
        super().__init__(
            f"{name} ended {HOPELESS} times within {WITHIN_S:.0f} s (the last time: {how}), so "
            f"everything was stopped. Its last words stand above, marked '{name}'."
        )


@dataclass
class Child:
    """One running process and the thread that passes on what it prints."""

    name: str
    process: subprocess.Popen[bytes]
    reader: threading.Thread


def read_procfile(file: Path) -> dict[str, str]:
    """Names and shell commands of the Procfile, in its order."""
    return dict(parse_procfile(file.read_text()).processes)


class Supervisor:
    """Starts, watches, restarts and stops processes; all they print passes through `relay`."""

    def __init__(self, commands: Mapping[str, str], environment: dict[str, str], directory: Path):
        """Be ready to start `commands` (name: shell command) in `directory`."""
        self._commands = commands
        self._environment = environment
        self._directory = directory
        self._children: dict[str, Child] = {}
        self._lines: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._printer = Printer(SCREEN, width=max(map(len, commands)))
        self._colours = dict(zip(commands, get_colours(), strict=False))
        self._restarts = {name: Restarts() for name in commands}
        self._due: dict[str, float] = {}
        self._kept: dict[str, deque[Message]] = {
            name: deque(maxlen=KEPT_LINES) for name in commands
        }

    def start(self, name: str) -> None:
        """Start one process of the Procfile, in a session of its own.

        Ctrl-C in a terminal then reaches only us, and we stop the others in order.
        """
        process = subprocess.Popen(  # noqa: S602  # the Procfile is shell, and ours
            self._commands[name],
            shell=True,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        stream = process.stdout
        if stream is None:  # pragma: no cover  # stdout=PIPE always gives one
            raise RuntimeError("a process without output")
        reader = threading.Thread(target=self._read, args=(name, stream), daemon=True)
        reader.start()
        self._children[name] = Child(name, process, reader)

    def relay(self, seconds: float) -> None:
        """Print what the processes say for `seconds`, and start again what ends meanwhile.

        Raises ProcessEnded when one ends too often.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._print_lines(min(0.1, max(0.0, deadline - time.monotonic())))
            for child in list(self._children.values()):
                code = child.process.poll()
                if code is not None:
                    self._bury(child)
                    self.show(child.name)
                    self._plan_restart(child.name, code)
            for name in [name for name, at in self._due.items() if at <= time.monotonic()]:
                del self._due[name]
                self.start(name)
            if time.monotonic() >= deadline:
                return

    def _plan_restart(self, name: str, code: int) -> None:
        """Tell of an end (`code` as in subprocess: negative for a signal); due again in a while."""
        now = time.monotonic()
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        restarts = self._restarts[name]
        pause = restarts.pause_after(now)
        if pause is None:
            raise ProcessEnded(name, how)
        self._due[name] = now + pause
        times = ordinal(restarts.times)
        text = f"{name} ended ({how}); started again, {times} time, in {pause:g} s"
        self._printer.write(_message(text, "site", None))

    def show(self, name: str) -> None:
        """Print the last lines of a process that is kept quiet."""
        while self._kept[name]:
            self._printer.write(self._kept[name].popleft())

    def stop(self) -> None:
        """Stop all in order, each with patience; what does not stop in time is killed."""
        first = [name for name in self._children if name not in STOPPED_LAST]
        last = [name for name in self._children if name in STOPPED_LAST]
        for names in (first, last):
            self._stop([self._children[name] for name in names])

    def kill(self) -> None:
        """End all at once, whatever they are doing."""
        for child in list(self._children.values()):
            _signal_group(child, signal.SIGKILL)
            child.process.wait()
            self._bury(child)

    def _stop(self, children: list[Child]) -> None:
        for child in children:
            # Only the process itself: Celery's own children must finish their tasks.
            child.process.terminate()
        deadline = time.monotonic() + PATIENCE_S
        waiting = list(children)
        while waiting and time.monotonic() < deadline:
            self._print_lines(0.05)
            for child in [child for child in waiting if child.process.poll() is not None]:
                waiting.remove(child)
                self._bury(child)
        for child in waiting:
            say(f"{child.name} did not stop within {PATIENCE_S:.0f} s and is killed.")
            _signal_group(child, signal.SIGKILL)
            child.process.wait()
            self._bury(child)

    def _bury(self, child: Child) -> None:
        """End what an ended process left behind, and print its last lines."""
        _signal_group(child, signal.SIGKILL)
        child.reader.join(timeout=2)
        del self._children[child.name]
        self._print_lines(0)

    def _read(self, name: str, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(_message(line, name, self._colours[name]))
        stream.close()

    def _print_lines(self, wait: float) -> None:
        try:
            message = self._lines.get(timeout=wait) if wait else self._lines.get_nowait()
            while True:
                if message.name in QUIET:
                    self._kept[message.name].append(message)
                else:
                    self._printer.write(message)
                message = self._lines.get_nowait()
        except queue.Empty:
            return


def _message(text: bytes | str, name: str, colour: str | None) -> Message:
    # Local time, as the person at this console reads it.
    return Message("line", text, datetime.now(UTC).astimezone(), name, colour)


def _signal_group(child: Child, number: signal.Signals) -> None:
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nothing of it is left


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux: what a new process runs first, to be told to stop should we be killed outright."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork only the call is safe

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_kernel
