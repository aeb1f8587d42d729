"""What a field's values usually look like, learned as they pass. Pure arithmetic.

Numbers are taken as received, before scale and conversion: it is the device that is watched, not
our settings. Everything is bounded: a sample of places where the value has been, a sample of its
changes from one entry to the next, and counts that fade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from ingestion.drift.values import Number, Type, Value

PLACES = 64
STEPS = 32
MEMORY = 2048
"""A value is forgotten after about so many others: what is usual may change over weeks."""
_HASH = 2_654_435_761  # Knuth's multiplier: spreads neighbouring counts evenly


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is usual for a field. `numbers`, `words`, `texts` and `blanks` are fading counts.

    `count` is how many numbers were ever learned, `calm` how many of the last ones were near the
    one before or where the field had been; `grain` is the place of their last digit.
    """

    count: int = 0
    calm: int = 0
    numbers: float = 0.0
    words: float = 0.0
    texts: float = 0.0
    blanks: float = 0.0
    grain: float = 0.0
    last: float | None = None
    places: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    step: float = 0.0
    """The size that half of the changes from one value to the next do not exceed."""

    @property
    def level(self) -> float:
        """The middle of the values; 0 when there are none."""
        return median(self.places) if self.places else 0.0

    @property
    def spread(self) -> float:
        """The median distance from the middle."""
        level = self.level
        return median(abs(one - level) for one in self.places) if self.places else 0.0

    @property
    def usual(self) -> tuple[float, float]:
        """Between which two numbers nine of ten values lie; both 0 when there are none."""
        return (quantile(self.places, 0.05), quantile(self.places, 0.95))

    def share(self, kind: Type) -> float:
        """Which part of what was received, blanks aside, is of a kind."""
        counts = {Type.NUMBER: self.numbers, Type.WORD: self.words, Type.TEXT: self.texts}
        total = sum(counts.values())
        return counts[kind] / total if total else 0.0

    @property
    def blank(self) -> float:
        """Which part of what was received was nothing."""
        total = self.numbers + self.words + self.texts + self.blanks
        return self.blanks / total if total else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the others do not exceed; 0 of nothing."""
    if not values:
        return 0.0
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def learn(known: Fingerprint, values: Sequence[Value]) -> Fingerprint:
    """The fingerprint with further values in the order of their time."""
    numbers = [one for one in values if isinstance(one, Number)]
    fade = 0.5 if known.numbers + known.words + known.texts + known.blanks > MEMORY else 1.0
    places, steps = list(known.places), list(known.steps)
    count, last = known.count, known.last
    for number in numbers:
        if last is not None and number.value != last:
            _keep(steps, abs(number.value - last), STEPS, count)
        _keep(places, number.value, PLACES, count)
        count, last = count + 1, number.value
    grains = [one.grain for one in numbers]
    return replace(
        known,
        count=count,
        numbers=known.numbers * fade + len(numbers),
        words=known.words * fade + sum(one is Type.WORD for one in values),
        texts=known.texts * fade + sum(one is Type.TEXT for one in values),
        blanks=known.blanks * fade + sum(one is None for one in values),
        grain=min([*grains, known.grain] if known.grain else grains, default=0.0),
        last=last,
        places=tuple(places),
        steps=tuple(steps),
        step=quantile(steps, 0.5),
    )


def _keep(sample: list[float], value: float, size: int, count: int) -> None:
    """Keep a value in a sample of all so far; later ones replace earlier ones ever more rarely."""
    if len(sample) < size:
        sample.append(value)
        return
    chance = (count * _HASH) % 2**32
    place = chance * min(count + 1, MEMORY) // 2**32
    if place < size:
        sample[place] = value
