"""The words of asking: what is to be asked (`Exchange`), on its way (`Flight`), its `Result`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ingestion.resilience.classify import EFFECTS, Effects, Kind, Outcome
from ingestion.resilience.gate import Passage, Verdict
from ingestion.resilience.policy import Route
from ingestion.resilience.retry import Attempts
from ingestion.resilience.transport import HttpRequest, HttpResponse

# As much jitter as the budget's spacing allows for (`RatePolicy.jitter_allowance_s`).
SLOT_LASTS_S = 1.0
NOT_YET = Passage(Verdict.WAIT, 0.0, 0, admitted=0)


class Answer(Protocol):
    """What an adapter reads from an answer."""

    @property
    def empty(self) -> bool:
        """Whether the source had nothing to say."""


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True, eq=False)
class Exchange(Generic[A]):
    """A request to make, what governs it, and how its answer is read.

    `decode` reads an answer or raises SourceError. `slot`: when the slot that was reserved for it
    begins (seconds of the client's clock); without one, or when it comes too late for it, it books
    another that begins within `patience_s`. `failed_ago_s`: how long ago the same source failed, if
    it did the last time: when it fails again, that says less about its host.
    """

    request: HttpRequest
    route: Route
    decode: Callable[[HttpResponse], A]
    slot: float | None = None
    patience_s: float = 0.0
    failed_ago_s: float | None = None


@dataclass(frozen=True, slots=True)
class Result(Generic[A]):
    """What an exchange came to.

    `answer` is what the adapter read, for OK and EMPTY. `message` is a sentence for people.
    `wait_s`: how long to leave the source alone at least, when gate or provider said so.
    `attempts` counts requests that were really sent, `elapsed_s` is what they took together.
    `circuit_open`: the provider failed so often that it is left in peace now. `defect` is what an
    adapter raised that it should not have.
    """

    kind: Kind
    message: str
    answer: A | None = None
    response: HttpResponse | None = None
    wait_s: float | None = None
    attempts: int = 0
    elapsed_s: float = 0.0
    circuit_open: bool = False
    defect: Exception | None = None

    @property
    def effects(self) -> Effects:
        """What follows: quarantine, credential, permanent …"""
        return EFFECTS[self.kind]

    @property
    def outcome(self) -> Outcome:
        """What to tell people and statistics."""
        return self.effects.outcome

    @property
    def status(self) -> int | None:
        """The HTTP status, when there was an answer."""
        return None if self.response is None else self.response.status


Done = tuple[Exchange[A], Result[A]]


@dataclass(eq=False, slots=True)
class Flight(Generic[A]):
    """An exchange on its way: when its next request may start, and what came of the last one.

    `booked`: its slot was booked on passing the gate, and is paid for. `failed_at`: when its source
    failed last, now or earlier.
    """

    exchange: Exchange[A]
    key: int
    at: float
    deadline: float = math.inf
    failed_at: float | None = None
    before: Result[A] | None = None
    attempts: Attempts[Result[A]] | None = None
    passage: Passage = NOT_YET
    booked: bool = False

    @property
    def route(self) -> Route:
        """What governs it."""
        return self.exchange.route

    def reserved(self, now: float) -> bool:
        """Whether its slot is still good. Missed ones, all used at once, would be a crowd."""
        slot = self.exchange.slot
        return self.before is None and slot is not None and now - slot <= SLOT_LASTS_S
