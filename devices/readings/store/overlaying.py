"""Two records of one key made one: what is empty is filled, what differs is replaced and marked."""

from __future__ import annotations

from collections.abc import Callable

from devices.readings.store.tables import Record

Merge = Callable[[Record, Record], Record]
"""Stored values and ours give the values to store; equal to the stored ones: nothing to do."""


def overlay(stored: Record, ours: Record) -> Record:
    """Numeric slots: fill what is empty, replace and mark what differs."""
    revised, values = stored[0], list(stored[1:])
    for slot, value in enumerate(ours[1:]):
        if value is None or value == values[slot]:
            continue
        if values[slot] is not None:
            revised |= 1 << slot
        values[slot] = value
    return (revised, *values)


def overlay_text(stored: Record, ours: Record) -> Record:
    """A text or a flag: replace and mark what differs."""
    return stored if stored[1:] == ours[1:] else (1, *ours[1:])
