"""What a poll's outcome means: for the schedule, the cursor, the gap ledger, the log and alerts.

Runs inside the transaction that stores the readings, so that readings, cursor and log agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from devices.models import Source
from ingestion import gaps, rhythm, trouble
from ingestion.bulk import update_rows
from ingestion.models import Lane, PollLog, PollState
from ingestion.pipeline import Ingested
from ingestion.polling import Asked
from ingestion.resilience.classify import Outcome
from ingestion.rules import Problem
from ingestion.sources.base import Fetched

ANSWERED = (Outcome.OK, Outcome.EMPTY)

# What a poll may change of its state; what it does not is written as it was.
SETTLED = (
    *rhythm.CHANGED,
    "last_polled_at",
    "last_success_at",
    "last_outcome",
    "last_message",
    "remote_name",
    "labels",
    "cursor_at",
    "cursor_sequence",
    "last_entry",
    "crowded_until",
    "failures",
    "misses",
)


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that was carried out, and what was stored of it.

    `problems` are mappings that were left out. `ingested` is None when the source gave no rows to
    read.
    """

    state: PollState
    asked: Asked
    problems: Sequence[Problem]
    ingested: Ingested | None

    @property
    def heard(self) -> bool:
        """Whether a reading newer than all before it arrived; late data is stored, but no news."""
        if self.ingested is None or self.ingested.newest_new_at is None:
            return False
        return self.state.cursor_at is None or self.ingested.newest_new_at > self.state.cursor_at


def settle_polls(polls: Sequence[Poll], now: datetime) -> None:
    """Release the claims of these polls, with everything that they taught us.

    Whoever calls holds their rows.
    """
    unheard = [one.state for one in polls if not one.heard and _speaks_of_device(one.asked)]
    overdue = trouble.overdue(unheard, now)
    changes = {one.state.pk: changes_of(one, one.state.pk in overdue, now) for one in polls}
    update_rows(
        PollState,
        {
            one.state.pk: {
                name: changes[one.state.pk].get(name, getattr(one.state, name)) for name in SETTLED
            }
            for one in polls
        },
    )
    gaps.note_answers(
        [
            gaps.LiveAnswer(one.state, one.asked.fetched)
            for one in polls
            if one.ingested is not None and one.asked.fetched is not None
        ],
        now,
    )
    PollLog.objects.bulk_create(
        [log_row(one.state.source, Lane.LIVE, one.asked, one.ingested, now) for one in polls]
    )
    trouble.review(
        [
            trouble.Finding(
                one.state.source,
                one.asked,
                one.problems,
                one.heard,
                changes[one.state.pk]["misses"],
            )
            for one in polls
        ],
        now,
    )


def changes_of(poll: Poll, overdue: bool, now: datetime) -> Mapping[str, Any]:
    """What a poll changes of its state; `overdue`: a reading was due. Chance is in the schedule."""
    state, asked = poll.state, poll.asked
    changes: dict[str, Any] = {
        "last_polled_at": now,
        "last_outcome": asked.kind,
        "last_message": _message(asked, poll.problems),
        **_schedule(state, asked, poll.ingested, now),
    }
    if asked.outcome in ANSWERED and asked.fetched is not None:
        changes |= _learned(state, asked.fetched, poll.ingested, now)
    changes["failures"] = _failures(state, asked)
    changes["misses"] = _misses(poll, overdue)
    return changes


def _finding(poll: Poll, misses: int) -> trouble.Finding:
    return trouble.Finding(poll.state.source, poll.asked, poll.problems, poll.heard, misses)


def _message(asked: Asked, problems: Sequence[Problem]) -> str:
    return (" ".join(one.text for one in problems) or asked.message)[:500]


def log_row(
    source: Source, lane: Lane, asked: Asked, ingested: Ingested | None, now: datetime
) -> PollLog:
    """One row per request, so that «why did nothing arrive?» has an answer; not saved yet."""
    return PollLog(
        source_id=source.pk,
        at=now - timedelta(milliseconds=asked.duration_ms),
        lane=lane,
        outcome=asked.kind,
        status=asked.status,
        duration_ms=asked.duration_ms,
        entries=ingested.entries if ingested else 0,
        readings=ingested.written.new_values if ingested else 0,
        refused=ingested.refused if ingested else 0,
        message="" if asked.outcome is Outcome.OK else asked.message[:500],
    )


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
        changes["labels"] = dict(fetched.facts.labels)
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
            "fields": newest.received(),
        }
    return changes


def _failures(state: PollState, asked: Asked) -> int:
    """Failed polls in a row; being throttled is none."""
    if asked.outcome in ANSWERED:
        return 0
    failed = asked.outcome in (Outcome.SOURCE_ERROR, Outcome.UPSTREAM_ERROR, Outcome.OUR_ERROR)
    return state.failures + failed


def _speaks_of_device(asked: Asked) -> bool:
    return asked.outcome in (*ANSWERED, Outcome.SOURCE_ERROR)


def _misses(poll: Poll, overdue: bool) -> int:
    """Only what speaks about the device ages the device; what we leave out ourselves does not."""
    if poll.problems or (poll.ingested is not None and poll.ingested.withheld):
        return poll.state.misses
    return 0 if poll.heard else poll.state.misses + overdue
