"""What a poll's outcome means: for the schedule, the cursor, the gap ledger, the log and alerts.

Runs inside the transaction that stores the readings, so that readings, cursor and log agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from devices.models import Source
from ingestion import gaps, rhythm, trouble
from ingestion.claims import Claim, LeaseLost
from ingestion.models import Lane, PollLog, PollState
from ingestion.pipeline import Ingested
from ingestion.polling import Asked
from ingestion.resilience.classify import Outcome
from ingestion.rules import Problem
from ingestion.sources.base import Fetched

ANSWERED = (Outcome.OK, Outcome.EMPTY)


def settle_poll(
    claim: Claim,
    state: PollState,
    asked: Asked,
    problems: Sequence[Problem],
    ingested: Ingested | None,
    now: datetime,
) -> None:
    """Release the claim with everything that the poll taught us.

    `ingested` is None when the source gave no rows to read. Raises LeaseLost (and thereby undoes
    the transaction) when the lease was lost to another worker.
    """
    source = state.source
    changes: dict[str, Any] = {
        "last_polled_at": now,
        "last_outcome": asked.kind,
        "last_message": _message(asked, problems),
        **_schedule(state, asked, ingested, now),
    }
    if asked.outcome in ANSWERED and asked.fetched is not None:
        changes |= _learned(state, asked.fetched, ingested, now)
    changes |= _counters(state, asked, ingested, now)
    if problems:  # what we leave out ourselves says nothing about the device
        changes["misses"] = state.misses
    held = PollState.objects.filter(pk=state.pk, claim_token=claim.token)
    if not held.update(**changes):
        raise LeaseLost
    if ingested is not None and asked.fetched is not None:
        gaps.note_hole(state, asked.fetched, now)
    log_poll(source, Lane.LIVE, asked, ingested, now)
    trouble.review_source(source, asked, problems, now)
    trouble.review_device(source, _heard(state, ingested), changes["misses"], now)


def _message(asked: Asked, problems: Sequence[Problem]) -> str:
    return (" ".join(one.text for one in problems) or asked.message)[:500]


def log_poll(
    source: Source, lane: Lane, asked: Asked, ingested: Ingested | None, now: datetime
) -> None:
    """One row per request, so that «why did nothing arrive?» has an answer."""
    PollLog.objects.create(
        source=source,
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


def _counters(
    state: PollState, asked: Asked, ingested: Ingested | None, now: datetime
) -> dict[str, int]:
    """Failures and misses in a row. Only what speaks about the device ages the device."""
    failed = asked.outcome in (Outcome.SOURCE_ERROR, Outcome.UPSTREAM_ERROR, Outcome.OUR_ERROR)
    failures = state.failures + 1 if failed else state.failures
    if asked.outcome in ANSWERED:
        failures = 0
    return {"failures": failures, "misses": _misses(state, asked, ingested, now)}


def _misses(state: PollState, asked: Asked, ingested: Ingested | None, now: datetime) -> int:
    if _heard(state, ingested):
        return 0
    speaks_of_device = asked.outcome in (*ANSWERED, Outcome.SOURCE_ERROR)
    if not speaks_of_device or not trouble.reading_is_due(state, now):
        return state.misses
    return state.misses + 1


def _heard(state: PollState, ingested: Ingested | None) -> bool:
    """Whether a reading newer than all before it arrived; late data is stored, but not news."""
    if ingested is None or ingested.newest_new_at is None:
        return False
    return state.cursor_at is None or ingested.newest_new_at > state.cursor_at
