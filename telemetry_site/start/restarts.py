"""When a process that ended is started again, and when that is hopeless. Pure arithmetic."""

from __future__ import annotations

from collections import deque

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
# So many ends within so many seconds: something is wrong that starting again does not mend.
HOPELESS = 5
WITHIN_S = 60.0


class Restarts:
    """How often one process ended; the pause grows while it keeps ending."""

    def __init__(self) -> None:
        """It has not ended yet."""
        self.times = 0
        self._pause = FIRST_PAUSE_S
        self._ends: deque[float] = deque(maxlen=HOPELESS)

    def pause_after(self, now: float) -> float | None:
        """Seconds to wait after an end at `now` (monotonic seconds); None: do not try again."""
        calm = not self._ends or now - self._ends[-1] > WITHIN_S
        self._pause = FIRST_PAUSE_S if calm else min(self._pause * 2, LONGEST_PAUSE_S)
        self._ends.append(now)
        if len(self._ends) == HOPELESS and now - self._ends[0] <= WITHIN_S:
            return None
        self.times += 1
        return self._pause


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
