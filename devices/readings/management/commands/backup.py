"""`manage.py backup`: a copy of the whole site in one file, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils import timezone

from devices.phrases import sentence
from devices.readings.archiving import holdings
from devices.readings.backup import write_backup


class Command(BaseCommand):
    """Writes configuration, people, readings and logs, all of one moment."""

    help = (
        "Write a backup of the whole site, while it runs. The file holds encrypted credentials: "
        "keep field_encryption.key apart from it, and both safe."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("file", nargs="?", help="default: telemetry-DATE-TIME.zip")
        parser.add_argument(
            "--without-archive",
            action="store_true",
            help="only name the files of archived readings: you copy ARCHIVE_DIR yourself",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write, and tell of each table."""
        now = timezone.now()
        target = Path(options["file"] or f"telemetry-{now:%Y%m%d-%H%M%S}.zip")
        if target.exists():
            raise CommandError(f"{target} is there already. Name another file.")
        try:
            contents = write_backup(
                target, now, self._tell, with_archive=not options["without_archive"]
            )
        except OSError as error:
            raise CommandError(
                f"{target} cannot be written: {error.strerror or error}. Nothing was left behind."
            ) from error
        except OperationalError as error:
            raise CommandError(f"{sentence(str(error))} Nothing was left behind.") from error
        size = target.stat().st_size / 1e6
        total = sum(contents.rows.values())
        self.stdout.write(f"{target}: {total:,} rows of {len(contents.rows)} tables, {size:.1f} MB")
        if contents.files:
            self.stdout.write(f"With {len(contents.files)} files of archived readings.")
        archive = holdings()
        if archive.months and options["without_archive"]:
            self.stdout.write(
                f"Copy {archive.directory} too ({archive.size / 1e6:.1f} MB of archived readings): "
                "the backup names its files and does not hold them."
            )
        if settings.READINGS_ADDRESS is not None and not contents.elsewhere:
            self.stdout.write(
                f"Not in it: readings, entries as received and rollups. They are in "
                f"{settings.READINGS_ADDRESS}, which makes its own backup: see docs/scale.md."
            )
        if contents.lacking:
            raise CommandError(
                f"{target} was written, but without {len(contents.lacking)} of the archive's "
                f"files, which are missing or damaged: {', '.join(contents.lacking)}. Put them "
                f"back into {archive.directory} from an earlier backup, and make another one."
            )

    def _tell(self, table: str, rows: int) -> None:
        if rows:
            self.stderr.write(f"  {table}: {rows:,}")
