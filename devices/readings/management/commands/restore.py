"""`manage.py restore`: put a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from devices.masking import UNREADABLE
from devices.models.key_check import KeyMismatch
from devices.phrases import plural, sentence
from devices.readings.backup import BackupUnusable, check, restore


class Command(BaseCommand):
    """Restores all or nothing, into SQLite or PostgreSQL, whichever the backup came from."""

    help = (
        "Restore a backup into this site, which must be stopped and migrated. All or nothing; "
        "a backup of SQLite can be restored into PostgreSQL and the other way round."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What, and how far."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="throw away what is here")
        parser.add_argument("--check", action="store_true", help="only see whether it is whole")

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, or only check."""
        try:
            if options["check"]:
                contents = check(options["file"])
            else:
                contents = restore(
                    options["file"],
                    replace=options["replace"],
                    tell=self._tell,
                    mended=self._mended,
                )
        except (BackupUnusable, KeyMismatch) as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            raise CommandError(
                f"{sentence(str(error))} Restore again once that is mended."
            ) from error
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        done = "is whole" if options["check"] else "was restored"
        total = sum(contents.rows.values())
        self.stdout.write(f"The backup of {contents.made_at} {done}: {total:,} rows.")

    def _tell(self, table: str, rows: int) -> None:
        if rows:
            self.stderr.write(f"  {table}: {rows:,}")

    def _mended(self, table: str, rows: int) -> None:
        self.stderr.write(
            f"  {table}: {plural(rows, 'row', 'rows')} had characters that no database takes; they "
            f"stand as “{UNREADABLE}” now."
        )
