"""Two records of one key made one: what is empty is filled, what differs is replaced and marked.

The origin of a record is that of what last changed it: it tells how the value came that is there.
"""

from __future__ import annotations

from collections.abc import Callable

from devices.readings.store.tables import Record

Merge = Callable[[Record, Record], Record]
"""Stored values and ours give the values to store; equal to the stored ones: nothing to do."""


def overlay(stored: Record, ours: Record) -> Record:
    """(origin, revised, v1 … v8): fill what is empty, replace and mark what differs."""
    (origin, *_), (_, revised, *values) = ours, stored
    changed = False
    for slot, value in enumerate(ours[2:]):
        if value is None or value == values[slot]:
            continue
        if values[slot] is not None:
            revised |= 1 << slot
        values[slot] = value
        changed = True
    return (origin, revised, *values) if changed else stored


def overlay_text(stored: Record, ours: Record) -> Record:
    """(origin, revised, text, flag): replace and mark what differs."""
    return stored if stored[2:] == ours[2:] else (ours[0], 1, *ours[2:])
