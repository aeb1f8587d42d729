"""`manage.py export_readings`: a device's readings, or those of a whole community, as files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.text import slugify

from devices.commands import device_called
from devices.models import Community, Device
from devices.readings.export import FORMATS, TIERS, ExportRequest, table_of
from devices.readings.export.telling import Reached, telling
from devices.readings.instants import to_millisecond
from devices.readings.ranges import BadTime, parse_time

TELL_EVERY_S = 5.0


class Command(BaseCommand):
    """Writes one file a device, in constant memory, whatever the range."""

    help = "Export readings: one file for each device, into a folder."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, from when to when, as what."""
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--device", help="a device's name or UUID")
        whose.add_argument("--community", help="a community's slug: all its devices")
        parser.add_argument("--since", default="-30d", help="ISO 8601, or -24h, -30d; default -30d")
        parser.add_argument("--until", default="now")
        parser.add_argument("--tier", choices=TIERS, default="raw")
        parser.add_argument("--as", dest="format", choices=list(FORMATS), default="csv")
        parser.add_argument("--into", type=Path, default=Path(), help="folder; default: here")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files, and tell of each."""
        since, until = self._range(options["since"], options["until"])
        form = FORMATS[options["format"]]
        for device in self._devices(options["device"], options["community"]):
            metrics = list(device.metrics.order_by("position", "pk"))
            wanted = ExportRequest(device, metrics, since, until, options["tier"])
            name = f"{slugify(device.name) or 'device'}-{str(device.uuid)[:8]}.{form.suffix}"
            file = options["into"] / name
            table = telling(table_of(wanted), partial(self._tell, name), TELL_EVERY_S)
            try:
                size = self._write(file, form.write(table))
            except OSError as error:
                raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
            self.stdout.write(f"{file}: {_words(size)}")

    def _tell(self, name: str, reached: Reached) -> None:
        self.stdout.write(f"{name}: {reached.rows:,} rows, up to {reached.last:%Y-%m-%d %H:%M}")

    def _write(self, file: Path, portions: Iterator[bytes]) -> int:
        unfinished = file.with_name(f"{file.name}.unfinished")
        try:
            with unfinished.open("wb") as target:
                size = sum(target.write(portion) for portion in portions)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return size

    def _range(self, since: str, until: str) -> tuple[Any, Any]:
        now = to_millisecond(timezone.now())
        try:
            begins, ends = parse_time(since, now), parse_time(until, now)
        except BadTime as error:
            raise CommandError(str(error)) from error
        if begins >= ends:
            raise CommandError("--since must be before --until.")
        return begins, ends

    def _devices(self, device: str | None, community: str | None) -> list[Device]:
        if device is not None:
            return [device_called(device)]
        if not Community.objects.filter(slug=community).exists():
            raise CommandError(f"There is no community “{community}”.")
        found = list(Device.objects.select_related("community").filter(community__slug=community))
        if not found:
            raise CommandError(f"The community “{community}” has no device.")
        return found


def _words(size: int) -> str:
    """Bytes as pages write them, with an ordinary space: a terminal may not know the other."""
    return filesizeformat(size).replace("\xa0", " ")
