"""What is still to be fetched: gaps that are not closed, and the pages they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from ingestion import gaps
from ingestion.models import Gap, GapState
from ingestion.observe.facts import MOST_ROWS, Line
from ingestion.observe.forecast import Backlog


@dataclass(frozen=True, slots=True)
class GapsOfAccount:
    """Gaps that are not closed: how many in all, those with the most to tell, and the debt."""

    backlog: Backlog
    lines: tuple[Line, ...] = ()


NO_GAPS = GapsOfAccount(Backlog())


def open_gaps() -> dict[int, GapsOfAccount]:
    """Gaps of all accounts that are not closed. One query."""
    rows = (
        Gap.objects.filter(state__in=[GapState.OPEN, GapState.FILLING])
        .order_by("found_at")
        .values(
            "since", "until", "state", "entries", "message", "found_at", "source",
            "source__connection", "source__device__name", "source__device__community",
            "source__poll_state__cadence_s",
        )
    )  # fmt: skip
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
    """Pages that a gap needs, by its source's cadence; None where that is not known."""
    cadence = row["source__poll_state__cadence_s"]
    if not cadence or row["since"] <= gaps.BEGINNING:
        return None
    seconds = (row["until"] - row["since"]).total_seconds()
    return max(ceil(float(seconds) / float(cadence) / gaps.PAGE), 1)


def _gap_line(row: Mapping[str, Any]) -> Line:
    return Line(
        community=row["source__device__community"],
        source=row["source"],
        device=row["source__device__name"],
        at=row["since"],
        until=row["until"],
        text=row["message"],
        kind=row["state"],
        entries=row["entries"],
    )
