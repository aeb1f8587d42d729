"""Run one benchmark, or all: `python -m benchmarks [NAME]`."""

from __future__ import annotations

import importlib
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from benchmarks.report import Figure
from benchmarks.site import temporary_site


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module with `run() -> Iterable[Figure]`, imported once its temporary site is configured.

    `postgresql`: its site lives in PostgreSQL instead of SQLite. `clickhouse`: its big tables are
    in ClickHouse's engine inside this process.
    """

    module: str
    postgresql: bool = False
    clickhouse: bool = False


BENCHMARKS = {
    "archive": Benchmark("benchmarks.archive", postgresql=True),
    "backfill": Benchmark("benchmarks.backfill", postgresql=True),
    "backfill-sqlite": Benchmark("benchmarks.backfill"),
    "chart": Benchmark("benchmarks.chart", postgresql=True),
    "dispatch": Benchmark("benchmarks.dispatch", postgresql=True),
    "durable": Benchmark("benchmarks.durable", postgresql=True),
    "first-look": Benchmark("benchmarks.first_look"),
    "gate": Benchmark("benchmarks.gate", postgresql=True),
    "latest": Benchmark("benchmarks.latest", postgresql=True),
    "months": Benchmark("benchmarks.months", postgresql=True),
    "page": Benchmark("benchmarks.page"),
    "paint": Benchmark("benchmarks.paint"),
    "phase": Benchmark("benchmarks.phase"),
    "poll": Benchmark("benchmarks.poll", postgresql=True),
    "retention": Benchmark("benchmarks.retention", postgresql=True),
    "rollup": Benchmark("benchmarks.rollup", postgresql=True),
    "rollup-clickhouse": Benchmark("benchmarks.rollup", postgresql=True, clickhouse=True),
    "rollup-sqlite": Benchmark("benchmarks.rollup"),
    "series-day": Benchmark("benchmarks.series_day", postgresql=True),
    "size": Benchmark("benchmarks.size", postgresql=True),
    "write": Benchmark("benchmarks.write", postgresql=True),
    "write-clickhouse": Benchmark("benchmarks.write_clickhouse", postgresql=True, clickhouse=True),
    "write-hot": Benchmark("benchmarks.write_hot", postgresql=True),
    "write-sqlite": Benchmark("benchmarks.write_sqlite"),
}


def main(arguments: list[str]) -> int:
    """Print one line a figure; 1 when a benchmark could not be run, 2 for an unknown name."""
    if not arguments:
        return run_all()
    if len(arguments) > 1 or arguments[0] not in BENCHMARKS:
        print(f"usage: python -m benchmarks [{' | '.join(BENCHMARKS)}]", file=sys.stderr)
        return 2
    return run_one(arguments[0])


def run_one(name: str) -> int:
    """Run a benchmark in this process."""
    try:
        benchmark = BENCHMARKS[name]
        with temporary_site(postgresql=benchmark.postgresql, clickhouse=benchmark.clickhouse):
            module = importlib.import_module(benchmark.module)
            run = cast("Callable[[], Iterable[Figure]]", module.run)
            for figure in run():
                print(figure.line(), flush=True)
    except Exception:
        print(f"Benchmark {name} could not be run:", file=sys.stderr)
        traceback.print_exc()
        return 1
    return 0


def run_all() -> int:
    """Run each benchmark in a process of its own: each configures a site of its own."""
    codes = [
        subprocess.run([sys.executable, "-m", "benchmarks", name], check=False).returncode
        for name in BENCHMARKS
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
