"""What a move has verified, in a file: killed and started again, it goes on from there."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Progress:
    """The fingerprints that a month of a table had when both sides were found equal."""

    def __init__(self, file: Path, way: str) -> None:
        """Read the file; one that speaks of another way (`from → to`) is begun anew."""
        self._file = file
        self._way = way
        self._equal: dict[str, str] = {}
        if file.exists():
            stored = json.loads(file.read_text())
            if stored["way"] == way:
                self._equal = stored["equal"]

    def is_equal(self, table: str, month: str, fingerprint: str | None) -> bool:
        """Whether the month was verified and has not changed since."""
        return fingerprint is not None and self._equal.get(f"{table} {month}") == fingerprint

    def verified(self, table: str, month: str, fingerprint: str | None) -> None:
        """Keep that both sides are equal where they have these fingerprints."""
        if fingerprint is None:
            return
        self._equal[f"{table} {month}"] = fingerprint
        unfinished = self._file.with_name(f"{self._file.name}.unfinished")
        with unfinished.open("w") as target:
            json.dump({"way": self._way, "equal": self._equal}, target, indent=1)
            target.flush()
            os.fsync(target.fileno())
        unfinished.replace(self._file)
