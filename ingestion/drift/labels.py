"""What happened to the name that a source gives a field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What can happen to a field's name."""

    RENAMED = "renamed"
    MOVED = "moved"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A field's name is not what it was: what the field is called `now`, and which field has its
    former name (`moved_to`, empty unless exactly one has it).
    """

    fate: Fate
    now: str = ""
    moved_to: str = ""


def label_change(field: str, was: str, labels: Mapping[str, str]) -> LabelChange | None:
    """What became of a field that was called `was`; None when it still is."""
    now = labels.get(field, "")
    if now == was:
        return None
    places = [other for other, label in labels.items() if label == was]
    if len(places) == 1:
        return LabelChange(Fate.MOVED, now, places[0])
    return LabelChange(Fate.RENAMED if now else Fate.VANISHED, now)
