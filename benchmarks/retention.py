"""Dropping a month of readings on PostgreSQL beside DELETE and VACUUM of the same rows.

Both while somebody writes into the present month, as on a site that lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from benchmarks.report import Figure
from devices.readings.store import partitions
from devices.readings.store.tables import ROWS

ROWS_A_MONTH = 5_000_000
"""As many as a site of 115 devices sends that report each minute."""
STREAMS = 500
JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 8))
FASTER = 20.0
LOCK_MS = 250.0


def run() -> Iterator[Figure]:
    """Seconds of both, and the longest that a writer into another month had to wait."""
    for begins, ends in ((JUNE, JULY), (JULY, AUGUST)):
        _fill(begins, ends)
    with _Writer(first=1_000_000):
        started = time.perf_counter()
        _execute(f"DELETE FROM {ROWS.name} WHERE at < %s", JULY)
        _execute(f"VACUUM {ROWS.name}_y2026m06")
        deleting = time.perf_counter() - started
    partitions.drop(ROWS.name, JULY)  # what deleting left of it: one month is dropped below
    with _Writer() as writer:
        started = time.perf_counter()
        partitions.drop(ROWS.name, AUGUST)
        dropping = time.perf_counter() - started
    what = f"a month of {ROWS_A_MONTH:,} rows: drop beside DELETE and VACUUM"
    yield Figure("retention", what, dropping, deleting, "s", 1, at_least=FASTER)
    yield Figure("retention", "longest wait of a writer", writer.longest_ms, LOCK_MS, "ms",
                 writer.writes)  # fmt: skip


def _fill(begins: datetime, ends: datetime) -> None:
    with transaction.atomic():
        partitions.ensure(ROWS.name, {partitions.month_of(begins)})
    step = (ends - begins) / (ROWS_A_MONTH // STREAMS)
    _execute(
        f"INSERT INTO {ROWS.name} (at, stream_id, origin, revised, sequence, v1, v2, v3) "
        "SELECT %s + n * %s, 1 + s, 1, 0, n, n, n / 2.0, n / 3.0 "
        "FROM generate_series(0, %s) n CROSS JOIN generate_series(0, %s) s",
        begins, step, ROWS_A_MONTH // STREAMS - 1, STREAMS - 1,
    )  # fmt: skip
    _execute(f"VACUUM ANALYZE {ROWS.name}")


def _execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


class _Writer:
    """Somebody who writes into the present month all the time."""

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self.longest_ms = 0.0
        self.writes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> _Writer:
        with transaction.atomic():
            partitions.ensure(ROWS.name, {partitions.month_of(AUGUST)})
        self._thread.start()
        while not self.writes:
            self._stop.wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.is_set():
            started = time.perf_counter()
            _execute(
                f"INSERT INTO {ROWS.name} (at, stream_id, origin, revised, sequence) "
                "VALUES (%s, 1, 1, 0, %s)",
                AUGUST, self._first + self.writes,
            )  # fmt: skip
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - started) * 1000)
            self.writes += 1
        connection.close()
