"""Objects of which each process has its own: a socket shared over a fork loses writes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def per_process(make: Callable[[], T]) -> functools._lru_cache_wrapper[T]:
    """Make the object at first use and keep it; a forked child makes its own.

    Use as a decorator. `function.cache_clear()` forgets the object.
    """
    kept = functools.lru_cache(maxsize=1)(make)
    os.register_at_fork(after_in_child=kept.cache_clear)
    return kept
