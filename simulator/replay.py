"""Recorded feeds served as they were recorded: every row, every value verbatim, at the recorded
times.

A `feeds.json` answer keeps its channel id. Anything else gets 900000 + its position in sorted file
order (or the next free number); the catalogue tells which file became which channel. Nothing is
shifted to the present and no row is dropped: a row whose time cannot even be guessed takes the time
of the row before it (for order and ranges only).
"""

import csv
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.channels import Facts, Row, Value
from simulator.times import guess, json_form, parse

FIRST_FREE_ID = 900_000
_FIELD = re.compile(r"field([1-8])")
_OTHERS = ("latitude", "longitude", "elevation", "status")


class ReplayError(Exception):
    """A file of the folder cannot be served; the message names it."""


class RecordedChannel:
    """A channel from a file."""

    def __init__(self, facts: Facts, rows: Iterable[Row]) -> None:
        self.facts = facts
        self._rows = sorted(rows, key=lambda row: row.at)
        self._times = [row.at for row in self._rows]
        self._by_id = {row.entry_id: row for row in self._rows}

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """The newest `limit` rows of the window, oldest first; the clock hides nothing of a
        recording.
        """
        del now
        low = 0 if start is None else bisect_left(self._times, start)
        high = len(self._rows) if end is None else bisect_right(self._times, end)
        return self._rows[max(low, high - limit) : high]

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row with this number."""
        del now
        return self._by_id.get(entry_id)

    def last_entry_id(self, now: float) -> int | None:
        """As recorded in the channel block, else the highest number in the file."""
        del now
        if self.facts.last_entry_id is not None:
            return self.facts.last_entry_id
        return max(
            (row.entry_id for row in self._rows if isinstance(row.entry_id, int)), default=None
        )


def load_folder(folder: Path, taken: Iterable[int] = ()) -> list[RecordedChannel]:
    """A channel for every *.json and *.csv of the folder, in sorted order; ids in `taken` are not
    used again.
    """
    used = set(taken)
    channels = []
    paths = sorted(
        path for path in folder.iterdir() if path.suffix in {".json", ".csv"} and path.is_file()
    )
    for position, path in enumerate(paths):
        try:
            channel = _read_json(path) if path.suffix == ".json" else _read_csv(path)
        except (ValueError, KeyError, csv.Error) as error:
            raise ReplayError(f"{path} is not a recorded feed: {error}") from error
        block, labels, rows = channel
        channel_id = block.get("id")
        if not isinstance(channel_id, int) or channel_id in used:
            channel_id = FIRST_FREE_ID + position
            while channel_id in used:
                channel_id += 1
        used.add(channel_id)
        channels.append(RecordedChannel(_facts(channel_id, path, block, labels, rows), rows))
    return channels


def _facts(
    channel_id: int,
    path: Path,
    block: Mapping[str, Any],
    labels: Mapping[int, str],
    rows: Sequence[Row],
) -> Facts:
    times = [row.at for row in rows] or [0.0]
    return Facts(
        id=channel_id,
        name=block.get("name", path.stem),
        labels=labels,
        created_at=block.get("created_at", json_form(min(times))),
        updated_at=block.get("updated_at", json_form(max(times))),
        description=block.get("description"),
        latitude=block.get("latitude", "0.0"),
        longitude=block.get("longitude", "0.0"),
        elevation=block.get("elevation"),
        metadata=block.get("metadata"),
        last_entry_id=block.get("last_entry_id"),
        notes={"kind": "recording", "file": path.name, "rows": len(rows)},
    )


Recording = tuple[Mapping[str, Any], dict[int, str], list[Row]]


def _read_json(path: Path) -> Recording:
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    entries = document if isinstance(document, list) else document["feeds"]
    block: Mapping[str, Any] = {} if isinstance(document, list) else document["channel"]
    labels = {int(match[1]): str(block[key]) for key in block if (match := _FIELD.fullmatch(key))}
    if not block:
        keys = dict.fromkeys(key for entry in entries for key in entry)
        labels = {int(match[1]): key for key in keys if (match := _FIELD.fullmatch(key))}
    names = [f"field{number}" for number in labels]
    return block, labels, _rows(entries, names)


def _read_csv(path: Path) -> Recording:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        header_line = handle.readline()
        handle.seek(0)
        semicolons = ";" in header_line and "," not in header_line
        reader = csv.reader(handle, delimiter=";" if semicolons else ",")
        header = next(reader, [])
        records = [record for record in reader if record]
    if not header or header[0] != "created_at":
        raise ValueError("its first column is not created_at")
    own = [name for name in header if name not in {"created_at", "entry_id", *_OTHERS}]
    if len(own) > 8:
        raise ValueError("more than eight fields")
    labels = dict(enumerate(own, start=1))
    entries = [
        dict(zip(header, (cell or None for cell in record), strict=False)) for record in records
    ]
    return {}, labels, _rows(entries, own)


def _rows(entries: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """Rows in file order; a time that cannot be guessed follows the row before it (or the first
    that can be).
    """
    entries = list(entries)
    guesses = [guess(str(entry.get("created_at") or "")) for entry in entries]
    previous = next((at for at in guesses if at is not None), 0.0)
    rows = []
    for entry, guessed in zip(entries, guesses, strict=True):
        previous = previous if guessed is None else guessed
        written = str(entry.get("created_at") or "")
        latitude, longitude, elevation, status = (entry.get(name) for name in _OTHERS)
        rows.append(
            Row(
                previous,
                _entry_id(entry.get("entry_id")),
                tuple(entry.get(name) for name in names),
                written if parse(written, None) is None else None,
                (latitude, longitude, elevation, status),
            )
        )
    return rows


def _entry_id(value: Value) -> int | str | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d+", value) else value
    return int(value) if value is not None else None
