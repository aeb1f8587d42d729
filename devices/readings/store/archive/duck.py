"""DuckDB inside this process: it reads and writes Parquet, and keeps nothing itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import structlog

from devices.readings.store.archive.files import path_of
from devices.readings.store.base import ArchiveUnreadable

log = structlog.get_logger(__name__)

THREADS = 2
MEMORY = "512MB"
OURS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.OutOfMemoryException,
)
"""What no file can be blamed for."""

_open: dict[int, duckdb.DuckDBPyConnection] = {}
"""By process: threads do not outlive a fork."""


def connect(spill: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that asks no network for anything and sorts what is too big in `spill`.

    It believes that days are those of UTC.
    """
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": str(THREADS),
            "memory_limit": MEMORY,
            "temp_directory": str(spill),
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def read(names: Sequence[str], sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a SELECT whose first parameter is the list of these files.

    Raises ArchiveUnreadable where one is missing or damaged.
    """
    paths = [str(path_of(name)) for name in names]
    try:
        return _cursor().execute(sql, [paths, *params]).fetchall()
    except OURS:
        raise
    except duckdb.Error as error:
        log.error("archive_unreadable", files=list(names), error=str(error))
        raise ArchiveUnreadable(_words(names)) from error


def _cursor() -> duckdb.DuckDBPyConnection:
    """A cursor of this process's database: threads may use one each at the same time."""
    own = os.getpid()
    if own not in _open:
        _open[own] = connect(Path(tempfile.gettempdir()) / f"telemetry-archive-{own}")
        _open[own].execute("SET parquet_metadata_cache = true")
    return _open[own].cursor()


def _words(names: Sequence[str]) -> str:
    missing = [name for name in names if not path_of(name).is_file()]
    if missing:
        return (
            f"Readings of this time stand in the archive, and its file {missing[0]} is missing. "
            "Whoever runs this site can put it back into the archive's directory (ARCHIVE_DIR)."
        )
    return (
        "Readings of this time stand in the archive, and a file of it cannot be read "
        f"({', '.join(names[:3])}): it is damaged, or this process may not open it. Whoever runs "
        "this site can put a copy of it into the archive's directory (ARCHIVE_DIR)."
    )
