"""`manage.py backfill`: have a range of a source read again, and watch how far it is."""

from __future__ import annotations

import re
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from devices.models import Source
from devices.phrases import plural
from devices.readings.ranges import BadTime, parse_time
from ingestion.gaps import backfill
from ingestion.models import UNREAD, Gap, GapState

_AGO = re.compile(r"\d+[smhdw]")
LOOK_S = 2.0
"""How often progress is looked at."""
_BY = {
    "source": (
        "pk",
        "source {0}. The number is the one in the address of its admin page; a channel's number at "
        "ThingSpeak is given as --channel {0}.",
    ),
    "channel": ("thingspeakchannel__channel_id", "channel {}. The admin lists channels by number."),
    "device": ("device__uuid", "device {}, or it has no source. The admin shows its UUID."),
}
"""Per argument: how sources are found by it, and what is said where none is."""


class Command(BaseCommand):
    """Opens a gap for each source; the workers fill it, whether this command waits or not."""

    help = (
        "Read a range of a source again: what is missing is added, what is there stays. The "
        "workers do it while live polling leaves room; killing this command or a worker loses "
        "nothing."
    )

    sleep: Callable[[float], object] = staticmethod(time.sleep)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which source, from when until when."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "source", nargs="?", type=int,
            help="the source's number in this site: the one in the address of its admin page",
        )  # fmt: skip
        which.add_argument(
            "--channel", type=int, metavar="NUMBER",
            help="all sources that read the channel with this number at ThingSpeak",
        )  # fmt: skip
        which.add_argument("--device", type=UUID, help="all sources of the device with this uuid")
        parser.add_argument(
            "--from",
            dest="since",
            required=True,
            help="ISO 8601 (UTC unless it names an offset), 7d for so long ago, or “beginning”",
        )
        parser.add_argument("--until", default="now", help="as --from; default: now")
        parser.add_argument("--wait", action="store_true", help="show progress until it is done")
        parser.add_argument("--dry-run", action="store_true", help="only say what it would take")

    def handle(self, *args: Any, **options: Any) -> None:
        """Open the gaps, and wait for them if asked to."""
        now = timezone.now()
        sources = _sources(options)
        since, until = _range(options["since"], options["until"], now)
        for source in sources:
            self.stdout.write(f"{source}: {backfill.estimate(source, since, until).text}")
        if options["dry_run"]:
            return
        gaps = [backfill.request_backfill(source, since, until, now) for source in sources]
        for source, gap in zip(sources, gaps, strict=True):
            waits = backfill.waits_for(gap)
            self.stdout.write(f"Backfill {gap.pk} of {source} is queued. {waits}".rstrip())
        if options["wait"]:
            self._watch([gap.pk for gap in gaps])

    def _watch(self, gaps: Sequence[int]) -> None:
        """One line whenever something changed, until nothing is open. Raises CommandError."""
        said: dict[int, str] = {}
        while True:
            rows = Gap.objects.filter(pk__in=gaps).select_related(
                "source__device", "source__connection", "source__poll_state"
            )
            for gap in rows:
                line = progress(gap)
                if said.get(gap.pk) != line:
                    said[gap.pk] = line
                    self.stdout.write(line)
            if not any(gap.state in UNREAD for gap in rows):
                break
            self.sleep(LOOK_S)
        if any(gap.state == GapState.CANCELLED for gap in rows):
            raise CommandError("Somebody cancelled it. What was read stays.")


def progress(gap: Gap) -> str:
    """How far a gap is, in a line."""
    back = f", back to {gap.until:%Y-%m-%d %H:%M} UTC" if gap.state in UNREAD else ""
    waits = backfill.waits_for(gap)
    line = f"Backfill {gap.pk}: {gap.get_state_display().lower()}, {gap.percent} %, "
    line += f"{plural(gap.entries, 'entry', 'entries')}{back}. {waits}"
    return line.rstrip()


def _sources(options: Mapping[str, Any]) -> list[Source]:
    rows = Source.objects.select_related(
        "device__community", "device__type", "connection", "poll_state", "thingspeakchannel"
    )
    name = next(one for one in _BY if options[one] is not None)
    path, missing = _BY[name]
    found = list(rows.filter(**{path: options[name]}))
    if not found:
        raise CommandError(f"There is no {missing.format(options[name])}")
    return found


def _range(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    try:
        begins = None if since == "beginning" else _time(since, now)
        return backfill.checked(begins, _time(until, now), now)
    except (BadTime, backfill.BadRange) as error:
        raise CommandError(str(error)) from error


def _time(text: str, now: datetime) -> datetime:
    """A time of the command line, where a leading minus would be taken for an option."""
    return parse_time(f"-{text}" if _AGO.fullmatch(text) else text, now)
