"""Bringing in a channel's whole history over the API: a gap that the backfill lane fills.

The history takes the same way as every other gap: pages of 8,000 entries, newest first, within the
account's request budget and only while no live poll waits for it. The job watches and reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import Count, Sum

from devices.jobs import JobFailed, Progress
from devices.models import Job, Source, ThingSpeakChannel
from devices.phrases import plural
from ingestion import gaps
from ingestion.gaps import backfill
from ingestion.imports.report import moment, reason_words
from ingestion.models import (
    EventKind,
    Gap,
    GapState,
    Import,
    ImportWay,
    Lane,
    PollLog,
    Rejection,
    SourceEvent,
)
from ingestion.polling import Equipment
from ingestion.rules import route_of
from ingestion.verify import Severity, Verification, verify_channel

IMPORT = "import_api"
PAGES_A_MINUTE = 60.0
"""At most: the dispatcher hands out one page of a channel a second."""
LOOK_AGAIN = timedelta(seconds=5)
_UNREAD = (GapState.OPEN, GapState.FILLING)
_ASKED = ("device", "connection", "poll_state")
"""What decides whether a source is asked."""
_TURN = "A page at a time, as the request budget leaves room; live polls go first."


class SwitchedOff(Exception):
    """Nothing of the channel would be fetched; the message says what to switch on."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What fetching everything would cost, under the budget as it stands.

    `requests` are pages, `free_per_minute` the requests that live polling leaves over; `minutes`
    is None when it leaves none.
    """

    entries: int
    requests: int
    free_per_minute: float
    minutes: float | None

    @property
    def text(self) -> str:
        """For people."""
        what = (
            f"Up to {plural(self.entries, 'entry', 'entries')} in about "
            f"{plural(self.requests, 'request')}."
        )
        if self.minutes is None:
            return (
                f"{what} Live polling uses up the account's whole request budget, so the history "
                "would wait for ever: raise the budget of the connection or poll less often."
            )
        lasts = "about a minute" if self.minutes <= 1 else f"about {ceil(self.minutes):,} minutes"
        return f"{what} They take {lasts} at least; live polls of the account go first."


@dataclass(frozen=True, slots=True)
class ApiPreview:
    """What the channel says about itself, and what its history would cost."""

    verification: Verification
    estimate: Estimate | None

    @property
    def answered(self) -> bool:
        """Whether the channel answered this time, so that something could be fetched."""
        said = self.verification
        return said.facts is not None and said.severity is not Severity.BAD

    @property
    def entries(self) -> int | None:
        """Number of the newest entry: at most so many are there, fewer after a clearing."""
        facts = self.verification.facts
        return facts.last_entry_id if facts else None


def preview_api(channel: ThingSpeakChannel, equipment: Equipment, now: datetime) -> ApiPreview:
    """Ask the channel for its facts and last entries (or show what it said a moment ago).

    Raises SwitchedOff: then it is not asked.
    """
    _refuse_what_is_off(channel)
    found = verify_channel(channel, equipment, now)
    entries = found.facts.last_entry_id if found.facts else None
    if entries is None:
        return ApiPreview(found, None)
    return ApiPreview(found, _estimate(channel, entries, equipment))


def _estimate(channel: ThingSpeakChannel, entries: int, equipment: Equipment) -> Estimate:
    route = route_of(channel.connection)
    share = equipment.gate.snapshot(route.host, route.group, route.rate).budget.rate
    per_minute = share * 60 / route.rate.interval_s
    sources = Source.objects.filter(connection=channel.connection_id, enabled=True)
    live = sum(60 / one.effective_interval_s for one in sources.select_related("device__type"))
    free = max(per_minute - live, 0.0)
    requests = entries // gaps.PAGE + 1
    return Estimate(entries, requests, free, requests / min(free, PAGES_A_MINUTE) if free else None)


def start_import(
    source: Source, entries: int | None, by: User | AnonymousUser | None, now: datetime
) -> Import:
    """Have everything fetched that the channel holds; `entries` is how many, if known.

    Raises SwitchedOff: such an import would wait for ever.
    """
    _refuse_what_is_off(source)
    person = by if isinstance(by, User) else None
    with transaction.atomic():
        job = Job.objects.create(
            kind=IMPORT,
            subject=f"Fetch all history of {source}"[:200],
            community_id=source.device.community_id,
            params={"source": source.pk, "until": now.isoformat()},
            total=entries,
            created_by=person,
        )
        return Import.objects.create(
            source=source, way=ImportWay.API, complete=True, job=job, created_at=now,
            created_by=person,
        )  # fmt: skip


def _refuse_what_is_off(source: Source) -> None:
    off = backfill.switched_off(source)
    if off:
        raise SwitchedOff(
            f"{source} is not asked: {off}. Switch that on, then fetch the history. A CSV file can "
            "be imported all the same."
        )


def import_step(job: Job, now: datetime) -> Progress:
    """Open the gap in the first step; in the others, see how far it is filled."""
    source = Source.objects.select_related(*_ASKED).filter(pk=job.params["source"]).first()
    if source is None:
        raise JobFailed("The channel was deleted meanwhile.")
    if not job.cursor:
        return _begin(job, source, now)
    gap = Gap.objects.filter(pk=job.cursor["gap"]).first()
    if gap is None:
        raise JobFailed("Its gap was deleted from the ledger meanwhile. Start the import again.")
    done = max(gap.entries - job.cursor["entries"], 0)
    found = _report(job, source, gap)
    if gap.state in _UNREAD:
        return Progress(
            done, job.total, job.cursor, message=_waits_for(gap, source), report=found,
            again_in=LOOK_AGAIN,
        )  # fmt: skip
    _note(job, source, found, done, now)
    return Progress(done, done, job.cursor, finished=True, message=gap.message, report=found)


def _begin(job: Job, source: Source, now: datetime) -> Progress:
    until = datetime.fromisoformat(job.params["until"])
    known = set(Gap.objects.filter(source=source, state__in=_UNREAD).values_list("pk", flat=True))
    gap = gaps.open_gap(source, gaps.BEGINNING, until, now)
    cursor = {"gap": gap.pk, "ours": gap.pk not in known, "entries": gap.entries}
    return Progress(0, job.total, cursor, message=_waits_for(gap, source), again_in=LOOK_AGAIN)


def _waits_for(gap: Gap, source: Source) -> str:
    """Why there is not more yet: what is off or fails, else what its last page met, else others."""
    gap.source = source  # loaded with all that decides
    return backfill.waits_for(gap) or gap.message or _TURN


def cancelled(job: Job, now: datetime) -> None:
    """Stop fetching: the gap goes, unless it was there before and is history not read yet."""
    if job.cursor.get("ours"):
        Gap.objects.filter(pk=job.cursor["gap"], state__in=_UNREAD).delete()


def _report(job: Job, source: Source, gap: Gap) -> dict[str, Any]:
    since = job.started_at or job.created_at
    log = PollLog.objects.filter(source=source, lane=Lane.BACKFILL, at__gte=since)
    sums = log.aggregate(requests=Count("pk"), entries=Sum("entries"), new=Sum("readings"))
    refused = _refused(source, since, datetime.fromisoformat(job.params["until"]))
    still = gap.state in _UNREAD
    return {
        "Requests": sums["requests"],
        "Entries": sums["entries"] or 0,
        "New readings": sums["new"] or 0,
        "Newly refused": sum(refused.values()),
        "Refused": refused,
        "Read back to (UTC)": moment(gap.until) if still else "the beginning",
    }


def _refused(source: Source, since: datetime, until: datetime) -> dict[str, int]:
    """How many refusals of entries up to `until` are new since then, by what was wrong."""
    rows = Rejection.objects.filter(source=source, received_at__gte=since)
    of_history = rows.exclude(entry_at__gte=until)
    counts = of_history.order_by("reason").values_list("reason").annotate(Count("pk"))
    return {reason_words(reason): count for reason, count in counts}


def _note(job: Job, source: Source, found: dict[str, Any], done: int, now: datetime) -> None:
    SourceEvent.objects.create(
        source=source,
        at=now,
        kind=EventKind.IMPORTED,
        text=f"All history was fetched: {plural(done, 'entry', 'entries')} in "
        f"{plural(found['Requests'], 'request')}, {plural(found['New readings'], 'reading')} new, "
        f"{found['Newly refused']:,} refused.",
        by_id=job.created_by_id,
    )
