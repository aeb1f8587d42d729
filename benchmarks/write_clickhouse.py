"""Idempotent writing of wide rows into ClickHouse beside the client's plain insert into the same.

The engine runs inside this process; the books are in PostgreSQL.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median

from django.conf import settings

from benchmarks.report import Figure
from benchmarks.write import DEVICES, ROUNDS, new_metrics, new_samples, ours_rate, rows_rate
from devices.readings.instants import to_ms
from devices.readings.samples import Sample
from devices.readings.store import store_at
from devices.readings.store.clickhouse import Server
from devices.readings.store.clickhouse.schema import TYPES, VERSION, create
from devices.readings.store.tables import ROWS

RAW = "bench_raw_row"


def run() -> Iterator[Figure]:
    """Rows a second, one writer, new rows in poll order, at 10,000 rows a batch.

    Rows alone; and the store's own write, which keeps the newest readings and the late log in
    PostgreSQL as well.
    """
    metrics = new_metrics()
    server = Server.of(settings.READINGS_ADDRESS)
    server.run(create(ROWS.name, name=RAW))
    engine = store_at(settings.READINGS_ADDRESS).engine
    ours, rows, raw = [], [], []
    batch = 10_000
    for round_ in range(ROUNDS + 1):
        samples = list(new_samples(metrics, round_, batch, 0))
        raw.append(_raw(server, samples, batch))
        ours.append(ours_rate(samples, batch))
        samples = list(new_samples(metrics, round_, batch, 1))
        rows.append(rows_rate(engine, samples, batch))
    for what, taken in (("rows", rows), ("rows, latest, late log", ours)):
        yield Figure("write-clickhouse", f"{what}, batches of {batch}", median(taken[1:]),
                     median(raw[1:]), "rows/s", ROUNDS, more_is_better=True,
                     at_least=0.6)  # fmt: skip


def _raw(server: Server, samples: Sequence[Sample], batch: int) -> float:
    """Rows a second of the client's own insert of ready tuples."""
    columns = [*ROWS.columns, VERSION]
    records = [(n % DEVICES + 1, to_ms(s.at), s.sequence, 1, 0, *s.values.values(), 1)
               for n, s in enumerate(samples)]  # fmt: skip
    types = [TYPES[ROWS.name][name] for name in columns]
    client = server.client()
    started = time.perf_counter()
    for start in range(0, len(records), batch):
        client.insert(
            RAW, records[start : start + batch], column_names=columns, column_type_names=types
        )
    return len(records) / (time.perf_counter() - started)
