"""Whether a field still is what it was: entry by entry, with a suspicion before a verdict. Pure.

A number is unusual when it is far from the one before it and where the field has never been.
Unusual alone is physics: tanks empty, pumps start, sensors fail. It becomes a suspicion only when
a known change of unit, or the exchange with another field, would make it exactly the next number
of the old series. Under suspicion nothing of the field is stored; a few more values decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ingestion.drift.conversions import Change
from ingestion.drift.fingerprint import Fingerprint
from ingestion.drift.values import Number, Type, Value

LEARNED = 30
"""Numbers that must be known before anything is judged."""
DECIDE = 5
"""Values that decide a suspicion of another unit or type."""
DECIDE_SWAP = 4
SLACK = 4.0
"""A step is small up to so many times the step that half of them do not exceed."""
FAR = 4.0
"""How many times further than a small step an unusual number is."""
SHARP = 0.1
"""How exactly a change must be met, relative to the number: coarser proves nothing."""
SHARP_POWER = 0.4
"""The same for powers of ten: they are too far apart to be mistaken for each other."""
CAP = 0.1
CALM = 3
"""After so many usual numbers a new level counts as the field's own."""
PURE = 0.98
"""The share from which on a field carries one type only."""
MOSTLY = 0.8
"""The share of numbers from which on they are worth watching."""
ERRORS = frozenset({0.0, -1.0, 1.0, 85.0, -127.0, 127.0, -999.0, 999.0, 9999.0, -9999.0, 255.0,
                    1023.0, 1024.0, 4095.0, 4096.0, 32767.0, -32768.0, 65535.0})  # fmt: skip
"""Numbers that sensors report when they fail, and nothings: they never speak for a change."""


class Kind(StrEnum):
    """What a suspicion is of."""

    UNIT = "unit"
    SWAP = "swap"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Guess:
    """What may have happened: another unit, the place of another field, another type."""

    kind: Kind
    change: Change | None = None
    other: str = ""
    type: Type | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A value that waits for the verdict: which entry (time as ISO 8601), and what it said."""

    at: str
    sequence: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is thought of a field for the moment. `anchor` is the last number before."""

    guesses: tuple[Guess, ...]
    anchor: float
    others: Mapping[str, float]
    held: tuple[Held, ...]


@dataclass(slots=True)
class Watch:
    """A field under watch: what is usual, its last number, and what is suspected."""

    fingerprint: Fingerprint
    changes: tuple[Change, ...] = ()
    last: float | None = None
    calm: int = CALM
    suspicion: Suspicion | None = None
    learned: list[Value] = field(default_factory=list)


class Verdict(StrEnum):
    """What is to be done with a field's value of an entry."""

    FINE = "fine"
    HELD = "held"
    CLEARED = "cleared"
    """The suspicion was wrong: this value and all held ones are what they seem."""
    CONFIRMED = "confirmed"
    """The change is real: this value and all held ones wait for somebody."""


def judge(watches: Mapping[str, Watch], values: Mapping[str, Value], at: str, sequence: int) -> dict[str, Verdict]:
    """The verdicts on one entry's fields; changes the watches. Fields without a value have none."""
    numbers = {
        name: value.value for name, value in values.items() if isinstance(value, Number)
    }
    before = {name: watch.last for name, watch in watches.items() if watch.last is not None}
    verdicts = {}
    for name, watch in watches.items():
        value = values.get(name)
        if value is None:
            watch.learned.append(None)
            continue
        guesses = _guesses(name, watch, value, watches, numbers)
        verdicts[name] = _settle(watch, value, guesses, before, Held(at, sequence, numbers.get(name)))
    return verdicts


def _settle(watch: Watch, value: Value, guesses: tuple[Guess, ...] | None, before: Mapping[str, float], held: Held) -> Verdict:
    """`guesses` None: the value says nothing either way."""
    if guesses is None and watch.suspicion is not None:
        return Verdict.HELD if not isinstance(value, Number) else Verdict.FINE
    if isinstance(value, Number):
        watch.calm = min(watch.calm + 1, CALM) if usual(watch, value) else 0
    if not guesses:
        had = watch.suspicion is not None
        watch.suspicion = None
        _accept(watch, value)
        return Verdict.CLEARED if had else Verdict.FINE
    if watch.suspicion is None:
        anchor = watch.last if watch.last is not None else watch.fingerprint.level
        watch.suspicion = Suspicion(guesses, anchor, before, (held,))
    else:
        watch.suspicion = replace(
            watch.suspicion, guesses=guesses, held=(*watch.suspicion.held, held)
        )
    needed = DECIDE_SWAP if guesses[0].kind is Kind.SWAP else DECIDE
    return Verdict.CONFIRMED if len(watch.suspicion.held) >= needed else Verdict.HELD


def _accept(watch: Watch, value: Value) -> None:
    watch.learned.append(value)
    if isinstance(value, Number):
        watch.last = value.value


def _guesses(name: str, watch: Watch, value: Value, watches: Mapping[str, Watch], numbers: Mapping[str, float]) -> tuple[Guess, ...] | None:
    """What this value, after those held, still allows to be thought."""
    if not isinstance(value, Number):
        return _another_type(watch, value)
    fingerprint = watch.fingerprint
    if fingerprint.share(Type.NUMBER) < MOSTLY:
        return ()
    if fingerprint.count < LEARNED or watch.last is None:
        return ()
    if value.value in ERRORS:
        return None if watch.suspicion else ()
    if usual(watch, value):
        return ()
    if watch.calm < CALM and watch.suspicion is None:
        return ()
    if watch.suspicion is not None:
        return tuple(one for one in watch.suspicion.guesses if _goes_on(one, name, watch, value, watches, numbers))
    return (*_swaps(name, watch, value, watches, numbers), *_units(watch, value))


def _another_type(watch: Watch, value: Value) -> tuple[Guess, ...]:
    fingerprint = watch.fingerprint
    kind = Type.NUMBER if isinstance(value, Number) else value
    total = fingerprint.numbers + fingerprint.words + fingerprint.texts
    if total < LEARNED or kind is None or fingerprint.share(kind) > 1 - PURE:
        return ()
    return (Guess(Kind.TYPE, type=kind),)


def reach(fingerprint: Fingerprint, grain: float) -> float:
    """How far one number may be from the one before it without anybody wondering."""
    return SLACK * fingerprint.step + 0.5 * (fingerprint.grain + grain)


def usual(watch: Watch, number: Number) -> bool:
    """Whether a number is near the one before it, or where the field has been before."""
    small = reach(watch.fingerprint, number.grain)
    if watch.last is not None and abs(number.value - watch.last) <= FAR * small:
        return True
    near = max(small, 0.02 * abs(number.value))
    return any(
        abs(number.value - place) <= near for place in watch.fingerprint.places if place not in ERRORS
    )


def _units(watch: Watch, number: Number) -> list[Guess]:
    """Changes of unit that make the number the next one of the old series."""
    assert watch.last is not None
    reference, small = watch.last, reach(watch.fingerprint, 0.0)
    if reference == 0:
        reference, small = _when_on(watch.fingerprint)
    found = []
    for change in watch.changes:
        near = small + 0.5 * number.grain / abs(change.factor)
        sharp = SHARP if change.unit else SHARP_POWER
        if near > sharp * abs(reference):
            continue
        near = min(near, CAP * abs(reference))
        if abs(change.back(number.value) - reference) <= near:
            found.append(Guess(Kind.UNIT, change))
    return found


def _when_on(fingerprint: Fingerprint) -> tuple[float, float]:
    """The level of a field that is often 0, while it is not, and how far from it is usual."""
    on = sorted(one for one in fingerprint.places if one)
    if len(on) < 8:
        return 0.0, math.inf
    middle = on[len(on) // 2]
    return middle, SLACK * (on[int(0.9 * len(on))] - on[int(0.1 * len(on))]) / 2


def _swaps(name: str, watch: Watch, number: Number, watches: Mapping[str, Watch], numbers: Mapping[str, float]) -> list[Guess]:
    """Other fields whose place this one has taken, and that have taken this one's."""
    found = []
    for other, rival in watches.items():
        theirs = numbers.get(other)
        if other == name or theirs is None or rival.last is None or rival.fingerprint.count < LEARNED:
            continue
        if _exchanged(watch, rival, number.value, theirs):
            found.append(Guess(Kind.SWAP, other=other))
    return found


def _exchanged(one: Watch, other: Watch, first: float, second: float) -> bool:
    assert one.last is not None
    assert other.last is not None
    reaches = reach(one.fingerprint, 0.0), reach(other.fingerprint, 0.0)
    apart = abs(one.last - other.last)
    return (
        apart > FAR * sum(reaches)
        and abs(first - other.last) <= reaches[1]
        and abs(second - one.last) <= reaches[0]
    )


def _goes_on(guess: Guess, name: str, watch: Watch, number: Number, watches: Mapping[str, Watch], numbers: Mapping[str, float]) -> bool:
    """Whether the next number still is what the guess expects."""
    suspicion = watch.suspicion
    assert suspicion is not None
    previous = suspicion.held[-1].value
    assert previous is not None
    if guess.kind is Kind.UNIT and guess.change is not None:
        change = guess.change
        small = reach(watch.fingerprint, number.grain / abs(change.factor))
        return abs(change.back(number.value) - change.back(previous)) <= FAR * small
    if guess.kind is Kind.SWAP:
        rival = watches[guess.other]
        return abs(number.value - previous) <= FAR * reach(rival.fingerprint, number.grain)
    return False
