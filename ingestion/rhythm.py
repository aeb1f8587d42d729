"""What a poll teaches about a source's rhythm, and when it is polled next: columns of its state.

The arithmetic is `cadence` and `schedule`; here it meets the row. No query.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from devices.models import Source
from ingestion import schedule
from ingestion.cadence import Cadence, after_answer
from ingestion.derived import derived
from ingestion.enrolment import urgency_of
from ingestion.models import PollState
from ingestion.polling import Asked
from ingestion.resilience.classify import Outcome

# The columns that `after_poll` changes.
CHANGED = (
    "lease_until",
    "next_poll_at",
    "urgency",
    "cadence_s",
    "spread_s",
    "phase_trust",
    "unheard",
)


def after_poll(
    state: PollState, asked: Asked, newest_at: datetime | None, now: datetime
) -> dict[str, Any]:
    """Changes of the poll state: cadence, next turn, class, and until when it is held.

    `newest_at`: time of the newest entry of this answer that may advance the cursor.
    """
    source, cadence = state.source, _cadence(state)
    newest = state.cursor_at if newest_at is None else max(newest_at, state.cursor_at or newest_at)
    if asked.outcome in (Outcome.OK, Outcome.EMPTY):
        cadence = after_answer(cadence, _new_times(state, asked, newest_at), _age_s(state, now))
    turn = schedule.Turn(
        kind=asked.kind,
        due=state.next_poll_at.timestamp(),
        interval_s=_interval_s(source),
        failures=state.failures,
        cadence=cadence,
        newest=newest.timestamp() if newest else None,
        provider_wait_s=asked.wait_s,
        phase_lock=source.phase_lock,
    )
    chance = random.uniform(-1, 1)  # noqa: S311  # spreading, not secrecy
    held = schedule.held_until(turn, now.timestamp())
    return {
        "cadence_s": cadence.period_s,
        "spread_s": cadence.spread_s,
        "phase_trust": cadence.trust,
        "unheard": cadence.unheard,
        "next_poll_at": _moment(schedule.next_due(turn, now.timestamp(), chance)),
        "urgency": urgency_of(source, state),
        "lease_until": None if held is None else _moment(held),
    }


@derived
def _interval_s(source: Source) -> float:
    return float(source.effective_interval_s)


def _cadence(state: PollState) -> Cadence:
    return Cadence(
        period_s=state.cadence_s,
        spread_s=state.spread_s,
        trust=state.phase_trust,
        unheard=state.unheard,
    )


def _age_s(state: PollState, now: datetime) -> float | None:
    return None if state.cursor_at is None else (now - state.cursor_at).total_seconds()


def _new_times(state: PollState, asked: Asked, newest_at: datetime | None) -> Sequence[float]:
    """Times of the entries after the cursor, oldest first, behind the cursor itself."""
    known = state.cursor_at
    times = {known} if known else set()
    if asked.fetched is not None and newest_at is not None:
        for entry in asked.fetched.entries:
            if entry.at <= newest_at and (known is None or entry.at > known):
                times.add(entry.at)
    return [at.timestamp() for at in sorted(times)]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
