"""How counts are said to people. Pure."""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: «1 source», «2,000 sources»; or with more words that follow it."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
