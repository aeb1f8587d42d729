"""At most a few attempts with full jitter between them, within a deadline: tenacity, wired once.

Full jitter (a wait drawn evenly from nothing to the maximum) keeps clients that failed together
from coming back together. Nothing here sleeps: an attempt that has to wait is told when, so that
others go on meanwhile. Clock and chance are arguments, so tests need no time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from ingestion.resilience.policy import RetryPolicy

R = TypeVar("R")


def _nothing(_: float) -> None:
    """Whoever sends looks after what is in the air meanwhile."""


@dataclass(frozen=True, slots=True)
class Time:
    """Where time and chance come from.

    `idle` is told that nothing may start for so many seconds; a test moves its clock by them.
    """

    clock: Callable[[], float]  # seconds, never running back
    idle: Callable[[float], None]
    chance: Callable[[], float]  # evenly in [0, 1)


class Attempts(Generic[R]):
    """The attempts of one request, the first of which has been made."""

    def __init__(
        self, worth_it: Callable[[R], bool], policy: RetryPolicy, deadline: float, time: Time
    ) -> None:
        def enough(state: RetryCallState) -> bool:
            spent = state.attempt_number >= policy.attempts
            return spent or time.clock() + state.upcoming_sleep >= deadline

        self._pause_s = 0.0
        self._machine = iter(
            Retrying(
                stop=enough,
                wait=lambda _: time.chance() * policy.wait_max_s,
                retry=retry_if_result(worth_it),
                sleep=self._wait,
                retry_error_callback=_nothing_more,
            )
        )
        self._attempt = next(self._machine)

    def pause_after(self, result: R) -> float | None:
        """Seconds until another attempt may start; None when there is no other."""
        self._attempt.retry_state.set_result(result)
        attempt = next(self._machine, None)
        if attempt is None:
            return None
        self._attempt = attempt
        return self._pause_s

    def _wait(self, seconds: float) -> None:
        self._pause_s = seconds


def _nothing_more(_: RetryCallState) -> None:
    """The last result stands; whoever asked has it."""
