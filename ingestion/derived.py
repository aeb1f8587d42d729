"""What is made of a source's configuration alone: once, as long as its rows stay the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from devices.models import Source

T = TypeVar("T")

_PLACE = "_derived"


def mark_kept(source: Source) -> None:
    """From now on nobody changes this source: what is derived of it stays with it."""
    source.__dict__[_PLACE] = {}


def derived(make: Callable[[Source], T]) -> Callable[[Source], T]:
    """Have `make` called once for a source that is kept; use as a decorator.

    For any other source it is called each time: somebody may be changing it.
    """

    @wraps(make)
    def made(source: Source) -> T:
        known = source.__dict__.get(_PLACE)
        if known is None:
            return make(source)
        if make not in known:
            known[make] = make(source)
        one: T = known[make]
        return one

    return made
