"""Recorded feeds gone through as the watch on fields sees them, unaltered or altered on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from devices import naming
from ingestion.drift.conversions import Change, changes
from ingestion.drift.detect import Verdict, judge
from ingestion.drift.fingerprint import Fingerprint, learn
from ingestion.drift.values import Number, Value, what
from ingestion.drift.watch import Guess, Watch
from ingestion.entries import as_text
from simulator.replay import RecordedChannel, load_folder

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "thingspeak"
recorded = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded feeds are not here")
LEARN_AFTER = 10
BEFORE, AFTER = 40, 40

Row = Mapping[str, Value]


@dataclass(frozen=True)
class Feed:
    """A recorded channel: what each field said, entry by entry, and its unit by its label."""

    name: str
    units: Mapping[str, str]
    rows: Sequence[Row]

    @classmethod
    def of(cls, channel: RecordedChannel) -> Feed:
        names = {f"field{number}": label for number, label in channel.facts.labels.items()}
        rows = channel.rows(None, None, 10**9, 0)
        return cls(
            str(channel.facts.notes["file"]),
            {name: naming.propose(label, name).unit for name, label in names.items()},
            [
                {name: what(as_text(value)) for name, value in zip(names, row.values, strict=False)}
                for row in rows
            ],
        )


@dataclass(frozen=True)
class Alarm:
    """A change that was confirmed."""

    feed: str
    field: str
    row: int
    guesses: Sequence[Guess]
    held: Sequence[float | None]


def feeds(folder: Path) -> Iterator[Feed]:
    for channel in load_folder(folder):
        yield Feed.of(channel)


def alarms(feed: Feed) -> tuple[list[Alarm], int, int]:
    """Alarms of a feed read from its beginning; how many values were judged, how many held."""
    watches = {name: Watch(Fingerprint(), changes(unit)) for name, unit in feed.units.items()}
    found: list[Alarm] = []
    judged = held = 0
    for number, row in enumerate(feed.rows):
        verdicts = judge(watches, row, str(number), number)
        judged += len(verdicts)
        held += sum(one is Verdict.HELD for one in verdicts.values())
        for name, verdict in verdicts.items():
            suspicion = watches[name].suspicion
            if verdict is Verdict.CONFIRMED and suspicion is not None:
                values = [one.value for one in suspicion.held]
                found.append(Alarm(feed.name, name, number, suspicion.guesses, values))
                del watches[name]
        if number % LEARN_AFTER == 0:
            _learn(watches)
    return found, judged, held


def _learn(watches: Mapping[str, Watch]) -> None:
    for watch in watches.values():
        watch.fingerprint = learn(watch.fingerprint, watch.learned)
        watch.learned.clear()


def numbers(rows: Sequence[Row], field: str) -> list[Number]:
    return [value for row in rows if isinstance(value := row.get(field), Number)]


def changed(number: Number, change: Change) -> Number:
    """The number in another unit, with as many digits as before."""
    grain = max(number.grain * abs(change.factor), 1e-9)
    return Number(float(f"{round(change.forth(number.value) / grain) * grain:.9g}"), grain)


def after(
    feed: Feed, fields: Sequence[str], split: int, alter: Callable[[Row], Row]
) -> dict[str, Sequence[Guess]]:
    """Read a feed up to a row, then some altered rows: the fields that were found changed."""
    watches = {}
    for name in fields:
        before = [row.get(name) for row in feed.rows[:split]]
        known = replace(learn(Fingerprint(), before), calm=3)
        watches[name] = Watch(known, changes(feed.units[name]), known.last)
    found: dict[str, Sequence[Guess]] = {}
    ids = count()
    for row in feed.rows[split:]:
        if next(ids) == AFTER or not watches:
            break
        verdicts = judge(watches, alter(row), "x", 0)
        for name, verdict in verdicts.items():
            suspicion = watches[name].suspicion
            if verdict is Verdict.CONFIRMED and suspicion is not None:
                found[name] = suspicion.guesses
        for name in found:
            watches.pop(name, None)
    return found
