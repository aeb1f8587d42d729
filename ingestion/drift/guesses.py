"""What an unusual value may mean, and whether the next one bears it out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestion.drift.conversions import Change
from ingestion.drift.values import Number, Type
from ingestion.drift.watch import CALM, ERRORS, FAR, LEARNED, SLACK, Guess, Suspected, Watch

SHARP = 0.1
"""How exactly a change of unit must be met, relative to the number: coarser proves nothing."""
SHARP_POWER = 0.4
"""The same for powers of ten, which are too far apart to be mistaken for each other."""
CAP = 0.1
"""The first number after a change is never further from what is expected, relative to it."""
FOREIGN = 0.02
"""Up to this share of a field's values, a type is none of its own."""
MOSTLY = 0.8
"""The share of numbers from which on they are worth watching."""
NARROW = 0.4
"""How wide the usual values of a field may be, relative to their middle, to be its home."""
DISTINCT = 1.5
"""How far apart two exchanged fields are, measured by how far their numbers usually move."""
ON_VALUES = 8
"""So many numbers other than 0 must be known of a field that is 0 now."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry: the fields under watch and the numbers it holds."""

    watches: Mapping[str, Watch]
    numbers: Mapping[str, float]


def of(name: str, value: Number | Type, moment: Moment) -> tuple[Guess, ...] | None:
    """What a field's value, after those held, allows to be thought; None: it says nothing."""
    watch = moment.watches[name]
    foreign = _another_type(watch, value)
    if foreign or not isinstance(value, Number):
        return foreign
    if not _judged(watch):
        return ()
    usual, failing = watch.usual(value), value.value in ERRORS
    if watch.suspicion is not None:
        known = watch.suspicion.guesses
        if failing and known[0].of is Suspected.UNIT:
            return None
        return tuple(one for one in known if _goes_on(one, watch, value, usual, moment))
    if watch.calm < CALM:
        return ()
    units = [] if usual or failing else _units(watch, value)
    return (*_swaps(name, watch, value, moment), *units)


def _judged(watch: Watch) -> bool:
    known = watch.fingerprint
    return known.count >= LEARNED and watch.last is not None and known.share(Type.NUMBER) >= MOSTLY


def _another_type(watch: Watch, value: Number | Type) -> tuple[Guess, ...]:
    known = watch.fingerprint
    kind = Type.NUMBER if isinstance(value, Number) else value
    if known.numbers + known.words + known.texts < LEARNED or known.share(kind) > FOREIGN:
        return ()
    return (Guess(Suspected.TYPE, type=kind),)


def _units(watch: Watch, number: Number) -> list[Guess]:
    """Changes of unit that make the number the next one of the old series, likeliest first."""
    reference, small = watch.last or 0.0, watch.reach()
    if reference == 0:
        reference, small = _when_on(watch)
    found = []
    for change in watch.changes:
        distance = abs(change.back(number.value) - reference)
        near = small + 0.5 * number.grain / abs(change.factor)
        sharp = SHARP if change.unit else SHARP_POWER
        if near > sharp * abs(reference):
            continue
        if distance <= min(near, CAP * abs(reference)) or _at_home(watch, change, number):
            found.append((distance, Guess(Suspected.UNIT, change)))
    return [guess for _, guess in sorted(found, key=lambda one: one[0])]


def _at_home(watch: Watch, change: Change, number: Number) -> bool:
    """Whether a change by ten or more leads to where the field always is, however it wavers."""
    low, high = watch.fingerprint.usual
    narrow = high - low <= NARROW * abs(low + high) / 2
    large = not change.shift and not 0.1 < abs(change.factor) < 10
    return narrow and large and low <= change.back(number.value) <= high


def _when_on(watch: Watch) -> tuple[float, float]:
    """The level of a field that is 0 now, while it is not, and how far from it is usual."""
    on = sorted(one for one in watch.fingerprint.places if one)
    if len(on) < ON_VALUES:
        return 0.0, 0.0  # then no change is sharp enough
    return on[len(on) // 2], SLACK * (on[int(0.9 * len(on))] - on[int(0.1 * len(on))]) / 2


def _swaps(name: str, watch: Watch, number: Number, moment: Moment) -> list[Guess]:
    """Other fields whose place this one has taken, and that have taken this one's."""
    return [
        Guess(Suspected.SWAP, other=other)
        for other, rival in moment.watches.items()
        if other != name
        and other in moment.numbers
        and _judged(rival)
        and _exchanged(watch, rival, number.value, moment.numbers[other])
    ]


def _exchanged(one: Watch, other: Watch, first: float, second: float) -> bool:
    """Whether both moved to exactly where the other was, further than either usually moves."""
    ours, theirs = one.last or 0.0, other.last or 0.0
    return (
        abs(ours - theirs) > DISTINCT * (one.reach() + other.reach())
        and abs(first - theirs) <= other.reach()
        and abs(second - ours) <= one.reach()
    )


def _goes_on(guess: Guess, watch: Watch, number: Number, usual: bool, moment: Moment) -> bool:
    """Whether the next number still is what the guess expects."""
    held = watch.suspicion.held if watch.suspicion else ()
    previous = held[-1].value if held else None
    if previous is None:
        return False
    if guess.of is Suspected.SWAP:
        rival = moment.watches.get(guess.other)
        return rival is not None and _stays_there(watch, rival, number, previous)
    return (
        guess.change is not None
        and not usual
        and _same_series(guess.change, watch, previous, number)
    )


def _stays_there(watch: Watch, rival: Watch, number: Number, previous: float) -> bool:
    step = abs(number.value - previous)
    back = abs(number.value - (watch.last or 0.0))
    return step <= FAR * rival.reach(number.grain) and step < back


def _same_series(change: Change, watch: Watch, previous: float, number: Number) -> bool:
    step = abs(change.back(number.value) - change.back(previous))
    return step <= FAR * watch.reach(number.grain / abs(change.factor))
