"""Deterministic randomness: the same question always gets the same answer, in any order, on any
machine.
"""

_MASK = (1 << 64) - 1


def uniform(seed: int, index: int) -> float:
    """A number in [0, 1) that belongs to (seed, index) for ever (splitmix64 mixing)."""
    z = (seed * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def jitter(seed: int, at: float) -> float:
    """Measurement noise in [-1, 1) that differs from second to second."""
    return 2 * uniform(seed, int(at)) - 1


def drift(seed: int, at: float, period_s: float) -> float:
    """A smooth wandering in [-1, 1] whose bends are about `period_s` seconds apart."""
    position = at / period_s
    index = int(position)
    part = position - index
    weight = part * part * (3 - 2 * part)
    first = 2 * uniform(seed, index) - 1
    return first + (2 * uniform(seed, index + 1) - 1 - first) * weight
