"""Recorded CSV exports of real channels, imported; an independent reader says what must come of it.

Three files need a person's word (a zone, a form of times) or a zone word; for the independent
reader, which knows no such things, they are written anew with plain offsets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion.imports.tests.scene import NOW, carry_out, channel, start, stored, upload
from ingestion.imports.tests.test_csv_import import everything
from ingestion.models import Rejection
from tests.recorded import expect, read

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "thingspeak"
FILES = sorted(RECORDED.glob("*.csv"))
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not FILES, reason="no recorded feeds beside the checkout"),
    pytest.mark.timeout(300),
]


def with_offset(text: str) -> str:
    """The zone word CAT as the offset it means."""
    return text.replace(" CAT,", " +02:00,")


def of_lima(text: str) -> str:
    """Local times without seconds, as they were in Lima."""
    return re.sub(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d),", r"\1:00-05:00,", text, flags=re.M)


def before_the_spreadsheet(text: str) -> str:
    """Semicolons, two cells for the time and days first, undone."""
    head, *lines = text.splitlines()
    rows = [head.strip(";")]
    for line in lines:
        date, clock, *cells = line.split(";")
        day, month, year = date.split("/")
        hour, rest = clock.split(":", 1)
        rows.append(",".join([f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{rest}", *cells]))
    return "\n".join(rows)


SPECIAL: dict[str, tuple[dict[str, str], Callable[[str], str]]] = {
    "dht-cat-zone-crlf-in-value.csv": ({}, with_offset),
    "aquafarm-naive-minutes.csv": ({"zone": "America/Lima"}, of_lima),
    "excel-mangled-semicolons.csv": ({"form": "dmy"}, before_the_spreadsheet),
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_row_is_stored_or_refused_with_a_reason(file: Path, tmp_path: Path) -> None:
    choices, rewritten = SPECIAL.get(file.name, ({}, str))
    plain = tmp_path / file.name
    with file.open(encoding="utf-8", newline="") as original:
        plain.write_text(rewritten(original.read()), encoding="utf-8", newline="")
    expected = expect(plain, NOW)
    fields, _ = read(plain)
    source = channel(fields=fields)
    job = carry_out(start(upload(source, file.read_bytes(), file.name), **choices))
    assert job.state == "done", job.message
    assert job.done == expected.rows
    assert stored(source) == expected.readings
    assert Rejection.objects.count() == expected.rejections
    assert sum(job.cursor["tally"]["refused"].values()) == expected.rejections
    before = everything()
    again: Any = carry_out(start(upload(source, file.read_bytes(), file.name), **choices))
    assert (again.report["New readings"], everything()) == (0, before)


def test_what_nobody_chose_is_refused_not_guessed() -> None:
    for name, reason in (
        ("aquafarm-naive-minutes.csv", "no_zone"),
        ("excel-mangled-semicolons.csv", "unreadable_time"),
    ):
        data = (RECORDED / name).read_bytes()
        found = upload(channel(len(data)), data, name).findings["tally"]
        assert (found["new"], found["refused"]) == (0, {reason: found["rows"]})
