"""What is in a backup: one file of JSON lines a table, the archive's files, and a manifest that
proves them whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import BinaryField, Field, JSONField, Model

from devices.masking import fit_document
from devices.secrets import Secret, SecretCharField

FORMAT = 1
MANIFEST = "manifest.json"
LEFT_OUT = frozenset({"django_session"})
"""Who is signed in is no business of another day."""
_PERHAPS_UNFIT = re.compile(rb"\\u(?:0000|d[89a-f])")
"""A NUL, or half of a surrogate pair or of a whole one, as JSON has them in ASCII."""


class BackupUnusable(Exception):
    """The file cannot be restored here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds: the migrations its tables stand at, rows and checksum of each table.

    `files` are those of the archive, with their checksums; `lacking` those that it names and that
    could not be had. `elsewhere`: the big tables were read from ClickHouse.
    """

    made_at: str
    migrations: tuple[str, ...]
    rows: dict[str, int]
    checksums: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    elsewhere: bool = False

    def document(self) -> bytes:
        """The manifest as it is stored."""
        return json.dumps(
            {
                "format": FORMAT,
                "made_at": self.made_at,
                "migrations": list(self.migrations),
                "rows": self.rows,
                "checksums": self.checksums,
                "files": self.files,
                "lacking": list(self.lacking),
                "elsewhere": self.elsewhere,
            },
            indent=1,
        ).encode()

    @classmethod
    def of(cls, archive: zipfile.ZipFile) -> Contents:
        """Read the manifest; raises BackupUnusable when this is no whole backup of ours."""
        try:
            stored = json.loads(archive.read(MANIFEST))
            if stored["format"] != FORMAT:
                raise BackupUnusable(
                    f"The backup has format {stored['format']}, this site reads {FORMAT}. Restore "
                    "it with the version of the site that wrote it."
                )
            return cls(
                stored["made_at"],
                tuple(stored["migrations"]),
                dict(stored["rows"]),
                dict(stored["checksums"]),
                dict(stored.get("files", {})),
                tuple(stored.get("lacking", ())),
                bool(stored.get("elsewhere")),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BackupUnusable(
                "This is no whole backup of this site: its manifest is missing or damaged. Take "
                "another copy of the file."
            ) from error

    def verify(self, archive: zipfile.ZipFile) -> None:
        """Raise BackupUnusable when a table or file is missing or not as it was written."""
        parts = {entry_of(table): (table, whole) for table, whole in self.checksums.items()}
        parts |= {file_entry_of(name): (name, whole) for name, whole in self.files.items()}
        for entry, (name, whole) in parts.items():
            if _checksum(archive, entry) != whole:
                raise BackupUnusable(
                    f"The backup is damaged: {name} is not as it was written. Take another copy."
                )


def _checksum(archive: zipfile.ZipFile, entry: str) -> str | None:
    """SHA-256 of what is stored; None where it cannot be read."""
    try:
        with archive.open(entry) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (KeyError, zipfile.BadZipFile, EOFError, zlib.error):
        return None


def entry_of(table: str) -> str:
    """The name of a table's file."""
    return f"tables/{table}.jsonl"


def file_entry_of(name: str) -> str:
    """The name in the backup of a file of the archive."""
    return f"archive/{name}"


def models_to_keep() -> list[type[Model]]:
    """Every model with a table of its own, those between two others included."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.db_table not in LEFT_OUT
    ]


def columns_of(model: type[Model]) -> dict[str, Field[Any, Any]]:
    """The columns of the model's own table, with their fields."""
    return {field.column: field for field in model._meta.local_concrete_fields if field.column}


def applied_migrations(alias: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """The migrations that a database's tables stand at."""
    applied = MigrationRecorder(connections[alias]).applied_migrations()
    return tuple(sorted(f"{app}.{name}" for app, name in applied))


def migrated() -> bool:
    """Whether the tables of the default database are those of this version of the site."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def plain(value: Any) -> Any:
    """A value as JSON has it; secrets stay encrypted."""
    if value is None or isinstance(value, str | int | float | dict | list):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Secret):
        return value.token
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return str(value)


def stored(field: Field[Any, Any], value: Any) -> Any:
    """A value from JSON as this database stores it. Raises BackupUnusable when it cannot be."""
    if value is not None:
        try:
            value = _value(field, value)
        except (ValueError, TypeError, ValidationError) as error:
            raise BackupUnusable(
                f"The backup holds a value that {field.model._meta.db_table}.{field.column} "
                "cannot have. Take another copy."
            ) from error
    return field.get_db_prep_save(value, connection)


def _value(field: Field[Any, Any], value: Any) -> Any:
    if isinstance(field, SecretCharField):
        return Secret(value)
    if isinstance(field, BinaryField):
        return base64.b64decode(value)
    return value if isinstance(field, JSONField) else field.to_python(value)


def rows_of(archive: zipfile.ZipFile, table: str) -> Iterator[tuple[list[Any], bool]]:
    """The rows of a table, one after the other, and whether characters of it had to be replaced.

    SQLite keeps what PostgreSQL refuses (a NUL, half a surrogate pair): one character must not cost
    the whole site, so it becomes U+FFFD.
    """
    with archive.open(entry_of(table)) as lines:
        for line in lines:
            row = json.loads(line)
            fit = fit_document(row) if _PERHAPS_UNFIT.search(line) else row
            yield fit, fit != row
