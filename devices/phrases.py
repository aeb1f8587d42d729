"""How counts are said to people, and what programs said. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: «1 source», «2,000 sources»; or with more words that follow it."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shortened(text: str, most: int = 500) -> str:
    """A text of at most so many characters; a longer one ends after a word, with «…»."""
    if len(text) <= most:
        return text
    head, space, _ = text[: most - 1].rpartition(" ")
    return (head if space else text[: most - 2]) + " …"


def sentence(text: str) -> str:
    """What a program said, on one line and with an end: drivers break lines and leave it open."""
    said = " ".join(text.split())
    return said if said.endswith((".", "!", "?")) else f"{said}."


def both(names: Sequence[str]) -> str:
    """Names in a row: «A», «A and B», «A, B and C»."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
