"""Idempotent writing of wide rows into SQLite, and a person's small write beside it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from statistics import median

from django.db import connection, connections, transaction

from benchmarks.report import Figure, percentile
from benchmarks.write import DEVICES, ROUNDS, new_metrics, new_samples, ours_rate
from devices.models import Community
from devices.readings.instants import to_ms
from devices.readings.samples import Sample
from devices.readings.store.tables import ROWS

BATCH = 1_000
RAW = "bench_raw_row"
SMALL_WRITES = 400
PAUSE_S = 0.02


def run() -> Iterator[Figure]:
    """Rows a second at 1,000 a batch; then milliseconds of a small write beside writing."""
    metrics = new_metrics()
    with connection.cursor() as cursor:
        for sql in _raw_table():
            cursor.execute(sql)
    ours, raw = [], []
    for round_ in range(ROUNDS + 1):
        samples = list(new_samples(metrics, round_, BATCH, 0))
        raw.append(_raw(samples))
        ours.append(ours_rate(samples, BATCH))
    yield Figure("write-sqlite", "rows, latest, late log, batches of 1000", median(ours[1:]),
                 median(raw[1:]), "rows/s", ROUNDS, more_is_better=True, at_least=0.5)  # fmt: skip
    beside = _beside(metrics)
    yield Figure("write-sqlite", "a person's small write beside full ingest, p99",
                 percentile(beside, 99), 40.0, "ms", len(beside))  # fmt: skip


def _raw_table() -> list[str]:
    """The rows' own table and indexes once more, without anything in it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL",
                       [ROWS.name])  # fmt: skip
        return [sql.replace(ROWS.name, RAW) for (sql,) in cursor.fetchall()]


def _raw(samples: Sequence[Sample]) -> float:
    """Rows a second of executemany from ready tuples: what the machine can do."""
    records = [(n % DEVICES + 1, to_ms(s.at), s.sequence, 1, 0, *s.values.values())
               for n, s in enumerate(samples)]  # fmt: skip
    marks = ", ".join(["%s"] * len(ROWS.columns))
    sql = f"INSERT INTO {RAW} ({', '.join(ROWS.columns)}) VALUES ({marks})"
    started = time.perf_counter()
    for start in range(0, len(records), BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(sql, records[start : start + BATCH])
    return len(records) / (time.perf_counter() - started)


def _beside(metrics: Sequence[Sequence[int]]) -> list[float]:
    """Milliseconds of each small write of another process while this one writes without a pause."""
    connections.close_all()
    spawn = multiprocessing.get_context("fork")
    here, there = spawn.Pipe()
    over = spawn.Event()
    person = spawn.Process(target=_write_small, args=(there, over))
    person.start()
    for round_ in count(ROUNDS + 1):
        if over.is_set():
            break
        ours_rate(list(new_samples(metrics, round_, BATCH, 1)), BATCH)
    taken: list[float] = here.recv()
    person.join()
    return taken


def _write_small(there: Connection, over: Event) -> None:
    taken = []
    for number in range(SMALL_WRITES):
        started = time.perf_counter()
        Community.objects.filter(slug="bench").update(name=f"Bench {number}")
        taken.append((time.perf_counter() - started) * 1000)
        time.sleep(PAUSE_S)
    over.set()
    there.send(taken)
