"""Recorded feeds are served row by row as they were recorded."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.channels import Channels
from simulator.replay import ReplayError, load_folder
from simulator.tests.conftest import Site


def _counts(readme: Path) -> dict[str, int]:
    """File name -> rows, from the statistics of the recordings' README."""
    text = readme.read_text(encoding="utf-8").partition("## Statistics")[2]
    return {
        name: int(rows)
        for name, rows in re.findall(r"^\| `?([\w.-]+?\.(?:json|csv))`? \| (\d+) \|", text, re.M)
    }


@pytest.fixture(scope="module")
def singles(recorded: Path) -> Channels:
    return Channels(load_folder(recorded))


def _id(channels: Channels, file: str) -> int:
    return next(c.facts.id for c in channels if c.facts.notes["file"] == file)


def test_every_row_of_every_file_is_there(recorded: Path, singles: Channels) -> None:
    expected = _counts(recorded / "README.md")
    fleet = Channels(load_folder(recorded / "fleet"))
    found = {str(c.facts.notes["file"]): c.facts.notes["rows"] for c in (*singles, *fleet)}
    assert found == expected
    assert len(singles) == 57
    assert len(fleet) == 150
    assert sum(expected[str(c.facts.notes["file"])] for c in fleet) == 14823


def test_paging_backwards_reads_a_long_recording_whole(
    singles: Channels, site_of: Callable[[Channels], Site]
) -> None:
    site = site_of(singles)
    channel = _id(singles, "climate-19781rows-utc.csv")
    seen: dict[int, dict[str, str]] = {}
    end = ""
    while True:
        rows = site.json(f"/channels/{channel}/feeds.json?results=8000{end}")["feeds"]
        before = len(seen)
        seen.update((row["entry_id"], row) for row in rows)
        if len(seen) == before:
            break
        end = f"&end={rows[0]['created_at'][:-1]}"
    assert sorted(seen) == list(range(1, 19782))
    assert seen[1]["created_at"] == "2019-11-07T01:12:11Z"
    assert seen[1]["field1"] == "29.63000"


def test_api_answers_come_back_as_recorded(
    recorded: Path, singles: Channels, site_of: Callable[[Channels], Site]
) -> None:
    site = site_of(singles)
    files = sorted((recorded).glob("lab11-*.json"))
    assert files
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        shown = site.json(f"/channels/{document['channel']['id']}/feeds.json")
        assert shown["feeds"] == document["feeds"], file.name
        assert shown["channel"] == document["channel"], file.name


def test_a_repeated_channel_id_gets_a_number_of_its_own(singles: Channels) -> None:
    ids = {_id(singles, f"channel489412-results{n}.json") for n in (2, 5)}
    assert 489412 in ids
    assert max(ids) > 900_000


def test_numbers_stay_numbers_and_empty_text_stays_empty(
    singles: Channels, site_of: Callable[[Channels], Site]
) -> None:
    channel = _id(singles, "airthinks-array-numbers.json")
    shown = site_of(singles).json(
        f"/channels/{channel}/feeds.json?results=8000&location=true&status=true"
    )
    assert len(shown["feeds"]) == 148
    first = shown["feeds"][0]
    assert (first["field1"], first["latitude"], first["status"]) == (10, "", "")
    assert first["created_at"] == "2022-11-19T10:57:59Z"


@pytest.mark.parametrize(
    ("file", "first_time", "value"),
    [
        ("dht-cat-zone-crlf-in-value.csv", "2020-11-19 10:25:05 CAT", "36.00\r\n\r\n"),
        ("aquafarm-naive-minutes.csv", "2023-07-09T14:14", "5.83"),
        ("excel-mangled-semicolons.csv", "26/09/2023;22:28:44+00:00;1;22.4;75.3;;", None),
        ("public38629-100rows-semicolon.csv", "2024-11-15T15:06:44Z", "22.000000"),
        ("watertank-dst-plus01-plus02.csv", "2023-05-02T07:21:52Z", "3672"),
    ],
)
def test_times_and_values_are_served_verbatim(
    singles: Channels,
    site_of: Callable[[Channels], Site],
    file: str,
    first_time: str,
    value: str | None,
) -> None:
    rows = site_of(singles).json(f"/channels/{_id(singles, file)}/feeds.json?results=8000")["feeds"]
    assert rows[0]["created_at"] == first_time
    assert rows[0]["field2"] == value
    if value is None:
        assert rows[0]["entry_id"] is None


def test_labels_are_the_headers_of_the_file(recorded: Path, singles: Channels) -> None:
    for channel in singles:
        file = recorded / str(channel.facts.notes["file"])
        if file.suffix == ".csv" and file.name != "public38629-100rows-semicolon.csv":
            with file.open(encoding="utf-8-sig", newline="") as handle:
                header = next(csv.reader(handle))
            known = {"created_at", "entry_id", "latitude", "longitude", "elevation", "status"}
            assert list(channel.facts.labels.values()) == [h for h in header if h not in known]


def test_ranges_select_by_time_even_where_the_text_is_odd(
    singles: Channels, site_of: Callable[[Channels], Site]
) -> None:
    channel = _id(singles, "dht-cat-zone-crlf-in-value.csv")
    rows = site_of(singles).json(
        f"/channels/{channel}/feeds.json?end=2020-11-19T08:30:00&results=8000"
    )["feeds"]
    assert 0 < len(rows) < 448
    assert rows[-1]["created_at"] <= "2020-11-19 10:30:00 CAT"


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ReplayError, match=r"other\.csv"):
        load_folder(tmp_path)
