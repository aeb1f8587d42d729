"""Python's search for what refers to itself, set for processes that run for months."""

from __future__ import annotations

import gc

OBJECTS_BETWEEN = 50_000
"""A batch of readings makes so many objects at once, none of which refers to itself: with Python's
own 700 a third of the time in which readings are made ready to be stored went into this search.
"""


def leave_alone_what_is_here() -> None:
    """Everything is imported now and stays: a full search over it would stop a page for 100 ms."""
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN, *older)
