"""When a source speaks next: how regularly its entries come, learned from their own times. Pure.

Seconds throughout. The estimate is the one that TCP uses for its round trips (Jacobson and Karels,
1988): a smoothed period and a smoothed deviation from it, cheap to keep and hard to upset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

# So many new entries in one answer tell the period by themselves.
ENOUGH_STEPS = 4
PERIOD_GAIN, SPREAD_GAIN = 1 / 8, 1 / 4
# After its first step a source may deviate by this part of it.
UNSURE = 5.0
# Steps up to this many periods are taken as missing entries; longer ones as an outage.
MOST_MISSING = 3.5
# An entry is asked for so long after it is expected: it takes its time to be readable.
DELAY_S = 1.0
# Ask later by so many deviations: most entries are there then, and few requests are in vain.
CAUTION = 1.0
# A source that deviates by more of its period than this has no phase to lock to.
MOST_SPREAD = 0.19
# After asking in vain once, ask again so soon; afterwards only as often as people want it asked.
ASK_AGAIN_S = 3.0
# However rarely a source speaks, look in from time to time: it may say something unexpected.
LONGEST_QUIET_S = 600.0
# The lock is held while at least this share of its first questions is answered.
TRUSTED = 0.3
_TRUST_GAIN, _TRUST_REGAINED = 0.2, 0.01
_JUMPS_BELOW = 0.5
# Entries that come up to so much of the interval sooner are still asked for.
SOONER = 0.25


@dataclass(frozen=True, slots=True)
class Cadence:
    """How regularly a source speaks. `period_s` is None while too little is known.

    `spread_s`: mean deviation from the period. `trust`: how well predictions came true, 0 to 1.
    `unheard`: how often in a row it was asked after an entry was due and had none.
    """

    period_s: float | None = None
    spread_s: float = 0.0
    trust: float = 1.0
    unheard: int = 0

    @property
    def regular(self) -> bool:
        """Whether it can be said when the next entry comes."""
        if self.period_s is None or self.trust < TRUSTED:
            return False
        return self.spread_s <= MOST_SPREAD * self.period_s

    @property
    def expected_after_s(self) -> float:
        """Seconds after its newest entry at which the next one should be readable."""
        if self.period_s is None:
            raise ValueError("Nothing is known of this source's cadence yet.")
        return self.period_s + DELAY_S + CAUTION * self.spread_s


def after_answer(cadence: Cadence, times: Sequence[float], age_s: float | None) -> Cadence:
    """What an answer taught: `times` of its new entries, oldest first, after the newest known one.

    `age_s`: how old the newest known entry was when the source was asked; None for a new source.
    The first of `times` is that known entry, when there was one.
    """
    heard = len(times) > (0 if age_s is None else 1)
    judged = _judge(cadence, age_s, heard=heard)
    steps = [later - earlier for earlier, later in pairwise(times)]
    return _learn(judged, [step for step in steps if step > 0])


def _judge(cadence: Cadence, age_s: float | None, *, heard: bool) -> Cadence:
    """Whether the prediction came true, if this was a question at the predicted time."""
    due = cadence.period_s is not None and age_s is not None and age_s >= cadence.expected_after_s
    first = due and cadence.unheard == 0
    trust = cadence.trust
    if first and cadence.regular:
        trust += _TRUST_GAIN * (1.0 - trust) if heard else -_TRUST_GAIN * trust
    elif not cadence.regular:
        trust = min(1.0, trust + _TRUST_REGAINED)
    unheard = 0 if heard else cadence.unheard + (1 if due else 0)
    if (trust, unheard) == (cadence.trust, cadence.unheard):
        return cadence
    return replace(cadence, trust=trust, unheard=unheard)


def _learn(cadence: Cadence, steps: Sequence[float]) -> Cadence:
    if len(steps) >= ENOUGH_STEPS:
        middle = median(steps)
        known = cadence.period_s
        if known is None or abs(middle - known) > known / 4:
            deviation = median(abs(step - middle) for step in steps)
            return replace(cadence, period_s=middle, spread_s=deviation)
    for step in steps:
        cadence = _learn_step(cadence, step)
    return cadence


def _learn_step(cadence: Cadence, step: float) -> Cadence:
    period = cadence.period_s
    if period is None:
        # Not regular yet: a few more steps have to agree.
        return replace(cadence, period_s=step, spread_s=step / UNSURE)
    periods = step / period
    if periods < 0.5:
        return cadence  # two at once are one
    if periods > MOST_MISSING:
        # An outage says nothing of the period, unless it has not come true lately anyway.
        jump = cadence.trust < _JUMPS_BELOW
        return replace(cadence, period_s=step, spread_s=step / UNSURE) if jump else cadence
    # Who is regular may have left entries out; of anybody else every step would fit somehow.
    missed = round(periods) if cadence.regular else 1
    error = step / max(1, missed) - period
    return replace(
        cadence,
        period_s=period + PERIOD_GAIN * error,
        spread_s=cadence.spread_s + SPREAD_GAIN * (abs(error) - cadence.spread_s),
    )


def wait_s(cadence: Cadence, age_s: float, interval_s: float) -> float | None:
    """How long to wait before asking again, so that the answer brings a fresh entry.

    `age_s` of the newest entry now. None: the source is not regular, so ask at its interval. At
    most a quarter of the interval early: who speaks oftener than that is asked after one of its
    entries. Sooner only once, after asking in vain.
    """
    if not cadence.regular or cadence.period_s is None:
        return None
    ahead = cadence.expected_after_s - age_s
    if ahead <= 0:
        return _overdue(cadence, -ahead, interval_s)
    soonest = (1 - SOONER) * interval_s
    if ahead < soonest:
        skipped = math.ceil((soonest - ahead) / cadence.period_s)
        often = cadence.period_s < soonest
        ahead = ahead + skipped * cadence.period_s if often else soonest
    return min(ahead, max(interval_s, LONGEST_QUIET_S))


def _overdue(cadence: Cadence, overdue_s: float, interval_s: float) -> float:
    """The entry is late: ask again soon, once; then ever more patiently, up to a period."""
    if cadence.unheard <= 1:
        return min(max(ASK_AGAIN_S, cadence.spread_s), interval_s)
    patience = min(overdue_s / 4, cadence.period_s or 0.0, LONGEST_QUIET_S)
    return max(interval_s, patience)
