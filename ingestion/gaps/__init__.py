"""Completeness: what we know we have not read yet, how it is found, and how it is fetched.

A live poll asks for at most `LIVE_LIMIT` entries. When the oldest of them is newer than the
cursor, entries between the two are missing: a gap, filled newest page first. A new source's whole
history is such a gap too. The ledger of entry numbers finds the rest: rows that came late, at
times long read, and channels that were cleared.
"""

from __future__ import annotations

from ingestion.gaps.holes import open_gap
from ingestion.gaps.pages import settle_page
from ingestion.gaps.record import LiveAnswer, note_answers, note_entries
from ingestion.gaps.windows import (
    BEGINNING,
    END,
    LIVE_LIMIT,
    OVERLAP,
    PAGE,
    crowded_until,
    live_window,
    page_window,
)

__all__ = [
    "BEGINNING",
    "END",
    "LIVE_LIMIT",
    "OVERLAP",
    "PAGE",
    "LiveAnswer",
    "crowded_until",
    "live_window",
    "note_answers",
    "note_entries",
    "open_gap",
    "page_window",
    "settle_page",
]
