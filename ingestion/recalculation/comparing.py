"""Entries as received beside the values that stand for them: what has to change. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from devices.readings.samples import Origin, Received, Sample, Value
from ingestion.entries import Entry, Refusal
from ingestion.normalise import FieldRule, held_metrics, normalise

Identity = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs: samples to write, values to take out, and what is refused now."""

    samples: Sequence[Sample]
    gone: Sequence[Sample]
    refusals: Sequence[Refusal]

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason refuses a value."""
        return Counter(refusal.reason.value for refusal in self.refusals)


@dataclass(slots=True)
class _Stored:
    """What is stored for one identity."""

    origin: Origin = Origin.BACKFILL
    values: list[tuple[int, Value]] = field(default_factory=list)


def compare(
    page: Sequence[Received],
    stored: Sequence[Sample],
    rules: Sequence[FieldRule],
    watched: Collection[int],
    now: datetime,
) -> Differences:
    """Compute a page of one source's entries anew and compare it with what its device stored.

    A stored value goes when its metric is `watched` and the entry gives it none, or one of another
    kind (text for a number); not while its field waits for a decision. Nothing else is touched.
    New values have the origin of what is stored of their entry; where nothing is, they count as
    filled in later.
    """
    known: dict[Identity, _Stored] = defaultdict(_Stored)
    for sample in stored:
        there = known[sample.at, sample.sequence]
        there.origin = sample.origin
        there.values += sample.values.items()
    samples, gone, refusals = [], [], []
    for one in page:
        result = normalise(Entry(one.at, one.sequence, one.fields), rules, now)
        refusals += result.refusals
        before = known[one.at, one.sequence]
        wrong = [
            (metric, value)
            for metric, value in before.values
            if metric in watched and not _replaced(value, result.values.get(metric))
        ]
        if wrong and (waiting := held_metrics(rules, one.at)):
            wrong = [(metric, value) for metric, value in wrong if metric not in waiting]
        gone += [
            Sample(one.device, one.at, one.sequence, {metric: value}, before.origin)
            for metric, value in wrong
        ]
        differing = _differing(result.values, before.values)
        if differing:
            samples.append(Sample(one.device, one.at, one.sequence, differing, before.origin))
    return Differences(samples, gone, refusals)


def _differing(
    values: Mapping[int, Value], stored: Sequence[tuple[int, Value]]
) -> dict[int, Value]:
    """The values that are not stored as they should be."""
    same = {metric for metric, value in stored if metric in values and _same(value, values[metric])}
    return {metric: value for metric, value in values.items() if metric not in same}


def _replaced(stored: Value, ours: Value | None) -> bool:
    """Whether writing ours overwrites the stored value; numbers, flags and texts stand apart."""
    return ours is not None and _kind(stored) is _kind(ours)


def _same(stored: Value, ours: Value) -> bool:
    return _kind(stored) is _kind(ours) and stored == ours


def _kind(value: Value) -> type:
    """Numbers stand in one place, whole or not; texts and flags share another."""
    return str if isinstance(value, (str, bool)) else float
