"""Texts in CSV that a spreadsheet must not take for formulas: marked, and unmarked again. Pure."""

from __future__ import annotations

import re

_MARKED = re.compile(r"'*(?:\Z|[=@\t\r]|[+-][^0-9])")
"""Also an empty text, which would be no value at all, and whatever looks marked already: so that
every text comes back as it was."""


def marked(text: str) -> str:
    """The text with a `'` in front where it needs one."""
    return "'" + text if _MARKED.match(text) else text


def unmarked(cell: str) -> str:
    """The text that `marked` was given."""
    return cell[1:] if cell.startswith("'") and _MARKED.match(cell[1:]) else cell
