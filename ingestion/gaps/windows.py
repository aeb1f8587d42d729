"""Which entries to ask for: since the cursor for a live poll, a page of a gap. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingestion.models import Gap, PollState
from ingestion.models.gap import PAGE as PAGE
from ingestion.normalise import FUTURE_TOLERANCE
from ingestion.resilience.classify import Kind
from ingestion.sources.base import Fetched, Window

# Larger answers are served from a cache of five minutes [facts: ThingSpeak, «API cache»].
LIVE_LIMIT = 100
# Below that a page is no faster: it is what a live poll asks for.
SMALLEST_PAGE = LIVE_LIMIT
# Entries may be stamped a little late, and several may share a second.
OVERLAP = timedelta(minutes=2)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)
# How long rows ahead of the clock are not asked for once they crowd out the others.
CROWDED = timedelta(hours=24)
# Failures that a smaller page may cure.
_TOO_MUCH = frozenset({Kind.TOO_LARGE, Kind.TIMEOUT, Kind.CUT_OFF})


def live_window(state: PollState, now: datetime) -> Window:
    """Everything since the cursor, with overlap; for a new source the newest entries.

    Rows dated ahead of the clock are asked for as well, so that they are refused with a reason;
    not while they crowd out the others.
    """
    since = state.source.history_from
    if state.cursor_at is not None:
        since = state.cursor_at - OVERLAP
    until = None
    if state.crowded_until is not None and now < state.crowded_until:
        until = max(now + FUTURE_TOLERANCE, since or now)
    return Window(since=since, until=until, limit=LIVE_LIMIT)


def crowded_until(state: PollState, fetched: Fetched, now: datetime) -> datetime | None:
    """Until when to leave out rows ahead of the clock: they took half of this answer or more."""
    ahead = sum(entry.at > now + FUTURE_TOLERANCE for entry in fetched.entries)
    return now + CROWDED if 2 * ahead >= LIVE_LIMIT else state.crowded_until


def page_window(gap: Gap) -> Window:
    """The newest page of what is still missing."""
    return Window(since=gap.since, until=gap.until, limit=gap.page_size)


def smaller(size: int, kind: Kind) -> int:
    """How much to ask for after a failed page: half, when that may help."""
    return max(size // 2, SMALLEST_PAGE) if kind in _TOO_MUCH else size


def larger(size: int) -> int:
    """How much to ask for after a page that came through: a little more, not what just failed."""
    return min(size + size // 8, PAGE)
