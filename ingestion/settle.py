"""What a poll's outcome means: for the schedule, the cursor, the gap ledger, the log and alerts.

Runs inside the transaction that stores the readings, so that readings, cursor and log agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from devices.models import Source
from devices.phrases import shortened
from ingestion import gaps, rhythm, trouble
from ingestion.bulk import insert_rows, update_rows
from ingestion.models import Lane, PollLog, PollState
from ingestion.pipeline import Ingested
from ingestion.polling import Asked
from ingestion.resilience.classify import Outcome
from ingestion.rules import Problem
from ingestion.sources.base import Fetched

ANSWERED = (Outcome.OK, Outcome.EMPTY)

# What a poll always changes of its state, and what it changes only when it learnt something.
SETTLED = (
    *rhythm.CHANGED,
    "last_polled_at",
    "last_outcome",
    "last_message",
    "failures",
    "misses",
    "crowded_until",
)
LEARNED = (
    "last_success_at",
    "remote_name",
    "labels",
    "cursor_at",
    "cursor_sequence",
    "last_entry",
)


@dataclass(frozen=True)
class Poll:
    """A poll that was carried out, and what was stored of it.

    `problems` are mappings that were left out. `ingested` is None when the source gave no rows to
    read.
    """

    state: PollState
    asked: Asked
    problems: Sequence[Problem]
    ingested: Ingested | None

    @cached_property
    def heard(self) -> bool:
        """Whether a reading newer than all before it arrived; late data is stored, but no news."""
        if self.ingested is None or self.ingested.newest_new_at is None:
            return False
        return self.state.cursor_at is None or self.ingested.newest_new_at > self.state.cursor_at


def settle_polls(polls: Sequence[Poll], now: datetime) -> None:
    """Release the claims of these polls, with everything that they taught us.

    Whoever calls holds their rows.
    """
    unheard = [one.state for one in polls if not one.heard and one.asked.outcome in ANSWERED]
    overdue = trouble.overdue(unheard, now)
    changes = [changes_of(one, one.state.source_id in overdue, now) for one in polls]
    rows = [_row(one.state, each) for one, each in zip(polls, changes, strict=True)]
    update_rows(PollState, rows, LEARNED)
    gaps.note_answers(
        [
            gaps.LiveAnswer(one.state, one.asked.fetched)
            for one in polls
            if one.ingested is not None and one.asked.fetched is not None
        ],
        now,
    )
    insert_rows(
        PollLog,
        [log_row(one.state.source, Lane.LIVE, one.asked, one.ingested, now) for one in polls],
    )
    findings = [
        trouble.Finding(
            one.state.source,
            one.asked,
            one.problems,
            one.heard,
            each["misses"],
            each["failures"],
        )
        for one, each in zip(polls, changes, strict=True)
    ]
    trouble.review(findings, now)


def changes_of(poll: Poll, overdue: bool, now: datetime) -> Mapping[str, Any]:
    """What a poll changes of its state; `overdue`: a reading was due. Chance is in the schedule."""
    state, asked = poll.state, poll.asked
    changes: dict[str, Any] = {
        "last_polled_at": now,
        "last_outcome": asked.kind,
        "last_message": _message(asked, poll.problems),
        "crowded_until": state.crowded_until,
        **_schedule(state, asked, poll.ingested, now),
    }
    if asked.outcome in ANSWERED and asked.fetched is not None:
        changes |= _learned(state, asked.fetched, poll.ingested, now)
    changes["failures"] = _failures(state, asked)
    changes["misses"] = _misses(poll, overdue)
    return changes


def _row(state: PollState, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is written of a state; what was not learnt stays as it is."""
    return {
        "source_id": state.source_id,
        **{name: changes[name] for name in SETTLED},
        **{name: changes.get(name) for name in LEARNED},
    }


def _message(asked: Asked, problems: Sequence[Problem]) -> str:
    return shortened(" ".join(one.text for one in problems) or asked.message)


def log_row(
    source: Source, lane: Lane, asked: Asked, ingested: Ingested | None, now: datetime
) -> dict[str, Any]:
    """A row of the poll log, one per request: «why did nothing arrive?» has an answer."""
    return {
        "source_id": source.id,
        "at": now - timedelta(milliseconds=asked.duration_ms),
        "lane": lane,
        "outcome": asked.kind,
        "status": asked.status,
        "duration_ms": asked.duration_ms,
        "entries": ingested.entries if ingested else 0,
        "readings": ingested.written.new_values if ingested else 0,
        "refused": ingested.refused if ingested else 0,
        "message": "" if asked.outcome is Outcome.OK else shortened(asked.message),
    }


def _schedule(
    state: PollState, asked: Asked, ingested: Ingested | None, now: datetime
) -> dict[str, Any]:
    """When to ask again, and what that is judged by."""
    return rhythm.after_poll(state, asked, ingested.newest_at if ingested else None, now)


def _learned(
    state: PollState, fetched: Fetched, ingested: Ingested | None, now: datetime
) -> dict[str, Any]:
    changes: dict[str, Any] = {"last_success_at": now}
    if fetched.facts is not None:
        changes["remote_name"] = fetched.facts.name[:255]
        if fetched.facts.labels != state.labels:
            changes["labels"] = fetched.facts.labels
    changes["crowded_until"] = gaps.crowded_until(state, fetched, now)
    if ingested is None or ingested.newest_at is None:
        return changes
    if state.cursor_at is None or ingested.newest_at >= state.cursor_at:
        newest = max(fetched.entries, key=lambda one: (one.at == ingested.newest_at, one.sequence))
        changes["cursor_at"] = ingested.newest_at
        changes["cursor_sequence"] = newest.sequence
        changes["last_entry"] = {
            "at": newest.at.isoformat(),
            "sequence": newest.sequence,
            "fields": newest.fields,
        }
    return changes


def _failures(state: PollState, asked: Asked) -> int:
    """Failed polls in a row; being throttled is none."""
    if asked.outcome in ANSWERED:
        return 0
    failed = asked.outcome in (Outcome.SOURCE_ERROR, Outcome.UPSTREAM_ERROR, Outcome.OUR_ERROR)
    return state.failures + failed


def _misses(poll: Poll, overdue: bool) -> int:
    """Only an answer without news ages a device; what keeps us from reading says nothing of it."""
    if poll.problems or (poll.ingested is not None and poll.ingested.withheld):
        return poll.state.misses
    return 0 if poll.heard else poll.state.misses + overdue
