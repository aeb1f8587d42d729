"""Writing a backup beside a running site: one moment of the database, read table by table."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, connections
from django.db.models import Model

from devices.readings.backup.archived import write_files
from devices.readings.backup.contents import (
    MANIFEST,
    Contents,
    applied_migrations,
    columns_of,
    entry_of,
    models_to_keep,
    plain,
)
from devices.readings.backup.elsewhere import Copies, copies, server_of_site
from devices.readings.moving.move import writers_held
from devices.readings.store import store_at

PORTION = 10_000
_ALIAS = "backup"
Told = Callable[[str, int], object]
_FIX = "SELECT 1 FROM readings_watermark"
"""The first look fixes the moment."""
_BEGIN = {
    "postgresql": (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        # Before the moment is fixed: nobody may put a sorted copy in a month's place after it.
        "LOCK TABLE readings_row, readings_textvalue IN ACCESS SHARE MODE",
        _FIX,
    ),
    "sqlite": ("BEGIN DEFERRED", _FIX),
}


class Moment(NamedTuple):
    """The site at one moment: a connection that sees it, and the tables that are elsewhere."""

    alias: str
    copies: Copies | None


def write_backup(
    target: Path,
    now: datetime,
    tell: Told = lambda table, rows: None,
    *,
    with_archive: bool = True,
) -> Contents:
    """Write everything to `target`; `tell` hears of each table when it is done.

    Without the archive, its files are only named.

    All tables are of one moment, whatever is written meanwhile; nobody has to wait. The file
    holds encrypted credentials and password hashes: only its owner may read it. It appears under
    its name when it is whole. Raises OSError when it cannot be written: then nothing is left.
    """
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, _one_moment() as moment:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                contents = _write(archive, moment, now, tell, with_archive=with_archive)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return contents


@contextmanager
def _one_moment() -> Iterator[Moment]:
    """The site as it is now, until the end. Where readings are elsewhere, writers wait until both
    stand still, for a moment.
    """
    with ExitStack() as made:
        server = server_of_site()
        if server is None:
            yield Moment(made.enter_context(_connection()), None)
            return
        with writers_held(store_at(None).engine):
            alias = made.enter_context(_connection())
            copied = made.enter_context(copies(server))
        yield Moment(alias, copied)


@contextmanager
def _connection() -> Iterator[str]:
    """A connection of its own that sees the database as it is now, until the end."""
    own = connection.copy(_ALIAS)
    connections[_ALIAS] = own
    try:
        with own.cursor() as cursor:
            for statement in _BEGIN[own.vendor]:
                cursor.execute(statement)
        yield _ALIAS
    finally:
        own.close()
        del connections[_ALIAS]


def _write(
    archive: zipfile.ZipFile, moment: Moment, now: datetime, tell: Told, *, with_archive: bool
) -> Contents:
    rows: dict[str, int] = {}
    checksums: dict[str, str] = {}
    for model in models_to_keep():
        table = model._meta.db_table
        rows[table], checksums[table] = _write_table(archive, model, moment)
        tell(table, rows[table])
    files, lacking = write_files(archive, moment.alias) if with_archive else ({}, [])
    contents = Contents(
        now.isoformat(),
        applied_migrations(moment.alias),
        rows,
        checksums,
        files,
        tuple(lacking),
        elsewhere=moment.copies is not None,
    )
    archive.writestr(MANIFEST, contents.document())
    return contents


def _write_table(archive: zipfile.ZipFile, model: type[Model], moment: Moment) -> tuple[int, str]:
    digest = hashlib.sha256()
    count = 0
    with archive.open(entry_of(model._meta.db_table), "w", force_zip64=True) as lines:
        for row in _rows(model, moment):
            line = json.dumps([plain(value) for value in row], separators=(",", ":")).encode()
            lines.write(line + b"\n")
            digest.update(line + b"\n")
            count += 1
    return count, digest.hexdigest()


def _rows(model: type[Model], moment: Moment) -> Iterator[tuple[Any, ...]]:
    columns, table = columns_of(model), model._meta.db_table
    if moment.copies is not None and moment.copies.has(table):
        return moment.copies.rows(table, list(columns))
    names = [field.attname for field in columns.values()]
    rows = model._base_manager.using(moment.alias).order_by().values_list(*names)
    return rows.iterator(chunk_size=PORTION)
