"""At most a few attempts with full jitter between them, within a deadline: tenacity, wired once.

Full jitter (a wait drawn evenly from nothing to the maximum) keeps clients that failed together
from coming back together. Clock, sleep and chance are arguments, so tests need no time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from ingestion.resilience.policy import RetryPolicy

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Time:
    """Where time and chance come from."""

    clock: Callable[[], float]  # seconds, never running back
    sleep: Callable[[float], None]
    chance: Callable[[], float]  # evenly in [0, 1)


def retrying(
    attempt: Callable[[R | None], R],
    worth_it: Callable[[R], bool],
    policy: RetryPolicy,
    deadline: float,
    time: Time,
) -> R:
    """The result of the last attempt; each attempt is given the result of the one before.

    Another one is made while `worth_it(result)` and attempts and time remain. Exceptions pass
    through at once.
    """
    last: list[R] = []

    def once() -> R:
        last[:] = [attempt(last[0] if last else None)]
        return last[0]

    def enough(state: RetryCallState) -> bool:
        spent = state.attempt_number >= policy.attempts
        return spent or time.clock() + state.upcoming_sleep >= deadline

    machine = Retrying(
        stop=enough,
        wait=lambda _: time.chance() * policy.wait_max_s,
        retry=retry_if_result(worth_it),
        sleep=time.sleep,
        retry_error_callback=lambda _: last[0],
        reraise=True,
    )
    return machine(once)
