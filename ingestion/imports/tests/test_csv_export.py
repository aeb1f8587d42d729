"""CSV exports in every shape that people have: rows become entries or are refused with a reason."""

# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and gets its zone afterwards

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices.readings.imports.text import LONGEST_RECORD, UnreadableFile
from ingestion.imports.csv_export import Export
from ingestion.imports.header import Proposed, propose
from ingestion.imports.tests.files import HEAD, export, reasons, rows_of

AT = "2026-01-02T03:04:05Z"


def fields(*lines: str, **choices: Any) -> list[dict[str, Any] | None]:
    return [dict(row.entry.fields) if row.entry else None for row in rows_of(*lines, **choices)]


def test_a_full_export() -> None:
    head = "created_at,entry_id,field1,field2,latitude,longitude,elevation,status"
    (row,) = rows_of(f'{AT},7,20.5,,,,,"lamp, on"', head=head)
    assert row.entry is not None
    assert (row.number, row.entry.sequence) == (1, 7)
    assert row.entry.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    # Blank cells are not there: they must not blank out what was received before.
    assert row.entry.fields == {"field1": "20.5", "status": "lamp, on"}


def test_values_over_several_lines() -> None:
    assert fields(f'{AT},1,30.7,"36.00\r\n\r\n"', f"{AT},2,1,2") == [
        {"field1": "30.7", "field2": "36.00\r\n\r\n"},
        {"field1": "1", "field2": "2"},
    ]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_delimiters(mark: str) -> None:
    head = HEAD.replace(",", mark)
    assert fields(f"{AT};1;22,4;".replace(";", mark), head=head) == [{"field1": "22,4"}]


def test_a_line_that_names_the_delimiter() -> None:
    assert fields("created_at;entry_id;field1", f"{AT};1;5", head="sep=;") == [{"field1": "5"}]


def test_decimal_commas_are_undone_only_when_somebody_says_so() -> None:
    head, line = "created_at;entry_id;field1;field2;status", f"{AT};1;22,4;1,234,5;off, 3,5"
    given = {"field1": "22,4", "field2": "1,234,5", "status": "off, 3,5"}
    assert fields(line, head=head) == [given]
    assert fields(line, head=head, decimal_comma=True) == [{**given, "field1": "22.4"}]


def test_rows_of_a_spreadsheet_under_a_header_of_commas() -> None:
    """Date and time in two cells, semicolons, a header in one cell: as people really upload it."""
    head = "created_at,entry_id,field1,field2,field3,latitude,longitude,elevation,status;;;;;"
    lines = ["26/09/2023;22:28:44+00:00;1;22.4;75.3;", "6/10/2023;1:02:03+00:00;2;22.5;;5"]
    refused = rows_of(*lines, head=head)
    assert reasons(refused) == {"unreadable_time": 2}
    assert [row.time for row in refused] == ["26/09/2023 22:28:44+00:00", "6/10/2023 1:02:03+00:00"]
    read = rows_of(*lines, head=head, form="dmy")
    assert [(row.entry.sequence, row.entry.fields) for row in read if row.entry] == [
        (1, {"field1": "22.4", "field2": "75.3"}),
        (2, {"field1": "22.5", "field3": "5"}),
    ]


def test_date_and_time_as_columns_of_their_own() -> None:
    rows = rows_of("2026-01-02,03:04:05Z,9,5", head="Date,Time,entry_id,field1")
    assert rows[0].entry is not None
    assert rows[0].entry.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert rows[0].entry.fields == {"field1": "5"}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8-sig", b""), ("utf-16", b""), ("utf-16-le", b""), ("utf-16-be", b"\xfe\xff")],
)
def test_encodings(encoding: str, mark: bytes) -> None:
    text = f"{HEAD}\r\n{AT},1,Größe,5\r\n{AT},2,é,6\r\n"
    rows = list(export(mark + text.encode(encoding)).rows())
    assert [row.entry.fields["field1"] for row in rows if row.entry] == ["Größe", "é"]


def test_the_line_ends_of_old_macs() -> None:
    assert len(list(export(f"{HEAD}\r{AT},1,5,6\r{AT},2,5,6\r").rows())) == 2


def test_a_stray_carriage_return_never_makes_two_rows_of_one() -> None:
    rows = list(export(f"{HEAD}\n{AT},1,5\r6,7\n{AT},2,8,9\n").rows())
    assert reasons(rows) == {"not_a_row": 1}
    assert rows[1].entry is not None


def test_damaged_characters_cost_their_own_value_until_the_encoding_is_chosen() -> None:
    data = f"{HEAD}\n{AT},1,Größe,5\n".encode("cp1252")
    (row,) = export(data).rows()
    assert reasons([row]) == {"unreadable_text": 1}
    assert row.entry is not None
    assert row.entry.fields == {"field2": "5"}
    (row,) = export(data, encoding="windows-1252").rows()
    assert row.entry is not None
    assert row.entry.fields["field1"] == "Größe"


def test_a_quotation_mark_that_is_never_closed_costs_its_own_row() -> None:
    rows = rows_of(f'{AT},1,"5,6', f"{AT},2,7,8", f"{AT},3,9,10")
    assert [row.entry.sequence if row.entry else None for row in rows] == [None, 2, 3]
    assert reasons(rows) == {"not_a_row": 1}
    many = [f"{AT},{n},1,2" for n in range(2, 2000)]  # longer than any row may be
    rows = rows_of(f'{AT},1,"5,6', *many)
    assert [row.entry is None for row in rows] == [True, *[False] * len(many)]


def test_a_line_without_an_end_is_bounded() -> None:
    data = f"{HEAD}\n{AT},1,{'9' * (3 * LONGEST_RECORD)},6\n{AT},2,7,8\n"
    rows = list(export(data).rows())
    assert rows[-1].entry is not None
    assert rows[-1].entry.fields == {"field1": "7", "field2": "8"}
    assert set(reasons(rows)) <= {"not_a_row", "unreadable_time"}


def test_what_does_not_fit_the_header_is_refused() -> None:
    rows = rows_of(f"{AT},1,22,4,75,3", f"{AT},2,5", f"{AT},3,5,6,,,")
    assert [row.entry is not None for row in rows] == [False, True, True]
    assert reasons(rows) == {"not_a_row": 1}


def test_a_file_that_was_cut_off_does_not_give_half_a_value() -> None:
    (whole, cut) = export(f"{HEAD}\n{AT},1,1013.25,6\n{AT},2,101").rows()
    assert whole.entry is not None
    assert cut.entry is None
    assert reasons([cut]) == {"not_a_row": 1}
    (_, last) = export(f"{HEAD}\n{AT},1,1013.25,6\n{AT},2,5,6").rows()  # only the line end lacks
    assert last.entry is not None


@pytest.mark.parametrize(
    ("written", "sequence"),
    [("7", 7), (" 7 ", 7), ("12.0", 12), ("0", 0), ("", 0), ("17915992", 17915992)],
)
def test_entry_numbers(written: str, sequence: int) -> None:
    (row,) = rows_of(f"{AT},{written},5,6")
    assert row.entry is not None
    assert row.entry.sequence == sequence
    assert row.numbered is bool(written.strip())


@pytest.mark.parametrize("written", ["1.79E+07", "-3", "x", "7.5", "9" * 19])
def test_entry_numbers_that_cannot_be_read(written: str) -> None:
    rows = rows_of(f"{AT},{written},5,6")
    assert reasons(rows) == {"missing_sequence": 1}


def test_a_file_without_entry_numbers_never_replaces_one_row_by_another() -> None:
    head = "created_at,field1,field2"
    rows = rows_of(f"{AT},5,", f"{AT},5,", f"{AT},,6", f"{AT},7,", head=head)
    assert not export(f"{head}\n{AT},5,6\n").numbered
    assert [row.entry is not None for row in rows] == [True, True, True, False]
    assert reasons(rows) == {"duplicate_in_answer": 1}


def test_files_that_were_put_together() -> None:
    assert len(rows_of(f"{AT},1,5,6", HEAD, f"{AT},2,5,6", "", ",,,", f"{AT},3,5,6")) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "no header"),
        (b"\r\n;;;\r\n", "no header"),
        (b"PK\x03\x04 and so on", "not a CSV file"),
        (bytes(4000) + b"x", "no text file"),
        (b"<html><body>Sign in</body></html>", "no column"),
        (b"a,b,c\n1,2,3\n", "no column"),
        (b"created_at\n2026-01-02T03:04:05Z\n", "no column with values"),
    ],
)
def test_what_is_no_export_is_told(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        export(data)


def test_a_key_in_a_header_is_not_repeated() -> None:
    with pytest.raises(UnreadableFile) as told:
        export("time of day,api_key=ABCDEFGH12345678\n1,2\n")
    assert "ABCDEFGH12345678" not in str(told.value)


def test_renamed_columns_are_proposed_and_read_only_when_agreed() -> None:
    head = "created_at,entry_id,Temp,Inst g,Avg g,status"
    file = export(f"{head}\n{AT},1,5,6,7,ok\n")
    assert propose(file.header, {"field1": "Temp", "field6": "inst G"}) == {
        2: Proposed("field1", "label"),
        3: Proposed("field6", "label"),
        4: Proposed("field3", "place"),
    }
    assert [row.entry.fields for row in file.rows() if row.entry] == [{"status": "ok"}]
    assert fields(f"{AT},1,5,6,7,ok", head=head, columns={2: "field1", 4: "field6", 3: ""}) == [
        {"field1": "5", "field6": "7", "status": "ok"}
    ]
    with pytest.raises(UnreadableFile, match="Two columns"):
        export(f"{head}\n{AT},1,5,6,7,ok\n", columns={2: "field1", 3: "field1"})


def test_reading_goes_on_at_any_row() -> None:
    lines = [f'{AT},{n},{n},"a\r\nb"' for n in range(30)]
    for encoding in ("utf-8-sig", "utf-16"):
        data = "\r\n".join([HEAD, *lines, ""]).encode(encoding)
        whole = list(export(data).rows())
        for place in (0, 7, 28):
            at = whole[place]
            assert list(export(data).rows(at.end, at.number)) == whole[place + 1 :]


# --- whatever is written comes back, and nothing else -------------------------------------------

VALUE = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x1a\x1c\x1d\x1e\x1f\x85\u2028\u2029"),
    max_size=12,
)
ENTRY = st.tuples(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(
        lambda at: at.replace(microsecond=0)
    ),
    st.integers(1, 2**40),
    st.tuples(VALUE, VALUE),
)
OFFSET = st.sampled_from([0, 330, -180, 345, 840, -210])


@given(
    st.lists(ENTRY, max_size=12), OFFSET, st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)  # fmt: skip
def test_what_was_written_is_read(
    entries: list[Any], offset: int, mark: str, encoding: str, end: str, quoting: Any
) -> None:
    # Written so, a return without quotation marks cannot be told from the end of a line.
    quoted = quoting == csv.QUOTE_ALL or end == "\r\n"
    assume(quoted or not any("\r" in value for *_, values in entries for value in values))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, lineterminator=end, quoting=quoting)
    writer.writerow(HEAD.split(","))
    shift = timedelta(minutes=offset)
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    for at, number, values in entries:
        writer.writerow([f"{at + shift:%Y-%m-%dT%H:%M:%S}{zone}", number, *values])
    rows = list(export(text.getvalue().encode(encoding)).rows())
    assert not reasons(rows)
    assert [row.number for row in rows] == list(range(1, len(entries) + 1))
    expected = [
        (
            at.replace(tzinfo=UTC),
            number,
            {f"field{n}": value for n, value in enumerate(values, 1) if value.strip()},
        )
        for at, number, values in entries
    ]
    found = [
        (row.entry.at, row.entry.sequence, dict(row.entry.fields)) for row in rows if row.entry
    ]
    assert found == expected


@given(st.binary(max_size=400), st.sampled_from(["", "windows-1252"]))
def test_any_bytes_behind_a_header_are_read_or_refused(data: bytes, encoding: str) -> None:
    whole = f"{HEAD}\n".encode() + data
    try:
        file = export(whole, encoding=encoding)
    except UnreadableFile:
        return
    rows = list(file.rows())
    for row in rows:
        assert row.entry is not None or row.refusals
        if row.entry is not None:  # every value stands in the file
            text = data.decode("cp1252" if encoding else "utf-8", "surrogateescape")
            for value in row.entry.fields.values():
                assert str(value).replace('"', "") in text.replace('"', "")
    assert [row.end for row in rows] == sorted({row.end for row in rows})
    assert all(row.end <= len(whole) for row in rows)


def test_memory_does_not_grow_with_the_file() -> None:
    line = f'{AT},1,30.7,"36.00\r\n\r\n"\n'.encode()
    raw = io.BytesIO(f"{HEAD}\n".encode() + line * 60_000)
    rows = Export(raw).rows()
    next(rows)
    tracemalloc.start()
    try:
        count = sum(row.entry is not None for row in rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60_000 - 1
    assert peak < 200_000  # the file itself has two million bytes
