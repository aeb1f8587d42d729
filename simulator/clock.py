"""The simulator's clock: it follows real time until somebody freezes, moves or hurries it."""

import time
from collections.abc import Callable


class Clock:
    """Simulated time in seconds since 1970-01-01 UTC, running at `speed` times real time (0 is
    frozen).
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._speed = 1.0
        self._real = source()
        self._simulated = self._real

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def now(self) -> float:
        """The present simulated instant."""
        return self._simulated + (self._source() - self._real) * self._speed

    def run(self, *, at: float | None = None, speed: float | None = None) -> None:
        """Continue from `at` (default: the present) at `speed` (default: as before)."""
        start = self.now() if at is None else at
        self._real = self._source()
        self._simulated = start
        if speed is not None:
            self._speed = speed

    def reset(self) -> None:
        """Follow real time again."""
        self.run(at=self._source(), speed=1.0)
