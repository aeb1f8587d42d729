"""The one writer lane of a SQLite file: nobody writes twice while somebody else waits.

SQLite lets one transaction write at a time, but keeps no queue: who waits tries again each tenth of
a second, and a worker that writes without a pause is back before it every time. Two locked files
make the queue: `turn` is held by the writer who is next, `lane` by the one who writes.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

_NEXT = 0.001
"""Seconds between two looks of the writer who is next."""
_QUEUED = 0.002
"""The same for those behind it."""
_STEP_BACK = 2 * _QUEUED
"""Seconds for which a writer who left others waiting lets them go first."""


class LaneBusy(TimeoutError):
    """The others wrote for so long that this writer gave up."""


class Lane:
    """One connection's place among the writers of a file, in all threads and processes.

    The system takes back what a killed process held. A `Lane` belongs to one thread at a time.
    """

    def __init__(self, database: Path, patience: float) -> None:
        """`patience`: seconds to wait for the lane before LaneBusy."""
        self._database = database
        self._patience = patience
        self._files: tuple[int, int] | None = None
        self._before = 0.0
        self.held = False
        _lanes.add(self)

    def enter(self) -> None:
        """Wait until this connection may write; raises LaneBusy."""
        turn, lane = self._opened()
        give_up = time.monotonic() + self._patience
        if (early := self._before - time.monotonic()) > 0:
            time.sleep(early)
        _wait(turn, _QUEUED, give_up)
        try:
            _wait(lane, _NEXT, give_up)
        finally:
            _free(turn)
        self.held = True

    def leave(self) -> None:
        """Let the next one write; harmless when this connection does not."""
        if not self.held:
            return
        self.held = False
        turn, lane = self._opened()
        if _take(turn):
            _free(turn)
        else:
            self._before = time.monotonic() + _STEP_BACK
        _free(lane)

    def close(self) -> None:
        """Leave for good."""
        self.leave()
        self.forget()

    def forget(self) -> None:
        """Close the files without letting go of what another process holds through them."""
        files, self._files, self.held = self._files, None, False
        for file in files or ():
            os.close(file)

    def _opened(self) -> tuple[int, int]:
        if self._files is None:
            turn, lane = (f"{self._database}-{name}" for name in ("turn", "lane"))
            self._files = (_open(turn), _open(lane))
        return self._files


_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


def _forget_all() -> None:
    """A forked child would hold its parent's place too: beyond the death of the parent."""
    for lane in list(_lanes):
        lane.forget()


os.register_at_fork(after_in_child=_forget_all)


def _open(path: str) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)


def _take(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)


def _wait(file: int, pause: float, give_up: float) -> None:
    while not _take(file):
        if time.monotonic() >= give_up:
            raise LaneBusy("Others wrote to the database the whole time.")
        time.sleep(pause)
