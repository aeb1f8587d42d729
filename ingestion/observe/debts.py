"""What is still to be fetched: gaps that are not closed, and the pages they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from ingestion.models import Gap
from ingestion.models.gap import UNREAD, GapReason, GapState
from ingestion.observe.facts import MOST_ROWS, Line, names, told_apart
from ingestion.observe.forecast import Backlog


@dataclass(frozen=True, slots=True)
class GapsOfAccount:
    """Gaps that are not closed: how many in all, those with the most to tell, and the debt."""

    backlog: Backlog
    lines: tuple[Line, ...] = ()


NO_GAPS = GapsOfAccount(Backlog())


def lost_entries() -> Coalesce:
    """Entry numbers that an account's sources do not give: a column for a query of accounts."""
    lost = Gap.objects.filter(source__connection=OuterRef("pk"), state=GapState.LOST)
    by_account = lost.order_by().values("source__connection").annotate(n=Sum("missing"))
    return Coalesce(Subquery(by_account.values("n")), 0)


_COLUMNS = (
    "reason", "since", "until", "range_until", "state", "entries", "expected", "page_size",
    "message",
)  # fmt: skip


def open_gaps() -> dict[int, GapsOfAccount]:
    """Gaps of all accounts that are not closed. One query."""
    rows = (
        Gap.objects.filter(state__in=UNREAD)
        .order_by("found_at")
        .values(*_COLUMNS, *names(), "source", "source__poll_state__cadence_s")
    )
    by_account: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_account[row["source__connection"]].append(row)
    return {account: _gaps(of_account) for account, of_account in by_account.items()}


def _gaps(rows: Sequence[Mapping[str, Any]]) -> GapsOfAccount:
    pages = [_pages(row) for row in rows]
    known = [one for one in pages if one is not None]
    backlog = Backlog(gaps=len(rows), pages=sum(known), unknown=len(rows) - len(known))
    return GapsOfAccount(backlog, tuple(_gap_line(row) for row in rows[:MOST_ROWS]))


def _pages(row: Mapping[str, Any]) -> int | None:
    """Pages that a gap still needs, by its entry numbers, else by its source's cadence.

    None where neither says anything.
    """
    entries = _entries(row)
    return None if entries is None else max(ceil(entries / row["page_size"]), 1)


def _entries(row: Mapping[str, Any]) -> float | None:
    if row["expected"]:
        return float(max(row["expected"] - row["entries"], 0))
    cadence = row["source__poll_state__cadence_s"]
    if not cadence or _from_the_beginning(row):
        return None
    return float((row["until"] - row["since"]).total_seconds() / cadence)


def _from_the_beginning(row: Mapping[str, Any]) -> bool:
    return bool(row["since"].year <= 1970)


def _gap_line(row: Mapping[str, Any]) -> Line:
    gap = Gap(**{name: row[name] for name in _COLUMNS})
    until = f"{gap.until:%Y-%m-%d %H:%M} UTC"
    begins = "the beginning" if _from_the_beginning(row) else f"{gap.since:%Y-%m-%d %H:%M}"
    why = GapReason(gap.reason).label.lower()
    # By time, a range that begins in 1970 says nothing of how much of it is read.
    counts = bool(gap.expected) or not _from_the_beginning(row)
    return Line(
        community=row["source__device__community"],
        source=row["source"],
        device=told_apart(row),
        at=gap.since,
        text=f"{begins} to {until} still to be read ({why}). {gap.message}".strip(),
        entries=gap.entries,
        percent=gap.percent if counts else None,
    )
