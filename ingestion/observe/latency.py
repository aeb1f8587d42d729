"""How long answers take: a histogram whose buckets merge, and percentiles from it. Pure.

Bucket i holds durations in (GAMMA^(i-1), GAMMA^i] milliseconds. The value told for it lies so
that no duration in the bucket is further away than ERROR of itself (DDSketch, Masson et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

ERROR = 0.05
"""Relative error of a percentile, at most."""
GAMMA = (1 + ERROR) / (1 - ERROR)
LEAST_MS = 0.1
"""Shorter answers count as this long: no network is that fast."""


def bucket_of(duration_ms: float) -> int:
    """The bucket of a duration. The database computes the same (`counting`)."""
    return math.ceil(math.log(max(duration_ms, LEAST_MS)) / math.log(GAMMA))


def percentile_ms(buckets: Mapping[int, int], share: float) -> float | None:
    """The duration that `share` (0 to 1) of all answers did not exceed; None without answers.

    The smallest one for which that is so (nearest rank), within ERROR.
    """
    total = sum(buckets.values())
    if not total:
        return None
    rank = max(math.ceil(share * total), 1)
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            break
    return 2 * GAMMA**bucket / (GAMMA + 1)
