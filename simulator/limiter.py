"""A strict sliding-window limit on reads, to be switched on by tests; ThingSpeak itself documents
none for reads.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Limiter:
    """At most `limit` accepted requests in any `window_s` seconds, for each channel or for all
    together.
    """

    limit: int
    window_s: float
    per_channel: bool = False
    retry_after: bool = True
    refused: int = 0
    accepted: int = 0
    _recent: dict[int | None, deque[float]] = field(default_factory=dict)

    def refusal(self, channel: int | None, now: float) -> float | None:
        """Seconds until the next request would be accepted, or None if this one is."""
        recent = self._recent.setdefault(channel if self.per_channel else None, deque())
        while recent and recent[0] <= now - self.window_s:
            recent.popleft()
        if len(recent) < self.limit:
            recent.append(now)
            self.accepted += 1
            return None
        self.refused += 1
        return recent[0] + self.window_s - now if recent else self.window_s

    def as_json(self) -> dict[str, object]:
        """Settings and counters."""
        return {
            "limit": self.limit,
            "window_s": self.window_s,
            "per_channel": self.per_channel,
            "retry_after": self.retry_after,
            "accepted": self.accepted,
            "refused": self.refused,
        }
