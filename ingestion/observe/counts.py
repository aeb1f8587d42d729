"""What requests came to, as numbers that add up. Pure.

A poll that our own budget or breaker refused is no request: nothing was sent. Nor is one that
could not even be made (unreadable key, forbidden address).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ingestion.observe.latency import percentile_ms
from ingestion.resilience.classify import EFFECTS, Kind, Outcome

ANSWERED = frozenset({Kind.OK, Kind.EMPTY})
"""A fetch that brought an answer to read, also one without entries."""
SENT_WITHOUT_STATUS = frozenset(
    {Kind.NAME, Kind.CONNECT, Kind.TIMEOUT, Kind.TLS, Kind.CUT_OFF, Kind.TOO_LARGE}
)
"""Endings of a request that left us but brought no HTTP status. Every other one without a status
was never sent."""


class Tone(StrEnum):
    """Who is at fault, for people: the colour of a request."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    SOURCE = "source"
    UPSTREAM = "upstream"


_TONES = {
    Outcome.OK: Tone.ANSWERED,
    Outcome.EMPTY: Tone.ANSWERED,
    Outcome.THROTTLED: Tone.THROTTLED,
    Outcome.SOURCE_ERROR: Tone.SOURCE,
}
_KINDS = {kind.value: kind for kind in Kind}


def tone_of(outcome: str) -> Tone:
    """The tone of a stored outcome; what nobody knows any more counts as the provider's fault."""
    kind = _KINDS.get(outcome)
    return Tone.UPSTREAM if kind is None else _TONES.get(EFFECTS[kind].outcome, Tone.UPSTREAM)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of some time, by what came of them.

    `outcomes` by `Kind`; `latency` is the histogram of those that brought an HTTP answer
    (`latency.bucket_of`): what was never answered would say nothing about how fast answers are.
    """

    requests: int = 0
    answered: int = 0
    entries: int = 0
    readings: int = 0
    rejected: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    latency: Mapping[int, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that brought no answer to read."""
        return self.requests - self.answered

    @property
    def success_rate(self) -> float | None:
        """Share answered, 0 to 1; None where nothing was asked."""
        return self.answered / self.requests if self.requests else None

    @property
    def tones(self) -> Mapping[Tone, int]:
        """Requests by who is at fault."""
        tones: Counter[Tone] = Counter()
        for outcome, number in self.outcomes.items():
            tones[tone_of(outcome)] += number
        return tones

    @property
    def by_outcome(self) -> Sequence[tuple[str, int]]:
        """What came of the requests and how many of each, the most frequent first."""
        return sorted(self.outcomes.items(), key=lambda one: (-one[1], one[0]))

    def percentile_ms(self, share: float) -> float | None:
        """How long answers took, within `latency.ERROR`; None without answers."""
        return percentile_ms(self.latency, share)


NOTHING = Counts()


def total(parts: Iterable[Counts]) -> Counts:
    """All parts together, in time linear in their number."""
    numbers: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    latency: Counter[int] = Counter()
    for one in parts:
        outcomes.update(one.outcomes)
        latency.update(one.latency)
        for name in _NUMBERS:
            numbers[name] += getattr(one, name)
    return Counts(
        requests=numbers["requests"],
        answered=numbers["answered"],
        entries=numbers["entries"],
        readings=numbers["readings"],
        rejected=numbers["rejected"],
        outcomes=dict(outcomes),
        latency=dict(latency),
    )


_NUMBERS = ("requests", "answered", "entries", "readings", "rejected")
