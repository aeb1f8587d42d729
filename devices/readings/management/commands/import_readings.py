"""`manage.py import_readings`: bring a file that `export_readings` wrote back in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from devices.commands import JobCommand, device_called
from devices.models import Device
from devices.readings.imports import uploads, working
from devices.readings.imports.checking import check_file, device_of
from devices.readings.imports.choices import Choices, NoChoice, columns_of
from devices.readings.imports.report import difference, report, warnings
from devices.readings.imports.state import names_of
from devices.readings.imports.tally import Tally
from devices.readings.imports.text import ENCODINGS, UnreadableFile

SOME_REFUSED = 3
_HELP = """
exit codes:
  0  imported (with --dry-run: it could be), and nothing was refused
  1  not imported, or not to the end: the file, the device or a choice is the reason, or
     the database, which is away or full; it is printed, with what to do
  2  the command was called wrongly
  3  imported (with --dry-run: it could be), but rows or values are refused; the report says why
"""


class Command(JobCommand):
    """Imports readings from CSV, XLSX, JSON lines or Parquet, as the site exported them."""

    help = "Import readings from a file that export_readings, the API or a page wrote."
    epilog = _HELP

    def add_arguments(self, parser: CommandParser) -> None:
        """What goes where, and what only a person can know."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--device", help="name or UUID; not needed where the file says it (all but CSV)"
        )
        parser.add_argument(
            "--column", action="append", default=[], metavar="TITLE=METRIC",
            help="what a column is: Temp=temperature_c; TITLE= leaves it out",
        )  # fmt: skip
        parser.add_argument("--encoding", default="", choices=["", *ENCODINGS], help="of a CSV")
        parser.add_argument(
            "--replace", action="store_true", help="overwrite stored readings that differ"
        )
        parser.add_argument("--dry-run", action="store_true", help="store nothing, say what would")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, or say why not. Raises CommandError."""
        file: Path = options["file"]
        try:
            said = columns_of(options["column"])
            choices = Choices(said, options["replace"], options["encoding"])
            with file.open("rb") as raw:
                refused = self._import(raw, choices, options)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except (UnreadableFile, NoChoice) as error:
            raise CommandError(str(error)) from error
        if refused:
            raise SystemExit(SOME_REFUSED)

    def _import(self, raw: BinaryIO, choices: Choices, options: Mapping[str, Any]) -> int:
        """How many rows and values are refused. Raises UnreadableFile."""
        device = _device(raw, options["device"])
        if options["dry_run"]:
            return self._dry_run(raw, device, choices, options)
        raw.seek(0)
        name, pieces = options["file"].name, iter(lambda: raw.read(2**20), b"")
        imported = uploads.keep(device, name, pieces, None, timezone.now())
        try:
            job = working.start_import(imported, choices, None)
        except UnreadableFile:
            imported.delete()
            raise
        self.follow(job, options)
        return Tally.of(job.cursor["tally"]).refusals

    def _dry_run(
        self, raw: BinaryIO, device: Device, choices: Choices, options: Mapping[str, Any]
    ) -> int:
        now = timezone.now()
        found = check_file(raw, device, choices, now)
        tally = Tally.of(found["tally"])
        metrics = names_of(tally)
        said = {
            "Device": str(device),
            **report(tally, replaced=choices.replace),
            "Columns": {one["name"]: one["metric"] or "not clear" for one in found["columns"]},
            "Differing, for example": [difference(one, metrics) for one in tally.differences],
            "To know or to decide": warnings(found, device, now),
        }
        self.print({name: one for name, one in said.items() if one != []}, options)
        return tally.refusals


def _device(raw: BinaryIO, wanted: str | None) -> Device:
    """The device that was named, else the one that the file is of. Raises UnreadableFile."""
    return device_called(wanted) if wanted else device_of(raw, Device.objects.all())
