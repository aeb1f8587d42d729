"""What a person chose for a file, as it is kept with the import and read again for each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


class NoChoice(ValueError):
    """A text that should say what a column is does not; the message says how to write it."""


def columns_of(said: Iterable[str]) -> dict[str, str]:
    """`TITLE=metric_name` as pairs. Raises NoChoice."""
    columns = {}
    for text in said:
        title, mark, metric = text.rpartition("=")
        if not mark or not title.strip():
            raise NoChoice(f"“{text}” does not say what a column is: write TITLE=metric_name.")
        columns[title.strip()] = metric.strip()
    return columns


@dataclass(frozen=True, slots=True)
class Choices:
    """`columns`: metric by title of the column, empty for one that is left out.

    `replace`: readings that are stored with another value are overwritten. `encoding` (one of
    `text.ENCODINGS`) is that of a CSV; empty: as the file says.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False
    encoding: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """As `as_json` gave it; an empty mapping is: nothing was chosen."""
        return cls(
            dict(stored.get("columns", {})),
            bool(stored.get("replace", False)),
            str(stored.get("encoding", "")),
        )

    def as_json(self) -> dict[str, Any]:
        """For the database."""
        return {
            "columns": dict(self.columns),
            "replace": self.replace,
            "encoding": self.encoding,
        }
