"""What a benchmark says: one figure beside its limit, as one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from benchmarks.machine import machine


@dataclass(frozen=True, slots=True)
class Figure:
    """`ours` beside `limit`, both in `unit`; from `samples` measures.

    `name` is the benchmark's, `what` says which of its figures this is. `more_is_better`: a rate,
    not a time or a count. `at_least` is the ratio to reach.
    """

    name: str
    what: str
    ours: float
    limit: float
    unit: str
    samples: int
    more_is_better: bool = False
    at_least: float = 1.0

    @property
    def ratio(self) -> float:
        """How many times better than the limit; below `at_least` the figure is missed."""
        return self.ours / self.limit if self.more_is_better else self.limit / self.ours

    def line(self) -> str:
        """The figure as one line of JSON, with the machine it was measured on."""
        rounded = {
            "ours": round(self.ours, 2),
            "limit": round(self.limit, 2),
            "ratio": round(self.ratio, 3),
        }
        return json.dumps({**asdict(self), **rounded, "machine": machine()}, ensure_ascii=False)


def percentile(values: list[float], percent: float) -> float:
    """The smallest measured value that at least `percent` of the values do not exceed."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    ordered = sorted(values)
    place = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(place), 1) - 1]
