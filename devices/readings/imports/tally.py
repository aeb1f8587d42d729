"""What a file holds and what of it is new here, counted row by row; JSON between steps. Pure.

The dry run and the import count alike, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from devices.masking import shown
from devices.readings.imports.reasons import Reason, Refusal
from devices.readings.samples import Value

EXAMPLES = 3
"""Refused rows and values that are shown of each reason."""
PREVIEW = 5
"""Rows of the beginning that are shown as they would be stored."""
_TIMES = ("first", "last", "newest")


@dataclass
class Tally:
    """Counts over rows (`rows`, `empty`) and over single readings (`new`, `same`, …).

    `expired`: older than what the site still takes. `backwards`: rows that are older than the row
    before them. `newest`: the time of the row before.
    """

    rows: int = 0
    empty: int = 0
    new: int = 0
    same: int = 0
    differing: int = 0
    expired: int = 0
    backwards: int = 0
    first: datetime | None = None
    last: datetime | None = None
    newest: datetime | None = None
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    preview: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, int] = field(default_factory=dict)
    """Readings of each metric, by its key as text."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """As `as_json` gave it; an empty mapping is a new one."""
        times = {one: datetime.fromisoformat(stored[one]) for one in _TIMES if stored.get(one)}
        return cls(**{**stored, **times})

    def as_json(self) -> dict[str, Any]:
        """For a job's cursor or a database column."""
        times = {one: getattr(self, one) for one in _TIMES}
        return {**asdict(self), **{one: at and at.isoformat() for one, at in times.items()}}

    @property
    def refusals(self) -> int:
        """Rows and single values that are not taken."""
        return sum(self.refused.values())

    @property
    def readings(self) -> int:
        """Single readings that could be read."""
        return self.new + self.same + self.differing + self.expired

    def refusal(self, where: str, refusal: Refusal) -> None:
        """Count something that is not taken; the first few of each reason are kept to be shown."""
        self.refused[refusal.reason] = self.refused.get(refusal.reason, 0) + 1
        examples = self.examples.setdefault(refusal.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(
                {
                    "where": where,
                    "column": shown(refusal.column),
                    "raw": shown(refusal.raw),
                    "detail": refusal.detail,
                }
            )

    def row(self, at: datetime, sequence: int, values: Mapping[int, Value]) -> None:
        """A row that could be read; `values` by metric."""
        if not values:
            self.empty += 1
            return
        self.backwards += self.newest is not None and at < self.newest
        self.newest = at
        self.first = at if self.first is None else min(at, self.first)
        self.last = at if self.last is None else max(at, self.last)
        for metric in values:
            self.metrics[str(metric)] = self.metrics.get(str(metric), 0) + 1
        if len(self.preview) < PREVIEW:
            cells = {str(metric): _kept(value) for metric, value in values.items()}
            self.preview.append({"at": at.isoformat(), "sequence": sequence, "values": cells})

    def difference(self, at: datetime, metric: int, stored: Value, ours: Value) -> None:
        """A reading that is stored with another value already."""
        self.differing += 1
        if len(self.differences) < EXAMPLES:
            self.differences.append(
                {"at": at.isoformat(), "metric": metric, "stored": _kept(stored),
                 "file": _kept(ours)}
            )  # fmt: skip


def _kept(value: Value) -> Value:
    return shown(value) if isinstance(value, str) else value


def refusal_of(reason: Reason, detail: str, column: str, cell: Any) -> Refusal:
    """What stood in a cell, and why it is not taken."""
    return Refusal(reason, detail, column, "" if cell is None else str(cell))
