"""ThingSpeak's CSV export, as downloaded or as spreadsheets left it: rows to entries. Pure.

Streams: memory does not grow with the file, and reading can go on at any row's end. Every row
becomes an entry, or refusals with a reason, or both; nothing is guessed and nothing invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from zoneinfo import ZoneInfo

from devices.masking import shown
from devices.readings.imports.text import Record, Records
from ingestion.entries import Entry, FieldValue, Reason, Refusal, storable
from ingestion.imports.header import CLOCK, NUMBER, TIME, Header, assigned, read_header
from ingestion.imports.times import FORMS, Moment, TimeRules, read_export_time

_LARGEST_NUMBER = 2**63 - 1
_WHOLE = re.compile(r"([0-9]{1,19})(?:\.0+)?")
_COMMA_NUMBER = re.compile(r"([+-]?[0-9]+),([0-9]+(?:[eE][+-]?[0-9]+)?)")
_BARE_DATE = re.compile(r"[0-9]{1,4}([/.-])[0-9]{1,2}\1[0-9]{1,4}")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}.*")

_DETAILS = {
    Reason.NOT_A_ROW: "The row does not fit the header: it has more cells, or quotation marks that "
    "do not match, or the file ends in the middle of it. Export the channel again.",
    Reason.MISSING_SEQUENCE: "The row's entry number cannot be read. A spreadsheet may have "
    "rounded it (1.79E+07); export the channel again and upload that file untouched.",
    Reason.DUPLICATE_IN_ANSWER: "The row has the time of the row before it, another value and no "
    "entry number that would tell the two apart; the first one is kept.",
    Reason.UNREADABLE_TEXT: "The value holds bytes that are no characters in the file's encoding. "
    "If the file was saved by a spreadsheet, choose its encoding; numbers are not affected.",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chose for a file; nothing of it is ever guessed.

    `columns` gives renamed columns (by place, from 0) their field; `decimal_comma`: a spreadsheet
    wrote 22,4 where the device wrote 22.4. Raises ValueError for an unknown form.
    """

    zone: ZoneInfo | None = None
    form: str = ""
    encoding: str = ""
    columns: Mapping[int, str] = field(default_factory=dict)
    decimal_comma: bool = False

    @property
    def times(self) -> TimeRules:
        """The part that concerns times."""
        if self.form and self.form not in FORMS:
            raise ValueError(f"There is no form of times called “{self.form}”.")
        return TimeRules(self.zone, FORMS[self.form] if self.form else None)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file: what it gives, and what the report tells about it.

    `number` counts rows from 1, `end` is the byte offset behind the row. `time` is its time as
    written, `zone` how the file names its zone.
    """

    number: int
    end: int
    entry: Entry | None
    refusals: Sequence[Refusal] = ()
    time: str = ""
    zone: str = ""
    seconds: bool = True
    numbered: bool = True


class Export:
    """A file as a stream of rows. Raises UnreadableFile when it is no export of a channel."""

    def __init__(self, raw: BinaryIO, options: Options | None = None) -> None:
        self.options = options or Options()
        self.header: Header = read_header(raw, self.options.encoding)
        self._roles = assigned(self.header, self.options.columns)
        self._rules = self.options.times
        self._raw = raw

    @property
    def columns(self) -> Mapping[int, str]:
        """Which column is read as what: place from 0, word as in ThingSpeak's own exports."""
        return {place: role for place, role in enumerate(self._roles) if role}

    @property
    def numbered(self) -> bool:
        """Whether the file has entry numbers at all."""
        return NUMBER in self._roles

    def rows(self, offset: int = 0, number: int = 0) -> Iterator[Row]:
        """Rows from a byte offset on (0: from the first), of which `number` rows came before."""
        records = Records(
            self._raw, self.header.encoding, self.header.delimiter, offset or self.header.start
        )
        before: Entry | None = None
        cells_before = 0
        for record in records:
            if record.cells is not None and self._is_header(record.cells):
                continue  # files put together: the second one's header
            number += 1
            cut_off = not record.whole and len(record.cells or ()) < cells_before
            row = self._refused(number, record) if cut_off else self._row(number, record)
            cells_before = len(record.cells or ()) or cells_before
            if row.entry is not None:
                row, before = _told_apart(row, row.entry, before)
            yield row

    def _is_header(self, cells: Sequence[str]) -> bool:
        return [cell.strip() for cell in cells[: len(self.header.names)]] == [*self.header.names]

    def _refused(self, number: int, record: Record) -> Row:
        refusal = Refusal(Reason.NOT_A_ROW, _DETAILS[Reason.NOT_A_ROW], None, record.raw.strip())
        return Row(number, record.end, None, [refusal])

    def _row(self, number: int, record: Record) -> Row:
        if record.cells is None:
            return self._refused(number, record)
        cells = self._joined(record.cells)
        if any(cell.strip() for cell in cells[len(self._roles) :]):
            return self._refused(number, record)
        named = {role: cell for role, cell in zip(self._roles, cells, strict=False) if role}
        time, raw = named.pop(TIME, ""), named.pop(NUMBER, "").strip()
        moment = read_export_time(time, self._rules)
        sequence = _sequence(raw)
        row = Row(number, record.end, None, (), time.strip(), moment.zone, numbered=bool(raw))
        if not isinstance(moment, Moment):
            known = sequence if raw else None
            refusal = Refusal(moment.reason, moment.detail, None, _written(cells), None, known)
            return replace(row, refusals=[refusal])
        if sequence is None:
            reason = Reason.MISSING_SEQUENCE
            refusal = Refusal(reason, _DETAILS[reason], None, _written(cells), moment.at)
            return replace(row, refusals=[refusal], seconds=moment.seconds)
        return self._entry(replace(row, seconds=moment.seconds), moment, sequence, named)

    def _entry(self, row: Row, moment: Moment, sequence: int, named: Mapping[str, str]) -> Row:
        fields: dict[str, FieldValue] = {}
        refusals = []
        for name, cell in named.items():
            if name == CLOCK or not cell.strip():
                continue
            if storable(cell):
                fields[name] = self._value(name, cell)
                continue
            reason = Reason.UNREADABLE_TEXT
            refusals.append(
                Refusal(reason, _DETAILS[reason], name, shown(cell), moment.at, sequence)
            )
        if refusals and not fields:
            return replace(row, refusals=refusals)
        return replace(row, entry=Entry(moment.at, sequence, fields), refusals=refusals)

    def _value(self, name: str, cell: str) -> str:
        """The cell as it stands; with the spreadsheet's comma undone when a person said so."""
        if self.options.decimal_comma and name.startswith("field"):
            found = _COMMA_NUMBER.fullmatch(cell.strip())
            if found:
                return f"{found[1]}.{found[2]}"
        return cell

    def _joined(self, cells: list[str]) -> list[str]:
        """Date and time of day that stand in two cells, as one; nothing else can be meant."""
        place = self._roles.index(TIME)
        pair = cells[place : place + 2]
        if len(pair) < 2 or not _CLOCK.fullmatch(pair[1].strip()):
            return cells
        joined = f"{pair[0].strip()} {pair[1].strip()}"
        if self._roles[place + 1 : place + 2] == (CLOCK,):
            return [*cells[:place], joined, *cells[place + 1 :]]
        if _BARE_DATE.fullmatch(pair[0].strip()):
            return [*cells[:place], joined, *cells[place + 2 :]]
        return cells


def _written(cells: Sequence[str]) -> str:
    """A row to be shown to people; `Refusal` masks keys in it."""
    return ", ".join(cells).rstrip(" ,")


def _sequence(raw: str) -> int | None:
    """The entry number, 0 where there is none; None when what stands there is no number."""
    if not raw:
        return 0
    found = _WHOLE.fullmatch(raw)
    number = int(found[1]) if found else -1
    return number if 0 <= number <= _LARGEST_NUMBER else None


def _told_apart(row: Row, entry: Entry, before: Entry | None) -> tuple[Row, Entry]:
    """Refuse what would silently replace a row before: same instant, no number, other value.

    Returns the row and what the next one is compared with.
    """
    if before is None or entry.sequence or before.sequence or entry.at != before.at:
        return row, entry
    if all(before.fields.get(name, one) == one for name, one in entry.fields.items()):
        return row, Entry(entry.at, 0, {**before.fields, **entry.fields})
    reason = Reason.DUPLICATE_IN_ANSWER
    raw = shown(dict(entry.fields))
    refusal = Refusal(reason, _DETAILS[reason], None, raw, entry.at, 0)
    return replace(row, entry=None, refusals=[*row.refusals, refusal]), before
