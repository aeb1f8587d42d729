"""Reading a range again because somebody wants it: what it costs, asking for it, cancelling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Sum

from devices.models import Source
from ingestion.gaps.days import zone_of
from ingestion.gaps.holes import Expect, new_gap
from ingestion.gaps.windows import BEGINNING
from ingestion.models import (
    UNREAD,
    EntryLedger,
    EventKind,
    Gap,
    GapReason,
    GapState,
    PollState,
    SourceDay,
    SourceEvent,
)
from ingestion.models.gap import PAGE
from ingestion.rules import route_of

# About a megabyte is to arrive; storing it takes an eighth of this (benchmark `backfill`).
PAGE_S = 1.0


class BadRange(ValueError):
    """The range cannot be read; the message says why and what to change."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What reading a range takes; None where nobody can tell before it was read."""

    entries: int | None
    pages: int | None
    seconds: float | None

    @property
    def text(self) -> str:
        """The same in words."""
        if self.entries is None or self.pages is None or self.seconds is None:
            return (
                "How many entries the range holds is not known yet. They are fetched 8,000 at a "
                "time, only while live polling leaves room."
            )
        pages = "1 request" if self.pages == 1 else f"{self.pages:,} requests"
        return (
            f"About {self.entries:,} entries, fetched in {pages}: {_duration(self.seconds)} at "
            "least, more when live polling needs the request budget."
        )


def checked(since: datetime | None, until: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The range as it can be read: from the beginning without `since`, up to now at most.

    Raises BadRange.
    """
    begins, ends = since or BEGINNING, min(until, now)
    if begins < BEGINNING:
        raise BadRange("The range begins before 1970. Choose a later start.")
    if begins >= ends:
        raise BadRange("The range must begin before it ends, and not in the future.")
    return begins, ends


def estimate(source: Source, since: datetime, until: datetime) -> Estimate:
    """What reading [since, until] again takes: by what was counted, else by the cadence."""
    entries = _entries(source, since, until)
    if entries is None:
        return Estimate(None, None, None)
    pages = max(-(-entries // PAGE), 1)
    spacing_s = max(route_of(source.connection).rate.interval_s, PAGE_S)
    return Estimate(entries, pages, pages * spacing_s)


@transaction.atomic
def request_backfill(
    source: Source,
    since: datetime,
    until: datetime,
    now: datetime,
    by: User | None = None,
) -> Gap:
    """Have [since, until] read again; the same range asked for twice is read once.

    What is stored already stays as it is, what is missing is added.
    """
    same = Gap.objects.filter(
        source=source, reason=GapReason.REQUESTED, state__in=UNREAD, since=since, range_until=until
    ).first()
    if same is not None:
        return same
    ledger = EntryLedger.objects.filter(pk=source.pk).first()
    expect = Expect(
        GapReason.REQUESTED, _entries(source, since, until), ledger.claimed if ledger else None
    )
    gap = new_gap(source, since, until, now, expect)
    Gap.objects.filter(pk=gap.pk).update(requested_by=by)
    text = f"Reading {gap} (UTC) again was requested."
    SourceEvent.objects.create(
        source=source, at=now, kind=EventKind.BACKFILL_REQUESTED, text=text, by=by
    )
    gap.refresh_from_db()
    return gap


def cancel(gap: Gap, now: datetime) -> bool:
    """Stop a requested backfill; what was read stays. Whether there was anything to stop.

    Gaps that the site found itself are not for cancelling: they would be found again.
    """
    running = Gap.objects.filter(pk=gap.pk, reason=GapReason.REQUESTED, state__in=UNREAD)
    return bool(
        running.update(
            state=GapState.CANCELLED,
            closed_at=now,
            lease_until=None,
            claim_token=F("claim_token") + 1,
            message="Cancelled. What was read stays.",
        )
    )


def switched_off(source: Source) -> str:
    """What keeps a source from being asked, such as «its device “Tank” is switched off».

    Empty when all is on.
    """
    parts = {
        "the source": source.enabled,
        f"its device “{source.device}”": source.device.enabled,
        f"its connection “{source.connection}”": source.connection.enabled,
    }
    off = [name for name, on in parts.items() if not on]
    return f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} switched off" if off else ""


def waits_for(gap: Gap) -> str:
    """Why an open gap is not being read at the moment; empty when it is, or may be any moment."""
    source = gap.source
    if gap.state not in UNREAD:
        return ""
    off = switched_off(source)
    if off:
        return f"Waits: {off}."
    state: PollState | None = getattr(source, "poll_state", None)
    if state is not None and state.failures:
        return "Waits until the source answers again."
    return gap.message if gap.failures else ""


def _entries(source: Source, since: datetime, until: datetime) -> int | None:
    """About how many entries a range holds."""
    state = PollState.objects.filter(pk=source.pk).first()
    if since > BEGINNING and state is not None and state.cadence_s:
        return max(int((until - since).total_seconds() // state.cadence_s), 1)
    zone = zone_of(source)
    days = SourceDay.objects.filter(
        source=source,
        day__gte=since.astimezone(zone).date(),
        day__lte=until.astimezone(zone).date(),
    )
    counted: int | None = days.aggregate(sum=Sum("entries"))["sum"]
    return counted


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    span = timedelta(seconds=seconds)
    if span < timedelta(hours=2):
        return f"{span.total_seconds() / 60:.0f} minutes"
    return f"{span.total_seconds() / 3600:.0f} hours"
