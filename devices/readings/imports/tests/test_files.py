"""What a file may look like: as exported, as a spreadsheet saved it, or not at all."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import Device, Metric
from devices.readings.export import FORMATS
from devices.readings.imports.checking import check_file, device_of
from devices.readings.imports.choices import Choices
from devices.readings.imports.tally import Tally
from devices.readings.imports.tests.scene import Tank
from devices.readings.imports.text import UnreadableFile
from devices.readings.samples import Tier
from devices.readings.tests.network import START, minutes

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 1, tzinfo=UTC)
FORMS = list(FORMATS)
HEAD = "Time (Asia/Kolkata),Entry number,Level (cm) [level_cm],Pump,State\r\n"


@pytest.fixture
def tank() -> Tank:
    return Tank.make()


def check(tank: Tank, data: bytes | str, **columns: str) -> Any:
    content = data.encode() if isinstance(data, str) else data
    return check_file(io.BytesIO(content), tank.device, Choices(columns), NOW)


def counts(found: Any) -> tuple[int, int, dict[str, int]]:
    tally = found["tally"]
    return tally["rows"], tally["new"], tally["refused"]


def rows(tank: Tank, text: str) -> tuple[int, int, dict[str, int]]:
    return counts(check(tank, HEAD + text))


def reasons(found: Any) -> list[str]:
    examples = found["tally"]["examples"].values()
    return [f"{one['where']}: {one['detail']}" for some in examples for one in some]


def workbook(path: Path, *sheets: list[list[Any]], options: Any = None, **names: Any) -> bytes:
    """As spreadsheets save it: texts are shared by their cells."""
    with xlsxwriter.Workbook(path, options or {}) as book:
        for number, lines in enumerate(sheets, start=1):
            sheet = book.add_worksheet(names.get(f"sheet{number}", f"Sheet{number}"))
            for line, cells in enumerate(lines):
                for place, cell in enumerate(cells):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(line, place, cell)
                    elif cell is not None:
                        sheet.write(line, place, cell)
    return path.read_bytes()


# --- which file it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_known_by_its_content(tank: Tank, form: str) -> None:
    tank.fill(3)
    data = tank.exported(form)
    found = check(tank, data)
    assert found["form"] == form
    assert counts(found) == (3, 0, {})
    assert found["tally"]["same"] == 9
    if form == "csv":
        with pytest.raises(UnreadableFile, match="Choose the device"):
            device_of(io.BytesIO(data), Device.objects.all())
    else:
        assert device_of(io.BytesIO(data), Device.objects.all()) == tank.device
        with pytest.raises(UnreadableFile, match="none of those that you operate"):
            device_of(io.BytesIO(data), Device.objects.none())


@pytest.mark.parametrize("tier", [Tier.HOUR, Tier.DAY, Tier.MONTH])
@pytest.mark.parametrize("form", FORMS)
def test_hours_days_and_months_are_refused(tank: Tank, form: str, tier: Tier) -> None:
    tank.fill(3)
    with pytest.raises(UnreadableFile, match=r"computes from readings.*tier raw"):
        check(tank, tank.exported(form, tier, since=START))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\0" * 600, "empty"),
        (gzip.compress(b"Time,Level\n", mtime=0), "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "XLSX or CSV"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04 and nothing behind it", "damaged"),
        (b"PAR1 and nothing behind it PAR1", "damaged"),
        (b'{"columns": 5}\n', "first line"),
        (b'{"columns": [{"name": 1, "unit": 2}]}\n', "damaged"),
        (b"{\n", "no JSON"),
        (b"level_cm,state\n1,2\n", "no column called"),
        (b"time,Time (UTC),level_cm\n", "several columns called"),
        (b"time,entry,Entry number,level_cm\n", "two columns"),
        (b'"time,level_cm\n1,2\n', "quotation marks"),
    ],
)
def test_what_is_no_export_is_refused_in_a_sentence(tank: Tank, data: bytes, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        check(tank, data)


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_never_breaks_the_site(tank: Tank, form: str) -> None:
    tank.fill(4)
    data = tank.exported(form)

    @given(place=st.integers(0, len(data)), junk=st.binary(max_size=6), cut=st.booleans())
    @settings(max_examples=50)
    def damaged(place: int, junk: bytes, cut: bool) -> None:
        changed = data[:place] + junk + (b"" if cut else data[place + len(junk) :])
        try:
            found = check(tank, changed)
        except UnreadableFile as error:
            told = str(error)
            assert told.endswith(".")
        else:
            assert found["tally"]["rows"] <= 6

    damaged()


# --- what spreadsheets and people do ------------------------------------------------------------


def test_a_spreadsheets_csv_is_read_where_it_is_beyond_doubt(tank: Tank) -> None:
    line = "2026-11-20 15:30:00,1,2.5,TRUE,ok"
    for text in (
        HEAD + line + "\r\n",
        "\ufeff" + HEAD + "\r\n" + line + "\r\n\r\n,,,,\r\n",
        (HEAD + line).replace("\r\n", "\n"),  # and no line end at the end
        (HEAD + line).replace(",", ";"),
        (HEAD + line).replace(",", "\t"),
        "State,Pump,level_cm,Entry number,Time (Asia/Kolkata),\nok,1,2.50,1.0,2026-11-20T10:00Z,\n",
        "time,state,pump_on,level_cm\n2026-11-20 10:00:00+00:00,ok,true, 2.5 \n",
    ):
        found = check(tank, text)
        assert counts(found) == (1, 3, {}), text
        assert found["tally"]["preview"][0]["at"] == "2026-11-20T10:00:00+00:00", text
        assert list(found["tally"]["preview"][0]["values"].values()) in (
            [2.5, True, "ok"], ["ok", True, 2.5],
        )  # fmt: skip
    assert counts(check(tank, (HEAD + line + "\r\n").encode("utf-16"))) == (1, 3, {})


def test_bad_rows_are_told_by_line_and_lose_nothing_beside_them(tank: Tank) -> None:
    found = check(
        tank,
        HEAD
        + "2026-11-20T15:30:00+05:30,1,2.5,true,ok\n"
        + "\n"
        + "20/11/2026 15:31,2,2.5,true,ok\n"
        + "2026-11-20T15:32:00+05:30,x,2.5,true,ok\n"
        + "2026-11-20T15:33:00+05:30,4,much,on,ok\n"
        + "2026-11-20T15:34:00+05:30,5,2.5,true,ok,more\n"
        + "2026-11-20T15:35:00+05:30,6,2.5",
    )
    assert counts(found) == (
        6, 4,
        {"unreadable_time": 1, "bad_entry_number": 1, "not_a_number": 1, "not_on_off": 1,
         "no_row": 1, "cut_off": 1},
    )  # fmt: skip
    said = reasons(found)
    assert any(one.startswith("row 4: The time is not written") for one in said)
    assert any(one.startswith("row 6: This is not a plain number") for one in said)
    assert found["tally"]["examples"]["not_on_off"][0]["column"] == "pump_on"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("2026-11-20 15:30,1,1e400,,", "not_finite"),
        ("2026-11-20 15:30,1,nan,,", "not_finite"),
        ("2026-11-20 15:30,1,1e151,,", "too_large"),
        ('2026-11-20 15:30,1,"2,5",,', "decimal_comma"),
        ("2026-11-20 15:30,1,12 cm,,", "not_a_number"),
        ("2026-11-20 15:30,1,1_000,,", "not_a_number"),
        ("2026-11-20 15:30,1,,maybe,", "not_on_off"),
        (f"2026-11-20 15:30,1,,,{'x' * 256}", "too_long_text"),
        ("2026-11-20 15:30,1,,,a\0b", "unreadable_text"),
        ("2026-11-20 15:30,-1,1,,", "bad_entry_number"),
        ("2026-11-20 15:30,1.79E+07,1,,", "bad_entry_number"),
        ("2026-11-20 15:30,99999999999999999999,1,,", "bad_entry_number"),
        (",1,2.5,,", "no_time"),
        ("1969-12-31 23:00,1,2.5,,", "before_1970"),
        ("2027-01-02 15:30,1,2.5,,", "future_time"),
        ("2026-02-30 15:30,1,2.5,,", "unreadable_time"),
        ("45000.5,1,2.5,,", "unreadable_time"),
        ("9999-12-31 23:59:59-12:00,1,2.5,,", "unreadable_time"),
    ],
)
def test_each_refusal_has_its_reason(tank: Tank, cells: str, reason: str) -> None:
    assert rows(tank, cells + "\n") == (1, 0, {reason: 1})


def test_whole_numbers_stay_whole(tank: Tank) -> None:
    head = "time,litres\n"
    assert counts(check(tank, head + "2026-11-20T10:00Z,5.0\n"))[1:] == (1, {})
    assert counts(check(tank, head + "2026-11-20T10:00Z,5.5\n"))[1:] == (0, {"not_whole": 1})
    large = "2026-11-20T10:00Z,9007199254740993\n"
    assert counts(check(tank, head + large))[1:] == (0, {"too_large": 1})


def test_values_outside_the_valid_range_are_refused(tank: Tank) -> None:
    Metric.objects.filter(name="level_cm").update(minimum=0, maximum=300)
    found = check(tank, HEAD + "2026-11-20 15:30,1,-0.1,,\n2026-11-20 15:31,2,300,,\n")
    assert counts(found) == (2, 1, {"out_of_range": 1})
    assert "from 0 to 300" in reasons(found)[0]


def test_local_times_need_their_zone_and_one_meaning() -> None:
    tank = Tank.make("Europe/Berlin")
    head = "Time (Europe/Berlin),level_cm\n"
    found = check(tank, head + "2026-10-25 02:30,1\n2026-03-29 02:30,1\n2026-10-25 03:30,1\n")
    assert counts(found) == (3, 1, {"ambiguous_time": 1, "nonexistent_time": 1})
    assert "UTC offset" in reasons(found)[0]
    assert counts(check(tank, "time,level_cm\n2026-10-25 03:30,1\n"))[2] == {"no_zone": 1}
    beside = "time,UTC offset,level_cm\n2026-10-25 02:30,+02:00,1\n2026-10-25 02:30,+01:00,1\n"
    assert counts(check(tank, beside)) == (2, 2, {})
    wrong = "time,UTC offset,level_cm\n2026-10-25 02:30,summer,1\n2026-10-25 02:30,+25:00,1\n"
    assert counts(check(tank, wrong))[2] == {"wrong_offset": 2}


def test_the_same_row_twice_counts_once_and_a_contradiction_is_told(tank: Tank) -> None:
    line = "2026-11-20 15:30,1,{},,\n"
    assert rows(tank, line.format(2) + line.format("2.0")) == (2, 1, {})
    assert rows(tank, line.format(2) + line.format(3)) == (2, 1, {"repeated": 1})


# --- workbooks ----------------------------------------------------------------------------------


def test_a_workbook_saved_by_a_spreadsheet_is_read(tank: Tank, tmp_path: Path) -> None:
    lines: list[list[Any]] = [
        ["Time (Asia/Kolkata)", "Entry number", "level_cm", "Pump", "State"],
        [datetime(2026, 11, 20, 15, 30), 1, 2.5, True, "ok"],  # noqa: DTZ001
        [None, None, None, None, None],
        ["2026-11-20T15:31:00+05:30", 2, "2.5", "false", "ok"],
        [datetime(2026, 11, 20, 15, 32), 3, "x", 2, 7],  # noqa: DTZ001
    ]
    found = check(tank, workbook(tmp_path / "b.xlsx", lines))
    assert counts(found) == (3, 6, {"not_a_number": 1, "not_on_off": 1, "not_a_text": 1})
    assert found["tally"]["first"] == "2026-11-20T10:00:00+00:00"
    assert reasons(found)[0].startswith("row 5: ")


def test_sheets_continue_each_other(tank: Tank, tmp_path: Path) -> None:
    head = ["time", "level_cm"]
    first: list[list[Any]] = [head, ["2026-11-20T10:00Z", 1]]
    second: list[list[Any]] = [head, ["2026-11-20T10:01Z", "x"]]
    found = check(tank, workbook(tmp_path / "b.xlsx", first, second, []))
    assert counts(found) == (2, 1, {"not_a_number": 1})
    assert reasons(found)[0].startswith("sheet Sheet2, row 2: ")
    with pytest.raises(UnreadableFile, match="“Sheet2” has other columns"):
        check(tank, workbook(tmp_path / "b.xlsx", first, [["Notes"]]))
    with pytest.raises(UnreadableFile, match="holds no rows"):
        check(tank, workbook(tmp_path / "b.xlsx", []))
    with pytest.raises(UnreadableFile, match="1904"):
        check(tank, workbook(tmp_path / "b.xlsx", first, options={"date_1904": True}))


def test_a_workbooks_errors_and_own_definitions_are_refused(tank: Tank, tmp_path: Path) -> None:
    data = workbook(tmp_path / "b.xlsx", [["time", "level_cm"], ["2026-11-20T10:00Z", 5]])
    assert counts(check(tank, with_sheet(data, "<v>5</v>", "<f>1/0</f><v>5</v>"))) == (1, 1, {})
    broken = with_sheet(data, 'r="B2"><v>5</v>', 'r="B2" t="e"><v>#DIV/0!</v>')
    assert counts(check(tank, broken))[2] == {"formula_error": 1}
    for old, new in (
        ("<worksheet", '<!DOCTYPE x [<!ENTITY a "b">]><worksheet'),
        ("<v>0</v>", "<v>99</v>"),
        ("<v>0</v>", f"<v>{'9' * 5000}</v>"),
        ('r="B2"', 'r="ZZZ2"'),
    ):
        with pytest.raises(UnreadableFile):
            check(tank, with_sheet(data, old, new))


def with_sheet(data: bytes, old: str, new: str) -> bytes:
    """The workbook with something in its first sheet replaced."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as book, zipfile.ZipFile(target, "w") as changed:
        for name in book.namelist():
            part = book.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert old in part.decode()
                part = part.decode().replace(old, new).encode()
            changed.writestr(name, part)
    return target.getvalue()


# --- which column is which metric ---------------------------------------------------------------


def test_units_are_converted_when_they_can_be_and_it_is_said(tank: Tank) -> None:
    Metric.objects.filter(name="depth_cm").update(label="Depth")
    found = check(tank, "time,Level (m),Counter (mL)\n2026-11-20T10:00Z,2.5,2000\n")
    assert counts(found) == (1, 2, {})
    assert [one["converted"] for one in found["columns"]] == [
        "converted from m to cm", "converted from mL to L",
    ]  # fmt: skip
    assert list(found["tally"]["preview"][0]["values"].values()) == [250.0, 2]
    found = check(tank, "time,Level (°C)\n2026-11-20T10:00Z,2.5\n")
    assert "do not convert" in found["columns"][0]["problem"]
    assert counts(found)[1] == 0


def test_the_unit_that_a_file_states_is_compared(tank: Tank) -> None:
    tank.write(START, 1, level_cm=250.0)
    data = tank.exported("jsonl")
    Metric.objects.filter(name="level_cm").update(unit="m")
    found = check(tank, data)
    assert found["columns"][0]["converted"] == "converted from cm to m"
    assert found["tally"]["differences"][0]["file"] == 2.5
    Metric.objects.filter(name="level_cm").update(unit="kW")
    assert "these do not convert" in check(tank, data)["columns"][0]["problem"]


def test_a_column_that_could_be_anything_waits_for_a_person(tank: Tank) -> None:
    line = "2026-11-20T10:00Z,5\n"
    for title, says in (
        ("Level", "no unit"), ("Level (m)", "any of level_cm, depth_cm"),
        ("Temperature", "no such metric"), ("Level (cm)", "any of"),
    ):  # fmt: skip
        found = check(tank, f"time,{title}\n{line}")
        assert says in found["columns"][0]["problem"], title
        assert counts(found) == (1, 0, {})
        chosen = check(tank, f"time,{title}\n{line}", **{title: "level_cm"})
        assert counts(chosen) == (1, 1, {}), title
        assert not counts(check(tank, f"time,{title}\n{line}", **{title: ""}))[1]
    both = check(tank, "time,level_cm,Level (cm) [level_cm]\n2026-11-20T10:00Z,5,6\n")
    assert all("Several columns are level_cm" in one["problem"] for one in both["columns"])


def test_choices_that_fit_nothing_are_refused(tank: Tank) -> None:
    with pytest.raises(UnreadableFile, match=r"no column “Lvl”. It has: level_cm"):
        check(tank, "time,level_cm\n", Lvl="level_cm")
    with pytest.raises(UnreadableFile, match=r"no metric “lvl”.*level_cm"):
        check(tank, "time,Lvl\n", Lvl="lvl")


def test_titles_are_told_apart_where_labels_are_the_same(tank: Tank) -> None:
    tank.write(minutes(START, 1), 1, level_cm=1.0, depth_cm=2.0)
    data = tank.exported("csv", names=("depth_cm",))
    assert data.splitlines()[0].endswith(b",Level (cm) [depth_cm]")
    assert counts(check(tank, data)) == (1, 0, {})


def test_keys_in_a_file_are_shown_to_nobody(tank: Tank) -> None:
    key = "CANARYKEY5678ABC"
    found = check(
        tank,
        HEAD
        + f"2026-11-20 15:30,1,{key},,api_key={key}\n"
        + f"{key},2,1,,\n"
        + f"2026-11-20 15:31,3,1,,,{key}\n",
    )
    assert counts(found)[2] == {"not_a_number": 1, "unreadable_time": 1, "no_row": 1}
    assert key not in str(found)


def test_the_zone_that_is_suggested_is_the_communitys_own() -> None:
    berlin = Tank.make("Europe/Berlin")
    with pytest.raises(UnreadableFile, match=r"call its column Time \(Europe/Berlin\), with"):
        check(berlin, "level_cm,state\n1,2\n")
    found = Tally.of(check(berlin, "time,level_cm\n2026-11-20 10:00,1\n")["tally"])
    assert found.examples["no_zone"][0]["detail"].endswith(
        "To say it, call its column Time (Europe/Berlin), with the zone in which the times were "
        "written."
    )
