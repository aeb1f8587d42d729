"""How much one socket may say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_FRAME_CHARACTERS = 16_384
MAX_TOPICS = 200  # of one request; its `since` fits a frame


@dataclass(slots=True)
class Allowance:
    """Token bucket: `burst` messages at once, then `per_second`."""

    clock: Callable[[], float]
    burst: float = 20
    per_second: float = 2
    _level: float = 0
    _at: float | None = None

    def take(self) -> bool:
        """Whether one more message is allowed now."""
        now = self.clock()
        if self._at is not None:
            self._level = max(0.0, self._level - (now - self._at) * self.per_second)
        self._at = now
        if self._level + 1 > self.burst:
            return False
        self._level += 1
        return True
