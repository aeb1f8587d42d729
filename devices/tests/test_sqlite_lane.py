"""Writers of one SQLite file take turns, whoever is in a hurry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from devices.sqlite.lane import Lane, LaneBusy

FOREVER = 60.0
MOST_TURNS = 200
"""That others may take while one waits: half a second of them."""
HOLD = """
import sys
from pathlib import Path
from devices.sqlite.lane import Lane
lane = Lane(Path(sys.argv[1]), 60)
lane.enter()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def busy_writers(database: Path, many: int) -> Iterator[Iterator[int]]:
    """Threads that enter the lane again as soon as they left it; yields their turns' counter."""
    over = threading.Event()
    turns = count()

    def write() -> None:
        lane = Lane(database, FOREVER)
        while not over.is_set():
            lane.enter()
            next(turns)
            over.wait(0.003)
            lane.leave()
        lane.close()

    threads = [threading.Thread(target=write) for _ in range(many)]
    for thread in threads:
        thread.start()
    try:
        yield turns
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("others", [1, 2, 4])
def test_who_waits_writes_before_another_has_written_many_times(
    tmp_path: Path, others: int
) -> None:
    """With SQLite's own waiting, a writer without pauses is first nearly every time: thousands of
    times. Some dozens are the scheduler's: a busy machine keeps this thread from getting in line.
    """
    lane = Lane(tmp_path / "site.sqlite3", FOREVER)
    waited = []
    with busy_writers(tmp_path / "site.sqlite3", others) as turns:
        for _ in range(30):
            before = next(turns)
            lane.enter()
            waited.append(next(turns) - before)
            lane.leave()
    lane.close()
    assert sorted(waited)[len(waited) // 2] <= 2 * others + 2
    assert max(waited) <= MOST_TURNS


def test_a_killed_writer_leaves_the_lane(tmp_path: Path) -> None:
    """Also one that was killed while it wrote."""
    database = tmp_path / "site.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        hurried = Lane(database, 0.01)
        with pytest.raises(LaneBusy):
            hurried.enter()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        hurried.enter()
        hurried.close()


def test_a_forked_child_does_not_keep_its_parents_place(tmp_path: Path) -> None:
    """A worker's children live on when the worker that held the lane is killed."""
    database = tmp_path / "site.sqlite3"
    lane = Lane(database, FOREVER)
    lane.enter()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    lane.forget()  # what the death of the parent does
    other = Lane(database, FOREVER)  # the child lets go as soon as it runs
    other.enter()
    other.close()
    os.close(reading)
    os.close(writing)
    os.waitpid(child, 0)
