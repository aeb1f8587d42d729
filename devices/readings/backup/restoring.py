"""Putting a backup back: into an empty site, all or nothing, on either database engine."""

# ruff: noqa: S608 - names of tables and columns are those of this site's own models

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.color import no_style
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import Model
from django.db.models.functions import Greatest

from devices.models import Community, Connection, KeyCheck
from devices.models.connection import next_revision
from devices.readings.backup.archived import restore_files
from devices.readings.backup.contents import (
    BackupUnusable,
    Contents,
    applied_migrations,
    columns_of,
    migrated,
    models_to_keep,
    rows_of,
    stored,
)
from devices.readings.backup.elsewhere import Loading, loading, server_of_site
from devices.readings.backup.writing import PORTION, Told
from devices.readings.models import Watermark
from devices.readings.store import make_room, store_at
from devices.readings.store.newest import hand_over
from devices.readings.store.tables import ROWS

Row = Sequence[Any]
T = TypeVar("T")


def restore(
    source: Path,
    *,
    replace: bool = False,
    tell: Told = lambda table, rows: None,
    mended: Told = lambda table, rows: None,
) -> Contents:
    """Put everything that `source` holds into this site's database; one transaction.

    `tell` hears of each table when it is in, `mended` of those in which characters of some rows
    had to be replaced, because no database takes them.

    The site's other processes should be stopped: they would go on with what they remember. Raises
    BackupUnusable (damaged, of another version; this site is not migrated, or not empty and not to
    be replaced) and KeyMismatch (the encryption key is not that of the backup): then nothing is
    changed, but for files of the archive that were not there and that nothing names. Where
    ClickHouse fails in the last step, BackupUnusable says that its tables are not all what they
    were.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            contents = Contents.of(archive)
            _refuse_other_versions(contents)
            _refuse_readings_elsewhere(contents)
            contents.verify(archive)
            restore_files(archive, contents)
            with _loading(contents) as loaded, transaction.atomic():
                remembered = _remembered()
                governing = Connection.objects.newest_revision()
                _empty(replace=replace)
                for model in models_to_keep():
                    table = model._meta.db_table
                    tell(table, _fill(model, archive, contents.rows[table], loaded, mended))
                _go_on_numbering()
                _let_forget(remembered)
                _let_govern(governing)
                KeyCheck.verify()
                if loaded is not None:
                    _let_take_place(loaded)
                elif contents.elsewhere:
                    hand_over(store_at(None).engine, exact=False)
    except zipfile.BadZipFile as error:
        raise BackupUnusable("This file is no backup: it is not a whole ZIP archive.") from error
    return contents


def check(source: Path) -> Contents:
    """What `source` holds, once it has proved whole. Raises BackupUnusable."""
    try:
        with zipfile.ZipFile(source) as archive:
            contents = Contents.of(archive)
            contents.verify(archive)
    except zipfile.BadZipFile as error:
        raise BackupUnusable("This file is no backup: it is not a whole ZIP archive.") from error
    return contents


def _refuse_other_versions(contents: Contents) -> None:
    if not migrated():
        raise BackupUnusable(
            "This site's database is not migrated: it has not all of its tables. Run `manage.py "
            "migrate` first, then restore again."
        )
    ours = set(applied_migrations())
    theirs = set(contents.migrations)
    if ours == theirs:
        return
    newest = ", ".join(sorted(ours ^ theirs)[:3])
    which = "an older" if theirs < ours else "another"
    raise BackupUnusable(
        f"The backup was written by {which} version of this site (they differ in {newest}). "
        "Restore it with that version, then update."
    )


def _refuse_readings_elsewhere(contents: Contents) -> None:
    if settings.READINGS_ADDRESS is None or not contents.rows.get(ROWS.name):
        return
    if not contents.elsewhere or server_of_site() is None:
        raise BackupUnusable(
            "The backup holds readings, and this site keeps its own elsewhere (READINGS_URL). "
            "Restore without READINGS_URL, then move them: docs/scale.md says how."
        )


@contextmanager
def _loading(contents: Contents) -> Iterator[Loading | None]:
    """The way into ClickHouse, for a backup that came from there; None: all goes into the database.

    A backup of a cluster's books alone leaves the cluster's rows alone.
    """
    server = server_of_site() if contents.elsewhere else None
    if server is None:
        yield None
        return
    with loading(server) as loaded:
        yield loaded


def _empty(*, replace: bool) -> None:
    """Delete every row; deferred constraints are checked when all is in place again."""
    if not replace and Community.objects.exists():
        raise BackupUnusable(
            "This site is not empty: it has communities. Restore into a new one, or add --replace "
            "to throw away all that is here."
        )
    with connection.cursor() as cursor:
        # No TRUNCATE: its lock would keep new partitions out.
        for model in models_to_keep():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def _let_take_place(loaded: Loading) -> None:
    """The last step, which no transaction can undo."""
    try:
        loaded.take_place()
    except OperationalError as error:
        raise BackupUnusable(
            f"{str(error).strip()} This was while restored readings took the place of those in "
            "ClickHouse: some tables are replaced or empty, others are not, and the database is as "
            "it was. Restore again, with --replace, once ClickHouse answers."
        ) from error


def _fill(
    model: type[Model],
    archive: zipfile.ZipFile,
    expected: int,
    loaded: Loading | None,
    mended: Told,
) -> int:
    """Insert a table's rows in portions; how many there were."""
    table = model._meta.db_table
    count = replaced = 0
    for found in _portions(rows_of(archive, table)):
        portion = [row for row, _ in found]
        replaced += sum(changed for _, changed in found)
        if loaded is not None and loaded.has(table):
            loaded.add(table, list(columns_of(model)), portion)
        else:
            try:
                _insert(model, portion)
            except DataError as error:  # SQLite does not mind how long a text is
                raise BackupUnusable(
                    f"This database refuses what {table} holds: {str(error).strip()}. Restore on "
                    "the engine that the backup is of, and change it there."
                ) from error
        count += len(portion)
    if count != expected:
        raise BackupUnusable(f"{table} holds {count} rows and should hold {expected}.")
    if replaced:
        mended(table, replaced)
    return count


def _insert(model: type[Model], rows: Sequence[Row]) -> None:
    _make_room(model, rows)
    columns = columns_of(model)
    fields = columns.values()
    names = ", ".join(map(connection.ops.quote_name, columns))
    places = ", ".join(["%s"] * len(columns))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({places})",
            [
                [stored(field, value) for field, value in zip(fields, row, strict=True)]
                for row in rows
            ],
        )


def _portions(rows: Iterator[T]) -> Iterator[list[T]]:
    while portion := list(islice(rows, PORTION)):
        yield portion


def _make_room(model: type[Model], rows: Sequence[Row]) -> None:
    names = list(columns_of(model))
    if "at" in names:
        place = names.index("at")
        make_room(model._meta.db_table, [datetime.fromisoformat(row[place]) for row in rows])


def _remembered() -> int:
    """By which count processes remember what they have seen of the store."""
    return max(Watermark.objects.values_list("slots_gone", flat=True), default=0)


def _let_forget(remembered: int) -> None:
    """A process that was not stopped must not believe what it saw before.

    The rows are where they were restored to, wherever they had been moved before.
    """
    Watermark.objects.update(slots_gone=Greatest("slots_gone", remembered) + 1, rows_at="")


def _let_govern(replaced: int) -> None:
    """Restored request budgets count as changed now: who remembers later ones must give way."""
    known = max(replaced, Connection.objects.newest_revision())
    Connection.objects.update(revision=next_revision(known))


def _go_on_numbering() -> None:
    """Continue each sequence behind the highest number restored."""
    statements = connection.ops.sequence_reset_sql(no_style(), models_to_keep())
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
