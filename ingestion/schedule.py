"""When a source is asked again, after any outcome. Pure; seconds, times as epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion import cadence
from ingestion.cadence import Cadence
from ingestion.resilience.classify import EFFECTS, Kind, Outcome

LONGEST_QUARANTINE_S = 6 * 3600.0
# Polls of one account would otherwise drift into step and arrive as a crowd.
JITTER = 0.05
# What the provider's trouble kept from being asked is asked again so soon, then ever later.
SOON_S = 60.0
# These say nothing about the source: it keeps its place in the queue.
NOT_ITS_OWN = (Outcome.THROTTLED, Outcome.OPEN, Outcome.UPSTREAM_ERROR)
# Polls that came no later than this after they were due were in time.
PUNCTUAL_S = 5.0
# Newcomers that take no longer than this need no spreading.
FEW_S = 2.0
# Fractions of the golden ratio's multiples lie evenly, however many there are.
_GOLDEN = 0.618_033_988_749_895


@dataclass(frozen=True, slots=True)
class Turn:
    """One poll of a source, as far as its next one depends on it.

    `due`: when it was due. `newest`: time of its newest entry, None while none is known.
    `provider_wait_s`: how long to leave it alone at least, when the provider said so. `failures`:
    failed polls in a row before this one. `phase_lock`: whether people want it.
    """

    kind: Kind
    due: float
    interval_s: float
    failures: int
    cadence: Cadence
    newest: float | None = None
    provider_wait_s: float | None = None
    phase_lock: bool = True


def next_due(turn: Turn, now: float, chance: float) -> float:
    """When it is asked again; `chance` between -1 and 1 spreads those that would go in step.

    Trouble of the provider leaves a source its place in the queue: it is due again one short wait
    after it was due, not after now, so that an outage does not turn the order upside down.
    """
    effects = EFFECTS[turn.kind]
    spread = 1 + JITTER * chance
    if effects.quarantine:
        doubled = turn.interval_s * 2.0 ** min(turn.failures + 1, 20)
        wait = min(doubled, max(LONGEST_QUARANTINE_S, turn.interval_s)) * spread
    elif effects.outcome in NOT_ITS_OWN:
        backoff = SOON_S * 2.0 ** min(turn.failures, 20)
        return min(turn.due, now) + min(turn.interval_s, backoff) * spread
    else:
        answered = effects.outcome in (Outcome.OK, Outcome.EMPTY)
        plain = turn.interval_s * spread - _served_late_s(turn, now)
        wait = (_locked(turn, now) if answered else None) or plain
    return now + max(wait, turn.provider_wait_s or 0.0)


def _served_late_s(turn: Turn, now: float) -> float:
    """What a poll in time took to be served and answered: the interval runs on meanwhile.

    Else the second of a tick would come on top of every interval. Who was served later than this,
    because the budget is short or the provider slow, gets its whole interval: nothing is made up.
    """
    late = max(0.0, now - turn.due)
    return late if late <= min(PUNCTUAL_S, turn.interval_s / 2) else 0.0


def held_until(turn: Turn, now: float) -> float | None:
    """Until when it must not be asked although it keeps its place in the queue; None: it may be.

    A provider in trouble may say when to come back (503 with Retry-After).
    """
    if EFFECTS[turn.kind].outcome is Outcome.UPSTREAM_ERROR and turn.provider_wait_s:
        return now + turn.provider_wait_s
    return None


def _locked(turn: Turn, now: float) -> float | None:
    """Seconds until just after its next entry; None when that cannot be said or is not wanted.

    Who was served late gets its whole interval: while the budget is short, an entry's time must
    not make anybody ask sooner than others wait.
    """
    if not turn.phase_lock or turn.newest is None:
        return None
    usual = max(turn.interval_s, turn.cadence.period_s or 0.0)
    if now - turn.due > max(PUNCTUAL_S, cadence.SOONER * usual):
        return None
    return cadence.wait_s(turn.cadence, now - turn.newest, turn.interval_s)


def first_due(now: float, place: int, newcomers: int, slot_s: float) -> float:
    """When a new source is asked first: the first of them at once, many spread by their `place`.

    Together they take at most half of their account's budget (a slot every `slot_s`), so that
    those who are there already are not held up, and later they do not all come in one wave.
    """
    span = 2 * newcomers * slot_s
    if span < FEW_S:
        return now
    return now + span * (place * _GOLDEN % 1)
