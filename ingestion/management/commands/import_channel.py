"""Bring a whole channel in from the command line: a CSV export, or all history over the API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from devices.commands import JobCommand
from devices.masking import shown
from devices.models import Job, Source, ThingSpeakChannel
from devices.readings.imports.text import ENCODINGS, UnreadableFile
from ingestion.equipment import equipment
from ingestion.imports import api_job, csv_job
from ingestion.imports.checking import check_file, first_choices, proposed_columns
from ingestion.imports.choices import Choices
from ingestion.imports.files import store_file
from ingestion.imports.header import Header, read_header
from ingestion.imports.mapped import NOTHING_MAPPED, mapped_fields
from ingestion.imports.report import ranges, report, warnings
from ingestion.imports.tally import Tally
from ingestion.imports.times import FORMS
from ingestion.models import Import, ImportWay

SOME_REFUSED = 3
# What no waiting mends: such a channel is not there, or not to be read with this key.
OF_THE_CHANNEL = ("channel_id", "read_key")
NO_ROW = "No row can be read as things stand."

_FORMS = "\n".join(f"    {key:8}{form.label}" for key, form in FORMS.items())
_HELP = f"""
exit codes:
  0  imported (with --dry-run: it could be), and nothing was refused
  1  not imported, or not to the end: the file, the channel or a choice is the reason, or
     the database, which is away or full; it is printed, with what to do
  2  the command was called wrongly
  3  imported (with --dry-run: it could be), but rows or values are refused; the report says why

forms for --times, when a spreadsheet has rewritten them:
{_FORMS}
"""


class Command(JobCommand):
    """Imports a CSV export of ThingSpeak, or fetches a channel's whole history."""

    help = "Import a channel: a CSV file, or everything the provider holds (--api)."
    epilog = _HELP

    def add_arguments(self, parser: CommandParser) -> None:
        """What is imported where, and what only a person can know about a file."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("file", nargs="?", help="the CSV file")
        what.add_argument("--api", action="store_true", help="all history, over the API")
        parser.add_argument(
            "--source", "--channel", type=int, metavar="NUMBER",
            help="the channel's number at ThingSpeak, as the admin lists it; not the number in the "
            "address of its admin page",
        )  # fmt: skip
        parser.add_argument("--device", help="its device: name or uuid")
        parser.add_argument("--zone", default="", help="zone of times without one: Asia/Kolkata")
        parser.add_argument("--times", default="", choices=["", *FORMS], help="see below")
        parser.add_argument("--encoding", default="", choices=["", *ENCODINGS])
        parser.add_argument(
            "--column", action="append", default=[], metavar="NAME=FIELD",
            help="what a renamed column is: Temp=field1; NAME= leaves it out",
        )  # fmt: skip
        parser.add_argument(
            "--accept-columns", action="store_true",
            help="take the proposals of --dry-run for renamed columns",
        )  # fmt: skip
        parser.add_argument(
            "--decimal-comma", action="store_true", help="a spreadsheet wrote 22,4 for 22.4"
        )
        parser.add_argument(
            "--replace", action="store_true", help="replace stored readings that differ"
        )
        parser.add_argument("--dry-run", action="store_true", help="store nothing, say what would")
        parser.add_argument("--json", action="store_true", help="the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, or say why not. Raises CommandError."""
        channel = _channel(options["source"], options["device"])
        try:
            refused = self._api(channel, options) if options["api"] else self._csv(channel, options)
        except (UnreadableFile, api_job.SwitchedOff) as error:
            raise CommandError(str(error)) from error
        if refused:
            raise SystemExit(SOME_REFUSED)

    # --- CSV ----------------------------------------------------------------------------------

    def _csv(self, channel: ThingSpeakChannel, options: Mapping[str, Any]) -> int:
        """How many rows and values are refused. Raises UnreadableFile."""
        file = Path(options["file"])
        try:
            with file.open("rb") as raw:
                choices, open_names = _choices(raw, channel, options)
                found = check_file(raw, channel, choices, timezone.now())
                if options["dry_run"]:
                    return self._dry_run(channel, found, choices, options)
                if open_names:
                    raise UnreadableFile(
                        f"Columns were renamed: {', '.join(open_names)}. Say what each is with "
                        "--column NAME=FIELD, or look at --dry-run and then --accept-columns."
                    )
                if not found["tally"]["entries"]:
                    raise UnreadableFile(" ".join([NO_ROW, *warnings(found)]))
                job = _queue(file.name, raw, channel, choices, found)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        self.follow(job, options)
        return sum((job.cursor.get("tally") or {}).get("refused", {}).values())

    def _dry_run(
        self,
        channel: ThingSpeakChannel,
        found: Mapping[str, Any],
        choices: Choices,
        options: Mapping[str, Any],
    ) -> int:
        tally = Tally.of(found["tally"])
        columns = {
            found["names"][place]: choices.columns.get(place) or one.field
            for place, one in proposed_columns(found).items()
        }
        said = {"Renamed columns, as they are read": columns} if columns else {}
        newest, spans = tally.latest_samples(), ranges(tally)
        mapped = mapped_fields(channel, newest, timezone.now(), ranges=spans)
        self.print(
            {
                **report(tally, replaced=choices.replace),
                **said,
                "Mapped fields": mapped or NOTHING_MAPPED,
                "Zones written": tally.zones,
                "To know or to decide": warnings(found),
            },
            options,
        )
        if not tally.entries:
            raise UnreadableFile(NO_ROW)
        return tally.refusals

    # --- API ----------------------------------------------------------------------------------

    def _api(self, channel: ThingSpeakChannel, options: Mapping[str, Any]) -> int:
        now = timezone.now()
        found = api_job.preview_api(channel, equipment(), now)
        wrong = found.verification.where in OF_THE_CHANNEL
        if not found.answered and (options["dry_run"] or wrong):
            raise CommandError(f"Nothing can be imported now. {found.verification.message}")
        said: dict[str, Any] = {
            "Channel": found.verification.name,
            "Newest entry number": found.entries if found.entries is not None else "unknown",
            "Answer": found.verification.message,
        }
        if found.estimate:
            said["Estimate"] = found.estimate.text
        if options["dry_run"]:
            newest, labels = found.verification.entries, found.verification.labels
            said["Mapped fields"] = (
                mapped_fields(channel, newest, now, labels=labels) or NOTHING_MAPPED
            )
            self.print(said, options)
            return 0
        job = api_job.start_import(channel, found.entries, None, now).job
        if job is None:
            raise CommandError("The import could not be started.")
        if not found.answered:
            self.stderr.write(f"{found.verification.message} The import waits for an answer.")
        self.follow(job, options)
        refused: int = job.report.get("Newly refused", 0)
        return refused


def _channel(number: int | None, device: str | None) -> ThingSpeakChannel:
    if number is None and not device:
        raise CommandError("Say which channel: --channel NUMBER, or --device NAME.")
    rows: Any = ThingSpeakChannel.objects
    found = rows.select_related("device__community", "device__type", "connection")
    if number is not None:
        found = found.filter(channel_id=number)
    if device:
        found = found.filter(_named(device))
    channels: list[ThingSpeakChannel] = list(found[:10])
    if not channels:
        raise CommandError(
            "This site has no such channel. Add it in the admin first; for a CSV file it may be "
            "switched off."
        )
    if len(channels) > 1:
        names = "; ".join(str(one) for one in channels)
        raise CommandError(f"Several channels fit: {names}. Give --channel and --device.")
    return channels[0]


def _named(device: str) -> Q:
    try:
        return Q(device__uuid=UUID(device))
    except ValueError:
        return Q(device__name=device)


def _choices(
    raw: BinaryIO, channel: ThingSpeakChannel, options: Mapping[str, Any]
) -> tuple[Choices, list[str]]:
    """What was chosen, and the renamed columns nobody has said anything about."""
    header = read_header(raw, options["encoding"])
    said = dict(_column(text, header) for text in options["column"])
    proposed = first_choices(raw, channel, options["encoding"]).columns
    waiting = [place for place in proposed if place not in said]
    taken = set(said.values()) - {""}
    columns = {place: "" if role in taken else role for place, role in proposed.items()} | said
    choices = Choices(
        zone=options["zone"],
        form=options["times"],
        encoding=options["encoding"],
        columns=columns,
        decimal_comma=options["decimal_comma"],
        replace=options["replace"],
    )
    agreed = options["accept_columns"] or not waiting
    return choices, [] if agreed else [header.names[place] for place in waiting]


def _column(text: str, header: Header) -> tuple[int, str]:
    name, mark, role = text.rpartition("=")
    places = [place for place in header.renamed if header.names[place] == name.strip()]
    if not mark or not places:
        known = ", ".join(header.names[place] for place in header.renamed) or "none"
        raise CommandError(
            f"--column {text}: expected NAME=FIELD with one of the renamed columns ({known})."
        )
    return places[0], role.strip()


def _queue(
    name: str,
    raw: BinaryIO,
    channel: ThingSpeakChannel,
    choices: Choices,
    found: dict[str, Any],
) -> Job:
    """Keep the file and start its job. Raises UnreadableFile."""
    raw.seek(0)
    imported = Import.objects.create(
        source=Source.objects.get(pk=channel.pk),
        way=ImportWay.CSV,
        file_name=shown(name),
        findings=found,
        created_at=timezone.now(),
    )
    store_file(imported, iter(lambda: raw.read(2**20), b""))
    return csv_job.start_import(imported, choices, found["tally"]["rows"], None)
