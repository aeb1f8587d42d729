"""The command: the same as the pages, for scripts, with exit codes and a report that reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import OperationalError

from devices.models import CalibrationVersion, Connection, FieldMapping, Job, Metric
from ingestion import equipment, pulse
from ingestion.imports import csv_job
from ingestion.imports.tests.scene import NOW, channel, minutes, stored
from ingestion.models import Import, ImportChunk, MappingPause, SourceEvent
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and progress."""
    out, err = StringIO(), StringIO()
    try:
        call_command("import_channel", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def report(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json")[1])
    return found


@pytest.fixture
def feeds(tmp_path: Path) -> str:
    file = tmp_path / "feeds.csv"
    file.write_bytes(minutes(2500))
    return str(file)


def test_a_dry_run_writes_nothing_at_all(feeds: str) -> None:
    source = channel()
    code, out, err = run(feeds, "--source", "4711", "--dry-run")
    assert (code, err) == (0, "")
    assert "New readings: 5000" in out
    assert "Zones written:\n  - +00:00: 2500" in out
    assert "To know or to decide" not in out
    assert not stored(source)
    assert not Import.objects.exists()
    assert not Job.objects.exists()


def test_a_dry_run_of_a_file_says_what_becomes_of_each_field(feeds: str) -> None:
    channel(fields=("field1", "field3"))
    Metric.objects.filter(name="field1").update(label="Water level", unit="m")
    FieldMapping.objects.filter(field="field1").update(unit="cm", remote_label="Level")
    said = report(feeds, "--channel", "4711", "--dry-run")["Mapped fields"]
    assert said == [
        "field1 “Level” feeds Water level: 2499 → 24.99 m; all values: 0 to 24.99 m (2,500 values)",
        "field3 feeds field3: no value yet",
    ]


def test_a_dry_run_of_a_file_without_mappings_says_so(feeds: str) -> None:
    channel(fields=())
    _, out, _ = run(feeds, "--source", "4711", "--dry-run")
    assert "Mapped fields: none: what comes would only be kept as received" in out


def test_what_was_imported_is_told_in_the_singular_where_it_is_one(tmp_path: Path) -> None:
    channel(fields=("field1",))
    file = tmp_path / "one.csv"
    file.write_bytes(minutes(1))
    run(str(file), "--channel", "4711")
    assert SourceEvent.objects.get().text.startswith("Imported one.csv: 1 row from ")
    assert "; 1 reading new, 0 already stored" in SourceEvent.objects.get().text


def test_an_import_tells_its_progress_and_its_report(feeds: str) -> None:
    source = channel()
    code, out, err = run(feeds, "--device", source.device.name)
    assert code == 0
    assert "2,500 rows done (100 %)" in err
    assert "New readings: 5000" in out
    assert len(stored(source)) == 5000
    assert Import.objects.get().file_name == "feeds.csv"
    assert not ImportChunk.objects.exists()
    again = report(feeds, "--device", str(source.device.uuid))
    assert (again["New readings"], again["Already stored"]) == (0, 5000)


def test_refused_rows_have_an_exit_code_of_their_own(tmp_path: Path) -> None:
    source = channel()
    file = tmp_path / "feeds.csv"
    file.write_bytes(minutes(3) + b"2026-01-02T00:00:00Z,9,broken,1,,,,\n")
    for more in (["--dry-run"], []):
        code, out, _ = run(str(file), "--source", "4711", *more)
        assert code == 3
        assert "Not a number: 1" in out
        assert "“broken”" in out
    assert len(stored(source)) == 7


def test_renamed_columns_and_naive_times_need_a_word(tmp_path: Path) -> None:
    source = channel()
    file = tmp_path / "feeds.csv"
    file.write_text("created_at,entry_id,Temp,Hum\n2026-01-01 05:30:00,1,20,30\n")
    where = [str(file), "--source", "4711"]
    out = StringIO()
    with pytest.raises(CommandError, match="No row can be read as things stand"):
        call_command("import_channel", *where, "--dry-run", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert said["Renamed columns, as they are read"] == {"Temp": "field1", "Hum": "field2"}
    assert "1 time says no time zone" in said["To know or to decide"][0]
    with pytest.raises(CommandError, match="Columns were renamed: Temp, Hum"):
        run(*where, "--zone", "Asia/Kolkata")
    with pytest.raises(CommandError, match=r"No row can be read.*Choose the zone"):
        run(*where, "--accept-columns")
    with pytest.raises(CommandError, match="no time zone"):
        run(*where, "--zone", "Mars")
    columns = ["--column", "Temp=field2", "--column", "Hum="]
    assert run(*where, "--zone", "Asia/Kolkata", *columns)[0] == 0
    assert [(key[2], value) for key, value in stored(source).items()] == [("field2", 20.0)]
    assert run(*where, "--zone", "Asia/Kolkata", "--accept-columns", "--replace")[0] == 0
    assert {key[2]: value for key, value in stored(source).items()} == {
        "field1": 20.0, "field2": 30.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.csv"], "Say which channel"),
        (["x.csv", "--source", "1"], "no such channel"),
        (["x.csv", "--source", "4711"], "cannot be read: No such file"),
        (["x.csv", "--device", "Device 4711", "--column", "a=b"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], words: str) -> None:
    channel()
    with pytest.raises(CommandError, match=words):
        run(*arguments)


def test_a_column_that_is_not_there_is_told(feeds: str) -> None:
    channel()
    with pytest.raises(CommandError, match="one of the renamed columns"):
        run(feeds, "--source", "4711", "--column", "Temp=field1")


def test_one_of_several_channels_must_be_named() -> None:
    channel()
    other = channel(4712)
    other.channel_id = 4711
    other.save()
    with pytest.raises(CommandError, match="Several channels fit"):
        run("x.csv", "--source", "4711")


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_history_of_a_channel_that_is_switched_off_is_refused(more: list[str]) -> None:
    source = channel()
    source.enabled = False
    source.save()
    with pytest.raises(CommandError, match=r"the source is switched off\. Switch that on"):
        run("--api", "--source", "4711", *more)
    assert not Job.objects.exists()


@pytest.fixture
def provider(
    redis_socket: str, redis_client: redis.Redis, settings: Any, tmp_path: Path
) -> Iterator[RunningSimulator]:
    """A provider with channel 4711, asked through the site's own gate."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    said = {"id": 4711, "name": "Tank", "field1": "Level", "field2": "Flow", "field3": "Mood"}
    rows = [("1", "245.5", "7", "fine"), ("2", " ", "8", "fine"), ("3", "", "9", "sad")]
    feeds = [
        {"created_at": f"2026-01-01T00:0{number}:00Z", "entry_id": int(number), "field1": level,
         "field2": flow, "field3": mood}
        for number, level, flow, mood in rows
    ]  # fmt: skip
    (tmp_path / "feeds.json").write_text(json.dumps({"channel": said, "feeds": feeds}))
    forget = (pulse.client.cache_clear, equipment.equipment.cache_clear)
    for one in forget:
        one()
    with RunningSimulator(replay=tmp_path) as simulator:
        yield simulator
    for one in forget:
        one()


@pytest.mark.redis
def test_a_dry_run_over_the_api_says_what_becomes_of_each_field(provider: RunningSimulator) -> None:
    source = channel(fields=("field1", "field2", "field3", "field4"))
    Connection.objects.update(base_url=provider.url, rate_limit=6000)
    Metric.objects.filter(name="field1").update(label="Water level", unit="m")
    FieldMapping.objects.filter(field="field1").update(unit="cm")
    flow = FieldMapping.objects.get(field="field2")
    CalibrationVersion.objects.create(mapping=flow, scale=2.0, offset=1.0)
    FieldMapping.objects.filter(field="field4").update(unit="no unit of this")
    MappingPause.objects.create(
        mapping=flow, source=source, kind="renamed", since=NOW, found_at=NOW, text="It was renamed."
    )
    code, out, _ = run("--api", "--source", "4711", "--dry-run")
    assert code == 0
    said = out.partition("Mapped fields:\n")[2].splitlines()
    assert said[0] == "  - field1 “Level” feeds Water level: 245.5 → 2.455 m"
    flows = "  - field2 “Flow” feeds field2: 9 → 19 (waits: It was renamed. Nothing is stored for"
    assert said[1].startswith(flows)
    assert said[2].startswith("  - field3 “Mood” feeds field3: sad → refused. ")
    assert said[3].startswith("  - field4 feeds field4: nothing, the unit “no unit of this” cannot")
    assert not Job.objects.exists()
    assert not stored(source)


@pytest.mark.redis
def test_a_dry_run_of_a_channel_without_mappings_says_so(provider: RunningSimulator) -> None:
    channel(fields=())
    Connection.objects.update(base_url=provider.url, rate_limit=6000)
    said = report("--api", "--source", "4711", "--dry-run")
    assert "none: what comes would only be kept as received" in said["Mapped fields"]


@pytest.mark.redis
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_history_of_a_channel_that_nobody_knows_is_not_waited_for(
    provider: RunningSimulator, more: list[str]
) -> None:
    channel(4712)
    Connection.objects.update(base_url=provider.url, rate_limit=6000)
    with pytest.raises(CommandError, match=r"Nothing can be imported now.*knows no channel"):
        run("--api", "--source", "4712", *more)
    assert not Job.objects.exists()


@pytest.mark.redis
def test_a_dry_run_of_an_address_that_is_refused_fails_and_names_the_setting(
    provider: RunningSimulator, settings: Any
) -> None:
    settings.ALLOWED_PRIVATE_NETWORKS = []
    channel()
    Connection.objects.update(base_url=provider.url, rate_limit=6000)
    with pytest.raises(CommandError, match=r"private network.*ALLOWED_PRIVATE_NETWORKS"):
        run("--api", "--source", "4711", "--dry-run")


def test_a_file_whose_name_is_no_utf_8_comes_in(tmp_path: Path) -> None:
    channel()
    file = tmp_path / os.fsdecode(b"old \xb0.csv")
    file.write_bytes(minutes(2))
    assert run(str(file), "--source", "4711")[0] == 0
    assert Import.objects.get().file_name == "old \ufffd.csv"


def test_a_database_that_fails_meanwhile_is_told(
    feeds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ingest(*_: Any) -> None:
        raise OperationalError("database or disk is full")

    source = channel()
    monkeypatch.setattr(csv_job, "ingest", ingest)
    with pytest.raises(CommandError, match=r"disk is full\. .* goes on in the worker"):
        run(feeds, "--source", "4711")
    assert not stored(source)
