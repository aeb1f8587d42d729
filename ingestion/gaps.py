"""The gap ledger: what we know we have not read yet, and how a page of it is fetched.

A live poll asks for at most `LIVE_LIMIT` entries. When the oldest of them is newer than the
cursor, entries between the two are missing: a gap, filled newest page first, `PAGE` entries at a
time. A new source's whole history is such a gap too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction

from devices.models import Source
from ingestion.claims import Claim, LeaseLost
from ingestion.models import Gap, GapState, PollState
from ingestion.polling import oldest_time
from ingestion.sources.base import Fetched, Window

# Larger answers are served from a cache of five minutes [facts: ThingSpeak, «API cache»].
LIVE_LIMIT = 100
# The most that one answer holds [ThingSpeak, «Read data»: results].
PAGE = 8000
# Entries may be stamped a little late, and several may share a second.
OVERLAP = timedelta(minutes=2)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)
RETRY_AFTER = timedelta(minutes=1)


def live_window(state: PollState) -> Window:
    """Everything since the cursor, with overlap; for a new source the newest entries."""
    since = state.source.history_from
    if state.cursor_at is not None:
        since = state.cursor_at - OVERLAP
    return Window(since=since, until=None, limit=LIVE_LIMIT)


def page_window(gap: Gap) -> Window:
    """The newest page of what is still missing."""
    return Window(since=gap.since, until=gap.until, limit=PAGE)


def note_hole(state: PollState, fetched: Fetched, now: datetime) -> Gap | None:
    """Record what a full live answer did not reach back to."""
    if not fetched.full:
        return None
    oldest = oldest_time(fetched) or END
    known = state.cursor_at
    if known is not None and oldest <= known:
        return None
    since = known or state.source.history_from or BEGINNING
    return open_gap(state.source, since, oldest, now)


@transaction.atomic
def open_gap(source: Source, since: datetime, until: datetime, now: datetime) -> Gap:
    """Open a gap, or widen an open one that it touches.

    A page that is on its way for the old range is refused: it would close what it did not ask for.
    """
    unread = Gap.objects.select_for_update().filter(
        source=source,
        state__in=[GapState.OPEN, GapState.FILLING],
        since__lte=until,
        until__gte=since,
    )
    gap = unread.order_by("pk").first()
    if gap is None:
        return Gap.objects.create(
            source=source, since=since, until=until, found_at=now, next_try_at=now
        )
    gap.since, gap.until = min(gap.since, since), max(gap.until, until)
    gap.lease_until, gap.claim_token = None, gap.claim_token + 1
    gap.save(update_fields=["since", "until", "lease_until", "claim_token"])
    return gap


def settle_page(
    claim: Claim, gap: Gap, fetched: Fetched | None, message: str, now: datetime
) -> None:
    """Record what a page brought; an unsuccessful one is tried again after a minute.

    Raises LeaseLost when another worker holds the gap by now.
    """
    changes: dict[str, object] = {"next_try_at": now + RETRY_AFTER, "message": message[:500]}
    if fetched is not None:
        changes = _after_page(gap, fetched, now)
    held = Gap.objects.filter(pk=gap.pk, claim_token=claim.token)
    if not held.update(lease_until=None, **changes):
        raise LeaseLost


def _after_page(gap: Gap, fetched: Fetched, now: datetime) -> dict[str, object]:
    """A full page moves `until` back, any other one closes the gap."""
    entries = gap.entries + len(fetched.entries)
    if not fetched.full:
        return {
            "state": GapState.FILLED,
            "entries": entries,
            "closed_at": now,
            "message": "Everything the source still holds was read.",
        }
    oldest = oldest_time(fetched)
    if oldest is None:
        return {
            "state": GapState.LOST,
            "entries": entries,
            "closed_at": now,
            "message": "None of the page's entries has a readable time, so older ones cannot be "
            "asked for.",
        }
    if oldest < gap.until:
        return {
            "state": GapState.FILLING,
            "entries": entries,
            "next_try_at": now,
            "until": oldest,
        }
    return _past_a_full_second(gap, oldest, entries, now)


def _past_a_full_second(
    gap: Gap, oldest: datetime, entries: int, now: datetime
) -> dict[str, object]:
    """Go on before the second that fills a page by itself, if the gap reaches back so far."""
    before = oldest - timedelta(seconds=1)
    done = before < gap.since
    return {
        "state": GapState.LOST if done else GapState.FILLING,
        "entries": entries,
        "next_try_at": now,
        "until": gap.until if done else before,
        "closed_at": now if done else None,
        "message": f"More than {PAGE} entries share the second {oldest:%Y-%m-%d %H:%M:%S}; the "
        "source does not give the others.",
    }
