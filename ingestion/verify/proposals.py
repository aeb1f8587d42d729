"""From a channel's labels and last values to proposed mappings, and what they would give. Pure.

Nothing is guessed silently: a proposal is shown with its effect and changed by a person at will.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast, get_args

from devices import naming, units
from devices.masking import shown
from ingestion.entries import Entry
from ingestion.normalise import DataType, FieldRule, Value, normalise
from ingestion.normalise.values import BOOLEAN_WORDS

_FIELD = re.compile(r"field[1-8]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]+,[0-9]+")
_NUMBER_THEN_UNIT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\s*([^\s0-9.,][^\s0-9,;&=?{}\[\]]{0,7})")
_SAMPLES_OF_FIELD = 10
_SWITCH_WORDS = ("on", "open", "running", "active", "enabled")


@dataclass(frozen=True, slots=True)
class KnownMetric:
    """A metric that the device has, or that devices of its type usually have."""

    name: str
    label: str
    unit: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """One field, and the metric that it would feed.

    `samples` are the last values as received, newest first. A number received x `scale` +
    `offset` is in `unit`; the metric's own unit is `unit` too unless the metric exists already.
    `mapped`: the field feeds this metric already, nothing is to be stored.
    """

    field: str
    remote_label: str
    samples: Sequence[str]
    name: str
    label: str
    unit: str
    data_type: DataType = "float"
    decimal_mark: str = "."
    scale: float = 1.0
    offset: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    use: bool = True
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a proposal makes of its samples: the newest one mapped, and why others are refused."""

    received: str
    value: Value | None
    unit: str
    refused: int
    total: int
    why: str

    @property
    def text(self) -> str:
        """For people: «245.5 → 2.455 m»."""
        if not self.total:
            return "no value yet"
        if self.value is None:
            return f"{self.received} → refused"
        return f"{self.received} → {_written(self.value)} {self.unit}".rstrip()

    @property
    def note(self) -> str:
        """How many of the last values would be refused, and why; empty when none."""
        if not self.refused:
            return ""
        return f"{self.refused} of the last {self.total} values would be refused. {self.why}"


class Unusable(Exception):
    """The settings of a proposal cannot work; the text says what to change."""


def propose_mappings(
    labels: Mapping[str, str], entries: Sequence[Entry], known: Sequence[KnownMetric]
) -> list[Proposal]:
    """One proposal for every field that has a label or a value, in the order of fields."""
    newest_first = sorted(entries, key=lambda one: (one.at, one.sequence), reverse=True)
    samples = {name: _samples(name, newest_first) for name in _fields(labels, entries)}
    any_value = any(samples.values())
    taken: set[str] = set()
    proposals = []
    for name, values in samples.items():
        proposal = _propose(name, labels.get(name, ""), values, known)
        proposal = replace(
            proposal, name=_free_name(proposal.name, taken), use=bool(values) or not any_value
        )
        taken.add(proposal.name)
        proposals.append(proposal)
    return proposals


def preview(proposal: Proposal, known: KnownMetric | None) -> Preview:
    """What ingestion itself would make of the samples. Raises Unusable.

    `known` is the metric of this name that the device has or its type proposes, if any: values
    are converted to its unit.
    """
    rule = _rule(proposal, known)
    unit = known.unit if known else proposal.unit
    at = datetime(2000, 1, 1, tzinfo=UTC)
    mapped: list[Value | None] = []
    why = ""
    for raw in proposal.samples:
        result = normalise(Entry(at, 0, {proposal.field: raw}), [rule], at)
        mapped.append(result.values.get(rule.metric))
        if result.refusals and not why:
            why = result.refusals[0].detail
    return Preview(
        received=shown(proposal.samples[0].strip())[:60] if proposal.samples else "",
        value=mapped[0] if mapped else None,
        unit=unit if proposal.data_type in ("float", "integer") else "",
        refused=sum(value is None for value in mapped),
        total=len(mapped),
        why=why,
    )


def mapped_values(proposal: Proposal, known: KnownMetric | None) -> list[Value]:
    """The samples' values in the metric's unit, without those that would be refused."""
    rule = _rule(proposal, known)
    at = datetime(2000, 1, 1, tzinfo=UTC)
    results = (
        normalise(Entry(at, 0, {proposal.field: raw}), [rule], at).values.get(rule.metric)
        for raw in proposal.samples
    )
    return [value for value in results if value is not None]


def data_type_of(word: str) -> DataType:
    """A stored or chosen data type, checked. Raises ValueError."""
    for name in get_args(DataType):
        if name == word:
            return cast(DataType, name)
    raise ValueError(f"unknown data type {word!r}")


def _fields(labels: Mapping[str, str], entries: Iterable[Entry]) -> list[str]:
    names = set(labels)
    for entry in entries:
        names.update(name for name, value in entry.fields.items() if value is not None)
    return sorted(name for name in names if _FIELD.fullmatch(name))


def _samples(name: str, newest_first: Iterable[Entry]) -> tuple[str, ...]:
    texts = (entry.fields.get(name) for entry in newest_first)
    filled = [shown(text) for text in texts if text is not None and text.strip()]
    return tuple(filled[:_SAMPLES_OF_FIELD])


def _propose(
    field: str, remote_label: str, samples: Sequence[str], known: Sequence[KnownMetric]
) -> Proposal:
    words = naming.propose(remote_label, field)
    data_type, mark, suffix = guess_type(samples)
    if _names_a_switch(remote_label) and all(one.strip() in ("0", "1") for one in samples):
        data_type = "boolean"
    unit = words.unit
    if data_type in ("float", "integer") and suffix:
        # The value carries its unit: exactly this text is what may follow the number.
        unit = suffix
        named = units.canonical(suffix)
        if named and not words.unit:
            words = naming.propose(f"{words.label} ({named})", field)
    match = _match(words, unit, known)
    return Proposal(
        field=field,
        remote_label=remote_label,
        samples=samples,
        name=match.name if match else words.name,
        label=match.label if match else words.label,
        unit="" if data_type in ("boolean", "text") else unit,
        data_type=data_type,
        decimal_mark=mark,
    )


def guess_type(samples: Sequence[str]) -> tuple[DataType, str, str]:
    """Type, decimal mark and unit text that the values themselves suggest.

    Whole numbers are still proposed as numbers: the next value may have a fraction.
    """
    texts = [sample.strip() for sample in samples]
    if not texts:
        return "float", ".", ""
    if all(text.lower() in BOOLEAN_WORDS for text in texts):
        return "boolean", ".", ""
    plain = sum(bool(_NUMBER.fullmatch(text)) for text in texts)
    if any(_COMMA_NUMBER.fullmatch(text) for text in texts) and not plain:
        return "float", ",", ""
    suffixes = {match[1] for text in texts if (match := _NUMBER_THEN_UNIT.fullmatch(text))}
    if not plain and len(suffixes) == 1:
        return "float", ".", suffixes.pop()
    meant = [text for text in texts if not _looks_like_failure(text)]
    return ("float" if 2 * plain >= len(meant) else "text"), ".", ""


def _names_a_switch(label: str) -> bool:
    """Whether a label such as «Pump On» or «Door Open» speaks of something that is or is not."""
    words = label.split()
    return len(words) > 1 and words[-1].lower() in _SWITCH_WORDS


def _looks_like_failure(text: str) -> bool:
    """Whether a text is how a device writes a number that it could not measure."""
    return text.lower().strip("-+") in ("nan", "inf", "none", "null", "undefined", "n/a", "na")


def _match(words: naming.Proposal, unit: str, known: Sequence[KnownMetric]) -> KnownMetric | None:
    """The known metric that the field obviously is: same name, or same words and a unit alike.

    A label without a unit matches no metric with one: assuming the unit would be inventing it.
    """
    stem = naming.propose(words.label, words.name).name
    for metric in known:
        same = metric.name == words.name
        alike = naming.propose(metric.label, metric.name).name == stem
        if (same or alike) and units.conversion(unit, metric.unit) is not None:
            return metric
    return None


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate = f"{name[: naming.LONGEST_NAME - 3]}_{number}"
        number += 1
    return candidate


def _rule(proposal: Proposal, known: KnownMetric | None) -> FieldRule:
    unit = proposal.unit or (known.unit if known else "")
    target = known.unit if known else unit
    convert = units.conversion(unit, target)
    if convert is None:
        raise Unusable(f"“{unit}” cannot be converted to the metric's unit “{target or 'none'}”.")
    low, high = proposal.minimum, proposal.maximum
    if known:
        low = known.minimum if low is None else low
        high = known.maximum if high is None else high
    if proposal.scale == 0:
        raise Unusable("A scale of 0 would turn every reading into the offset.")
    if low is not None and high is not None and low > high:
        raise Unusable("The largest value must not be below the smallest.")
    return FieldRule(
        field=proposal.field,
        metric=0,
        data_type=proposal.data_type,
        scale=proposal.scale,
        offset=proposal.offset,
        decimal_mark="," if proposal.decimal_mark == "," else ".",
        unit=unit,
        convert=(convert.factor, convert.shift),
        minimum=low,
        maximum=high,
    )


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
