"""What changed about a field, in sentences for people. Pure but for the mapping's own names."""

from __future__ import annotations

from devices.models import FieldMapping
from ingestion.drift.conversions import Change
from ingestion.drift.labels import Fate, LabelChange
from ingestion.drift.watch import Suspected, Suspicion


def name_changed(mapping: FieldMapping, change: LabelChange) -> str:
    """A field has another name, or none."""
    was = f"The source's {mapping.field} was called “{mapping.remote_label}” when it was mapped"
    if change.fate is Fate.VANISHED:
        now = "does not exist any more"
    elif change.fate is Fate.RENAMED:
        now = f"is now called “{change.now}”"
    elif change.now:
        now = f"is now called “{change.now}”, while {change.moved_to} has its name"
    else:
        now = f"has no name any more, while {change.moved_to} has its name"
    return f"{was} and {now}."


def values_changed(mapping: FieldMapping, suspicion: Suspicion) -> str:
    """A field's values are no longer what they were."""
    guess = suspicion.guesses[0]
    if guess.of is Suspected.TYPE:
        what = f"used to carry other values: since {_since(suspicion)} it sends {guess.type}s"
    elif guess.of is Suspected.SWAP:
        what = (
            f"and {guess.other} have exchanged their values since {_since(suspicion)}: "
            f"{suspicion.anchor:g} became {_first(suspicion)}"
        )
    else:
        what = f"jumped from {suspicion.anchor:g} to {_first(suspicion)} at {_since(suspicion)}"
        what += f", {meaning(guess.change)}" if guess.change else ""
    return f"The source's {mapping.field} {what}."


def meaning(change: Change) -> str:
    """What a change of unit looks like: «as if m were sent instead of cm»."""
    if change.unit:
        return f"as if {change.unit} were sent instead of {change.was}"
    if change.factor > 1:
        return f"as if all values were {change.factor:g} times larger"
    return f"as if all values were {1 / change.factor:g} times smaller"


_BETWEEN = (
    "What arrived in between is stored too if its values are what they were; else it waits until "
    "somebody has looked at the channel's page."
)


def name_back(mapping: FieldMapping) -> str:
    """A field has its name again."""
    called = f"The source's {mapping.field} is called “{mapping.remote_label}” again"
    return f"{called}: it is stored. {_BETWEEN}"


def field_corrected(mapping: FieldMapping) -> str:
    """Somebody has a mapping that was paused read another field."""
    return f"{mapping.metric.label} is read from {mapping.field} now: it is stored. {_BETWEEN}"


def type_back(mapping: FieldMapping) -> str:
    """A field sends the values again that it used to."""
    return f"The source's {mapping.field} sends the kind of values again that it used to."


def _since(suspicion: Suspicion) -> str:
    return f"{suspicion.held[0].at[:19].replace('T', ' ')} UTC"


def _first(suspicion: Suspicion) -> str:
    value = suspicion.held[0].value
    return "nothing" if value is None else f"{value:g}"
