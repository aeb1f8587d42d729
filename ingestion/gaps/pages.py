"""What a page of a gap brought: how far the gap is filled, and what is lost at the source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from devices.phrases import shortened
from ingestion.claiming import PAGE_LEASE
from ingestion.claims import Claim, LeaseLost
from ingestion.gaps import holes, record
from ingestion.gaps.ledger import (
    Ledger,
    after_page,
    after_search,
    answer_of,
    missing,
    to_be_searched,
)
from ingestion.gaps.numbers import Hole
from ingestion.gaps.windows import BEGINNING, larger, smaller
from ingestion.models import Gap, GapReason, GapState
from ingestion.models.gap import PAGE
from ingestion.polling import oldest_time
from ingestion.resilience.classify import Kind
from ingestion.sources.base import Fetched

RETRY_AFTER = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)
# A smaller page is another question: no need to wait as long.
SMALLER_AFTER = timedelta(seconds=10)
# These say nothing about the page.
_NOT_ASKED = frozenset({Kind.BUDGET, Kind.CIRCUIT_OPEN, Kind.THROTTLED})


@dataclass(frozen=True, slots=True)
class _Settled:
    """What becomes of a gap and its source's ledger; `lost` are numbers nobody looks for again."""

    changes: dict[str, Any]
    ledger: Ledger
    lost: tuple[Hole, ...] = ()


@transaction.atomic(savepoint=False)
def settle_page(
    claim: Claim,
    gap: Gap,
    fetched: Fetched | None,
    message: str,
    now: datetime,
    kind: Kind | None = None,
    *,
    keep: bool = False,
) -> None:
    """Record what a page brought; an unsuccessful one is tried again later, and smaller if it was
    too large.

    `keep`: the gap stays leased, for as long as one more page takes, while there are more of it.
    Raises LeaseLost when another worker holds the gap by now.
    """
    if fetched is None:
        changes = _after_failure(gap, message, kind, now)
        _update(claim, gap, {**changes, "lease_until": None})
        return
    known = record.load([gap.source_id]).get(gap.source_id, Ledger())
    wanted_from = gap.source.history_from
    turn = after_page(known, answer_of(fetched), wanted_from=wanted_from)
    settled = _after_page(gap, fetched, turn.ledger, now)
    changes = settled.changes
    if settled.lost:
        bounds = (max(gap.since, BEGINNING), gap.range_until)
        lost = holes.record_lost(gap.source, settled.lost, bounds, now)
        if gap.reason == GapReason.NUMBERS:
            changes = {**changes, **_becomes(lost[0])}
    more = keep and changes.get("state") == GapState.FILLING
    _update(claim, gap, {**changes, "lease_until": now + PAGE_LEASE if more else None})
    if settled.ledger != known:
        record.save({gap.source_id: settled.ledger})
    record.count_days([(gap.source, turn)], now)
    if changes.get("closed_at") and to_be_searched(settled.ledger, now):
        holes.search(gap.source, settled.ledger, now)  # a live poll of a busy source never can


def _update(claim: Claim, gap: Gap, changes: dict[str, Any]) -> None:
    held = Gap.objects.filter(pk=gap.pk, claim_token=claim.token)
    if not held.update(**changes):
        raise LeaseLost


def _becomes(lost: Gap) -> dict[str, Any]:
    """The gap that searched in vain tells of the first loss itself; one row is enough."""
    lost.delete()
    return {
        name: getattr(lost, name)
        for name in ("state", "since", "until", "range_until", "missing", "message")
    }


def _after_failure(gap: Gap, message: str, kind: Kind | None, now: datetime) -> dict[str, Any]:
    size = smaller(gap.page_size, kind) if kind else gap.page_size
    changes: dict[str, Any] = {"message": shortened(message), "page_size": size}
    if kind in _NOT_ASKED:
        return {**changes, "next_try_at": now + RETRY_AFTER}
    wait = min(RETRY_AFTER * 2 ** min(gap.failures, 10), LONGEST_RETRY)
    if size < gap.page_size:
        wait = SMALLER_AFTER
    return {
        **changes,
        "next_try_at": now + wait,
        "failures": min(gap.failures + 1, 1000),
    }


def _after_page(gap: Gap, fetched: Fetched, ledger: Ledger, now: datetime) -> _Settled:
    """A full page moves `until` back, any other one closes the gap."""
    changes: dict[str, Any] = {
        "entries": gap.entries + len(fetched.entries),
        "page_size": larger(gap.page_size),
        "failures": 0,
        "message": "",
    }
    oldest = oldest_time(fetched)
    beyond = oldest is not None and oldest < gap.since  # of a server that heeds no beginning
    if not fetched.full or beyond or _all_found(gap, ledger):
        return _closed(gap, changes, ledger, now)
    if oldest is None:
        changes |= {
            "state": GapState.LOST,
            "closed_at": now,
            "message": "None of the page's entries has a readable time, so older ones cannot be "
            "asked for.",
        }
    elif oldest < gap.until:
        changes |= {"state": GapState.FILLING, "next_try_at": now, "until": oldest}
    elif gap.page_size < PAGE:
        changes |= {"state": GapState.FILLING, "next_try_at": now}  # a larger page may reach back
    else:
        changes |= _past_a_full_second(gap, oldest, now)
    return _Settled(changes, ledger)


def _past_a_full_second(gap: Gap, oldest: datetime, now: datetime) -> dict[str, Any]:
    """Go on before the second that fills a page by itself, if the gap reaches back so far."""
    before = oldest - timedelta(seconds=1)
    done = before < gap.since
    return {
        "state": GapState.LOST if done else GapState.FILLING,
        "next_try_at": now,
        "until": gap.until if done else before,
        "closed_at": now if done else None,
        "message": f"More than {PAGE} entries share the second {oldest:%Y-%m-%d %H:%M:%S}; the "
        "source does not give the others.",
    }


def _all_found(gap: Gap, ledger: Ledger) -> bool:
    """Whether a search is over early: no number is missing any more."""
    if gap.reason != GapReason.NUMBERS:
        return False
    return not missing(ledger, gap.last_number, gap.source.history_from)


def _closed(gap: Gap, changes: dict[str, Any], ledger: Ledger, now: datetime) -> _Settled:
    """Everything the gap asked for was read; numbers that are missing all the same are lost."""
    changes = {**changes, "state": GapState.FILLED, "closed_at": now, "until": gap.since}
    changes["message"] = "Everything the source still holds was read."
    lost: list[Hole] = []
    if ledger.proves and (gap.reason == GapReason.NUMBERS or _reads_all(gap)):
        wanted_from = gap.source.history_from
        ledger, lost = after_search(
            ledger, gap.last_number, gap.expected, now, wanted_from=wanted_from
        )
    elif gap.reason == GapReason.NUMBERS:
        ledger = replace(ledger, hole_since=None)
    if gap.reason == GapReason.NUMBERS and not lost:
        changes["message"] = "All missing entry numbers were found and read."
    return _Settled(changes, ledger, tuple(lost))


def _reads_all(gap: Gap) -> bool:
    """Whether the gap asked for everything that is wanted of the source at all.

    What is newer than a gap that was found was read already; a range that somebody chose may end
    anywhere.
    """
    if gap.reason == GapReason.REQUESTED and gap.range_until < gap.found_at:
        return False
    return gap.since <= (gap.source.history_from or BEGINNING) and gap.last_number is not None
