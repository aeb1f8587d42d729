"""What a poll's outcome means: for the schedule, the cursor, the gap ledger, the log and alerts.

Runs inside the transaction that stores the readings, so that readings, cursor and log agree.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from devices.models import Source
from ingestion import gaps, trouble
from ingestion.claims import Claim, LeaseLost
from ingestion.dispatch import claim_order
from ingestion.models import Lane, PollLog, PollState
from ingestion.pipeline import Ingested
from ingestion.polling import Asked
from ingestion.resilience.classify import EFFECTS, Outcome
from ingestion.rules import Problem
from ingestion.sources.base import Fetched

ANSWERED = (Outcome.OK, Outcome.EMPTY)
LONGEST_QUARANTINE_S = 6 * 3600
# Polls of one account would otherwise drift into step and arrive as a crowd.
JITTER = 0.05
ENOUGH_STEPS = 4


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
        "lease_until": None,
        "last_polled_at": now,
        "last_outcome": asked.kind,
        "last_message": _message(asked, problems),
        **_schedule(state, asked, now),
    }
    if asked.outcome in ANSWERED and asked.fetched is not None:
        changes |= _learned(state, asked.fetched, ingested, now)
    changes |= _counters(state, asked, ingested, now)
    if problems or (ingested is not None and ingested.withheld):
        # What we leave out ourselves says nothing about the device.
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


def _schedule(state: PollState, asked: Asked, now: datetime) -> dict[str, datetime]:
    """When to ask again: the interval, the provider's wish, or a doubling quarantine."""
    wait_s = float(state.source.effective_interval_s)
    if EFFECTS[asked.kind].quarantine:
        wait_s = min(wait_s * 2.0 ** min(state.failures + 1, 20), LONGEST_QUARANTINE_S)
    wait_s *= 1 + random.uniform(-JITTER, JITTER)  # noqa: S311  # spreading, not secrecy
    due = now + timedelta(seconds=max(wait_s, asked.wait_s or 0.0))
    return {"next_poll_at": due, "claim_order": claim_order(state.source, due)}


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
    steps = _steps(fetched)
    if len(steps) >= ENOUGH_STEPS:
        changes["cadence_s"] = median(steps)
    return changes


def _steps(fetched: Fetched) -> list[float]:
    times = sorted({entry.at for entry in fetched.entries})
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


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
