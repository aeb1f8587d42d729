"""What an answer brought that the one before did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.models import Source
from ingestion.entries import Entry
from ingestion.models import PollState
from ingestion.sources.base import Fetched

INSTANT = timedelta(milliseconds=1)
"""The smallest difference that the store knows between two times."""


@dataclass
class Answer:
    """What an answer brought beyond the last one: entries in the order of their time."""

    state: PollState
    source: Source
    fetched: Fetched
    now: datetime
    entries: Sequence[Entry] = ()
    before: Sequence[Entry] = ()

    @classmethod
    def of(cls, state: PollState, fetched: Fetched, now: datetime) -> Answer:
        """Entries dated ahead of our clock are nobody's next number."""
        known = (state.cursor_at, state.cursor_sequence or 0)
        ordered = sorted(
            (one for one in fetched.entries if one.at <= now),
            key=lambda one: (one.at, one.sequence),
        )
        split = 0
        if state.cursor_at is not None:
            split = sum((one.at, one.sequence) <= known for one in ordered)
        return cls(state, state.source, fetched, now, ordered[split:], ordered[:split])

    @property
    def labels(self) -> Mapping[str, str] | None:
        """The names that the source gives its fields now, as far as it told."""
        return self.fetched.facts.labels if self.fetched.facts else None

    @property
    def hole(self) -> bool:
        """Whether entries are missing between the last answer and this one."""
        return self.fetched.full and not self.before
