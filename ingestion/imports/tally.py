"""What a file holds and what of it is new here: counted row by row, kept as JSON between steps.

Pure. The dry run and the import count alike, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from devices.masking import shown
from ingestion.entries import Entry, Reason, Refusal
from ingestion.imports.csv_export import Row
from ingestion.imports.times import forms_that_read

EXAMPLES = 3
"""Refused rows and values that are shown of each reason."""
SAMPLES = 10
"""Values of each field that are kept to show what becomes of them: the last ones of the file."""
_MOST_ZONES = 12
_TIMES = ("first", "last")


@dataclass
class Tally:
    """Counts over rows (`rows`, `entries`, …) and over single readings (`new`, `same`, …).

    `forms`: keys of the forms that would read every time
    that cannot be read as it stands; None while there is no such time.
    """

    rows: int = 0
    entries: int = 0
    new: int = 0
    same: int = 0
    differing: int = 0
    expired: int = 0
    unmapped: int = 0
    unnumbered: int = 0
    without_seconds: int = 0
    unread_times: int = 0
    first: datetime | None = None
    last: datetime | None = None
    zones: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    forms: list[str] | None = None
    samples: dict[str, list[str]] = field(default_factory=dict)
    ranges: dict[str, list[float]] = field(default_factory=dict)
    """Of each metric (its key as text): how many numbers, smallest, largest; in its unit."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """As `as_json` gave it; an empty mapping is a new one."""
        times = {one: datetime.fromisoformat(stored[one]) for one in _TIMES if stored.get(one)}
        return cls(**{**stored, **times})

    def as_json(self) -> dict[str, Any]:
        """For a job's cursor or a database column; with keys inside values masked."""
        return {
            **asdict(self),
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "samples": {
                name: [shown(text) for text in texts[-SAMPLES:]]
                for name, texts in self.samples.items()
            },
        }

    @property
    def refusals(self) -> int:
        """Rows and single values that are not taken."""
        return sum(self.refused.values())

    def row(self, row: Row) -> None:
        """Count what reading a row came to."""
        self.rows += 1
        if row.zone and (row.zone in self.zones or len(self.zones) < _MOST_ZONES):
            self.zones[row.zone] = self.zones.get(row.zone, 0) + 1
        for refusal in row.refusals:
            self.refusal(row.number, refusal)
            if refusal.reason is Reason.UNREADABLE_TIME:
                self._unread(row.time)
        if row.entry is not None:
            self._entry(row, row.entry)

    def refusal(self, number: int, refusal: Refusal) -> None:
        """Count something that is not taken; the first few of each reason are kept to be shown."""
        self.refused[refusal.reason] = self.refused.get(refusal.reason, 0) + 1
        examples = self.examples.setdefault(refusal.reason, [])
        if len(examples) < EXAMPLES:
            found = {"row": number, "raw": refusal.raw, "detail": refusal.detail}
            examples.append(found | ({"field": refusal.field} if refusal.field else {}))

    def number(self, metric: int, value: float) -> None:
        """A number that was read for a metric."""
        known = self.ranges.setdefault(str(metric), [0, value, value])
        known[0] += 1
        known[1], known[2] = min(known[1], value), max(known[2], value)

    def difference(self, at: datetime, metric: int, stored: Any, ours: Any) -> None:
        """A reading that is stored with another value already."""
        self.differing += 1
        if len(self.differences) < EXAMPLES:
            self.differences.append(
                {"at": at.isoformat(), "metric": metric, "stored": stored, "file": ours}
            )

    def latest_samples(self) -> list[Entry]:
        """The last values of each field, newest first, as entries that proposals are made from."""
        depth = min(max(map(len, self.samples.values()), default=0), SAMPLES)
        if self.last is None:
            return []
        return [
            Entry(
                self.last, depth - one, {name: texts[-1 - one] for name, texts in self._deep(one)}
            )
            for one in range(depth)
        ]

    def _deep(self, one: int) -> Sequence[tuple[str, list[str]]]:
        return [(name, texts) for name, texts in self.samples.items() if len(texts) > one]

    def _entry(self, row: Row, entry: Entry) -> None:
        self.entries += 1
        self.unnumbered += not row.numbered
        self.without_seconds += not row.seconds
        if self.first is None or entry.at < self.first:
            self.first = entry.at
        if self.last is None or entry.at > self.last:
            self.last = entry.at
        for name, text in entry.fields.items():
            if name.startswith("field"):
                kept = self.samples.setdefault(name, [])
                kept.append(str(text))
                if len(kept) > 4 * SAMPLES:
                    del kept[:-SAMPLES]

    def _unread(self, text: str) -> None:
        self.unread_times += 1
        if self.forms == []:
            return
        reading = forms_that_read(text)
        self.forms = sorted(reading if self.forms is None else reading.intersection(self.forms))
