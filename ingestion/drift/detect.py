"""Whether a field still is what it was: entry by entry, with a suspicion before a verdict. Pure.

A number is unusual when it is far from the one before it and where the field has never been.
Unusual alone is physics: tanks empty, pumps start, sensors fail. It becomes a suspicion only when
a known change of unit, or the exchange with another field, would make it exactly the next number
of the old series. Under suspicion nothing of the field is stored; a few more values decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from ingestion.drift import guesses
from ingestion.drift.guesses import Moment
from ingestion.drift.values import Number, Type, Value
from ingestion.drift.watch import Guess, Held, Suspected, Suspicion, Watch

DECIDE: Mapping[Suspected, int] = {
    Suspected.UNIT: 5,
    Suspected.SWAP: 4,
    Suspected.TYPE: 5,
}
"""How many values in a row decide a suspicion."""


class Verdict(StrEnum):
    """What is to be done with a field's value of an entry."""

    FINE = "fine"
    HELD = "held"
    CLEARED = "cleared"
    """The suspicion was wrong: this value and all held ones are what they seem."""
    CONFIRMED = "confirmed"
    """The change is real: this value and all held ones wait for somebody."""


def judge(
    watches: Mapping[str, Watch], values: Mapping[str, Value], at: str, sequence: int
) -> dict[str, Verdict]:
    """The verdicts on one entry's values under watch, which change the watches.

    Entries come in the order of their time (`at`, ISO 8601). A field without a value has no
    verdict; a value that speaks neither for nor against a suspicion waits with the others.
    """
    numbers = {name: value.value for name, value in values.items() if isinstance(value, Number)}
    moment = Moment(watches, numbers)
    before = {name: watch.last for name, watch in watches.items() if watch.last is not None}
    thoughts = {
        name: guesses.of(name, value, moment)
        for name in watches
        if (value := values.get(name)) is not None
    }
    verdicts = {}
    for name, watch in watches.items():
        value = values.get(name)
        if value is None:
            watch.learned.append(None)
        else:
            held = Held(at, sequence, numbers.get(name))
            verdicts[name] = _settle(watch, value, thoughts[name], before, held)
    return verdicts


def _settle(
    watch: Watch,
    value: Number | Type,
    thought: tuple[Guess, ...] | None,
    before: Mapping[str, float],
    held: Held,
) -> Verdict:
    if thought is None and watch.suspicion is not None:
        return Verdict.HELD
    if not thought:
        cleared = watch.suspicion is not None
        watch.suspicion = None
        watch.accept(value)
        return Verdict.CLEARED if cleared else Verdict.FINE
    if watch.suspicion is None:
        anchor = watch.fingerprint.level if watch.last is None else watch.last
        watch.suspicion = Suspicion(thought, anchor, before, (held,))
    else:
        waiting = (*watch.suspicion.held, held)
        watch.suspicion = replace(watch.suspicion, guesses=thought, held=waiting)
    enough = DECIDE[thought[0].of]
    return Verdict.CONFIRMED if len(watch.suspicion.held) >= enough else Verdict.HELD
